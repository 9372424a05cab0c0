"""What a page is made of: sections, the blocks in them, and the context that every section reads.

A block is a frozen value of text and numbers, never of markup; `macro` names the macro of `parts.html.jinja` that
draws it. A section also names the raw rows that lie beside the page as csv files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar, Protocol

from roadtest.analysis import (
    Results,
    Variant,
    best_variant,
    judge_networks,
    plan_more_seeds,
    ranked_variants,
    rows_with_externals,
)
from roadtest.analysis.external import STATUS as ADDED
from roadtest.analysis.sample_size import SeedPlan
from roadtest.format import DASH, Row, format_about, format_gain_interval, format_points, plural
from roadtest.records import StudyInfo


@dataclass(frozen=True, kw_only=True)
class Context:
    """What every section reads: made once for a report."""

    results: Results
    has_images: bool = True
    """Whether the page may show pictures of the data set."""

    @property
    def info(self) -> StudyInfo:
        """The study's plan and data."""
        return self.results.info

    @property
    def subject(self) -> str:
        """What the images show: `signs` or `images`."""
        return self.info.subject

    @cached_property
    def all_rows(self) -> list[Row]:
        """The leaderboard, and below its networks the systems that were added."""
        return rows_with_externals(self.results)

    @cached_property
    def leaderboard_rows(self) -> list[Row]:
        """The networks alone, best in validation first."""
        return [row for row in self.all_rows if row["status"] != ADDED]

    @cached_property
    def compared(self) -> list[Variant]:
        """The networks that may be compared, best in validation first."""
        return [variant for variant in ranked_variants(self.results) if variant.is_compared]

    @cached_property
    def best(self) -> Variant | None:
        """The network that leads in validation."""
        return best_variant(self.results)

    @cached_property
    def more_seeds(self) -> SeedPlan | None:
        """What gives every network seeds enough for a verdict; None where they have them, or there is no pair."""
        judged = judge_networks(self.results)
        return plan_more_seeds(self.results) if judged.needs_seeds and len(judged.variants) > 1 else None


class Block(Protocol):
    """Anything that a page can draw."""

    macro: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class Text:
    """A paragraph."""

    macro: ClassVar[str] = "text"
    text: str
    kind: str = ""
    """`finding`: computed from the records; `absent`: says what is missing; else plain."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A heading within a section."""

    macro: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of a list of facts: a term, and what there is to say."""

    term: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Terms and what there is to say about each."""

    macro: ClassVar[str] = "facts"
    facts: tuple[Fact, ...]
    kind: str = ""
    """`summary`, `prints` or `fields`: how the style sheet sets them."""


@dataclass(frozen=True, kw_only=True)
class Items:
    """A list of sentences."""

    macro: ClassVar[str] = "items"
    items: tuple[str, ...]
    kind: str = ""
    """`conclusion`: one paragraph; `references`: numbered; else a list with dots."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command to copy, and what it does."""

    macro: ClassVar[str] = "command"
    command: str
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Details:
    """Blocks that a reader unfolds."""

    macro: ClassVar[str] = "details"
    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: what it says, and a smaller line below."""

    text: str
    below: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its head, and the cell that it makes of a row; numbers are set to the right."""

    title: str
    cell: Callable[[Any], Cell | str]
    unit: str = ""
    is_number: bool = True


Words = partial(Column, is_number=False)
"""A column of words, set to the left."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A numbered table of the page, and of `tables/`."""

    macro: ClassVar[str] = "table"
    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """The first cell of a row is its head."""
    lines: Mapping[int, str] = field(default_factory=dict)
    """What the line before a row says, by the row's place; rows from the first line on are set quietly."""
    files: tuple[str, ...] = ("csv", "md", "tex")
    """The endings of the files beside the page."""
    max_rows: int = 100_000
    """The page shows so many of them."""

    @property
    def anchor(self) -> str:
        """Its place in the page."""
        return f"table-{self.name}"

    def as_rows(self) -> list[Row]:
        """The table as rows of text, for Markdown and LaTeX."""
        heads = [f"{column.title}, {column.unit}" if column.unit else column.title for column in self.columns]
        texts = [[f"{cell.text} ({cell.below})" if cell.below else cell.text for cell in row] for row in self.rows]
        return [dict(zip(heads, row, strict=True)) for row in texts]


def make_table(name: str, caption: str, rows: Sequence[Any], columns: Sequence[Column], **more: Any) -> Table:
    """Make the cells of every row; `more` are further fields of the table."""

    def cell(column: Column, row: Any) -> Cell:
        made = column.cell(row)
        return made if isinstance(made, Cell) else Cell(text=made)

    cells = tuple(tuple(cell(column, row) for column in columns) for row in rows)
    return Table(name=name, caption=caption, columns=tuple(columns), rows=cells, **more)


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question of the page; without blocks it is left out, and its csv files are written all the same."""

    title: str
    anchor: str
    short_title: str
    """In the list of contents."""
    blocks: tuple[Block, ...]
    csv: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    """Raw rows by the name of their file; no file where there are none."""


def present(*blocks: Block | None) -> tuple[Block, ...]:
    """The blocks that there are."""
    return tuple(block for block in blocks if block is not None)


def unfold(blocks: Sequence[Block]) -> Iterator[Block]:
    """Every block, and those that are folded into others, in the order of the page."""
    for block in blocks:
        yield block
        if isinstance(block, Details):
            yield from unfold(block.blocks)


def describe_more_runs(plan: SeedPlan) -> str:
    """`12 more runs, about 5 h 45 min of training`."""
    time = f", {format_about(plan.train_seconds)} of training" if plan.train_seconds else ""
    return f"{plural(plan.num_runs, 'more run')}{time}"


def describe_statement(statement: str, info: StudyInfo) -> str:
    """What an interval speaks of; the judge's own constants speak of signs, whatever the images show."""
    return statement.replace("new signs", f"new {info.subject}")


STATUS_WORDS = {
    "complete": "complete",
    "incomplete": "some runs missing",
    "undertrained": "too little training",
    "diverged": "a seed diverged",
    "failed": "failed",
    "waiting": "not run yet",
    "compared": "compared",
}


def describe_status(status: str) -> str:
    """The status of a network or a run, below its name; empty where all is well, and for added systems."""
    return "" if status in ("complete", ADDED) else STATUS_WORDS[status]


def gain_cell(row: Row, split: str) -> Cell:
    """A gain in points on `val` or `test`, and below it its interval."""
    gain = row[f"{split}_gain"]
    if gain is None:
        return Cell(text=DASH)
    return Cell(
        text=format_points(gain), below=format_gain_interval(row[f"{split}_gain_low"], row[f"{split}_gain_high"])
    )
