"""The work of a study: rates, runs, latencies, report. Each step does what is missing and nothing twice."""

import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from roadtest.data.imageset import ImageSet
from roadtest.data.ledger import copy_test_reads
from roadtest.data.split import split_fingerprint
from roadtest.devices import is_exported
from roadtest.events import Event
from roadtest.job import Job
from roadtest.machine import choose_device, count_usable_cores
from roadtest.networks.own import is_own
from roadtest.protocol import Protocol
from roadtest.record import (
    Failure,
    PlannedRun,
    RunRecord,
    append_row,
    is_finished,
    network_label,
    read_records,
    read_rows,
    read_study_info,
    utc_now,
)
from roadtest.report import write_report
from roadtest.study.folder import keep_chosen_weights
from roadtest.study.launch import Outcome, Task, run_tasks
from roadtest.study.options import Options
from roadtest.study.probe import remark_on_networks
from roadtest.study.spending import Size, count_disk_bytes, measure_networks, plan_text, render_bytes
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
    missing = [run for run in runs if not is_finished(study_dir / run.folder)]
    _drop_states(study_dir, [run for run in runs if run not in missing])
    sizes, reasons = measure_networks(missing, num_classes=image_set.num_classes, image_size=protocol.image_size)
    _tell_plan(study_dir, runs, missing, protocol, sizes, options, tell)
    for remark in remark_on_networks(
        [run for run in missing if run.label in sizes],
        num_classes=image_set.num_classes,
        image_size=protocol.image_size,
    ):
        tell(Event(kind="warning", text=remark))
    for run in missing:
        if run.label in reasons:
            _append_failure(study_dir, run, reasons[run.label], tell)
    missing = [run for run in missing if run.label not in reasons]
    if not missing or (reasons and options.fail_fast):
        return
    template = job_template(study_dir, image_set, cache_dir, missing[0], protocol, options, tell)
    rates = _find_rates(study_dir, template, missing, options, tell)
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
            _append_failure(study_dir, Job.from_json(outcome.task.job_json).run, outcome.reason, tell)
        return outcome.reason is not None and options.fail_fast

    run_tasks(tasks, num_parallel=options.jobs, tell=tell, is_over=is_over)


def finish(
    study_dir: Path,
    image_set: ImageSet,
    cache_dir: Path,
    runs: Sequence[PlannedRun],
    options: Options,
    tell: Tell,
) -> None:
    """Measure latencies, copy the ledger's lines, drop weights that are not wanted, and write the report.

    `runs` are those that were asked for now; the study may hold others.
    """
    records = read_records(study_dir)
    copy_test_reads(cache_dir, study_dir, image_set.tested_fingerprint)
    if records:
        _measure_latencies(study_dir, records, {run.network for run in runs}, options, tell)
    if options.keep_weights == "chosen" and records:
        keep_chosen_weights(study_dir, records)
    num_unread = sum(record.test is None for record in records)
    if options.reads_test and num_unread and len(image_set.indices_of("test")):
        text = f"{num_unread} finished runs did not read the test set, and none is repeated: --fresh begins anew"
        tell(Event(kind="warning", text=text))
    num_alone = sum(not (study_dir / record.run.folder / "branches.csv").exists() for record in records)
    if options.anneal and num_alone:
        text = f"{num_alone} finished runs have no annealed copies, and none is repeated: --fresh begins anew"
        tell(Event(kind="warning", text=text))
    tell(Event(kind="phase", text="writing the report"))
    write_report(study_dir, has_images=options.has_images)


def _drop_states(study_dir: Path, finished: Sequence[PlannedRun]) -> None:
    """Delete what a run goes on from, where a kill came between its record and its last act."""
    for run in finished:
        for name in ("state.pt", "branch.pt"):  # the names of roadtest.state, which brings torch in
            (study_dir / run.folder / name).unlink(missing_ok=True)


def _tell_plan(
    study_dir: Path,
    runs: Sequence[PlannedRun],
    missing: Sequence[PlannedRun],
    protocol: Protocol,
    sizes: Mapping[str, Size],
    options: Options,
    tell: Tell,
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
    tell(Event(kind="planned", text=text, num_total=len(runs)))
    free_bytes = shutil.disk_usage(study_dir).free
    if free_bytes < disk_bytes:
        need, there = render_bytes(disk_bytes), render_bytes(free_bytes)
        tell(Event(kind="warning", text=f"the runs need {need} and the disk of {study_dir} has {there} free"))
    for run in runs:
        status = "waiting" if run in missing else "finished"
        tell(Event(kind="queued", label=run.label, seed=run.seed, status=status))


def job_template(
    study_dir: Path,
    image_set: ImageSet,
    cache_dir: Path,
    run: PlannedRun,
    protocol: Protocol,
    options: Options,
    tell: Tell,
) -> Job:
    """A job with all that the study's runs have in common."""
    device, reason = choose_device(options.device)
    if reason:
        tell(Event(kind="warning", text=reason))
    return Job(
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
    study_dir: Path, template: Job, missing: Sequence[PlannedRun], options: Options, tell: Tell
) -> dict[str, float]:
    """The learning rate of every label: the protocol's, or the sweep's, which runs where neither is there.

    Runs of a network that no rate was found for are failures.
    """
    known = chosen_rates(study_dir)
    labels = {run.label: run for run in missing}
    found = {label: template.protocol.learning_rate(label) or known.get(label) for label in labels}
    swept = [replace(template, run=replace(labels[label], seed=0)) for label, rate in found.items() if rate is None]
    reasons = sweep_rates(study_dir, swept, num_parallel=options.jobs, tell=tell, fail_fast=options.fail_fast)
    for run in missing:
        if run.label in reasons:
            _append_failure(study_dir, run, reasons[run.label], tell)
    known = chosen_rates(study_dir)
    rates = {label: rate or known.get(label) for label, rate in found.items()}
    return {label: rate for label, rate in rates.items() if rate is not None}


def _measure_latencies(
    study_dir: Path, records: Sequence[RunRecord], named: Collection[str], options: Options, tell: Tell
) -> None:
    """Measure all networks anew, side by side, where the file does not hold just these.

    A study's own networks are code of its owner's: only those that were named now are built.
    """
    known = list(dict.fromkeys((record.network, record.has_stn) for record in records))
    left_out = [(name, has_stn) for name, has_stn in known if is_own(name) and name not in named]
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
        tell(Event(kind="warning", text=text))
    tell(Event(kind="latency", num_done=0, num_total=len(networks)))
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
    outcomes = run_tasks([task], num_parallel=1, tell=tell, is_over=lambda outcome: False)
    if outcomes and outcomes[0].reason:
        tell(Event(kind="warning", text=f"latency was not measured: {outcomes[0].reason}"))


def _append_failure(study_dir: Path, run: PlannedRun, reason: str, tell: Tell) -> None:
    append_row(study_dir / "failures.csv", asdict(Failure(**vars(run), reason=reason, failed_at=utc_now())))
    tell(Event(kind="failed", label=run.label, seed=run.seed, text=reason))
