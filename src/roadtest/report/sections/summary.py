"""The first screen: which network, by how much, at what cost, how sure, what would change it; in that order.

Every sentence is put together from the recommendation and the records. None says more than its interval: `better` only
where three seeds or more separate two networks, `not separated` (never "equal") where they do not, and with one or two
seeds everything is called observed. No markup.

What may be said of all networks together: the leading set, who shares a letter, or why nothing was judged.

Never "equal": networks that are not separated are networks that this study cannot tell apart.
"""

import math
import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roadtest.analysis import (
    GOOD_NUM_SEEDS,
    NEEDS_SEEDS,
    Estimate,
    Judged,
    Results,
    Variant,
    estimate_difference,
    estimate_score,
    judge_networks,
    judged_split,
    leading_sentence,
    plan_more_seeds,
    ranked_variants,
    stats,
)
from roadtest.analysis.costs import COSTS, SIMILAR_COST_RATIO
from roadtest.analysis.recommend import Recommendation
from roadtest.analysis.recommend.choice import AGREES, BEHIND, DISAGREES, OPEN
from roadtest.analysis.stats import NOT_DECIDED
from roadtest.format import (
    WHERE,
    Row,
    capitalise,
    format_about,
    format_design_effect,
    format_gain_interval,
    format_interval,
    format_percent,
    format_points_bare,
    format_times,
    format_units,
    join_words,
    plural,
)
from roadtest.records import row_label

TOLD_COSTS = ("num_parameters", "macs", "latency_p50_ms", "train_seconds_mean")
MAX_CHANGES = 2
"""The first things that would change the answer; `roadtest recommend` has them all."""
NOTABLE_DESIGN_EFFECT = 1.05
"""Below it an image tells as much as one that stands by itself."""

BY_WORDS = {
    "latency": "latency",
    "params": "parameters",
    "macs": "MACs",
    "size": "size",
    "train-time": "training time",
}


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What a reader takes away."""

    headline: str
    sentences: tuple[str, ...]
    """One paragraph."""


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What the sentences speak of: the recommended network and the one it is held against."""

    results: Results
    answer: Recommendation
    own: Variant
    leader: Variant
    other: Variant | None
    """The most accurate network, or where that is the recommended one, the next in validation."""
    board: Sequence[Row]
    part: str

    @property
    def is_judged(self) -> bool:
        return self.answer.certainty == "judged"

    def row(self, variant: Variant) -> Row:
        """The line of the leaderboard."""
        return next(row for row in self.board if (row["network"], row["has_stn"]) == (variant.network, variant.has_stn))


def conclude(results: Results, answer: Recommendation, board: Sequence[Row]) -> Conclusion:
    """Say what the study found, as far as it got."""
    own, leader = _variant(results, answer.recommended), _variant(results, answer.leader)
    if own is None or leader is None:
        return _nothing_to_compare(results)
    compared = [variant for variant in ranked_variants(results) if variant.is_compared]
    others = [variant for variant in compared if variant.label != own.label]
    other = leader if leader.label != own.label else next(iter(others), None)
    case = _Case(
        results=results,
        answer=answer,
        own=own,
        leader=leader,
        other=other,
        board=board,
        part=judged_split(results),
    )
    told = [_which(case), _how_much(case), _at_what_cost(case), _how_sure(case), _what_would_change(case)]
    return Conclusion(headline=_headline(case), sentences=tuple(sentence for sentence in told if sentence))


def _headline(case: _Case) -> str:
    label, num_seeds = case.own.label, len(case.own.records)
    if case.other is None:
        alone = len(case.results.variants) == 1
        return f"{label} is the network that was tested" if alone else f"Only {label} got far enough to be compared"
    if case.is_judged:
        return f"Use {label}"
    return {1: f"One seed points to {label}", 2: f"Two seeds point to {label}"}.get(num_seeds, f"Observed: {label}")


def _which(case: _Case) -> str:
    if case.other is None:
        return ""
    own, within = case.own.label, f"{case.answer.tolerance_points:g} points"
    cheapest = f"by {BY_WORDS[case.answer.prefer]}"
    is_accuracy, metric = case.results.metric == "accuracy", case.results.chosen_by.words
    best = "the most accurate network in validation" if is_accuracy else f"the best network in validation by {metric}"
    if case.leader.label != own:
        shows = "shows" if case.is_judged else "saw"
        less = "less accurate than" if is_accuracy else f"behind in {metric}"
        return (
            f"{own} is the cheapest network {cheapest} that validation {shows} to be at most {within} {less} "
            f"{case.leader.label}, the {'most accurate' if is_accuracy else 'best'} one."
        )
    undecided = [row_label(row) for row in case.answer.networks if row["verdict"] == NOT_DECIDED]
    if undecided:
        judged = "shown" if case.is_judged else "seen"
        return (
            f"{own} is {best}; no cheaper one is {judged} to come within {within} of it (not decided: "
            f"{join_words(undecided)})."
        )
    if any(row["verdict"] == BEHIND for row in case.answer.networks):
        return f"{own} is {best}, and every cheaper one is over {within} behind."
    return f"{own} is {best}, and the cheapest {cheapest}."


def _how_much(case: _Case) -> str:
    own, metric = estimate_score(case.results, case.own, case.part), case.results.chosen_by
    mean = format_percent(case.row(case.own)[f"{case.part}_{metric.column}_mean"])
    num_images = case.results.info.num_test if case.part == "test" else (own.num_images if own else 0)
    images = {"test": "test images", "val": "validation images"}[case.part]
    seen = f"the {num_images:,} {images}" if num_images else f"the {images}"
    it = "It" if case.other is not None else case.own.label
    sentence = f"{it} classifies {mean} of {seen} correctly"
    if case.results.metric != "accuracy":
        sentence = f"{it} reaches {mean} {metric.words} on {seen}"
    sentence += f" (95 % interval {format_interval(own.low, own.high)})" if own else ""
    gap = estimate_difference(case.results, case.own, case.other, case.part) if case.other else None
    if case.other is not None and gap is not None:
        more = "more" if gap.value >= 0 else "less"
        bounds = format_gain_interval(gap.low, gap.high)
        sentence += f", {format_points_bare(gap.value)} points {more} than {case.other.label} ({bounds})"
    return f"{sentence}.{_doubt(case)}"


def _doubt(case: _Case) -> str:
    if case.part == "test":
        return ""
    why = "No test set was read: this" if not any(record.test for record in case.results.records) else "This"
    return f" {why} figure helped to choose, and is therefore optimistic."


def _at_what_cost(case: _Case) -> str:
    own = case.row(case.own)
    kinds = [kind for kind in COSTS if kind.column in TOLD_COSTS and own[kind.column]]
    told = [kind.describe(own[kind.column]) for kind in kinds]
    sentence = f"It costs {join_words(told)}"
    if case.other is None:
        return f"{sentence}."
    other = case.row(case.other)
    factors = {kind.word: other[kind.column] / own[kind.column] for kind in kinds if other[kind.column]}
    dearer = {word: factor for word, factor in factors.items() if factor >= SIMILAR_COST_RATIO}
    cheaper = {word: 1 / factor for word, factor in factors.items() if factor <= 1 / SIMILAR_COST_RATIO}
    parts = [f"{case.other.label} costs {_factors(dearer)}"] if dearer else []
    parts += [f"that is {_factors(cheaper)} of {case.other.label}"] if cheaper else []
    if factors and not parts:
        parts = [f"{case.other.label} costs about the same"]
    return f"{'; '.join([sentence, *parts])}."


def _factors(found: dict[str, float]) -> str:
    return join_words([f"{format_times(factor)} the {word}" for word, factor in found.items()])


def _how_sure(case: _Case) -> str:
    num_seeds = len(case.own.records)
    if case.other is None:
        return "" if num_seeds > 2 else f"{plural(num_seeds, 'seed')}: observed, not judged."
    if not case.is_judged:
        one = "one seed cannot" if num_seeds == 1 else "two seeds cannot"
        lead = f"{one} tell a network from the luck of its training"
        if num_seeds > 2:
            remark = judge_networks(case.results, case.part).remark or "too few seeds in common"
            lead = remark.removeprefix("not judged: ")
        return f"This is observed, not judged: {lead}{_basis(case)}."
    gap = estimate_difference(case.results, case.own, case.other, case.part)
    told = [_verdict(case, case.other, gap), _agreement(case)]
    return " ".join(sentence for sentence in told if sentence)


def _basis(case: _Case) -> str:
    """What the interval rests on: ` (129 tracks, design effect 5.8)`."""
    own = estimate_score(case.results, case.own, case.part)
    if own is None:
        return ""
    design = f", {format_design_effect(own.design_effect)}" if own.design_effect >= NOTABLE_DESIGN_EFFECT else ""
    return f" ({format_units(own.num_clusters, own.cluster_noun)}{design})"


def _verdict(case: _Case, other: Variant, gap: Estimate | None) -> str:
    if gap is None or gap.verdict == stats.NOT_JUDGED:
        return f"{case.own.label} and {other.label} share too few seeds for a verdict."
    num_pairs = sum(verdict.p_adjusted is not None for verdict in judge_networks(case.results, case.part).verdicts)
    where = {"test": "On test", "val": "In validation"}[case.part]
    among = f", after correction for {'both' if num_pairs == 2 else f'all {num_pairs}'} pairs," if num_pairs > 1 else ""
    better = case.own.label if gap.value > 0 else other.label
    finding = "the two are not separated" if gap.verdict == stats.NOT_SEPARATED else f"{better} is better"
    design = f", {format_design_effect(gap.design_effect)}" if gap.design_effect >= NOTABLE_DESIGN_EFFECT else ""
    basis = f"{format_units(gap.num_clusters, gap.cluster_noun)}, {plural(gap.num_seeds, 'seed')}{design}"
    return f"{where}{among} {finding} {gap.statement} ({basis})."


def _agreement(case: _Case) -> str:
    """What test says of a choice that validation made."""
    test = case.answer.test
    within = f"more than {case.answer.tolerance_points:g} points"
    if test is None or test["agreement"] is None:
        return ""
    few = ", observed for these trained weights" if test["statement"] == stats.THESE_WEIGHTS else ""
    said = {
        AGREES: f"Test agrees that no other is better by {within}{few}.",
        DISAGREES: f"Test disagrees: there {row_label(test['against'])} is better by {within}{few}.",
        OPEN: f"Test does not decide whether another is better by {within}{few}.",
    }
    return said[test["agreement"]]


def _what_would_change(case: _Case) -> str:
    if case.other is None:
        return ""
    more = plan_more_seeds(case.results) if judge_networks(case.results, case.part).needs_seeds else None
    if not case.is_judged and more is not None:
        time = f", {format_about(more.train_seconds)} of training" if more.train_seconds else ""
        return f"{plural(more.num_runs, 'more run').capitalize()}{time}, would let it be judged, and may change it."
    if case.answer.would_change:
        return f"What would change it: {'; '.join(case.answer.would_change[:MAX_CHANGES])}."
    own = next(row for row in case.answer.networks if row_label(row) == case.own.label)
    if case.leader.label != case.own.label and own["val_gain_low"] is not None and own["val_gain_low"] < 0:
        points = math.ceil(100 * 100 * -own["val_gain_low"]) / 100
        return f"A tolerance under {points:g} points would change it."
    return "" if case.leader.label != case.own.label else "No other tolerance would change it."


def _nothing_to_compare(results: Results) -> Conclusion:
    headline = "No run has finished yet"
    rest = " so far; this page fills as they do."
    if results.records:
        headline = "No network was trained long enough to be compared"
        rest = ", each with less than two passes over the training images: give them more time, or fewer networks."
    finished = f"{len(results.records)} of {plural(len(results.info.runs), 'planned run')} finished"
    return Conclusion(headline=headline, sentences=(finished + rest,))


def _variant(results: Results, name: Row | None) -> Variant | None:
    return None if name is None else results.variant(name["network"], name["has_stn"])


_NO_VERDICT = "What was observed stands here without a verdict."
_UNJUDGED = {NEEDS_SEEDS: f"{_NO_VERDICT.removesuffix('.')}: luck of the training is not known."}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Sentences above the leaderboard and above the pairs, and what would allow a verdict."""

    leading: str
    """Who leads; or that nothing was judged, and what it needs."""
    pairs: str
    """How many pairs are separated, and on which ground."""
    more: str
    """What the command below adds; empty where there are seeds enough."""
    command: str


def describe_standing(results: Results) -> Standing:
    """Say who leads and what is separated, as far as seeds allow."""
    judged, leading, more = judge_networks(results), leading_sentence(results), plan_more_seeds(results)
    if len(judged.variants) < 2:
        return Standing(leading="", pairs="", more="", command="")
    pairs = _pairs(results, judged) if judged.is_judged else _UNJUDGED.get(judged.remark or "", _NO_VERDICT)
    if not judged.needs_seeds or more is None:
        return Standing(leading=leading, pairs=pairs, more="", command="")
    time = f", {format_about(more.train_seconds)} of training" if more.train_seconds else ""
    text = f"This command gives every network {GOOD_NUM_SEEDS} seeds: {plural(more.num_runs, 'more run')}{time}."
    return Standing(leading=leading, pairs=pairs, more=text, command=portable_command(more.command, results))


def portable_command(command: str, results: Results) -> str:
    """A command without the way to this machine's folders: `--out` as it was typed, or from where the page is built."""
    *start, option, folder = shlex.split(command)
    if option != "--out":
        return command
    typed = _typed_out(results.study_dir / "study.toml")
    study_dir = results.study_dir.resolve()
    near = study_dir.relative_to(Path.cwd()) if study_dir.is_relative_to(Path.cwd()) else Path(folder)
    return shlex.join([*start, "--out", typed or str(near)])


def _typed_out(path: Path) -> str | None:
    """What was typed for `--out`, from the study's own options."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("out")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) else None


def _pairs(results: Results, judged: Judged) -> str:
    verdicts = [verdict for verdict in judged.verdicts if verdict.p_adjusted is not None]
    num_separated = sum(verdict.better is not None for verdict in verdicts)
    after = " after correction for all of them" if len(verdicts) > 1 else ""
    pairs = f"{num_separated} of {plural(len(verdicts), 'pair')} {'is' if num_separated == 1 else 'are'} separated"
    return f"{capitalise(WHERE[judged.split])}, {pairs}{after}, {judged.statement}."
