"""The leaderboard and the table of runs: validation puts the networks in order, test only stands beside it.

Undertrained networks come after the others, failed and waiting ones last; nothing is left out. Rates are fractions;
None is "not measured".

Systems that were added to a study without being trained: their accuracy, and how far each network is from them.

A system is one set of answers. Its interval is over tracks: this system as it is, on new signs. A difference is paired
by image: the network's mean over its seeds minus the system, over tracks alone; it speaks of these trained weights. No
verdict is given, because a single set of answers tells nothing of the luck of training. Costs were not measured.
Shapes: S seeds, N images.

What the judge says of a study, in a few sentences: who leads, and for which networks the STN pays.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from roadtest.analysis import stats
from roadtest.analysis.comparisons import (
    estimate_accuracy,
    estimate_score,
    gather_predictions,
    judge_networks,
    order_sentence,
    ranked_variants,
)
from roadtest.analysis.costs import costs_elsewhere, headline_latency_ms, latency_threads
from roadtest.analysis.factors import DOES_NOT_PAY, NOT_DECIDED, PAYS, stn_rows
from roadtest.analysis.metrics import ACCURACY, METRICS, count_classes, score
from roadtest.analysis.results import (
    Ints,
    Results,
    Variant,
    mean_score,
    missing_class_sentence,
    read_results,
    run_score,
    weakest_classes,
)
from roadtest.analysis.sample_size import GOOD_NUM_SEEDS, plan_more_seeds
from roadtest.format import WHERE, Row, render_duration, speak_of
from roadtest.records import ExternalPredictions, Failure, PlannedRun, RunRecord, read_external

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
    val, test = (estimate_accuracy(results, variant, split) for split in ("val", "test"))
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
    for split in ("val", "test"):
        for metric in OTHERS:
            found = estimate_score(results, variant, split, metric=metric.name)
            row[f"{split}_{metric.column}_mean"] = mean_score(results, variant, split, metric.name)
            row |= {f"{split}_{metric.column}_low": found and found.low}
            row |= {f"{split}_{metric.column}_high": found and found.high}
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
        "judged_part": judged.split if is_judged else None,
        "letters": judged.letters[variant.label] or None if is_judged else None,
        "is_leading": variant.label in judged.leading if is_judged else None,
    }


def _seed_row(results: Results, variant: Variant, run: PlannedRun) -> Row:
    """All columns of a run, empty where it did not get so far."""
    record = next((record for record in variant.records if record.seed == run.seed), None)
    failure = next((failure for failure in variant.failures if failure.seed == run.seed), None)
    row: Row = {"network": run.network, "has_stn": run.has_stn, "seed": run.seed, "status": _status(record, failure)}
    row["reason"] = failure.reason if failure else None
    for split in ("train", "val", "test"):
        outcome = getattr(record, split, None)
        row |= {f"{split}_num_seen": outcome and outcome.num_seen, f"{split}_accuracy": outcome and outcome.accuracy}
        row[f"{split}_loss"] = outcome and outcome.loss
        row |= {f"{split}_{metric.column}": None for metric in OTHERS if split != "train"}
        if record is not None and split != "train":
            row |= {f"{split}_{metric.column}": run_score(results, record, split, metric.name) for metric in OTHERS}
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


STATUS = "added"
"""Their word in a leaderboard's column `status`."""


THIS_SYSTEM = "this system, on new signs"


AGAINST_THE_SYSTEM = "these trained weights against this system, on new signs"


PARTS = ("val", "test")


def external_rows(study: Path | Results) -> list[Row]:
    """One row for each added system, best on test first, with the columns of the leaderboard; costs are None."""
    results = read_results(study)
    return _rows(results, leaderboard_rows(results))


def rows_with_externals(study: Path | Results) -> list[Row]:
    """The leaderboard, and below its networks the systems that were added."""
    results = read_results(study)
    networks = leaderboard_rows(results)
    return [*networks, *_rows(results, networks)]


def external_difference_rows(study: Path | Results) -> list[Row]:
    """One row for each added system and compared network; `gain` is the network's accuracy minus the system's."""
    results = read_results(study)
    variants = [variant for variant in ranked_variants(results) if variant.is_compared]
    found = [
        _difference_row(results, answers, variant, split)
        for answers in _incumbents(results)
        for split in PARTS
        for variant in variants
    ]
    return [row for row in found if row is not None]


def _incumbents(results: Results) -> list[ExternalPredictions]:
    key = "incumbents"
    if key not in results.kept:
        num_images, num_classes = len(results.split_rows), len(results.info.class_names)
        results.kept[key] = read_external(results.study_dir, num_images=num_images, num_classes=num_classes)
    found: list[ExternalPredictions] = results.kept[key]
    return found


def _rows(results: Results, networks: Sequence[Row]) -> list[Row]:
    columns = next(iter(networks), {})
    rows = [dict.fromkeys(columns) | _row(results, answers) for answers in _incumbents(results)]
    return sorted(rows, key=lambda row: -(row["test_accuracy_mean"] or row["val_accuracy_mean"] or 0.0))


def _row(results: Results, answers: ExternalPredictions) -> Row:
    row: Row = {"network": answers.system.name, "has_stn": False, "num_runs": 0, "status": STATUS}
    for split in PARTS:
        ids_N, predicted_N = _of_split(results, answers, split)
        if not len(ids_N):
            row[f"{split}_accuracy_mean"] = None
            continue
        labels_N, clusters_N = _labels(results, ids_N), results.clusters_N[ids_N]
        counts = count_classes(labels_N, predicted_N, len(results.info.class_names))
        row |= {f"{split}_{metric.column}_mean": score(counts, metric.name) for metric in METRICS.values()}
        if len(np.unique(clusters_N)) > 1:
            interval = stats.accuracy_interval((labels_N == predicted_N)[None], clusters_N)
            row |= {f"{split}_accuracy_low": interval.low, f"{split}_accuracy_high": interval.high}
    return row


def _difference_row(results: Results, answers: ExternalPredictions, variant: Variant, split: str) -> Row | None:
    """How far a network is from a system on the images that all its seeds and the system answered."""
    ids_N, predicted_N = _of_split(results, answers, split)
    found = gather_predictions(results, variant.records, split)
    if found is None or not found.is_crossed or not np.array_equal(np.sort(found.ids[0]), ids_N):
        return None
    correct_SN, clusters_N = found.crossed(), found.crossed_clusters()
    if found.num_clusters < 2:
        return None
    theirs_N = (_labels(results, ids_N) == predicted_N)[np.searchsorted(ids_N, found.ids[0])]
    difference = stats.difference_interval(correct_SN, theirs_N[None], clusters_N)
    return {
        "system": answers.system.name,
        "network": variant.network,
        "has_stn": variant.has_stn,
        "part": split,
        "system_accuracy": float(theirs_N.mean()),
        "network_accuracy": float(correct_SN.mean()),
        "gain": difference.estimate,
        "gain_low": difference.low,
        "gain_high": difference.high,
        "num_seeds": len(correct_SN),
        "num_images": len(ids_N),
        "num_units": difference.num_clusters,
        "unit_name": "tracks" if found.num_clusters < len(ids_N) else "images",
        "num_only_network": round(float((correct_SN & ~theirs_N).mean(axis=0).sum()), 2),
        "num_only_system": round(float((~correct_SN & theirs_N).mean(axis=0).sum()), 2),
        "statement": speak_of(AGAINST_THE_SYSTEM, results.info.data_title),
    }


def _of_split(results: Results, answers: ExternalPredictions, split: str) -> tuple[Ints, Ints]:
    rows = results.split_rows
    chosen_N = np.array([rows[image]["split"] == split for image in answers.image_ids_N.tolist()], bool)
    return answers.image_ids_N[chosen_N], answers.predicted_N[chosen_N]


def _labels(results: Results, ids_N: Ints) -> Ints:
    return np.array([int(results.split_rows[image]["label"]) for image in ids_N.tolist()], np.int64)


def summary_sentences(study: Path | Results) -> list[str]:
    """The leading set, or what a verdict needs; what the order goes by; the STN's worth; as far as there is any."""
    results = read_results(study)
    told = [leading_sentence(results), _needed(results), order_sentence(results), missing_class_sentence(results)]
    told += [_worth(row, _by(results)) for row in stn_rows(results)]
    return [sentence for sentence in told if sentence]


def leading_sentence(results: Results) -> str:
    """Who leads, or why nothing was judged; empty where there is nothing to compare."""
    judged = judge_networks(results)
    if not judged.is_judged:
        return f"{judged.remark[0].upper()}{judged.remark[1:]}." if judged.remark else ""
    best, *others = judged.leading
    where = f"{WHERE[judged.split]}{_by(results)}"
    num_pairs = sum(verdict.word != stats.NOT_JUDGED for verdict in judged.verdicts)
    corrected = f" after correction for all {num_pairs} pairs" if num_pairs > 1 else ""
    against = {v.a if v.b == best else v.b: v for v in judged.verdicts if best in (v.a, v.b)}
    apart = [variant.label for variant in judged.variants if variant.label not in (best, *others)]
    beaten = [label for label in apart if label in against and against[label].better == best]
    told = {
        f"not separated from it{corrected}": others,
        "with too few seeds to be judged against it": [
            label for label in apart if label in against and against[label].word == stats.NOT_JUDGED
        ],
        "not compared with it": [label for label in apart if label not in against],
    }
    parts = [f"{words}: {', '.join(labels)}" for words, labels in told.items() if labels]
    if not others:
        them = "every other network" if len(beaten) == len(results.variants) - 1 else ", ".join(beaten)
        parts.insert(0, f"shown to be better than {them}{corrected}")
        return f"Leading {where}: {best}, {'; '.join(parts)}."
    return f"Leading {where}: {'; '.join([best, *parts])}."


def _needed(results: Results) -> str:
    """The command that adds the seeds a verdict needs, and its time."""
    more = plan_more_seeds(results) if judge_networks(results).needs_seeds else None
    if more is None:
        return ""
    time = f", {render_duration(more.train_seconds)} of training" if more.train_seconds else ""
    return f"{GOOD_NUM_SEEDS} seeds each{time}: {more.command}"


def _by(results: Results) -> str:
    return "" if results.metric == "accuracy" else f" by {results.chosen_by.words}"


def _worth(row: Row, by: str) -> str:
    if row["worth"] not in (PAYS, DOES_NOT_PAY, NOT_DECIDED):
        return ""
    gain, low, high = (f"{100 * row[name]:+.2f}" for name in ("val_gain", "val_gain_low", "val_gain_high"))
    said = {
        PAYS: f"The STN pays for {row['network']}",
        DOES_NOT_PAY: f"The STN does not pay for {row['network']}",
        NOT_DECIDED: f"Whether the STN pays for {row['network']} is not decided",
    }
    span = f"{gain} points in validation{by} ({low} to {high})"
    return f"{said[row['worth']]}: {span}, with a tolerance of {row['tolerance_points']:g}."
