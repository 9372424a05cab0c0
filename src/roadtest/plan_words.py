"""A plan in sentences: how long and why no surer, what memory and disk it needs, and what the seeds will decide."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from roadtest.judge import MIN_SEEDS
from roadtest.protocol import Protocol
from roadtest.record import row_label
from roadtest.schedule import UNDERTRAINED_EPOCHS
from roadtest.study.options import Options, chosen_seeds
from roadtest.study.spending import branch_share, render_bytes
from roadtest.summarise.more import GOOD_NUM_SEEDS
from roadtest.summarise.words import plural, render_duration

if TYPE_CHECKING:
    from roadtest.plan import Plan

HALF_WIDTHS = {3: "0.9 to 1.2", 5: "0.5 to 0.6", 10: "0.3 to 0.4"}
"""By seeds, in percentage points: half of the 95 % interval of a validation difference near 99.5 % accuracy, from the
simulation in docs/statistics.md."""
MAX_SHARE = 0.9
"""Of the free memory: more leaves nothing to the rest of the machine. Convention."""


def plan_sentences(
    plan: "Plan",
    protocol: Protocol,
    options: Options,
    *,
    is_open: bool,
    seen_epochs: Sequence[float],
    has_folds: bool,
) -> list[str]:
    """What a person must know beside the table, most important first."""
    num_missing = plan.num_runs - plan.num_finished
    if not num_missing:
        return [f"{plural(plan.num_runs, 'run')}, all finished: nothing is left to do."]
    failed = [row for row in plan.rows if row["reason"]]
    sentences = [f"{row_label(row)} could not be measured: {row['reason']}." for row in failed]
    if len(failed) < sum(row["num_runs"] > row["num_finished"] for row in plan.rows):
        sentences = [_time_sentence(plan), *_reasons(plan, protocol, options, is_open, seen_epochs), *sentences]
        sentences += [*_undertrained(plan, protocol), *_room(plan, options)]
    return [*sentences, seeds_sentence(len(chosen_seeds(options)), has_folds=has_folds)]


def seeds_sentence(num_seeds: int, *, has_folds: bool) -> str:
    """What so many seeds will decide, as the judge's simulation found of validation by folds."""
    can = f"{plural(num_seeds, 'seed')} can be"
    if not has_folds:  # one validation part for all seeds: how much it decides depends on it, and was not simulated
        return f"{can} judged." if num_seeds >= MIN_SEEDS else f"{can} observed and not judged: {MIN_SEEDS} are needed."
    widths = ", ".join(f"{width} with {seeds}" for seeds, width in HALF_WIDTHS.items())
    text = (
        "In simulation, near 99.5 % accuracy, the half-width of a validation difference's 95 % interval was, in "
        f"points, {widths} seeds (docs/statistics.md)"
    )
    if num_seeds < MIN_SEEDS:
        return f"{text}; {can} observed and not judged: {MIN_SEEDS} are needed."
    if num_seeds < GOOD_NUM_SEEDS:
        return f"{text}: {num_seeds} seeds rarely decide at a tolerance of 0.5, ten do."
    if num_seeds < max(HALF_WIDTHS):
        return f"{text}: at a tolerance of 0.5, {num_seeds} seeds decide the clear cases, ten nearly all."
    return f"{text}."


def _time_sentence(plan: "Plan") -> str:
    done = f", {plan.num_finished} of them finished" if plan.num_finished else ""
    low, high = render_duration(plan.seconds_low), render_duration(plan.seconds_high)
    time = f"between {low} and {high}"
    if plan.seconds is not None:
        time = f"about {render_duration(plan.seconds)}" + (f" ({low} to {high})" if low != high else "")
    return f"{plural(plan.num_runs, 'run')}{done}: {time}, with evaluations and latencies."


def _reasons(
    plan: "Plan", protocol: Protocol, options: Options, is_open: bool, seen_epochs: Sequence[float]
) -> list[str]:
    """Why the time is no surer, and what is in it besides the runs."""
    num_steps = [row["num_timed_steps"] for row in plan.rows if row["num_timed_steps"]]
    between = f"{min(num_steps)}" if min(num_steps) == max(num_steps) else f"{min(num_steps)} to {max(num_steps)}"
    bounds = f"The bounds: the fastest and the slowest tenth of {between} timed steps"
    if is_open:
        lows = [row["num_epochs_low"] for row in plan.rows if row["num_epochs_low"] is not None]
        highs = [row["num_epochs_high"] for row in plan.rows if row["num_epochs_high"] is not None]
        bounds += (
            f", and early stopping (patience {protocol.patience}), which may end a run anywhere from {min(lows):.0f} "
            f"to {max(highs):.0f} epochs"
        )
    elif seen_epochs and protocol.patience:
        ends = f"{min(seen_epochs):.0f} to {max(seen_epochs):.0f} epochs"
        bounds += f", and early stopping as in {plural(len(seen_epochs), 'run')} that finished, after {ends}"
    sentences = [f"{bounds}."]
    num_swept = sum(row["sweep_seconds"] is not None for row in plan.rows)
    if num_swept:
        sentences.append(
            f"In it: {len(protocol.sweep_rates)} learning rates for {plural(num_swept, 'network')}, "
            f"{render_duration(protocol.sweep_seconds)} each."
        )
    if options.anneal:
        sentences.append(f"In it: annealed copies, up to {100 * branch_share(protocol):.0f} % of the training time.")
    if options.jobs > 1:
        sentences.append(f"Measured one at a time: {options.jobs} at once get in each other's way, so expect more.")
    busy = [row_label(row) for row in plan.rows if row["is_busy"]]
    if busy:
        sentences.append(f"Other programs used the processor while {', '.join(busy)} ran: the times are too long.")
    return sentences


def _undertrained(plan: "Plan", protocol: Protocol) -> list[str]:
    sentences = []
    for row in plan.rows:
        if row["is_undertrained"] and protocol.budget_seconds is not None:
            budget, enough = render_duration(protocol.budget_seconds), 1.1 * UNDERTRAINED_EPOCHS * row["epoch_seconds"]
            sentences.append(
                f"{row_label(row)} would see {row['num_epochs_high']:.2g} epochs in {budget}: too little to compare; "
                f"--budget {enough:.0f}s gives it two."
            )
        elif row["is_undertrained"]:
            sentences.append(
                f"{row_label(row)} would see less than two epochs: too little to compare; give more --epochs."
            )
    return sentences


def _room(plan: "Plan", options: Options) -> list[str]:
    """Memory and disk, and what to do where they are short."""
    sentences = []
    if plan.memory_bytes is not None:
        what = "a run" if options.jobs == 1 else f"{options.jobs} runs at a time"
        need, free = render_bytes(plan.memory_bytes), render_bytes(plan.free_memory_bytes)
        text = f"Memory: {need} for {what}, of {free} free"
        is_short = plan.memory_bytes > MAX_SHARE * plan.free_memory_bytes
        advice = "fewer --jobs" if options.jobs > 1 else "a smaller --batch-size"
        sentences.append(f"{text}: too much; give {advice}." if is_short else f"{text}.")
    need, free = render_bytes(plan.disk_bytes), render_bytes(plan.free_disk_bytes)
    text = f"Disk: at most {need}, of {free} free"
    is_short = plan.disk_bytes > plan.free_disk_bytes
    return [*sentences, f"{text}: too much; give another --out, or --keep-weights none." if is_short else f"{text}."]
