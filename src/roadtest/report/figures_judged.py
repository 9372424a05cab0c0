"""The charts that compare: accuracies and differences with their intervals, accuracy against cost.

Part of the door to altair; figures.py says what a figure is, style.py how it looks.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from roadtest.report.axes import CostAxes
from roadtest.report.figures_parts import (
    Panel,
    data,
    label_axis,
    layers,
    network_axis,
    shape,
    stn_colour,
    stn_fill,
    tooltips,
)
from roadtest.report.style import INK, LABEL_PLACES, QUIET

Row = dict[str, Any]


def draw_intervals(rows: Sequence[Row], words: str, domain: tuple[float, float], *, marks_zero: bool = False) -> Panel:
    """A point with its interval for validation and test of each network, in the order of the rows."""
    labels = list(dict.fromkeys(row["label"] for row in rows))
    base = alt.Chart(data(rows)).encode(
        y=alt.Y("label:N", sort=labels, title=None, axis=network_axis()),
        yOffset=alt.YOffset("set:N", sort=["validation", "test"]),
        color=stn_colour(),
        tooltip=tooltips("label:N", "set:N", "value:Q", "low:Q", "high:Q", "n:Q"),
    )
    scale = alt.Scale(domain=list(domain), nice=False)
    rules = base.mark_rule(strokeWidth=1.6, clip=True).encode(x=alt.X("low:Q", scale=scale), x2=alt.X2("high:Q"))
    points = base.mark_point(size=62, strokeWidth=1.6, opacity=1).encode(
        x=alt.X("value:Q", title=words, scale=scale, axis=alt.Axis(tickCount=8)),
        shape=shape("set", ["test", "validation"], ["diamond", "circle"]),
        fill=stn_fill(),
        fillOpacity=alt.FillOpacityValue(0, condition={"test": "datum.set == 'test'", "value": 1}),
    )
    zero = alt.Chart(data([{"zero": 0}])).mark_rule(color=QUIET, strokeWidth=1.2).encode(x=alt.X("zero:Q"))
    marks = [zero, rules, points] if marks_zero else [rules, points]
    return Panel(chart=layers(*marks), height=34 * len(labels), width=560)


def draw_pairs(rows: Sequence[Row], words: str, domain: tuple[float, float]) -> Panel:
    """Each pair's difference: a thin line for new signs, a thick one for these images; filled where separated."""
    labels = [row["label"] for row in rows]
    base = alt.Chart(data(rows)).encode(
        y=alt.Y("label:N", sort=labels, title=None, axis=label_axis(limit=230)),
        tooltip=tooltips("label:N", "value:Q", "low:Q", "high:Q", "seeds_low:Q", "seeds_high:Q", "verdict:N"),
    )
    scale = alt.Scale(domain=list(domain), nice=False)
    zero = alt.Chart(data([{"zero": 0}])).mark_rule(color=QUIET, strokeWidth=1.2).encode(x=alt.X("zero:Q"))
    wide = base.mark_rule(color=INK, strokeWidth=1.4, clip=True).encode(
        x=alt.X("low:Q", scale=scale), x2=alt.X2("high:Q")
    )
    # of seeds alone; a pair without them has no such line
    seeds = base.transform_filter("isValid(datum.seeds_low)").mark_rule(
        color=QUIET, strokeWidth=7, strokeOpacity=0.55, clip=True
    )
    points = base.mark_point(color=INK, size=56, strokeWidth=1.5, opacity=1).encode(
        x=alt.X("value:Q", title=words, scale=scale, axis=alt.Axis(tickCount=8)),
        fill=alt.FillValue("transparent", condition={"test": "datum.verdict == 'separated'", "value": INK}),
    )
    seeds = seeds.encode(x=alt.X("seeds_low:Q", scale=scale), x2=alt.X2("seeds_high:Q"))
    return Panel(chart=layers(zero, seeds, wide, points), height=24 * len(labels), width=560)


def draw_costs(rows: Sequence[Row], title: str, words: str, axes: CostAxes, *, is_count: bool) -> Panel:
    """Accuracy with its interval against a cost, and a line through the networks that no other one beats."""
    base = alt.Chart(data(rows), title=title)
    # an m for thousandths would be read as minutes or metres: only counts get prefixes
    across = alt.Axis(
        values=axes.cost_ticks,
        format="~s" if is_count else ",.6~g",
        grid=False,
        domain=True,
        labelOverlap=True,
    )
    down = alt.Axis(values=axes.accuracy_ticks, format=".6~g")
    x = alt.X("cost:Q", title=None, axis=across, scale=alt.Scale(type="log", domain=list(axes.cost), nice=False))
    y_scale = alt.Scale(domain=list(axes.accuracy), nice=False)
    y = alt.Y("accuracy:Q", title=words, axis=down, scale=y_scale)
    front = base.transform_filter("datum.is_front").mark_line(
        interpolate="step-after", color=QUIET, strokeWidth=1.2, strokeDash=[5, 3]
    )
    intervals = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.2, strokeOpacity=0.6, clip=True)
        .encode(y=alt.Y("low:Q", title=words, axis=down, scale=y_scale), y2=alt.Y2("high:Q"), color=stn_colour())
    )
    points = base.mark_point(size=70, strokeWidth=1.6, opacity=1).encode(
        shape=shape("has_stn", [False, True], ["circle", "triangle-up"]),
        color=stn_colour(),
        fill=stn_fill(),
        fillOpacity=alt.FillOpacityValue(0, condition={"test": "datum.is_front", "value": 1}),
        tooltip=tooltips("label:N", "text:N", "accuracy:Q", "low:Q", "high:Q"),
    )
    names = [
        base.transform_filter(f"datum.place == '{place}'")
        .mark_text(limit=130, **offsets)
        .encode(text=alt.Text("label:N"))
        for place, offsets in LABEL_PLACES.items()
        if any(row["place"] == place for row in rows)
    ]
    marks = [mark.encode(y=y) for mark in (front, points, *names)]
    chart = layers(marks[0], intervals, *marks[1:], encoding=alt.FacetedEncoding(x=x))
    return Panel(chart=chart, height=200)


def draw_budgets(rows: Sequence[Row], names: Sequence[Row], words: str, axes: CostAxes, height: int) -> Panel:
    """A line per network through its points, and its name at the right, led to by a thin line."""
    scale = alt.Scale(type="log", domain=list(axes.cost), nice=False)
    across = alt.Axis(values=axes.cost_ticks, format=",.6~g", grid=False, domain=True, labelOverlap=True)
    x = alt.X("cost:Q", title=words, axis=across, scale=scale)
    y_scale = alt.Scale(domain=list(axes.accuracy), nice=False)
    down = alt.Axis(values=axes.accuracy_ticks, format=".6~g")
    y = alt.Y("accuracy:Q", title="validation accuracy, %", axis=down, scale=y_scale)
    base, named = alt.Chart(data(rows)), alt.Chart(data(names))
    intervals = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.2, strokeOpacity=0.45, clip=True)
    lines = base.mark_line(strokeWidth=1.6, strokeOpacity=0.8).encode(detail=alt.Detail("label:N"))
    points = base.mark_point(size=62, strokeWidth=1.6, opacity=1).encode(
        shape=shape("has_stn", [False, True], ["circle", "triangle-up"]),
        fill=stn_fill(),
        tooltip=tooltips("label:N", "budget:N", "text:N", "accuracy:Q", "low:Q", "high:Q", "n:Q"),
    )
    leads = named.mark_rule(color=QUIET, strokeWidth=0.8, strokeDash=[2, 2]).encode(
        x=x, y=y, x2=alt.X2("right:Q"), y2=alt.Y2("height:Q")
    )
    texts = named.mark_text(align="left", dx=4, limit=150).encode(
        x=alt.X("right:Q", scale=scale), y=alt.Y("height:Q", scale=y_scale), text=alt.Text("label:N")
    )
    low = alt.Y("low:Q", title="validation accuracy, %", axis=down, scale=y_scale)
    intervals = intervals.encode(x=x, y=low, y2=alt.Y2("high:Q"), color=stn_colour())
    lines, points = (mark.encode(x=x, y=y, color=stn_colour()) for mark in (lines, points))
    return Panel(chart=layers(leads, intervals, lines, points, texts), height=height, width=560)
