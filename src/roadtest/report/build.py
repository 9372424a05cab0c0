"""Puts a study's report together: tables first, then figures, the page last, so that a page is never half true.

Adding a section is one new file in `sections/` and one name in SECTIONS.
"""

from collections.abc import Sequence
from pathlib import Path

from roadtest.analysis import read_results, render_table
from roadtest.data.cache import default_cache_dir
from roadtest.records import StudyInfo, refuse_link, write_atomically
from roadtest.records.files import read_config
from roadtest.report.blocks import Context, Section, Table, unfold
from roadtest.report.charts import Figure, unchecked, vega_bundle, write_figure_files
from roadtest.report.page import render_page
from roadtest.report.sections import (
    budgets,
    costs,
    curves,
    errors,
    factors,
    leaderboard,
    methods,
    pairs,
    summary,
)

SECTIONS = (
    summary.section,
    leaderboard.section,
    pairs.section,
    leaderboard.systems_section,
    costs.section,
    budgets.section,
    curves.section,
    factors.stn_section,
    factors.pretraining_section,
    errors.section,
    methods.section,
    methods.runs_section,
    methods.repeat_section,
)
"""The page, from top to bottom; the first one is the first screen."""


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
    context = Context(results=results, has_images=_shows_images(study_dir) if has_images is None else has_images)
    sections = build_sections(context)
    blocks = [block for section in sections for block in unfold(section.blocks)]
    report_dir = refuse_link(study_dir / "report")
    tables_dir, figures_dir = (refuse_link(report_dir / name) for name in ("tables", "figures"))
    report_dir.mkdir(exist_ok=True)
    _write_tables(tables_dir, sections, [block for block in blocks if isinstance(block, Table)], context.info)
    _clear(figures_dir, (".svg", ".png"))
    if has_figures:
        write_figure_files([block for block in blocks if isinstance(block, Figure)], figures_dir)
    html = render_page(sections, context.info, bundle=vega_bundle(default_cache_dir()), has_files=has_figures)
    write_atomically(report_dir / "index.html", html.encode())
    return report_dir / "index.html"


@unchecked()
def build_sections(context: Context) -> list[Section]:
    """Every section of the page, the empty ones too."""
    return [section(context) for section in SECTIONS]


def _shows_images(study_dir: Path) -> bool:
    """What the study was asked for: pictures that `compare --no-images` left out do not come back by themselves."""
    path = study_dir / "study.toml"
    return not path.exists() or read_config(path).get("has_images") is not False


def _write_tables(folder: Path, sections: Sequence[Section], tables: Sequence[Table], info: StudyInfo) -> None:
    """Raw values as csv; what people read as Markdown and LaTeX; in each the level of training on synthetic signs."""
    raw_level, level = ({"level": info.level}, {"Level": info.level}) if info.level else ({}, {})
    folder.mkdir(exist_ok=True)
    _clear(folder, (".csv", ".md", ".tex"))
    for section in sections:
        for name, rows in section.csv.items():
            if rows:
                text = render_table([row | raw_level for row in rows], "csv")
                write_atomically(folder / f"{name}.csv", text.encode())
    for table in tables:
        for kind in ("md", "tex"):
            text = render_table([row | level for row in table.as_rows()], kind)
            write_atomically(folder / f"{table.name}.{kind}", text.encode())


def _clear(folder: Path, endings: tuple[str, ...]) -> None:
    """Drop files of an earlier report, which may show networks that are no longer there."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.suffix in endings:
                path.unlink()
