"""Which figures the page has, in which order, and what each of them says: captions and texts for readers who listen.

A figure without a single point is left out. Undertrained networks stand in their own curves and in the bars of cost,
never beside the others' accuracies.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from roadtest.report import figure_rows as rows_of
from roadtest.report.axes import accuracy_domain, cost_axes, difference_domain, gain_domain
from roadtest.report.cost_rows import COSTS, CostKind, bar_rows, cost_rows
from roadtest.report.figures import Figure, View, draw_bars
from roadtest.report.figures_judged import draw_costs, draw_intervals, draw_pairs
from roadtest.report.figures_parts import Panel, unchecked
from roadtest.report.finding_words import cost_sentences, noise_sentence, stn_sentences
from roadtest.report.gallery_budgets import budget_figure
from roadtest.report.gallery_curves import curve_figures
from roadtest.report.gallery_errors import class_figure, confusion_figure
from roadtest.report.labels import place_labels
from roadtest.report.words import PART_WORDS, listed, plural
from roadtest.summarise import Results, Variant, best_variant, judge_networks, ranked_variants
from roadtest.summarise.words import speak_of

Row = dict[str, Any]
KEY_SETS = "filled diamond: test; open circle: validation; line: 95 % interval"
KEY_STN = "blue: without STN; vermilion: with STN"
VIEW_HEIGHT = 340
"""Of a chart that the page shows alone; in files it is one of several."""


@unchecked()
def build_figures(results: Results, board: list[Row]) -> dict[str, list[Figure]]:
    """All figures of a study, by the section they stand in; sections may be empty."""
    compared = [variant for variant in ranked_variants(results) if variant.is_compared]
    best = best_variant(results)
    return {
        "result": _present(lambda: _accuracy_figure(results, compared)),
        "pairs": _present(lambda: _pair_figure(results)),
        "costs": _present(lambda: _cost_figure(results, board), lambda: _bar_figure(board)),
        "budgets": _present(lambda: budget_figure(results)),
        "curves": curve_figures(results),
        "stn": _present(lambda: _gain_figure(results)),
        "errors": _present(lambda: class_figure(results, best), lambda: confusion_figure(results, best)),
    }


def _present(*builders: Callable[[], Figure | None]) -> list[Figure]:
    return [figure for builder in builders if (figure := builder()) is not None]


def _accuracy_figure(results: Results, compared: list[Variant]) -> Figure | None:
    rows = rows_of.accuracy_rows(results, compared[: rows_of.MAX_NETWORKS])
    if not rows:
        return None
    shown = list(dict.fromkeys(row["label"] for row in rows))
    first = f" The first {len(shown)} of {len(compared)} networks." if len(compared) > len(shown) else ""
    has_test = any(row["set"] == "test" for row in rows)
    points = "Filled diamonds: test; open circles: validation" if has_test else "Open circles: validation"
    caption = (
        f"{points}; lines: 95 % intervals. Blue: without STN; vermilion: with STN. In the order of validation, which "
        "chooses. A line that reaches the frame goes on beyond it. Whether two networks differ is judged in pairs, not "
        f"by whether their lines overlap.{first}"
    )
    said = [f"{row['label']} {row['value']:.2f} % in {row['set']}" for row in rows]
    alt = f"Accuracy of {plural(len(shown), 'network')}: {listed(said)}."
    panel = draw_intervals(rows, "accuracy, %", accuracy_domain(rows))
    return Figure(name="accuracy", caption=caption, alt=alt, key=f"{KEY_SETS}; {KEY_STN}", panels=(panel,))


def _pair_figure(results: Results) -> Figure | None:
    rows, num_pairs = rows_of.difference_rows(results)
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
        f"Every pair on {PART_WORDS[judged.part]}: the first network minus the second in {results.chosen_by.words}. "
        f"{two}{filled}A line that reaches the frame goes on beyond it.{cut}"
    )
    said = [f"{row['label']} {row['value']:+.2f} points, {row['verdict']}" for row in rows]
    across = f"difference in {results.chosen_by.words}, percentage points"
    return Figure(
        name="differences",
        caption=caption,
        alt=f"Differences between networks: {listed(said)}.",
        key=speak_of("thin: on new signs; thick: these images, trained again; filled: separated", data_title)
        if has_seeds
        else "filled: separated",
        panels=(draw_pairs(rows, across, difference_domain(rows)),),
        findings=tuple(filter(None, [noise_sentence(results)])),
    )


def _cost_figure(results: Results, board: list[Row]) -> Figure | None:
    panels = {
        (kind, part): panel for part in ("val", "test") for kind in COSTS if (panel := _cost_panel(board, kind, part))
    }
    if not panels:
        return None
    said = []
    for kind in dict.fromkeys(kind for kind, _ in panels):
        front = [row["label"] for row in cost_rows(board, kind) if row["is_front"]]
        said.append(f"{kind.title}: {listed(front)}")
    caption = (
        "Mean accuracy with its 95 % interval against what a network costs; logarithmic horizontal axes. Filled, on "
        "the dashed line: no other network has a higher mean at no more cost (the Pareto front, by means alone: the "
        "intervals say how sure); open: another one has. Blue circles: without STN; vermilion triangles: with STN. A "
        "line that reaches the frame goes on beyond it. Validation first, because choosing by test would flatter the "
        "chosen."
    )
    return Figure(
        name="pareto",
        caption=caption,
        alt=f"Validation accuracy against costs. On the Pareto front: {'; '.join(said)}.",
        key=f"{KEY_STN}; filled and dashed: Pareto front",
        panels=tuple(panel for (_, part), panel in panels.items() if part == "val"),
        num_columns=3,
        findings=tuple(cost_sentences(results, board)),
        views=tuple(
            View(across=kind.word, down=PART_WORDS[part], panel=replace(panel, height=VIEW_HEIGHT))
            for (kind, part), panel in panels.items()
        ),
    )


def _cost_panel(board: list[Row], kind: CostKind, part: str) -> Panel | None:
    """Accuracy against one cost; None below two points."""
    rows = cost_rows(board, kind, part)
    if len(rows) < 2:
        return None
    place_labels(rows)
    title = f"{kind.title}, {kind.unit}" if kind.unit else kind.title
    return draw_costs(rows, title, f"{PART_WORDS[part]} accuracy, %", cost_axes(rows), is_count=not kind.unit)


def _bar_figure(board: list[Row]) -> Figure | None:
    drawn = [(kind, bar_rows(board[: rows_of.MAX_BARS], kind)) for kind in COSTS]
    first = f" The first {rows_of.MAX_BARS} of {len(board)}." if len(board) > rows_of.MAX_BARS else ""
    panels = [draw_bars(rows, kind.title, [row["label"] for row in rows]) for kind, rows in drawn if rows]
    if not panels:
        return None
    caption = (
        "The same costs as lengths from zero, so that a bar twice as long is twice the cost; networks in the order of "
        "the leaderboard. Blue: without STN; vermilion: with STN. k: thousand, M: million."
        f"{first}"
    )
    alt = "Bars of parameters, MACs, size, training time, latency and memory; the numbers stand in the leaderboard."
    return Figure(name="costs", caption=caption, alt=alt, key=KEY_STN, panels=tuple(panels), num_columns=3)


def _gain_figure(results: Results) -> Figure | None:
    rows = rows_of.gain_rows(results)
    if not rows:
        return None
    caption = (
        f"What the STN added to {results.chosen_by.words}, in percentage points; in validation by folds over the "
        "seeds that both forms of a network finished. Filled diamonds: test; open circles: validation; lines: 95 % "
        "intervals, each standing by itself. A line that reaches the frame goes on beyond it."
    )
    said = [f"{row['label']} {row['value']:+.2f} points in {row['set']}" for row in rows]
    alt = f"Gain through the STN: {listed(said)}."
    panel = draw_intervals(rows, "gain through the STN, percentage points", gain_domain(rows), marks_zero=True)
    return Figure(
        name="stn-gain",
        caption=caption,
        alt=alt,
        key=KEY_SETS,
        panels=(panel,),
        findings=tuple(stn_sentences(results)),
    )
