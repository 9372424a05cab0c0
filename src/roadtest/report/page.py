"""Sets the page: the only door to jinja2. Everything a study says is escaped; scripts and styles are our own.

The page is one file. Its content-security policy forbids every request, so that it opens the same offline, from a
mail or from an archive ten years on. `page.html.jinja` loops over sections; each block is drawn by the macro of
`parts.html.jinja` that it names.
"""

import functools
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from roadtest.records import StudyInfo
from roadtest.report.blocks import Block, Section, Table, unfold
from roadtest.report.charts import THEME, Columns, Figure


def render_page(sections: Sequence[Section], info: StudyInfo, *, bundle: str, has_files: bool) -> str:
    """The whole page as HTML; `bundle` is the script that draws charts, `has_files` whether figures lie beside it."""
    shown = [section for section in sections if section.blocks]
    blocks = [block for section in shown for block in unfold(section.blocks)]
    figures = [block for block in blocks if isinstance(block, Figure)]
    tables = [block for block in blocks if isinstance(block, Table)]
    numbers = {figure.anchor: number for number, figure in enumerate(figures, start=1)}
    numbers |= {table.anchor: number for number, table in enumerate(tables, start=1)}

    def draw(block: Block) -> str:
        drawn: str = getattr(parts, block.macro)(block)
        return drawn

    common = {"draw": draw, "numbers": numbers, "has_files": has_files, "level": info.level}
    parts = _environment().get_template("parts.html.jinja").make_module(common)
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            common,
            parts=parts,
            title=f"Road test: {info.data_title}",
            created_on=info.created_at[:10],
            sections=shown,
            charts=_charts(figures),
            css=_read("page.css"),
            script=_read("page.js"),
            bundle=bundle if figures else "",
        )
    )


def render_text(name: str, **values: Any) -> str:
    """A text of `report/`, one paragraph a line; nothing is escaped."""
    return _environment().get_template(name).render(values)


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("roadtest", "report"),
        autoescape=lambda name: name is not None and name.endswith(".html.jinja"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_with_fixed_spaces,
    )


def _charts(figures: Sequence[Figure]) -> dict[str, Any]:
    """What the page's script draws: shared data once, each panel's specification by its place, and what is switched."""
    datasets: dict[str, Columns] = {}
    panels: dict[str, Any] = {}
    views: dict[str, Any] = {}
    for figure in figures:
        datasets |= figure.datasets
        panels |= {f"{figure.name}-{place}": spec for place, spec in enumerate(figure.page_specs())}
        views |= {figure.name: figure.view_specs()} if figure.views else {}
    return {"config": THEME, "datasets": datasets, "panels": panels, "views": views}


def _with_fixed_spaces(value: Any) -> Any:
    """Keep a number and its percent sign on one line; markup and scripts stay as they are."""
    return re.sub(r"(\d) %", "\\1\u00a0%", value) if type(value) is str else value


def _read(name: str) -> str:
    return (files("roadtest") / "report" / name).read_text(encoding="utf-8")
