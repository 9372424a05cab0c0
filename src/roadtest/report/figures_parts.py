"""What all charts share: the panel, and the signs that mean the same everywhere. Part of the door to altair."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import altair as alt
from altair.utils.schemapi import debug_mode

from roadtest.report.style import CHARACTER_WIDTH, PANEL_WIDTH, WITH, WITHOUT

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart in its own frame."""

    chart: alt.LayerChart | alt.Chart
    height: int
    width: int = PANEL_WIDTH
    """In saved files; on the page a panel is as wide as its place."""


@contextmanager
def unchecked() -> Iterator[None]:
    """Let altair build charts without checking each part against its schema: the tests check every whole chart."""
    with debug_mode(False):
        yield


def data(rows: Sequence[Row]) -> Any:
    return alt.InlineData(values=list(rows))


def layers(*marks: Any, **more: Any) -> Any:
    """One chart of several marks, in one go: `+`, and every method of the whole, copies all marks once more."""
    return alt.layer(*marks, **more)


def label_axis(limit: float = 150) -> Any:
    return alt.Axis(labelLimit=limit, ticks=False, labelPadding=8)


def network_axis(limit: float = 150) -> Any:
    """Of networks' labels: a long one keeps its end, which tells sizes and the STN apart."""
    num_kept = int(limit / CHARACTER_WIDTH)
    shown = f"length(datum.label) > {num_kept} ? '…' + slice(datum.label, {1 - num_kept}) : datum.label"
    return alt.Axis(labelLimit=limit + 2 * CHARACTER_WIDTH, ticks=False, labelPadding=8, labelExpr=shown)


def stn_colour() -> Any:
    return alt.Color("has_stn:N", scale=alt.Scale(domain=[False, True], range=[WITHOUT, WITH]), legend=None)


def stn_fill() -> Any:
    return alt.Fill("has_stn:N", scale=alt.Scale(domain=[False, True], range=[WITHOUT, WITH]), legend=None)


def shape(name: str, domain: list[Any], shapes: list[str]) -> Any:
    return alt.Shape(f"{name}:N", scale=alt.Scale(domain=domain, range=shapes), legend=None)


def sets(signs: list[Any]) -> Any:
    """A colour or a dash for validation, then for training."""
    return alt.Scale(domain=["validation", "training"], range=signs)


_TITLES = {
    "n": "seeds",
    "low": "from",
    "high": "to",
    "label": "network",
    "pair": "",
    "share": "% of class",
    "text": "cost",
    "test": "test accuracy",
    "accuracy": "accuracy, %",
}


def tooltips(*shorthands: str) -> list[Any]:
    """Tooltip lines; quantities with four digits."""
    lines = []
    for shorthand in shorthands:
        name, kind = shorthand.split(":")
        line = alt.Tooltip(shorthand, title=_TITLES.get(name, name))
        lines.append(line.format(",.4~g") if kind == "Q" else line)
    return lines
