"""The sweep: every rate is tried, the lowest validation loss wins, and a failure has its reason."""

from dataclasses import replace
from pathlib import Path

import pytest

from roadtest.events import Event
from roadtest.job import Job
from roadtest.record import PlannedRun, read_rows
from roadtest.study import launch
from roadtest.study.sweep import chosen_rates, sweep_rates
from small_study import run_task_here
from tiny import TINY, write_tiny_study

RATES = (0.01, 0.02, 0.05)


@pytest.fixture(autouse=True)
def fake_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_run_task", run_task_here)


def jobs_of(tmp_path: Path, *networks: str) -> list[Job]:
    job = write_tiny_study(tmp_path, replace(TINY, sweep_rates=RATES, learning_rates=()))
    return [replace(job, run=PlannedRun(network=name, has_stn=False, seed=0)) for name in networks]


def sweep(jobs: list[Job], **more: bool) -> tuple[dict[str, str], list[Event]]:
    told: list[Event] = []
    reasons = sweep_rates(jobs[0].study_dir, jobs, num_parallel=2, tell=told.append, **more)
    return reasons, told


def test_the_rate_with_the_lowest_validation_loss_is_chosen(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, "lenet5", "vgg16")
    reasons, told = sweep(jobs)
    assert reasons == {}
    assert chosen_rates(jobs[0].study_dir) == {"lenet5": 0.02, "vgg16": 0.02}
    rows = [row for row in read_rows(jobs[0].study_dir / "sweep.csv") if row["network"] == "lenet5"]
    assert [(row["learning_rate"], row["is_chosen"]) for row in rows] == [
        ("0.01", "False"),
        ("0.02", "True"),
        ("0.05", "False"),
    ]
    texts = [event.text for event in told if event.label == "lenet5"]
    assert texts == [
        "rate 0.01: validation loss 0.0100",
        "rate 0.02: validation loss 0.0000",
        "rate 0.05: validation loss 0.0300",
        "rate 0.02 is chosen",
    ]


def test_a_network_without_any_loss_has_rows_and_no_rate(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, "diverges.py:build", "lenet5")
    reasons, _ = sweep(jobs)
    assert reasons == {"diverges.py:build": "the loss is no number at any rate of the sweep: give --lr"}
    assert chosen_rates(jobs[0].study_dir) == {"lenet5": 0.02}
    rows = read_rows(jobs[0].study_dir / "sweep.csv")
    assert [row["val_loss"] for row in rows if row["network"] == "diverges.py:build"] == ["inf"] * 3


def test_a_network_that_fails_has_its_own_reason_and_the_others_go_on(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, "raises.py:build", "lenet5")
    reasons, _ = sweep(jobs)
    assert reasons == {"raises.py:build": "the network is wrong: mend it"}
    assert chosen_rates(jobs[0].study_dir) == {"lenet5": 0.02}


def test_a_network_that_ends_its_process_has_a_reason_and_no_rate_of_the_trials_before(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, "leaves.py:build", "lenet5")
    reasons, _ = sweep(jobs)
    assert list(reasons) == ["leaves.py:build"] and "as by sys.exit" in reasons["leaves.py:build"]
    assert chosen_rates(jobs[0].study_dir) == {"lenet5": 0.02}


def test_with_fail_fast_the_first_failure_is_the_last(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, "raises.py:build", "lenet5", "vgg16")
    reasons = sweep_rates(jobs[0].study_dir, jobs, num_parallel=1, tell=lambda event: None, fail_fast=True)
    assert list(reasons) == ["raises.py:build"]
    assert chosen_rates(jobs[0].study_dir) == {}


def test_a_network_that_is_swept_again_begins_anew(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, "lenet5")
    sweep(jobs)
    sweep(jobs)
    assert len(read_rows(jobs[0].study_dir / "sweep.csv")) == 3


def test_a_rate_that_is_no_number_is_told_with_its_file(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, "lenet5")
    sweep(jobs)
    path = jobs[0].study_dir / "sweep.csv"
    path.write_text(path.read_text().replace("0.02", "fast"))
    with pytest.raises(ValueError, match=r"sweep\.csv is damaged \(learning_rate: "):
        chosen_rates(jobs[0].study_dir)


def test_without_networks_nothing_is_done(tmp_path: Path) -> None:
    assert sweep_rates(tmp_path, [], num_parallel=1, tell=lambda event: None) == {}
    assert list(tmp_path.iterdir()) == []
