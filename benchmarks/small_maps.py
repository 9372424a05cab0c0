"""What training 3 x 3 convolutions on maps of one or two pixels as linear layers gives, by layer and by network.

    python benchmarks/small_maps.py [--rounds 9] [--num-threads 2]

Forward and backward of a layer, and a whole step of a network (128 images in memory, no augmentation), in float32,
channels-last, both ways in turns; medians in milliseconds, and the ratio with its least and largest over the rounds.
Run it in the environment of roadtest's workers: GOMP_SPINCOUNT=10000. Three minutes on two cores.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.descent import build_optimizer
from roadtest.machine import describe_machine
from roadtest.networks.build import build_network
from roadtest.networks.small_maps import SmallMapConv2d, speed_up_small_maps
from roadtest.protocol import GTSRB_V1

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


def layer_pass(channels: int, units: int, side: int, stride: int, *, is_linear: bool) -> Callable[[], None]:
    """Forward and backward of one layer."""
    layers = nn.Sequential(nn.Conv2d(channels, units, 3, stride, 1, bias=False)).to(memory_format=torch.channels_last)
    if is_linear:
        speed_up_small_maps(layers)
    maps_NCHW = random_images(channels, side).requires_grad_()

    def work() -> None:
        result = layers(maps_NCHW)
        result.backward(torch.ones_like(result))

    return work


def network_step(name: str, *, is_linear: bool) -> Callable[[], None]:
    """One training step of a network on images in memory."""
    network = build_network(name, num_classes=NUM_CLASSES, image_size=IMAGE_SIZE, has_stn=False, seed=0)
    if not is_linear:
        as_convolutions(network)
    optimizer = build_optimizer(network, GTSRB_V1)
    images_NCHW, labels_N = random_images(3, IMAGE_SIZE), torch.arange(BATCH_SIZE) % NUM_CLASSES

    def work() -> None:
        loss = F.cross_entropy(network(images_NCHW), labels_N)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return work


def milliseconds(work: Callable[[], None]) -> float:
    """Of one pass."""
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def compare(title: str, slow: Callable[[], None], fast: Callable[[], None], num_rounds: int) -> str:
    """One row of the table; the first pass of each is not counted."""
    milliseconds(slow), milliseconds(fast)
    pairs = [(milliseconds(slow), milliseconds(fast)) for _ in range(num_rounds)]
    ratios = sorted(before / after for before, after in pairs)
    medians = [statistics.median(side) for side in zip(*pairs, strict=True)]
    spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return f"| {title} | {medians[0]:,.1f} | {medians[1]:,.1f} | {spread} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--num-threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.num_threads)
    machine = describe_machine()
    print(
        f"{machine.cpu_name}, {' '.join(machine.cpu_flags)}, {options.num_threads} threads, torch {torch.__version__}"
    )
    print("\n| | convolution, ms | linear, ms | times as fast |\n|---|---:|---:|---:|")
    for layer in LAYERS:
        channels, units, side, stride = layer
        title = f"{channels} to {units} channels on {side} x {side}, stride {stride}"
        slow, fast = (layer_pass(*layer, is_linear=is_linear) for is_linear in (False, True))
        print(compare(title, slow, fast, options.rounds), flush=True)
    for name in NETWORKS:
        slow, fast = (network_step(name, is_linear=is_linear) for is_linear in (False, True))
        print(compare(f"`{name}`, a whole step", slow, fast, options.rounds), flush=True)


if __name__ == "__main__":
    main()
