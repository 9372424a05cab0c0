"""What the Spatial Transformer did for each network: the same network, seeds and images, with it and without it.

Gains of accuracy, or of the metric that chooses, are paired differences with an interval. Whether the STN is worth
having is said of validation, as any choice is, against a tolerance; what test says of it stands beside. Costs stand
side by side, without and with: a difference of two times would want an interval of its own.

What pretraining brings: networks that start from pretrained weights, each beside the same one from nothing.

Same seeds, same folds, same images; paired differences with an interval, of accuracy or of the metric that chooses. Two
things differ besides the first weights, because they cannot be had apart: the normalisation, which the weights bring
with them, and the learning rate, which each start was given by its own sweep. A row names both rates.
"""

import statistics
from pathlib import Path

from roadtest.analysis.comparisons import NEEDS_SEEDS, Estimate, common_seeds, estimate_difference
from roadtest.analysis.costs import headline_latency_ms
from roadtest.analysis.results import Results, Variant, read_results
from roadtest.format import Row
from roadtest.networks.registry import PRETRAINED_SUFFIX, parse_network

PAYS, DOES_NOT_PAY, NOT_DECIDED = "pays", "does not pay", "not decided"


def stn_rows(study: Path | Results) -> list[Row]:
    """One row for each network that was planned both with and without the STN, in the order of the plan.

    Gains are of the study's metric. `worth` is what validation says, `test_worth` what test says: see `stn_benefit`.
    """
    results = read_results(study)
    names = dict.fromkeys(variant.network for variant in results.variants)
    pairs = [(results.variant(name, False), results.variant(name, True)) for name in names]
    return [_stn_row(results, off, on) for off, on in pairs if off is not None and on is not None]


def stn_benefit(gain: Estimate | None, *, tolerance_points: float) -> str | None:
    """`pays` where the gain is shown to exceed the tolerance, `does not pay` where it is shown not to reach it.

    Else `not decided`; with fewer than three seeds not judged; None without a comparison.
    """
    if gain is None:
        return None
    if gain.verdict == "observed":
        return NEEDS_SEEDS
    if gain.low > tolerance_points / 100:
        return PAYS
    return DOES_NOT_PAY if gain.high < tolerance_points / 100 else NOT_DECIDED


def _stn_row(results: Results, off: Variant, on: Variant) -> Row:
    row: Row = {"network": off.network, "num_runs": len(common_seeds(off, on)), "status": _status(off, on)}
    gains = {split: estimate_difference(results, on, off, split) for split in ("val", "test")}
    for split, gain in gains.items():
        row |= _gain(split, gain)
    for name in ("num_parameters", "macs"):
        both = [getattr(variant.records[0].cost, name) for variant in (off, on) if variant.records]
        row[f"added_{name}"] = both[1] - both[0] if len(both) == 2 else None
    for variant, suffix in ((off, "without"), (on, "with")):
        row[f"train_seconds_per_epoch_{suffix}"] = _seconds_per_epoch(variant)
        row[f"latency_p50_ms_{suffix}"] = headline_latency_ms(results, variant)
    row["tolerance_points"] = results.tolerance_points
    row["worth"] = stn_benefit(gains["val"], tolerance_points=results.tolerance_points)
    row["test_worth"] = stn_benefit(gains["test"], tolerance_points=results.tolerance_points)
    return row


def _status(off: Variant, on: Variant) -> str:
    """`compared`, or the first reason why not."""
    waiting = [variant.status for variant in (off, on) if not variant.is_compared]
    return waiting[0] if waiting else "compared"


def _gain(split: str, gain: Estimate | None) -> Row:
    """A gain never stands without its interval."""
    return {
        f"{split}_gain": gain and gain.value,
        f"{split}_gain_low": gain and gain.low,
        f"{split}_gain_high": gain and gain.high,
        f"{split}_verdict": gain and gain.verdict,
        f"{split}_num_units": gain and gain.num_clusters,
        f"{split}_unit_name": gain and gain.cluster_noun,
        f"{split}_num_images": gain and gain.num_images,
        f"{split}_design_effect": gain and gain.design_effect,
    }


def _seconds_per_epoch(variant: Variant) -> float | None:
    timed = [record for record in variant.records if record.is_time_comparable and record.num_epochs > 0]
    return statistics.fmean(record.cost.train_seconds / record.num_epochs for record in timed) if timed else None


STARTS = ("from_nothing", "pretrained")


def pretraining_rows(study: Path | Results) -> list[Row]:
    """One row for each network that was planned from both starts, with its STN switch, in the order of the plan."""
    results = read_results(study)
    pairs = [
        (results.variant(variant.network.removesuffix(PRETRAINED_SUFFIX), variant.has_stn), variant)
        for variant in results.variants
        if parse_network(variant.network).is_pretrained
    ]
    return [_row(results, nothing, pretrained) for nothing, pretrained in pairs if nothing is not None]


def _row(results: Results, nothing: Variant, pretrained: Variant) -> Row:
    waiting = [variant.status for variant in (nothing, pretrained) if not variant.is_compared]
    row: Row = {
        "network": nothing.network,
        "has_stn": nothing.has_stn,
        "num_runs": len(common_seeds(nothing, pretrained)),
        "status": waiting[0] if waiting else "compared",
    }
    for split in ("val", "test"):
        gain = estimate_difference(results, pretrained, nothing, split)
        row |= {
            f"{split}_gain": gain and gain.value,
            f"{split}_gain_low": gain and gain.low,
            f"{split}_gain_high": gain and gain.high,
            f"{split}_verdict": gain and gain.verdict,
        }
    for variant, start in zip((nothing, pretrained), STARTS, strict=True):
        first = variant.records[0] if variant.records else None
        row[f"learning_rate_{start}"] = first and first.learning_rate
        row[f"num_epochs_{start}"] = first and _mean([record.num_epochs for record in variant.records])
        row[f"train_seconds_{start}"] = first and _mean([record.cost.train_seconds for record in variant.records])
    first = pretrained.records[0] if pretrained.records else None
    row["pretrained_weights"] = first and first.pretrained_weights
    return row


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
