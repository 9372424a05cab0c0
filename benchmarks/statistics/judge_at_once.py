"""The judge's arithmetic on thousands of made-up studies at once, and beside it what people do instead.

Accuracies of crossed studies go through the very functions that judge one study (stats/variance.py and
stats/intervals.py take leading axes). Folds, and the figures in which classes weigh the same, repeat the arithmetic of
stats/folds.py and stats/intervals.py over arrays of studies; tests/test_judge_simulation.py holds each against the
judge's. Classes are as uneven as GTSRB's, and a misread sign is called by the next class's name.
B studies, K networks, S seeds, F folds, U units, C classes, P pairs.
"""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr, stdtrit

from benchmarks.statistics.made_up_studies import FOLDS, INDEPENDENT, NUM_NETWORKS, TRACK_SIZE, Cell, Floats
from roadtest.analysis.metrics import ACCURACY, BALANCED, MACRO_F1, WORST
from roadtest.analysis.stats.intervals import CONFIDENCE, accuracy_bounds, difference_bounds
from roadtest.analysis.stats.variance import (
    Total,
    VarianceComponents,
    cluster_variance,
    total_variance,
    variance_components,
)
from roadtest.data.gtsrb_classes import NUM_TRAIN_BY_CLASS

PAIRS = tuple(combinations(range(NUM_NETWORKS), 2))
FIRST_P, SECOND_P = (np.array(side) for side in zip(*PAIRS, strict=True))


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the judge says of a batch of studies: each network's figure and bounds, and those of all pairs."""

    value_BK: Floats
    low_BK: Floats
    high_BK: Floats
    pair_low_BP: Floats
    pair_high_BP: Floats
    p_BP: Floats


def judge_studies(wrong_BKSU: Floats, cell: Cell, metric: str = ACCURACY) -> dict[str, Floats]:
    """Judge a batch of studies by every method: figures and bounds by network, and per study a rate or a width."""
    size = 1 if cell.units == INDEPENDENT else TRACK_SIZE
    if metric == ACCURACY:
        by_seed_BKS = 1 - wrong_BKSU.sum(axis=-1).astype(float) / (wrong_BKSU.shape[-1] * size)
        judged = judge_accuracy(wrong_BKSU, by_seed_BKS, size, is_by_fold=cell.units == FOLDS)
    else:
        by_seed_BKS, judged = judge_classes(wrong_BKSU, metric, is_by_fold=cell.units == FOLDS)
    low_BK, high_BK = seeds_interval(by_seed_BKS)
    found = {
        "value": judged.value_BK,
        "low": judged.low_BK,
        "high": judged.high_BK,
        "half_width_points": (judged.high_BK - judged.low_BK).mean(axis=1) / 2,
        "pair_coverage": ((judged.pair_low_BP <= 0) & (judged.pair_high_BP >= 0)).mean(axis=1),
        "pair_half_width_points": (judged.pair_high_BP - judged.pair_low_BP).mean(axis=1) / 2,
        "false_positives": is_any_called(judged.p_BP),
        "seeds_t_low": low_BK,
        "seeds_t_high": high_BK,
        "seeds_t_false_positives": is_any_called(seeds_test(by_seed_BKS)),
    }
    if metric == ACCURACY:
        answers_BKSU = wrong_BKSU if cell.units == FOLDS else wrong_BKSU[:, :, :1]
        found["mcnemar_false_positives"] = is_any_called(mcnemar(answers_BKSU, size))
    return found


def judge_accuracy(wrong_BKSU: Floats, by_seed_BKS: Floats, size: int, *, is_by_fold: bool) -> Judged:
    """Judge accuracies of units of one size."""
    num_clusters = wrong_BKSU.shape[-1]
    if is_by_fold:
        return judge_folds(by_seed_BKS, num_clusters * size, num_clusters)
    return judge_crossed(wrong_BKSU, size)


def judge_classes(wrong_BKSU: Floats, metric: str, *, is_by_fold: bool) -> tuple[Floats, Judged]:
    """Judge a figure in which classes weigh the same, and give it by seed; tracks stand in the order of classes."""
    tracks_C = share_tracks(wrong_BKSU.shape[-1])
    wrong_BKSC = np.add.reduceat(wrong_BKSU, np.cumsum(tracks_C) - tracks_C, axis=-1)
    by_seed_BKS, slope_BKSC = class_figure(wrong_BKSC.astype(float), tracks_C * TRACK_SIZE, metric)
    if is_by_fold:
        return by_seed_BKS, judge_folds(by_seed_BKS, *_fold_sizes(tracks_C, metric))
    mean_BKSC = wrong_BKSC / tracks_C.astype(np.float32)
    scaled_BKSC = (slope_BKSC * np.sqrt(tracks_C / (tracks_C - 1))).astype(np.float32)
    classes_U = np.repeat(np.arange(len(tracks_C)), tracks_C)
    residuals_BKSU = wrong_BKSU - mean_BKSC[..., classes_U]
    residuals_BKSU *= scaled_BKSC[..., classes_U]
    effective = len(tracks_C) ** 2 / float((1 / tracks_C).sum())
    parts = _parts(residuals_BKSU, by_seed_BKS, max(int(effective) - len(tracks_C), 1))
    return by_seed_BKS, _judge_parts(parts, wrong_BKSU, effective)


def judge_crossed(wrong_BKSU: Floats, size: int) -> Judged:
    """Test images: seeds crossed with units."""
    num_clusters = wrong_BKSU.shape[-1]
    parts = variance_components(wrong_BKSU, np.full(num_clusters, size, np.float32))
    return _judge_parts(parts, wrong_BKSU, num_clusters)


def judge_folds(value_BKF: Floats, num_seen: int, num_clusters: int) -> Judged:
    """Validation: the fold is the unit; the arithmetic of stats/folds.py over many studies."""
    num_folds = value_BKF.shape[-1]
    seen = num_seen * num_folds
    difference_BPF = value_BKF[:, FIRST_P] - value_BKF[:, SECOND_P]
    mean_BK = value_BKF.mean(axis=-1)
    total = _fold_total(value_BKF, mean_BK * (1 - mean_BK) / seen)
    bounds = accuracy_bounds(mean_BK, total, num_clusters * num_folds, CONFIDENCE)
    differing = np.abs(difference_BPF) * num_seen
    total = _fold_total(difference_BPF, differing.sum(axis=-1) / seen**2)
    num_differing = np.rint(differing).sum(axis=-1)
    pairs = difference_bounds(difference_BPF.mean(axis=-1), total, num_differing, num_clusters * num_folds, CONFIDENCE)
    return _judged(mean_BK, bounds, pairs)


def class_figure(wrong_C: Floats, images_C: npt.NDArray[np.int64], metric: str) -> tuple[Floats, Floats]:
    """The figure from the wrong images of each class (last axis), and how a further wrong one moves it."""
    num_classes = len(images_C)
    recall_C = 1 - wrong_C / images_C
    if metric == WORST:
        return recall_C.min(axis=-1), np.empty(0)
    if metric == BALANCED:
        return recall_C.mean(axis=-1), np.broadcast_to(-1 / (num_classes * images_C), wrong_C.shape)
    assert metric == MACRO_F1
    both_C = 2 * images_C - wrong_C + np.roll(wrong_C, 1, axis=-1)
    f1_C = 2 * (images_C - wrong_C) / both_C
    share_C = f1_C / both_C
    return f1_C.mean(axis=-1), (share_C - 2 / both_C - np.roll(share_C, -1, axis=-1)) / num_classes


def share_tracks(num_tracks: int) -> npt.NDArray[np.int64]:
    """Deal tracks over classes as GTSRB's training set does: 2 to 24 of 421; of 130 a single one to many classes."""
    share_C = np.array(NUM_TRAIN_BY_CLASS) / sum(NUM_TRAIN_BY_CLASS) * num_tracks
    tracks_C = np.maximum(np.floor(share_C), 1).astype(np.int64)
    tracks_C[np.argsort(tracks_C - share_C, kind="stable")[: num_tracks - tracks_C.sum()]] += 1
    assert tracks_C.sum() == num_tracks
    return tracks_C


def seeds_interval(by_seed_BKS: Floats) -> tuple[Floats, Floats]:
    """What many papers print: mean plus and minus t times the standard error over seeds."""
    num_seeds = by_seed_BKS.shape[-1]
    error = by_seed_BKS.std(axis=-1, ddof=1) / np.sqrt(num_seeds)
    half = stdtrit(num_seeds - 1, (1 + CONFIDENCE) / 2) * error
    return by_seed_BKS.mean(axis=-1) - half, by_seed_BKS.mean(axis=-1) + half


def seeds_test(by_seed_BKS: Floats) -> Floats:
    """Student's two-sample t over seeds, every pair."""
    num_seeds = by_seed_BKS.shape[-1]
    mean, variance = by_seed_BKS.mean(axis=-1), by_seed_BKS.var(axis=-1, ddof=1) / num_seeds
    error = np.sqrt(variance[:, FIRST_P] + variance[:, SECOND_P])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(np.abs(mean[:, FIRST_P] - mean[:, SECOND_P]) / error, posinf=1e9)
    p_values: Floats = 2 * stdtr(2 * (num_seeds - 1), -ratio)
    return p_values


def mcnemar(wrong_BKSU: Floats, size: int) -> Floats:
    """McNemar's test with continuity correction over single images, every pair; on folds over all folds' images.

    Inside a track images err independently given the track, so two networks share a * b / size errors on average.
    """
    flat_BKU = wrong_BKSU.reshape(*wrong_BKSU.shape[:2], -1)
    num_wrong = flat_BKU.sum(axis=-1).astype(float)
    both_BKK = (flat_BKU @ flat_BKU.swapaxes(1, 2)).astype(float) / size
    one, other = num_wrong[:, FIRST_P], num_wrong[:, SECOND_P]
    discordant = np.maximum(one + other - 2 * both_BKK[:, FIRST_P, SECOND_P], 1.0)
    p_values: Floats = 2 * ndtr(-np.maximum(np.abs(one - other) - 1, 0) / np.sqrt(discordant))
    return p_values


def is_any_called(p_BP: Floats) -> Floats:
    """Holm's correction calls something different exactly where the smallest p-value survives all comparisons."""
    is_called: Floats = (p_BP.min(axis=1) * p_BP.shape[1] <= 1 - CONFIDENCE).astype(float)
    return is_called


def _judge_parts(parts: VarianceComponents, wrong_BKSU: Floats, num_clusters: float) -> Judged:
    """Intervals and p-values from the parts of the variance; pairs one by one, so that arrays stay small."""
    bounds = accuracy_bounds(parts.accuracy, total_variance([parts], parts.cluster), num_clusters, CONFIDENCE)
    total_BKU, residuals_BKU = wrong_BKSU.sum(axis=-2), parts.residuals_C
    unit_BP = np.stack([cluster_variance(residuals_BKU[:, a] - residuals_BKU[:, b]) for a, b in PAIRS], axis=-1)
    differs_BP = np.stack([(total_BKU[:, a] != total_BKU[:, b]).sum(axis=-1) for a, b in PAIRS], axis=-1)
    one, other = _pick(parts, FIRST_P), _pick(parts, SECOND_P)
    total = total_variance([one, other], unit_BP)
    pairs = difference_bounds(one.accuracy - other.accuracy, total, differs_BP, num_clusters, CONFIDENCE)
    return _judged(parts.accuracy, bounds, pairs)


def _judged(value_BK: Floats, bounds: tuple[Floats, ...], pairs: tuple[Floats, ...]) -> Judged:
    low_BK, high_BK = bounds
    pair_low_BP, pair_high_BP, p_BP = pairs
    return Judged(
        value_BK=value_BK, low_BK=low_BK, high_BK=high_BK, pair_low_BP=pair_low_BP, pair_high_BP=pair_high_BP, p_BP=p_BP
    )


def _parts(residuals_BKSU: Floats, by_seed_BKS: Floats, freedom: int) -> VarianceComponents:
    """The parts of the variance from what each unit adds beyond its class's mean, seed by seed."""
    num_seeds, num_clusters = residuals_BKSU.shape[-2:]
    mean_BKU = residuals_BKSU.mean(axis=-2)
    left_BKSU = residuals_BKSU - mean_BKU[..., None, :]
    np.square(left_BKSU, out=left_BKSU)
    return VarianceComponents(
        accuracy=by_seed_BKS.mean(axis=-1),
        residuals_C=mean_BKU,
        seed=by_seed_BKS.var(axis=-1, ddof=1) / num_seeds,
        cell=left_BKSU.sum(axis=(-2, -1)) * num_clusters / ((num_seeds - 1) * (num_clusters - 1) * num_seeds),
        num_seeds=num_seeds,
        num_clusters=min(freedom + 1, num_clusters),
    )


def _pick(parts: VarianceComponents, networks_P: npt.NDArray[np.int64]) -> VarianceComponents:
    """The parts of these networks; their residuals are dealt with apart."""
    return replace(
        parts,
        accuracy=parts.accuracy[:, networks_P],
        residuals_C=parts.residuals_C[:, :0],
        seed=parts.seed[:, networks_P],
        cell=parts.cell[:, networks_P],
    )


def _fold_total(values_F: Floats, least: Floats) -> Total:
    num_folds = values_F.shape[-1]
    variance = np.maximum(values_F.var(axis=-1, ddof=1) / num_folds, least)
    return Total(variance=variance, degrees_of_freedom=np.full_like(variance, num_folds - 1))


def _fold_sizes(tracks_C: npt.NDArray[np.int64], metric: str) -> tuple[int, int]:
    """Images and units of equal weight in a fold, as summarise/metrics.py counts them."""
    if metric == WORST:
        return int(tracks_C.min()) * TRACK_SIZE, 1
    images, units = (len(tracks_C) ** 2 / float((1 / (tracks_C * size)).sum()) for size in (TRACK_SIZE, 1))
    return max(round(images), 1), max(round(units), 1)
