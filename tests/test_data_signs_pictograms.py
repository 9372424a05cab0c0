"""Pictograms: known inks, inside the plate, and sides that are not confused."""

import math
from collections.abc import Callable

import pytest

from roadtest.data.signs import pictograms
from roadtest.data.signs.outlines import Outlines
from roadtest.data.signs.pictograms import Patch

ON_TRIANGLES: list[Callable[[], list[Patch]]] = [
    pictograms.priority_arrow,
    pictograms.exclamation_mark,
    lambda: pictograms.bend(is_right=True),
    lambda: pictograms.bend(is_right=False),
    pictograms.double_bend,
    pictograms.bumps,
    pictograms.skidding_car,
    pictograms.narrowing_on_the_right,
    pictograms.worker,
    pictograms.traffic_lights,
    pictograms.walker,
    pictograms.two_children,
    pictograms.bicycle,
    pictograms.snowflake,
    pictograms.deer,
]


def points(outlines: Outlines) -> list[tuple[float, float]]:
    return [point for outline in outlines for point in outline]


@pytest.mark.parametrize("draw", ON_TRIANGLES)
def test_a_pictogram_stays_in_its_triangle_s_white(draw: Callable[[], list[Patch]]) -> None:
    for _, outlines in draw():
        assert all(-0.58 <= x <= 0.58 and -0.47 <= y <= 0.68 for x, y in points(outlines))


def mean_x(outlines: Outlines) -> float:
    xs = [x for x, _ in points(outlines)]
    return sum(xs) / len(xs)


def test_right_arrows_lean_right_and_left_arrows_are_their_mirror_images() -> None:
    for draw in (pictograms.arrow_turning, pictograms.arrow_ahead_or_aside):
        right, left = draw(is_right=True), draw(is_right=False)
        assert max(x for x, _ in points(right)) > 0.6 > -min(x for x, _ in points(right))
        assert points(left) == [(-x, y) for x, y in points(right)]


def test_keep_right_points_to_the_lower_right() -> None:
    tip = max(points(pictograms.arrow_passing(is_right=True)), key=lambda point: point[0] + point[1])
    assert tip[0] > 0.5 and tip[1] > 0.5
    tip = max(points(pictograms.arrow_passing(is_right=False)), key=lambda point: point[1] - point[0])
    assert tip[0] < -0.5 and tip[1] > 0.5


def test_bends_point_to_their_side() -> None:
    (_, right), (_, left) = pictograms.bend(is_right=True)[0], pictograms.bend(is_right=False)[0]
    assert max(x for x, _ in points(right)) > 0.3 and min(x for x, _ in points(left)) < -0.3
    # the stem comes from the other side of the triangle
    assert mean_x([o for o in right if max(y for _, y in o) > 0.5]) < 0


def test_the_roundabout_s_arrows_are_three_turns_of_one() -> None:
    outlines = pictograms.arrows_round()
    centres = [(sum(x for x, _ in o) / len(o), sum(y for _, y in o) / len(o)) for o in outlines]
    third, a = len(centres) // 3, math.radians(120)
    turned = [(math.cos(a) * x - math.sin(a) * y, math.sin(a) * x + math.cos(a) * y) for x, y in centres]
    assert all(math.dist(p, q) < 1e-6 for p, q in zip(turned, centres[third:], strict=False))


def test_the_roundabout_runs_counter_clockwise_as_traffic_on_the_right_does() -> None:
    head = pictograms.arrows_round()
    first_arrow = head[: len(head) // 3]
    tip, tail = first_arrow[-1][0], first_arrow[0][0]
    # clockwise as seen is a growing angle (y points down); the tip lies counter-clockwise of the tail
    turn = math.degrees(math.atan2(tip[1], tip[0]) - math.atan2(tail[1], tail[0]))
    assert -180 < turn < 0


def test_traffic_lights_are_red_over_yellow_over_green() -> None:
    heights = {ink: sum(y for _, y in points(o)) / len(points(o)) for ink, o in pictograms.traffic_lights()}
    assert heights["red"] < heights["yellow"] < heights["green"]
