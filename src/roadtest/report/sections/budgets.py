"""Who wins with less time: accuracy at each budget, time to an accuracy, and who changes places where.

Only annealed trainings count, and only where a network is judged at that budget (analysis/budgets.py).
"""

from functools import partial

from roadtest.analysis import (
    Results,
    budget_rows,
    budget_sentences,
    crossover_rows,
    has_branches,
    ranked_variants,
    target_rows,
)
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
from roadtest.report.blocks import (
    Cell,
    Column,
    Context,
    Details,
    Items,
    Section,
    Table,
    Text,
    Words,
    make_table,
    present,
)
from roadtest.report.charts import BudgetPoint, Figure, draw_budgets

MAX_NETWORKS, MAX_SENTENCES = 12, 8
APART = 1.12
"""Between the first and the last that end at one budget, as a factor of time: else intervals hide each other."""


def section(context: Context) -> Section:
    """Who leads with a quarter, a half and all of the budget; empty where nothing was annealed early."""
    title, anchor, short_title, results = "Who wins with less time", "budgets", "Less time", context.results
    if not has_branches(results):
        return Section(title=title, anchor=anchor, short_title=short_title, blocks=())
    crossovers, sentences = crossover_table(results), tuple(budget_sentences(results))
    first, rest = sentences[:MAX_SENTENCES], sentences[MAX_SENTENCES:]
    tables = present(Items(items=rest) if rest else None, budget_table(results), target_table(results), crossovers)
    places = ", and who changes places" if crossovers else ""
    blocks = present(
        Text(
            text="Copies of every run were annealed to the end at a quarter and a half of the budget. A point in the "
            "middle of a schedule would say nothing of a shorter training."
        ),
        budget_figure(results),
        Items(items=first) if first else None,
        Details(summary=f"Every budget, the time to an accuracy{places}", blocks=tables),
    )
    rows = {"budgets": budget_rows(results), "targets": target_rows(results), "crossovers": crossover_rows(results)}
    return Section(title=title, anchor=anchor, short_title=short_title, blocks=blocks, csv=rows)


def budget_table(results: Results) -> Table:
    """Every network at every budget."""

    def accuracy(row: Row) -> Cell:
        deviation = row["val_accuracy_std"]
        spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
        interval = format_interval(row["val_accuracy_low"], row["val_accuracy_high"])
        return Cell(text=f"{format_percent_bare(row['val_accuracy_mean'])}{spread}", below=interval)

    def epochs(row: Row) -> str:
        return DASH if row["num_epochs_mean"] is None else f"{row['num_epochs_mean']:.3g}"

    columns = (
        Words("Network", row_label),
        Words("Budget", lambda row: budget_text(results, row["budget_fraction"])),
        Column("Validation", accuracy, "%"),
        Column("Seeds", lambda row: str(row["num_runs"]), "n"),
        Column("Epochs", epochs, "mean"),
        Column("Training", lambda row: format_seconds(row["train_seconds_mean"]), "mean"),
        Words("Judged", lambda row: "yes" if row["verdict"] == JUDGED else row["verdict"]),
    )
    caption = (
        "Each network as it ends with a quarter, a half and all of the budget, annealed to the end; at each budget in "
        "the order of validation. Accuracy: mean ± standard deviation over seeds, below it the 95 % interval over "
        "folds. A network that saw less than two epochs is not judged there, never worse."
    )
    return make_table("budgets", caption, budget_rows(results), columns, max_rows=200)


def target_table(results: Results) -> Table:
    """Training time to 90, 95, 98 and 99 % in validation."""

    def time(name: str, row: Row) -> str:
        return "not reached" if row[name] is None else format_seconds(row[name])

    columns = (
        Words("Network", row_label),
        Column("Seeds", lambda row: str(row["num_runs"]), "n"),
        *(Column(f"To {100 * of:.0f} %", partial(time, name), "training time") for name, of in TARGETS.items()),
    )
    caption = (
        "Training time until validation reaches an accuracy: the shortest annealed training of each seed that got "
        "there, the median over seeds. It takes at most this long, since shorter trainings were not tried."
    )
    return make_table("targets", caption, target_rows(results), columns, max_rows=200)


def crossover_table(results: Results) -> Table | None:
    """Pairs that change places between two budgets; None where there are none."""
    rows = crossover_rows(results)
    if not rows:
        return None
    columns = (
        Words("Ahead with less", lambda row: row_label(row, "_a")),
        Words("Ahead with more", lambda row: row_label(row, "_b")),
        Words("Between", lambda row: f"{row['budget_from']} and {row['budget_to']}"),
        Column("Lead with less", lambda row: _lead_cell(row, "from", 1), "points"),
        Column("Lead with more", lambda row: _lead_cell(row, "to", -1), "points"),
    )
    caption = (
        "Pairs that change places: who is ahead with the smaller budget, who with the larger one, and by how many "
        "points of validation accuracy (95 % interval by itself). Verdicts after Holm’s correction for all pairs at "
        "all budgets; “observed” where fewer than three folds allow none."
    )
    return make_table("crossovers", caption, rows, columns, max_rows=200)


def _lead_cell(row: Row, end: str, side: int) -> Cell:
    """How far the one who is ahead is ahead: the row's gain times `side`."""
    gain, low, high = (row[f"gain_{end}{bound}"] for bound in ("", "_low", "_high"))
    interval = "" if low is None or high is None else format_gain_interval(*sorted((side * low, side * high)))
    lead = format_points(side * gain)
    return Cell(text=f"{lead} ({interval})" if interval else lead, below=row[f"verdict_{end}"])


def budget_figure(results: Results) -> Figure | None:
    """Accuracy against training time, a line for each network; None where no point is left."""
    points = budget_points(results)
    if not points:
        return None
    num_shown, num_all = len({point.label for point in points}), len(results.variants)
    intervals = "; upright lines: 95 % intervals over folds" if any(point.low is not None for point in points) else ""
    said = join_words([f"{point.label} {point.accuracy:.2f} % with {point.budget}" for point in points])
    return Figure(
        name="budgets",
        caption="Validation accuracy of trainings that were annealed to the end within a quarter, a half and all of "
        f"the budget, against their training time (logarithmic){intervals}. Blue circles: without STN; vermilion "
        "triangles: with STN. Points of one budget are drawn a little apart. A network that saw less than two epochs "
        f"at a budget is not drawn there.{'' if num_shown == num_all else f' {num_shown} of {num_all} networks.'}",
        alt=f"Validation accuracy against training time: {said}.",
        key="blue circles: without STN; vermilion triangles: with STN; each point annealed to the end",
        panels=(draw_budgets(points),),
    )


def budget_points(results: Results) -> list[BudgetPoint]:
    """A point for each network and budget at which it is judged and was timed."""
    rows = [
        row
        for row in (budget_rows(results) if has_branches(results) else [])
        if row["verdict"] == JUDGED and row["train_seconds_mean"] and row["val_accuracy_mean"] is not None
    ]
    found = {row_label(row) for row in rows}
    labels = [variant.label for variant in ranked_variants(results) if variant.label in found][:MAX_NETWORKS]
    slowest = max((row["train_seconds_mean"] for row in rows), default=0.0)
    apart = APART ** (1 / max(len(labels), 6))
    unit, factor = ("min", 1 / 60) if slowest >= 120 else ("s", 1.0)
    return [
        BudgetPoint(
            label=label,
            has_stn=row["has_stn"],
            budget=budget_text(results, row["budget_fraction"]),
            cost=factor * row["train_seconds_mean"] * apart ** (labels.index(label) - (len(labels) - 1) / 2),
            unit=unit,
            text=format_seconds(row["train_seconds_mean"]),
            accuracy=100 * row["val_accuracy_mean"],
            low=row["val_accuracy_low"] and 100 * row["val_accuracy_low"],
            high=row["val_accuracy_high"] and 100 * row["val_accuracy_high"],
            n=row["num_runs"],
        )
        for row in rows
        if (label := row_label(row)) in labels
    ]
