"""The last part of a run: what its finished network gets right, the test set once, and what it cost."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from roadtest.cost import count_macs, count_parameters, peak_memory_bytes
from roadtest.data.imageset import ImageSet
from roadtest.data.ledger import note_test_read
from roadtest.evaluate import count_correct, to_predictions
from roadtest.events import Event
from roadtest.job import Job
from roadtest.record import Cost, Predictions, SetResult, write_predictions
from roadtest.train import evaluate_ids, predict_ids
from roadtest.training import Training


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a finished network gets right, and its raw outputs on test where that was read."""

    train: SetResult
    val: SetResult
    test: SetResult | None
    test_predictions: Predictions | None


def measure_figures(job: Job, training: Training, image_set: ImageSet, tell: Callable[[Event], None]) -> Figures:
    """Measure the final weights: on all training images, on validation, and once on test where that is wanted."""
    tell(job.event("phase", text="final evaluation"))
    start = time.perf_counter()
    train = evaluate_ids(training, training.train_ids_N)
    training.progress.eval_seconds += time.perf_counter() - start
    val, val_predictions = _measure_set(training, training.val_ids_N, training.final_val_logits_NK)
    write_predictions(job.run_dir / "val.npz", val_predictions)
    test_ids_N = image_set.indices_of("test")
    if not job.reads_test or len(test_ids_N) == 0:
        return Figures(train=train, val=val, test=None, test_predictions=None)
    tell(job.event("phase", text="reading the test set"))
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
