"""The tables of who wins with less time: accuracy at each budget, time to an accuracy, and who changes places where.

The figure of who wins with less time: validation accuracy against training time, a line for each network.

Only annealed trainings are drawn, and only where a network is judged at that budget (summarise/budgets.py).
"""

from dataclasses import replace

from roadtest.analysis import Results, budget_rows, crossover_rows, has_branches, ranked_variants, target_rows
from roadtest.analysis.budgets import JUDGED, TARGETS, budget_text
from roadtest.format import (
    DASH,
    Row,
    format_gain_interval,
    format_interval,
    format_percent_bare,
    format_points,
    format_seconds,
    join_words,
)
from roadtest.records import row_label
from roadtest.report.charts import CostAxes, Figure, cost_axes, draw_budgets, spread
from roadtest.report.sections.curves import MAX_NETWORKS
from roadtest.report.tables import Cell, Column, Table

NOT_REACHED = "not reached"


def budget_table(results: Results) -> Table | None:
    """Every network at every budget; None where nothing was annealed early."""
    if not has_branches(results):
        return None
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Budget", is_number=False),
        Column(title="Validation", unit="%"),
        Column(title="Seeds", unit="n"),
        Column(title="Epochs", unit="mean"),
        Column(title="Training", unit="mean"),
        Column(title="Judged", is_number=False),
    )
    caption = (
        "Each network as it ends with a quarter, a half and all of the budget, annealed to the end; at each budget in "
        "the order of validation. Accuracy: mean ± standard deviation over seeds, below it the 95 % interval over "
        "folds. "
        "A network that saw less than two epochs is not judged there, never worse."
    )
    rows = tuple(_budget_cells(results, row) for row in budget_rows(results))
    return Table(name="budgets", caption=caption, columns=columns, rows=rows)


def _budget_cells(results: Results, row: Row) -> tuple[Cell, ...]:
    mean, deviation, epochs = row["val_accuracy_mean"], row["val_accuracy_std"], row["num_epochs_mean"]
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return (
        Cell(text=row_label(row)),
        Cell(text=budget_text(results, row["budget_fraction"])),
        Cell(
            text=f"{format_percent_bare(mean)}{spread}",
            below=format_interval(row["val_accuracy_low"], row["val_accuracy_high"]),
        ),
        Cell(text=str(row["num_runs"])),
        Cell(text=DASH if epochs is None else f"{epochs:.3g}"),
        Cell(text=format_seconds(row["train_seconds_mean"])),
        Cell(text="yes" if row["verdict"] == JUDGED else row["verdict"]),
    )


def target_table(results: Results) -> Table | None:
    """Training time to 90, 95, 98 and 99 % in validation; None where nothing was annealed early."""
    if not has_branches(results):
        return None
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Seeds", unit="n"),
        *(Column(title=f"To {100 * target:.0f} %", unit="training time") for target in TARGETS.values()),
    )
    rows = tuple(
        (
            Cell(text=row_label(row)),
            Cell(text=str(row["num_runs"])),
            *(Cell(text=NOT_REACHED if row[name] is None else format_seconds(row[name])) for name in TARGETS),
        )
        for row in target_rows(results)
    )
    caption = (
        "Training time until validation reaches an accuracy: the shortest annealed training of each seed that got "
        "there, the median over seeds. It takes at most this long, since shorter trainings were not tried."
    )
    return Table(name="targets", caption=caption, columns=columns, rows=rows)


def crossover_table(results: Results) -> Table | None:
    """Pairs that change places between two budgets; None where there are none."""
    found = crossover_rows(results) if has_branches(results) else []
    if not found:
        return None
    columns = (
        Column(title="Ahead with less", is_number=False),
        Column(title="Ahead with more", is_number=False),
        Column(title="Between", is_number=False),
        Column(title="Lead with less", unit="points"),
        Column(title="Lead with more", unit="points"),
    )
    rows = tuple(
        (
            Cell(text=row_label(row, "_a")),
            Cell(text=row_label(row, "_b")),
            Cell(text=f"{row['budget_from']} and {row['budget_to']}"),
            _lead_cell(row["gain_from"], row["gain_from_low"], row["gain_from_high"], row["verdict_from"]),
            _lead_cell(row["gain_to"], row["gain_to_low"], row["gain_to_high"], row["verdict_to"], sign=-1),
        )
        for row in found
    )
    caption = (
        "Pairs that change places: who is ahead with the smaller budget, who with the larger one, and by how many "
        "points of validation accuracy (95 % interval by itself). Verdicts after Holm’s correction for all pairs at "
        "all budgets; “observed” where fewer than three folds allow none."
    )
    return Table(name="crossovers", caption=caption, columns=columns, rows=rows)


def _lead_cell(gain: float, low: float | None, high: float | None, verdict: str, *, sign: int = 1) -> Cell:
    """How far the one who is ahead is ahead; the row's gain times `sign`."""
    if low is None or high is None:
        return Cell(text=format_points(sign * gain), below=verdict)
    ends = sorted((sign * low, sign * high))
    return Cell(text=f"{format_points(sign * gain)} ({format_gain_interval(*ends)})", below=verdict)


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
        alt=f"Validation accuracy against training time: {join_words(said)}.",
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
            "text": format_seconds(row["train_seconds_mean"]),
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
