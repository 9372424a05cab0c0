"""The learning-rate sweep: equal for every network, on validation, in a file.

Each rate of the protocol is tried for the same number of steps of the full schedule, on seed 0's fold; the lowest
validation loss wins. A diverged trial is a row with an infinite loss. The rates of the published protocols come from
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
        for row in read_rows(study_dir / "sweep.csv")
        if row["is_chosen"] == "True"
    }


def sweep_rates(study_dir: Path, jobs: Sequence[Job], *, num_parallel: int, tell: Callable[[Event], None]) -> None:
    """Try every rate for every job's network and write sweep.csv; a network that fails altogether gets no rate.

    The jobs carry everything but the rate and the number of steps.
    """
    for job in jobs:
        trials = [
            replace(job, learning_rate=rate, max_steps=job.protocol.sweep_steps) for rate in job.protocol.sweep_rates
        ]
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
        outcomes = run_tasks(
            tasks,
            num_parallel=num_parallel,
            tell=lambda event: None,
            is_over=lambda outcome: outcome.reason is not None,
        )
        tried = [_row(trial, outcome) for trial, outcome in zip(trials, outcomes, strict=False)]
        rows = _with_choice([row for row in tried if row is not None])
        for row in rows:
            tell(Event(kind="sweep", label=job.run.label, text=_words(row)))
        write_rows(study_dir / "sweep.csv", [*read_rows(study_dir / "sweep.csv"), *rows], COLUMNS)


def _row(trial: Job, outcome: Outcome) -> dict[str, Any] | None:
    told = [event for event in outcome.events if event.kind == "trial"]
    if not told:
        return None
    event = told[-1]
    return {
        "network": trial.run.network,
        "has_stn": trial.run.has_stn,
        "learning_rate": trial.learning_rate,
        "seed": trial.run.seed,
        "num_epochs": round(event.epoch or 0.0, 4),
        "train_seconds": round(event.train_seconds or 0.0, 3),
        "val_loss": math.inf if event.val_loss is None else event.val_loss,
        "val_accuracy": 0.0 if event.val_accuracy is None else event.val_accuracy,
        "is_chosen": False,
    }


def _with_choice(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    finite = [row for row in rows if math.isfinite(row["val_loss"])]
    if finite:
        min(finite, key=lambda row: float(row["val_loss"]))["is_chosen"] = True
    return rows


def _words(row: dict[str, Any]) -> str:
    chosen = ", chosen" if row["is_chosen"] else ""
    return f"rate {row['learning_rate']}: validation loss {row['val_loss']:.4f}{chosen}"
