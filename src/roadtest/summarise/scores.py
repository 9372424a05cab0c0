"""The metrics of a study's runs, each computed once from what the run answered."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from roadtest.record import RunRecord
from roadtest.summarise.metrics import ACCURACY, ClassCounts, count_classes, score
from roadtest.summarise.results import Outcome, Results, Variant

Row = dict[str, Any]
MAX_NAMES = 3


def run_score(results: Results, record: RunRecord, part: str, metric: str) -> float | None:
    """One run's figure on `val` or `test`; None where it has none. Accuracy is what the record says."""
    if metric == ACCURACY:
        seen = record.val if part == "val" else record.test
        return None if seen is None else seen.accuracy
    counts = _class_counts(results, record, part)
    return None if counts is None else score(counts, metric)


def run_scores(results: Results, records: Sequence[RunRecord], part: str, metric: str) -> list[float]:
    """The figures of the runs that have one."""
    found = (run_score(results, record, part, metric) for record in records)
    return [value for value in found if value is not None]


def mean_score(results: Results, variant: Variant, part: str, metric: str | None = None) -> float | None:
    """The mean over a network's runs, by the study's metric where none is named; None where one of them has none."""
    values = run_scores(results, variant.records, part, metric or results.metric)
    return statistics.fmean(values) if values and len(values) == len(variant.records) else None


def outcome_counts(results: Results, outcome: Outcome) -> ClassCounts:
    """What a run answered, by class."""
    return count_classes(outcome.labels_N, outcome.predicted_N, len(results.info.class_names))


def added_counts(results: Results, variant: Variant, part: str) -> ClassCounts | None:
    """What all runs of a network answered, by class, added up; None where one of them has no answers."""
    found = [_class_counts(results, record, part) for record in variant.records]
    counts = [one for one in found if one is not None]
    if not counts or len(counts) < len(found):
        return None
    return ClassCounts(
        images_K=np.sum([one.images_K for one in counts], axis=0),
        called_K=np.sum([one.called_K for one in counts], axis=0),
        correct_K=np.sum([one.correct_K for one in counts], axis=0),
    )


def weakest_classes(results: Results, variant: Variant, part: str) -> list[Row]:
    """Every class with its recall over the answers of all runs, the weakest first; nothing without answers.

    The added-up answers name a class more surely than the worst one of each run, which is another in each fold. Classes
    without an image in the part come last, with a recall of None: with few seeds no fold may hold one.
    """
    counts = added_counts(results, variant, part)
    if counts is None:
        return []
    names, recall_K = results.info.class_names, counts.recall_K
    present = {int(k) for k in counts.present_K}
    recalls = {k: float(recall_K[k]) if k in present else None for k in range(len(names))}
    rows = [{"label": k, "class_name": names[k], "recall": recall} for k, recall in recalls.items()]
    return sorted(rows, key=lambda row: (row["recall"] is None, row["recall"], row["label"]))


def unseen_words(results: Results) -> str:
    """Which classes the metric leaves out for want of images in validation; empty where none, and of an accuracy."""
    if results.metric == ACCURACY:
        return ""
    found = [added_counts(results, variant, "val") for variant in results.variants if variant.is_compared]
    known = [counts for counts in found if counts is not None]
    seen = {int(k) for counts in known for k in counts.present_K}
    lost = [name for k, name in enumerate(results.info.class_names) if k not in seen] if known else []
    if not lost:
        return ""
    more = f" and {len(lost) - MAX_NAMES} more" if len(lost) > MAX_NAMES else ""
    words, num_classes = results.chosen_by.words, len(results.info.class_names)
    return (
        f"{words[0].upper()}{words[1:]} in validation leaves out {len(lost)} of {num_classes} classes, "
        f"which have no image there: {', '.join(lost[:MAX_NAMES])}{more}."
    )


def _class_counts(results: Results, record: RunRecord, part: str) -> ClassCounts | None:
    key = f"classes of {record.label} {record.seed} on {part}"
    if key not in results.kept:
        outcome = results.outcome(record, part)
        has_images = outcome is not None and len(outcome.labels_N) > 0
        results.kept[key] = outcome_counts(results, outcome) if outcome is not None and has_images else None
    found: ClassCounts | None = results.kept[key]
    return found
