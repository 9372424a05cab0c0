"""What pretraining brings: networks that start from pretrained weights, each beside the same one from nothing.

Same seeds, same folds, same images; paired differences with an interval, of accuracy or of the metric that chooses. Two
things differ besides the first weights, because they cannot be had apart: the normalisation, which the weights bring
with them, and the learning rate, which each start was given by its own sweep. A row names both rates.
"""

from pathlib import Path
from typing import Any

from roadtest.networks import parse_network
from roadtest.networks.registry import PRETRAINED_SUFFIX
from roadtest.summarise.intervals import common_seeds
from roadtest.summarise.pairs import estimate_difference
from roadtest.summarise.results import Results, Variant, read_results

Row = dict[str, Any]
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
    for part in ("val", "test"):
        gain = estimate_difference(results, pretrained, nothing, part)
        row |= {
            f"{part}_gain": gain and gain.value,
            f"{part}_gain_low": gain and gain.low,
            f"{part}_gain_high": gain and gain.high,
            f"{part}_verdict": gain and gain.verdict,
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
