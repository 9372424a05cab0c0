"""The figures of training: accuracy and loss per epoch, with and without the STN, and what they show in words.

The plain rows behind every figure: which points, in which unit, in which order. No drawing here.

The sentences under the plots, each computed from the records by a rule of curves.py.

The rules behind the words under the plots: when a run did not converge, under-fits, over-fits or collapsed.

Each rule reads what a run left behind and answers yes or no (or None: too little to tell); its thresholds have names,
and docs/statistics.md lists them. All are conventions: they say where a look pays, and choose nothing. The sentences
are in curves.py.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from roadtest.analysis import Estimate, Results, Variant, ranked_variants, stats
from roadtest.format import format_percent, join_words
from roadtest.records import EpochMetrics, PlannedRun, RunRecord, folder_name, read_epochs
from roadtest.report.charts import Columns, Curve, Domains, Figure, curve_domains, draw_curve


def curve_figures(results: Results) -> list[Figure]:
    """One figure for each network, in the order of the leaderboard."""
    names = dict.fromkeys(variant.network for variant in ranked_variants(results))
    return [figure for number, name in enumerate(names) if (figure := _curve_figure(results, name, number))]


def _curve_figure(results: Results, network: str, number: int) -> Figure | None:
    variants = [v for v in (results.variant(network, False), results.variant(network, True)) if v is not None]
    of_variant = {v.label: evaluations(results, [v]) for v in variants}
    runs = [rows for found in of_variant.values() for rows in found]
    if not runs:
        return None
    domains, drawn = curve_domains(runs), [v for v in variants if of_variant[v.label]]
    names = {v.label: f"curves-{number}-{int(v.has_stn)}" for v in drawn}
    datasets = {names[v.label]: _curve_columns(results, v, of_variant[v.label]) for v in drawn}
    panels = [
        draw_curve(
            Curve(
                dataset=names[variant.label],
                kind=kind,
                title=variant.label,
                has_stn=variant.has_stn,
                domains=domains,
                num_runs=len(of_variant[variant.label]),
                num_rows=sum(map(len, of_variant[variant.label])),
                has_band=has_band(of_variant[variant.label]),
            )
        )
        for kind in ("accuracy", "loss")
        for variant in drawn
    ]
    last = [f"{v.label} {format_percent(v.records[0].val.accuracy)}" for v in drawn if v.records]
    ending = f" Seed {variants[0].planned[0].seed} ends in validation at {join_words(last)}." if last else ""
    return Figure(
        name=f"curves-{_safe(network)}",
        caption=_curve_caption(network, [has_band(of_variant[v.label]) for v in drawn], domains),
        alt=f"Learning curves of {network}.{ending}",
        panels=tuple(panels),
        key="solid: validation; dashed grey: training",
        num_columns=len(drawn),
        datasets=datasets,
        findings=tuple(fit_sentences(results, drawn)),
    )


def _curve_columns(results: Results, variant: Variant, runs: list[list[EpochMetrics]]) -> Columns:
    return band_columns(runs) if has_band(runs) else curve_columns(results, variant)


def _curve_caption(network: str, has_band: list[bool], domains: Domains) -> str:
    band = "the median of the seeds, in a band from the lowest to the highest; a run that ended keeps its last figures"
    lines = band if all(has_band) else f"one line a seed, or {band}" if any(has_band) else "one line a seed"
    sides = " Left without, right with the STN, on equal axes." if len(has_band) == 2 else ""
    return (
        f"{network}: accuracy (above) and loss (below) per epoch, {lines}. Solid: validation; dashed grey: training, "
        f"without augmentation, on every tenth frame.{sides} The accuracy axis starts at {domains.accuracy[0]:.0f} %; "
        "the loss axis is logarithmic."
    )


def _safe(name: str) -> str:
    """Part of a file name that every system takes; two names never become one."""
    return folder_name(name) if len(name) <= 60 else folder_name(f"{name[:50]}~{folder_name(name + '~')[-6:]}")


CURVE_COLUMNS = ("seed", "epoch", "train_accuracy", "val_accuracy", "train_loss", "val_loss")

_DIFFERENCE_COLUMNS = {
    "value": "gain",
    "low": "gain_low",
    "high": "gain_high",
    "seeds_low": "seeds_low",
    "seeds_high": "seeds_high",
}

PARTS = (("test", "test"), ("val", "validation"))
LEAST_LOSS = 1e-5
"""Nats; a logarithmic axis has no zero."""
MIN_BAND_RUNS = 3
"""Fewer seeds are drawn as a line each."""
MAX_BAND_POINTS = 60
MAX_CURVE_ROWS = 12_000
"""Over the whole page, so that it stays under 3 MB: longer curves are thinned evenly, first and last row kept."""
MAX_CLASSES = 60
"""More classes than this cannot be read in one figure: the least accurate, or most confused, ones are drawn."""
MAX_PAIRS = 28
"""All pairs of eight networks."""
MAX_NETWORKS, MAX_BARS = 12, 24
"""More networks than this would push everything else off the first screen; the tables have them all."""


def curve_columns(results: Results, variant: Variant) -> Columns:
    """Seed, epoch, and training and validation figures of all runs of a network, column by column to save space."""
    num_runs = max(sum(len(v.planned) for v in results.variants), 1)
    most = max(MAX_CURVE_ROWS // num_runs, 20)
    columns: Columns = {name: [] for name in CURVE_COLUMNS}
    for run in variant.planned:
        for row in _thinned(_epochs(results, run), most):
            values = (run.seed, float(f"{row.epoch:.4g}"), *_percents(row), *_losses(row))
            for name, value in zip(CURVE_COLUMNS, values, strict=True):
                columns[name].append(value)
    return columns


def has_band(runs: list[list[EpochMetrics]]) -> bool:
    """Whether there are seeds enough for a band; a loss that blew up would tear it."""
    return len(runs) >= MIN_BAND_RUNS and all(
        np.isfinite(loss) for rows in runs for row in rows for loss in (row.train.loss, row.val.loss)
    )


def band_columns(runs: list[list[EpochMetrics]]) -> Columns:
    """Per epoch the lowest, the median and the highest seed; a run that has ended keeps its last figures."""
    begin = max(rows[0].epoch for rows in runs)
    seen = sorted({row.epoch for rows in runs for row in rows if row.epoch >= begin})
    grid_G = np.array(seen if len(seen) <= MAX_BAND_POINTS else np.linspace(seen[0], seen[-1], MAX_BAND_POINTS))
    columns: Columns = {"epoch": [float(f"{epoch:.4g}") for epoch in grid_G]}
    for name, read in _BAND_FIGURES.items():
        values_SG = [np.interp(grid_G, [row.epoch for row in rows], [read(row) for row in rows]) for rows in runs]
        for end, of_seeds in (("_low", np.min), ("", np.median), ("_high", np.max)):
            columns[name + end] = [float(f"{value:.5g}") for value in of_seeds(values_SG, axis=0)]
    return columns


def evaluations(results: Results, variants: list[Variant]) -> list[list[EpochMetrics]]:
    """The rows of all runs of some networks, run by run; runs without any are left out."""
    return [rows for variant in variants for run in variant.planned if (rows := _epochs(results, run))]


def _epochs(results: Results, run: PlannedRun) -> list[EpochMetrics]:
    rows = read_epochs(results.study_dir / run.folder)
    return [row for row in rows if row.train_num_seen and row.val_num_seen]


_BAND_FIGURES: dict[str, Callable[[EpochMetrics], float]] = {
    "train_accuracy": lambda row: 100 * row.train.accuracy,
    "val_accuracy": lambda row: 100 * row.val.accuracy,
    "train_loss": lambda row: max(row.train.loss, LEAST_LOSS),
    "val_loss": lambda row: max(row.val.loss, LEAST_LOSS),
}


def _percents(row: EpochMetrics) -> tuple[float, float]:
    return round(100 * row.train.accuracy, 2), round(100 * row.val.accuracy, 2)


def _losses(row: EpochMetrics) -> tuple[float | None, float | None]:
    """Four digits, above the zero that a logarithmic axis does not have; None where training blew up."""
    train, val = (
        float(f"{max(x, LEAST_LOSS):.4g}") if np.isfinite(x) else None for x in (row.train.loss, row.val.loss)
    )
    return train, val


def _points(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 4)


def _thinned(rows: list[EpochMetrics], most: int) -> list[EpochMetrics]:
    if len(rows) <= most:
        return rows
    return [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]


MAX_NOISE_PAIRS = 3
SIDE_COSTS = ("size_bytes", "peak_memory_bytes")
"""They follow from the number of parameters: beside it they would hide what stands out."""


def fit_sentences(results: Results, variants: Sequence[Variant]) -> list[str]:
    """How each network trained: whether it converged, under-fits, over-fits, or lost a seed."""
    told = [(variant, find_fit(results, variant)) for variant in variants if variant.records]
    unseen = [variant.label for variant, fit in told if fit is None]
    they = "they fit" if len(unseen) > 1 else "it fits"
    silent = [f"{join_words(unseen)} saw too little to say how {they}."] if unseen else []
    return [_fit_sentence(variant, fit) for variant, fit in told if fit is not None] + silent


def _how_many(num_seeds: int, num_runs: int) -> str:
    return "" if num_seeds == num_runs else f" in {num_seeds} of {num_runs} seeds"


MIN_ROWS = 6
"""Fewer evaluations at the constant rate say nothing about where the loss was going."""
STILL_FALLING = 0.05
"""Did not converge: the validation loss of the last third lies so much of itself below that of the middle third."""
UNDERFIT_ERROR = 0.02
"""Under-fits: at least this share of the training images is wrong ..."""
UNDERFIT_SHARE = 0.5
"""... and that is at least this part of the error in validation: most of what is wrong was never learnt."""
OVERFIT_GAP, OVERFIT_SHARE = 0.02, 0.25
"""Over-fits: the error in validation is so much above that in training, which is at most this part of it; ..."""
OVERFIT_RISE, OVERFIT_NATS = 0.1, 0.01
"""... or the validation loss ends so much of itself, and so many nats, above its lowest, while training fell on."""
COLLAPSE_POINTS = 10.0
"""Collapsed: validation accuracy so many points below the median of at least three seeds ..."""
COLLAPSE_SHARE = 0.1
"""... or not this share of the way from guessing (one in the number of classes) to faultless."""
DATA_SHARE = 0.5
"""Making batches takes so much of the training time: the data, not the network, sets the pace."""
DOMINATES = 2.0
"""One cost dominates: the networks lie at least so many times as far apart in it as in any other."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How the runs of one network trained: for each word the seeds that show it."""

    label: str
    num_runs: int
    """Runs that were trained long enough to ask."""
    num_told: int
    """Of them those with evaluations enough to ask whether they converged."""
    unconverged: tuple[int, ...]
    underfitting: tuple[int, ...]
    overfitting: tuple[int, ...]
    collapsed: tuple[int, ...]
    train_error: float
    """Mean over the runs, with the final weights, of all training images; a fraction."""
    val_error: float


def _fit_sentence(variant: Variant, fit: Fit) -> str:
    errors = f"{format_percent(fit.train_error)} wrong in training, {format_percent(fit.val_error)} in validation"
    found = []
    if fit.collapsed:
        lost = join_words([str(seed) for seed in fit.collapsed])
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


def find_fit(results: Results, variant: Variant) -> Fit | None:
    """Apply the rules to all runs of a network; None where none saw enough to be asked."""
    if not variant.is_compared:
        return None
    runs = [(record, _rows(results, record)) for record in variant.records]
    told = [(record, has_converged(record, rows)) for record, rows in runs]
    lost = collapsed_seeds(variant.records)
    return Fit(
        label=variant.label,
        num_runs=len(runs),
        num_told=sum(answer is not None for _, answer in told),
        unconverged=tuple(record.seed for record, answer in told if answer is False),
        underfitting=_seeds(variant.records, under_fits),
        overfitting=tuple(record.seed for record, rows in runs if over_fits(record, rows)),
        collapsed=lost,
        train_error=statistics.fmean(1 - record.train.accuracy for record in variant.records),
        val_error=statistics.fmean(1 - record.val.accuracy for record in variant.records),
    )


def has_converged(record: RunRecord, rows: Sequence[EpochMetrics]) -> bool | None:
    """Whether the loss had stopped falling when the constant rate ended; None with too few evaluations to tell.

    Patience ends a run where nothing improves any more. A budget or the last epoch may end it before.
    """
    if record.stop_reason == "patience":
        return True
    top = max((row.learning_rate for row in rows), default=0.0)
    losses = [row.val.loss for row in rows if row.learning_rate >= 0.999 * top and row.val_num_seen]
    if len(losses) < MIN_ROWS:
        return None
    third = len(losses) // 3
    last, middle = statistics.median(losses[-third:]), statistics.median(losses[-2 * third : -third])
    return last > (1 - STILL_FALLING) * middle


def under_fits(record: RunRecord) -> bool:
    """Whether most of the error was there on the training images already."""
    train_error, val_error = 1 - record.train.accuracy, 1 - record.val.accuracy
    return train_error >= UNDERFIT_ERROR and train_error >= UNDERFIT_SHARE * val_error


def over_fits(record: RunRecord, rows: Sequence[EpochMetrics]) -> bool:
    """Whether the network knows its training images far better than others, or lost in validation what it had."""
    train_error, val_error = 1 - record.train.accuracy, 1 - record.val.accuracy
    has_gap = val_error - train_error >= OVERFIT_GAP and train_error <= OVERFIT_SHARE * val_error
    return has_gap or _turned_back(rows)


def _turned_back(rows: Sequence[EpochMetrics]) -> bool:
    """Whether validation got worse again while training still got better."""
    seen = [row for row in rows if row.train_num_seen and row.val_num_seen]
    if len(seen) < 3:
        return False
    last, best = seen[-1], min(seen, key=lambda row: row.val.loss)
    rise = last.val.loss - best.val.loss
    has_risen = rise > OVERFIT_RISE * best.val.loss and rise > OVERFIT_NATS
    return has_risen and last.train.loss < best.train.loss


def collapsed_seeds(records: Sequence[RunRecord]) -> tuple[int, ...]:
    """The seeds whose training came to nothing; they count like any other."""
    if not records:
        return ()
    chance = 1 / max(len(records[0].class_names), 1)
    floor = chance + COLLAPSE_SHARE * (1 - chance)
    if len(records) >= 3:
        floor = max(floor, statistics.median(record.val.accuracy for record in records) - COLLAPSE_POINTS / 100)
    return tuple(record.seed for record in records if record.val.accuracy < floor)


def is_noise(gap: Estimate) -> bool:
    """Whether luck alone makes differences of this size: judged, not separated, and its interval holds zero."""
    return gap.verdict == stats.NOT_SEPARATED and gap.low <= 0 <= gap.high


def waits_for_data(variant: Variant) -> bool:
    """Whether making batches takes most of a network's training time."""
    whole = sum(record.cost.train_seconds for record in variant.records)
    return whole > 0 and sum(record.cost.data_seconds for record in variant.records) >= DATA_SHARE * whole


def dominating(factors: Sequence[float]) -> int | None:
    """The place of the cost in which networks lie by far the furthest apart; None where no cost stands out."""
    if len(factors) < 2:
        return None
    first, second = sorted(range(len(factors)), key=lambda place: -factors[place])[:2]
    return first if factors[first] >= DOMINATES * factors[second] else None


def _seeds(records: Sequence[RunRecord], rule: Callable[[RunRecord], bool]) -> tuple[int, ...]:
    return tuple(record.seed for record in records if rule(record))


def _rows(results: Results, record: RunRecord) -> list[EpochMetrics]:
    rows = read_epochs(results.study_dir / record.run.folder)
    return [row for row in rows if row.train_num_seen and row.val_num_seen and math.isfinite(row.val.loss)]
