"""Cooldown copies: short decays beside a run, which give its result at a quarter and a half of its budget.

A curve's point in mid-schedule says nothing of a shorter training: at the constant rate the network is worse than a
shorter run would have ended (Hägele 2024, https://arxiv.org/abs/2405.18392). So a copy leaves the run where that
shorter run would have begun to decay, and decays to zero: the same steps but for the warm-up, for three tenths more
time in all. The copy trains in the run's own objects, by the same loop; then the run is restored, bit by bit, from the
`state.pt` that was written before. So memory does not grow (but for a second CUDA graph), and a process that is killed
leaves both states: the run continues from `state.pt`, the copy from `branch.pt`.
"""

from collections.abc import Callable
from dataclasses import asdict

from roadtest.records import CooldownMetrics, EpochMetrics, append_row, read_cooldowns
from roadtest.records.events import Event, RunSpec
from roadtest.training.checkpoint import BRANCH_STATE, RunMetadata, SaveClock, read_state, write_state
from roadtest.training.loop import train
from roadtest.training.schedule import Cooldown, begin_cooldown, cooldown_at
from roadtest.training.state import TrainState


def anneal_copy_if_due(
    job: RunSpec, training: TrainState, metadata: RunMetadata, emit: Callable[[Event], None]
) -> None:
    """Train the copy that begins at the present step, unless its row is there; the run is the same afterwards.

    Raise InterruptedError where the training should stop, with both states saved.
    """
    cooldown = cooldown_at(training.progress, job.protocol) if job.anneals else None
    if cooldown is None or cooldown.budget_fraction in [row.budget_fraction for row in read_cooldowns(job.run_dir)]:
        return
    emit(job.event("phase", text="annealing"))
    write_state(job, training, metadata)
    try:
        row = _train_copy(job, training, metadata, cooldown)
    finally:
        training.optimizer.state.clear()  # freed first: reading a state must not raise the run's peak of memory
        training.network.zero_grad(set_to_none=True)
        state = read_state(job)
        assert state is not None, "it was written above"
        training.restore(state["training"])
    append_row(job.run_dir / "branches.csv", asdict(row))
    (job.run_dir / BRANCH_STATE).unlink(missing_ok=True)


def _train_copy(job: RunSpec, training: TrainState, metadata: RunMetadata, cooldown: Cooldown) -> CooldownMetrics:
    """Decay to the cooldown's end, from where an earlier process left it, and return its evaluation."""
    state = read_state(job, BRANCH_STATE)
    progress = state["training"]["progress"] if state is not None else {}
    if state is not None and (progress["decay_start"], progress["num_steps"]) == (
        cooldown.first_step,
        cooldown.num_steps,
    ):
        training.restore(state["training"])
    else:
        begin_cooldown(training.progress, cooldown)
    clock = SaveClock()
    try:
        for update in train(training):
            if isinstance(update, EpochMetrics):
                return CooldownMetrics(
                    budget_fraction=cooldown.budget_fraction, first_step=cooldown.first_step, **asdict(update)
                )
            if training.should_stop():
                raise InterruptedError
            if clock.is_due:
                clock.save(lambda: write_state(job, training, metadata, BRANCH_STATE))
    except InterruptedError:
        write_state(job, training, metadata, BRANCH_STATE)
        raise
    raise AssertionError("a cooldown ends with an evaluation")
