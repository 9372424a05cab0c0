"""The steps of a study's work: what is told before, what each run is told, and when latency is measured anew.

One line before anything is spent: runs, time, disk.

A study that is interrupted or killed: its state is kept, no worker stays behind, and the same command goes on.

The sweep: every rate is tried, the lowest validation loss wins, and a failure has its reason."""

import json
import signal
import subprocess
import sys
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


def test_the_line_says_runs_time_and_disk() -> None:
    assert text_of(RUNS, RUNS) == "12 runs, about 2 h 05 min of training, 6.4 GB"  # 12 x 625 s = 7,500 s
    assert text_of(RUNS, RUNS, num_parallel=2) == "12 runs, about 1 h 02 min of training, 6.4 GB"
    assert text_of(RUNS[:1], RUNS[:1], protocol=GTSRB_V1) == "1 run, at most 100 epochs each, 6.4 GB"


def test_annealed_copies_are_told_beside_the_training() -> None:
    # 12 x 625 s = 7,500 s, of which 0.4 x (1/4 + 1/2) = 0.3
    text = text_of(RUNS, RUNS, anneals=True)
    assert text == "12 runs, about 2 h 05 min of training, about 38 min of annealed copies beside it, 6.4 GB"
    assert "annealed" not in text_of(RUNS, RUNS, protocol=GTSRB_V1, anneals=True)


def test_what_is_finished_costs_nothing() -> None:
    assert text_of(RUNS, RUNS[10:]) == "12 runs, 10 of them finished, about 21 min of training, 6.4 GB"
    assert text_of(RUNS, ()) == "12 runs, 12 of them finished"


def test_a_sweep_is_told() -> None:
    text = text_of(RUNS, RUNS, protocol=FOLDER_V1, num_swept=4)
    seconds = render_duration(FOLDER_V1.sweep_seconds)
    assert f"before it {len(FOLDER_V1.sweep_rates)} learning rates for 4 networks, {seconds} each" in text


def test_a_network_of_ones_own_makes_the_disk_a_lower_bound() -> None:
    own = planned_runs([("net.py:build", False)], (0,))
    assert text_of(own, own).endswith(", at least 6.4 GB")
    assert text_of(own, own, disk_bytes=0) == "1 run, about 10 min of training"


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


def test_durations_and_sizes_are_short() -> None:
    assert [render_duration(s) for s in (0.6, 89, 90, 3599, 3600, 7500)] == [
        "1 s",
        "89 s",
        "2 min",
        "1 h 00 min",
        "1 h 00 min",
        "2 h 05 min",
    ]
    assert [render_bytes(b) for b in (400, 261_000, 999_600, 9_940_000, 64e9, 5e12)] == [
        "0.4 kB",
        "261 kB",
        "1.0 MB",
        "9.9 MB",
        "64 GB",
        "5000 GB",
    ]


HERE = Path(__file__).parent


@pytest.mark.slow
def test_ctrl_c_keeps_everything_and_the_same_command_goes_on(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_processes(monkeypatch)

    began = ctrl_c_when(lambda: bool(list(Path("study").glob("*/seed-0/began"))))
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


def start_study(images: Path, *names: str) -> "subprocess.Popen[bytes]":
    """The same in a process of its own, with workers of their own, which may be ended."""
    code = (
        "import signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where pytest-xdist ignores it\n"
        "from roadtest.study.api import Interrupted\n"
        "import small_study as s; s.launch.WORKER = s.FAKE_WORKER; s.work.write_report = s.fake_report\n"
        "try: s.compare_small(Path(sys.argv[2]), *sys.argv[3:])\n"
        "except Interrupted: sys.exit(130)\n"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(HERE), str(images), *names])


@pytest.mark.slow
def test_a_killed_study_leaves_no_worker_behind_and_its_lock_is_taken_over(images: Path) -> None:
    parent = start_study(images, "good", "waits")
    try:
        wait_until(lambda: bool(list(Path("study").glob("*/seed-0/began"))))
        workers = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not any(worker.is_running() for worker in workers))
    (trace,) = Path("study").glob("*/seed-0/trace")
    assert trace.read_text() == "the state is kept"
    assert Path("study/.lock").exists()
    _, told = compare_small(images, "good", "other")
    assert told.runs() == [("other", 0)]


@pytest.mark.slow
def test_ctrl_c_at_the_terminal_ends_a_study_with_130(images: Path) -> None:
    parent = start_study(images, "waits")
    try:
        wait_until(lambda: bool(list(Path("study").glob("*/seed-0/began"))))
        parent.send_signal(signal.SIGINT)
        assert parent.wait(60) == 130
    finally:
        parent.kill()
        parent.wait()
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
    def start(num_epochs: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", REAL_STUDY, str(images), str(num_epochs)])

    parent = start(3000)
    try:
        wait_until(lambda: any(read_epochs(path.parent) for path in Path("study").glob("*/seed-0/epochs.csv")), 120)
        workers = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not any(worker.is_running() for worker in workers))
    (state,) = Path("study").glob("*/seed-0/state.pt")
    num_rows = len(read_epochs(state.parent))
    assert num_rows >= 1
    again = start(3000)
    try:
        wait_until(lambda: len(read_epochs(state.parent)) > num_rows, 120)
        again.send_signal(signal.SIGINT)
        assert again.wait(60) == 130
    finally:
        again.kill()
        again.wait()
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
    jobs = jobs_of_sweep(tmp_path, "diverges.py:build", "lenet5")
    reasons, _ = sweep(jobs)
    assert reasons == {"diverges.py:build": "the loss is no number at any rate of the sweep: give --lr"}
    assert chosen_rates(jobs[0].study_dir) == {"lenet5": 0.02}
    rows = read_rows(jobs[0].study_dir / "sweep.csv")
    assert [row["val_loss"] for row in rows if row["network"] == "diverges.py:build"] == ["inf"] * 3


def test_a_network_that_fails_has_its_own_reason_and_the_others_go_on(tmp_path: Path) -> None:
    jobs = jobs_of_sweep(tmp_path, "raises.py:build", "lenet5")
    reasons, _ = sweep(jobs)
    assert reasons == {"raises.py:build": "the network is wrong: mend it"}
    assert chosen_rates(jobs[0].study_dir) == {"lenet5": 0.02}


def test_a_network_that_ends_its_process_has_a_reason_and_no_rate_of_the_trials_before(tmp_path: Path) -> None:
    jobs = jobs_of_sweep(tmp_path, "leaves.py:build", "lenet5")
    reasons, _ = sweep(jobs)
    assert list(reasons) == ["leaves.py:build"] and "as by sys.exit" in reasons["leaves.py:build"]
    assert chosen_rates(jobs[0].study_dir) == {"lenet5": 0.02}


def test_with_fail_fast_the_first_failure_is_the_last(tmp_path: Path) -> None:
    jobs = jobs_of_sweep(tmp_path, "raises.py:build", "lenet5", "vgg16")
    reasons = sweep_rates(jobs[0].study_dir, jobs, num_parallel=1, emit=lambda event: None, fail_fast=True)
    assert list(reasons) == ["raises.py:build"]
    assert chosen_rates(jobs[0].study_dir) == {}


def test_a_network_that_is_swept_again_begins_anew(tmp_path: Path) -> None:
    jobs = jobs_of_sweep(tmp_path, "lenet5")
    sweep(jobs)
    sweep(jobs)
    assert len(read_rows(jobs[0].study_dir / "sweep.csv")) == 3


def test_a_rate_that_is_no_number_is_told_with_its_file(tmp_path: Path) -> None:
    jobs = jobs_of_sweep(tmp_path, "lenet5")
    sweep(jobs)
    path = jobs[0].study_dir / "sweep.csv"
    path.write_text(path.read_text().replace("0.02", "fast"))
    with pytest.raises(ValueError, match=r"sweep\.csv is damaged \(learning_rate: "):
        chosen_rates(jobs[0].study_dir)


def test_without_networks_nothing_is_done(tmp_path: Path) -> None:
    assert sweep_rates(tmp_path, [], num_parallel=1, emit=lambda event: None) == {}
    assert list(tmp_path.iterdir()) == []
