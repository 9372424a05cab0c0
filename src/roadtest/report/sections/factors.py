"""The table of what pretraining brought, as people read it."""

from collections.abc import Callable

from roadtest.analysis import Results, pretraining_rows, stn_rows
from roadtest.analysis.costs import SIMILAR_COST_RATIO
from roadtest.analysis.factors import STARTS
from roadtest.format import (
    DASH,
    Row,
    format_change,
    format_design_effect,
    format_gain_interval,
    format_milliseconds,
    format_points,
    format_seconds,
    format_share,
    format_short_count,
    format_times,
    format_units,
    join_words,
    plural,
)
from roadtest.records import row_label
from roadtest.report.charts import KEY_SETS, Figure, draw_intervals, gain_domain
from roadtest.report.sections.curves import PARTS
from roadtest.report.sections.pairs import NOT_JUDGED
from roadtest.report.tables import STATUS_WORDS, Cell, Column, Table, gain_cell


def pretraining_table(results: Results) -> Table | None:
    """What pretrained weights brought each network; None where no network ran from both starts."""
    pairs = [row for row in pretraining_rows(results) if row["num_runs"]]
    if not pairs:
        return None
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Seeds", unit="n"),
        Column(title="Validation gain", unit="points"),
        Column(title="Test gain", unit="points"),
        Column(title="Learning rate", unit="from nothing → pretrained"),
        Column(title="Epochs", unit="from nothing → pretrained"),
        Column(title="Training", unit="from nothing → pretrained"),
    )
    rows = tuple(
        (
            Cell(text=row_label(row), below=str(row["pretrained_weights"] or "")),
            Cell(text=str(row["num_runs"])),
            gain_cell(row, "val"),
            gain_cell(row, "test"),
            Cell(text=" → ".join(f"{row[f'learning_rate_{start}']:g}" for start in STARTS)),
            Cell(text=" → ".join(f"{row[f'num_epochs_{start}']:.1f}" for start in STARTS)),
            Cell(text=" → ".join(format_seconds(row[f"train_seconds_{start}"]) for start in STARTS)),
        )
        for row in pairs
    )
    caption = (
        f"What pretraining brought: {results.chosen_by.words} of the network that started from pretrained weights "
        "minus that of the same network from nothing, and below it the 95 % interval. Each start has a learning rate "
        "of its own; pretrained weights bring the normalisation of the images they were trained on."
    )
    return Table(name="pretraining", caption=caption, columns=columns, rows=rows)


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


def stn_sentences(results: Results) -> list[str]:
    """For each network whether the STN pays, what it brings and what it costs."""
    return [_stn_sentence(row) for row in stn_rows(results) if row["val_gain"] is not None]


def _stn_sentence(row: Row) -> str:
    gain = f"{format_points(row['val_gain'])} points in validation"
    gain += f" ({format_gain_interval(row['val_gain_low'], row['val_gain_high'])})"
    costs = [f"{format_times(factor)} the {what}" for what, factor in _stn_factors(row).items()]
    price = f" It costs {join_words(costs)}." if costs else ""
    start, tolerance = f"For {row['network']} the STN", f"{row['tolerance_points']:g} points"
    if row["worth"] == "pays":
        return f"{start} pays: {gain}, shown to be more than {tolerance}.{price}"
    if row["worth"] == "does not pay":
        return f"{start} does not pay: {gain}, shown to be less than {tolerance}.{price}"
    if row["worth"] == "not decided":
        return (
            f"Whether the STN pays for {row['network']} is not decided: {gain}, against {tolerance} that matter.{price}"
        )
    return f"{start} brought {gain}: observed with {plural(row['num_runs'], 'seed')}, not judged.{price}"


def _stn_factors(row: Row) -> dict[str, float]:
    """How many times the cost is with the STN, where that is a tenth or more."""
    ends = {"training time": "train_seconds_per_epoch", "latency": "latency_p50_ms"}
    both = {what: (row[f"{name}_without"], row[f"{name}_with"]) for what, name in ends.items()}
    return {what: on / off for what, (off, on) in both.items() if off and on and on / off >= SIMILAR_COST_RATIO}


def _gain_figure(results: Results) -> Figure | None:
    rows = gain_rows(results)
    if not rows:
        return None
    caption = (
        f"What the STN added to {results.chosen_by.words}, in percentage points; in validation by folds over the "
        "seeds that both forms of a network finished. Filled diamonds: test; open circles: validation; lines: 95 % "
        "intervals, each standing by itself. A line that reaches the frame goes on beyond it."
    )
    said = [f"{row['label']} {row['value']:+.2f} points in {row['set']}" for row in rows]
    alt = f"Gain through the STN: {join_words(said)}."
    panel = draw_intervals(rows, "gain through the STN, percentage points", gain_domain(rows), marks_zero=True)
    return Figure(
        name="stn-gain",
        caption=caption,
        alt=alt,
        key=KEY_SETS,
        panels=(panel,),
        findings=tuple(stn_sentences(results)),
    )


def stn_table(results: Results) -> Table | None:
    """What the STN brought and cost for each network; None where no network ran in both forms."""
    pairs = stn_rows(results)
    if not any(row["added_num_parameters"] is not None for row in pairs):
        return None
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Validation gain", unit="points"),
        Column(title="Test gain", unit="points"),
        Column(title="Rests on", is_number=False),
        Column(title="The STN", is_number=False),
        Column(title="Parameters", unit="added"),
        Column(title="MACs", unit="added"),
        Column(title="Training", unit="an epoch, without → with"),
        Column(title="Latency", unit="without → with"),
    )
    rows = tuple(
        (
            Cell(text=row["network"]),
            gain_cell(row, "val"),
            gain_cell(row, "test"),
            _gains_basis_cell(row),
            _worth_cell(row),
            _added_cell(results, row, "num_parameters"),
            _added_cell(results, row, "macs"),
            _without_with(row, "train_seconds_per_epoch", format_seconds),
            _without_with(row, "latency_p50_ms", format_milliseconds),
        )
        for row in pairs
    )
    tolerance = f"{results.tolerance_points:g} percentage points"
    caption = (
        f"What the STN brought and cost each network: {results.chosen_by.words} with it minus without it, and below it "
        f"the 95 % interval. It pays where validation shows a gain of more than {tolerance}, does not pay where it "
        "shows less, and is not decided else; what test says of it stands below. Times are those of this machine."
    )
    return Table(name="stn", caption=caption, columns=columns, rows=rows)


def worth_words(row: Row) -> str:
    """`pays`, `does not pay`, `not decided`, or why nothing is said."""
    if row["worth"] is None:
        return STATUS_WORDS[row["status"]] if row["status"] != "compared" else "no interval"
    return NOT_JUDGED if row["worth"].startswith(NOT_JUDGED) else str(row["worth"])


def _gains_basis_cell(row: Row) -> Cell:
    """Seeds and the units of validation, below them those of test."""
    seeds = plural(row["num_runs"], "seed")
    val, test = (_units_of(row, part) for part in ("val", "test"))
    return Cell(text=f"{seeds}, {val}" if val else seeds, below=f"test: {test}" if test else "")


def _units_of(row: Row, part: str) -> str:
    """`421 tracks, design effect 6.6`; a fold is a unit without one."""
    number, name = row[f"{part}_num_units"], row[f"{part}_unit_name"]
    if number is None:
        return ""
    effect = "" if name == "folds" else f", {format_design_effect(row[f'{part}_design_effect'])}"
    return f"{format_units(number, name)}{effect}"


def _worth_cell(row: Row) -> Cell:
    said = row["test_worth"]
    below = f"on test: {said}" if said and not said.startswith(NOT_JUDGED) and row["worth"] else ""
    return Cell(text=worth_words(row), below=below)


def _added_cell(results: Results, row: Row, name: str) -> Cell:
    added, off = row[f"added_{name}"], results.variant(row["network"], False)
    if added is None or off is None or not off.records:
        return Cell(text=DASH)
    share = added / max(getattr(off.records[0].cost, name), 1)
    return Cell(text=f"+{format_short_count(added)}", below=f"+{format_share(share)}")


def _without_with(row: Row, name: str, render: Callable[[float | None], str]) -> Cell:
    without, with_it = row[f"{name}_without"], row[f"{name}_with"]
    text = f"{render(without)} → {render(with_it)}"
    return Cell(text=text, below=format_change(with_it / without - 1) if without and with_it else "")
