"""The figure of who wins with less time: validation accuracy against training time, a line for each network.

Only annealed trainings are drawn, and only where a network is judged at that budget (summarise/budgets.py).
"""

from dataclasses import replace
from typing import Any

from roadtest.record import row_label
from roadtest.report import words
from roadtest.report.axes import CostAxes, cost_axes, spread
from roadtest.report.figure_rows import MAX_NETWORKS
from roadtest.report.figures import Figure
from roadtest.report.figures_judged import draw_budgets
from roadtest.summarise import Results, budget_rows, has_branches, ranked_variants
from roadtest.summarise.budgets import JUDGED, budget_text

Row = dict[str, Any]
APART = 1.12
"""Between the first and the last that end at one budget, as a factor of time: else intervals hide each other."""
NAME_ROOM = 0.3
"""How far the axis goes on to the right, for the names, in spans of the points themselves."""
PANEL_HEIGHT = 300
LINE_PIXELS = 15
"""Between two names, one above the other."""


def budget_figure(results: Results) -> Figure | None:
    """Accuracy against training time; None where nothing was annealed early, or no point is left."""
    rows = _points(results) if has_branches(results) else []
    if not rows:
        return None
    shown = list(dict.fromkeys(row["label"] for row in rows))
    axes = _with_room(cost_axes(rows))
    names = _names(rows, shown, axes)
    has_intervals = any(row["low"] is not None for row in rows)
    some = "" if len(shown) == len(results.variants) else f" {len(shown)} of {len(results.variants)} networks."
    caption = (
        "Validation accuracy of trainings that were annealed to the end within a quarter, a half and all of the "
        "budget, against their training time (logarithmic)"
        f"{'; upright lines: 95 % intervals over folds' if has_intervals else ''}. Blue circles: without STN; "
        "vermilion triangles: with STN. Points of one budget stand a little apart. A network that saw less "
        f"than two epochs at a budget is not drawn there.{some}"
    )
    said = [f"{row['label']} {row['accuracy']:.2f} % with {row['budget']}" for row in rows]
    return Figure(
        name="budgets",
        caption=caption,
        alt=f"Validation accuracy against training time: {words.listed(said)}.",
        key="blue circles: without STN; vermilion triangles: with STN; each point annealed to the end",
        panels=(draw_budgets(rows, names, f"training time, {rows[0]['unit']}", axes, PANEL_HEIGHT),),
    )


def _points(results: Results) -> list[Row]:
    """A point for each network and budget at which it is judged and was timed."""
    found = [
        row
        for row in budget_rows(results)
        if row["verdict"] == JUDGED and row["train_seconds_mean"] and row["val_accuracy_mean"] is not None
    ]
    labels = [v.label for v in ranked_variants(results) if v.label in {row_label(row) for row in found}][:MAX_NETWORKS]
    slowest = max((row["train_seconds_mean"] for row in found), default=0.0)
    apart = APART ** (1 / max(len(labels), 6))
    unit, factor = ("min", 1 / 60) if slowest >= 120 else ("s", 1.0)
    return [
        {
            "label": label,
            "has_stn": row["has_stn"],
            "budget": budget_text(results, row["budget_fraction"]),
            "cost": factor * row["train_seconds_mean"] * apart ** (labels.index(label) - (len(labels) - 1) / 2),
            "text": words.seconds(row["train_seconds_mean"]),
            "unit": unit,
            "accuracy": 100 * row["val_accuracy_mean"],
            "low": row["val_accuracy_low"] and 100 * row["val_accuracy_low"],
            "high": row["val_accuracy_high"] and 100 * row["val_accuracy_high"],
            "n": row["num_runs"],
        }
        for row in found
        if (label := row_label(row)) in labels
    ]


def _with_room(axes: CostAxes) -> CostAxes:
    low, high = axes.cost
    return replace(axes, cost=(low, high * (high / low) ** NAME_ROOM))


def _names(rows: list[Row], shown: list[str], axes: CostAxes) -> list[Row]:
    """Each network's name to the right of its last point, moved up or down where names would cover each other."""
    last = [max((row for row in rows if row["label"] == label), key=lambda row: row["cost"]) for label in shown]
    low, high = axes.accuracy
    heights = spread([row["accuracy"] for row in last], LINE_PIXELS / PANEL_HEIGHT * (high - low), (low, high))
    right = max(row["cost"] for row in rows) * (axes.cost[1] / axes.cost[0]) ** 0.05
    return [
        {name: row[name] for name in ("label", "has_stn", "cost", "accuracy")} | {"right": right, "height": height}
        for row, height in zip(last, heights, strict=True)
    ]
