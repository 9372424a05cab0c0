"""`roadtest compare` with all its runs in one process, for a GPU that is lent by the minute.

    python -m benchmarks.accuracy.one_process gtsrb --stn both --seeds 3 --budget 16s --keep-weights none -o runs/gpu

Otherwise each run has a process of its own, which takes up to 20 seconds to load CUDA's libraries before it trains. The
words are those of `compare`, and so is the folder. Two things differ: libraries are told nothing before they load (see
`roadtest.study.launch`), and a run's peak of memory is what the process had then. Where the page cannot be written,
`roadtest report` writes it.
"""

import gc
import sys
from collections.abc import Callable, Sequence

import torch

from roadtest import cli
from roadtest.records.events import Event
from roadtest.records.schema import FailureKind
from roadtest.study import runner as work
from roadtest.study.launch import Outcome, Task
from roadtest.training.loop import DivergedError
from roadtest.training.worker import KINDS


def run_here(
    tasks: Sequence[Task], *, num_parallel: int, emit: Callable[[Event], None], is_over: Callable[[Outcome], bool]
) -> list[Outcome]:
    """What `roadtest.study.launch.run_tasks` does in processes, one after the other in this one."""
    outcomes = []
    for task in tasks:
        told: list[Event] = []
        reason: str | None = None
        kind: FailureKind = "error"
        if torch.cuda.is_available():
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            KINDS[task.kind](task.job_json, lambda event, told=told: (told.append(event), emit(event)), lambda: False)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            kind = "diverged" if isinstance(error, DivergedError) else "error"
        outcome = Outcome(task=task, reason=reason, is_stopped=False, kind=kind, events=tuple(told))
        outcomes.append(outcome)
        if is_over(outcome):
            break
    return outcomes


def main(words: Sequence[str]) -> int:
    """Compare, here."""
    work.run_tasks = run_here  # type: ignore[attr-defined]
    return cli.main(["compare", *words])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
