"""The table of the metrics besides accuracy, whichever of them chose: one figure seldom tells what rare classes get."""

from collections.abc import Sequence
from typing import Any

from roadtest.record import row_label
from roadtest.report import words
from roadtest.report.judged_tables import STATUS_WORDS
from roadtest.report.table import Cell, Column, Table
from roadtest.summarise import ACCURACY, METRICS
from roadtest.summarise.results import Results


def metrics_table(results: Results, board: Sequence[dict[str, Any]]) -> Table | None:
    """Every other metric of every network that was trained, in validation and on test; None before the first run."""
    rows = [row for row in board if row["num_runs"]]
    if not rows:
        return None
    parts = ("val", "test") if any(row["test_accuracy_mean"] is not None for row in rows) else ("val",)
    units = {"val": "% in validation", "test": "% on test"}
    figures = [(metric, part) for metric in METRICS.values() if metric.name != ACCURACY for part in parts]
    columns = (
        Column(title="Network", is_number=False),
        *(Column(title=words.capital(metric.words), unit=units[part]) for metric, part in figures),
    )
    caption = (
        "The metrics besides accuracy: the mean over the runs of each run’s figure, below it the 95 % interval where "
        f"an honest one is known. {words.capital(results.chosen_by.words)} puts the networks in order."
    )
    cells = tuple((_network_cell(row), *(_cell(row, f"{p}_{m.column}") for m, p in figures)) for row in rows)
    return Table(name="metrics", caption=caption, columns=columns, rows=cells, files=("md", "tex"))


def _network_cell(row: dict[str, Any]) -> Cell:
    return Cell(text=row_label(row), below="" if row["status"] == "complete" else STATUS_WORDS[row["status"]])


def _cell(row: dict[str, Any], name: str) -> Cell:
    mean = row[f"{name}_mean"]
    if mean is None:
        return Cell(text=words.DASH)
    return Cell(text=f"{100 * mean:.2f}", below=words.interval(row[f"{name}_low"], row[f"{name}_high"]))
