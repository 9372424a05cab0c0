"""The plain rows behind every figure: which points, in which unit, in which order. No drawing here."""

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from roadtest.record import EpochRow, PlannedRun, read_epochs
from roadtest.report.words import class_title
from roadtest.summarise import (
    Results,
    Variant,
    class_rows,
    confusion_rows,
    estimate_accuracy,
    pareto_front,
    stn_rows,
)

Row = dict[str, Any]
MAX_CURVE_ROWS = 12_000
"""Over the whole page, so that it stays under 3 MB: longer curves are thinned evenly, first and last row kept."""
MAX_CLASSES = 60
"""More classes than this cannot be read in one figure: the least accurate ones are drawn."""
COSTS = (
    ("num_parameters", "trainable parameters", 1.0),
    ("macs", "MACs for one image", 1.0),
    ("size_bytes", "weights on disk, MB", 1e-6),
    ("train_seconds_mean", "training time of a run, minutes", 1 / 60),
    ("latency_p50_ms", "median latency of one image, ms", 1.0),
)
"""Column of the leaderboard, its words with unit, and what turns the column's unit into that one."""


def accuracy_rows(results: Results, variants: list[Variant]) -> list[Row]:
    """A point with its interval for each network and each of validation and test, in percent."""
    rows = []
    for variant in variants:
        for part, words in (("test", "test"), ("val", "validation")):
            estimate = estimate_accuracy(results, variant, part)
            if estimate is None:
                continue
            row = {"label": variant.label, "has_stn": variant.has_stn, "set": words, "n": len(variant.records)}
            row |= {"accuracy": 100 * estimate.value, "low": 100 * estimate.low, "high": 100 * estimate.high}
            rows.append(row)
    return rows


def curve_csv(results: Results, variant: Variant) -> str:
    """Seed, epoch, and training and validation figures of all runs of a network, as compact csv."""
    num_runs = max(sum(len(v.planned) for v in results.variants), 1)
    most = max(MAX_CURVE_ROWS // num_runs, 20)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("seed", "epoch", "train_accuracy", "val_accuracy", "train_loss", "val_loss"))
    for run in variant.planned:
        for row in _thinned(_epochs(results, run), most):
            accuracies = (f"{100 * row.train.accuracy:.2f}", f"{100 * row.val.accuracy:.2f}")
            losses = (_loss_text(row.train.loss), _loss_text(row.val.loss))
            writer.writerow((run.seed, f"{row.epoch:.4g}", *accuracies, *losses))
    return text.getvalue()


@dataclass(frozen=True, kw_only=True)
class Domains:
    """The axes that the curves of a network share, with and without the STN."""

    epochs: tuple[float, float]
    accuracy: tuple[float, float]
    """Percent."""
    loss: tuple[float, float]
    """Nats."""


def curve_domains(results: Results, variants: list[Variant]) -> Domains | None:
    """The ranges for the panels that stand side by side; None without rows.

    The accuracy axis starts below the second half of all curves: the first epochs would leave no room for the rest.
    """
    runs = [rows for variant in variants for run in variant.planned if (rows := _epochs(results, run))]
    if not runs:
        return None
    late = [row for rows in runs for row in rows[len(rows) // 2 :]]
    lowest = min(min(100 * row.train.accuracy, 100 * row.val.accuracy) for row in late)
    losses = [max(loss, 1e-5) for rows in runs for row in rows for loss in (row.train.loss, row.val.loss)]
    finite = [loss for loss in losses if np.isfinite(loss)] or [1.0]
    step = 10.0 if lowest < 80 else 5.0 if lowest < 93 else 1.0
    return Domains(
        epochs=(0.0, max(row.epoch for rows in runs for row in rows)),
        accuracy=(max(0.0, float(step * np.floor(lowest / step - 0.5))), 100.0),
        loss=(min(finite) * 0.8, max(finite) * 1.25),
    )


def cost_rows(board: list[Row], column: str, factor: float) -> list[Row]:
    """One point per compared network: cost in the unit that is drawn, validation accuracy in percent, front or not."""
    found = [
        row
        for row in board
        if row["status"] in ("complete", "incomplete") and row[column] is not None and row[column] > 0
    ]
    front = pareto_front([row[column] for row in found], [row["val_accuracy_mean"] for row in found])
    return [
        {
            "label": _label(row),
            "has_stn": row["has_stn"],
            "cost": row[column] * factor,
            "accuracy": 100 * row["val_accuracy_mean"],
            "test": None if row["test_accuracy_mean"] is None else round(100 * row["test_accuracy_mean"], 2),
            "is_front": place in front,
        }
        for place, row in enumerate(found)
    ]


def bar_rows(board: list[Row], column: str, factor: float) -> list[Row]:
    """One bar per network that has a figure, undertrained ones included: their costs are as real."""
    return [
        {"label": _label(row), "has_stn": row["has_stn"], "cost": row[column] * factor}
        for row in board
        if row[column] is not None
    ]


def gain_rows(results: Results) -> list[Row]:
    """What the STN added for each network, in percentage points with an interval."""
    rows = []
    for row in stn_rows(results):
        for part, words in (("test", "test"), ("val", "validation")):
            if row[f"{part}_gain"] is not None:
                gain, low, high = (100 * row[f"{part}_gain{end}"] for end in ("", "_low", "_high"))
                rows.append({"label": row["network"], "set": words, "gain": gain, "low": low, "high": high})
    return rows


def class_accuracy_rows(results: Results, variant: Variant, part: str) -> list[Row]:
    """The least accurate classes first, at most MAX_CLASSES."""
    return [
        {
            "class": class_title(row["label"], row["class_name"]),
            "accuracy": 100 * row["accuracy"],
            "correct": row["num_correct"],
            "answers": row["num_answers"],
        }
        for row in class_rows(results, variant, part)[:MAX_CLASSES]
    ]


def confusion_cells(results: Results, variant: Variant, part: str) -> tuple[list[Row], list[int]]:
    """The cells that are not empty among the drawn classes, and those classes in order."""
    worst = [row["label"] for row in class_rows(results, variant, part)[:MAX_CLASSES]]
    drawn = sorted(worst)
    cells = [
        {
            "true": row["true_label"],
            "predicted": row["predicted_label"],
            "pair": _cell_words(row),
            "answers": row["num_answers"],
            "share": 100 * row["fraction_of_true"],
            "is_error": row["true_label"] != row["predicted_label"],
        }
        for row in confusion_rows(results, variant, part)
        if row["true_label"] in set(drawn) and row["predicted_label"] in set(drawn)
    ]
    return cells, drawn


def _cell_words(row: Row) -> str:
    true = class_title(row["true_label"], row["true_name"])
    if row["true_label"] == row["predicted_label"]:
        return f"{true}, recognised"
    return f"{true} taken for {class_title(row['predicted_label'], row['predicted_name'])}"


def _label(row: Row) -> str:
    return f"{row['network']}+stn" if row["has_stn"] else str(row["network"])


def _epochs(results: Results, run: PlannedRun) -> list[EpochRow]:
    rows = read_epochs(results.study_dir / run.folder)
    return [row for row in rows if row.train_num_seen and row.val_num_seen]


def _loss_text(loss: float) -> str:
    """Four digits, above the zero that a logarithmic axis does not have; empty where training blew up."""
    return f"{max(loss, 1e-5):.4g}" if np.isfinite(loss) else ""


def _thinned(rows: list[EpochRow], most: int) -> list[EpochRow]:
    if len(rows) <= most:
        return rows
    return [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]
