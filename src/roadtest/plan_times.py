"""What runs will take, from a few timed steps: pure arithmetic, no clock, no files.

A run's steps come from the very functions that plan a real run (roadtest.schedule). Two things are not known before:
how steps vary (the slowest and the fastest tenth of the timed ones bound it) and when early stopping ends a run
(between the first moment at which it can, and the last step there is; or, where runs of the same network are
finished, as they did).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roadtest.protocol import Protocol
from roadtest.schedule import Progress, branches, consider_patience, plan

if TYPE_CHECKING:
    from roadtest.speed import Speed

TENTH = 10.0
"""Percentile of the timed steps that bounds a time from below; 100 minus it bounds it from above. Convention."""
NUM_LATENCY_VISITS = 10
LATENCY_SECONDS = 0.5
"""Rounds times batch sizes, and the least of each visit: warm-up and samples (roadtest.cost.measure_latency)."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A number that is not known before: its bounds, and what to expect where that can be said."""

    low: float
    high: float
    expected: float | None

    def __add__(self, other: "Span") -> "Span":
        is_known = self.expected is not None and other.expected is not None
        expected = (self.expected or 0.0) + (other.expected or 0.0) if is_known else None
        return Span(low=self.low + other.low, high=self.high + other.high, expected=expected)

    def __mul__(self, factor: float) -> "Span":
        expected = None if self.expected is None else self.expected * factor
        return Span(low=self.low * factor, high=self.high * factor, expected=expected)


NOTHING = Span(low=0.0, high=0.0, expected=0.0)


@dataclass(frozen=True, kw_only=True)
class RunTime:
    """What one run of a network will take."""

    epochs: Span
    train: Span
    """Training seconds, on the clock of the record."""
    whole: Span
    """Seconds from start to record: with start, evaluations, annealed copies and the last look at all images."""
    is_open: bool
    """Early stopping may end it anywhere between the bounds."""


def step_span(speed: "Speed") -> Span:
    """Seconds of a training step: the fastest tenth, the median, the slowest tenth."""
    low, middle, high = np.percentile(speed.step_seconds, (TENTH, 50.0, 100.0 - TENTH)).tolist()
    return Span(low=low, high=high, expected=middle)


def run_time(
    speed: "Speed", protocol: Protocol, *, num_test: int, anneals: bool, finished_epochs: Sequence[float] = ()
) -> RunTime:
    """Predict one run; `finished_epochs` are those of finished runs of the same network in this study."""
    step = step_span(speed)
    assert step.expected is not None
    latest = _planned(speed, protocol, step.expected)
    earliest = _stopped_early(latest, protocol)
    assert latest.num_steps is not None and earliest.num_steps is not None
    is_open = earliest.num_steps < latest.num_steps
    steps = Span(low=earliest.num_steps, high=latest.num_steps, expected=latest.num_steps)
    if is_open and finished_epochs:
        seen = [min(epochs * speed.steps_per_epoch, latest.num_steps) for epochs in finished_epochs]
        steps, is_open = Span(low=min(seen), high=max(seen), expected=sum(seen) / len(seen)), False
    elif is_open and protocol.budget_seconds is None:
        steps = Span(low=steps.low, high=steps.high, expected=None)
    train = _product(steps, step)
    beside = NOTHING
    if anneals:
        beside = _branch_time(latest, protocol, step, speed)
        beside = Span(low=_branch_time(earliest, protocol, step, speed).low, high=beside.high, expected=beside.expected)
    rows = (steps * (1 / latest.eval_interval)) * (speed.num_row_images / speed.eval_images_per_second)
    last = (speed.num_final_images + num_test) / speed.eval_images_per_second + speed.start_seconds
    whole = train + beside + rows + Span(low=last, high=last, expected=last)
    return RunTime(epochs=steps * (1 / speed.steps_per_epoch), train=train, whole=whole, is_open=is_open)


def sweep_time(speed: "Speed", protocol: Protocol) -> Span:
    """Seconds in which a network's learning rate is found; each trial trains by the clock and evaluates once."""
    seconds = len(protocol.sweep_rates) * (protocol.sweep_seconds + speed.num_row_images / speed.eval_images_per_second)
    spread = step_span(speed)
    assert spread.expected is not None
    whole = seconds + speed.start_seconds
    return Span(low=whole * spread.low / spread.expected, high=whole * spread.high / spread.expected, expected=whole)


def latency_time(speed: "Speed") -> float:
    """Seconds in which a network's latency is measured, after the last run."""
    forward_seconds = 64 / speed.eval_images_per_second
    return NUM_LATENCY_VISITS * LATENCY_SECONDS + NUM_LATENCY_VISITS / 2 * 4 * forward_seconds


def side_by_side(runs: Sequence[Span], num_parallel: int) -> Span:
    """All runs, so many at a time: never less than the longest."""
    total = sum(runs, NOTHING) * (1 / num_parallel)
    longest = max((run.high for run in runs), default=0.0)
    lengths = [max(total.low, max((run.low for run in runs), default=0.0)), max(total.high, longest)]
    expected = None
    if total.expected is not None:
        expected = max(total.expected, max((run.expected or 0.0 for run in runs), default=0.0))
    return Span(low=lengths[0], high=lengths[1], expected=expected)


def _planned(speed: "Speed", protocol: Protocol, step_seconds: float) -> Progress:
    """The plan of a run that nothing stops early."""
    progress = Progress()
    plan(progress, protocol, steps_per_epoch=speed.steps_per_epoch, max_steps=None, step_seconds=step_seconds)
    return progress


def _stopped_early(latest: Progress, protocol: Protocol) -> Progress:
    """The same run where no evaluation after the first is better, as patience ends it."""
    progress = Progress(**vars(latest))
    for number in range(1, protocol.patience + 2):
        progress.step = number * latest.eval_interval
        if progress.step < progress.decay_start:
            consider_patience(progress, protocol, val_loss=1.0)
    return progress


def _branch_time(progress: Progress, protocol: Protocol, step: Span, speed: "Speed") -> Span:
    found = branches(progress, protocol)
    num_steps = sum(branch.num_steps - branch.first_step for branch in found)
    look = len(found) * speed.num_row_images / speed.eval_images_per_second
    return step * num_steps + Span(low=look, high=look, expected=look)


def _product(steps: Span, step: Span) -> Span:
    is_known = steps.expected is not None and step.expected is not None
    expected = (steps.expected or 0.0) * (step.expected or 0.0) if is_known else None
    return Span(low=steps.low * step.low, high=math.ceil(steps.high) * step.high, expected=expected)
