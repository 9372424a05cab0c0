"""Which precision trains faster here: measured, never assumed.

bfloat16 halves the time where the processor multiplies it natively (AVX512-BF16, AMX, CUDA) and multiplies it by six
where it does not (AVX2 only). A probe of about half a second times a training step of this very network in both.
"""

import copy
import math
import sys
import time
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.evaluate import PRECISIONS, forward
from roadtest.graphs import record_graph, take_without_waiting
from roadtest.machine import wait_for_device

PROBE_SECONDS = 0.5
"""After a step of each on a few images, which is not counted."""
MIN_ROUNDS = 2
"""Steps in each precision, however long they take."""
PROBE_BATCH_SIZE = 128
"""Images of 32 x 32, as in a batch of the protocols; half as many of larger ones, so that the probe stays short. On
fewer, what a step pays once, such as casting the weights, weighs more, and bfloat16 looks slower than it trains."""
NUM_BEFORE_RECORDED = 2
"""Steps on CUDA before one is recorded, as in training."""
NUM_TRIED = 4
"""Images of the first steps in each precision, which are not counted where both are in the race."""
HOPELESS = 3.0
"""Times as slow on those few images, and a precision is not tried on more: where nothing multiplies bfloat16, a step of
the probe takes VGG-16 half a minute. Six to seven were measured there (docs/log.md, 2026-11-26)."""
MIN_GAIN = 1.1
"""bfloat16 must be this much faster to be taken: with less, float32 is the simpler answer. Convention."""


def choose_precision(
    network: nn.Module, word: str, *, device: str, image_size: int, num_classes: int, is_recordable: bool = True
) -> tuple[str, dict[str, float]]:
    """Return the precision and the probe's milliseconds per step; `auto` measures, other words are taken as said.

    Steps are timed as they are taken in training, on CUDA recorded where that may be. A network that cannot run in
    bfloat16 is trained in float32, and has no milliseconds for bfloat16.
    """
    if word != "auto":
        return word, {}
    step_ms = _measure_steps_ms(
        network, device=device, image_size=image_size, num_classes=num_classes, is_recordable=is_recordable
    )
    is_faster = step_ms["float32"] > MIN_GAIN * step_ms.get("bfloat16", math.inf)
    return "bfloat16" if is_faster else "float32", step_ms


def _measure_steps_ms(
    network: nn.Module, *, device: str, image_size: int, num_classes: int, is_recordable: bool
) -> dict[str, float]:
    """Time forward and backward of a copy of the network on noise, in turns; the global generator is left alone.

    The fastest step of each counts: whatever else the machine does can only make a step slower.
    """
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(0)
        probed = copy.deepcopy(network).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        batch_size = PROBE_BATCH_SIZE if image_size <= 32 else PROBE_BATCH_SIZE // 2
        images_NCHW = torch.randn(batch_size, 3, image_size, image_size, device=device)
        images_NCHW = images_NCHW.to(memory_format=torch.channels_last)
        labels_N = torch.arange(batch_size, device=device) % num_classes
        num_tried = batch_size if device.startswith("cuda") else NUM_TRIED  # there cuDNN tries kernels for each size
        trial_ms: dict[str, float] = {}
        for precision in tuple(PRECISIONS) * MIN_ROUNDS:  # the very first step also waits for memory
            try:
                step_ms = _time_ms(_step(probed, images_NCHW[:num_tried], labels_N[:num_tried], precision), device)
            except RuntimeError as error:  # an operation of the network, or of this device, has no bfloat16
                if precision == "float32":
                    raise
                print(f"{precision} is not used: {error}", file=sys.stderr)
                break
            trial_ms[precision] = min(step_ms, trial_ms.get(precision, math.inf))
        if trial_ms.get("bfloat16", 0.0) > max(HOPELESS * trial_ms["float32"], 1000 * PROBE_SECONDS):
            return {precision: round(step_ms, 3) for precision, step_ms in trial_ms.items()}
        samples_ms: dict[str, list[float]] = {precision: [] for precision in trial_ms}
        plain = {precision: _step(probed, images_NCHW, labels_N, precision) for precision in trial_ms}
        steps = _recorded(plain, device) if is_recordable and device.startswith("cuda") else plain
        start, num_rounds = time.perf_counter(), 0
        while num_rounds < MIN_ROUNDS or time.perf_counter() - start < PROBE_SECONDS:
            for precision, samples in samples_ms.items():
                samples.append(_time_ms(steps[precision], device))
            num_rounds += 1
    return {precision: round(min(samples), 3) for precision, samples in samples_ms.items()}


def _step(network: nn.Module, images_NCHW: Tensor, labels_N: Tensor, precision: str) -> Callable[[], Tensor]:
    """Forward and backward; the loss."""

    def step() -> Tensor:
        loss = F.cross_entropy(forward(network, images_NCHW, precision), labels_N)
        loss.backward()  # type: ignore[no-untyped-call]
        network.zero_grad(set_to_none=True)
        return loss.detach()

    return step


def _recorded(steps: Mapping[str, Callable[[], Tensor]], device: str) -> Mapping[str, Callable[[], object]]:
    """The steps recorded; all as they are where one cannot be, which training will say when it comes to it."""
    replays: dict[str, Callable[[], object]] = {}
    try:
        for precision, step in steps.items():
            for _ in range(NUM_BEFORE_RECORDED):
                take_without_waiting(step, device)
            _, replays[precision] = record_graph(step, device)
    except RuntimeError:
        return steps
    return replays


def _time_ms(step: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    step()
    wait_for_device(device)
    return (time.perf_counter() - start) * 1000
