"""The networks of a study in order, with an interval around every figure and difference, and every pair judged.

Validation puts the networks in order by the study's metric; test never does. Seeds validate on different folds, and
folds differ in difficulty: a network that lacks a seed is placed by the seeds that all have in common.

All networks that may be compared are judged together, on one set: test where all of them read it (tracks are the
clusters: "on new signs of this kind"), else validation; where another metric than accuracy chooses, always validation,
where the folds' paired t holds for any metric. Verdicts are corrected for all pairs. Wherever a table or a sentence
calls two networks separated, the verdict comes from here; an interval alone gives none, because it knows nothing of
the other pairs. With fewer than three seeds there are no letters and no verdicts. The statistics are in stats/, and
docs/statistics.md gives the reasons.
"""

import statistics
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from roadtest.analysis import stats
from roadtest.analysis.metrics import ACCURACY, WORST
from roadtest.analysis.predictions import (
    NetworkPredictions,
    common_seeds,
    difference_of,
    interval_of,
    network_predictions,
    paired_predictions,
)
from roadtest.analysis.results import Results, Variant, mean_score, once_per_study, read_results, run_scores
from roadtest.analysis.sample_size import RequiredSeeds, required_to_separate, train_seconds_per_seed
from roadtest.format import Row

NEEDS_SEEDS = f"{stats.NOT_JUDGED}: needs {stats.MIN_SEEDS} seeds, 5 are better"
GAIN_VERDICTS = {stats.DIFFERENT: "separated", stats.NOT_SEPARATED: "not separated", stats.NOT_JUDGED: "observed"}
"""What the tables of gains (stn.csv, pretraining.csv, crossovers.csv) call a verdict; verdicts.csv has its own word."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A fraction, or a difference of two, with a 95 % interval."""

    value: float
    low: float
    high: float
    num_seeds: int
    num_clusters: int
    """How many independent groups of images, or folds, the interval rests on."""
    cluster_noun: str
    """What these are: `tracks`, `images` or `folds`."""
    num_images: int
    """Different images."""
    statement: str
    """What the interval speaks of."""
    design_effect: float = 1.0
    """How many images carry as much information as one independent image; 1 where the cluster is a fold."""
    verdict: str | None = None
    """Of a difference, corrected for all pairs: a verdict of stats."""


@once_per_study
def estimate_score(
    results: Results,
    variant: Variant,
    split: str,
    *,
    confidence: float = stats.CONFIDENCE,
    metric: str | None = None,
) -> Estimate | None:
    """Estimate a network's figure on `val` or `test`, by the study's metric where none is named.

    None where no interval is honest: without two clusters, or a worst-class recall without three folds.
    """
    predictions = network_predictions(results, variant, split)
    if predictions is None:
        return None
    interval = interval_of(predictions, metric=metric or results.metric, confidence=confidence)
    return None if interval is None else _estimate(interval, (predictions,))


@once_per_study
def difference_between(
    results: Results,
    a: Variant,
    b: Variant,
    split: str,
    *,
    confidence: float = stats.CONFIDENCE,
    metric: str | None = None,
) -> stats.Difference | None:
    """Return the figure of `a` minus that of `b`, by the study's metric where none is named, paired by image.

    None where they cannot be compared, or no interval is honest: `why_not_compared` gives the reason.
    """
    pair = paired_predictions(results, a, b, split)
    return None if pair is None else difference_of(*pair, metric=metric or results.metric, confidence=confidence)


def why_not_compared(results: Results, a: Variant, b: Variant, split: str) -> str:
    """Say why two networks have no difference with an interval on `val` or `test`, by the study's metric."""
    pair = paired_predictions(results, a, b, split)
    if pair is None and not common_seeds(a, b):
        return "no seed in common"
    if pair is None and any(results.predictions(record, split) is None for one in (a, b) for record in one.records):
        return f"not every run has its raw answers here ({split}.npz)"
    if pair is not None and results.metric == WORST and not pair[0].is_by_fold:
        return "a worst-class recall is judged over three validation folds or more"
    return "no images in common" if pair is None else "a single track cannot be judged by"


def estimate_difference(results: Results, a: Variant, b: Variant, split: str) -> Estimate | None:
    """Estimate the figure of `a` minus that of `b`, by the study's metric; the verdict is corrected for all pairs.

    None where the two cannot be compared.
    """
    difference = difference_between(results, a, b, split)
    pair = paired_predictions(results, a, b, split)
    if difference is None or pair is None:
        return None
    verdict = judge_networks(results, split).verdict(a, b) or stats.judge_pairs({(a.label, b.label): difference})[0]
    return _estimate(difference, pair, verdict=verdict.word)


def _estimate(
    interval: stats.Interval, networks: tuple[NetworkPredictions, ...], *, verdict: str | None = None
) -> Estimate:
    """Add to an interval what it rests on."""
    first = networks[0]
    ids_N = np.unique(np.concatenate(first.ids))
    has_tracks = np.bincount(first.cluster_of[ids_N]).max() > 1
    return Estimate(
        value=interval.estimate,
        low=interval.low,
        high=interval.high,
        num_seeds=min(len(one.runs) for one in networks),
        num_clusters=interval.num_clusters,
        cluster_noun="folds" if first.is_by_fold else "tracks" if has_tracks else "images",
        num_images=len(ids_N),
        statement=interval.statement,
        design_effect=interval.design_effect,
        verdict=verdict,
    )


def seed_only_accuracy(results: Results, variant: Variant, split: str = "test") -> stats.Interval | None:
    """Return the accuracy on these very images, if the network is trained again; None below three seeds, or by folds.

    It speaks to people who use this test set again, knows the variance of seeds alone, and gives no verdict.
    """
    found = network_predictions(results, variant, split)
    return stats.seed_only_interval(found.crossed()) if found is not None and found.is_crossed else None


def seed_only_difference(results: Results, a: Variant, b: Variant, split: str = "test") -> stats.Interval | None:
    """Return the accuracy of `a` minus that of `b` on these images, if both are trained again; None likewise."""
    pair = paired_predictions(results, a, b, split)
    if pair is None or not all(one.is_crossed for one in pair):
        return None
    return stats.seed_only_difference(*(one.crossed() for one in pair))


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What may be said of all networks of a study on one set."""

    split: str
    """`test` or `val`."""
    metric: str
    """What was judged: a key of METRICS."""
    variants: tuple[Variant, ...]
    """The networks that may be compared, best on this set first."""
    verdicts: tuple[stats.Verdict, ...]
    """Each pair that can be compared; `a` and `b` are labels, `a` the better one."""
    letters: dict[str, str]
    """By label; networks that share a letter are not separated. Empty where there are too few seeds."""
    leading: tuple[str, ...]
    """Labels: the best network and every one not shown to be worse. Empty where nothing was judged."""
    remark: str | None
    """Why there are no letters; None where there are, or where there is nothing to compare."""
    needs_seeds: bool
    """More seeds would let networks be judged that are not."""

    @property
    def num_judged(self) -> int:
        """How many pairs have seeds enough; verdicts are corrected for all of them."""
        return sum(verdict.word != stats.NOT_JUDGED for verdict in self.verdicts)

    @property
    def is_judged(self) -> bool:
        """At least one pair has seeds enough."""
        return self.num_judged > 0

    @property
    def statement(self) -> str | None:
        """What the verdicts speak of: `on new signs of this kind`; None where nothing was judged."""
        return next((v.difference.statement for v in self.verdicts if v.word != stats.NOT_JUDGED), None)

    def verdict(self, a: Variant, b: Variant) -> stats.Verdict | None:
        """The verdict on two networks, in either order."""
        return next((v for v in self.verdicts if {v.a, v.b} == {a.label, b.label}), None)


def judged_split(results: Results) -> str:
    """Return the set that verdicts rest on: `test` where every compared network read it with all its seeds, else `val`.

    By another metric than accuracy it is `val`.
    """
    if results.metric != ACCURACY:
        return "val"
    compared = [variant for variant in results.variants if variant.is_compared]
    has_test = all(record.test is not None for variant in compared for record in variant.records)
    return "test" if compared and has_test else "val"


def judge_networks(study: Path | Results, split: str | None = None) -> Judged:
    """Judge all pairs on `test` or `val` by the study's metric; None is the set of `judged_split`."""
    results = read_results(study)
    return _judge(results, split or judged_split(results))


@once_per_study
def _judge(results: Results, split: str) -> Judged:
    variants = [variant for variant in ranked_variants(results) if variant.is_compared]
    if split == "test":
        variants = [variant for variant in variants if all(record.test is not None for record in variant.records)]
        variants.sort(key=lambda variant: -(mean_score(results, variant, split) or 0.0))
    pairs = list(combinations(variants, 2))
    found = {(a.label, b.label): difference_between(results, a, b, split) for a, b in pairs}
    verdicts = stats.judge_pairs({pair: difference for pair, difference in found.items() if difference is not None})
    # the letters need an order alone, which in validation is that of the seeds all have in common
    order = {variant.label: float(-place) for place, variant in enumerate(variants)}
    has_verdicts = any(verdict.word != stats.NOT_JUDGED for verdict in verdicts)
    unjudged = [NEEDS_SEEDS for verdict in verdicts if verdict.word == stats.NOT_JUDGED]
    unjudged += [_no_verdict(results, a, b, split) for a, b in pairs if found[a.label, b.label] is None]
    # on one validation set for all seeds nothing judges a worst-class recall, however many there are
    do_seeds_help = results.metric != WORST or not results.info.num_val
    return Judged(
        split=split,
        metric=results.metric,
        variants=tuple(variants),
        verdicts=tuple(verdicts),
        letters=stats.compact_letters(order, verdicts),
        leading=stats.leading_set(order, verdicts),
        remark=unjudged[0] if unjudged and not has_verdicts else None,
        needs_seeds=do_seeds_help and any(len(common_seeds(a, b)) < stats.MIN_SEEDS for a, b in pairs),
    )


def _no_verdict(results: Results, a: Variant, b: Variant, split: str) -> str:
    return f"{stats.NOT_JUDGED}: {why_not_compared(results, a, b, split)}"


def verdict_rows(study: Path | Results, split: str | None = None) -> list[Row]:
    """Return one row for each pair of compared networks, the better one first; `gain` is a's figure minus b's.

    `gain_low` and `gain_high` are of this pair alone; `p_adjusted` and `verdict` are corrected for all pairs (Holm).
    """
    results = read_results(study)
    judged = judge_networks(results, split)
    return [_verdict_row(results, judged, a, b) for a, b in combinations(judged.variants, 2)]


def _verdict_row(results: Results, judged: Judged, a: Variant, b: Variant) -> Row:
    verdict, estimate = judged.verdict(a, b), estimate_difference(results, a, b, judged.split)
    difference, more = verdict.difference if verdict else None, RequiredSeeds()
    if verdict and verdict.word == stats.NOT_SEPARATED:
        more = required_to_separate(results, verdict.difference, split=judged.split, num_pairs=judged.num_judged)
    word = verdict.word if verdict else _no_verdict(results, a, b, judged.split)
    return {
        "network_a": a.network,
        "has_stn_a": a.has_stn,
        "network_b": b.network,
        "has_stn_b": b.has_stn,
        "part": judged.split,
        "gain": difference and difference.estimate,
        "gain_low": difference and difference.low,
        "gain_high": difference and difference.high,
        "p_adjusted": verdict and verdict.p_adjusted,
        "verdict": NEEDS_SEEDS if word == stats.NOT_JUDGED else word,
        "better": verdict and verdict.better,
        "num_seeds": estimate.num_seeds if estimate else len(common_seeds(a, b)),
        "num_seeds_a": difference and difference.seeds_each[0][0],
        "num_seeds_b": difference and difference.seeds_each[-1][0],
        "num_units": estimate and estimate.num_clusters,
        "unit_name": estimate and estimate.cluster_noun,
        "design_effect": difference and difference.design_effect,
        "seed_correlation": difference and difference.seed_correlation,
        "statement": difference and difference.statement,
        "least_more_seeds": more.least_seeds,
        "most_more_seeds": more.most_seeds,
        "times_tracks": more.times_tracks,
        "what_more_would_cost": more.words,
        "train_seconds_per_seed": train_seconds_per_seed((a, b)),
    }


@once_per_study
def ranked_variants(results: Results) -> list[Variant]:
    """Return the networks in the order of the leaderboard: compared ones by validation, then those that are not.

    After the compared ones come networks with a seed that diverged, undertrained, failed and waiting ones.
    """
    seeds = _compared_seeds(results)
    common = set.intersection(*seeds) if seeds else set()

    def rank(variant: Variant) -> tuple[int, float]:
        if not variant.records:
            return (3 if variant.failures else 4, 0.0)
        chosen = [record for record in variant.records if record.seed in common] or variant.records
        values = run_scores(results, chosen, "val", results.metric)
        place = 2 if variant.is_undertrained else 0 if variant.is_compared else 1
        return (place, -statistics.fmean(values) if values else 1.0)

    return sorted(results.variants, key=rank)


def best_variant(results: Results) -> Variant | None:
    """Return the network that validation chooses; None where none was trained enough."""
    first = next(iter(ranked_variants(results)), None)
    return first if first is not None and first.is_compared else None


def order_sentence(results: Results) -> str:
    """Say by which seeds the order goes, where networks have different ones; empty where all have the same."""
    seeds = _compared_seeds(results)
    if not seeds or all(one == seeds[0] for one in seeds):
        return ""
    common = sorted(set.intersection(*seeds))
    if not common:
        return "The networks have no seed in common, and folds differ in difficulty: the order means little."
    which = f"seed{'s' if len(common) > 1 else ''} {', '.join(map(str, common))}"
    return f"The order goes by {which}, which all networks have; the means are over all of a network's own."


def _compared_seeds(results: Results) -> list[set[int]]:
    return [variant.seeds for variant in results.variants if variant.is_compared]
