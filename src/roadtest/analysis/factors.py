"""What one factor brings: the Spatial Transformer, and pretrained weights, each as a paired difference.

The same network, seeds, folds and images, with the factor and without it; of accuracy or of the metric that chooses.
Whether the STN is beneficial is decided in validation, as any choice is, against a tolerance; test is shown beside it.
Costs are given without and with: a difference of two times would want an interval of its own. Two starts differ in
two more things that cannot be separated from the weights: the normalisation, which comes with them, and the learning
rate, which each start gets from its own sweep. A row names both rates.
"""

import statistics
from dataclasses import dataclass
from pathlib import Path

from roadtest.analysis import stats
from roadtest.analysis.comparisons import GAIN_VERDICTS, NEEDS_SEEDS, Estimate, estimate_difference
from roadtest.analysis.costs import headline_latency_ms
from roadtest.analysis.predictions import common_seeds
from roadtest.analysis.results import Results, Variant, once_per_study, read_results
from roadtest.format import Row
from roadtest.networks.registry import PRETRAINED_SUFFIX, parse_network

BENEFICIAL, NOT_BENEFICIAL = "pays", "does not pay"
"""With stats.NOT_DECIDED the values of the columns `worth`, `test_worth` and `stn_worth`."""
STARTS = ("from_nothing", "pretrained")


@dataclass(frozen=True, kw_only=True)
class Factor:
    """A network without and with one thing, and what that brings by the study's metric."""

    without: Variant
    with_it: Variant
    val: Estimate | None
    test: Estimate | None
    tolerance_points: float

    @property
    def benefit(self) -> str | None:
        """What validation says, as `judge_benefit`."""
        return judge_benefit(self.val, tolerance_points=self.tolerance_points)

    @property
    def status(self) -> str:
        """`compared`, or the first reason why not."""
        waiting = [one.status for one in (self.without, self.with_it) if not one.is_compared]
        return waiting[0] if waiting else "compared"

    @property
    def num_runs(self) -> int:
        """The seeds that both have."""
        return len(common_seeds(self.without, self.with_it))

    def gains(self) -> Row:
        """The columns of the two gains; a gain never comes without its interval."""
        row: Row = {}
        for split, gain in (("val", self.val), ("test", self.test)):
            row[f"{split}_gain"] = gain and gain.value
            row[f"{split}_gain_low"] = gain and gain.low
            row[f"{split}_gain_high"] = gain and gain.high
            row[f"{split}_verdict"] = gain and GAIN_VERDICTS[gain.verdict or stats.NOT_JUDGED]
            row[f"{split}_num_units"] = gain and gain.num_clusters
            row[f"{split}_unit_name"] = gain and gain.cluster_noun
            row[f"{split}_num_images"] = gain and gain.num_images
            row[f"{split}_design_effect"] = gain and gain.design_effect
        return row


def judge_benefit(gain: Estimate | None, *, tolerance_points: float) -> str | None:
    """Return `pays` where the gain is shown to exceed the tolerance, `does not pay` where it is shown not to reach it.

    Else `not decided`; with fewer than three seeds not judged; None without a comparison.
    """
    if gain is None:
        return None
    if gain.verdict == stats.NOT_JUDGED:
        return NEEDS_SEEDS
    if gain.low > tolerance_points / 100:
        return BENEFICIAL
    return NOT_BENEFICIAL if gain.high < tolerance_points / 100 else stats.NOT_DECIDED


@once_per_study
def stn_factors(results: Results) -> list[Factor]:
    """Compare each network that was planned both with and without the STN, in the order of the plan."""
    names = dict.fromkeys(variant.network for variant in results.variants)
    pairs = [(results.variant(name, False), results.variant(name, True)) for name in names]
    return [_factor(results, off, on) for off, on in pairs if off is not None and on is not None]


def stn_rows(study: Path | Results) -> list[Row]:
    """Return one row for each network that was planned both with and without the STN.

    Gains are of the study's metric. `worth` is what validation says, `test_worth` what test says: see `judge_benefit`.
    """
    results = read_results(study)
    return [_stn_row(results, factor) for factor in stn_factors(results)]


def _factor(results: Results, without: Variant, with_it: Variant) -> Factor:
    val, test = (estimate_difference(results, with_it, without, split) for split in ("val", "test"))
    return Factor(without=without, with_it=with_it, val=val, test=test, tolerance_points=results.tolerance_points)


def _stn_row(results: Results, factor: Factor) -> Row:
    off, on = factor.without, factor.with_it
    row: Row = {"network": off.network, "num_runs": factor.num_runs, "status": factor.status, **factor.gains()}
    for name in ("num_parameters", "macs"):
        both = [getattr(variant.records[0].cost, name) for variant in (off, on) if variant.records]
        row[f"added_{name}"] = both[1] - both[0] if len(both) == 2 else None
    for variant, suffix in ((off, "without"), (on, "with")):
        row[f"train_seconds_per_epoch_{suffix}"] = _seconds_per_epoch(variant)
        row[f"latency_p50_ms_{suffix}"] = headline_latency_ms(results, variant)
    row["tolerance_points"] = factor.tolerance_points
    row["worth"] = factor.benefit
    row["test_worth"] = judge_benefit(factor.test, tolerance_points=factor.tolerance_points)
    return row


def _seconds_per_epoch(variant: Variant) -> float | None:
    timed = [record for record in variant.records if record.is_time_comparable and record.num_epochs > 0]
    return statistics.fmean(record.cost.train_seconds / record.num_epochs for record in timed) if timed else None


def pretraining_rows(study: Path | Results) -> list[Row]:
    """Return one row for each network that was planned from both starts, with its STN switch, in the plan's order."""
    results = read_results(study)
    pairs = [
        (results.variant(variant.network.removesuffix(PRETRAINED_SUFFIX), variant.has_stn), variant)
        for variant in results.variants
        if parse_network(variant.network).is_pretrained
    ]
    return [_start_row(_factor(results, nothing, pretrained)) for nothing, pretrained in pairs if nothing is not None]


def _start_row(factor: Factor) -> Row:
    nothing, pretrained = factor.without, factor.with_it
    row: Row = {"network": nothing.network, "has_stn": nothing.has_stn, "num_runs": factor.num_runs}
    row["status"] = factor.status
    columns = [f"{split}_{name}" for split in ("val", "test") for name in ("gain", "gain_low", "gain_high", "verdict")]
    gains = factor.gains()
    row |= {column: gains[column] for column in columns}
    for variant, start in zip((nothing, pretrained), STARTS, strict=True):
        records = variant.records
        row[f"learning_rate_{start}"] = records[0].learning_rate if records else None
        row[f"num_epochs_{start}"] = _mean([record.num_epochs for record in records])
        row[f"train_seconds_{start}"] = _mean([record.cost.train_seconds for record in records])
    row["pretrained_weights"] = pretrained.records[0].pretrained_weights if pretrained.records else None
    return row


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
