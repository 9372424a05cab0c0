"""Sets the page: the only door to jinja2. Everything a study says is escaped; scripts and styles are our own.

The page is one file. Its content-security policy forbids every request, so that it opens the same offline, from a
mail or from an archive ten years on.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from roadtest.report.contents import Contents
from roadtest.report.figure_rows import Columns
from roadtest.report.figures import Figure
from roadtest.report.style import THEME


def render_page(contents: Contents, figures: Mapping[str, Sequence[Figure]], *, bundle: str, has_files: bool) -> str:
    """The whole page as HTML; `bundle` is the script that draws charts, `has_files` whether figures lie beside it."""
    numbers = {figure.name: number for number, figure in enumerate(_all(figures), start=1)}
    return _template().render(
        page=contents,
        figures=figures,
        numbers=numbers,
        table_numbers={table.name: number for number, table in enumerate(contents.tables, start=1)},
        charts=_charts(figures),
        has_files=has_files,
        css=_read("page.css"),
        script=_read("page.js"),
        bundle=bundle if numbers else "",
    )


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("roadtest", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_with_fixed_spaces,
    )
    return environment.get_template("page.html.jinja")


def _charts(figures: Mapping[str, Sequence[Figure]]) -> dict[str, Any]:
    """What the page's script draws: shared data once, each panel's specification by its place, and what is switched."""
    datasets: dict[str, Columns] = {}
    panels: dict[str, Any] = {}
    views: dict[str, Any] = {}
    for figure in _all(figures):
        datasets |= figure.datasets
        panels |= {f"{figure.name}-{place}": spec for place, spec in enumerate(figure.page_specs())}
        views |= {figure.name: figure.view_specs()} if figure.views else {}
    return {"config": THEME, "datasets": datasets, "panels": panels, "views": views}


def _with_fixed_spaces(value: Any) -> Any:
    """Keep a number and its percent sign on one line; markup and scripts stay as they are."""
    return re.sub(r"(\d) %", "\\1\u00a0%", value) if type(value) is str else value


def _all(figures: Mapping[str, Sequence[Figure]]) -> list[Figure]:
    return [figure for section in figures.values() for figure in section]


def _read(name: str) -> str:
    return (files("roadtest") / "report" / name).read_text(encoding="utf-8")
