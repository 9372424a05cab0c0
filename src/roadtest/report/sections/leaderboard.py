"""The tables about results and costs, as people read them on the page.

The same tables go into `tables/*.md` and `*.tex`; the csv files beside them hold every raw column instead.

The table of the metrics besides accuracy, whichever of them chose: one figure seldom tells what rare classes get.

The table of how far each network is from systems that were added, as people read it.
"""

from collections.abc import Sequence
from typing import Any

from roadtest.analysis import (
    ACCURACY,
    METRICS,
    Judged,
    Results,
    Variant,
    estimate_score,
    external_difference_rows,
    judge_networks,
    latency_rows,
    ranked_variants,
    seed_only_accuracy,
    seed_rows,
)
from roadtest.analysis.comparisons import order_sentence
from roadtest.analysis.costs import WHAT_IS_TIMED
from roadtest.analysis.external import AGAINST_THE_SYSTEM, STATUS
from roadtest.analysis.results import missing_class_sentence
from roadtest.format import (
    DASH,
    PART_WORDS,
    WHERE,
    Row,
    capitalise,
    format_bytes,
    format_count,
    format_design_effect,
    format_gain_interval,
    format_interval,
    format_milliseconds,
    format_percent_bare,
    format_points,
    format_seconds,
    format_short_count,
    format_three_digits,
    format_units,
    join_words,
    plural,
)
from roadtest.records import row_label
from roadtest.records.measurements import is_exported
from roadtest.report.charts import KEY_SETS, KEY_STN, Figure, accuracy_domain, draw_intervals
from roadtest.report.sections.curves import MAX_NETWORKS, PARTS
from roadtest.report.sections.pairs import AGAIN, _on_new
from roadtest.report.tables import STATUS_WORDS, Cell, Column, Table

LINES = {
    "diverged": "A seed diverged: not compared, because the mean over the other seeds would flatter",
    "undertrained": "Under the line: too little training to compare (less than two passes over the training images)",
    STATUS: "Added: not trained here, judged on the same images; costs were not measured",
}
"""Above the first row of a status."""


def leaderboard_table(results: Results, board: Sequence[Row]) -> Table:
    """Accuracy, standing and cost of every network; undertrained ones and added systems each under a line.

    `board` is that of `rows_with_externals`.
    """
    judged, metric = judge_networks(results), results.chosen_by
    is_other = metric.column != "accuracy"
    letters = [Column(title="Letters", unit=WHERE[judged.split], is_number=False)] if judged.is_judged else []
    columns = (
        Column(title="Network", is_number=False),
        *([Column(title=capitalise(metric.words), unit="% in validation")] if is_other else []),
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
        f" Networks that share a letter are not separated {WHERE[judged.split]}, which does not mean the same; "
        f"“leading” are the best one {WHERE[judged.split]} and all judged against it and not shown to be worse."
        if judged.is_judged
        else ""
    )
    seeds = "".join(f" {words}" for words in (order_sentence(results), missing_class_sentence(results)) if words)
    return (
        f"Networks in the order of validation {results.chosen_by.words}.{seeds} Accuracies: mean{several}, below it "
        f"the 95 % interval.{letters} MACs: multiply-accumulates for one image (not FLOPs). Latency: median. A dash "
        "means not measured."
    )


def _leaderboard_cells(results: Results, row: Row, judged: Judged, column: str) -> tuple[Cell, ...]:
    label, is_added = _label(row), row["status"] == STATUS
    # a system may have a network's name, and has neither its letters nor its seeds
    letters = DASH if is_added else judged.letters.get(label) or DASH
    standing = Cell(text=letters, below="leading" if label in judged.leading and letters != DASH else "")
    return (
        Cell(text=label, below="" if is_added else _remark(row["status"])),
        *([_score_cell(row, f"val_{column}")] if column else []),
        _score_cell(row, "val_accuracy"),
        _score_cell(row, "test_accuracy"),
        *([standing] if judged.is_judged else []),
        Cell(text="one set of answers") if is_added else _basis_cell(results, row, judged.split),
        Cell(text=format_short_count(row["num_parameters"])),
        Cell(text=format_short_count(row["macs"])),
        Cell(text=format_bytes(row["size_bytes"])),
        Cell(text=format_seconds(row["train_seconds_mean"])),
        Cell(text=format_milliseconds(row["latency_p50_ms"])),
        Cell(text=format_bytes(row["peak_memory_bytes"])),
    )


def _basis_cell(results: Results, row: Row, part: str) -> Cell:
    """Seeds, and what the interval of the judged set stands on."""
    seeds = plural(row["num_runs"], "seed")
    variant = results.variant(row["network"], row["has_stn"])
    estimate = (
        estimate_score(results, variant, part, metric=ACCURACY) if variant is not None and variant.is_compared else None
    )
    if estimate is None:
        return Cell(text=seeds)
    units = format_units(estimate.num_clusters, estimate.cluster_noun)
    return Cell(text=seeds, below=f"{units}, {format_design_effect(estimate.design_effect)}")


def _remark(status: str) -> str:
    """Nothing where all is well."""
    return "" if status == "complete" else STATUS_WORDS[status]


def _score_cell(row: Row, name: str) -> Cell:
    mean, deviation = row[f"{name}_mean"], row.get(f"{name}_std")
    if mean is None:
        return Cell(text=DASH)
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return Cell(
        text=f"{100 * mean:.2f}{spread}",
        below=format_interval(row[f"{name}_low"], row[f"{name}_high"]),
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
        epochs = DASH if row["num_epochs"] is None else f"{row['num_epochs']:.3g}"
        resumes = format_count(row["num_resumes"])
        uneasy = "times not comparable" if row["is_time_comparable"] is False else ""
        accuracies = [Cell(text=format_percent_bare(row[f"{part}_accuracy"])) for part in ("train", "val", "test")]
        times = [Cell(text=format_seconds(row[name])) for name in ("train_seconds", "data_seconds", "eval_seconds")]
        rows.append(
            (
                Cell(text=f"{_label(row)}, seed {row['seed']}", below=_remark(row["status"])),
                Cell(text=epochs),
                Cell(text=row["stop_reason"] or DASH),
                *accuracies,
                *times,
                Cell(text=row["precision"] or DASH),
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
            Cell(text=f"{row['runtime']}, {row['device']}, {plural(row['num_threads'], 'thread')}"),
            Cell(text=str(row["batch_size"])),
            *(Cell(text=format_three_digits(row[f"latency_{p}_ms"])) for p in ("p50", "p90", "p99")),
            Cell(text=format_three_digits(row["latency_p50_ms"] / row["batch_size"])),
            Cell(text=str(row["num_samples"]), below="machine was busy" if row["is_busy"] else ""),
        )
        for row in measured
    )
    num_rounds = max(row["num_rounds"] for row in measured)
    timed = f" {WHAT_IS_TIMED}" if any(is_exported(row) for row in measured) else ""
    caption = (
        "Latency of a forward pass after warm-up, in one process, networks taking turns over "
        f"{plural(num_rounds, 'round')}; half, 90 % and 99 % of the samples are faster than the numbers shown."
        f"{timed}"
    )
    return Table(name="latency", caption=caption, columns=columns, rows=rows)


def _label(row: Row) -> str:
    return f"{row['network']}+stn" if row["has_stn"] else str(row["network"])


def accuracy_rows(results: Results, variants: list[Variant]) -> list[Row]:
    """A point with its interval for each network and each of validation and test, in percent."""
    rows = []
    for variant in variants:
        for part, part_words in PARTS:
            estimate = estimate_score(results, variant, part, metric=ACCURACY)
            if estimate is None:
                continue
            row = {"label": variant.label, "has_stn": variant.has_stn, "set": part_words, "n": len(variant.records)}
            row |= {"value": 100 * estimate.value, "low": 100 * estimate.low, "high": 100 * estimate.high}
            rows.append(row)
    return rows


def _accuracy_figure(results: Results, compared: list[Variant]) -> Figure | None:
    rows = accuracy_rows(results, compared[:MAX_NETWORKS])
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
    alt = f"Accuracy of {plural(len(shown), 'network')}: {join_words(said)}."
    panel = draw_intervals(rows, "accuracy, %", accuracy_domain(rows))
    return Figure(name="accuracy", caption=caption, alt=alt, key=f"{KEY_SETS}; {KEY_STN}", panels=(panel,))


def accuracy_table(results: Results, board: Sequence[Row]) -> Table | None:
    """Each accuracy with its two statements, kept apart, and what the interval rests on."""
    compared = [variant for variant in ranked_variants(results) if variant.is_compared]
    parts = [part for part in ("test", "val") if any(_estimates(results, compared, part))]
    if not parts:
        return None
    losses = {(row["network"], row["has_stn"]): row["test_loss_mean"] for row in board}
    rows = []
    for part in parts:
        for variant in compared:
            row = _accuracy_row(results, variant, part, losses[variant.network, variant.has_stn])
            rows += [row] if row else []
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Set", is_number=False),
        Column(title="Accuracy", unit="%"),
        Column(title=AGAIN, unit="on these images"),
        Column(title=_on_new(results), unit="of this kind"),
        Column(title="Seeds", unit="n"),
        Column(title="Units", is_number=False),
        Column(title="Design effect"),
        Column(title="Loss", unit="nats"),
    )
    caption = (
        "Two statements, kept apart, each with its 95 % interval. “On these test images, if trained again” knows the "
        "luck of seeds alone. “On new signs of this kind” knows the luck of seeds and of units, and is the one that "
        "verdicts use; with fewer than three seeds it speaks of these trained weights only. A unit stands or falls by "
        "itself; a design effect of 12 means that twelve images tell as much as one."
    )
    return Table(name="accuracies", caption=caption, columns=columns, rows=tuple(rows), files=("md", "tex"))


def _estimates(results: Results, variants: Sequence[Variant], part: str) -> list[bool]:
    return [estimate_score(results, variant, part, metric=ACCURACY) is not None for variant in variants]


def _accuracy_row(results: Results, variant: Variant, part: str, loss: float | None) -> tuple[Cell, ...] | None:
    estimate = estimate_score(results, variant, part, metric=ACCURACY)
    if estimate is None:
        return None
    again = seed_only_accuracy(results, variant, part)
    shown_loss = DASH if part == "val" or loss is None else f"{loss:.3f}"
    return (
        Cell(text=variant.label),
        Cell(text=PART_WORDS[part]),
        Cell(text=format_percent_bare(estimate.value)),
        Cell(text=format_interval(again.low, again.high) if again else DASH),
        Cell(text=format_interval(estimate.low, estimate.high)),
        Cell(text=str(estimate.num_seeds)),
        Cell(text=format_units(estimate.num_clusters, estimate.cluster_noun)),
        Cell(text=f"{estimate.design_effect:.1f}"),
        Cell(text=shown_loss),
    )


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
        *(Column(title=capitalise(metric.words), unit=units[part]) for metric, part in figures),
    )
    caption = (
        "The metrics besides accuracy: the mean over the runs of each run’s figure, below it the 95 % interval where "
        f"an honest one is known. {capitalise(results.chosen_by.words)} puts the networks in order."
    )
    cells = tuple((_network_cell(row), *(_cell(row, f"{p}_{m.column}") for m, p in figures)) for row in rows)
    return Table(name="metrics", caption=caption, columns=columns, rows=cells, files=("md", "tex"))


def _network_cell(row: dict[str, Any]) -> Cell:
    return Cell(text=row_label(row), below="" if row["status"] == "complete" else STATUS_WORDS[row["status"]])


def _cell(row: dict[str, Any], name: str) -> Cell:
    mean = row[f"{name}_mean"]
    if mean is None:
        return Cell(text=DASH)
    return Cell(text=f"{100 * mean:.2f}", below=format_interval(row[f"{name}_low"], row[f"{name}_high"]))


def systems_table(results: Results) -> Table | None:
    """Every network against every added system; None where none was added, or none answered the same images."""
    found = external_difference_rows(results)
    if not found:
        return None
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Against", is_number=False),
        Column(title="Set", is_number=False),
        Column(title="Network", unit="accuracy, %"),
        Column(title="System", unit="accuracy, %"),
        Column(title="Difference", unit="points"),
        Column(title="Only network right", unit="images"),
        Column(title="Only system right", unit="images"),
        Column(title="Rests on", is_number=False),
    )
    caption = (
        "Each network minus each added system in accuracy, in points, and below it the 95 % interval, paired by image. "
        f"It speaks of: {AGAINST_THE_SYSTEM}. No verdict is given: a single set of answers tells nothing of the luck "
        "of training. Images only one of the two got right: the mean over the network’s seeds."
    )
    return Table(name="systems", caption=caption, columns=columns, rows=tuple(_cells(row) for row in found))


def _cells(row: Row) -> tuple[Cell, ...]:
    images = plural(row["num_images"], "image")
    units = "" if row["unit_name"] == "images" else f"{format_units(row['num_units'], row['unit_name'])}, "
    return (
        Cell(text=row_label(row)),
        Cell(text=row["system"]),
        Cell(text=PART_WORDS[row["part"]]),
        Cell(text=format_percent_bare(row["network_accuracy"])),
        Cell(text=format_percent_bare(row["system_accuracy"])),
        Cell(text=format_points(row["gain"]), below=format_gain_interval(row["gain_low"], row["gain_high"])),
        Cell(text=f"{row['num_only_network']:,.4g}"),
        Cell(text=f"{row['num_only_system']:,.4g}"),
        Cell(text=plural(row["num_seeds"], "seed"), below=f"{units}{images}"),
    )
