"""One run: data, network, training, the final figures, the test set once, and one folder of plain files.

The run is complete if and only if its `record.json` exists, which is written last. Before that, everything needed to
go on lies in `state.pt`, replaced atomically and at most once a minute. A run's process is `roadtest.training.worker`.

A few images of a finished run, kept for the report: what it got most wrong, and what its STN does to an image.

Written as `examples.npz`, without pickle. Studies that are published leave the file out.

The last part of a run: what its finished network gets right, the test set once, and what it cost.
"""

import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from roadtest.data.dataset import ImageSet
from roadtest.data.open import reopen_image_set
from roadtest.data.split import every_tenth_frame, note_test_read, split_for_seed
from roadtest.machine import describe_machine, prepare_device, watch_load
from roadtest.networks import build_network, parse_network
from roadtest.networks.pretrained import NORMALISATION, name_weights
from roadtest.networks.stn import WithSTN
from roadtest.networks.user_file import check_unchanged, digest_own
from roadtest.protocol import UNDERTRAINED_EPOCHS
from roadtest.records import (
    Cost,
    EpochMetrics,
    Machine,
    Predictions,
    RunRecord,
    SetResult,
    append_row,
    is_finished,
    read_records,
    replacing,
    utc_now,
    write_predictions,
    write_record,
)
from roadtest.records.events import Event, RunSpec
from roadtest.records.lock import folder_lock
from roadtest.training.anneal import anneal_if_due, begin_branches, forget_branches
from roadtest.training.augment import prepare_batch
from roadtest.training.checkpoint import (
    BRANCH_STATE,
    RUN_STATE,
    Origin,
    SaveClock,
    count_weight_bytes,
    drop_rows_after,
    read_state,
    write_state,
    write_weights,
)
from roadtest.training.loop import Tick, evaluate_ids, predict_ids, train
from roadtest.training.precision import choose_precision, settle_precision
from roadtest.training.predict import count_correct, pixel_reader, to_predictions
from roadtest.training.profile import count_macs, count_parameters, peak_memory_bytes
from roadtest.training.state import Training


class Stopped(Exception):  # noqa: N818
    """Asked to stop; the state is kept."""


def execute(job: RunSpec, *, emit: Callable[[Event], None], should_stop: Callable[[], bool] = lambda: False) -> None:
    """Train the job's network and leave a complete run folder; do nothing where it is complete already.

    Raise Stopped where `should_stop` said so, with the state kept.
    """
    if is_finished(job.run_dir):
        return
    job.run_dir.mkdir(parents=True, exist_ok=True)
    # A worker whose `compare` was killed may still be saving the state that is gone on from here.
    with folder_lock(job.run_dir, wait_seconds=60):
        if not is_finished(job.run_dir):
            _execute(job, emit, should_stop)


def _execute(job: RunSpec, emit: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
    machine, digest = describe_machine(has_siblings=True), digest_own(job.run.network)
    if digest:
        check_unchanged(job.run.network, read_records(job.study_dir))
    image_set, training = build_training(job, should_stop)
    origin = _begin_or_go_on(job, training, image_set, machine, emit)
    origin.load = max(origin.load, machine.load or 0.0)
    try:
        _train_and_save(job, training, origin, emit, should_stop)
        figures = measure_figures(job, training, image_set, emit)
    except InterruptedError:
        write_state(job, training, origin)
        raise Stopped from None
    size_bytes = _write_weights(job, training)
    write_examples(job.run_dir / "examples.npz", training, figures.test_predictions)
    machine = replace(machine, load=origin.load)
    record = _fill_record(job, training, image_set, origin, machine, digest, figures, size_bytes)
    write_record(job.run_dir, record)
    for name in (RUN_STATE, BRANCH_STATE):
        (job.run_dir / name).unlink(missing_ok=True)
    emit(_finished(job, record))


def build_training(
    job: RunSpec, should_stop: Callable[[], bool], *, starts_pretrained: bool = True
) -> tuple[ImageSet, Training]:
    """Put network, images and protocol together; without `starts_pretrained` nobody looks for pretrained weights."""
    prepare_device(job.device, job.num_threads)
    image_set, folds_N = reopen_image_set(job.study_dir, job.pixels_path)
    split = split_for_seed(image_set, folds_N, job.run.seed)
    network = build_network(
        job.run.network,
        num_classes=image_set.num_classes,
        image_size=job.protocol.image_size,
        has_stn=job.run.has_stn,
        seed=job.run.seed,
        starts_pretrained=starts_pretrained,
    )
    is_pretrained = parse_network(job.run.network).is_pretrained
    training = Training(
        network=network,
        # Pretrained weights know one normalisation, and their network makes it from this one.
        protocol=replace(job.protocol, normalisation=NORMALISATION) if is_pretrained else job.protocol,
        seed=job.run.seed,
        learning_rate=job.learning_rate,
        precision="float32",
        device=job.device,
        read_pixels=pixel_reader(image_set.images_NHWC, job.device),
        labels_N=torch.from_numpy(image_set.labels_N.astype(np.int64)),
        train_ids_N=split.train_N,
        train_eval_ids_N=every_tenth_frame(image_set, split.train_N),
        val_ids_N=split.val_N,
        max_steps=job.max_steps,
        should_stop=should_stop,
        is_recordable=not digest_own(job.run.network),
    )
    return image_set, training


def _begin_or_go_on(
    job: RunSpec, training: Training, image_set: ImageSet, machine: Machine, emit: Callable[[Event], None]
) -> Origin:
    place = " ".join([platform.node(), machine.cpu_name, *machine.cpu_flags, job.device, str(job.num_threads)])
    place += "".join(f" {name} {version}" for name, version in sorted(machine.versions.items()))
    fingerprints = (job.protocol.fingerprint, image_set.fingerprint, job.split_fingerprint)
    identity = " ".join([*fingerprints, str(job.learning_rate), digest_own(job.run.network)]).rstrip()
    state = read_state(job)
    if state is not None and state["origin"]["identity"] == identity:
        training.restore(state["training"])
        origin = Origin(**state["origin"])
        origin.num_resumes += 1
        if origin.machine != place:
            origin.is_time_comparable = False
            moved = f"{job.run.label}, seed {job.run.seed} goes on under other conditions than it began under"
            emit(job.event("warning", text=f"{moved}: its times are not comparable, and its bits may differ"))
        drop_rows_after(job.run_dir / "epochs.csv", training.progress.last_eval_step)
        emit(job.event("started", text=f"from epoch {training.epoch:.1f}"))
        if job.precision not in ("auto", origin.precision):
            began = f"{job.run.label}, seed {job.run.seed} goes on in {origin.precision}, as it began"
            emit(job.event("warning", text=f"{began}: --precision {job.precision} holds for runs that begin anew"))
    else:
        (job.run_dir / "epochs.csv").unlink(missing_ok=True)
        forget_branches(job)
        emit(job.event("started", text="from the start"))
        emit(job.event("phase", text="probing precision"))
        choose = partial(
            choose_precision,
            training.network,
            device=job.device,
            image_size=job.protocol.image_size,
            num_classes=image_set.num_classes,
            is_recordable=training.is_recordable,
        )
        precision, probe_ms = settle_precision(job, machine, choose)
        origin = Origin(
            identity=identity,
            machine=place,
            precision=precision,
            precision_probe_ms=probe_ms,
            started_at=utc_now(),
        )
    training.precision = origin.precision
    begin_branches(job)
    return origin


def _train_and_save(
    job: RunSpec, training: Training, origin: Origin, emit: Callable[[Event], None], should_stop: Callable[[], bool]
) -> None:
    """Drive the loop: rows to disk as they happen, the state now and then, events to whoever listens."""
    clock, has_saved_plan = SaveClock(), training.progress.num_steps is not None
    # Beside other runs of the study nobody can tell whose work it was once one of them has ended.
    load = watch_load(has_siblings=True) if job.num_jobs == 1 else lambda: 0.0
    anneal_if_due(job, training, origin, emit=emit, should_stop=should_stop)  # a run that goes on may stand at one
    for happening in train(training):
        if isinstance(happening, EpochMetrics):
            append_row(job.run_dir / "epochs.csv", asdict(happening))
        emit(_progress_event(job, training, happening))
        anneal_if_due(job, training, origin, emit=emit, should_stop=should_stop)
        is_planned = training.progress.num_steps is not None
        # The timed plan is saved at once: without it a run that is killed would be timed again and end elsewhere.
        if is_planned and (clock.is_due or not has_saved_plan):
            origin.load = max(origin.load, load())
            clock.save(lambda: write_state(job, training, origin))
            has_saved_plan = True
        if should_stop():
            raise InterruptedError
    origin.load = max(origin.load, load())
    write_state(job, training, origin)


def _write_weights(job: RunSpec, training: Training) -> int:
    """Write `weights.safetensors` where it is kept, and return how many bytes it takes or would take."""
    if not job.keeps_weights:
        return count_weight_bytes(training.network)
    metadata = {"network": job.run.label}  # one entry: safetensors writes several in no fixed order
    return write_weights(job.run_dir / "weights.safetensors", training.network, metadata)


def _progress_event(job: RunSpec, training: Training, happening: Tick | EpochMetrics) -> Event:
    if isinstance(happening, Tick):
        return job.event("step", **asdict(happening))
    progress = training.progress
    steps_left = (progress.num_steps or progress.step) - progress.step
    return job.event(
        "row",
        epoch=happening.epoch,
        images_per_second=happening.images_per_second,
        train_seconds=happening.train_seconds,
        seconds_left=steps_left * training.batch_size / happening.images_per_second,
        train_loss=happening.train.loss,
        train_accuracy=happening.train.accuracy,
        val_loss=happening.val.loss,
        val_accuracy=happening.val.accuracy,
    )


def _finished(job: RunSpec, record: RunRecord) -> Event:
    return job.event(
        "finished",
        epoch=record.num_epochs,
        train_seconds=record.cost.train_seconds,
        train_loss=record.train.loss,
        train_accuracy=record.train.accuracy,
        val_loss=record.val.loss,
        val_accuracy=record.val.accuracy,
        test_accuracy=record.test.accuracy if record.test else None,
    )


NUM_WORST = 24
NUM_STN = 8


def write_examples(path: Path, training: Training, test: Predictions | None) -> None:
    """Write the worst test images and, with an STN, validation images before and after it; nothing where neither is."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    if test is not None:
        worst_ids_N = _worst_ids(test)
        arrays["worst_ids_N"] = worst_ids_N
        arrays["worst_images_NHWC"] = training.read_pixels(torch.from_numpy(worst_ids_N)).cpu().numpy()
    if isinstance(training.network, WithSTN):
        ids_N = np.linspace(0, len(training.val_ids_N) - 1, NUM_STN).astype(np.int64)
        before_NHWC = training.read_pixels(torch.from_numpy(training.val_ids_N[ids_N]))
        arrays["stn_before_NHWC"] = before_NHWC.cpu().numpy()
        arrays["stn_after_NHWC"] = _transformed(training.network, before_NHWC, training.protocol.normalisation)
    if not arrays:
        return
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _worst_ids(test: Predictions) -> npt.NDArray[np.int64]:
    """The images whose true class got the least probability, wrong ones only, worst first."""
    logits_NK = test.logits_NK.astype(np.float64)
    log_sum_N = np.log(np.exp(logits_NK - logits_NK.max(1, keepdims=True)).sum(1)) + logits_NK.max(1)
    loss_N = log_sum_N - logits_NK[np.arange(len(logits_NK)), test.labels_N]
    is_wrong_N = logits_NK.argmax(1) != test.labels_N
    order_N = np.argsort(-loss_N, kind="stable")
    worst_ids_N: npt.NDArray[np.int64] = test.image_ids_N[order_N[is_wrong_N[order_N]][:NUM_WORST]]
    return worst_ids_N


@torch.inference_mode()
def _transformed(network: WithSTN, images_NHWC: torch.Tensor, normalisation: str) -> npt.NDArray[np.uint8]:
    """What the network behind the STN sees, mapped back to each image's own brightness and contrast."""
    network.eval()
    prepared_NCHW = prepare_batch(images_NHWC, normalisation=normalisation)
    pixels_NCHW = images_NHWC.permute(0, 3, 1, 2).float()
    scale_N111 = _spread(pixels_NCHW) / _spread(prepared_NCHW).clamp_min(1e-6)
    offset_N111 = _mean(pixels_NCHW) - scale_N111 * _mean(prepared_NCHW)
    warped_NCHW = network.transform(prepared_NCHW) * scale_N111 + offset_N111
    warped: npt.NDArray[np.uint8] = warped_NCHW.permute(0, 2, 3, 1).clamp(0, 255).round().byte().cpu().numpy()
    return warped


def _mean(images_NCHW: torch.Tensor) -> torch.Tensor:
    return images_NCHW.mean((1, 2, 3), keepdim=True)


def _spread(images_NCHW: torch.Tensor) -> torch.Tensor:
    return images_NCHW.std((1, 2, 3), keepdim=True)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a finished network gets right, and its raw outputs on test where that was read."""

    train: SetResult
    val: SetResult
    test: SetResult | None
    test_predictions: Predictions | None


def _fill_record(
    job: RunSpec,
    training: Training,
    image_set: ImageSet,
    origin: Origin,
    machine: Machine,
    own_network_digest: str,
    figures: Figures,
    size_bytes: int,
) -> RunRecord:
    """What the run was, field by field."""
    return RunRecord(
        **vars(job.run),
        protocol_name=job.protocol.name,
        protocol_fingerprint=job.protocol.fingerprint,
        data_title=image_set.title,
        data_fingerprint=image_set.fingerprint,
        split_fingerprint=job.split_fingerprint,
        class_names=image_set.class_names,
        image_size=job.protocol.image_size,
        normalisation=training.protocol.normalisation,
        pretrained_weights=name_weights(job.run.network) if parse_network(job.run.network).is_pretrained else "",
        own_network_digest=own_network_digest,
        learning_rate=job.learning_rate,
        batch_size=training.batch_size,
        device=job.device,
        precision=training.precision,
        precision_probe_ms=origin.precision_probe_ms,
        num_threads=job.num_threads,
        num_epochs=round(training.epoch, 4),
        stop_reason=training.progress.stop_reason,
        is_undertrained=training.epoch < UNDERTRAINED_EPOCHS,
        train=figures.train,
        val=figures.val,
        test=figures.test,
        cost=measure_cost(training, size_bytes),
        machine=machine,
        num_resumes=origin.num_resumes,
        is_time_comparable=origin.is_time_comparable,
        started_at=origin.started_at,
        finished_at=utc_now(),
        test_title=image_set.test_title,
        test_fingerprint=image_set.test_fingerprint,
        level=image_set.level,
        subject=image_set.subject,
        num_jobs=job.num_jobs,
    )


def measure_figures(job: RunSpec, training: Training, image_set: ImageSet, emit: Callable[[Event], None]) -> Figures:
    """Measure the final weights: on all training images, on validation, and once on test where that is wanted."""
    emit(job.event("phase", text="final evaluation"))
    start = time.perf_counter()
    train = evaluate_ids(training, training.train_ids_N)
    training.progress.eval_seconds += time.perf_counter() - start
    val, val_predictions = _measure_set(training, training.val_ids_N, training.final_val_logits_NK)
    write_predictions(job.run_dir / "val.npz", val_predictions)
    test_ids_N = image_set.indices_of("test")
    if not job.reads_test or len(test_ids_N) == 0:
        return Figures(train=train, val=val, test=None, test_predictions=None)
    emit(job.event("phase", text="reading the test set"))
    note_test_read(
        job.cache_dir,
        data_fingerprint=image_set.tested_fingerprint,
        study=job.study_dir.name,
        run=job.run,
        protocol_fingerprint=job.protocol.fingerprint,
    )
    test, test_predictions = _measure_set(training, test_ids_N)
    write_predictions(job.run_dir / "test.npz", test_predictions)
    return Figures(train=train, val=val, test=test, test_predictions=test_predictions)


def _measure_set(
    training: Training, ids_N: npt.NDArray[np.int64], known_logits_NK: Tensor | None = None
) -> tuple[SetResult, Predictions]:
    start = time.perf_counter()
    logits_NK = predict_ids(training, ids_N) if known_logits_NK is None else known_logits_NK
    training.progress.eval_seconds += time.perf_counter() - start
    labels_N = training.labels_N[torch.from_numpy(ids_N)]
    return count_correct(logits_NK, labels_N), to_predictions(logits_NK, labels_N, ids_N)


def measure_cost(training: Training, size_bytes: int) -> Cost:
    """Count and read off what the training cost; the weights' bytes are told by whoever wrote them."""
    progress = training.progress
    return Cost(
        num_parameters=count_parameters(training.network),
        macs=count_macs(training.network, training.protocol.image_size),
        size_bytes=size_bytes,
        train_seconds=round(progress.train_seconds, 3),
        data_seconds=round(progress.data_seconds, 3),
        eval_seconds=round(progress.eval_seconds, 3),
        num_steps=progress.step,
        num_images_seen=progress.step * training.batch_size,
        peak_memory_bytes=max(progress.peak_memory_bytes, peak_memory_bytes(training.device)),
    )
