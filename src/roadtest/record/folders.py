"""Write and read the files of run and study folders."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from roadtest.record.atomic import replacing, write_atomically
from roadtest.record.checked import build, read_json
from roadtest.record.rows import read_rows
from roadtest.record.values import BranchRow, EpochRow, Failure, PlannedRun, Predictions, RunRecord, StudyInfo

Row = TypeVar("Row", bound=EpochRow)
MAX_ARRAY_BYTES = 8 << 30
"""Of one npz file, unpacked: a million images of a thousand classes have 2 GB."""


def to_json(record: Any) -> bytes:
    """A dataclass as UTF-8 JSON, one field a line; a ValueError where it holds what is no number."""
    try:
        return (json.dumps(asdict(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise ValueError(f"a {type(record).__name__} cannot be kept ({error}): the run diverged; lower --lr") from None


def write_record(run_dir: Path, record: RunRecord) -> None:
    """Declare the run complete; refuse to do so twice."""
    path = run_dir / "record.json"
    if path.exists():
        raise FileExistsError(f"{path} exists: a finished run is never written again; use another folder")
    write_atomically(path, to_json(record))


def is_finished(run_dir: Path) -> bool:
    """Whether a run's record stands in its folder: it is written last."""
    return (run_dir / "record.json").exists()


def read_record(run_dir: Path) -> RunRecord:
    """Read one finished run; a ValueError names what is wrong with the file."""
    path = run_dir / "record.json"
    return build(RunRecord, read_json(path), path)


def read_study_info(study_dir: Path) -> StudyInfo:
    """Read `study.json`; a ValueError names what is wrong with it."""
    path = study_dir / "study.json"
    return build(StudyInfo, read_json(path), path)


def read_records(study_dir: Path) -> list[RunRecord]:
    """All finished runs of a study, in the order of its plan."""
    info = read_study_info(study_dir)
    return [read_record(study_dir / run.folder) for run in info.runs if is_finished(study_dir / run.folder)]


def read_epochs(run_dir: Path) -> list[EpochRow]:
    """The evaluations of a run, finished or not; a ValueError names what is wrong with the file."""
    return _read_evaluations(run_dir / "epochs.csv", EpochRow)


def read_branches(run_dir: Path) -> list[BranchRow]:
    """The annealed copies of a run; none where none was asked for, or none lay on its way."""
    return _read_evaluations(run_dir / "branches.csv", BranchRow)


def _read_evaluations(path: Path, kind_of_row: type[Row]) -> list[Row]:
    kinds: dict[str, type] = {f.name: int if f.type in ("int", int) else float for f in fields(kind_of_row)}
    rows = read_rows(path, kinds)
    try:
        found = [kind_of_row(**{name: kind(row[name]) for name, kind in kinds.items()}) for row in rows]
        for one in found:
            _ = one.train, one.val  # more correct than seen is damage too
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): restore it or repeat the run") from None
    return found


def read_failures(study_dir: Path) -> list[Failure]:
    """The runs that failed and were not finished since, the last reason of each."""
    path = study_dir / "failures.csv"
    last: dict[PlannedRun, Failure] = {}
    for row in read_rows(path, [f.name for f in fields(Failure)]):
        try:
            run = PlannedRun(network=row["network"], has_stn=row["has_stn"] == "True", seed=int(row["seed"]))
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({error}): restore or delete it") from None
        last[run] = Failure(**vars(run), reason=row["reason"], failed_at=row["failed_at"])
    return [failure for run, failure in last.items() if not is_finished(study_dir / run.folder)]


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write logits, labels and image ids, atomically."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **vars(predictions))


def read_predictions(path: Path) -> Predictions:
    """Read `val.npz` or `test.npz`, without pickle; a ValueError where it is missing or damaged."""
    if not path.exists():
        raise ValueError(f"{path.parent} holds no {path.name}: the run did not read that set, or leaves it out")
    with open_arrays(path) as arrays:
        predictions = Predictions(**{f.name: arrays[f.name] for f in fields(Predictions)})
        _check_shapes(predictions)
    return predictions


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping[str, npt.NDArray[Any]]]:
    """Give an npz file's arrays by name, without pickle; what goes wrong in the block is a ValueError that names it."""
    try:
        if not path.is_file():
            raise ValueError("it is no plain file")
        with zipfile.ZipFile(path) as archive:
            num_bytes = sum(member.file_size for member in archive.infolist())
        if num_bytes > MAX_ARRAY_BYTES:
            raise ValueError(f"it unpacks to {num_bytes:,} bytes, more than {MAX_ARRAY_BYTES:,}")
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except Exception as error:  # a hostile file can make a reader raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} is damaged ({reason}): restore it or repeat the run") from None


def _check_shapes(predictions: Predictions) -> None:
    logits_NK, num_images = predictions.logits_NK, len(predictions.labels_N)
    is_kind = logits_NK.dtype in (np.float16, np.float32)
    if logits_NK.ndim != 2 or not is_kind or len(logits_NK) != num_images or not logits_NK.size:
        raise ValueError(f"logits of {logits_NK.dtype} {logits_NK.shape} for {num_images} labels")
    for name in ("labels_N", "image_ids_N"):
        array_N = getattr(predictions, name)
        if array_N.shape != (num_images,) or array_N.dtype != np.int64 or array_N.min() < 0:
            raise ValueError(f"{name} of {array_N.dtype} {array_N.shape} for {num_images} images")
    if not np.isfinite(logits_NK).all():
        raise ValueError("a logit is not a number")
    if predictions.labels_N.max() >= logits_NK.shape[1]:
        raise ValueError(f"label {predictions.labels_N.max()} of {logits_NK.shape[1]} classes")
