"""One run: the files it leaves, that being killed anywhere changes nothing but the clock, and its sample images."""

import hashlib
import json
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import killed_run
from forked import run_forked
from roadtest.networks.stn import SpatialTransformer, WithSTN
from roadtest.records import Predictions, read_epochs, read_predictions, read_record, read_rows
from roadtest.records.disk import folder_lock
from roadtest.records.events import Event, RunSpec
from roadtest.training import checkpoint as state_module
from roadtest.training import run as run_figures
from roadtest.training.run import NUM_STN, NUM_WORST, execute, write_examples
from roadtest.training.state import TrainState
from tiny import TINY, TinyNet, coloured_squares, tiny_training, with_budget, write_tiny_study

POINTS = (
    "mid-epoch",
    "after a row",
    "inside the state's write",
    "between write and rename",
    "before the test set is kept",
    "before record.json",
)

CLOCKS = {"train_seconds", "data_seconds", "eval_seconds", "images_per_second"}


def start(job: RunSpec, point: str) -> int:
    path = job.study_dir.parent / "job.json"
    path.write_text(job.to_json())
    code = run_forked(killed_run.main, str(path), point)
    assert code in (0, -signal.SIGKILL)
    return code


def without_clocks(run_dir: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k not in CLOCKS} for row in read_rows(run_dir / "epochs.csv")]


def quiet(event: Event) -> None:
    pass


def stop_at_once(job: RunSpec) -> None:
    """Train one step, and stop with the state saved."""
    with pytest.MonkeyPatch.context() as patched, pytest.raises(InterruptedError):
        patched.setattr("roadtest.training.loop.UPDATE_SECONDS", 0.0)
        execute(job, emit=quiet, should_stop=lambda: True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    """A run that nobody interrupted."""
    job = write_tiny_study(tmp_path_factory.mktemp("whole"))
    execute(job, emit=quiet)
    return job


@pytest.mark.slow
def test_a_run_leaves_exactly_the_files_it_promises(whole: RunSpec) -> None:
    names = {path.name for path in whole.run_dir.iterdir() if path.name != ".lock"}
    assert names == {"epochs.csv", "val.npz", "test.npz", "weights.safetensors", "examples.npz", "record.json"}


def test_the_record_agrees_with_the_raw_outputs(whole: RunSpec) -> None:
    record = read_record(whole.run_dir)
    test, val = read_predictions(whole.run_dir / "test.npz"), read_predictions(whole.run_dir / "val.npz")
    assert record.test is not None
    assert record.test.num_seen == len(test.labels_N) == 30
    assert record.test.num_correct == int((test.logits_NK.argmax(1) == test.labels_N).sum())
    assert record.val.num_correct == int((val.logits_NK.argmax(1) == val.labels_N).sum())
    assert record.train.num_seen + record.val.num_seen == 120
    assert not record.is_undertrained
    assert record.cost.num_images_seen == 3 * (record.train.num_seen // 16) * 16
    assert record.cost.num_parameters > 60_000
    assert record.cost.size_bytes == (whole.run_dir / "weights.safetensors").stat().st_size


def test_seed_k_validates_on_fold_k(whole: RunSpec) -> None:
    rows = read_rows(whole.study_dir / "split.csv")
    val = read_predictions(whole.run_dir / "val.npz")
    assert {rows[i]["fold"] for i in val.image_ids_N} == {"0"}
    assert sum(row["fold"] == "0" for row in rows) == len(val.image_ids_N)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_anywhere_and_started_again_ends_with_the_same_bits(
    point: str, tmp_path: Path, whole: RunSpec
) -> None:
    job = write_tiny_study(tmp_path)
    assert start(job, point) == -signal.SIGKILL
    assert not (job.run_dir / "record.json").exists()
    had_state = (job.run_dir / "state.pt").exists()
    assert start(job, "nowhere") == 0
    weights = (job.run_dir / "weights.safetensors").read_bytes()
    assert weights == (whole.run_dir / "weights.safetensors").read_bytes()
    assert without_clocks(job.run_dir) == without_clocks(whole.run_dir)
    for name in ("val.npz", "test.npz"):
        mine, theirs = read_predictions(job.run_dir / name), read_predictions(whole.run_dir / name)
        assert np.array_equal(mine.logits_NK, theirs.logits_NK)
    assert had_state, "the point lies after the first save"
    assert read_record(job.run_dir).num_resumes == 1


@pytest.mark.slow
def test_a_run_under_a_budget_keeps_its_plan_when_it_goes_on(tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path, with_budget(replace(TINY, max_epochs=1000), 3.0))
    assert start(job, "after a row") == -signal.SIGKILL
    planned = torch.load(job.run_dir / "state.pt", weights_only=True)["training"]["progress"]["num_steps"]
    assert start(job, "nowhere") == 0
    assert read_record(job.run_dir).cost.num_steps == planned


def test_a_finished_run_is_never_touched_again(whole: RunSpec) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.run_dir.iterdir()}
    execute(whole, emit=quiet)
    assert {path: path.stat().st_mtime_ns for path in whole.run_dir.iterdir()} == before


@pytest.mark.slow
def test_a_run_waits_for_a_worker_that_has_not_left_its_folder(tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path, replace(TINY, max_epochs=1))
    job.run_dir.mkdir(parents=True)
    events: list[Event] = []
    run = threading.Thread(target=execute, args=(job,), kwargs={"emit": events.append})
    with folder_lock(job.run_dir):
        run.start()
        run.join(1.0)
        assert run.is_alive() and events == [] and not (job.run_dir / "epochs.csv").exists()
    run.join()
    assert read_record(job.run_dir).num_epochs == 1
    assert not (job.run_dir / ".lock-holder").exists()


@pytest.mark.slow
def test_the_last_evaluation_is_not_made_again_for_the_final_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.training.loop.UPDATE_SECONDS", 0.0)
    job = write_tiny_study(tmp_path, replace(TINY, max_epochs=1))
    honest, sets_read = run_figures.predict_ids, []

    def count(training: TrainState, ids_N: NDArray[np.int64]) -> torch.Tensor:
        sets_read.append("val" if np.array_equal(ids_N, training.val_ids_N) else "test")
        return honest(training, ids_N)

    monkeypatch.setattr(run_figures, "predict_ids", count)
    with monkeypatch.context() as first_process, pytest.raises(InterruptedError):
        first_process.setattr("roadtest.training.run.measure_figures", lambda *arguments: stop())
        execute(job, emit=quiet)
    execute(job, emit=quiet)
    assert sets_read == ["val", "test"]  # the process that goes on has no evaluation of its own to take from
    mine = read_predictions(job.run_dir / "val.npz")
    sets_read.clear()
    (tmp_path / "again").mkdir()
    again = write_tiny_study(tmp_path / "again", replace(TINY, max_epochs=1))
    execute(again, emit=quiet)
    assert sets_read == ["test"]
    assert np.array_equal(read_predictions(again.run_dir / "val.npz").logits_NK, mine.logits_NK)


def stop() -> NoReturn:
    raise InterruptedError


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_keeps_its_state_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.training.loop.UPDATE_SECONDS", 0.0)
    job = write_tiny_study(tmp_path)
    events: list[Event] = []
    with pytest.raises(InterruptedError), monkeypatch.context() as first_process:
        first_process.setattr("roadtest.training.checkpoint.peak_memory_bytes", lambda device: 10**15)
        execute(job, emit=events.append, should_stop=lambda: sum(e.kind == "step" for e in events) >= 4)
    assert (job.run_dir / "state.pt").exists()
    assert not (job.run_dir / "record.json").exists()
    execute(job, emit=events.append)
    assert [e.text for e in events if e.kind == "started"] == ["from the start", "from epoch 0.8"]
    assert not (job.run_dir / "state.pt").exists()
    assert read_record(job.run_dir).cost.peak_memory_bytes == 10**15


@pytest.mark.slow
def test_a_state_of_another_protocol_is_not_gone_on_from(tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path)
    events: list[Event] = []
    stop_at_once(job)
    execute(replace(job, learning_rate=0.01), emit=events.append)
    assert next(e.text for e in events if e.kind == "started") == "from the start"


OWN = """
from torch import nn

def build(num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, WIDTH), nn.Linear(WIDTH, num_classes))
"""


@pytest.mark.slow
def test_an_edited_file_is_not_gone_on_from_and_never_stands_beside_its_older_self(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(OWN.replace("WIDTH", "2"))
    job = write_tiny_study(tmp_path, replace(TINY, max_epochs=1), num_seeds=2, network=f"{path}:build")
    events: list[Event] = []
    stop_at_once(job)
    path.write_text(OWN.replace("WIDTH", "3"))
    execute(job, emit=events.append)
    assert next(e.text for e in events if e.kind == "started") == "from the start"
    assert read_record(job.run_dir).own_network_digest == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text(OWN.replace("WIDTH", "4"))
    with pytest.raises(ValueError, match="was changed after its run with seed 0 was finished: all runs of a name are"):
        execute(replace(job, run=replace(job.run, seed=1)), emit=quiet)


@pytest.mark.slow
def test_seeds_of_one_network_take_one_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(write_tiny_study(tmp_path, replace(TINY, max_epochs=1), num_seeds=2), precision="auto")
    step_ms = {"float32": 10.0, "bfloat16": 5.0}
    monkeypatch.setattr("roadtest.training.precision._step", lambda *parts: parts[-1])
    monkeypatch.setattr("roadtest.training.precision._time_ms", lambda precision, device: step_ms[precision])
    execute(job, emit=quiet)
    step_ms["float32"] = 1.0
    second = replace(job, run=replace(job.run, seed=1))
    execute(second, emit=quiet)
    other = replace(job, run=replace(job.run, has_stn=True))
    execute(other, emit=quiet)
    taken = [read_record(one.run_dir) for one in (job, second, other)]
    assert [record.precision for record in taken] == ["bfloat16", "bfloat16", "float32"]
    assert taken[1].precision_probe_ms == {}


@pytest.mark.slow
def test_another_networks_damaged_record_stops_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(write_tiny_study(tmp_path, replace(TINY, max_epochs=1), num_seeds=2), precision="auto")
    plain = json.loads((job.study_dir / "study.json").read_text())
    plain["runs"].append({"network": "vgg16", "has_stn": False, "seed": 0})
    (job.study_dir / "study.json").write_text(json.dumps(plain))
    (job.study_dir / "vgg16" / "seed-0").mkdir(parents=True)
    (job.study_dir / "vgg16" / "seed-0" / "record.json").write_text("{")
    monkeypatch.setattr("roadtest.training.precision._time_ms", lambda step, device: 1.0)
    execute(job, emit=quiet)
    assert read_record(job.run_dir).network == "lenet5"


@pytest.mark.slow
def test_a_run_that_goes_on_says_that_its_precision_is_kept(tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path, replace(TINY, max_epochs=1))
    events: list[Event] = []
    stop_at_once(job)
    execute(replace(job, precision="bfloat16"), emit=events.append)
    (warning,) = [event.text for event in events if event.kind == "warning"]
    assert "--precision bfloat16" in warning
    assert read_record(job.run_dir).precision == "float32"


@pytest.mark.slow
def test_without_the_test_set_nothing_of_it_is_read(tmp_path: Path) -> None:
    job = replace(write_tiny_study(tmp_path), reads_test=False)
    execute(job, emit=quiet)
    assert read_record(job.run_dir).test is None
    assert not (job.run_dir / "test.npz").exists()
    assert not (job.cache_dir / "test-reads.csv").exists()


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_state_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadtest.training.loop.UPDATE_SECONDS", 0.0)
    monkeypatch.setattr(state_module, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(state_module, "MAX_SAVE_SHARE", float("inf"))
    job = write_tiny_study(tmp_path)
    honest, num_saves = torch.save, 0

    def full(state: object, path: Path) -> None:
        nonlocal num_saves
        num_saves += 1
        honest(state, path)
        if num_saves == 4:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        execute(job, emit=quiet)
    assert torch.load(job.run_dir / "state.pt", weights_only=True)["training"]["progress"]["step"] == 3
    assert not list(job.run_dir.glob("*.part")) and not list(job.run_dir.glob(".*part"))
    execute(job, emit=quiet)
    assert read_epochs(job.run_dir)[-1].epoch == 3


@pytest.mark.slow
def test_a_run_that_goes_on_elsewhere_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = write_tiny_study(tmp_path, replace(TINY, max_epochs=1))
    events: list[Event] = []
    stop_at_once(job)
    monkeypatch.setattr("roadtest.machine.environment.cpu_name", lambda: "another processor")
    execute(job, emit=events.append)
    (warning,) = [event.text for event in events if event.kind == "warning"]
    assert "its times are not comparable" in warning
    assert not read_record(job.run_dir).is_time_comparable


@pytest.mark.slow
def test_other_work_beside_a_run_is_kept_also_where_it_came_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.machine.environment.measure_load", lambda **how: 0.0)
    monkeypatch.setattr("roadtest.training.run.watch_load", lambda **how: lambda: 0.375)
    job = write_tiny_study(tmp_path, replace(TINY, max_epochs=1))
    execute(job, emit=quiet)
    assert read_record(job.run_dir).machine.load == 0.375
    (tmp_path / "beside").mkdir()
    beside = replace(write_tiny_study(tmp_path / "beside", replace(TINY, max_epochs=1)), num_jobs=2)
    execute(beside, emit=quiet)
    assert read_record(beside.run_dir).machine.load == 0.0


IMAGES = coloured_squares()


def predictions(*rows: tuple[float, float, int]) -> Predictions:
    """Two logits and the label, of test images 120, 121, ..."""
    return Predictions(
        logits_NK=np.array([row[:2] for row in rows], np.float16),
        labels_N=np.array([row[2] for row in rows], np.int64),
        image_ids_N=np.arange(120, 120 + len(rows)),
    )


def test_the_worst_are_wrong_ones_only_worst_first(tmp_path: Path) -> None:
    # Losses of label 0: right; wrong by 1; wrong by 9; right but unsure; wrong by 4.
    test = predictions((5, 0, 0), (0, 1, 0), (0, 9, 0), (0.1, 0, 0), (4, 0, 1))
    write_examples(tmp_path / "examples.npz", tiny_training(), test)
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["worst_ids_N", "worst_images_NHWC"]
        assert arrays["worst_ids_N"].tolist() == [122, 124, 121]
        assert np.array_equal(arrays["worst_images_NHWC"], IMAGES.images_NHWC[[122, 124, 121]])
    assert [path.name for path in tmp_path.iterdir()] == ["examples.npz"]


def test_there_are_at_most_24_and_huge_logits_do_no_harm(tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.npz", tiny_training(), predictions(*[(0, 60_000.0, 0)] * 30))
    with np.load(tmp_path / "examples.npz", allow_pickle=False) as arrays:
        assert len(arrays["worst_ids_N"]) == NUM_WORST == 24


def test_without_a_test_set_and_an_stn_nothing_is_written(tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.npz", tiny_training(), None)
    assert list(tmp_path.iterdir()) == []


def with_stn(theta: list[float]) -> WithSTN:
    network = WithSTN(SpatialTransformer(32), TinyNet())
    with torch.no_grad():
        network.stn.theta.bias.copy_(torch.tensor(theta))
    return network


def stn_pair(path: Path, theta: list[float]) -> tuple[np.ndarray, np.ndarray]:
    training = tiny_training(network=with_stn(theta))
    write_examples(path, training, None)
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["stn_after_NHWC", "stn_before_NHWC"]
        return arrays["stn_before_NHWC"], arrays["stn_after_NHWC"]


def test_an_stn_that_does_nothing_shows_the_same_image_twice(tmp_path: Path) -> None:
    before_NHWC, after_NHWC = stn_pair(tmp_path / "examples.npz", [1, 0, 0, 0, 1, 0])
    assert before_NHWC.shape == (NUM_STN, 32, 32, 3)
    assert after_NHWC.dtype == np.uint8
    assert np.abs(before_NHWC.astype(int) - after_NHWC).max() <= 1


def test_an_stn_that_mirrors_shows_the_mirrored_image_in_its_own_brightness(tmp_path: Path) -> None:
    before_NHWC, after_NHWC = stn_pair(tmp_path / "examples.npz", [-1, 0, 0, 0, 1, 0])
    assert np.abs(before_NHWC[:, :, ::-1].astype(int) - after_NHWC).max() <= 1


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        write_examples(tmp_path / "examples.npz", tiny_training(), predictions((0, 1, 0)))
    assert list(tmp_path.iterdir()) == []
