"""What a person sees while a study works: a calm live table on a terminal, one plain line per evaluation elsewhere.

    with show_progress() as on_event:
        compare("gtsrb", on_event=on_event)

A `Board` (progress.py) is what is known so far; drawing reads it and changes nothing. Columns go one by one where the
window is narrow; where it is low, waiting and finished runs are summed up in a line and those at work stay. Everything
is written to standard error: standard output belongs to results. A notebook or a file gets whole lines that are never
wrapped, an evaluation each.

The board of a working study: one line per run, kept up to date by the events it takes.

Only what is known, no drawing: `progress.py` draws a board on a terminal, and anything else may do so too.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, TextIO

from roadtest.format import printable
from roadtest.records.events import Event

if TYPE_CHECKING:
    from rich.console import Console, Group, JustifyMethod
    from rich.table import Table


def render_clock(seconds: float | None) -> str:
    """`0:42`, `12:05`, `2:03:10`; an empty text where nothing is known."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


_GAP = 2
_MAX_LABEL = 32
_ENDS = {
    "download": "{megabytes:,.0f} MB downloaded",
    "data": "{total:,} images decoded",
    "latency": "latency measured",
}


def render_line(event: Event) -> str | None:
    """One event as one plain line for a file or a notebook; None for those that would only be noise there."""
    who = f"{event.label} seed {event.seed}" if event.seed is not None else event.label
    if event.kind in ("planned", "note", "warning"):
        return f"warning: {event.text}" if event.kind == "warning" else event.text
    if event.kind == "row":
        return f"{who}  " + "  ".join(_row_words(event))
    if event.kind == "started":
        return f"{who}  starts {event.text}"
    if event.kind == "queued" and event.status == "finished":
        return f"{who}  was finished before"
    if event.kind == "finished":
        return f"{who}  done  val acc {_percent(event.val_accuracy)}  in {render_clock(event.train_seconds)}"
    if event.kind == "failed":
        return f"{who}  failed: {event.text}"
    if event.kind == "sweep":
        return f"{who}  sweep  {event.text}"
    if event.kind == "phase" and event.seed is None:
        return event.text
    if event.kind in _ENDS and event.num_total and event.num_done == event.num_total:
        return _ENDS[event.kind].format(total=event.num_total, megabytes=event.num_total / 1e6)
    return None


def _row_words(event: Event) -> list[str]:
    line = Line(label=event.label, seed=event.seed or 0)
    note(line, event)
    words = [(column.title, column.text(line)) for column in COLUMNS if column.title not in ("run", "seed", "status")]
    return [f"{title} {text}" for title, text in words if text]


@contextmanager
def show_progress(
    *, is_quiet: bool = False, stream: TextIO | None = None, console: "Console | None" = None
) -> Iterator[Callable[[Event], None]]:
    """Give a function that shows the events it is called with, on standard error, until the block ends."""
    from rich.console import Console

    screen = console or Console(file=stream or sys.stderr, force_jupyter=False)
    if is_quiet:
        yield lambda event: None
    elif screen.is_terminal and not screen.is_dumb_terminal and not _is_cell():
        with _live(screen) as on_event:
            yield on_event
    else:
        yield lambda event: _write_line(screen.file, event)


def _is_cell() -> bool:
    """Whether this is `!roadtest ...` in a notebook: its kernel lends a terminal, but what it shows moves no cursor."""
    return "JPY_PARENT_PID" in os.environ


def _harmless(event: Event) -> Event:
    """An event whose words, perhaps somebody's file names, do nothing to a terminal."""
    return replace(event, label=printable(event.label), text=printable(event.text))


def write_trouble(event: Event) -> None:
    """Write a warning or a failed run on standard error: what must be seen also where nobody shows progress."""
    if event.kind in ("warning", "failed"):
        _write_line(sys.stderr, event)


def _write_line(stream: IO[str], event: Event) -> None:
    text = render_line(_harmless(event))
    if text is not None:
        print(text, file=stream, flush=True)


@contextmanager
def _live(screen: "Console") -> Iterator[Callable[[Event], None]]:
    from rich.live import Live

    board = Board()
    is_plain = not screen.encoding.lower().startswith("utf")

    def picture() -> "Group":
        return draw(board, width=screen.width, height=screen.height, is_plain=is_plain)

    def on_event(event: Event) -> None:
        event = _harmless(event)
        board.take(event)
        if event.kind in _LOUD:
            screen.print(render_line(event), style=_LOUD[event.kind], markup=False, highlight=False, soft_wrap=True)

    with Live(console=screen, get_renderable=picture, refresh_per_second=4, vertical_overflow="crop") as live:
        try:
            yield on_event
        finally:
            board.aside = ""  # the last picture stays on the screen, and nothing is going on any more
            live.transient = not board.lines  # without runs there is nothing worth keeping in it


_LOUD = {"planned": "bold", "note": "", "warning": "yellow", "failed": "red"}
WAITING, AT_WORK, DONE, FAILED = "waiting", "at work", "done", "failed"
_STYLES = {WAITING: "dim", AT_WORK: "bold", DONE: "", FAILED: "red"}
_MARKS = {WAITING: ("·", "."), AT_WORK: ("▸", ">"), DONE: ("✓", "+"), FAILED: ("✗", "x")}
_MARK_STYLES = {WAITING: "dim", AT_WORK: "cyan", DONE: "green", FAILED: "red"}


@dataclass(kw_only=True)
class Line:
    """One run as the table shows it; None is not known yet."""

    label: str
    seed: int
    state: str = WAITING
    status: str = WAITING
    epoch: float | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    images_per_second: float | None = None
    train_seconds: float | None = None
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the live table; the one with the lowest rank goes first where there is no room."""

    title: str
    width: int
    """Fixed, so that nothing jumps while numbers come in; 0 is as wide as the longest label."""
    rank: int
    text: Callable[[Line], str]
    is_right: bool = True


COLUMNS = (
    Column(title="run", width=0, rank=11, text=lambda line: line.label, is_right=False),
    Column(title="seed", width=4, rank=4, text=lambda line: str(line.seed)),
    Column(title="status", width=11, rank=10, text=lambda line: line.status, is_right=False),
    Column(title="epoch", width=5, rank=6, text=lambda line: _number(line.epoch, 1)),
    Column(title="train loss", width=10, rank=1, text=lambda line: _number(line.train_loss, 3)),
    Column(title="val loss", width=8, rank=3, text=lambda line: _number(line.val_loss, 3)),
    Column(title="train acc", width=9, rank=5, text=lambda line: _percent(line.train_accuracy)),
    Column(title="val acc", width=7, rank=9, text=lambda line: _percent(line.val_accuracy)),
    Column(title="images/s", width=8, rank=2, text=lambda line: _number(line.images_per_second, 0)),
    Column(title="used", width=7, rank=7, text=lambda line: render_clock(line.train_seconds)),
    Column(title="left", width=7, rank=8, text=lambda line: render_clock(line.seconds_left)),
)


def choose_columns(lines: list[Line], width: int) -> list[Column]:
    """The columns that fit into `width` characters, those with the highest ranks; no seeds where all are the same."""
    kept = [column for column in COLUMNS if column.title != "seed" or len({line.seed for line in lines}) > 1]
    mark = 1 + _GAP
    while mark + sum(_width(column, lines) + _GAP for column in kept) - _GAP > width and len(kept) > 2:
        kept.remove(min(kept, key=lambda column: column.rank))
    return kept


def _width(column: Column, lines: list[Line]) -> int:
    return column.width or min(max(len(column.text(line)) for line in lines), _MAX_LABEL)


def choose_lines(lines: list[Line], height: int) -> list[Line]:
    """The runs that fit into `height` lines: at work, failed, the latest finished, the next waiting; in their order."""
    if len(lines) <= height:
        return lines
    urgency = {AT_WORK: 0, FAILED: 1, DONE: 2, WAITING: 2}
    busy = [place for place, line in enumerate(lines) if line.state == AT_WORK] or [
        next((place for place, line in enumerate(lines) if line.state == WAITING), len(lines) - 1)
    ]
    order = sorted(
        range(len(lines)),
        key=lambda place: (urgency[lines[place].state], min(abs(place - other) for other in busy)),
    )
    return [lines[place] for place in sorted(order[: max(height, 1)])]


def _draw_table(lines: list[Line], all_lines: list[Line], *, width: int, is_plain: bool) -> "Table":
    from rich.table import Table
    from rich.text import Text

    columns = choose_columns(all_lines, width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    table.add_column("", width=1)
    for column in columns:
        justify: JustifyMethod = "right" if column.is_right else "left"
        wide = _width(column, all_lines)
        table.add_column(column.title, justify=justify, width=wide, no_wrap=True, overflow="ellipsis")
    for line in lines:
        mark = Text(_MARKS[line.state][is_plain], style=_MARK_STYLES[line.state])
        table.add_row(mark, *(Text(column.text(line)) for column in columns), style=_STYLES[line.state])
    return table


def _tally(lines: list[Line]) -> str:
    counts = [(state, sum(line.state == state for line in lines)) for state in (DONE, FAILED, AT_WORK, WAITING)]
    return ", ".join(f"{number} {state}" for state, number in counts if number)


@dataclass(kw_only=True)
class Board:
    """Everything the events have told so far."""

    lines: dict[tuple[str, int], Line] = field(default_factory=dict)
    title: str = ""
    aside: str = ""
    """What happens beside the runs: images being decoded, latency being measured."""
    started: float = field(default_factory=time.monotonic)

    def take(self, event: Event) -> None:
        """Note what an event tells."""
        if event.kind == "planned":
            self.title = event.text
        elif event.kind in _ASIDES and event.seed is None:
            self.aside = _aside(event)
        elif event.label and event.seed is not None:
            self.aside = ""
            line = self.lines.setdefault((event.label, event.seed), Line(label=event.label, seed=event.seed))
            note(line, event)

    def count(self, state: str) -> int:
        """How many runs are in a state."""
        return sum(line.state == state for line in list(self.lines.values()))

    def seconds_left(self) -> float | None:
        """Estimate the training seconds still to come: those at work, then as many like the mean of the known ones."""
        lines = list(self.lines.values())
        at_work = [line for line in lines if line.state == AT_WORK]
        if not at_work or any(line.seconds_left is None for line in at_work):
            return None
        wholes = [line.train_seconds + (line.seconds_left or 0.0) for line in lines if line.train_seconds is not None]
        left = sum(line.seconds_left or 0.0 for line in at_work)
        to_come = self.count(WAITING) * sum(wholes) / len(wholes) if wholes else left * self.count(WAITING)
        return (left + to_come) / len(at_work)


def draw(board: Board, *, width: int, height: int, is_plain: bool = False) -> "Group":
    """The board as rich draws it, at most `width` x `height` characters; `is_plain` keeps to ASCII marks."""
    from rich.console import Group
    from rich.text import Text

    lines = list(board.lines.values())
    shown = choose_lines(lines, height - 6)
    parts: list[Table | Text] = []
    if lines:
        parts += [Text(""), _draw_table(shown, lines, width=width, is_plain=is_plain)]
    hidden = [line for line in lines if line not in shown]
    if hidden:
        parts.append(Text(f"  and {_tally(hidden)}", style="dim"))
    parts += [Text(""), Text(_foot(board, is_plain=is_plain), style="dim", no_wrap=True, overflow="ellipsis")]
    return Group(*parts)


def _foot(board: Board, *, is_plain: bool) -> str:
    dot = "  -  " if is_plain else "  ·  "
    parts = [board.aside] if board.aside else []
    if board.lines:
        num_over = board.count(DONE) + board.count(FAILED)
        parts.append(f"{num_over} of {len(board.lines)} runs")
    parts.append(f"{render_clock(time.monotonic() - board.started)} so far")
    left = board.seconds_left()
    if left is not None:
        parts.append(f"about {render_clock(left)} of training left")
    return dot.join(parts)


_ASIDES = ("download", "data", "latency", "sweep", "phase")
_STATES = {"started": AT_WORK, "phase": AT_WORK, "step": AT_WORK, "row": AT_WORK, "finished": DONE, "failed": FAILED}
_PHASES = {"probing precision": "probing", "final evaluation": "evaluating", "reading the test set": "testing"}

_NUMBERS = (
    "epoch",
    "train_loss",
    "val_loss",
    "train_accuracy",
    "val_accuracy",
    "images_per_second",
    "train_seconds",
    "seconds_left",
)


def note(line: Line, event: Event) -> None:
    """Write what an event tells about a run into its line."""
    line.state = DONE if event.status == "finished" else _STATES.get(event.kind, line.state)
    words = {
        "started": "starting",
        "phase": _PHASES.get(event.text, event.text),
        "step": "training",
        "row": "training",
        "finished": "done",
    }
    if event.kind == "queued":
        line.status = "done before" if event.status == "finished" else WAITING
    else:
        line.status = words.get(event.kind, FAILED if event.kind == "failed" else line.status)
    for name in _NUMBERS:
        value = getattr(event, name)
        if value is not None:
            setattr(line, name, value)
    if line.state in (DONE, FAILED):
        line.seconds_left = None


def _aside(event: Event) -> str:
    if event.kind == "sweep":
        return f"sweep  {event.label}  {event.text}"
    if event.kind == "phase":
        return event.text
    done, total = event.num_done or 0, event.num_total or 0
    if event.kind == "download" and not total:
        return f"downloading  {done / 1e6:,.0f} MB"
    if event.kind == "download" and done < total:
        return f"downloading  {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
    what = "decoding images" if event.kind == "data" else "measuring latency"
    return "" if total and done >= total else f"{what}  {done:,} of {total:,}"
