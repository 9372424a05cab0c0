"""Every pair of networks, judged: verdicts corrected for being many, compact letters, and the leading set.

All networks that may be compared are judged together, on one set: test where all of them read it (tracks are the
unit: "on new signs of this kind"), else validation; where another metric than accuracy chooses, always validation,
where the folds' paired t holds for any metric. Wherever a table or a sentence calls two networks separated, the
verdict is taken from here. With fewer than three seeds there are no letters and no verdicts. docs/statistics.md says
what stands behind the words; confused classes, the other kind of pairs, are in classes.py.
"""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from roadtest import judge
from roadtest.summarise.intervals import (
    Estimate,
    common_seeds,
    describe_difference,
    difference_between,
    why_not_compared,
)
from roadtest.summarise.metrics import ACCURACY, WORST
from roadtest.summarise.more import More, train_seconds_per_seed, what_more_would_cost
from roadtest.summarise.ranking import ranked_variants
from roadtest.summarise.results import Results, Variant, read_results
from roadtest.summarise.scores import mean_score

Row = dict[str, Any]
NOT_JUDGED = f"not judged: needs {judge.MIN_SEEDS} seeds, 5 are better"
_WORDS = {judge.DIFFERENT: "separated", judge.NOT_SEPARATED: "not separated", judge.NOT_JUDGED: "observed"}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What may be said of all networks of a study on one set."""

    part: str
    """`test` or `val`."""
    metric: str
    """What was judged: a key of METRICS."""
    variants: tuple[Variant, ...]
    """The networks that may be compared, best on this set first."""
    verdicts: tuple[judge.Verdict, ...]
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
        return any(verdict.word != judge.NOT_JUDGED for verdict in self.verdicts)

    @property
    def statement(self) -> str | None:
        """What the verdicts speak of: `on new signs of this kind`; None where nothing was judged."""
        return next((v.difference.statement for v in self.verdicts if v.word != judge.NOT_JUDGED), None)

    def verdict(self, a: Variant, b: Variant) -> judge.Verdict | None:
        """The verdict on two networks, in either order."""
        return next((v for v in self.verdicts if {v.a, v.b} == {a.label, b.label}), None)


def judge_networks(study: Path | Results, part: str | None = None) -> Judged:
    """Judge all pairs on `test` or `val` by the study's metric; None takes the set of `judged_part`."""
    results = read_results(study)
    part = part or judged_part(results)
    key = f"judged on {part} by {results.metric}"
    if key not in results.kept:
        results.kept[key] = _judge(results, part)
    judged: Judged = results.kept[key]
    return judged


def judged_part(results: Results) -> str:
    """The set that verdicts rest on: `test` where every compared network read it with all its seeds, else `val`.

    By another metric than accuracy it is `val`.
    """
    if results.metric != ACCURACY:
        return "val"
    compared = [variant for variant in results.variants if variant.is_compared]
    has_test = all(record.test is not None for variant in compared for record in variant.records)
    return "test" if compared and has_test else "val"


def verdict_rows(study: Path | Results, part: str | None = None) -> list[Row]:
    """One row for each pair of compared networks, the better one first; `gain` is a's figure minus b's.

    `gain_low` and `gain_high` stand by themselves; `p_adjusted` and `verdict` are corrected for all pairs (Holm).
    """
    results = read_results(study)
    judged = judge_networks(results, part)
    return [_row(results, judged, a, b) for a, b in combinations(judged.variants, 2)]


def estimate_difference(results: Results, a: Variant, b: Variant, part: str) -> Estimate | None:
    """The figure of `a` minus that of `b` over their common seeds, by the study's metric.

    Its interval stands by itself; its verdict is corrected for all pairs of the study. None where the two cannot be
    compared.
    """
    difference = difference_between(results, a, b, part)
    if difference is None:
        return None
    verdict = judge_networks(results, part).verdict(a, b) or judge.judge_pairs({(a.label, b.label): difference})[0]
    return describe_difference(results, a, b, part, difference, _WORDS[verdict.word])


def _judge(results: Results, part: str) -> Judged:
    variants = [variant for variant in ranked_variants(results) if variant.is_compared]
    if part == "test":
        variants = [variant for variant in variants if all(record.test is not None for record in variant.records)]
        variants.sort(key=lambda variant: -(mean_score(results, variant, part) or 0.0))
    found = {(a.label, b.label): difference_between(results, a, b, part) for a, b in combinations(variants, 2)}
    verdicts = judge.judge_pairs({pair: difference for pair, difference in found.items() if difference is not None})
    # the judge asks for accuracies and uses their order, which in validation is that of the seeds all have in common
    order = {variant.label: float(-place) for place, variant in enumerate(variants)}
    has_verdicts = any(verdict.word != judge.NOT_JUDGED for verdict in verdicts)
    unjudged = [NOT_JUDGED for verdict in verdicts if verdict.word == judge.NOT_JUDGED]
    unjudged += [
        f"not judged: {why_not_compared(results, a, b, part)}"
        for a, b in combinations(variants, 2)
        if found[a.label, b.label] is None
    ]
    return Judged(
        part=part,
        metric=results.metric,
        variants=tuple(variants),
        verdicts=tuple(verdicts),
        letters=judge.compact_letters(order, verdicts),
        leading=judge.leading_set(order, verdicts),
        remark=unjudged[0] if unjudged and not has_verdicts else None,
        needs_seeds=_do_seeds_help(results)
        and any(len(common_seeds(a, b)) < judge.MIN_SEEDS for a, b in combinations(variants, 2)),
    )


def _do_seeds_help(results: Results) -> bool:
    """On one validation part for all seeds nothing judges a worst-class recall (intervals.py)."""
    return results.metric != WORST or not results.info.num_val


def _row(results: Results, judged: Judged, a: Variant, b: Variant) -> Row:
    verdict = judged.verdict(a, b)
    difference = verdict.difference if verdict else None
    estimate = describe_difference(results, a, b, judged.part, difference, "") if difference else None
    num_pairs = sum(one.p_adjusted is not None for one in judged.verdicts)
    more = what_more_would_cost(results, verdict, part=judged.part, num_pairs=num_pairs) if verdict else More()
    return {
        "network_a": a.network,
        "has_stn_a": a.has_stn,
        "network_b": b.network,
        "has_stn_b": b.has_stn,
        "part": judged.part,
        "gain": difference and difference.estimate,
        "gain_low": difference and difference.low,
        "gain_high": difference and difference.high,
        "p_adjusted": verdict and verdict.p_adjusted,
        "verdict": _verdict_words(verdict)
        if verdict
        else f"not judged: {why_not_compared(results, a, b, judged.part)}",
        "better": verdict and verdict.better,
        "num_seeds": estimate.num_seeds if estimate else len(common_seeds(a, b)),
        "num_seeds_a": difference and difference.seeds_each[0][0],
        "num_seeds_b": difference and difference.seeds_each[-1][0],
        "num_units": estimate and estimate.num_units,
        "unit_name": estimate and estimate.unit_name,
        "design_effect": difference and difference.design_effect,
        "seed_correlation": difference and difference.seed_correlation,
        "statement": difference and difference.statement,
        "least_more_seeds": more.least_seeds,
        "most_more_seeds": more.most_seeds,
        "times_tracks": more.times_tracks,
        "what_more_would_cost": more.words,
        "train_seconds_per_seed": train_seconds_per_seed((a, b)),
    }


def _verdict_words(verdict: judge.Verdict) -> str:
    return NOT_JUDGED if verdict.word == judge.NOT_JUDGED else verdict.word
