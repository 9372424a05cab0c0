"""A study in one process: the same events and outcomes as with a process for each run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.accuracy import one_process
from roadtest.records.events import Event
from roadtest.study.launch import Task


def work(text: str, emit: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
    emit(Event(kind="started", text=text))
    if text == "fails":
        raise ValueError("no such network")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setitem(one_process.KINDS, "run", work)
    return []


def run(words: list[str], told: list[str], *, stops_at_failure: bool = False) -> list[str | None]:
    tasks = [Task(kind="run", job_json=word, log_path=Path("log.txt")) for word in words]
    outcomes = one_process.run_here(
        tasks,
        num_parallel=1,
        emit=lambda event: told.append(event.text),
        is_over=lambda outcome: stops_at_failure and outcome.reason is not None,
    )
    assert [outcome.events[0].text for outcome in outcomes] == words[: len(outcomes)]
    return [outcome.reason for outcome in outcomes]


def test_tasks_are_done_in_order_and_a_failure_is_the_runs_own(told: list[str]) -> None:
    assert run(["first", "fails", "third"], told) == [None, "ValueError: no such network", None]
    assert told == ["first", "fails", "third"]


def test_where_a_failure_ends_the_study_nothing_follows(told: list[str]) -> None:
    assert run(["first", "fails", "third"], told, stops_at_failure=True) == [None, "ValueError: no such network"]
    assert told == ["first", "fails"]
