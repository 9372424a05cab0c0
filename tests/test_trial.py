"""A trial of the sweep: short, one evaluation, figures or none."""

from dataclasses import replace
from pathlib import Path

import pytest

from roadtest.trial import try_rate
from tiny import TINY, tiny_training, write_tiny_study


def test_a_trial_tells_its_rate_and_the_validation_figures(tmp_path: Path) -> None:
    training = tiny_training(learning_rate=0.05)
    event = try_rate(training, write_tiny_study(tmp_path), 3, lambda: False)
    assert (event.kind, event.label, event.learning_rate) == ("trial", "lenet5", 0.05)
    assert event.val_loss is not None and event.val_loss > 0
    assert event.val_accuracy is not None and 0 <= event.val_accuracy <= 1
    assert event.epoch == 3


@pytest.mark.slow
def test_a_trial_is_evaluated_once_however_long_it_is(tmp_path: Path) -> None:
    training = tiny_training(replace(TINY, max_epochs=8))
    try_rate(training, write_tiny_study(tmp_path), 3, lambda: False)
    assert training.progress.eval_interval == training.progress.num_steps
    assert training.progress.last_eval_step == training.progress.num_steps


def test_a_trial_that_diverges_tells_its_rate_and_no_figures(tmp_path: Path) -> None:
    event = try_rate(tiny_training(learning_rate=1e30), write_tiny_study(tmp_path), 3, lambda: False)
    assert event.learning_rate == 1e30
    assert event.val_loss is None


def test_a_trial_stops_when_asked(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        try_rate(tiny_training(), write_tiny_study(tmp_path), 3, lambda: True)
