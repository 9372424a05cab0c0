"""What a network answered on labelled images, and every figure that follows from it.

Counts are added up and divided once; the interval is the judge's, over groups of images: these weights, on new signs.
The metrics are those of every table (summarise/metrics.py), over the classes that have images here. Shapes: N images,
K classes (the network's).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from roadtest import judge
from roadtest.summarise.metrics import (
    BALANCED,
    MACRO_F1,
    METRICS,
    ClassCounts,
    count_classes,
    image_weights,
    influence,
    score,
)

Row = dict[str, Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a network answered on labelled images; every figure follows from it."""

    label: str
    """`lenet5+stn`: the network as people read it."""
    seed: int
    data_title: str
    data_fingerprint: str
    split: str
    """`test`, `val`, `train` or `all`: which of the images."""
    class_names: tuple[str, ...]
    """The network's, in the order of their numbers."""
    labels_N: Ints
    """The true classes, numbered as the network numbers them."""
    predicted_N: Ints
    units_N: Ints
    """Images of one group share a number; others stand alone."""
    paths: tuple[str, ...]
    notes: tuple[str, ...]
    """What a reader must know, a sentence each."""

    @cached_property
    def counts(self) -> ClassCounts:
        """Images, calls and correct answers of each class."""
        return count_classes(self.labels_N, self.predicted_N, len(self.class_names))

    @cached_property
    def interval(self) -> judge.Interval | None:
        """The accuracy with its 95 % interval; None where all images are of one group."""
        if len(np.unique(self.units_N)) < 2:
            return None
        return judge.accuracy_interval((self.labels_N == self.predicted_N)[None], self.units_N)

    @cached_property
    def class_intervals(self) -> dict[str, judge.Interval]:
        """The 95 % intervals of balanced accuracy and macro-F1, by column; nothing where all images are of one group.

        A lowest recall has none that is honest (docs/statistics.md).
        """
        if self.interval is None:
            return {}
        return {METRICS[name].column: judge.score_interval(self._judged_by(name)) for name in (BALANCED, MACRO_F1)}

    @property
    def unit_name(self) -> str:
        """What stands or falls by itself: `tracks`, or single `images`."""
        return "tracks" if len(np.unique(self.units_N)) < len(self.units_N) else "images"

    def scores(self) -> dict[str, float]:
        """The four metrics, fractions; over the classes that have images here."""
        return {metric.column: score(self.counts, metric.name) for metric in METRICS.values()}

    def class_rows(self) -> list[Row]:
        """One row for each class that has images here, the least often recognised first."""
        counts, confusion_KK = self.counts, self._confusion()
        pairs_2M = np.unique(np.stack([self.labels_N, self.units_N]), axis=1)
        num_units_K = np.bincount(pairs_2M[0], minlength=len(self.class_names))
        rows = []
        for label in counts.present_K.tolist():
            rivals = confusion_KK.get(label, {})
            rival = min(rivals, key=lambda other: (-rivals[other], other), default=None)
            rows.append(
                {
                    "class_id": label,
                    "class_name": self.class_names[label],
                    "num_images": int(counts.images_K[label]),
                    "num_tracks": int(num_units_K[label]),
                    "num_correct": int(counts.correct_K[label]),
                    "recall": float(counts.recall_K[label]),
                    "precision": _share(counts.correct_K[label], counts.called_K[label]),
                    "f1": float(counts.f1_K[label]),
                    "mostly_taken_for_id": rival,
                    "mostly_taken_for": None if rival is None else self.class_names[rival],
                    "num_taken_for_it": 0 if rival is None else rivals[rival],
                }
            )
        return sorted(rows, key=lambda row: (row["recall"], row["class_id"]))

    def image_rows(self) -> list[Row]:
        """One row for each image: what it is and what it was called."""
        return [
            {
                "path": path,
                "class_id": label,
                "class_name": self.class_names[label],
                "predicted_id": predicted,
                "predicted_name": self.class_names[predicted],
                "is_correct": label == predicted,
            }
            for path, label, predicted in zip(
                self.paths, self.labels_N.tolist(), self.predicted_N.tolist(), strict=True
            )
        ]

    def to_dict(self) -> Row:
        """Plain values, ready for JSON."""
        interval = self.interval
        return {
            "network": self.label,
            "seed": self.seed,
            "data_title": self.data_title,
            "data_fingerprint": self.data_fingerprint,
            "split": self.split,
            "num_images": len(self.labels_N),
            "num_classes": len(self.counts.present_K),
            **self.scores(),
            "accuracy_low": interval and interval.low,
            "accuracy_high": interval and interval.high,
            **self._class_bounds(),
            "statement": interval and interval.statement,
            "num_units": len(np.unique(self.units_N)),
            "unit_name": self.unit_name,
            "design_effect": interval and interval.design_effect,
            "notes": list(self.notes),
            "classes": self.class_rows(),
        }

    def _class_bounds(self) -> dict[str, float | None]:
        columns = [METRICS[name].column for name in (BALANCED, MACRO_F1)]
        found = {column: self.class_intervals.get(column) for column in columns}
        return {
            f"{column}_{end}": None if one is None else float(getattr(one, end))
            for column, one in found.items()
            for end in ("low", "high")
        }

    def _judged_by(self, metric: str) -> judge.Scores:
        """The one run's answers in the shape that the judge takes."""
        return judge.Scores(
            values_S=np.array([score(self.counts, metric)]),
            influence_SN=influence(self.labels_N, self.predicted_N, self.counts, metric)[None],
            weights_N=image_weights(self.labels_N),
            correct_SN=(self.labels_N == self.predicted_N)[None],
            classes_N=self.labels_N,
            units_N=self.units_N,
        )

    def _confusion(self) -> dict[int, dict[int, int]]:
        """True class -> wrong class -> how often; only what occurs, for a thousand classes as for two."""
        wrong_N = self.labels_N != self.predicted_N
        pairs_2M, counts_M = np.unique(
            np.stack([self.labels_N[wrong_N], self.predicted_N[wrong_N]]), axis=1, return_counts=True
        )
        found: dict[int, dict[int, int]] = {}
        for label, other, count in zip(*pairs_2M.tolist(), counts_M.tolist(), strict=True):
            found.setdefault(label, {})[other] = count
        return found


def _share(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None
