"""The tables of the judgement: every accuracy and what it rests on, all pairs, the STN's worth.

Every pair of networks as the page needs it: the verdict's row, and beside it what seeds alone would say.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from roadtest.analysis import (
    Judged,
    Results,
    estimate_difference,
    judge_networks,
    seed_only_difference,
    stats,
    verdict_rows,
)
from roadtest.format import (
    DASH,
    PART_WORDS,
    Row,
    format_design_effect,
    format_gain_interval,
    format_p_value,
    format_points,
    format_seconds,
    format_units,
    join_words,
    plural,
    speak_of,
)
from roadtest.records import row_label
from roadtest.report.charts import Figure, difference_domain, draw_pairs
from roadtest.report.sections.curves import _DIFFERENCE_COLUMNS, MAX_NOISE_PAIRS, MAX_PAIRS, _points, is_noise
from roadtest.report.tables import Cell, Column, Table

AGAIN = "Trained again"
NOT_JUDGED = "not judged"


def _on_new(results: Results) -> str:
    return speak_of("new signs", results.info.data_title).capitalize()


def verdict_table(results: Results) -> Table | None:
    """All pairs of networks; None where there is nothing to compare."""
    pairs = judged_pairs(results)
    if not pairs:
        return None
    judged = judge_networks(results)
    has_again = any(row["seeds_low"] is not None for row in pairs)
    again = [Column(title=AGAIN, unit=f"on these {PART_WORDS[judged.split]} images")] if has_again else []
    verdicts = (
        Column(title="p", unit="corrected"),
        Column(title="Verdict", is_number=False),
        Column(title="To separate them", is_number=False),
    )
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Against", is_number=False),
        Column(title="Difference", unit="points"),
        *again,
        Column(
            title=_on_new(results) if has_again else "95 % interval", unit="of this kind" if has_again else "points"
        ),
        *(verdicts[:2] if judged.is_judged else ()),
        Column(title="Rests on", is_number=False),
        *(verdicts[2:] if judged.is_judged else ()),
    )
    rows = tuple(_verdict_cells(row, has_again=has_again, is_judged=judged.is_judged) for row in pairs)
    caption = _verdict_caption(results, judged, pairs, has_again=has_again)
    return Table(name="verdicts", caption=caption, columns=columns, rows=rows)


def _verdict_cells(row: Row, *, has_again: bool, is_judged: bool) -> tuple[Cell, ...]:
    better = f"{row['better']} is better" if row["better"] else ""
    again = format_gain_interval(row["seeds_low"], row["seeds_high"]) or DASH
    verdicts = (Cell(text=format_p_value(row["p_adjusted"])), Cell(text=row["finding"], below=better))
    return (
        Cell(text=row["a"]),
        Cell(text=row["b"]),
        Cell(text=DASH if row["gain"] is None else format_points(row["gain"])),
        *([Cell(text=again)] if has_again else []),
        Cell(text=format_gain_interval(row["gain_low"], row["gain_high"]) or DASH),
        *(verdicts if is_judged else ()),
        _basis_cell(row),
        *([_more_cell(row)] if is_judged else []),
    )


def _basis_cell(row: Row) -> Cell:
    if row["num_units"] is None:
        return Cell(text=plural(row["num_seeds"], "seed"))
    units = format_units(row["num_units"], row["unit_name"])
    of_a, of_b = row["num_seeds_a"], row["num_seeds_b"]
    both = plural(of_b, "seed") if of_a == of_b else f"{of_a} and {plural(of_b, 'seed')}"
    seeds = "" if row["unit_name"] == "folds" else f"{both}, "
    below = "" if row["unit_name"] == "folds" else format_design_effect(row["design_effect"])
    return Cell(text=f"{seeds}{units}", below=below)


def _more_cell(row: Row) -> Cell:
    if row["what_more_would_cost"] is None:
        return Cell(text=DASH)
    seconds = row["train_seconds_per_seed"]
    has_seeds = row["least_more_seeds"] is not None and seconds
    return Cell(
        text=row["what_more_would_cost"], below=f"{format_seconds(seconds)} for a seed of both" if has_seeds else ""
    )


def _verdict_caption(results: Results, judged: Judged, pairs: Sequence[Row], *, has_again: bool) -> str:
    where = PART_WORDS[judged.split]
    first = f"All pairs of networks on {where}: the first minus the second in {results.chosen_by.words}, in points. "
    statement = judged.statement or next((row["statement"] for row in pairs if row["statement"]), "no statement")
    speaks = f"The 95 % intervals speak of: {statement}. "
    if has_again:
        speaks = (
            "Two 95 % intervals, kept apart: on these images, if trained again (seeds alone), and on new signs of this "
            "kind (seeds and units). "
        )
    if not judged.is_judged:
        return f"{first}{speaks}Observed with too few seeds for a verdict."
    return (
        f"{first}{speaks}Each interval stands by itself; p and verdict are after Holm’s correction for all pairs, and "
        "rest on the wider statement. “Not separated” does not mean the same. What more seeds would do takes the "
        "difference seen for the true one: an order of magnitude."
    )


def difference_rows(results: Results) -> tuple[list[Row], int]:
    """A point with two intervals for each pair, in percentage points, and how many pairs there are in all.

    Of very many pairs those with the first network.
    """
    pairs = [row for row in judged_pairs(results) if row["gain"] is not None]
    drawn = pairs if len(pairs) <= MAX_PAIRS else [row for row in pairs if row["a"] == pairs[0]["a"]][:MAX_PAIRS]
    rows = [
        {
            "label": f"{row['a']} − {row['b']}",
            "verdict": row["finding"],
            **{name: _points(row[of]) for name, of in _DIFFERENCE_COLUMNS.items()},
        }
        for row in drawn
    ]
    return rows, len(pairs)


def noise_sentence(results: Results) -> str:
    """Which of the differences luck alone may make; empty where nothing was judged."""
    judged = judge_networks(results)
    found = [(a, b, estimate_difference(results, a, b, judged.split)) for a, b in combinations(judged.variants, 2)]
    gaps = [(a, b, gap) for a, b, gap in found if gap is not None and gap.verdict != stats.NOT_JUDGED]
    noisy = [f"{a.label} and {b.label} ({_gap_words(gap)})" for a, b, gap in gaps if is_noise(gap)]
    if not gaps:
        return ""
    if not noisy:
        unclear = sum(gap.verdict == stats.NOT_SEPARATED for _, _, gap in gaps)
        if unclear:
            return (
                f"No interval holds zero, and yet {unclear} of {plural(len(gaps), 'pair')} "
                f"{'is' if unclear == 1 else 'are'} not separated after correction for all of them."
            )
        return "No difference lies within the noise." if len(gaps) > 1 else "The difference is not within the noise."
    if len(gaps) == 1:
        return (
            f"The difference is within the noise: luck alone makes differences of this size, {_gap_words(gaps[0][2])}."
        )
    shown = noisy[:MAX_NOISE_PAIRS]
    num_more = len(noisy) - len(shown)
    named = f"{', '.join(shown)} and {plural(num_more, 'further pair')}" if num_more else join_words(shown)
    return (
        f"Within the noise, so that luck alone may make the difference, {'is' if len(noisy) == 1 else 'are'} "
        f"{len(noisy)} of {plural(len(gaps), 'pair')}: {named}."
    )


def _gap_words(gap: Any) -> str:
    return f"{format_points(gap.value)} points, {format_gain_interval(gap.low, gap.high)}"


def _pair_figure(results: Results) -> Figure | None:
    rows, num_pairs = difference_rows(results)
    if not rows:
        return None
    has_seeds = any(row["seeds_low"] is not None for row in rows)
    judged, data_title = judge_networks(results), results.info.data_title
    cut = f" The {len(rows)} pairs with the first network, of {num_pairs}." if len(rows) < num_pairs else ""
    two = (
        "Thin line: 95 % interval on new signs of this kind; thick grey line: on these images, if trained again, where "
        "only the luck of seeds is asked for. "
        if has_seeds
        else f"Line: 95 % interval, {judged.statement or 'these trained weights, on new signs'}. "
    )
    filled = (
        "Filled: separated, after Holm’s correction for all pairs; open: not separated. " if judged.is_judged else ""
    )
    caption = (
        f"Every pair on {PART_WORDS[judged.split]}: the first network minus the second in {results.chosen_by.words}. "
        f"{two}{filled}A line that reaches the frame goes on beyond it.{cut}"
    )
    said = [f"{row['label']} {row['value']:+.2f} points, {row['verdict']}" for row in rows]
    across = f"difference in {results.chosen_by.words}, percentage points"
    return Figure(
        name="differences",
        caption=caption,
        alt=f"Differences between networks: {join_words(said)}.",
        key=speak_of("thin: on new signs; thick: these images, trained again; filled: separated", data_title)
        if has_seeds
        else "filled: separated",
        panels=(draw_pairs(rows, across, difference_domain(rows)),),
        findings=tuple(filter(None, [noise_sentence(results)])),
    )


def judged_pairs(results: Results) -> list[Row]:
    """The rows of `verdict_rows` with labels `a` and `b`, a plain `finding`, and the interval of seeds alone.

    `seeds_low` and `seeds_high` are None where seeds are too few, or each had a fold of its own.
    """
    judged = judge_networks(results)
    by_label = {variant.label: variant for variant in judged.variants}
    rows = []
    for row in verdict_rows(results):
        a, b = (row_label(row, side) for side in ("_a", "_b"))
        again = None
        if results.metric == "accuracy":
            again = seed_only_difference(results, by_label[a], by_label[b], judged.split)
        more = {"a": a, "b": b, "seeds_low": again and again.low, "seeds_high": again and again.high}
        rows.append(row | more | {"finding": _finding(row)})
    return rows


def _finding(row: Row) -> str:
    """`separated`, `not separated`, or `not judged`."""
    if row["p_adjusted"] is None:
        return "not judged"
    return "separated" if row["better"] else "not separated"
