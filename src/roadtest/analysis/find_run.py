"""Resolve a path to a run: itself where it is a run's folder; where it is a study, one of the recommended network.

Predicting, evaluating and exporting find their network here, so that a study's folder is taken wherever a run's is. The
network is the one that `recommend` names without limits; of its seeds the first one whose weights were kept is taken:
folds differ in difficulty, so a seed's validation accuracy is no reason to prefer it.
"""

from dataclasses import dataclass
from pathlib import Path

from roadtest.analysis.recommend import recommend
from roadtest.records import is_finished, read_study_info, row_label

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, kw_only=True)
class FoundRun:
    """A run's folder, and how it was found."""

    path: Path
    words: str
    """One line for people: which run is taken, and why; empty where the run itself was named."""


def find_run(path: str | Path) -> FoundRun:
    """Resolve a path to a finished run; a ValueError in one line where there is none."""
    folder = Path(path).expanduser()
    if is_finished(folder) or not (folder / "study.json").exists():
        _check_is_run(folder)
        return FoundRun(path=folder, words="")
    return _recommended_run(folder)


def _check_is_run(folder: Path) -> None:
    if is_finished(folder):
        return
    if not folder.exists():
        what = "does not exist"
    elif not folder.is_dir():
        what = "is a file"
    elif runs := sorted(folder.glob("seed-*/record.json")):
        what = f"holds {len(runs)} runs, such as {runs[0].parent.name}"
    elif (folder / "log.txt").exists():
        what = "is a run that is not finished"
    else:
        what = "holds neither a record.json nor a study.json"
    raise ValueError(
        f"{folder} {what}: give the folder of a finished run (STUDY/lenet5/seed-0), or of a study, which means its "
        "recommended network; `roadtest leaderboard STUDY` lists them"
    )


def _recommended_run(study_dir: Path) -> FoundRun:
    found = recommend(study_dir)
    if found.recommended is None:
        raise ValueError(
            f"{study_dir} recommends no network ({found.status}): finish it with the same compare command, or name a "
            "run in it, such as lenet5/seed-0"
        )
    label = row_label(found.recommended)
    planned = [run for run in read_study_info(study_dir).runs if run.label == label]
    finished = sorted((run for run in planned if is_finished(study_dir / run.folder)), key=lambda run: run.seed)
    chosen = next((run for run in finished if (study_dir / run.folder / WEIGHTS).exists()), finished[0])
    words = f"{study_dir} recommends {label} ({found.certainty}): its run with seed {chosen.seed} is taken"
    return FoundRun(path=study_dir / chosen.folder, words=words)
