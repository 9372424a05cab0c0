"""Which precision trains faster here: measured, never assumed.

bfloat16 halves the time where the processor multiplies it natively (AVX512-BF16, AMX, CUDA) and multiplies it by six
where it does not (AVX2 only). A probe of about half a second times a training step of this very network in both.

One precision for all seeds of a network: in two they would not be alike. Whichever run begins first probes.

Runs that begin side by side wait for the one that probes; what it found stands in the network's folder, so that the
others know it before a record does.
"""

import copy
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.machine import wait_for_device
from roadtest.records import Machine, read_record, write_atomically
from roadtest.records.events import RunSpec
from roadtest.records.lock import folder_lock
from roadtest.training.predict import PRECISIONS, forward
from roadtest.training.step import record_graph, take_without_waiting

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


NAME = ".precision.json"
WORDS = ("float32", "bfloat16")
WAIT_SECONDS = 600.0
MAX_BYTES = 10_000


@dataclass(frozen=True, kw_only=True)
class _Settled:
    """What the first run took, and on what."""

    precision: str
    place: list[str | None]


def settle_precision(
    job: RunSpec, machine: Machine, choose: Callable[[str], tuple[str, dict[str, float]]]
) -> tuple[str, dict[str, float]]:
    """What `choose` makes of the job's word: the precision and the probe's milliseconds; `auto` once a network."""
    if job.precision != "auto":
        return choose(job.precision)
    folder, place = job.run_dir.parent, [job.device, *machine.cpu_flags, machine.gpu_name]
    with folder_lock(folder, wait_seconds=WAIT_SECONDS):
        known = _known(job, place)
        precision, probe_ms = choose(known or "auto")
        if known is None:
            write_atomically(folder / NAME, json.dumps({"precision": precision, "place": place}).encode())
    return precision, probe_ms


def _known(job: RunSpec, place: list[str | None]) -> str | None:
    """The precision that an earlier run of the network took on a machine like this; None where none did."""
    settled = _read(job)
    if settled is not None and settled.place == place:
        return settled.precision
    for path in sorted(job.run_dir.parent.glob("seed-*/record.json")):
        record = read_record(path.parent)
        if [record.device, *record.machine.cpu_flags, record.machine.gpu_name] == place:
            return record.precision
    return None


def _read(job: RunSpec) -> _Settled | None:
    """What stands in the folder; a file that says something else, which anybody may have written, says nothing."""
    try:
        with (job.run_dir.parent / NAME).open("rb") as file:
            plain = json.loads(file.read(MAX_BYTES))
        found = _Settled(precision=plain["precision"], place=plain["place"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if found.precision in WORDS and isinstance(found.place, list) else None
