"""Which precision trains faster here: measured, never assumed.

bfloat16 halves the time where the processor multiplies it natively (AVX512-BF16, AMX, CUDA) and multiplies it by six
where it does not (AVX2 only). A probe of about half a second times a training step of this very network in both.
"""

import copy
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.evaluate import PRECISIONS, forward
from roadtest.machine import wait_for_device

PROBE_SECONDS = 0.5
"""After a step of each on a few images, which is not counted."""
MIN_ROUNDS = 2
"""Steps in each precision, however long they take."""
PROBE_BATCH_SIZE = 128
"""Images of 32 x 32, as in a batch of the protocols; half as many of larger ones, so that the probe stays short. On
fewer, what a step pays once, such as casting the weights, weighs more, and bfloat16 looks slower than it trains."""
NUM_TRIED = 4
"""Images of the first steps in each precision, which are not counted where both are in the race."""
HOPELESS = 3.0
"""Times as slow on those few images, and a precision is not tried on more: where nothing multiplies bfloat16, a step of
the probe takes VGG-16 half a minute. Six to seven were measured there (docs/log.md, 2026-11-26)."""
MIN_GAIN = 1.1
"""bfloat16 must be this much faster to be taken: with less, float32 is the simpler answer. Convention."""


def choose_precision(
    network: nn.Module, word: str, *, device: str, image_size: int, num_classes: int
) -> tuple[str, dict[str, float]]:
    """Return the precision and the probe's milliseconds per step; `auto` measures, other words are taken as said.

    A network that cannot run in bfloat16 is trained in float32, and has no milliseconds for bfloat16.
    """
    if word != "auto":
        return word, {}
    step_ms = _measure_steps_ms(network, device=device, image_size=image_size, num_classes=num_classes)
    is_faster = step_ms["float32"] > MIN_GAIN * step_ms.get("bfloat16", math.inf)
    return "bfloat16" if is_faster else "float32", step_ms


def _measure_steps_ms(network: nn.Module, *, device: str, image_size: int, num_classes: int) -> dict[str, float]:
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
        trial_ms: dict[str, float] = {}
        for precision in tuple(PRECISIONS) * MIN_ROUNDS:  # the very first step also waits for memory
            try:
                step_ms = _one_step_ms(probed, images_NCHW[:NUM_TRIED], labels_N[:NUM_TRIED], precision)
            except RuntimeError as error:  # an operation of the network, or of this device, has no bfloat16
                if precision == "float32":
                    raise
                print(f"{precision} is not used: {error}", file=sys.stderr)
                break
            trial_ms[precision] = min(step_ms, trial_ms.get(precision, math.inf))
        if trial_ms.get("bfloat16", 0.0) > max(HOPELESS * trial_ms["float32"], 1000 * PROBE_SECONDS):
            return {precision: round(step_ms, 3) for precision, step_ms in trial_ms.items()}
        samples_ms: dict[str, list[float]] = {precision: [] for precision in trial_ms}
        start, num_rounds = time.perf_counter(), 0
        while num_rounds < MIN_ROUNDS or time.perf_counter() - start < PROBE_SECONDS:
            for precision, samples in samples_ms.items():
                samples.append(_one_step_ms(probed, images_NCHW, labels_N, precision))
            num_rounds += 1
    return {precision: round(min(samples), 3) for precision, samples in samples_ms.items()}


def _one_step_ms(network: nn.Module, images_NCHW: Tensor, labels_N: Tensor, precision: str) -> float:
    start = time.perf_counter()
    F.cross_entropy(forward(network, images_NCHW, precision), labels_N).backward()  # type: ignore[no-untyped-call]
    network.zero_grad(set_to_none=True)
    wait_for_device(images_NCHW.device)
    return (time.perf_counter() - start) * 1000
