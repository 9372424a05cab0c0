"""The loss that a step minimises: equal weights change no bit, balanced ones make every class count the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from roadtest.descent import balanced_weights, build_loss
from roadtest.train import train
from tiny import TINY, coloured_squares, tiny_training

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


def test_where_images_are_drawn_the_classes_of_whole_batches_count_the_same() -> None:
    # of ten images seven are real: six of class 0, one of 1; three are drawn: of 1 and 3 alike, 1.5 each
    real, drawn = torch.tensor([0] * 6 + [1]), torch.tensor([1, 3, 3, 1])
    weights_K = balanced_weights(real, drawn, 0.3)
    share_K = torch.tensor([0.6, 0.1 + 0.15, 0.0, 0.15])
    assert torch.allclose(weights_K * share_K, torch.tensor([1, 1, 0, 1]) / 3)
    assert torch.equal(balanced_weights(real, drawn, 0.0), balanced_weights(real))


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
