"""The training loop: one generator, its learning-rate curve, its honest clock and its saved state.

    for happening in train(training):      # a Tick about twice a second, an EpochMetrics per evaluation
        ...                                # save, show, stop: whatever stands here is off the clock

Everything random is keyed by (seed, epoch, image) or restored from the state, so a run that goes on from a saved
state ends with the same bits on the CPU. The clock counts batches, augmentation, forward, backward and optimiser
steps; it stands still for evaluation and for whoever consumes the generator. There are no callbacks and no hooks.
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
from roadtest.training.augment import Changes, draw_changes
from roadtest.training.predict import add_up, count_correct, eval_batch_size, predict_logits
from roadtest.training.schedule import (
    NUM_UNTIMED_STEPS,
    TIMED_STRETCH_SECONDS,
    begin,
    consider_patience,
    is_evaluation,
    is_pause,
    is_timed,
    plan,
    rate_factor,
    warmup_within,
)
from roadtest.training.state import Training
from roadtest.training.step import RecordedSteps, can_record, learn, read_batch

TICK_SECONDS = 0.5
"""How often the loop shows itself between evaluations."""
CHUNK_SIZE = 8192
"""Images whose logits are held at a time where only counts are wanted: a thousand classes of a million are 4 GB."""


class DivergedError(RuntimeError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Tick:
    """The loop between two evaluations: for a display, and a place to save or to stop."""

    epoch: float
    images_per_second: float
    train_seconds: float
    seconds_left: float | None
    """Training seconds to the planned end; None while the plan is being timed."""


class _Order(NamedTuple):
    """What an epoch's batches are cut from, one after the other; the ids lie on the CPU."""

    epoch: int
    ids_N: Tensor
    changes: Changes


def train(training: Training) -> Iterator[Tick | EpochMetrics]:
    """Train to the end, yielding an EpochMetrics per evaluation and a Tick about twice a second in between."""
    progress = training.progress
    if progress.step == 0:
        torch.manual_seed(training.seed)  # dropout is all that draws from the global generator
    begin(progress, training.protocol, **training.limits)
    timed_step, timed_seconds = 0, 0.0
    order: _Order | None = None
    steps: RecordedSteps | None = None
    is_queued = training.device != "cpu"  # Python runs ahead of the device, which the last stretch's speed foretells
    step_seconds = 0.0

    while True:
        if is_evaluation(progress) and progress.last_eval_step < progress.step:
            yield _evaluate_row(training)
        if progress.num_steps is not None and progress.step >= progress.num_steps:
            return

        epoch = progress.step // training.steps_per_epoch
        first_step, start = progress.step, _now(training.device)
        if order is None or epoch != order.epoch:
            order = _order_of(training, epoch)
            progress.data_seconds += time.perf_counter() - start
        if can_record(training) and (steps is None or not steps.is_valid):
            steps = RecordedSteps(training)
        is_over = False
        while not is_over:
            loss = _take_step(training, order, steps)
            seconds = max(time.perf_counter() - start, (progress.step - first_step) * step_seconds)
            is_over = seconds >= TICK_SECONDS or is_pause(
                progress,
                training.protocol,
                steps_per_epoch=training.steps_per_epoch,
                times_together=is_queued and seconds < TIMED_STRETCH_SECONDS,
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
            if is_timed(progress, training.protocol, steps_per_epoch=training.steps_per_epoch, timed_seconds=seconds):
                # Where there are no more than the untimed steps, they are all that is known.
                mean = seconds / num_timed if num_timed else progress.train_seconds / progress.step
                plan(progress, training.protocol, **training.limits, step_seconds=mean)
        yield _tick(training, (progress.step - first_step) * training.batch_size / elapsed)


def _take_step(training: Training, order: _Order, steps: RecordedSteps | None) -> Tensor:
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
    if steps is not None:
        loss = steps.take(order.changes, places)
    else:
        start = time.perf_counter()
        images_NCHW, labels_N = read_batch(training, order.ids_N[places], order.changes.of(places))
        progress.data_seconds += time.perf_counter() - start
        loss = learn(training, images_NCHW, labels_N)
    progress.step += 1
    return loss


def _evaluate_row(training: Training) -> EpochMetrics:
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
        train_num_seen=train.num_seen,
        train_num_correct=train.num_correct,
        train_loss_sum=train.loss_sum,
        val_num_seen=val.num_seen,
        val_num_correct=val.num_correct,
        val_loss_sum=val.loss_sum,
    )


def evaluate_ids(training: Training, ids_N: npt.NDArray[np.int64]) -> SetResult:
    """The network's counts on some images as it stands now, without augmentation; memory does not grow with them."""
    chunks = np.split(ids_N, range(CHUNK_SIZE, len(ids_N), CHUNK_SIZE))
    labels_N = training.labels_N
    return add_up(count_correct(predict_ids(training, some), labels_N[torch.from_numpy(some)]) for some in chunks)


def predict_ids(training: Training, ids_N: npt.NDArray[np.int64]) -> Tensor:
    """The network's logits_NK for some images as it stands now, without augmentation."""
    return predict_logits(
        training.network,
        training.read_pixels,
        ids_N,
        normalisation=training.protocol.normalisation,
        precision=training.precision,
        batch_size=eval_batch_size(training.protocol.image_size),
        should_stop=training.should_stop,
    )


def _tick(training: Training, images_per_second: float) -> Tick:
    progress = training.progress
    num_left = ((progress.num_steps or 0) - progress.step) * training.batch_size
    seconds_left = None if progress.num_steps is None else num_left / max(images_per_second, 1e-9)
    return Tick(training.epoch, images_per_second, progress.train_seconds, seconds_left)


def _order_of(training: Training, epoch: int) -> _Order:
    """The images of one epoch in order, and how they are varied: both depend on seed and epoch alone."""
    order_N = np.random.default_rng([training.seed, epoch]).permutation(training.train_ids_N)
    ids_N, augmentation = torch.from_numpy(order_N), training.protocol.augmentation
    changes = draw_changes(ids_N.to(training.device), augmentation=augmentation, seed=training.seed, epoch=epoch)
    return _Order(epoch, ids_N, changes)


def _now(device: str) -> float:
    """The clock, once the device has finished what it was given."""
    wait_for_device(device)
    return time.perf_counter()
