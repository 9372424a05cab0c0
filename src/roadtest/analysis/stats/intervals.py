"""Intervals around a figure and around the difference of two, each with the statement it supports.

Two statements are kept apart. "On these test images, if trained again" knows the variance of seeds only. "On new signs
of this kind" knows the variance of seeds and of clusters (tracks), and is the one that verdicts use. One or two seeds
show nothing of the variance of seeds: then the interval is over clusters alone and says "these trained weights, on new
signs". An accuracy's interval is taken on the logit scale, a difference's on its own; both use Student's t with
Satterthwaite's degrees of freedom (variance.py). docs/statistics.md holds the reasons, the edge cases and the
simulation.

Balanced accuracy and macro-F1 move, to first order, by the sum of what each image adds (its influence). Classes are
given, clusters vary by chance: an image's influence is taken against the mean of its class, and added up by cluster
(the stratified linearisation of survey statistics; Cochran, Sampling Techniques, 1977, chapter 5). From there on the
arithmetic is that of an accuracy. A lowest recall is no smooth figure and has no such interval.
Arrays in, frozen dataclasses out; fractions, never percent. Shapes: S seeds, N images, C clusters, H strata.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadtest.analysis.stats.variance import (
    Floats,
    Total,
    VarianceComponents,
    cluster_variance,
    sum_by_cluster,
    total_variance,
    variance_components,
)

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
CONFIDENCE = 0.95
MIN_SEEDS = 3
"""Fewer seeds say too little about the variance of seeds: no verdict. Five are better (docs/statistics.md)."""
WITH_NEW_SEEDS = "on these test images, if trained again"
ON_NEW_SIGNS = "on new signs of this kind"
THESE_WEIGHTS = "these trained weights, on new signs"


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure and how far chance may have moved it; all fractions."""

    estimate: float
    low: float
    high: float
    standard_error: float
    """On the figure's own scale. 0 where nothing varied: low and high then rest on the number of clusters alone."""
    degrees_of_freedom: float
    num_seeds: int
    """Of two networks the smaller number; on folds the number of folds."""
    num_clusters: int
    """Independent groups of images: tracks, groups, single images, or folds."""
    design_effect: float = 1.0
    """The variance over clusters by what single images would seem to give: 12 means that 12 images count as one."""
    statement: str
    """What the interval is about, in words."""
    confidence: float = CONFIDENCE
    seed_variance: float = 0.0
    """The component of the variance that more seeds would shrink; 0 where it was not asked for."""
    cluster_variance: float = 0.0
    """The cluster-robust component; more clusters shrink it."""
    cell_variance: float = 0.0
    """What the two components before count twice; both would shrink it."""


@dataclass(frozen=True, kw_only=True)
class Difference(Interval):
    """A figure minus another: positive where the first network is better."""

    p_value: float
    """Two-sided, of no difference; before Holm's correction."""
    num_differing_clusters: int
    """Clusters on which the networks have not the same number of errors; over folds images (difference_bounds)."""
    rule_of_three_bound: float
    """The share of clusters on which they may differ though none does: how far the interval reaches where few do."""
    seed_correlation: float | None
    """Of the two networks' figures over seeds of one number; None where it is unknown. Reported, never used."""
    seeds_each: tuple[tuple[int, float], ...]
    """Of each network its number of seeds and its share of `seed_variance`; of folds, shared by both, one for both."""


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
    clusters_N: Ints


def accuracy_interval(correct_SN: Bools, clusters_N: Ints, *, confidence: float = CONFIDENCE) -> Interval:
    """Judge one network on images that all seeds saw: on new signs; with one or two seeds for these weights only."""
    components = variance_components(*_wrong_by_cluster(correct_SN, clusters_N))
    effect = _design_effect(float(components.cluster), _centred((~correct_SN).mean(axis=0)))
    size = components.num_clusters
    return _interval(components, num_clusters=size, effective=size, design_effect=effect, confidence=confidence)


def difference_interval(
    correct_a_SN: Bools, correct_b_SN: Bools, clusters_N: Ints, *, confidence: float = CONFIDENCE
) -> Difference:
    """Judge a minus b on the same images: images paired, seeds nested in each network (their numbers may differ)."""
    if correct_a_SN.shape[1] != correct_b_SN.shape[1]:
        raise ValueError(
            f"{correct_a_SN.shape[1]} images against {correct_b_SN.shape[1]}: both must see the same images; align them"
        )
    both = (correct_a_SN, correct_b_SN)
    counts = [_wrong_by_cluster(correct_SN, clusters_N) for correct_SN in both]
    networks = [variance_components(wrong_SC, sizes_C) for wrong_SC, sizes_C in counts]
    variance = float(cluster_variance(networks[0].residuals_C - networks[1].residuals_C))
    size = networks[0].num_clusters
    return _difference(
        networks,
        wrong=[wrong_SC for wrong_SC, _ in counts],
        num_clusters=size,
        effective=size,
        design_effect=_design_effect(variance, _centred(correct_a_SN.mean(axis=0) - correct_b_SN.mean(axis=0))),
        seed_correlation=correlation(correct_a_SN.mean(axis=1), correct_b_SN.mean(axis=1)),
        confidence=confidence,
    )


def score_interval(scores: Scores, *, confidence: float = CONFIDENCE) -> Interval:
    """Judge one network's smooth figure: on new signs; with one or two seeds for these weights only."""
    strata_N = _strata(scores.classes_N, scores.clusters_N)
    residuals_SN = _residuals(scores, strata_N)
    components = _score_components(scores, residuals_SN, strata_N)
    return _interval(
        components,
        num_clusters=len(np.unique(scores.clusters_N)),
        effective=_effective_clusters(scores),
        design_effect=_design_effect(float(components.cluster), residuals_SN.mean(axis=0)),
        confidence=confidence,
    )


def score_difference(a: Scores, b: Scores, *, confidence: float = CONFIDENCE) -> Difference:
    """Judge a minus b on the same images: images paired, seeds nested in each network (their numbers may differ)."""
    if not np.array_equal(a.clusters_N, b.clusters_N):
        sizes = f"{len(a.clusters_N)} images against {len(b.clusters_N)}"
        raise ValueError(f"{sizes}: both must see the same images; align them")
    strata_N, (_, dense_N) = _strata(a.classes_N, a.clusters_N), np.unique(a.clusters_N, return_inverse=True)
    residuals = [_residuals(scores, strata_N) for scores in (a, b)]
    networks = [_score_components(scores, rows_SN, strata_N) for scores, rows_SN in zip((a, b), residuals, strict=True)]
    variance = float(cluster_variance(networks[0].residuals_C - networks[1].residuals_C))
    return _difference(
        networks,
        wrong=[sum_by_cluster(~scores.correct_SN, dense_N) for scores in (a, b)],
        num_clusters=len(np.unique(a.clusters_N)),
        effective=_effective_clusters(a),
        design_effect=_design_effect(variance, residuals[0].mean(axis=0) - residuals[1].mean(axis=0)),
        seed_correlation=correlation(a.values_S, b.values_S),
        confidence=confidence,
    )


def seed_only_interval(correct_SN: Bools, *, confidence: float = CONFIDENCE) -> Interval | None:
    """Judge one network on these very images, if trained again: the variance of seeds alone; None below three seeds."""
    num_seeds, num_images = correct_SN.shape
    if num_seeds < MIN_SEEDS:
        return None
    # Seeds that agree to the image by chance would leave no variance at all: one image is the least it can be.
    variance = max(float(correct_SN.mean(axis=1).var(ddof=1)), num_images**-2.0) / num_seeds
    total = Total(variance=np.array(variance), degrees_of_freedom=np.array(num_seeds - 1.0))
    return repeated_interval(correct_SN.mean(), total, num_images, num_seeds, WITH_NEW_SEEDS, confidence)


def seed_only_difference(
    correct_a_SN: Bools, correct_b_SN: Bools, *, confidence: float = CONFIDENCE
) -> Interval | None:
    """Judge a minus b on these very images, if both are trained again: Welch's t over seeds; None below three seeds."""
    networks, num_images = (correct_a_SN, correct_b_SN), correct_a_SN.shape[1]
    if min(map(len, networks)) < MIN_SEEDS:
        return None
    means = [correct_SN.mean(axis=1) for correct_SN in networks]
    parts = [max(float(mean_S.var(ddof=1)), num_images**-2.0) / len(mean_S) for mean_S in means]
    freedom = sum(parts) ** 2 / sum(part**2 / (len(mean_S) - 1) for part, mean_S in zip(parts, means, strict=True))
    estimate, error = float(means[0].mean() - means[1].mean()), float(np.sqrt(sum(parts)))
    half = float(_student_quantile(confidence, np.array(freedom))) * error
    return Interval(
        estimate=estimate,
        low=max(estimate - half, -1.0),
        high=min(estimate + half, 1.0),
        standard_error=error,
        degrees_of_freedom=freedom,
        num_seeds=min(map(len, networks)),
        num_clusters=min(map(len, networks)),
        statement=WITH_NEW_SEEDS,
        confidence=confidence,
        seed_variance=sum(parts),
    )


def repeated_interval(
    mean: Floats, total: Total, num_clusters: int, num_repeats: int, statement: str, confidence: float
) -> Interval:
    """Return an accuracy's interval where whole repetitions (seeds, or seeds with their folds) are what varies."""
    low, high = accuracy_bounds(np.asarray(mean), total, num_clusters if num_repeats > 1 else 1, confidence)
    return Interval(
        estimate=float(mean),
        low=float(low),
        high=float(high),
        standard_error=standard_error_of(total, num_repeats, largest=0.5),
        degrees_of_freedom=float(total.degrees_of_freedom),
        num_seeds=num_repeats,
        num_clusters=num_repeats,
        statement=statement,
        confidence=confidence,
        seed_variance=float(total.variance),
    )


def _interval(
    components: VarianceComponents, *, num_clusters: int, effective: float, design_effect: float, confidence: float
) -> Interval:
    """Seeds crossed with clusters; `effective` clusters of equal weight would carry as much information."""
    total = _crossed_total([components], components.cluster)
    low, high = accuracy_bounds(components.accuracy, total, effective, confidence)
    return Interval(
        estimate=float(components.accuracy),
        low=float(low),
        high=float(high),
        standard_error=standard_error_of(total, effective, largest=0.5),
        degrees_of_freedom=float(total.degrees_of_freedom),
        num_seeds=components.num_seeds,
        num_clusters=num_clusters,
        design_effect=design_effect,
        statement=ON_NEW_SIGNS if components.num_seeds >= MIN_SEEDS else THESE_WEIGHTS,
        confidence=confidence,
        seed_variance=float(components.seed),
        cluster_variance=float(components.cluster),
        cell_variance=float(components.cell),
    )


def _difference(
    networks: list[VarianceComponents],
    *,
    wrong: Sequence[Floats],
    num_clusters: int,
    effective: float,
    design_effect: float,
    seed_correlation: float | None,
    confidence: float,
) -> Difference:
    """The same for the difference of two; `wrong` are the errors of each by seed and cluster."""
    variance = cluster_variance(networks[0].residuals_C - networks[1].residuals_C)
    total = _crossed_total(networks, variance)
    estimate = networks[0].accuracy - networks[1].accuracy
    means = [wrong_SC.mean(axis=0) for wrong_SC in wrong]
    num_differing = (~np.isclose(means[0], means[1], rtol=0, atol=1e-9)).sum()
    low, high, p_value = difference_bounds(estimate, total, num_differing, effective, confidence)
    num_seeds = min(components.num_seeds for components in networks)
    return Difference(
        estimate=float(estimate),
        low=float(low),
        high=float(high),
        standard_error=standard_error_of(total, effective, largest=1.0),
        degrees_of_freedom=float(total.degrees_of_freedom),
        num_seeds=num_seeds,
        num_clusters=num_clusters,
        design_effect=design_effect,
        statement=ON_NEW_SIGNS if num_seeds >= MIN_SEEDS else THESE_WEIGHTS,
        confidence=confidence,
        seed_variance=float(sum(components.seed for components in networks)),
        cluster_variance=float(variance),
        cell_variance=float(sum(components.cell for components in networks)),
        p_value=float(p_value),
        num_differing_clusters=int(num_differing),
        rule_of_three_bound=rule_of_three(effective, confidence),
        seed_correlation=seed_correlation,
        seeds_each=tuple((components.num_seeds, float(components.seed)) for components in networks),
    )


def accuracy_bounds(accuracy: Floats, total: Total, num_clusters: float, confidence: float) -> tuple[Floats, Floats]:
    """The interval on the logit scale; never nearer to 0 or 1 than clusters without a single error would allow.

    Where C clusters show no error at all, their true share may still be up to 1 - (alpha / 2) ** (1 / C) (Clopper and
    Pearson 1934, for clusters): a lower bound never lies above what that leaves, an upper bound accordingly.
    """
    if num_clusters < 2:
        return np.zeros_like(accuracy), np.ones_like(accuracy)
    half = _student_quantile(confidence, total.degrees_of_freedom) * np.sqrt(total.variance)
    inside = np.clip(accuracy, 1e-12, 1 - 1e-12)
    logit = np.log(inside / (1 - inside))
    half = half / (inside * (1 - inside))
    flawless = ((1 - confidence) / 2) ** (1 / num_clusters)
    is_edge = (accuracy <= 0) | (accuracy >= 1)
    low = np.where(is_edge, accuracy, 1 / (1 + np.exp(-np.clip(logit - half, -700, 700))))
    high = np.where(is_edge, accuracy, 1 / (1 + np.exp(-np.clip(logit + half, -700, 700))))
    return np.minimum(low, flawless), np.maximum(high, 1 - flawless)


def difference_bounds(
    difference: Floats, total: Total, num_differing: Floats, num_clusters: float, confidence: float
) -> tuple[Floats, Floats, Floats]:
    """The interval of a difference and its two-sided p-value; both know how little a few differing clusters show.

    No test by clusters can give a p-value below 2 ** (1 - k) where only k clusters differ. While that is above alpha
    (k up to 5 at 95 %), the interval holds 0 and is at least as wide as clusters without any difference would make it.
    For folds, `num_differing` counts images, net of those that outweigh each other inside a fold.
    """
    from scipy.special import stdtr

    if num_clusters < 2:
        everything = np.ones_like(difference)
        return -everything, everything, everything
    error = np.sqrt(total.variance)
    half = _student_quantile(confidence, total.degrees_of_freedom) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(difference == 0, 0.0, np.abs(difference) / error)
    p_value = 2 * stdtr(total.degrees_of_freedom, -ratio)
    low, high = difference - half, difference + half
    smallest = np.minimum(1.0, 2.0 ** (1.0 - num_differing))
    p_value = np.maximum(p_value, smallest)
    rule_of_three_bound = rule_of_three(num_clusters, confidence)
    is_few = smallest > 1 - confidence
    low = np.where(is_few, np.minimum(low, -rule_of_three_bound), low)
    high = np.where(is_few, np.maximum(high, rule_of_three_bound), high)
    return np.maximum(low, -1.0), np.minimum(high, 1.0), np.minimum(p_value, 1.0)


def rule_of_three(num_clusters: float, confidence: float) -> float:
    """Return the share of clusters that may err though none of so many does (Clopper and Pearson 1934, by clusters)."""
    return float(1 - ((1 - confidence) / 2) ** (1 / num_clusters))


def standard_error_of(total: Total, num_clusters: float, *, largest: float) -> float:
    """Return the standard error; of one cluster a figure between two bounds deviates by at most half their span."""
    return largest if num_clusters < 2 else float(np.sqrt(total.variance))


def correlation(a_S: Floats, b_S: Floats) -> float | None:
    """Return the correlation of two networks' figures over seeds; None where there is none to speak of."""
    if len(a_S) != len(b_S) or len(a_S) < MIN_SEEDS or np.ptp(a_S) == 0 or np.ptp(b_S) == 0:
        return None
    return float(np.corrcoef(a_S, b_S)[0, 1])


def _student_quantile(confidence: float, degrees_of_freedom: Floats) -> Floats:
    from scipy.special import stdtrit

    quantile: Floats = stdtrit(np.minimum(degrees_of_freedom, 1e9), (1 + confidence) / 2)
    return quantile


def _wrong_by_cluster(correct_SN: Bools, clusters_N: Ints) -> tuple[Floats, Floats]:
    """The number of wrong images per seed and cluster, and the size of each cluster that has images."""
    if correct_SN.ndim != 2 or correct_SN.size == 0 or correct_SN.shape[1:] != clusters_N.shape:
        raise ValueError(
            f"correct_SN is {correct_SN.shape} and clusters_N {clusters_N.shape}: give seeds x images, and one number "
            "per image"
        )
    _, dense_N = np.unique(clusters_N, return_inverse=True)
    return sum_by_cluster(~correct_SN, dense_N), np.bincount(dense_N).astype(float)


def _crossed_total(networks: list[VarianceComponents], variance: Floats) -> Total:
    """Seeds and clusters; clusters alone where a network has too few seeds to show their variance."""
    cluster_df = networks[0].num_clusters - 1
    if cluster_df < 1:
        return Total(variance=variance, degrees_of_freedom=np.zeros_like(variance))
    if min(components.num_seeds for components in networks) < MIN_SEEDS:
        return Total(variance=variance, degrees_of_freedom=np.full_like(variance, cluster_df))
    return total_variance(networks, variance)


def _centred(values_N: Floats) -> Floats:
    """What each image adds to a mean, less the mean."""
    centred_N: Floats = (values_N - values_N.mean()) / len(values_N)
    return centred_N


def _design_effect(variance_by_cluster: float, residuals_N: Floats) -> float:
    """How many images carry as much information as one independent image; 1 where nothing varies."""
    single = float(cluster_variance(residuals_N))
    return variance_by_cluster / single if single > 0 else 1.0


def _residuals(scores: Scores, strata_N: Ints) -> Floats:
    """What each image adds beyond its class's mean, made larger where a class has few clusters; rows sum to zero."""
    pairs = np.unique(np.stack([strata_N, scores.clusters_N]), axis=1)
    clusters_H = np.bincount(pairs[0]).astype(float)
    scale_H = np.sqrt(clusters_H / np.maximum(clusters_H - 1, 1))
    weight_H = np.bincount(strata_N, weights=scores.weights_N)
    means = [np.bincount(strata_N, weights=row_N) / weight_H for row_N in scores.influence_SN]
    centred = [
        (row_N - scores.weights_N * mean_H[strata_N]) * scale_H[strata_N]
        for row_N, mean_H in zip(scores.influence_SN, means, strict=True)
    ]
    return np.stack(centred)


def _strata(classes_N: Ints, clusters_N: Ints) -> Ints:
    """The class of each image, from 0; classes of a single cluster are taken together, so that each has two at least.

    Alone they would show no variance at all; together they show too much rather than too little (collapsed strata).
    """
    names_H, strata_N = np.unique(classes_N, return_inverse=True)
    pairs = np.unique(np.stack([strata_N, clusters_N]), axis=1)
    clusters_H = np.bincount(pairs[0], minlength=len(names_H))
    together: list[int] = []
    for stratum in np.argsort(clusters_H, kind="stable").tolist():
        found = np.unique(pairs[1][np.isin(pairs[0], together)])
        if clusters_H[stratum] > 1 and (not together or len(found) > 1):
            break
        together.append(stratum)
    merged_N = np.where(np.isin(strata_N, together), together[0] if together else 0, strata_N)
    return np.unique(merged_N, return_inverse=True)[1]


def _score_components(scores: Scores, residuals_SN: Floats, strata_N: Ints) -> VarianceComponents:
    """Split the variance as `variance_components` does; degrees of freedom by weight, less one a stratum."""
    _, dense_N = np.unique(scores.clusters_N, return_inverse=True)
    by_cluster_SC = sum_by_cluster(residuals_SN, dense_N)
    num_seeds, num_clusters = by_cluster_SC.shape
    mean_C = by_cluster_SC.mean(axis=0)
    seed = cell = 0.0
    if num_seeds > 1:
        seed = float(scores.values_S.var(ddof=1)) / num_seeds
        if num_clusters > 1:
            cell = float(((by_cluster_SC - mean_C) ** 2).sum())
            cell *= num_clusters / ((num_seeds - 1) * (num_clusters - 1) * num_seeds)
    freedom = max(int(_effective_clusters(scores)) - int(strata_N.max() + 1), 1)
    return VarianceComponents(
        accuracy=np.asarray(scores.values_S.mean()),
        residuals_C=mean_C,
        seed=np.asarray(seed),
        cell=np.asarray(cell),
        num_seeds=num_seeds,
        num_clusters=min(freedom + 1, num_clusters),
    )


def _effective_clusters(scores: Scores) -> float:
    """How many clusters of equal weight would carry as much information (Kish 1965)."""
    _, dense_N = np.unique(scores.clusters_N, return_inverse=True)
    weights_C = np.bincount(dense_N, weights=scores.weights_N)
    return float(weights_C.sum() ** 2 / (weights_C**2).sum())
