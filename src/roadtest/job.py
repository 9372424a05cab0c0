"""What a worker process is told: one run, or one trial of the sweep, as a value that travels as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadtest.events import Event
from roadtest.protocol import Protocol
from roadtest.record import PlannedRun


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a run is told; JSON on its way to another process."""

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
        """The job as text for another process."""
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}
        return json.dumps({**plain, "run": vars(self.run), "protocol": self.protocol.to_dict()})

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Read `to_json` back."""
        plain: dict[str, Any] = json.loads(text)
        for name in ("study_dir", "cache_dir", "pixels_path"):
            plain[name] = Path(plain[name])
        plain["run"], plain["protocol"] = PlannedRun(**plain["run"]), Protocol.from_dict(plain["protocol"])
        return cls(**plain)

    def event(self, kind: str, **values: Any) -> Event:
        """An event about this run."""
        return Event(kind=kind, label=self.run.label, seed=self.run.seed, **values)
