"""Pictograms: inside the plate, and sides that are not confused."""

import math

import pytest

from roadtest.data.signs.outlines import Outlines
from roadtest.data.signs.pictograms import ARROWS, WARNINGS, ArrowPen, roundabout


def points(outlines: Outlines) -> list[tuple[float, float]]:
    return [point for outline in outlines for point in outline]


@pytest.mark.parametrize("label", WARNINGS)
def test_a_pictogram_stays_in_its_triangle_s_white(label: int) -> None:
    for _, outlines in WARNINGS[label][0]:
        assert all(-0.58 <= x <= 0.58 and -0.47 <= y <= 0.68 for x, y in points(outlines))


@pytest.mark.parametrize(("right", "left"), [(33, 34), (36, 37), (38, 39)])
def test_right_arrows_lean_right_and_left_arrows_are_their_mirror_images(right: int, left: int) -> None:
    arrow, is_mirrored = ARROWS[right]
    xs = [x for x, _ in points(arrow(ArrowPen()))]
    assert max(xs) > 0.5 and not is_mirrored
    assert ARROWS[left] == (arrow, True)


def test_keep_right_points_to_the_lower_right() -> None:
    tip = max(points(ARROWS[38][0](ArrowPen())), key=lambda point: point[0] + point[1])
    assert tip[0] > 0.5 and tip[1] > 0.5


def test_bends_point_to_their_side() -> None:
    (_, left), (_, right) = WARNINGS[19][0][0], WARNINGS[20][0][0]
    assert max(x for x, _ in points(right)) > 0.3 and min(x for x, _ in points(left)) < -0.3
    stem = points([o for o in right if max(y for _, y in o) > 0.5])  # it comes from the other side of the triangle
    assert sum(x for x, _ in stem) < 0


ROUNDABOUT = roundabout(ArrowPen(), is_older=False, phase_degrees=0.0)


def test_the_roundabout_s_arrows_are_three_turns_of_one() -> None:
    centres = [(sum(x for x, _ in o) / len(o), sum(y for _, y in o) / len(o)) for o in ROUNDABOUT]
    third, a = len(centres) // 3, math.radians(120)
    turned = [(math.cos(a) * x - math.sin(a) * y, math.sin(a) * x + math.cos(a) * y) for x, y in centres]
    assert all(math.dist(p, q) < 1e-6 for p, q in zip(turned, centres[third:], strict=False))


def test_the_roundabout_runs_counter_clockwise_as_traffic_on_the_right_does() -> None:
    first_arrow = ROUNDABOUT[: len(ROUNDABOUT) // 3]
    tip, tail = first_arrow[-1][0], first_arrow[0][0]
    # clockwise as seen is a growing angle (y points down); the tip lies counter-clockwise of the tail
    turn = math.degrees(math.atan2(tip[1], tip[0]) - math.atan2(tail[1], tail[0]))
    assert -180 < turn < 0


def test_traffic_lights_are_red_over_yellow_over_green() -> None:
    heights = {ink: sum(y for _, y in points(o)) / len(points(o)) for ink, o in WARNINGS[26][0]}
    assert heights["red"] < heights["yellow"] < heights["green"]
