"""Systems that were not trained here, judged on a study's images: what is kept of them, and how it is read.

    STUDY/incumbents/<name>/
    ├── answers.csv        image_id, label: the class that the system gave to each image
    └── incumbent.json     what it is; written last

They stand beside the runs and are no runs: no plan, no report and no lock knows them, and deleting the folder takes one
away. The folder may come from anybody: ids and classes are checked against the study where it is read.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from roadtest.record.atomic import refuse_link, write_atomically
from roadtest.record.checked import build, read_json
from roadtest.record.folders import to_json
from roadtest.record.rows import read_rows, write_rows
from roadtest.record.values import SCHEMA_VERSION, folder_name

FOLDER = "incumbents"
COLUMNS = ("image_id", "label")
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Incumbent:
    """`incumbent.json`: a system that was not trained here."""

    name: str
    data_fingerprint: str
    split_fingerprint: str
    """Of the images and their order when it was added; ids mean nothing else."""
    source_name: str
    """The file that its answers came from."""
    source_digest: str
    """That file's SHA-256."""
    num_test: int
    num_val: int
    """Images of each part that it answered: all or none."""
    added_at: str
    """UTC, ISO 8601."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class IncumbentAnswers:
    """A system and what it answered."""

    incumbent: Incumbent
    image_ids_N: Ints
    """Row numbers in split.csv, ascending."""
    predicted_N: Ints


def incumbent_dir(study_dir: Path, name: str) -> Path:
    """Where a system of this name lies; a ValueError where a link would lead what is written there elsewhere."""
    return refuse_link(refuse_link(study_dir / FOLDER) / folder_name(name))


def write_incumbent(study_dir: Path, answers: IncumbentAnswers) -> None:
    """Write a system's folder, its record last."""
    folder = incumbent_dir(study_dir, answers.incumbent.name)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = zip(answers.image_ids_N.tolist(), answers.predicted_N.tolist(), strict=True)
    write_rows(folder / "answers.csv", ({"image_id": image_id, "label": label} for image_id, label in pairs), COLUMNS)
    write_atomically(folder / "incumbent.json", to_json(answers.incumbent))


def read_incumbents(study_dir: Path, *, num_images: int, num_classes: int) -> list[IncumbentAnswers]:
    """Every system that was added to a study, by folder name; a ValueError names a file that is damaged."""
    folder = study_dir / FOLDER
    found = sorted(path for path in folder.iterdir() if (path / "incumbent.json").exists()) if folder.is_dir() else []
    return [_read_incumbent(path, num_images, num_classes) for path in found]


def _read_incumbent(folder: Path, num_images: int, num_classes: int) -> IncumbentAnswers:
    incumbent = build(Incumbent, read_json(folder / "incumbent.json"), folder / "incumbent.json")
    path = folder / "answers.csv"
    rows = read_rows(path, COLUMNS)
    try:
        ids_N, predicted_N = (np.array([int(row[name]) for row in rows], np.int64) for name in COLUMNS)
        if len(rows) != incumbent.num_test + incumbent.num_val or not rows:
            raise ValueError(f"{len(rows)} rows for {incumbent.num_test + incumbent.num_val} images")
        if not (ids_N[0] >= 0 and ids_N[-1] < num_images and (np.diff(ids_N) > 0).all()):
            raise ValueError("its images are not those of split.csv in their order")
        if not 0 <= predicted_N.min() <= predicted_N.max() < num_classes:
            raise ValueError(f"a label is none of the {num_classes} classes")
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete {folder} and add it again") from None
    return IncumbentAnswers(incumbent=incumbent, image_ids_N=ids_N, predicted_N=predicted_N)
