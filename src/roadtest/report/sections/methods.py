"""How the study was judged, for a methods section; what was run, where and under which protocol; how to repeat it.

Names the unit of error (track, recovered track, probable frame chain, group, single image), for every interval rests on
it. References are numbered as the text calls for them.
"""

import json
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roadtest.analysis import Results, judge_networks, repeat_commands, seed_rows, stats
from roadtest.format import (
    DASH,
    Row,
    capitalise,
    format_bytes,
    format_count,
    format_percent,
    format_percent_bare,
    format_seconds,
    join_words,
    number_word,
    plural,
    plural_range,
)
from roadtest.records import Machine, RunRecord, network_label, read_rows, row_label
from roadtest.report.blocks import (
    Cell,
    Column,
    Command,
    Context,
    Details,
    Fact,
    Facts,
    Heading,
    Items,
    Section,
    Table,
    Text,
    Words,
    describe_status,
    make_table,
    present,
)
from roadtest.report.page import render_text
from roadtest.report.sections.curves import collapsed_seeds

REFERENCES = {
    "bouthillier": "Bouthillier et al., Accounting for variance in machine learning benchmarks, MLSys 2021.",
    "clopper": "Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26, 1934.",
    "holm": "Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, "
    "1979.",
    "jaderberg": "Jaderberg et al., Spatial transformer networks, NeurIPS 2015.",
    "owen": "Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007.",
    "piepho": "Piepho, An algorithm for a letter-based representation of all-pairwise comparisons, Journal of "
    "Computational and Graphical Statistics 13, 2004.",
    "satterthwaite": "Satterthwaite, An approximate distribution of estimates of variance components, Biometrics "
    "Bulletin 2, 1946.",
    "searle": "Searle, Casella and McCulloch, Variance Components, Wiley 1992.",
    "stallkamp": "Stallkamp et al., Man vs. computer: benchmarking machine learning algorithms for traffic sign "
    "recognition, Neural Networks 32, 2012.",
    "ward": "Ward, Hierarchical grouping to optimize an objective function, Journal of the American Statistical "
    "Association 58, 1963.",
    "welch": "Welch, The generalization of “Student’s” problem when several different population variances are "
    "involved, Biometrika 34, 1947.",
}


def section(context: Context) -> Section:
    """The paragraphs, and the references that they call for."""
    paragraphs, references = describe_methods(context.results)
    blocks = present(
        *(Text(text=paragraph) for paragraph in paragraphs),
        Items(items=references, kind="references") if references else None,
    )
    return Section(title="How it was judged", anchor="methods", short_title="Methods", blocks=blocks)


def describe_methods(results: Results) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say how the study was trained, split and judged, only what was done; then the references by number."""
    info, judged, cited = results.info, judge_networks(results), dict[str, int]()

    def cite(name: str) -> str:
        return f"[{cited.setdefault(name, len(cited) + 1)}]"

    num_networks = len({run.network for run in info.runs})
    most_seeds = max((len(variant.records) for variant in results.variants), default=0)
    text = render_text(
        "methods.txt.jinja",
        cite=cite,
        networks=f"{capitalise(number_word(num_networks))} network{'s' * (num_networks != 1)}",
        seeds=plural_range([len(variant.planned) for variant in results.variants], "seed"),
        has_stn=any(run.has_stn for run in info.runs),
        protocol=info.protocol["name"],
        num_folds=int(info.protocol["num_folds"]),
        is_folded=not info.num_val,
        is_crossed=bool(info.num_val) or judged.split == "test",
        is_gtsrb=info.source == "gtsrb",
        reads_test=info.reads_test,
        subject=info.subject,
        unit=name_unit(results, judged.split) if results.split_rows else "",
        has_variance=most_seeds >= stats.MIN_SEEDS,
        num_pairs=sum(verdict.p_adjusted is not None for verdict in judged.verdicts),
        tolerance=f"{results.tolerance_points:g}",
    )
    return tuple(filter(None, text.splitlines())), tuple(REFERENCES[name] for name in cited)


def name_unit(results: Results, split: str) -> str:
    """The unit of error: `track`, `recovered track`, `probable frame chain`, `group` or `single image`."""
    place = "test" if split == "test" else "val" if results.info.num_val else "train"
    groups = {row["group"] for row in results.split_rows if row["split"] == place} - {""}
    if not groups:
        return "single image"
    if split == "test" and results.has_recovered_tracks:
        return "recovered track"
    # studies before the field: only the command says it
    is_old = not results.info.group_origin and re.search(r"--group[ =]auto\b", results.info.command)
    if results.info.group_origin == "auto" or is_old:
        return "probable frame chain"
    return "track" if results.info.source in ("gtsrb", "signs") else "group"


MAX_OPEN_ROWS = 40
"""A longer table of runs is folded."""
BUSY_LOAD = 0.1
"""Share of the usable cores that other programs used when a run began; above it times are not to be trusted."""


def runs_section(context: Context) -> Section:
    """Every run, failures, notes and machines."""
    results = context.results
    failures = [failure for variant in results.variants for failure in variant.failures]
    failed = tuple(f"{network_label(f.network, f.has_stn)}, seed {f.seed}: {f.reason}" for f in failures)
    notes = (*results.info.notes, *collapse_notes(results), *time_notes(results))
    machines = tuple(machine_facts(results.records))
    table = runs_table(results)
    summary = f"All {len(table.rows)} runs, as a table"
    blocks = (
        Details(summary=summary, blocks=(table,)) if len(table.rows) > MAX_OPEN_ROWS else table,
        *((Heading(text="Failures"), Items(items=failed)) if failed else ()),
        *((Heading(text="Notes"), Items(items=notes)) if notes else ()),
        *((Heading(text="Where"), Facts(facts=machines)) if machines else ()),
    )
    rows = {"runs": seed_rows(results)}
    return Section(title="What was run", anchor="runs", short_title="Runs", blocks=blocks, csv=rows)


def repeat_section(context: Context) -> Section:
    """The command, and what identifies this study's data, protocol and software."""
    results = context.results
    commands = [portable_command(command, results) for command in repeat_commands(results)]
    same = "Two studies may be compared where protocol and data have the same fingerprints."
    protocol = Facts(facts=tuple(protocol_facts(results.info.protocol)), kind="fields")
    blocks = (
        Command(command="\n".join(commands)),
        Text(text=f"{same} The test set: {test_reads(results)}."),
        Facts(facts=tuple(fingerprint_facts(results)), kind="prints"),
        Details(summary="The protocol, every field", blocks=(protocol,)),
    )
    return Section(title="How to repeat it", anchor="repeat", short_title="Repeat", blocks=blocks)


def runs_table(results: Results) -> Table:
    """Every planned run: how long it trained, why it stopped, and what came out."""

    def run(row: Row) -> Cell:
        return Cell(text=f"{row_label(row)}, seed {row['seed']}", below=describe_status(row["status"]))

    def resumed(row: Row) -> Cell:
        below = "times not comparable" if row["is_time_comparable"] is False else ""
        return Cell(text=format_count(row["num_resumes"]), below=below)

    columns = (
        Words("Run", run),
        Column("Epochs", lambda row: DASH if row["num_epochs"] is None else f"{row['num_epochs']:.3g}"),
        Words("Ended by", lambda row: row["stop_reason"] or DASH),
        Column("Training", lambda row: format_percent_bare(row["train_accuracy"]), "%"),
        Column("Validation", lambda row: format_percent_bare(row["val_accuracy"]), "%"),
        Column("Test", lambda row: format_percent_bare(row["test_accuracy"]), "%"),
        Column("Time", lambda row: format_seconds(row["train_seconds"]), "training"),
        Column("Data", lambda row: format_seconds(row["data_seconds"]), "part of it"),
        Column("Evaluation", lambda row: format_seconds(row["eval_seconds"])),
        Words("Precision", lambda row: row["precision"] or DASH),
        Column("Resumed", resumed, "times"),
    )
    caption = (
        "Every planned run. Accuracies with the final weights: on all its training images, on its validation fold, "
        "on the test set. The clock stands still for evaluation and saving."
    )
    return make_table("runs", caption, seed_rows(results), columns, max_rows=1000)


def portable_command(command: str, results: Results) -> str:
    """A command without the way to this machine's folders: `--out` as it was typed, or from where the page is built."""
    *start, option, folder = shlex.split(command)
    if option != "--out":
        return command
    study_dir = results.study_dir.resolve()
    near = study_dir.relative_to(Path.cwd()) if study_dir.is_relative_to(Path.cwd()) else Path(folder)
    return shlex.join([*start, "--out", _typed_out(results.study_dir / "study.toml") or str(near)])


def _typed_out(path: Path) -> str | None:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("out")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) else None


def summary_facts(results: Results) -> list[Fact]:
    """The study in a few lines: data, runs, protocol, machine, the test set."""
    facts = [
        Fact(term="Data", text=_describe_data(results)),
        Fact(term="Runs", text=_describe_runs(results)),
        Fact(term="Protocol", text=_describe_protocol(results)),
    ]
    kinds = list(_machine_kinds(results.records))
    if kinds:
        facts.append(Fact(term="Machine", text=kinds[0] + (f", and {len(kinds) - 1} more" if len(kinds) > 1 else "")))
    facts.append(Fact(term="Test set", text=test_reads(results)))
    if results.info.notes:
        facts.append(Fact(term="Note", text=" ".join(results.info.notes)))
    return facts


def _describe_data(results: Results) -> str:
    info = results.info
    tracks = f" in {plural(info.num_tracks, 'track')}" if info.num_tracks else ""
    parts = [plural(len(info.class_names), "class", "classes"), f"{info.num_train:,} training images{tracks}"]
    if info.num_val:
        parts.append(f"{info.num_val:,} validation images")
    parts.append(_describe_test(results) if info.num_test else "no test set")
    return f"{info.data_title}: {', '.join(parts)}"


def _describe_test(results: Results) -> str:
    tests = [place for place, row in enumerate(results.split_rows) if row["split"] == "test"]
    num_clusters = len({int(results.clusters_N[place]) for place in tests})
    text = f"{results.info.num_test:,} test images"
    text += f" of {results.info.test_title}" if results.info.test_title else ""
    if not 0 < num_clusters < len(tests):
        return text
    if results.has_recovered_tracks:
        return f"{text} in {num_clusters:,} track-like groups recovered from them"
    return f"{text} in {plural(num_clusters, 'track')}"


def _describe_runs(results: Results) -> str:
    planned, done = len(results.info.runs), len(results.records)
    seeds = plural_range([len(variant.planned) for variant in results.variants], "seed")
    failed = sum(len(variant.failures) for variant in results.variants)
    undertrained = sum(record.is_undertrained for record in results.records)
    state = [f"all {planned} runs finished" if done == planned else f"{done} of {planned} runs finished"]
    state += [f"{failed} failed"] if failed else []
    state += [f"{undertrained} with too little training to compare"] if undertrained else []
    return f"{plural(len(results.variants), 'network')} × {seeds}; {', '.join(state)}"


def _describe_protocol(results: Results) -> str:
    protocol = results.info.protocol
    side, budget = protocol["image_size"], protocol.get("budget_seconds")
    ends = [f"at most {protocol['max_epochs']} epochs"]
    ends += [f"patience {protocol['patience']}"] if protocol.get("patience") else []
    ends += [f"{format_seconds(budget)} of training a run"] if budget else []
    return f"{protocol['name']} ({results.info.protocol_fingerprint[:8]}): {side} × {side} pixels, {', '.join(ends)}"


def test_reads(results: Results) -> str:
    """How often these test labels have been looked at; a test set that is read often stops being one."""
    info = results.info
    if not info.num_test:
        return "no test set"
    rows = read_rows(results.study_dir / "test-reads.csv")
    if not rows:
        return "not read yet" if info.reads_test else "not read in this study"
    here = sum(row.get("study") == results.study_dir.resolve().name for row in rows)
    own = f", {here:,} of them by this study" if 0 < here < len(rows) else ""
    whose = f"{info.test_title}: " if info.test_title else ""
    return f"{whose}read {plural(len(rows), 'time')} as far as is known{own}; once a run, after its choice"


def machine_facts(records: Sequence[RunRecord]) -> list[Fact]:
    """Each kind of machine and setting once, with the number of its runs; which ones, where there are several kinds."""
    kinds = _machine_kinds(records)
    return [
        Fact(term=plural(len(runs), "run"), text=f"{kind}: {_run_names(runs)}" if len(kinds) > 1 else kind)
        for kind, runs in kinds.items()
    ]


def _machine_kinds(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """The runs of each kind of machine and setting, the kind with most of them first."""
    kinds: dict[str, list[RunRecord]] = {}
    for record in records:
        kinds.setdefault(_describe_machine(record), []).append(record)
    return dict(sorted(kinds.items(), key=lambda pair: -len(pair[1])))


def _run_names(records: Sequence[RunRecord]) -> str:
    """`lenet5, seeds 0 and 1; vgg16, seed 0`."""
    seeds: dict[str, list[str]] = {}
    for record in records:
        seeds.setdefault(record.label, []).append(str(record.seed))
    return "; ".join(f"{label}, seed{'s' * (len(of) > 1)} {join_words(of)}" for label, of in seeds.items())


def _describe_machine(record: RunRecord) -> str:
    machine = record.machine
    torch = machine.versions.get("torch")
    parts = [
        machine.gpu_name if machine.gpu_name and record.device.startswith("cuda") else machine.cpu_name,
        plural(machine.num_cores, "core"),
        format_bytes(machine.memory_bytes) + " memory",
        f"{record.device} with {plural(record.num_threads, 'thread')}",
        *([f"up to {record.num_jobs} runs at a time"] if record.num_jobs > 1 else []),
        record.precision,
        machine.system,
        *([f"torch {torch}"] if torch else []),
    ]
    return ", ".join(parts)


def protocol_facts(protocol: Mapping[str, Any]) -> list[Fact]:
    """Every field, nested ones with a dot."""
    fields: dict[str, Any] = {}
    for name, value in protocol.items():
        fields |= {f"{name}.{part}": of for part, of in value.items()} if isinstance(value, dict) else {name: value}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return [Fact(term=name, text="none" if fields[name] is None else text) for name, text in texts.items()]


def fingerprint_facts(results: Results) -> list[Fact]:
    """What identifies a study's data, protocol, split and software."""
    info = results.info
    splits = dict.fromkeys(record.split_fingerprint for record in results.records)
    builds = dict.fromkeys(_describe_build(record.machine) for record in results.records)
    return [
        Fact(term="Data", text=info.data_fingerprint),
        *([Fact(term="Test data", text=info.test_fingerprint)] if info.test_fingerprint else []),
        Fact(term="Protocol", text=info.protocol_fingerprint),
        *(Fact(term="Split", text=split) for split in splits),
        *(Fact(term="Software", text=build) for build in builds),
    ]


def _describe_build(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    commit = f", commit {machine.commit}" if machine.commit else ""
    return f"{versions}, python {machine.python}{commit}"


def collapse_notes(results: Results) -> list[str]:
    """Names the seeds whose training came to nothing: they count like any other."""
    lost = [
        f"{variant.label}, seed {record.seed} ({format_percent(record.val.accuracy)} in validation)"
        for variant in results.variants
        if variant.is_compared
        for record in variant.records
        if record.seed in collapsed_seeds(variant.records)
    ]
    return [f"Collapsed, and counted like any other run: {join_words(lost)}."] if lost else []


def time_notes(results: Results) -> list[str]:
    """What a reader must know before trusting a time."""
    busy = [record for record in results.records if (record.machine.load or 0.0) > BUSY_LOAD]
    beside = [record for record in results.records if record.num_jobs > 1]
    moved = [record for record in results.records if not record.is_time_comparable]
    notes = []
    if busy:
        notes.append(f"The machine was busy with other work beside {_named(busy)}: these times are not to be trusted.")
    if beside:
        share = f"{len(beside)} of {plural(len(results.records), 'run')}"
        notes.append(f"{share} worked with other runs of this study beside them: their times hold for that.")
    if moved:
        notes.append(f"Continued under other conditions, so that their times are not comparable: {_named(moved)}.")
    if any(row["is_busy"] == "True" for row in results.latency_rows):
        notes.append("Some latencies were taken on a busy machine; the table marks them.")
    return notes


def _named(records: Sequence[RunRecord]) -> str:
    return join_words([f"{record.label}, seed {record.seed}" for record in records])
