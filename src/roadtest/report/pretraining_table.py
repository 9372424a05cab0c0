"""The table of what pretraining brought, as people read it."""

from roadtest.record import row_label
from roadtest.report import words
from roadtest.report.judged_tables import gain_cell
from roadtest.report.table import Cell, Column, Table
from roadtest.summarise import pretraining_rows
from roadtest.summarise.pretraining import STARTS
from roadtest.summarise.results import Results


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
            Cell(text=" → ".join(words.seconds(row[f"train_seconds_{start}"]) for start in STARTS)),
        )
        for row in pairs
    )
    caption = (
        f"What pretraining brought: {results.chosen_by.words} of the network that started from pretrained weights "
        "minus that of the same network from nothing, and below it the 95 % interval. Each start has a learning rate "
        "of its own; pretrained weights bring the normalisation of the images they were trained on."
    )
    return Table(name="pretraining", caption=caption, columns=columns, rows=rows)
