"""How fast a GPU trains: roadtest beside what a user would write, and beside the limit, in turns in one process.

    python -m benchmarks.speed.cuda_speed [--networks lenet5,lenet5+stn,resnet34,vgg16] [--rounds 3] [--seconds 1]

Whole epochs with augmentation, on noise of 32 x 32 pixels, for pixels change no time:

- idiomatic: torchvision's ImageFolder, transforms and DataLoader with a worker per core but two, Pillow at every access
- strong: by a good engineer: images on the device, whole-batch transforms, channels-last, our precision, fused SGD
- roadtest: its own loop, its recorded steps included, clocked from outside
- each operation by itself: the same loop, nothing recorded
- bare step: forward, backward and optimiser on one batch, best layout, our precision, recorded; the limit of any loop
- bare step, each operation by itself

The peers keep torch's own settings, TF32 included. Writes results/cuda-speed-<GPU>.json and .md.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import InterpolationMode, v2

from benchmarks.peers.contender import MOMENTUM, WEIGHT_DECAY, build_plain_sgd
from benchmarks.peers.idiomatic import build_transform
from benchmarks.peers.plain_networks import build_plain
from benchmarks.result_files import RESULTS, describe_run, render_run, render_table, write_results
from benchmarks.speed.side_by_side import Spread, render_spread
from roadtest.machine import count_usable_cores, prepare_device, wait_for_device
from roadtest.networks import build_network, parse_label
from roadtest.protocol import GTSRB_V1
from roadtest.training.loop import train
from roadtest.training.precision import probe_precision
from roadtest.training.predict import forward, pixel_reader
from roadtest.training.state import TrainState
from roadtest.training.step import capture_graph

DEVICE = "cuda"
NUM_IMAGES, NUM_CLASSES, BATCH_SIZE = 10_240, 43, 128
NUM_WARMUP_STEPS = 5
OURS, PLAIN = "roadtest", "roadtest, each operation by itself"
BARE, BARE_PLAIN = "bare step", "bare step, each operation by itself"
Steps = Iterator[int]
"""Endless: trains, and gives the images of each stretch."""


def build(label: str) -> nn.Module:
    """The network in roadtest's form, on the device."""
    name, has_stn = parse_label(label)
    network = build_network(name, num_classes=NUM_CLASSES, image_size=32, has_stn=bool(has_stn), seed=0)
    return network.to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def build_as_usual(label: str) -> nn.Module:
    """The network as textbooks and libraries have it, on the device."""
    name, has_stn = parse_label(label)
    return build_plain(name, num_classes=NUM_CLASSES, image_size=32, has_stn=bool(has_stn)).to(DEVICE).train()


def rate_of(label: str) -> float:
    """The protocol's."""
    rate = GTSRB_V1.learning_rate(label)
    assert rate is not None
    return rate


def train_idiomatic(label: str, precision: str, folder: Path) -> Steps:
    """The loop of most tutorials, with as many workers as the machine feeds."""
    dataset = ImageFolder(str(folder), build_transform(32))
    loader = DataLoader(
        dataset,
        batch_size=BATCH_SIZE,
        shuffle=True,
        num_workers=max(count_usable_cores() - 2, 1),
        drop_last=True,
        pin_memory=True,
        persistent_workers=True,
    )
    network = build_as_usual(label)
    optimizer = build_plain_sgd(network, rate_of(label))
    while True:
        for images_NCHW, labels_N in loader:
            optimizer.zero_grad()
            logits_NK = network(images_NCHW.to(DEVICE, non_blocking=True))
            loss = F.cross_entropy(logits_NK, labels_N.to(DEVICE, non_blocking=True))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        yield len(loader) * BATCH_SIZE


def train_strong(label: str, precision: str, folder: Path) -> Steps:
    """Everything on the device, a batch transformed as a whole: all its images are turned alike."""
    pixels_NHWC, labels_N = (each.to(DEVICE) for each in noise())
    images_NCHW = pixels_NHWC.permute(0, 3, 1, 2)
    augment = v2.Compose(
        [
            v2.ToDtype(torch.float32, scale=True),
            v2.RandomAffine(10, (0.1, 0.1), (0.86, 1.16), 8, InterpolationMode.BILINEAR),
            v2.ColorJitter(0.3, 0.3, 0.3, 0.02),
            v2.RandomGrayscale(0.05),
            v2.Normalize([0.5] * 3, [0.25] * 3),
        ]
    )
    network = build_as_usual(label).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_sgd(network, label)
    while True:
        batches = torch.split(torch.randperm(NUM_IMAGES, device=DEVICE), BATCH_SIZE)
        for ids_N in batches:
            batch_NCHW = augment(images_NCHW[ids_N]).to(memory_format=torch.channels_last)
            loss = F.cross_entropy(forward(network, batch_NCHW, precision), labels_N[ids_N])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        yield len(batches) * BATCH_SIZE


def train_ours(label: str, precision: str, folder: Path, *, is_capturable: bool = True) -> Steps:
    """roadtest's loop; its evaluations are shrunk to two images each."""
    pixels_NHWC, labels_N = noise()
    ids_N = np.arange(NUM_IMAGES)
    training = TrainState(
        network=build(label),
        protocol=replace(GTSRB_V1, patience=0),
        seed=0,
        learning_rate=rate_of(label),
        precision=precision,
        device=DEVICE,
        read_pixels=pixel_reader(pixels_NHWC.numpy(), DEVICE),
        labels_N=labels_N,
        train_ids_N=ids_N,
        train_eval_ids_N=ids_N[:2],
        val_ids_N=ids_N[-2:],
        max_steps=10**9,
        is_capturable=is_capturable,
    )
    last_step = 0
    for _ in train(training):
        if training.progress.step % training.steps_per_epoch == 0 and training.progress.step > last_step:
            yield (training.progress.step - last_step) * BATCH_SIZE
            last_step = training.progress.step


def train_bare(label: str, precision: str, folder: Path, *, is_recorded: bool = True) -> Steps:
    """One batch again and again."""
    network = build(label).train()
    images_NCHW = torch.randn(BATCH_SIZE, 3, 32, 32, device=DEVICE).to(memory_format=torch.channels_last)
    labels_N = torch.arange(BATCH_SIZE, device=DEVICE) % NUM_CLASSES
    optimizer = build_sgd(network, label)

    def step() -> Tensor:
        loss = F.cross_entropy(forward(network, images_NCHW, precision), labels_N)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    for _ in range(NUM_WARMUP_STEPS):
        step()
    take: Callable[[], object] = step
    if is_recorded:
        optimizer.zero_grad(set_to_none=True)
        _, take = capture_graph(step, DEVICE)
    while True:
        for _ in range(NUM_IMAGES // BATCH_SIZE):
            take()
        yield NUM_IMAGES


CONTENDERS: Mapping[str, Callable[[str, str, Path], Steps]] = {
    "idiomatic": train_idiomatic,
    "strong": train_strong,
    OURS: train_ours,
    PLAIN: partial(train_ours, is_capturable=False),
    BARE: train_bare,
    BARE_PLAIN: partial(train_bare, is_recorded=False),
}
PEERS = ("idiomatic", "strong")


def build_sgd(network: nn.Module, label: str) -> torch.optim.Optimizer:
    """As fast as torch has it."""
    parameters = network.parameters()
    return torch.optim.SGD(parameters, rate_of(label), MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True, fused=True)


def noise() -> tuple[Tensor, Tensor]:
    """uint8 pixels_NHWC and labels_N, the same each time."""
    generator = torch.Generator().manual_seed(0)
    pixels_NHWC = torch.randint(0, 256, (NUM_IMAGES, 32, 32, 3), generator=generator, dtype=torch.uint8)
    return pixels_NHWC, torch.arange(NUM_IMAGES) % NUM_CLASSES


def write_files(folder: Path) -> None:
    """One ppm, GTSRB's format, per image, in a folder per class."""
    pixels_NHWC, labels_N = noise()
    for number, (pixels_HWC, label) in enumerate(zip(pixels_NHWC.numpy(), labels_N.tolist(), strict=True)):
        path = folder / f"{label:05d}" / f"{number:06d}.ppm"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels_HWC).save(path)


def measure(label: str, folder: Path, num_rounds: int, seconds: float) -> dict[str, Any]:
    """The precision, and every contender's speeds, round by round, each round beginning with another one."""
    prepare_device(DEVICE, torch.get_num_threads())
    precision, _ = probe_precision(build(label), "auto", device=DEVICE, image_size=32, num_classes=NUM_CLASSES)
    loops: dict[str, Steps] = {}
    speeds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for index in range(num_rounds):
        first = index % len(CONTENDERS)
        for name in [*CONTENDERS][first:] + [*CONTENDERS][:first]:
            torch.backends.cudnn.benchmark = name != "idiomatic"
            torch.backends.cudnn.allow_tf32 = name in PEERS  # what torch has, and what roadtest has
            if name not in loops:
                loops[name] = CONTENDERS[name](label, precision, folder)
                next(loops[name])  # an epoch that is not counted
            speeds[name].append(_images_per_second(loops[name], seconds))
            print(f"{label:12} round {index + 1}  {name:36} {speeds[name][-1]:12,.0f} images/s", flush=True)
    return {"precision": precision, "images_per_second": speeds}


def _images_per_second(loop: Steps, seconds: float) -> float:
    wait_for_device(DEVICE)
    start, num_images = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        num_images += next(loop)
        wait_for_device(DEVICE)
    return num_images / (time.perf_counter() - start)


def ratio(speeds: Mapping[str, Sequence[float]], name: str) -> Spread | None:
    """How many times as fast roadtest is, formed within each round."""
    return Spread.over(ours / theirs for ours, theirs in zip(speeds[OURS], speeds[name], strict=True))


def render(results: Mapping[str, Any]) -> str:
    """The page: a summary, then a table for each network."""
    summary, tables = [], []
    for label, block in results["networks"].items():
        speeds = block["images_per_second"]
        ratios = [render_spread(ratio(speeds, name), ".1f") for name in ("idiomatic", "strong", PLAIN)]
        summary.append([label, block["precision"], *ratios, render_spread(ratio(speeds, BARE), ".0%")])
        rows = [[name, render_spread(Spread.over(speeds[name]), ",.0f")] for name in CONTENDERS]
        tables.append(f"### {label}\n\n" + render_table(["contender", "images/s"], rows))
    header = ["network", "precision", *(f"roadtest / {name}" for name in ("idiomatic", "strong", "not recorded"))]
    parts = [
        "# Training speed on a GPU, side by side",
        f"{results['about']['machine']['gpu_name']}. Whole epochs with augmentation: median (least to largest) over "
        "the rounds, ratios formed within a round.",
        render_table([*header, "roadtest's share of the bare step"], summary),
        *tables,
        "## Machine and command",
        render_run(results["about"]),
    ]
    return "\n\n".join(parts)


def main(words: Sequence[str] | None = None) -> None:
    """Measure network by network, write after each, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", default="lenet5,lenet5+stn,resnet34,vgg16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each contender in a round, in whole epochs")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(words)
    if not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here: this benchmark is about one")
    results: dict[str, Any] = {"about": describe_run(), "networks": {}}
    gpu = re.sub(r"[^a-z0-9]+", "-", results["about"]["machine"]["gpu_name"].lower()).strip("-")
    with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
        write_files(Path(folder))
        for label in options.networks.split(","):
            results["networks"][label] = measure(label, Path(folder), options.rounds, options.seconds)
            write_results(options.out / f"cuda-speed-{gpu}.json", results, render(results))
    print(render(results))


if __name__ == "__main__":
    main()
