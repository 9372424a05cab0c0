"""The steps of a study's work: what is told before, what each run is told, and when latency is measured anew.

One line before anything is spent: runs, time, disk.

A study that is interrupted or killed: its state is kept, no worker stays behind, and the same command goes on.

The sweep: every rate is tried, the lowest validation loss wins, and a failure has its reason."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from roadtest.format import render_duration
from roadtest.protocol import FOLDER_V1, GTSRB_V1
from roadtest.records import PlannedRun, read_epochs, read_rows
from roadtest.records.events import Event, RunSpec
from roadtest.records.measurements import replace_latencies
from roadtest.study import launch
from roadtest.study import runner as work
from roadtest.study.api import Interrupted, read_study
from roadtest.study.launch import Outcome, Task
from roadtest.study.options import Options
from roadtest.study.resolve import planned_runs
from roadtest.study.spending import Size, count_disk_bytes, measure_networks, plan_text, render_bytes
from roadtest.study.sweep import chosen_rates, sweep_rates
from small_study import (
    compare_small,
    ctrl_c_when,
    make_context,
    own,
    prepare,
    run_task_here,
    use_fake_processes,
    wait_until,
)
from tiny import TINY, write_tiny_study


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


def jobs_of(tasks: list[Task]) -> list[RunSpec]:
    return [RunSpec.from_json(task.job_json) for task in tasks if task.kind == "run"]


@pytest.mark.slow
def test_every_run_is_told_the_same_but_for_network_and_seed(images: Path, tasks: list[Task], tmp_path: Path) -> None:
    study, _ = compare_small(images, "good", "other", seeds=2, threads=1, precision="float32", keep_weights="none")
    jobs = jobs_of(tasks)
    assert [(job.run.network, job.run.seed) for job in jobs] == [(n, s) for s in (0, 1) for n in own("good", "other")]
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
def test_cores_are_shared_by_runs_at_the_same_time_and_a_relative_cache_is_found_by_workers(
    images: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADTEST_CACHE", "cache")
    monkeypatch.setattr(work, "count_usable_cores", lambda: 8)
    compare_small(images, "good", jobs=3)
    compare_small(images, "good", seeds=2, jobs=16)
    jobs = jobs_of(tasks)
    assert [job.num_threads for job in jobs] == [2, 1]
    assert all(job.cache_dir.is_absolute() and job.pixels_path.is_absolute() for job in jobs)


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
            return Outcome(task=task, reason="no clock", is_stopped=False, kind="error", events=())
        return honest(task, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(launch, "_run_task", broken)
    study, told = compare_small(images, "good")
    assert [event.text for event in told.of("warning")] == ["latency was not measured: no clock"]
    assert (study.path / "report" / "index.html").exists()


@pytest.mark.slow
def test_a_disk_that_is_too_small_is_told_before_anything_runs(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadtest.study.spending.count_disk_bytes", lambda *_, **__: 10**21)
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


TIMED = replace(GTSRB_V1, budget_seconds=625.0)


def text_of(runs: tuple[PlannedRun, ...], missing: tuple[PlannedRun, ...], **more: object) -> str:
    values = {"num_parallel": 1, "num_swept": 0, "disk_bytes": 6_400_000_000, "anneals": False, **more}
    options = Options(jobs=values.pop("num_parallel"), anneal=values.pop("anneals"))  # type: ignore[arg-type]
    context = make_context(runs=runs, protocol=values.pop("protocol", TIMED), options=options)
    return plan_text(context, missing, **values)  # type: ignore[arg-type]


RUNS = planned_runs([(name, has_stn) for name in ("lenet5", "vgg16") for has_stn in (False, True)], (0, 1, 2))
SWEEP = f"{len(FOLDER_V1.sweep_rates)} learning rates for 4 networks, {render_duration(FOLDER_V1.sweep_seconds)} each"
OWN = planned_runs([("net.py:build", False)], (0,))


@pytest.mark.parametrize(
    ("runs", "missing", "more", "text"),
    [
        (RUNS, RUNS, {}, "12 runs, about 2 h 05 min of training, 6.4 GB"),  # 12 x 625 s = 7,500 s
        (RUNS, RUNS, {"num_parallel": 2}, "12 runs, about 1 h 02 min of training, 6.4 GB"),
        (RUNS[:1], RUNS[:1], {"protocol": GTSRB_V1}, "1 run, at most 100 epochs each, 6.4 GB"),
        # 12 x 625 s = 7,500 s, of which 0.4 x (1/4 + 1/2) = 0.3
        (
            RUNS,
            RUNS,
            {"anneals": True},
            "12 runs, about 2 h 05 min of training, about 38 min of annealed copies beside it, 6.4 GB",
        ),
        (RUNS, RUNS, {"anneals": True, "protocol": GTSRB_V1}, "12 runs, at most 100 epochs each, 6.4 GB"),
        (RUNS, RUNS[10:], {}, "12 runs, 10 of them finished, about 21 min of training, 6.4 GB"),
        (RUNS, (), {}, "12 runs, 12 of them finished"),
        (RUNS, RUNS, {"num_swept": 4, "protocol": FOLDER_V1}, f"before it {SWEEP}"),
        (OWN, OWN, {}, ", at least 6.4 GB"),  # a user-defined network is not built here
        (OWN, OWN, {"disk_bytes": 0}, "1 run, about 10 min of training"),
    ],
)
def test_the_line_says_runs_time_and_disk(
    runs: tuple[PlannedRun, ...], missing: tuple[PlannedRun, ...], more: dict[str, Any], text: str
) -> None:
    found = text_of(runs, missing, **more)
    assert text in found if text.startswith(("before", ",")) else found == text


def test_sizes_are_counted_on_paper() -> None:
    sizes, reasons = measure_networks(planned_runs([("lenet5", False)], (0, 1)), num_classes=43, image_size=32)
    # 65,219 parameters in float32, batch norm's running mean and variance of 120 + 84 maps, two counters of 8 bytes.
    weights = 4 * 65_219 + 4 * 2 * (120 + 84) + 2 * 8
    assert sizes == {"lenet5": Size(weights_bytes=weights, state_bytes=weights + 4 * 65_219)}
    assert reasons == {}


def test_a_network_that_cannot_be_built_is_named_with_its_reason() -> None:
    runs = planned_runs([("resnet99", False), ("lenet5", True)], (0,))
    sizes, reasons = measure_networks(runs, num_classes=43, image_size=32)
    assert list(sizes) == ["lenet5+stn"]
    assert list(reasons) == ["resnet99"]
    assert "is not known" in reasons["resnet99"] and "\n" not in reasons["resnet99"]


def test_any_exception_of_a_library_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AssertionError("first\nsecond")

    monkeypatch.setattr("roadtest.networks.build_on_meta", broken)
    assert measure_networks(RUNS[:1], num_classes=2, image_size=32)[1] == {"lenet5": "first second"}


def test_a_users_own_network_is_not_run_here(tmp_path: object) -> None:
    own = planned_runs([(f"{tmp_path}/none.py:build", False)], (0,))
    assert measure_networks(own, num_classes=2, image_size=32) == ({}, {})


def test_disk_holds_all_weights_and_the_largest_states_twice() -> None:
    sizes = {
        "lenet5": Size(weights_bytes=1, state_bytes=2),
        "lenet5+stn": Size(weights_bytes=10, state_bytes=20),
        "vgg16": Size(weights_bytes=100, state_bytes=200),
    }
    runs = planned_runs([("lenet5", False), ("lenet5", True), ("vgg16", False), ("unknown", False)], (0, 1))

    def disk(runs: tuple[PlannedRun, ...], **options: Any) -> int:
        return count_disk_bytes(make_context(options=Options(**options)), runs, sizes)

    assert disk(runs, jobs=1, keep_weights="all") == 2 * 111 + 2 * 200
    assert disk(runs, jobs=3, keep_weights="all") == 2 * 111 + 2 * (200 + 200 + 20)
    assert disk(runs, jobs=1, keep_weights="none") == 2 * 200
    # beside the two of a branch lies the run's own
    assert disk(runs, jobs=1, keep_weights="none", anneal=True) == 3 * 200
    assert disk((), jobs=1, keep_weights="all") == 0


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (400, "0.4 kB"),
        (261_000, "261 kB"),
        (999_600, "1.0 MB"),
        (9_940_000, "9.9 MB"),
        (64e9, "64 GB"),
        (5e12, "5000 GB"),
    ],
)
def test_sizes_are_short(num_bytes: float, text: str) -> None:
    assert render_bytes(num_bytes) == text


HERE = Path(__file__).parent


@pytest.mark.slow
def test_ctrl_c_keeps_everything_and_the_same_command_goes_on(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_processes(monkeypatch)

    began = ctrl_c_when(has_begun)
    with pytest.raises(Interrupted, match="the same command goes on") as error, began:
        compare_small(images, "good", "waits", "other")
    study = read_study(error.value.study_dir)
    assert [run.record.network for run in study.runs()] == own("good")
    (trace,) = study.path.glob("*/seed-0/trace")
    assert trace.read_text() == "the state is kept"
    assert not (study.path / ".lock-holder").exists()
    assert study.failures() == []
    _, told = compare_small(images, "good", "other")
    assert told.runs() == [("other", 0)]


START = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where pytest-xdist ignores it
from roadtest.study.api import Interrupted
import small_study as s
s.launch.WORKER, s.work.write_report = s.FAKE_WORKER, s.fake_report
try:
    s.compare_small(Path(sys.argv[2]), *sys.argv[3:])
except Interrupted:
    sys.exit(130)
"""


@contextmanager
def started(*words: str | Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A study in a process of its own, with workers of its own; killed at the end of the block."""
    parent = subprocess.Popen([sys.executable, "-c", *map(str, words)])
    try:
        yield parent
    finally:
        parent.kill()
        parent.wait()


def has_begun() -> bool:
    return bool(list(Path("study").glob("*/seed-0/began")))


@pytest.mark.slow
def test_a_killed_study_leaves_no_worker_behind_and_its_lock_is_taken_over(images: Path) -> None:
    with started(START, HERE, images, "good", "waits") as parent:
        wait_until(has_begun)
        workers = psutil.Process(parent.pid).children()
    wait_until(lambda: not any(worker.is_running() for worker in workers))
    (trace,) = Path("study").glob("*/seed-0/trace")
    assert trace.read_text() == "the state is kept"
    assert Path("study/.lock").exists()
    _, told = compare_small(images, "good", "other")
    assert told.runs() == [("other", 0)]


@pytest.mark.slow
def test_ctrl_c_at_the_terminal_ends_a_study_with_130(images: Path) -> None:
    with started(START, HERE, images, "waits") as parent:
        wait_until(has_begun)
        parent.send_signal(signal.SIGINT)
        assert parent.wait(60) == 130
    (trace,) = Path("study").glob("*/seed-0/trace")
    assert trace.read_text() == "the state is kept"
    assert not Path("study/.lock-holder").exists()


REAL_STUDY = """
import signal, sys
import roadtest
from roadtest.study import Interrupted
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    roadtest.compare(sys.argv[1], networks=["good.py:build"], lr=0.05, epochs=int(sys.argv[2]), patience=0,
                     batch_size=16, out="study", device="cpu", threads=1)
except Interrupted:
    sys.exit(130)
"""


@pytest.mark.slow
def test_a_real_study_killed_in_training_goes_on_from_its_state(images: Path) -> None:
    with started(REAL_STUDY, images, "3000") as parent:
        wait_until(lambda: any(read_epochs(path.parent) for path in Path("study").glob("*/seed-0/epochs.csv")), 120)
        workers = psutil.Process(parent.pid).children()
    wait_until(lambda: not any(worker.is_running() for worker in workers))
    (state,) = Path("study").glob("*/seed-0/state.pt")
    num_rows = len(read_epochs(state.parent))
    assert num_rows >= 1
    with started(REAL_STUDY, images, "3000") as again:
        wait_until(lambda: len(read_epochs(state.parent)) > num_rows, 120)
        again.send_signal(signal.SIGINT)
        assert again.wait(60) == 130
    assert state.exists()
    assert "from epoch" not in (state.parent / "log.txt").read_text()  # the log has the libraries' words, not ours
    steps = [row.step for row in read_epochs(state.parent)]
    assert steps == sorted(set(steps))
    assert not (state.parent / "record.json").exists()


RATES = (0.01, 0.02, 0.05)


@pytest.fixture(autouse=True)
def fake_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_run_task", run_task_here)


def jobs_of_sweep(tmp_path: Path, *networks: str) -> list[RunSpec]:
    job = write_tiny_study(tmp_path, replace(TINY, sweep_rates=RATES, learning_rates=()))
    return [replace(job, run=PlannedRun(network=name, has_stn=False, seed=0)) for name in networks]


def sweep(jobs: list[RunSpec], **more: bool) -> tuple[dict[str, str], list[Event]]:
    told: list[Event] = []
    reasons = sweep_rates(jobs[0].study_dir, jobs, num_parallel=2, emit=told.append, **more)
    return reasons, told


def test_the_rate_with_the_lowest_validation_loss_is_chosen(tmp_path: Path) -> None:
    jobs = jobs_of_sweep(tmp_path, "lenet5", "vgg16")
    reasons, told = sweep(jobs)
    assert reasons == {}
    assert chosen_rates(jobs[0].study_dir) == {"lenet5": 0.02, "vgg16": 0.02}
    rows = [row for row in read_rows(jobs[0].study_dir / "sweep.csv") if row["network"] == "lenet5"]
    chosen = [(row["learning_rate"], row["is_chosen"]) for row in rows]
    assert chosen == [("0.01", "False"), ("0.02", "True"), ("0.05", "False")]
    texts = [event.text for event in told if event.label == "lenet5"]
    assert texts == [
        "rate 0.01: validation loss 0.0100",
        "rate 0.02: validation loss 0.0000",
        "rate 0.05: validation loss 0.0300",
        "rate 0.02 is chosen",
    ]


def test_a_network_without_any_loss_has_rows_and_no_rate(tmp_path: Path) -> None:
    jobs = jobs_of_sweep(tmp_path, "diverges.py:build", "lenet5")
    reasons, _ = sweep(jobs)
    assert reasons == {"diverges.py:build": "the loss is no number at any rate of the sweep: give --lr"}
    assert chosen_rates(jobs[0].study_dir) == {"lenet5": 0.02}
    rows = read_rows(jobs[0].study_dir / "sweep.csv")
    assert [row["val_loss"] for row in rows if row["network"] == "diverges.py:build"] == ["inf"] * 3


@pytest.mark.parametrize(
    ("network", "reason"), [("raises", "the network is wrong: mend it"), ("leaves", "by sys.exit")]
)
def test_a_network_that_fails_has_its_reason_and_no_rate_and_the_others_go_on(
    network: str, reason: str, tmp_path: Path
) -> None:
    jobs = jobs_of_sweep(tmp_path, f"{network}.py:build", "lenet5")
    reasons, _ = sweep(jobs)
    assert list(reasons) == [f"{network}.py:build"] and reason in reasons[f"{network}.py:build"]
    assert chosen_rates(jobs[0].study_dir) == {"lenet5": 0.02}


def test_with_fail_fast_the_first_failure_is_the_last(tmp_path: Path) -> None:
    jobs = jobs_of_sweep(tmp_path, "raises.py:build", "lenet5", "vgg16")
    reasons = sweep_rates(jobs[0].study_dir, jobs, num_parallel=1, emit=lambda event: None, fail_fast=True)
    assert list(reasons) == ["raises.py:build"]
    assert chosen_rates(jobs[0].study_dir) == {}


def test_a_network_that_is_swept_again_begins_anew_and_a_damaged_rate_names_its_file(tmp_path: Path) -> None:
    jobs = jobs_of_sweep(tmp_path, "lenet5")
    sweep(jobs)
    sweep(jobs)
    path = jobs[0].study_dir / "sweep.csv"
    assert len(read_rows(path)) == 3
    path.write_text(path.read_text().replace("0.02", "fast"))
    with pytest.raises(ValueError, match=r"sweep\.csv is damaged \(learning_rate: "):
        chosen_rates(jobs[0].study_dir)


def test_without_networks_nothing_is_done(tmp_path: Path) -> None:
    assert sweep_rates(tmp_path, [], num_parallel=1, emit=lambda event: None) == {}
    assert list(tmp_path.iterdir()) == []
