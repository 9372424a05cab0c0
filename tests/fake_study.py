"""Builds a complete, realistic study folder out of arithmetic alone, for tests of everything that reads studies.

Nothing is trained: every network has a skill, every track a difficulty, and a frame is classified correctly when the
network's skill, the seed's luck and the frame's own luck together beat the difficulty. Errors therefore come in
tracks, as on real signs, and two networks err on the same hard signs. All of it is drawn from one seed: the same
arguments give the same folder.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from roadtest.data.gtsrb_classes import CLASS_NAMES
from roadtest.protocol import GTSRB_V1
from roadtest.records import (
    Cost,
    EpochMetrics,
    Failure,
    Machine,
    PlannedRun,
    Predictions,
    RunRecord,
    SetResult,
    StudyInfo,
    append_failure,
    append_row,
    to_json,
    write_atomically,
    write_predictions,
    write_record,
    write_rows,
)

SIX = ("lenet5", "lenet5+stn", "vgg16", "vgg16+stn", "resnet34", "resnet34+stn")
NUM_PARAMETERS = {"lenet5": 65_219, "vgg16": 134_445_163, "resnet34": 21_299_051}
MACS = {"lenet5": 650_000, "vgg16": 433_000_000, "resnet34": 290_000_000}
SKILLS = {"lenet5": 1.9, "vgg16": 2.3, "resnet34": 2.6}
LATENCY_MS = {"lenet5": 0.32, "vgg16": 14.0, "resnet34": 9.5}
STN_PARAMETERS, STN_MACS, STN_LATENCY_MS, STN_SKILL = 8_544, 970_000, 0.21, 0.35
EVENT_TIME = "2025-03-01T12:00:00Z"

MACHINE = Machine(
    cpu_name="Example CPU @ 2.50GHz",
    num_cores=2,
    memory_bytes=16 * 2**30,
    cpu_flags=("avx2", "avx512_bf16"),
    gpu_name=None,
    system="Linux 6.1 x86_64",
    python="3.11.9",
    versions={"roadtest": "0.1.0", "torch": "2.11.0", "numpy": "2.2.0"},
    commit="0123abc",
    load=0.04,
)


@dataclass(frozen=True, kw_only=True)
class Images:
    """The images of the fake data set: per row of split.csv its class, group, split, fold and difficulty."""

    labels_N: npt.NDArray[np.int64]
    groups: list[str]
    splits: list[str]
    folds_N: npt.NDArray[np.int64]
    difficulty_N: npt.NDArray[np.float64]

    def ids(self, split: str, fold: int | None = None) -> npt.NDArray[np.int64]:
        """Row numbers of one split, or of one fold of the training part."""
        is_chosen = np.asarray(self.splits) == split
        return np.flatnonzero(is_chosen if fold is None else is_chosen & (self.folds_N == fold))


@dataclass(frozen=True, kw_only=True)
class _How:
    """How one fake run went."""

    is_undertrained: bool
    num_evaluations: int
    image_size: int
    has_examples: bool

    @property
    def num_epochs(self) -> float:
        """One evaluation an epoch, but for undertrained runs: one epoch in all."""
        return 1.0 if self.is_undertrained else float(self.num_evaluations)


def build_fake_study(
    study_dir: Path,
    *,
    networks: Sequence[str] = SIX,
    seeds: int = 3,
    failed: str | None = None,
    undertrained: str | None = None,
    unfinished: Sequence[str] = (),
    has_test: bool = True,
    reads_test: bool = True,
    has_latency: bool = True,
    has_examples: bool = True,
    class_names: Sequence[str] = CLASS_NAMES,
    tracks_per_class: int = 3,
    frames_per_track: int = 10,
    test_frames_per_track: int | None = None,
    image_size: int = 32,
    num_evaluations: int = 12,
    data_title: str = "GTSRB",
    notes: Sequence[str] = (),
    command: str = "roadtest compare gtsrb --data-dir data --seeds 3",
) -> Path:
    """Write a study of `networks` (labels as `lenet5+stn`) under `study_dir` and return it.

    The last seed of `failed` failed; all runs of `undertrained` saw one epoch; the `unfinished` never started. Test
    tracks are as long as those for training unless told otherwise.
    """
    study_dir.mkdir(parents=True)
    frames = {"train": frames_per_track} | ({"test": test_frames_per_track or frames_per_track} if has_test else {})
    images = _draw_images(len(class_names), tracks_per_class, frames)
    runs = [_planned(label, seed) for label in networks for seed in range(seeds)]
    info = _study_info(images, runs, class_names, data_title, notes, command, reads_test and has_test)
    write_atomically(study_dir / "study.json", to_json(info))
    _write_split(study_dir / "split.csv", images)
    for run in runs:
        if run.label in unfinished:
            continue
        if run.label == failed and run.seed == seeds - 1:
            _write_failure(study_dir, run)
            continue
        how = _How(
            is_undertrained=run.label == undertrained,
            num_evaluations=min(num_evaluations, 3) if run.label == undertrained else num_evaluations,
            image_size=image_size,
            has_examples=has_examples,
        )
        _write_run(study_dir, info, images, run, how)
    if has_latency:
        _write_latency(study_dir, [label for label in networks if label not in unfinished])
    _write_test_reads(study_dir, info, runs)
    return study_dir


def _planned(label: str, seed: int) -> PlannedRun:
    network, _, tail = label.rpartition("+")
    return PlannedRun(network=network if tail == "stn" else label, has_stn=tail == "stn", seed=seed)


def _draw_images(num_classes: int, tracks_per_class: int, frames: Mapping[str, int]) -> Images:
    """Tracks of so many frames for each split: for training dealt over ten folds in turn, and as many for the test."""
    rng = np.random.default_rng(7)
    labels, groups, split_of, folds, difficulties = [], [], [], [], []
    for split, frames_per_track in frames.items():
        for label in range(num_classes):
            class_difficulty = rng.normal(0.0, 0.6)
            for track in range(tracks_per_class):
                group = f"{label:05d}/{track:05d}" if split == "train" else f"~{label}-{track}"
                fold = (label * tracks_per_class + track) % 10 if split == "train" else -1
                track_difficulty = class_difficulty + rng.normal(0.0, 1.0)
                labels += [label] * frames_per_track
                groups += [group] * frames_per_track
                split_of += [split] * frames_per_track
                folds += [fold] * frames_per_track
                difficulties += list(track_difficulty + rng.normal(0.0, 0.4, frames_per_track))
    return Images(
        labels_N=np.array(labels, np.int64),
        groups=groups,
        splits=split_of,
        folds_N=np.array(folds, np.int64),
        difficulty_N=np.array(difficulties),
    )


def _study_info(
    images: Images,
    runs: Sequence[PlannedRun],
    class_names: Sequence[str],
    data_title: str,
    notes: Sequence[str],
    command: str,
    reads_test: bool,
) -> StudyInfo:
    train_groups = {group for group, split in zip(images.groups, images.splits, strict=True) if split == "train"}
    return StudyInfo(
        source="gtsrb",
        data_title=data_title,
        data_fingerprint="d" * 64,
        class_names=tuple(class_names),
        num_train=images.splits.count("train"),
        num_val=0,
        num_test=images.splits.count("test"),
        num_tracks=len(train_groups),
        protocol=GTSRB_V1.to_dict(),
        protocol_fingerprint=GTSRB_V1.fingerprint,
        runs=tuple(runs),
        command=command,
        created_at=EVENT_TIME,
        reads_test=reads_test,
        subject="signs",
        notes=tuple(notes),
    )


def _write_split(path: Path, images: Images) -> None:
    rows = (
        {"path": f"{split}/{number:06d}.ppm", "label": label, "group": group, "split": split, "fold": fold}
        for number, (label, group, split, fold) in enumerate(
            zip(images.labels_N.tolist(), images.groups, images.splits, images.folds_N.tolist(), strict=True)
        )
    )
    write_rows(path, rows, ("path", "label", "group", "split", "fold"))


def _write_run(study_dir: Path, info: StudyInfo, images: Images, run: PlannedRun, how: "_How") -> None:
    run_dir = study_dir / run.folder
    run_dir.mkdir(parents=True)
    rng = np.random.default_rng([run.seed, *run.label.encode()])
    skill = SKILLS.get(run.network, 2.0) + STN_SKILL * run.has_stn - 1.8 * how.is_undertrained + rng.normal(0.0, 0.08)
    val_ids = images.ids("train", fold=run.seed % 10)
    num_train = images.splits.count("train") - len(val_ids)
    val = _predict(images, val_ids, skill, len(info.class_names), rng)
    write_predictions(run_dir / "val.npz", val)
    test = None
    if info.reads_test:
        test = _predict(images, images.ids("test"), skill - 0.15, len(info.class_names), rng)
        write_predictions(run_dir / "test.npz", test)
    train_seconds = _write_curves(run_dir, run, how, count(val), num_train)
    if how.has_examples:
        _write_examples(run_dir, run, test, how.image_size, rng)
    write_record(run_dir, _record(info, run, how, num_train, train_seconds, val, test))


def _record(
    info: StudyInfo,
    run: PlannedRun,
    how: "_How",
    num_train: int,
    train_seconds: float,
    val: Predictions,
    test: Predictions | None,
) -> RunRecord:
    train = SetResult(num_seen=num_train, num_correct=int(num_train * 0.999), loss_sum=0.01 * num_train)
    return RunRecord(
        **asdict(run),
        protocol_name=info.protocol["name"],
        protocol_fingerprint=info.protocol_fingerprint,
        data_title=info.data_title,
        data_fingerprint=info.data_fingerprint,
        split_fingerprint="5" * 64,
        class_names=info.class_names,
        image_size=how.image_size,
        normalisation="per-image",
        learning_rate=0.05,
        batch_size=128,
        device="cpu",
        precision="bfloat16",
        precision_probe_ms={"float32": 210.0, "bfloat16": 118.0},
        num_threads=2,
        num_epochs=how.num_epochs,
        stop_reason="budget" if how.is_undertrained else "patience",
        is_undertrained=how.is_undertrained,
        train=train,
        val=count(val),
        test=None if test is None else count(test),
        cost=_cost(run, train_seconds, how.num_epochs, num_train),
        machine=MACHINE,
        num_resumes=0,
        is_time_comparable=True,
        started_at=EVENT_TIME,
        finished_at=EVENT_TIME,
    )


def _predict(
    images: Images, ids_N: npt.NDArray[np.int64], skill: float, num_classes: int, rng: np.random.Generator
) -> Predictions:
    """Logits that favour the label by the margin of skill over difficulty, and a neighbouring class otherwise."""
    labels_N = images.labels_N[ids_N]
    margin_N = skill - images.difficulty_N[ids_N] + rng.normal(0.0, 0.25, len(ids_N))
    logits_NK = rng.normal(0.0, 0.3, (len(ids_N), num_classes))
    step_N = np.where(rng.random(len(ids_N)) < 0.7, 1, 2)
    rivals_N = (labels_N + step_N) % num_classes
    rows_N = np.arange(len(ids_N))
    logits_NK[rows_N, rivals_N] = 5.0
    logits_NK[rows_N, labels_N] = 5.0 + 2.0 * margin_N
    return Predictions(logits_NK=logits_NK.astype(np.float16), labels_N=labels_N, image_ids_N=ids_N)


def count(predictions: Predictions) -> SetResult:
    """Counts and cross-entropy of predictions, in float64."""
    logits_NK = predictions.logits_NK.astype(np.float64)
    top_N = logits_NK.max(axis=1)
    log_sum_N = top_N + np.log(np.exp(logits_NK - top_N[:, None]).sum(axis=1))
    loss_N = log_sum_N - logits_NK[np.arange(len(logits_NK)), predictions.labels_N]
    num_correct = int((logits_NK.argmax(axis=1) == predictions.labels_N).sum())
    return SetResult(num_seen=len(logits_NK), num_correct=num_correct, loss_sum=float(loss_N.sum()))


def _write_curves(run_dir: Path, run: PlannedRun, how: _How, val: SetResult, num_train: int) -> float:
    """Falling errors that end at the run's own validation figures; return the training seconds."""
    seconds_per_epoch = 1.0 + MACS.get(run.network, 5_000_000) / 3e6 + 1.5 * run.has_stn
    num_seen = max(num_train // 10, 1)
    rng = np.random.default_rng([run.seed, 1])
    for number in range(1, how.num_evaluations + 1):
        share = number / how.num_evaluations
        early = np.exp(-5.0 * share) * (1.0 - share) * rng.uniform(0.8, 1.2)
        val_error = min(1.0 - val.accuracy + 1.1 * early, 0.97)
        train_error = min(0.1 * (1.0 - val.accuracy) + 1.15 * early, 0.97)
        row = EpochMetrics(
            epoch=how.num_epochs * share,
            step=int(how.num_epochs * share * num_train / 128),
            learning_rate=0.05 * (1.0 - share),
            train_seconds=seconds_per_epoch * how.num_epochs * share,
            data_seconds=0.2 * seconds_per_epoch * how.num_epochs * share,
            eval_seconds=0.3 * number,
            images_per_second=num_train / seconds_per_epoch,
            train_num_seen=num_seen,
            train_num_correct=round(num_seen * (1.0 - train_error)),
            train_loss_sum=float(num_seen * (3.4 * train_error + 0.002)),
            val_num_seen=val.num_seen,
            val_num_correct=round(val.num_seen * (1.0 - val_error)),
            val_loss_sum=float(val.loss_sum + val.num_seen * 3.6 * early),
        )
        append_row(run_dir / "epochs.csv", asdict(row))
    return float(seconds_per_epoch * how.num_epochs)


def _cost(run: PlannedRun, train_seconds: float, num_epochs: float, num_train: int) -> Cost:
    num_parameters = NUM_PARAMETERS.get(run.network, 5_000_000) + STN_PARAMETERS * run.has_stn
    return Cost(
        num_parameters=num_parameters,
        macs=MACS.get(run.network, 5_000_000) + STN_MACS * run.has_stn,
        size_bytes=4 * num_parameters + 3_000,
        train_seconds=train_seconds,
        data_seconds=0.2 * train_seconds,
        eval_seconds=0.3 * num_epochs,
        num_steps=int(num_epochs * num_train / 128),
        num_images_seen=int(num_epochs * num_train),
        peak_memory_bytes=600_000_000 + 12 * num_parameters,
    )


def _write_examples(
    run_dir: Path, run: PlannedRun, test: Predictions | None, image_size: int, rng: np.random.Generator
) -> None:
    arrays: dict[str, Any] = {}
    if test is not None:
        logits_NK = test.logits_NK.astype(np.float64)
        lead_N = logits_NK[np.arange(len(logits_NK)), test.labels_N] - logits_NK.max(axis=1)
        worst_N = np.argsort(lead_N, kind="stable")[: min(24, int((lead_N < 0).sum()))]
        signs = [_draw_sign(int(test.labels_N[n]), image_size, rng) for n in worst_N]
        arrays["worst_images_NHWC"] = np.array(signs, np.uint8).reshape(-1, image_size, image_size, 3)
        arrays["worst_ids_N"] = test.image_ids_N[worst_N]
    if run.has_stn:
        before_NHWC = np.stack([_draw_sign(label, image_size, rng) for label in range(8)])
        shift = image_size // 8
        arrays["stn_before_NHWC"] = before_NHWC
        arrays["stn_after_NHWC"] = np.roll(before_NHWC, (-shift, shift), axis=(1, 2))
    if not arrays:
        return
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(run_dir / "examples.npz", buffer.getvalue())


def _draw_sign(label: int, image_size: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A ring or a blue disc on a noisy sky: enough that a person sees a sign in a thumbnail."""
    y_HW, x_HW = np.mgrid[0:image_size, 0:image_size] / image_size - 0.5
    radius_HW = np.hypot(x_HW + rng.normal(0.0, 0.05), y_HW + rng.normal(0.0, 0.05))
    image_HWC = np.full((image_size, image_size, 3), rng.uniform(60.0, 160.0))
    colour = (30.0, 60.0, 170.0) if label % 3 == 0 else (235.0, 235.0, 225.0)
    image_HWC[radius_HW < 0.4] = colour
    if label % 3:
        image_HWC[(radius_HW < 0.4) & (radius_HW > 0.28)] = (190.0, 30.0, 35.0)
    image_HWC[(np.abs(x_HW) < 0.03 + 0.01 * (label % 5)) & (radius_HW < 0.2)] = (20.0, 20.0, 20.0)
    light = rng.uniform(0.35, 1.05)
    return np.clip(image_HWC * light + rng.normal(0.0, 6.0, image_HWC.shape), 0, 255).astype(np.uint8)


def _write_failure(study_dir: Path, run: PlannedRun) -> None:
    failure = Failure(
        network=run.network,
        has_stn=run.has_stn,
        seed=run.seed,
        reason="the loss became NaN at step 412: lower the learning rate",
        failed_at=EVENT_TIME,
    )
    append_failure(study_dir, failure)


def _write_latency(study_dir: Path, labels: Sequence[str]) -> None:
    rng = np.random.default_rng(3)
    rows = []
    for round_number in range(5):
        for label in labels:
            run = _planned(label, 0)
            base_ms = LATENCY_MS.get(run.network, 3.0) + STN_LATENCY_MS * run.has_stn
            for batch_size, factor in ((1, 1.0), (64, 21.0)):
                where = {"runtime": "torch", "device": "cpu", "batch_size": batch_size, "num_threads": 2}
                for sample in range(20):
                    latency_ms = base_ms * factor * (1.0 + rng.exponential(0.06))
                    what = {"round": round_number, "sample": sample, "latency_ms": latency_ms, "is_busy": False}
                    rows.append({"network": run.network, "has_stn": run.has_stn, **where, **what})
    if rows:
        write_rows(study_dir / "latency.csv", rows, rows[0])


def _write_test_reads(study_dir: Path, info: StudyInfo, runs: Sequence[PlannedRun]) -> None:
    """The ledger's lines: one for each reading."""
    if not info.reads_test:
        return
    for run in runs:
        if (study_dir / run.folder / "record.json").exists():
            row = {"read_at": EVENT_TIME, "data_fingerprint": info.data_fingerprint, "study": study_dir.name}
            row |= {**asdict(run), "protocol_fingerprint": info.protocol_fingerprint}
            append_row(study_dir / "test-reads.csv", row)
