"""Worker processes: started here, listened to, stopped cleanly, never left behind.

Each job runs as `python -m roadtest.training.worker`, never by fork or spawn of the caller: no main guard is needed and
notebooks work. A worker ends when its standard input closes, which happens by itself when this process dies.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from roadtest.records import refuse_link
from roadtest.records.events import Emit, Event, RunSpec
from roadtest.records.schema import FailureKind
from roadtest.training.worker import EXIT_STOPPED

WORKER = (sys.executable, "-P", "-m", "roadtest.training.worker")
"""-P: a file random.py in the current folder must not stand in for the library's."""
SPIN_COUNT = 10_000
"""Turns of a waiting thread before it sleeps (GNU's OpenMP, whose own default is 300,000)."""
STOP_SECONDS = 60.0
"""How long a worker may take to save its state and go, before it is killed."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One job for one process."""

    kind: str
    """A word of the worker's KINDS: `run`, `sweep`, `speed`, `latency`."""
    job_json: str
    log_path: Path
    """Where the worker's own output and traceback go."""
    label: str = ""
    seed: int | None = None
    num_threads: int = 1

    @classmethod
    def of(cls, kind: str, spec: RunSpec, log_path: Path) -> "Task":
        """A task about one run."""
        run = spec.run
        return cls(
            kind=kind,
            job_json=spec.to_json(),
            log_path=log_path,
            label=run.label,
            seed=run.seed,
            num_threads=spec.num_threads,
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a task ended."""

    task: Task
    reason: str | None
    """Why it failed; None where it is done or was stopped."""
    is_stopped: bool
    kind: FailureKind
    events: tuple[Event, ...]
    """What it told, except steps and rows."""


def run_tasks(
    tasks: Sequence[Task], *, num_parallel: int, emit: Emit, is_over: Callable[[Outcome], bool]
) -> list[Outcome]:
    """Run the tasks, so many at a time, in order; stop all where `is_over` says so of an outcome.

    Ctrl-C stops every worker, waits until their states are saved, and is raised again.
    """
    stop, lock = threading.Event(), threading.Lock()

    def emit_one_at_a_time(event: Event) -> None:
        with lock:
            emit(event)

    def work(task: Task) -> Outcome | None:
        if stop.is_set():
            return None
        try:
            outcome = _run_task(task, emit_one_at_a_time, stop)
            with lock:
                if is_over(outcome):
                    stop.set()
        except BaseException:  # whoever listens broke: its other workers must not go on unheard
            stop.set()
            raise
        return outcome

    with ThreadPoolExecutor(num_parallel) as threads:
        try:
            futures = [threads.submit(work, task) for task in tasks]
            while wait(futures, timeout=0.2).not_done:
                pass
        except KeyboardInterrupt:
            stop.set()
            if any(task.kind == "run" for task in tasks):  # it may take STOP_SECONDS, in which nothing else is seen
                emit_one_at_a_time(Event(kind="note", text="stopping: states are being saved"))
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    outcomes = [future.result() for future in futures]
    return [outcome for outcome in outcomes if outcome is not None]


def _run_task(task: Task, emit: Emit, stop: threading.Event) -> Outcome:
    if task.kind == "run":
        refuse_link(refuse_link(task.log_path.parent.parent) / task.log_path.parent.name)
    task.log_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="roadtest-") as folder, refuse_link(task.log_path).open("ab") as log:
        job_path = Path(folder) / "job.json"
        job_path.write_text(task.job_json, encoding="utf-8")
        process = subprocess.Popen(
            [*WORKER, task.kind, str(job_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=worker_environment(task.num_threads),
            # Ctrl-C is for the parent, which closes the worker's input.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        over = threading.Event()
        stopper = threading.Thread(target=_close_when_stopped, args=(process, stop, over), daemon=True)
        stopper.start()
        try:
            events = _listen(process, task, emit)
            code = process.wait()
        except BaseException:
            stop.set()
            raise
        finally:
            assert process.stdout is not None
            process.stdout.close()
            over.set()
            stopper.join()
    return _outcome(task, code, events, is_asked_to_stop=stop.is_set())


def _listen(process: "subprocess.Popen[bytes]", task: Task, emit: Emit) -> list[Event]:
    assert process.stdout is not None
    kept = []
    for line in process.stdout:
        try:
            event = Event.from_line(line.decode("utf-8", "replace"))
        except ValueError:
            continue  # a line cut off by a kill
        event = replace(event, label=event.label or task.label, seed=task.seed if event.seed is None else event.seed)
        if event.kind not in ("step", "row"):
            kept.append(event)
        if event.kind not in ("failed", "done"):  # told once, by whoever judges the outcome
            emit(event)
    return kept


def _outcome(task: Task, code: int, events: list[Event], *, is_asked_to_stop: bool) -> Outcome:
    failed = [event for event in events if event.kind == "failed"]
    is_stopped = code == EXIT_STOPPED or (is_asked_to_stop and code < 0)  # too slow to stop, and killed by us
    reason = None
    if failed:
        reason = failed[-1].text
    elif code < 0 and not is_stopped:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = ": out of memory?" if name == "SIGKILL" else ""
        reason = f"the process was ended by {name}{hint}"
    elif code > 0 and not is_stopped:
        reason = f"the process ended with code {code}: see {task.log_path.name}"
    elif not is_stopped and all(event.kind != "done" for event in events):
        reason = "the process ended before its work was done, as by sys.exit: a network must not end it; take that out"
    kind: FailureKind = "diverged" if failed and failed[-1].status == "diverged" else "error"
    return Outcome(task=task, reason=reason, is_stopped=is_stopped, kind=kind, events=tuple(events))


def _close_when_stopped(process: "subprocess.Popen[bytes]", stop: threading.Event, over: threading.Event) -> None:
    assert process.stdin is not None
    while not stop.is_set() and not over.wait(0.1):
        pass
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def worker_environment(num_threads: int) -> dict[str, str]:
    """What a worker's libraries are told before they load; what the user set stands.

    Threads that wait spin for some microseconds, then sleep. Spinning on and on made training 15 times slower where
    the machine did anything else; sleeping at once made `lenet5` about half as fast where it did not.
    Freed memory is kept: giving it back after every step costs a page fault per page at the next (docs/log.md).
    """
    ours = {
        "OMP_NUM_THREADS": str(num_threads),
        "MALLOC_MMAP_THRESHOLD_": str(2**30),
        "MALLOC_TRIM_THRESHOLD_": str(2**32),
        "PYTHONUNBUFFERED": "1",
    }
    if "OMP_WAIT_POLICY" not in os.environ:  # the count would overrule it
        ours["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
    return {**ours, **os.environ}
