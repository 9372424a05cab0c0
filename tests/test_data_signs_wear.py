"""Wear changes paint, never the outline."""

import numpy as np

from roadtest.data.signs.makers import draw_style
from roadtest.data.signs.plates import draw_plate, patches_of
from roadtest.data.signs.wear import wear_plate

PLATE = draw_plate(patches_of(1, draw_style(np.random.Generator(np.random.PCG64(0)))))


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
