"""What was run, where and under which protocol, as short lines: the summary, the machines, the fingerprints."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roadtest.record import Machine, RunRecord, read_rows
from roadtest.report import words
from roadtest.report.findings import collapsed_seeds
from roadtest.summarise import Results

BUSY_LOAD = 0.1
"""Share of the usable cores that other programs used when a run began; above it times are not to be trusted."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of the summary: a term, and what there is to say."""

    term: str
    text: str


def summary_facts(results: Results) -> list[Fact]:
    """The study in a few lines: data, runs, protocol, machine, the test set."""
    info = results.info
    facts = [
        Fact(term="Data", text=_data_words(results)),
        Fact(term="Runs", text=_run_words(results)),
        Fact(term="Protocol", text=_protocol_words(results)),
    ]
    kinds = _machine_kinds(results.records)
    if kinds:
        more = f", and {len(kinds) - 1} more" if len(kinds) > 1 else ""
        facts.append(Fact(term="Machine", text=f"{next(iter(kinds))}{more}"))
    facts.append(Fact(term="Test set", text=test_reads(results)))
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
    text += f" of {results.info.test_title}" if results.info.test_title else ""
    if 0 < num_units < len(tests):
        text += f" in {words.plural(num_units, 'track')}"
        if results.has_recovered_tracks:
            text = f"{text.removesuffix('s')}-like groups recovered from them"
    return text


def _run_words(results: Results) -> str:
    planned, done = len(results.info.runs), len(results.records)
    seeds = words.plural_range([len(variant.planned) for variant in results.variants], "seed")
    failed = sum(len(variant.failures) for variant in results.variants)
    marked = sum(record.is_undertrained for record in results.records)
    text = f"{words.plural(len(results.variants), 'network')} × {seeds}"
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


def machine_facts(records: Sequence[RunRecord]) -> list[Fact]:
    """Each kind of machine and setting once, with the number of its runs; which ones, where there are several kinds."""
    kinds = _machine_kinds(records)
    return [
        Fact(term=words.plural(len(runs), "run"), text=f"{kind}: {_run_names(runs)}" if len(kinds) > 1 else kind)
        for kind, runs in kinds.items()
    ]


def _machine_kinds(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """The runs of each kind of machine and setting, the kind with most of them first."""
    kinds: dict[str, list[RunRecord]] = {}
    for record in records:
        kinds.setdefault(_machine_words(record), []).append(record)
    return dict(sorted(kinds.items(), key=lambda pair: -len(pair[1])))


def _run_names(records: Sequence[RunRecord]) -> str:
    """`lenet5, seeds 0 and 1; vgg16, seed 0`."""
    seeds: dict[str, list[str]] = {}
    for record in records:
        seeds.setdefault(record.label, []).append(str(record.seed))
    return "; ".join(f"{label}, seed{'s' * (len(of) > 1)} {words.listed(of)}" for label, of in seeds.items())


def _machine_words(record: RunRecord) -> str:
    machine: Machine = record.machine
    where = machine.gpu_name if machine.gpu_name and record.device.startswith("cuda") else machine.cpu_name
    torch = machine.versions.get("torch")
    parts = [
        where,
        words.plural(machine.num_cores, "core"),
        words.size(machine.memory_bytes) + " memory",
        f"{record.device} with {words.plural(record.num_threads, 'thread')}",
        *([f"up to {record.num_jobs} runs at a time"] if record.num_jobs > 1 else []),
        record.precision,
        machine.system,
        *([f"torch {torch}"] if torch else []),
    ]
    return ", ".join(parts)


def protocol_facts(protocol: dict[str, Any]) -> list[Fact]:
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


def fingerprint_facts(results: Results) -> list[Fact]:
    """What tells one study's data, protocol, split and software from another's."""
    info = results.info
    splits = list(dict.fromkeys(record.split_fingerprint for record in results.records))
    builds = list(dict.fromkeys(_build_words(record.machine) for record in results.records))
    return [
        Fact(term="Data", text=info.data_fingerprint),
        *([Fact(term="Test data", text=info.test_fingerprint)] if info.test_fingerprint else []),
        Fact(term="Protocol", text=info.protocol_fingerprint),
        *(Fact(term="Split", text=split) for split in splits),
        *(Fact(term="Software", text=build) for build in builds),
    ]


def _build_words(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    commit = f", commit {machine.commit}" if machine.commit else ""
    return f"{versions}, python {machine.python}{commit}"


def test_reads(results: Results) -> str:
    """How often these test labels have been looked at; a test set that is read often stops being one."""
    info = results.info
    if not info.num_test:
        return "no test set"
    rows = read_rows(results.study_dir / "test-reads.csv")
    here = sum(row.get("study") == results.study_dir.resolve().name for row in rows)
    if not rows:
        return "not read in this study" if not info.reads_test else "not read yet"
    own = f", {here:,} of them by this study" if 0 < here < len(rows) else ""
    whose = f"{info.test_title}: " if info.test_title else ""
    return f"{whose}read {words.plural(len(rows), 'time')} as far as is known{own}; once a run, after its choice"


def collapse_note(results: Results) -> str:
    """Seeds whose training came to nothing: they count like any other, and are listed; empty where there are none."""
    lost = [
        f"{variant.label}, seed {record.seed} ({words.percent(record.val.accuracy)} in validation)"
        for variant in results.variants
        if variant.is_compared
        for record in variant.records
        if record.seed in collapsed_seeds(variant.records)
    ]
    return f"Collapsed, and counted like any other run: {words.listed(lost)}." if lost else ""


def time_notes(results: Results) -> list[str]:
    """What a reader must know before trusting a time."""
    busy = [record for record in results.records if (record.machine.load or 0.0) > BUSY_LOAD]
    beside = [record for record in results.records if record.num_jobs > 1]
    moved = [record for record in results.records if not record.is_time_comparable]
    notes = []
    if busy:
        runs = words.listed([f"{record.label}, seed {record.seed}" for record in busy])
        notes.append(f"The machine was busy with other work beside {runs}: these times are not to be trusted.")
    if beside:
        share = f"{len(beside)} of {words.plural(len(results.records), 'run')}"
        notes.append(f"{share} worked with other runs of this study beside them: their times hold for that.")
    if moved:
        runs = words.listed([f"{record.label}, seed {record.seed}" for record in moved])
        notes.append(f"Continued under other conditions, so that their times are not comparable: {runs}.")
    if any(row["is_busy"] == "True" for row in results.latency_rows):
        notes.append("Some latencies were taken on a busy machine; the table marks them.")
    return notes
