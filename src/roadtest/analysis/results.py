"""A study folder, read once: its plan, its finished runs, and what each of them predicted.

All tables start here, so that a page with fifteen tables reads each file a single time. What is kept of a prediction
is the winning class of each image: logits are dropped as soon as they are read. Nothing here computes a result. How
the reader wants the study read (by which metric, with what tolerance) goes with it, so that no two tables disagree.
Shapes: S runs (one per seed), N images.

The metrics of a study's runs, each computed once from what the run answered.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from roadtest.analysis.metrics import ACCURACY, METRICS, ClassCounts, Metric, check_metric, count_classes, score
from roadtest.format import Row
from roadtest.records import (
    Failure,
    PlannedRun,
    RunRecord,
    StudyInfo,
    is_finished,
    network_label,
    read_failures,
    read_predictions,
    read_record,
    read_rows,
    read_study_info,
)
from roadtest.records.measurements import COLUMNS

Ints = npt.NDArray[np.int64]


Bools = npt.NDArray[np.bool_]


TOLERANCE_POINTS = 0.5
"""Percentage points below which a difference does not matter; a convention, `--tolerance` changes it."""


_LATENCY_KINDS = dict.fromkeys(COLUMNS, str) | {"batch_size": int, "num_threads": int, "latency_ms": float}


_SPLIT_KINDS: dict[str, type] = {"path": str, "label": int, "group": str, "split": str, "fold": int}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one run answered on one set of images."""

    labels_N: Ints
    predicted_N: Ints
    image_ids_N: Ints
    """Row numbers in split.csv."""

    @property
    def is_correct_N(self) -> Bools:
        """Which images were classified correctly."""
        return np.asarray(self.labels_N == self.predicted_N)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One network with its STN switch, and all of its runs: a line of the leaderboard."""

    network: str
    has_stn: bool
    planned: tuple[PlannedRun, ...]
    records: tuple[RunRecord, ...]
    failures: tuple[Failure, ...]

    @property
    def label(self) -> str:
        """`lenet5+stn`: the network as people read it."""
        return network_label(self.network, self.has_stn)

    @property
    def is_undertrained(self) -> bool:
        """At least one of its runs saw too little to be compared."""
        return any(record.is_undertrained for record in self.records)

    @property
    def diverged_seeds(self) -> tuple[int, ...]:
        """Seeds whose loss became infinite or no number: without them a mean over the others would flatter."""
        finished = {record.seed for record in self.records}
        lost = {failure.seed for failure in self.failures if failure.kind == "diverged"}
        return tuple(sorted(lost - finished))

    @property
    def is_compared(self) -> bool:
        """It has results that may stand beside the others'."""
        return bool(self.records) and not self.is_undertrained and not self.diverged_seeds

    @property
    def status(self) -> str:
        """`complete`, `incomplete` (some runs are missing), `undertrained`, `diverged`, `failed` or `waiting`."""
        if self.is_undertrained:
            return "undertrained"
        if self.records and self.diverged_seeds:
            return "diverged"
        if len(self.records) == len(self.planned):
            return "complete"
        if self.records:
            return "incomplete"
        return "failed" if self.failures else "waiting"


@dataclass(frozen=True, kw_only=True)
class Results:
    """A study as far as it got."""

    study_dir: Path
    info: StudyInfo
    variants: tuple[Variant, ...]
    """In the order of the plan."""
    metric: str = ACCURACY
    """What chooses: a key of METRICS."""
    tolerance_points: float = TOLERANCE_POINTS
    """Percentage points of the metric below which a difference does not matter."""
    _outcomes: dict[tuple[str, str], Outcome | None] = field(default_factory=dict, repr=False, compare=False)
    kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What several tables need and is computed once, by name: all pairs' verdicts (comparisons.py)."""

    @property
    def chosen_by(self) -> Metric:
        """What chooses, with its words and its column."""
        return METRICS[self.metric]

    @property
    def records(self) -> list[RunRecord]:
        """All finished runs, in the order of the plan's networks."""
        return [record for variant in self.variants for record in variant.records]

    @cached_property
    def latency_rows(self) -> list[dict[str, str]]:
        """The raw samples of latency.csv, as text."""
        return read_rows(self.study_dir / "latency.csv", _LATENCY_KINDS)

    @cached_property
    def clusters_N(self) -> Ints:
        """Per row of split.csv the number of its group; an image without a group is a unit of its own."""
        numbers: dict[str, int] = {}
        units = [
            numbers.setdefault(row["group"] or f"\0{place}", len(numbers)) for place, row in enumerate(self.split_rows)
        ]
        return np.array(units, np.int64)

    @cached_property
    def split_rows(self) -> list[dict[str, str]]:
        """The rows of split.csv; an image's id is its place here."""
        return read_rows(self.study_dir / "split.csv", _SPLIT_KINDS)

    @cached_property
    def has_recovered_tracks(self) -> bool:
        """Whether the test set's tracks are not published and were recovered from the images."""
        return any(row["group"].startswith("~") for row in self.split_rows if row["split"] == "test")

    def variant(self, network: str, has_stn: bool) -> Variant | None:
        """One network with its switch, or None where the study does not plan it."""
        return next((v for v in self.variants if (v.network, v.has_stn) == (network, has_stn)), None)

    def outcome(self, record: RunRecord, split: str) -> Outcome | None:
        """What a run answered on `val` or `test`; None where the file is not there."""
        folder = record.run.folder
        key = (folder, split)
        if key not in self._outcomes:
            path, num_classes = self.study_dir / folder / f"{split}.npz", len(self.info.class_names)
            self._outcomes[key] = _read_outcome(path, len(self.split_rows), num_classes)
        return self._outcomes[key]

    def outcomes(self, variant: Variant, split: str) -> list[Outcome]:
        """The answers of all runs of a network, as far as they are there."""
        found = (self.outcome(record, split) for record in variant.records)
        return [outcome for outcome in found if outcome is not None]


def read_results(study: Path | Results, *, metric: str | None = None, tolerance_points: float | None = None) -> Results:
    """Read a study folder; what has been read already is not read again.

    `metric` None is the study's own, or the one that was read with; likewise the tolerance, half a point at first. A
    ValueError says what is wrong with the folder or the metric.
    """
    if isinstance(study, Results):
        found = study.metric if metric is None else check_metric(metric)
        points = study.tolerance_points if tolerance_points is None else tolerance_points
        is_same = (found, points) == (study.metric, study.tolerance_points)
        if is_same:
            return study
        other = replace(study, metric=found, tolerance_points=points)
        read = ("latency_rows", "split_rows", "units_N")  # files that say the same under every metric
        vars(other).update({name: vars(study)[name] for name in read if name in vars(study)})
        return other
    info = read_study_info(study)
    chosen = check_metric(info.metric, given_by=f"{study / 'study.json'}: metric")
    chosen = chosen if metric is None else check_metric(metric)
    failures = read_failures(study)
    labels = dict.fromkeys((run.network, run.has_stn) for run in info.runs)
    variants = tuple(_read_variant(study, info, failures, network, has_stn) for network, has_stn in labels)
    points = TOLERANCE_POINTS if tolerance_points is None else tolerance_points
    return Results(study_dir=study, info=info, variants=variants, metric=chosen, tolerance_points=points)


def _read_variant(study_dir: Path, info: StudyInfo, failures: list[Failure], network: str, has_stn: bool) -> Variant:
    planned = tuple(run for run in info.runs if (run.network, run.has_stn) == (network, has_stn))
    done = [study_dir / run.folder for run in planned if is_finished(study_dir / run.folder)]
    return Variant(
        network=network,
        has_stn=has_stn,
        planned=planned,
        records=tuple(read_record(run_dir) for run_dir in done),
        failures=tuple(failure for failure in failures if (failure.network, failure.has_stn) == (network, has_stn)),
    )


def _read_outcome(path: Path, num_images: int, num_classes: int) -> Outcome | None:
    if not path.exists():
        return None
    predictions = read_predictions(path)
    ids_N = predictions.image_ids_N
    if ids_N.size and not 0 <= ids_N.min() <= ids_N.max() < num_images:
        raise ValueError(f"{path} names image {ids_N.max()}: split.csv has rows 0 to {num_images - 1}; repeat the run")
    if predictions.logits_NK.shape[1] != num_classes:
        columns = predictions.logits_NK.shape[1]
        raise ValueError(f"{path} answers with {columns} classes: the study has {num_classes}; repeat the run")
    # numpy searches float16 element by element; float32 is several times faster and changes no order
    predicted_N = predictions.logits_NK.astype(np.float32).argmax(axis=1)
    return Outcome(labels_N=predictions.labels_N, predicted_N=predicted_N, image_ids_N=ids_N)


MAX_NAMES = 3


def run_score(results: Results, record: RunRecord, split: str, metric: str) -> float | None:
    """One run's figure on `val` or `test`; None where it has none. Accuracy is what the record says."""
    if metric == ACCURACY:
        seen = record.val if split == "val" else record.test
        return None if seen is None else seen.accuracy
    counts = _class_counts(results, record, split)
    return None if counts is None else score(counts, metric)


def run_scores(results: Results, records: Sequence[RunRecord], split: str, metric: str) -> list[float]:
    """The figures of the runs that have one."""
    found = (run_score(results, record, split, metric) for record in records)
    return [value for value in found if value is not None]


def mean_score(results: Results, variant: Variant, split: str, metric: str | None = None) -> float | None:
    """The mean over a network's runs, by the study's metric where none is named; None where one of them has none."""
    values = run_scores(results, variant.records, split, metric or results.metric)
    return statistics.fmean(values) if values and len(values) == len(variant.records) else None


def outcome_counts(results: Results, outcome: Outcome) -> ClassCounts:
    """What a run answered, by class."""
    return count_classes(outcome.labels_N, outcome.predicted_N, len(results.info.class_names))


def added_counts(results: Results, variant: Variant, split: str) -> ClassCounts | None:
    """What all runs of a network answered, by class, added up; None where one of them has no answers."""
    found = [_class_counts(results, record, split) for record in variant.records]
    counts = [one for one in found if one is not None]
    if not counts or len(counts) < len(found):
        return None
    return ClassCounts(
        images_K=np.sum([one.images_K for one in counts], axis=0),
        called_K=np.sum([one.called_K for one in counts], axis=0),
        correct_K=np.sum([one.correct_K for one in counts], axis=0),
    )


def weakest_classes(results: Results, variant: Variant, split: str) -> list[Row]:
    """Every class with its recall over the answers of all runs, the weakest first; nothing without answers.

    The added-up answers name a class more surely than the worst one of each run, which is another in each fold. Classes
    without an image in the part come last, with a recall of None: with few seeds no fold may hold one.
    """
    counts = added_counts(results, variant, split)
    if counts is None:
        return []
    names, recall_K = results.info.class_names, counts.recall_K
    present = {int(k) for k in counts.present_K}
    recalls = {k: float(recall_K[k]) if k in present else None for k in range(len(names))}
    rows = [{"label": k, "class_name": names[k], "recall": recall} for k, recall in recalls.items()]
    return sorted(rows, key=lambda row: (row["recall"] is None, row["recall"], row["label"]))


def missing_class_sentence(results: Results) -> str:
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


def _class_counts(results: Results, record: RunRecord, split: str) -> ClassCounts | None:
    key = f"classes of {record.label} {record.seed} on {split}"
    if key not in results.kept:
        outcome = results.outcome(record, split)
        has_images = outcome is not None and len(outcome.labels_N) > 0
        results.kept[key] = outcome_counts(results, outcome) if outcome is not None and has_images else None
    found: ClassCounts | None = results.kept[key]
    return found
