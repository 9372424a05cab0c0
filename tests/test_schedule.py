"""The curve of the learning rate and the plan of a run, as exact numbers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.protocol import Protocol
from roadtest.schedule import Progress, begin, consider_patience, is_evaluation, is_timed, plan, rate_factor
from tiny import TINY


def planned(protocol: Protocol, *, step: int = 0, train_seconds: float = 0.0, step_seconds: float | None) -> Progress:
    progress = Progress(step=step, train_seconds=train_seconds)
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


def test_a_run_shorter_than_five_epochs_is_evaluated_five_times() -> None:
    protocol = replace(TINY, budget_seconds=1.0, max_epochs=1000)
    assert planned(protocol, step_seconds=0.05).eval_interval == 4  # 20 steps, an epoch is 10


def test_the_epochs_bound_the_budget() -> None:
    progress = planned(replace(TINY, budget_seconds=1e6, max_epochs=7), step_seconds=0.1)
    assert (progress.num_steps, progress.stop_reason) == (70, "max epochs")


def test_without_a_budget_the_plan_stands_before_the_first_step() -> None:
    progress = Progress()
    begin(progress, replace(TINY, max_epochs=4), steps_per_epoch=10, max_steps=None)
    assert progress.num_steps == 40


def test_with_a_budget_the_plan_waits_for_the_clock() -> None:
    progress, protocol = Progress(), replace(TINY, budget_seconds=60.0)
    begin(progress, protocol, steps_per_epoch=10, max_steps=None)
    assert progress.num_steps is None
    assert not is_timed(replace_step(progress, 6), protocol, steps_per_epoch=10, timed_seconds=1.7)  # 3 % are 1.8 s
    assert is_timed(replace_step(progress, 6), protocol, steps_per_epoch=10, timed_seconds=1.8)
    assert not is_timed(replace_step(progress, 5), protocol, steps_per_epoch=10, timed_seconds=9.0)  # too few steps


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


def test_the_last_step_is_always_evaluated() -> None:
    progress = Progress(step=17, num_steps=17, eval_interval=5)
    assert is_evaluation(progress)


def replace_step(progress: Progress, step: int) -> Progress:
    return replace(progress, step=step)
