"""Backgrounds and companions: right shapes, plain dependence on the generator, variety."""

import numpy as np
import pytest

from roadtest.data.signs import scene
from roadtest.data.signs.scene import BOARD_SIZE, SCENE_SIZE, draw_board, draw_scene, lay_over, noise_texture


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_a_scene_is_the_same_for_the_same_draws_and_another_for_others() -> None:
    first, again, other = (np.asarray(draw_scene(rng(seed))) for seed in (1, 1, 2))
    assert first.shape == (SCENE_SIZE, SCENE_SIZE, 3)
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize("kind", ["_leaves", "_branches", "_houses", "_sky", "_horizon"])
def test_every_kind_of_background_is_finite_light(kind: str) -> None:
    for seed in range(3):
        light = getattr(scene, kind)(rng(seed))
        assert light.shape == (SCENE_SIZE, SCENE_SIZE, 3) and light.dtype == np.float32
        assert np.isfinite(light).all() and light.min() >= 0 and light.mean() > 0.005


def test_backgrounds_reach_from_dark_to_brighter_than_paper() -> None:
    means = [np.asarray(draw_scene(rng(seed))).mean() for seed in range(24)]
    # 127 of 255 is linear light 1, as sqrt(1 / 4) = 1 / 2
    assert min(means) < 50 and max(means) > 127


def test_noise_has_about_the_range_it_says() -> None:
    texture = noise_texture(rng(0), 64, (4, 9, 20), roughness=0.5)
    assert texture.shape == (64, 64) and 0.5 < np.abs(texture).max() < 2.2 and abs(texture.mean()) < 0.6


def test_a_board_is_premultiplied_and_leaves_most_of_the_background_free() -> None:
    boards = [draw_board(rng(seed)) for seed in range(12)]
    assert all(board.shape == (BOARD_SIZE, BOARD_SIZE, 4) for board in boards)
    assert all((board[..., :3] <= board[..., 3:]).all() for board in boards)
    assert np.median([(board[..., 3] > 0).mean() for board in boards]) < 0.3


def test_laying_over_covers_what_is_opaque_and_mixes_what_is_half_clear() -> None:
    below = np.full((1, 3, 4), 200, np.uint8)
    above = np.array([[[50, 60, 70, 255], [0, 0, 0, 0], [10, 20, 30, 127]]], np.uint8)
    lay_over(below, above)
    # 200 * (255 - 127) // 255 = 100
    assert below.tolist() == [[[50, 60, 70, 255], [200] * 4, [110, 120, 130, 227]]]
