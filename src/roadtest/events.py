"""What a study tells while it works: one small value per happening, for whoever wants to show it.

Floor of plain words: the worker writes events as JSON lines, the study passes them on, the display draws them.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """One happening. `kind` says which of the other fields are set.

    | kind | when | fields |
    |---|---|---|
    | download | a data set is fetched | num_done, num_total: bytes |
    | data | images are decoded | num_done, num_total |
    | planned | the study knows its runs | text: "12 runs, about 2 h 05 min, 6.4 GB"; num_total: number of runs |
    | queued | once per run, at the start | label, seed, status: "waiting" or "finished" (found complete) |
    | started | a run begins or goes on | label, seed, text: "from the start" or "from epoch 3.2" |
    | phase | a run does something else than train | label, seed, text: "probing precision", "evaluating", "test" |
    | step | about every half second of training | label, seed, epoch, images_per_second, train_seconds, seconds_left |
    | row | an evaluation | the same, and train_loss, train_accuracy, val_loss, val_accuracy |
    | finished | a run is complete | label, seed, train_seconds, val_accuracy, test_accuracy |
    | failed | a run failed | label, seed, text: the reason |
    | done | the worker has done all that it was told to: the last it tells | |
    | trial | the worker tried a rate | label, learning_rate, epoch, train_seconds, val_loss, val_accuracy |
    | sweep | the same in words | label, text: "rate 0.05: validation loss 0.31" |
    | latency | latencies are measured | num_done, num_total |
    | note | something that was decided | text |
    | warning | something to beware of | text |
    """

    kind: str
    label: str = ""
    seed: int | None = None
    text: str = ""
    status: str = ""
    num_done: int | None = None
    num_total: int | None = None
    epoch: float | None = None
    images_per_second: float | None = None
    train_seconds: float | None = None
    seconds_left: float | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    learning_rate: float | None = None

    def to_line(self) -> str:
        """One line of JSON, without the fields that are not set."""
        return json.dumps({key: value for key, value in asdict(self).items() if value not in (None, "")})

    @classmethod
    def from_line(cls, line: str) -> "Event":
        """Read `to_line` back; a ValueError where the line is something else."""
        plain: Any = json.loads(line)
        if not isinstance(plain, dict) or "kind" not in plain or not set(plain) <= {f.name for f in fields(cls)}:
            raise ValueError(f"not an event: {line[:80]!r}")
        return cls(**plain)


def printable(text: str) -> str:
    """Text that does nothing to a terminal: what is no printed sign becomes a question mark."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def counting(tell: Callable[[Event], None], kind: str) -> Callable[[int, int], None]:
    """A function of what is done and what there is in all, which tells both as events of one kind."""
    return lambda done, total: tell(Event(kind=kind, num_done=done, num_total=total))
