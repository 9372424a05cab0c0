"""What a person sees while a study works: a calm live table on a terminal, one plain line per evaluation elsewhere.

    with show_progress() as on_event:
        compare("gtsrb", on_event=on_event)

`StudyProgress` holds what the events reported; drawing reads it and changes nothing. In a narrow window columns go, in
a low one waiting and finished runs become a count. Everything goes to standard error: standard output is for results.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import IO, TYPE_CHECKING, TextIO

from roadtest.format import COLUMN_GAP, Column, choose_columns, printable
from roadtest.records.events import Emit, Event

if TYPE_CHECKING:
    from rich.console import Console, Group, JustifyMethod
    from rich.table import Table

MAX_LABEL = 32
WAITING, AT_WORK, DONE, FAILED = "waiting", "at work", "done", "failed"
_MARKS = {WAITING: ("·", "."), AT_WORK: ("▸", ">"), DONE: ("✓", "+"), FAILED: ("✗", "x")}
"""In front of a run, and the same in ASCII."""
_MARK_STYLES = {WAITING: "dim", AT_WORK: "cyan", DONE: "green", FAILED: "red"}
_ROW_STYLES = {WAITING: "dim", AT_WORK: "bold", DONE: "", FAILED: "red"}
_LINE_STYLES = {"planned": "bold", "note": "", "warning": "yellow", "failed": "red"}
"""Events that a terminal keeps as lines above the table."""
_STATES = {"started": AT_WORK, "phase": AT_WORK, "step": AT_WORK, "row": AT_WORK, "finished": DONE, "failed": FAILED}
_STATUSES = {"started": "starting", "step": "training", "row": "training", "finished": "done", "failed": FAILED}
_PHASES = {"probing precision": "probing", "final evaluation": "evaluating", "reading the test set": "testing"}
_ENDS = {
    "download": "{megabytes:,.0f} MB downloaded",
    "data": "{total:,} images decoded",
    "latency": "latency measured",
}


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


@dataclass(kw_only=True)
class RunProgress:
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

    def take(self, event: Event) -> None:
        """Keep what an event says about this run."""
        is_finished = event.status == "finished"
        self.state = DONE if is_finished else _STATES.get(event.kind, self.state)
        if event.kind == "queued":
            self.status = "done before" if is_finished else WAITING
        elif event.kind == "phase":
            self.status = _PHASES.get(event.text, event.text)
        else:
            self.status = _STATUSES.get(event.kind, self.status)
        for one in fields(self):
            value = getattr(event, one.name, None)
            if one.default is None and value is not None:
                setattr(self, one.name, value)
        if self.state in (DONE, FAILED):
            self.seconds_left = None


RunColumn = Column[RunProgress]
FIGURES = (
    RunColumn(title="epoch", width=5, rank=6, text=lambda run: _number(run.epoch, 1)),
    RunColumn(title="train loss", width=10, rank=1, text=lambda run: _number(run.train_loss, 3)),
    RunColumn(title="val loss", width=8, rank=3, text=lambda run: _number(run.val_loss, 3)),
    RunColumn(title="train acc", width=9, rank=5, text=lambda run: _percent(run.train_accuracy)),
    RunColumn(title="val acc", width=7, rank=9, text=lambda run: _percent(run.val_accuracy)),
    RunColumn(title="images/s", width=8, rank=2, text=lambda run: _number(run.images_per_second, 0)),
    RunColumn(title="used", width=7, rank=7, text=lambda run: render_clock(run.train_seconds)),
    RunColumn(title="left", width=7, rank=8, text=lambda run: render_clock(run.seconds_left)),
)
SEED = RunColumn(title="seed", width=4, rank=4, text=lambda run: str(run.seed))
STATUS = RunColumn(title="status", width=11, text=lambda run: run.status, is_right=False)


def _label(run: RunProgress) -> str:
    return run.label if len(run.label) <= MAX_LABEL else run.label[: MAX_LABEL - 1] + "…"


def columns_for(runs: Sequence[RunProgress], width: int) -> list[RunColumn]:
    """The columns that fit into `width` characters; no seeds where all are the same."""
    label = RunColumn(title="run", width=max(len(_label(run)) for run in runs), text=_label, is_right=False)
    seed = [SEED] if len({run.seed for run in runs}) > 1 else []
    return choose_columns([label, *seed, STATUS, *FIGURES], runs, width - 1 - COLUMN_GAP)


def choose_runs(runs: list[RunProgress], height: int) -> list[RunProgress]:
    """The runs that fit into `height` lines: at work, failed, the latest finished, the next waiting; in their order."""
    if len(runs) <= height:
        return runs
    urgency = {AT_WORK: 0, FAILED: 1, DONE: 2, WAITING: 2}
    busy = [place for place, run in enumerate(runs) if run.state == AT_WORK] or [
        next((place for place, run in enumerate(runs) if run.state == WAITING), len(runs) - 1)
    ]
    order = sorted(
        range(len(runs)), key=lambda place: (urgency[runs[place].state], min(abs(place - other) for other in busy))
    )
    return [runs[place] for place in sorted(order[: max(height, 1)])]


@dataclass(kw_only=True)
class StudyProgress:
    """Everything that the events of a study reported so far."""

    by_run: dict[tuple[str, int], RunProgress] = field(default_factory=dict)
    activity: str = ""
    """What happens beside the runs: images are decoded, latency is measured."""
    started: float = field(default_factory=time.monotonic)

    @property
    def runs(self) -> list[RunProgress]:
        """All runs, in the order in which they were reported."""
        return list(self.by_run.values())

    def take(self, event: Event) -> None:
        """Keep what an event says."""
        if event.label and event.seed is not None:
            self.activity = ""
            run = RunProgress(label=event.label, seed=event.seed)
            self.by_run.setdefault((event.label, event.seed), run).take(event)
        elif event.kind in ("download", "data", "latency", "sweep", "phase") and event.seed is None:
            self.activity = _activity(event)

    def seconds_left(self) -> float | None:
        """Estimate the training seconds still to come: those at work, then as many like the mean of the known ones."""
        runs = self.runs
        left = [run.seconds_left for run in runs if run.state == AT_WORK]
        known = [seconds for seconds in left if seconds is not None]
        if not left or len(known) < len(left):
            return None
        wholes = [run.train_seconds + (run.seconds_left or 0.0) for run in runs if run.train_seconds is not None]
        mean = sum(wholes) / len(wholes) if wholes else sum(known)
        return (sum(known) + _count(runs, WAITING) * mean) / len(left)


def _count(runs: Sequence[RunProgress], *states: str) -> int:
    return sum(run.state in states for run in runs)


def _activity(event: Event) -> str:
    if event.kind == "sweep":
        return f"sweep  {event.label}  {event.text}"
    if event.kind == "phase":
        return event.text
    done, total = event.num_done or 0, event.num_total or 0
    if total and done >= total:
        return ""
    if event.kind == "download":
        return f"downloading  {done / 1e6:,.0f} " + (f"of {total / 1e6:,.0f} MB" if total else "MB")
    what = "decoding images" if event.kind == "data" else "measuring latency"
    return f"{what}  {done:,} of {total:,}"


def draw(progress: StudyProgress, *, width: int, height: int, is_plain: bool = False) -> "Group":
    """The progress as rich draws it, at most `width` x `height` characters; `is_plain` keeps to ASCII marks."""
    from rich.console import Group
    from rich.text import Text

    runs = progress.runs
    shown = choose_runs(runs, height - 6)
    parts: list[Table | Text] = []
    if runs:
        parts += [Text(""), _draw_table(shown, columns_for(runs, width), is_plain=is_plain)]
    hidden = [run for run in runs if run not in shown]
    counts = [(state, _count(hidden, state)) for state in (DONE, FAILED, AT_WORK, WAITING)]
    if hidden:
        parts.append(Text(f"  and {', '.join(f'{number} {state}' for state, number in counts if number)}", style="dim"))
    foot = ("  -  " if is_plain else "  ·  ").join(_foot(progress))
    return Group(*parts, Text(""), Text(foot, style="dim", no_wrap=True, overflow="ellipsis"))


def _draw_table(runs: list[RunProgress], columns: list[RunColumn], *, is_plain: bool) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, COLUMN_GAP, 0, 0), header_style="dim")
    table.add_column("", width=1)
    for column in columns:
        justify: JustifyMethod = "right" if column.is_right else "left"
        table.add_column(column.title, justify=justify, width=column.width, no_wrap=True, overflow="ellipsis")
    for run in runs:
        mark = Text(_MARKS[run.state][is_plain], style=_MARK_STYLES[run.state])
        table.add_row(mark, *(Text(column.text(run)) for column in columns), style=_ROW_STYLES[run.state])
    return table


def _foot(progress: StudyProgress) -> Iterator[str]:
    if progress.activity:
        yield progress.activity
    if progress.runs:
        yield f"{_count(progress.runs, DONE, FAILED)} of {len(progress.runs)} runs"
    yield f"{render_clock(time.monotonic() - progress.started)} so far"
    left = progress.seconds_left()
    if left is not None:
        yield f"about {render_clock(left)} of training left"


def render_line(event: Event) -> str | None:
    """One event as one plain line for a file or a notebook; None for those that would only be noise there."""
    who = f"{event.label} seed {event.seed}" if event.seed is not None else event.label
    match event.kind:
        case "planned" | "note":
            return event.text
        case "warning":
            return f"warning: {event.text}"
        case "phase":
            return event.text if event.seed is None else None
        case "queued":
            return f"{who}  was finished before" if event.status == "finished" else None
        case "started":
            return f"{who}  starts {event.text}"
        case "row":
            run = RunProgress(label=event.label, seed=event.seed or 0)
            run.take(event)
            figures = [(column.title, column.text(run)) for column in FIGURES]
            return f"{who}  " + "  ".join(f"{title} {text}" for title, text in figures if text)
        case "finished":
            return f"{who}  done  val acc {_percent(event.val_accuracy)}  in {render_clock(event.train_seconds)}"
        case "failed":
            return f"{who}  failed: {event.text}"
        case "sweep":
            return f"{who}  sweep  {event.text}"
    if event.kind in _ENDS and event.num_total and event.num_done == event.num_total:
        return _ENDS[event.kind].format(total=event.num_total, megabytes=event.num_total / 1e6)
    return None


@contextmanager
def show_progress(
    *, is_quiet: bool = False, stream: TextIO | None = None, console: "Console | None" = None
) -> Iterator[Emit]:
    """Give a function that shows the events it is called with, on standard error, until the block ends."""
    from rich.console import Console

    screen = console or Console(file=stream or sys.stderr, force_jupyter=False)
    # `!roadtest ...` in a notebook: its kernel lends a terminal, but nothing there moves a cursor.
    is_cell = "JPY_PARENT_PID" in os.environ
    if is_quiet:
        yield lambda event: None
    elif screen.is_terminal and not screen.is_dumb_terminal and not is_cell:
        with _live(screen) as on_event:
            yield on_event
    else:
        yield lambda event: _write_line(screen.file, event)


def write_trouble(event: Event) -> None:
    """Write a warning or a failed run on standard error: what must be seen also where nobody shows progress."""
    if event.kind in ("warning", "failed"):
        _write_line(sys.stderr, event)


def _write_line(stream: IO[str], event: Event) -> None:
    text = render_line(_harmless(event))
    if text is not None:
        print(text, file=stream, flush=True)


def _harmless(event: Event) -> Event:
    """An event whose words, perhaps somebody's file names, do nothing to a terminal."""
    return replace(event, label=printable(event.label), text=printable(event.text))


@contextmanager
def _live(screen: "Console") -> Iterator[Callable[[Event], None]]:
    from rich.live import Live

    progress = StudyProgress()
    is_plain = not screen.encoding.lower().startswith("utf")

    def picture() -> "Group":
        return draw(progress, width=screen.width, height=screen.height, is_plain=is_plain)

    def on_event(event: Event) -> None:
        event = _harmless(event)
        progress.take(event)
        if event.kind in _LINE_STYLES:
            style = _LINE_STYLES[event.kind]
            screen.print(render_line(event), style=style, markup=False, highlight=False, soft_wrap=True)

    with Live(console=screen, get_renderable=picture, refresh_per_second=4, vertical_overflow="crop") as live:
        try:
            yield on_event
        finally:
            progress.activity = ""  # the last picture stays on the screen, and nothing goes on any more
            live.transient = not progress.by_run  # without runs nothing in it is worth keeping
