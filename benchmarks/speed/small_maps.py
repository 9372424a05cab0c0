"""What training 3 x 3 convolutions on maps of one or two pixels as linear layers gives, by layer and by network.

    python -m benchmarks.speed.small_maps [--precision bfloat16] [--rounds 9] [--num-threads 2]

Forward and backward of a layer, and a whole step of a network (128 images in memory, no augmentation), channels-last,
both ways in turns; medians in milliseconds, and the ratio with its least and largest over the rounds. Run it in the
environment of roadtest's workers: GOMP_SPINCOUNT=10000. Three minutes on two cores. Writes
results/small-maps-<precision>-<machine>.json and .md.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.result_files import RESULTS, describe_run, render_run, render_table, results_path, write_results
from roadtest.networks.build import build_network
from roadtest.networks.small_maps import SmallMapConv2d, speed_up_small_maps
from roadtest.protocol import GTSRB_V1
from roadtest.training.predict import PRECISIONS, forward
from roadtest.training.state import build_optimizer

BATCH_SIZE, NUM_CLASSES, IMAGE_SIZE = 128, 43, 32
LAYERS = ((512, 512, 2, 1), (256, 256, 2, 1), (256, 512, 2, 2), (512, 512, 1, 1))
"""Channels in and out, side of the map, stride: those of ResNet-34 and VGG-16 at 32 pixels."""
NETWORKS = ("resnet34", "resnet34-imagenet", "vgg16")


def random_images(channels: int, side: int) -> Tensor:
    """A batch of noise, channels-last."""
    return torch.randn(BATCH_SIZE, channels, side, side).to(memory_format=torch.channels_last)


def as_convolutions(network: nn.Module) -> nn.Module:
    """The network as the library computes it; in place."""
    for module in network.modules():
        if isinstance(module, SmallMapConv2d):
            module.__class__ = nn.Conv2d
    return network


def layer_pass(
    channels: int, units: int, side: int, stride: int, *, is_linear: bool, precision: str
) -> Callable[[], None]:
    """Forward and backward of one layer."""
    layers = nn.Sequential(nn.Conv2d(channels, units, 3, stride, 1, bias=False)).to(memory_format=torch.channels_last)
    if is_linear:
        speed_up_small_maps(layers)
    maps_NCHW = random_images(channels, side).requires_grad_()

    def work() -> None:
        result = forward(layers, maps_NCHW, precision)
        result.backward(torch.ones_like(result))

    return work


def network_step(name: str, *, is_linear: bool, precision: str) -> Callable[[], None]:
    """One training step of a network on images in memory."""
    network = build_network(name, num_classes=NUM_CLASSES, image_size=IMAGE_SIZE, has_stn=False, seed=0)
    if not is_linear:
        as_convolutions(network)
    optimizer = build_optimizer(network, GTSRB_V1)
    images_NCHW, labels_N = random_images(3, IMAGE_SIZE), torch.arange(BATCH_SIZE) % NUM_CLASSES

    def work() -> None:
        loss = F.cross_entropy(forward(network, images_NCHW, precision), labels_N)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return work


def milliseconds(work: Callable[[], None]) -> float:
    """Of one pass."""
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def measure_pairs(slow: Callable[[], None], fast: Callable[[], None], num_rounds: int) -> list[tuple[float, float]]:
    """Milliseconds of both ways, round by round; the first pass of each is not counted."""
    milliseconds(slow), milliseconds(fast)
    return [(milliseconds(slow), milliseconds(fast)) for _ in range(num_rounds)]


def render_row(title: str, pairs_ms: Sequence[tuple[float, float]]) -> list[str]:
    """One row of the table."""
    ratios = sorted(before / after for before, after in pairs_ms)
    before, after = (statistics.median(side) for side in zip(*pairs_ms, strict=True))
    spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return [title, f"{before:,.1f}", f"{after:,.1f}", spread]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--precision", choices=list(PRECISIONS), default="float32")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--num-threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.num_threads)
    about, pairs_ms = describe_run(), {}
    for layer in LAYERS:
        channels, units, side, stride = layer
        title = f"{channels} to {units} channels on {side} x {side}, stride {stride}"
        slow, fast = (
            layer_pass(*layer, is_linear=is_linear, precision=options.precision) for is_linear in (False, True)
        )
        pairs_ms[title] = measure_pairs(slow, fast, options.rounds)
    for name in NETWORKS:
        slow, fast = (
            network_step(name, is_linear=is_linear, precision=options.precision) for is_linear in (False, True)
        )
        pairs_ms[f"`{name}`, a whole step"] = measure_pairs(slow, fast, options.rounds)
    table = render_table(
        ["", "convolution, ms", "linear, ms", "times as fast"], [render_row(*each) for each in pairs_ms.items()]
    )
    text = f"# Small maps, {options.precision}\n\n{render_run(about)}\n\nThreads: {options.num_threads}.\n\n{table}"
    print(text)
    plain = {"about": about, "precision": options.precision, "num_threads": options.num_threads, "pairs_ms": pairs_ms}
    write_results(results_path(options.out, f"small-maps-{options.precision}", about), plain, text)


if __name__ == "__main__":
    main()
