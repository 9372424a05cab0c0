"""Who wins with T minutes: every network as it ends with a quarter, a half and all of the budget.

Only annealed trainings count: the run itself, and the branches beside it (branches.csv). A point in mid-schedule says
nothing of a shorter training. Where patience or the largest number of epochs ended the run itself within a fraction of
the budget, a run with that fraction would have been the same one, and stands for it. A network that saw less than two
epochs at a budget is not judged there, never worse; one with a seed that diverged nowhere. Validation alone is read;
rates are fractions, None is "not measured". crossings.py says who is ahead where.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roadtest import judge
from roadtest.record import BranchRow, RunRecord, SetResult, read_branches
from roadtest.schedule import BRANCH_FRACTIONS, UNDERTRAINED_EPOCHS
from roadtest.summarise.results import Results, Variant, read_results
from roadtest.summarise.words import render_duration

Row = dict[str, Any]
FRACTIONS = (*BRANCH_FRACTIONS, 1.0)
TARGETS = {"seconds_to_90": 0.90, "seconds_to_95": 0.95, "seconds_to_98": 0.98, "seconds_to_99": 0.99}
"""Columns of `target_rows`, and the validation accuracy each speaks of."""
JUDGED, TOO_LITTLE, MISSING = "judged", "not judged at this budget", "no annealed training at this budget"
DIVERGED = "not judged: a seed diverged"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """One training that was annealed to the end: the run itself, or a branch beside it."""

    seed: int
    num_epochs: float
    train_seconds: float
    val: SetResult
    is_time_comparable: bool

    @property
    def is_undertrained(self) -> bool:
        """It saw too little to be compared."""
        return self.num_epochs < UNDERTRAINED_EPOCHS


def has_branches(study: Path | Results) -> bool:
    """Whether any run was annealed at less than its budget (`--anneal`)."""
    results = read_results(study)
    return any(_branches(results, record) for record in results.records)


def budget_rows(study: Path | Results) -> list[Row]:
    """A row for each budget and network, smallest budget first, then the most accurate; those not judged come last.

    `budget_seconds` is the budget of the row where runs are given time, `budget_epochs` where they are given epochs.
    """
    results = read_results(study)
    rows: list[Row] = []
    for fraction in FRACTIONS:
        endings = {variant.label: endings_at(results, variant, fraction) for variant in results.variants}
        if any(endings.values()):
            ranked = sorted(results.variants, key=_rank(results, endings))
            rows += [_budget_row(results, variant, fraction, endings[variant.label]) for variant in ranked]
    return rows


def target_rows(study: Path | Results) -> list[Row]:
    """A row for each network: training seconds to a validation accuracy, the median over seeds; None is "not reached".

    Of the annealed trainings of a seed the shortest that got there counts, so the time is at most what is printed. A
    seed that diverged reached nothing.
    """
    results = read_results(study)
    rows: list[Row] = []
    for variant in results.variants:
        endings = [ending for fraction in FRACTIONS for ending in endings_at(results, variant, fraction)]
        timed = [ending for ending in endings if ending.is_time_comparable]
        seeds = sorted({ending.seed for ending in timed})
        num_runs = len(seeds) + len(variant.diverged_seeds)
        row: Row = {"network": variant.network, "has_stn": variant.has_stn, "num_runs": num_runs}
        for column, target in TARGETS.items():
            seconds = [_seconds_to(target, [one for one in timed if one.seed == seed]) for seed in seeds]
            seconds += [math.inf] * len(variant.diverged_seeds)
            median = statistics.median(seconds) if seconds else math.inf
            row[column] = median if math.isfinite(median) else None
        rows.append(row)
    return rows


def budget_text(results: Results, fraction: float) -> str:
    """`5 min` or `25 epochs`: a fraction of what each run of the study is given at most."""
    seconds, epochs = _budget(results, fraction)
    return f"{epochs:g} epochs" if seconds is None else render_duration(seconds)


def _budget(results: Results, fraction: float) -> tuple[float | None, float | None]:
    """Seconds, or else epochs."""
    protocol = results.info.protocol
    seconds = protocol.get("budget_seconds")
    if seconds is not None:
        return fraction * float(seconds), None
    return None, fraction * float(protocol["max_epochs"])


def _branches(results: Results, record: RunRecord) -> list[BranchRow]:
    kept = results.kept.setdefault("branches", {})
    if record.run not in kept:
        kept[record.run] = read_branches(results.study_dir / record.run.folder)
    found: list[BranchRow] = kept[record.run]
    return found


def endings_at(results: Results, variant: Variant, fraction: float) -> list[Ending]:
    """The trainings of a network that ended with this fraction of the budget, at most one a seed."""
    found = (_ending(results, record, fraction) for record in variant.records)
    return [ending for ending in found if ending is not None]


def _ending(results: Results, record: RunRecord, fraction: float) -> Ending | None:
    whole = Ending(
        seed=record.seed,
        num_epochs=record.num_epochs,
        train_seconds=record.cost.train_seconds,
        val=record.val,
        is_time_comparable=record.is_time_comparable,
    )
    if fraction == 1.0:
        return whole
    for row in _branches(results, record):
        if row.budget_fraction == fraction:
            return Ending(
                seed=record.seed,
                num_epochs=row.epoch,
                train_seconds=row.train_seconds,
                val=row.val,
                is_time_comparable=record.is_time_comparable,
            )
    seconds, epochs = _budget(results, fraction)
    is_within = record.num_epochs <= epochs if epochs is not None else record.cost.train_seconds <= (seconds or 0.0)
    return whole if record.stop_reason != "budget" and is_within else None


def deciding_seeds(results: Results, endings: Mapping[str, Sequence[Ending]]) -> set[int]:
    """The seeds that all networks judged at a budget have, by which they are put in order: folds differ in difficulty.

    `endings` are the trainings of each network at that budget, by label.
    """
    judged = [found for variant in results.variants if _verdict(variant, found := endings[variant.label]) == JUDGED]
    return set.intersection(*({one.seed for one in found} for found in judged)) if judged else set()


def _rank(results: Results, endings: Mapping[str, Sequence[Ending]]) -> Callable[[Variant], tuple[int, float]]:
    """Judged networks first, by the seeds that decide; then those that are not, then those without a training."""
    common = deciding_seeds(results, endings)

    def rank(variant: Variant) -> tuple[int, float]:
        found = endings[variant.label]
        chosen = [one for one in found if one.seed in common] or found
        accuracy = statistics.fmean(one.val.accuracy for one in chosen) if chosen else 0.0
        return (0 if _verdict(variant, found) == JUDGED else 1 if found else 2, -accuracy)

    return rank


def _verdict(variant: Variant, endings: Sequence[Ending]) -> str:
    if not endings:
        return MISSING
    if variant.diverged_seeds:
        return DIVERGED
    return TOO_LITTLE if any(ending.is_undertrained for ending in endings) else JUDGED


def _budget_row(results: Results, variant: Variant, fraction: float, endings: Sequence[Ending]) -> Row:
    accuracies = [ending.val.accuracy for ending in endings]
    timed = [ending.train_seconds for ending in endings if ending.is_time_comparable]
    num_undertrained = sum(ending.is_undertrained for ending in endings)
    interval = _interval(results, endings)
    seconds, epochs = _budget(results, fraction)
    return {
        "network": variant.network,
        "has_stn": variant.has_stn,
        "budget_fraction": fraction,
        "budget_seconds": seconds,
        "budget_epochs": epochs,
        "num_runs": len(endings),
        "num_undertrained": num_undertrained,
        "num_epochs_mean": statistics.fmean(ending.num_epochs for ending in endings) if endings else None,
        "train_seconds_mean": statistics.fmean(timed) if timed else None,
        "val_accuracy_mean": statistics.fmean(accuracies) if accuracies else None,
        "val_accuracy_std": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "val_accuracy_low": interval and interval.low,
        "val_accuracy_high": interval and interval.high,
        "verdict": _verdict(variant, endings),
    }


def _interval(results: Results, endings: Sequence[Ending]) -> judge.Interval | None:
    folds = fold_results(results, endings)
    return judge.validation_interval(folds) if len({fold.fold for fold in folds}) >= judge.MIN_SEEDS else None


def fold_results(results: Results, endings: Sequence[Ending]) -> list[judge.FoldResult]:
    """A result per seed, on its own fold; none where all seeds share one validation part, whose images are not kept."""
    if results.info.num_val:
        return []
    num_folds = int(results.info.protocol["num_folds"])
    return [
        judge.FoldResult(
            fold=ending.seed % num_folds,
            num_correct=ending.val.num_correct,
            num_seen=ending.val.num_seen,
            num_units=_count_units(results).get(ending.seed % num_folds),
        )
        for ending in endings
    ]


def _count_units(results: Results) -> dict[int, int]:
    """How many tracks each fold has."""
    if "units by fold" not in results.kept:
        folds_N = np.array([int(row["fold"]) for row in results.split_rows], np.int64)
        results.kept["units by fold"] = {
            int(fold): len(np.unique(results.units_N[folds_N == fold])) for fold in np.unique(folds_N)
        }
    counts: dict[int, int] = results.kept["units by fold"]
    return counts


def _seconds_to(target: float, endings: Sequence[Ending]) -> float:
    return min((ending.train_seconds for ending in endings if ending.val.accuracy >= target), default=math.inf)
