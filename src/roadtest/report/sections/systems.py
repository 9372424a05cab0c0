"""Every network against the systems that were added: predictions of a model that was trained elsewhere."""

from roadtest.analysis import Results, external_difference_rows
from roadtest.format import (
    PART_WORDS,
    Row,
    format_gain_interval,
    format_percent_bare,
    format_points,
    format_units,
    plural,
)
from roadtest.records import row_label
from roadtest.report.blocks import Cell, Context, Section, Table, make_table, number_column, present, text_column


def section(context: Context) -> Section:
    """How far each network is from each added system."""
    return Section(
        title="Against what was added",
        anchor="systems",
        short_title="Added",
        blocks=present(systems_table(context.results)),
        csv={"systems": external_difference_rows(context.results)},
    )


def systems_table(results: Results) -> Table | None:
    """Every network against every added system; None where none was added, or none predicted the same images."""
    rows = external_difference_rows(results)
    if not rows:
        return None
    columns = (
        text_column("Network", row_label),
        text_column("Against", lambda row: row["system"]),
        text_column("Set", lambda row: PART_WORDS[row["part"]]),
        number_column("Network", lambda row: format_percent_bare(row["network_accuracy"]), "accuracy, %"),
        number_column("System", lambda row: format_percent_bare(row["system_accuracy"]), "accuracy, %"),
        number_column("Difference", _difference_cell, "points"),
        number_column("Only network right", lambda row: f"{row['num_only_network']:,.4g}", "images"),
        number_column("Only system right", lambda row: f"{row['num_only_system']:,.4g}", "images"),
        text_column("Rests on", _basis_cell),
    )
    caption = (
        "Each network minus each added system in accuracy, in points, and below it the 95 % interval, paired by image. "
        f"It speaks of: {rows[0]['statement']}. No verdict is given: a single set of answers tells nothing of the luck "
        "of training. Images only one of the two got right: the mean over the network’s seeds."
    )
    return make_table("systems", caption, rows, columns, max_rows=200)


def _difference_cell(row: Row) -> Cell:
    return Cell(text=format_points(row["gain"]), below=format_gain_interval(row["gain_low"], row["gain_high"]))


def _basis_cell(row: Row) -> Cell:
    images = plural(row["num_images"], "image")
    clusters = "" if row["unit_name"] == "images" else f"{format_units(row['num_units'], row['unit_name'])}, "
    return Cell(text=plural(row["num_seeds"], "seed"), below=f"{clusters}{images}")
