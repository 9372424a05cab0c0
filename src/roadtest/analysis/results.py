"""A study folder, read once: its plan, its finished runs, what each of them predicted, and the metrics of that.

All tables start here, so that a page with fifteen tables reads each file a single time. Of a prediction the most
probable class of each image is kept; logits are dropped as soon as they are read. How the reader wants the study read
(by which metric, with what tolerance) goes with it, so that no two tables disagree. Shapes: S seeds, N images,
K classes.
"""

import statistics
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from roadtest.analysis.metrics import ACCURACY, METRICS, ClassCounts, Metric, check_metric, count_classes, score
from roadtest.format import capitalise
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
Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")
TOLERANCE_POINTS = 0.5
"""Percentage points below which a difference does not matter; a convention, `--tolerance` changes it."""
MAX_NAMES = 3
"""So many classes without an image are named."""
_LATENCY_KINDS = dict.fromkeys(COLUMNS, str) | {"batch_size": int, "num_threads": int, "latency_ms": float}
_SPLIT_KINDS: dict[str, type] = {"path": str, "label": int, "group": str, "split": str, "fold": int}


@dataclass(frozen=True, kw_only=True, eq=False)
class RunPredictions:
    """What one run predicted on one set of images."""

    labels_N: Ints
    predicted_N: Ints
    image_ids_N: Ints
    """Row numbers in split.csv."""
    num_classes: int

    @property
    def is_correct_N(self) -> Bools:
        """Which images were classified correctly."""
        return np.asarray(self.labels_N == self.predicted_N)

    @cached_property
    def counts(self) -> ClassCounts:
        """The images, predictions and hits of each class."""
        return count_classes(self.labels_N, self.predicted_N, self.num_classes)


@dataclass(frozen=True, kw_only=True, eq=False)
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
    def seeds(self) -> set[int]:
        """The seeds whose runs are finished."""
        return {record.seed for record in self.records}

    @property
    def is_undertrained(self) -> bool:
        """At least one of its runs saw too little to be compared."""
        return any(record.is_undertrained for record in self.records)

    @property
    def diverged_seeds(self) -> tuple[int, ...]:
        """Seeds whose loss became infinite or no number: without them a mean over the others would flatter."""
        lost = {failure.seed for failure in self.failures if failure.kind == "diverged"}
        return tuple(sorted(lost - self.seeds))

    @property
    def is_compared(self) -> bool:
        """It has results that may be compared with the others'."""
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


@dataclass(frozen=True, kw_only=True, eq=False)
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
    _predictions: dict[tuple[str, str], RunPredictions | None] = field(default_factory=dict, repr=False)
    _computed: dict[Hashable, Any] = field(default_factory=dict, repr=False, init=False)
    """Filled by `once_per_study`."""

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
        """Per row of split.csv the number of its group; an image without a group is a cluster of its own."""
        numbers: dict[str, int] = {}
        groups = (row["group"] or f"\0{place}" for place, row in enumerate(self.split_rows))
        return np.array([numbers.setdefault(group, len(numbers)) for group in groups], np.int64)

    @cached_property
    def split_rows(self) -> list[dict[str, str]]:
        """The rows of split.csv; an image's id is its place here."""
        return read_rows(self.study_dir / "split.csv", _SPLIT_KINDS)

    @cached_property
    def has_recovered_tracks(self) -> bool:
        """Whether the test set's tracks are not published and were recovered from the images."""
        if self.info.group_origin:
            return self.info.group_origin == "recovered"
        # Studies before that field: recovered groups have a name with this mark.
        return any(row["group"].startswith("~") for row in self.split_rows if row["split"] == "test")

    def variant(self, network: str, has_stn: bool) -> Variant | None:
        """One network with its switch, or None where the study does not plan it."""
        return next((v for v in self.variants if (v.network, v.has_stn) == (network, has_stn)), None)

    def predictions(self, record: RunRecord, split: str) -> RunPredictions | None:
        """What a run predicted on `val` or `test`; None where the file is not there."""
        key = (record.run.folder, split)
        if key not in self._predictions:
            path, num_classes = self.study_dir / record.run.folder / f"{split}.npz", len(self.info.class_names)
            self._predictions[key] = _read_run_predictions(path, len(self.split_rows), num_classes)
        return self._predictions[key]

    def all_predictions(self, variant: Variant, split: str) -> list[RunPredictions]:
        """The predictions of all runs of a network, as far as they are there."""
        found = (self.predictions(record, split) for record in variant.records)
        return [predictions for predictions in found if predictions is not None]


def once_per_study(
    function: Callable[Concatenate[Results, Arguments], Value],
) -> Callable[Concatenate[Results, Arguments], Value]:
    """Keep beside the results what a function of them and of hashable arguments returns: several tables need it."""

    @wraps(function)
    def cached(results: Results, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
        key = (function, args, *kwargs.items())
        if key not in results._computed:
            results._computed[key] = function(results, *args, **kwargs)
        value: Value = results._computed[key]
        return value

    return cached


def read_results(study: Path | Results, *, metric: str | None = None, tolerance_points: float | None = None) -> Results:
    """Read a study folder; what has been read already is not read again.

    `metric` None is the study's own, or the one that was read with; likewise the tolerance, half a point at first. A
    ValueError says what is wrong with the folder or the metric.
    """
    if isinstance(study, Results):
        chosen = study.metric if metric is None else check_metric(metric)
        points = study.tolerance_points if tolerance_points is None else tolerance_points
        if (chosen, points) == (study.metric, study.tolerance_points):
            return study
        other = replace(study, metric=chosen, tolerance_points=points)
        files = ("latency_rows", "split_rows", "clusters_N")  # they say the same under every metric
        vars(other).update({name: vars(study)[name] for name in files if name in vars(study)})
        return other
    info = read_study_info(study)
    chosen = check_metric(info.metric, given_by=f"{study / 'study.json'}: metric")
    failures = read_failures(study)
    return Results(
        study_dir=study,
        info=info,
        variants=tuple(
            _read_variant(study, info, failures, network, has_stn)
            for network, has_stn in dict.fromkeys((run.network, run.has_stn) for run in info.runs)
        ),
        metric=chosen if metric is None else check_metric(metric),
        tolerance_points=TOLERANCE_POINTS if tolerance_points is None else tolerance_points,
    )


def _read_variant(study_dir: Path, info: StudyInfo, failures: list[Failure], network: str, has_stn: bool) -> Variant:
    planned = tuple(run for run in info.runs if (run.network, run.has_stn) == (network, has_stn))
    folders = [study_dir / run.folder for run in planned]
    return Variant(
        network=network,
        has_stn=has_stn,
        planned=planned,
        records=tuple(read_record(folder) for folder in folders if is_finished(folder)),
        failures=tuple(failure for failure in failures if (failure.network, failure.has_stn) == (network, has_stn)),
    )


def _read_run_predictions(path: Path, num_images: int, num_classes: int) -> RunPredictions | None:
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
    return RunPredictions(
        labels_N=predictions.labels_N, predicted_N=predicted_N, image_ids_N=ids_N, num_classes=num_classes
    )


def run_score(results: Results, record: RunRecord, split: str, metric: str) -> float | None:
    """Return one run's figure on `val` or `test`; None where it has none. Accuracy is what the record says."""
    if metric == ACCURACY:
        seen = record.val if split == "val" else record.test
        return None if seen is None else seen.accuracy
    found = results.predictions(record, split)
    return None if found is None or not len(found.labels_N) else score(found.counts, metric)


def run_scores(results: Results, records: Sequence[RunRecord], split: str, metric: str) -> list[float]:
    """Return the figures of the runs that have one."""
    found = (run_score(results, record, split, metric) for record in records)
    return [value for value in found if value is not None]


def mean_score(results: Results, variant: Variant, split: str, metric: str | None = None) -> float | None:
    """Return the mean over a network's runs, by the study's metric where none is named; None where a run has none."""
    values = run_scores(results, variant.records, split, metric or results.metric)
    return statistics.fmean(values) if values and len(values) == len(variant.records) else None


def added_counts(results: Results, variant: Variant, split: str) -> ClassCounts | None:
    """Add up by class what all runs of a network predicted; None where one of them has no predictions."""
    found = [results.predictions(record, split) for record in variant.records]
    counts = [one.counts for one in found if one is not None and len(one.labels_N)]
    if not counts or len(counts) < len(found):
        return None
    return ClassCounts(
        images_K=np.sum([one.images_K for one in counts], axis=0),
        called_K=np.sum([one.called_K for one in counts], axis=0),
        correct_K=np.sum([one.correct_K for one in counts], axis=0),
    )


@dataclass(frozen=True, kw_only=True)
class ClassRecall:
    """How often the images of a class were recognised, over all runs of a network."""

    label: int
    class_name: str
    recall: float | None
    """None without an image: with few seeds no fold may hold one."""


def weakest_classes(results: Results, variant: Variant, split: str) -> list[ClassRecall]:
    """Return the recall of every class, the weakest first and those without an image last; nothing without predictions.

    The sum over all runs names a class with more certainty than the worst one of each run, which differs by fold.
    """
    counts = added_counts(results, variant, split)
    if counts is None:
        return []
    recalls = [
        ClassRecall(label=k, class_name=name, recall=float(counts.recall_K[k]) if counts.images_K[k] else None)
        for k, name in enumerate(results.info.class_names)
    ]
    return sorted(recalls, key=lambda one: (one.recall is None, one.recall, one.label))


def missing_class_sentence(results: Results) -> str:
    """Say which classes the metric leaves out for want of images in validation; empty for an accuracy."""
    if results.metric == ACCURACY:
        return ""
    found = [added_counts(results, variant, "val") for variant in results.variants if variant.is_compared]
    known = [counts for counts in found if counts is not None]
    seen = {int(k) for counts in known for k in counts.present_K}
    names = results.info.class_names
    lost = [name for k, name in enumerate(names) if k not in seen] if known else []
    if not lost:
        return ""
    more = f" and {len(lost) - MAX_NAMES} more" if len(lost) > MAX_NAMES else ""
    return (
        f"{capitalise(results.chosen_by.words)} in validation leaves out {len(lost)} of {len(names)} classes, "
        f"which have no image there: {', '.join(lost[:MAX_NAMES])}{more}."
    )
