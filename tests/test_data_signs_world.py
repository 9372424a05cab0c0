"""Worlds: what validation shows was held out of training."""

import numpy as np
import pytest

from roadtest.data.signs import list_signs, read_image
from roadtest.data.signs.scene import BACKGROUNDS
from roadtest.data.signs.track import WEATHERS, build_track
from roadtest.data.signs.world import AWAY, EVERYTHING, HOME, USUAL, WILD_TEST, WORLDS, world_of


def test_the_worlds_share_no_background_maker_or_light_and_leave_none_out() -> None:
    home, away = WORLDS[HOME], WORLDS[AWAY]
    assert (home.makers[0], home.makers[1], away.makers[1]) == (0, away.makers[0], 1)
    assert EVERYTHING.makers == (0, 1)
    for name, things in (("backgrounds", BACKGROUNDS), ("weathers", WEATHERS)):
        mine, theirs = set(getattr(home, name)), set(getattr(away, name))
        assert not mine & theirs, name
        assert mine | theirs == set(getattr(EVERYTHING, name)) == set(range(len(things))), name


def test_no_camera_of_training_is_one_of_validation() -> None:
    home, away = WORLDS[HOME], WORLDS[AWAY]
    assert home.gamma[1] <= away.gamma[0] and home.mosaic[1] <= away.mosaic[0]
    assert (home.jpeg_chance, away.jpeg_chance) == (0, 1)
    assert world_of("train") is world_of("test") is USUAL
    assert world_of("wild") is world_of("wildtest") is EVERYTHING


@pytest.mark.slow
def test_a_track_keeps_to_its_world() -> None:
    for part, world in ((HOME, WORLDS[HOME]), (AWAY, WORLDS[AWAY])):
        tracks = [build_track(0, part, 3, number) for number in range(12)]
        assert all(world.gamma[0] <= track.gamma <= world.gamma[1] for track in tracks)
        assert {track.jpeg_quality > 0 for track in tracks} == {world.jpeg_chance == 1}


def test_a_drawing_with_worlds_has_a_validation_part_as_large_as_its_test_part() -> None:
    listing = list_signs(num_train=860, num_test=430, has_worlds=True)
    parts = [item.split for item in listing.items]
    assert [parts.count(part) for part in ("train", "val", "test")] == [860, 430, 430]
    assert {item.location.split("/")[1] for item in listing.items} == {HOME, AWAY, WILD_TEST}
    assert len({item.group for item in listing.items}) == 86 + 43 + 43
    assert any("never shows" in note for note in listing.notes)


def test_the_tests_of_worlds_are_those_of_the_wild_drawing() -> None:
    def tests(**more: bool) -> list[str]:
        return [item.location for item in list_signs(**more).items if item.split == "test"]  # type: ignore[arg-type]

    assert tests(is_wild=True) == tests(has_worlds=True) == tests(is_wild=True, has_worlds=True) != tests()


@pytest.mark.slow
def test_the_usual_drawing_is_tamer_than_the_wild_one() -> None:
    assert USUAL.makers[0] > 0 and USUAL.makers[1] < 1 and USUAL.slips < EVERYTHING.slips
    assert USUAL.roughness < EVERYTHING.roughness and set(USUAL.weathers) < set(EVERYTHING.weathers)
    tracks = {part: [build_track(0, part, 3, number) for number in range(60)] for part in ("train", "wild")}
    smeared = {part: np.mean([np.abs(track.motion_F2).max() > 0 for track in tracks[part]]) for part in tracks}
    assert smeared["train"] < smeared["wild"]


def test_the_two_worlds_look_different() -> None:
    items = {item.location: item for item in list_signs(has_worlds=True).items}
    home, away = (
        np.asarray([np.asarray(read_image(items[f"0/{part}/1/{k}/5"]).resize((16, 16))) for k in range(3)], float)
        for part in (HOME, AWAY)
    )
    assert np.abs(home - away).mean() > 5
