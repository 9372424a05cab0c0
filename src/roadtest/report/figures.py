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
Columns = Mapping[str, Sequence[float | None]]
WITHOUT, WITH, QUIET = "#0072B2", "#D55E00", "#848a92"
"""Okabe and Ito's blue and vermilion, which every kind of colour vision tells apart, and a grey; all three reach 3:1
on white and on the page's dark."""
FONT = (
    "-apple-system, BlinkMacSystemFont, Segoe UI, Roboto, Noto Sans, Helvetica Neue, Liberation Sans, Arial, sans-serif"
)
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
PANEL_WIDTH = 300
LABEL_PLACES: dict[str, dict[str, Any]] = {
    "above": {"align": "center", "dy": -12},
    "below": {"align": "center", "dy": 15},
    "right": {"align": "left", "dx": 8, "dy": 1},
    "left": {"align": "right", "dx": -8, "dy": 1},
}
"""Where a point's name may stand; figure_rows.place_labels chooses."""


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
    datasets: Mapping[str, Columns] = field(default_factory=dict)
    """Data that several panels share, by name."""
    key: str = ""
    """What signs mean, for files, which go about without their caption."""

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
        title = alt.TitleParams(self.key, fontWeight="normal", fontSize=11, anchor="start", offset=12)
        whole = alt.concat(*charts, columns=self.num_columns, spacing=28, title=title)
        config = THEME | {"background": "white", "font": EXPORT_FONT, "padding": 12}
        datasets = {name: _to_rows(columns) for name, columns in self.datasets.items()}
        spec = _to_dict(whole) | {"config": config}
        return spec | {"datasets": spec.get("datasets", {}) | datasets}


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


def draw_accuracies(rows: Sequence[Row], labels: Sequence[str], domain: tuple[float, float]) -> Panel:
    """A point with its interval for validation and test of each network, best first."""
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=_label_axis()),
        yOffset=alt.YOffset("set:N", sort=["validation", "test"]),
        color=_stn_colour(),
        tooltip=_tooltips("label:N", "set:N", "accuracy:Q", "low:Q", "high:Q", "n:Q"),
    )
    scale = alt.Scale(domain=list(domain), nice=False)
    x = alt.X("accuracy:Q", title="accuracy, %, with 95 % interval", scale=scale)
    rule = base.mark_rule(strokeWidth=1.6, clip=True).encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    points = base.mark_point(size=62, strokeWidth=1.6, opacity=1).encode(
        x=x,
        shape=_set_shape(),
        fill=_stn_fill(),
        fillOpacity=alt.condition("datum.set == 'test'", alt.value(1), alt.value(0)),
    )
    return Panel(chart=rule + points, height=34 * max(len(labels), 1), width=560)


def draw_curves(
    dataset: str,
    kind: str,
    title: str,
    has_stn: bool,
    domain: Sequence[float],
    epochs: Sequence[float],
    ticks: Sequence[float] | None,
) -> Panel:
    """Training (dashed) and validation (solid) per evaluation, one line a seed; `kind` is accuracy or loss."""
    unit, scale, axis = "accuracy, %", alt.Scale(domain=list(domain), nice=False), alt.Axis(tickCount=5)
    if ticks is not None:
        unit, axis = "loss, nats", alt.Axis(values=list(ticks), format="~g")
        scale = alt.Scale(type="log", domain=list(domain), nice=False)
    names = {f"val_{kind}": "validation", f"train_{kind}": "training"}
    chart = (
        alt.Chart(alt.NamedData(name=dataset), title=f"{title}: {unit}")
        .transform_fold([f"val_{kind}", f"train_{kind}"], as_=["series", "value"])
        .transform_calculate(set=f"datum.series == 'val_{kind}' ? 'validation' : 'training'")
        .transform_filter("isValid(datum.value)")
        .mark_line(clip=True, strokeWidth=1.5, opacity=0.85, point=alt.OverlayMarkDef(size=7, opacity=0.7))
        .encode(
            x=alt.X("epoch:Q", title="epochs", scale=alt.Scale(domain=list(epochs), nice=False), axis=_plain_axis()),
            y=alt.Y("value:Q", title=None, scale=scale, axis=axis),
            detail="seed:N",
            color=_set_colour(WITH if has_stn else WITHOUT),
            strokeDash=alt.StrokeDash(
                "set:N", legend=None, scale=alt.Scale(domain=list(names.values()), range=[[1, 0], [4, 3]])
            ),
            tooltip=_tooltips("set:N", "seed:N", "epoch:Q", "value:Q"),
        )
    )
    return Panel(chart=chart, height=170)


def draw_costs(rows: Sequence[Row], title: str, unit: str, ticks: Sequence[float]) -> Panel:
    """Validation accuracy against a cost, with a line through the networks that no other one beats."""
    base = alt.Chart(_data(rows), title=f"{title}, {unit}" if unit else title)
    # an m for thousandths would be read as minutes or metres: only counts get prefixes
    axis = alt.Axis(values=list(ticks), format=",~g" if unit else "~s", grid=False, domain=True)
    x = alt.X("cost:Q", title=None, scale=alt.Scale(type="log", padding=30, nice=False), axis=axis)
    y_title = "validation accuracy, %"
    y = alt.Y(
        "accuracy:Q", title=y_title, scale=alt.Scale(zero=False, padding=18, nice=False), axis=alt.Axis(tickCount=5)
    )
    front = base.transform_filter("datum.is_front").mark_line(
        interpolate="step-after", color=QUIET, strokeWidth=1.2, strokeDash=[5, 3]
    )
    points = base.mark_point(size=70, strokeWidth=1.6, opacity=1).encode(
        shape=alt.Shape(
            "has_stn:N", scale=alt.Scale(domain=[False, True], range=["circle", "triangle-up"]), legend=None
        ),
        color=_stn_colour(),
        fill=_stn_fill(),
        fillOpacity=alt.condition("datum.is_front", alt.value(1), alt.value(0)),
        tooltip=_tooltips("label:N", "text:N", "accuracy:Q", "test:Q"),
    )
    places = sorted({row["place"] for row in rows} & set(LABEL_PLACES))
    names = [
        base.transform_filter(f"datum.place == '{place}'")
        .mark_text(limit=130, **LABEL_PLACES[place])
        .encode(text="label:N")
        for place in places
    ]
    return Panel(chart=alt.layer(front, points, *names).encode(x=x, y=y), height=200)


def draw_bars(rows: Sequence[Row], title: str, labels: Sequence[str]) -> Panel:
    """One bar per network from zero, with its number at the end."""
    base = alt.Chart(_data(rows), title=title).encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=_label_axis(limit=110)),
        tooltip=_tooltips("label:N", "text:N"),
    )
    top = max(float(row["cost"]) for row in rows)
    # the number stands behind its bar: a third of the width is kept free for it
    x = alt.X("cost:Q", title=None, axis=None, scale=alt.Scale(domain=[0, top * 1.45 or 1.0], nice=False))
    bars = base.mark_bar(height={"band": 0.62}).encode(x=x, color=_stn_colour())
    numbers = base.mark_text(align="left", dx=5).encode(x=x, text="text:N")
    return Panel(chart=bars + numbers, height=24 * len(rows))


def draw_gains(rows: Sequence[Row], labels: Sequence[str], domain: tuple[float, float]) -> Panel:
    """What the STN added to each network's accuracy, with intervals and the line of no change."""
    zero = alt.Chart(_data([{"zero": 0}])).mark_rule(color=QUIET, strokeWidth=1.2).encode(x="zero:Q")
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=_label_axis()),
        yOffset=alt.YOffset("set:N", sort=["validation", "test"]),
        tooltip=_tooltips("label:N", "set:N", "gain:Q", "low:Q", "high:Q"),
    )
    words = "accuracy with the STN minus without, percentage points, with 95 % interval"
    scale = alt.Scale(domain=list(domain), nice=False)
    rule = base.mark_rule(strokeWidth=1.6, color=WITH, clip=True).encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    points = base.mark_point(size=62, strokeWidth=1.6, opacity=1, color=WITH).encode(
        x=alt.X("gain:Q", title=words, scale=scale),
        shape=_set_shape(),
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
    lowest = min(float(row["accuracy"]) for row in rows)
    scale = alt.Scale(domain=[max(0.0, lowest - 0.06 * (100 - lowest)), 100], nice=False)
    x = alt.X("accuracy:Q", title="accuracy, %", scale=scale, axis=alt.Axis(tickCount=6))
    lines = base.mark_rule(color=QUIET, strokeWidth=1).encode(x=x, x2="all:Q")
    points = base.mark_point(filled=True, size=46, color=WITHOUT, opacity=1).encode(x=x)
    shares = base.mark_text(align="left", dx=7).encode(x=alt.X("all:Q"), text="share:N")
    return Panel(chart=lines + points + shares, height=15 * max(len(rows), 1), width=520)


def draw_confusion(cells: Sequence[Row], classes: Sequence[int]) -> Panel:
    """True classes down, predicted classes across: grey where right, the darker the more where wrong."""
    axis = alt.Axis(labelFontSize=8, labelOverlap="parity", grid=False, ticks=False, labelAngle=0)
    scale = alt.Scale(domain=list(classes))
    base = alt.Chart(_data(cells)).encode(
        x=alt.X("predicted:O", title="predicted class", axis=axis, scale=scale),
        y=alt.Y("true:O", title="true class", axis=axis, scale=scale),
        tooltip=_tooltips("pair:N", "answers:Q", "share:Q"),
    )
    top = max((float(row["share"]) for row in cells if row["is_error"]), default=1.0)
    strength = alt.Scale(type="sqrt", domain=[0, top], range=[0.15, 1])
    right = base.transform_filter("!datum.is_error").mark_rect(color=QUIET, opacity=0.4)
    wrong = base.transform_filter("datum.is_error").mark_rect(color=WITH)
    chart = right + wrong.encode(opacity=alt.Opacity("share:Q", scale=strength, legend=None))
    side = int(min(max(12 * len(classes), 160), 560))
    return Panel(chart=chart, height=side, width=side)


def _to_dict(chart: Any) -> Spec:
    spec: Spec = chart.to_dict(validate=False)
    spec.pop("config", None)
    return spec


def _to_rows(columns: Columns) -> list[Row]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _data(rows: Sequence[Row]) -> Any:
    return alt.InlineData(values=list(rows))


def _label_axis(limit: int = 150) -> Any:
    return alt.Axis(labelLimit=limit, ticks=False, labelPadding=8)


def _plain_axis() -> Any:
    return alt.Axis(grid=False, domain=True, tickCount=8)


def _stn_colour() -> Any:
    return alt.Color("has_stn:N", scale=alt.Scale(domain=[False, True], range=[WITHOUT, WITH]), legend=None)


def _stn_fill() -> Any:
    return alt.Fill("has_stn:N", scale=alt.Scale(domain=[False, True], range=[WITHOUT, WITH]), legend=None)


def _set_shape() -> Any:
    return alt.Shape("set:N", scale=alt.Scale(domain=["test", "validation"], range=["diamond", "circle"]), legend=None)


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
    "text": "cost",
    "test": "test accuracy",
    "accuracy": "accuracy, %",
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
