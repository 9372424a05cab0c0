"""Write and read the files of run and study folders.

`study.toml`: the options of one study, in a file that repeats it.

    roadtest compare --config runs/first/study.toml

The keys are the arguments of `roadtest.compare`; the values are texts, whole numbers, numbers, yes or no, and lists of
these. The standard library reads TOML and does not write it, so the few lines that write it stand here: one key a
line, no tables. What is None is left out: it means "the default" and has no word in TOML.

The way to disk on which a reader sees all of a file or nothing, also after a kill, a full disk or a power cut.

Systems that were not trained here, judged on a study's images: what is kept of them, and how it is read.

    STUDY/incumbents/<name>/
    ├── answers.csv        image_id, label: the class that the system gave to each image
    └── incumbent.json     what it is; written last

They stand beside the runs and are no runs: no plan, no report and no lock knows them, and deleting the folder takes one
away. The folder may come from anybody: ids and classes are checked against the study where it is read.

Csv files: appended row by row while things happen, or written whole; read back as text.

A row that a kill cut off is no row: it is dropped when the file is read, and removed before the next one is appended.
"""

import csv
import io
import json
import math
import os
import re
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt

from roadtest.records.schema import (
    SCHEMA_VERSION,
    BranchRow,
    EpochRow,
    Failure,
    FailureKind,
    PlannedRun,
    Predictions,
    RunRecord,
    StudyInfo,
    build,
    folder_name,
    read_json,
)

AnyEpochRow = TypeVar("AnyEpochRow", bound=EpochRow)


MAX_ARRAY_BYTES = 8 << 30
"""Of one npz file, unpacked: a million images of a thousand classes have 2 GB."""


_OLD_SIGN_TITLES = ("GTSRB", "GTSRB (subset)", "torchvision's smaller GTSRB", "drawn signs")
"""What version 0.1, whose records have no `subject`, called its data sets of traffic signs."""


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
    plain = read_json(path)
    if isinstance(plain, dict) and "subject" not in plain:  # version 0.1
        plain["subject"] = "signs" if plain.get("data_title") in _OLD_SIGN_TITLES else "images"
    return build(RunRecord, plain, path)


def read_study_info(study_dir: Path) -> StudyInfo:
    """Read `study.json`; a ValueError names what is wrong with it."""
    path = study_dir / "study.json"
    plain = read_json(path)
    if isinstance(plain, dict) and "subject" not in plain:  # version 0.1
        plain["subject"] = "signs" if plain.get("source") in ("gtsrb", "signs") else "images"
    return build(StudyInfo, plain, path)


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


def _read_evaluations(path: Path, kind_of_row: type[AnyEpochRow]) -> list[AnyEpochRow]:
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
    last: dict[PlannedRun, Failure] = {}
    for failure in _read_failure_rows(study_dir / "failures.csv"):
        last[PlannedRun(network=failure.network, has_stn=failure.has_stn, seed=failure.seed)] = failure
    return [failure for run, failure in last.items() if not is_finished(study_dir / run.folder)]


def append_failure(study_dir: Path, failure: Failure) -> None:
    """Add a row to failures.csv; the caller holds the study's lock. The file is written whole: it may be an old one."""
    path = study_dir / "failures.csv"
    rows = [asdict(one) for one in [*_read_failure_rows(refuse_link(path)), failure]]
    write_rows(path, rows, rows[0])


def _read_failure_rows(path: Path) -> list[Failure]:
    failures = []
    for row in read_rows(path, [f.name for f in fields(Failure) if f.name != "kind"]):
        # Studies of version 0.1 have no column `kind`: there the reason begins with the exception's name.
        kind = row.get("kind") or ("diverged" if row["reason"].startswith("DivergedError: ") else "error")
        try:
            seed = int(row["seed"])
            if kind not in get_args(FailureKind):
                raise ValueError(f"kind is {kind[:40]!r}")
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({error}): restore or delete it") from None
        failures.append(
            Failure(
                network=row["network"],
                has_stn=row["has_stn"] == "True",
                seed=seed,
                reason=row["reason"],
                failed_at=row["failed_at"],
                kind=cast(FailureKind, kind),
            )
        )
    return failures


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


MAX_BYTES = 1_000_000


_HEAD = "# Repeats this study: roadtest compare --config {name}\n"


def write_config(path: Path, options: Mapping[str, Any]) -> None:
    """Write the options that are not None, in their order, atomically."""
    write_atomically(path, (_HEAD.format(name=path.name) + render_config(options)).encode())


def read_config(path: Path) -> dict[str, Any]:
    """Read `write_config` back (lists stay lists, paths are texts); a ValueError names what is wrong with the file."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_BYTES:
            raise ValueError(
                f"{path} has {size_bytes:,} bytes: a study.toml has fewer than {MAX_BYTES:,}; give another"
            )
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"there is no {path}: give the study.toml that `roadtest compare` wrote") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder: give the study.toml inside it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML ({error}): mend that line, or give the file a study wrote") from None


def render_config(options: Mapping[str, Any]) -> str:
    """The options as TOML, one line each; a TypeError where a value has no form there."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in options.items() if value is not None)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str | PathLike):
        return _text(str(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    raise TypeError(f"{value!r} has no form in study.toml: use texts, numbers, booleans or lists of these")


def _number(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return repr(value)  # the shortest text that reads back to the same bits; 1e+22 is TOML too


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for surrogate pairs (so only ASCII control characters are escaped) and DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the place of `path` where the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)  # a link that waits there would lead what is written elsewhere
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())  # a rename that outlives a power cut must not name an empty file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file at once."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def refuse_link(path: Path) -> Path:
    """The path as it is; a ValueError where it is a link, which may lead what is written out of a study."""
    if path.is_symlink():
        raise ValueError(f"{path} is a link: what is written lies inside its study; remove the link")
    return path


def sweep_leftovers(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote; nobody else may be writing there."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


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


MAX_CSV_BYTES = 1 << 30
"""A split.csv of a million images has about 100 MB."""


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Append one row to a csv file, with a header where the file is new; a ValueError where it is a link.

    One writer at a time: where several processes may append, the caller holds a lock.
    """
    data = _render([row], list(row), has_header=not _end_whole(refuse_link(path)))
    with path.open("ab") as file:
        file.write(data)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Write a whole csv file atomically."""
    write_atomically(path, _render(rows, list(columns), has_header=True))


def read_rows(path: Path, columns: Iterable[str] | Mapping[str, type] = ()) -> list[dict[str, str]]:
    """The rows of a csv file as text; an absent file has none; a last row that was cut off is dropped.

    A ValueError in one line where the file is damaged or lacks one of the columns, or where a value in a column that
    has a type, such as int, cannot become one.
    """
    if not path.exists():
        return []
    if not path.is_file():  # a device or a pipe has no bytes, and no end
        raise ValueError(f"{path} is no plain file: restore it or repeat the study")
    if path.stat().st_size > MAX_CSV_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes: at most {MAX_CSV_BYTES:,} are read; restore it")
    try:
        text = path.read_bytes().decode()
        reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
        rows: list[dict[str, str]] = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it or repeat the study") from None
    missing = [name for name in columns if name not in (reader.fieldnames or [])]
    if missing and reader.fieldnames:
        raise ValueError(f"{path} has no column {missing[0]!r}: restore it or repeat the study")
    if rows and None in rows[-1].values():
        rows.pop()
    if any(None in row or None in row.values() for row in rows):
        raise ValueError(f"{path} has rows of different lengths: restore it or repeat the study")
    if isinstance(columns, Mapping):
        _check_kinds(path, rows, columns)
    return rows


def _check_kinds(path: Path, rows: list[dict[str, str]], kinds: Mapping[str, type]) -> None:
    try:
        for name, kind in kinds.items():
            for row in rows:
                kind(row[name])
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({name}: {error}): restore it or repeat the study") from None


def _render(rows: Iterable[Mapping[str, Any]], columns: list[str], *, has_header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    quoter = csv.DictWriter(text, columns, lineterminator="\n", quoting=csv.QUOTE_ALL)
    if has_header:
        writer.writeheader()
    for row in rows:  # a carriage return would end a row where it is read, and csv does not quote it by itself
        (quoter if any("\r" in str(value) for value in row.values()) else writer).writerow(row)
    return text.getvalue().encode()


def _end_whole(path: Path) -> bool:
    """Remove a last row that was cut off; False where nothing is left or nothing was there."""
    if not path.exists():
        return False
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 4096)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            if last >= 0:
                if start + last + 1 < file.seek(0, os.SEEK_END):
                    file.truncate(start + last + 1)
                return True
            end = start
        file.truncate(0)
    return False
