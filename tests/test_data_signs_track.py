"""Tracks: streams of their own, a sign that comes nearer, drift that is small beside the difference of two tracks."""

import numpy as np
import pytest

from roadtest.data.signs.scene import USUAL
from roadtest.data.signs.track import FRAMES_PER_TRACK, WEATHERS, Track, build_track, open_rng

TRACKS: list[Track] = [build_track(0, "train", label, number) for label in (3, 30) for number in range(8)]


def test_every_key_opens_a_stream_of_its_own() -> None:
    keys = [
        (seed, split, label, track, frame)
        for seed in (0, 1)
        for split in ("train", "test")
        for label in (0, 1)
        for track in (0, 1)
        for frame in (None, 0, 1)
    ]
    assert len({open_rng(*key).integers(2**62) for key in keys}) == len(keys)


def test_a_stream_does_not_depend_on_the_global_one() -> None:
    np.random.seed(1)
    first = open_rng(0, "train", 1, 2, 3).random()
    np.random.seed(2)
    assert open_rng(0, "train", 1, 2, 3).random() == first


def test_a_sign_grows_as_it_comes_nearer() -> None:
    for track in TRACKS:
        assert track.sizes_F.shape == (FRAMES_PER_TRACK,)
        assert (np.diff(track.sizes_F) > 0).all()
        assert 14 <= track.sizes_F[0] <= 38 and 1.29 * track.sizes_F[0] < track.sizes_F[-1] <= 96.01
        # the distance, one over the size, shrinks evenly
        np.testing.assert_allclose(np.diff(1 / track.sizes_F, n=2), 0, atol=1e-5)


@pytest.mark.parametrize("name", ["poses_F3", "offsets_F2", "sign_light_F3", "window_F3"])
def test_what_drifts_within_a_track_differs_more_between_tracks(name: str) -> None:
    values_TF = np.stack([getattr(track, name) for track in TRACKS])[..., 0]
    assert values_TF.std(axis=1).mean() < 0.8 * values_TF.mean(axis=1).std()


def test_the_chances_of_the_usual_weathers_add_up_to_one() -> None:
    assert sum(WEATHERS[place].chance for place in USUAL.weathers) == pytest.approx(1)


def test_light_is_positive_and_finite_in_every_frame() -> None:
    for track in TRACKS:
        for light_F3 in (track.sign_light_F3, track.scene_light_F3):
            assert np.isfinite(light_F3).all() and (light_F3 > 0).all()
        assert (track.haze_F3 >= 0).all()
