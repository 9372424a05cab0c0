"""What a study would cost: every network is measured for a few seconds, and nothing is trained.

    roadtest plan gtsrb --networks lenet5,resnet34 --seeds 3 --budget 20m

Each network that still has runs to do takes a few real steps in a process of its own, as its runs would; pretrained
ones without their weights, which change no time, so that nothing is fetched. The study's folder is only read; no test
image is looked at. Interrupted runs count in full.

A run's steps come from the very functions that plan a real run (`training/schedule.py`). Two things are not known
before: how steps vary (the slowest and the fastest tenth of the timed ones bound it) and when early stopping ends a run
(between the first moment at which it can, and the last step there is; or, where runs of the same network are finished,
as they did).
"""

import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from roadtest.analysis.sample_size import GOOD_NUM_SEEDS
from roadtest.analysis.stats import MIN_SEEDS
from roadtest.format import Row, plural, render_duration
from roadtest.machine.environment import count_usable_memory_bytes
from roadtest.protocol import UNDERTRAINED_EPOCHS, Protocol
from roadtest.records import PlannedRun, is_finished, read_record, read_study_info, row_label
from roadtest.records.events import Emit
from roadtest.study.api import open_context
from roadtest.study.folder import check_data, write_plan
from roadtest.study.launch import Task, run_tasks
from roadtest.study.options import Options
from roadtest.study.resolve import StudyContext, chosen_seeds
from roadtest.study.runner import build_template
from roadtest.study.spending import Size, cooldown_share, count_disk_bytes, render_bytes
from roadtest.study.sweep import chosen_rates
from roadtest.training.schedule import TrainProgress, consider_patience, plan, planned_cooldowns

if TYPE_CHECKING:
    from roadtest.study.prepare import Source
    from roadtest.training.probe import Speed


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study would cost here."""

    study_dir: Path
    num_runs: int
    num_finished: int
    rows: tuple[Row, ...]
    """One per network; times in seconds, of a run (`run_...`) and of all its missing runs (`total_...`)."""
    seconds_low: float
    seconds: float | None
    """What to expect of all together; None where early stopping leaves that open."""
    seconds_high: float
    memory_bytes: int | None
    """Of as many runs as work at the same time, the largest ones; None where nothing was measured."""
    free_memory_bytes: int
    disk_bytes: int
    free_disk_bytes: int
    sentences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "study_dir": str(self.study_dir), "rows": list(self.rows)}


@dataclass(frozen=True, kw_only=True)
class Span:
    """A number that is not known before: its bounds, and what to expect where that can be said."""

    low: float
    high: float
    expected: float | None

    def __add__(self, other: "Span") -> "Span":
        is_known = self.expected is not None and other.expected is not None
        expected = (self.expected or 0.0) + (other.expected or 0.0) if is_known else None
        return Span(low=self.low + other.low, high=self.high + other.high, expected=expected)

    def __mul__(self, factor: "float | Span") -> "Span":
        other = factor if isinstance(factor, Span) else exactly(factor)
        is_known = self.expected is not None and other.expected is not None
        expected = (self.expected or 0.0) * (other.expected or 0.0) if is_known else None
        return Span(low=self.low * other.low, high=self.high * other.high, expected=expected)


def exactly(number: float) -> Span:
    """A number that is known."""
    return Span(low=number, high=number, expected=number)


NOTHING = exactly(0.0)


@dataclass(frozen=True, kw_only=True)
class RunTime:
    """What one run of a network will take."""

    epochs: Span
    train: Span
    """Training seconds, on the clock of the record."""
    whole: Span
    """Seconds from start to record: with start, evaluations, annealed copies and the last look at all images."""
    is_open: bool
    """Early stopping may end it anywhere between the bounds."""


@dataclass(frozen=True, kw_only=True)
class _Network:
    """One network of the study, and what is known of its runs."""

    runs: tuple[PlannedRun, ...]
    missing: tuple[PlannedRun, ...]
    finished_epochs: tuple[float, ...]
    speed: "Speed | None"
    """None where it was not measured, as the times."""
    time: RunTime | None
    sweep: Span | None
    """Seconds in which its learning rate is found; None where it has one."""
    reason: str | None
    """Why it could not be measured; None where it was, or has nothing left to do."""


def plan_study(source: "Source" = "signs", *, on_event: Emit | None = None, **options: Any) -> Plan:
    """Measure what `roadtest.compare` with the same arguments would take; a ValueError in one line for a mistake."""
    context = open_context(source, options, on_event or (lambda event: None), is_plan=True)
    protocol, finished = context.protocol, _finished_runs(context)
    speeds, reasons = _measure(context, [run for run in context.runs if run not in finished])
    known = {} if context.options.fresh else chosen_rates(context.study_dir)
    num_test = len(context.image_set.indices_of("test")) if context.options.reads_test else 0
    networks = []
    for label in dict.fromkeys(run.label for run in context.runs):
        runs = tuple(run for run in context.runs if run.label == label)
        missing = tuple(run for run in runs if run not in finished)
        epochs, speed = tuple(finished[run] for run in runs if run in finished), speeds.get(label)
        time = sweep = None
        if speed is not None:
            anneals = context.options.anneal
            time = run_time(speed, protocol, num_test=num_test, anneals=anneals, finished_epochs=epochs)
            has_rate = protocol.learning_rate(label) is not None or label in known
            sweep = None if has_rate or not missing else sweep_time(speed, protocol)
        networks.append(
            _Network(
                runs=runs,
                missing=missing,
                finished_epochs=epochs,
                speed=speed,
                time=time,
                sweep=sweep,
                reason=reasons.get(label),
            )
        )
    return _add_up(context, networks)


def _finished_runs(context: StudyContext) -> dict[PlannedRun, float]:
    """The runs that need not be done, and the epochs that they took."""
    study_dir = context.study_dir
    if context.options.fresh or not (study_dir / "study.json").exists():
        return {}
    check_data(study_dir, read_study_info(study_dir), context.image_set)
    done = [run for run in context.runs if is_finished(study_dir / run.folder)]
    return {run: read_record(study_dir / run.folder).num_epochs for run in done}


def _measure(context: StudyContext, missing: Sequence[PlannedRun]) -> tuple[dict[str, "Speed"], dict[str, str]]:
    """What was measured of every network with runs to do, and why others were not, by label."""
    first = {run.label: run for run in reversed(missing)}
    if not first:
        return {}, {}
    from roadtest.training.probe import read_speed

    protocol = context.protocol
    speeds: dict[str, Speed] = {}
    reasons: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="roadtest-plan-") as folder:
        scratch = replace(context, study_dir=Path(folder) / "study")
        scratch.study_dir.mkdir()
        write_plan(scratch)
        template, tasks = build_template(scratch, missing[0]), []
        for label in dict.fromkeys(run.label for run in context.runs if run.label in first):
            rate = protocol.learning_rate(label) or min(protocol.sweep_rates)
            spec = replace(template, run=first[label], learning_rate=rate)
            tasks.append(replace(Task.of("speed", spec, scratch.study_dir / "speed-log.txt"), seed=None))
        for outcome in run_tasks(tasks, num_parallel=1, emit=context.emit, is_over=lambda outcome: False):
            label = outcome.task.label
            if outcome.reason is None and not outcome.is_stopped:
                speeds[label] = read_speed(scratch.study_dir / first[label].folder)
            else:
                reasons[label] = outcome.reason or "the measuring was stopped"
    return speeds, reasons


def _add_up(context: StudyContext, networks: Sequence[_Network]) -> Plan:
    study_dir, num_parallel = context.study_dir.resolve(), context.options.jobs
    measured = [(network, network.speed) for network in networks if network.speed is not None]
    sizes = {
        network.runs[0].label: Size(weights_bytes=speed.weights_bytes, state_bytes=speed.state_bytes)
        for network, speed in measured
    }
    missing = [run for network in networks for run in network.missing]
    peaks = sorted((speed.peak_memory_bytes for network, speed in measured for _ in network.missing), reverse=True)
    total = NOTHING
    if peaks:
        sweeps = [network.sweep for network in networks if network.sweep is not None]
        runs = [network.time.whole for network in networks if network.time is not None for _ in network.missing]
        # Finished networks are not measured here: their latencies count as the others' do.
        latency = sum(latency_time(speed) for _, speed in measured) * len(networks) / len(measured)
        total = side_by_side(sweeps, num_parallel) + side_by_side(runs, num_parallel) + exactly(latency)
    place = next(path for path in (study_dir, *study_dir.parents) if path.exists())
    plan = Plan(
        study_dir=context.study_dir,
        num_runs=len(context.runs),
        num_finished=len(context.runs) - len(missing),
        rows=tuple(_row(context, network, sizes) for network in networks),
        seconds_low=total.low,
        seconds=total.expected,
        seconds_high=total.high,
        memory_bytes=sum(peaks[:num_parallel]) if peaks else None,
        free_memory_bytes=min(psutil.virtual_memory().available, count_usable_memory_bytes()),
        disk_bytes=count_disk_bytes(context, missing, sizes),
        free_disk_bytes=shutil.disk_usage(place).free,
        sentences=(),
    )
    sentences = plan_sentences(
        plan,
        context.protocol,
        context.options,
        is_open=any(network.time is not None and network.time.is_open for network in networks),
        seen_epochs=[epochs for network in networks if network.missing for epochs in network.finished_epochs],
        has_folds=not len(context.image_set.indices_of("val")),
    )
    return replace(plan, sentences=tuple(sentences))


def _row(context: StudyContext, network: _Network, sizes: dict[str, Size]) -> Row:
    run, speed, time = network.runs[0], network.speed, network.time
    step_seconds = None if speed is None else step_span(speed).expected
    total = None if time is None else time.whole * len(network.missing) + (network.sweep or NOTHING)
    alone = replace(context, options=replace(context.options, jobs=1))
    return {
        "network": run.network,
        "has_stn": run.has_stn,
        "num_runs": len(network.runs),
        "num_finished": len(network.runs) - len(network.missing),
        "precision": speed and speed.precision,
        "images_per_second": speed and step_seconds and speed.batch_size / step_seconds,
        "num_timed_steps": speed and len(speed.step_seconds),
        "epoch_seconds": speed and step_seconds and speed.steps_per_epoch * step_seconds,
        **_columns("num_epochs", time.epochs if time else None),
        "train_seconds": time and time.train.expected,
        **_columns("run_seconds", time.whole if time else None),
        "sweep_seconds": network.sweep and network.sweep.expected,
        **_columns("total_seconds", total),
        "peak_memory_bytes": speed and speed.peak_memory_bytes,
        "disk_bytes": speed and count_disk_bytes(alone, network.missing, sizes),
        "is_undertrained": time and time.epochs.high < UNDERTRAINED_EPOCHS,
        "is_busy": speed and speed.is_busy,
        "reason": network.reason,
    }


def _columns(name: str, span: Span | None) -> Row:
    low, expected, high = (None, None, None) if span is None else (span.low, span.expected, span.high)
    return {f"{name}_low": low, name: expected, f"{name}_high": high}


TENTH = 10.0
"""Percentile of the timed steps that bounds a time from below; 100 minus it bounds it from above. Convention."""
NUM_LATENCY_VISITS = 10
LATENCY_SECONDS = 0.5
"""Rounds times batch sizes, and the least of each visit: warm-up and samples (`training/profile.py`)."""


def step_span(speed: "Speed") -> Span:
    """Seconds of a training step: the fastest tenth, the median, the slowest tenth."""
    low, middle, high = np.percentile(speed.step_seconds, (TENTH, 50.0, 100.0 - TENTH)).tolist()
    return Span(low=low, high=high, expected=middle)


def run_time(
    speed: "Speed", protocol: Protocol, *, num_test: int, anneals: bool, finished_epochs: Sequence[float] = ()
) -> RunTime:
    """Predict one run; `finished_epochs` are those of finished runs of the same network in this study."""
    step = step_span(speed)
    latest = TrainProgress()
    plan(latest, protocol, steps_per_epoch=speed.steps_per_epoch, max_steps=None, step_seconds=step.expected)
    earliest = _stopped_early(latest, protocol)
    assert latest.num_steps is not None and earliest.num_steps is not None
    is_open = earliest.num_steps < latest.num_steps
    steps = Span(low=earliest.num_steps, high=latest.num_steps, expected=latest.num_steps)
    if is_open and finished_epochs:
        seen = [min(epochs * speed.steps_per_epoch, latest.num_steps) for epochs in finished_epochs]
        steps, is_open = Span(low=min(seen), high=max(seen), expected=sum(seen) / len(seen)), False
    elif is_open and protocol.budget_seconds is None:
        steps = replace(steps, expected=None)
    train = replace(steps, high=math.ceil(steps.high)) * step
    cooldowns = NOTHING
    if anneals:
        fewest = _cooldown_time(earliest, protocol, step, speed)
        cooldowns = replace(_cooldown_time(latest, protocol, step, speed), low=fewest.low)
    rows = steps * (1 / latest.eval_interval) * (speed.num_row_images / speed.eval_images_per_second)
    last = (speed.num_final_images + num_test) / speed.eval_images_per_second + speed.start_seconds
    whole = train + cooldowns + rows + exactly(last)
    return RunTime(epochs=steps * (1 / speed.steps_per_epoch), train=train, whole=whole, is_open=is_open)


def _stopped_early(latest: TrainProgress, protocol: Protocol) -> TrainProgress:
    """The same run where no evaluation after the first is better, as patience ends it."""
    progress = TrainProgress(**vars(latest))
    for number in range(1, protocol.patience + 2):
        progress.step = number * latest.eval_interval
        if progress.step < progress.decay_start:
            consider_patience(progress, protocol, val_loss=1.0)
    return progress


def _cooldown_time(progress: TrainProgress, protocol: Protocol, step: Span, speed: "Speed") -> Span:
    found = planned_cooldowns(progress, protocol)
    num_steps = sum(one.num_steps - one.first_step for one in found)
    return step * num_steps + exactly(len(found) * speed.num_row_images / speed.eval_images_per_second)


def sweep_time(speed: "Speed", protocol: Protocol) -> Span:
    """Seconds in which a network's learning rate is found; each trial trains by the clock and evaluates once."""
    trial_seconds = protocol.sweep_seconds + speed.num_row_images / speed.eval_images_per_second
    step = step_span(speed)
    assert step.expected is not None
    return step * ((len(protocol.sweep_rates) * trial_seconds + speed.start_seconds) / step.expected)


def latency_time(speed: "Speed") -> float:
    """Seconds in which a network's latency is measured, after the last run."""
    forward_seconds = 64 / speed.eval_images_per_second
    return NUM_LATENCY_VISITS * LATENCY_SECONDS + NUM_LATENCY_VISITS / 2 * 4 * forward_seconds


def side_by_side(runs: Sequence[Span], num_parallel: int) -> Span:
    """All runs, so many at a time: never less than the longest."""

    def share(seconds: Sequence[float]) -> float:
        return max(sum(seconds) / num_parallel, max(seconds, default=0.0))

    known = [run.expected for run in runs if run.expected is not None]
    return Span(
        low=share([run.low for run in runs]),
        high=share([run.high for run in runs]),
        expected=share(known) if len(known) == len(runs) else None,
    )


HALF_WIDTHS = {3: "0.9 to 1.2", 5: "0.5 to 0.6", 10: "0.3 to 0.4"}
"""By seeds, in percentage points: half of the 95 % interval of a validation difference near 99.5 % accuracy, from the
simulation in docs/statistics.md."""
MAX_SHARE = 0.9
"""Of the free memory: more leaves nothing to the rest of the machine. Convention."""


def plan_sentences(
    plan: Plan, protocol: Protocol, options: Options, *, is_open: bool, seen_epochs: Sequence[float], has_folds: bool
) -> list[str]:
    """What a person must know beside the table, most important first."""
    if plan.num_finished == plan.num_runs:
        return [f"{plural(plan.num_runs, 'run')}, all finished: nothing is left to do."]
    failed = [row for row in plan.rows if row["reason"]]
    sentences = [f"{row_label(row)} could not be measured: {row['reason']}." for row in failed]
    if len(failed) < sum(row["num_runs"] > row["num_finished"] for row in plan.rows):
        sentences = [
            _time_sentence(plan),
            _bounds_sentence(plan, protocol, is_open, seen_epochs),
            *_parts_of_the_time(plan, protocol, options),
            *sentences,
            *_undertrained(plan, protocol),
            *_room(plan, options),
        ]
    return [*sentences, seeds_sentence(len(chosen_seeds(options)), has_folds=has_folds)]


def seeds_sentence(num_seeds: int, *, has_folds: bool) -> str:
    """What so many seeds will decide, as a simulation found of validation by folds."""
    can = f"{plural(num_seeds, 'seed')} can be"
    verdict = f"{can} observed and not judged: {MIN_SEEDS} are needed."
    if not has_folds:  # one validation set for all seeds: how much it decides depends on it, and was not simulated
        return f"{can} judged." if num_seeds >= MIN_SEEDS else verdict
    widths = ", ".join(f"{width} with {seeds}" for seeds, width in HALF_WIDTHS.items())
    text = (
        "In simulation, near 99.5 % accuracy, the half-width of a validation difference's 95 % interval was, in "
        f"points, {widths} seeds (docs/statistics.md)"
    )
    if num_seeds < MIN_SEEDS:
        return f"{text}; {verdict}"
    if num_seeds < GOOD_NUM_SEEDS:
        return f"{text}: {num_seeds} seeds rarely decide at a tolerance of 0.5, ten do."
    if num_seeds < max(HALF_WIDTHS):
        return f"{text}: at a tolerance of 0.5, {num_seeds} seeds decide the clear cases, ten nearly all."
    return f"{text}."


def _time_sentence(plan: Plan) -> str:
    done = f", {plan.num_finished} of them finished" if plan.num_finished else ""
    low, high = render_duration(plan.seconds_low), render_duration(plan.seconds_high)
    time = f"between {low} and {high}"
    if plan.seconds is not None:
        time = f"about {render_duration(plan.seconds)}" + (f" ({low} to {high})" if low != high else "")
    return f"{plural(plan.num_runs, 'run')}{done}: {time}, with evaluations and latencies."


def _bounds_sentence(plan: Plan, protocol: Protocol, is_open: bool, seen_epochs: Sequence[float]) -> str:
    num_steps = [row["num_timed_steps"] for row in plan.rows if row["num_timed_steps"]]
    between = f"{min(num_steps)}" if min(num_steps) == max(num_steps) else f"{min(num_steps)} to {max(num_steps)}"
    bounds = f"The bounds: the fastest and the slowest tenth of {between} timed steps"
    if is_open:
        low = min(row["num_epochs_low"] for row in plan.rows if row["num_epochs_low"] is not None)
        high = max(row["num_epochs_high"] for row in plan.rows if row["num_epochs_high"] is not None)
        bounds += f", and early stopping (patience {protocol.patience}), which may end a run anywhere from {low:.0f} "
        bounds += f"to {high:.0f} epochs"
    elif seen_epochs and protocol.patience:
        ends = f"{min(seen_epochs):.0f} to {max(seen_epochs):.0f} epochs"
        bounds += f", and early stopping as in {plural(len(seen_epochs), 'run')} that finished, after {ends}"
    return f"{bounds}."


def _parts_of_the_time(plan: Plan, protocol: Protocol, options: Options) -> Iterator[str]:
    num_swept = sum(row["sweep_seconds"] is not None for row in plan.rows)
    if num_swept:
        networks, each = plural(num_swept, "network"), render_duration(protocol.sweep_seconds)
        yield f"In it: {len(protocol.sweep_rates)} learning rates for {networks}, {each} each."
    if options.anneal:
        yield f"In it: annealed copies, up to {100 * cooldown_share(protocol):.0f} % of the training time."
    if options.jobs > 1:
        yield f"Measured one at a time: {options.jobs} at once get in each other's way, so expect more."
    busy = [row_label(row) for row in plan.rows if row["is_busy"]]
    if busy:
        yield f"Other programs used the processor while {', '.join(busy)} ran: the times are too long."


def _undertrained(plan: Plan, protocol: Protocol) -> Iterator[str]:
    for row in plan.rows:
        if row["is_undertrained"] and protocol.budget_seconds is not None:
            budget, enough = render_duration(protocol.budget_seconds), 1.1 * UNDERTRAINED_EPOCHS * row["epoch_seconds"]
            yield (
                f"{row_label(row)} would see {row['num_epochs_high']:.2g} epochs in {budget}: too little to compare; "
                f"--budget {enough:.0f}s gives it two."
            )
        elif row["is_undertrained"]:
            yield f"{row_label(row)} would see less than two epochs: too little to compare; give more --epochs."


def _room(plan: Plan, options: Options) -> Iterator[str]:
    """Memory and disk, and what to do where they are short."""
    if plan.memory_bytes is not None:
        what = "a run" if options.jobs == 1 else f"{options.jobs} runs at a time"
        need, free = render_bytes(plan.memory_bytes), render_bytes(plan.free_memory_bytes)
        is_short = plan.memory_bytes > MAX_SHARE * plan.free_memory_bytes
        advice = ": too much; give " + ("fewer --jobs" if options.jobs > 1 else "a smaller --batch-size")
        yield f"Memory: {need} for {what}, of {free} free{advice if is_short else ''}."
    is_short = plan.disk_bytes > plan.free_disk_bytes
    advice = ": too much; give another --out, or --keep-weights none" if is_short else ""
    yield f"Disk: at most {render_bytes(plan.disk_bytes)}, of {render_bytes(plan.free_disk_bytes)} free{advice}."
