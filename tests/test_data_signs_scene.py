"""Backgrounds and companions: right shapes, plain dependence on the generator, variety.

Worlds: what validation shows was held out of training.

Wear changes paint, never the outline."""

import numpy as np
import pytest

from roadtest.data.signs import list_signs, read_image, scene
from roadtest.data.signs.plates import patches_of, render_plate, sample_style
from roadtest.data.signs.scene import (
    AWAY,
    BACKGROUNDS,
    BOARD_SIZE,
    DOMAINS,
    FULL,
    HOME,
    SCENE_SIZE,
    USUAL,
    WILD_TEST,
    domain_of,
    lay_over,
    noise_texture,
    render_board,
    render_scene,
    wear_plate,
)
from roadtest.data.signs.track import WEATHERS, build_track


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_a_scene_is_the_same_for_the_same_draws_and_another_for_others() -> None:
    first, again, other = (np.asarray(render_scene(rng(seed))) for seed in (1, 1, 2))
    assert first.shape == (SCENE_SIZE, SCENE_SIZE, 3)
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize("kind", ["_leaves", "_branches", "_houses", "_sky", "_horizon"])
def test_every_kind_of_background_is_finite_light(kind: str) -> None:
    for seed in range(3):
        light = getattr(scene, kind)(rng(seed))
        assert light.shape == (SCENE_SIZE, SCENE_SIZE, 3) and light.dtype == np.float32
        assert np.isfinite(light).all() and light.min() >= 0 and light.mean() > 0.005


def test_backgrounds_reach_from_dark_to_brighter_than_paper() -> None:
    means = [np.asarray(render_scene(rng(seed))).mean() for seed in range(24)]
    # 127 of 255 is linear light 1, as sqrt(1 / 4) = 1 / 2
    assert min(means) < 50 and max(means) > 127


def test_noise_has_about_the_range_it_says() -> None:
    texture = noise_texture(rng(0), 64, (4, 9, 20), roughness=0.5)
    assert texture.shape == (64, 64) and 0.5 < np.abs(texture).max() < 2.2 and abs(texture.mean()) < 0.6


def test_a_board_is_premultiplied_and_leaves_most_of_the_background_free() -> None:
    boards = [render_board(rng(seed)) for seed in range(12)]
    assert all(board.shape == (BOARD_SIZE, BOARD_SIZE, 4) for board in boards)
    assert all((board[..., :3] <= board[..., 3:]).all() for board in boards)
    assert np.median([(board[..., 3] > 0).mean() for board in boards]) < 0.3


def test_laying_over_covers_what_is_opaque_and_mixes_what_is_half_clear() -> None:
    below = np.full((1, 3, 4), 200, np.uint8)
    above = np.array([[[50, 60, 70, 255], [0, 0, 0, 0], [10, 20, 30, 127]]], np.uint8)
    lay_over(below, above)
    # 200 * (255 - 127) // 255 = 100
    assert below.tolist() == [[[50, 60, 70, 255], [200] * 4, [110, 120, 130, 227]]]


def test_the_worlds_share_no_background_maker_or_light_and_leave_none_out() -> None:
    home, away = DOMAINS[HOME], DOMAINS[AWAY]
    assert (home.makers[0], home.makers[1], away.makers[1]) == (0, away.makers[0], 1)
    assert FULL.makers == (0, 1)
    for name, things in (("backgrounds", BACKGROUNDS), ("weathers", WEATHERS)):
        mine, theirs = set(getattr(home, name)), set(getattr(away, name))
        assert not mine & theirs, name
        assert mine | theirs == set(getattr(FULL, name)) == set(range(len(things))), name


def test_no_camera_of_training_is_one_of_validation() -> None:
    home, away = DOMAINS[HOME], DOMAINS[AWAY]
    assert home.gamma[1] <= away.gamma[0] and home.mosaic[1] <= away.mosaic[0]
    assert (home.jpeg_chance, away.jpeg_chance) == (0, 1)
    assert domain_of("train") is domain_of("test") is USUAL
    assert domain_of("wild") is domain_of("wildtest") is FULL


@pytest.mark.slow
def test_a_track_keeps_to_its_world() -> None:
    for part, world in ((HOME, DOMAINS[HOME]), (AWAY, DOMAINS[AWAY])):
        tracks = [build_track(0, part, 3, number) for number in range(12)]
        assert all(world.gamma[0] <= track.gamma <= world.gamma[1] for track in tracks)
        assert {track.jpeg_quality > 0 for track in tracks} == {world.jpeg_chance == 1}


def test_a_drawing_with_worlds_has_a_validation_part_as_large_as_its_test_part() -> None:
    listing = list_signs(num_train=860, num_test=430, has_domains=True)
    parts = [item.split for item in listing.items]
    assert [parts.count(part) for part in ("train", "val", "test")] == [860, 430, 430]
    assert {item.location.split("/")[1] for item in listing.items} == {HOME, AWAY, WILD_TEST}
    assert len({item.group for item in listing.items}) == 86 + 43 + 43
    assert any("never shows" in note.text for note in listing.notes)


def test_the_tests_of_worlds_are_those_of_the_wild_drawing() -> None:
    def tests(**more: bool) -> list[str]:
        return [item.location for item in list_signs(**more).items if item.split == "test"]  # type: ignore[arg-type]

    assert tests(is_wild=True) == tests(has_domains=True) == tests(is_wild=True, has_domains=True) != tests()


@pytest.mark.slow
def test_the_usual_drawing_is_tamer_than_the_wild_one() -> None:
    assert USUAL.makers[0] > 0 and USUAL.makers[1] < 1 and USUAL.spread < FULL.spread
    assert USUAL.roughness < FULL.roughness and set(USUAL.weathers) < set(FULL.weathers)
    tracks = {part: [build_track(0, part, 3, number) for number in range(60)] for part in ("train", "wild")}
    smeared = {part: np.mean([np.abs(track.motion_F2).max() > 0 for track in tracks[part]]) for part in tracks}
    assert smeared["train"] < smeared["wild"]


def test_the_two_worlds_look_different() -> None:
    items = {item.location: item for item in list_signs(has_domains=True).items}
    home, away = (
        np.asarray([np.asarray(read_image(items[f"0/{part}/1/{k}/5"]).resize((16, 16))) for k in range(3)], float)
        for part in (HOME, AWAY)
    )
    assert np.abs(home - away).mean() > 5


PLATE = render_plate(patches_of(1, sample_style(np.random.Generator(np.random.PCG64(0)))))


def worn(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return wear_plate(np.random.Generator(np.random.PCG64(seed)), PLATE)


def test_an_aged_plate_keeps_its_outline_and_stays_premultiplied() -> None:
    for seed in range(12):
        plate = worn(seed)
        assert (plate[..., 3] == PLATE[..., 3]).all()
        assert (plate[..., :3] <= plate[..., 3:]).all() and plate.dtype == np.uint8


def test_two_signs_age_differently_and_one_sign_always_alike() -> None:
    assert (worn(1) == worn(1)).all() and (worn(1) != worn(2)).any()


def test_aged_plates_still_show_dark_digits_on_a_brighter_ground() -> None:
    digit, ground = PLATE[..., 1] < 9, PLATE[..., 1] > 200
    is_on_plate = PLATE[..., 3] == 255
    for seed in range(12):
        green = worn(seed)[..., 1].astype(float)
        assert green[ground].mean() > 1.8 * green[digit & is_on_plate].mean()


def test_the_new_plate_is_left_as_it_was() -> None:
    before = PLATE.copy()
    worn(3)
    assert (before == PLATE).all()
