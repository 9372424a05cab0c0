"""Add a system that was not trained here to a study: its answers, judged on the same images as the networks.

    roadtest add runs/first predictions.csv --name ours-2024

What is judged is the test part, and a validation part where the data brought one; never the folds, whose images the
system may have seen. Each part is answered wholly or not at all. To look at test labels is to read the test set: it is
noted in the ledger, and a study made with --no-test refuses. incumbent_table.py reads the file; summarise/incumbents.py
makes the tables.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from roadtest.data.cache import default_cache_dir
from roadtest.data.classes import class_finder, name_some
from roadtest.data.imageset import TEST, VAL
from roadtest.data.ledger import note_test_read
from roadtest.data.split import split_fingerprint
from roadtest.incumbent_table import image_finder, read_answers
from roadtest.record import (
    Incumbent,
    IncumbentAnswers,
    PlannedRun,
    StudyInfo,
    append_row,
    incumbent_dir,
    read_rows,
    read_study_info,
    utc_now,
    write_incumbent,
)

SPLIT_COLUMNS = ("path", "label", "group", "split", "fold")
MAX_NAME = 60


def add_incumbent(study_dir: Path, predictions: Path, *, name: str, cache_dir: Path | None = None) -> IncumbentAnswers:
    """Read a csv file of answers and keep them as an entry of the study; a ValueError in one line says what is wrong.

    Answers for training images are left out. `cache_dir` is where the ledger lies.
    """
    info = read_study_info(study_dir)
    _check_name(study_dir, info, name)
    rows = read_rows(study_dir / "split.csv", SPLIT_COLUMNS)
    parts = _judged_parts(study_dir, info, rows)
    wanted = [row for part in parts.values() for row in part]
    answers: dict[int, int] = {}
    seen: dict[int, int] = {}
    finder = image_finder([row["path"] for row in rows], wanted)
    for line, image, label in read_answers(predictions, finder, class_finder(info.class_names)):
        if seen.setdefault(image, line) != line:
            raise ValueError(
                f"{predictions}, line {line}: {rows[image]['path']!r} was answered in line {seen[image]}: each image "
                "has one row; remove one"
            )
        answers[image] = label
    counts = {part: _check_complete(part, ids, answers, rows, predictions) for part, ids in parts.items()}
    if not any(counts.values()):
        raise ValueError(f"{predictions} answers none of the {' or '.join(parts)} images: it has nothing to judge")
    kept = sorted(image for part, ids in parts.items() if counts[part] for image in ids)
    if counts.get(TEST):
        _note_reading(study_dir, info, name, cache_dir or default_cache_dir())
    added = IncumbentAnswers(
        incumbent=Incumbent(
            name=name,
            data_fingerprint=info.data_fingerprint,
            split_fingerprint=split_fingerprint(rows),
            source_name=predictions.name,
            source_digest=_digest(predictions),
            num_test=counts.get(TEST, 0),
            num_val=counts.get(VAL, 0),
            added_at=utc_now(),
        ),
        image_ids_N=np.array(kept, np.int64),
        predicted_N=np.array([answers[image] for image in kept], np.int64),
    )
    write_incumbent(study_dir, added)
    return added


def _check_name(study_dir: Path, info: StudyInfo, name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or name.strip() != name:
        raise ValueError(
            f"--name {name[:80]!r} cannot be used: 1 to {MAX_NAME} printed characters are possible; try ours-2024"
        )
    if name in {run.label for run in info.runs}:
        raise ValueError(f"--name {name!r} is a network of the study: it must be another; try {name}-ours")
    folder = incumbent_dir(study_dir, name)
    if (folder / "incumbent.json").exists():
        raise ValueError(f"{study_dir} has a {name!r} already: give another --name, or delete {folder} first")


def _judged_parts(study_dir: Path, info: StudyInfo, rows: Sequence[Mapping[str, str]]) -> dict[str, list[int]]:
    """Part -> rows of the parts that may be judged."""
    wanted = (TEST, VAL) if info.reads_test else (VAL,)
    parts = {part: [i for i, row in enumerate(rows) if row["split"] == part] for part in wanted}
    parts = {part: ids for part, ids in parts.items() if ids}
    if not parts:
        why = "was made with --no-test" if not info.reads_test else "has no test set"
        raise ValueError(
            f"{study_dir} {why} and no validation part of its own: there is nothing to judge a system on; add it to a "
            "study that reads a test set"
        )
    return parts


def _check_complete(
    part: str, ids: Sequence[int], answers: Mapping[int, int], rows: Sequence[Mapping[str, str]], predictions: Path
) -> int:
    """How many images of a part were answered: all, or for another part than test none."""
    missing = [image for image in ids if image not in answers]
    if missing and (part == TEST or len(missing) < len(ids)):
        names = name_some(rows[image]["path"] for image in missing)
        raise ValueError(
            f"{predictions} has no row for {len(missing):,} of {len(ids):,} {part} images: {names}; every image needs "
            "one; add them"
        )
    return len(ids) - len(missing)


def _note_reading(study_dir: Path, info: StudyInfo, name: str, cache_dir: Path) -> None:
    line = note_test_read(
        cache_dir,
        data_fingerprint=info.test_fingerprint or info.data_fingerprint,
        study=study_dir.resolve().name,
        run=PlannedRun(network=name, has_stn=False, seed=0),
        protocol_fingerprint=info.protocol_fingerprint,
    )
    append_row(study_dir / "test-reads.csv", line)  # only added to: the study may come from another machine


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
