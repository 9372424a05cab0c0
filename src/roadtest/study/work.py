"""The work of a study: rates, runs, latencies, report. Each step does what is missing and nothing twice."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from roadtest.data.imageset import ImageSet
from roadtest.data.ledger import copy_test_reads
from roadtest.data.split import split_fingerprint
from roadtest.events import Event
from roadtest.job import Job
from roadtest.machine import choose_device, describe_machine
from roadtest.protocol import Protocol
from roadtest.record import (
    Failure,
    PlannedRun,
    RunRecord,
    append_row,
    read_records,
    read_rows,
    read_study_info,
)
from roadtest.report import write_report
from roadtest.study.folder import keep_chosen_weights
from roadtest.study.launch import Outcome, Task, run_tasks
from roadtest.study.options import Options
from roadtest.study.sweep import chosen_rates, sweep_rates

Tell = Callable[[Event], None]


def train_missing(
    study_dir: Path,
    image_set: ImageSet,
    cache_dir: Path,
    runs: Sequence[PlannedRun],
    options: Options,
    tell: Tell,
) -> None:
    """Find the missing rates, then do every run that is not complete."""
    protocol = Protocol.from_dict(read_study_info(study_dir).protocol)
    missing = [run for run in runs if not (study_dir / run.folder / "record.json").exists()]
    tell(Event(kind="planned", text=_plan_text(runs, missing, protocol, options.jobs), num_total=len(runs)))
    for run in runs:
        status = "waiting" if run in missing else "finished"
        tell(Event(kind="queued", label=run.label, seed=run.seed, status=status))
    if not missing:
        return
    device, reason = choose_device(options.device)
    if reason:
        tell(Event(kind="warning", text=reason))
    num_threads = options.threads or max(1, describe_machine().num_cores // options.jobs)
    template = Job(
        study_dir=study_dir.resolve(),
        cache_dir=cache_dir,
        pixels_path=Path(str(image_set.images_NHWC.filename)),  # type: ignore[attr-defined]
        split_fingerprint=split_fingerprint(read_rows(study_dir / "split.csv")),
        run=missing[0],
        protocol=protocol,
        learning_rate=0.0,
        device=device,
        precision=options.precision,
        num_threads=num_threads,
        reads_test=options.reads_test,
        keeps_weights=options.keep_weights != "none",
    )
    rates = _find_rates(study_dir, template, missing, options.jobs, tell)
    jobs = [replace(template, run=run, learning_rate=rates[run.label]) for run in missing if run.label in rates]
    tasks = [
        Task(
            kind="run",
            job_json=job.to_json(),
            log_path=job.run_dir / "log.txt",
            label=job.run.label,
            seed=job.run.seed,
            num_threads=num_threads,
        )
        for job in jobs
    ]

    def is_over(outcome: Outcome) -> bool:
        if outcome.reason is not None:
            _note_failure(study_dir, outcome, tell)
        return outcome.reason is not None and options.fail_fast

    run_tasks(tasks, num_parallel=options.jobs, tell=tell, is_over=is_over)


def finish(study_dir: Path, image_set: ImageSet, cache_dir: Path, options: Options, tell: Tell) -> None:
    """Measure latencies, copy the ledger's lines, drop weights that are not wanted, and write the report."""
    records = read_records(study_dir)
    copy_test_reads(cache_dir, study_dir, image_set.fingerprint)
    if records:
        _measure_latencies(study_dir, records, options, tell)
    if options.keep_weights == "chosen" and records:
        keep_chosen_weights(study_dir, records)
    tell(Event(kind="phase", text="writing the report"))
    write_report(study_dir, has_images=options.has_images)


def _find_rates(
    study_dir: Path, template: Job, missing: Sequence[PlannedRun], num_parallel: int, tell: Tell
) -> dict[str, float]:
    """The learning rate of every label: the protocol's, or the sweep's, which runs where neither is there."""
    known = chosen_rates(study_dir)
    rates, swept = {}, []
    for run in {run.label: run for run in missing}.values():
        rate = template.protocol.learning_rate(run.label) or known.get(run.label)
        if rate is None:
            swept.append(replace(template, run=replace(run, seed=0)))
        else:
            rates[run.label] = rate
    if swept:
        sweep_rates(study_dir, swept, num_parallel=num_parallel, tell=tell)
        found = chosen_rates(study_dir)
        for job in swept:
            if job.run.label in found:
                rates[job.run.label] = found[job.run.label]
        for run in missing:
            if run.label not in rates:
                reason = "no learning rate of the sweep trained it: see sweep-log.txt"
                _append_failure(study_dir, run, reason, tell)
    return rates


def _measure_latencies(study_dir: Path, records: Sequence[RunRecord], options: Options, tell: Tell) -> None:
    """Measure all networks anew, side by side, where the file does not hold just these."""
    networks = list(dict.fromkeys((record.network, record.has_stn) for record in records))
    there = {(row["network"], row["has_stn"] == "True") for row in read_rows(study_dir / "latency.csv")}
    if there == set(networks):
        return
    tell(Event(kind="latency", num_done=0, num_total=len(networks)))
    record = records[0]
    job = {
        "study_dir": str(study_dir.resolve()),
        "networks": networks,
        "num_classes": len(record.class_names),
        "image_size": record.image_size,
        "device": record.device,
        "num_threads": options.threads or describe_machine().num_cores,
    }
    task = Task(
        kind="latency",
        job_json=json.dumps(job),
        log_path=study_dir / "latency-log.txt",
        num_threads=int(str(job["num_threads"])),
    )
    outcomes = run_tasks([task], num_parallel=1, tell=tell, is_over=lambda outcome: False)
    if outcomes and outcomes[0].reason:
        tell(Event(kind="warning", text=f"latency was not measured: {outcomes[0].reason}"))
    tell(Event(kind="latency", num_done=len(networks), num_total=len(networks)))


def _note_failure(study_dir: Path, outcome: Outcome, tell: Tell) -> None:
    job = Job.from_json(outcome.task.job_json)
    assert outcome.reason is not None
    _append_failure(study_dir, job.run, outcome.reason, tell)


def _append_failure(study_dir: Path, run: PlannedRun, reason: str, tell: Tell) -> None:
    failed_at = datetime.now(UTC).isoformat(timespec="seconds")
    append_row(study_dir / "failures.csv", asdict(Failure(**vars(run), reason=reason, failed_at=failed_at)))
    tell(Event(kind="failed", label=run.label, seed=run.seed, text=reason))


def _plan_text(runs: Sequence[PlannedRun], missing: Sequence[PlannedRun], protocol: Protocol, num_parallel: int) -> str:
    """`6 runs, about 30 min of training, 2.4 GB`: what is about to be spent."""
    count = f"{len(runs)} run{'s' if len(runs) != 1 else ''}"
    if len(missing) < len(runs):
        count += f", {len(runs) - len(missing)} of them finished"
    if not missing:
        return count
    if protocol.budget_seconds is None:
        time = f"at most {protocol.max_epochs} epochs each"
    else:
        rounds = -(-len(missing) // num_parallel)
        time = f"about {_duration(rounds * protocol.budget_seconds)} of training"
    return f"{count}, {time}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
