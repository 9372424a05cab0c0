"""Puts a study's report together: tables first, then figures, the page last, so that a page is never half true.

Which figures the page has, in which order, and what each of them says: captions and texts for readers who listen.

A figure without a single point is left out. Undertrained networks stand in their own curves and in the bars of cost,
never beside the others' accuracies.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from roadtest.analysis import (
    Results,
    best_variant,
    budget_rows,
    class_rows,
    confusion_rows,
    crossover_rows,
    error_split,
    external_difference_rows,
    has_branches,
    latency_rows,
    pretraining_rows,
    ranked_variants,
    read_results,
    render_table,
    rows_with_externals,
    seed_rows,
    stn_rows,
    target_rows,
    verdict_rows,
)
from roadtest.analysis.external import STATUS
from roadtest.data.cache import default_cache_dir
from roadtest.format import Row, speak_of
from roadtest.records import StudyInfo, refuse_link, write_atomically
from roadtest.records.files import read_config
from roadtest.report.charts import Figure, unchecked, vega_bundle, write_figure_files
from roadtest.report.page import Contents, collect_contents, render_page
from roadtest.report.sections.budgets import budget_figure
from roadtest.report.sections.costs import _bar_figure, _cost_figure
from roadtest.report.sections.curves import curve_figures
from roadtest.report.sections.errors import class_figure, confusion_figure
from roadtest.report.sections.factors import _gain_figure
from roadtest.report.sections.leaderboard import _accuracy_figure
from roadtest.report.sections.pairs import _pair_figure


def build_report(
    study_dir: Path,
    *,
    has_images: bool | None,
    has_figures: bool,
    metric: str | None = None,
    tolerance_points: float | None = None,
) -> Path:
    """Write tables, figures and page of a study and return the page's path."""
    results = read_results(study_dir, metric=metric, tolerance_points=tolerance_points)
    rows = rows_with_externals(results)
    board, added = ([row for row in rows if (row["status"] == STATUS) == is_added] for is_added in (False, True))
    shows_images = _is_to_show_images(study_dir) if has_images is None else has_images
    contents = collect_contents(results, board, added, has_images=shows_images)
    figures = build_figures(results, board)
    report_dir = refuse_link(study_dir / "report")
    tables_dir, figures_dir = (refuse_link(report_dir / name) for name in ("tables", "figures"))
    report_dir.mkdir(exist_ok=True)
    _write_tables(tables_dir, contents, _raw_tables(results, rows), results.info)
    _clear(figures_dir, (".svg", ".png"))
    if has_figures:
        write_figure_files([figure for section in figures.values() for figure in section], figures_dir)
    html = render_page(contents, figures, bundle=vega_bundle(default_cache_dir()), has_files=has_figures)
    write_atomically(report_dir / "index.html", speak_of(html, results.info.data_title).encode())
    return report_dir / "index.html"


def _is_to_show_images(study_dir: Path) -> bool:
    """What the study was asked for: pictures that `compare --no-images` left out do not come back by themselves."""
    path = study_dir / "study.toml"
    return not path.exists() or read_config(path).get("has_images") is not False


def _raw_tables(results: Results, board: list[Row]) -> dict[str, list[Row]]:
    best = best_variant(results)
    tables = {
        "leaderboard": board,
        "runs": seed_rows(results),
        "latency": latency_rows(results),
        "stn": stn_rows(results),
        "pretraining": pretraining_rows(results),
        "verdicts": verdict_rows(results),
        "systems": external_difference_rows(results),
    }
    if has_branches(results):
        tables |= {"budgets": budget_rows(results), "targets": target_rows(results)}
        tables["crossovers"] = crossover_rows(results)
    if best is not None:
        part = error_split(results, best)
        tables["classes"] = class_rows(results, best, part)
        tables["confusion"] = confusion_rows(results, best, part)
    return tables


def _write_tables(folder: Path, contents: Contents, raw: Mapping[str, list[Row]], info: StudyInfo) -> None:
    """Raw values as csv; what people read as Markdown and LaTeX; in each what drawn signs owe to real ones."""
    level = {"level": info.level} if info.level else {}
    folder.mkdir(exist_ok=True)
    _clear(folder, (".csv", ".md", ".tex"))
    for name, rows in raw.items():
        if rows:
            write_atomically(folder / f"{name}.csv", render_table([row | level for row in rows], "csv").encode())
    for table in contents.tables:
        for kind in ("md", "tex"):
            rows = [row | {name.capitalize(): value for name, value in level.items()} for row in table.as_rows()]
            text = speak_of(render_table(rows, kind), info.data_title)
            write_atomically(folder / f"{table.name}.{kind}", text.encode())


def _clear(folder: Path, endings: tuple[str, ...]) -> None:
    """Drop files of an earlier report, which may show networks that are no longer there."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.suffix in endings:
                path.unlink()


@unchecked()
def build_figures(results: Results, board: list[Row]) -> dict[str, list[Figure]]:
    """All figures of a study, by the section they stand in; sections may be empty."""
    compared = [variant for variant in ranked_variants(results) if variant.is_compared]
    best = best_variant(results)
    return {
        "result": _present(lambda: _accuracy_figure(results, compared)),
        "pairs": _present(lambda: _pair_figure(results)),
        "costs": _present(lambda: _cost_figure(results, board), lambda: _bar_figure(board)),
        "budgets": _present(lambda: budget_figure(results)),
        "curves": curve_figures(results),
        "stn": _present(lambda: _gain_figure(results)),
        "errors": _present(lambda: class_figure(results, best), lambda: confusion_figure(results, best)),
    }


def _present(*builders: Callable[[], Figure | None]) -> list[Figure]:
    return [figure for builder in builders if (figure := builder()) is not None]
