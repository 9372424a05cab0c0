"""The steps of a study's work: what is told before, what each run is told, and when latency is measured anew."""

import json
from pathlib import Path

import pytest

from roadtest.devices import replace_latencies
from roadtest.job import Job
from roadtest.record import read_rows
from roadtest.study import launch, work
from roadtest.study.launch import Outcome, Task
from small_study import compare_small, own, prepare


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


@pytest.fixture
def tasks(images: Path, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Every task that was given to a worker."""
    given: list[Task] = []
    honest = launch._run_task

    def watched(task: Task, *more: object) -> Outcome:
        given.append(task)
        return honest(task, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(launch, "_run_task", watched)
    return given


def jobs_of(tasks: list[Task]) -> list[Job]:
    return [Job.from_json(task.job_json) for task in tasks if task.kind == "run"]


@pytest.mark.slow
def test_every_run_is_told_the_same_but_for_network_and_seed(images: Path, tasks: list[Task], tmp_path: Path) -> None:
    study, _ = compare_small(images, "good", "other", seeds=2, threads=1, precision="float32", keep_weights="none")
    jobs = jobs_of(tasks)
    assert [(job.run.network, job.run.seed) for job in jobs] == [
        ("good.py:build", 0),
        ("other.py:build", 0),
        ("good.py:build", 1),
        ("other.py:build", 1),
    ]
    plain = [json.loads(job.to_json()) | {"run": None} for job in jobs]
    assert all(each == plain[0] for each in plain)
    job = jobs[0]
    assert (job.num_threads, job.precision, job.device, job.learning_rate) == (1, "float32", "cpu", 0.05)
    assert (job.reads_test, job.keeps_weights, job.max_steps) == (True, False, None)
    assert job.study_dir == study.path.resolve() and job.study_dir.is_absolute()
    assert job.cache_dir == tmp_path / "cache"
    assert job.pixels_path.is_file() and job.pixels_path.is_relative_to(tmp_path / "cache")


@pytest.mark.slow
def test_annealed_copies_are_asked_of_every_run_and_missing_ones_are_told(images: Path, tasks: list[Task]) -> None:
    compare_small(images, "good")
    assert not jobs_of(tasks)[0].anneals
    _, told = compare_small(images, "good", seeds=2, anneal=True)
    assert [job.anneals for job in jobs_of(tasks)[1:]] == [True]
    assert [event.text for event in told.of("warning") if "annealed" in event.text] == [
        "2 finished runs have no annealed copies, and none is repeated: --fresh begins anew"  # workers here are fakes
    ]


@pytest.mark.slow
def test_a_finished_run_keeps_no_state_that_a_kill_left_behind(images: Path, tasks: list[Task]) -> None:
    study, _ = compare_small(images, "good")
    (finished,) = (run.path for run in study.runs())
    for name in ("state.pt", "branch.pt"):
        (finished / name).touch()
    compare_small(images, "good", seeds=2)
    assert not list(finished.glob("*.pt")) and (finished / "record.json").exists()


@pytest.mark.slow
def test_a_relative_cache_is_found_by_the_workers_too(
    images: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADTEST_CACHE", "cache")
    compare_small(images, "good")
    assert jobs_of(tasks)[0].cache_dir.is_absolute()
    assert jobs_of(tasks)[0].pixels_path.is_absolute()


@pytest.mark.slow
def test_cores_are_shared_by_runs_at_the_same_time(
    images: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "count_usable_cores", lambda: 8)
    compare_small(images, "good", jobs=3)
    assert jobs_of(tasks)[0].num_threads == 2
    compare_small(images, "good", seeds=2, jobs=16)
    assert jobs_of(tasks)[1].num_threads == 1


@pytest.mark.slow
def test_latency_is_measured_for_all_when_one_is_added_and_not_again_otherwise(images: Path, tasks: list[Task]) -> None:
    compare_small(images, "good")
    compare_small(images, "good", seeds=2)
    assert [task.kind for task in tasks] == ["run", "latency", "run"]
    study, _ = compare_small(images, "good", "other")
    assert json.loads(tasks[-1].job_json)["networks"] == [[name, False] for name in own("good", "other")]
    assert len(read_rows(study.path / "latency.csv")) == 2


@pytest.mark.slow
def test_a_network_of_ones_own_is_only_built_for_its_latency_where_it_is_named(images: Path, tasks: list[Task]) -> None:
    compare_small(images, "good")
    study, told = compare_small(images, "other")  # a study from elsewhere may bring good.py
    assert json.loads(tasks[-1].job_json)["networks"] == [["other.py:build", False]]
    assert [event.text for event in told.of("warning")] == [
        "latency is not measured of good.py:build: a network of your own is only built where it is named again"
    ]
    assert [row["network"] for row in read_rows(study.path / "latency.csv")] == ["other.py:build"]
    _, told = compare_small(images, "other", seeds=2)
    assert tasks[-1].kind == "run" and told.of("warning") == []  # what is left out is not waited for either


@pytest.mark.slow
def test_an_exported_networks_latency_does_not_stand_in_for_pytorchs(images: Path, tasks: list[Task]) -> None:
    study, _ = compare_small(images, "good")
    rows = read_rows(study.path / "latency.csv")
    (study.path / "latency.csv").unlink()
    replace_latencies(study.path, [{**row, "runtime": "onnxruntime"} for row in rows])
    compare_small(images, "good")
    assert [task.kind for task in tasks] == ["run", "latency", "latency"]


@pytest.mark.slow
def test_latency_that_cannot_be_measured_is_a_warning_and_the_study_goes_on(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = launch._run_task

    def broken(task: Task, *more: object) -> Outcome:
        if task.kind == "latency":
            return Outcome(task=task, reason="no clock", is_stopped=False, events=())
        return honest(task, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(launch, "_run_task", broken)
    study, told = compare_small(images, "good")
    assert [event.text for event in told.of("warning")] == ["latency was not measured: no clock"]
    assert (study.path / "report" / "index.html").exists()


@pytest.mark.slow
def test_a_disk_that_is_too_small_is_told_before_anything_runs(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "count_disk_bytes", lambda *_, **__: 10**21)
    _, told = compare_small(images, "good")
    kinds = [event.kind for event in told]
    assert kinds.index("planned") < kinds.index("warning") < kinds.index("started")
    assert told.of("planned")[0].text == "1 run, at most 2 epochs each, at least 1000000000000 GB"
    assert told.of("warning")[0].text.startswith("the runs need 1000000000000 GB and the disk of study has ")


@pytest.mark.slow
def test_the_plan_is_told_first_and_then_every_run(images: Path) -> None:
    _, told = compare_small(images, "good", "other")
    kinds = [event.kind for event in told if event.kind not in ("data", "note", "phase", "warning")]
    assert kinds[:3] == ["planned", "queued", "queued"]
    assert told.of("phase")[-1].text == "writing the report"
