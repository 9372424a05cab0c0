"""A finished run made of arithmetic, for a real RunSpec: nothing is trained, and the report can be built from it."""

from dataclasses import asdict

import numpy as np

from fake_study import MACHINE
from roadtest.data.split import note_test_read
from roadtest.networks.user_file import digest_user_file
from roadtest.records import (
    Cost,
    EpochMetrics,
    Predictions,
    RunRecord,
    SetResult,
    append_row,
    read_rows,
    read_study_info,
    write_predictions,
    write_record,
)
from roadtest.records.events import RunSpec


def write_fake_run(job: RunSpec) -> None:
    """Write epochs.csv, val.npz, test.npz, weights.safetensors (of no use) and record.json."""
    info, rows = read_study_info(job.study_dir), read_rows(job.study_dir / "split.csv")
    fold = str(job.run.seed % job.protocol.num_folds)
    val = _predictions(rows, [i for i, row in enumerate(rows) if row["fold"] == fold or row["split"] == "val"], info)
    write_predictions(job.run_dir / "val.npz", val)
    test_ids = [i for i, row in enumerate(rows) if row["split"] == "test"] if job.reads_test else []
    if test_ids:
        note_test_read(
            job.cache_dir,
            data_fingerprint=info.data_fingerprint,
            study=job.study_dir.name,
            run=job.run,
            protocol_fingerprint=job.protocol.fingerprint,
        )
        write_predictions(job.run_dir / "test.npz", _predictions(rows, test_ids, info))
    if job.keeps_weights:
        (job.run_dir / "weights.safetensors").write_bytes(b"weights")
    result = _count(val)
    sums = {f"{part}_{name}": value for part in ("train", "val") for name, value in asdict(result).items()}
    times = {"train_seconds": 1.0, "data_seconds": 0.1, "eval_seconds": 0.1, "images_per_second": 100.0}
    row = EpochMetrics(epoch=2.0, step=10, learning_rate=job.learning_rate, **times, **sums)  # type: ignore[arg-type]
    append_row(job.run_dir / "epochs.csv", asdict(row))
    test = _count(_predictions(rows, test_ids, info)) if test_ids else None
    write_record(job.run_dir, _record(job, info, result, test))


def _record(job: RunSpec, info: "object", val: SetResult, test: SetResult | None) -> RunRecord:
    cost = Cost(
        num_parameters=1000,
        macs=2000,
        size_bytes=4000,
        train_seconds=1.0,
        data_seconds=0.1,
        eval_seconds=0.1,
        num_steps=10,
        num_images_seen=100,
        peak_memory_bytes=10**8,
    )
    return RunRecord(
        **asdict(job.run),
        protocol_name=job.protocol.name,
        protocol_fingerprint=job.protocol.fingerprint,
        data_title=info.data_title,  # type: ignore[attr-defined]
        data_fingerprint=info.data_fingerprint,  # type: ignore[attr-defined]
        split_fingerprint=job.split_fingerprint,
        class_names=info.class_names,  # type: ignore[attr-defined]
        image_size=job.protocol.image_size,
        normalisation=job.protocol.normalisation,
        learning_rate=job.learning_rate,
        batch_size=job.protocol.batch_size,
        device="cpu",
        precision="float32",
        precision_probe_ms={},
        num_threads=job.num_threads,
        num_epochs=2.0,
        stop_reason="max epochs",
        is_undertrained=False,
        train=val,
        val=val,
        test=test,
        cost=cost,
        machine=MACHINE,
        num_resumes=0,
        is_time_comparable=True,
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:01:00+00:00",
        own_network_digest=digest_user_file(job.run.network),
    )


def _predictions(rows: list[dict[str, str]], ids: list[int], info: "object") -> Predictions:
    """Every third image is wrong."""
    labels_N = np.array([int(rows[i]["label"]) for i in ids], np.int64)
    num_classes = len(info.class_names)  # type: ignore[attr-defined]
    answers_N = (labels_N + (np.arange(len(ids)) % 3 == 0)) % num_classes
    logits_NK = np.where(np.arange(num_classes) == answers_N[:, None], 3.0, 0.0).astype(np.float16)
    return Predictions(logits_NK=logits_NK, labels_N=labels_N, image_ids_N=np.array(ids, np.int64))


def _count(predictions: Predictions) -> SetResult:
    num_correct = int((predictions.logits_NK.argmax(1) == predictions.labels_N).sum())
    return SetResult(num_seen=len(predictions.labels_N), num_correct=num_correct, loss_sum=0.5)
