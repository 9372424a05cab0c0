"""The values that a run and a study leave behind, field by field. Counts and sums are kept, never rates.

What a study tells while it works: one small value per happening, for whoever wants to show it.

Floor of plain words: the worker writes events as JSON lines, the study passes them on, the display draws them.

What a worker process is told: one run, or one trial of the sweep, as a value that travels as JSON.

Plain values from a file, turned into a dataclass whose fields have the types they claim to have.

The file may come from anybody: whatever is missing, of another type or not a number is a ValueError in one line that
names the field. Unknown fields are left out, so that files of a later version with the same schema stay readable.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from roadtest.protocol import Protocol

SCHEMA_VERSION = 1


MAX_SEED = 2**31 - 1


MAX_FOLDER_NAME = 100
"""Characters; file systems take 255 bytes, and Windows 260 characters of a whole path."""


@dataclass(frozen=True, kw_only=True)
class SetResult:
    """A network's result on one set of images, as sums that can be added and divided once."""

    num_seen: int
    num_correct: int
    loss_sum: float
    """Cross-entropy in nats, summed over the images."""

    def __post_init__(self) -> None:
        if not 0 <= self.num_correct <= self.num_seen or self.num_seen < 1:
            raise ValueError(f"{self.num_correct} of {self.num_seen} images correct")

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
class BranchRow(EpochRow):
    """The end of a branch: a copy of the network, annealed beside the run; a row of `branches.csv`.

    Steps and seconds are the run's up to the branch and the branch's own from there: what a run with that fraction of
    the budget would have taken.
    """

    budget_fraction: float
    """Of the run's budget, or of its largest number of epochs."""
    first_step: int
    """The run's step at which the copy left it."""


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
    """Largest resident memory of the run's processes (on CUDA: the largest allocation on the device)."""


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
    """Share of the usable cores that other programs used, 0 to 1, when the run began or while it trained, whichever is
    more, the study's own other runs left out; above 0.1 times are not to be trusted."""


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
    """False where the run was continued on another machine, device, number of threads or version of torch."""
    started_at: str
    """UTC, ISO 8601."""
    finished_at: str
    pretrained_weights: str = ""
    """Where the network's first weights are published, and their file's fingerprint; empty where they were drawn."""
    own_network_digest: str = ""
    """SHA-256 of the user's file that the network was built from; empty for other networks, and in older records."""
    test_title: str = ""
    """The data set that the test images were taken from; empty where it is the same."""
    test_fingerprint: str = ""
    level: str = ""
    """What training on drawn signs alone owes to real ones: `zero-real`, `statistics`, `real-selected`; else empty."""
    num_jobs: int = 1
    """Runs that the study did at the same time, at most, this one included: times hold for so many side by side."""
    subject: str = ""
    """What the images show: `signs` or `images`, as in `study.json`."""
    schema_version: int = SCHEMA_VERSION

    @property
    def run(self) -> "PlannedRun":
        """The run as it was planned, which knows its label and its folder."""
        return PlannedRun(network=self.network, has_stn=self.has_stn, seed=self.seed)

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

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MAX_SEED:
            raise ValueError(f"seed {self.seed}: it must lie between 0 and {MAX_SEED}; take another")
        if not self.network.isprintable():
            raise ValueError(f"network {self.network!r}: its name must be printable; take another")

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
    test_title: str = ""
    """The data set that the test images are taken from; empty where it is the same."""
    test_fingerprint: str = ""
    level: str = ""
    """What training on drawn signs alone owes to real ones: `zero-real`, `statistics`, `real-selected`; else empty."""
    subject: str = ""
    """What the images show: `signs` for GTSRB and synthetic signs, else `images`; sentences say "on new signs"."""
    group_origin: str = ""
    """Where the groups come from: `given`, `recovered`, `auto`, or `none`; empty in studies before this field."""
    metric: str = "accuracy"
    """What chooses between the networks, unless a reader asks for another; no part of the protocol."""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """`val.npz` or `test.npz`: the raw outputs from which every metric can be computed again."""

    logits_NK: npt.NDArray[np.floating[Any]]
    """float16 where that gives back every answer, and the loss to three digits; else float32."""
    labels_N: npt.NDArray[np.int64]
    image_ids_N: npt.NDArray[np.int64]
    """Row numbers in the study's split.csv, from 0."""


FailureKind = Literal["error", "diverged"]
"""`diverged`: the loss became infinite or no number. A network with such a seed is not compared."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that did not finish, and why; a row of failures.csv."""

    network: str
    has_stn: bool
    seed: int
    reason: str
    """For people; `kind` is for programs."""
    failed_at: str
    kind: FailureKind = "error"


def network_label(network: str, has_stn: bool) -> str:
    """`lenet5+stn`: how people and folders name a network with its switch."""
    return f"{network}+stn" if has_stn else network


def row_label(row: Mapping[str, Any], side: str = "") -> str:
    """`lenet5+stn`: the network of a table's row; where the row is of a pair, that of the side `_a` or `_b`."""
    return network_label(row[f"network{side}"], row[f"has_stn{side}"])


def folder_name(label: str) -> str:
    """Turn a label into a folder name that every system takes and that stays unique."""
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", label)[-MAX_FOLDER_NAME:]
    if safe.strip(".") == "":
        safe = "_" * max(len(safe), 1)
    return safe if safe == label else f"{safe}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"


def utc_now() -> str:
    """This moment as records write it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One happening. `kind` says which of the other fields are set.

    | kind | when | fields |
    |---|---|---|
    | download | a data set is fetched | num_done, num_total: bytes |
    | data | images are decoded | num_done, num_total |
    | planned | the study knows its runs | text: "12 runs, about 2 h 05 min, 6.4 GB"; num_total: number of runs |
    | queued | once per run, at the start | label, seed, status: "waiting" or "finished" (found complete) |
    | started | a run begins or goes on | label, seed, text: "from the start" or "from epoch 3.2" |
    | phase | a run does something else than train | label, seed, text: "probing precision", "evaluating", "test" |
    | step | about every half second of training | label, seed, epoch, images_per_second, train_seconds, seconds_left |
    | row | an evaluation | the same, and train_loss, train_accuracy, val_loss, val_accuracy |
    | finished | a run is complete | label, seed, train_seconds, val_accuracy, test_accuracy |
    | failed | a run failed | label, seed, text: the reason, status: a FailureKind |
    | done | the worker has done all that it was told to: the last it tells | |
    | trial | the worker tried a rate | label, learning_rate, epoch, train_seconds, val_loss, val_accuracy |
    | sweep | the same in words | label, text: "rate 0.05: validation loss 0.31" |
    | latency | latencies are measured | num_done, num_total |
    | note | something that was decided | text |
    | warning | something to beware of | text |
    """

    kind: str
    label: str = ""
    seed: int | None = None
    text: str = ""
    status: str = ""
    num_done: int | None = None
    num_total: int | None = None
    epoch: float | None = None
    images_per_second: float | None = None
    train_seconds: float | None = None
    seconds_left: float | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    learning_rate: float | None = None

    def to_line(self) -> str:
        """One line of JSON, without the fields that are not set."""
        return json.dumps({key: value for key, value in asdict(self).items() if value not in (None, "")})

    @classmethod
    def from_line(cls, line: str) -> "Event":
        """Read `to_line` back; a ValueError where the line is something else."""
        plain: Any = json.loads(line)
        if not isinstance(plain, dict) or "kind" not in plain or not set(plain) <= {f.name for f in fields(cls)}:
            raise ValueError(f"not an event: {line[:80]!r}")
        return cls(**plain)


def printable(text: str) -> str:
    """Text that does nothing to a terminal: what is no printed sign becomes a question mark."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def counting(tell: Callable[[Event], None], kind: str) -> Callable[[int, int], None]:
    """A function of what is done and what there is in all, which tells both as events of one kind."""
    return lambda done, total: tell(Event(kind=kind, num_done=done, num_total=total))


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a run is told; JSON on its way to another process."""

    study_dir: Path
    cache_dir: Path
    pixels_path: Path
    """The decoded images in the cache; their rows are those of the study's split.csv."""
    split_fingerprint: str
    """Of the study's split.csv, which holds the folds."""
    run: PlannedRun
    protocol: Protocol
    learning_rate: float
    device: str
    precision: str
    num_threads: int
    num_jobs: int = 1
    """Runs that the study does at the same time, at most, this one included."""
    reads_test: bool = True
    keeps_weights: bool = True
    anneals: bool = False
    """Copies are annealed at a quarter and a half of the budget, beside the run."""
    max_steps: int | None = None
    """Set for a trial of the sweep: train this many steps, report the validation figures, leave no folder."""

    @property
    def run_dir(self) -> Path:
        """The run's own folder."""
        return self.study_dir / self.run.folder

    def to_json(self) -> str:
        """The job as text for another process."""
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}
        return json.dumps({**plain, "run": vars(self.run), "protocol": self.protocol.to_dict()})

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Read `to_json` back."""
        plain: dict[str, Any] = json.loads(text)
        for name in ("study_dir", "cache_dir", "pixels_path"):
            plain[name] = Path(plain[name])
        plain["run"], plain["protocol"] = PlannedRun(**plain["run"]), Protocol.from_dict(plain["protocol"])
        return cls(**plain)

    def event(self, kind: str, **values: Any) -> Event:
        """An event about this run."""
        return Event(kind=kind, label=self.run.label, seed=self.run.seed, **values)


T = TypeVar("T")


MAX_JSON_BYTES = 20_000_000
"""A record has about 5 kB; one with 20,000 classes, half a megabyte."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that this version understands."""
    try:
        if path.exists() and not path.is_file():  # a device or a pipe has no bytes, and no end
            raise ValueError("it is no plain file")
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes, more than {MAX_JSON_BYTES:,}")
        plain = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        if not isinstance(plain, dict):
            raise ValueError("it must hold one object")
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path.parent} holds no {path.name}: give the folder that `roadtest compare` wrote") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it or repeat the run") from None
    version = plain.get("schema_version", 0)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise ValueError(f"{path} has schema {version!r}: this roadtest reads up to {SCHEMA_VERSION}; upgrade roadtest")
    return plain


def build(kind: type[T], plain: object, where: Path) -> T:
    """Make a dataclass of plain values; a ValueError names the file and the field that is wrong."""
    try:
        return _build(kind, plain)
    except ValueError as error:
        raise ValueError(f"{where} is damaged ({error}): restore it or repeat the run") from None


def _build(kind: type[T], plain: object) -> T:
    if not isinstance(plain, Mapping):
        raise ValueError(f"a {kind.__name__} must be an object, not {_short(plain)}")
    hints, values = get_type_hints(kind), {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in plain:
            values[field.name] = _value(hints[field.name], plain[field.name], field.name)
        elif field.default is MISSING:
            raise ValueError(f"a {kind.__name__} lacks {field.name}")
    return kind(**values)


def _value(hint: Any, value: object, name: str) -> Any:
    if get_origin(hint) is UnionType:  # always `something | None` here
        return None if value is None else _value(get_args(hint)[0], value, name)
    if type(value) is int and not -(2**63) <= value < 2**63:  # neither a float nor an array could hold it
        raise ValueError(f"{name} is {_short(value)}")
    if hint is Any:
        return value
    if is_dataclass(hint):
        return _build(hint, value)  # type: ignore[arg-type]
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_value(get_args(hint)[0], one, name) for one in value)
    if get_origin(hint) is dict and isinstance(value, dict):
        return {key: _value(get_args(hint)[1], one, f"{name}[{key[:20]!r}]") for key, one in value.items()}
    if hint is float and type(value) in (int, float) and math.isfinite(value):  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    if isinstance(hint, type) and type(value) is hint and hint is not float:
        return value
    raise ValueError(f"{name} is {_short(value)}")


def _short(value: object) -> str:
    return repr(value)[:60]


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")
