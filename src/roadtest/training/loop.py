"""The training loop: one generator, its learning-rate curve, its honest clock and its saved state.

    for update in train(training):      # a ProgressUpdate about twice a second, an EpochMetrics per evaluation
        ...                             # save, show, stop: whatever is done here is off the clock

Everything random is keyed by (seed, epoch, image) or restored from the state, so a run that continues from a saved
state ends with the same bits on the CPU. The clock counts batches, augmentation, forward, backward and optimizer
steps; it stops for evaluation and for whoever consumes the generator. There are no callbacks and no hooks.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from roadtest.machine import wait_for_device
from roadtest.records import EpochMetrics, SetResult
from roadtest.training.augment import AugmentationParameters, sample_parameters
from roadtest.training.predict import add_up, count_correct, eval_batch_size, predict_logits
from roadtest.training.schedule import (
    NUM_UNTIMED_STEPS,
    TIMED_STRETCH_SECONDS,
    consider_patience,
    is_evaluation,
    is_pause,
    is_timed,
    plan,
    rate_factor,
    warmup_within,
)
from roadtest.training.state import TrainState
from roadtest.training.step import CapturedSteps, can_capture, learn, read_batch

UPDATE_SECONDS = 0.5
"""Between two progress updates."""
CHUNK_SIZE = 8192
"""Images whose logits are held at a time where only counts are wanted: a thousand classes of a million are 4 GB."""


class DivergedError(RuntimeError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class ProgressUpdate:
    """The loop between two evaluations: for a display, and a place to save or to stop."""

    epoch: float
    images_per_second: float
    train_seconds: float
    seconds_left: float | None
    """Training seconds to the planned end; None while the plan is being timed."""


class _Epoch(NamedTuple):
    """The shuffled images of one epoch and how they are varied; the ids lie on the CPU."""

    number: int
    ids_N: Tensor
    parameters: AugmentationParameters


def train(training: TrainState) -> Iterator[ProgressUpdate | EpochMetrics]:
    """Train to the end, yielding an EpochMetrics per evaluation and about twice a second a ProgressUpdate."""
    progress, protocol, steps_per_epoch = training.progress, training.protocol, training.steps_per_epoch
    if progress.step == 0:
        torch.manual_seed(training.seed)  # only dropout draws from the global generator
    if progress.num_steps is None:
        plan(progress, protocol, steps_per_epoch=steps_per_epoch, max_steps=training.max_steps)
    timed_step, timed_seconds = 0, 0.0
    epoch: _Epoch | None = None
    captured: CapturedSteps | None = None
    is_queued = training.device != "cpu"  # Python runs ahead of the device; the last stretch predicts its speed
    step_seconds = 0.0

    while True:
        if is_evaluation(progress) and progress.last_eval_step < progress.step:
            yield _evaluate(training)
        if progress.num_steps is not None and progress.step >= progress.num_steps:
            return

        first_step, start = progress.step, _now(training.device)
        if epoch is None or epoch.number != progress.step // steps_per_epoch:
            epoch = _begin_epoch(training, progress.step // steps_per_epoch)
            progress.data_seconds += time.perf_counter() - start
        if can_capture(training) and (captured is None or not captured.is_valid):
            captured = CapturedSteps(training)
        is_over = False
        while not is_over:
            loss = _take_step(training, epoch, captured)
            seconds = max(time.perf_counter() - start, (progress.step - first_step) * step_seconds)
            times_together = is_queued and seconds < TIMED_STRETCH_SECONDS
            is_over = seconds >= UPDATE_SECONDS or is_pause(
                progress, protocol, steps_per_epoch=steps_per_epoch, times_together=times_together
            )
        elapsed = _now(training.device) - start
        step_seconds = elapsed / (progress.step - first_step) if is_queued else 0.0
        progress.train_seconds += elapsed
        if not math.isfinite(loss.item()):
            raise DivergedError(f"the loss is {loss.item()} at step {progress.step}: try a lower --lr")

        if progress.step == NUM_UNTIMED_STEPS:
            timed_step, timed_seconds = progress.step, progress.train_seconds
        if progress.num_steps is None:
            seconds, num_timed = progress.train_seconds - timed_seconds, progress.step - timed_step
            if is_timed(progress, protocol, steps_per_epoch=steps_per_epoch, timed_seconds=seconds):
                # Where there are no more than the untimed steps, only they can be timed.
                mean = seconds / num_timed if num_timed else progress.train_seconds / progress.step
                plan(progress, protocol, steps_per_epoch=steps_per_epoch, step_seconds=mean)
        images_per_second = (progress.step - first_step) * training.batch_size / elapsed
        yield ProgressUpdate(
            training.epoch, images_per_second, progress.train_seconds, _seconds_left(training, images_per_second)
        )


def _begin_epoch(training: TrainState, number: int) -> _Epoch:
    """Shuffle the images and sample their augmentation: both depend on seed and epoch alone."""
    ids_N = torch.from_numpy(np.random.default_rng([training.seed, number]).permutation(training.train_ids_N))
    augmentation = training.protocol.augmentation
    sampled = sample_parameters(ids_N.to(training.device), augmentation=augmentation, seed=training.seed, epoch=number)
    return _Epoch(number, ids_N, sampled)


def _take_step(training: TrainState, epoch: _Epoch, captured: CapturedSteps | None) -> Tensor:
    """Take the next step at its learning rate; its loss, on the device."""
    progress, protocol = training.progress, training.protocol
    factor = rate_factor(
        progress.step,
        warmup_steps=progress.warmup_steps or warmup_within(protocol.max_epochs * training.steps_per_epoch, protocol),
        decay_start=progress.decay_start,
        num_steps=progress.num_steps,
    )
    for group in training.optimizer.param_groups:
        group["lr"] = training.learning_rate * group["factor"] * factor
    first = progress.step % training.steps_per_epoch * training.batch_size
    places = slice(first, first + training.batch_size)
    if captured is not None:
        loss = captured.take(epoch.parameters, places)
    else:
        start = time.perf_counter()
        images_NCHW, labels_N = read_batch(training, epoch.ids_N[places], epoch.parameters.of(places))
        progress.data_seconds += time.perf_counter() - start
        loss = learn(training, images_NCHW, labels_N)
    progress.step += 1
    return loss


def _evaluate(training: TrainState) -> EpochMetrics:
    progress = training.progress
    num_images = (progress.step - progress.last_eval_step) * training.batch_size
    images_per_second = num_images / max(progress.train_seconds - progress.last_eval_train_seconds, 1e-9)
    start = time.perf_counter()
    train = evaluate_ids(training, training.train_eval_ids_N)
    if progress.step == progress.num_steps:
        training.final_val_logits_NK = predict_ids(training, training.val_ids_N)
        val = count_correct(training.final_val_logits_NK, training.labels_N[torch.from_numpy(training.val_ids_N)])
    else:
        val = evaluate_ids(training, training.val_ids_N)
    progress.eval_seconds += time.perf_counter() - start
    progress.last_eval_step, progress.last_eval_train_seconds = progress.step, progress.train_seconds
    if not math.isfinite(val.loss):
        raise DivergedError(f"the validation loss is {val.loss} at step {progress.step}: try a lower --lr")
    consider_patience(progress, training.protocol, val.loss)
    return EpochMetrics(
        epoch=round(training.epoch, 4),
        step=progress.step,
        learning_rate=training.optimizer.param_groups[0]["lr"],
        train_seconds=round(progress.train_seconds, 3),
        data_seconds=round(progress.data_seconds, 3),
        eval_seconds=round(progress.eval_seconds, 3),
        images_per_second=round(images_per_second, 1),
        **{f"train_{name}": value for name, value in vars(train).items()},
        **{f"val_{name}": value for name, value in vars(val).items()},
    )


def evaluate_ids(training: TrainState, ids_N: npt.NDArray[np.int64]) -> SetResult:
    """Count over some images with the present weights, without augmentation; memory does not grow with the images."""
    chunks = np.split(ids_N, range(CHUNK_SIZE, len(ids_N), CHUNK_SIZE))
    labels_N = training.labels_N
    return add_up(count_correct(predict_ids(training, some), labels_N[torch.from_numpy(some)]) for some in chunks)


def predict_ids(training: TrainState, ids_N: npt.NDArray[np.int64]) -> Tensor:
    """The logits_NK of some images with the present weights, without augmentation."""
    return predict_logits(
        training.network,
        training.read_pixels,
        ids_N,
        normalisation=training.protocol.normalisation,
        precision=training.precision,
        batch_size=eval_batch_size(training.protocol.image_size),
        should_stop=training.should_stop,
    )


def _seconds_left(training: TrainState, images_per_second: float) -> float | None:
    progress = training.progress
    if progress.num_steps is None:
        return None
    return (progress.num_steps - progress.step) * training.batch_size / max(images_per_second, 1e-9)


def _now(device: str) -> float:
    """The clock, once the device has finished its queue."""
    wait_for_device(device)
    return time.perf_counter()
