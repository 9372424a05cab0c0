"""The board of a working study: one line per run, kept up to date by the events it takes.

Only what is known, no drawing: `progress.py` draws a board on a terminal, and anything else may do so too.
"""

import time
from dataclasses import dataclass, field

from roadtest.events import Event

WAITING, AT_WORK, DONE, FAILED = "waiting", "at work", "done", "failed"


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
