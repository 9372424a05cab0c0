"""The benchmark that looks at real training images: it trains on drawn signs alone, and reads no test image."""

import argparse
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.accuracy import drawn_to_real
from tiny import coloured_squares


def options(**more: object) -> argparse.Namespace:
    return argparse.Namespace(**{"network": "lenet5", "lr": None, "seed": 0, "steps": 2, "threads": 1, **more})


def test_a_trial_learns_from_training_images_alone() -> None:
    image_set = coloured_squares()
    training = drawn_to_real.build_trial(image_set, image_set.indices_of("test"), options())
    assert np.array_equal(training.train_ids_N, image_set.indices_of("train"))
    assert (training.max_steps, training.learning_rate, len(training.val_ids_N)) == (2, 0.1, 1)


def test_classes_with_the_most_errors_come_first_with_what_they_were_taken_for() -> None:
    labels_N, predicted_N = np.array([0, 0, 1, 1, 1, 2]), np.array([0, 1, 0, 2, 2, 2])
    assert drawn_to_real.confusion_lines(labels_N, predicted_N, ("Red", "Green", "Blue")) == [
        "  1 Green: 3 of 3 wrong: Blue (2) 2, Red (0) 1",
        "  0 Red: 1 of 2 wrong: Green (1) 1",
    ]


def test_it_prints_one_accuracy_of_the_frames_that_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    squares = coloured_squares(num_tracks=24, num_frames=6)
    last_track = {squares.groups[i] for i in squares.indices_of("train")[-12:]}
    splits = tuple(
        "val" if group in last_track else split for group, split in zip(squares.groups, squares.splits, strict=True)
    )
    asked: list[object] = []

    def opened(source: str, **more: object) -> object:
        asked.append((source, more["validate_on"]))
        return replace(squares, splits=splits)

    monkeypatch.setattr(drawn_to_real, "open_joined", opened)
    kept = torch.get_num_threads()
    try:
        drawn_to_real.main(["signs:860", "lenet5", "--steps", "2"])
    finally:
        torch.set_num_threads(kept)
    assert asked == [("signs:860", "gtsrb")]
    assert "of 2 images of GTSRB's training tracks" in capsys.readouterr().out  # frame 5 of two tracks
