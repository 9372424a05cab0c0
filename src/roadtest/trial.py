"""One trial of the learning-rate sweep: a short training of which only the validation figures are kept."""

from collections.abc import Callable

from roadtest.events import Event
from roadtest.job import Job
from roadtest.precision import choose_precision
from roadtest.record import EpochRow
from roadtest.train import DivergedError, train
from roadtest.training import Training


def try_rate(training: Training, job: Job, num_classes: int, should_stop: Callable[[], bool]) -> Event:
    """Train to the planned end and return a `trial` event; without figures where the loss was no number."""
    training.precision, _ = choose_precision(
        training.network,
        job.precision,
        device=job.device,
        image_size=job.protocol.image_size,
        num_classes=num_classes,
        is_recordable=training.is_recordable,
    )
    training.train_eval_ids_N = training.val_ids_N[:1]  # nobody looks at a trial's training accuracy
    figures: dict[str, float] = {}
    try:
        for happening in train(training):
            progress = training.progress
            if progress.num_steps is not None:
                progress.eval_interval = progress.num_steps  # one evaluation, at the end
            if isinstance(happening, EpochRow):
                figures = {"val_loss": happening.val.loss, "val_accuracy": happening.val.accuracy}
            if should_stop():
                raise InterruptedError
    except DivergedError:
        figures = {}
    return job.event(
        "trial",
        learning_rate=training.learning_rate,
        epoch=training.epoch,
        train_seconds=training.progress.train_seconds,
        **figures,
    )
