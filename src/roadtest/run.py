"""One run: data, network, training, the final figures, the test set once, and one folder of plain files.

The run is complete if and only if its `record.json` exists, which is written last. Before that, everything needed to
go on lies in `state.pt`, replaced atomically and at most once a minute. A run's process is `roadtest.worker`.
"""

import platform
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import torch

from roadtest.anneal import anneal_if_due, begin_branches, forget_branches
from roadtest.data.imageset import DRAWN, ImageSet
from roadtest.data.reopen import reopen_image_set
from roadtest.data.split import every_tenth_frame, split_for_seed
from roadtest.evaluate import pixel_reader
from roadtest.events import Event
from roadtest.examples import write_examples
from roadtest.job import Job
from roadtest.lock import folder_lock
from roadtest.machine import describe_machine, prepare_device, watch_load
from roadtest.networks import build_network, parse_network
from roadtest.networks.own import check_unchanged, digest_own
from roadtest.networks.pretrained import NORMALISATION, name_weights
from roadtest.precision import choose_precision
from roadtest.record import (
    EpochRow,
    Machine,
    RunRecord,
    append_row,
    is_finished,
    read_records,
    utc_now,
    write_record,
)
from roadtest.run_figures import Figures, measure_cost, measure_figures
from roadtest.run_precision import settle_precision
from roadtest.schedule import UNDERTRAINED_EPOCHS
from roadtest.state import (
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
from roadtest.train import Tick, train
from roadtest.training import Training


class Stopped(Exception):  # noqa: N818
    """Asked to stop; the state is kept."""


def execute(job: Job, *, tell: Callable[[Event], None], should_stop: Callable[[], bool] = lambda: False) -> None:
    """Train the job's network and leave a complete run folder; do nothing where it is complete already.

    Raise Stopped where `should_stop` said so, with the state kept.
    """
    if is_finished(job.run_dir):
        return
    job.run_dir.mkdir(parents=True, exist_ok=True)
    # A worker whose `compare` was killed may still be saving the state that is gone on from here.
    with folder_lock(job.run_dir, wait_seconds=60):
        if not is_finished(job.run_dir):
            _execute(job, tell, should_stop)


def _execute(job: Job, tell: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
    machine, digest = describe_machine(has_siblings=True), digest_own(job.run.network)
    if digest:
        check_unchanged(job.run.network, read_records(job.study_dir))
    image_set, training = build_training(job, should_stop)
    origin = _begin_or_go_on(job, training, image_set, machine, tell)
    origin.load = max(origin.load, machine.load or 0.0)
    try:
        _train_and_save(job, training, origin, tell, should_stop)
        figures = measure_figures(job, training, image_set, tell)
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
    tell(_finished(job, record))


def _fill_record(
    job: Job,
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
        num_jobs=job.num_jobs,
    )


def build_training(
    job: Job, should_stop: Callable[[], bool], *, starts_pretrained: bool = True
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
        drawn_ids_N=image_set.indices_of(DRAWN),
        max_steps=job.max_steps,
        should_stop=should_stop,
        is_recordable=not digest_own(job.run.network),
    )
    return image_set, training


def _begin_or_go_on(
    job: Job, training: Training, image_set: ImageSet, machine: Machine, tell: Callable[[Event], None]
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
            tell(job.event("warning", text=f"{moved}: its times are not comparable, and its bits may differ"))
        drop_rows_after(job.run_dir / "epochs.csv", training.progress.last_eval_step)
        tell(job.event("started", text=f"from epoch {training.epoch:.1f}"))
        if job.precision not in ("auto", origin.precision):
            began = f"{job.run.label}, seed {job.run.seed} goes on in {origin.precision}, as it began"
            tell(job.event("warning", text=f"{began}: --precision {job.precision} holds for runs that begin anew"))
    else:
        (job.run_dir / "epochs.csv").unlink(missing_ok=True)
        forget_branches(job)
        tell(job.event("started", text="from the start"))
        tell(job.event("phase", text="probing precision"))
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
    job: Job, training: Training, origin: Origin, tell: Callable[[Event], None], should_stop: Callable[[], bool]
) -> None:
    """Drive the loop: rows to disk as they happen, the state now and then, events to whoever listens."""
    clock, has_saved_plan = SaveClock(), training.progress.num_steps is not None
    # Beside other runs of the study nobody can tell whose work it was once one of them has ended.
    load = watch_load(has_siblings=True) if job.num_jobs == 1 else lambda: 0.0
    anneal_if_due(job, training, origin, tell=tell, should_stop=should_stop)  # a run that goes on may stand at one
    for happening in train(training):
        if isinstance(happening, EpochRow):
            append_row(job.run_dir / "epochs.csv", asdict(happening))
        tell(_progress_event(job, training, happening))
        anneal_if_due(job, training, origin, tell=tell, should_stop=should_stop)
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


def _write_weights(job: Job, training: Training) -> int:
    """Write `weights.safetensors` where it is kept, and return how many bytes it takes or would take."""
    if not job.keeps_weights:
        return count_weight_bytes(training.network)
    metadata = {"network": job.run.label}  # one entry: safetensors writes several in no fixed order
    return write_weights(job.run_dir / "weights.safetensors", training.network, metadata)


def _progress_event(job: Job, training: Training, happening: Tick | EpochRow) -> Event:
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


def _finished(job: Job, record: RunRecord) -> Event:
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
