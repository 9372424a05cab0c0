"""The process in which one network trains: `python -m roadtest.training.worker KIND JOB.json`.

It reports events, one JSON line each, on standard output; whatever libraries print goes to standard error. A worker
stops, with its state saved, when its standard input closes, so it ends with the process that started it. Exit codes:
0 done, 1 failed (a `failed` event says why), 130 stopped. torch is imported once a job has begun, not before.
"""

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

from roadtest.records.events import Event, RunSpec
from roadtest.records.schema import FailureKind

EXIT_FAILED, EXIT_STOPPED = 1, 130
Emit = Callable[[Event], None]
ShouldStop = Callable[[], bool]


def main(arguments: list[str]) -> int:
    """Do one job and return the exit code."""
    kind, job_path = arguments
    events = _claim_stdout()
    stop = threading.Event()
    threading.Thread(target=_watch_stdin, args=(stop,), daemon=True).start()

    def emit(event: Event) -> None:
        try:
            print(event.to_line(), file=events, flush=True)
        except OSError:  # nobody reads any more: save and end, as when standard input closes
            stop.set()

    try:
        KINDS[kind](Path(job_path).read_text(encoding="utf-8"), emit, stop.is_set)
    except (InterruptedError, KeyboardInterrupt):
        return EXIT_STOPPED
    except Exception as error:
        traceback.print_exc()
        emit(Event(kind="failed", text=_reason(error), status=_failure_kind(error)))
        return EXIT_FAILED
    emit(Event(kind="done"))
    return 0


def run_once(text: str, emit: Emit, should_stop: ShouldStop) -> None:
    """Train one run, from the start or from its saved state."""
    from roadtest.training.run import execute

    execute(RunSpec.from_json(text), emit=emit, should_stop=should_stop)


def try_rates(text: str, emit: Emit, should_stop: ShouldStop) -> None:
    """Sweep one network's learning rates: train at each for the same steps, and report the validation figures."""
    from roadtest.training.probe import try_rate
    from roadtest.training.run import build_training

    job = RunSpec.from_json(text)
    trial = replace(job, protocol=replace(job.protocol, budget_seconds=job.protocol.sweep_seconds, patience=0))
    for rate in job.protocol.sweep_rates:
        image_set, training = build_training(replace(trial, learning_rate=rate), should_stop)
        event = try_rate(training, trial, image_set.num_classes)
        trial = replace(trial, max_steps=training.progress.num_steps, precision=training.precision)
        del training  # with its images on the device, before the next one's come
        emit(event)


def measure_speeds(text: str, emit: Emit, should_stop: ShouldStop) -> None:
    """Measure how fast one network trains here, into a file in its run's folder; no weights are kept."""
    from roadtest.training.probe import measure_speed, unlimited, write_speed
    from roadtest.training.run import build_training

    job = unlimited(RunSpec.from_json(text))
    emit(Event(kind="phase", text=f"measuring {job.run.label}"))
    image_set, training = build_training(job, should_stop, starts_pretrained=False)  # as fast without the weights
    write_speed(job.run_dir, measure_speed(training, job, image_set.num_classes))


def measure_latencies(text: str, emit: Emit, should_stop: ShouldStop) -> None:
    """Measure the latency of every network of a study, rounds interleaved, into its latency.csv."""
    from roadtest.machine import prepare_device
    from roadtest.networks import build_network
    from roadtest.records import read_rows, write_rows
    from roadtest.records.measurements import COLUMNS, is_exported
    from roadtest.training.profile import measure_latency

    plain: dict[str, Any] = json.loads(text)
    sizes = {"num_classes": plain["num_classes"], "image_size": plain["image_size"]}
    prepare_device(plain["device"], plain["num_threads"])
    networks = {
        (name, has_stn): build_network(name, **sizes, has_stn=has_stn, seed=0) for name, has_stn in plain["networks"]
    }

    def report(num_done: int, num_total: int) -> None:
        emit(Event(kind="latency", num_done=num_done, num_total=num_total))
        if should_stop():
            raise InterruptedError

    samples = measure_latency(
        networks,
        image_size=plain["image_size"],
        num_threads=plain["num_threads"],
        device=plain["device"],
        on_progress=report,
    )
    path = Path(plain["study_dir"]) / "latency.csv"
    kept = [row for row in read_rows(path, COLUMNS) if is_exported(row)]  # measured by export, or on other computers
    write_rows(path, [*map(asdict, samples), *kept], COLUMNS)


KINDS = {"run": run_once, "sweep": try_rates, "speed": measure_speeds, "latency": measure_latencies}


def _claim_stdout() -> TextIO:
    """Keep the real standard output for events and send every other print, also of C code, to standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return events


def _watch_stdin(stop: threading.Event) -> None:
    """Ask to stop when standard input closes: the parent closed it, or has ended."""
    while os.read(0, 4096):
        pass
    stop.set()


def _failure_kind(error: Exception) -> FailureKind:
    from roadtest.training.loop import DivergedError

    return "diverged" if isinstance(error, DivergedError) else "error"


def _reason(error: Exception) -> str:
    """One line for failures.csv."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
