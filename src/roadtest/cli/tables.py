"""Tables on the terminal: the leaderboard, the networks, the doctor's findings. Results go to standard output.

`json`, `csv` and `md` come from summarise, raw; here is only what `--format table` prints for people: percent, units,
and as many columns as the window has room for.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from roadtest import format as formats
from roadtest.format import (
    COLUMN_GAP,
    DASH,
    Row,
    choose_columns,
    format_interval,
    format_milliseconds,
    format_percent,
    format_short_count,
    printable,
    row_label,
)

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.table import Table

P50 = "_latency_p50_ms"  # how the columns with latencies elsewhere end
STYLES = {"ok": "green", "slow": "yellow", "missing": "red", "note": "cyan", "warning": "yellow", "error": "red"}
Column = formats.Column[Row]


def interval(row: Row, part: str, column: str = "accuracy") -> str:
    """`96.9 to 97.9`, in percent."""
    return format_interval(row.get(f"{part}_{column}_low"), row.get(f"{part}_{column}_high"), digits=1) or DASH


def count(value: int | None) -> str:
    """`65,219`, `21.3 M`: exact below a hundred thousand."""
    return format_short_count(value) if value is None or value >= 100_000 else f"{value:,}"


LEADERBOARD = (
    Column(title="network", text=row_label, is_right=False),
    Column(title="runs", text=lambda row: str(row["num_runs"]), rank=3),
    Column(title="val accuracy", text=lambda row: format_percent(row["val_accuracy_mean"])),
    Column(title="test accuracy", text=lambda row: format_percent(row["test_accuracy_mean"])),
    Column(title="95 % interval", text=lambda row: interval(row, "test"), rank=8),
    Column(title="letters", text=lambda row: row.get("letters") or DASH, rank=9, is_right=False),
)

LEVEL = Column(title="level", text=lambda row: str(row.get("level") or DASH), is_right=False)
"""Of training on drawn signs alone: what it owes to real ones."""
FINDINGS = (
    Column(title="", text=lambda row: str(row["status"]), is_right=False),
    Column(title="topic", text=lambda row: str(row["topic"]), is_right=False),
    Column(title="here", text=lambda row: str(row["text"]), is_right=False, is_folding=True),
    Column(title="what to do", text=lambda row: str(row["advice"] or ""), is_right=False, is_folding=True),
)

SECTIONS = {
    "complete": "",
    "incomplete": "",
    "diverged": "a seed diverged: not compared, the mean over the others would flatter",
    "undertrained": "too little training to compare: less than two epochs",
    "failed": "failed",
    "waiting": "not trained yet",
    "added": "added: not trained here, judged on the same images",
}


def print_leaderboard(rows: Sequence[Row], format: str) -> None:
    """Print a leaderboard; below the compared networks, each under a line, those that cannot be compared."""
    if format != "table":
        print_rows(rows, format)
        return
    parts: list[tuple[str, list[Row]]] = []
    for row in rows:
        heading = SECTIONS.get(row["status"], str(row["status"]))
        if not parts or parts[-1][0] != heading:
            parts.append((heading, []))
        parts[-1][1].append(row)
    level = [LEVEL] if any(row.get("level") for row in rows) else []
    shown = print_table([*leaderboard_columns(rows), *elsewhere_columns(rows), *level], parts)
    if timed := timing_words(rows, [column.title for column in shown]):
        print(printable(timed))


def leaderboard_columns(rows: Sequence[Row]) -> Sequence[Column]:
    """The columns for people: of the metrics only the one that chooses, where it is not accuracy with its interval."""
    from roadtest.analysis import ACCURACY, METRICS

    metric = METRICS[rows[0].get("metric", ACCURACY) if rows else ACCURACY]
    # Letters hold for one set of images, and the table has figures of two.
    part = next((row["judged_part"] for row in rows if row.get("judged_part")), None)
    title = f"letters ({part})" if part else "letters"
    has_letters = any(row.get("letters") for row in rows)
    table = [
        replace(one, title=title, rank=one.rank if has_letters else 1) if one.title == "letters" else one
        for one in LEADERBOARD  # a column of dashes is the first to go
    ] + cost_columns()
    if metric.name == ACCURACY:
        return table
    column = metric.column
    figures = (
        Column(title=f"val {metric.words}", text=lambda row: format_percent(row[f"val_{column}_mean"])),
        Column(title="95 % interval", text=lambda row: interval(row, "val", column), rank=8),
        Column(title=f"test {metric.words}", text=lambda row: format_percent(row[f"test_{column}_mean"])),
    )
    others = [one for one in table if "accuracy" not in one.title and "interval" not in one.title]
    return (*others[:2], *figures, *others[2:])


def cost_columns(*, without: str = "") -> list[Column]:
    """A column for every cost, or every other one."""
    from roadtest.analysis.costs import COSTS

    kinds = [kind for kind in COSTS if kind.column != without]
    return [Column(title=kind.head, text=kind.render_row, rank=kind.rank) for kind in kinds]


def elsewhere_columns(rows: Sequence[Row]) -> list[Column]:
    """Latency in ONNX Runtime and on other computers, where it was measured."""
    return [_latency_column(_title(place), f"{place}{P50}") for place in _places(rows)]


def _latency_column(title: str, name: str) -> Column:
    return Column(title=title, text=lambda row: format_milliseconds(row.get(name)), rank=2)


def timing_words(rows: Sequence[Row], titles: Sequence[str]) -> str | None:
    """What the latencies that are shown measure, with how many threads; None where there is one kind of them."""
    from roadtest.analysis.costs import NUM_THREADS, WHAT_IS_TIMED

    kinds = {"latency": NUM_THREADS} | {_title(place): f"{place}_num_threads" for place in _places(rows)}
    shown = {title: name for title, name in kinds.items() if title in titles}
    numbers = {title: {row[name] for row in rows if row.get(name) is not None} for title, name in shown.items()}
    told = [f"{title} {' or '.join(map(str, sorted(found)))}" for title, found in numbers.items() if found]
    return f"{WHAT_IS_TIMED} Threads: {', '.join(told)}." if len(told) > 1 else None


def _places(rows: Sequence[Row]) -> list[str]:
    """`onnx` and the other computers that any of the networks was measured on, as the columns' names begin."""
    names = [name for name in (rows[0] if rows else ()) if name.endswith(P50)]
    return [name.removesuffix(P50) for name in names if any(row.get(name) is not None for row in rows)]


def _title(place: str) -> str:
    return f"{'ONNX' if place == 'onnx' else place} latency"


def print_findings(rows: Sequence[Row], format: str) -> None:
    """Print what the doctor found."""
    if format != "table":
        print_rows(rows, format)
    else:
        print_table(FINDINGS, [("", list(rows))])


def print_rows(rows: Sequence[Row], format: str) -> None:
    """Print rows for a program: `json`, `csv` or `md`, and nothing else."""
    from roadtest.analysis import render_table

    sys.stdout.write(render_table(rows, format))


def caution(rows: Sequence[Row]) -> str | None:
    """What a single seed cannot tell; None where there are more."""
    compared = [row["num_runs"] for row in rows if row["num_runs"]]
    if compared and min(compared) == 1:
        return "1 seed: observed, not judged; add --seeds 3"
    return None


def print_table(columns: Sequence[Column], parts: Sequence[tuple[str, list[Row]]]) -> list[Column]:
    """Print rows in parts, each under its heading, and give the columns that there was room for.

    On a terminal in its width, in a file as wide as the table is.
    """
    from rich.console import Console

    rows = [row for _, part in parts for row in part]
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else 200
    shown = choose_columns(columns, rows, width)
    console = Console(file=sys.stdout, width=width, highlight=False, force_jupyter=False)
    with console.capture() as capture:
        for place, (heading, part) in enumerate(parts):
            if heading:
                console.print(f"── {heading}", style="dim", markup=False)
            console.print(_draw(shown, rows, part, has_header=place == 0))
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))
    hidden = [column.title for column in columns if column not in shown]
    if hidden:
        print(f"a wider window also shows: {', '.join(hidden)}", file=sys.stderr)
    return shown


def _draw(columns: Sequence[Column], rows: Sequence[Row], part: Sequence[Row], *, has_header: bool) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, COLUMN_GAP, 0, 0), header_style="dim", show_header=has_header)
    for column in columns:
        justify: JustifyMethod = "right" if column.is_right else "left"
        wide = column.width_for(rows) or None
        table.add_column(column.title, justify=justify, width=wide, no_wrap=not column.is_folding, overflow="fold")
    for row in part:
        # Lines are ours, and names may be anybody's.
        cells = ["\n".join(map(printable, column.text(row).split("\n"))) for column in columns]
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells))
    return table
