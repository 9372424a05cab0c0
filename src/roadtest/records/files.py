"""Write and read the files of run and study folders; a ValueError in one line names what is wrong with a file.

`study.toml` holds the options of one study and repeats it (`roadtest compare --config runs/first/study.toml`): its keys
are the arguments of `roadtest.compare`; what is None is left out.

Systems that were not trained here lie beside the runs; deleting the folder takes one away:

    STUDY/incumbents/<name>/
    ├── answers.csv        image_id, label: the class that the system gave to each image
    └── incumbent.json     what it is; written last
"""

import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt

from roadtest.records.disk import refuse_link, replacing, write_atomically
from roadtest.records.schema import (
    SCHEMA_VERSION,
    CooldownMetrics,
    EpochMetrics,
    Failure,
    FailureKind,
    PlannedRun,
    Predictions,
    RunRecord,
    StudyInfo,
    folder_name,
)
from roadtest.records.text_files import DamagedFileError, build, read_json, read_rows, to_json, write_rows

T = TypeVar("T")
Ints = npt.NDArray[np.int64]
MAX_ARRAY_BYTES = 8 << 30
"""Of one npz file, unpacked: a million images of a thousand classes have 2 GB."""
MAX_CONFIG_BYTES = 1_000_000
_CONFIG_HEAD = "# Repeats this study: roadtest compare --config {name}\n"
_OLD_SIGN_TITLES = ("GTSRB", "GTSRB (subset)", "torchvision's smaller GTSRB", "drawn signs")
"""What version 0.1, whose records have no `subject`, called its data sets of traffic signs."""


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
    """Read one finished run."""
    path = run_dir / "record.json"
    plain = read_json(path)
    plain.setdefault("subject", "signs" if plain.get("data_title") in _OLD_SIGN_TITLES else "images")
    return build(RunRecord, plain, path)


def read_study_info(study_dir: Path) -> StudyInfo:
    """Read `study.json`."""
    path = study_dir / "study.json"
    plain = read_json(path)
    plain.setdefault("subject", "signs" if plain.get("source") in ("gtsrb", "signs") else "images")
    return build(StudyInfo, plain, path)


def read_records(study_dir: Path) -> list[RunRecord]:
    """All finished runs of a study, in the order of its plan."""
    info = read_study_info(study_dir)
    return [read_record(study_dir / run.folder) for run in info.runs if is_finished(study_dir / run.folder)]


def read_epochs(run_dir: Path) -> list[EpochMetrics]:
    """The evaluations of a run, finished or not."""
    return _read_evaluations(run_dir / "epochs.csv", EpochMetrics)


def read_cooldowns(run_dir: Path) -> list[CooldownMetrics]:
    """The annealed copies of a run; none where none was asked for, or none lay on its way."""
    return _read_evaluations(run_dir / "branches.csv", CooldownMetrics)


AnyMetrics = TypeVar("AnyMetrics", bound=EpochMetrics)


def _read_evaluations(path: Path, kind_of_row: type[AnyMetrics]) -> list[AnyMetrics]:
    kinds: dict[str, type] = {f.name: int if f.type in ("int", int) else float for f in fields(kind_of_row)}
    rows = read_rows(path, kinds)
    try:
        found = [kind_of_row(**{name: kind(row[name]) for name, kind in kinds.items()}) for row in rows]
        for one in found:
            _ = one.train, one.val  # more correct than seen is damage too
    except ValueError as error:
        raise DamagedFileError(path, error) from None
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
        row.setdefault("kind", "diverged" if row["reason"].startswith("DivergedError: ") else "error")
        try:
            run = PlannedRun(network=row["network"], has_stn=row["has_stn"] == "True", seed=int(row["seed"]))
            if row["kind"] not in get_args(FailureKind):
                raise ValueError(f"kind is {row['kind'][:20]!r}")
        except ValueError as error:
            raise DamagedFileError(path, error, advice="restore or delete it") from None
        kind = cast(FailureKind, row["kind"])
        failures.append(Failure(**vars(run), reason=row["reason"], failed_at=row["failed_at"], kind=kind))
    return failures


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write logits, labels and image ids, atomically."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **vars(predictions))


def read_predictions(path: Path) -> Predictions:
    """Read `val.npz` or `test.npz`, without pickle."""
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
        raise DamagedFileError(path, " ".join(str(error).split()) or type(error).__name__) from None


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


def write_config(path: Path, options: Mapping[str, Any]) -> None:
    """Write the options that are not None, in their order, atomically."""
    write_atomically(path, (_CONFIG_HEAD.format(name=path.name) + render_config(options)).encode())


def render_config(options: Mapping[str, Any]) -> str:
    """The options as TOML, one line each; a TypeError where a value has no form there."""
    import tomli_w

    plain = {key: str(value) if isinstance(value, PathLike) else value for key, value in options.items()}
    return tomli_w.dumps({key: value for key, value in plain.items() if value is not None})


def read_config(path: Path) -> dict[str, Any]:
    """Read `write_config` back; lists stay lists, paths are texts."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_CONFIG_BYTES:
            raise ValueError(
                f"{path} has {size_bytes:,} bytes: a study.toml has fewer than {MAX_CONFIG_BYTES:,}; give another"
            )
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"there is no {path}: give the study.toml that `roadtest compare` wrote") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder: give the study.toml inside it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML ({error}): mend that line, or give the file a study wrote") from None


_SYSTEM_COLUMNS = ("image_id", "label")


@dataclass(frozen=True, kw_only=True)
class ExternalSystem:
    """`incumbent.json`: a system that was not trained here."""

    name: str
    data_fingerprint: str
    split_fingerprint: str
    """Of the images and their order when it was added; ids mean nothing else."""
    source_name: str
    """The file that its predictions came from."""
    source_digest: str
    """That file's SHA-256."""
    num_test: int
    num_val: int
    """Images of each split that it classified: all or none."""
    added_at: str
    """UTC, ISO 8601."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class ExternalPredictions:
    """A system and the classes that it gave."""

    system: ExternalSystem
    image_ids_N: Ints
    """Row numbers in split.csv, ascending."""
    predicted_N: Ints


def external_dir(study_dir: Path, name: str) -> Path:
    """Where a system of this name lies; a ValueError where a link would lead what is written there elsewhere."""
    return refuse_link(refuse_link(study_dir / "incumbents") / folder_name(name))


def write_external(study_dir: Path, predictions: ExternalPredictions) -> None:
    """Write a system's folder, its record last."""
    folder = external_dir(study_dir, predictions.system.name)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = zip(predictions.image_ids_N.tolist(), predictions.predicted_N.tolist(), strict=True)
    rows = ({"image_id": image_id, "label": label} for image_id, label in pairs)
    write_rows(folder / "answers.csv", rows, _SYSTEM_COLUMNS)
    write_atomically(folder / "incumbent.json", to_json(predictions.system))


def read_external(study_dir: Path, *, num_images: int, num_classes: int) -> list[ExternalPredictions]:
    """Every system that was added to a study, by folder name; ids and classes are checked against the study."""
    paths = sorted(path.parent for path in (study_dir / "incumbents").glob("*/incumbent.json"))
    return [_read_external(path, num_images, num_classes) for path in paths]


def _read_external(folder: Path, num_images: int, num_classes: int) -> ExternalPredictions:
    system = build(ExternalSystem, read_json(folder / "incumbent.json"), folder / "incumbent.json")
    path = folder / "answers.csv"
    rows = read_rows(path, _SYSTEM_COLUMNS)
    try:
        ids_N, predicted_N = (np.array([int(row[name]) for row in rows], np.int64) for name in _SYSTEM_COLUMNS)
        if len(rows) != system.num_test + system.num_val or not rows:
            raise ValueError(f"{len(rows)} rows for {system.num_test + system.num_val} images")
        if not (ids_N[0] >= 0 and ids_N[-1] < num_images and (np.diff(ids_N) > 0).all()):
            raise ValueError("its images are not those of split.csv in their order")
        if not 0 <= predicted_N.min() <= predicted_N.max() < num_classes:
            raise ValueError(f"a label is none of the {num_classes} classes")
    except (ValueError, OverflowError) as error:
        raise DamagedFileError(path, error, advice=f"delete {folder} and add it again") from None
    return ExternalPredictions(system=system, image_ids_N=ids_N, predicted_N=predicted_N)
