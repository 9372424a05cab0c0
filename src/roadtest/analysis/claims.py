"""What a student report claimed of the six networks on GTSRB, and what a study's records say of each claim.

The report trained every network once and called 98.83 against 98.82 % a finding. Here a claim is `supported` or
`contradicted` where the judge's intervals show it, on test where it was read, and `not decided` else, which below three
seeds is always. A network is called better where its verdict, corrected for all pairs, says so (comparisons.py); a gain
is called nothing where its interval ends below the tolerance (factors.py).

Claims about times, epochs and costs: who stops earlier, who takes how much longer, who is dear for nothing.
"""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from roadtest.analysis import stats
from roadtest.analysis.comparisons import (
    Estimate,
    common_seeds,
    difference_between,
    estimate_difference,
    estimate_score,
    judge_networks,
    judged_part,
    why_not_compared,
)
from roadtest.analysis.costs import headline_latency_ms
from roadtest.analysis.metrics import ACCURACY
from roadtest.analysis.results import Results, Variant, read_results
from roadtest.format import WHERE, Row, format_percent, format_points, plural
from roadtest.records import RunRecord, network_label

Found = tuple[str, str]


PASSED = 0.96


SIX = tuple((name, has_stn) for name in ("lenet5", "vgg16", "resnet34") for has_stn in (False, True))


def claim_rows(study: Path | Results) -> list[Row]:
    """One row for each claim: `claim`, `verdict`, `evidence`; not decided where its networks were not all compared.

    Nothing where the study is not on the whole of GTSRB, as it is, or can speak to none of the claims.
    """
    results = read_results(study, metric=ACCURACY)
    if not _is_whole_gtsrb(results):
        return []
    rows, num_asked = [], 0
    for claim, labels, judge_claim in CLAIMS:
        variants = [results.variant(name, has_stn) for name, has_stn in labels]
        compared = [variant for variant in variants if variant is not None and variant.is_compared]
        present = {variant.label for variant in compared}
        absent = [label for label in (network_label(*one) for one in labels) if label not in present]
        num_asked += not absent
        asked = judge_claim(results, compared) if not absent else (NOT_DECIDED, f"Not compared: {', '.join(absent)}.")
        rows.append({"claim": claim, "verdict": asked[0], "evidence": asked[1]})
    return rows if num_asked else []


def _is_whole_gtsrb(results: Results) -> bool:
    """All official images, nothing drawn among them, tested on its own test set."""
    info = results.info
    is_own = (info.source, info.data_title, info.test_title) == ("gtsrb", "GTSRB", "")
    return is_own and not info.protocol.get("drawn_fraction")


def _gap(results: Results, a: Variant, b: Variant) -> Estimate | None:
    return estimate_difference(results, a, b, judged_part(results))


def _gap_words(results: Results, a: Variant, b: Variant, gap: Estimate | None) -> str:
    """`lenet5+stn minus lenet5 on test: +1.20 points (95 % interval +0.80 to +1.60; 421 tracks, 5 seeds; ...).`"""
    part = judged_part(results)
    named = f"{a.label} minus {b.label} {WHERE[part]}"
    if gap is None:
        return f"{named}: {why_not_compared(results, a, b, part)}."
    span = f"{format_points(gap.value)} points (95 % interval {format_points(gap.low)} to {format_points(gap.high)}"
    basis = f"{gap.num_units} {gap.unit_name}, {plural(gap.num_seeds, 'seed')}"
    if gap.verdict == "observed":
        return f"{named}: {span}; {basis}, for these trained weights only)."
    verdicts = judge_networks(results, part).verdicts
    num_pairs = sum(verdict.word != stats.NOT_JUDGED for verdict in verdicts)
    corrected = f" after correction for all {num_pairs} pairs" if num_pairs > 1 else ""
    return f"{named}: {span}; {basis}); {gap.verdict}{corrected}."


def _differs(results: Results, variants: list[Variant], *, sign: int) -> Found:
    """The second network is better (sign 1) or worse (sign -1) than the first, by however little."""
    first, second = variants
    gap, tolerance = _gap(results, second, first), results.tolerance_points / 100
    words = _gap_words(results, second, first, gap)
    if gap is None or gap.verdict == "observed":
        return NOT_DECIDED, words
    if gap.verdict == "separated" and sign * gap.value > 0:
        return SUPPORTED, words
    if gap.verdict == "separated":
        return CONTRADICTED, words
    at_least, at_most = (gap.low, gap.high) if sign > 0 else (-gap.high, -gap.low)
    return (CONTRADICTED if at_most < tolerance and at_least <= 0 else NOT_DECIDED), words


_is_better = partial(_differs, sign=1)


_is_worse = partial(_differs, sign=-1)


def _gives_nothing(results: Results, variants: list[Variant]) -> Found:
    """The second network costs more than the first and gains no more than the tolerance."""
    off, on = variants
    gap, tolerance = _gap(results, on, off), results.tolerance_points / 100
    words = f"{_gap_words(results, on, off, gap)} It costs {cost_words(results, off, on)}."
    if gap is None or gap.verdict == "observed":
        return NOT_DECIDED, words
    if gap.high < tolerance:
        return SUPPORTED, words
    return (CONTRADICTED if gap.low > tolerance else NOT_DECIDED), words


def _all_pass(results: Results, variants: list[Variant]) -> Found:
    """Every network has more than 96 %; bounds are shared by all of them."""
    part = judged_part(results)
    confidence = 1 - (1 - stats.CONFIDENCE) * 2 / len(variants)
    found = {variant.label: estimate_score(results, variant, part, confidence=confidence) for variant in variants}
    known = {label: estimate for label, estimate in found.items() if estimate is not None}
    if len(known) < len(found):
        return NOT_DECIDED, "Some of the networks have no interval."
    label = min(known, key=lambda name: known[name].low)
    weakest = known[label]
    words = (
        f"The lowest bound is that of {label}: {format_percent(weakest.value)} {WHERE[part]} ({100 * weakest.low:.2f} "
        f"to {100 * weakest.high:.2f}; corrected for {len(known)} networks; {plural(weakest.num_seeds, 'seed')})."
    )
    if min(len(variant.records) for variant in variants) < stats.MIN_SEEDS:
        return NOT_DECIDED, words
    if weakest.low > PASSED:
        return SUPPORTED, words
    below = [name for name, estimate in known.items() if estimate.high < PASSED]
    if below:
        return CONTRADICTED, f"{words} Shown to lie below 96 %: {', '.join(below)}."
    return NOT_DECIDED, words


SUPPORTED, CONTRADICTED, NOT_DECIDED = "supported", "contradicted", "not decided"


LEAST_RATIO, MOST_RATIO = 1.25, 1.75
"""`1.5 times` is nearer to 1.5 than to 1 or 2."""


def claim_of_epochs(results: Results, variants: list[Variant]) -> Found:
    """The second network stops after fewer epochs than the first: a paired t over seeds that both ended by patience."""
    first, second = variants
    pairs = _paired_records(first, second)
    epochs = [(a.num_epochs, b.num_epochs) for a, b in pairs]
    gaps_S = np.array([b - a for a, b in epochs])
    if not len(gaps_S):
        return NOT_DECIDED, "The two have no seed in common."
    means = [float(np.mean(side)) for side in zip(*epochs, strict=True)]
    words = f"{second.label} trained {means[1]:.1f} epochs, {first.label} {means[0]:.1f}"
    others = sorted({run.stop_reason for pair in pairs for run in pair} - {"patience"})
    if others:
        return NOT_DECIDED, f"{words}, but not every run was ended by patience ({', '.join(others)})."
    bounds = stats.mean_bounds(gaps_S, least_deviation=1.0)
    if bounds is None:
        return NOT_DECIDED, f"{words} ({plural(len(gaps_S), 'seed')})."
    low, high = bounds
    words += f": {gaps_S.mean():+.1f} epochs (95 % interval {low:+.1f} to {high:+.1f}; {plural(len(gaps_S), 'seed')})."
    return (SUPPORTED if high < 0 else CONTRADICTED if low > 0 else NOT_DECIDED), words


def claim_of_time(results: Results, variants: list[Variant]) -> Found:
    """The second network takes 1.5 times the first one's training time: a paired t over the ratio's logarithm.

    Where the budget ended a run, times are as long as it was, and those of an epoch are compared.
    """
    first, second = variants
    pairs = [pair for pair in _paired_records(first, second) if all(run.is_time_comparable for run in pair)]
    is_free = all(run.stop_reason == "patience" for pair in pairs for run in pair)
    read: Callable[[RunRecord], float] = _train_seconds if is_free else _epoch_seconds
    ratios_S = np.array([read(b) / read(a) for a, b in pairs if read(a) > 0 and read(b) > 0])
    if not len(ratios_S):
        return NOT_DECIDED, "No two runs have times that can be compared."
    ratio = math.exp(float(np.log(ratios_S).mean()))
    kind = "training takes" if is_free else "an epoch takes"
    words = f"{kind[0].upper()}{kind[1:]} {second.label} {ratio:.3g} times as long as {first.label}"
    bounds = stats.mean_bounds(np.log(ratios_S), least_deviation=0.01)
    if bounds is None:
        return NOT_DECIDED, f"{words} ({plural(len(ratios_S), 'seed')})."
    low, high = (math.exp(bound) for bound in bounds)
    words += f" (95 % interval {low:.3g} to {high:.3g}; {plural(len(ratios_S), 'seed')}; on this study's machine)."
    if low >= LEAST_RATIO and high <= MOST_RATIO:
        return SUPPORTED, words
    return (CONTRADICTED if high < LEAST_RATIO or low > MOST_RATIO else NOT_DECIDED), words


def claim_of_cost(results: Results, variants: list[Variant]) -> Found:
    """The first network is dear for nothing: one that is cheaper in every cost is shown to be about as accurate.

    Contradicted where it is shown to be better than each of these by more than the tolerance.
    """
    dear, *others = variants
    cheaper = [other for other in others if _is_cheaper(results, other, dear)]
    if not cheaper:
        return (
            NOT_DECIDED,
            f"None of {', '.join(one.label for one in others)} is cheaper than {dear.label} in every cost.",
        )
    part, tolerance = judged_part(results), results.tolerance_points / 100
    confidence = max(stats.CONFIDENCE, 1 - 2 * (1 - stats.CONFIDENCE) / len(cheaper))
    found = {
        one.label: gap
        for one in cheaper
        if (gap := difference_between(results, one, dear, part, confidence=confidence)) is not None
    }
    told = [
        f"{label} is cheaper in every cost and {format_points(gap.estimate)} points from {dear.label} {WHERE[part]} "
        f"({format_points(gap.low)} to {format_points(gap.high)}; {plural(gap.num_seeds, 'seed')})"
        for label, gap in found.items()
    ]
    words = f"{'; '.join(told)}." if told else "They have no images in common."
    if len(found) < len(cheaper) or any(gap.num_seeds < stats.MIN_SEEDS for gap in found.values()):
        return NOT_DECIDED, words
    if any(gap.low >= -tolerance for gap in found.values()):
        return SUPPORTED, words
    return (CONTRADICTED if all(gap.high < -tolerance for gap in found.values()) else NOT_DECIDED), words


CLAIMS: tuple[tuple[str, tuple[tuple[str, bool], ...], Callable[[Results, list[Variant]], Found]], ...] = (
    ("The STN lifts LeNet-5.", (("lenet5", False), ("lenet5", True)), _is_better),
    ("The STN gives ResNet nothing and is wasteful.", (("resnet34", False), ("resnet34", True)), _gives_nothing),
    (
        "The STN hurts VGG (the report's 97.25 % is a validation figure; its test figure was 96.07 %).",
        (("vgg16", False), ("vgg16", True)),
        _is_worse,
    ),
    ("The STN lets VGG stop earlier.", (("vgg16", False), ("vgg16", True)), claim_of_epochs),
    ("ResNet beats LeNet-5.", (("lenet5", False), ("resnet34", False)), _is_better),
    ("ResNet takes 1.5 times LeNet-5's time.", (("lenet5", False), ("resnet34", False)), claim_of_time),
    ("VGG is worst for its cost.", (("vgg16", False), ("lenet5", False), ("resnet34", False)), claim_of_cost),
    ("All six pass 96 %.", SIX, _all_pass),
)
"""The claim, the networks it needs, and what judges it."""


def cost_words(results: Results, off: Variant, on: Variant) -> str:
    """What the second network costs more than the first: `8,544 parameters, 0.97 M MACs, 1.12 times the time ...`."""
    costs = [variant.records[0].cost for variant in (off, on)]
    words = [
        f"{costs[1].num_parameters - costs[0].num_parameters:,} parameters",
        f"{(costs[1].macs - costs[0].macs) / 1e6:.3g} M multiply-accumulates",
    ]
    for read, what in ((_epoch_time, "the time of an epoch"), (headline_latency_ms, "the latency")):
        before, after = read(results, off), read(results, on)
        if before and after:
            words.append(f"{after / before:.3g} times {what}")
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _is_cheaper(results: Results, one: Variant, other: Variant) -> bool:
    """In every cost that was measured of both."""
    costs = [(float(a), float(b)) for a, b in zip(_costs(results, one), _costs(results, other), strict=True) if a and b]
    return bool(costs) and all(a < b for a, b in costs)


def _costs(results: Results, variant: Variant) -> tuple[float | None, ...]:
    cost = variant.records[0].cost
    return cost.num_parameters, cost.macs, _epoch_time(results, variant), headline_latency_ms(results, variant)


def _epoch_time(results: Results, variant: Variant) -> float | None:
    timed = [record for record in variant.records if record.is_time_comparable and record.num_epochs > 0]
    return float(np.mean([_epoch_seconds(record) for record in timed])) if timed else None


def _train_seconds(record: RunRecord) -> float:
    return record.cost.train_seconds


def _epoch_seconds(record: RunRecord) -> float:
    return record.cost.train_seconds / record.num_epochs if record.num_epochs > 0 else 0.0


def _paired_records(a: Variant, b: Variant) -> list[tuple[RunRecord, RunRecord]]:
    by_seed = [{record.seed: record for record in variant.records} for variant in (a, b)]
    return [(by_seed[0][seed], by_seed[1][seed]) for seed in common_seeds(a, b)]
