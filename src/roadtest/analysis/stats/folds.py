"""Intervals from validation folds, where each seed validates on a fold of its own: the fold is the cluster.

A fold's accuracy varies with its seed and its tracks at once, so the folds' spread holds all variance, and a t over
folds with folds - 1 degrees of freedom is enough (docs/statistics.md). Where all seeds share one validation set nothing
here applies: that is the crossed case of intervals.py. Shapes: F folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadtest.analysis.stats.intervals import (
    CONFIDENCE,
    Difference,
    Interval,
    correlation,
    difference_bounds,
    repeated_interval,
    rule_of_three,
    standard_error_of,
)
from roadtest.analysis.stats.variance import Floats, Total

ON_NEW_FOLDS = "if trained again, on new signs of the training set's kind"


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """What one trained network got right on its validation fold."""

    fold: int
    num_correct: float
    num_seen: int
    num_clusters: int | None = None
    """Tracks in the fold; None where every image is independent."""

    @property
    def accuracy(self) -> float:
        """Fraction of the fold's images that were classified correctly."""
        return self.num_correct / self.num_seen


def validation_interval(results: Sequence[FoldResult], *, confidence: float = CONFIDENCE) -> Interval:
    """Judge one network where each seed validates on its own fold, which brings its seed's variance.

    Of a single fold the interval is everything: use accuracy_interval over its tracks instead.
    """
    folds = _add_up(results)
    accuracies_F = np.array([fold.accuracy for fold in folds])
    mean, num_seen = accuracies_F.mean(), sum(fold.num_seen for fold in folds)
    total = _fold_total(accuracies_F, least=mean * (1 - mean) / num_seen)
    return repeated_interval(mean, total, _count_clusters(folds), len(folds), ON_NEW_FOLDS, confidence)


def validation_difference(
    results_a: Sequence[FoldResult], results_b: Sequence[FoldResult], *, confidence: float = CONFIDENCE
) -> Difference:
    """Judge a minus b by a paired t over the folds that both were validated on, with folds - 1 degrees of freedom."""
    by_fold_b = {fold.fold: fold for fold in _add_up(results_b)}
    pairs = [(fold, by_fold_b[fold.fold]) for fold in _add_up(results_a) if fold.fold in by_fold_b]
    if not pairs:
        raise ValueError("the two networks share no validation fold: they need a seed in common; train one")
    a_F, b_F = (np.array([fold.accuracy for fold in side]) for side in zip(*pairs, strict=True))
    differences_F = a_F - b_F
    seen_F = np.array([a.num_seen for a, _ in pairs])
    num_differing = np.rint(np.abs(differences_F) * seen_F).sum()
    total = _fold_total(differences_F, least=float((np.abs(differences_F) * seen_F).sum() / seen_F.sum() ** 2))
    num_clusters = _count_clusters([a for a, _ in pairs]) if len(pairs) > 1 else 1
    low, high, p_value = difference_bounds(differences_F.mean(), total, num_differing, num_clusters, confidence)
    return Difference(
        estimate=float(differences_F.mean()),
        low=float(low),
        high=float(high),
        standard_error=standard_error_of(total, len(pairs), largest=1.0),
        degrees_of_freedom=float(total.degrees_of_freedom),
        num_seeds=len(pairs),
        num_clusters=len(pairs),
        statement=ON_NEW_FOLDS,
        confidence=confidence,
        seed_variance=float(total.variance),
        p_value=float(p_value),
        num_differing_clusters=int(num_differing),
        rule_of_three_bound=rule_of_three(num_clusters, confidence),
        seed_correlation=correlation(a_F, b_F),
        seeds_each=((len(pairs), float(total.variance)),),
    )


def _fold_total(values_F: Floats, *, least: float) -> Total:
    """The variance of a mean over folds, never below `least`: what single images alone would bring."""
    num_folds = len(values_F)
    if num_folds < 2:
        return Total(variance=np.array(least), degrees_of_freedom=np.zeros(()))
    variance = max(float(values_F.var(ddof=1)) / num_folds, least)
    return Total(variance=np.array(variance), degrees_of_freedom=np.array(num_folds - 1.0))


def _add_up(results: Sequence[FoldResult]) -> list[FoldResult]:
    """One result per fold, in the folds' order: seeds that share a fold are averaged, never counted as two folds."""
    if not results:
        raise ValueError("no validation results: give at least one fold's; train a seed")
    found: dict[int, list[FoldResult]] = {}
    for result in results:
        found.setdefault(result.fold, []).append(result)
    return [
        replace(same[0], num_correct=sum(result.num_correct for result in same) / len(same))
        for _, same in sorted(found.items())
    ]


def _count_clusters(folds: Sequence[FoldResult]) -> int:
    return sum(fold.num_seen if fold.num_clusters is None else fold.num_clusters for fold in folds)
