"""What a network costs: parameters, multiply-accumulates, latency samples, memory.

MACs are multiply-accumulates of one forward pass of one image, half of what `torch.utils.flop_counter` calls FLOPs:
convolutions, linear layers, matrix products, and four per channel and output pixel of bilinear sampling. Batch norm,
activations, pooling, biases and softmax count nothing. A network's definition counts, not how it is computed here:
VGG-16's folded layer counts all 25,088 x 4,096.

Latency is measured as in use, and leaves samples, never one number: evaluation mode, inference mode, channels-last, a
stated number of threads, warmed up, in rounds that visit every network in turn so that a disturbance hits all alike.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from roadtest.machine import count_usable_cores, others_cpu_seconds, wait_for_device
from roadtest.networks.shapes import evaluation_mode, run_on_meta, run_on_zeros

MACS_PER_SAMPLE = (4, 0, 16)
"""Multiply-accumulates per sampled value: bilinear, nearest, bicubic, in the order of grid_sampler's modes."""
MIN_SAMPLES, MAX_SAMPLES = 3, 50
"""Timed forward passes per visit."""


def count_parameters(network: nn.Module) -> int:
    """Trainable parameters, shared ones once."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def count_macs(network: nn.Module, image_size: int) -> int:
    """Multiply-accumulates (not FLOPs) of one forward pass of one square RGB image."""
    try:
        return _count_macs(lambda: run_on_meta(network, image_size))
    except Exception:  # it needs real values to decide what to do
        return _count_macs(lambda: run_on_zeros(network, image_size))


def _count_macs(run: Callable[[], object]) -> int:
    samplers = ("grid_sampler_2d", "_grid_sampler_2d_cpu_fallback", "cudnn_grid_sampler")
    sampling = {getattr(torch.ops.aten, name): _grid_sampler_flops for name in samplers}
    with FlopCounterMode(display=False, custom_mapping=sampling) as counter:
        run()
    return int(counter.get_total_flops()) // 2


def _grid_sampler_flops(
    images_shape: Sequence[int], grid_shape: Sequence[int], mode: int = 0, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    num_images, height, width, _two = grid_shape
    return 2 * MACS_PER_SAMPLE[mode] * num_images * height * width * images_shape[1]


@dataclass(frozen=True, kw_only=True)
class LatencySample:
    """One timed forward pass of a batch; a row of `latency.csv`."""

    network: str
    has_stn: bool
    runtime: str
    """`pytorch`, or another engine that ran the exported network."""
    device: str
    batch_size: int
    num_threads: int
    round: int
    """From 0; every round visits every network."""
    sample: int
    """From 0 within a round."""
    latency_ms: float
    """Of the whole batch."""
    is_busy: bool
    """Other processes used the processor meanwhile, the warm-up included: not to be trusted."""


def measure_latency(
    networks: Mapping[tuple[str, bool], nn.Module],
    *,
    image_size: int,
    batch_sizes: Sequence[int] = (1, 64),
    num_threads: int,
    num_rounds: int = 5,
    device: str = "cpu",
    seconds_per_visit: float = 0.25,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[LatencySample]:
    """Time forward passes of networks keyed by (network, has_stn), which are moved to the device.

    Each round visits every network with every batch size: a warm-up of `seconds_per_visit`, then samples for as long,
    at least 3 and at most 50. `on_progress(num_done, num_total)` counts visits.
    """
    images = {size: _random_images(size, image_size, device) for size in batch_sizes}
    visits = [(round_, key, size) for round_ in range(num_rounds) for key in networks for size in batch_sizes]
    samples: list[LatencySample] = []
    num_threads_before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        for network in networks.values():
            network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for num_done, (round_, (name, has_stn), batch_size) in enumerate(visits, start=1):
            timings_ms, is_busy = _visit(networks[name, has_stn], images[batch_size], num_threads, seconds_per_visit)
            samples += [
                LatencySample(
                    network=name,
                    has_stn=has_stn,
                    runtime="pytorch",
                    device=device,
                    batch_size=batch_size,
                    num_threads=num_threads,
                    round=round_,
                    sample=sample,
                    latency_ms=latency_ms,
                    is_busy=is_busy,
                )
                for sample, latency_ms in enumerate(timings_ms)
            ]
            if on_progress is not None:
                on_progress(num_done, len(visits))
    finally:
        torch.set_num_threads(num_threads_before)
    return samples


def _random_images(batch_size: int, image_size: int, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    images_NCHW = torch.randn(batch_size, 3, image_size, image_size, generator=generator)
    return images_NCHW.to(device=device, memory_format=torch.channels_last)


def _visit(network: nn.Module, images_NCHW: Tensor, num_threads: int, seconds: float) -> tuple[list[float], bool]:
    """Milliseconds of forward passes after a warm-up, and whether other processes disturbed them."""
    # Other processes are watched from the warm-up on: processor time comes in ticks of 10 ms, a sample may take 1 ms.
    others_before, start = others_cpu_seconds(), time.perf_counter()
    with evaluation_mode(network), torch.inference_mode():
        _forward_ms(network, images_NCHW)
        while time.perf_counter() - start < seconds:
            _forward_ms(network, images_NCHW)
        timings_ms: list[float] = []
        while len(timings_ms) < MIN_SAMPLES or (
            len(timings_ms) < MAX_SAMPLES and time.perf_counter() - start < 2 * seconds
        ):
            timings_ms.append(_forward_ms(network, images_NCHW))
    others_cores = (others_cpu_seconds() - others_before) / (time.perf_counter() - start)
    return timings_ms, is_disturbed(others_cores, num_threads=num_threads, num_cores=count_usable_cores())


def _forward_ms(network: nn.Module, images_NCHW: Tensor) -> float:
    wait_for_device(images_NCHW.device)
    start = time.perf_counter_ns()
    network(images_NCHW)
    wait_for_device(images_NCHW.device)
    return (time.perf_counter_ns() - start) / 1e6


def is_disturbed(others_cores: float, *, num_threads: int, num_cores: int) -> bool:
    """Whether other processes, busy on so many cores, slow down a measurement with that many threads.

    A quarter of a core is too much where every core is ours; of the cores we leave free half may be busy besides.
    """
    return others_cores > 0.25 + 0.5 * max(0, num_cores - num_threads)


def peak_memory_bytes(device: str = "cpu") -> int:
    """The largest resident memory of this process so far; on CUDA the largest allocation on the device."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    # Not ru_maxrss on Linux: a new process inherits its parent's peak there, measured as 600 MB instead of 9.
    status = Path("/proc/self/status")
    if status.exists():
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:")) * 1024
        )
    import resource  # not there on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
