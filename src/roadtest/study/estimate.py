"""What a study would cost: every network is measured for a few seconds, and nothing is trained.

    roadtest plan gtsrb --networks lenet5,resnet34 --seeds 3 --budget 20m

Each network that still has runs to do takes a few real steps in a process of its own, as its runs would; pretrained
ones without their weights, which change no time, so that nothing is fetched. The study's folder is read, for what is
finished already, and not touched; no test image is looked at. Runs that were broken off count in full.

A run's steps come from the very functions that plan a real run (`training/schedule.py`). Two things are not known
before: how steps vary (the slowest and the fastest tenth of the timed ones bound it) and when early stopping ends a run
(between the first moment at which it can, and the last step there is; or, where runs of the same network are finished,
as they did).
"""

import math
import shutil
import tempfile
from collections.abc import Sequence
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
class _Network:
    """One network of the study, and what is known of its runs."""

    runs: tuple[PlannedRun, ...]
    missing: tuple[PlannedRun, ...]
    finished_epochs: tuple[float, ...]
    is_swept: bool
    """Its learning rate has to be found first."""
    speed: "Speed | None"
    time: "RunTime | None"
    """None where it was not measured, as the speed."""
    reason: str | None
    """Why it could not be measured; None where it was, or has nothing left to do."""


def plan_study(source: "Source" = "signs", *, on_event: Emit | None = None, **options: Any) -> Plan:
    """Measure what `roadtest.compare` with the same arguments would take; a ValueError in one line for a mistake."""
    context = open_context(source, options, on_event or (lambda event: None), is_plan=True)
    finished = _finished_runs(context)
    speeds, reasons = _measure(context, [run for run in context.runs if run not in finished])
    known = {} if context.options.fresh else chosen_rates(context.study_dir)
    num_test = len(context.image_set.indices_of("test")) if context.options.reads_test else 0
    networks = []
    for label in dict.fromkeys(run.label for run in context.runs):
        runs = tuple(run for run in context.runs if run.label == label)
        missing = tuple(run for run in runs if run not in finished)
        epochs, speed = tuple(finished[run] for run in runs if run in finished), speeds.get(label)
        time = None
        if speed is not None:
            anneals = context.options.anneal
            time = run_time(speed, context.protocol, num_test=num_test, anneals=anneals, finished_epochs=epochs)
        networks.append(
            _Network(
                runs=runs,
                missing=missing,
                finished_epochs=epochs,
                is_swept=bool(missing) and context.protocol.learning_rate(label) is None and label not in known,
                speed=speed,
                time=time,
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
    sizes = {
        network.runs[0].label: Size(weights_bytes=speed.weights_bytes, state_bytes=speed.state_bytes)
        for network in networks
        if (speed := network.speed) is not None
    }
    missing = [run for network in networks for run in network.missing]
    total = _total(context, networks)
    peaks = sorted((n.speed.peak_memory_bytes for n in networks for _ in n.missing if n.speed), reverse=True)
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
    is_open = any(network.time is not None and network.time.is_open for network in networks)
    seen = tuple(epochs for network in networks if network.missing for epochs in network.finished_epochs)
    has_folds = not len(context.image_set.indices_of("val"))
    sentences = plan_sentences(
        plan, context.protocol, context.options, is_open=is_open, seen_epochs=seen, has_folds=has_folds
    )
    return replace(plan, sentences=tuple(sentences))


TENTH = 10.0
"""Percentile of the timed steps that bounds a time from below; 100 minus it bounds it from above. Convention."""
NUM_LATENCY_VISITS = 10
LATENCY_SECONDS = 0.5
"""Rounds times batch sizes, and the least of each visit: warm-up and samples (`training/profile.py`)."""


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

    def __mul__(self, factor: float) -> "Span":
        expected = None if self.expected is None else self.expected * factor
        return Span(low=self.low * factor, high=self.high * factor, expected=expected)


def _exactly(number: float) -> Span:
    return Span(low=number, high=number, expected=number)


NOTHING = _exactly(0.0)


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


def _total(context: StudyContext, networks: Sequence[_Network]) -> Span:
    """All missing runs, the sweeps before them, and the latencies after them, where anything is to be done."""
    runs = [network.time.whole for network in networks if network.time is not None for _ in network.missing]
    sweeps = [sweep_time(n.speed, context.protocol) for n in networks if n.speed is not None and n.is_swept]
    latencies = [latency_time(network.speed) for network in networks if network.speed is not None]
    if not runs:
        return NOTHING
    total = side_by_side(sweeps, context.options.jobs) + side_by_side(runs, context.options.jobs)
    # Of networks that are finished nothing was measured here: they count as the others do.
    return total + _exactly(sum(latencies) * len(networks) / len(latencies))


def _row(context: StudyContext, network: _Network, sizes: dict[str, Size]) -> Row:
    run, speed, time = network.runs[0], network.speed, network.time
    swept = sweep_time(speed, context.protocol) if speed is not None and network.is_swept else NOTHING
    total = None if time is None else time.whole * len(network.missing) + swept
    step_seconds = None if speed is None else step_span(speed).expected
    most = time.epochs.high if time else None
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
        "num_epochs_low": time and time.epochs.low,
        "num_epochs": time and time.epochs.expected,
        "num_epochs_high": most,
        "train_seconds": time and time.train.expected,
        "run_seconds_low": time and time.whole.low,
        "run_seconds": time and time.whole.expected,
        "run_seconds_high": time and time.whole.high,
        "sweep_seconds": swept.expected if network.is_swept else None,
        "total_seconds_low": total and total.low,
        "total_seconds": total and total.expected,
        "total_seconds_high": total and total.high,
        "peak_memory_bytes": speed and speed.peak_memory_bytes,
        "disk_bytes": speed and count_disk_bytes(alone, network.missing, sizes),
        "is_undertrained": most < UNDERTRAINED_EPOCHS if most is not None else None,
        "is_busy": speed and speed.is_busy,
        "reason": network.reason,
    }


def step_span(speed: "Speed") -> Span:
    """Seconds of a training step: the fastest tenth, the median, the slowest tenth."""
    low, middle, high = np.percentile(speed.step_seconds, (TENTH, 50.0, 100.0 - TENTH)).tolist()
    return Span(low=low, high=high, expected=middle)


def run_time(
    speed: "Speed", protocol: Protocol, *, num_test: int, anneals: bool, finished_epochs: Sequence[float] = ()
) -> RunTime:
    """Predict one run; `finished_epochs` are those of finished runs of the same network in this study."""
    step = step_span(speed)
    assert step.expected is not None
    latest = _planned(speed, protocol, step.expected)
    earliest = _stopped_early(latest, protocol)
    assert latest.num_steps is not None and earliest.num_steps is not None
    is_open = earliest.num_steps < latest.num_steps
    steps = Span(low=earliest.num_steps, high=latest.num_steps, expected=latest.num_steps)
    if is_open and finished_epochs:
        seen = [min(epochs * speed.steps_per_epoch, latest.num_steps) for epochs in finished_epochs]
        steps, is_open = Span(low=min(seen), high=max(seen), expected=sum(seen) / len(seen)), False
    elif is_open and protocol.budget_seconds is None:
        steps = Span(low=steps.low, high=steps.high, expected=None)
    train = _product(steps, step)
    beside = NOTHING
    if anneals:
        beside = _branch_time(latest, protocol, step, speed)
        beside = Span(low=_branch_time(earliest, protocol, step, speed).low, high=beside.high, expected=beside.expected)
    rows = (steps * (1 / latest.eval_interval)) * (speed.num_row_images / speed.eval_images_per_second)
    last = (speed.num_final_images + num_test) / speed.eval_images_per_second + speed.start_seconds
    whole = train + beside + rows + _exactly(last)
    return RunTime(epochs=steps * (1 / speed.steps_per_epoch), train=train, whole=whole, is_open=is_open)


def sweep_time(speed: "Speed", protocol: Protocol) -> Span:
    """Seconds in which a network's learning rate is found; each trial trains by the clock and evaluates once."""
    seconds = len(protocol.sweep_rates) * (protocol.sweep_seconds + speed.num_row_images / speed.eval_images_per_second)
    spread = step_span(speed)
    assert spread.expected is not None
    whole = seconds + speed.start_seconds
    return Span(low=whole * spread.low / spread.expected, high=whole * spread.high / spread.expected, expected=whole)


def latency_time(speed: "Speed") -> float:
    """Seconds in which a network's latency is measured, after the last run."""
    forward_seconds = 64 / speed.eval_images_per_second
    return NUM_LATENCY_VISITS * LATENCY_SECONDS + NUM_LATENCY_VISITS / 2 * 4 * forward_seconds


def side_by_side(runs: Sequence[Span], num_parallel: int) -> Span:
    """All runs, so many at a time: never less than the longest."""
    total = sum(runs, NOTHING) * (1 / num_parallel)
    longest = max((run.high for run in runs), default=0.0)
    lengths = [max(total.low, max((run.low for run in runs), default=0.0)), max(total.high, longest)]
    expected = None
    if total.expected is not None:
        expected = max(total.expected, max((run.expected or 0.0 for run in runs), default=0.0))
    return Span(low=lengths[0], high=lengths[1], expected=expected)


def _planned(speed: "Speed", protocol: Protocol, step_seconds: float) -> TrainProgress:
    """The plan of a run that nothing stops early."""
    progress = TrainProgress()
    plan(progress, protocol, steps_per_epoch=speed.steps_per_epoch, max_steps=None, step_seconds=step_seconds)
    return progress


def _stopped_early(latest: TrainProgress, protocol: Protocol) -> TrainProgress:
    """The same run where no evaluation after the first is better, as patience ends it."""
    progress = TrainProgress(**vars(latest))
    for number in range(1, protocol.patience + 2):
        progress.step = number * latest.eval_interval
        if progress.step < progress.decay_start:
            consider_patience(progress, protocol, val_loss=1.0)
    return progress


def _branch_time(progress: TrainProgress, protocol: Protocol, step: Span, speed: "Speed") -> Span:
    found = planned_cooldowns(progress, protocol)
    num_steps = sum(branch.num_steps - branch.first_step for branch in found)
    look = len(found) * speed.num_row_images / speed.eval_images_per_second
    return step * num_steps + _exactly(look)


def _product(steps: Span, step: Span) -> Span:
    is_known = steps.expected is not None and step.expected is not None
    expected = (steps.expected or 0.0) * (step.expected or 0.0) if is_known else None
    return Span(low=steps.low * step.low, high=math.ceil(steps.high) * step.high, expected=expected)


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
        sentences.append(f"In it: annealed copies, up to {100 * cooldown_share(protocol):.0f} % of the training time.")
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
