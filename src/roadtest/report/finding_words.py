"""The sentences under the plots, each computed from the records by a rule of findings.py."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from roadtest.record import row_label
from roadtest.report import words
from roadtest.report.cost_rows import COSTS, NOT_WORTH_TELLING, CostKind
from roadtest.report.findings import Fit, dominating, find_fit, is_noise, waits_for_data
from roadtest.summarise import Results, Variant, estimate_difference, judge_networks, stn_rows

Row = dict[str, Any]
MAX_NOISE_PAIRS = 3
SIDE_COSTS = ("size_bytes", "peak_memory_bytes")
"""They follow from the number of parameters: beside it they would hide what stands out."""


def fit_sentences(results: Results, variants: Sequence[Variant]) -> list[str]:
    """How each network trained: whether it converged, under-fits, over-fits, or lost a seed."""
    told = [(variant, find_fit(results, variant)) for variant in variants if variant.records]
    unseen = [variant.label for variant, fit in told if fit is None]
    they = "they fit" if len(unseen) > 1 else "it fits"
    silent = [f"{words.listed(unseen)} saw too little to say how {they}."] if unseen else []
    return [_fit_sentence(variant, fit) for variant, fit in told if fit is not None] + silent


def noise_sentence(results: Results) -> str:
    """Which of the differences luck alone may make; empty where nothing was judged."""
    judged = judge_networks(results)
    found = [(a, b, estimate_difference(results, a, b, judged.part)) for a, b in combinations(judged.variants, 2)]
    gaps = [(a, b, gap) for a, b, gap in found if gap is not None and gap.verdict != "observed"]
    noisy = [f"{a.label} and {b.label} ({_gap_words(gap)})" for a, b, gap in gaps if is_noise(gap)]
    if not gaps:
        return ""
    if not noisy:
        unclear = sum(gap.verdict == "not separated" for _, _, gap in gaps)
        if unclear:
            return (
                f"No interval holds zero, and yet {unclear} of {words.plural(len(gaps), 'pair')} "
                f"{'is' if unclear == 1 else 'are'} not separated after correction for all of them."
            )
        return "No difference lies within the noise." if len(gaps) > 1 else "The difference is not within the noise."
    if len(gaps) == 1:
        return (
            f"The difference is within the noise: luck alone makes differences of this size, {_gap_words(gaps[0][2])}."
        )
    shown = noisy[:MAX_NOISE_PAIRS]
    num_more = len(noisy) - len(shown)
    named = f"{', '.join(shown)} and {words.plural(num_more, 'further pair')}" if num_more else words.listed(shown)
    return (
        f"Within the noise, so that luck alone may make the difference, {'is' if len(noisy) == 1 else 'are'} "
        f"{len(noisy)} of {words.plural(len(gaps), 'pair')}: {named}."
    )


def cost_sentences(results: Results, board: Sequence[Row]) -> list[str]:
    """In which cost the networks lie furthest apart, who took most of the time, and who waited for data."""
    return [sentence for sentence in (_spread(board), _share(results), _waiting(results)) if sentence]


def stn_sentences(results: Results) -> list[str]:
    """For each network whether the STN pays, what it brings and what it costs."""
    return [_stn_sentence(row) for row in stn_rows(results) if row["val_gain"] is not None]


def _stn_sentence(row: Row) -> str:
    gain = f"{words.points(row['val_gain'])} points in validation"
    gain += f" ({words.gain_interval(row['val_gain_low'], row['val_gain_high'])})"
    costs = [f"{words.times(factor)} the {what}" for what, factor in _stn_factors(row).items()]
    price = f" It costs {words.listed(costs)}." if costs else ""
    start, tolerance = f"For {row['network']} the STN", f"{row['tolerance_points']:g} points"
    if row["worth"] == "pays":
        return f"{start} pays: {gain}, shown to be more than {tolerance}.{price}"
    if row["worth"] == "does not pay":
        return f"{start} does not pay: {gain}, shown to be less than {tolerance}.{price}"
    if row["worth"] == "not decided":
        return (
            f"Whether the STN pays for {row['network']} is not decided: {gain}, against {tolerance} that matter.{price}"
        )
    return f"{start} brought {gain}: observed with {words.plural(row['num_runs'], 'seed')}, not judged.{price}"


def _stn_factors(row: Row) -> dict[str, float]:
    """How many times the cost is with the STN, where that is a tenth or more."""
    ends = {"training time": "train_seconds_per_epoch", "latency": "latency_p50_ms"}
    both = {what: (row[f"{name}_without"], row[f"{name}_with"]) for what, name in ends.items()}
    return {what: on / off for what, (off, on) in both.items() if off and on and on / off >= NOT_WORTH_TELLING}


def _fit_sentence(variant: Variant, fit: Fit) -> str:
    errors = f"{words.percent(fit.train_error)} wrong in training, {words.percent(fit.val_error)} in validation"
    found = []
    if fit.collapsed:
        lost = words.listed([str(seed) for seed in fit.collapsed])
        found.append(f"collapsed with seed{'s' * (len(fit.collapsed) > 1)} {lost}, which count like any other")
    for word, seeds, details in (
        ("did not converge", fit.unconverged, ": the loss was still falling when training had to end"),
        ("under-fits", fit.underfitting, f" ({errors})"),
        ("over-fits", fit.overfitting, f" ({errors})"),
    ):
        if 2 * len(seeds) > fit.num_runs:
            found.append(f"{word}{_how_many(len(seeds), fit.num_runs)}{details}")
    if found:
        return f"{variant.label} {'; it '.join(found)}."
    too_few = f" Too few evaluations to tell whether {variant.label} had converged." if fit.num_told == 0 else ""
    converged = "converged and " if fit.num_told == fit.num_runs and not fit.unconverged else ""
    return f"{variant.label} {converged}neither under- nor over-fits ({errors}).{too_few}"


def _spread(board: Sequence[Row]) -> str:
    """How far apart the networks lie in each cost, the widest first."""
    rows = [row for row in board if row["status"] in ("complete", "incomplete")]
    kinds = [kind for kind in COSTS if kind.column not in SIDE_COSTS and all(row[kind.column] for row in rows)]
    if len(rows) < 2 or not kinds:
        return ""
    factors = {kind: _highest(rows, kind)[kind.column] / _lowest(rows, kind)[kind.column] for kind in kinds}
    kinds.sort(key=lambda kind: -factors[kind])
    apart = [f"{words.factor(factors[kind])} in {kind.word}" for kind in kinds]
    if dominating(list(factors.values())) is None:
        return f"No single cost dominates: from cheapest to dearest network lies a factor of {words.listed(apart)}."
    first = kinds[0]
    cheap, dear = row_label(_lowest(rows, first)), row_label(_highest(rows, first))
    return (
        f"The cost that dominates is {first.word}: a factor of {words.factor(factors[first])} lies between {cheap} and "
        f"{dear}, against {words.listed(apart[1:])}."
    )


def _lowest(rows: Sequence[Row], kind: CostKind) -> Row:
    return min(rows, key=lambda row: row[kind.column])


def _highest(rows: Sequence[Row], kind: CostKind) -> Row:
    return max(rows, key=lambda row: row[kind.column])


def _share(results: Results) -> str:
    """The network that took more than half of the study's training time."""
    seconds = {v.label: sum(record.cost.train_seconds for record in v.records) for v in results.variants if v.records}
    whole = sum(seconds.values())
    label = max(seconds, key=lambda one: seconds[one], default="")
    if len(seconds) < 3 or whole <= 0 or seconds[label] <= whole / 2:
        return ""
    return f"{label} took {100 * seconds[label] / whole:.0f} % of all {words.seconds(whole)} of training."


def _waiting(results: Results) -> str:
    labels = [variant.label for variant in results.variants if variant.records and waits_for_data(variant)]
    if not labels:
        return ""
    return f"More than half of the training time of {words.listed(labels)} went into making batches."


def _gap_words(gap: Any) -> str:
    return f"{words.points(gap.value)} points, {words.gain_interval(gap.low, gap.high)}"


def _how_many(num_seeds: int, num_runs: int) -> str:
    return "" if num_seeds == num_runs else f" in {num_seeds} of {num_runs} seeds"
