"""Tables about the errors of the chosen network: accuracy per class, and the pairs of classes it mixes up."""

from roadtest.report import words
from roadtest.report.table import Cell, Column, Row, Table
from roadtest.summarise import Results, Variant, class_rows, error_part, pair_rows

NUM_PAIRS = 12


def class_table(results: Results, best: Variant | None) -> Table | None:
    """Accuracy of each class, in words with its number."""
    rows = class_rows(results, best, error_part(results, best)) if best else []
    if best is None or not rows:
        return None
    columns = (
        Column(title="Class", is_number=False),
        Column(title="Accuracy", unit="%"),
        Column(title="Correct", unit="of answers"),
        Column(title="Images", unit="n"),
        Column(title="Tracks", unit="n"),
        Column(title="Mostly taken for", is_number=False),
    )
    cells = tuple(
        (
            Cell(text=words.class_title(row["label"], row["class_name"])),
            Cell(text=words.bare_percent(row["accuracy"])),
            Cell(text=f"{row['num_correct']:,} of {row['num_answers']:,}"),
            Cell(text=words.count(row["num_images"])),
            Cell(text=words.count(row["num_tracks"])),
            Cell(text=_mostly(row)),
        )
        for row in rows
    )
    caption = (
        f"{best.label}: accuracy per class, {words.seeds_together(best)}, least accurate first. "
        "Images of one track stand or fall together: a class with few tracks says little."
    )
    return Table(name="classes", caption=caption, columns=columns, rows=cells)


def pairs_table(results: Results, best: Variant | None) -> Table | None:
    """The pairs of classes that are mixed up most."""
    rows = pair_rows(results, best, error_part(results, best)) if best else []
    if best is None or not rows:
        return None
    columns = (
        Column(title="One class", is_number=False),
        Column(title="The other", is_number=False),
        Column(title="First as second", unit="answers"),
        Column(title="Second as first", unit="answers"),
        Column(title="Together"),
    )
    cells = tuple(
        (
            Cell(text=words.class_title(row["label_a"], row["class_name_a"])),
            Cell(text=words.class_title(row["label_b"], row["class_name_b"])),
            Cell(text=f"{row['num_a_as_b']:,} of {row['num_answers_a']:,}"),
            Cell(text=f"{row['num_b_as_a']:,} of {row['num_answers_b']:,}"),
            Cell(text=words.count(row["num_mixed_up"])),
        )
        for row in rows[:NUM_PAIRS]
    )
    caption = f"{best.label}: the pairs of classes it mixes up most, {words.seeds_together(best)}."
    return Table(name="pairs", caption=caption, columns=columns, rows=cells, files=("md", "tex"))


def _mostly(row: Row) -> str:
    if row["mostly_taken_for"] is None:
        return words.DASH
    rival = words.class_title(row["mostly_taken_for_label"], row["mostly_taken_for"])
    return f"{rival}, {words.plural(row['num_taken_for_it'], 'time')}"
