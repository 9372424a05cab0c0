"""Drawn signs in training batches: the share, the numbers of images, and nothing at all where the share is 0."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from roadtest.records import EpochRow
from roadtest.training import loop as train_module
from roadtest.training import step as steps_module
from roadtest.training.augment import Changes
from roadtest.training.loop import train
from roadtest.training.state import Training
from tiny import TINY, TinyNet, tiny_training, weights_of

MIXED = replace(TINY, drawn_fraction=0.25)
DRAWN_N = np.arange(120, 150)  # tiny's test images stand in for drawn ones


def test_without_a_share_drawn_images_change_no_bit() -> None:
    plain, with_drawn = tiny_training(), tiny_training(drawn_ids_N=DRAWN_N)
    rows = [[h for h in train(training) if isinstance(h, EpochRow)] for training in (plain, with_drawn)]
    assert torch.equal(weights_of(plain), weights_of(with_drawn))
    assert [row.val_loss_sum for row in rows[0]] == [row.val_loss_sum for row in rows[1]]


def batches_of(training: Training, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    seen: list[np.ndarray] = []
    honest = steps_module.augment_batch

    def watched(images_NHWC: torch.Tensor, changes: Changes, **more: object) -> torch.Tensor:
        seen.append(changes.image_ids_N.numpy().copy())
        return honest(images_NHWC, changes, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(steps_module, "augment_batch", watched)
        list(train(training))
    return seen


def test_each_batch_has_its_share_of_drawn_images_and_an_epoch_as_many_steps_as_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mixed, plain = tiny_training(MIXED, drawn_ids_N=DRAWN_N), tiny_training()
    assert mixed.steps_per_epoch == plain.steps_per_epoch
    batches = batches_of(mixed, monkeypatch)
    assert len(batches) == 3 * plain.steps_per_epoch
    for ids_N in batches:  # a quarter of 16
        assert np.isin(ids_N, DRAWN_N).sum() == 4 and np.isin(ids_N, mixed.train_ids_N).sum() == 12
    assert mixed.progress.num_steps == mixed.progress.step == len(batches)


def test_the_real_images_of_a_batch_are_those_of_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    control = batches_of(tiny_training(), monkeypatch)
    mixed = batches_of(tiny_training(MIXED, drawn_ids_N=DRAWN_N), monkeypatch)
    for alone_N, mixed_N in zip(control, mixed, strict=True):
        assert np.array_equal(alone_N[:12], mixed_N[:12])


def test_evaluations_see_no_drawn_image() -> None:
    mixed, plain = tiny_training(MIXED, drawn_ids_N=DRAWN_N), tiny_training()
    rows = [[h for h in train(training) if isinstance(h, EpochRow)] for training in (mixed, plain)]
    for one, other in zip(*rows, strict=True):
        assert (one.train_num_seen, one.val_num_seen, one.epoch) == (
            other.train_num_seen,
            other.val_num_seen,
            other.epoch,
        )
    assert not torch.equal(weights_of(mixed), weights_of(plain))


def test_a_mixed_training_goes_on_with_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tiny_training(MIXED, drawn_ids_N=DRAWN_N)
    list(train(whole))
    broken = tiny_training(MIXED, drawn_ids_N=DRAWN_N)
    monkeypatch.setattr(train_module, "TICK_SECONDS", 0.0)  # a tick after every step
    for _ in train(broken):
        if broken.progress.step == 7:
            break
    state = broken.to_state()
    state["network"] = {name: tensor.clone() for name, tensor in state["network"].items()}
    resumed = tiny_training(MIXED, drawn_ids_N=DRAWN_N, network=TinyNet())
    resumed.restore(state)
    list(train(resumed))
    assert torch.equal(weights_of(resumed), weights_of(whole))
