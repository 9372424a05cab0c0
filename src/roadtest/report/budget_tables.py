"""The tables of who wins with less time: accuracy at each budget, time to an accuracy, and who changes places where."""

from roadtest.record import row_label
from roadtest.report import words
from roadtest.report.table import Cell, Column, Row, Table
from roadtest.summarise import Results, budget_rows, crossover_rows, has_branches, target_rows
from roadtest.summarise.budgets import JUDGED, TARGETS, budget_text

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
            text=f"{words.bare_percent(mean)}{spread}",
            below=words.interval(row["val_accuracy_low"], row["val_accuracy_high"]),
        ),
        Cell(text=str(row["num_runs"])),
        Cell(text=words.DASH if epochs is None else f"{epochs:.3g}"),
        Cell(text=words.seconds(row["train_seconds_mean"])),
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
            *(Cell(text=NOT_REACHED if row[name] is None else words.seconds(row[name])) for name in TARGETS),
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
        return Cell(text=words.points(sign * gain), below=verdict)
    ends = sorted((sign * low, sign * high))
    return Cell(text=f"{words.points(sign * gain)} ({words.gain_interval(*ends)})", below=verdict)
