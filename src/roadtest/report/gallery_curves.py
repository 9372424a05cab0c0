"""The figures of training: accuracy and loss per epoch, with and without the STN, and what they show in words."""

from roadtest.record import EpochRow, folder_name
from roadtest.report import figure_rows as rows_of
from roadtest.report.axes import Curve, Domains, curve_domains
from roadtest.report.figures import Figure, draw_curve
from roadtest.report.finding_words import fit_sentences
from roadtest.report.words import listed, percent
from roadtest.summarise import Results, Variant, ranked_variants


def curve_figures(results: Results) -> list[Figure]:
    """One figure for each network, in the order of the leaderboard."""
    names = dict.fromkeys(variant.network for variant in ranked_variants(results))
    return [figure for number, name in enumerate(names) if (figure := _curve_figure(results, name, number))]


def _curve_figure(results: Results, network: str, number: int) -> Figure | None:
    variants = [v for v in (results.variant(network, False), results.variant(network, True)) if v is not None]
    of_variant = {v.label: rows_of.evaluations(results, [v]) for v in variants}
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
                has_band=rows_of.has_band(of_variant[variant.label]),
            )
        )
        for kind in ("accuracy", "loss")
        for variant in drawn
    ]
    last = [f"{v.label} {percent(v.records[0].val.accuracy)}" for v in drawn if v.records]
    ending = f" Seed {variants[0].planned[0].seed} ends in validation at {listed(last)}." if last else ""
    return Figure(
        name=f"curves-{_safe(network)}",
        caption=_curve_caption(network, [rows_of.has_band(of_variant[v.label]) for v in drawn], domains),
        alt=f"Learning curves of {network}.{ending}",
        panels=tuple(panels),
        key="solid: validation; dashed grey: training",
        num_columns=len(drawn),
        datasets=datasets,
        findings=tuple(fit_sentences(results, drawn)),
    )


def _curve_columns(results: Results, variant: Variant, runs: list[list[EpochRow]]) -> rows_of.Columns:
    return rows_of.band_columns(runs) if rows_of.has_band(runs) else rows_of.curve_columns(results, variant)


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
