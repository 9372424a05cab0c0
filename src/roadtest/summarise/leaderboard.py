"""The leaderboard and the table of runs: validation puts the networks in order, test only stands beside it.

Undertrained networks come after the others, failed and waiting ones last; nothing is left out. Seeds validate on
different folds, and folds differ in difficulty: a network that misses a seed is placed by the seeds that all have in
common. Rates are fractions; None is "not measured".
"""

import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from roadtest.record import Failure, PlannedRun, RunRecord
from roadtest.summarise.costs import headline_latency_ms
from roadtest.summarise.intervals import estimate_accuracy
from roadtest.summarise.results import Results, Variant, read_results

Row = dict[str, Any]


def leaderboard_rows(study: Path | Results) -> list[Row]:
    """One row for each network, best validation accuracy first; the columns of every leaderboard."""
    results = read_results(study)
    return [_leaderboard_row(results, variant) for variant in ranked_variants(results)]


def ranked_variants(results: Results) -> list[Variant]:
    """The networks in the order of the leaderboard: compared ones by validation, undertrained ones, the others."""
    compared = [{record.seed for record in variant.records} for variant in results.variants if variant.is_compared]
    common = set.intersection(*compared) if compared else set()
    return sorted(results.variants, key=lambda variant: _rank(variant, common))


def best_variant(results: Results) -> Variant | None:
    """The network that validation chooses; None where none was trained enough."""
    first = next(iter(ranked_variants(results)), None)
    return first if first is not None and first.is_compared else None


def seed_rows(study: Path | Results) -> list[Row]:
    """One row for each planned run, finished or not, in the order of the leaderboard."""
    results = read_results(study)
    return [_seed_row(variant, run) for variant in ranked_variants(results) for run in variant.planned]


def _rank(variant: Variant, common_seeds: set[int]) -> tuple[int, float]:
    if not variant.records:
        return (2 if variant.failures else 3, 0.0)
    chosen = [record for record in variant.records if record.seed in common_seeds] or variant.records
    return (int(variant.is_undertrained), -statistics.fmean(record.val.accuracy for record in chosen))


def _leaderboard_row(results: Results, variant: Variant) -> Row:
    records = variant.records
    tests = [record.test for record in records if record.test is not None]
    test_accuracies = [test.accuracy for test in tests]
    timed = [record.cost.train_seconds for record in records if record.is_time_comparable]
    val, test = (estimate_accuracy(results, variant, part) for part in ("val", "test"))
    return {
        "network": variant.network,
        "has_stn": variant.has_stn,
        "num_runs": len(records),
        "val_accuracy_mean": _mean(record.val.accuracy for record in records),
        "val_accuracy_std": _deviation([record.val.accuracy for record in records]),
        "test_accuracy_mean": _mean(test_accuracies),
        "test_accuracy_std": _deviation(test_accuracies),
        "test_loss_mean": _mean(test.loss for test in tests),
        "num_parameters": _largest(records, lambda record: record.cost.num_parameters),
        "macs": _largest(records, lambda record: record.cost.macs),
        "size_bytes": _largest(records, lambda record: record.cost.size_bytes),
        "train_seconds_mean": _mean(timed),
        "latency_p50_ms": headline_latency_ms(results, variant),
        "peak_memory_bytes": _largest(records, lambda record: record.cost.peak_memory_bytes),
        "status": variant.status,
        "val_accuracy_low": val and val.low,
        "val_accuracy_high": val and val.high,
        "test_accuracy_low": test and test.low,
        "test_accuracy_high": test and test.high,
    }


def _seed_row(variant: Variant, run: PlannedRun) -> Row:
    """All columns of a run, empty where it did not get so far."""
    record = next((record for record in variant.records if record.seed == run.seed), None)
    failure = next((failure for failure in variant.failures if failure.seed == run.seed), None)
    row: Row = {"network": run.network, "has_stn": run.has_stn, "seed": run.seed, "status": _status(record, failure)}
    row["reason"] = failure.reason if failure else None
    for part in ("train", "val", "test"):
        outcome = getattr(record, part, None)
        row |= {f"{part}_num_seen": outcome and outcome.num_seen, f"{part}_accuracy": outcome and outcome.accuracy}
        row[f"{part}_loss"] = outcome and outcome.loss
    for name in ("num_epochs", "stop_reason", "learning_rate", "batch_size", "device", "precision", "num_threads"):
        row[name] = getattr(record, name, None)
    for name in ("train_seconds", "data_seconds", "eval_seconds", "num_steps", "num_images_seen", "peak_memory_bytes"):
        row[name] = getattr(record.cost, name) if record else None
    for name in ("cpu_name", "gpu_name", "load", "commit"):
        row[name] = getattr(record.machine, name) if record else None
    for name in ("num_resumes", "is_time_comparable", "started_at", "finished_at"):
        row[name] = getattr(record, name, None)
    return row


def _status(record: RunRecord | None, failure: Failure | None) -> str:
    if record is not None:
        return "undertrained" if record.is_undertrained else "complete"
    return "failed" if failure is not None else "waiting"


def _mean(values: Iterable[float]) -> float | None:
    present = list(values)
    return statistics.fmean(present) if present else None


def _deviation(values: list[float]) -> float | None:
    """Sample standard deviation over the seeds; one seed has none."""
    return statistics.stdev(values) if len(values) > 1 else None


def _largest(records: Iterable[RunRecord], read: Callable[[RunRecord], int]) -> int | None:
    return max((read(record) for record in records), default=None)
