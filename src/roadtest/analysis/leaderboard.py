"""The leaderboard and the table of runs: validation puts the networks in order, test is shown beside it.

Undertrained networks come after the others, failed and waiting ones last; nothing is left out. Rates are fractions;
None is "not measured". Below the networks come external systems (external.py).

The result is also said in a few sentences: who leads, what a verdict needs, and where the STN is beneficial.
"""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from roadtest.analysis import stats
from roadtest.analysis.comparisons import estimate_score, judge_networks, order_sentence, ranked_variants
from roadtest.analysis.costs import (
    NUM_THREADS,
    ONNX,
    Costs,
    DeviceCosts,
    device_column,
    exported_costs,
    headline_threads,
    network_costs,
)
from roadtest.analysis.factors import BENEFICIAL, NOT_BENEFICIAL, Factor, stn_factors
from roadtest.analysis.metrics import ACCURACY, METRICS, Metric
from roadtest.analysis.results import (
    ClassRecall,
    Results,
    Variant,
    mean_score,
    missing_class_sentence,
    once_per_study,
    read_results,
    run_score,
    run_scores,
    weakest_classes,
)
from roadtest.analysis.sample_size import GOOD_NUM_SEEDS, plan_more_seeds
from roadtest.format import WHERE, Row, capitalise, render_duration
from roadtest.records import PlannedRun

OTHERS = tuple(metric for metric in METRICS.values() if metric.name != ACCURACY)
"""The metrics whose columns come after those of accuracy."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The mean of one metric over a network's runs, with its 95 % interval; None is not measured."""

    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class LeaderboardRow:
    """A network in the leaderboard."""

    variant: Variant
    metric: Metric
    """What chooses."""
    figures: dict[tuple[str, str], Figure]
    """By set (`val`, `test`) and metric."""
    weakest_classes: list[ClassRecall]
    """By the recall over the validation predictions of all runs, the weakest first."""
    costs: Costs
    num_threads: int | None
    """Of the latency in `costs`."""
    exported: dict[str, DeviceCosts]
    """Of the exported network, by device; ONNX is this computer."""
    judged_split: str | None
    letters: str | None
    is_leading: bool | None
    stn_benefit: str | None
    source: dict[str, str]
    """`test_title` and `level`, where the study has them."""

    @property
    def label(self) -> str:
        """`lenet5+stn`."""
        return self.variant.label

    def figure(self, split: str = "val", metric: str | None = None) -> Figure:
        """The figure of a metric on a set, of the one that chooses where none is named."""
        return self.figures[split, metric or self.metric.name]

    def to_row(self) -> Row:
        """The columns that every leaderboard has, and those of the study's devices."""
        variant, weakest = self.variant, next(iter(self.weakest_classes), None)
        tests = [record.test for record in variant.records if record.test is not None]
        val, test = (self.figure(split, ACCURACY) for split in ("val", "test"))
        row: Row = {
            "network": variant.network,
            "has_stn": variant.has_stn,
            "num_runs": len(variant.records),
            "val_accuracy_mean": val.mean,
            "val_accuracy_std": _deviation([record.val.accuracy for record in variant.records]),
            "test_accuracy_mean": test.mean,
            "test_accuracy_std": _deviation([one.accuracy for one in tests]),
            "test_loss_mean": _mean(one.loss for one in tests),
            **vars(self.costs),
            "status": variant.status,
            "val_accuracy_low": val.low,
            "val_accuracy_high": val.high,
            "test_accuracy_low": test.low,
            "test_accuracy_high": test.high,
        }
        for split in ("val", "test"):
            for metric in OTHERS:
                figure = self.figure(split, metric.name)
                row |= {f"{split}_{metric.column}_{end}": value for end, value in vars(figure).items()}
        row["val_weakest_label"] = weakest and weakest.label
        row["val_weakest_class"] = weakest and weakest.class_name
        row["val_weakest_recall"] = weakest and weakest.recall
        row |= {"metric": self.metric.name, "judged_part": self.judged_split}
        row |= {"letters": self.letters, "is_leading": self.is_leading}
        for device, found in self.exported.items():
            row[device_column(device)] = found.latency_p50_ms
            if device != ONNX:
                row[device_column(device, "peak_memory_bytes")] = found.peak_memory_bytes
        row |= {**self.source, "stn_worth": self.stn_benefit, NUM_THREADS: self.num_threads}
        return row | {device_column(name, "num_threads"): found.num_threads for name, found in self.exported.items()}


@once_per_study
def leaderboard(results: Results) -> list[LeaderboardRow]:
    """Return the networks, best in validation first."""
    benefits = {factor.without.network: factor.benefit for factor in stn_factors(results)}
    judged = judge_networks(results)
    rows = []
    for variant in ranked_variants(results):
        is_judged = judged.is_judged and variant.label in judged.letters
        rows.append(
            LeaderboardRow(
                variant=variant,
                metric=results.chosen_by,
                figures={
                    (split, metric): _figure(results, variant, split, metric)
                    for split in ("val", "test")
                    for metric in METRICS
                },
                weakest_classes=weakest_classes(results, variant, "val"),
                costs=network_costs(results, variant),
                num_threads=headline_threads(results, variant),
                exported=exported_costs(results, variant),
                judged_split=judged.split if is_judged else None,
                letters=judged.letters[variant.label] or None if is_judged else None,
                is_leading=variant.label in judged.leading if is_judged else None,
                stn_benefit=benefits.get(variant.network) if variant.has_stn else None,
                source=_source(results),
            )
        )
    return rows


def _figure(results: Results, variant: Variant, split: str, metric: str) -> Figure:
    estimate = estimate_score(results, variant, split, metric=metric)
    # an accuracy is in the record of every run that read the set; another metric needs the predictions of all runs
    accuracies = run_scores(results, variant.records, split, ACCURACY)
    mean = _mean(accuracies) if metric == ACCURACY else mean_score(results, variant, split, metric)
    low, high = (estimate.low, estimate.high) if estimate else (None, None)
    return Figure(mean=mean, low=low, high=high)


def _source(results: Results) -> dict[str, str]:
    """On which other data set the test images lie, and the level of training on synthetic signs alone."""
    found = {"test_title": results.info.test_title, "level": results.info.level}
    return {column: text for column, text in found.items() if text}


def leaderboard_rows(study: Path | Results) -> list[Row]:
    """Return one row for each network, best in validation first; the columns of every leaderboard.

    After accuracy, costs and their intervals: the other metrics, the weakest class, letters, the STN's benefit, and
    with how many threads the latencies were measured.
    """
    return [row.to_row() for row in leaderboard(read_results(study))]


def seed_rows(study: Path | Results) -> list[Row]:
    """Return one row for each planned run, finished or not, in the order of the leaderboard."""
    results = read_results(study)
    return [_seed_row(results, variant, run) for variant in ranked_variants(results) for run in variant.planned]


def _seed_row(results: Results, variant: Variant, run: PlannedRun) -> Row:
    """All columns of a run, empty where it did not get so far."""
    record = next((record for record in variant.records if record.seed == run.seed), None)
    failure = next((failure for failure in variant.failures if failure.seed == run.seed), None)
    status = "failed" if failure is not None else "waiting"
    if record is not None:
        status = "undertrained" if record.is_undertrained else "complete"
    row: Row = {"network": run.network, "has_stn": run.has_stn, "seed": run.seed, "status": status}
    row["reason"] = failure.reason if failure else None
    for split in ("train", "val", "test"):
        outcome = getattr(record, split, None)
        row |= {f"{split}_{name}": getattr(outcome, name, None) for name in ("num_seen", "accuracy", "loss")}
        for metric in OTHERS if split != "train" else ():
            row[f"{split}_{metric.column}"] = record and run_score(results, record, split, metric.name)
    for name in ("num_epochs", "stop_reason", "learning_rate", "batch_size", "device", "precision", "num_threads"):
        row[name] = getattr(record, name, None)
    for name in ("train_seconds", "data_seconds", "eval_seconds", "num_steps", "num_images_seen", "peak_memory_bytes"):
        row[name] = getattr(record.cost, name) if record else None
    for name in ("cpu_name", "gpu_name", "load", "commit"):
        row[name] = getattr(record.machine, name) if record else None
    for name in ("num_resumes", "is_time_comparable", "started_at", "finished_at"):
        row[name] = getattr(record, name, None)
    return row | _source(results)


def _mean(values: Iterable[float]) -> float | None:
    present = list(values)
    return statistics.fmean(present) if present else None


def _deviation(values: list[float]) -> float | None:
    """Sample standard deviation over the seeds; one seed has none."""
    return statistics.stdev(values) if len(values) > 1 else None


def summary_sentences(study: Path | Results) -> list[str]:
    """Return the leading set, or what a verdict needs; what the order goes by; the STN's benefit."""
    results = read_results(study)
    parts = [leading_sentence(results), _needed(results), order_sentence(results), missing_class_sentence(results)]
    parts += [_benefit(factor, _by(results)) for factor in stn_factors(results)]
    return [sentence for sentence in parts if sentence]


def leading_sentence(results: Results) -> str:
    """Say who leads, or why nothing was judged; empty where there is nothing to compare."""
    judged = judge_networks(results)
    if not judged.is_judged:
        return f"{capitalise(judged.remark)}." if judged.remark else ""
    best, *others = judged.leading
    where = f"{WHERE[judged.split]}{_by(results)}"
    corrected = f" after correction for all {judged.num_judged} pairs" if judged.num_judged > 1 else ""
    against = {v.a if v.b == best else v.b: v for v in judged.verdicts if best in (v.a, v.b)}
    apart = [variant.label for variant in judged.variants if variant.label not in judged.leading]
    few = [label for label in apart if label in against and against[label].word == stats.NOT_JUDGED]
    groups = {
        f"not separated from it{corrected}": others,
        "with too few seeds to be judged against it": few,
        "not compared with it": [label for label in apart if label not in against],
    }
    parts = [f"{words}: {', '.join(labels)}" for words, labels in groups.items() if labels]
    if not others:
        beaten = [label for label in apart if label in against and against[label].better == best]
        them = "every other network" if len(beaten) == len(results.variants) - 1 else ", ".join(beaten)
        parts.insert(0, f"shown to be better than {them}{corrected}")
        return f"Leading {where}: {best}, {'; '.join(parts)}."
    return f"Leading {where}: {'; '.join([best, *parts])}."


def _needed(results: Results) -> str:
    """The command that adds the seeds a verdict needs, and its time."""
    plan = plan_more_seeds(results) if judge_networks(results).needs_seeds else None
    if plan is None:
        return ""
    time = f", {render_duration(plan.train_seconds)} of training" if plan.train_seconds else ""
    return f"{GOOD_NUM_SEEDS} seeds each{time}: {plan.command}"


def _by(results: Results) -> str:
    return "" if results.metric == ACCURACY else f" by {results.chosen_by.words}"


def _benefit(factor: Factor, by: str) -> str:
    name, gain = factor.without.network, factor.val
    sentences = {
        BENEFICIAL: f"The STN pays for {name}",
        NOT_BENEFICIAL: f"The STN does not pay for {name}",
        stats.NOT_DECIDED: f"Whether the STN pays for {name} is not decided",
    }
    if gain is None or factor.benefit not in sentences:
        return ""
    value, low, high = (f"{100 * one:+.2f}" for one in (gain.value, gain.low, gain.high))
    span = f"{value} points in validation{by} ({low} to {high})"
    return f"{sentences[factor.benefit]}: {span}, with a tolerance of {factor.tolerance_points:g}."
