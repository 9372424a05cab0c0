"""A study whose validation and test mistakes are set by hand, so that a test knows every difference exactly."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fake_study import build_fake_study
from roadtest.records import Failure, Predictions, append_failure, read_predictions, write_predictions

FOLD_SIZE = 1000
"""Images in each validation fold: 20 tracks of 50; the test set has 10,000."""


def build_exact_study(
    study_dir: Path, wrong: dict[str, Sequence[int]], *, failed: str | None = None, test_frames_per_track: int = 50
) -> Path:
    """Networks by label, and of each the number of validation images that seed 0, 1, ... gets wrong."""
    (num_seeds,) = {len(counts) for counts in wrong.values()}
    build_fake_study(
        study_dir,
        networks=list(wrong),
        seeds=num_seeds,
        failed=failed,
        class_names=["left", "right"],
        tracks_per_class=100,
        frames_per_track=50,
        test_frames_per_track=test_frames_per_track,
        num_evaluations=1,
        has_examples=False,
    )
    for label, counts in wrong.items():
        for seed, count in enumerate(counts):
            if (study_dir / label / f"seed-{seed}" / "record.json").exists():
                set_wrong(study_dir / label / f"seed-{seed}", "val", count)
    return study_dir


def set_wrong(run_dir: Path, part: str, count: int) -> None:
    """Let a run get exactly `count` images wrong, spread over the set, in the file and in its record."""
    path = run_dir / f"{part}.npz"
    answers = read_predictions(path)
    num_images = len(answers.labels_N)
    logits_NK = np.zeros((num_images, 2), np.float16)
    logits_NK[np.arange(num_images), answers.labels_N] = 4.0
    wrong_N = np.linspace(0, num_images - 1, count).astype(int)
    logits_NK[wrong_N] = logits_NK[wrong_N, ::-1]
    write_predictions(
        path, Predictions(logits_NK=logits_NK, labels_N=answers.labels_N, image_ids_N=answers.image_ids_N)
    )
    change_record(run_dir, part, {"num_seen": num_images, "num_correct": num_images - count, "loss_sum": 1.0})


def let_diverge(study_dir: Path, label: str, seed: int) -> None:
    """Let a run have ended by a loss that is no number: its folder is gone, its line stands in failures.csv."""
    shutil.rmtree(study_dir / label / f"seed-{seed}")
    network, has_stn = label.removesuffix("+stn"), label.endswith("+stn")
    reason = "DivergedError: the loss is nan at step 40: try a lower --lr"
    lost = Failure(
        network=network, has_stn=has_stn, seed=seed, reason=reason, failed_at="2026-11-26T12:00:00Z", kind="diverged"
    )
    append_failure(study_dir, lost)


def change_record(run_dir: Path, field: str, value: object) -> None:
    """Put another value into a record, as no run would."""
    path = run_dir / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
