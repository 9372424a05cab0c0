"""Speed is measured on real steps and on no test image; a trial of the sweep has one evaluation, figures or none."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from roadtest.networks import pretrained
from roadtest.records.events import RunSpec
from roadtest.training import probe as speed_module
from roadtest.training import worker
from roadtest.training.probe import Speed, measure_speed, read_speed, try_rate, unlimited, write_speed
from roadtest.training.run import build_training
from tiny import TINY, tiny_training, write_tiny_study


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunSpec:
    monkeypatch.setattr(speed_module, "MEASURE_SECONDS", 0.05)
    monkeypatch.setattr(speed_module, "EVAL_SECONDS", 0.05)
    return unlimited(write_tiny_study(tmp_path))


def measured(job: RunSpec) -> Speed:
    image_set, training = build_training(job, lambda: False)
    return measure_speed(training, job, image_set.num_classes)


@pytest.mark.slow
def test_a_pretrained_network_is_as_fast_without_its_weights(job: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "find_weights", lambda *all, **more: pytest.fail("it looks for weights"))
    network = "timm:mobilenetv3_small_050+pretrained"
    job = replace(job, run=replace(job.run, network=network))
    worker.measure_speeds(job.to_json(), lambda event: None, lambda: False)
    assert len(read_speed(job.run_dir).step_seconds) >= 3


def test_steps_are_timed_one_by_one_without_the_first(job: RunSpec) -> None:
    image_set, training = build_training(job, lambda: False)
    speed = measure_speed(training, job, image_set.num_classes)
    assert training.progress.step == speed_module.NUM_UNTIMED_STEPS + len(speed.step_seconds)
    assert len(speed.step_seconds) >= 3 and sum(speed.step_seconds) >= 0.05
    assert all(0 < seconds < 5 for seconds in speed.step_seconds)
    assert sum(speed.step_seconds) <= training.progress.train_seconds
    assert (speed.precision, speed.batch_size, speed.steps_per_epoch) == ("float32", 16, 5)
    assert speed.num_final_images == 120
    assert speed.eval_images_per_second > 10
    assert speed.start_seconds > 0 and speed.peak_memory_bytes > 10**7
    # momentum is as large as the parameters
    assert speed.state_bytes - speed.weights_bytes == 4 * sum(p.numel() for p in training.network.parameters())


def test_no_test_image_is_read(job: RunSpec) -> None:
    image_set, training = build_training(job, lambda: False)
    honest, seen = training.read_pixels, set[int]()

    def spied(ids_N: torch.Tensor) -> torch.Tensor:
        seen.update(ids_N.tolist())
        return honest(ids_N)

    training.read_pixels = spied
    measure_speed(training, job, image_set.num_classes)
    assert seen and not seen & set(image_set.indices_of("test").tolist())


def test_a_budget_or_few_epochs_do_not_end_the_measuring(job: RunSpec) -> None:
    short = unlimited(replace(job, protocol=replace(job.protocol, max_epochs=1, budget_seconds=0.1)))
    assert len(measured(short).step_seconds) >= 3


def test_the_measuring_stops_when_it_is_asked_to(job: RunSpec) -> None:
    image_set, training = build_training(job, lambda: True)
    with pytest.raises(InterruptedError):
        measure_speed(training, job, image_set.num_classes)


def test_what_was_measured_comes_back_as_it_went(job: RunSpec, tmp_path: Path) -> None:
    speed = measured(job)
    write_speed(tmp_path / "new" / "folder", speed)
    assert read_speed(tmp_path / "new" / "folder") == speed


def test_a_trial_tells_its_rate_and_the_validation_figures(tmp_path: Path) -> None:
    training = tiny_training(learning_rate=0.05)
    event = try_rate(training, write_tiny_study(tmp_path), 3)
    assert (event.kind, event.label, event.learning_rate) == ("trial", "lenet5", 0.05)
    assert event.val_loss is not None and event.val_loss > 0
    assert event.val_accuracy is not None and 0 <= event.val_accuracy <= 1
    assert event.epoch == 3


@pytest.mark.slow
def test_a_trial_is_evaluated_once_however_long_it_is(tmp_path: Path) -> None:
    training = tiny_training(replace(TINY, max_epochs=8))
    try_rate(training, write_tiny_study(tmp_path), 3)
    assert training.progress.eval_interval == training.progress.num_steps
    assert training.progress.last_eval_step == training.progress.num_steps


def test_a_trial_that_diverges_tells_its_rate_and_no_figures(tmp_path: Path) -> None:
    event = try_rate(tiny_training(learning_rate=1e30), write_tiny_study(tmp_path), 3)
    assert event.learning_rate == 1e30
    assert event.val_loss is None


def test_a_trial_stops_when_asked(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        try_rate(tiny_training(should_stop=lambda: True), write_tiny_study(tmp_path), 3)
