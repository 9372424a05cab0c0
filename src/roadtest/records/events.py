"""What travels between processes as JSON: events of a study at work, and what a worker is to train.

The worker writes events as lines, the study passes them on, the display draws them.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from roadtest.protocol import Protocol
from roadtest.records.schema import PlannedRun


@dataclass(frozen=True, kw_only=True)
class Event:
    """One step of progress. `kind` says which of the other fields are set.

    | kind | when | fields |
    |---|---|---|
    | download | a data set is fetched | num_done, num_total: bytes |
    | data | images are decoded | num_done, num_total |
    | planned | the study knows its runs | text: "12 runs, about 2 h 05 min, 6.4 GB"; num_total: number of runs |
    | queued | once per run, at the start | label, seed, status: "waiting" or "finished" (found complete) |
    | started | a run starts or resumes | label, seed, text: "from the start" or "from epoch 3.2" |
    | phase | a run does something else than train | label, seed, text: "probing precision", "evaluating", "test" |
    | step | about every half second of training | label, seed, epoch, images_per_second, train_seconds, seconds_left |
    | row | an evaluation | the same, and train_loss, train_accuracy, val_loss, val_accuracy |
    | finished | a run is complete | label, seed, train_seconds, val_accuracy, test_accuracy |
    | failed | a run failed | label, seed, text: the reason, status: a FailureKind |
    | done | the worker has finished its task: its last event | |
    | trial | the worker tried a rate | label, learning_rate, epoch, train_seconds, val_loss, val_accuracy |
    | sweep | the same in words | label, text: "rate 0.05: validation loss 0.31" |
    | latency | latencies are measured | num_done, num_total |
    | note | something was decided | text |
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


Emit = Callable[[Event], None]


def counting(emit: Emit, kind: str) -> Callable[[int, int], None]:
    """A function of what is done and what there is in all, which emits both as events of one kind."""
    return lambda done, total: emit(Event(kind=kind, num_done=done, num_total=total))


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """What a worker process is to train: one run, or one trial of the sweep."""

    study_dir: Path
    cache_dir: Path
    pixels_path: Path
    """The decoded images in the cache; their rows are those of the study's split.csv."""
    split_fingerprint: str
    """Of the study's split.csv, which holds the folds."""
    run: PlannedRun
    protocol: Protocol
    learning_rate: float
    device: str
    precision: str
    num_threads: int
    num_jobs: int = 1
    """Runs that the study does at the same time, at most, this one included."""
    reads_test: bool = True
    keeps_weights: bool = True
    anneals: bool = False
    """Copies are annealed at a quarter and a half of the budget, beside the run."""
    max_steps: int | None = None
    """Set for a trial of the sweep: train this many steps, report the validation figures, leave no folder."""

    @property
    def run_dir(self) -> Path:
        """The run's own folder."""
        return self.study_dir / self.run.folder

    def to_json(self) -> str:
        """Text for another process."""
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}
        return json.dumps({**plain, "run": vars(self.run), "protocol": self.protocol.to_dict()})

    @classmethod
    def from_json(cls, text: str) -> "RunSpec":
        """Read `to_json` back."""
        plain: dict[str, Any] = json.loads(text)
        for name in ("study_dir", "cache_dir", "pixels_path"):
            plain[name] = Path(plain[name])
        plain["run"], plain["protocol"] = PlannedRun(**plain["run"]), Protocol.from_dict(plain["protocol"])
        return cls(**plain)

    def event(self, kind: str, **values: Any) -> Event:
        """An event about this run."""
        return Event(kind=kind, label=self.run.label, seed=self.run.seed, **values)
