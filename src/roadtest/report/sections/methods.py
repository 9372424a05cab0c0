"""How the study was judged, in a paragraph for a methods section, from what the records say was done.

Names the unit of error (track, recovered track, probable frame chain, group, single image), for every interval rests on
it. References are numbered as the text calls for them.

What was run, where and under which protocol, as short lines: the summary, the machines, the fingerprints.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roadtest.analysis import Judged, Results, judge_networks, stats
from roadtest.format import (
    capitalise,
    format_bytes,
    format_percent,
    format_seconds,
    join_words,
    number_word,
    plural,
    plural_range,
)
from roadtest.records import Machine, RunRecord, read_rows
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

_CALLS = re.compile(r"\{(" + "|".join(REFERENCES) + r")\}")


@dataclass(frozen=True, kw_only=True)
class Methods:
    """Paragraphs with numbers in brackets, and what these refer to."""

    paragraphs: tuple[str, ...]
    references: tuple[str, ...]


def describe_methods(results: Results) -> Methods:
    """Say how the study was trained, split and judged; only what was done."""
    judged = judge_networks(results)
    told = [_training(results), _units(results, judged), _intervals(results, judged), _verdicts(results, judged)]
    return number_references([paragraph for paragraph in told if paragraph])


def number_references(paragraphs: Sequence[str]) -> Methods:
    """Turn `{holm}` into `[1]`, numbered in the order in which they are called for."""
    cited = list(dict.fromkeys(_CALLS.findall(" ".join(paragraphs))))
    numbered = [_CALLS.sub(lambda found: f"[{cited.index(found[1]) + 1}]", one) for one in paragraphs]
    return Methods(paragraphs=tuple(numbered), references=tuple(REFERENCES[name] for name in cited))


def unit_words(results: Results, part: str) -> str:
    """What stands or falls by itself: `track`, `recovered track`, `probable frame chain`, `group` or `single image`."""
    split = "test" if part == "test" else "val" if results.info.num_val else "train"
    groups = {row["group"] for row in results.split_rows if row["split"] == split} - {""}
    if not groups:
        return "single image"
    if any(group.startswith("~") for group in groups):
        return "recovered track"
    if re.search(r"--group[ =]auto\b", results.info.command):
        return "probable frame chain"
    return "track" if results.info.source in ("gtsrb", "signs") else "group"


def _training(results: Results) -> str:
    info = results.info
    seeds = plural_range([len(variant.planned) for variant in results.variants], "seed")
    num_folds = int(info.protocol["num_folds"])
    data = "GTSRB {stallkamp}" if info.source == "gtsrb" else "the data"
    stn = ", with and without a Spatial Transformer {jaderberg}" if any(run.has_stn for run in info.runs) else ""
    split = (
        f"The training part of {data} was dealt over {num_folds} folds, groups of images that belong together never "
        f"divided; seed k validates on fold k mod {num_folds} and trains on the others, for every network."
        if not info.num_val
        else "Every seed validates on the validation part that the data came with."
    )
    test = " Validation chose; the test set was read once a run, after its choice." if info.reads_test else ""
    num_networks = len({run.network for run in info.runs})
    networks = f"{capitalise(number_word(num_networks))} network{'s' * (num_networks != 1)}"
    return (
        f"{networks}{stn}, trained under one protocol ({info.protocol['name']}) with "
        f"{seeds} each, which vary {'' if info.num_val else 'the split, '}the initial weights, the order of the images "
        f"and their augmentation. {split}{test}"
    )


def _units(results: Results, judged: Judged) -> str:
    if not results.split_rows:
        return "What stands or falls by itself is not known here: the split (split.csv) is missing."
    kind = unit_words(results, judged.split)
    recovered = (
        " The publisher keeps the test tracks’ numbers; they were recovered by Ward’s clustering {ward} within each "
        "class, on small colour thumbnails, two clusters for three tracks; on training tracks, whose numbers are "
        "known, standard errors were 0.96 to 1.04 of the true ones (small networks, 91 to 96 % accurate)."
        if kind == "recovered track"
        else ""
    )
    chains = " Chains were proposed by names and looks." if kind == "probable frame chain" else ""
    if kind == "single image":
        return "The unit of error is the single image: the data names no groups. Frames of one scene would hide in it."
    return (
        f"The unit of error is the {kind}: images of one stand or fall together. Beside an interval, the design effect "
        f"is its variance over the one that counting images would give.{recovered}{chains}"
    )


def _intervals(results: Results, judged: Judged) -> str:
    if max((len(variant.records) for variant in results.variants), default=0) < stats.MIN_SEEDS:
        return (
            "With one or two seeds the luck of a training cannot be told from the network: intervals are over units "
            "alone, for these trained weights, and there are no verdicts."
        )
    by_folds = (
        "In validation by folds the fold is the unit: a paired t over folds for differences, a t on the logit scale "
        "for accuracies. It holds the luck of seeds and of the split together."
    )
    if judged.split == "val":
        return _CROSSED if results.info.num_val else by_folds
    return _CROSSED if results.info.num_val else f"{_CROSSED} {by_folds}"


_CROSSED = (
    "An interval on new signs adds the luck of seeds and of units as crossed random effects {searle} {owen}, with "
    "Satterthwaite’s degrees of freedom {satterthwaite}, an accuracy on the logit scale; where no unit errs it "
    "reaches as far as Clopper and Pearson’s {clopper} would. Differences are paired by image. An interval for "
    "these images, if trained again, is Welch’s t over seeds {welch}. Verdicts need both kinds of luck "
    "{bouthillier}."
)


def _verdicts(results: Results, judged: Judged) -> str:
    if not judged.is_judged:
        return ""
    num_pairs = sum(verdict.p_adjusted is not None for verdict in judged.verdicts)
    pairs = f"All {num_pairs} pairs were" if num_pairs > 1 else "The one pair was"
    return (
        f"{pairs} judged together at 5 % after Holm’s correction {{holm}}; networks that share a letter are not "
        f"separated {{piepho}}. A tolerance of {results.tolerance_points:g} points says what matters: the recommended "
        "network is the cheapest that validation shows to be at most that much worse than the best, and the STN pays "
        "where its gain is shown to be more."
    )


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
    parts = [plural(len(info.class_names), "class", "classes"), f"{info.num_train:,} training images"]
    if info.num_tracks:
        parts[-1] += f" in {plural(info.num_tracks, 'track')}"
    if info.num_val:
        parts.append(f"{info.num_val:,} validation images")
    parts.append(_test_words(results) if info.num_test else "no test set")
    return f"{info.data_title}: {', '.join(parts)}"


def _test_words(results: Results) -> str:
    tests = [place for place, row in enumerate(results.split_rows) if row["split"] == "test"]
    num_units = len({int(results.clusters_N[place]) for place in tests})
    text = f"{results.info.num_test:,} test images"
    text += f" of {results.info.test_title}" if results.info.test_title else ""
    if 0 < num_units < len(tests):
        text += f" in {plural(num_units, 'track')}"
        if results.has_recovered_tracks:
            text = f"{text.removesuffix('s')}-like groups recovered from them"
    return text


def _run_words(results: Results) -> str:
    planned, done = len(results.info.runs), len(results.records)
    seeds = plural_range([len(variant.planned) for variant in results.variants], "seed")
    failed = sum(len(variant.failures) for variant in results.variants)
    marked = sum(record.is_undertrained for record in results.records)
    text = f"{plural(len(results.variants), 'network')} × {seeds}"
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
    ends += [f"{format_seconds(budget)} of training a run"] if budget else []
    return f"{protocol['name']} ({results.info.protocol_fingerprint[:8]}): {side} × {side} pixels, {', '.join(ends)}"


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
        kinds.setdefault(_machine_words(record), []).append(record)
    return dict(sorted(kinds.items(), key=lambda pair: -len(pair[1])))


def _run_names(records: Sequence[RunRecord]) -> str:
    """`lenet5, seeds 0 and 1; vgg16, seed 0`."""
    seeds: dict[str, list[str]] = {}
    for record in records:
        seeds.setdefault(record.label, []).append(str(record.seed))
    return "; ".join(f"{label}, seed{'s' * (len(of) > 1)} {join_words(of)}" for label, of in seeds.items())


def _machine_words(record: RunRecord) -> str:
    machine: Machine = record.machine
    where = machine.gpu_name if machine.gpu_name and record.device.startswith("cuda") else machine.cpu_name
    torch = machine.versions.get("torch")
    parts = [
        where,
        plural(machine.num_cores, "core"),
        format_bytes(machine.memory_bytes) + " memory",
        f"{record.device} with {plural(record.num_threads, 'thread')}",
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
    return f"{whose}read {plural(len(rows), 'time')} as far as is known{own}; once a run, after its choice"


def collapse_note(results: Results) -> str:
    """Seeds whose training came to nothing: they count like any other, and are listed; empty where there are none."""
    lost = [
        f"{variant.label}, seed {record.seed} ({format_percent(record.val.accuracy)} in validation)"
        for variant in results.variants
        if variant.is_compared
        for record in variant.records
        if record.seed in collapsed_seeds(variant.records)
    ]
    return f"Collapsed, and counted like any other run: {join_words(lost)}." if lost else ""


def time_notes(results: Results) -> list[str]:
    """What a reader must know before trusting a time."""
    busy = [record for record in results.records if (record.machine.load or 0.0) > BUSY_LOAD]
    beside = [record for record in results.records if record.num_jobs > 1]
    moved = [record for record in results.records if not record.is_time_comparable]
    notes = []
    if busy:
        runs = join_words([f"{record.label}, seed {record.seed}" for record in busy])
        notes.append(f"The machine was busy with other work beside {runs}: these times are not to be trusted.")
    if beside:
        share = f"{len(beside)} of {plural(len(results.records), 'run')}"
        notes.append(f"{share} worked with other runs of this study beside them: their times hold for that.")
    if moved:
        runs = join_words([f"{record.label}, seed {record.seed}" for record in moved])
        notes.append(f"Continued under other conditions, so that their times are not comparable: {runs}.")
    if any(row["is_busy"] == "True" for row in results.latency_rows):
        notes.append("Some latencies were taken on a busy machine; the table marks them.")
    return notes
