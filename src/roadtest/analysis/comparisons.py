"""Accuracies, other metrics and differences of a study's networks, with intervals; the judge does the arithmetic.

On the test set all runs of a network answer the same images: the judge sees seeds x images, and the unit is the track.
In validation by folds each seed answers other images: from three folds on the fold is the unit, below that all answers
stand in one row over tracks. A difference is always paired by image: over all seeds of both where all saw the same
images, else over the seeds that both finished, which share their folds. A worst-class recall has an interval over folds
alone: on one set, where a class may have two tracks, there is no honest one (docs/statistics.md). No verdict is given
here: an interval that stands by itself knows nothing of how many others were looked at (the judgement
of all pairs does).

What would come out on these very images if the networks were trained again: the luck of seeds, and no other.

For people who will use this test set again. It says nothing about other signs, and gives no verdict: comparisons.py
knows the luck of both, and comparisons.py judges. Asked only where all seeds answered the same images.

What the runs of a network answered on one set, put into the shapes that the judge takes.

A row per seed, of the same images (crossed: seeds x images) or of each seed's own fold. Shapes: S seeds, N images.

Every pair of networks, judged: verdicts corrected for being many, compact letters, and the leading set.

All networks that may be compared are judged together, on one set: test where all of them read it (tracks are the
unit: "on new signs of this kind"), else validation; where another metric than accuracy chooses, always validation,
where the folds' paired t holds for any metric. Wherever a table or a sentence calls two networks separated, the
verdict is taken from here. With fewer than three seeds there are no letters and no verdicts. docs/statistics.md says
what stands behind the words; confused classes, the other kind of pairs, are in classes.py.

Which network comes first: validation puts them in order by the study's metric, and test never does.

Seeds validate on different folds, and folds differ in difficulty: a network that misses a seed is placed by the seeds
that all have in common. Networks with a seed that diverged come after the others, then undertrained ones, failed and
waiting ones last.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from roadtest.analysis import stats
from roadtest.analysis.metrics import ACCURACY, WORST, fold_sizes, image_weights, influence, score
from roadtest.analysis.results import (
    Bools,
    Ints,
    Outcome,
    Results,
    Variant,
    mean_score,
    outcome_counts,
    read_results,
    run_scores,
)
from roadtest.analysis.sample_size import RequiredSampleSize, train_seconds_per_seed, what_more_would_cost
from roadtest.format import Row
from roadtest.records import RunRecord

MIN_SEEDS_FOR_A_VERDICT = stats.MIN_SEEDS
"""With fewer the luck of a training cannot be told from the network."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A fraction, or a difference of two, with a 95 % interval."""

    value: float
    low: float
    high: float
    num_seeds: int
    num_clusters: int
    """How many things that stand or fall by themselves the interval rests on."""
    cluster_noun: str
    """What these are: `tracks`, `images` or `folds`."""
    num_images: int
    """Different images."""
    statement: str
    """What the interval speaks of."""
    verdict: str | None = None
    """Of a difference, corrected for all pairs: `separated`, `not separated`, or `observed` below three seeds."""
    design_effect: float = 1.0
    """How many images tell as much as one that stands by itself would; 1 where the unit is a fold."""


def estimate_accuracy(results: Results, variant: Variant, split: str) -> Estimate | None:
    """The accuracy of a network on `val` or `test`; None without two units to judge by."""
    return estimate_score(results, variant, split, metric=ACCURACY)


def estimate_score(
    results: Results,
    variant: Variant,
    split: str,
    *,
    confidence: float = stats.CONFIDENCE,
    metric: str | None = None,
) -> Estimate | None:
    """A network's figure on `val` or `test`, by the study's metric where none is named; None where none is honest."""
    metric = metric or results.metric
    key = f"{_with_seeds(variant)} on {split} by {metric}, confidence {confidence}"
    if key not in results.kept:  # every table of accuracies asks for the same
        answers = gather_predictions(results, variant.records, split)
        results.kept[key] = None if answers is None else _estimate_score(results, answers, metric, confidence)
    found: Estimate | None = results.kept[key]
    return found


def difference_between(
    results: Results,
    a: Variant,
    b: Variant,
    split: str,
    *,
    confidence: float = stats.CONFIDENCE,
    metric: str | None = None,
) -> stats.Difference | None:
    """The figure of `a` minus that of `b`, by the study's metric where none is named; seeds as in this file's words.

    None where they cannot be compared, or no interval is honest.
    """
    metric = metric or results.metric
    key = f"{_with_seeds(a)} minus {_with_seeds(b)} on {split} by {metric}, confidence {confidence}"
    if key not in results.kept:
        pair = paired_predictions(results, a, b, split)
        results.kept[key] = None if pair is None else difference_of(*pair, metric=metric, confidence=confidence)
    found: stats.Difference | None = results.kept[key]
    return found


def why_not_compared(results: Results, a: Variant, b: Variant, split: str) -> str:
    """Why two networks have no difference with an interval on `val` or `test`, by the study's metric."""
    pair = paired_predictions(results, a, b, split)
    if pair is None and not common_seeds(a, b):
        return "no seed in common"
    if pair is None and any(results.outcome(record, split) is None for one in (a, b) for record in one.records):
        return f"not every run has its raw answers here ({split}.npz)"
    if pair is not None and results.metric == WORST and pair[0].num_folds < MIN_SEEDS_FOR_A_VERDICT:
        return "a worst-class recall is judged over three validation folds or more"
    return "no images in common" if pair is None else "a single track cannot be judged by"


def describe_difference(
    results: Results, a: Variant, b: Variant, split: str, difference: stats.Difference, verdict: str
) -> Estimate:
    """Put beside a difference what it rests on."""
    pair = paired_predictions(results, a, b, split)
    assert pair is not None, "a difference has answers behind it"
    num_seeds = min(len(answers.outcomes) for answers in pair)
    return replace(_estimate(results, difference, pair[0]), verdict=verdict, num_seeds=num_seeds)


def _with_seeds(variant: Variant) -> str:
    return f"{variant.label} {[record.seed for record in variant.records]}"


def common_seeds(a: Variant, b: Variant) -> list[int]:
    """The seeds that both networks finished."""
    return sorted({record.seed for record in a.records} & {record.seed for record in b.records})


def _of_seeds(variant: Variant, seeds: Sequence[int]) -> list[RunRecord]:
    return [record for seed in seeds for record in variant.records if record.seed == seed]


def seed_only_accuracy(results: Results, variant: Variant, split: str = "test") -> stats.Interval | None:
    """The accuracy of a network on these images, if trained again; None below three seeds, or with folds."""
    answers = gather_predictions(results, variant.records, split)
    return stats.seed_only_interval(answers.crossed()) if answers is not None and answers.is_crossed else None


def seed_only_difference(results: Results, a: Variant, b: Variant, split: str = "test") -> stats.Interval | None:
    """The accuracy of `a` minus that of `b` on these images, if both are trained again; None likewise.

    It rests on the seeds that the difference itself rests on.
    """
    pair = paired_predictions(results, a, b, split)
    if pair is None or not all(answers.is_crossed for answers in pair):
        return None
    return stats.seed_only_difference(*(answers.crossed() for answers in pair))


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the runs of a network answered, run by run."""

    results: Results
    outcomes: list[Outcome]
    folds: list[int]

    @property
    def ids(self) -> list[Ints]:
        """The images of each run."""
        return [outcome.image_ids_N for outcome in self.outcomes]

    @property
    def is_crossed(self) -> bool:
        """All seeds answered the same images."""
        return all(np.array_equal(ids_N, self.ids[0]) for ids_N in self.ids)

    @property
    def num_folds(self) -> int:
        """How many different folds were answered; 1 where all seeds saw the same images."""
        return 1 if self.is_crossed else len(set(self.folds))

    @property
    def num_clusters(self) -> int:
        """How many tracks there are in all."""
        return len(np.unique(self.crossed_clusters()))

    def by_fold(self, metric: str) -> list[stats.FoldResult]:
        """One result a seed, on its own fold; of a metric that weighs classes, in images of equal weight."""
        return [self._fold(fold, outcome, metric) for fold, outcome in zip(self.folds, self.outcomes, strict=True)]

    def crossed(self) -> Bools:
        """Seeds x images where all saw the same, else one row of all answers."""
        correct = [outcome.is_correct_N for outcome in self.outcomes]
        return np.stack(correct) if self.is_crossed else np.concatenate(correct)[None, :]

    def crossed_clusters(self) -> Ints:
        """The units of the images behind the columns of `crossed`."""
        return self.results.clusters_N[self.ids[0] if self.is_crossed else np.concatenate(self.ids)]

    def scores(self, metric: str) -> stats.Scores:
        """A metric that weighs classes, in the same shape: one row with the mean of the runs where folds differ."""
        counts = [outcome_counts(self.results, outcome) for outcome in self.outcomes]
        values_S = np.array([score(one, metric) for one in counts])
        moved = [
            influence(outcome.labels_N, outcome.predicted_N, one, metric)
            for outcome, one in zip(self.outcomes, counts, strict=True)
        ]
        weights = [image_weights(outcome.labels_N) for outcome in self.outcomes]
        classes = [outcome.labels_N for outcome in self.outcomes]
        share = 1 / len(self.outcomes)
        return stats.Scores(
            values_S=values_S if self.is_crossed else values_S.mean(keepdims=True),
            influence_SN=np.stack(moved) if self.is_crossed else share * np.concatenate(moved)[None, :],
            weights_N=weights[0] if self.is_crossed else share * np.concatenate(weights),
            correct_SN=self.crossed(),
            classes_N=classes[0] if self.is_crossed else np.concatenate(classes),
            clusters_N=self.crossed_clusters(),
        )

    def has_images_of(self, other: "Answers") -> bool:
        """Whether both answered the same images in the same order, seed by seed; crossed, whatever their numbers."""
        if self.is_crossed and other.is_crossed:
            return np.array_equal(self.ids[0], other.ids[0])
        if len(self.ids) != len(other.ids):
            return False
        pairs = zip(self.ids, other.ids, strict=True)
        return all(np.array_equal(mine_N, theirs_N) for mine_N, theirs_N in pairs)

    def _fold(self, fold: int, outcome: Outcome, metric: str) -> stats.FoldResult:
        clusters_N = self.results.clusters_N[outcome.image_ids_N]
        num_seen, num_clusters = fold_sizes(outcome.labels_N, clusters_N, metric)
        if metric == ACCURACY:
            num_correct = float(outcome.is_correct_N.sum())
        else:
            num_correct = num_seen * score(outcome_counts(self.results, outcome), metric)
        return stats.FoldResult(fold=fold, num_correct=num_correct, num_seen=num_seen, num_clusters=num_clusters)


def _estimate_score(results: Results, answers: Answers, metric: str, confidence: float) -> Estimate | None:
    if answers.num_folds >= MIN_SEEDS_FOR_A_VERDICT:
        by_fold = stats.validation_interval(answers.by_fold(metric), confidence=confidence)
        return _estimate(results, by_fold, answers)
    if answers.num_clusters < 2 or metric == WORST:
        return None
    if metric == ACCURACY:
        crossed = answers.crossed(), answers.crossed_clusters()
        return _estimate(results, stats.accuracy_interval(*crossed, confidence=confidence), answers)
    return _estimate(results, stats.score_interval(answers.scores(metric), confidence=confidence), answers)


def difference_of(
    of_a: Answers, of_b: Answers, *, metric: str = ACCURACY, confidence: float = stats.CONFIDENCE
) -> stats.Difference | None:
    """The figure of `a` minus that of `b` on the same images, seed by seed; None where no interval is honest."""
    if of_a.num_folds >= MIN_SEEDS_FOR_A_VERDICT:
        return stats.validation_difference(of_a.by_fold(metric), of_b.by_fold(metric), confidence=confidence)
    if of_a.num_clusters < 2 or metric == WORST:
        return None
    if metric == ACCURACY:
        crossed = of_a.crossed(), of_b.crossed(), of_a.crossed_clusters()
        return stats.difference_interval(*crossed, confidence=confidence)
    return stats.score_difference(of_a.scores(metric), of_b.scores(metric), confidence=confidence)


def paired_predictions(results: Results, a: Variant, b: Variant, split: str) -> tuple[Answers, Answers] | None:
    """What both networks answered on the same images; None where they cannot be compared."""
    if not (a.is_compared and b.is_compared):
        return None
    of_a, of_b = (gather_predictions(results, variant.records, split) for variant in (a, b))
    if of_a is not None and of_b is not None and of_a.has_images_of(of_b):
        return of_a, of_b
    seeds = common_seeds(a, b)
    of_a, of_b = (gather_predictions(results, _of_seeds(variant, seeds), split) for variant in (a, b))
    if of_a is None or of_b is None or not of_a.has_images_of(of_b):
        return None
    return of_a, of_b


def _estimate(results: Results, interval: stats.Interval, answers: Answers) -> Estimate:
    is_by_fold = answers.num_folds >= MIN_SEEDS_FOR_A_VERDICT
    ids_N = np.unique(np.concatenate(answers.ids))
    has_tracks = len(np.unique(results.clusters_N[ids_N])) < len(ids_N)
    return Estimate(
        value=interval.estimate,
        low=interval.low,
        high=interval.high,
        num_seeds=len(answers.outcomes),
        num_clusters=interval.num_clusters,
        cluster_noun="folds" if is_by_fold else "tracks" if has_tracks else "images",
        num_images=len(ids_N),
        statement=interval.statement,
        design_effect=interval.design_effect,
    )


def gather_predictions(results: Results, records: Sequence[RunRecord], split: str) -> Answers | None:
    """What these runs answered on `val` or `test`; None where one of them has no answers."""
    found = [results.outcome(record, split) for record in records]
    present = [outcome for outcome in found if outcome is not None and len(outcome.labels_N)]
    if not present or len(present) < len(found):
        return None
    num_folds = int(results.info.protocol["num_folds"])
    return Answers(results=results, outcomes=present, folds=[record.seed % num_folds for record in records])


NEEDS_SEEDS = f"not judged: needs {stats.MIN_SEEDS} seeds, 5 are better"


_WORDS = {stats.DIFFERENT: "separated", stats.NOT_SEPARATED: "not separated", stats.NOT_JUDGED: "observed"}


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
    """By label; networks that share a letter are not separated. Empty where too few seeds say nothing."""
    leading: tuple[str, ...]
    """Labels: the best network and every one not shown to be worse. Empty where nothing was judged."""
    remark: str | None
    """Why there are no letters; None where there are, or where there is nothing to compare."""
    needs_seeds: bool
    """More seeds would let networks be judged that are not."""

    @property
    def is_judged(self) -> bool:
        """At least one pair has seeds enough."""
        return any(verdict.word != stats.NOT_JUDGED for verdict in self.verdicts)

    @property
    def statement(self) -> str | None:
        """What the verdicts speak of: `on new signs of this kind`; None where nothing was judged."""
        return next((v.difference.statement for v in self.verdicts if v.word != stats.NOT_JUDGED), None)

    def verdict(self, a: Variant, b: Variant) -> stats.Verdict | None:
        """The verdict on two networks, in either order."""
        return next((v for v in self.verdicts if {v.a, v.b} == {a.label, b.label}), None)


def judge_networks(study: Path | Results, split: str | None = None) -> Judged:
    """Judge all pairs on `test` or `val` by the study's metric; None takes the set of `judged_part`."""
    results = read_results(study)
    split = split or judged_split(results)
    key = f"judged on {split} by {results.metric}"
    if key not in results.kept:
        results.kept[key] = _judge(results, split)
    judged: Judged = results.kept[key]
    return judged


def judged_split(results: Results) -> str:
    """The set that verdicts rest on: `test` where every compared network read it with all its seeds, else `val`.

    By another metric than accuracy it is `val`.
    """
    if results.metric != ACCURACY:
        return "val"
    compared = [variant for variant in results.variants if variant.is_compared]
    has_test = all(record.test is not None for variant in compared for record in variant.records)
    return "test" if compared and has_test else "val"


def verdict_rows(study: Path | Results, split: str | None = None) -> list[Row]:
    """One row for each pair of compared networks, the better one first; `gain` is a's figure minus b's.

    `gain_low` and `gain_high` stand by themselves; `p_adjusted` and `verdict` are corrected for all pairs (Holm).
    """
    results = read_results(study)
    judged = judge_networks(results, split)
    return [_row(results, judged, a, b) for a, b in combinations(judged.variants, 2)]


def estimate_difference(results: Results, a: Variant, b: Variant, split: str) -> Estimate | None:
    """The figure of `a` minus that of `b` over their common seeds, by the study's metric.

    Its interval stands by itself; its verdict is corrected for all pairs of the study. None where the two cannot be
    compared.
    """
    difference = difference_between(results, a, b, split)
    if difference is None:
        return None
    verdict = judge_networks(results, split).verdict(a, b) or stats.judge_pairs({(a.label, b.label): difference})[0]
    return describe_difference(results, a, b, split, difference, _WORDS[verdict.word])


def _judge(results: Results, split: str) -> Judged:
    variants = [variant for variant in ranked_variants(results) if variant.is_compared]
    if split == "test":
        variants = [variant for variant in variants if all(record.test is not None for record in variant.records)]
        variants.sort(key=lambda variant: -(mean_score(results, variant, split) or 0.0))
    found = {(a.label, b.label): difference_between(results, a, b, split) for a, b in combinations(variants, 2)}
    verdicts = stats.judge_pairs({pair: difference for pair, difference in found.items() if difference is not None})
    # the judge asks for accuracies and uses their order, which in validation is that of the seeds all have in common
    order = {variant.label: float(-place) for place, variant in enumerate(variants)}
    has_verdicts = any(verdict.word != stats.NOT_JUDGED for verdict in verdicts)
    unjudged = [NEEDS_SEEDS for verdict in verdicts if verdict.word == stats.NOT_JUDGED]
    unjudged += [
        f"not judged: {why_not_compared(results, a, b, split)}"
        for a, b in combinations(variants, 2)
        if found[a.label, b.label] is None
    ]
    return Judged(
        split=split,
        metric=results.metric,
        variants=tuple(variants),
        verdicts=tuple(verdicts),
        letters=stats.compact_letters(order, verdicts),
        leading=stats.leading_set(order, verdicts),
        remark=unjudged[0] if unjudged and not has_verdicts else None,
        needs_seeds=_do_seeds_help(results)
        and any(len(common_seeds(a, b)) < stats.MIN_SEEDS for a, b in combinations(variants, 2)),
    )


def _do_seeds_help(results: Results) -> bool:
    """On one validation part for all seeds nothing judges a worst-class recall (comparisons.py)."""
    return results.metric != WORST or not results.info.num_val


def _row(results: Results, judged: Judged, a: Variant, b: Variant) -> Row:
    verdict = judged.verdict(a, b)
    difference = verdict.difference if verdict else None
    estimate = describe_difference(results, a, b, judged.split, difference, "") if difference else None
    num_pairs = sum(one.p_adjusted is not None for one in judged.verdicts)
    more = (
        what_more_would_cost(results, verdict, split=judged.split, num_pairs=num_pairs)
        if verdict
        else RequiredSampleSize()
    )
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
        "verdict": _verdict_words(verdict)
        if verdict
        else f"not judged: {why_not_compared(results, a, b, judged.split)}",
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


def _verdict_words(verdict: stats.Verdict) -> str:
    return NEEDS_SEEDS if verdict.word == stats.NOT_JUDGED else verdict.word


def ranked_variants(results: Results) -> list[Variant]:
    """The networks in the order of the leaderboard: compared ones by validation, then those that are not."""
    seeds = _compared_seeds(results)
    common = set.intersection(*seeds) if seeds else set()
    return sorted(results.variants, key=lambda variant: _rank(results, variant, common))


def order_sentence(results: Results) -> str:
    """By which seeds the order goes, where networks have different ones; empty where all have the same."""
    seeds = _compared_seeds(results)
    if not seeds or all(one == seeds[0] for one in seeds):
        return ""
    common = sorted(set.intersection(*seeds))
    if not common:
        return "The networks have no seed in common, and folds differ in difficulty: the order means little."
    which = f"seed{'s' if len(common) > 1 else ''} {', '.join(map(str, common))}"
    return f"The order goes by {which}, which all networks have; the means are over all of a network's own."


def _compared_seeds(results: Results) -> list[set[int]]:
    return [{record.seed for record in variant.records} for variant in results.variants if variant.is_compared]


def best_variant(results: Results) -> Variant | None:
    """The network that validation chooses; None where none was trained enough."""
    first = next(iter(ranked_variants(results)), None)
    return first if first is not None and first.is_compared else None


def _rank(results: Results, variant: Variant, common_seeds: set[int]) -> tuple[int, float]:
    if not variant.records:
        return (3 if variant.failures else 4, 0.0)
    chosen = [record for record in variant.records if record.seed in common_seeds] or variant.records
    values = run_scores(results, chosen, "val", results.metric)
    place = 2 if variant.is_undertrained else 0 if variant.is_compared else 1
    return (place, -statistics.fmean(values) if values else 1.0)
