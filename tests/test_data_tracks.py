"""Recovered tracks: they keep together what looks alike, and on real tracks they judge as the true ones do."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from roadtest import judge
from roadtest.data.cache import open_image_set
from roadtest.data.gtsrb import list_gtsrb
from roadtest.data.imageset import TRAIN
from roadtest.data.tracks import recover_tracks, thumbnails

Pixels = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def _draw_tracks(num_tracks: int, num_frames: int, *, seed: int = 0, size: int = 16) -> tuple[Pixels, Ints]:
    """Frames of one track: a random picture of its own, a little brighter or darker, with noise."""
    rng = np.random.default_rng(seed)
    scenes = np.kron(rng.uniform(40, 200, (num_tracks, 1, 4, 4, 3)), np.ones((1, 1, size // 4, size // 4, 1)))
    light = rng.uniform(0.9, 1.1, (num_tracks, num_frames, 1, 1, 1))
    frames = scenes * light + rng.normal(0, 4, (num_tracks, num_frames, size, size, 3))
    pixels = frames.clip(0, 255).astype(np.uint8).reshape(-1, size, size, 3)
    return pixels, np.repeat(np.arange(num_tracks), num_frames)


def test_no_track_is_torn_apart_and_two_clusters_stand_for_three_tracks() -> None:
    images_NHWC, tracks_N = _draw_tracks(12, 30)
    ids_N = recover_tracks(images_NHWC, np.zeros(len(images_NHWC), np.int64))
    assert len(np.unique(ids_N)) == 8
    assert all(len(np.unique(ids_N[tracks_N == track])) == 1 for track in range(12))


def test_no_track_reaches_over_two_classes() -> None:
    # The same pictures under two labels: the looks agree, the classes do not.
    images_NHWC, _ = _draw_tracks(2, 30)
    labels_N = np.arange(60) % 2
    ids_N = recover_tracks(images_NHWC, labels_N)
    assert not set(ids_N[labels_N == 0]) & set(ids_N[labels_N == 1])


def test_numbers_run_from_zero_without_gaps() -> None:
    images_NHWC, tracks_N = _draw_tracks(9, 20)
    ids_N = recover_tracks(images_NHWC, tracks_N // 3, num_images_per_track=20)
    assert sorted(set(ids_N.tolist())) == list(range(6))


def test_the_images_order_changes_nothing_but_the_numbers() -> None:
    images_NHWC, _ = _draw_tracks(6, 30)
    labels_N = np.zeros(180, np.int64)
    order = np.random.default_rng(1).permutation(180)
    there, again = recover_tracks(images_NHWC, labels_N), recover_tracks(images_NHWC[order], labels_N)
    assert len({(a, b) for a, b in zip(there[order], again, strict=True)}) == len(set(there.tolist()))


def test_a_class_of_one_image_is_one_track() -> None:
    images_NHWC, _ = _draw_tracks(1, 1)
    assert recover_tracks(images_NHWC, np.array([7])).tolist() == [0]


def test_thumbnails_are_logarithms_of_patch_means() -> None:
    # Left half black, right half at level 15: log 1 = 0 and log 16.
    images_NHWC = np.zeros((1, 32, 32, 3), np.uint8)
    images_NHWC[:, :, 16:] = 15
    found = thumbnails(images_NHWC).reshape(8, 8, 3)
    assert (found[:, :4] == 0).all()
    np.testing.assert_allclose(found[:, 4:], np.log(16), rtol=1e-6)


def test_any_size_from_eight_pixels_on_will_do() -> None:
    assert thumbnails(np.zeros((2, 13, 50, 3), np.uint8)).shape == (2, 192)
    with pytest.raises(ValueError, match="7 x 32 pixels are too small: use at least 8"):
        thumbnails(np.zeros((2, 32, 7, 3), np.uint8))


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="3 images, 2 labels"):
        recover_tracks(np.zeros((3, 8, 8, 3), np.uint8), np.zeros(2, np.int64))


@pytest.mark.slow
def test_gtsrbs_largest_class_takes_seconds() -> None:
    images_NHWC, _ = _draw_tracks(75, 30)
    start = time.process_time()
    recover_tracks(images_NHWC, np.zeros(2250, np.int64))
    assert time.process_time() - start < 5


def _orientations(images_NHWC: Pixels, cell: int) -> npt.NDArray[np.float32]:
    """Histograms of 12 edge directions in cells of `cell` pixels: enough for a linear classifier at 88 to 94 %."""
    grey = np.sqrt(images_NHWC.mean(axis=-1, dtype=np.float32))
    rise_y, rise_x = np.zeros_like(grey), np.zeros_like(grey)
    rise_y[:, 1:-1], rise_x[:, :, 1:-1] = grey[:, 2:] - grey[:, :-2], grey[:, :, 2:] - grey[:, :, :-2]
    direction = ((np.arctan2(rise_y, rise_x) / (2 * np.pi) * 12) % 12).astype(int) % 12
    strength, side = np.hypot(rise_y, rise_x), grey.shape[1] // cell
    bins = [
        np.where(direction == number, strength, 0).reshape(len(grey), side, cell, side, cell).sum(axis=(2, 4))
        for number in range(12)
    ]
    flat = np.stack(bins, axis=-1).reshape(len(grey), -1)
    return np.sqrt(flat / (flat.sum(axis=1, keepdims=True) + 1e-6)).astype(np.float32)


@pytest.mark.gtsrb
@pytest.mark.slow
def test_real_tracks_recovered_judge_as_the_true_ones_do(gtsrb_dir: Path, tmp_path: Path) -> None:
    """Classifiers trained on two thirds of the tracks err on the last: as many tracks as in the test set."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    listing = list_gtsrb(gtsrb_dir, cache_dir=tmp_path)
    listing = replace(listing, items=tuple(item for item in listing.items if item.split == TRAIN))
    image_set = open_image_set(listing, image_size=32, cache_dir=tmp_path)
    images_NHWC, labels_N = np.asarray(image_set.images_NHWC), image_set.labels_N
    tracks_N = np.unique(image_set.groups, return_inverse=True)[1]
    third_N = np.random.default_rng(0).permutation(np.arange(tracks_N.max() + 1) % 3)[tracks_N]
    features = [_orientations(images_NHWC, cell) for cell in (4, 8)]
    variances: dict[str, list[tuple[float, float]]] = {"coarse": [], "fine": [], "difference": []}
    for third in range(3):
        held, seen = np.flatnonzero(third_N == third), np.flatnonzero(third_N != third)[::3]
        fine, coarse = (
            (LinearDiscriminantAnalysis().fit(f[seen], labels_N[seen]).predict(f[held]) == labels_N[held])[None]
            for f in features
        )
        assert fine.mean() > 0.9
        both = (tracks_N[held], recover_tracks(images_NHWC[held], labels_N[held]))
        for name, judged in (
            ("fine", [judge.accuracy_interval(fine, units_N) for units_N in both]),
            ("coarse", [judge.accuracy_interval(coarse, units_N) for units_N in both]),
            ("difference", [judge.difference_interval(fine, coarse, units_N) for units_N in both]),
        ):
            variances[name].append((judged[0].unit_variance, judged[1].unit_variance))
    for name, pairs in variances.items():
        true, recovered = np.sum(pairs, axis=0)
        assert 0.9 <= np.sqrt(recovered / true) <= 1.2, name
