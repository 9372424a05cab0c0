"""Outlines: where their corners lie, which way they turn, what mirroring does.

Lettering: it fits its box, is centred, and no two characters are alike."""

import math
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from roadtest.data.signs.outlines import (
    CENTRE_LINES,
    arc,
    arrow_head,
    box,
    circle,
    curve,
    place,
    rounded,
    stroke,
    write,
)


def area(outline: tuple[tuple[float, float], ...]) -> float:
    """The shoelace formula; positive for outlines that run clockwise as seen (y points down)."""
    pairs = zip(outline, outline[1:] + outline[:1], strict=True)
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs) / 2


def test_a_circle_has_nearly_its_area() -> None:
    (outline,) = circle(0.3, -0.2, 0.5)
    assert area(outline) == pytest.approx(math.pi * 0.25, rel=0.01)


def test_an_arc_starts_and_ends_where_it_says() -> None:
    points = arc(1.0, 1.0, 2.0, 1.0, 0, 90)
    assert points[0] == pytest.approx((3.0, 1.0)) and points[-1] == pytest.approx((1.0, 2.0))  # 90 degrees is down


def test_a_curve_is_pulled_but_keeps_its_ends() -> None:
    points = curve((0, 0), (1, 1), (2, 0), num_points=3)
    assert points == [(0, 0), pytest.approx((1.0, 0.5)), (2, 0)]  # the middle is 1/4 + 2/4 + 1/4 of the three


def test_a_stroke_is_as_wide_as_its_pen() -> None:
    (outline,) = stroke([(0, 0), (2, 0)], 0.5)
    assert sorted(outline) == [(0, -0.25), (0, 0.25), (2, -0.25), (2, 0.25)]


def test_a_stroke_s_joints_are_round_and_its_ends_only_on_request() -> None:
    bent = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]
    assert len(stroke(bent, 0.1)) == 2 + 1
    assert len(stroke(bent, 0.1, has_round_ends=True)) == 2 + 3


def test_a_repeated_point_is_no_segment() -> None:
    assert len(stroke([(0, 0), (0, 0), (1, 0)], 0.1)) == 1 + 1


def test_an_arrow_head_points_where_it_is_told() -> None:
    (outline,) = arrow_head((0.0, -1.0), 270, 0.5, 0.8, notch=0.2)
    assert outline[0] == (0.0, -1.0)  # the tip; 270 degrees is up, so the back lies below it
    assert outline[1] == pytest.approx((0.4, -0.5)) and outline[3] == pytest.approx((-0.4, -0.5))
    assert outline[2] == pytest.approx((0.0, -0.6))


def test_rounding_a_square_takes_four_corners_of_it() -> None:
    (outline,) = rounded([(-1, -1), (1, -1), (1, 1), (-1, 1)], 0.5)
    # each corner loses r^2 (1 - pi / 4)
    assert area(outline) == pytest.approx(4 - 4 * 0.25 * (1 - math.pi / 4), rel=0.01)
    assert max(x for x, _ in outline) == pytest.approx(1.0)


def test_mirroring_swaps_left_and_right_and_nothing_else() -> None:
    (outline,) = place(box(0.1, -0.5, 0.4, 0.2), is_mirrored=True)
    assert {x for x, _ in outline} == {-0.1, -0.4} and {y for _, y in outline} == {-0.5, 0.2}


def test_placing_scales_then_turns_clockwise_then_moves() -> None:
    ((point,),) = place([((1.0, 0.0),)], scale=2, degrees=90, x=5, y=1)
    assert point == pytest.approx((5.0, 3.0))  # right becomes down


def drawn(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    image = Image.new("L", (40, 60))
    pen = ImageDraw.Draw(image)
    for outline in write(text, height=0.9, width=0.6, weight=0.16, gap=0.1):
        pen.polygon([(20 + 60 * x, 30 + 60 * y) for x, y in outline], fill=255)
    return np.asarray(image) > 0


def test_every_character_of_the_signs_can_be_written() -> None:
    assert set("20305060708010012" + "STOP") <= set(CENTRE_LINES)


@pytest.mark.parametrize("text", ["20", "120", "STOP"])
def test_a_line_is_centred_and_as_high_as_asked(text: str) -> None:
    points = np.array(
        [point for outline in write(text, height=0.8, width=0.4, weight=0.1, gap=0.1) for point in outline]
    )
    low, high = points.min(axis=0), points.max(axis=0)
    assert high[1] - low[1] == pytest.approx(0.8, abs=0.11)  # joints may round a corner by half a pen
    assert low[0] + high[0] == pytest.approx(0.0, abs=0.06) and low[1] + high[1] == pytest.approx(0.0, abs=0.06)


def test_no_two_characters_look_alike() -> None:
    pictures = {character: drawn(character) for character in CENTRE_LINES if character != "O"}  # O is drawn as 0
    for a, b in combinations(pictures, 2):
        differing = np.count_nonzero(pictures[a] != pictures[b])
        assert differing > 0.12 * np.count_nonzero(pictures[a] | pictures[b]), (a, b)
