"""Plates: every class has one, their shapes and colours are the real ones, and all differ.

Makers: every one is another, measures keep to their part of the range, and a figure is moved only a little."""

import functools
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from roadtest.data.gtsrb_classes import MIRRORED_CLASSES
from roadtest.data.signs.outlines import box
from roadtest.data.signs.plates import (
    FACE_SIZE,
    INKS,
    Distortion,
    Style,
    distorted,
    outline_of,
    patches_of,
    render_plate,
    sample_style,
)

MIDDLE = FACE_SIZE // 2
VARIANTS = range(12)


def style_of(variant: int) -> Style:
    return sample_style(np.random.Generator(np.random.PCG64(variant)))


@functools.cache
def raster_of(label: int, variant: int, *, is_plain: bool = True) -> npt.NDArray[np.uint8]:
    """A plate as its maker draws it, or, plain, without the maker's spread."""
    style = style_of(variant)
    plain = replace(style, distortion=Distortion(), phase_degrees=0.0)
    return render_plate(patches_of(label, plain if is_plain else style))


def ink_at(label: int, x: float, y: float, variant: int = 0) -> str:
    """Name the ink nearest to a plate's colour at a point in plate units."""
    pixel = raster_of(label, variant)[round((y + 1) / 2 * FACE_SIZE), round((x + 1) / 2 * FACE_SIZE)]
    if pixel[3] == 0:
        return "nothing"
    return min(INKS, key=lambda ink: np.abs(np.array(INKS[ink]) * 255 - pixel[:3]).sum())


@pytest.mark.parametrize("label", range(43))
def test_a_plate_fills_its_raster_and_is_premultiplied(label: int) -> None:
    check_raster(label, label % len(VARIANTS))  # every plate, and every maker with some


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_so_does_every_plate_of_every_maker(variant: int) -> None:
    for label in range(43):
        check_raster(label, variant)


def check_raster(label: int, variant: int) -> None:
    raster = raster_of(label, variant, is_plain=False)
    assert raster.shape == (FACE_SIZE, FACE_SIZE, 4) and raster.dtype == np.uint8
    assert (raster[..., :3] <= raster[..., 3:]).all()
    covered = np.flatnonzero((raster[..., 3] > 127).any(axis=0))
    assert covered[0] <= 2 and covered[-1] >= FACE_SIZE - 3


@pytest.mark.parametrize("label", [1, 11, 12, 13, 14])
def test_the_outline_is_the_edge_of_what_is_painted(label: int) -> None:
    covered = raster_of(label, 0)[..., 3] > 127
    outline_P3 = outline_of(patches_of(label, style_of(0)))
    for axis, is_covered in ((0, covered.any(axis=0)), (1, covered.any(axis=1))):
        ends = (np.flatnonzero(is_covered)[[0, -1]] + (0, 1)) / FACE_SIZE * 2 - 1
        np.testing.assert_allclose(ends, (outline_P3[:, axis].min(), outline_P3[:, axis].max()), atol=0.03)


def test_a_triangle_is_wider_than_high() -> None:
    width, height, _ = np.ptp(outline_of(patches_of(25, style_of(0))), axis=0)
    assert 0.86 < height / width < 0.92  # an equilateral one with round corners


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
    assert np.abs(left - right).mean() > 6


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
    for variant in VARIANTS:
        assert "red" not in {ink for ink, _ in patches_of(label, style_of(variant))}
        light = raster_of(label, variant)[..., 1].astype(float)
        crossed, free = (light[rows, 90:102].mean() for rows in (slice(18, 30), slice(90, 102)))
        assert crossed < 0.7 * free  # upper right and lower right; the lines are thinner than the gaps between them


def test_no_overtaking_shows_the_red_vehicle_on_the_left() -> None:
    for label in (9, 10):
        inside = raster_of(label, 0)[MIDDLE - 25 : MIDDLE + 25].astype(np.int64)
        is_red = (inside[..., 0] > 60) & (inside[..., 1] < 30)
        assert is_red[:, MIDDLE - 36 : MIDDLE].sum() > 40 and is_red[:, MIDDLE + 4 : MIDDLE + 36].sum() == 0


def drawn(seed: int, span: tuple[float, float] = (0.0, 1.0)) -> Style:
    return sample_style(np.random.Generator(np.random.PCG64(seed)), span)


def test_two_makers_differ_and_one_is_always_the_same() -> None:
    assert drawn(1) == drawn(1) != drawn(2)


def test_makers_of_two_spans_share_no_measure() -> None:
    low, high = ([drawn(seed, span) for seed in range(20)] for span in ((0.0, 0.6), (0.6, 1.0)))
    for name in ("rim", "weight", "digit_height", "gap", "triangle", "pictogram_scale", "arrow_scale"):
        assert max(getattr(style, name) for style in low) <= min(getattr(style, name) for style in high), name


def test_without_a_wobble_a_figure_stays_as_it_is() -> None:
    figure = box(-0.3, -0.2, 0.4, 0.5)
    np.testing.assert_allclose(distorted(figure, Distortion()), figure)


def test_a_wobble_turns_clockwise_about_its_middle_stretches_and_moves() -> None:
    ((point,),) = distorted([((1.0, 0.5),)], Distortion(turn_degrees=90.0), middle=0.5)
    np.testing.assert_allclose(point, (0.0, 1.5), atol=1e-12)  # from the right to below
    ((point,),) = distorted([((0.5, 0.25),)], Distortion(stretch=(1.2, 0.8), shift=(0.1, -0.1)))
    np.testing.assert_allclose(point, (0.7, 0.1))


def test_drawn_wobbles_move_no_point_far() -> None:
    figure = box(-0.5, -0.5, 0.5, 0.5)
    moves = [np.abs(np.array(distorted(figure, drawn(k).distortion)) - np.array(figure)).max() for k in range(200)]
    assert 0.02 < np.median(moves) < 0.08 and max(moves) < 0.2
