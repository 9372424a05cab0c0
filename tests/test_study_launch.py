"""Workers: started, listened to, stopped cleanly, never left behind; faked, so that only the launching is tried."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from roadtest.records.events import Event
from roadtest.study import launch
from roadtest.study.launch import Outcome, Task, run_tasks
from small_study import FAKE_WORKER, ctrl_c_when, wait_until

HERE = Path(__file__).parent
ENDED_EARLY = "the process ended before its work was done, as by sys.exit: a network must not end it; take that out"


@pytest.fixture(autouse=True)
def fake_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "WORKER", FAKE_WORKER)


def task(folder: Path, do: str, name: str = "a") -> Task:
    where = folder / name
    job = json.dumps({"do": do, "path": str(where / "trace")})
    return Task(kind="run", job_json=job, log_path=where / "log.txt", label=name, seed=3)


def run(
    *tasks: Task,
    num_parallel: int = 1,
    emit: Callable[[Event], None] = lambda event: None,
    is_over: Callable[[Outcome], bool] = lambda outcome: False,
) -> list[Outcome]:
    return run_tasks(tasks, num_parallel=num_parallel, emit=emit, is_over=is_over)


def test_events_come_with_the_runs_name_and_prints_go_to_the_log(tmp_path: Path) -> None:
    told: list[Event] = []
    (outcome,) = run(task(tmp_path, "prints"), emit=told.append)
    assert (outcome.reason, outcome.is_stopped) == (None, False)
    assert [(event.kind, event.label, event.seed) for event in told] == [("started", "a", 3), ("finished", "a", 3)]
    assert told[1].val_accuracy == 0.5
    log = (tmp_path / "a" / "log.txt").read_text()
    assert '{"kind": "finished"}' in log and "from C" in log
    assert (tmp_path / "a" / "trace").read_text() == "done"


def test_a_run_folder_that_is_a_link_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "a").symlink_to(tmp_path / "theirs")
    with pytest.raises(ValueError, match="a is a link"):
        run(task(tmp_path, "prints"))
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_log_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("untouched")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "log.txt").symlink_to(tmp_path / "theirs")
    with pytest.raises(ValueError, match=r"log\.txt is a link"):
        run(task(tmp_path, "prints"))
    assert (tmp_path / "theirs").read_text() == "untouched"


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("raises", "the network is wrong: mend it"),
        ("bugs", "KeyError: 'weights'"),
        ("killed", "the process was ended by SIGKILL: out of memory?"),
        ("breaks", "the process was ended by SIGKILL: out of memory?"),
        ("exits", "the process ended with code 7: see log.txt"),
        ("leaves", ENDED_EARLY),
        ("leaves at once", ENDED_EARLY),
    ],
)
def test_a_failing_worker_is_an_outcome_with_its_reason_in_one_line(do: str, reason: str, tmp_path: Path) -> None:
    told: list[Event] = []
    (outcome,) = run(task(tmp_path, do), emit=told.append)
    assert outcome.reason == reason
    assert not outcome.is_stopped
    assert "failed" not in {event.kind for event in told}  # told once, by whoever judges the outcome
    if do in ("raises", "bugs"):
        assert "Traceback" in (tmp_path / "a" / "log.txt").read_text()


def test_the_others_go_on_after_a_failure_unless_it_is_over(tmp_path: Path) -> None:
    tasks = [task(tmp_path, "raises", "a"), task(tmp_path, "prints", "b")]
    assert [outcome.reason is None for outcome in run(*tasks)] == [False, True]
    (only,) = run(*tasks, is_over=lambda outcome: outcome.reason is not None)
    assert only.task.label == "a"


def test_what_works_at_the_same_time_is_stopped_with_its_state_kept(tmp_path: Path) -> None:
    outcomes = run(
        task(tmp_path, "waits", "a"),
        task(tmp_path, "raises", "b"),
        num_parallel=2,
        is_over=lambda outcome: outcome.reason is not None,
    )
    by_label = {outcome.task.label: outcome for outcome in outcomes}
    assert by_label["a"].is_stopped and by_label["a"].reason is None
    assert (tmp_path / "a" / "trace").read_text() == "the state is kept"


def test_a_worker_that_does_not_stop_is_killed_and_counts_as_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "STOP_SECONDS", 0.2)
    outcomes = run(
        task(tmp_path, "ignores", "a"),
        task(tmp_path, "exits", "b"),
        num_parallel=2,
        is_over=lambda outcome: outcome.reason is not None,
    )
    assert [(outcome.task.label, outcome.is_stopped) for outcome in outcomes] == [("a", True), ("b", False)]


def test_a_listener_that_breaks_ends_its_workers_and_is_told_of(tmp_path: Path) -> None:
    def broken(event: Event) -> None:
        raise ZeroDivisionError("the display")

    with pytest.raises(ZeroDivisionError, match="the display"):
        run(task(tmp_path, "waits", "a"), task(tmp_path, "waits", "b"), emit=broken)
    assert (tmp_path / "a" / "trace").read_text() == "the state is kept"
    assert not (tmp_path / "b").exists()


def test_whoever_listens_hears_one_thing_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0

    def listen(_: object) -> bool:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.005)
        inside -= 1
        return False

    run(*(task(tmp_path, "prints", name) for name in "abcd"), num_parallel=4, emit=listen, is_over=listen)
    assert most == 1


def test_ctrl_c_stops_every_worker_and_is_raised_again(tmp_path: Path) -> None:
    both_began = ctrl_c_when(lambda: all((tmp_path / name / "began").exists() for name in "ab"))
    told: list[Event] = []
    with pytest.raises(KeyboardInterrupt), both_began:
        run(*(task(tmp_path, "waits", name) for name in "abc"), num_parallel=2, emit=told.append)
    assert [event.text for event in told if event.kind == "note"] == ["stopping: states are being saved"]
    assert [(tmp_path / name / "trace").exists() for name in "abc"] == [True, True, False]


@pytest.mark.slow
def test_a_worker_ends_with_its_state_kept_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import test_study_launch as t;"
        "t.launch.WORKER = t.FAKE_WORKER; t.run(t.task(Path(sys.argv[2]), 'waits'))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(HERE), str(tmp_path)])
    try:
        wait_until(lambda: (tmp_path / "a" / "began").exists())
        (worker,) = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: (tmp_path / "a" / "trace").exists() and not worker.is_running())
    assert (tmp_path / "a" / "trace").read_text() == "the state is kept"


def test_a_file_of_the_current_folder_never_stands_in_for_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    (outcome,) = run(Task(kind="nothing", job_json="{}", log_path=tmp_path / "log.txt"))
    assert outcome.reason == "KeyError: 'nothing'"


def test_threads_are_told_to_the_worker_and_what_the_user_set_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    environment = launch.worker_environment(3)
    assert (environment["OMP_NUM_THREADS"], environment["OMP_WAIT_POLICY"]) == ("3", "active")
    assert "GOMP_SPINCOUNT" not in environment  # it would overrule the user's policy
    assert set(os.environ) <= set(environment)


def test_waiting_threads_spin_a_little_where_the_user_said_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    assert launch.worker_environment(2)["GOMP_SPINCOUNT"] == str(launch.SPIN_COUNT)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert launch.worker_environment(2)["GOMP_SPINCOUNT"] == "7"
