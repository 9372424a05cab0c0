"""What may choose between networks: accuracy, and three figures in which every class weighs the same.

Balanced accuracy is the mean over classes of the recall (the share of a class's images that were recognised).
Macro-F1 is the mean over classes of F1 = 2 x correct / (images of the class + images predicted as it). Worst-class
recall is the lowest recall. All three are over the classes that have images in the set. The metric is a choice of
reading, no part of the protocol: every figure is computed again from the predictions of a run. Pure arithmetic.
Shapes: N images, K classes, C clusters.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadtest.protocol import METRICS as METRIC_NAMES

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """One figure by which networks may be chosen."""

    name: str
    """As typed after `--metric`."""
    column: str
    """Its part of a column's name: `val_macro_f1_mean`."""
    words: str
    """In a sentence."""
    superlative: str
    """What the best network is called."""
    comparative: str
    """What a better one is called."""


ACCURACY, BALANCED, MACRO_F1, WORST = METRIC_NAMES

METRICS = {
    metric.name: metric
    for metric in (
        Metric(ACCURACY, "accuracy", "accuracy", "most accurate", "more accurate"),
        Metric(BALANCED, "balanced_accuracy", "balanced accuracy", "best", "better"),
        Metric(MACRO_F1, "macro_f1", "macro-F1", "best", "better"),
        Metric(WORST, "worst_class_recall", "worst-class recall", "best", "better"),
    )
}
"""Words of `--metric`; accuracy is the default."""


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """What one run predicted on one set, added up by class."""

    images_K: Ints
    called_K: Ints
    """Images that were predicted as the class, rightly or not."""
    correct_K: Ints

    @property
    def present_K(self) -> Ints:
        """The classes that have images."""
        return np.flatnonzero(self.images_K)

    @property
    def recall_K(self) -> Floats:
        """The share of each class's images that were recognised; 0 for a class without images."""
        return self.correct_K / np.maximum(self.images_K, 1)

    @property
    def f1_K(self) -> Floats:
        """Twice the hits over images and predictions together; 0 for a class without images."""
        return np.where(self.images_K > 0, 2 * self.correct_K / np.maximum(self.images_K + self.called_K, 1), 0.0)


def check_metric(name: str, *, given_by: str = "--metric") -> str:
    """Return a metric's name; a ValueError gives the choices."""
    if name not in METRICS:
        raise ValueError(f"{given_by} {name!r} is not known: choose one of {', '.join(METRICS)}")
    return name


def count_classes(labels_N: Ints, predicted_N: Ints, num_classes: int) -> ClassCounts:
    """Add up the predictions of one run."""
    return ClassCounts(
        images_K=np.bincount(labels_N, minlength=num_classes),
        called_K=np.bincount(predicted_N, minlength=num_classes),
        correct_K=np.bincount(labels_N[labels_N == predicted_N], minlength=num_classes),
    )


def score(counts: ClassCounts, metric: str) -> float:
    """Compute the figure, a fraction."""
    present_K = counts.present_K
    if metric == ACCURACY:
        return float(counts.correct_K.sum() / counts.images_K.sum())
    if metric == MACRO_F1:
        return float(counts.f1_K[present_K].mean())
    recall = counts.recall_K[present_K]
    return float(recall.min() if metric == WORST else recall.mean())


def influence(labels_N: Ints, predicted_N: Ints, counts: ClassCounts, metric: str) -> Floats:
    """Compute what each image adds to balanced accuracy or macro-F1, to first order, up to a constant in each class.

    Of balanced accuracy that is exact: it is a weighted mean. F1 of class k is 2 t / (n + m); one image of the class
    moves it by (2 [correct] - F1) / (n + m), one that is predicted as k by - F1 / (n + m).
    """
    if metric == BALANCED:
        right_N: Floats = (labels_N == predicted_N) * image_weights(labels_N)
        return right_N
    assert metric == MACRO_F1, f"{metric} is no smooth figure"
    num_present = len(counts.present_K)
    both_K = np.maximum(counts.images_K + counts.called_K, 1)
    share_K = counts.f1_K / both_K
    moved_N: Floats = 2 * (labels_N == predicted_N) / both_K[labels_N] - share_K[labels_N] - share_K[predicted_N]
    moved_N /= num_present
    return moved_N


def image_weights(labels_N: Ints) -> Floats:
    """Weigh each image so that every class weighs the same; the weights add up to 1."""
    _, place_N, images_K = np.unique(labels_N, return_inverse=True, return_counts=True)
    weights_N: Floats = 1.0 / (len(images_K) * images_K[place_N])
    return weights_N


def fold_sizes(labels_N: Ints, clusters_N: Ints, metric: str) -> tuple[int, int]:
    """Count the images and the clusters of equal weight that a figure on one fold rests on (Kish 1965).

    Of worst-class recall these are the images of the smallest class, and one cluster: a fold has one worst class.
    """
    if metric == ACCURACY:
        return len(labels_N), len(np.unique(clusters_N))
    if metric == WORST:
        return int(np.bincount(labels_N)[np.unique(labels_N)].min()), 1
    weights_N = image_weights(labels_N)
    _, place_N = np.unique(clusters_N, return_inverse=True)
    weights_C = np.bincount(place_N, weights=weights_N)
    return max(round(1 / (weights_N**2).sum()), 1), max(round(1 / (weights_C**2).sum()), 1)
