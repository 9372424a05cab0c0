"""One run: data, network, training, the final figures, the test set once, and one folder of plain files.

The run is complete if and only if its `record.json` exists, which is written last. Before that, everything needed to
continue lies in `state.pt`, replaced atomically and at most once a minute. A run's process is `training.worker`.
"""

import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from roadtest.data.dataset import ImageSet
from roadtest.data.open import reopen_image_set
from roadtest.data.split import every_tenth_frame, note_test_read, split_for_seed
from roadtest.machine import describe_machine, prepare_device, watch_load
from roadtest.networks import build_network, parse_network
from roadtest.networks.pretrained import NORMALISATION, name_weights
from roadtest.networks.stn import WithSTN
from roadtest.networks.user_file import check_unchanged, digest_user_file
from roadtest.protocol import UNDERTRAINED_EPOCHS
from roadtest.records import (
    CooldownMetrics,
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
    write_rows,
)
from roadtest.records.disk import folder_lock
from roadtest.records.events import Event, RunSpec
from roadtest.training.anneal import anneal_copy_if_due
from roadtest.training.augment import prepare_batch
from roadtest.training.checkpoint import (
    BRANCH_STATE,
    RUN_STATE,
    RunMetadata,
    SaveClock,
    count_weight_bytes,
    drop_rows_after,
    read_state,
    write_state,
    write_weights,
)
from roadtest.training.loop import ProgressUpdate, evaluate_ids, predict_ids, train
from roadtest.training.precision import choose_precision, probe_training
from roadtest.training.predict import count_correct, pixel_reader, to_predictions
from roadtest.training.profile import count_macs, count_parameters, peak_memory_bytes
from roadtest.training.state import TrainState

NUM_WORST = 24
"""Wrong test images that are kept for the report."""
NUM_STN = 8
"""Validation images that are kept before and after the STN."""
Emit = Callable[[Event], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The results of a finished network, and its raw outputs on test where that was read."""

    train: SetResult
    val: SetResult
    test: SetResult | None = None
    test_predictions: Predictions | None = None


def execute(job: RunSpec, *, emit: Emit, should_stop: ShouldStop = lambda: False) -> None:
    """Train the job's network and leave a complete run folder; do nothing where it is complete already.

    Raise InterruptedError where `should_stop` says so, with the state saved.
    """
    if is_finished(job.run_dir):
        return
    job.run_dir.mkdir(parents=True, exist_ok=True)
    # A worker whose `compare` was killed may still be saving the state from which this one continues.
    with folder_lock(job.run_dir, wait_seconds=60):
        if not is_finished(job.run_dir):
            _execute(job, emit, should_stop)


def _execute(job: RunSpec, emit: Emit, should_stop: ShouldStop) -> None:
    machine, digest = describe_machine(has_siblings=True), digest_user_file(job.run.network)
    if digest:
        check_unchanged(job.run.network, read_records(job.study_dir))
    image_set, training = build_training(job, should_stop)
    metadata = _begin_or_resume(job, training, image_set, machine, emit)
    metadata.load = max(metadata.load, machine.load or 0.0)
    try:
        _train_and_save(job, training, metadata, emit)
        figures = measure_figures(job, training, image_set, emit)
    except InterruptedError:
        write_state(job, training, metadata)
        raise
    size_bytes = count_weight_bytes(training.network)
    if job.keeps_weights:  # one entry of metadata: safetensors writes several in no fixed order
        path = job.run_dir / "weights.safetensors"
        size_bytes = write_weights(path, training.network, {"network": job.run.label})
    write_examples(job.run_dir / "examples.npz", training, figures.test_predictions)
    record = _make_record(job, training, image_set, metadata, figures, machine, digest, size_bytes)
    write_record(job.run_dir, record)
    for name in (RUN_STATE, BRANCH_STATE):
        (job.run_dir / name).unlink(missing_ok=True)
    emit(
        job.event(
            "finished",
            epoch=record.num_epochs,
            train_seconds=record.cost.train_seconds,
            test_accuracy=record.test.accuracy if record.test else None,
            **_event_figures(record.train, record.val),
        )
    )


def _event_figures(train: SetResult, val: SetResult) -> dict[str, float]:
    return {
        "train_loss": train.loss,
        "train_accuracy": train.accuracy,
        "val_loss": val.loss,
        "val_accuracy": val.accuracy,
    }


def build_training(
    job: RunSpec, should_stop: ShouldStop, *, starts_pretrained: bool = True
) -> tuple[ImageSet, TrainState]:
    """Put network, images and protocol together; without `starts_pretrained` no pretrained weights are read."""
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
    training = TrainState(
        network=network,
        # Pretrained weights know one normalisation, which their network makes from this one.
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
        is_capturable=not digest_user_file(job.run.network),
    )
    return image_set, training


def _begin_or_resume(
    job: RunSpec, training: TrainState, image_set: ImageSet, machine: Machine, emit: Emit
) -> RunMetadata:
    """Restore the saved state where it is of this run; else remove an earlier run's rows and choose a precision."""
    place = " ".join([platform.node(), machine.cpu_name, *machine.cpu_flags, job.device, str(job.num_threads)])
    place += "".join(f" {name} {version}" for name, version in sorted(machine.versions.items()))
    fingerprints = (job.protocol.fingerprint, image_set.fingerprint, job.split_fingerprint)
    identity = " ".join([*fingerprints, str(job.learning_rate), digest_user_file(job.run.network)]).rstrip()
    state = read_state(job)
    if state is not None and state["origin"]["identity"] == identity:
        metadata = _resume(job, training, state, place, emit)
    else:
        for name in ("epochs.csv", "branches.csv", BRANCH_STATE):
            (job.run_dir / name).unlink(missing_ok=True)
        emit(job.event("started", text="from the start"))
        emit(job.event("phase", text="probing precision"))
        precision, probe_ms = choose_precision(
            job, machine, lambda word: probe_training(training, word, image_set.num_classes)
        )
        metadata = RunMetadata(
            identity=identity, machine=place, precision=precision, precision_probe_ms=probe_ms, started_at=utc_now()
        )
    training.precision = metadata.precision
    branches_path = job.run_dir / "branches.csv"
    if job.anneals and not branches_path.exists():  # an empty file says that annealed copies were asked for
        write_rows(branches_path, [], [each.name for each in fields(CooldownMetrics)])
    return metadata


def _resume(job: RunSpec, training: TrainState, state: dict[str, Any], place: str, emit: Emit) -> RunMetadata:
    training.restore(state["training"])
    metadata = RunMetadata(**state["origin"])
    metadata.num_resumes += 1
    if metadata.machine != place:
        metadata.is_time_comparable = False
        moved = f"{job.run.label}, seed {job.run.seed} goes on under other conditions than it began under"
        emit(job.event("warning", text=f"{moved}: its times are not comparable, and its bits may differ"))
    drop_rows_after(job.run_dir / "epochs.csv", training.progress.last_eval_step)
    emit(job.event("started", text=f"from epoch {training.epoch:.1f}"))
    if job.precision not in ("auto", metadata.precision):
        began = f"{job.run.label}, seed {job.run.seed} goes on in {metadata.precision}, as it began"
        emit(job.event("warning", text=f"{began}: --precision {job.precision} holds for runs that begin anew"))
    return metadata


def _train_and_save(job: RunSpec, training: TrainState, metadata: RunMetadata, emit: Emit) -> None:
    """Drive the loop: rows to disk as they come, the state now and then, an event per update."""
    clock, has_saved_plan = SaveClock(), training.progress.num_steps is not None
    # Beside other runs of the study nobody can tell whose work it was once one of them has ended.
    load = watch_load(has_siblings=True) if job.num_jobs == 1 else lambda: 0.0
    anneal_copy_if_due(job, training, metadata, emit)  # a run that continues may be at the step where a copy begins
    for update in train(training):
        if isinstance(update, EpochMetrics):
            append_row(job.run_dir / "epochs.csv", asdict(update))
        emit(_progress_event(job, training, update))
        anneal_copy_if_due(job, training, metadata, emit)
        is_planned = training.progress.num_steps is not None
        # The timed plan is saved at once: without it a run that is killed would be timed again and end elsewhere.
        if is_planned and (clock.is_due or not has_saved_plan):
            metadata.load = max(metadata.load, load())
            clock.save(lambda: write_state(job, training, metadata))
            has_saved_plan = True
        if training.should_stop():
            raise InterruptedError
    metadata.load = max(metadata.load, load())
    write_state(job, training, metadata)


def _progress_event(job: RunSpec, training: TrainState, update: ProgressUpdate | EpochMetrics) -> Event:
    if isinstance(update, ProgressUpdate):
        return job.event("step", **asdict(update))
    steps_left = (training.progress.num_steps or update.step) - update.step
    return job.event(
        "row",
        epoch=update.epoch,
        images_per_second=update.images_per_second,
        train_seconds=update.train_seconds,
        seconds_left=steps_left * training.batch_size / update.images_per_second,
        **_event_figures(update.train, update.val),
    )


# -- results ----------------------------------------------------------------------------------------------------------


def measure_figures(job: RunSpec, training: TrainState, image_set: ImageSet, emit: Emit) -> Figures:
    """Measure the final weights: on all training images, on validation, and once on test where that is wanted."""
    emit(job.event("phase", text="final evaluation"))
    start = time.perf_counter()
    train = evaluate_ids(training, training.train_ids_N)
    training.progress.eval_seconds += time.perf_counter() - start
    val, val_predictions = _measure_set(training, training.val_ids_N, training.final_val_logits_NK)
    write_predictions(job.run_dir / "val.npz", val_predictions)
    test_ids_N = image_set.indices_of("test")
    if not job.reads_test or len(test_ids_N) == 0:
        return Figures(train=train, val=val)
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
    training: TrainState, ids_N: npt.NDArray[np.int64], known_logits_NK: Tensor | None = None
) -> tuple[SetResult, Predictions]:
    start = time.perf_counter()
    logits_NK = predict_ids(training, ids_N) if known_logits_NK is None else known_logits_NK
    training.progress.eval_seconds += time.perf_counter() - start
    labels_N = training.labels_N[torch.from_numpy(ids_N)]
    return count_correct(logits_NK, labels_N), to_predictions(logits_NK, labels_N, ids_N)


def _make_record(
    job: RunSpec,
    training: TrainState,
    image_set: ImageSet,
    metadata: RunMetadata,
    figures: Figures,
    machine: Machine,
    own_network_digest: str,
    size_bytes: int,
) -> RunRecord:
    progress = training.progress
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
        precision_probe_ms=metadata.precision_probe_ms,
        num_threads=job.num_threads,
        num_epochs=round(training.epoch, 4),
        stop_reason=progress.stop_reason,
        is_undertrained=training.epoch < UNDERTRAINED_EPOCHS,
        train=figures.train,
        val=figures.val,
        test=figures.test,
        cost=Cost(
            num_parameters=count_parameters(training.network),
            macs=count_macs(training.network, training.protocol.image_size),
            size_bytes=size_bytes,
            train_seconds=round(progress.train_seconds, 3),
            data_seconds=round(progress.data_seconds, 3),
            eval_seconds=round(progress.eval_seconds, 3),
            num_steps=progress.step,
            num_images_seen=progress.step * training.batch_size,
            peak_memory_bytes=max(progress.peak_memory_bytes, peak_memory_bytes(training.device)),
        ),
        machine=replace(machine, load=metadata.load),
        num_resumes=metadata.num_resumes,
        is_time_comparable=metadata.is_time_comparable,
        started_at=metadata.started_at,
        finished_at=utc_now(),
        test_title=image_set.test_title,
        test_fingerprint=image_set.test_fingerprint,
        level=image_set.level,
        subject=image_set.subject,
        num_jobs=job.num_jobs,
    )


# -- sample images for the report -------------------------------------------------------------------------------------


def write_examples(path: Path, training: TrainState, test: Predictions | None) -> None:
    """Write the worst test images and, with an STN, validation images before and after it, as npz without pickle.

    No file where there are neither. Studies that are published leave it out.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    if test is not None:
        worst_ids_N = _worst_ids(test)
        arrays["worst_ids_N"] = worst_ids_N
        arrays["worst_images_NHWC"] = training.read_pixels(torch.from_numpy(worst_ids_N)).cpu().numpy()
    if isinstance(training.network, WithSTN):
        ids_N = np.linspace(0, len(training.val_ids_N) - 1, NUM_STN).astype(np.int64)
        before_NHWC = training.read_pixels(torch.from_numpy(training.val_ids_N[ids_N]))
        arrays["stn_before_NHWC"] = before_NHWC.cpu().numpy()
        arrays["stn_after_NHWC"] = _transform(training.network, before_NHWC, training.protocol.normalisation)
    if not arrays:
        return
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _worst_ids(test: Predictions) -> npt.NDArray[np.int64]:
    """The wrong images whose true class has the lowest probability, worst first."""
    logits_NK, labels_N = torch.from_numpy(test.logits_NK.astype(np.float64)), torch.from_numpy(test.labels_N)
    order_N = np.argsort(-F.cross_entropy(logits_NK, labels_N, reduction="none").numpy(), kind="stable")
    is_wrong_N = test.logits_NK.argmax(1) != test.labels_N
    worst_ids_N: npt.NDArray[np.int64] = test.image_ids_N[order_N[is_wrong_N[order_N]][:NUM_WORST]]
    return worst_ids_N


@torch.inference_mode()
def _transform(network: WithSTN, images_NHWC: Tensor, normalisation: str) -> npt.NDArray[np.uint8]:
    """What the network behind the STN sees, mapped back to each image's own brightness and contrast."""
    network.eval()
    prepared_NCHW = prepare_batch(images_NHWC, normalisation=normalisation)
    pixels_NCHW = images_NHWC.permute(0, 3, 1, 2).float()
    std_N111, std_there_N111 = (each.std((1, 2, 3), keepdim=True) for each in (pixels_NCHW, prepared_NCHW))
    mean_N111, mean_there_N111 = (each.mean((1, 2, 3), keepdim=True) for each in (pixels_NCHW, prepared_NCHW))
    scale_N111 = std_N111 / std_there_N111.clamp_min(1e-6)
    offset_N111 = mean_N111 - scale_N111 * mean_there_N111
    warped_NCHW = network.transform(prepared_NCHW) * scale_N111 + offset_N111
    warped: npt.NDArray[np.uint8] = warped_NCHW.permute(0, 2, 3, 1).clamp(0, 255).round().byte().cpu().numpy()
    return warped
