"""A study whose runs and branches got exactly so many validation images right, in so many seconds: no training."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exact_study import FOLD_SIZE, build_exact_study, change_record
from roadtest.records import append_row, read_record

FRACTIONS = (0.25, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True)
class Ends:
    """How the trainings of one network ended, per seed: wrong validation images at a quarter, a half and all."""

    wrong: Sequence[tuple[int | None, int | None, int]]
    """None where there is no branch."""
    epochs: tuple[float, float, float] = (5.0, 10.0, 20.0)
    seconds: tuple[float, float, float] = (300.0, 600.0, 1200.0)
    stop_reason: str = "budget"


def build_branched_study(study_dir: Path, ends: Mapping[str, Ends], *, budget_seconds: float | None = 1200.0) -> Path:
    """Networks by label; runs of twenty minutes unless told otherwise, on folds of 1,000 images in 20 tracks."""
    wrong = {label: [one[2] for one in how.wrong] for label, how in ends.items()}
    build_exact_study(study_dir, wrong, test_frames_per_track=2)  # nothing here looks at the test set
    info = json.loads((study_dir / "study.json").read_text())
    info["protocol"]["budget_seconds"] = budget_seconds
    (study_dir / "study.json").write_text(json.dumps(info))
    for label, how in ends.items():
        for seed, wrong in enumerate(how.wrong):
            _write_ends(study_dir / label / f"seed-{seed}", how, wrong)
    return study_dir


def _write_ends(run_dir: Path, how: Ends, wrong: tuple[int | None, int | None, int]) -> None:
    change_record(run_dir, "num_epochs", how.epochs[2])
    change_record(run_dir, "is_undertrained", how.epochs[2] < 2)
    change_record(run_dir, "stop_reason", how.stop_reason)
    cost = vars(read_record(run_dir).cost)
    change_record(run_dir, "cost", {**cost, "train_seconds": how.seconds[2]})
    for place, fraction in enumerate(FRACTIONS[:2]):
        num_wrong = wrong[place]
        if num_wrong is not None:
            append_row(run_dir / "branches.csv", _branch(fraction, how, place, num_wrong))


def _branch(fraction: float, how: Ends, place: int, num_wrong: int) -> dict[str, float]:
    return {
        "epoch": how.epochs[place],
        "step": round(100 * how.epochs[place]),
        "learning_rate": 0.001,
        "train_seconds": how.seconds[place],
        "data_seconds": 1.0,
        "eval_seconds": 1.0,
        "images_per_second": 1000.0,
        "train_num_seen": 100,
        "train_num_correct": 99,
        "train_loss_sum": 1.0,
        "val_num_seen": FOLD_SIZE,
        "val_num_correct": FOLD_SIZE - num_wrong,
        "val_loss_sum": 1.0,
        "budget_fraction": fraction,
        "first_step": round(60 * how.epochs[place]),
    }
