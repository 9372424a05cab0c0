"""Who wins with T minutes: every network as it ends with a quarter, a half and all of the budget.

Only annealed trainings count: the run itself, and the branches beside it (branches.csv). A point in mid-schedule says
nothing of a shorter training. Where patience or the largest number of epochs ended the run itself within a fraction of
the budget, a run with that fraction would have been the same one, and counts for it. A network that saw less than two
epochs at a budget is not judged there, never worse; one with a seed that diverged nowhere. Validation alone is read.

Two networks are compared over the seeds that both have, at every budget at which both are judged. A verdict rests on
folds, at least three, and is corrected for all pairs at all budgets together (Holm).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from roadtest.analysis import stats
from roadtest.analysis.comparisons import GAIN_VERDICTS, NEEDS_SEEDS
from roadtest.analysis.results import Results, Variant, once_per_study, read_results
from roadtest.format import Row, format_percent, join_words, render_duration
from roadtest.protocol import BRANCH_FRACTIONS, UNDERTRAINED_EPOCHS
from roadtest.records import CooldownMetrics, RunRecord, SetResult, read_cooldowns

FRACTIONS = (*BRANCH_FRACTIONS, 1.0)
TARGETS = {"seconds_to_90": 0.90, "seconds_to_95": 0.95, "seconds_to_98": 0.98, "seconds_to_99": 0.99}
"""Columns of `target_rows`, and the validation accuracy each speaks of."""
JUDGED, TOO_LITTLE, MISSING = "judged", "not judged at this budget", "no annealed training at this budget"
DIVERGED = "not judged: a seed diverged"
MAX_CROSSINGS = 4
"""So many crossovers are listed one by one; the table has all."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """One training that was annealed to the end: the run itself, or a branch beside it."""

    seed: int
    num_epochs: float
    train_seconds: float
    val: SetResult
    is_time_comparable: bool


@dataclass(frozen=True, kw_only=True)
class AtBudget:
    """A network with a fraction of the budget: its trainings that ended with it, at most one a seed."""

    variant: Variant
    budget_fraction: float
    endings: list[Ending]

    @property
    def num_undertrained(self) -> int:
        """How many trainings saw too little to be compared."""
        return sum(ending.num_epochs < UNDERTRAINED_EPOCHS for ending in self.endings)

    @property
    def verdict(self) -> str:
        """Whether it is judged at this budget, and why not."""
        if not self.endings:
            return MISSING
        if self.variant.diverged_seeds:
            return DIVERGED
        return TOO_LITTLE if self.num_undertrained else JUDGED

    def of_seeds(self, seeds: set[int]) -> list[Ending]:
        """The trainings of these seeds; all where it has none of them."""
        return [ending for ending in self.endings if ending.seed in seeds] or self.endings


@dataclass(frozen=True, kw_only=True)
class Lead:
    """How far `a` is ahead of `b` at one budget; negative where it is behind."""

    a: Variant
    b: Variant
    budget_fraction: float
    gain: float
    """Validation accuracy of a minus that of b, over their common seeds."""
    verdict: str = stats.NOT_JUDGED
    low: float | None = None
    """The 95 % interval of the gain, uncorrected; None without folds."""
    high: float | None = None

    def turned(self) -> "Lead":
        """The same, seen from the other side."""
        low, high = (None if end is None else -end for end in (self.high, self.low))
        return replace(self, a=self.b, b=self.a, gain=-self.gain, low=low, high=high)


Crossover = tuple[Lead, Lead]
"""`a` is ahead of `b` at one budget, and behind at the next."""


def has_branches(study: Path | Results) -> bool:
    """Whether any run was annealed at less than its budget (`--anneal`)."""
    results = read_results(study)
    return any(_branches(results, record.run.folder) for record in results.records)


def budget_rows(study: Path | Results) -> list[Row]:
    """Return a row for each budget and network, smallest budget first, then the most accurate; unjudged ones last.

    `budget_seconds` is the budget of the row where runs are given time, `budget_epochs` where they are given epochs.
    """
    results = read_results(study)
    return [_budget_row(results, one) for ranking in _rankings(results) for one in ranking]


def target_rows(study: Path | Results) -> list[Row]:
    """Return a row for each network: the median over seeds of the training seconds to an accuracy; None is not reached.

    Of the annealed trainings of a seed the shortest that got there counts, so the time is at most what is printed. A
    seed that diverged reached nothing.
    """
    results = read_results(study)
    rows: list[Row] = []
    for variant in results.variants:
        timed = [one for f in FRACTIONS for one in _at_budget(results, variant, f).endings if one.is_time_comparable]
        seeds, num_diverged = {ending.seed for ending in timed}, len(variant.diverged_seeds)
        row: Row = {"network": variant.network, "has_stn": variant.has_stn, "num_runs": len(seeds) + num_diverged}
        for column, target in TARGETS.items():
            reached = [one for one in timed if one.val.accuracy >= target]
            seconds = [min((o.train_seconds for o in reached if o.seed == seed), default=math.inf) for seed in seeds]
            seconds += [math.inf] * num_diverged
            median = statistics.median(seconds) if seconds else math.inf
            row[column] = median if math.isfinite(median) else None
        rows.append(row)
    return rows


def crossover_rows(study: Path | Results) -> list[Row]:
    """Return a row for each pair and each two neighbouring budgets between which the more accurate of the two changes.

    `a` is ahead at the smaller budget; `gain` is its accuracy minus b's. A verdict is `separated`, `not separated`, or
    `observed` where fewer than three folds say nothing.
    """
    results = read_results(study)
    return [_crossover_row(results, *crossover) for crossover in _crossovers(results)]


def budget_text(results: Results, fraction: float) -> str:
    """Return `5 min` or `25 epochs`: a fraction of what each run of the study is given at most."""
    seconds, epochs = _budget(results, fraction)
    return f"{epochs:g} epochs" if seconds is None else render_duration(seconds)


def _budget(results: Results, fraction: float) -> tuple[float | None, float | None]:
    """Seconds, or else epochs."""
    protocol = results.info.protocol
    seconds = protocol.get("budget_seconds")
    if seconds is not None:
        return fraction * float(seconds), None
    return None, fraction * float(protocol["max_epochs"])


@once_per_study
def _branches(results: Results, folder: str) -> list[CooldownMetrics]:
    return read_cooldowns(results.study_dir / folder)


@once_per_study
def _at_budget(results: Results, variant: Variant, fraction: float) -> AtBudget:
    found = (_ending(results, record, fraction) for record in variant.records)
    endings = [ending for ending in found if ending is not None]
    return AtBudget(variant=variant, budget_fraction=fraction, endings=endings)


def _ending(results: Results, record: RunRecord, fraction: float) -> Ending | None:
    """The run of a record as it ended with this fraction of the budget."""
    whole = Ending(
        seed=record.seed,
        num_epochs=record.num_epochs,
        train_seconds=record.cost.train_seconds,
        val=record.val,
        is_time_comparable=record.is_time_comparable,
    )
    if fraction == 1.0:
        return whole
    for row in _branches(results, record.run.folder):
        if row.budget_fraction == fraction:
            return replace(whole, num_epochs=row.epoch, train_seconds=row.train_seconds, val=row.val)
    seconds, epochs = _budget(results, fraction)
    is_within = record.num_epochs <= epochs if epochs is not None else record.cost.train_seconds <= (seconds or 0.0)
    return whole if record.stop_reason != "budget" and is_within else None


@once_per_study
def _rankings(results: Results) -> list[list[AtBudget]]:
    """The networks at each budget that has any training, best first; those not judged come last."""
    found = [[_at_budget(results, variant, fraction) for variant in results.variants] for fraction in FRACTIONS]
    return [_ranked(networks) for networks in found if any(one.endings for one in networks)]


def _ranked(networks: list[AtBudget]) -> list[AtBudget]:
    common = _deciding_seeds(networks)

    def rank(one: AtBudget) -> tuple[int, float]:
        accuracy = _mean_accuracy(one.of_seeds(common)) if one.endings else 0.0
        return (0 if one.verdict == JUDGED else 1 if one.endings else 2, -accuracy)

    return sorted(networks, key=rank)


def _deciding_seeds(networks: Sequence[AtBudget]) -> set[int]:
    """The seeds that all networks judged at a budget have, by which they are ranked: folds differ in difficulty."""
    judged = [{ending.seed for ending in one.endings} for one in networks if one.verdict == JUDGED]
    return set.intersection(*judged) if judged else set()


def _mean_accuracy(endings: Sequence[Ending]) -> float:
    return statistics.fmean(ending.val.accuracy for ending in endings)


def _budget_row(results: Results, one: AtBudget) -> Row:
    endings = one.endings
    accuracies = [ending.val.accuracy for ending in endings]
    timed = [ending.train_seconds for ending in endings if ending.is_time_comparable]
    folds = _fold_results(results, endings)
    is_judged = len({fold.fold for fold in folds}) >= stats.MIN_SEEDS
    interval = stats.validation_interval(folds) if is_judged else None
    seconds, epochs = _budget(results, one.budget_fraction)
    return {
        "network": one.variant.network,
        "has_stn": one.variant.has_stn,
        "budget_fraction": one.budget_fraction,
        "budget_seconds": seconds,
        "budget_epochs": epochs,
        "num_runs": len(endings),
        "num_undertrained": one.num_undertrained,
        "num_epochs_mean": statistics.fmean(ending.num_epochs for ending in endings) if endings else None,
        "train_seconds_mean": statistics.fmean(timed) if timed else None,
        "val_accuracy_mean": statistics.fmean(accuracies) if accuracies else None,
        "val_accuracy_std": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "val_accuracy_low": interval and interval.low,
        "val_accuracy_high": interval and interval.high,
        "verdict": one.verdict,
    }


def _fold_results(results: Results, endings: Sequence[Ending]) -> list[stats.FoldResult]:
    """A result per seed, on its own fold; none where all seeds share one validation set, whose images are not kept."""
    if results.info.num_val:
        return []
    num_folds = int(results.info.protocol["num_folds"])
    return [
        stats.FoldResult(
            fold=ending.seed % num_folds,
            num_correct=ending.val.num_correct,
            num_seen=ending.val.num_seen,
            num_clusters=_fold_clusters(results).get(ending.seed % num_folds),
        )
        for ending in endings
    ]


@once_per_study
def _fold_clusters(results: Results) -> dict[int, int]:
    """How many tracks each fold has."""
    folds_N = np.array([int(row["fold"]) for row in results.split_rows], np.int64)
    return {int(fold): len(np.unique(results.clusters_N[folds_N == fold])) for fold in np.unique(folds_N)}


@once_per_study
def _leads_by_pair(results: Results) -> list[list[Lead]]:
    """The leads of every pair, smallest budget first, with verdicts that are corrected all together."""
    leads: list[Lead] = []
    differences: dict[tuple[str, str], stats.Difference] = {}
    for a, b in combinations(results.variants, 2):
        for fraction in FRACTIONS:
            of_a, of_b = _paired(results, a, b, fraction)
            is_undertrained = any(ending.num_epochs < UNDERTRAINED_EPOCHS for ending in (*of_a, *of_b))
            if not of_a or is_undertrained or a.diverged_seeds or b.diverged_seeds:
                continue
            gain = _mean_accuracy(of_a) - _mean_accuracy(of_b)
            if folds := _fold_results(results, of_a):
                key = f"a{len(leads)}", f"b{len(leads)}"
                differences[key] = stats.validation_difference(folds, _fold_results(results, of_b))
            leads.append(Lead(a=a, b=b, budget_fraction=fraction, gain=gain))
    verdicts = {verdict.a: verdict for verdict in stats.judge_pairs(differences)}
    leads = [_with_verdict(lead, verdicts.get(f"a{place}")) for place, lead in enumerate(leads)]
    return [[one for one in leads if (one.a, one.b) == pair] for pair in combinations(results.variants, 2)]


def _paired(results: Results, a: Variant, b: Variant, fraction: float) -> tuple[list[Ending], list[Ending]]:
    """The trainings of both at one budget, over the seeds that both have."""
    of_a, of_b = (_at_budget(results, variant, fraction).endings for variant in (a, b))
    common = {ending.seed for ending in of_a} & {ending.seed for ending in of_b}
    return [one for one in of_a if one.seed in common], [one for one in of_b if one.seed in common]


def _with_verdict(lead: Lead, verdict: stats.Verdict | None) -> Lead:
    if verdict is None or verdict.word == stats.NOT_JUDGED:  # two folds or one: no interval of any use
        return lead
    return replace(lead, verdict=verdict.word, low=verdict.difference.low, high=verdict.difference.high)


@once_per_study
def _crossovers(results: Results) -> list[Crossover]:
    found = []
    for of_pair in _leads_by_pair(results):
        for before, after in pairwise(lead for lead in of_pair if lead.gain != 0):
            if before.gain > 0 > after.gain:
                found.append((before, after))
            elif before.gain < 0 < after.gain:
                found.append((before.turned(), after.turned()))
    return found


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
        "verdict_from": GAIN_VERDICTS[before.verdict],
        "verdict_to": GAIN_VERDICTS[after.verdict],
    }


def budget_sentences(study: Path | Results) -> list[str]:
    """Say who is ahead at each budget, who is not judged there, and where two networks change places."""
    results = read_results(study)
    if not has_branches(results):
        return []
    sentences = [sentence for ranking in _rankings(results) for sentence in _sentences_at(results, ranking)]
    crossovers = _crossovers(results)
    sentences += _crossover_sentences(results, crossovers)
    budgets = {lead.budget_fraction for of_pair in _leads_by_pair(results) for lead in of_pair}
    if not crossovers and len(budgets) > 1:
        sentences.append("No two networks change places between these budgets.")
    diverged = [variant.label for variant in results.variants if variant.records and variant.diverged_seeds]
    if diverged:
        sentences.append(f"Not judged at any budget, for a seed that diverged: {join_words(diverged)}.")
    return sentences


def _sentences_at(results: Results, ranking: list[AtBudget]) -> list[str]:
    """Who is ahead at one budget and whether that is shown, and who saw too little there."""
    budget = budget_text(results, ranking[0].budget_fraction)
    judged = [one for one in ranking if one.verdict == JUDGED]
    sentences: list[str] = []
    if judged:
        seeds = _deciding_seeds(ranking)
        names = [one.variant.label for one in judged[:2]]
        means = [format_percent(_mean_accuracy(one.of_seeds(seeds))) for one in judged[:2]]
        text = f"With {budget}, {names[0]} reaches {means[0]} in validation"
        if len(judged) > 1:
            shown = _shown(results, judged[0], judged[1])
            text = f"With {budget}, {names[0]} is ahead: {means[0]} in validation, {names[1]} {means[1]} ({shown})"
        if any(ending.seed not in seeds for one in judged for ending in one.endings):
            text += _by_seeds(seeds)
        sentences.append(f"{text}.")
    too_little = [one.variant.label for one in ranking if one.num_undertrained]
    if too_little:
        epochs = f"fewer than {UNDERTRAINED_EPOCHS:g} epochs"
        sentences.append(f"With {budget}, {join_words(too_little)} saw {epochs}: not judged at this budget.")
    return sentences


def _by_seeds(seeds: set[int]) -> str:
    """By which seeds networks are ranked that have not the same ones."""
    if not seeds:
        return ", each by seeds of its own, and folds differ in difficulty"
    few = f"seed{'s' * (len(seeds) != 1)} {join_words([str(seed) for seed in sorted(seeds)])}"
    return f", by {few}, which all judged there have"


def _shown(results: Results, first: AtBudget, second: AtBudget) -> str:
    """Whether the difference of the two best at a budget is shown."""
    pair, fraction = {first.variant, second.variant}, first.budget_fraction
    leads = [lead for of_pair in _leads_by_pair(results) for lead in of_pair if {lead.a, lead.b} == pair]
    verdict = next((lead.verdict for lead in leads if lead.budget_fraction == fraction), stats.NOT_JUDGED)
    if verdict == stats.NOT_JUDGED:
        if results.info.num_val:
            return "observed: with one validation part for all seeds this is not judged"
        return f"observed, {NEEDS_SEEDS}"
    return "the difference is shown" if verdict == stats.DIFFERENT else "not separated"


def _crossover_sentences(results: Results, crossovers: list[Crossover]) -> list[str]:
    """The first changes of places, those that are shown before the others; how many more there are."""
    ranked = sorted(crossovers, key=lambda pair: -sum(lead.verdict == stats.DIFFERENT for lead in pair))
    first, rest = ranked[:MAX_CROSSINGS], ranked[MAX_CROSSINGS:]
    sentences = [_crossover_sentence(results, *pair) for pair in first]
    if rest:
        num_shown = sum(all(lead.verdict == stats.DIFFERENT for lead in pair) for pair in rest)
        more = f"{len(rest)} more change{'s' * (len(rest) != 1)} of places"
        sentences.append(f"{more}, {num_shown or 'none'} of them shown at both budgets; the table has all.")
    return sentences


def _crossover_sentence(results: Results, before: Lead, after: Lead) -> str:
    verdicts = (before.verdict, after.verdict)
    budgets = [budget_text(results, lead.budget_fraction) for lead in (before, after)]
    behind, ahead = (f"{100 * abs(lead.gain):.2f} points" for lead in (before, after))
    text = f"Between {budgets[0]} and {budgets[1]} {before.b.label} overtakes {before.a.label}"
    text += f": {behind} behind, then {ahead} ahead"
    if stats.NOT_JUDGED in verdicts:
        return f"{text}; observed, not judged."
    if stats.NOT_SEPARATED not in verdicts:
        return f"{text}; both are shown."
    if stats.DIFFERENT not in verdicts:
        return f"{text}; separated at neither, so luck alone may do this."
    place = "smaller" if verdicts[0] == stats.NOT_SEPARATED else "larger"
    return f"{text}; at the {place} budget they are not separated, so luck may have a part in it."
