"""The tables about results and costs, as people read them on the page.

The same tables go into `tables/*.md` and `*.tex`; the csv files beside them hold every raw column instead.
"""

from collections.abc import Sequence
from typing import Any

from roadtest.report import words
from roadtest.report.table import Cell, Column, Row, Table
from roadtest.summarise import (
    Results,
    latency_rows,
    ranked_variants,
    seed_rows,
    stn_rows,
)

STATUS_WORDS = {
    "complete": "complete",
    "incomplete": "some runs missing",
    "undertrained": "too little training",
    "failed": "failed",
    "waiting": "not run yet",
    "compared": "compared",
}
UNDER_THE_LINE = "Under the line: too little training to compare (less than two passes over the training images)"


def leaderboard_table(results: Results, board: Sequence[Row]) -> Table:
    """Accuracy and cost of every network; undertrained ones under a line."""
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Seeds", unit="n"),
        Column(title="Validation", unit="%"),
        Column(title="Test", unit="%"),
        Column(title="Test loss", unit="nats"),
        Column(title="Parameters"),
        Column(title="MACs"),
        Column(title="Size"),
        Column(title="Training", unit="per run"),
        Column(title="Latency", unit="1 image"),
        Column(title="Memory", unit="peak"),
    )
    line = next((place for place, row in enumerate(board) if row["status"] == "undertrained"), None)
    several = " ± standard deviation over seeds" if any(row["num_runs"] > 1 for row in board) else ""
    caption = (
        f"Networks in the order of validation accuracy. Accuracies: mean{several}, below it the 95 % interval. "
        "MACs: multiply-accumulates for one image (not FLOPs). Latency: median. A dash means not measured."
    )
    return Table(
        name="leaderboard",
        caption=caption,
        columns=columns,
        rows=tuple(_leaderboard_cells(row) for row in board),
        line_before=line,
        line_text=UNDER_THE_LINE,
    )


def _leaderboard_cells(row: Row) -> tuple[Cell, ...]:
    loss = row["test_loss_mean"]
    return (
        Cell(text=_label(row), below=_remark(row["status"])),
        Cell(text=str(row["num_runs"])),
        _accuracy_cell(row, "val"),
        _accuracy_cell(row, "test"),
        Cell(text=words.DASH if loss is None else f"{loss:.3f}"),
        Cell(text=words.short_count(row["num_parameters"])),
        Cell(text=words.short_count(row["macs"])),
        Cell(text=words.size(row["size_bytes"])),
        Cell(text=words.seconds(row["train_seconds_mean"])),
        Cell(text=words.milliseconds(row["latency_p50_ms"])),
        Cell(text=words.size(row["peak_memory_bytes"])),
    )


def _remark(status: str) -> str:
    """Nothing where all is well."""
    return "" if status == "complete" else STATUS_WORDS[status]


def _accuracy_cell(row: Row, part: str) -> Cell:
    mean, deviation = row[f"{part}_accuracy_mean"], row[f"{part}_accuracy_std"]
    if mean is None:
        return Cell(text=words.DASH)
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return Cell(
        text=f"{100 * mean:.2f}{spread}",
        below=words.interval(row[f"{part}_accuracy_low"], row[f"{part}_accuracy_high"]),
    )


def runs_table(results: Results) -> Table:
    """Every planned run: how long it trained, why it stopped, and what came out."""
    columns = (
        Column(title="Run", is_number=False),
        Column(title="Epochs"),
        Column(title="Ended by", is_number=False),
        Column(title="Training", unit="%"),
        Column(title="Validation", unit="%"),
        Column(title="Test", unit="%"),
        Column(title="Time", unit="training"),
        Column(title="Data", unit="part of it"),
        Column(title="Evaluation"),
        Column(title="Precision", is_number=False),
        Column(title="Resumed", unit="times"),
    )
    rows = []
    for row in seed_rows(results):
        epochs = words.DASH if row["num_epochs"] is None else f"{row['num_epochs']:.3g}"
        resumes = words.count(row["num_resumes"])
        uneasy = "times not comparable" if row["is_time_comparable"] is False else ""
        accuracies = [Cell(text=words.bare_percent(row[f"{part}_accuracy"])) for part in ("train", "val", "test")]
        times = [Cell(text=words.seconds(row[name])) for name in ("train_seconds", "data_seconds", "eval_seconds")]
        rows.append(
            (
                Cell(text=f"{_label(row)}, seed {row['seed']}", below=_remark(row["status"])),
                Cell(text=epochs),
                Cell(text=row["stop_reason"] or words.DASH),
                *accuracies,
                *times,
                Cell(text=row["precision"] or words.DASH),
                Cell(text=resumes, below=uneasy),
            )
        )
    caption = (
        "Every planned run. Accuracies with the final weights: on all its training images, on its validation fold, "
        "on the test set. The clock stands still for evaluation and saving."
    )
    return Table(name="runs", caption=caption, columns=columns, rows=tuple(rows))


def latency_table(results: Results) -> Table | None:
    """Percentiles per network and batch size; None where nothing was measured."""
    measured = latency_rows(results)
    if not measured:
        return None
    ranks = {variant.label: rank for rank, variant in enumerate(ranked_variants(results))}
    measured.sort(key=lambda row: (row["batch_size"], ranks.get(_label(row), len(ranks))))
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Runtime", is_number=False),
        Column(title="Batch", unit="images"),
        Column(title="Median", unit="ms"),
        Column(title="p90", unit="ms"),
        Column(title="p99", unit="ms"),
        Column(title="Per image", unit="ms"),
        Column(title="Samples", unit="n"),
    )
    rows = tuple(
        (
            Cell(text=_label(row)),
            Cell(text=f"{row['runtime']}, {row['device']}, {words.plural(row['num_threads'], 'thread')}"),
            Cell(text=str(row["batch_size"])),
            *(Cell(text=words.three_digits(row[f"latency_{p}_ms"])) for p in ("p50", "p90", "p99")),
            Cell(text=words.three_digits(row["latency_p50_ms"] / row["batch_size"])),
            Cell(text=str(row["num_samples"]), below="machine was busy" if row["is_busy"] else ""),
        )
        for row in measured
    )
    num_rounds = max(row["num_rounds"] for row in measured)
    caption = (
        "Latency of a forward pass after warm-up, in one process, networks taking turns over "
        f"{words.plural(num_rounds, 'round')}; half, 90 % and 99 % of the samples are faster than the numbers shown."
    )
    return Table(name="latency", caption=caption, columns=columns, rows=rows)


def stn_table(results: Results) -> Table | None:
    """What the STN brought and cost for each network; None where no network ran in both forms."""
    pairs = stn_rows(results)
    if not any(row["added_num_parameters"] is not None for row in pairs):
        return None
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Seeds", unit="n"),
        Column(title="Validation gain", unit="points"),
        Column(title="Test gain", unit="points"),
        Column(title="Finding", is_number=False),
        Column(title="Added parameters"),
        Column(title="Added MACs"),
        Column(title="Time per epoch", unit="without → with"),
        Column(title="Latency", unit="without → with"),
    )
    rows = tuple(
        (
            Cell(text=row["network"]),
            Cell(text=str(row["num_runs"])),
            _gain_cell(row, "val"),
            _gain_cell(row, "test"),
            Cell(text=stn_finding(row)),
            Cell(text=words.count(row["added_num_parameters"])),
            Cell(text=words.short_count(row["added_macs"])),
            Cell(text=_without_with(row, "train_seconds_per_epoch", words.seconds)),
            Cell(text=_without_with(row, "latency_p50_ms", words.milliseconds)),
        )
        for row in pairs
    )
    caption = (
        "What the STN did for each network: accuracy with it minus without it, in percentage points, with the 95 % "
        "interval below, which stands by itself; the finding is that of test, else of validation, corrected for all "
        "pairs of networks. Then what the STN added, and times without and with it."
    )
    return Table(name="stn", caption=caption, columns=columns, rows=rows)


def stn_finding(row: Row) -> str:
    """Words for one network: `better with`, `not separated`, `observed`, or why there is no comparison."""
    part = "test" if row["test_gain"] is not None else "val"
    gain = row[f"{part}_gain"]
    if gain is None:
        return STATUS_WORDS[row["status"]] if row["status"] != "compared" else "no interval"
    verdict: str = row[f"{part}_verdict"]
    if verdict != "separated":
        return verdict
    return "better with" if gain > 0 else "better without"


def _label(row: Row) -> str:
    return f"{row['network']}+stn" if row["has_stn"] else str(row["network"])


def _gain_cell(row: Row, part: str) -> Cell:
    gain = row[f"{part}_gain"]
    if gain is None:
        return Cell(text=words.DASH)
    return Cell(text=words.points(gain), below=words.gain_interval(row[f"{part}_gain_low"], row[f"{part}_gain_high"]))


def _without_with(row: Row, name: str, render: Any) -> str:
    return f"{render(row[f'{name}_without'])} → {render(row[f'{name}_with'])}"
