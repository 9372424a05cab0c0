"""Plates: every class has one, their shapes and colours are the real ones, and all differ."""

import numpy as np
import pytest

from roadtest.data.gtsrb_names import MIRRORED_CLASSES
from roadtest.data.signs.plates import FACE_SIZE, INKS, STYLES, patches_of, raster_of

MIDDLE = FACE_SIZE // 2
VARIANTS = range(len(STYLES))


def ink_at(label: int, x: float, y: float, variant: int = 0) -> str:
    """Name the ink nearest to a plate's colour at a point in plate units."""
    pixel = raster_of(label, variant)[round((y + 1) / 2 * FACE_SIZE), round((x + 1) / 2 * FACE_SIZE)]
    if pixel[3] == 0:
        return "nothing"
    return min(INKS, key=lambda ink: np.abs(np.array(INKS[ink]) * 255 - pixel[:3]).sum())


@pytest.mark.parametrize("label", range(43))
def test_a_plate_fills_its_raster_and_is_premultiplied(label: int) -> None:
    check_raster(label, label % len(STYLES))  # every plate, and every style with some


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_so_does_every_plate_in_every_style(variant: int) -> None:
    for label in range(43):
        check_raster(label, variant)


def check_raster(label: int, variant: int) -> None:
    raster = raster_of(label, variant)
    assert raster.shape == (FACE_SIZE, FACE_SIZE, 4) and raster.dtype == np.uint8
    assert (raster[..., :3] <= raster[..., 3:]).all()
    covered = np.flatnonzero((raster[..., 3] > 127).any(axis=0))
    assert covered[0] <= 2 and covered[-1] >= FACE_SIZE - 3


def test_a_raster_cannot_be_changed_by_its_users() -> None:
    with pytest.raises(ValueError, match="read-only"):
        raster_of(0, 0)[0, 0] = 1


def test_all_plates_differ_clearly() -> None:
    plates = [raster_of(label, 0).astype(np.int64) for label in range(43)]
    for a in range(43):
        for b in range(a):
            assert np.abs(plates[a] - plates[b]).mean() > 1.0, (a, b)


@pytest.mark.parametrize("pair", MIRRORED_CLASSES)
def test_mirrored_classes_are_mirror_images(pair: tuple[int, int]) -> None:
    left, right = (raster_of(label, 0).astype(np.int64) for label in pair)
    # polygons are filled to whole fine pixels, a quarter of ours: edges may differ by one, areas may not
    assert np.abs(left - right[:, ::-1]).mean() < 2.2
    assert np.abs(left - right).mean() > 9


@pytest.mark.parametrize(
    ("label", "x", "y", "ink"),
    [
        (1, 0.0, -0.86, "red"),  # rim of a limit
        (1, 0.0, -0.55, "white"),
        (15, 0.0, 0.0, "white"),
        (17, 0.0, 0.0, "white"),
        (17, 0.0, -0.5, "red"),
        (12, 0.0, 0.0, "yellow"),
        (12, -0.8, 0.0, "white"),
        (14, 0.0, 0.6, "red"),
        (13, 0.0, -0.2, "white"),
        (13, 0.0, -0.78, "red"),
        (13, -0.9, 0.5, "nothing"),
        (18, -0.9, -0.5, "nothing"),
        (18, 0.0, 0.0, "black"),
        (26, 0.0, 0.45, "green"),
        (33, 0.8, 0.3, "blue"),
        (35, 0.0, 0.0, "white"),
        (40, 0.0, 0.0, "blue"),
    ],
)
def test_a_plate_has_the_right_colour_in_the_right_place(label: int, x: float, y: float, ink: str) -> None:
    assert ink_at(label, x, y) == ink


@pytest.mark.parametrize("label", [6, 32, 41, 42])
def test_ends_of_limits_have_no_red_and_are_crossed_from_the_lower_left(label: int) -> None:
    for variant, style in enumerate(STYLES):
        assert "red" not in {ink for ink, _ in patches_of(label, style)}
        light = raster_of(label, variant)[..., 1].astype(float)
        crossed, free = (light[rows, 90:102].mean() for rows in (slice(18, 30), slice(90, 102)))
        assert crossed < 0.7 * free  # upper right and lower right; the lines are thinner than the gaps between them


def test_no_overtaking_shows_the_red_vehicle_on_the_left() -> None:
    for label in (9, 10):
        inside = raster_of(label, 0)[MIDDLE - 25 : MIDDLE + 25].astype(np.int64)
        is_red = (inside[..., 0] > 60) & (inside[..., 1] < 30)
        assert is_red[:, MIDDLE - 38 : MIDDLE].sum() > 40 and is_red[:, MIDDLE + 4 : MIDDLE + 38].sum() == 0
