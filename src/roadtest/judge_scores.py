"""Intervals of figures in which classes weigh the same, where all seeds answered the same images.

Balanced accuracy and macro-F1 move, to first order, by the sum of what each image adds (its influence). Classes are
given, units are the luck: an image's influence is taken against the mean of its class, and added up by unit (the
stratified linearisation of survey statistics; Cochran, Sampling Techniques, 1977, chapter 5). From there on the parts
of the variance, Satterthwaite's degrees of freedom and the bounds are those of an accuracy (judge_variance.py,
judge_intervals.py). A lowest recall is no smooth figure and has no such interval. Import from judge.py. Shapes: S
seeds, N images, U units.
"""

from dataclasses import dataclass

import numpy as np

from roadtest.judge_intervals import (
    CONFIDENCE,
    MIN_SEEDS,
    ON_NEW_SIGNS,
    THESE_WEIGHTS,
    Bools,
    Difference,
    Interval,
    Ints,
    accuracy_bounds,
    correlation,
    crossed_total,
    difference_bounds,
    standard_error_of,
    unseen_share,
)
from roadtest.judge_variance import Floats, Parts, sum_by_unit, unit_variance


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A figure of one network, and what each image adds to it."""

    values_S: Floats
    influence_SN: Floats
    """To first order; a constant added in a whole class is of no account."""
    weights_N: Floats
    """What each image weighs; they add up to 1."""
    correct_SN: Bools
    classes_N: Ints
    units_N: Ints


def score_interval(scores: Scores, *, confidence: float = CONFIDENCE) -> Interval:
    """Judge one network: on new signs; with one or two seeds for these weights only."""
    strata_N = _strata(scores.classes_N, scores.units_N)
    residuals_SN = _residuals(scores, strata_N)
    parts = _parts(scores, residuals_SN, strata_N)
    num_units = _effective_units(scores)
    total = crossed_total([parts], parts.unit)
    low, high = accuracy_bounds(parts.accuracy, total, num_units, confidence)
    return Interval(
        estimate=float(parts.accuracy),
        low=float(low),
        high=float(high),
        standard_error=standard_error_of(total, num_units, largest=0.5),
        degrees_of_freedom=float(total.degrees_of_freedom),
        num_seeds=parts.num_seeds,
        num_units=len(np.unique(scores.units_N)),
        design_effect=_design_effect(parts.residuals_U, residuals_SN.mean(axis=0)),
        statement=ON_NEW_SIGNS if parts.num_seeds >= MIN_SEEDS else THESE_WEIGHTS,
        confidence=confidence,
        seed_variance=float(parts.seed),
        unit_variance=float(parts.unit),
        cell_variance=float(parts.cell),
    )


def score_difference(a: Scores, b: Scores, *, confidence: float = CONFIDENCE) -> Difference:
    """Judge a minus b on the same images: images paired, seeds nested in each network (their numbers may differ)."""
    if not np.array_equal(a.units_N, b.units_N):
        raise ValueError(f"{len(a.units_N)} images against {len(b.units_N)}: both must see the same images; align them")
    strata_N = _strata(a.classes_N, a.units_N)
    residuals = [_residuals(scores, strata_N) for scores in (a, b)]
    networks = [_parts(scores, rows_SN, strata_N) for scores, rows_SN in zip((a, b), residuals, strict=True)]
    residuals_U = networks[0].residuals_U - networks[1].residuals_U
    unit, num_units = unit_variance(residuals_U), _effective_units(a)
    total = crossed_total(networks, unit)
    estimate = networks[0].accuracy - networks[1].accuracy
    num_differing = _num_differing(a, b)
    low, high, p_value = difference_bounds(estimate, total, np.asarray(num_differing), num_units, confidence)
    num_seeds = min(parts.num_seeds for parts in networks)
    return Difference(
        estimate=float(estimate),
        low=float(low),
        high=float(high),
        standard_error=standard_error_of(total, num_units, largest=1.0),
        degrees_of_freedom=float(total.degrees_of_freedom),
        num_seeds=num_seeds,
        num_units=len(np.unique(a.units_N)),
        design_effect=_design_effect(residuals_U, residuals[0].mean(axis=0) - residuals[1].mean(axis=0)),
        statement=ON_NEW_SIGNS if num_seeds >= MIN_SEEDS else THESE_WEIGHTS,
        confidence=confidence,
        seed_variance=float(sum(parts.seed for parts in networks)),
        unit_variance=float(unit),
        cell_variance=float(sum(parts.cell for parts in networks)),
        p_value=float(p_value),
        num_differing_units=num_differing,
        unseen=unseen_share(num_units, confidence),
        seed_correlation=correlation(a.values_S, b.values_S),
        seeds_each=tuple((parts.num_seeds, float(parts.seed)) for parts in networks),
    )


def _residuals(scores: Scores, strata_N: Ints) -> Floats:
    """What each image adds beyond its class's mean, made larger where a class has few units; rows sum to zero."""
    pairs = np.unique(np.stack([strata_N, scores.units_N]), axis=1)
    units_H = np.bincount(pairs[0]).astype(float)
    scale_H = np.sqrt(units_H / np.maximum(units_H - 1, 1))
    weight_H = np.bincount(strata_N, weights=scores.weights_N)
    means = [np.bincount(strata_N, weights=row_N) / weight_H for row_N in scores.influence_SN]
    centred = [
        (row_N - scores.weights_N * mean_H[strata_N]) * scale_H[strata_N]
        for row_N, mean_H in zip(scores.influence_SN, means, strict=True)
    ]
    return np.stack(centred)


def _strata(classes_N: Ints, units_N: Ints) -> Ints:
    """The class of each image, from 0; classes of a single unit are taken together, so that each has two at least.

    Alone they would show no variance at all; together they show too much rather than too little (collapsed strata).
    """
    names_H, strata_N = np.unique(classes_N, return_inverse=True)
    pairs = np.unique(np.stack([strata_N, units_N]), axis=1)
    units_H = np.bincount(pairs[0], minlength=len(names_H))
    together: list[int] = []
    for stratum in np.argsort(units_H, kind="stable").tolist():
        found = np.unique(pairs[1][np.isin(pairs[0], together)])
        if units_H[stratum] > 1 and (not together or len(found) > 1):
            break
        together.append(stratum)
    merged_N = np.where(np.isin(strata_N, together), together[0] if together else 0, strata_N)
    return np.unique(merged_N, return_inverse=True)[1]


def _parts(scores: Scores, residuals_SN: Floats, strata_N: Ints) -> Parts:
    """The parts of the variance, as `variance_parts` splits them; degrees of freedom by weight, less one a stratum."""
    _, dense_N = np.unique(scores.units_N, return_inverse=True)
    by_unit_SU = sum_by_unit(residuals_SN, dense_N)
    num_seeds, num_units = by_unit_SU.shape
    mean_U = by_unit_SU.mean(axis=0)
    seed = cell = 0.0
    if num_seeds > 1:
        seed = float(scores.values_S.var(ddof=1)) / num_seeds
        if num_units > 1:
            cell = float(((by_unit_SU - mean_U) ** 2).sum())
            cell *= num_units / ((num_seeds - 1) * (num_units - 1) * num_seeds)
    freedom = max(int(_effective_units(scores)) - int(strata_N.max() + 1), 1)
    return Parts(
        accuracy=np.asarray(scores.values_S.mean()),
        residuals_U=mean_U,
        seed=np.asarray(seed),
        cell=np.asarray(cell),
        num_seeds=num_seeds,
        num_units=min(freedom + 1, num_units),
    )


def _effective_units(scores: Scores) -> float:
    """How many units of equal weight would tell as much (Kish 1965)."""
    _, dense_N = np.unique(scores.units_N, return_inverse=True)
    weights_U = np.bincount(dense_N, weights=scores.weights_N)
    return float(weights_U.sum() ** 2 / (weights_U**2).sum())


def _num_differing(a: Scores, b: Scores) -> int:
    """Units on which the two networks have not the same number of errors."""
    _, dense_N = np.unique(a.units_N, return_inverse=True)
    means = [sum_by_unit(~scores.correct_SN, dense_N).mean(axis=0) for scores in (a, b)]
    return int((~np.isclose(means[0], means[1], rtol=0, atol=1e-9)).sum())


def _design_effect(residuals_U: Floats, residuals_N: Floats) -> float:
    single = float(unit_variance(residuals_N))
    return float(unit_variance(residuals_U)) / single if single > 0 else 1.0
