"""The worker's process: its events, how it ends, and the real jobs it can do."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from roadtest.records import read_record, read_rows
from roadtest.records.events import Event
from roadtest.records.measurements import replace_latencies
from roadtest.training import worker
from roadtest.training.worker import EXIT_FAILED, EXIT_STOPPED, measure_latencies, try_rates
from tiny import TINY, write_tiny_study

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


def start(*arguments: str, **more: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", "roadtest.training.worker", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=ENVIRONMENT, **{**pipes, **more})  # type: ignore[call-overload, no-any-return]


def write_job(tmp_path: Path, job: object) -> str:
    path = tmp_path / "job.json"
    path.write_text(job.to_json())  # type: ignore[attr-defined]
    return str(path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("one\n  two"), "one two"),
        (RuntimeError("no kernel"), "RuntimeError: no kernel"),
        (MemoryError(), "MemoryError: MemoryError"),
    ],
)
def test_a_reason_is_one_line(error: Exception, reason: str) -> None:
    assert worker._reason(error) == reason


@pytest.mark.slow
def test_a_sweep_tries_every_rate_for_the_same_number_of_steps(tmp_path: Path) -> None:
    protocol = replace(TINY, sweep_rates=(0.001, 0.02, 1e30), sweep_seconds=0.3, max_epochs=1000)
    job = replace(write_tiny_study(tmp_path, protocol), learning_rate=0.0)
    events: list[Event] = []
    try_rates(job.to_json(), events.append, lambda: False)
    assert [event.learning_rate for event in events] == [0.001, 0.02, 1e30]
    assert events[0].epoch == events[1].epoch
    assert events[0].val_loss is not None and events[0].val_accuracy is not None
    assert events[2].val_loss is None  # diverged
    assert not job.run_dir.exists()


def test_a_sweep_never_reads_the_test_set(tmp_path: Path) -> None:
    protocol = replace(TINY, sweep_rates=(0.02,), sweep_seconds=0.1)
    job = write_tiny_study(tmp_path, protocol)
    try_rates(job.to_json(), lambda event: None, lambda: False)
    assert not job.cache_dir.exists()


def test_a_sweep_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path, replace(TINY, sweep_rates=(0.02,), sweep_seconds=60.0))
    with pytest.raises(InterruptedError):
        try_rates(job.to_json(), lambda event: None, lambda: True)


def latency_job(tmp_path: Path) -> str:
    plain = {"study_dir": str(tmp_path), "networks": [["lenet5", False], ["lenet5", True]], "num_classes": 3}
    return json.dumps({**plain, "image_size": 32, "device": "cpu", "num_threads": 1})


def test_latency_of_every_network_goes_into_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadtest.training.profile.MAX_SAMPLES", 3)
    monkeypatch.setattr("roadtest.training.profile._visit", lambda *_: ([1.0, 2.0], False))
    events: list[Event] = []
    measure_latencies(latency_job(tmp_path), events.append, lambda: False)
    rows = read_rows(tmp_path / "latency.csv")
    assert {(row["network"], row["has_stn"], row["batch_size"]) for row in rows} == {
        ("lenet5", has_stn, size) for has_stn in ("False", "True") for size in ("1", "64")
    }
    assert (events[-1].num_done, events[-1].num_total) == (20, 20)  # 5 rounds, 2 networks, 2 batch sizes


def test_measuring_anew_keeps_what_exported_networks_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadtest.training.profile._visit", lambda *_: ([1.0], False))
    measure_latencies(latency_job(tmp_path), lambda event: None, lambda: False)
    once = read_rows(tmp_path / "latency.csv")
    exported = {**once[0], "runtime": "onnxruntime", "device": "pi5", "latency_ms": "7.5"}
    replace_latencies(tmp_path, [exported])
    measure_latencies(latency_job(tmp_path), lambda event: None, lambda: False)
    assert read_rows(tmp_path / "latency.csv") == [*once, exported]


def test_measuring_latency_stops_when_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadtest.training.profile._visit", lambda *_: ([1.0], False))
    with pytest.raises(InterruptedError):
        measure_latencies(latency_job(tmp_path), lambda event: None, lambda: True)
    assert not (tmp_path / "latency.csv").exists()


@pytest.mark.slow
def test_a_worker_trains_a_run_tells_events_only_and_ends_with_zero(tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path, replace(TINY, max_epochs=1))
    process = start("run", write_job(tmp_path, job))
    out, err = _finish(process)
    assert process.returncode == 0, err
    kinds = [Event.from_line(line).kind for line in out.decode().splitlines()]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["finished", "done"]
    assert read_record(job.run_dir).num_epochs == 1


@pytest.mark.slow
@pytest.mark.parametrize("pipe", ["stdin", "stdout"])
def test_a_worker_whose_input_closes_or_that_nobody_reads_any_more_keeps_its_state(pipe: str, tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path, replace(TINY, max_epochs=100_000))
    process = start("run", write_job(tmp_path, job))
    assert process.stdout is not None
    for line in process.stdout:
        if Event.from_line(line.decode()).kind == "row":
            break
    getattr(process, pipe).close()
    if pipe == "stdin":
        process.stdout.read()
    assert process.wait(60) == EXIT_STOPPED
    _close(process)
    assert (job.run_dir / "state.pt").exists()
    assert not (job.run_dir / "record.json").exists()


@pytest.mark.slow
def test_a_network_that_returns_nan_fails_with_advice(tmp_path: Path) -> None:
    own = tmp_path / "nan.py"
    own.write_text(
        "import torch\nclass Net(torch.nn.Linear):\n"
        "    def forward(self, x):\n        return super().forward(x.mean((2, 3))) * float('nan')\n"
        "def build(num_classes, image_size):\n    return Net(3, num_classes)\n"
    )
    job = write_tiny_study(tmp_path, network=f"{own}:build")
    process = start("run", write_job(tmp_path, job))
    out, _ = _finish(process)
    assert process.returncode == EXIT_FAILED
    failed = Event.from_line(out.decode().splitlines()[-1])
    assert failed.kind == "failed"
    assert "the loss is nan" in failed.text and "lower --lr" in failed.text
    assert not (job.run_dir / "record.json").exists()


def _finish(process: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    """Read until the worker ends by itself; its input stays open meanwhile."""
    assert process.stdout is not None and process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    process.wait(60)
    _close(process)
    return out, err


def _close(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()
