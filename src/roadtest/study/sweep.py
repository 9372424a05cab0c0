"""The learning-rate sweep: equal for every network, on validation, in a file.

Every network tries each rate of the protocol for the same training seconds, on seed 0's fold, on the full schedule;
the lowest validation loss wins. The clock is read once per network, in its first trial: all its rates get the same
number of steps. A diverged trial is a row with an infinite loss; where a sweep fails otherwise, the network has no
rate and no rows. The rates of the published protocols come from this very sweep, run on the real data and published
under results/.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roadtest.records import network_label, read_rows, write_rows
from roadtest.records.events import Emit, Event, RunSpec
from roadtest.study.launch import Outcome, Task, run_tasks

COLUMNS = (
    *("network", "has_stn", "learning_rate", "seed", "num_epochs", "train_seconds", "val_loss", "val_accuracy"),
    "is_chosen",
)


def chosen_rates(study_dir: Path) -> dict[str, float]:
    """The rate of every network that was swept, by label."""
    rows = read_rows(study_dir / "sweep.csv", {**dict.fromkeys(COLUMNS, str), "learning_rate": float})
    return {
        network_label(row["network"], row["has_stn"] == "True"): float(row["learning_rate"])
        for row in rows
        if row["is_chosen"] == "True"
    }


def sweep_rates(
    study_dir: Path, specs: Sequence[RunSpec], *, num_parallel: int, emit: Emit, fail_fast: bool = False
) -> dict[str, str]:
    """Try every rate for every network, write sweep.csv, and return why networks failed, by label.

    The specs carry everything but the rate. With `fail_fast` the first failure is the last.
    """
    reasons: dict[str, str] = {}
    tasks = [Task.of("sweep", spec, study_dir / "sweep-log.txt") for spec in specs]

    def emit_trial(event: Event) -> None:
        if event.kind == "trial":
            loss = "no number" if event.val_loss is None else f"{event.val_loss:.4f}"
            emit(Event(kind="sweep", label=event.label, text=f"rate {event.learning_rate:g}: validation loss {loss}"))

    def is_over(outcome: Outcome) -> bool:
        if outcome.is_stopped:
            return False
        reason = outcome.reason or _write_trials(study_dir, outcome, emit)
        if reason is not None:
            reasons[outcome.task.label] = reason
        return reason is not None and fail_fast

    run_tasks(tasks, num_parallel=num_parallel, emit=emit_trial, is_over=is_over)
    return reasons


def _write_trials(study_dir: Path, outcome: Outcome, emit: Emit) -> str | None:
    """Write a network's rows with the choice among them, in place of earlier ones; return why there is none."""
    spec = RunSpec.from_json(outcome.task.job_json)
    rows = [_trial_row(spec, event) for event in outcome.events if event.kind == "trial"]
    best = min(rows, key=lambda row: float(row["val_loss"]))
    is_found = math.isfinite(best["val_loss"])
    if is_found:
        best["is_chosen"] = True
        emit(Event(kind="sweep", label=spec.run.label, text=f"rate {best['learning_rate']:g} is chosen"))
    mine = (spec.run.network, str(spec.run.has_stn))
    others = [r for r in read_rows(study_dir / "sweep.csv", COLUMNS) if (r["network"], r["has_stn"]) != mine]
    write_rows(study_dir / "sweep.csv", [*others, *rows], COLUMNS)
    return None if is_found else "the loss is no number at any rate of the sweep: give --lr"


def _trial_row(spec: RunSpec, event: Event) -> dict[str, Any]:
    """A row of sweep.csv; a trial that diverged has no figures."""
    has_figures = event.val_loss is not None and math.isfinite(event.val_loss)
    return {
        "network": spec.run.network,
        "has_stn": spec.run.has_stn,
        "learning_rate": event.learning_rate,
        "seed": spec.run.seed,
        "num_epochs": round(event.epoch or 0.0, 4),
        "train_seconds": round(event.train_seconds or 0.0, 3),
        "val_loss": event.val_loss if has_figures else math.inf,
        "val_accuracy": (event.val_accuracy or 0.0) if has_figures else 0.0,
        "is_chosen": False,
    }
