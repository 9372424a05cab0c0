"""When the learning rate rises, stays and falls, when a run is evaluated, and when it ends: all as whole steps.

Linear warm-up, a constant rate, a linear decay to zero. The constant part ends by patience on validation loss, by the
largest number of epochs, or by the budget, whichever comes first. A budget in seconds becomes a number of steps once,
from the speed of the first steps; after that a run is deterministic. docs/protocol.md gives the reasons. No torch here.
"""

import math
from dataclasses import dataclass

from roadtest.protocol import BRANCH_FRACTIONS, Protocol

NUM_UNTIMED_STEPS = 3
"""The first steps allocate memory and choose kernels; they do not predict the others."""
MIN_TIMED_SHARE = 0.05
"""Of all epochs' steps; where they fit twice into the budget, timing more would only put off evaluations and decay."""
TIMED_STRETCH_SECONDS = 0.01
"""Of a GPU's steps that are timed together: a wait after each one of a small network would make it look slower."""
MIN_EVALUATIONS = 5
"""A run too short for this many epochs is evaluated more often than once an epoch."""
MIN_EVALUATIONS_IN_AN_EPOCH = 2
"""Of a run that ends before one epoch has: more evaluations would take longer than the training."""


@dataclass(kw_only=True)
class TrainProgress:
    """How far a training is; with weights, momentum and generator this is the whole saved state."""

    step: int = 0
    num_steps: int | None = None
    """The planned end; None until the budget was timed."""
    budget_steps: int = 0
    """What the whole budget pays for, or all epochs, however early patience or the epochs end the run."""
    decay_start: int = 0
    warmup_steps: int = 0
    eval_interval: int = 0
    stop_reason: str = ""
    last_eval_step: int = 0
    last_eval_train_seconds: float = 0.0
    best_val_loss: float = math.inf
    num_evals_since_best: int = 0
    train_seconds: float = 0.0
    data_seconds: float = 0.0
    eval_seconds: float = 0.0
    peak_memory_bytes: int = 0
    """Of the earlier processes of the run, and of this one until its last saved state."""


@dataclass(frozen=True, kw_only=True)
class Cooldown:
    """A short decay of a copy, which gives the result that a fraction of the budget would have given."""

    budget_fraction: float
    first_step: int
    """The run's step from which the copy decays."""
    num_steps: int
    """The copy's last step, at a rate of zero."""


def rate_factor(step: int, *, warmup_steps: int, decay_start: int, num_steps: int | None) -> float:
    """The learning rate at a step as a fraction of its constant value; num_steps None is before the plan."""
    warm = (step + 1) / (warmup_steps + 1)
    falling = 1.0 if num_steps is None or step < decay_start else (num_steps - step) / (num_steps - decay_start + 1)
    return min(1.0, warm, falling)


def warmup_within(num_steps: int, protocol: Protocol) -> int:
    """The protocol's warm-up, or a tenth of a short run."""
    return max(min(protocol.warmup_steps, num_steps // 10), 1)


def plan(
    progress: TrainProgress,
    protocol: Protocol,
    *,
    steps_per_epoch: int,
    max_steps: int | None = None,
    step_seconds: float | None = None,
) -> None:
    """Fix the steps at which the constant rate and the training end, unless a budget needs `step_seconds` first."""
    if protocol.budget_seconds is not None and max_steps is None and step_seconds is None:
        return
    num_steps, progress.stop_reason = protocol.max_epochs * steps_per_epoch, "max epochs"
    if max_steps is not None:
        num_steps, progress.stop_reason = max_steps, "max steps"
    elif protocol.budget_seconds is not None and step_seconds is not None:
        seconds_left = max(protocol.budget_seconds - progress.train_seconds, 0.0)
        affordable = progress.step + max(int(seconds_left / step_seconds), 1)
        if affordable < num_steps:
            num_steps, progress.stop_reason = affordable, "budget"
        progress.budget_steps = affordable
    progress.num_steps = num_steps
    progress.budget_steps = progress.budget_steps or num_steps
    progress.decay_start = num_steps - int(num_steps * protocol.decay_fraction)
    progress.warmup_steps = warmup_within(num_steps, protocol)
    num_evaluations = MIN_EVALUATIONS if num_steps >= steps_per_epoch else MIN_EVALUATIONS_IN_AN_EPOCH
    progress.eval_interval = min(steps_per_epoch, math.ceil(num_steps / num_evaluations))


def consider_patience(progress: TrainProgress, protocol: Protocol, val_loss: float) -> None:
    """Note an evaluation; begin the decay where the loss has not fallen for `patience` evaluations."""
    if val_loss < progress.best_val_loss:
        progress.best_val_loss, progress.num_evals_since_best = val_loss, 0
        return
    progress.num_evals_since_best += 1
    assert progress.num_steps is not None
    is_constant = progress.step < progress.decay_start
    if protocol.patience and is_constant and progress.num_evals_since_best >= protocol.patience:
        decay_steps = round(progress.step * protocol.decay_fraction / (1 - protocol.decay_fraction))
        progress.decay_start = progress.step
        progress.num_steps = min(progress.num_steps, progress.step + max(decay_steps, 1))
        progress.stop_reason = "patience"


def planned_cooldowns(progress: TrainProgress, protocol: Protocol) -> list[Cooldown]:
    """The cooldowns that begin while the run has its constant rate, and end before the run does."""
    found: list[Cooldown] = []
    for fraction in BRANCH_FRACTIONS:
        num_steps = int(progress.budget_steps * fraction)
        first_step = num_steps - int(num_steps * protocol.decay_fraction)
        is_shorter = progress.num_steps is not None and num_steps < progress.num_steps
        if is_shorter and first_step <= progress.decay_start and first_step < num_steps:
            found.append(Cooldown(budget_fraction=fraction, first_step=first_step, num_steps=num_steps))
    return found


def cooldown_at(progress: TrainProgress, protocol: Protocol) -> Cooldown | None:
    """The cooldown that begins at the run's present step."""
    return next((each for each in planned_cooldowns(progress, protocol) if each.first_step == progress.step), None)


def begin_cooldown(progress: TrainProgress, cooldown: Cooldown) -> None:
    """Turn the run's progress into the copy's: decay from here on, and evaluate once, at the end."""
    progress.decay_start, progress.num_steps = cooldown.first_step, cooldown.num_steps
    progress.eval_interval, progress.stop_reason = cooldown.num_steps, "branch"


def is_pause(
    progress: TrainProgress, protocol: Protocol, *, steps_per_epoch: int, times_together: bool = False
) -> bool:
    """Whether the clock must be read after this step. Before the plan steps are timed one by one, or some together."""
    if progress.step % steps_per_epoch == 0:
        return True
    if progress.num_steps is None:
        return progress.step <= NUM_UNTIMED_STEPS or not times_together
    return is_evaluation(progress) or cooldown_at(progress, protocol) is not None


def is_evaluation(progress: TrainProgress) -> bool:
    """Whether the network is evaluated after this step."""
    if progress.num_steps is None:
        return False
    return progress.step % progress.eval_interval == 0 or progress.step == progress.num_steps


def is_timed(progress: TrainProgress, protocol: Protocol, *, steps_per_epoch: int, timed_seconds: float) -> bool:
    """Enough seconds to predict the speed: 3 % of the budget, between half a second and thirty, and three steps.

    After five seconds the end of an epoch is enough, so that a fast network is evaluated in time. So is a twentieth of
    all epochs, where these fit into the budget twice: the budget will not be what ends the run.
    """
    budget = protocol.budget_seconds
    assert budget is not None
    wished = max(0.03 * budget, min(0.5, budget / 4))
    enough = min(wished, 5.0 if progress.step % steps_per_epoch == 0 else 30.0)
    num_steps, num_timed = protocol.max_epochs * steps_per_epoch, progress.step - NUM_UNTIMED_STEPS
    if progress.step >= num_steps or num_timed < NUM_UNTIMED_STEPS:
        return progress.step >= num_steps
    is_ample = num_timed >= MIN_TIMED_SHARE * num_steps and timed_seconds / num_timed * num_steps <= budget / 2
    return is_ample or timed_seconds >= enough
