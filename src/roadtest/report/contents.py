"""Everything that stands on the page, as plain values: the template only sets it.

Read from the study's folder through `roadtest.summarise`; words come from words.py, tables from result_tables.py,
figures from gallery.py. No markup here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roadtest.record import Failure, Machine, RunRecord, read_rows
from roadtest.report import error_tables, result_tables, words
from roadtest.report.table import Table
from roadtest.report.thumbnails import BeforeAfter, Mistake, stn_examples, worst_images
from roadtest.summarise import Results, best_variant, error_part, ranked_variants

BUSY_LOAD = 0.5
"""Runnable processes per core before a run; above it times are not to be trusted (record.Machine.load)."""
MAX_STN_EXAMPLES = 6


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of the summary: a term, and what there is to say."""

    term: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Where the best network errs."""

    label: str
    part: str
    """`test` or `validation`: whose images."""
    classes: Table | None
    pairs: Table | None
    mistakes: tuple[Mistake, ...]
    mistakes_text: str
    """What the pictures are, or why there are none."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The whole page."""

    title: str
    headline: str
    verdict: tuple[str, ...]
    facts: tuple[Fact, ...]
    leaderboard: Table
    latency: Table | None
    stn: Table | None
    stn_examples: tuple[BeforeAfter, ...]
    stn_examples_text: str
    errors: Errors | None
    errors_text: str
    runs: Table
    failures: tuple[Failure, ...]
    command: str
    machines: tuple[Fact, ...]
    protocol: tuple[Fact, ...]
    fingerprints: tuple[Fact, ...]
    test_reads: str
    notes: tuple[str, ...]
    created_on: str
    has_test: bool
    """Whether any run read a test set."""


def collect_contents(results: Results, board: list[dict[str, Any]], *, has_images: bool) -> Contents:
    """Gather what the page says about a study, as far as the study got."""
    info, best = results.info, best_variant(results)
    failures = tuple(failure for variant in results.variants for failure in variant.failures)
    examples = tuple(stn_examples(results, ranked_variants(results))[:MAX_STN_EXAMPLES]) if has_images else ()
    return Contents(
        title=f"Road test: {info.data_title}",
        headline=words.headline(results),
        verdict=tuple(words.verdict(results)),
        facts=tuple(_facts(results)),
        leaderboard=result_tables.leaderboard_table(results, board),
        latency=result_tables.latency_table(results),
        stn=result_tables.stn_table(results),
        stn_examples=examples,
        stn_examples_text=_why_no_examples(has_images),
        errors=_errors(results, has_images),
        errors_text="No network was trained long enough to look at its errors." if best is None else "",
        runs=result_tables.runs_table(results),
        failures=failures,
        command=info.command,
        machines=tuple(_machines(results.records)),
        protocol=tuple(_protocol(info.protocol)),
        fingerprints=tuple(_fingerprints(results)),
        test_reads=_test_reads(results),
        notes=(*info.notes, *_time_notes(results)),
        created_on=info.created_at[:10],
        has_test=any(record.test is not None for record in results.records),
    )


def _facts(results: Results) -> list[Fact]:
    info = results.info
    facts = [
        Fact(term="Data", text=_data_words(results)),
        Fact(term="Runs", text=_run_words(results)),
        Fact(term="Protocol", text=_protocol_words(results)),
    ]
    machines = _machines(results.records)
    if machines:
        more = f", and {len(machines) - 1} more" if len(machines) > 1 else ""
        facts.append(Fact(term="Machine", text=f"{machines[0].text}{more}"))
    facts.append(Fact(term="Test set", text=_test_reads(results)))
    if info.notes:
        facts.append(Fact(term="Note", text=" ".join(info.notes)))
    return facts


def _data_words(results: Results) -> str:
    info = results.info
    parts = [words.plural(len(info.class_names), "class", "classes"), f"{info.num_train:,} training images"]
    if info.num_tracks:
        parts[-1] += f" in {words.plural(info.num_tracks, 'track')}"
    if info.num_val:
        parts.append(f"{info.num_val:,} validation images")
    parts.append(_test_words(results) if info.num_test else "no test set")
    return f"{info.data_title}: {', '.join(parts)}"


def _test_words(results: Results) -> str:
    tests = [place for place, row in enumerate(results.split_rows) if row["split"] == "test"]
    num_units = len({int(results.units_N[place]) for place in tests})
    text = f"{results.info.num_test:,} test images"
    if 0 < num_units < len(tests):
        how = " recovered from the images" if results.has_recovered_tracks else ""
        text += f" in {words.plural(num_units, 'track')}{how}"
    return text


def _run_words(results: Results) -> str:
    planned, done = len(results.info.runs), len(results.records)
    seeds = len({run.seed for run in results.info.runs})
    failed = sum(len(variant.failures) for variant in results.variants)
    marked = sum(record.is_undertrained for record in results.records)
    text = f"{words.plural(len(results.variants), 'network')} × {words.plural(seeds, 'seed')}"
    state = [f"all {planned} runs finished" if done == planned else f"{done} of {planned} runs finished"]
    state += [f"{failed} failed"] if failed else []
    state += [f"{marked} with too little training to compare"] if marked else []
    return f"{text}; {', '.join(state)}"


def _protocol_words(results: Results) -> str:
    protocol = results.info.protocol
    side = protocol["image_size"]
    budget = protocol.get("budget_seconds")
    ends = [f"at most {protocol['max_epochs']} epochs"]
    ends += [f"patience {protocol['patience']}"] if protocol.get("patience") else []
    ends += [f"{words.seconds(budget)} of training a run"] if budget else []
    return f"{protocol['name']} ({results.info.protocol_fingerprint[:8]}): {side} × {side} pixels, {', '.join(ends)}"


def _errors(results: Results, has_images: bool) -> Errors | None:
    best = best_variant(results)
    if best is None:
        return None
    found = worst_images(results, best) if has_images else None
    if found is None:
        why = "Pictures were left out of this page." if not has_images else _why_no_mistakes(results)
        mistakes: tuple[Mistake, ...] = ()
        text = why
    else:
        record, listed = found
        mistakes = tuple(listed)
        count = words.plural(len(mistakes), "test image")
        text = f"The {count} that {best.label}, seed {record.seed}, got most wrong, worst first." if mistakes else ""
        text = text or f"{best.label}, seed {record.seed}, made no mistake on the test images."
    return Errors(
        label=best.label,
        part=words.PART_WORDS[error_part(results, best)],
        classes=error_tables.class_table(results, best),
        pairs=error_tables.pairs_table(results, best),
        mistakes=mistakes,
        mistakes_text=text,
    )


def _why_no_mistakes(results: Results) -> str:
    if not results.info.num_test:
        return "This data has no test set, and so no worst test images."
    if not results.info.reads_test:
        return "The test set was not read, and so there are no worst test images."
    return "This copy of the study holds no pictures of test images."


def _why_no_examples(has_images: bool) -> str:
    return "This copy of the study holds no pictures." if has_images else "Pictures were left out of this page."


def _machines(records: Sequence[RunRecord]) -> list[Fact]:
    """Each kind of machine and setting once, with the runs it did."""
    kinds: dict[str, list[str]] = {}
    for record in records:
        kinds.setdefault(_machine_words(record), []).append(f"{record.label}/{record.seed}")
    facts = [Fact(term=words.plural(len(runs), "run"), text=kind) for kind, runs in kinds.items()]
    return sorted(facts, key=lambda fact: -int(fact.term.split()[0].replace(",", "")))


def _machine_words(record: RunRecord) -> str:
    machine: Machine = record.machine
    where = machine.gpu_name if machine.gpu_name and record.device.startswith("cuda") else machine.cpu_name
    torch = machine.versions.get("torch")
    parts = [
        where,
        words.plural(machine.num_cores, "core"),
        words.size(machine.memory_bytes) + " memory",
        f"{record.device} with {words.plural(record.num_threads, 'thread')}",
        record.precision,
        machine.system,
        *([f"torch {torch}"] if torch else []),
    ]
    return ", ".join(parts)


def _protocol(protocol: dict[str, Any]) -> list[Fact]:
    """Every field, nested ones with a dot."""
    facts = []
    for name, value in protocol.items():
        if isinstance(value, dict):
            facts += [Fact(term=f"{name}.{inner}", text=_plain(of)) for inner, of in value.items()]
        else:
            facts.append(Fact(term=name, text=_plain(value)))
    return facts


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _fingerprints(results: Results) -> list[Fact]:
    info = results.info
    splits = list(dict.fromkeys(record.split_fingerprint for record in results.records))
    builds = list(dict.fromkeys(_build_words(record.machine) for record in results.records))
    return [
        Fact(term="Data", text=info.data_fingerprint),
        Fact(term="Protocol", text=info.protocol_fingerprint),
        *(Fact(term="Split", text=split) for split in splits),
        *(Fact(term="Software", text=build) for build in builds),
    ]


def _build_words(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    commit = f", commit {machine.commit}" if machine.commit else ""
    return f"{versions}, python {machine.python}{commit}"


def _test_reads(results: Results) -> str:
    """How often these test labels have been looked at; a test set that is read often stops being one."""
    info = results.info
    if not info.num_test:
        return "no test set"
    rows = read_rows(results.study_dir / "test-reads.csv")
    here = sum(row.get("study") == results.study_dir.resolve().name for row in rows)
    if not rows:
        return "not read in this study" if not info.reads_test else "not read yet"
    own = f", {here:,} of them by this study" if 0 < here < len(rows) else ""
    return f"read {words.plural(len(rows), 'time')} on this machine so far{own}; once a run, after its choice"


def _time_notes(results: Results) -> list[str]:
    busy = [record for record in results.records if (record.machine.load or 0.0) > BUSY_LOAD]
    moved = [record for record in results.records if not record.is_time_comparable]
    notes = []
    if busy:
        share = f"{len(busy)} of {words.plural(len(results.records), 'run')}"
        notes.append(f"The machine was busy with other work when {share} started: their times are not to be trusted.")
    if moved:
        runs = words.listed([f"{record.label}, seed {record.seed}" for record in moved])
        notes.append(f"Continued under other conditions, so that their times are not comparable: {runs}.")
    if any(row["is_busy"] == "True" for row in results.latency_rows):
        notes.append("Some latencies were taken on a busy machine; the table marks them.")
    return notes
