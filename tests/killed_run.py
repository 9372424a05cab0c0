"""Do one run in this process, which must be one of its own, and end it by SIGKILL at a named point.

The points are reached by the run itself, never by a clock. POINT `nowhere` lets it finish.
"""

import os
import signal
from pathlib import Path
from typing import Any

import torch

from roadtest.records.events import Event, RunSpec
from roadtest.training import checkpoint as state
from roadtest.training import loop as train
from roadtest.training import run

NUM_STEPS_BEFORE = 7
"""In the second of three epochs of coloured squares (5 steps each): inside an epoch, after a row."""


def end_now() -> None:
    """As hard as it gets: nothing is flushed, nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(job_path: str, point: str) -> None:
    """Run the job up to the point."""
    train.UPDATE_SECONDS = 0.0  # a tick, and so a chance to save, after every step
    state.SAVE_SECONDS, state.MAX_SAVE_SHARE = 0.0, float("inf")
    num_ticks, honest_save, honest_replace, honest_unlink = 0, torch.save, Path.replace, Path.unlink

    def emit(event: Event) -> None:
        nonlocal num_ticks
        num_ticks += event.kind == "step"
        if point == "mid-epoch" and num_ticks == NUM_STEPS_BEFORE:
            end_now()
        if point == "after a row" and event.kind == "row" and num_ticks >= NUM_STEPS_BEFORE:
            end_now()
        if point == "before a branch" and event.text == "annealing":
            end_now()

    def save(state: Any, path: Path) -> None:
        honest_save(state, path)
        if point == "inside the state's write" and num_ticks >= NUM_STEPS_BEFORE:
            os.truncate(path, path.stat().st_size // 2)
            end_now()
        if point == "inside a branch's state's write" and "branch.pt" in path.name:
            os.truncate(path, path.stat().st_size // 2)
            end_now()

    def replace(self: Path, target: Path) -> Path:
        if point == "between write and rename" and Path(target).name == "state.pt" and num_ticks >= NUM_STEPS_BEFORE:
            end_now()
        if point == "before the test set is kept" and Path(target).name == "test.npz":
            end_now()
        if point == "before record.json" and Path(target).name == "record.json":
            end_now()
        replaced = honest_replace(self, target)
        if point == "inside a branch" and Path(target).name == "branch.pt":
            end_now()
        return replaced

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if point == "after a branch's row" and self.name == "branch.pt" and self.exists():
            end_now()
        honest_unlink(self, missing_ok=missing_ok)

    torch.save = save
    Path.replace = replace  # type: ignore[method-assign, assignment]
    Path.unlink = unlink  # type: ignore[method-assign]
    run.execute(RunSpec.from_json(Path(job_path).read_text()), emit=emit)
