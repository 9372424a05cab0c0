"""The rules behind the words under the plots: when a run did not converge, under-fits, over-fits or collapsed.

Each rule reads what a run left behind and answers yes or no (or None: too little to tell); its thresholds have names,
and docs/statistics.md lists them. All are conventions: they say where a look pays, and choose nothing. The sentences
are in finding_words.py.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roadtest.record import EpochRow, RunRecord, read_epochs
from roadtest.summarise import Estimate, Results, Variant

MIN_ROWS = 6
"""Fewer evaluations at the constant rate say nothing about where the loss was going."""
STILL_FALLING = 0.05
"""Did not converge: the validation loss of the last third lies so much of itself below that of the middle third."""
UNDERFIT_ERROR = 0.02
"""Under-fits: at least this share of the training images is wrong ..."""
UNDERFIT_SHARE = 0.5
"""... and that is at least this part of the error in validation: most of what is wrong was never learnt."""
OVERFIT_GAP, OVERFIT_SHARE = 0.02, 0.25
"""Over-fits: the error in validation is so much above that in training, which is at most this part of it; ..."""
OVERFIT_RISE, OVERFIT_NATS = 0.1, 0.01
"""... or the validation loss ends so much of itself, and so many nats, above its lowest, while training fell on."""
COLLAPSE_POINTS = 10.0
"""Collapsed: validation accuracy so many points below the median of at least three seeds ..."""
COLLAPSE_SHARE = 0.1
"""... or not this share of the way from guessing (one in the number of classes) to faultless."""
DATA_SHARE = 0.5
"""Making batches takes so much of the training time: the data, not the network, sets the pace."""
DOMINATES = 2.0
"""One cost dominates: the networks lie at least so many times as far apart in it as in any other."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How the runs of one network trained: for each word the seeds that show it."""

    label: str
    num_runs: int
    """Runs that were trained long enough to ask."""
    num_told: int
    """Of them those with evaluations enough to ask whether they converged."""
    unconverged: tuple[int, ...]
    underfitting: tuple[int, ...]
    overfitting: tuple[int, ...]
    collapsed: tuple[int, ...]
    train_error: float
    """Mean over the runs, with the final weights, of all training images; a fraction."""
    val_error: float


def find_fit(results: Results, variant: Variant) -> Fit | None:
    """Apply the rules to all runs of a network; None where none saw enough to be asked."""
    if not variant.is_compared:
        return None
    runs = [(record, _rows(results, record)) for record in variant.records]
    told = [(record, has_converged(record, rows)) for record, rows in runs]
    lost = collapsed_seeds(variant.records)
    return Fit(
        label=variant.label,
        num_runs=len(runs),
        num_told=sum(answer is not None for _, answer in told),
        unconverged=tuple(record.seed for record, answer in told if answer is False),
        underfitting=_seeds(variant.records, under_fits),
        overfitting=tuple(record.seed for record, rows in runs if over_fits(record, rows)),
        collapsed=lost,
        train_error=statistics.fmean(1 - record.train.accuracy for record in variant.records),
        val_error=statistics.fmean(1 - record.val.accuracy for record in variant.records),
    )


def has_converged(record: RunRecord, rows: Sequence[EpochRow]) -> bool | None:
    """Whether the loss had stopped falling when the constant rate ended; None with too few evaluations to tell.

    Patience ends a run where nothing improves any more. A budget or the last epoch may end it before.
    """
    if record.stop_reason == "patience":
        return True
    top = max((row.learning_rate for row in rows), default=0.0)
    losses = [row.val.loss for row in rows if row.learning_rate >= 0.999 * top and row.val_num_seen]
    if len(losses) < MIN_ROWS:
        return None
    third = len(losses) // 3
    last, middle = statistics.median(losses[-third:]), statistics.median(losses[-2 * third : -third])
    return last > (1 - STILL_FALLING) * middle


def under_fits(record: RunRecord) -> bool:
    """Whether most of the error was there on the training images already."""
    train_error, val_error = 1 - record.train.accuracy, 1 - record.val.accuracy
    return train_error >= UNDERFIT_ERROR and train_error >= UNDERFIT_SHARE * val_error


def over_fits(record: RunRecord, rows: Sequence[EpochRow]) -> bool:
    """Whether the network knows its training images far better than others, or lost in validation what it had."""
    train_error, val_error = 1 - record.train.accuracy, 1 - record.val.accuracy
    has_gap = val_error - train_error >= OVERFIT_GAP and train_error <= OVERFIT_SHARE * val_error
    return has_gap or _turned_back(rows)


def _turned_back(rows: Sequence[EpochRow]) -> bool:
    """Whether validation got worse again while training still got better."""
    seen = [row for row in rows if row.train_num_seen and row.val_num_seen]
    if len(seen) < 3:
        return False
    last, best = seen[-1], min(seen, key=lambda row: row.val.loss)
    rise = last.val.loss - best.val.loss
    has_risen = rise > OVERFIT_RISE * best.val.loss and rise > OVERFIT_NATS
    return has_risen and last.train.loss < best.train.loss


def collapsed_seeds(records: Sequence[RunRecord]) -> tuple[int, ...]:
    """The seeds whose training came to nothing; they count like any other."""
    if not records:
        return ()
    chance = 1 / max(len(records[0].class_names), 1)
    floor = chance + COLLAPSE_SHARE * (1 - chance)
    if len(records) >= 3:
        floor = max(floor, statistics.median(record.val.accuracy for record in records) - COLLAPSE_POINTS / 100)
    return tuple(record.seed for record in records if record.val.accuracy < floor)


def is_noise(gap: Estimate) -> bool:
    """Whether luck alone makes differences of this size: judged, not separated, and its interval holds zero."""
    return gap.verdict == "not separated" and gap.low <= 0 <= gap.high


def waits_for_data(variant: Variant) -> bool:
    """Whether making batches takes most of a network's training time."""
    whole = sum(record.cost.train_seconds for record in variant.records)
    return whole > 0 and sum(record.cost.data_seconds for record in variant.records) >= DATA_SHARE * whole


def dominating(factors: Sequence[float]) -> int | None:
    """The place of the cost in which networks lie by far the furthest apart; None where no cost stands out."""
    if len(factors) < 2:
        return None
    first, second = sorted(range(len(factors)), key=lambda place: -factors[place])[:2]
    return first if factors[first] >= DOMINATES * factors[second] else None


def _seeds(records: Sequence[RunRecord], rule: Callable[[RunRecord], bool]) -> tuple[int, ...]:
    return tuple(record.seed for record in records if rule(record))


def _rows(results: Results, record: RunRecord) -> list[EpochRow]:
    rows = read_epochs(results.study_dir / record.run.folder)
    return [row for row in rows if row.train_num_seen and row.val_num_seen and math.isfinite(row.val.loss)]
