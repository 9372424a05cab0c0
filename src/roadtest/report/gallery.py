"""Which figures the page has, in which order, and what each of them says: captions and texts for readers who listen.

A figure without a single point is left out. Undertrained networks stand in their own curves and in the bars of cost,
never beside the others' accuracies.
"""

from collections.abc import Callable
from typing import Any

from roadtest.record import folder_name
from roadtest.report import figure_rows as rows_of
from roadtest.report.axes import Curve, accuracy_domain, cost_axes, curve_domains, gain_domain
from roadtest.report.figures import (
    Figure,
    draw_bars,
    draw_classes,
    draw_confusion,
    draw_costs,
    draw_curve,
    draw_intervals,
)
from roadtest.report.labels import place_labels
from roadtest.report.words import PART_WORDS, listed, percent, plural, seeds_together
from roadtest.summarise import Results, Variant, best_variant, class_rows, error_part, ranked_variants

Row = dict[str, Any]
KEY_SETS = "filled diamond: test; open circle: validation; line: 95 % interval"
KEY_STN = "blue: without STN; vermilion: with STN"


def build_figures(results: Results, board: list[Row]) -> dict[str, list[Figure]]:
    """All figures of a study, by the section they stand in; sections may be empty."""
    compared = [variant for variant in ranked_variants(results) if variant.is_compared]
    best = best_variant(results)
    return {
        "result": _present(lambda: _accuracy_figure(results, compared)),
        "costs": _present(lambda: _cost_figure(board), lambda: _bar_figure(board)),
        "curves": _curve_figures(results),
        "stn": _present(lambda: _gain_figure(results)),
        "errors": _present(lambda: _class_figure(results, best), lambda: _confusion_figure(results, best)),
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


def _cost_figure(board: list[Row]) -> Figure | None:
    panels, said = [], []
    for kind in rows_of.COSTS:
        rows = rows_of.cost_rows(board, kind)
        place_labels(rows)
        if len(rows) > 1:
            panels.append(draw_costs(rows, kind.title, kind.unit, cost_axes(rows)))
            said.append(f"{kind.title}: {listed([row['label'] for row in rows if row['is_front']])}")
    if not panels:
        return None
    caption = (
        "Mean validation accuracy against what a network costs; logarithmic horizontal axes. Filled, on the dashed "
        "line: networks that no other one beats in both (the Pareto front); open: beaten by one that costs no more. "
        "Blue circles: without STN; vermilion triangles: with STN. Validation, because choosing by test would flatter "
        "the chosen."
    )
    alt = f"Validation accuracy against costs. On the Pareto front: {'; '.join(said)}."
    key = f"{KEY_STN}; filled and dashed: Pareto front"
    return Figure(name="pareto", caption=caption, alt=alt, key=key, panels=tuple(panels), num_columns=3)


def _bar_figure(board: list[Row]) -> Figure | None:
    drawn = [(kind, rows_of.bar_rows(board[: rows_of.MAX_BARS], kind)) for kind in rows_of.COSTS]
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


def _curve_figures(results: Results) -> list[Figure]:
    names = dict.fromkeys(variant.network for variant in ranked_variants(results))
    return [figure for number, name in enumerate(names) if (figure := _curve_figure(results, name, number))]


def _curve_figure(results: Results, network: str, number: int) -> Figure | None:
    variants = [v for v in (results.variant(network, False), results.variant(network, True)) if v is not None]
    runs = rows_of.evaluations(results, variants)
    if not runs:
        return None
    domains = curve_domains(runs)
    datasets = {f"curves-{number}-{int(v.has_stn)}": rows_of.curve_columns(results, v) for v in variants}
    drawn = [(name, v) for name, v in zip(datasets, variants, strict=True) if datasets[name]["epoch"]]
    panels = [
        draw_curve(
            Curve(
                dataset=name,
                kind=kind,
                title=variant.label,
                has_stn=variant.has_stn,
                domains=domains,
                num_runs=len(set(datasets[name]["seed"])),
                num_rows=len(datasets[name]["seed"]),
            )
        )
        for kind in ("accuracy", "loss")
        for name, variant in drawn
    ]
    sides = " Left without, right with the STN, on equal axes." if len(drawn) == 2 else ""
    caption = (
        f"{network}: accuracy (above) and loss (below) per epoch, one line a seed. Solid: validation; dashed grey: "
        f"training, without augmentation, on every tenth frame.{sides} The accuracy axis starts at "
        f"{domains.accuracy[0]:.0f} %; the loss axis is logarithmic."
    )
    last = [f"{v.label} {percent(v.records[0].val.accuracy)}" for _, v in drawn if v.records]
    ending = f" Seed {variants[0].planned[0].seed} ends in validation at {listed(last)}." if last else ""
    alt = f"Learning curves of {network}.{ending}"
    return Figure(
        name=f"curves-{_safe(network)}",
        caption=caption,
        alt=alt,
        panels=tuple(panels),
        key="solid: validation; dashed grey: training",
        num_columns=len(drawn),
        datasets=datasets,
    )


def _gain_figure(results: Results) -> Figure | None:
    rows = rows_of.gain_rows(results)
    if not rows:
        return None
    caption = (
        "What the STN added to the accuracy, in percentage points, over the seeds that both forms of a network "
        "finished. Filled diamonds: test; open circles: validation; lines: 95 % intervals, each standing by itself; "
        "the findings in the table are corrected for all pairs of networks. A line that reaches the frame goes on "
        "beyond it."
    )
    said = [f"{row['label']} {row['value']:+.2f} points in {row['set']}" for row in rows]
    alt = f"Gain in accuracy through the STN: {listed(said)}."
    panel = draw_intervals(rows, "gain through the STN, percentage points", gain_domain(rows), marks_zero=True)
    return Figure(name="stn-gain", caption=caption, alt=alt, key=KEY_SETS, panels=(panel,))


def _class_figure(results: Results, best: Variant | None) -> Figure | None:
    rows = rows_of.class_accuracy_rows(results, best, error_part(results, best)) if best else []
    if best is None or not rows:
        return None
    part = PART_WORDS[error_part(results, best)]
    seen = class_rows(results, best, error_part(results, best))
    num_flawed = sum(row["num_correct"] < row["num_answers"] for row in seen)
    cut = f" (the {len(rows)} least accurate of {num_flawed})" if len(rows) < num_flawed else ""
    caption = (
        f"{best.label}: the classes with errors on the {part} images{cut}, least accurate first, "
        f"{seeds_together(best)}; the number behind a name is the class's. "
        f"{plural(len(seen) - num_flawed, 'further class was', 'further classes were')} recognised without an error."
    )
    alt = f"Accuracy per class of {best.label}; lowest: {rows[0]['class']} with {rows[0]['accuracy']:.1f} %."
    return Figure(
        name="classes", caption=caption, alt=alt, key=f"{best.label}, {part} images", panels=(draw_classes(rows),)
    )


def _confusion_figure(results: Results, best: Variant | None) -> Figure | None:
    if best is None:
        return None
    part = error_part(results, best)
    cells, classes = rows_of.confusion_cells(results, best, part)
    if not cells:
        return None
    of_all = len(results.info.class_names)
    which = (
        f" {len(classes)} of {of_all} classes: those of the most frequent confusions." if len(classes) < of_all else ""
    )
    top = max((row["share"] for row in cells if row["is_error"]), default=0.0)
    num_wrong = sum(row["answers"] for row in cells if row["is_error"])
    caption = (
        f"{best.label}: confusion matrix on the {PART_WORDS[part]} images. Grey: recognised; vermilion: mistaken, the "
        f"stronger the larger the share of the true class, up to {top:.0f} % (square-root scale). Classes by number; "
        f"names in the tables below and under the pointer.{which}"
    )
    alt = (
        f"Confusion matrix of {best.label}: {num_wrong:,} mistaken answers; the most frequent pairs follow as a table."
    )
    return Figure(
        name="confusion",
        caption=caption,
        alt=alt,
        key=f"{best.label}, {PART_WORDS[part]} images",
        panels=(draw_confusion(cells, classes),),
    )


def _safe(name: str) -> str:
    """Part of a file name that every system takes; two names never become one."""
    return folder_name(name) if len(name) <= 60 else folder_name(f"{name[:50]}~{folder_name(name + '~')[-6:]}")
