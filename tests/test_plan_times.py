"""What runs will take, as exact arithmetic."""

from dataclasses import replace

import pytest

from roadtest.plan_times import NOTHING, Span, latency_time, run_time, side_by_side, step_span, sweep_time
from roadtest.protocol import GTSRB_V1
from roadtest.speed import Speed

SPEED = Speed(
    precision="float32",
    batch_size=128,
    steps_per_epoch=100,
    num_row_images=5_000,
    num_final_images=20_000,
    step_seconds=(0.1,) * 11,
    eval_images_per_second=10_000.0,
    start_seconds=8.0,
    peak_memory_bytes=10**9,
    weights_bytes=10**6,
    state_bytes=2 * 10**6,
    is_busy=False,
)
SURE = replace(GTSRB_V1, patience=0)


def test_steps_are_bounded_by_their_tenths() -> None:
    speed = replace(SPEED, step_seconds=tuple(n / 10 for n in range(11)))  # 0.0, 0.1, ... 1.0
    span = step_span(speed)
    assert (span.low, span.expected, span.high) == pytest.approx((0.1, 0.5, 0.9))


def test_without_early_stopping_a_run_is_its_epochs_and_what_surrounds_them() -> None:
    time = run_time(SPEED, replace(SURE, max_epochs=10), num_test=10_000, anneals=False)
    assert not time.is_open
    assert (time.epochs.low, time.epochs.expected, time.epochs.high) == (10, 10, 10)
    assert time.train.expected == pytest.approx(100.0)  # 1,000 steps of 0.1 s
    # 10 rows of 0.5 s, 8 s to start, 30,000 images at the end
    assert time.whole.expected == pytest.approx(100.0 + 5.0 + 8.0 + 3.0)
    assert time.whole.low == time.whole.high == time.whole.expected


def test_a_budget_bounds_the_steps_and_the_epochs_bound_the_budget() -> None:
    time = run_time(SPEED, replace(SURE, budget_seconds=60.0), num_test=0, anneals=False)
    assert (time.train.expected, time.epochs.expected) == (pytest.approx(60.0), pytest.approx(6.0))
    long = run_time(SPEED, replace(SURE, budget_seconds=6000.0, max_epochs=10), num_test=0, anneals=False)
    assert long.train.expected == pytest.approx(100.0)


def test_the_spread_of_the_steps_is_the_spread_of_the_time() -> None:
    speed = replace(SPEED, step_seconds=(0.08, 0.08, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.13, 0.13))
    time = run_time(speed, replace(SURE, max_epochs=10), num_test=0, anneals=False)
    assert (time.train.low, time.train.expected, time.train.high) == pytest.approx((80.0, 100.0, 130.0))


def test_early_stopping_leaves_a_run_open_between_the_first_moment_and_the_last_epoch() -> None:
    # Patience 8: the ninth evaluation may be the eighth without progress; then a decay of 0.4 / 0.6 as long: 15 epochs.
    time = run_time(SPEED, GTSRB_V1, num_test=0, anneals=False)
    assert time.is_open
    assert (time.epochs.low, time.epochs.expected, time.epochs.high) == (15, None, 100)
    assert (time.train.low, time.train.expected, time.train.high) == (pytest.approx(150.0), None, pytest.approx(1000.0))
    assert time.whole.expected is None


def test_a_budget_is_expected_to_be_used_up_though_patience_may_end_it_earlier() -> None:
    time = run_time(SPEED, replace(GTSRB_V1, budget_seconds=300.0), num_test=0, anneals=False)
    assert time.is_open
    assert (time.epochs.low, time.epochs.expected, time.epochs.high) == (15, 30, 30)


def test_a_run_too_short_for_patience_is_not_open() -> None:
    assert not run_time(SPEED, replace(GTSRB_V1, budget_seconds=100.0), num_test=0, anneals=False).is_open


def test_finished_runs_of_the_network_say_when_early_stopping_ends_one() -> None:
    time = run_time(SPEED, GTSRB_V1, num_test=0, anneals=False, finished_epochs=(20.0, 30.0, 25.0))
    assert not time.is_open
    assert (time.epochs.low, time.epochs.expected, time.epochs.high) == (20, 25, 30)


def test_annealed_copies_take_three_tenths_more() -> None:
    protocol = replace(SURE, max_epochs=10)
    alone, annealed = (run_time(SPEED, protocol, num_test=0, anneals=anneals) for anneals in (False, True))
    assert annealed.train == alone.train  # the run's own clock
    # 0.4 of 250 and of 500 steps at 0.1 s, and an evaluation of each
    assert annealed.whole.high - alone.whole.high == pytest.approx(10.0 + 20.0 + 2 * 0.5)


def test_a_run_that_patience_ends_has_fewer_copies() -> None:
    # Ended as early as can be, at 900 of 10,000 steps: neither branch point, 1,500 and 3,000, is reached.
    alone, annealed = (run_time(SPEED, GTSRB_V1, num_test=0, anneals=anneals) for anneals in (False, True))
    assert annealed.whole.low == alone.whole.low
    assert annealed.whole.high - alone.whole.high == pytest.approx(300.0 + 2 * 0.5)


def test_a_sweep_is_its_seconds_and_its_evaluations() -> None:
    protocol = replace(SURE, sweep_rates=(0.1, 0.2), sweep_seconds=60.0)
    assert sweep_time(SPEED, protocol).expected == pytest.approx(2 * (60.0 + 0.5) + 8.0)


def test_latency_takes_its_visits_and_more_for_a_slow_network() -> None:
    assert latency_time(SPEED) == pytest.approx(5.0, abs=0.2)
    assert latency_time(replace(SPEED, eval_images_per_second=64.0)) == pytest.approx(5.0 + 20.0)


def test_runs_side_by_side_take_their_share_and_never_less_than_the_longest() -> None:
    one = Span(low=5.0, high=20.0, expected=10.0)
    assert side_by_side([one] * 4, 2) == Span(low=10.0, high=40.0, expected=20.0)
    assert side_by_side([one], 4) == one
    assert side_by_side([one, Span(low=1.0, high=30.0, expected=None)], 1) == Span(low=6.0, high=50.0, expected=None)
    assert side_by_side([], 2) == NOTHING
