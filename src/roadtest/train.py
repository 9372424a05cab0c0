"""The training loop: one generator, its learning-rate curve, its honest clock and its saved state.

    for happening in train(training):      # a Tick about twice a second, an EpochRow per evaluation
        ...                                # save, show, stop: whatever stands here is off the clock

Everything random is keyed by (seed, epoch, image) or restored from the state, so a run that goes on from a saved
state ends with the same bits on the CPU. The clock counts batches, augmentation, forward, backward and optimiser
steps; it stands still for evaluation and for whoever consumes the generator. There are no callbacks and no hooks.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from roadtest.augment import Changes, augment_batch, draw_changes
from roadtest.data.batches import count_drawn, mix_in
from roadtest.descent import build_loss, build_optimizer
from roadtest.evaluate import add_up, count_correct, eval_batch_size, forward, predict_logits
from roadtest.machine import wait_for_device
from roadtest.protocol import Protocol
from roadtest.record import EpochRow, SetResult
from roadtest.schedule import (
    NUM_UNTIMED_STEPS,
    Limits,
    Progress,
    begin,
    consider_patience,
    is_evaluation,
    is_pause,
    is_timed,
    plan,
    rate_factor,
)

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


@dataclass(kw_only=True)
class Training:
    """One network on its way: what it learns from, and how far it is."""

    network: nn.Module
    protocol: Protocol
    seed: int
    learning_rate: float
    precision: str
    device: str
    read_pixels: Callable[[Tensor], Tensor]
    """From row numbers to uint8 images_NHWC on the device."""
    labels_N: Tensor
    """Of the whole image set, on the CPU."""
    train_ids_N: npt.NDArray[np.int64]
    train_eval_ids_N: npt.NDArray[np.int64]
    """The training images that are evaluated at every row: every tenth frame of every track."""
    val_ids_N: npt.NDArray[np.int64]
    drawn_ids_N: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Drawn images for the protocol's share of every batch."""
    max_steps: int | None = None
    """An end that overrides epochs and budget; the sweep uses it."""
    should_stop: Callable[[], bool] = lambda: False
    progress: Progress = field(default_factory=Progress)
    optimizer: torch.optim.Optimizer = field(init=False)
    loss: Callable[[Tensor, Tensor], Tensor] = field(init=False)
    """Of logits_NK and labels_N."""
    final_val_logits_NK: Tensor | None = field(init=False, default=None)
    """From the evaluation at the last step; None where that was an earlier process's."""

    def __post_init__(self) -> None:
        assert len(self.train_ids_N) >= 2, "batch norm needs two images"
        assert len(self.drawn_ids_N) or not self.num_drawn, "the protocol mixes drawn images, and there are none"
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = build_optimizer(self.network, self.protocol)
        self.loss = build_loss(self.protocol, self.labels_N[torch.from_numpy(self.train_ids_N)])

    @property
    def batch_size(self) -> int:
        """Images per step; the protocol's, or all there are."""
        return min(self.protocol.batch_size, len(self.train_ids_N))

    @property
    def num_drawn(self) -> int:
        """Images of a batch that are drawn."""
        return count_drawn(self.batch_size, self.protocol.drawn_fraction)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one shuffle; the incomplete last one is left out."""
        return len(self.train_ids_N) // self.batch_size

    @property
    def epoch(self) -> float:
        """Passes over the training images so far."""
        return self.progress.step / self.steps_per_epoch

    @property
    def limits(self) -> Limits:
        """What bounds the number of steps besides the protocol."""
        return {"steps_per_epoch": self.steps_per_epoch, "max_steps": self.max_steps}

    def to_state(self) -> dict[str, Any]:
        """Everything needed to go on with the same bits, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "generator": torch.get_rng_state(),
            "cuda_generator": torch.cuda.get_rng_state(self.device) if self.device.startswith("cuda") else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `to_state`, also in the midst of a loop: whoever drives it sees the training at that state."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.final_val_logits_NK = None
        vars(self.progress).update(vars(Progress(**state["progress"])))  # in place: a loop holds on to it
        torch.set_rng_state(state["generator"])
        if state["cuda_generator"] is not None and self.device.startswith("cuda"):
            torch.cuda.set_rng_state(state["cuda_generator"], self.device)


class _Order(NamedTuple):
    """What an epoch's batches are cut from, one after the other; the ids lie on the CPU."""

    epoch: int
    ids_N: Tensor
    changes: Changes


def train(training: Training) -> Iterator[Tick | EpochRow]:
    """Train to the end, yielding an EpochRow per evaluation and a Tick about twice a second in between."""
    progress = training.progress
    if progress.step == 0:
        torch.manual_seed(training.seed)  # dropout is all that draws from the global generator
    begin(progress, training.protocol, **training.limits)
    timed_step, timed_seconds = 0, 0.0
    order: _Order | None = None

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
        is_over = False
        while not is_over:
            loss = _take_step(training, order)
            is_over = time.perf_counter() - start >= TICK_SECONDS or is_pause(
                progress, training.protocol, steps_per_epoch=training.steps_per_epoch
            )
        elapsed = _now(training.device) - start
        progress.train_seconds += elapsed
        if not math.isfinite(loss.item()):
            raise DivergedError(f"the loss is {loss.item()} at step {progress.step}: try a lower --lr")

        if progress.step == NUM_UNTIMED_STEPS:
            timed_step, timed_seconds = progress.step, progress.train_seconds
        if progress.num_steps is None:
            seconds, steps = progress.train_seconds - timed_seconds, progress.step - timed_step
            if is_timed(progress, training.protocol, steps_per_epoch=training.steps_per_epoch, timed_seconds=seconds):
                plan(progress, training.protocol, **training.limits, step_seconds=seconds / steps)
        yield _tick(training, (progress.step - first_step) * training.batch_size / elapsed)


def _take_step(training: Training, order: _Order) -> Tensor:
    progress, protocol = training.progress, training.protocol
    data_start = time.perf_counter()
    first = progress.step % training.steps_per_epoch * training.batch_size
    places = slice(first, first + training.batch_size)
    ids_N, changes = order.ids_N[places], order.changes.of(places)
    images_NCHW = augment_batch(training.read_pixels(ids_N), changes, normalisation=protocol.normalisation)
    labels_N = training.labels_N[ids_N].to(training.device, non_blocking=True)
    progress.data_seconds += time.perf_counter() - data_start

    factor = rate_factor(
        progress.step,
        warmup_steps=progress.warmup_steps or protocol.warmup_steps,
        decay_start=progress.decay_start,
        num_steps=progress.num_steps,
    )
    for group in training.optimizer.param_groups:
        group["lr"] = training.learning_rate * group["factor"] * factor
    training.network.train()
    logits_NK = forward(training.network, images_NCHW, training.precision)
    loss = training.loss(logits_NK, labels_N)
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    training.optimizer.step()
    progress.step += 1
    return loss.detach()


def _evaluate_row(training: Training) -> EpochRow:
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
    return EpochRow(
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
    order_N = mix_in(
        np.random.default_rng([training.seed, epoch]).permutation(training.train_ids_N),
        training.drawn_ids_N,
        batch_size=training.batch_size,
        num_drawn=training.num_drawn,
        seed=training.seed,
        epoch=epoch,
    )
    ids_N, augmentation = torch.from_numpy(order_N), training.protocol.augmentation
    changes = draw_changes(ids_N.to(training.device), augmentation=augmentation, seed=training.seed, epoch=epoch)
    return _Order(epoch, ids_N, changes)


def _now(device: str) -> float:
    """The clock, once the device has finished what it was given."""
    wait_for_device(device)
    return time.perf_counter()
