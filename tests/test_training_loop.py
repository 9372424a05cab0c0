"""The loop: its schedule, its clock, its saved state, and what it must never see."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from roadtest.records import EpochMetrics
from roadtest.training import loop as train_module
from roadtest.training import step as steps_module
from roadtest.training.augment import AugmentationParameters
from roadtest.training.loop import DivergedError, ProgressUpdate, train
from tiny import TINY, rows_of, tiny_training, weights_of, with_budget


def test_there_is_a_row_per_epoch_and_the_last_step_is_evaluated() -> None:
    training = tiny_training(replace(TINY, max_epochs=6))
    rows = rows_of(training)
    assert [row.epoch for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1].step == 6 * training.steps_per_epoch == training.progress.num_steps


def test_a_short_run_is_evaluated_more_often_than_once_an_epoch() -> None:
    rows = rows_of(tiny_training(replace(TINY, max_epochs=1)))
    assert len(rows) >= 3
    assert rows[0].epoch < 1
    assert rows[-1].epoch == 1


@pytest.mark.slow
def test_the_network_learns() -> None:
    rows = rows_of(tiny_training(replace(TINY, max_epochs=12)))
    assert rows[-1].val.accuracy > 0.8
    assert rows[-1].train.loss < rows[0].train.loss


def test_an_evaluation_that_was_interrupted_is_made_up_for() -> None:
    training = tiny_training(should_stop=lambda: True)  # evaluation asks, training does not
    with pytest.raises(InterruptedError):
        list(train(training))
    assert training.progress.step > training.progress.last_eval_step == 0
    resumed = tiny_training()
    resumed.restore(training.to_state())
    row = next(h for h in train(resumed) if isinstance(h, EpochMetrics))
    assert row.step == training.progress.step
    assert row.images_per_second > 0  # of the steps before the interruption: there were none since


@pytest.mark.slow
def test_two_seeds_differ_and_one_seed_repeats() -> None:
    first, again, other = tiny_training(seed=0), tiny_training(seed=0), tiny_training(seed=1)
    for training in (first, again, other):
        list(train(training))
    assert torch.equal(weights_of(first), weights_of(again))
    assert not torch.equal(weights_of(first), weights_of(other))


@pytest.mark.slow
def test_patience_starts_the_decay_and_the_decay_is_the_protocols_share() -> None:
    # The rate is so small that the loss hardly moves; a budget of evaluations without improvement must come.
    protocol = replace(TINY, max_epochs=60, patience=2, decay_fraction=0.5)
    training = tiny_training(protocol, learning_rate=3.0)  # too high to improve for long
    rows_of(training)
    progress = training.progress
    assert progress.stop_reason == "patience"
    assert progress.num_steps == 2 * progress.decay_start  # a decay as long as the constant part
    assert progress.num_steps < 60 * training.steps_per_epoch


def test_patience_zero_never_stops() -> None:
    training = tiny_training(replace(TINY, max_epochs=8, patience=0), learning_rate=3.0)
    rows_of(training)
    assert training.progress.stop_reason == "max epochs"


@pytest.mark.slow
def test_a_budget_becomes_steps_once_and_is_kept_roughly() -> None:
    training = tiny_training(with_budget(replace(TINY, max_epochs=100_000), 1.0))
    rows = rows_of(training)
    assert training.progress.stop_reason == "budget"
    assert training.progress.num_steps == training.progress.step == rows[-1].step
    assert 0.3 < rows[-1].train_seconds < 3.0  # a noisy machine may double it


@pytest.mark.slow
def test_the_planned_number_of_steps_is_never_reconsidered() -> None:
    training = tiny_training(with_budget(replace(TINY, max_epochs=100_000), 0.5))
    planned = set()
    for _ in train(training):
        planned.add(training.progress.num_steps)
    assert len(planned - {None}) == 1


def test_a_budget_for_no_more_than_the_untimed_steps_takes_them() -> None:
    training = tiny_training(with_budget(replace(TINY, max_epochs=3, batch_size=90), 60))
    list(train(training))
    assert (training.steps_per_epoch, training.progress.step, training.progress.stop_reason) == (1, 3, "max epochs")


def test_a_run_never_exceeds_the_largest_number_of_epochs_whatever_the_budget() -> None:
    training = tiny_training(with_budget(replace(TINY, max_epochs=2), 1000.0))
    assert rows_of(training)[-1].epoch == 2
    assert training.progress.stop_reason == "max epochs"


def test_the_clock_waits_for_the_device_first(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(torch.mps, "synchronize", lambda: heard.append("waited"))
    monkeypatch.setattr(time, "perf_counter", lambda: heard.append("read") or 7.0)
    assert train_module._now("mps") == 7.0
    assert heard == ["waited", "read"]


@pytest.mark.slow
def test_evaluation_and_the_consumer_are_off_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = train_module.predict_logits

    def slow_evaluation(*arguments: object, **more: object) -> torch.Tensor:
        time.sleep(0.1)
        return honest(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(train_module, "predict_logits", slow_evaluation)
    training = tiny_training()
    start = time.perf_counter()
    for _ in train(training):
        time.sleep(0.05)
    elapsed = time.perf_counter() - start
    assert training.progress.eval_seconds >= 0.2 * 3  # three rows, two sets each
    assert training.progress.train_seconds < elapsed - 0.6


def test_making_batches_is_counted_as_training_and_also_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = steps_module.augment_batch

    def slow_augmentation(*arguments: object, **more: object) -> torch.Tensor:
        time.sleep(0.02)
        return honest(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(steps_module, "augment_batch", slow_augmentation)
    training = tiny_training(replace(TINY, max_epochs=1))
    list(train(training))
    assert training.progress.data_seconds >= 0.02 * training.progress.step
    assert training.progress.train_seconds >= training.progress.data_seconds


def test_no_validation_image_is_ever_trained_on_and_every_epoch_shuffles_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    honest = steps_module.augment_batch

    def watched(images: torch.Tensor, changes: AugmentationParameters, **more: object) -> torch.Tensor:
        seen.append(changes.image_ids_N.tolist())
        return honest(images, changes, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(steps_module, "augment_batch", watched)
    training = tiny_training(replace(TINY, max_epochs=2))
    list(train(training))
    flat = [i for batch in seen for i in batch]
    assert not set(flat) & set(training.val_ids_N.tolist())
    half = len(flat) // 2
    assert len(set(flat[:half])) == half  # no image twice in an epoch
    assert flat[:half] != flat[half:]


def test_a_diverging_loss_ends_the_run_with_advice() -> None:
    with pytest.raises(DivergedError, match="lower --lr"):
        list(train(tiny_training(learning_rate=1e30)))


def test_ticks_show_the_way_between_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_module, "UPDATE_SECONDS", 0.0)
    ticks = [happening for happening in train(tiny_training()) if isinstance(happening, ProgressUpdate)]
    assert len(ticks) == 3 * tiny_training().steps_per_epoch
    assert all(tick.images_per_second > 0 for tick in ticks)
    assert ticks[-1].seconds_left == 0


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return train_module._begin_epoch(tiny_training(seed=seed), epoch).ids_N.tolist()

    assert order(3, 4) == order(3, 4)
    assert sorted(order(3, 4)) == sorted(order(3, 5)) == sorted(order(4, 4))
    assert order(3, 4) != order(3, 5)
    assert order(3, 4) != order(4, 4)
    # the published order, to which no change may lead away: a permutation keyed by seed and epoch
    training = tiny_training(seed=3)
    assert order(3, 4) == np.random.default_rng([3, 4]).permutation(training.train_ids_N).tolist()
