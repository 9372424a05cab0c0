"""The tables about results and costs, as people read them on the page.

The same tables go into `tables/*.md` and `*.tex`; the csv files beside them hold every raw column instead.
"""

from collections.abc import Sequence

from roadtest.devices import is_exported
from roadtest.report import words
from roadtest.report.judged_tables import STATUS_WORDS
from roadtest.report.table import Cell, Column, Row, Table
from roadtest.summarise import (
    Judged,
    Results,
    estimate_accuracy,
    judge_networks,
    latency_rows,
    ranked_variants,
    seed_rows,
)
from roadtest.summarise.costs import WHAT_IS_TIMED
from roadtest.summarise.incumbents import STATUS
from roadtest.summarise.ranking import order_words
from roadtest.summarise.scores import unseen_words
from roadtest.summarise.words import WHERE

LINES = {
    "diverged": "A seed diverged: not compared, because the mean over the other seeds would flatter",
    "undertrained": "Under the line: too little training to compare (less than two passes over the training images)",
    STATUS: "Added: not trained here, judged on the same images; costs were not measured",
}
"""Above the first row of a status."""


def leaderboard_table(results: Results, board: Sequence[Row]) -> Table:
    """Accuracy, standing and cost of every network; undertrained ones and added systems each under a line.

    `board` is that of `rows_with_incumbents`.
    """
    judged, metric = judge_networks(results), results.chosen_by
    is_other = metric.column != "accuracy"
    letters = [Column(title="Letters", unit=WHERE[judged.part], is_number=False)] if judged.is_judged else []
    columns = (
        Column(title="Network", is_number=False),
        *([Column(title=words.capital(metric.words), unit="% in validation")] if is_other else []),
        Column(title="Validation", unit="%"),
        Column(title="Test", unit="%"),
        *letters,
        Column(title="Rests on", is_number=False),
        Column(title="Parameters"),
        Column(title="MACs"),
        Column(title="Size"),
        Column(title="Training", unit="per run"),
        Column(title="Latency", unit="1 image"),
        Column(title="Memory", unit="peak"),
    )
    return Table(
        name="leaderboard",
        caption=_leaderboard_caption(results, board, judged),
        columns=columns,
        rows=tuple(_leaderboard_cells(results, row, judged, metric.column if is_other else "") for row in board),
        lines=_lines(board),
    )


def _lines(board: Sequence[Row]) -> dict[int, str]:
    """Before the first row of each kind that is not compared."""
    lines: dict[int, str] = {}
    for status, text in LINES.items():
        place = next((place for place, row in enumerate(board) if row["status"] == status), None)
        lines |= {} if place is None else {place: text}
    return lines


def _leaderboard_caption(results: Results, board: Sequence[Row], judged: Judged) -> str:
    several = " ± standard deviation over seeds" if any(row["num_runs"] > 1 for row in board) else ""
    letters = (
        f" Networks that share a letter are not separated {WHERE[judged.part]}, which does not mean the same; "
        f"“leading” are the best one {WHERE[judged.part]} and all judged against it and not shown to be worse."
        if judged.is_judged
        else ""
    )
    seeds = "".join(f" {words}" for words in (order_words(results), unseen_words(results)) if words)
    return (
        f"Networks in the order of validation {results.chosen_by.words}.{seeds} Accuracies: mean{several}, below it "
        f"the 95 % interval.{letters} MACs: multiply-accumulates for one image (not FLOPs). Latency: median. A dash "
        "means not measured."
    )


def _leaderboard_cells(results: Results, row: Row, judged: Judged, column: str) -> tuple[Cell, ...]:
    label, is_added = _label(row), row["status"] == STATUS
    # a system may have a network's name, and has neither its letters nor its seeds
    letters = words.DASH if is_added else judged.letters.get(label) or words.DASH
    standing = Cell(text=letters, below="leading" if label in judged.leading and letters != words.DASH else "")
    return (
        Cell(text=label, below="" if is_added else _remark(row["status"])),
        *([_score_cell(row, f"val_{column}")] if column else []),
        _score_cell(row, "val_accuracy"),
        _score_cell(row, "test_accuracy"),
        *([standing] if judged.is_judged else []),
        Cell(text="one set of answers") if is_added else _basis_cell(results, row, judged.part),
        Cell(text=words.short_count(row["num_parameters"])),
        Cell(text=words.short_count(row["macs"])),
        Cell(text=words.size(row["size_bytes"])),
        Cell(text=words.seconds(row["train_seconds_mean"])),
        Cell(text=words.milliseconds(row["latency_p50_ms"])),
        Cell(text=words.size(row["peak_memory_bytes"])),
    )


def _basis_cell(results: Results, row: Row, part: str) -> Cell:
    """Seeds, and what the interval of the judged set stands on."""
    seeds = words.plural(row["num_runs"], "seed")
    variant = results.variant(row["network"], row["has_stn"])
    estimate = estimate_accuracy(results, variant, part) if variant is not None and variant.is_compared else None
    if estimate is None:
        return Cell(text=seeds)
    units = words.units(estimate.num_units, estimate.unit_name)
    return Cell(text=seeds, below=f"{units}, {words.design_effect(estimate.design_effect)}")


def _remark(status: str) -> str:
    """Nothing where all is well."""
    return "" if status == "complete" else STATUS_WORDS[status]


def _score_cell(row: Row, name: str) -> Cell:
    mean, deviation = row[f"{name}_mean"], row.get(f"{name}_std")
    if mean is None:
        return Cell(text=words.DASH)
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return Cell(
        text=f"{100 * mean:.2f}{spread}",
        below=words.interval(row[f"{name}_low"], row[f"{name}_high"]),
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
    timed = f" {WHAT_IS_TIMED}" if any(is_exported(row) for row in measured) else ""
    caption = (
        "Latency of a forward pass after warm-up, in one process, networks taking turns over "
        f"{words.plural(num_rounds, 'round')}; half, 90 % and 99 % of the samples are faster than the numbers shown."
        f"{timed}"
    )
    return Table(name="latency", caption=caption, columns=columns, rows=rows)


def _label(row: Row) -> str:
    return f"{row['network']}+stn" if row["has_stn"] else str(row["network"])
