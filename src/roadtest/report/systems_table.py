"""The table of how far each network is from systems that were added, as people read it."""

from roadtest.record import row_label
from roadtest.report import words
from roadtest.report.table import Cell, Column, Row, Table
from roadtest.summarise import Results, incumbent_difference_rows
from roadtest.summarise.incumbents import THESE_WEIGHTS


def systems_table(results: Results) -> Table | None:
    """Every network against every added system; None where none was added, or none answered the same images."""
    found = incumbent_difference_rows(results)
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
        f"It speaks of: {THESE_WEIGHTS}. No verdict is given: a single set of answers tells nothing of the luck of "
        "training. Images only one of the two got right: the mean over the network’s seeds."
    )
    return Table(name="systems", caption=caption, columns=columns, rows=tuple(_cells(row) for row in found))


def _cells(row: Row) -> tuple[Cell, ...]:
    images = words.plural(row["num_images"], "image")
    units = "" if row["unit_name"] == "images" else f"{words.units(row['num_units'], row['unit_name'])}, "
    return (
        Cell(text=row_label(row)),
        Cell(text=row["system"]),
        Cell(text=words.PART_WORDS[row["part"]]),
        Cell(text=words.bare_percent(row["network_accuracy"])),
        Cell(text=words.bare_percent(row["system_accuracy"])),
        Cell(text=words.points(row["gain"]), below=words.gain_interval(row["gain_low"], row["gain_high"])),
        Cell(text=f"{row['num_only_network']:,.4g}"),
        Cell(text=f"{row['num_only_system']:,.4g}"),
        Cell(text=words.plural(row["num_seeds"], "seed"), below=f"{units}{images}"),
    )
