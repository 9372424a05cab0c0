"""Every pair of networks, judged: the table of verdicts, the chart of differences, and what may be chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from roadtest.analysis import (
    NEEDS_SEEDS,
    Estimate,
    Judged,
    Results,
    estimate_difference,
    judge_networks,
    seed_only_difference,
    stats,
    verdict_rows,
)
from roadtest.analysis.stats import Interval
from roadtest.format import (
    DASH,
    PART_WORDS,
    WHERE,
    Row,
    capitalise,
    format_design_effect,
    format_gain_interval,
    format_p_value,
    format_points,
    format_seconds,
    format_units,
    join_words,
    plural,
)
from roadtest.records import row_label
from roadtest.report.blocks import (
    Block,
    Cell,
    Column,
    Context,
    Details,
    Section,
    Table,
    Text,
    Words,
    describe_statement,
    make_table,
    present,
)
from roadtest.report.charts import DifferencePoint, Figure, draw_pairs

MAX_PAIRS = 28
"""In the figure: all pairs of eight networks. Of more pairs it shows those with the first network."""
MAX_OPEN_ROWS = 6
"""A longer table of pairs is folded."""
MAX_NOISE_PAIRS = 3
_NO_VERDICT = "These are observations without a verdict."


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two networks, the better one first, with the interval of seeds alone beside the judged one."""

    a: str
    b: str
    finding: str
    """`separated`, `not separated`, or `not judged`."""
    seeds_only: Interval | None
    """None where seeds are too few, or each had a fold of its own."""
    row: Row
    """The verdict's row."""


def section(context: Context) -> Section:
    """How many pairs are separated, every difference, and every verdict."""
    table, figure = verdict_table(context), difference_figure(context)
    blocks: tuple[Block, ...] = ()
    if table is not None:
        folded = f"All {len(table.rows)} pairs, with both intervals, verdicts and what would separate them"
        is_long = len(table.rows) > MAX_OPEN_ROWS
        shown = Details(summary=folded, blocks=(table,)) if is_long else table
        blocks = present(Text(text=pairs_sentence(context.results)), figure, shown)
    title = "Differences, observed" if context.more_seeds else "Which differences are real"
    rows = {"verdicts": verdict_rows(context.results)}
    return Section(title=title, anchor="differences", short_title="Differences", blocks=blocks, csv=rows)


def judged_pairs(results: Results) -> list[Pair]:
    """Every pair of compared networks."""
    judged = judge_networks(results)
    by_label = {variant.label: variant for variant in judged.variants}
    pairs = []
    for row in verdict_rows(results):
        a, b = (row_label(row, side) for side in ("_a", "_b"))
        finding = "not judged" if row["p_adjusted"] is None else "separated" if row["better"] else "not separated"
        is_accuracy = results.metric == "accuracy"
        again = seed_only_difference(results, by_label[a], by_label[b], judged.split) if is_accuracy else None
        pairs.append(Pair(a=a, b=b, finding=finding, seeds_only=again, row=row))
    return pairs


def pairs_sentence(results: Results) -> str:
    """How many pairs are separated, and on which ground; or that nothing was judged."""
    judged = judge_networks(results)
    if not judged.is_judged and judged.remark == NEEDS_SEEDS:
        return f"{_NO_VERDICT.removesuffix('.')}: the variance of training is not known."
    if not judged.is_judged:
        return _NO_VERDICT
    verdicts = [verdict for verdict in judged.verdicts if verdict.p_adjusted is not None]
    num_separated = sum(verdict.better is not None for verdict in verdicts)
    after = " after correction for all of them" if len(verdicts) > 1 else ""
    pairs = f"{num_separated} of {plural(len(verdicts), 'pair')} {'is' if num_separated == 1 else 'are'} separated"
    statement = describe_statement(judged.statement or "", results.info)
    return f"{capitalise(WHERE[judged.split])}, {pairs}{after}, {statement}."


def verdict_table(context: Context) -> Table | None:
    """All pairs of networks; None where there is nothing to compare."""
    pairs = judged_pairs(context.results)
    if not pairs:
        return None
    judged = judge_networks(context.results)
    has_seeds = any(pair.seeds_only for pair in pairs)
    images = f"on these {PART_WORDS[judged.split]} images"

    def seeds_only(pair: Pair) -> str:
        return format_gain_interval(pair.seeds_only.low, pair.seeds_only.high) if pair.seeds_only else DASH

    def gain(pair: Pair) -> str:
        return DASH if pair.row["gain"] is None else format_points(pair.row["gain"])

    def interval(pair: Pair) -> str:
        return format_gain_interval(pair.row["gain_low"], pair.row["gain_high"]) or DASH

    head = (f"New {context.subject}", "of this kind") if has_seeds else ("95 % interval", "points")
    columns = [
        Words("Network", lambda pair: pair.a),
        Words("Against", lambda pair: pair.b),
        Column("Difference", gain, "points"),
        *([Column("Trained again", seeds_only, images)] if has_seeds else []),
        Column(head[0], interval, head[1]),
        Words("Rests on", _basis_cell),
    ]
    if judged.is_judged:
        columns[-1:-1] = [
            Column("p", lambda pair: format_p_value(pair.row["p_adjusted"]), "corrected"),
            Words("Verdict", _verdict_cell),
        ]
        columns.append(Words("To separate them", _more_cell))
    caption = _verdict_caption(context, judged, pairs, has_seeds=has_seeds)
    return make_table("verdicts", caption, pairs, columns, max_rows=300)


def _verdict_cell(pair: Pair) -> Cell:
    better = pair.row["better"]
    return Cell(text=pair.finding, below=f"{better} is better" if better else "")


def _basis_cell(pair: Pair) -> Cell:
    row = pair.row
    if row["num_units"] is None:
        return Cell(text=plural(row["num_seeds"], "seed"))
    clusters = format_units(row["num_units"], row["unit_name"])
    if row["unit_name"] == "folds":
        return Cell(text=clusters)
    of_a, of_b = row["num_seeds_a"], row["num_seeds_b"]
    seeds = plural(of_b, "seed") if of_a == of_b else f"{of_a} and {plural(of_b, 'seed')}"
    return Cell(text=f"{seeds}, {clusters}", below=format_design_effect(row["design_effect"]))


def _more_cell(pair: Pair) -> Cell:
    row = pair.row
    if row["what_more_would_cost"] is None:
        return Cell(text=DASH)
    seconds = row["train_seconds_per_seed"]
    has_time = row["least_more_seeds"] is not None and seconds
    return Cell(
        text=row["what_more_would_cost"], below=f"{format_seconds(seconds)} for a seed of both" if has_time else ""
    )


def _verdict_caption(context: Context, judged: Judged, pairs: Sequence[Pair], *, has_seeds: bool) -> str:
    statement = judged.statement or next((p.row["statement"] for p in pairs if p.row["statement"]), "no statement")
    speaks = f"The 95 % intervals speak of: {describe_statement(statement, context.info)}. "
    if has_seeds:
        speaks = (
            "Two 95 % intervals, kept apart: on these images, if trained again (seeds alone), and on new "
            f"{context.subject} of this kind (seeds and units). "
        )
    ground = "Observed with too few seeds for a verdict."
    if judged.is_judged:
        ground = (
            "Each interval is on its own; p and verdict are after Holm’s correction for all pairs, and rest on the "
            "wider statement. “Not separated” does not mean the same. What more seeds would do takes the difference "
            "seen for the true one: an order of magnitude."
        )
    return (
        f"All pairs of networks on {PART_WORDS[judged.split]}: the first minus the second in "
        f"{context.results.chosen_by.words}, in points. {speaks}{ground}"
    )


def difference_points(results: Results) -> tuple[list[DifferencePoint], int]:
    """A point with two intervals for each pair that is drawn, and how many pairs there are in all."""
    pairs = [pair for pair in judged_pairs(results) if pair.row["gain"] is not None]
    drawn = pairs if len(pairs) <= MAX_PAIRS else [pair for pair in pairs if pair.a == pairs[0].a][:MAX_PAIRS]
    points = [
        DifferencePoint(
            label=f"{pair.a} − {pair.b}",
            verdict=pair.finding,
            value=round(100 * pair.row["gain"], 4),
            low=_to_points(pair.row["gain_low"]),
            high=_to_points(pair.row["gain_high"]),
            seeds_low=_to_points(pair.seeds_only.low) if pair.seeds_only else None,
            seeds_high=_to_points(pair.seeds_only.high) if pair.seeds_only else None,
        )
        for pair in drawn
    ]
    return points, len(pairs)


def _to_points(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 4)


def difference_figure(context: Context) -> Figure | None:
    """Every pair's difference with its intervals; None where there is no pair."""
    results = context.results
    points, num_pairs = difference_points(results)
    if not points:
        return None
    judged, metric = judge_networks(results), results.chosen_by.words
    new = f"on new {context.subject}"
    statement = describe_statement(judged.statement or stats.THESE_WEIGHTS, context.info)
    intervals = f"Line: 95 % interval, {statement}. "
    key = "filled: separated"
    if any(point.seeds_low is not None for point in points):
        intervals = (
            f"Thin line: 95 % interval {new} of this kind; thick grey line: on these images, if trained again, where "
            "only the variance of seeds counts. "
        )
        key = f"thin: {new}; thick: these images, trained again; filled: separated"
    filled = "Filled: separated, after Holm’s correction for all pairs; open: not separated. "
    cut = f" The {len(points)} pairs with the first network, of {num_pairs}." if len(points) < num_pairs else ""
    said = join_words([f"{point.label} {point.value:+.2f} points, {point.verdict}" for point in points])
    return Figure(
        name="differences",
        caption=f"Every pair on {PART_WORDS[judged.split]}: the first network minus the second in {metric}. {intervals}"
        f"{filled if judged.is_judged else ''}A line that reaches the frame goes on beyond it.{cut}",
        alt=f"Differences between networks: {said}.",
        key=key,
        panels=(draw_pairs(points, f"difference in {metric}, percentage points"),),
        findings=tuple(filter(None, [noise_sentence(results)])),
    )


def is_noise(gap: Estimate) -> bool:
    """Whether chance alone makes differences of this size: judged, not separated, and its interval holds zero."""
    return gap.verdict == stats.NOT_SEPARATED and gap.low <= 0 <= gap.high


def noise_sentence(results: Results) -> str:
    """Which of the differences chance alone may make; empty where nothing was judged."""
    judged = judge_networks(results)
    found = [(a, b, estimate_difference(results, a, b, judged.split)) for a, b in combinations(judged.variants, 2)]
    gaps = [(a.label, b.label, gap) for a, b, gap in found if gap is not None and gap.verdict != stats.NOT_JUDGED]
    noisy = [f"{a} and {b} ({_describe_gap(gap)})" for a, b, gap in gaps if is_noise(gap)]
    if not gaps:
        return ""
    num_unclear = sum(gap.verdict == stats.NOT_SEPARATED for _, _, gap in gaps)
    if not noisy and num_unclear:
        return (
            f"No interval holds zero, and yet {num_unclear} of {plural(len(gaps), 'pair')} "
            f"{'is' if num_unclear == 1 else 'are'} not separated after correction for all of them."
        )
    if not noisy:
        return "No difference lies within the noise." if len(gaps) > 1 else "The difference is not within the noise."
    if len(gaps) == 1:
        size = _describe_gap(gaps[0][2])
        return f"The difference is within the noise: chance alone makes differences of this size, {size}."
    shown, num_more = noisy[:MAX_NOISE_PAIRS], len(noisy) - MAX_NOISE_PAIRS
    named = f"{', '.join(shown)} and {plural(num_more, 'further pair')}" if num_more > 0 else join_words(shown)
    return (
        f"Within the noise, so that chance alone may make the difference, {'is' if len(noisy) == 1 else 'are'} "
        f"{len(noisy)} of {plural(len(gaps), 'pair')}: {named}."
    )


def _describe_gap(gap: Estimate) -> str:
    return f"{format_points(gap.value)} points, {format_gain_interval(gap.low, gap.high)}"
