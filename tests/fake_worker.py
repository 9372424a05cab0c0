"""A worker that trains nothing: `python fake_worker.py KIND JOB.json`, in place of the real one, with its `main`.

For `launch` the job is `{"do": ..., "path": ...}`. For a whole study it is a real RunSpec, and what is done follows
from the name of the network: `raises.py:build` raises, `killed.py:build` is killed, `waits.py:build` waits for the
end, any other leaves a finished run made of arithmetic. What happens, happens at once: no torch is imported.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from roadtest.records.events import Event
from roadtest.training import worker

MAX_SECONDS = 100.0
"""A test that goes wrong must end all the same."""
Emit = Callable[[Event], None]
ShouldStop = Callable[[], bool]


def work(text: str, emit: Emit, should_stop: ShouldStop) -> None:
    """Do what the job says, or finish a run."""
    plain = json.loads(text)
    if "do" in plain:
        emit(Event(kind="started", text="from the start"))
        ACTS[plain["do"]](Path(plain["path"]), emit, should_stop)
        return
    from roadtest.records.events import RunSpec

    job = RunSpec.from_json(text)
    word = Path(job.run.network.partition(".py:")[0]).name
    job.run_dir.mkdir(parents=True, exist_ok=True)
    emit(job.event("started", text="from the start"))
    if word in ACTS:
        ACTS[word](job.run_dir / "trace", emit, should_stop)
    finish_run(job, emit)


def wait_for_the_end(path: Path, emit: Emit, should_stop: ShouldStop) -> None:
    """Work until asked to stop, telling all the while, then keep the state."""
    path.with_name("began").touch()
    end = time.monotonic() + MAX_SECONDS
    while not should_stop():
        emit(Event(kind="step", epoch=1.0))
        time.sleep(0.01)
        assert time.monotonic() < end, "nobody stopped this worker"
    path.write_text("the state is kept")
    raise InterruptedError


def ignore_everything(path: Path, emit: Emit, should_stop: ShouldStop) -> None:
    """Do not stop, whoever asks."""
    path.with_name("began").touch()
    time.sleep(MAX_SECONDS)


def print_much(path: Path, emit: Emit, should_stop: ShouldStop) -> None:
    """As libraries do, in Python and in C."""
    print('{"kind": "finished"}')
    os.write(1, b"from C\n")
    path.write_text("done")
    emit(Event(kind="finished", val_accuracy=0.5))


def break_a_line(path: Path, emit: Emit, should_stop: ShouldStop) -> None:
    """Be killed inside a line of events."""
    emit(Event(kind="finished"))
    os.write(3, b'{"kind": "fini')  # the first free number, which the worker gave the real standard output
    end_by_signal(path, emit, should_stop)


def raise_value_error(path: Path, emit: Emit, should_stop: ShouldStop) -> None:
    """A mistake of the user's, in two lines."""
    raise ValueError("the network is wrong:\n mend it")


def raise_key_error(path: Path, emit: Emit, should_stop: ShouldStop) -> None:
    """A mistake of ours."""
    raise KeyError("weights")


def end_by_signal(path: Path, emit: Emit, should_stop: ShouldStop) -> None:
    """As the system does where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def end_at_once(path: Path, emit: Emit, should_stop: ShouldStop) -> None:
    """As a crashing library does."""
    os._exit(7)


def leave_quietly(path: Path, emit: Emit, should_stop: ShouldStop) -> None:
    """As a network does that calls sys.exit(0) in its forward pass."""
    sys.exit(0)


def leave_at_once(path: Path, emit: Emit, should_stop: ShouldStop) -> None:
    """The same without Python's own end."""
    os._exit(0)


ACTS: dict[str, Callable[[Path, Emit, ShouldStop], None]] = {
    "waits": wait_for_the_end,
    "ignores": ignore_everything,
    "prints": print_much,
    "breaks": break_a_line,
    "raises": raise_value_error,
    "bugs": raise_key_error,
    "killed": end_by_signal,
    "exits": end_at_once,
    "leaves": leave_quietly,
    "leaves at once": leave_at_once,
}


def finish_run(job: "object", emit: Emit) -> None:
    """Leave a complete run folder whose figures follow from the seed."""
    from fake_run import write_fake_run

    write_fake_run(job)  # type: ignore[arg-type]
    emit(job.event("finished", val_accuracy=0.5))  # type: ignore[attr-defined]


def sweep(text: str, emit: Emit, should_stop: ShouldStop) -> None:
    """The middle rate is best; `diverges.py:build` has no loss at all, `raises.py:build` no trial, `leaves` but one."""
    from roadtest.records.events import RunSpec

    job = RunSpec.from_json(text)
    if "raises" in job.run.network:
        raise ValueError("the network is wrong: mend it")
    rates = job.protocol.sweep_rates
    for rate in rates:
        loss = None if "diverges" in job.run.network else abs(rate - rates[len(rates) // 2])
        emit(job.event("trial", learning_rate=rate, epoch=0.5, train_seconds=1.0, val_loss=loss, val_accuracy=0.5))
        if "leaves" in job.run.network:
            sys.exit(0)


def measure(text: str, emit: Emit, should_stop: ShouldStop) -> None:
    """One sample per network."""
    from roadtest.records import write_rows

    plain = json.loads(text)
    rows = [
        {"network": name, "has_stn": has_stn, "runtime": "pytorch", "device": "cpu", "batch_size": 1}
        | {"num_threads": 1, "round": 0, "sample": 0, "latency_ms": 1.0, "is_busy": False}
        for name, has_stn in plain["networks"]
    ]
    write_rows(Path(plain["study_dir"]) / "latency.csv", rows, rows[0].keys())


def speed(text: str, emit: Emit, should_stop: ShouldStop) -> None:
    """Ten steps of 0.1 s and ten images' evaluation a second; `slow.py:build` takes ten times as long."""
    from roadtest.records.events import RunSpec

    job = RunSpec.from_json(text)
    if "raises" in job.run.network:
        raise ValueError("the network is wrong: mend it")
    factor = 10 if "slow" in job.run.network else 1
    plain = {
        "precision": "float32",
        "batch_size": 16,
        "steps_per_epoch": 3,
        "num_row_images": 10,
        "num_final_images": 50,
        "step_seconds": [0.1 * factor] * 10,
        "eval_images_per_second": 10.0,
        "start_seconds": 2.0,
        "peak_memory_bytes": 500_000_000 * factor,
        "weights_bytes": 1_000_000,
        "state_bytes": 2_000_000,
        "is_busy": False,
    }
    emit(Event(kind="phase", text=f"measuring {job.run.label}"))
    job.run_dir.mkdir(parents=True)
    (job.run_dir / "speed.json").write_text(json.dumps(plain))


KINDS = {"run": work, "sweep": sweep, "speed": speed, "latency": measure}

if __name__ == "__main__":
    worker.KINDS = KINDS
    sys.exit(worker.main(sys.argv[1:]))
