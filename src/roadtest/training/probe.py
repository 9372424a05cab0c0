"""How fast one network trains and is evaluated on this machine, and one trial of the learning-rate sweep.

Speed is timed on a few real steps, as in a run: its own process, its precision, its batches, its augmentation, the
same loop. No weights are kept, no test image is read, and samples are returned, not a mean. A trial is a short
training of which only the validation figures are kept.
"""

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import psutil

from roadtest.machine import count_usable_cores, others_cpu_seconds
from roadtest.records import EpochMetrics, write_atomically
from roadtest.records.events import Event, RunSpec
from roadtest.training.checkpoint import count_weight_bytes
from roadtest.training.loop import DivergedError, ProgressUpdate, evaluate_ids, train
from roadtest.training.precision import probe_training
from roadtest.training.profile import count_parameters, is_disturbed, peak_memory_bytes
from roadtest.training.schedule import NUM_UNTIMED_STEPS
from roadtest.training.state import TrainState

MEASURE_SECONDS = 3.0
"""Of timed training steps; a slow network needs more for the fewest steps."""
MIN_TIMED_STEPS = 3
EVAL_SECONDS = 1.0
EVAL_BATCH_SIZE = 512
"""Images per look at the clock: a whole batch of an evaluation."""
FILE_NAME = "speed.json"


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What was measured of one network."""

    precision: str
    batch_size: int
    steps_per_epoch: int
    num_row_images: int
    """Images of every evaluation while training."""
    num_final_images: int
    """Training and validation images, those of the last evaluation."""
    step_seconds: tuple[float, ...]
    """The timed steps, on a GPU each the mean of several; those before are not counted."""
    eval_images_per_second: float
    start_seconds: float
    """From the start of the process to the first step: imports, building the network, the precision probe."""
    peak_memory_bytes: int
    weights_bytes: int
    state_bytes: int
    """Weights and momentum, as they are saved while a run works."""
    is_busy: bool
    """Other processes used the processor meanwhile: the times are too long."""


def unlimited(job: RunSpec) -> RunSpec:
    """The job without an end: the loop is left when enough was measured."""
    # A budget keeps the loop at one step a time, on a GPU at a few, until it has timed itself, which it has after half
    # a minute at most.
    return replace(job, protocol=replace(job.protocol, budget_seconds=3.0e7, max_epochs=1_000_000, patience=0))


def measure_speed(training: TrainState, job: RunSpec, num_classes: int) -> Speed:
    """Take real training steps until enough of them were timed, then evaluate some images; raise InterruptedError."""
    training.precision, _ = probe_training(training, job.precision, num_classes)
    start_seconds = time.time() - psutil.Process().create_time()
    others_before, start = others_cpu_seconds(), time.perf_counter()
    step_seconds = _time_steps(training)
    images_per_second = _time_evaluation(training)
    others_cores = (others_cpu_seconds() - others_before) / (time.perf_counter() - start)
    weights_bytes = count_weight_bytes(training.network)
    return Speed(
        precision=training.precision,
        batch_size=training.batch_size,
        steps_per_epoch=training.steps_per_epoch,
        num_row_images=len(training.train_eval_ids_N) + len(training.val_ids_N),
        num_final_images=len(training.train_ids_N) + len(training.val_ids_N),
        step_seconds=tuple(step_seconds),
        eval_images_per_second=images_per_second,
        start_seconds=start_seconds,
        peak_memory_bytes=peak_memory_bytes(job.device),
        weights_bytes=weights_bytes,
        state_bytes=weights_bytes + 4 * count_parameters(training.network),
        is_busy=is_disturbed(others_cores, num_threads=job.num_threads, num_cores=count_usable_cores()),
    )


def write_speed(folder: Path, speed: Speed) -> None:
    """Write what was measured for the process that asked."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE_NAME, json.dumps(asdict(speed)).encode())


def read_speed(folder: Path) -> Speed:
    """Read `write_speed` back."""
    plain = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    return Speed(**{**plain, "step_seconds": tuple(plain["step_seconds"])})


def _time_steps(training: TrainState) -> list[float]:
    progress, samples, timed_seconds = training.progress, list[float](), 0.0
    last_step, last_seconds = 0, 0.0
    for update in train(training):
        if training.should_stop():
            raise InterruptedError
        if isinstance(update, ProgressUpdate):
            num_steps, seconds = progress.step - last_step, progress.train_seconds - last_seconds
            last_step, last_seconds = progress.step, progress.train_seconds
            if progress.step > NUM_UNTIMED_STEPS:
                samples.append(seconds / num_steps)
                timed_seconds += seconds
        if len(samples) >= MIN_TIMED_STEPS and timed_seconds >= MEASURE_SECONDS:
            break
    return samples


def _time_evaluation(training: TrainState) -> float:
    """Images per second, after a batch that is not counted."""
    ids_N = np.concatenate([training.val_ids_N, training.train_eval_ids_N])
    batches = np.array_split(ids_N, range(EVAL_BATCH_SIZE, len(ids_N), EVAL_BATCH_SIZE))
    evaluate_ids(training, batches[0])
    num_images, start = 0, time.perf_counter()
    for batch_N in batches:
        evaluate_ids(training, batch_N)
        num_images += len(batch_N)
        if time.perf_counter() - start >= EVAL_SECONDS:
            break
    return num_images / (time.perf_counter() - start)


def try_rate(training: TrainState, job: RunSpec, num_classes: int) -> Event:
    """Train to the planned end and return a `trial` event; without figures where the loss became no number."""
    training.precision, _ = probe_training(training, job.precision, num_classes)
    training.train_eval_ids_N = training.val_ids_N[:1]  # a trial's training accuracy is not used
    progress, figures = training.progress, dict[str, float]()
    try:
        for update in train(training):
            if progress.num_steps is not None:
                progress.eval_interval = progress.num_steps  # one evaluation, at the end
            if isinstance(update, EpochMetrics):
                figures = {"val_loss": update.val.loss, "val_accuracy": update.val.accuracy}
            if training.should_stop():
                raise InterruptedError
    except DivergedError:
        figures = {}
    return job.event(
        "trial",
        learning_rate=training.learning_rate,
        epoch=training.epoch,
        train_seconds=progress.train_seconds,
        **figures,
    )
