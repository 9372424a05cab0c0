"""The curve of the learning rate and the plan of a run, as exact numbers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.protocol import Protocol
from roadtest.training.schedule import (
    Cooldown,
    TrainProgress,
    begin_cooldown,
    consider_patience,
    cooldown_at,
    is_evaluation,
    is_pause,
    is_timed,
    plan,
    planned_cooldowns,
    rate_factor,
    warmup_within,
)
from tiny import TINY


def planned(
    protocol: Protocol, *, step: int = 0, train_seconds: float = 0.0, step_seconds: float | None
) -> TrainProgress:
    progress = TrainProgress(step=step, train_seconds=train_seconds)
    plan(progress, protocol, steps_per_epoch=10, max_steps=None, step_seconds=step_seconds)
    return progress


def test_the_rate_rises_stays_and_falls_to_nearly_zero() -> None:
    # warm-up 3: 1/4 2/4 3/4 1; decay from step 6 to 10 over 4 + 1 parts: 4/5 3/5 2/5 1/5
    factors = [rate_factor(s, warmup_steps=3, decay_start=6, num_steps=10) for s in range(10)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_before_the_plan_the_rate_only_warms_up() -> None:
    assert [rate_factor(s, warmup_steps=1, decay_start=0, num_steps=None) for s in (0, 1, 50)] == [0.5, 1, 1]


def test_a_budget_becomes_the_steps_that_are_left_at_the_timed_speed() -> None:
    # 60 s, of which 10 are gone in 20 steps; 0.5 s a step leave 100 steps: 120 in all, the last 40 % of them decaying
    protocol = replace(TINY, budget_seconds=60.0, max_epochs=1000, decay_fraction=0.4, warmup_steps=100)
    progress = planned(protocol, step=20, train_seconds=10.0, step_seconds=0.5)
    assert (progress.num_steps, progress.decay_start, progress.stop_reason) == (120, 72, "budget")
    assert progress.warmup_steps == 12  # a tenth of the run, where that is less than the protocol's
    assert progress.eval_interval == 10  # once an epoch


@pytest.mark.parametrize("budget", [1.0, 0.4])
def test_a_run_shorter_than_five_epochs_is_evaluated_five_times_and_one_shorter_than_an_epoch_twice(
    budget: float,
) -> None:
    protocol = replace(TINY, budget_seconds=budget, max_epochs=1000)
    assert planned(protocol, step_seconds=0.05).eval_interval == 4  # of 20 steps or of 8, an epoch is 10


def test_the_epochs_bound_the_budget() -> None:
    progress = planned(replace(TINY, budget_seconds=1e6, max_epochs=7), step_seconds=0.1)
    assert (progress.num_steps, progress.stop_reason) == (70, "max epochs")


@pytest.mark.parametrize(
    ("step", "steps_per_epoch", "budget", "max_epochs", "seconds", "is_enough"),
    [
        # 3 % of a minute are 1.8 s, after at least three timed steps
        (6, 10, 60.0, 1000, 1.7, False),
        (6, 10, 60.0, 1000, 1.8, True),
        (5, 10, 60.0, 1000, 9.0, False),
        # 3 % of half an hour are 54 s: half a minute is enough, and 5 s where an epoch ends
        (6, 10, 1800.0, 1000, 29.0, False),
        (6, 10, 1800.0, 1000, 30.0, True),
        (10, 10, 1800.0, 1000, 4.9, False),
        (10, 10, 1800.0, 1000, 5.0, True),
        # 100 epochs of one step of 10 ms, a second in all, fit into a minute twice: planned at step 8
        (7, 1, 60.0, 100, 0.04, False),
        (8, 1, 60.0, 100, 0.05, True),
        (8, 1, 60.0, 100, 1.7, False),  # 34 s do not fit twice
        (276, 276, 60.0, 100, 0.2, False),  # a twentieth of 27,600 steps is not reached
    ],
)
def test_a_speed_is_known_after_enough_seconds_or_a_twentieth_of_ample_epochs(
    step: int, steps_per_epoch: int, budget: float, max_epochs: int, seconds: float, is_enough: bool
) -> None:
    protocol = replace(TINY, budget_seconds=budget, max_epochs=max_epochs)
    progress = TrainProgress(step=step)
    assert is_timed(progress, protocol, steps_per_epoch=steps_per_epoch, timed_seconds=seconds) == is_enough


def test_the_warm_up_before_the_plan_is_a_tenth_of_a_short_run() -> None:
    protocol = replace(TINY, warmup_steps=100)
    assert [warmup_within(steps, protocol) for steps in (5, 70, 27_600)] == [1, 7, 100]


def test_only_a_budget_waits_for_the_clock_before_the_plan() -> None:
    progress = TrainProgress()
    plan(progress, replace(TINY, budget_seconds=60.0), steps_per_epoch=10)
    assert progress.num_steps is None
    plan(progress, replace(TINY, max_epochs=4), steps_per_epoch=10)
    assert progress.num_steps == 40
    plan(progress, replace(TINY, budget_seconds=60.0), steps_per_epoch=10, max_steps=7)
    assert (progress.num_steps, progress.stop_reason) == (7, "max steps")


def test_patience_counts_evaluations_without_a_lower_loss_and_shortens_the_run() -> None:
    protocol = replace(TINY, patience=2, decay_fraction=0.5, max_epochs=100)
    progress = planned(protocol, step_seconds=None)
    for step, loss in ((10, 1.0), (20, 0.5), (30, 0.6), (40, 0.55)):
        progress.step = step
        consider_patience(progress, protocol, loss)
    assert (progress.decay_start, progress.num_steps, progress.stop_reason) == (40, 80, "patience")


def test_patience_is_over_once_the_decay_began() -> None:
    protocol = replace(TINY, patience=1, decay_fraction=0.5, max_epochs=10)
    progress = planned(protocol, step_seconds=None)
    progress.step = 60
    for loss in (1.0, 2.0, 3.0):
        consider_patience(progress, protocol, loss)
    assert (progress.num_steps, progress.stop_reason) == (100, "max epochs")


@given(
    num_steps=st.integers(1, 5000), decay=st.floats(0.0, 0.99), warmup=st.integers(1, 500), step=st.integers(0, 4999)
)
def test_the_rate_is_never_negative_never_above_one_and_never_zero(
    num_steps: int, decay: float, warmup: int, step: int
) -> None:
    decay_start = num_steps - int(num_steps * decay)
    factor = rate_factor(min(step, num_steps - 1), warmup_steps=warmup, decay_start=decay_start, num_steps=num_steps)
    assert 0 < factor <= 1


def test_branches_leave_where_the_shorter_run_would_begin_to_decay() -> None:
    # 400 steps: a quarter is 100, of which 40 decay, and a half 200, of which 80 do
    progress = planned(replace(TINY, max_epochs=40, decay_fraction=0.4), step_seconds=None)
    found = planned_cooldowns(progress, TINY)
    assert found == [
        Cooldown(budget_fraction=0.25, first_step=60, num_steps=100),
        Cooldown(budget_fraction=0.5, first_step=120, num_steps=200),
    ]
    progress.step = 60
    assert cooldown_at(progress, TINY) == found[0]
    assert is_pause(progress, TINY, steps_per_epoch=1000)
    progress.step = 61
    assert cooldown_at(progress, TINY) is None


@pytest.mark.parametrize(
    ("step", "times_together", "is_over"),
    [(1, True, True), (3, True, True), (4, True, False), (4, False, True), (50, True, True)],
)
def test_before_the_plan_a_stretch_is_a_step_or_where_steps_are_timed_together_several(
    step: int, times_together: bool, is_over: bool
) -> None:
    progress = TrainProgress(step=step)
    assert is_pause(progress, TINY, steps_per_epoch=50, times_together=times_together) == is_over


def test_before_the_plan_there_is_no_branch() -> None:
    assert planned_cooldowns(TrainProgress(), TINY) == []


def test_a_branch_is_evaluated_once_at_its_end_where_its_rate_is_as_low_as_a_runs() -> None:
    progress = planned(replace(TINY, max_epochs=40, decay_fraction=0.4), step_seconds=None)
    progress.step = 60
    begin_cooldown(progress, planned_cooldowns(progress, TINY)[0])
    evaluated = [step for step in range(61, 101) if is_evaluation(replace(progress, step=step))]
    assert evaluated == [100]
    last = rate_factor(99, warmup_steps=1, decay_start=progress.decay_start, num_steps=progress.num_steps)
    assert last == pytest.approx(1 / 41)


def test_branches_are_fractions_of_the_budget_also_where_the_epochs_end_the_run_earlier() -> None:
    # The budget would pay for 1,000 steps, the epochs end it at 400: half of the budget is more than that.
    protocol = replace(TINY, budget_seconds=100.0, max_epochs=40, decay_fraction=0.4)
    progress = planned(protocol, step_seconds=0.1)
    assert (progress.budget_steps, progress.num_steps) == (1000, 400)
    assert [(branch.first_step, branch.num_steps) for branch in planned_cooldowns(progress, protocol)] == [(150, 250)]


def test_patience_takes_away_the_branches_that_the_run_never_reaches() -> None:
    protocol = replace(TINY, patience=2, decay_fraction=0.4, max_epochs=40)
    progress = planned(protocol, step_seconds=None)
    for step, loss in ((60, 1.0), (70, 2.0), (80, 2.0)):
        progress.step = step
        consider_patience(progress, protocol, loss)
    assert progress.budget_steps == 400
    (quarter,) = planned_cooldowns(progress, protocol)  # the half begins at step 120
    assert quarter.num_steps == 100


def test_a_run_of_a_few_steps_has_no_branch_without_a_decay() -> None:
    progress = planned(replace(TINY, max_epochs=1, decay_fraction=0.4), step_seconds=None)
    (half,) = planned_cooldowns(progress, TINY)  # a quarter, 2 steps, has no step to decay
    assert half.num_steps == 5


def test_the_last_step_is_always_evaluated() -> None:
    progress = TrainProgress(step=17, num_steps=17, eval_interval=5)
    assert is_evaluation(progress)
