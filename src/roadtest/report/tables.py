"""The shape of a table as people read it: few columns, units in the heads, an interval under its figure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from roadtest.format import DASH, Row, format_gain_interval, format_points


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: what it says, and a smaller line below."""

    text: str
    below: str = ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """The head of a column."""

    title: str
    unit: str = ""
    is_number: bool = True


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the page, and of `tables/`."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """The first cell of a row is its head."""
    lines: Mapping[int, str] = field(default_factory=dict)
    """The rows before which a line is drawn, and what it says; all rows from the first one on are set quietly."""
    files: tuple[str, ...] = ("csv", "md", "tex")
    """The endings of the files beside the page."""

    def as_rows(self) -> list[Row]:
        """The table as rows of text, for Markdown and LaTeX."""
        heads = [f"{column.title}, {column.unit}" if column.unit else column.title for column in self.columns]
        return [
            {
                head: f"{cell.text} ({cell.below})" if cell.below else cell.text
                for head, cell in zip(heads, row, strict=True)
            }
            for row in self.rows
        ]


STATUS_WORDS = {
    "complete": "complete",
    "incomplete": "some runs missing",
    "undertrained": "too little training",
    "diverged": "a seed diverged",
    "failed": "failed",
    "waiting": "not run yet",
    "compared": "compared",
}


def gain_cell(row: Row, part: str) -> Cell:
    """A gain in points on `val` or `test`, and below it its interval."""
    gain = row[f"{part}_gain"]
    if gain is None:
        return Cell(text=DASH)
    return Cell(text=format_points(gain), below=format_gain_interval(row[f"{part}_gain_low"], row[f"{part}_gain_high"]))
