"""The learning-rate sweep: equal for every network, on validation, in a file.

Each rate of the protocol is tried for the same number of steps of the full schedule, on seed 0's fold; the lowest
validation loss wins. A diverged trial is a row with an infinite loss; where a trial fails otherwise, the network has no
rate and no rows. The rates of the published protocols come from
this very sweep, run on the real data and published under results/.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roadtest.events import Event
from roadtest.job import Job
from roadtest.record import network_label, read_rows, write_rows
from roadtest.study.launch import Outcome, Task, run_tasks

COLUMNS = (
    "network",
    "has_stn",
    "learning_rate",
    "seed",
    "num_epochs",
    "train_seconds",
    "val_loss",
    "val_accuracy",
    "is_chosen",
)


def chosen_rates(study_dir: Path) -> dict[str, float]:
    """The rate of every network that was swept, by label."""
    return {
        network_label(row["network"], row["has_stn"] == "True"): float(row["learning_rate"])
        for row in read_rows(study_dir / "sweep.csv", COLUMNS)
        if row["is_chosen"] == "True"
    }


def sweep_rates(
    study_dir: Path, jobs: Sequence[Job], *, num_parallel: int, tell: Callable[[Event], None], fail_fast: bool = False
) -> dict[str, str]:
    """Try every rate for every job's network, write sweep.csv, and return why networks failed, by label.

    The jobs carry everything but the rate and the number of steps. With `fail_fast` the first failure is the last.
    """
    reasons: dict[str, str] = {}
    for job in jobs:
        outcomes = _try_rates(study_dir, job, num_parallel, tell)
        failed = [outcome.reason for outcome in outcomes if outcome.reason is not None]
        rows = [_row(outcome) for outcome in outcomes if not failed]
        best = min(rows, key=lambda row: float(row["val_loss"]), default=None)
        if best is None or not math.isfinite(best["val_loss"]):
            reasons[job.run.label] = (
                failed[0] if failed else "the loss is no number at any rate of the sweep: give --lr"
            )
        else:
            best["is_chosen"] = True
            tell(Event(kind="sweep", label=job.run.label, text=f"rate {best['learning_rate']:g} is chosen"))
        write_rows(study_dir / "sweep.csv", [*_rows_of_others(study_dir, job), *rows], COLUMNS)
        if reasons and fail_fast:
            break
    return reasons


def _try_rates(study_dir: Path, job: Job, num_parallel: int, tell: Callable[[Event], None]) -> list[Outcome]:
    """One short training per rate; the first that fails stops the others."""
    trials = [replace(job, learning_rate=rate, max_steps=job.protocol.sweep_steps) for rate in job.protocol.sweep_rates]
    tasks = [
        Task(
            kind="trial",
            job_json=trial.to_json(),
            log_path=study_dir / "sweep-log.txt",
            label=job.run.label,
            seed=job.run.seed,
            num_threads=job.num_threads,
        )
        for trial in trials
    ]

    def is_over(outcome: Outcome) -> bool:
        if outcome.reason is None and not outcome.is_stopped:
            row = _row(outcome)
            text = f"rate {row['learning_rate']:g}: validation loss {row['val_loss']:.4f}"
            tell(Event(kind="sweep", label=job.run.label, text=text))
        return outcome.reason is not None

    return run_tasks(tasks, num_parallel=num_parallel, tell=lambda event: None, is_over=is_over)


def _rows_of_others(study_dir: Path, job: Job) -> list[dict[str, str]]:
    """What sweep.csv holds of other networks; a network that is swept again begins anew."""
    key = (job.run.network, str(job.run.has_stn))
    rows = read_rows(study_dir / "sweep.csv", COLUMNS)
    return [row for row in rows if (row["network"], row["has_stn"]) != key]


def _row(outcome: Outcome) -> dict[str, Any]:
    """A row of sweep.csv; a trial that diverged told no figures."""
    trial = Job.from_json(outcome.task.job_json)
    event = next(event for event in outcome.events if event.kind == "trial")
    has_figures = event.val_loss is not None and math.isfinite(event.val_loss)
    return {
        "network": trial.run.network,
        "has_stn": trial.run.has_stn,
        "learning_rate": trial.learning_rate,
        "seed": trial.run.seed,
        "num_epochs": round(event.epoch or 0.0, 4),
        "train_seconds": round(event.train_seconds or 0.0, 3),
        "val_loss": event.val_loss if has_figures else math.inf,
        "val_accuracy": (event.val_accuracy or 0.0) if has_figures else 0.0,
        "is_chosen": False,
    }
