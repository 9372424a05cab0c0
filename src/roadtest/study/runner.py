"""The work of a study: rates, runs, latencies, report. Each step does what is missing and nothing twice."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from roadtest.data.split import copy_test_reads, split_fingerprint
from roadtest.machine import choose_device, count_usable_cores
from roadtest.networks.user_file import is_user_defined
from roadtest.records import (
    Failure,
    PlannedRun,
    RunRecord,
    append_failure,
    is_finished,
    network_label,
    read_records,
    read_rows,
    utc_now,
)
from roadtest.records.events import Event, RunSpec
from roadtest.records.measurements import is_exported
from roadtest.records.schema import FailureKind
from roadtest.report import write_report
from roadtest.study.folder import keep_chosen_weights
from roadtest.study.launch import Outcome, Task, run_tasks
from roadtest.study.resolve import StudyContext
from roadtest.study.spending import announce_study, measure_networks
from roadtest.study.sweep import chosen_rates, sweep_rates


def train_missing(context: StudyContext) -> None:
    """Find the missing rates, then do every run that is not complete."""
    study_dir, options, protocol = context.study_dir, context.options, context.protocol
    missing = [run for run in context.runs if not is_finished(study_dir / run.folder)]
    for run in context.runs:
        if run not in missing:  # a kill may have come between a run's record and its last act
            for name in ("state.pt", "branch.pt"):  # the names of training/checkpoint.py, which imports torch
                (study_dir / run.folder / name).unlink(missing_ok=True)
    shape = {"num_classes": context.image_set.num_classes, "image_size": protocol.image_size}
    sizes, reasons = measure_networks(missing, **shape)
    known = chosen_rates(study_dir)
    swept = {run.label for run in missing if protocol.learning_rate(run.label) is None and run.label not in known}
    announce_study(context, missing, sizes, num_swept=len(swept))
    if sizes:
        from roadtest.networks.advice import remark_on_networks  # imports torch, which a finished study does not need

        for remark in remark_on_networks([run for run in missing if run.label in sizes], **shape):
            context.emit(Event(kind="warning", text=remark))
    missing = _without_failed(context, missing, reasons)
    if not missing or (reasons and options.fail_fast):
        return
    template = build_template(context, missing[0])
    reasons = _sweep(context, template, [run for run in missing if run.label in swept])
    missing = _without_failed(context, missing, reasons)
    if not missing or (reasons and options.fail_fast):
        return
    known = chosen_rates(study_dir)
    rates = {run.label: protocol.learning_rate(run.label) or known.get(run.label) for run in missing}
    num_jobs = max(1, min(options.jobs, len(missing)))
    specs = [
        replace(template, run=run, learning_rate=rate, num_jobs=num_jobs)
        for run in missing
        if (rate := rates[run.label]) is not None
    ]
    tasks = [Task.of("run", spec, spec.run_dir / "log.txt") for spec in specs]

    def is_over(outcome: Outcome) -> bool:
        if outcome.reason is not None:
            run = RunSpec.from_json(outcome.task.job_json).run
            _append_failure(context, run, outcome.reason, kind=outcome.kind)
        return outcome.reason is not None and options.fail_fast

    run_tasks(tasks, num_parallel=options.jobs, emit=context.emit, is_over=is_over)


def finish(context: StudyContext) -> None:
    """Measure latencies, copy the log of test readings, drop weights that are not wanted, and write the report."""
    study_dir, options, emit = context.study_dir, context.options, context.emit
    records = read_records(study_dir)
    copy_test_reads(context.cache_dir, study_dir, context.image_set.tested_fingerprint)
    if records:
        _measure_latencies(context, records)
    if options.keep_weights == "chosen" and records:
        keep_chosen_weights(study_dir, records)
    num_unread = sum(record.test is None for record in records)
    if options.reads_test and num_unread and len(context.image_set.indices_of("test")):
        text = f"{num_unread} finished runs did not read the test set, and none is repeated: --fresh begins anew"
        emit(Event(kind="warning", text=text))
    num_alone = sum(not (study_dir / record.run.folder / "branches.csv").exists() for record in records)
    if options.anneal and num_alone:
        text = f"{num_alone} finished runs have no annealed copies, and none is repeated: --fresh begins anew"
        emit(Event(kind="warning", text=text))
    emit(Event(kind="phase", text="writing the report"))
    write_report(study_dir, has_images=options.has_images)


def build_template(context: StudyContext, run: PlannedRun) -> RunSpec:
    """A spec with all that the study's runs have in common."""
    options, study_dir = context.options, context.study_dir
    device, reason = choose_device(options.device)
    if reason:
        context.emit(Event(kind="warning", text=reason))
    return RunSpec(
        study_dir=study_dir.resolve(),
        cache_dir=context.cache_dir.resolve(),
        pixels_path=Path(str(context.image_set.images_NHWC.filename)),  # type: ignore[attr-defined]
        split_fingerprint=split_fingerprint(read_rows(study_dir / "split.csv")),
        run=run,
        protocol=context.protocol,
        learning_rate=0.0,
        device=device,
        precision=options.precision,
        num_threads=options.threads or max(1, count_usable_cores() // options.jobs),
        reads_test=options.reads_test,
        keeps_weights=options.keep_weights != "none",
        anneals=options.anneal,
    )


def _sweep(context: StudyContext, template: RunSpec, runs: Sequence[PlannedRun]) -> dict[str, str]:
    """Sweep the networks of these runs on seed 0's fold; why networks have no rate, by label."""
    options, labels = context.options, {run.label: run for run in runs}
    specs = [replace(template, run=replace(run, seed=0)) for run in labels.values()]
    return sweep_rates(
        context.study_dir, specs, num_parallel=options.jobs, emit=context.emit, fail_fast=options.fail_fast
    )


def _without_failed(context: StudyContext, missing: Sequence[PlannedRun], reasons: dict[str, str]) -> list[PlannedRun]:
    """Note the runs whose network failed, by label, and give the others."""
    for run in missing:
        if run.label in reasons:
            _append_failure(context, run, reasons[run.label])
    return [run for run in missing if run.label not in reasons]


def _append_failure(context: StudyContext, run: PlannedRun, reason: str, *, kind: FailureKind = "error") -> None:
    append_failure(context.study_dir, Failure(**vars(run), reason=reason, failed_at=utc_now(), kind=kind))
    context.emit(Event(kind="failed", label=run.label, seed=run.seed, text=reason))


def _measure_latencies(context: StudyContext, records: Sequence[RunRecord]) -> None:
    """Measure all networks anew, side by side, where the file does not hold just these.

    A study's own networks are code of its owner's: only those that were named now are built.
    """
    study_dir, named = context.study_dir, {run.network for run in context.runs}
    known = list(dict.fromkeys((record.network, record.has_stn) for record in records))
    left_out = [(name, has_stn) for name, has_stn in known if is_user_defined(name) and name not in named]
    networks = [network for network in known if network not in left_out]
    rows = read_rows(study_dir / "latency.csv", ("network", "has_stn", "runtime"))
    there = {(row["network"], row["has_stn"] == "True") for row in rows if not is_exported(row)}
    if there - set(left_out) == set(networks):
        return
    if left_out:
        names = ", ".join(network_label(*network) for network in left_out)
        text = f"latency is not measured of {names}: a network of your own is only built where it is named again"
        context.emit(Event(kind="warning", text=text))
    context.emit(Event(kind="latency", num_done=0, num_total=len(networks)))
    record, num_threads = records[0], context.options.threads or count_usable_cores()
    job = {
        "study_dir": str(study_dir.resolve()),
        "networks": networks,
        "num_classes": len(record.class_names),
        "image_size": record.image_size,
        "device": record.device,
        "num_threads": num_threads,
    }
    log_path = study_dir / "latency-log.txt"
    task = Task(kind="latency", job_json=json.dumps(job), log_path=log_path, num_threads=num_threads)
    outcomes = run_tasks([task], num_parallel=1, emit=context.emit, is_over=lambda outcome: False)
    if outcomes and outcomes[0].reason:
        context.emit(Event(kind="warning", text=f"latency was not measured: {outcomes[0].reason}"))
