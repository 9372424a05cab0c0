"""Where a network errs: accuracy per class, the confusion matrix, and the pairs of classes it confuses most.

Predictions of all seeds are added up and divided once. On the test set every seed sees the same images; in validation
by folds each seed sees its own.
"""

import numpy as np
import numpy.typing as npt

from roadtest.analysis.results import Results, Variant
from roadtest.format import Row

Counts = npt.NDArray[np.int64]


def error_split(results: Results, variant: Variant) -> str:
    """Return the set whose errors are looked at: test where all of a network's runs read it."""
    return "test" if len(results.all_predictions(variant, "test")) == len(variant.records) else "val"


def _confusion(results: Results, variant: Variant, split: str) -> Counts:
    """How often an image of class i was called class j, K x K, added up over the seeds; zeros without predictions."""
    num_classes = len(results.info.class_names)
    runs = results.all_predictions(variant, split)
    codes_M = np.concatenate([run.labels_N * num_classes + run.predicted_N for run in runs] or [np.zeros(0, np.int64)])
    return np.bincount(codes_M, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_rows(results: Results, variant: Variant, split: str) -> list[Row]:
    """Return one row for each class that has images, the least accurate first."""
    counts_KK, names = _confusion(results, variant, split), results.info.class_names
    present = np.flatnonzero(counts_KK.sum(axis=1))
    if not len(present):
        return []
    num_images, num_tracks = _count_images(results, variant, split)
    rows = []
    for label in present.tolist():
        wrong_K = counts_KK[label].copy()
        wrong_K[label] = 0
        rival = int(wrong_K.argmax()) if wrong_K.any() else None
        rows.append(
            {
                "label": label,
                "class_name": names[label],
                "num_images": int(num_images[label]),
                "num_tracks": int(num_tracks[label]),
                "num_answers": int(counts_KK[label].sum()),
                "num_correct": int(counts_KK[label, label]),
                "accuracy": float(counts_KK[label, label] / counts_KK[label].sum()),
                "mostly_taken_for_label": rival,
                "mostly_taken_for": None if rival is None else names[rival],
                "num_taken_for_it": 0 if rival is None else int(wrong_K[rival]),
            }
        )
    return sorted(rows, key=lambda row: (row["accuracy"], row["label"]))


def confusion_rows(results: Results, variant: Variant, split: str) -> list[Row]:
    """Return one row for each pair of true and predicted class that occurs, the diagonal included."""
    counts_KK, names = _confusion(results, variant, split), results.info.class_names
    totals_K = counts_KK.sum(axis=1)
    return [
        {
            "true_label": true,
            "true_name": names[true],
            "predicted_label": predicted,
            "predicted_name": names[predicted],
            "num_answers": int(counts_KK[true, predicted]),
            "fraction_of_true": float(counts_KK[true, predicted] / totals_K[true]),
        }
        for true, predicted in np.argwhere(counts_KK).tolist()
    ]


def pair_rows(results: Results, variant: Variant, split: str) -> list[Row]:
    """Return two classes and how often each was taken for the other, the most frequent pair first."""
    counts_KK, names = _confusion(results, variant, split), results.info.class_names
    totals_K = counts_KK.sum(axis=1)
    both_KK = np.triu(counts_KK + counts_KK.T, k=1)
    rows = [
        {
            "label_a": a,
            "class_name_a": names[a],
            "label_b": b,
            "class_name_b": names[b],
            "num_a_as_b": int(counts_KK[a, b]),
            "num_answers_a": int(totals_K[a]),
            "num_b_as_a": int(counts_KK[b, a]),
            "num_answers_b": int(totals_K[b]),
            "num_mixed_up": int(both_KK[a, b]),
        }
        for a, b in np.argwhere(both_KK).tolist()
    ]
    return sorted(rows, key=lambda row: (-row["num_mixed_up"], row["label_a"], row["label_b"]))


def _count_images(results: Results, variant: Variant, split: str) -> tuple[Counts, Counts]:
    """Different images and different tracks of each class, over all seeds."""
    runs = results.all_predictions(variant, split)
    num_classes = len(results.info.class_names)
    ids_N, first_N = np.unique(np.concatenate([run.image_ids_N for run in runs]), return_index=True)
    labels_N = np.concatenate([run.labels_N for run in runs])[first_N]
    pairs = np.unique(np.stack([labels_N, results.clusters_N[ids_N]]), axis=1)
    return np.bincount(labels_N, minlength=num_classes), np.bincount(pairs[0], minlength=num_classes)
