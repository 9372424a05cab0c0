"""A network in training: its loss, its groups of weights, its epochs in steps, its saved state."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from roadtest.training import loop as train_module
from roadtest.training.loop import train
from roadtest.training.state import balanced_weights, build_loss, build_optimizer
from tiny import TINY, TinyNet, coloured_squares, rows_of, tiny_training, weights_of

LABELS = torch.tensor([0, 0, 0, 1])


def test_equal_weights_are_plain_cross_entropy_to_the_bit() -> None:
    logits_NK = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    labels_N = torch.arange(64) % 5
    for smoothing in (0.0, 0.1):
        loss = build_loss(replace(TINY, label_smoothing=smoothing), labels_N)(logits_NK, labels_N)
        assert torch.equal(loss, F.cross_entropy(logits_NK, labels_N, label_smoothing=smoothing))


def test_balanced_weights_by_hand() -> None:
    # 4 images, 2 classes with 3 and 1: 4 / (2 x 3) and 4 / (2 x 1); class 2 has none.
    assert balanced_weights(LABELS).tolist() == pytest.approx([2 / 3, 2.0])
    assert balanced_weights(torch.tensor([0, 2])).tolist() == [1.0, 0.0, 1.0]


def test_the_mean_weight_over_the_training_images_is_one() -> None:
    labels_N = torch.from_numpy(np.random.default_rng(0).zipf(1.7, 5_000).clip(max=40))
    assert balanced_weights(labels_N)[labels_N].mean().item() == pytest.approx(1.0, rel=1e-4)


def test_a_balanced_loss_by_hand() -> None:
    # Where every logit is 0 each image's cross-entropy is log 2: 2/3 and 2 times that, over two images.
    loss = build_loss(replace(TINY, class_weights="balanced"), LABELS)
    value = loss(torch.zeros(2, 2), torch.tensor([0, 1])).item()
    assert value == pytest.approx((2 / 3 + 2) * np.log(2) / 2)
    # In a batch of one class the weight does not cancel.
    assert loss(torch.zeros(2, 2), torch.tensor([1, 1])).item() == pytest.approx(2 * np.log(2))


def test_weights_follow_the_training_part_of_the_split() -> None:
    image_set = coloured_squares()
    train_N = image_set.indices_of("train")
    few_red_N = train_N[(image_set.labels_N[train_N] != 0) | (np.arange(len(train_N)) % 4 == 0)]
    protocol = replace(TINY, class_weights="balanced")
    training = tiny_training(protocol, train_ids_N=few_red_N)
    counts_K = np.bincount(image_set.labels_N[few_red_N])
    zeros_NK, red_N = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
    weight = len(few_red_N) / (3 * counts_K[0])
    assert training.loss(zeros_NK, red_N).item() == pytest.approx(weight * np.log(3))


def test_a_weighted_training_differs_and_an_equal_one_stays_what_it_was() -> None:
    def last_loss(class_weights: str) -> float:
        protocol = replace(TINY, class_weights=class_weights, max_epochs=1)
        ids_N = coloured_squares().indices_of("train")[:50]  # ten tracks: 20, 15 and 15 images
        training = tiny_training(protocol, train_ids_N=ids_N)
        list(train(training))
        return float(sum(parameter.detach().double().sum() for parameter in training.network.parameters()))

    assert last_loss("equal") == last_loss("equal") != last_loss("balanced")


def test_an_epoch_is_its_whole_batches_and_a_batch_is_no_larger_than_the_set() -> None:
    training = tiny_training(replace(TINY, batch_size=40))
    assert (len(training.train_ids_N), training.batch_size, training.steps_per_epoch) == (90, 40, 2)
    training.progress.step = 3
    assert training.epoch == 1.5
    assert tiny_training(replace(TINY, batch_size=1000)).batch_size == 90


@pytest.mark.slow
def test_going_on_from_a_saved_state_gives_the_same_bits_wherever_it_was_saved() -> None:
    whole = tiny_training()
    expected_rows = rows_of(whole)
    for stop_step in (1, 5, 6, 13):
        broken = tiny_training(replace(TINY), should_stop=lambda: False)
        train_module.UPDATE_SECONDS, kept = 0.0, train_module.UPDATE_SECONDS  # a tick after every step
        try:
            for _ in train(broken):
                if broken.progress.step == stop_step:
                    break
            state = broken.to_state()
            state = {**state, "network": {k: v.clone() for k, v in state["network"].items()}}
            resumed = tiny_training(network=TinyNet())
            torch.manual_seed(999)
            resumed.restore(state)
            rows = rows_of(resumed)
        finally:
            train_module.UPDATE_SECONDS = kept
        assert torch.equal(weights_of(resumed), weights_of(whole)), f"stopped at step {stop_step}"
        assert [r.val_loss_sum for r in rows] == [r.val_loss_sum for r in expected_rows][-len(rows) :]


def test_the_state_holds_plain_values_and_tensors_only(tmp_path: object) -> None:
    training = tiny_training()
    list(train(training))
    path = f"{tmp_path}/state.pt"
    torch.save(training.to_state(), path)
    state = torch.load(path, weights_only=True)
    assert state["progress"] == asdict(training.progress)


def test_biases_norms_and_the_stn_are_not_decayed_and_the_stn_has_its_own_rate() -> None:
    class Fronted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stn = torch.nn.Linear(2, 2)
            self.network = TinyNet()

    groups = build_optimizer(Fronted(), replace(TINY, stn_learning_rate_factor=0.25)).param_groups
    assert [(g["weight_decay"], g["factor"]) for g in groups] == [(5e-4, 1.0), (0.0, 1.0), (0.0, 0.25)]
    assert [sum(p.numel() for p in g["params"]) for g in groups] == [300 + 588, 4 + 4 + 4 + 3, 6]
