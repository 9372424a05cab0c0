"""Claims about times, epochs and costs: who stops earlier, who takes how much longer, who is dear for nothing."""

import math
from collections.abc import Callable

import numpy as np

from roadtest import judge
from roadtest.record import RunRecord
from roadtest.summarise.costs import headline_latency_ms
from roadtest.summarise.intervals import common_seeds, difference_between
from roadtest.summarise.pairs import judged_part
from roadtest.summarise.results import Results, Variant
from roadtest.summarise.words import WHERE, plural, points

Found = tuple[str, str]
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
    bounds = judge.mean_bounds(gaps_S, least_deviation=1.0)
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
    bounds = judge.mean_bounds(np.log(ratios_S), least_deviation=0.01)
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
    confidence = max(judge.CONFIDENCE, 1 - 2 * (1 - judge.CONFIDENCE) / len(cheaper))
    found = {
        one.label: gap
        for one in cheaper
        if (gap := difference_between(results, one, dear, part, confidence=confidence)) is not None
    }
    told = [
        f"{label} is cheaper in every cost and {points(gap.estimate)} points from {dear.label} {WHERE[part]} "
        f"({points(gap.low)} to {points(gap.high)}; {plural(gap.num_seeds, 'seed')})"
        for label, gap in found.items()
    ]
    words = f"{'; '.join(told)}." if told else "They have no images in common."
    if len(found) < len(cheaper) or any(gap.num_seeds < judge.MIN_SEEDS for gap in found.values()):
        return NOT_DECIDED, words
    if any(gap.low >= -tolerance for gap in found.values()):
        return SUPPORTED, words
    return (CONTRADICTED if all(gap.high < -tolerance for gap in found.values()) else NOT_DECIDED), words


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
