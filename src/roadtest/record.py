"""What a run leaves behind: plain, raw, complete files, and the functions that write and read them.

A run is complete if and only if its `record.json` exists: it is written last, atomically, and never reopened.
Everything that reads results (reports, tables, recommendations) reads these files and nothing else. Counts and sums
are kept, never rates; a rate is computed where it is shown. No torch here. docs/records.md describes every field.
"""

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

SCHEMA_VERSION = 1
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class SetResult:
    """A network's result on one set of images, as sums that can be added and divided once."""

    num_seen: int
    num_correct: int
    loss_sum: float
    """Cross-entropy in nats, summed over the images."""

    @property
    def accuracy(self) -> float:
        """Fraction of the images that were classified correctly."""
        return self.num_correct / self.num_seen

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return self.loss_sum / self.num_seen


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """One evaluation while training; a row of `epochs.csv`. Sums are over the images of the set."""

    epoch: float
    """Training images seen over training images there are; a fraction inside an epoch."""
    step: int
    learning_rate: float
    """The network's rate at the last step."""
    train_seconds: float
    """Cumulative on the honest clock: batches, augmentation, forward, backward, optimiser; no evaluation."""
    data_seconds: float
    """The part of train_seconds spent on making batches."""
    eval_seconds: float
    """Cumulative seconds of evaluation, outside train_seconds."""
    images_per_second: float
    """Training images per training second since the row before."""
    train_num_seen: int
    train_num_correct: int
    train_loss_sum: float
    """In evaluation mode, without augmentation, on every tenth frame of every training track."""
    val_num_seen: int
    val_num_correct: int
    val_loss_sum: float

    @property
    def train(self) -> SetResult:
        """The training figures of this row."""
        return SetResult(num_seen=self.train_num_seen, num_correct=self.train_num_correct, loss_sum=self.train_loss_sum)

    @property
    def val(self) -> SetResult:
        """The validation figures of this row."""
        return SetResult(num_seen=self.val_num_seen, num_correct=self.val_num_correct, loss_sum=self.val_loss_sum)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a run cost. Counts are exact; seconds and bytes were measured on the record's machine."""

    num_parameters: int
    """Trainable ones, the STN's included."""
    macs: int
    """Multiply-accumulates of one forward pass of one image, the STN's sampling included (not FLOPs)."""
    size_bytes: int
    """Of the weights on disk."""
    train_seconds: float
    data_seconds: float
    eval_seconds: float
    num_steps: int
    num_images_seen: int
    peak_memory_bytes: int
    """Largest resident memory of the training process (on CUDA: the largest allocation on the device)."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The computer a run ran on, as far as it matters for its times."""

    cpu_name: str
    num_cores: int
    memory_bytes: int
    cpu_flags: tuple[str, ...]
    """The vector instructions that decide speed, such as avx2, avx512_bf16, amx_bf16."""
    gpu_name: str | None
    system: str
    python: str
    versions: dict[str, str]
    """Of roadtest and the libraries whose code runs in training."""
    commit: str | None
    """Of roadtest's own checkout; a trailing + means uncommitted changes."""
    load: float | None
    """Runnable processes per core at the start, before roadtest's own work; above 0.5 times are not to be trusted."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Everything about one finished run that is not a curve or an array."""

    network: str
    has_stn: bool
    seed: int
    protocol_name: str
    protocol_fingerprint: str
    data_title: str
    data_fingerprint: str
    split_fingerprint: str
    class_names: tuple[str, ...]
    image_size: int
    normalisation: str
    learning_rate: float
    batch_size: int
    device: str
    precision: str
    precision_probe_ms: dict[str, float]
    """Milliseconds of one training step in each precision that was tried; empty where it was not asked."""
    num_threads: int
    num_epochs: float
    stop_reason: str
    """`budget`, `patience` or `max epochs`: what ended the constant rate."""
    is_undertrained: bool
    """Fewer than two epochs were seen: too little training to compare."""
    train: SetResult
    """On all training images, in evaluation mode, with the final weights."""
    val: SetResult
    test: SetResult | None
    """None where the test set was not read."""
    cost: Cost
    machine: Machine
    num_resumes: int
    is_time_comparable: bool
    """False where the run was continued on another machine, or another number of threads."""
    started_at: str
    """UTC, ISO 8601."""
    finished_at: str
    schema_version: int = SCHEMA_VERSION

    @property
    def label(self) -> str:
        """`lenet5+stn`: the network as people read it."""
        return network_label(self.network, self.has_stn)


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run that a study consists of."""

    network: str
    has_stn: bool
    seed: int

    @property
    def label(self) -> str:
        """`lenet5+stn`: the network as people read it."""
        return network_label(self.network, self.has_stn)

    @property
    def folder(self) -> str:
        """Where the run lies inside its study: `lenet5+stn/seed-0`."""
        return f"{folder_name(self.label)}/seed-{self.seed}"


@dataclass(frozen=True, kw_only=True)
class StudyInfo:
    """`study.json`: what a study compares, on which data, under which protocol."""

    source: str
    """`gtsrb`, `signs` or the folder's name."""
    data_title: str
    """What people read: `GTSRB`, `GTSRB (subset)`, `torchvision's smaller GTSRB`, `drawn signs`."""
    data_fingerprint: str
    class_names: tuple[str, ...]
    num_train: int
    num_val: int
    """Images of the validation part the data came with; 0 where folds are used."""
    num_test: int
    num_tracks: int
    """Tracks (groups of images that belong together) in the training part."""
    protocol: dict[str, Any]
    """Every field of the protocol."""
    protocol_fingerprint: str
    runs: tuple[PlannedRun, ...]
    command: str
    """The command line that repeats the study."""
    created_at: str
    reads_test: bool = True
    notes: tuple[str, ...] = ()
    """What a reader must know of the data: a subset, drawn images, skipped files."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """`val.npz` or `test.npz`: the raw outputs from which every metric can be computed again."""

    logits_NK: npt.NDArray[np.float16]
    """float16: enough to give back every prediction and the loss to three digits."""
    labels_N: npt.NDArray[np.int64]
    image_ids_N: npt.NDArray[np.int64]
    """Row numbers in the study's split.csv, from 0."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that did not finish, and why; a row of failures.csv."""

    network: str
    has_stn: bool
    seed: int
    reason: str
    failed_at: str


def network_label(network: str, has_stn: bool) -> str:
    """`lenet5+stn`: how people and folders name a network with its switch."""
    return f"{network}+stn" if has_stn else network


def folder_name(label: str) -> str:
    """Turn a label into a folder name that every system takes and that stays unique."""
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", label)
    if safe.strip(".") == "":
        safe = "_" * max(len(safe), 1)
    return safe if safe == label else f"{safe}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def to_json(record: RunRecord | StudyInfo) -> bytes:
    """A record as UTF-8 JSON, one field a line."""
    return (json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n").encode()


def write_record(run_dir: Path, record: RunRecord) -> None:
    """Declare the run complete; refuse to do so twice."""
    path = run_dir / "record.json"
    if path.exists():
        raise FileExistsError(f"{path} exists: a finished run is never written again; use another folder")
    write_atomically(path, to_json(record))


def read_record(run_dir: Path) -> RunRecord:
    """Read one finished run; a ValueError names what is wrong with the file."""
    plain = _read_json(run_dir / "record.json")
    for key in ("train", "val", "test"):
        plain[key] = None if plain.get(key) is None else _build(SetResult, plain[key], run_dir)
    plain["cost"] = _build(Cost, plain["cost"], run_dir)
    machine = dict(plain["machine"])
    machine["cpu_flags"] = tuple(machine.get("cpu_flags", ()))
    plain["machine"] = _build(Machine, machine, run_dir)
    plain["class_names"] = tuple(plain["class_names"])
    return _build(RunRecord, plain, run_dir)


def read_study_info(study_dir: Path) -> StudyInfo:
    """Read `study.json`; a ValueError names what is wrong with it."""
    plain = _read_json(study_dir / "study.json")
    plain["runs"] = tuple(_build(PlannedRun, run, study_dir) for run in plain["runs"])
    plain["class_names"] = tuple(plain["class_names"])
    plain["notes"] = tuple(plain.get("notes", ()))
    return _build(StudyInfo, plain, study_dir)


def read_records(study_dir: Path) -> list[RunRecord]:
    """All finished runs of a study, in the order of its plan."""
    info = read_study_info(study_dir)
    return [
        read_record(study_dir / run.folder) for run in info.runs if (study_dir / run.folder / "record.json").exists()
    ]


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Append one row to a csv file, with a header where the file is new."""
    is_new = not path.exists() or path.stat().st_size == 0
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Write a whole csv file atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a csv file as text; an absent file has none; a last line that was cut off is dropped."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    complete = text if text.endswith("\n") else text[: text.rfind("\n") + 1]
    return list(csv.DictReader(complete.splitlines()))


def read_epochs(run_dir: Path) -> list[EpochRow]:
    """The evaluations of a run, finished or not."""
    kinds: dict[str, type] = {f.name: int if f.type in ("int", int) else float for f in fields(EpochRow)}
    return [
        EpochRow(**{name: kind(row[name]) for name, kind in kinds.items()}) for row in read_rows(run_dir / "epochs.csv")
    ]


def read_failures(study_dir: Path) -> list[Failure]:
    """The runs that failed and were not finished since."""
    rows = {
        (row["network"], row["has_stn"], row["seed"]): Failure(
            network=row["network"],
            has_stn=row["has_stn"] == "True",
            seed=int(row["seed"]),
            reason=row["reason"],
            failed_at=row["failed_at"],
        )
        for row in read_rows(study_dir / "failures.csv")
    }
    return [failure for failure in rows.values() if not (study_dir / _planned(failure).folder / "record.json").exists()]


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write logits, labels and image ids, atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **asdict(predictions))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_predictions(path: Path) -> Predictions:
    """Read `val.npz` or `test.npz`, without pickle."""
    with np.load(path, allow_pickle=False) as arrays:
        return Predictions(**{f.name: arrays[f.name] for f in fields(Predictions)})


def _planned(failure: Failure) -> PlannedRun:
    return PlannedRun(network=failure.network, has_stn=failure.has_stn, seed=failure.seed)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path.parent} holds no {path.name}: give the folder that `roadtest compare` wrote") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it or repeat the run") from None
    if not isinstance(plain, dict) or plain.get("schema_version", 0) > SCHEMA_VERSION:
        raise ValueError(f"{path} was written by a newer roadtest: it must be schema {SCHEMA_VERSION}; upgrade")
    return plain


def _build(kind: type[T], plain: Mapping[str, Any], where: Path) -> T:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    try:
        return kind(**{key: value for key, value in plain.items() if key in known})
    except TypeError as error:
        raise ValueError(f"{where}: a {kind.__name__} is incomplete ({error}): restore it or repeat the run") from None
