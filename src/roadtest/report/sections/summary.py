"""The first screen: which network, by how much, at what cost, how sure, what would change it; in that order.

Every sentence is put together from the recommendation and the records. None says more than its interval: `better` only
where three seeds or more separate two networks, `not separated` (never "equal") where they do not, and with one or two
seeds everything is called observed.
"""

import math
from dataclasses import dataclass

from roadtest.analysis import (
    ACCURACY,
    Estimate,
    Variant,
    estimate_difference,
    estimate_score,
    judge_networks,
    judged_split,
    stats,
)
from roadtest.analysis.costs import COSTS, SIMILAR_COST_RATIO
from roadtest.analysis.recommend import Recommendation, recommend
from roadtest.analysis.recommend.choice import AGREES, BEHIND, DISAGREES, OPEN
from roadtest.analysis.stats import NOT_DECIDED
from roadtest.format import (
    PART_WORDS,
    WHERE,
    Row,
    capitalise,
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
from roadtest.report.blocks import Context, Facts, Items, Section, describe_more_runs, describe_statement, present
from roadtest.report.charts import KEY_SETS, KEY_STN, Figure, IntervalPoint, draw_intervals, interval_domain
from roadtest.report.sections.methods import summary_facts

TOLD_COSTS = ("num_parameters", "macs", "latency_p50_ms", "train_seconds_mean")
MAX_CHANGES = 2
"""The first things that would change the answer; `roadtest recommend` has them all."""
MAX_NETWORKS = 12
"""More networks in the figure would push everything else off the first screen; the tables have them all."""
NOTABLE_DESIGN_EFFECT = 1.05
"""Below it an image tells as much as an independent one."""
BY_WORDS = {"params": "parameters", "macs": "MACs", "train-time": "training time"}
"""Where a preference is not its own word."""


def section(context: Context) -> Section:
    """The conclusion, the study in a few facts, and every network's accuracy."""
    found = conclude(context)
    blocks = present(
        Items(items=found.sentences, kind="conclusion"),
        Facts(facts=tuple(summary_facts(context.results)), kind="summary"),
        accuracy_figure(context),
    )
    return Section(title=found.headline, anchor="result", short_title="Result", blocks=blocks)


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What a reader takes away."""

    headline: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What the sentences speak of: the recommended network and the one it is held against."""

    context: Context
    answer: Recommendation
    own: Variant
    leader: Variant
    other: Variant | None
    """The most accurate network, or where that is the recommended one, the next in validation."""
    split: str

    @property
    def is_judged(self) -> bool:
        return self.answer.certainty == "judged"

    def row(self, variant: Variant) -> Row:
        """The line of the leaderboard."""
        return next(row for row in self.context.leaderboard_rows if row_label(row) == variant.label)

    def estimate(self) -> Estimate | None:
        """The recommended network's score."""
        return estimate_score(self.context.results, self.own, self.split)

    def gap(self) -> Estimate | None:
        """The recommended network minus the other one."""
        return estimate_difference(self.context.results, self.own, self.other, self.split) if self.other else None


def conclude(context: Context) -> Conclusion:
    """Say what the study found, as far as it got."""
    results, answer = context.results, recommend(context.results)
    if answer.recommended is None or answer.leader is None:
        return _nothing_to_compare(context)
    own, leader = (results.variant(row["network"], row["has_stn"]) for row in (answer.recommended, answer.leader))
    assert own is not None and leader is not None
    others = [variant for variant in (leader, *context.compared) if variant.label != own.label]
    case = _Case(
        context=context,
        answer=answer,
        own=own,
        leader=leader,
        other=next(iter(others), None),
        split=judged_split(results),
    )
    sentences = (_which(case), _how_much(case), _at_what_cost(case), _how_sure(case), _what_would_change(case))
    return Conclusion(headline=_headline(case), sentences=tuple(filter(None, sentences)))


def _nothing_to_compare(context: Context) -> Conclusion:
    headline = "No run has finished yet"
    rest = " so far; this page fills as they do."
    records = context.results.records
    if records:
        headline = "No network was trained long enough to be compared"
        rest = ", each with less than two passes over the training images: give them more time, or fewer networks."
    finished = f"{len(records)} of {plural(len(context.info.runs), 'planned run')} finished"
    return Conclusion(headline=headline, sentences=(finished + rest,))


def _headline(case: _Case) -> str:
    label, num_seeds = case.own.label, len(case.own.records)
    if case.other is None:
        alone = len(case.context.results.variants) == 1
        return f"{label} is the network that was tested" if alone else f"Only {label} got far enough to be compared"
    if case.is_judged:
        return f"Use {label}"
    return {1: f"One seed points to {label}", 2: f"Two seeds point to {label}"}.get(num_seeds, f"Observed: {label}")


def _which(case: _Case) -> str:
    if case.other is None:
        return ""
    own, within = case.own.label, f"{case.answer.tolerance_points:g} points"
    cheapest = f"by {BY_WORDS.get(case.answer.prefer, case.answer.prefer)}"
    metric = case.context.results.chosen_by
    is_accuracy = metric.column == "accuracy"
    best = f"the best network in validation by {metric.words}"
    best = "the most accurate network in validation" if is_accuracy else best
    if case.leader.label != own:
        shows = "shows" if case.is_judged else "saw"
        less = "less accurate than" if is_accuracy else f"behind in {metric.words}"
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
    own, gap, metric = case.estimate(), case.gap(), case.context.results.chosen_by
    mean = format_percent(case.row(case.own)[f"{case.split}_{metric.column}_mean"])
    num_images = case.context.info.num_test if case.split == "test" else (own.num_images if own else 0)
    seen = f"the {num_images:,} " if num_images else "the "
    seen += f"{PART_WORDS[case.split]} images"
    subject = "It" if case.other is not None else case.own.label
    sentence = f"{subject} classifies {mean} of {seen} correctly"
    if metric.column != "accuracy":
        sentence = f"{subject} reaches {mean} {metric.words} on {seen}"
    sentence += f" (95 % interval {format_interval(own.low, own.high)})" if own else ""
    if case.other is not None and gap is not None:
        more = "more" if gap.value >= 0 else "less"
        bounds = format_gain_interval(gap.low, gap.high)
        sentence += f", {format_points_bare(gap.value)} points {more} than {case.other.label} ({bounds})"
    if case.split == "test":
        return f"{sentence}."
    why = "This" if any(record.test for record in case.context.results.records) else "No test set was read: this"
    return f"{sentence}. {why} figure helped to choose, and is therefore optimistic."


def _at_what_cost(case: _Case) -> str:
    own = case.row(case.own)
    kinds = [kind for kind in COSTS if kind.column in TOLD_COSTS and own[kind.column]]
    sentence = f"It costs {join_words([kind.describe(own[kind.column]) for kind in kinds])}"
    if case.other is None:
        return f"{sentence}."
    other = case.row(case.other)
    ratios = {kind.word: other[kind.column] / own[kind.column] for kind in kinds if other[kind.column]}
    higher = {word: ratio for word, ratio in ratios.items() if ratio >= SIMILAR_COST_RATIO}
    lower = {word: 1 / ratio for word, ratio in ratios.items() if ratio <= 1 / SIMILAR_COST_RATIO}
    parts = [f"{case.other.label} costs {_times_each(higher)}"] if higher else []
    parts += [f"that is {_times_each(lower)} of {case.other.label}"] if lower else []
    if ratios and not parts:
        parts = [f"{case.other.label} costs about the same"]
    return f"{'; '.join([sentence, *parts])}."


def _times_each(ratios: dict[str, float]) -> str:
    return join_words([f"{format_times(ratio)} the {word}" for word, ratio in ratios.items()])


def _how_sure(case: _Case) -> str:
    num_seeds = len(case.own.records)
    if case.other is None:
        return "" if num_seeds > 2 else f"{plural(num_seeds, 'seed')}: observed, not judged."
    if case.is_judged:
        return " ".join(filter(None, (_verdict(case, case.other), _agreement(case))))
    remark = judge_networks(case.context.results, case.split).remark or "not judged: too few seeds in common"
    if num_seeds < stats.MIN_SEEDS:
        few = "one seed" if num_seeds == 1 else "two seeds"
        remark = f"not judged: {few} cannot separate a network from the variance of its training"
    own = case.estimate()
    basis = f" ({_clusters(own, '')})" if own else ""
    return f"This is observed, {remark}{basis}."


def _verdict(case: _Case, other: Variant) -> str:
    gap = case.gap()
    if gap is None or gap.verdict == stats.NOT_JUDGED:
        return f"{case.own.label} and {other.label} share too few seeds for a verdict."
    verdicts = judge_networks(case.context.results, case.split).verdicts
    num_pairs = sum(verdict.p_adjusted is not None for verdict in verdicts)
    among = f", after correction for {'both' if num_pairs == 2 else f'all {num_pairs}'} pairs," if num_pairs > 1 else ""
    better = case.own.label if gap.value > 0 else other.label
    finding = "the two are not separated" if gap.verdict == stats.NOT_SEPARATED else f"{better} is better"
    seeds = f", {plural(gap.num_seeds, 'seed')}"
    statement = describe_statement(gap.statement, case.context.info)
    return f"{capitalise(WHERE[case.split])}{among} {finding} {statement} ({_clusters(gap, seeds)})."


def _clusters(estimate: Estimate, seeds: str) -> str:
    """What an interval rests on: `129 tracks, 3 seeds, design effect 5.8`."""
    is_notable = estimate.design_effect >= NOTABLE_DESIGN_EFFECT
    design = f", {format_design_effect(estimate.design_effect)}" if is_notable else ""
    return f"{format_units(estimate.num_clusters, estimate.cluster_noun)}{seeds}{design}"


def _agreement(case: _Case) -> str:
    """What test says of a choice that validation made."""
    test = case.answer.test
    if test is None or test["agreement"] is None:
        return ""
    few = ", observed for these trained weights" if test["statement"] == stats.THESE_WEIGHTS else ""
    within = f"better by more than {case.answer.tolerance_points:g} points{few}"
    if test["agreement"] == DISAGREES:
        return f"Test disagrees: there {row_label(test['against'])} is {within}."
    said = {AGREES: "Test agrees that no other is", OPEN: "Test does not decide whether another is"}
    return f"{said[test['agreement']]} {within}."


def _what_would_change(case: _Case) -> str:
    if case.other is None:
        return ""
    more = case.context.more_seeds
    if not case.is_judged and more is not None:
        return f"{capitalise(describe_more_runs(more))}, would let it be judged, and may change it."
    if case.answer.would_change:
        return f"What would change it: {'; '.join(case.answer.would_change[:MAX_CHANGES])}."
    if case.leader.label == case.own.label:
        return "No other tolerance would change it."
    own = next(row for row in case.answer.networks if row_label(row) == case.own.label)
    if own["val_gain_low"] is None or own["val_gain_low"] >= 0:
        return ""
    return f"A tolerance under {math.ceil(100 * 100 * -own['val_gain_low']) / 100:g} points would change it."


def accuracy_points(context: Context) -> list[IntervalPoint]:
    """A point with its interval for each of the first networks and each of test and validation."""
    return [
        IntervalPoint(
            label=variant.label,
            has_stn=variant.has_stn,
            set=PART_WORDS[split],
            n=len(variant.records),
            value=100 * estimate.value,
            low=100 * estimate.low,
            high=100 * estimate.high,
        )
        for variant in context.compared[:MAX_NETWORKS]
        for split in ("test", "val")
        if (estimate := estimate_score(context.results, variant, split, metric=ACCURACY)) is not None
    ]


def accuracy_figure(context: Context) -> Figure | None:
    """Every network's accuracy with its interval; None where no interval is known."""
    points = accuracy_points(context)
    if not points:
        return None
    num_shown = len({point.label for point in points})
    num_compared = len(context.compared)
    first = f" The first {num_shown} of {num_compared} networks." if num_compared > num_shown else ""
    has_test = any(point.set == "test" for point in points)
    marks = "Filled diamonds: test; open circles: validation" if has_test else "Open circles: validation"
    said = join_words([f"{point.label} {point.value:.2f} % in {point.set}" for point in points])
    return Figure(
        name="accuracy",
        caption=f"{marks}; lines: 95 % intervals. Blue: without STN; vermilion: with STN. In the order of validation, "
        "which chooses. A line that reaches the frame goes on beyond it. Whether two networks differ is judged in "
        f"pairs, not by whether their lines overlap.{first}",
        alt=f"Accuracy of {plural(num_shown, 'network')}: {said}.",
        key=f"{KEY_SETS}; {KEY_STN}",
        panels=(draw_intervals(points, "accuracy, %", interval_domain(points)),),
    )
