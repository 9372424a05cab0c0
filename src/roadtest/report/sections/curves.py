"""Training curves, and how each network trained: whether it converged, under-fits, over-fits or collapsed.

Each rule reads what a run left behind and answers yes or no (or None: too little to tell). Its thresholds have names,
and docs/statistics.md lists them. All are conventions: they say where a look pays, and choose nothing.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from roadtest.analysis import Results, Variant, ranked_variants
from roadtest.format import format_percent, join_words
from roadtest.records import EpochMetrics, PlannedRun, RunRecord, folder_name, read_epochs
from roadtest.report.blocks import Context, Section
from roadtest.report.charts import Columns, Figure, Range, curve_domains, draw_curve

LEAST_LOSS = 1e-5
"""Nats; a logarithmic axis has no zero."""
MIN_BAND_RUNS = 3
"""Fewer seeds are drawn as a line each."""
MAX_BAND_POINTS = 60
MAX_MARKED = 20
"""Evaluations of a run that are marked as points."""
MAX_CURVE_ROWS = 12_000
"""Over the whole page, so that it stays under 3 MB: longer curves are thinned evenly, first and last row kept."""
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


def section(context: Context) -> Section:
    """Accuracy and loss per epoch of every network, and how it trained."""
    blocks = tuple(curve_figures(context.results))
    return Section(title="Training curves", anchor="curves", short_title="Training", blocks=blocks)


def curve_figures(results: Results) -> list[Figure]:
    """One figure for each network, in the order of the leaderboard."""
    names = dict.fromkeys(variant.network for variant in ranked_variants(results))
    return [figure for number, name in enumerate(names) if (figure := _curve_figure(results, name, number))]


def _curve_figure(results: Results, network: str, number: int) -> Figure | None:
    both = [results.variant(network, has_stn) for has_stn in (False, True)]
    planned = [variant for variant in both if variant is not None]
    runs = {variant.label: evaluations(results, variant) for variant in planned}
    drawn = [variant for variant in planned if runs[variant.label]]
    if not drawn:
        return None
    domains = curve_domains([rows for found in runs.values() for rows in found])
    names = {variant.label: f"curves-{number}-{int(variant.has_stn)}" for variant in drawn}
    has_bands = {variant.label: has_band(runs[variant.label]) for variant in drawn}
    panels = tuple(
        draw_curve(
            names[variant.label],
            kind,
            label=variant.label,
            has_stn=variant.has_stn,
            domains=domains,
            has_band=has_bands[variant.label],
            # where a line has few evaluations; one alone would not show at all
            has_points=sum(map(len, runs[variant.label])) <= MAX_MARKED * len(runs[variant.label]),
        )
        for kind in ("accuracy", "loss")
        for variant in drawn
    )
    last = [f"{v.label} {format_percent(v.records[0].val.accuracy)}" for v in drawn if v.records]
    ending = f" Seed {planned[0].planned[0].seed} ends in validation at {join_words(last)}." if last else ""
    short = network if len(network) <= 60 else f"{network[:50]}~{folder_name(network + '~')[-6:]}"
    return Figure(
        name=f"curves-{folder_name(short)}",  # two networks never become one file
        caption=_curve_caption(network, list(has_bands.values()), domains["accuracy"]),
        alt=f"Learning curves of {network}.{ending}",
        panels=panels,
        key="solid: validation; dashed grey: training",
        num_columns=len(drawn),
        datasets={
            names[v.label]: band_columns(runs[v.label]) if has_bands[v.label] else curve_columns(results, v)
            for v in drawn
        },
        findings=tuple(fit_sentences(results, drawn)),
    )


def _curve_caption(network: str, has_bands: Sequence[bool], accuracy: Range) -> str:
    band = "the median of the seeds, in a band from the lowest to the highest; a run that ended keeps its last figures"
    lines = band if all(has_bands) else f"one line a seed, or {band}" if any(has_bands) else "one line a seed"
    sides = " Left without, right with the STN, on equal axes." if len(has_bands) == 2 else ""
    return (
        f"{network}: accuracy (above) and loss (below) per epoch, {lines}. Solid: validation; dashed grey: training, "
        f"without augmentation, on every tenth frame.{sides} The accuracy axis starts at {accuracy[0]:.0f} %; "
        "the loss axis is logarithmic."
    )


def evaluations(results: Results, variant: Variant) -> list[list[EpochMetrics]]:
    """The rows of all runs of a network, run by run; runs without any are left out."""
    return [rows for run in variant.planned if (rows := _epochs(results, run))]


def _epochs(results: Results, run: PlannedRun) -> list[EpochMetrics]:
    rows = read_epochs(results.study_dir / run.folder)
    return [row for row in rows if row.train_num_seen and row.val_num_seen]


def curve_columns(results: Results, variant: Variant) -> Columns:
    """Seed, epoch, and training and validation figures of all runs of a network, column by column to save space.

    A loss keeps four digits and stays above zero; where training blew up it is None.
    """
    most = max(MAX_CURVE_ROWS // max(len(results.info.runs), 1), 20)
    columns: Columns = {"seed": [], "epoch": [], **{name: [] for name in _FIGURES}}
    for run in variant.planned:
        for row in _thinned(_epochs(results, run), most):
            columns["seed"].append(run.seed)
            columns["epoch"].append(float(f"{row.epoch:.4g}"))
            for name, read in _FIGURES.items():
                value = read(row)
                digits = f"{value:.4g}" if name.endswith("loss") else f"{value:.2f}"
                columns[name].append(float(digits) if math.isfinite(value) else None)
    return columns


_FIGURES: dict[str, Callable[[EpochMetrics], float]] = {
    "train_accuracy": lambda row: 100 * row.train.accuracy,
    "val_accuracy": lambda row: 100 * row.val.accuracy,
    "train_loss": lambda row: max(row.train.loss, LEAST_LOSS),
    "val_loss": lambda row: max(row.val.loss, LEAST_LOSS),
}
"""The columns of a curve. The loss stands first in `max`, so that a NaN stays one."""


def _thinned(rows: list[EpochMetrics], most: int) -> list[EpochMetrics]:
    if len(rows) <= most:
        return rows
    return [rows[place] for place in np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]


def has_band(runs: Sequence[Sequence[EpochMetrics]]) -> bool:
    """Whether there are seeds enough for a band; a loss that blew up would tear it, one evaluation gives no area."""
    losses = [loss for rows in runs for row in rows for loss in (row.train.loss, row.val.loss)]
    return len(runs) >= MIN_BAND_RUNS and max(map(len, runs)) > 1 and all(map(math.isfinite, losses))


def band_columns(runs: Sequence[Sequence[EpochMetrics]]) -> Columns:
    """Per epoch the lowest, the median and the highest seed; a run that has ended keeps its last figures."""
    begin = max(rows[0].epoch for rows in runs)
    seen = sorted({row.epoch for rows in runs for row in rows if row.epoch >= begin})
    grid_G = np.array(seen if len(seen) <= MAX_BAND_POINTS else np.linspace(seen[0], seen[-1], MAX_BAND_POINTS))
    columns: Columns = {"epoch": [float(f"{epoch:.4g}") for epoch in grid_G]}
    for name, read in _FIGURES.items():
        values_SG = [np.interp(grid_G, [row.epoch for row in rows], [read(row) for row in rows]) for rows in runs]
        for end, of_seeds in (("_low", np.min), ("", np.median), ("_high", np.max)):
            columns[name + end] = [float(f"{value:.5g}") for value in of_seeds(values_SG, axis=0)]
    return columns


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


def find_fit(results: Results, variant: Variant) -> Fit | None:
    """Apply the rules to all runs of a network; None where none saw enough to be asked."""
    if not variant.is_compared:
        return None
    records = variant.records
    rows = {
        record.seed: [row for row in _epochs(results, record.run) if math.isfinite(row.val.loss)] for record in records
    }
    told = {record.seed: has_converged(record, rows[record.seed]) for record in records}
    return Fit(
        label=variant.label,
        num_runs=len(records),
        num_told=sum(answer is not None for answer in told.values()),
        unconverged=tuple(seed for seed, answer in told.items() if answer is False),
        underfitting=tuple(record.seed for record in records if under_fits(record)),
        overfitting=tuple(record.seed for record in records if over_fits(record, rows[record.seed])),
        collapsed=collapsed_seeds(records),
        train_error=statistics.fmean(1 - record.train.accuracy for record in records),
        val_error=statistics.fmean(1 - record.val.accuracy for record in records),
    )


def fit_sentences(results: Results, variants: Sequence[Variant]) -> list[str]:
    """How each network trained: whether it converged, under-fits, over-fits, or lost a seed."""
    fits = {variant.label: find_fit(results, variant) for variant in variants if variant.records}
    sentences = [_fit_sentence(fit) for fit in fits.values() if fit is not None]
    unseen = [label for label, fit in fits.items() if fit is None]
    if unseen:
        they = "they fit" if len(unseen) > 1 else "it fits"
        sentences.append(f"{join_words(unseen)} saw too little to say how {they}.")
    return sentences


def _fit_sentence(fit: Fit) -> str:
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
            some = "" if len(seeds) == fit.num_runs else f" in {len(seeds)} of {fit.num_runs} seeds"
            found.append(f"{word}{some}{details}")
    if found:
        return f"{fit.label} {'; it '.join(found)}."
    too_few = f" Too few evaluations to tell whether {fit.label} had converged." if fit.num_told == 0 else ""
    converged = "converged and " if fit.num_told == fit.num_runs and not fit.unconverged else ""
    return f"{fit.label} {converged}neither under- nor over-fits ({errors}).{too_few}"


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
    if len(rows) < 3:
        return False
    last, best = rows[-1], min(rows, key=lambda row: row.val.loss)
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
