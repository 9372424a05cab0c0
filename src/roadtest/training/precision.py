"""Which precision trains faster here: measured, never assumed, and one for all seeds of a network.

bfloat16 halves the time where the processor multiplies it natively (AVX512-BF16, AMX, CUDA) and multiplies it by six
where it does not (AVX2 only). A probe of about half a second times a training step of this very network in both.
Seeds in two precisions would not be comparable: the run that begins first probes, the others wait for its result in
the network's folder.
"""

import copy
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.machine import wait_for_device
from roadtest.records import Machine, read_record, write_atomically
from roadtest.records.disk import folder_lock
from roadtest.records.events import RunSpec
from roadtest.training.predict import PRECISIONS, forward
from roadtest.training.state import TrainState
from roadtest.training.step import NUM_PLAIN_STEPS, Step, capture_graph, run_without_waiting

PROBE_SECONDS = 0.5
"""After a step of each on a few images, which is not counted."""
MIN_ROUNDS = 2
"""Steps in each precision, however long they take."""
PROBE_BATCH_SIZE = 128
"""Images of 32 x 32, as in a batch of the protocols; half as many of larger ones, so that the probe stays short. On
fewer, what a step pays once, such as casting the weights, weighs more, and bfloat16 looks slower than it trains."""
NUM_TRIED = 4
"""Images of the first steps in each precision, which are not counted where both precisions are timed."""
MAX_SLOWDOWN = 3.0
"""Times as slow on those few images, and a precision is not tried on more: where nothing multiplies bfloat16, a step of
the probe takes VGG-16 half a minute. Six to seven were measured there (docs/log.md, 2026-11-26)."""
MIN_GAIN = 1.1
"""bfloat16 must be this much faster to be taken: with less, float32 is the simpler choice. Convention."""
FILE_NAME = ".precision.json"
"""In the network's folder: the precision that its first run chose, and on what machine."""
WAIT_SECONDS = 600.0
MAX_BYTES = 10_000


def probe_precision(
    network: nn.Module, word: str, *, device: str, image_size: int, num_classes: int, is_capturable: bool = True
) -> tuple[str, dict[str, float]]:
    """Return the precision and the probe's milliseconds per step; `auto` measures, other words are taken as given.

    Steps are timed as training takes them, on CUDA captured where that may be. A network that cannot run in bfloat16
    is trained in float32, and has no milliseconds for bfloat16.
    """
    if word != "auto":
        return word, {}
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(0)
        step_ms = _measure_steps_ms(network, device, image_size, num_classes, is_capturable)
    is_faster = step_ms["float32"] > MIN_GAIN * step_ms.get("bfloat16", math.inf)
    return "bfloat16" if is_faster else "float32", step_ms


def probe_training(training: TrainState, word: str, num_classes: int) -> tuple[str, dict[str, float]]:
    """`probe_precision` of a training's network, device and image size."""
    return probe_precision(
        training.network,
        word,
        device=training.device,
        image_size=training.protocol.image_size,
        num_classes=num_classes,
        is_capturable=training.is_capturable,
    )


def _measure_steps_ms(
    network: nn.Module, device: str, image_size: int, num_classes: int, is_capturable: bool
) -> dict[str, float]:
    """Time forward and backward of a copy of the network on noise, in turns.

    The fastest step of each counts: whatever else the machine does can only make a step slower.
    """
    probed = copy.deepcopy(network).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    batch_size = PROBE_BATCH_SIZE if image_size <= 32 else PROBE_BATCH_SIZE // 2
    images_NCHW = torch.randn(batch_size, 3, image_size, image_size, device=device)
    images_NCHW = images_NCHW.to(memory_format=torch.channels_last)
    labels_N = torch.arange(batch_size, device=device) % num_classes

    num_tried = batch_size if device.startswith("cuda") else NUM_TRIED  # there cuDNN tries kernels for each size
    tried_ms: dict[str, float] = {}
    for precision in tuple(PRECISIONS) * MIN_ROUNDS:  # the very first step also waits for memory
        try:
            step_ms = _time_ms(_step(probed, images_NCHW[:num_tried], labels_N[:num_tried], precision), device)
        except RuntimeError as error:  # an operation of the network, or of this device, has no bfloat16
            if precision == "float32":
                raise
            print(f"{precision} is not used: {error}", file=sys.stderr)
            break
        tried_ms[precision] = min(step_ms, tried_ms.get(precision, math.inf))
    if tried_ms.get("bfloat16", 0.0) > max(MAX_SLOWDOWN * tried_ms["float32"], 1000 * PROBE_SECONDS):
        return {precision: round(step_ms, 3) for precision, step_ms in tried_ms.items()}
    steps: Mapping[str, Callable[[], object]]
    steps = plain = {precision: _step(probed, images_NCHW, labels_N, precision) for precision in tried_ms}
    if is_capturable and device.startswith("cuda"):
        steps = _captured(plain, device)
    best_ms = dict.fromkeys(steps, math.inf)
    start, num_rounds = time.perf_counter(), 0
    while num_rounds < MIN_ROUNDS or time.perf_counter() - start < PROBE_SECONDS:
        for precision, step in steps.items():
            best_ms[precision] = min(best_ms[precision], _time_ms(step, device))
        num_rounds += 1
    return {precision: round(step_ms, 3) for precision, step_ms in best_ms.items()}


def _step(network: nn.Module, images_NCHW: Tensor, labels_N: Tensor, precision: str) -> Step:
    """Forward and backward; the loss."""

    def step() -> Tensor:
        loss = F.cross_entropy(forward(network, images_NCHW, precision), labels_N)
        loss.backward()  # type: ignore[no-untyped-call]
        network.zero_grad(set_to_none=True)
        return loss.detach()

    return step


def _captured(steps: Mapping[str, Step], device: str) -> Mapping[str, Callable[[], object]]:
    """The steps captured; all as they are where one cannot be, which training reports itself."""
    replays: dict[str, Callable[[], object]] = {}
    try:
        for precision, step in steps.items():
            for _ in range(NUM_PLAIN_STEPS):
                run_without_waiting(step, device)
            _, replays[precision] = capture_graph(step, device)
    except RuntimeError:
        return steps
    return replays


def _time_ms(step: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    step()
    wait_for_device(device)
    return (time.perf_counter() - start) * 1000


def choose_precision(
    job: RunSpec, machine: Machine, probe: Callable[[str], tuple[str, dict[str, float]]]
) -> tuple[str, dict[str, float]]:
    """Return what `probe` makes of the job's word: the precision and the milliseconds; `auto` once per network."""
    if job.precision != "auto":
        return probe(job.precision)
    folder, place = job.run_dir.parent, [job.device, *machine.cpu_flags, machine.gpu_name]
    with folder_lock(folder, wait_seconds=WAIT_SECONDS):
        known = _known_precision(folder, place)
        precision, probe_ms = probe(known or "auto")
        if known is None:
            write_atomically(folder / FILE_NAME, json.dumps({"precision": precision, "place": place}).encode())
    return precision, probe_ms


def _known_precision(folder: Path, place: list[str | None]) -> str | None:
    """The precision that an earlier run of the network took on a machine like this, or None.

    The file may come from anybody: what is not a precision and this place is ignored.
    """
    try:
        with (folder / FILE_NAME).open("rb") as file:
            note = json.loads(file.read(MAX_BYTES))
        if note["place"] == place and note["precision"] in tuple(PRECISIONS):
            return str(note["precision"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    for path in sorted(folder.glob("seed-*/record.json")):
        record = read_record(path.parent)
        if [record.device, *record.machine.cpu_flags, record.machine.gpu_name] == place:
            return record.precision
    return None
