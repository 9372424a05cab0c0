"""Tables on the terminal: the leaderboard, the networks, the doctor's findings. Results go to standard output.

`json`, `csv` and `md` come from summarise, raw; here is only what `--format table` prints for people: percent, units,
and as many columns as the window has room for.
"""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
MINUS = "–"  # not measured


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column for people; the one with the lowest rank goes first where there is no room."""

    title: str
    text: Callable[[Row], str]
    rank: int = 99
    is_right: bool = True
    is_folding: bool = False
    """Long words go on in the next line instead of widening the column."""


def percent(row: Row, name: str) -> str:
    """`97.42 %`, with the interval where one was judged: `97.42 % (96.9 to 97.9)`."""
    value, low, high = (row.get(f"{name}_{part}") for part in ("mean", "low", "high"))
    if value is None:
        return MINUS
    interval = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return f"{100 * value:.2f} %{interval}"


def count(value: int | None) -> str:
    """`65,219`, `21.3 M`, `1.16 G`: exact below a hundred thousand, three digits above."""
    return MINUS if value is None else _scaled(value, 1000, ("", " k", " M", " G"))


def size(value: int | None) -> str:
    """Bytes in decimal units: `81.2 MB`."""
    return MINUS if value is None else _scaled(value, 1000, (" B", " kB", " MB", " GB"))


def _scaled(value: float, step: int, units: Sequence[str]) -> str:
    if value < 100_000 and units[0] == "":
        return f"{value:,}"
    place = 0
    while value >= step and place < len(units) - 1:
        value, place = value / step, place + 1
    digits = 0 if place == 0 or value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}{units[place]}"


def seconds(value: float | None) -> str:
    """`42 s`, `3 min 05 s`, `2 h 03 min`."""
    if value is None:
        return MINUS
    whole = round(value)
    if whole < 60:
        return f"{value:.0f} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def milliseconds(value: float | None) -> str:
    """Three digits: `0.412 ms`, `12.3 ms`."""
    return MINUS if value is None else f"{value:#.3g}".rstrip(".") + " ms"


def label(row: Row) -> str:
    """`lenet5+stn`."""
    return f"{row['network']}+stn" if row["has_stn"] else str(row["network"])


LEADERBOARD = (
    Column(title="network", text=label, is_right=False),
    Column(title="runs", text=lambda row: str(row["num_runs"]), rank=3),
    Column(title="val accuracy", text=lambda row: percent(row, "val_accuracy")),
    Column(title="test accuracy", text=lambda row: percent(row, "test_accuracy")),
    Column(title="parameters", text=lambda row: count(row["num_parameters"]), rank=6),
    Column(title="MACs", text=lambda row: count(row["macs"]), rank=4),
    Column(title="size", text=lambda row: size(row["size_bytes"]), rank=2),
    Column(title="trained", text=lambda row: seconds(row["train_seconds_mean"]), rank=7),
    Column(title="latency", text=lambda row: milliseconds(row["latency_p50_ms"]), rank=5),
    Column(title="memory", text=lambda row: size(row["peak_memory_bytes"]), rank=1),
)
NETWORKS = (
    Column(title="network", text=label, is_right=False),
    Column(title="parameters", text=lambda row: f"{row['num_parameters']:,}"),
    Column(title="MACs", text=lambda row: count(row["macs"])),
    Column(title="what it is", text=lambda row: str(row["about"]), is_right=False, is_folding=True),
)
FINDINGS = (
    Column(title="", text=lambda row: str(row["status"]), is_right=False),
    Column(title="topic", text=lambda row: str(row["topic"]), is_right=False),
    Column(title="here", text=lambda row: str(row["text"]), is_right=False, is_folding=True),
    Column(title="what to do", text=lambda row: str(row["advice"] or ""), is_right=False, is_folding=True),
)
SECTIONS = {
    "complete": "",
    "incomplete": "",
    "undertrained": "too little training to compare (less than two epochs)",
    "failed": "failed",
    "waiting": "not trained yet",
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
    print_table(LEADERBOARD, parts)


def print_networks(rows: Sequence[Row], format: str) -> None:
    """Print what can be compared."""
    if format != "table":
        print_rows(rows, format)
    else:
        print_table(NETWORKS, [("", list(rows))])


def print_findings(rows: Sequence[Row], format: str) -> None:
    """Print what the doctor found."""
    if format != "table":
        print_rows(rows, format)
    else:
        print_table(FINDINGS, [("", list(rows))])


def print_rows(rows: Sequence[Row], format: str) -> None:
    """Print rows for a program: `json`, `csv` or `md`, and nothing else."""
    from roadtest.summarise import render_table

    sys.stdout.write(render_table(rows, format))


def caution(rows: Sequence[Row]) -> str | None:
    """What a single seed cannot tell; None where there are more."""
    compared = [row["num_runs"] for row in rows if row["num_runs"]]
    if compared and min(compared) == 1:
        return "1 seed: observed, not judged; add --seeds 3"
    return None


def network_rows(names: Sequence[str], *, image_size: int, num_classes: int) -> list[Row]:
    """Count parameters and MACs of the named networks (all of our own where none is named), STN off and on."""
    from roadtest.cost import count_macs, count_parameters
    from roadtest.networks import NETWORKS as OWN
    from roadtest.networks import build_on_paper, default_stn, describe_network, parse_label, resolve_networks

    rows: list[Row] = []
    for word in resolve_networks(list(names) or list(OWN)):
        name, asked = parse_label(word)
        for has_stn in [asked] if asked is not None else [False, True] if default_stn(name) == "both" else [False]:
            network = build_on_paper(name, num_classes=num_classes, image_size=image_size, has_stn=has_stn)
            about = describe_network(name) if not has_stn else "the same behind a spatial transformer"
            row: Row = {"network": name, "has_stn": has_stn, "num_parameters": count_parameters(network)}
            rows.append(row | {"macs": count_macs(network, image_size), "about": about})
    return rows


def choose_columns(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[Column]:
    """The columns that fit into `width` characters, those with the highest ranks, in their order."""
    kept = list(columns)
    widths = {
        column.title: 0
        if column.is_folding
        else 2 + max(len(column.title), *(len(column.text(row)) for row in rows), 0)
        for column in columns
    }
    while sum(widths[column.title] for column in kept) > width and min(column.rank for column in kept) < 99:
        kept.remove(min(kept, key=lambda column: column.rank))
    return kept


def print_table(columns: Sequence[Column], parts: Sequence[tuple[str, list[Row]]]) -> None:
    """Print rows in named parts; on a terminal in its width, in a file in the width of the table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [row for _, part in parts for row in part]
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else 200
    console = Console(file=sys.stdout, width=width, highlight=False, force_jupyter=False)
    shown = choose_columns(columns, rows, width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in shown:
        justify = "right" if column.is_right else "left"
        overflow = "fold" if column.is_folding else "ellipsis"
        table.add_column(column.title, justify=justify, no_wrap=not column.is_folding, overflow=overflow)  # type: ignore[arg-type]
    for heading, part in parts:
        if heading:
            table.add_section()
            table.add_row(Text(f"── {heading}", style="dim"))
        for row in part:
            table.add_row(*(Text(column.text(row)) for column in shown))
    console.print(table)
    hidden = [column.title for column in columns if column not in shown]
    if hidden:
        print(f"(a wider window also shows {', '.join(hidden)})", file=sys.stderr)
