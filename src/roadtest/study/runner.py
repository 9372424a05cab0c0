"""The work of a study: rates, runs, latencies, report. Each step does what is missing and nothing twice.

What a study is about to spend, said in one line before it spends anything: runs, time and disk.

Networks are counted on paper, without memory for their weights. A user's own network is code: it is run by its worker
and nowhere else, so its size is not known here.

The learning-rate sweep: equal for every network, on validation, in a file.

Every network tries each rate of the protocol for the same training seconds, on seed 0's fold, on the full schedule;
the lowest validation loss wins. The clock is read once per network, in its first trial: all its rates get the same
number of steps. A diverged trial is a row with an infinite loss; where a sweep fails otherwise, the network has no
rate and no rows. The rates of the published protocols come from this very sweep, run on the real data and published
under results/.
"""

import json
import math
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from roadtest.data.dataset import ImageSet
from roadtest.data.split import copy_test_reads, split_fingerprint
from roadtest.format import plural, render_duration
from roadtest.machine import choose_device, count_usable_cores
from roadtest.networks.advice import remark_on_networks
from roadtest.networks.user_file import is_user_defined
from roadtest.protocol import BRANCH_FRACTIONS, Protocol
from roadtest.records import (
    Failure,
    PlannedRun,
    RunRecord,
    append_failure,
    is_finished,
    network_label,
    read_records,
    read_rows,
    read_study_info,
    utc_now,
    write_rows,
)
from roadtest.records.events import Event, RunSpec
from roadtest.records.measurements import is_exported
from roadtest.records.schema import FailureKind
from roadtest.report import write_report
from roadtest.study.folder import keep_chosen_weights
from roadtest.study.launch import Outcome, Task, run_tasks
from roadtest.study.options import Options

Emit = Callable[[Event], None]


def train_missing(
    study_dir: Path,
    image_set: ImageSet,
    cache_dir: Path,
    runs: Sequence[PlannedRun],
    options: Options,
    emit: Emit,
) -> None:
    """Find the missing rates, then do every run that is not complete."""
    protocol = Protocol.from_dict(read_study_info(study_dir).protocol)
    missing = [run for run in runs if not is_finished(study_dir / run.folder)]
    _drop_states(study_dir, [run for run in runs if run not in missing])
    sizes, reasons = measure_networks(missing, num_classes=image_set.num_classes, image_size=protocol.image_size)
    _tell_plan(study_dir, runs, missing, protocol, sizes, options, emit)
    for remark in remark_on_networks(
        [run for run in missing if run.label in sizes],
        num_classes=image_set.num_classes,
        image_size=protocol.image_size,
    ):
        emit(Event(kind="warning", text=remark))
    for run in missing:
        if run.label in reasons:
            _append_failure(study_dir, run, reasons[run.label], emit)
    missing = [run for run in missing if run.label not in reasons]
    if not missing or (reasons and options.fail_fast):
        return
    template = job_template(study_dir, image_set, cache_dir, missing[0], protocol, options, emit)
    rates = _find_rates(study_dir, template, missing, options, emit)
    if options.fail_fast and len(rates) < len({run.label for run in missing}):
        return
    ready = [run for run in missing if run.label in rates]
    num_jobs = max(1, min(options.jobs, len(ready)))
    jobs = [replace(template, run=run, learning_rate=rates[run.label], num_jobs=num_jobs) for run in ready]
    tasks = [
        Task(
            kind="run",
            job_json=job.to_json(),
            log_path=job.run_dir / "log.txt",
            label=job.run.label,
            seed=job.run.seed,
            num_threads=job.num_threads,
        )
        for job in jobs
    ]

    def is_over(outcome: Outcome) -> bool:
        if outcome.reason is not None:
            _append_failure(
                study_dir, RunSpec.from_json(outcome.task.job_json).run, outcome.reason, emit, kind=outcome.kind
            )
        return outcome.reason is not None and options.fail_fast

    run_tasks(tasks, num_parallel=options.jobs, emit=emit, is_over=is_over)


def finish(
    study_dir: Path,
    image_set: ImageSet,
    cache_dir: Path,
    runs: Sequence[PlannedRun],
    options: Options,
    emit: Emit,
) -> None:
    """Measure latencies, copy the ledger's lines, drop weights that are not wanted, and write the report.

    `runs` are those that were asked for now; the study may hold others.
    """
    records = read_records(study_dir)
    copy_test_reads(cache_dir, study_dir, image_set.tested_fingerprint)
    if records:
        _measure_latencies(study_dir, records, {run.network for run in runs}, options, emit)
    if options.keep_weights == "chosen" and records:
        keep_chosen_weights(study_dir, records)
    num_unread = sum(record.test is None for record in records)
    if options.reads_test and num_unread and len(image_set.indices_of("test")):
        text = f"{num_unread} finished runs did not read the test set, and none is repeated: --fresh begins anew"
        emit(Event(kind="warning", text=text))
    num_alone = sum(not (study_dir / record.run.folder / "branches.csv").exists() for record in records)
    if options.anneal and num_alone:
        text = f"{num_alone} finished runs have no annealed copies, and none is repeated: --fresh begins anew"
        emit(Event(kind="warning", text=text))
    emit(Event(kind="phase", text="writing the report"))
    write_report(study_dir, has_images=options.has_images)


def _drop_states(study_dir: Path, finished: Sequence[PlannedRun]) -> None:
    """Delete what a run goes on from, where a kill came between its record and its last act."""
    for run in finished:
        for name in ("state.pt", "branch.pt"):  # the names of roadtest.training.checkpoint, which brings torch in
            (study_dir / run.folder / name).unlink(missing_ok=True)


def job_template(
    study_dir: Path,
    image_set: ImageSet,
    cache_dir: Path,
    run: PlannedRun,
    protocol: Protocol,
    options: Options,
    emit: Emit,
) -> RunSpec:
    """A job with all that the study's runs have in common."""
    device, reason = choose_device(options.device)
    if reason:
        emit(Event(kind="warning", text=reason))
    return RunSpec(
        study_dir=study_dir.resolve(),
        cache_dir=cache_dir.resolve(),
        pixels_path=Path(str(image_set.images_NHWC.filename)),  # type: ignore[attr-defined]
        split_fingerprint=split_fingerprint(read_rows(study_dir / "split.csv")),
        run=run,
        protocol=protocol,
        learning_rate=0.0,
        device=device,
        precision=options.precision,
        num_threads=options.threads or max(1, count_usable_cores() // options.jobs),
        reads_test=options.reads_test,
        keeps_weights=options.keep_weights != "none",
        anneals=options.anneal,
    )


def _find_rates(
    study_dir: Path, template: RunSpec, missing: Sequence[PlannedRun], options: Options, emit: Emit
) -> dict[str, float]:
    """The learning rate of every label: the protocol's, or the sweep's, which runs where neither is there.

    Runs of a network that no rate was found for are failures.
    """
    known = chosen_rates(study_dir)
    labels = {run.label: run for run in missing}
    found = {label: template.protocol.learning_rate(label) or known.get(label) for label in labels}
    swept = [replace(template, run=replace(labels[label], seed=0)) for label, rate in found.items() if rate is None]
    reasons = sweep_rates(study_dir, swept, num_parallel=options.jobs, emit=emit, fail_fast=options.fail_fast)
    for run in missing:
        if run.label in reasons:
            _append_failure(study_dir, run, reasons[run.label], emit)
    known = chosen_rates(study_dir)
    rates = {label: rate or known.get(label) for label, rate in found.items()}
    return {label: rate for label, rate in rates.items() if rate is not None}


def _measure_latencies(
    study_dir: Path, records: Sequence[RunRecord], named: Collection[str], options: Options, emit: Emit
) -> None:
    """Measure all networks anew, side by side, where the file does not hold just these.

    A study's own networks are code of its owner's: only those that were named now are built.
    """
    known = list(dict.fromkeys((record.network, record.has_stn) for record in records))
    left_out = [(name, has_stn) for name, has_stn in known if is_user_defined(name) and name not in named]
    networks = [network for network in known if network not in left_out]
    there = {
        (row["network"], row["has_stn"] == "True")
        for row in read_rows(study_dir / "latency.csv", ("network", "has_stn", "runtime"))
        if not is_exported(row)
    }
    if there - set(left_out) == set(networks):
        return
    if left_out:
        names = ", ".join(network_label(*network) for network in left_out)
        text = f"latency is not measured of {names}: a network of your own is only built where it is named again"
        emit(Event(kind="warning", text=text))
    emit(Event(kind="latency", num_done=0, num_total=len(networks)))
    record = records[0]
    job = {
        "study_dir": str(study_dir.resolve()),
        "networks": networks,
        "num_classes": len(record.class_names),
        "image_size": record.image_size,
        "device": record.device,
        "num_threads": options.threads or count_usable_cores(),
    }
    task = Task(
        kind="latency",
        job_json=json.dumps(job),
        log_path=study_dir / "latency-log.txt",
        num_threads=int(str(job["num_threads"])),
    )
    outcomes = run_tasks([task], num_parallel=1, emit=emit, is_over=lambda outcome: False)
    if outcomes and outcomes[0].reason:
        emit(Event(kind="warning", text=f"latency was not measured: {outcomes[0].reason}"))


def _append_failure(study_dir: Path, run: PlannedRun, reason: str, emit: Emit, *, kind: FailureKind = "error") -> None:
    append_failure(study_dir, Failure(**vars(run), reason=reason, failed_at=utc_now(), kind=kind))
    emit(Event(kind="failed", label=run.label, seed=run.seed, text=reason))


@dataclass(frozen=True, kw_only=True)
class Size:
    """What one run of a network keeps on disk."""

    weights_bytes: int
    state_bytes: int
    """Of `state.pt` while it trains: weights and momentum."""


def _tell_plan(
    study_dir: Path,
    runs: Sequence[PlannedRun],
    missing: Sequence[PlannedRun],
    protocol: Protocol,
    sizes: Mapping[str, Size],
    options: Options,
    emit: Emit,
) -> None:
    known = chosen_rates(study_dir)
    swept = {run.label for run in missing if protocol.learning_rate(run.label) is None and run.label not in known}
    disk_bytes = count_disk_bytes(
        missing,
        sizes,
        num_parallel=options.jobs,
        keeps_weights=options.keep_weights != "none",
        anneals=options.anneal,
    )
    text = plan_text(
        runs,
        missing,
        protocol,
        num_parallel=options.jobs,
        num_swept=len(swept),
        disk_bytes=disk_bytes,
        anneals=options.anneal,
    )
    emit(Event(kind="planned", text=text, num_total=len(runs)))
    free_bytes = shutil.disk_usage(study_dir).free
    if free_bytes < disk_bytes:
        need, there = render_bytes(disk_bytes), render_bytes(free_bytes)
        emit(Event(kind="warning", text=f"the runs need {need} and the disk of {study_dir} has {there} free"))
    for run in runs:
        status = "waiting" if run in missing else "finished"
        emit(Event(kind="queued", label=run.label, seed=run.seed, status=status))


def measure_networks(
    runs: Iterable[PlannedRun], *, num_classes: int, image_size: int
) -> tuple[dict[str, Size], dict[str, str]]:
    """Return the sizes of the runs' networks, and why others cannot be built, both by label."""
    sizes: dict[str, Size] = {}
    reasons: dict[str, str] = {}
    for run in {run.label: run for run in runs}.values():
        if is_user_defined(run.network):
            continue
        try:
            sizes[run.label] = _measure(run, num_classes, image_size)
        except Exception as error:  # whatever a library's network does not like
            reasons[run.label] = " ".join(str(error).split()) or type(error).__name__
    return sizes, reasons


def _measure(run: PlannedRun, num_classes: int, image_size: int) -> Size:
    from roadtest.networks import build_on_meta
    from roadtest.training.profile import count_parameters

    network = build_on_meta(run.network, num_classes=num_classes, image_size=image_size, has_stn=run.has_stn)
    weights_bytes = sum(tensor.nbytes for tensor in network.state_dict().values())
    return Size(weights_bytes=weights_bytes, state_bytes=weights_bytes + 4 * count_parameters(network))


def count_disk_bytes(
    missing: Sequence[PlannedRun],
    sizes: Mapping[str, Size],
    *,
    num_parallel: int,
    keeps_weights: bool,
    anneals: bool = False,
) -> int:
    """Bytes that the missing runs need at most: all weights, and the states of those that train at the same time."""
    known = [sizes[run.label] for run in missing if run.label in sizes]
    states = sorted((size.state_bytes for size in known), reverse=True)[:num_parallel]
    kept_bytes = sum(size.weights_bytes for size in known) if keeps_weights else 0
    # A state is replaced by a whole new one; beside a branch's two lies that of the run.
    return kept_bytes + (3 if anneals else 2) * sum(states)


def plan_text(
    runs: Sequence[PlannedRun],
    missing: Sequence[PlannedRun],
    protocol: Protocol,
    *,
    num_parallel: int,
    num_swept: int,
    disk_bytes: int,
    anneals: bool = False,
) -> str:
    """`12 runs, about 2 h 05 min of training, 6.4 GB`: what is about to be spent."""
    words = [plural(len(runs), "run")]
    if len(missing) < len(runs):
        words.append(f"{len(runs) - len(missing)} of them finished")
    if missing and protocol.budget_seconds is None:
        words.append(f"at most {protocol.max_epochs} epochs each")
    elif missing and protocol.budget_seconds is not None:
        rounds = -(-len(missing) // num_parallel)
        seconds = rounds * protocol.budget_seconds
        words.append(f"about {render_duration(seconds)} of training")
        if anneals:
            words.append(f"about {render_duration(seconds * branch_share(protocol))} of annealed copies beside it")
    if num_swept:
        tried = f"{len(protocol.sweep_rates)} learning rates for {plural(num_swept, 'network')}"
        words.append(f"before it {tried}, {render_duration(protocol.sweep_seconds)} each")
    if missing and disk_bytes:
        is_all_known = not any(is_user_defined(run.network) for run in missing)
        words.append(render_bytes(disk_bytes) if is_all_known else f"at least {render_bytes(disk_bytes)}")
    return ", ".join(words)


def branch_share(protocol: Protocol) -> float:
    """What the branches of a run take, over the steps that its whole budget pays for."""
    return protocol.decay_fraction * sum(BRANCH_FRACTIONS)


def render_bytes(num_bytes: float) -> str:
    """`850 kB`, `6.4 GB`: two digits at least."""
    for unit in ("kB", "MB", "GB"):
        num_bytes /= 1000
        if num_bytes < 999.5 or unit == "GB":
            break
    return f"{num_bytes:.1f} {unit}" if num_bytes < 9.95 else f"{num_bytes:.0f} {unit}"


COLUMNS = (
    "network",
    "has_stn",
    "learning_rate",
    "seed",
    "num_epochs",
    "train_seconds",
    "val_loss",
    "val_accuracy",
    "is_chosen",
)


def chosen_rates(study_dir: Path) -> dict[str, float]:
    """The rate of every network that was swept, by label."""
    return {
        network_label(row["network"], row["has_stn"] == "True"): float(row["learning_rate"])
        for row in read_rows(study_dir / "sweep.csv", {**dict.fromkeys(COLUMNS, str), "learning_rate": float})
        if row["is_chosen"] == "True"
    }


def sweep_rates(
    study_dir: Path,
    jobs: Sequence[RunSpec],
    *,
    num_parallel: int,
    emit: Callable[[Event], None],
    fail_fast: bool = False,
) -> dict[str, str]:
    """Try every rate for every job's network, write sweep.csv, and return why networks failed, by label.

    The jobs carry everything but the rate. With `fail_fast` the first failure is the last.
    """
    reasons: dict[str, str] = {}
    tasks = [
        Task(
            kind="sweep",
            job_json=job.to_json(),
            log_path=study_dir / "sweep-log.txt",
            label=job.run.label,
            seed=job.run.seed,
            num_threads=job.num_threads,
        )
        for job in jobs
    ]

    def tell_trial(event: Event) -> None:
        if event.kind == "trial":
            loss = "no number" if event.val_loss is None else f"{event.val_loss:.4f}"
            emit(Event(kind="sweep", label=event.label, text=f"rate {event.learning_rate:g}: validation loss {loss}"))

    def is_over(outcome: Outcome) -> bool:
        if outcome.is_stopped:
            return False
        reason = outcome.reason or _keep_rows(study_dir, outcome, emit)
        if reason is not None:
            reasons[outcome.task.label] = reason
        return reason is not None and fail_fast

    run_tasks(tasks, num_parallel=num_parallel, emit=tell_trial, is_over=is_over)
    return reasons


def _keep_rows(study_dir: Path, outcome: Outcome, emit: Callable[[Event], None]) -> str | None:
    """Write a network's rows with the choice among them; return why there is none."""
    job = RunSpec.from_json(outcome.task.job_json)
    rows = [_row(job, event) for event in outcome.events if event.kind == "trial"]
    best = min(rows, key=lambda row: float(row["val_loss"]))
    is_found = math.isfinite(best["val_loss"])
    if is_found:
        best["is_chosen"] = True
        emit(Event(kind="sweep", label=job.run.label, text=f"rate {best['learning_rate']:g} is chosen"))
    write_rows(study_dir / "sweep.csv", [*_rows_of_others(study_dir, job), *rows], COLUMNS)
    return None if is_found else "the loss is no number at any rate of the sweep: give --lr"


def _rows_of_others(study_dir: Path, job: RunSpec) -> list[dict[str, str]]:
    """What sweep.csv holds of other networks; a network that is swept again begins anew."""
    key = (job.run.network, str(job.run.has_stn))
    rows = read_rows(study_dir / "sweep.csv", COLUMNS)
    return [row for row in rows if (row["network"], row["has_stn"]) != key]


def _row(job: RunSpec, event: Event) -> dict[str, Any]:
    """A row of sweep.csv; a trial that diverged told no figures."""
    has_figures = event.val_loss is not None and math.isfinite(event.val_loss)
    return {
        "network": job.run.network,
        "has_stn": job.run.has_stn,
        "learning_rate": event.learning_rate,
        "seed": job.run.seed,
        "num_epochs": round(event.epoch or 0.0, 4),
        "train_seconds": round(event.train_seconds or 0.0, 3),
        "val_loss": event.val_loss if has_figures else math.inf,
        "val_accuracy": (event.val_accuracy or 0.0) if has_figures else 0.0,
        "is_chosen": False,
    }
