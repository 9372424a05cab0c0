"""Every chart of the report, drawn once: the page shows it live, the same chart is saved as SVG and PNG.

The only door to altair and vl-convert. A figure is one or several panels; the page lets each panel take the width of
its place (one column on a narrow window), the files set them side by side. Colour always means the same: blue circles
without the STN, vermilion triangles with it; shape, dash and place say it again for readers in grey. Backgrounds are
transparent and every text and line colour is left to the page's style sheet, so that dark and print follow it.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from roadtest.record import write_atomically

Row = dict[str, Any]
Spec = dict[str, Any]
WITHOUT, WITH, QUIET = "#0072B2", "#D55E00", "#848a92"
"""Okabe and Ito's blue and vermilion, which every kind of colour vision tells apart, and a grey; all three reach 3:1
on white and on the page's dark."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
EXPORT_FONT = "Helvetica Neue, Helvetica, Liberation Sans, Arial, sans-serif"
INK, PALE = "#3a3f45", "#dfe2e6"
THEME: Spec = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": PALE,
        "domainColor": QUIET,
        "tickColor": QUIET,
        "domain": False,
        "tickSize": 4,
        "labelPadding": 4,
        "titlePadding": 8,
    },
    "title": {"anchor": "start", "fontSize": 12, "fontWeight": 600, "color": INK, "offset": 8, "frame": "group"},
    "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 11, "orient": "top", "title": None, "offset": 4},
    "text": {"color": INK, "fontSize": 11},
}
PANEL_WIDTH = 330


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart in its own frame."""

    chart: alt.LayerChart | alt.Chart
    height: int
    width: int = PANEL_WIDTH
    """In saved files; on the page a panel is as wide as its place."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A numbered figure of the page, and a file of its own."""

    name: str
    """Of its files: letters that every system takes."""
    caption: str
    alt: str
    """For readers who cannot see it: what it shows, and the finding."""
    panels: tuple[Panel, ...]
    num_columns: int = 1
    datasets: Mapping[str, str] = field(default_factory=dict)
    """Shared csv data by name."""

    def page_specs(self) -> list[Spec]:
        """One Vega-Lite specification per panel, as wide as its container, without its shared data."""
        fit = {"type": "fit-x", "contains": "padding"}
        return [
            _to_dict(panel.chart) | {"width": "container", "height": panel.height, "autosize": fit}
            for panel in self.panels
        ]

    def file_spec(self) -> Spec:
        """The whole figure as one specification with fixed widths, on white."""
        charts = [panel.chart.properties(width=panel.width, height=panel.height) for panel in self.panels]
        whole = charts[0] if len(charts) == 1 else alt.concat(*charts, columns=self.num_columns, spacing=28)
        config = THEME | {"background": "white", "font": EXPORT_FONT, "padding": 12}
        spec = _to_dict(whole) | {"config": config}
        return spec | ({"datasets": dict(self.datasets)} if self.datasets else {})


def write_figure_files(figures: Sequence[Figure], folder: Path) -> None:
    """Save every figure as SVG and, at twice its size, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        svg = vl_convert.vegalite_to_svg(figure.file_spec())
        write_atomically(folder / f"{figure.name}.svg", svg.encode())
        write_atomically(folder / f"{figure.name}.png", vl_convert.svg_to_png(svg, scale=2))


def vega_bundle(cache_dir: Path) -> str:
    """The libraries that draw the charts, as one script that asks for nothing; built once a version, then kept."""
    path = cache_dir / f"vega-bundle-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8")
    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub forgets the default
    with contextlib.suppress(OSError):  # a cache that cannot be written costs a second and a half next time
        cache_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(path, bundle.encode())
    return bundle


def draw_accuracies(rows: Sequence[Row], labels: Sequence[str]) -> Panel:
    """A point with its interval for validation and test of each network, best first."""
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=_label_axis()),
        yOffset=alt.YOffset("set:N", sort=["validation", "test"]),
        color=_stn_colour(legend=False),
        tooltip=_tooltips("label:N", "set:N", "accuracy:Q", "low:Q", "high:Q", "n:Q"),
    )
    x = alt.X("accuracy:Q", title="accuracy, %, with 95 % interval", scale=alt.Scale(zero=False, nice=True))
    rule = base.mark_rule(strokeWidth=1.6, clip=True).encode(x=x.title("accuracy, %, with 95 % interval"), x2="high:Q")
    rule = rule.encode(x=alt.X("low:Q", title="accuracy, %, with 95 % interval", scale=alt.Scale(zero=False)))
    points = base.mark_point(size=62, strokeWidth=1.6, opacity=1).encode(
        x=x,
        shape=alt.Shape("set:N", scale=alt.Scale(domain=["test", "validation"], range=["diamond", "circle"])),
        fill=alt.Fill("has_stn:N", scale=alt.Scale(domain=[False, True], range=[WITHOUT, WITH]), legend=None),
        fillOpacity=alt.condition("datum.set == 'test'", alt.value(1), alt.value(0)),
    )
    return Panel(chart=rule + points, height=34 * max(len(labels), 1), width=560)


def draw_curves(
    dataset: str, kind: str, title: str, has_stn: bool, domain: Sequence[float], epochs: Sequence[float]
) -> Panel:
    """Training (dashed) and validation (solid) per evaluation, one line a seed; `kind` is accuracy or loss."""
    unit, scale = ("accuracy, %", alt.Scale(domain=list(domain), nice=False))
    if kind == "loss":
        unit, scale = ("loss, nats", alt.Scale(type="log", domain=list(domain), nice=False))
    names = {f"val_{kind}": "validation", f"train_{kind}": "training"}
    chart = (
        alt.Chart(alt.NamedData(name=dataset, format=alt.CsvDataFormat(type="csv")), title=f"{title}: {unit}")
        .transform_fold([f"val_{kind}", f"train_{kind}"], as_=["series", "value"])
        .transform_calculate(set=f"datum.series == 'val_{kind}' ? 'validation' : 'training'", number="+datum.value")
        .transform_filter("isValid(datum.value) && datum.value !== ''")
        .mark_line(clip=True, strokeWidth=1.5, opacity=0.85, point=alt.OverlayMarkDef(size=7, opacity=0.7))
        .encode(
            x=alt.X("epoch:Q", title="epochs", scale=alt.Scale(domain=list(epochs), nice=False)),
            y=alt.Y("number:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5)),
            detail="seed:N",
            color=_set_colour(WITH if has_stn else WITHOUT),
            strokeDash=alt.StrokeDash(
                "set:N", legend=None, scale=alt.Scale(domain=list(names.values()), range=[[1, 0], [4, 3]])
            ),
            tooltip=_tooltips("set:N", "seed:N", "epoch:Q", "number:Q"),
        )
    )
    return Panel(chart=chart, height=170)


def draw_costs(rows: Sequence[Row], words: str) -> Panel:
    """Validation accuracy against a cost, with a line through the networks that no other one beats."""
    base = alt.Chart(_data(rows), title=f"Validation accuracy, %, against {words}")
    x = alt.X("cost:Q", title=words, scale=alt.Scale(type="log", padding=28), axis=_log_axis())
    y = alt.Y("accuracy:Q", title=None, scale=alt.Scale(zero=False, padding=16), axis=alt.Axis(tickCount=5))
    front = base.transform_filter("datum.is_front").mark_line(
        interpolate="step-after", color=QUIET, strokeWidth=1.2, strokeDash=[5, 3]
    )
    points = base.mark_point(size=70, strokeWidth=1.6, opacity=1).encode(
        shape=_stn_shape(legend=False),
        color=_stn_colour(legend=False),
        fill=alt.Fill("has_stn:N", scale=alt.Scale(domain=[False, True], range=[WITHOUT, WITH]), legend=None),
        fillOpacity=alt.condition("datum.is_front", alt.value(1), alt.value(0)),
        tooltip=_tooltips("label:N", "cost:Q", "accuracy:Q", "test:Q"),
    )
    names = base.mark_text(dy=-11, align="center", limit=130).encode(text="label:N")
    if len(rows) > 12:
        names = names.transform_filter("datum.is_front")
    return Panel(chart=alt.layer(front, points, names).encode(x=x, y=y), height=230)


def draw_bars(rows: Sequence[Row], words: str, labels: Sequence[str]) -> Panel:
    """One bar per network from zero, with its number at the end."""
    base = alt.Chart(_data(rows), title=words[0].upper() + words[1:]).encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=_label_axis(limit=110)),
        tooltip=_tooltips("label:N", "cost:Q"),
    )
    top = max((float(row["cost"]) for row in rows), default=1.0)
    # the number stands behind its bar: a third of the width is kept free for it
    x = alt.X("cost:Q", title=None, axis=None, scale=alt.Scale(domain=[0, top * 1.35 or 1.0], nice=False))
    bars = base.mark_bar(height={"band": 0.62}).encode(x=x, color=_stn_colour(legend=False))
    numbers = base.mark_text(align="left", dx=5).encode(
        x=x, text=alt.Text("cost:Q", format=".3s" if top > 1e4 else ",.3~g")
    )
    return Panel(chart=bars + numbers, height=24 * max(len(rows), 1))


def draw_gains(rows: Sequence[Row], labels: Sequence[str]) -> Panel:
    """What the STN added to each network's accuracy, with intervals and the line of no change."""
    zero = alt.Chart(_data([{"zero": 0}])).mark_rule(color=QUIET, strokeWidth=1.2).encode(x="zero:Q")
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=_label_axis()),
        yOffset=alt.YOffset("set:N", sort=["validation", "test"]),
        tooltip=_tooltips("label:N", "set:N", "gain:Q", "low:Q", "high:Q"),
    )
    words = "accuracy with the STN minus without, percentage points, with 95 % interval"
    rule = base.mark_rule(strokeWidth=1.6, color=WITH).encode(x=alt.X("low:Q", title=words), x2="high:Q")
    points = base.mark_point(size=62, strokeWidth=1.6, opacity=1, color=WITH).encode(
        x=alt.X("gain:Q", title=words),
        shape=alt.Shape("set:N", scale=alt.Scale(domain=["test", "validation"], range=["diamond", "circle"])),
        fill=alt.value(WITH),
        fillOpacity=alt.condition("datum.set == 'test'", alt.value(1), alt.value(0)),
    )
    return Panel(chart=zero + rule + points, height=46 * max(len(labels), 1), width=560)


def draw_classes(rows: Sequence[Row]) -> Panel:
    """Accuracy of each class as a point on a line to 100 %, least accurate first."""
    order = [row["class"] for row in rows]
    base = alt.Chart(_data([{**row, "all": 100} for row in rows])).encode(
        y=alt.Y("class:N", sort=order, title=None, axis=_label_axis(limit=190)),
        tooltip=_tooltips("class:N", "accuracy:Q", "correct:Q", "answers:Q"),
    )
    scale = alt.Scale(zero=False, nice=True)
    x = alt.X("accuracy:Q", title="accuracy, %", scale=scale)
    lines = base.mark_rule(color=QUIET, strokeWidth=1).encode(x=x, x2="all:Q")
    points = base.mark_point(filled=True, size=46, color=WITHOUT, opacity=1).encode(x=x)
    return Panel(chart=lines + points, height=15 * max(len(rows), 1), width=520)


def draw_confusion(cells: Sequence[Row], classes: Sequence[int]) -> Panel:
    """True classes down, predicted classes across: grey where right, the darker the more where wrong."""
    opacity = alt.Opacity("share:Q", scale=alt.Scale(type="sqrt", domain=[0, 100], range=[0.12, 1]), legend=None)
    axis = alt.Axis(labelFontSize=8, labelOverlap="parity", grid=False, ticks=False, labelAngle=0)
    chart = (
        alt.Chart(_data(cells))
        .mark_rect()
        .encode(
            x=alt.X("predicted:O", title="predicted class", axis=axis, scale=alt.Scale(domain=list(classes))),
            y=alt.Y("true:O", title="true class", axis=axis, scale=alt.Scale(domain=list(classes))),
            color=alt.Color("is_error:N", legend=None, scale=alt.Scale(domain=[False, True], range=[QUIET, WITH])),
            opacity=opacity,
            tooltip=_tooltips("pair:N", "answers:Q", "share:Q"),
        )
    )
    side = int(min(max(12 * len(classes), 160), 560))
    return Panel(chart=chart, height=side, width=side)


def _to_dict(chart: Any) -> Spec:
    spec: Spec = chart.to_dict(validate=False)
    spec.pop("config", None)
    return spec


def _data(rows: Sequence[Row]) -> Any:
    return alt.InlineData(values=list(rows))


def _label_axis(limit: int = 150) -> Any:
    return alt.Axis(labelLimit=limit, ticks=False, labelPadding=8)


def _log_axis() -> Any:
    return alt.Axis(format="~s", tickCount=4, grid=False, labelOverlap=True, domain=True)


def _stn_colour(*, legend: bool) -> Any:
    scale = alt.Scale(domain=[False, True], range=[WITHOUT, WITH])
    return alt.Color("has_stn:N", scale=scale, legend=alt.Legend() if legend else None)


def _stn_shape(*, legend: bool) -> Any:
    scale = alt.Scale(domain=[False, True], range=["circle", "triangle-up"])
    return alt.Shape("has_stn:N", scale=scale, legend=alt.Legend() if legend else None)


def _set_colour(colour: str) -> Any:
    scale = alt.Scale(domain=["validation", "training"], range=[colour, QUIET])
    return alt.Color("set:N", legend=None, scale=scale)


_TITLES = {
    "n": "seeds",
    "low": "from",
    "high": "to",
    "label": "network",
    "number": "value",
    "pair": "",
    "share": "% of class",
}


def _tooltips(*shorthands: str) -> list[Any]:
    """Tooltip lines; quantities with four digits."""
    lines = []
    for shorthand in shorthands:
        name, kind = shorthand.split(":")
        title = _TITLES.get(name, name)
        lines.append(
            alt.Tooltip(shorthand, title=title, format=",.4~g") if kind == "Q" else alt.Tooltip(shorthand, title=title)
        )
    return lines
