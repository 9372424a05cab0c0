"""Captured steps: a replay is the plain step, to the bit, with the weights and rates of its moment."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from roadtest.records import EpochMetrics
from roadtest.training import loop as train_module
from roadtest.training.checkpoint import RunMetadata, read_state, write_state
from roadtest.training.loop import ProgressUpdate, train
from roadtest.training.predict import ResidentPixels, pixel_reader
from roadtest.training.schedule import NUM_UNTIMED_STEPS
from roadtest.training.state import TrainState
from roadtest.training.step import (
    NUM_PLAIN_STEPS,
    CapturedSteps,
    can_capture,
    capture_graph,
    run_on_side_stream,
    run_without_waiting,
)
from tiny import TINY, TinyNet, coloured_squares, tiny_training, weights_of, write_tiny_study

PIXELS = ResidentPixels(torch.from_numpy(coloured_squares().images_NHWC))


class Recorder:
    """Records on the CPU: a replay takes the step once more, with the places it was given and the rates of then."""

    def __init__(self, training: TrainState | None = None) -> None:
        self.training, self.num_records, self.num_replays = training, 0, 0

    def __call__(self, step: Callable[[], torch.Tensor], device: str) -> tuple[torch.Tensor, Callable[[], None]]:
        assert self.training is not None
        self.num_records += 1
        groups, place = self.training.optimizer.param_groups, torch.zeros(())
        rates = [group["lr"] for group in groups]
        assert all(isinstance(rate, torch.Tensor) for rate in rates), "a number would be replayed as it was"

        def replay() -> None:
            self.num_replays += 1
            numbers = [group["lr"] for group in groups]
            assert not any(isinstance(number, torch.Tensor) for number in numbers), "records and states want numbers"
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate.item()
            place.copy_(step())
            for group, number in zip(groups, numbers, strict=True):
                group["lr"] = number

        return place, replay


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Lets the loop record its steps on the CPU."""
    recorder = Recorder()

    def begin(training: TrainState) -> CapturedSteps:
        recorder.training = training
        return CapturedSteps(training, capture=recorder)

    monkeypatch.setattr(train_module, "can_capture", lambda training: True)
    monkeypatch.setattr(train_module, "CapturedSteps", begin)
    yield recorder


class WithDropout(TinyNet):
    """Draws in each step from the global generator."""

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        logits_NK: torch.Tensor = nn.functional.dropout(super().forward(images_NCHW), 0.2, self.training)
        return logits_NK


def last_weights(training: TrainState) -> torch.Tensor:
    list(train(training))
    return weights_of(training)


@pytest.mark.parametrize("network_type", [TinyNet, WithDropout])
def test_recorded_steps_end_with_the_bits_of_plain_ones(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, network_type: type[nn.Module]
) -> None:
    torch.manual_seed(0)
    first = network_type().state_dict()
    networks = [network_type() for _ in range(2)]
    for network in networks:
        network.load_state_dict(first)
    recorded = tiny_training(network=networks[0], read_pixels=PIXELS)
    expected = last_weights(recorded)
    assert recorder.num_replays == recorded.progress.step - NUM_PLAIN_STEPS > 5 and recorder.num_records == 1
    monkeypatch.setattr(train_module, "can_capture", lambda training: False)
    assert torch.equal(last_weights(tiny_training(network=networks[1])), expected)


def test_after_going_back_to_a_state_steps_are_recorded_anew(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "UPDATE_SECONDS", 0.0)  # a tick after every step
    training = tiny_training(read_pixels=PIXELS)
    states = []
    for happening in train(training):
        if isinstance(happening, ProgressUpdate) and training.progress.step == 6:
            states.append(copied_state(training))
        if isinstance(happening, ProgressUpdate) and training.progress.step == 9 and recorder.num_records == 1:
            training.restore(states[0])
    monkeypatch.setattr(train_module, "can_capture", lambda training: False)
    assert recorder.num_records == 2
    assert torch.equal(weights_of(training), last_weights(tiny_training()))


def copied_state(training: TrainState) -> dict[str, Any]:
    """The state as a file keeps it: later steps leave it alone."""
    buffer = io.BytesIO()
    torch.save(training.to_state(), buffer)
    buffer.seek(0)
    state: dict[str, Any] = torch.load(buffer, weights_only=True)
    return state


def test_what_cannot_be_recorded_is_said_once_and_trained_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(step: Callable[[], torch.Tensor], device: str) -> tuple[torch.Tensor, Callable[[], None]]:
        raise RuntimeError("operation not permitted")

    monkeypatch.setattr(train_module, "can_capture", lambda training: True)
    monkeypatch.setattr(train_module, "CapturedSteps", partial(CapturedSteps, capture=refuse))
    weights = last_weights(tiny_training(read_pixels=PIXELS))
    assert capsys.readouterr().err == "steps are not recorded on cpu, which is slower: operation not permitted\n"
    monkeypatch.undo()
    assert torch.equal(weights, last_weights(tiny_training()))


def test_the_last_step_that_is_not_timed_is_the_first_recorded_one() -> None:
    assert NUM_PLAIN_STEPS == NUM_UNTIMED_STEPS - 1  # recording takes time that predicts nothing


def test_steps_are_recorded_on_cuda_alone_with_images_there_and_no_python_of_the_users() -> None:
    training = tiny_training(read_pixels=PIXELS)
    assert not can_capture(training)
    training.device = "cuda:1"
    assert can_capture(training)
    training.is_capturable = False
    assert not can_capture(training)
    assert not can_capture(replace_pixels(training))


def replace_pixels(training: TrainState) -> TrainState:
    training.is_capturable = True
    training.read_pixels = pixel_reader(coloured_squares().images_NHWC, "cpu")
    return training


# -- on a GPU ---------------------------------------------------------------------------------------------------------


def cuda_training(network: nn.Module, **more: object) -> TrainState:
    return tiny_training(
        network=network, device="cuda", read_pixels=pixel_reader(coloured_squares().images_NHWC, "cuda"), **more
    )


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_a_graph_trains_like_plain_steps(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    first = TinyNet()
    copies = [TinyNet(), TinyNet()]
    for copy in copies:
        copy.load_state_dict(first.state_dict())
    graph, plain = cuda_training(copies[0]), cuda_training(copies[1], is_capturable=False)
    assert can_capture(graph) and not can_capture(plain)
    rows = [[row for row in train(one) if isinstance(row, EpochMetrics)] for one in (graph, plain)]
    assert "not recorded" not in capsys.readouterr().err
    assert torch.allclose(weights_of(graph), weights_of(plain), atol=1e-4)
    assert [row.learning_rate for row in rows[0]] == [row.learning_rate for row in rows[1]]


class Waiting(TinyNet):
    """Looks at a number of the device's in each step."""

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        logits_NK: torch.Tensor = super().forward(images_NCHW)
        return logits_NK * (1.0 if logits_NK.sum().item() > 0 else 0.9)


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_a_network_that_waits_for_the_device_is_trained_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    training = cuda_training(Waiting())
    list(train(training))
    assert "steps are not recorded on cuda, which is slower" in capsys.readouterr().err
    assert training.progress.step == training.progress.num_steps


class Stubborn(WithDropout):
    """Waits in a way that torch's check does not notice, but recording does."""

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        torch.cuda.synchronize()
        return super().forward(images_NCHW)


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_after_a_recording_that_failed_halfway_training_goes_on_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    training = cuda_training(Stubborn())
    list(train(training))
    assert "steps are not recorded on cuda, which is slower" in capsys.readouterr().err
    assert training.progress.step == training.progress.num_steps
    assert torch.cuda.current_stream() == torch.cuda.default_stream()


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_dropout_goes_on_drawing_when_its_step_is_replayed() -> None:
    losses = []
    training = cuda_training(WithDropout(), protocol=replace(TINY, max_epochs=3))
    training.learning_rate = 0.0
    steps = CapturedSteps(training)
    changes, places = train_module._begin_epoch(training, 0).parameters, slice(0, training.batch_size)
    for _ in range(NUM_PLAIN_STEPS + 4):
        losses.append(steps.take(changes, places).item())
    assert len(set(losses[NUM_PLAIN_STEPS:])) > 1


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_a_state_that_was_saved_on_a_gpu_is_gone_on_from_there(tmp_path: Path) -> None:
    job = replace(write_tiny_study(tmp_path), device="cuda")
    job.run_dir.mkdir(parents=True)
    training, expected = (cuda_training(WithDropout()) for _ in range(2))
    expected.network.load_state_dict(training.network.state_dict())
    list(train(expected))
    loop = train(training)
    while training.progress.last_eval_step == 0:
        next(loop)
    origin = RunMetadata(identity="", machine="", precision="float32", precision_probe_ms={}, started_at="")
    write_state(job, training, origin)
    resumed = cuda_training(WithDropout())
    state = read_state(job)
    assert state is not None
    resumed.restore(state["training"])
    list(train(resumed))
    assert resumed.progress.step == expected.progress.step
    assert torch.allclose(weights_of(resumed), weights_of(expected), atol=1e-3)


def test_elsewhere_a_step_is_taken_where_it_stands() -> None:
    for take in (run_on_side_stream, run_without_waiting):
        assert take(lambda: torch.ones(3).sum(), "cpu").item() == 3


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_a_graph_reads_its_places_anew_each_time_and_recording_takes_no_step() -> None:
    place = torch.zeros(3, device="cuda")

    def step() -> torch.Tensor:
        return place.add_(1).sum()

    run_on_side_stream(step, "cuda")
    result, replay = capture_graph(step, "cuda")
    assert place.tolist() == [1, 1, 1]
    replay()
    place.mul_(10)
    replay()
    assert (place.tolist(), result.item()) == ([21, 21, 21], 63)


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_what_waits_for_the_device_is_an_error_and_the_mode_is_given_back() -> None:
    ones = torch.ones(3, device="cuda")
    before = torch.cuda.get_sync_debug_mode()
    assert run_without_waiting(lambda: ones.sum(), "cuda").item() == 3
    with pytest.raises(RuntimeError, match="synchroniz"):
        run_without_waiting(lambda: ones * ones.sum().item(), "cuda")
    assert torch.cuda.get_sync_debug_mode() == before
