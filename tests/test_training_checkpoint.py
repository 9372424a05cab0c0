"""The saved state and the weights: atomic, exact, and never a way to run a stranger's code."""

import io
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from roadtest.records import append_row, read_rows
from roadtest.records.events import RunSpec
from roadtest.training.checkpoint import (
    BRANCH_STATE,
    RunMetadata,
    SaveClock,
    count_weight_bytes,
    drop_rows_after,
    read_state,
    write_state,
    write_weights,
)
from roadtest.training.loop import train
from roadtest.training.state import TrainState
from tiny import TinyNet, tiny_training, write_tiny_study

METADATA = RunMetadata(identity="i", machine="m", precision="float32", precision_probe_ms={}, started_at="2026-01-01")


@pytest.fixture
def job(tmp_path: Path) -> RunSpec:
    job = write_tiny_study(tmp_path)
    job.run_dir.mkdir(parents=True)
    return job


def begun_training() -> TrainState:
    training = tiny_training()
    next(iter(train(training)))
    return training


def saved(job: RunSpec) -> dict[str, Any]:
    state = read_state(job)
    assert state is not None
    return state["training"]


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_a_state_comes_back_as_it_went(job: RunSpec) -> None:
    training = begun_training()
    write_state(job, training, METADATA)
    state = read_state(job)
    assert state is not None
    assert RunMetadata(**state["origin"]) == METADATA
    assert all(torch.equal(state["training"]["network"][k], v) for k, v in training.network.state_dict().items())
    assert [path.name for path in job.run_dir.iterdir()] == ["state.pt"]


def test_a_state_keeps_the_most_memory_of_all_processes_so_far(job: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    training = begun_training()
    kept = []
    for peak in (300, 200, 400):
        monkeypatch.setattr("roadtest.training.checkpoint.peak_memory_bytes", lambda device, peak=peak: peak)
        write_state(job, training, METADATA)
        kept.append(saved(job)["progress"]["peak_memory_bytes"])
    assert kept == [300, 300, 400]


def test_a_state_from_before_memory_was_kept_is_gone_on_from(job: RunSpec) -> None:
    training = begun_training()
    state = training.to_state()
    del state["progress"]["peak_memory_bytes"]
    training.restore(state)
    assert training.progress.peak_memory_bytes == 0


def test_before_the_plan_is_made_nothing_is_written(job: RunSpec) -> None:
    write_state(job, tiny_training(), METADATA)
    assert read_state(job) is None
    assert list(job.run_dir.iterdir()) == []


def test_a_full_disk_leaves_the_old_state(job: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    training = tiny_training()
    happenings = train(training)
    next(happenings)
    write_state(job, training, METADATA)
    step = training.progress.step
    next(happenings)

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        with pytest.raises(OSError, match="No space"):
            write_state(job, training, METADATA)
    assert saved(job)["progress"]["step"] == step
    assert [path.name for path in job.run_dir.iterdir()] == ["state.pt"]


def test_what_a_killed_process_left_half_written_is_swept(job: RunSpec) -> None:
    (job.run_dir / ".state.pt.4711.part").write_bytes(b"half")
    assert read_state(job) is None
    assert list(job.run_dir.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        lambda bomb: b"garbage",
        lambda bomb: b"",
        lambda bomb: pickle.dumps(bomb),
        lambda bomb: torch_bytes({"origin": bomb}),
        lambda bomb: torch_bytes({"origin": {"identity": "i"}, "training": {}}),
        lambda bomb: torch_bytes([1]),
    ],
)
def test_a_damaged_or_hostile_state_is_refused_in_one_line_and_not_run(
    content: Callable[[Bomb], bytes], job: RunSpec, tmp_path: Path
) -> None:
    trace = tmp_path / "it ran"
    (job.run_dir / "state.pt").write_bytes(content(Bomb(trace)))
    with pytest.raises(ValueError, match="delete it to begin this run anew") as error:
        read_state(job)
    assert "\n" not in str(error.value)
    assert not trace.exists()


def torch_bytes(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def test_a_state_is_saved_once_a_minute_and_less_often_where_saving_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = SaveClock(saved_at=now)
    now += 60.0
    assert not clock.is_due
    now += 0.1
    assert clock.is_due

    def write_for_ten_seconds() -> None:
        nonlocal now
        now += 10.0

    clock.save(write_for_ten_seconds)
    now += 199.0  # ten seconds are a twentieth of 200
    assert not clock.is_due
    now += 2.0
    assert clock.is_due


def test_a_branch_has_a_state_of_its_own(job: RunSpec) -> None:
    training = begun_training()
    write_state(job, training, METADATA, BRANCH_STATE)
    assert read_state(job) is None
    assert read_state(job, BRANCH_STATE) is not None
    (job.run_dir / BRANCH_STATE).write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"branch\.pt cannot .* delete it to begin this branch anew"):
        read_state(job, BRANCH_STATE)


def test_rows_after_the_saved_step_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "epochs.csv"
    drop_rows_after(path, 3)
    assert not path.exists()
    for step in (2, 3, 5):
        append_row(path, {"step": step, "loss": 0.5})
    drop_rows_after(path, 3)
    assert [row["step"] for row in read_rows(path)] == ["2", "3"]


def test_weights_are_written_exactly_and_their_size_is_told(tmp_path: Path) -> None:
    network, path = TinyNet().to(memory_format=torch.channels_last), tmp_path / "weights.safetensors"
    num_bytes = write_weights(path, network, {"network": "tiny"})
    assert num_bytes == path.stat().st_size
    assert count_weight_bytes(network) <= num_bytes <= count_weight_bytes(network) + 2000
    weights = load_file(path)
    assert all(torch.equal(weights[name], tensor) for name, tensor in network.state_dict().items())
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]


def test_a_network_that_shares_weights_is_written_too(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    network[1].weight = network[0].weight
    write_weights(tmp_path / "w.safetensors", network, {})
    weights = load_file(tmp_path / "w.safetensors")
    assert torch.equal(weights["0.weight"], weights["1.weight"])
