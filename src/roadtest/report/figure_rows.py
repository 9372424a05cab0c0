"""The plain rows behind every figure: which points, in which unit, in which order. No drawing here."""

from collections.abc import Callable
from typing import Any

import numpy as np

from roadtest.record import EpochRow, PlannedRun, read_epochs
from roadtest.report import words
from roadtest.report.pair_rows import judged_pairs
from roadtest.summarise import Results, Variant, class_rows, confusion_rows, estimate_accuracy, pair_rows, stn_rows

Row = dict[str, Any]
Columns = dict[str, list[float | None]]
"""A table column by column."""
CURVE_COLUMNS = ("seed", "epoch", "train_accuracy", "val_accuracy", "train_loss", "val_loss")
_DIFFERENCE_COLUMNS = {
    "value": "gain",
    "low": "gain_low",
    "high": "gain_high",
    "seeds_low": "seeds_low",
    "seeds_high": "seeds_high",
}
PARTS = (("test", "test"), ("val", "validation"))
LEAST_LOSS = 1e-5
"""Nats; a logarithmic axis has no zero."""
MIN_BAND_RUNS = 3
"""Fewer seeds are drawn as a line each."""
MAX_BAND_POINTS = 60
MAX_CURVE_ROWS = 12_000
"""Over the whole page, so that it stays under 3 MB: longer curves are thinned evenly, first and last row kept."""
MAX_CLASSES = 60
"""More classes than this cannot be read in one figure: the least accurate, or most confused, ones are drawn."""
MAX_PAIRS = 28
"""All pairs of eight networks."""
MAX_NETWORKS, MAX_BARS = 12, 24
"""More networks than this would push everything else off the first screen; the tables have them all."""


def accuracy_rows(results: Results, variants: list[Variant]) -> list[Row]:
    """A point with its interval for each network and each of validation and test, in percent."""
    rows = []
    for variant in variants:
        for part, part_words in PARTS:
            estimate = estimate_accuracy(results, variant, part)
            if estimate is None:
                continue
            row = {"label": variant.label, "has_stn": variant.has_stn, "set": part_words, "n": len(variant.records)}
            row |= {"value": 100 * estimate.value, "low": 100 * estimate.low, "high": 100 * estimate.high}
            rows.append(row)
    return rows


def curve_columns(results: Results, variant: Variant) -> Columns:
    """Seed, epoch, and training and validation figures of all runs of a network, column by column to save space."""
    num_runs = max(sum(len(v.planned) for v in results.variants), 1)
    most = max(MAX_CURVE_ROWS // num_runs, 20)
    columns: Columns = {name: [] for name in CURVE_COLUMNS}
    for run in variant.planned:
        for row in _thinned(_epochs(results, run), most):
            values = (run.seed, float(f"{row.epoch:.4g}"), *_percents(row), *_losses(row))
            for name, value in zip(CURVE_COLUMNS, values, strict=True):
                columns[name].append(value)
    return columns


def has_band(runs: list[list[EpochRow]]) -> bool:
    """Whether there are seeds enough for a band; a loss that blew up would tear it."""
    return len(runs) >= MIN_BAND_RUNS and all(
        np.isfinite(loss) for rows in runs for row in rows for loss in (row.train.loss, row.val.loss)
    )


def band_columns(runs: list[list[EpochRow]]) -> Columns:
    """Per epoch the lowest, the median and the highest seed; a run that has ended keeps its last figures."""
    begin = max(rows[0].epoch for rows in runs)
    seen = sorted({row.epoch for rows in runs for row in rows if row.epoch >= begin})
    grid_G = np.array(seen if len(seen) <= MAX_BAND_POINTS else np.linspace(seen[0], seen[-1], MAX_BAND_POINTS))
    columns: Columns = {"epoch": [float(f"{epoch:.4g}") for epoch in grid_G]}
    for name, read in _BAND_FIGURES.items():
        values_SG = [np.interp(grid_G, [row.epoch for row in rows], [read(row) for row in rows]) for rows in runs]
        for end, of_seeds in (("_low", np.min), ("", np.median), ("_high", np.max)):
            columns[name + end] = [float(f"{value:.5g}") for value in of_seeds(values_SG, axis=0)]
    return columns


def evaluations(results: Results, variants: list[Variant]) -> list[list[EpochRow]]:
    """The rows of all runs of some networks, run by run; runs without any are left out."""
    return [rows for variant in variants for run in variant.planned if (rows := _epochs(results, run))]


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


def gain_rows(results: Results) -> list[Row]:
    """What the STN added for each network, in percentage points with an interval."""
    rows = []
    for row in stn_rows(results):
        for part, part_words in PARTS:
            if row[f"{part}_gain"] is not None:
                gain, low, high = (100 * row[f"{part}_gain{end}"] for end in ("", "_low", "_high"))
                shown = {"label": row["network"], "set": part_words, "has_stn": True, "n": row["num_runs"]}
                rows.append(shown | {"value": gain, "low": low, "high": high})
    return rows


def class_accuracy_rows(results: Results, variant: Variant, part: str) -> list[Row]:
    """The classes with errors, least accurate first, at most MAX_CLASSES."""
    return [
        {
            "class": words.class_title(row["label"], row["class_name"]),
            "accuracy": 100 * row["accuracy"],
            "share": f"{row['num_correct']:,} of {row['num_answers']:,}",
            "correct": row["num_correct"],
            "answers": row["num_answers"],
        }
        for row in class_rows(results, variant, part)[:MAX_CLASSES]
        if row["num_correct"] < row["num_answers"]
    ]


def confusion_cells(results: Results, variant: Variant, part: str) -> tuple[list[Row], list[int]]:
    """The cells that are not empty among the drawn classes, and those classes in order."""
    drawn = _drawn_classes(results, variant, part)
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


def _drawn_classes(results: Results, variant: Variant, part: str) -> list[int]:
    """All classes that have images, or, where these are too many, those of the most frequent confusions."""
    seen = [row["label"] for row in class_rows(results, variant, part)]
    if len(seen) <= MAX_CLASSES:
        return sorted(seen)
    chosen: set[int] = set()
    for row in pair_rows(results, variant, part):
        if len(chosen | {row["label_a"], row["label_b"]}) > MAX_CLASSES:
            break
        chosen |= {row["label_a"], row["label_b"]}
    return sorted(chosen)


def _cell_words(row: Row) -> str:
    true = words.class_title(row["true_label"], row["true_name"])
    if row["true_label"] == row["predicted_label"]:
        return f"{true}, recognised"
    return f"{true} taken for {words.class_title(row['predicted_label'], row['predicted_name'])}"


def _epochs(results: Results, run: PlannedRun) -> list[EpochRow]:
    rows = read_epochs(results.study_dir / run.folder)
    return [row for row in rows if row.train_num_seen and row.val_num_seen]


_BAND_FIGURES: dict[str, Callable[[EpochRow], float]] = {
    "train_accuracy": lambda row: 100 * row.train.accuracy,
    "val_accuracy": lambda row: 100 * row.val.accuracy,
    "train_loss": lambda row: max(row.train.loss, LEAST_LOSS),
    "val_loss": lambda row: max(row.val.loss, LEAST_LOSS),
}


def _percents(row: EpochRow) -> tuple[float, float]:
    return round(100 * row.train.accuracy, 2), round(100 * row.val.accuracy, 2)


def _losses(row: EpochRow) -> tuple[float | None, float | None]:
    """Four digits, above the zero that a logarithmic axis does not have; None where training blew up."""
    train, val = (
        float(f"{max(x, LEAST_LOSS):.4g}") if np.isfinite(x) else None for x in (row.train.loss, row.val.loss)
    )
    return train, val


def _points(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 4)


def _thinned(rows: list[EpochRow], most: int) -> list[EpochRow]:
    if len(rows) <= most:
        return rows
    return [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]
