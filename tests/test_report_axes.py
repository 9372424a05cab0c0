"""Axes and labels: round ticks inside the range, room for points, names that do not cover each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.report.axes import accuracy_domain, cost_axes, gain_domain, log_ticks, spread
from roadtest.report.labels import place_labels

POSITIVE = st.floats(1e-6, 1e12, allow_nan=False)


def test_wide_ranges_get_powers_of_ten_and_narrow_ones_even_steps() -> None:
    assert log_ticks(5e4, 2e8) == [1e5, 1e6, 1e7, 1e8]
    assert log_ticks(0.1, 40.0) == [0.1, 1.0, 10.0]
    assert log_ticks(0.3, 31.0) == [0.3, 1.0, 3.0, 10.0, 30.0]
    assert log_ticks(500.0, 760.0) == [500.0, 550.0, 600.0, 650.0, 700.0, 750.0]


@given(POSITIVE, st.floats(1.3, 1e9))
def test_ticks_lie_inside_and_are_few(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert 2 <= len(ticks) <= 8
    assert all(low * 0.999 <= tick <= low * factor * 1.001 for tick in ticks)
    assert ticks == sorted(set(ticks))


@given(st.lists(st.tuples(POSITIVE, st.floats(0, 100)), min_size=1, max_size=8))
def test_every_point_lies_inside_its_axes(points: list[tuple[float, float]]) -> None:
    axes = cost_axes([{"cost": cost, "accuracy": accuracy} for cost, accuracy in points])
    assert all(axes.cost[0] < cost < axes.cost[1] for cost, _ in points)
    assert all(axes.accuracy[0] < accuracy < axes.accuracy[1] for _, accuracy in points)
    assert max(axes.accuracy_ticks, default=0.0) <= 100


def test_a_wide_validation_interval_may_leave_the_frame_and_a_test_interval_may_not() -> None:
    rows = [
        {"set": "test", "value": 97.0, "low": 95.0, "high": 98.0},
        {"set": "validation", "value": 98.0, "low": 20.0, "high": 100.0},
    ]
    low, high = accuracy_domain(rows)
    assert 90 < low < 95 and 98 < high <= 100


def test_a_validation_interval_that_is_little_wider_lies_inside() -> None:
    rows = [
        {"set": "test", "value": 95.0, "low": 91.3, "high": 97.1},
        {"set": "validation", "value": 97.4, "low": 91.8, "high": 99.2},
    ]
    low, high = accuracy_domain(rows)
    assert low < 91.3 and 99.2 < high <= 100


def test_the_axis_of_gains_always_shows_zero() -> None:
    low, high = gain_domain([{"set": "test", "value": 2.0, "low": 1.0, "high": 3.0}])
    assert low < 0 < 3.0 < high


def points(*places: tuple[float, float]) -> list[dict[str, object]]:
    return [
        {"label": f"network-{n}", "cost": cost, "accuracy": accuracy, "is_front": True}
        for n, (cost, accuracy) in enumerate(places)
    ]


def test_names_of_neighbours_stand_on_different_sides() -> None:
    rows = points((1.0, 90.0), (100.0, 97.0), (110.0, 97.2))
    place_labels(rows)
    assert rows[1]["place"] != rows[2]["place"]


def test_a_crowd_off_the_front_is_left_to_the_pointer() -> None:
    rows = points(*((10.0 + 0.01 * n, 95.0 + 0.01 * n) for n in range(30)))
    for row in rows[1:]:
        row["is_front"] = False
    place_labels(rows)
    assert rows[0]["place"] != "none"
    assert sum(row["place"] == "none" for row in rows) >= 8


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points_need_no_care(count: int) -> None:
    rows = points(*[(1.0, 50.0)] * count)
    place_labels(rows)
    assert len(rows) == count


def test_names_move_apart_keep_their_order_and_stay_inside() -> None:
    assert spread([50.0, 20.0], 5.0, (0.0, 100.0)) == [50.0, 20.0]
    assert spread([99.0, 99.5, 98.0], 2.0, (90.0, 100.0)) == [97.5, 99.5, 95.5]
    assert spread([90.0, 90.5], 2.0, (90.0, 100.0)) == [90.0, 92.0]
