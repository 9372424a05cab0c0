"""Branches: what a shorter training would have ended as, beside a run that does not notice."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from roadtest.records import CooldownMetrics, read_cooldowns, read_epochs, read_record
from roadtest.records.events import Event, RunSpec
from roadtest.training import checkpoint as state_module
from roadtest.training.run import execute
from test_training_run import start, without_clocks
from tiny import TINY, write_tiny_study

EIGHT = replace(TINY, max_epochs=8, warmup_steps=1)
"""40 steps of coloured squares: quarters of 10 steps, halves of 20, that decay from step 6 and from step 12."""
POINTS = (
    "before a branch",
    "inside a branch",
    "inside a branch's state's write",
    "after a branch's row",
    "mid-epoch",
    "before record.json",
)


def quiet(event: Event) -> None:
    pass


def figures(rows: list[CooldownMetrics]) -> list[tuple[float, ...]]:
    """What a branch ended as, without its clocks."""
    return [
        (r.budget_fraction, r.first_step, r.step, r.val_num_correct, r.val_loss_sum, r.train_loss_sum) for r in rows
    ]


def annealed_job(folder: Path) -> RunSpec:
    return replace(write_tiny_study(folder, EIGHT), anneals=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    """A run with its branches that nobody interrupted."""
    job = annealed_job(tmp_path_factory.mktemp("whole"))
    execute(job, emit=quiet)
    return job


@pytest.mark.slow
def test_the_run_has_the_same_bits_with_and_without_branches(whole: RunSpec, tmp_path: Path) -> None:
    job = replace(write_tiny_study(tmp_path, EIGHT), anneals=False)
    execute(job, emit=quiet)
    for name in ("weights.safetensors", "val.npz", "test.npz"):
        assert (job.run_dir / name).read_bytes() == (whole.run_dir / name).read_bytes(), name
    assert without_clocks(job.run_dir) == without_clocks(whole.run_dir)
    assert not (job.run_dir / "branches.csv").exists()


def test_there_is_a_row_for_a_quarter_and_a_half_of_the_budget(whole: RunSpec) -> None:
    rows = read_cooldowns(whole.run_dir)
    assert [(row.budget_fraction, row.first_step, row.step, row.epoch) for row in rows] == [
        (0.25, 6, 10, 2.0),
        (0.5, 12, 20, 4.0),
    ]
    assert {path.name for path in whole.run_dir.iterdir()} & {"state.pt", "branch.pt"} == set()


@pytest.mark.slow
@pytest.mark.parametrize(("place", "num_epochs"), [(0, 2), (1, 4)])
def test_a_branch_is_the_run_that_a_fraction_of_the_budget_would_have_been(
    place: int, num_epochs: int, whole: RunSpec, tmp_path: Path
) -> None:
    short = write_tiny_study(tmp_path, replace(EIGHT, max_epochs=num_epochs))
    execute(short, emit=quiet)
    row, last = read_cooldowns(whole.run_dir)[place], read_epochs(short.run_dir)[-1]
    assert (row.step, row.learning_rate) == (last.step, last.learning_rate)
    assert (row.val_loss_sum, row.train_loss_sum) == (last.val_loss_sum, last.train_loss_sum)


def test_the_clock_of_a_branch_is_the_runs_up_to_it_and_its_own_from_there(whole: RunSpec) -> None:
    rows, record = read_cooldowns(whole.run_dir), read_record(whole.run_dir)
    epochs = read_epochs(whole.run_dir)
    before = [max(e.train_seconds for e in epochs if e.step <= row.first_step) for row in rows]
    assert all(row.train_seconds > seconds for row, seconds in zip(rows, before, strict=True))
    # 40 steps are the run's; the 12 of both branches stand beside it, not in it
    assert record.cost.num_steps == 40
    assert record.cost.train_seconds == pytest.approx(epochs[-1].train_seconds, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_anywhere_ends_with_the_same_branches(point: str, tmp_path: Path, whole: RunSpec) -> None:
    job = annealed_job(tmp_path)
    assert start(job, point) == -signal.SIGKILL
    assert start(job, "nowhere") == 0
    weights = (job.run_dir / "weights.safetensors").read_bytes()
    assert weights == (whole.run_dir / "weights.safetensors").read_bytes()
    assert without_clocks(job.run_dir) == without_clocks(whole.run_dir)
    assert figures(read_cooldowns(job.run_dir)) == figures(read_cooldowns(whole.run_dir))
    assert {path.name for path in job.run_dir.iterdir()} == {path.name for path in whole.run_dir.iterdir()}


@pytest.mark.slow
def test_a_branch_that_is_asked_to_stop_keeps_both_states_and_goes_on(
    tmp_path: Path, whole: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.training.loop.UPDATE_SECONDS", 0.0)
    job, events = annealed_job(tmp_path), list[Event]()
    num_asked = 0

    def stop_inside_the_branch() -> bool:
        nonlocal num_asked
        num_asked += any(event.text == "annealing" for event in events)
        return num_asked == 3  # at its third of four steps

    with pytest.raises(InterruptedError):
        execute(job, emit=events.append, should_stop=stop_inside_the_branch)
    steps = {
        name: torch.load(job.run_dir / name, weights_only=True)["training"]["progress"]["step"]
        for name in ("state.pt", "branch.pt")
    }
    assert steps == {"state.pt": 6, "branch.pt": 9}
    execute(job, emit=quiet)
    assert figures(read_cooldowns(job.run_dir)) == figures(read_cooldowns(whole.run_dir))
    assert without_clocks(job.run_dir) == without_clocks(whole.run_dir)


@pytest.mark.slow
def test_a_branch_of_which_nothing_can_be_saved_loses_nothing_of_the_run(
    tmp_path: Path, whole: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.training.loop.UPDATE_SECONDS", 0.0)
    monkeypatch.setattr(state_module, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(state_module, "MAX_SAVE_SHARE", float("inf"))
    job, honest = annealed_job(tmp_path), torch.save

    def full(state: object, path: Path) -> None:
        honest(state, path)
        if "branch" in path.name:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        with pytest.raises(OSError, match="No space"):
            execute(job, emit=quiet)
    assert torch.load(job.run_dir / "state.pt", weights_only=True)["training"]["progress"]["step"] == 6
    execute(job, emit=quiet)
    assert figures(read_cooldowns(job.run_dir)) == figures(read_cooldowns(whole.run_dir))


@pytest.mark.slow
def test_a_run_that_begins_anew_forgets_its_branches(tmp_path: Path) -> None:
    job, events = annealed_job(tmp_path), list[Event]()
    with pytest.raises(InterruptedError):
        execute(job, emit=events.append, should_stop=lambda: any(event.epoch == 3.0 for event in events))
    assert [row.budget_fraction for row in read_cooldowns(job.run_dir)] == [0.25, 0.5]
    again = replace(job, learning_rate=0.01)  # another identity: nothing of the old run is gone on from
    execute(again, emit=quiet)
    assert [row.budget_fraction for row in read_cooldowns(job.run_dir)] == [0.25, 0.5]
    assert read_cooldowns(job.run_dir)[0].learning_rate < 0.01


@pytest.mark.slow
def test_a_run_that_patience_ended_has_the_branches_that_it_passed(tmp_path: Path) -> None:
    # At so high a rate the loss hardly falls: patience ends the constant part between the two branch points or later.
    protocol = replace(EIGHT, max_epochs=40, patience=1, decay_fraction=0.5)
    job = replace(write_tiny_study(tmp_path, protocol), anneals=True, learning_rate=2.0)
    execute(job, emit=quiet)
    record = read_record(job.run_dir)
    assert record.stop_reason == "patience"
    num_constant = record.cost.num_steps / 2
    assert [row.first_step for row in read_cooldowns(job.run_dir)] == [s for s in (25, 50) if s <= num_constant]
    assert (job.run_dir / "branches.csv").exists()
