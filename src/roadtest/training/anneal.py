"""Branches: short decays beside a run, which show what it would have been with a quarter and a half of its budget.

A curve's point in mid-schedule says nothing of a shorter training: at the constant rate the network is worse than a
shorter run would have ended (Hägele 2024, https://arxiv.org/abs/2405.18392). So a copy leaves the run where that
shorter run would have begun to decay, and decays to zero: the same steps but for the warm-up, at three tenths more time
for both. The copy trains in the run's own place, by the same loop; then the run is put back, bit by bit, from the
`state.pt` that was written at the branch point. So no more memory is needed (on CUDA that of a second recording), one
more state on disk at a time, and whoever is killed goes on: the run from `state.pt`, the branch from `branch.pt`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields

from roadtest.records import CooldownMetrics, EpochMetrics, append_row, read_cooldowns, write_rows
from roadtest.records.events import Event, RunSpec
from roadtest.training.checkpoint import BRANCH_STATE, Origin, SaveClock, read_state, write_state
from roadtest.training.loop import train
from roadtest.training.schedule import Branch, branch_at, turn_off
from roadtest.training.state import Training


def begin_branches(job: RunSpec) -> None:
    """Make branches.csv where it is not there, so that a reader sees that branches were asked for."""
    path = job.run_dir / "branches.csv"
    if job.anneals and not path.exists():
        write_rows(path, [], [field.name for field in fields(CooldownMetrics)])


def forget_branches(job: RunSpec) -> None:
    """Remove the branches of a run that begins anew."""
    for name in ("branches.csv", BRANCH_STATE):
        (job.run_dir / name).unlink(missing_ok=True)


def anneal_if_due(
    job: RunSpec, training: Training, origin: Origin, *, emit: Callable[[Event], None], should_stop: Callable[[], bool]
) -> None:
    """Follow the branch that begins at the present step, unless that is done; the run then stands as before.

    Raise InterruptedError where `should_stop` said so, with both states kept.
    """
    branch = branch_at(training.progress, job.protocol) if job.anneals else None
    if branch is None or branch.budget_fraction in [row.budget_fraction for row in read_cooldowns(job.run_dir)]:
        return
    emit(job.event("phase", text="annealing"))
    with _set_aside(job, training, origin):
        row = _follow(job, training, origin, branch, should_stop)
    append_row(job.run_dir / "branches.csv", asdict(row))
    (job.run_dir / BRANCH_STATE).unlink(missing_ok=True)


@contextmanager
def _set_aside(job: RunSpec, training: Training, origin: Origin) -> Iterator[None]:
    """Save the run, and put it back however the block ends."""
    write_state(job, training, origin)
    try:
        yield
    finally:
        training.optimizer.state.clear()  # freed first: reading a state must not raise the run's peak of memory
        training.network.zero_grad(set_to_none=True)
        state = read_state(job)
        assert state is not None, "it was written a moment ago"
        training.restore(state["training"])


def _follow(
    job: RunSpec, training: Training, origin: Origin, branch: Branch, should_stop: Callable[[], bool]
) -> CooldownMetrics:
    """Decay to the branch's end, from where an earlier process left it, and give its evaluation."""
    state = read_state(job, BRANCH_STATE)
    if state is not None and _is_of(state["training"]["progress"], branch):
        training.restore(state["training"])
    else:
        turn_off(training.progress, branch)
    clock = SaveClock()
    try:
        for happening in train(training):
            if isinstance(happening, EpochMetrics):
                return CooldownMetrics(
                    budget_fraction=branch.budget_fraction, first_step=branch.first_step, **asdict(happening)
                )
            if should_stop():
                raise InterruptedError
            if clock.is_due:
                clock.save(lambda: write_state(job, training, origin, BRANCH_STATE))
    except InterruptedError:
        write_state(job, training, origin, BRANCH_STATE)
        raise
    raise AssertionError("a branch ends with an evaluation")


def _is_of(progress: dict[str, object], branch: Branch) -> bool:
    return (progress["decay_start"], progress["num_steps"]) == (branch.first_step, branch.num_steps)
