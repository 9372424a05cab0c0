"""Every chart of the report, drawn once: the page shows it live, the same chart is saved as SVG and PNG.

The only door to altair and vl-convert. A figure is one or several panels; the page lets each panel take the width of
its place (one column on a narrow window), the files set them side by side. style.py says how they look.
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
from roadtest.report.axes import CostAxes, Curve
from roadtest.report.figure_rows import Columns
from roadtest.report.style import EXPORT_FONT, LABEL_PLACES, PANEL_WIDTH, QUIET, THEME, WITH, WITHOUT

Row = dict[str, Any]
Spec = dict[str, Any]


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
        # by default panels share one scale for colours: the STN's vermilion would turn blue
        whole = whole.resolve_scale(color="independent", fill="independent", strokeDash="independent")
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


def draw_intervals(rows: Sequence[Row], words: str, domain: tuple[float, float], *, marks_zero: bool = False) -> Panel:
    """A point with its interval for validation and test of each network, in the order of the rows."""
    labels = list(dict.fromkeys(row["label"] for row in rows))
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("label:N", sort=labels, title=None, axis=_label_axis()),
        yOffset=alt.YOffset("set:N", sort=["validation", "test"]),
        color=_stn_colour(),
        tooltip=_tooltips("label:N", "set:N", "value:Q", "low:Q", "high:Q", "n:Q"),
    )
    scale = alt.Scale(domain=list(domain), nice=False)
    rules = base.mark_rule(strokeWidth=1.6, clip=True).encode(x=alt.X("low:Q", scale=scale), x2=alt.X2("high:Q"))
    points = base.mark_point(size=62, strokeWidth=1.6, opacity=1).encode(
        x=alt.X("value:Q", title=words, scale=scale, axis=alt.Axis(tickCount=8)),
        shape=_shape("set", ["test", "validation"], ["diamond", "circle"]),
        fill=_stn_fill(),
        fillOpacity=alt.condition("datum.set == 'test'", alt.value(1), alt.value(0)),
    )
    zero = alt.Chart(_data([{"zero": 0}])).mark_rule(color=QUIET, strokeWidth=1.2).encode(x=alt.X("zero:Q"))
    chart = zero + rules + points if marks_zero else rules + points
    return Panel(chart=chart, height=34 * len(labels), width=560)


def draw_curve(curve: Curve) -> Panel:
    """Training (dashed) and validation (solid) per evaluation, one line a seed."""
    series: list[Any] = [f"val_{curve.kind}", f"train_{curve.kind}"]
    domains = curve.domains
    if curve.kind == "accuracy":
        words, axis = "accuracy, %", alt.Axis(tickCount=5)
        scale = alt.Scale(domain=list(domains.accuracy), nice=False)
    else:
        words, axis = "loss, nats", alt.Axis(values=domains.loss_ticks, format=".6~g")
        scale = alt.Scale(type="log", domain=list(domains.loss), nice=False)
    epochs = alt.Scale(domain=list(domains.epochs), nice=False)
    # single evaluations are marked where a line has few of them; one alone would not show at all
    point: Any = alt.OverlayMarkDef(size=9) if curve.num_rows <= 20 * curve.num_runs else False
    # opacity of the stroke, not of the mark: the latter doubles the time that a PNG takes
    width, opacity = (1.5, 0.9) if curve.num_runs <= 4 else (1.0, 0.6)
    chart = (
        alt.Chart(alt.NamedData(name=curve.dataset), title=f"{curve.title}: {words}")
        .transform_fold(series, as_=["series", "value"])
        .transform_calculate(set=f"datum.series == '{series[0]}' ? 'validation' : 'training'")
        .transform_filter("isValid(datum.value)")
        .mark_line(clip=True, strokeWidth=width, strokeOpacity=opacity, point=point)
        .encode(
            x=alt.X("epoch:Q", title="epochs", scale=epochs, axis=alt.Axis(grid=False, domain=True, tickCount=8)),
            y=alt.Y("value:Q", title=None, scale=scale, axis=axis),
            detail=alt.Detail("seed:N"),
            color=alt.Color("set:N", legend=None, scale=_sets([WITH if curve.has_stn else WITHOUT, QUIET])),
            strokeDash=alt.StrokeDash("set:N", legend=None, scale=_sets([[1, 0], [4, 3]])),
            tooltip=_tooltips("set:N", "seed:N", "epoch:Q", "value:Q"),
        )
    )
    return Panel(chart=chart, height=170)


def draw_costs(rows: Sequence[Row], title: str, unit: str, axes: CostAxes) -> Panel:
    """Validation accuracy against a cost, with a line through the networks that no other one beats."""
    base = alt.Chart(_data(rows), title=f"{title}, {unit}" if unit else title)
    # an m for thousandths would be read as minutes or metres: only counts get prefixes
    across = alt.Axis(
        values=axes.cost_ticks, format=",.6~g" if unit else "~s", grid=False, domain=True, labelOverlap=True
    )
    down = alt.Axis(values=axes.accuracy_ticks, format=".6~g")
    x = alt.X("cost:Q", title=None, axis=across, scale=alt.Scale(type="log", domain=list(axes.cost), nice=False))
    y_scale = alt.Scale(domain=list(axes.accuracy), nice=False)
    y = alt.Y("accuracy:Q", title="validation accuracy, %", axis=down, scale=y_scale)
    front = base.transform_filter("datum.is_front").mark_line(
        interpolate="step-after", color=QUIET, strokeWidth=1.2, strokeDash=[5, 3]
    )
    points = base.mark_point(size=70, strokeWidth=1.6, opacity=1).encode(
        shape=_shape("has_stn", [False, True], ["circle", "triangle-up"]),
        color=_stn_colour(),
        fill=_stn_fill(),
        fillOpacity=alt.condition("datum.is_front", alt.value(1), alt.value(0)),
        tooltip=_tooltips("label:N", "text:N", "accuracy:Q", "test:Q"),
    )
    names = [
        base.transform_filter(f"datum.place == '{place}'")
        .mark_text(limit=130, **offsets)
        .encode(text=alt.Text("label:N"))
        for place, offsets in LABEL_PLACES.items()
        if any(row["place"] == place for row in rows)
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
    numbers = base.mark_text(align="left", dx=5).encode(x=x, text=alt.Text("text:N"))
    return Panel(chart=bars + numbers, height=24 * len(rows))


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
    lines = base.mark_rule(color=QUIET, strokeWidth=1).encode(x=x, x2=alt.X2("all:Q"))
    points = base.mark_point(filled=True, size=46, color=WITHOUT, opacity=1).encode(x=x)
    shares = base.mark_text(align="left", dx=7).encode(x=alt.X("all:Q"), text=alt.Text("share:N"))
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


def _stn_colour() -> Any:
    return alt.Color("has_stn:N", scale=alt.Scale(domain=[False, True], range=[WITHOUT, WITH]), legend=None)


def _stn_fill() -> Any:
    return alt.Fill("has_stn:N", scale=alt.Scale(domain=[False, True], range=[WITHOUT, WITH]), legend=None)


def _shape(name: str, domain: list[Any], shapes: list[str]) -> Any:
    return alt.Shape(f"{name}:N", scale=alt.Scale(domain=domain, range=shapes), legend=None)


def _sets(signs: list[Any]) -> Any:
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


def _tooltips(*shorthands: str) -> list[Any]:
    """Tooltip lines; quantities with four digits."""
    lines = []
    for shorthand in shorthands:
        name, kind = shorthand.split(":")
        line = alt.Tooltip(shorthand, title=_TITLES.get(name, name))
        lines.append(line.format(",.4~g") if kind == "Q" else line)
    return lines
