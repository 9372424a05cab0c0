"""The kept examples: the worst test images, worst first, and what the STN does to an image."""

from pathlib import Path

import numpy as np
import pytest
import torch

from roadtest.examples import NUM_STN, NUM_WORST, write_examples
from roadtest.networks.stn import SpatialTransformer, WithSTN
from roadtest.record import Predictions
from tiny import TinyNet, coloured_squares, tiny_training

IMAGES = coloured_squares()


def predictions(*rows: tuple[float, float, int]) -> Predictions:
    """Two logits and the label, of test images 120, 121, ..."""
    return Predictions(
        logits_NK=np.array([row[:2] for row in rows], np.float16),
        labels_N=np.array([row[2] for row in rows], np.int64),
        image_ids_N=np.arange(120, 120 + len(rows)),
    )


def test_the_worst_are_wrong_ones_only_worst_first(tmp_path: Path) -> None:
    # Losses of label 0: right; wrong by 1; wrong by 9; right but unsure; wrong by 4.
    test = predictions((5, 0, 0), (0, 1, 0), (0, 9, 0), (0.1, 0, 0), (4, 0, 1))
    write_examples(tmp_path / "examples.npz", tiny_training(), test)
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["worst_ids_N", "worst_images_NHWC"]
        assert arrays["worst_ids_N"].tolist() == [122, 124, 121]
        assert np.array_equal(arrays["worst_images_NHWC"], IMAGES.images_NHWC[[122, 124, 121]])
    assert [path.name for path in tmp_path.iterdir()] == ["examples.npz"]


def test_there_are_at_most_24_and_huge_logits_do_no_harm(tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.npz", tiny_training(), predictions(*[(0, 60_000.0, 0)] * 30))
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as arrays:
        assert len(arrays["worst_ids_N"]) == NUM_WORST == 24


def test_without_a_test_set_and_an_stn_nothing_is_written(tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.npz", tiny_training(), None)
    assert list(tmp_path.iterdir()) == []


def with_stn(theta: list[float]) -> WithSTN:
    network = WithSTN(SpatialTransformer(32), TinyNet())
    with torch.no_grad():
        network.stn.theta.bias.copy_(torch.tensor(theta))
    return network


def stn_pair(path: Path, theta: list[float]) -> tuple[np.ndarray, np.ndarray]:
    training = tiny_training(network=with_stn(theta))
    write_examples(path, training, None)
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["stn_after_NHWC", "stn_before_NHWC"]
        return arrays["stn_before_NHWC"], arrays["stn_after_NHWC"]


def test_an_stn_that_does_nothing_shows_the_same_image_twice(tmp_path: Path) -> None:
    before_NHWC, after_NHWC = stn_pair(tmp_path / "examples.npz", [1, 0, 0, 0, 1, 0])
    assert before_NHWC.shape == (NUM_STN, 32, 32, 3)
    assert after_NHWC.dtype == np.uint8
    assert np.abs(before_NHWC.astype(int) - after_NHWC).max() <= 1


def test_an_stn_that_mirrors_shows_the_mirrored_image_in_its_own_brightness(tmp_path: Path) -> None:
    before_NHWC, after_NHWC = stn_pair(tmp_path / "examples.npz", [-1, 0, 0, 0, 1, 0])
    assert np.abs(before_NHWC[:, :, ::-1].astype(int) - after_NHWC).max() <= 1


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        write_examples(tmp_path / "examples.npz", tiny_training(), predictions((0, 1, 0)))
    assert list(tmp_path.iterdir()) == []
