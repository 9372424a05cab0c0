"""Who wins with T minutes: every network as it ends with a quarter, a half and all of the budget.

Only annealed trainings count: the run itself, and the branches beside it (branches.csv). A point in mid-schedule says
nothing of a shorter training. Where patience or the largest number of epochs ended the run itself within a fraction of
the budget, a run with that fraction would have been the same one, and stands for it. A network that saw less than two
epochs at a budget is not judged there, never worse; one with a seed that diverged nowhere. Validation alone is read;
rates are fractions, None is "not measured". budgets.py says who is ahead where.

Which network is ahead with how much training, and between which budgets two of them change places.

Pairs are compared over the seeds that both have, at every budget at which both are judged (budgets.py). A verdict
rests on folds, at least three, and is corrected for all pairs at all budgets together (Holm).
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from roadtest.analysis import stats
from roadtest.analysis.results import Results, Variant, read_results
from roadtest.format import Row, render_duration
from roadtest.protocol import BRANCH_FRACTIONS, UNDERTRAINED_EPOCHS
from roadtest.records import CooldownMetrics, RunRecord, SetResult, network_label, read_cooldowns

FRACTIONS = (*BRANCH_FRACTIONS, 1.0)


TARGETS = {"seconds_to_90": 0.90, "seconds_to_95": 0.95, "seconds_to_98": 0.98, "seconds_to_99": 0.99}
"""Columns of `target_rows`, and the validation accuracy each speaks of."""


JUDGED, TOO_LITTLE, MISSING = "judged", "not judged at this budget", "no annealed training at this budget"


DIVERGED = "not judged: a seed diverged"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """One training that was annealed to the end: the run itself, or a branch beside it."""

    seed: int
    num_epochs: float
    train_seconds: float
    val: SetResult
    is_time_comparable: bool

    @property
    def is_undertrained(self) -> bool:
        """It saw too little to be compared."""
        return self.num_epochs < UNDERTRAINED_EPOCHS


def has_branches(study: Path | Results) -> bool:
    """Whether any run was annealed at less than its budget (`--anneal`)."""
    results = read_results(study)
    return any(_branches(results, record) for record in results.records)


def budget_rows(study: Path | Results) -> list[Row]:
    """A row for each budget and network, smallest budget first, then the most accurate; those not judged come last.

    `budget_seconds` is the budget of the row where runs are given time, `budget_epochs` where they are given epochs.
    """
    results = read_results(study)
    rows: list[Row] = []
    for fraction in FRACTIONS:
        endings = {variant.label: endings_at(results, variant, fraction) for variant in results.variants}
        if any(endings.values()):
            ranked = sorted(results.variants, key=_rank(results, endings))
            rows += [_budget_row(results, variant, fraction, endings[variant.label]) for variant in ranked]
    return rows


def target_rows(study: Path | Results) -> list[Row]:
    """A row for each network: training seconds to a validation accuracy, the median over seeds; None is "not reached".

    Of the annealed trainings of a seed the shortest that got there counts, so the time is at most what is printed. A
    seed that diverged reached nothing.
    """
    results = read_results(study)
    rows: list[Row] = []
    for variant in results.variants:
        endings = [ending for fraction in FRACTIONS for ending in endings_at(results, variant, fraction)]
        timed = [ending for ending in endings if ending.is_time_comparable]
        seeds = sorted({ending.seed for ending in timed})
        num_runs = len(seeds) + len(variant.diverged_seeds)
        row: Row = {"network": variant.network, "has_stn": variant.has_stn, "num_runs": num_runs}
        for column, target in TARGETS.items():
            seconds = [_seconds_to(target, [one for one in timed if one.seed == seed]) for seed in seeds]
            seconds += [math.inf] * len(variant.diverged_seeds)
            median = statistics.median(seconds) if seconds else math.inf
            row[column] = median if math.isfinite(median) else None
        rows.append(row)
    return rows


def budget_text(results: Results, fraction: float) -> str:
    """`5 min` or `25 epochs`: a fraction of what each run of the study is given at most."""
    seconds, epochs = _budget(results, fraction)
    return f"{epochs:g} epochs" if seconds is None else render_duration(seconds)


def _budget(results: Results, fraction: float) -> tuple[float | None, float | None]:
    """Seconds, or else epochs."""
    protocol = results.info.protocol
    seconds = protocol.get("budget_seconds")
    if seconds is not None:
        return fraction * float(seconds), None
    return None, fraction * float(protocol["max_epochs"])


def _branches(results: Results, record: RunRecord) -> list[CooldownMetrics]:
    kept = results.kept.setdefault("branches", {})
    if record.run not in kept:
        kept[record.run] = read_cooldowns(results.study_dir / record.run.folder)
    found: list[CooldownMetrics] = kept[record.run]
    return found


def endings_at(results: Results, variant: Variant, fraction: float) -> list[Ending]:
    """The trainings of a network that ended with this fraction of the budget, at most one a seed."""
    found = (_ending(results, record, fraction) for record in variant.records)
    return [ending for ending in found if ending is not None]


def _ending(results: Results, record: RunRecord, fraction: float) -> Ending | None:
    whole = Ending(
        seed=record.seed,
        num_epochs=record.num_epochs,
        train_seconds=record.cost.train_seconds,
        val=record.val,
        is_time_comparable=record.is_time_comparable,
    )
    if fraction == 1.0:
        return whole
    for row in _branches(results, record):
        if row.budget_fraction == fraction:
            return Ending(
                seed=record.seed,
                num_epochs=row.epoch,
                train_seconds=row.train_seconds,
                val=row.val,
                is_time_comparable=record.is_time_comparable,
            )
    seconds, epochs = _budget(results, fraction)
    is_within = record.num_epochs <= epochs if epochs is not None else record.cost.train_seconds <= (seconds or 0.0)
    return whole if record.stop_reason != "budget" and is_within else None


def deciding_seeds(results: Results, endings: Mapping[str, Sequence[Ending]]) -> set[int]:
    """The seeds that all networks judged at a budget have, by which they are put in order: folds differ in difficulty.

    `endings` are the trainings of each network at that budget, by label.
    """
    judged = [found for variant in results.variants if _verdict(variant, found := endings[variant.label]) == JUDGED]
    return set.intersection(*({one.seed for one in found} for found in judged)) if judged else set()


def _rank(results: Results, endings: Mapping[str, Sequence[Ending]]) -> Callable[[Variant], tuple[int, float]]:
    """Judged networks first, by the seeds that decide; then those that are not, then those without a training."""
    common = deciding_seeds(results, endings)

    def rank(variant: Variant) -> tuple[int, float]:
        found = endings[variant.label]
        chosen = [one for one in found if one.seed in common] or found
        accuracy = statistics.fmean(one.val.accuracy for one in chosen) if chosen else 0.0
        return (0 if _verdict(variant, found) == JUDGED else 1 if found else 2, -accuracy)

    return rank


def _verdict(variant: Variant, endings: Sequence[Ending]) -> str:
    if not endings:
        return MISSING
    if variant.diverged_seeds:
        return DIVERGED
    return TOO_LITTLE if any(ending.is_undertrained for ending in endings) else JUDGED


def _budget_row(results: Results, variant: Variant, fraction: float, endings: Sequence[Ending]) -> Row:
    accuracies = [ending.val.accuracy for ending in endings]
    timed = [ending.train_seconds for ending in endings if ending.is_time_comparable]
    num_undertrained = sum(ending.is_undertrained for ending in endings)
    interval = _interval(results, endings)
    seconds, epochs = _budget(results, fraction)
    return {
        "network": variant.network,
        "has_stn": variant.has_stn,
        "budget_fraction": fraction,
        "budget_seconds": seconds,
        "budget_epochs": epochs,
        "num_runs": len(endings),
        "num_undertrained": num_undertrained,
        "num_epochs_mean": statistics.fmean(ending.num_epochs for ending in endings) if endings else None,
        "train_seconds_mean": statistics.fmean(timed) if timed else None,
        "val_accuracy_mean": statistics.fmean(accuracies) if accuracies else None,
        "val_accuracy_std": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "val_accuracy_low": interval and interval.low,
        "val_accuracy_high": interval and interval.high,
        "verdict": _verdict(variant, endings),
    }


def _interval(results: Results, endings: Sequence[Ending]) -> stats.Interval | None:
    folds = fold_results(results, endings)
    return stats.validation_interval(folds) if len({fold.fold for fold in folds}) >= stats.MIN_SEEDS else None


def fold_results(results: Results, endings: Sequence[Ending]) -> list[stats.FoldResult]:
    """A result per seed, on its own fold; none where all seeds share one validation part, whose images are not kept."""
    if results.info.num_val:
        return []
    num_folds = int(results.info.protocol["num_folds"])
    return [
        stats.FoldResult(
            fold=ending.seed % num_folds,
            num_correct=ending.val.num_correct,
            num_seen=ending.val.num_seen,
            num_clusters=_count_units(results).get(ending.seed % num_folds),
        )
        for ending in endings
    ]


def _count_units(results: Results) -> dict[int, int]:
    """How many tracks each fold has."""
    if "units by fold" not in results.kept:
        folds_N = np.array([int(row["fold"]) for row in results.split_rows], np.int64)
        results.kept["units by fold"] = {
            int(fold): len(np.unique(results.clusters_N[folds_N == fold])) for fold in np.unique(folds_N)
        }
    counts: dict[int, int] = results.kept["units by fold"]
    return counts


def _seconds_to(target: float, endings: Sequence[Ending]) -> float:
    return min((ending.train_seconds for ending in endings if ending.val.accuracy >= target), default=math.inf)


SEPARATED, NOT_SEPARATED, OBSERVED = "separated", "not separated", "observed"


MAX_CROSSINGS = 4
"""So many changes of places are told one by one; the table has all."""


_WORDS = {stats.DIFFERENT: SEPARATED, stats.NOT_SEPARATED: NOT_SEPARATED, stats.NOT_JUDGED: OBSERVED}


@dataclass(frozen=True, kw_only=True)
class Lead:
    """How far `a` is ahead of `b` at one budget; negative where it is behind."""

    a: Variant
    b: Variant
    budget_fraction: float
    gain: float
    """Validation accuracy of a minus that of b, over their common seeds."""
    verdict: str = OBSERVED
    low: float | None = None
    """The 95 % interval of the gain, uncorrected; None without folds."""
    high: float | None = None

    def turned(self) -> "Lead":
        """The same, seen from the other side."""
        low, high = (None if end is None else -end for end in (self.high, self.low))
        return replace(self, a=self.b, b=self.a, gain=-self.gain, low=low, high=high)


def crossover_rows(study: Path | Results) -> list[Row]:
    """A row for each pair and each two neighbouring budgets between which the more accurate of the two changes.

    `a` is ahead at the smaller budget; `gain` is its accuracy minus b's. A verdict is `separated`, `not separated`, or
    `observed` where fewer than three folds say nothing.
    """
    results = read_results(study)
    rows: list[Row] = []
    for of_pair in _by_pair(results):
        for before, after in pairwise(lead for lead in of_pair if lead.gain != 0):
            if before.gain * after.gain < 0:
                first, last = (before, after) if before.gain > 0 else (before.turned(), after.turned())
                rows.append(_crossover_row(results, first, last))
    return rows


def budget_sentences(study: Path | Results) -> list[str]:
    """Who is ahead at each budget, who is not judged there, and where two networks change places; for people."""
    results = read_results(study)
    if not has_branches(results):
        return []
    leads = [lead for of_pair in _by_pair(results) for lead in of_pair]
    rows = budget_rows(results)
    sentences: list[str] = []
    for fraction in FRACTIONS:
        sentences += _sentences_at(results, fraction, [r for r in rows if r["budget_fraction"] == fraction], leads)
    crossovers = crossover_rows(results)
    sentences += _crossing_sentences(crossovers)
    if not crossovers and len({lead.budget_fraction for lead in leads}) > 1:
        sentences.append("No two networks change places between these budgets.")
    diverged = [variant.label for variant in results.variants if variant.records and variant.diverged_seeds]
    if diverged:
        sentences.append(f"Not judged at any budget, for a seed that diverged: {_listed(diverged)}.")
    return sentences


def _by_pair(results: Results) -> list[list[Lead]]:
    """The leads of every pair, smallest budget first."""
    if "leads" not in results.kept:
        leads = [
            lead
            for a, b in combinations(results.variants, 2)
            for fraction in FRACTIONS
            if (lead := _lead(results, a, b, fraction)) is not None
        ]
        leads = _with_verdicts(results, leads)
        results.kept["leads"] = [
            [lead for lead in leads if (lead.a, lead.b) == pair] for pair in combinations(results.variants, 2)
        ]
    kept: list[list[Lead]] = results.kept["leads"]
    return kept


def _lead(results: Results, a: Variant, b: Variant, fraction: float) -> Lead | None:
    """None where one of the two was not judged at this budget, or they have no seed in common."""
    of_a, of_b = _paired(results, a, b, fraction)
    if a.diverged_seeds or b.diverged_seeds:
        return None
    if not of_a or any(ending.is_undertrained for ending in (*of_a, *of_b)):
        return None
    gain = _mean_accuracy(of_a) - _mean_accuracy(of_b)
    return Lead(a=a, b=b, budget_fraction=fraction, gain=gain)


def _paired(results: Results, a: Variant, b: Variant, fraction: float) -> tuple[list[Ending], list[Ending]]:
    """The trainings of both at one budget, over the seeds that both have."""
    of_a, of_b = (endings_at(results, variant, fraction) for variant in (a, b))
    common = {ending.seed for ending in of_a} & {ending.seed for ending in of_b}
    return [one for one in of_a if one.seed in common], [one for one in of_b if one.seed in common]


def _mean_accuracy(endings: list[Ending]) -> float:
    return statistics.fmean(ending.val.accuracy for ending in endings)


def _with_verdicts(results: Results, leads: list[Lead]) -> list[Lead]:
    """The leads with the verdicts of the judge, who corrects them all together."""
    differences: dict[tuple[str, str], stats.Difference] = {}
    for place, lead in enumerate(leads):
        of_a, of_b = (fold_results(results, one) for one in _paired(results, lead.a, lead.b, lead.budget_fraction))
        if of_a:
            differences[f"a{place}", f"b{place}"] = stats.validation_difference(of_a, of_b)
    verdicts = {verdict.a: verdict for verdict in stats.judge_pairs(differences)}
    return [_with_verdict(lead, verdicts.get(f"a{place}")) for place, lead in enumerate(leads)]


def _with_verdict(lead: Lead, verdict: stats.Verdict | None) -> Lead:
    if verdict is None:
        return lead
    if verdict.word == stats.NOT_JUDGED:  # two folds or one: no interval that is worth a look
        return replace(lead, verdict=OBSERVED)
    return replace(lead, verdict=_WORDS[verdict.word], low=verdict.difference.low, high=verdict.difference.high)


def _crossover_row(results: Results, before: Lead, after: Lead) -> Row:
    return {
        "network_a": before.a.network,
        "has_stn_a": before.a.has_stn,
        "network_b": before.b.network,
        "has_stn_b": before.b.has_stn,
        "budget_from": budget_text(results, before.budget_fraction),
        "budget_to": budget_text(results, after.budget_fraction),
        "gain_from": before.gain,
        "gain_from_low": before.low,
        "gain_from_high": before.high,
        "gain_to": after.gain,
        "gain_to_low": after.low,
        "gain_to_high": after.high,
        "verdict_from": before.verdict,
        "verdict_to": after.verdict,
    }


def _sentences_at(results: Results, fraction: float, rows: list[Row], leads: list[Lead]) -> list[str]:
    """Who is ahead at one budget and whether that is shown, and who saw too little there."""
    budget = budget_text(results, fraction)
    judged = [_label(row) for row in rows if row["verdict"] == JUDGED]
    sentences: list[str] = []
    if judged:
        endings = {variant.label: endings_at(results, variant, fraction) for variant in results.variants}
        seeds = deciding_seeds(results, endings)
        chosen = {label: [e for e in endings[label] if e.seed in seeds] or endings[label] for label in judged}
        means = [_percent(_mean_accuracy(chosen[label])) for label in judged[:2]]
        text = f"With {budget}, {judged[0]} reaches {means[0]} in validation"
        if len(judged) > 1:
            shown = _shown(results, _lead_verdict(leads, fraction, *judged[:2]))
            text = f"With {budget}, {judged[0]} is ahead: {means[0]} in validation, {judged[1]} {means[1]} ({shown})"
        is_part = any(ending.seed not in seeds for label in judged for ending in endings[label])
        sentences.append(f"{text}{_over(seeds) if is_part else ''}.")
    too_little = [_label(row) for row in rows if row["num_undertrained"]]
    if too_little:
        epochs = f"fewer than {UNDERTRAINED_EPOCHS:g} epochs"
        sentences.append(f"With {budget}, {_listed(too_little)} saw {epochs}: not judged at this budget.")
    return sentences


def _over(seeds: set[int]) -> str:
    """By which seeds networks stand in order that have not the same ones."""
    if not seeds:
        return ", each by seeds of its own, and folds differ in difficulty"
    few = f"seed{'s' * (len(seeds) != 1)} {_listed([str(seed) for seed in sorted(seeds)])}"
    return f", by {few}, which all judged there have"


def _lead_verdict(leads: list[Lead], fraction: float, *labels: str) -> str:
    for lead in leads:
        if lead.budget_fraction == fraction and {lead.a.label, lead.b.label} == set(labels):
            return lead.verdict
    return OBSERVED


def _shown(results: Results, verdict: str) -> str:
    words = {SEPARATED: "the difference is shown", NOT_SEPARATED: "not separated"}
    if results.info.num_val:
        return words.get(verdict, "observed: with one validation part for all seeds this is not judged")
    return words.get(verdict, f"observed, not judged: needs {stats.MIN_SEEDS} seeds, 5 are better")


def _crossing_sentences(rows: list[Row]) -> list[str]:
    """The first changes of places, those that are shown before the others; how many more there are."""
    ranked = sorted(rows, key=lambda row: -_num_shown(row))
    rest = ranked[MAX_CROSSINGS:]
    told = [_crossover_sentence(row) for row in ranked[: len(ranked) - len(rest)]]
    if not rest:
        return told
    shown = sum(_num_shown(row) == 2 for row in rest)
    more = f"{len(rest)} more change{'s' * (len(rest) != 1)} of places"
    return [*told, f"{more}, {shown or 'none'} of them shown at both budgets; the table has all."]


def _num_shown(row: Row) -> int:
    """At how many of the two budgets the difference is shown."""
    return [row["verdict_from"], row["verdict_to"]].count(SEPARATED)


def _crossover_sentence(row: Row) -> str:
    a, b = _label(row, "_a"), _label(row, "_b")
    before, after = (f"{100 * abs(row[key]):.2f} points" for key in ("gain_from", "gain_to"))
    text = f"Between {row['budget_from']} and {row['budget_to']} {b} overtakes {a}: {before} behind, then {after} ahead"
    if row["verdict_from"] == row["verdict_to"] == SEPARATED:
        return f"{text}; both are shown."
    if OBSERVED in (row["verdict_from"], row["verdict_to"]):
        return f"{text}; observed, not judged."
    ends = {"verdict_from": "at the smaller budget", "verdict_to": "at the larger budget"}
    unclear = [words for key, words in ends.items() if row[key] == NOT_SEPARATED]
    if len(unclear) == len(ends):
        return f"{text}; separated at neither, so luck alone may do this."
    return f"{text}; {unclear[0]} they are not separated, so luck may have a part in it."


def _label(row: Row, side: str = "") -> str:
    return network_label(row[f"network{side}"], row[f"has_stn{side}"])


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
