"""Which network is ahead with how much training, and between which budgets two of them change places.

Pairs are compared over the seeds that both have, at every budget at which both are judged (budgets.py). A verdict
rests on folds, at least three, and is corrected for all pairs at all budgets together (Holm).
"""

import statistics
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from roadtest import judge
from roadtest.record import network_label
from roadtest.schedule import UNDERTRAINED_EPOCHS
from roadtest.summarise.budgets import (
    FRACTIONS,
    JUDGED,
    Ending,
    budget_rows,
    budget_text,
    deciding_seeds,
    endings_at,
    fold_results,
    has_branches,
)
from roadtest.summarise.results import Results, Variant, read_results

Row = dict[str, Any]
SEPARATED, NOT_SEPARATED, OBSERVED = "separated", "not separated", "observed"
MAX_CROSSINGS = 4
"""So many changes of places are told one by one; the table has all."""
_WORDS = {judge.DIFFERENT: SEPARATED, judge.NOT_SEPARATED: NOT_SEPARATED, judge.NOT_JUDGED: OBSERVED}


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
    differences: dict[tuple[str, str], judge.Difference] = {}
    for place, lead in enumerate(leads):
        of_a, of_b = (fold_results(results, one) for one in _paired(results, lead.a, lead.b, lead.budget_fraction))
        if of_a:
            differences[f"a{place}", f"b{place}"] = judge.validation_difference(of_a, of_b)
    verdicts = {verdict.a: verdict for verdict in judge.judge_pairs(differences)}
    return [_with_verdict(lead, verdicts.get(f"a{place}")) for place, lead in enumerate(leads)]


def _with_verdict(lead: Lead, verdict: judge.Verdict | None) -> Lead:
    if verdict is None:
        return lead
    if verdict.word == judge.NOT_JUDGED:  # two folds or one: no interval that is worth a look
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
            shown = _shown(results, _verdict(leads, fraction, *judged[:2]))
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


def _verdict(leads: list[Lead], fraction: float, *labels: str) -> str:
    for lead in leads:
        if lead.budget_fraction == fraction and {lead.a.label, lead.b.label} == set(labels):
            return lead.verdict
    return OBSERVED


def _shown(results: Results, verdict: str) -> str:
    words = {SEPARATED: "the difference is shown", NOT_SEPARATED: "not separated"}
    if results.info.num_val:
        return words.get(verdict, "observed: with one validation part for all seeds this is not judged")
    return words.get(verdict, f"observed, not judged: needs {judge.MIN_SEEDS} seeds, 5 are better")


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
