"""What a study would cost: every network is measured for a few seconds, and nothing is trained.

    roadtest plan gtsrb --networks lenet5,resnet34 --seeds 3 --budget 20m

Each network that still has runs to do takes a few real steps in a process of its own, as its runs would; pretrained
ones without their weights, which change no time, so that nothing is fetched. The study's folder is read, for what is
finished already, and not touched; no test image is looked at. Runs that were broken off count in full. plan_times.py
does the arithmetic, plan_words.py the sentences.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from roadtest.events import Event
from roadtest.job import Job
from roadtest.machine.describe import count_usable_memory_bytes
from roadtest.plan_times import NOTHING, RunTime, Span, latency_time, run_time, side_by_side, step_span, sweep_time
from roadtest.plan_words import plan_sentences
from roadtest.record import PlannedRun, read_record, read_study_info
from roadtest.schedule import UNDERTRAINED_EPOCHS
from roadtest.study import Asked, ask
from roadtest.study.folder import check_data, write_plan
from roadtest.study.launch import Outcome, Task, run_tasks
from roadtest.study.spending import Size, count_disk_bytes
from roadtest.study.sweep import chosen_rates
from roadtest.study.work import job_template

if TYPE_CHECKING:
    from roadtest.speed import Speed
    from roadtest.study.images import Source

Row = dict[str, Any]


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

    label: str
    runs: tuple[PlannedRun, ...]
    missing: tuple[PlannedRun, ...]
    finished_epochs: tuple[float, ...]
    is_swept: bool
    """Its learning rate has to be found first."""
    speed: "Speed | None"
    reason: str | None
    """Why it could not be measured; None where it was, or has nothing left to do."""


def plan_study(source: "Source" = "signs", *, on_event: Callable[[Event], None] | None = None, **options: Any) -> Plan:
    """Measure what `roadtest.compare` with the same arguments would take; a ValueError in one line for a mistake."""
    tell = on_event or (lambda event: None)
    asked = ask(source, options, tell, is_plan=True)
    finished = _finished_runs(asked)
    missing = [run for run in asked.runs if run not in finished]
    speeds, reasons = _measure(asked, missing, tell)
    known = {} if asked.options.fresh else chosen_rates(asked.study_dir)
    networks = []
    for label in dict.fromkeys(run.label for run in asked.runs):
        of_label = tuple(run for run in missing if run.label == label)
        networks.append(
            _Network(
                label=label,
                runs=tuple(run for run in asked.runs if run.label == label),
                missing=of_label,
                finished_epochs=tuple(epochs for run, epochs in finished.items() if run.label == label),
                is_swept=bool(of_label) and asked.protocol.learning_rate(label) is None and label not in known,
                speed=speeds.get(label),
                reason=reasons.get(label),
            )
        )
    return _summed_up(asked, networks)


def _finished_runs(asked: Asked) -> dict[PlannedRun, float]:
    """The runs that need not be done, and the epochs that they took."""
    study_dir = asked.study_dir
    if asked.options.fresh or not (study_dir / "study.json").exists():
        return {}
    check_data(study_dir, read_study_info(study_dir), asked.image_set)
    done = [run for run in asked.runs if (study_dir / run.folder / "record.json").exists()]
    return {run: read_record(study_dir / run.folder).num_epochs for run in done}


def _measure(
    asked: Asked, missing: Sequence[PlannedRun], tell: Callable[[Event], None]
) -> tuple[dict[str, "Speed"], dict[str, str]]:
    """What was measured of every network with runs to do, and why others were not, by label."""
    labels = dict.fromkeys(run.label for run in asked.runs)
    first = {label: run for label in labels if (run := next((r for r in missing if r.label == label), None))}
    if not first:
        return {}, {}
    from roadtest.speed import read_speed

    with tempfile.TemporaryDirectory(prefix="roadtest-plan-") as folder:
        study_dir = Path(folder) / "study"
        study_dir.mkdir()
        write_plan(study_dir, asked.source, asked.image_set, asked.protocol, asked.runs, asked.options)
        template = job_template(
            study_dir, asked.image_set, asked.cache_dir, missing[0], asked.protocol, asked.options, tell
        )
        tasks = [_task(replace(template, run=run), asked) for run in first.values()]
        outcomes = run_tasks(tasks, num_parallel=1, tell=tell, is_over=lambda outcome: False)
        done = [outcome for outcome in outcomes if outcome.reason is None and not outcome.is_stopped]
        speeds = {outcome.task.label: read_speed(study_dir / first[outcome.task.label].folder) for outcome in done}
    return speeds, {outcome.task.label: _reason(outcome) for outcome in outcomes if outcome not in done}


def _task(job: Job, asked: Asked) -> Task:
    label = job.run.label
    rate = asked.protocol.learning_rate(label) or min(asked.protocol.sweep_rates)
    return Task(
        kind="speed",
        job_json=replace(job, learning_rate=rate).to_json(),
        log_path=job.study_dir / "speed-log.txt",
        label=label,
        num_threads=job.num_threads,
    )


def _reason(outcome: Outcome) -> str:
    return outcome.reason or "the measuring was stopped"


def _summed_up(asked: Asked, networks: Sequence[_Network]) -> Plan:
    options, protocol = asked.options, asked.protocol
    num_test = len(asked.image_set.indices_of("test")) if options.reads_test else 0
    times = {
        network.label: run_time(
            network.speed,
            protocol,
            num_test=num_test,
            anneals=options.anneal,
            finished_epochs=network.finished_epochs,
        )
        for network in networks
        if network.speed is not None
    }
    sizes = {
        network.label: Size(weights_bytes=network.speed.weights_bytes, state_bytes=network.speed.state_bytes)
        for network in networks
        if network.speed is not None
    }
    keeps = {"keeps_weights": options.keep_weights != "none", "anneals": options.anneal}
    missing = [run for network in networks for run in network.missing]
    total = _total(networks, times, asked)
    peaks = sorted((n.speed.peak_memory_bytes for n in networks for _ in n.missing if n.speed), reverse=True)
    place = next(path for path in (asked.study_dir.resolve(), *asked.study_dir.resolve().parents) if path.exists())
    plan = Plan(
        study_dir=asked.study_dir,
        num_runs=len(asked.runs),
        num_finished=len(asked.runs) - len(missing),
        rows=tuple(_row(network, times.get(network.label), sizes, asked, keeps) for network in networks),
        seconds_low=total.low,
        seconds=total.expected,
        seconds_high=total.high,
        memory_bytes=sum(peaks[: options.jobs]) if peaks else None,
        free_memory_bytes=min(psutil.virtual_memory().available, count_usable_memory_bytes()),
        disk_bytes=count_disk_bytes(missing, sizes, num_parallel=options.jobs, **keeps),
        free_disk_bytes=shutil.disk_usage(place).free,
        sentences=(),
    )
    is_open = any(time.is_open for time in times.values())
    seen = tuple(epochs for network in networks if network.missing for epochs in network.finished_epochs)
    has_folds = not len(asked.image_set.indices_of("val"))
    sentences = plan_sentences(plan, protocol, options, is_open=is_open, seen_epochs=seen, has_folds=has_folds)
    return replace(plan, sentences=tuple(sentences))


def _total(networks: Sequence[_Network], times: dict[str, RunTime], asked: Asked) -> Span:
    """All missing runs, the sweeps before them, and the latencies after them, where anything is to be done."""
    runs = [times[network.label].whole for network in networks if network.label in times for _ in network.missing]
    sweeps = [sweep_time(n.speed, asked.protocol) for n in networks if n.speed is not None and n.is_swept]
    total = side_by_side(sweeps, asked.options.jobs) + side_by_side(runs, asked.options.jobs)
    latencies = [latency_time(network.speed) for network in networks if network.speed is not None]
    if not runs:
        return NOTHING
    # Of networks that are finished nothing was measured here: they count as the others do.
    seconds = sum(latencies) * len(networks) / len(latencies)
    return total + Span(low=seconds, high=seconds, expected=seconds)


def _row(network: _Network, time: RunTime | None, sizes: dict[str, Size], asked: Asked, keeps: dict[str, bool]) -> Row:
    run, speed = network.runs[0], network.speed
    swept = sweep_time(speed, asked.protocol) if speed is not None and network.is_swept else NOTHING
    total = None if time is None else time.whole * len(network.missing) + swept
    step = None if speed is None else step_span(speed)
    most = time.epochs.high if time else None
    return {
        "network": run.network,
        "has_stn": run.has_stn,
        "num_runs": len(network.runs),
        "num_finished": len(network.runs) - len(network.missing),
        "precision": speed and speed.precision,
        "images_per_second": speed and step and step.expected and speed.batch_size / step.expected,
        "num_timed_steps": speed and len(speed.step_seconds),
        "epoch_seconds": speed and step and step.expected and speed.steps_per_epoch * step.expected,
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
        "disk_bytes": speed and count_disk_bytes(network.missing, sizes, num_parallel=1, **keeps),
        "is_undertrained": most < UNDERTRAINED_EPOCHS if most is not None else None,
        "is_busy": speed and speed.is_busy,
        "reason": network.reason,
    }
