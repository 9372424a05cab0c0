"""The values that a run and a study leave on disk, field by field. Counts and sums are kept, never rates."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from roadtest.format import network_label

SCHEMA_VERSION = 1
GroupOrigin = Literal["given", "recovered", "auto", "none", ""]
"""Where groups come from: the source, the looks of GTSRB's test images, `--group auto`, or there are none; empty in
studies that do not say."""
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
class EpochMetrics:
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
class CooldownMetrics(EpochMetrics):
    """The end of a cooldown copy: a copy of the network, annealed beside the run; a row of `branches.csv`.

    Steps and seconds are the run's up to the copy and the copy's own from there: what a run with that fraction of the
    budget would have taken.
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
    """How much real data the synthetic training used: `zero-real`, `statistics`, `real-selected`; else empty."""
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
    """How much real data the synthetic training used: `zero-real`, `statistics`, `real-selected`; empty for others."""
    subject: str = ""
    """What the images show: `signs` for GTSRB and synthetic signs, else `images`; sentences say "on new signs"."""
    group_origin: GroupOrigin = ""
    """Of the test images, where they are of another data set; only test images have recovered groups."""
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


def folder_name(label: str) -> str:
    """Turn a label into a folder name that every system takes and that stays unique."""
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", label)[-MAX_FOLDER_NAME:]
    if safe.strip(".") == "":
        safe = "_" * max(len(safe), 1)
    return safe if safe == label else f"{safe}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"


def utc_now() -> str:
    """This moment as records write it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


Severity = Literal["ok", "note", "warning", "error", "slow", "missing"]
"""A data check reports `error` (results would be wrong), `warning` (they could mislead) and `note` (worth knowing); the
doctor reports `slow` and `missing`; both report `ok`."""
NUM_EXAMPLES = 6
"""Cases that are named and shown per finding."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a check of the data or of the computer looked at, and what it found."""

    topic: str
    """One or two words: `copies`, `mirror images`, `memory`."""
    severity: Severity
    text: str
    """One line."""
    advice: str = ""
    """What to do; empty where nothing is to be done."""
    paths: tuple[str, ...] = ()
    """Example images."""
    cases: tuple[tuple[int, ...], ...] = ()
    """Examples as rows of the image set; the images of one case belong side by side."""
