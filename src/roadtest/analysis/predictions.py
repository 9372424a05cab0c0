"""What the runs of a network predicted on one set, in the shapes that the statistics take.

On the test set all runs see the same images (crossed): seeds x images, and the cluster is the track. In validation by
folds each run sees a fold of its own: one result for each fold, or one row of all predictions. A pair is compared over
all seeds of both where all saw the same images, else over the seeds that both finished, which share their folds.
Shapes: S seeds, N images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from roadtest.analysis import stats
from roadtest.analysis.metrics import ACCURACY, WORST, fold_sizes, image_weights, influence, score
from roadtest.analysis.results import Bools, Ints, Results, RunPredictions, Variant, once_per_study
from roadtest.records import RunRecord


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkPredictions:
    """The predictions of a network's runs on `val` or `test`, run by run."""

    runs: list[RunPredictions]
    folds: list[int]
    """The validation fold of each run."""
    cluster_of: Ints
    """The cluster of every image of the study, by its row in split.csv."""

    @property
    def ids(self) -> list[Ints]:
        """The images of each run."""
        return [run.image_ids_N for run in self.runs]

    @cached_property
    def is_crossed(self) -> bool:
        """All runs saw the same images."""
        return all(np.array_equal(ids_N, self.ids[0]) for ids_N in self.ids)

    @property
    def is_by_fold(self) -> bool:
        """There are folds enough to judge by them: the fold is the cluster."""
        return not self.is_crossed and len(set(self.folds)) >= stats.MIN_SEEDS

    @cached_property
    def num_clusters(self) -> int:
        """How many tracks there are in all."""
        return int(np.count_nonzero(np.bincount(self.crossed_clusters())))

    def by_fold(self, metric: str) -> list[stats.FoldResult]:
        """One result for each run on its fold; of a metric that weighs classes, in images of equal weight."""
        return [self._fold(fold, run, metric) for fold, run in zip(self.folds, self.runs, strict=True)]

    def crossed(self) -> Bools:
        """Seeds x images where all saw the same, else one row of all predictions."""
        correct = [run.is_correct_N for run in self.runs]
        return np.stack(correct) if self.is_crossed else np.concatenate(correct)[None, :]

    def crossed_clusters(self) -> Ints:
        """The clusters of the images behind the columns of `crossed`."""
        return self.cluster_of[self.ids[0] if self.is_crossed else np.concatenate(self.ids)]

    def scores(self, metric: str) -> stats.Scores:
        """A metric that weighs classes, in the same shape: one row with the mean of the runs where folds differ."""
        values_S = np.array([score(run.counts, metric) for run in self.runs])
        moved = [influence(run.labels_N, run.predicted_N, run.counts, metric) for run in self.runs]
        weights = [image_weights(run.labels_N) for run in self.runs]
        classes = [run.labels_N for run in self.runs]
        share = 1 / len(self.runs)
        return stats.Scores(
            values_S=values_S if self.is_crossed else values_S.mean(keepdims=True),
            influence_SN=np.stack(moved) if self.is_crossed else share * np.concatenate(moved)[None, :],
            weights_N=weights[0] if self.is_crossed else share * np.concatenate(weights),
            correct_SN=self.crossed(),
            classes_N=classes[0] if self.is_crossed else np.concatenate(classes),
            clusters_N=self.crossed_clusters(),
        )

    def has_images_of(self, other: "NetworkPredictions") -> bool:
        """Whether both saw the same images in the same order, run by run; crossed, whatever their number of runs."""
        if self.is_crossed and other.is_crossed:
            return np.array_equal(self.ids[0], other.ids[0])
        return len(self.ids) == len(other.ids) and all(map(np.array_equal, self.ids, other.ids))

    def _fold(self, fold: int, run: RunPredictions, metric: str) -> stats.FoldResult:
        num_seen, num_clusters = fold_sizes(run.labels_N, self.cluster_of[run.image_ids_N], metric)
        is_accuracy = metric == ACCURACY
        num_correct = float(run.is_correct_N.sum()) if is_accuracy else num_seen * score(run.counts, metric)
        return stats.FoldResult(fold=fold, num_correct=num_correct, num_seen=num_seen, num_clusters=num_clusters)


def gather_predictions(results: Results, records: Sequence[RunRecord], split: str) -> NetworkPredictions | None:
    """Gather what these runs predicted on `val` or `test`; None where one of them has no predictions."""
    found = [results.predictions(record, split) for record in records]
    runs = [run for run in found if run is not None and len(run.labels_N)]
    if not runs or len(runs) < len(found):
        return None
    num_folds = int(results.info.protocol["num_folds"])
    folds = [record.seed % num_folds for record in records]
    return NetworkPredictions(runs=runs, folds=folds, cluster_of=results.clusters_N)


@once_per_study
def network_predictions(results: Results, variant: Variant, split: str) -> NetworkPredictions | None:
    """Gather what all runs of a network predicted."""
    return gather_predictions(results, variant.records, split)


def common_seeds(a: Variant, b: Variant) -> list[int]:
    """Return the seeds that both networks finished."""
    return sorted(a.seeds & b.seeds)


@once_per_study
def paired_predictions(
    results: Results, a: Variant, b: Variant, split: str
) -> tuple[NetworkPredictions, NetworkPredictions] | None:
    """Return what both networks predicted on the same images; None where they cannot be compared."""
    if not (a.is_compared and b.is_compared):
        return None
    of_a, of_b = (network_predictions(results, one, split) for one in (a, b))
    if of_a is None or of_b is None or not of_a.has_images_of(of_b):
        seeds = common_seeds(a, b)
        common = ([record for seed in seeds for record in one.records if record.seed == seed] for one in (a, b))
        of_a, of_b = (gather_predictions(results, records, split) for records in common)
    return (of_a, of_b) if of_a is not None and of_b is not None and of_a.has_images_of(of_b) else None


def interval_of(
    predictions: NetworkPredictions, *, metric: str = ACCURACY, confidence: float = stats.CONFIDENCE
) -> stats.Interval | None:
    """Return a network's figure with its interval; None where no interval is honest (see `difference_of`)."""
    if predictions.is_by_fold:
        return stats.validation_interval(predictions.by_fold(metric), confidence=confidence)
    if predictions.num_clusters < 2 or metric == WORST:
        return None
    if metric == ACCURACY:
        return stats.accuracy_interval(predictions.crossed(), predictions.crossed_clusters(), confidence=confidence)
    return stats.score_interval(predictions.scores(metric), confidence=confidence)


def difference_of(
    of_a: NetworkPredictions,
    of_b: NetworkPredictions,
    *,
    metric: str = ACCURACY,
    confidence: float = stats.CONFIDENCE,
) -> stats.Difference | None:
    """Return the figure of `a` minus that of `b` on the same images, run by run; None where no interval is honest.

    From three folds on the fold is the cluster, below that all predictions are one row over tracks. A worst-class
    recall has an interval over folds alone: on one set a class may have two tracks (docs/statistics.md).
    """
    if of_a.is_by_fold:
        return stats.validation_difference(of_a.by_fold(metric), of_b.by_fold(metric), confidence=confidence)
    if of_a.num_clusters < 2 or metric == WORST:
        return None
    if metric == ACCURACY:
        return stats.difference_interval(of_a.crossed(), of_b.crossed(), of_a.crossed_clusters(), confidence=confidence)
    return stats.score_difference(of_a.scores(metric), of_b.scores(metric), confidence=confidence)
