"""The leaderboard and the table of runs: validation puts the networks in order, test only stands beside it.

Undertrained networks come after the others, failed and waiting ones last; nothing is left out (ranking.py). Rates are
fractions; None is "not measured".
"""

import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from roadtest.record import Failure, PlannedRun, RunRecord
from roadtest.summarise.costs import costs_elsewhere, headline_latency_ms, latency_threads
from roadtest.summarise.intervals import estimate_accuracy, estimate_score
from roadtest.summarise.metrics import ACCURACY, METRICS
from roadtest.summarise.pairs import judge_networks
from roadtest.summarise.ranking import ranked_variants
from roadtest.summarise.results import Results, Variant, read_results
from roadtest.summarise.scores import mean_score, run_score, weakest_classes
from roadtest.summarise.stn import stn_rows

Row = dict[str, Any]
OTHERS = tuple(metric for metric in METRICS.values() if metric.name != ACCURACY)
"""The metrics whose columns come after those of accuracy."""


def leaderboard_rows(study: Path | Results) -> list[Row]:
    """One row for each network, best in validation first; the columns of every leaderboard.

    After accuracy, costs and their intervals: the other metrics, the weakest class, letters, the STN's worth, and with
    how many threads the latencies were measured.
    """
    results = read_results(study)
    worths = {row["network"]: row["worth"] for row in stn_rows(results)}
    rows = []
    for variant in ranked_variants(results):
        worth = worths.get(variant.network) if variant.has_stn else None
        row = {**_leaderboard_row(results, variant), "stn_worth": worth}
        rows.append(row | latency_threads(results, variant))
    return rows


def seed_rows(study: Path | Results) -> list[Row]:
    """One row for each planned run, finished or not, in the order of the leaderboard."""
    results = read_results(study)
    return [_seed_row(results, variant, run) for variant in ranked_variants(results) for run in variant.planned]


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
        **_other_metrics(results, variant),
        **_weakest_class(results, variant),
        **_standing(results, variant),
        **costs_elsewhere(results, variant),
        **_tested_elsewhere(results),
    }


def _tested_elsewhere(results: Results) -> Row:
    """On which other data set the test images lie, and the level of training on drawn signs alone; else nothing."""
    info = results.info
    return ({"test_title": info.test_title} if info.test_title else {}) | ({"level": info.level} if info.level else {})


def _other_metrics(results: Results, variant: Variant) -> Row:
    """Mean and interval of each metric but accuracy, in validation and on test."""
    row: Row = {}
    for part in ("val", "test"):
        for metric in OTHERS:
            found = estimate_score(results, variant, part, metric=metric.name)
            row[f"{part}_{metric.column}_mean"] = mean_score(results, variant, part, metric.name)
            row |= {f"{part}_{metric.column}_low": found and found.low}
            row |= {f"{part}_{metric.column}_high": found and found.high}
    return row


def _weakest_class(results: Results, variant: Variant) -> Row:
    """The class with the lowest recall over the validation answers of all runs."""
    weakest = next(iter(weakest_classes(results, variant, "val")), None)
    return {
        "val_weakest_label": weakest and weakest["label"],
        "val_weakest_class": weakest and weakest["class_name"],
        "val_weakest_recall": weakest and weakest["recall"],
    }


def _standing(results: Results, variant: Variant) -> Row:
    """What the judge says: letters, and the leading set."""
    judged = judge_networks(results)
    is_judged = judged.is_judged and variant.label in judged.letters
    return {
        "metric": results.metric,
        "judged_part": judged.part if is_judged else None,
        "letters": judged.letters[variant.label] or None if is_judged else None,
        "is_leading": variant.label in judged.leading if is_judged else None,
    }


def _seed_row(results: Results, variant: Variant, run: PlannedRun) -> Row:
    """All columns of a run, empty where it did not get so far."""
    record = next((record for record in variant.records if record.seed == run.seed), None)
    failure = next((failure for failure in variant.failures if failure.seed == run.seed), None)
    row: Row = {"network": run.network, "has_stn": run.has_stn, "seed": run.seed, "status": _status(record, failure)}
    row["reason"] = failure.reason if failure else None
    for part in ("train", "val", "test"):
        outcome = getattr(record, part, None)
        row |= {f"{part}_num_seen": outcome and outcome.num_seen, f"{part}_accuracy": outcome and outcome.accuracy}
        row[f"{part}_loss"] = outcome and outcome.loss
        row |= {f"{part}_{metric.column}": None for metric in OTHERS if part != "train"}
        if record is not None and part != "train":
            row |= {f"{part}_{metric.column}": run_score(results, record, part, metric.name) for metric in OTHERS}
    for name in ("num_epochs", "stop_reason", "learning_rate", "batch_size", "device", "precision", "num_threads"):
        row[name] = getattr(record, name, None)
    for name in ("train_seconds", "data_seconds", "eval_seconds", "num_steps", "num_images_seen", "peak_memory_bytes"):
        row[name] = getattr(record.cost, name) if record else None
    for name in ("cpu_name", "gpu_name", "load", "commit"):
        row[name] = getattr(record.machine, name) if record else None
    for name in ("num_resumes", "is_time_comparable", "started_at", "finished_at"):
        row[name] = getattr(record, name, None)
    return row | _tested_elsewhere(results)


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
