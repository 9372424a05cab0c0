"""Every chart of the report, drawn once: the page shows it live, the same chart is saved as SVG and PNG.

The door to altair and vl-convert, with figures_parts.py and figures_judged.py. A figure is one or several panels; the
page lets each panel take the width of its place (one column on a narrow window), the files set them side by side.
style.py says how they look.
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
from roadtest.report.axes import Curve
from roadtest.report.figure_rows import Columns
from roadtest.report.figures_parts import Panel, data, label_axis, layers, network_axis, sets, stn_colour, tooltips
from roadtest.report.style import CHARACTER_WIDTH, EXPORT_FONT, PANEL_WIDTH, QUIET, THEME, WITH, WITHOUT

Row = dict[str, Any]
Spec = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class View:
    """One of several charts that a reader of the page switches between."""

    across: str
    """What the horizontal axis shows: the word a reader chooses."""
    down: str
    panel: Panel


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
    findings: tuple[str, ...] = ()
    """Sentences under the plot, computed from the records."""
    views: tuple[View, ...] = ()
    """Where there are some the page shows one of them at a time, and the files show all panels."""

    def page_specs(self) -> list[Spec]:
        """One Vega-Lite specification per panel, as wide as its container, without its shared data."""
        return [_page_spec(panel) for panel in self.panels] if not self.views else []

    def view_specs(self) -> dict[str, Spec]:
        """One specification per view, by its two axes."""
        return {f"{view.across}, {view.down}": _page_spec(view.panel) for view in self.views}

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


LABEL_WIDTH = 110.0
"""Pixels beside the bars, at most."""


def draw_curve(curve: Curve) -> Panel:
    """Training (dashed) and validation (solid) per evaluation: a band over three seeds or more, else a line a seed."""
    domains = curve.domains
    if curve.kind == "accuracy":
        words, axis = "accuracy, %", alt.Axis(tickCount=5)
        scale = alt.Scale(domain=list(domains.accuracy), nice=False)
    else:
        words, axis = "loss, nats", alt.Axis(values=domains.loss_ticks, format=".6~g")
        scale = alt.Scale(type="log", domain=list(domains.loss), nice=False)
    epochs = alt.Scale(domain=list(domains.epochs), nice=False)
    x = alt.X("epoch:Q", title="epochs", scale=epochs, axis=alt.Axis(grid=False, domain=True, tickCount=8))
    draw = _draw_bands if curve.has_band else _draw_lines
    chart = draw(alt.Chart(alt.NamedData(name=curve.dataset)).encode(x=x), curve, scale, axis)
    chart.title = f"{curve.title}: {words}"  # set, not added by a method: that would copy all that is in the chart
    return Panel(chart=chart, height=170)


def _draw_lines(base: Any, curve: Curve, scale: Any, axis: Any) -> Any:
    series: list[Any] = [f"val_{curve.kind}", f"train_{curve.kind}"]
    # single evaluations are marked where a line has few of them; one alone would not show at all
    point: Any = alt.OverlayMarkDef(size=9) if curve.num_rows <= 20 * curve.num_runs else False
    return (
        base.transform_fold(series, as_=["series", "value"])
        .transform_calculate(set=f"datum.series == '{series[0]}' ? 'validation' : 'training'")
        .transform_filter("isValid(datum.value)")
        # opacity of the stroke, not of the mark: the latter doubles the time that a PNG takes
        .mark_line(clip=True, strokeWidth=1.5, strokeOpacity=0.9, point=point)
        .encode(
            y=alt.Y("value:Q", title=None, scale=scale, axis=axis),
            detail=alt.Detail("seed:N"),
            color=alt.Color("set:N", legend=None, scale=sets([WITH if curve.has_stn else WITHOUT, QUIET])),
            strokeDash=alt.StrokeDash("set:N", legend=None, scale=sets([[1, 0], [4, 3]])),
            tooltip=tooltips("set:N", "seed:N", "epoch:Q", "value:Q"),
        )
    )


def _draw_bands(base: Any, curve: Curve, scale: Any, axis: Any) -> Any:
    """From the lowest to the highest seed, and their median."""
    marks = []
    for part, colour, dash in (("train", QUIET, [4, 3]), ("val", WITH if curve.has_stn else WITHOUT, [1, 0])):
        name = f"{part}_{curve.kind}"
        y = alt.Y(f"{name}_low:Q", title=None, scale=scale, axis=axis)
        band = base.mark_area(clip=True, color=colour, fillOpacity=0.2).encode(y=y, y2=alt.Y2(f"{name}_high:Q"))
        line = base.mark_line(clip=True, color=colour, strokeWidth=1.6, strokeDash=dash).encode(
            y=alt.Y(f"{name}:Q", title=None, scale=scale, axis=axis),
            tooltip=tooltips("epoch:Q", f"{name}:Q", f"{name}_low:Q", f"{name}_high:Q"),
        )
        marks += [band, line]
    return layers(*marks)


def draw_bars(rows: Sequence[Row], title: str, labels: Sequence[str]) -> Panel:
    """One bar per network from zero, with its number at the end."""
    base = alt.Chart(data(rows), title=alt.TitleParams(title, frame="bounds")).encode(
        y=alt.Y("label:N", sort=list(labels), title=None, axis=network_axis(LABEL_WIDTH)),
        tooltip=tooltips("label:N", "text:N"),
    )
    top = max(float(row["cost"]) for row in rows)
    # the number stands behind its bar: room is kept free for the longest
    label_width = min(LABEL_WIDTH, max(len(label) for label in labels) * CHARACTER_WIDTH)
    number_share = (max(len(row["text"]) for row in rows) + 2) * CHARACTER_WIDTH / (PANEL_WIDTH - 15 - label_width)
    domain = [0, top / (1 - number_share) or 1.0]
    x = alt.X("cost:Q", title=None, axis=None, scale=alt.Scale(domain=domain, nice=False))
    bars = base.mark_bar(height={"band": 0.62}).encode(x=x, color=stn_colour())
    numbers = base.mark_text(align="left", dx=5).encode(x=x, text=alt.Text("text:N"))
    return Panel(chart=layers(bars, numbers), height=24 * len(rows))


def draw_classes(rows: Sequence[Row]) -> Panel:
    """Accuracy of each class as a point on a line to 100 %, least accurate first."""
    order = [row["class"] for row in rows]
    base = alt.Chart(data([{**row, "all": 100} for row in rows])).encode(
        y=alt.Y("class:N", sort=order, title=None, axis=label_axis(limit=190)),
        tooltip=tooltips("class:N", "accuracy:Q", "correct:Q", "answers:Q"),
    )
    lowest = min(float(row["accuracy"]) for row in rows)
    scale = alt.Scale(domain=[max(0.0, lowest - 0.06 * (100 - lowest)), 100], nice=False)
    x = alt.X("accuracy:Q", title="accuracy, %", scale=scale, axis=alt.Axis(tickCount=6))
    lines = base.mark_rule(color=QUIET, strokeWidth=1).encode(x=x, x2=alt.X2("all:Q"))
    points = base.mark_point(filled=True, size=46, color=WITHOUT, opacity=1).encode(x=x)
    shares = base.mark_text(align="left", dx=7).encode(x=alt.X("all:Q"), text=alt.Text("share:N"))
    return Panel(chart=layers(lines, points, shares), height=15 * max(len(rows), 1), width=520)


def draw_confusion(cells: Sequence[Row], classes: Sequence[int]) -> Panel:
    """True classes down, predicted classes across: grey where right, the darker the more where wrong."""
    axis = alt.Axis(labelFontSize=8, labelOverlap="parity", grid=False, ticks=False, labelAngle=0)
    scale = alt.Scale(domain=list(classes))
    base = alt.Chart(data(cells)).encode(
        x=alt.X("predicted:O", title="predicted class", axis=axis, scale=scale),
        y=alt.Y("true:O", title="true class", axis=axis, scale=scale),
        tooltip=tooltips("pair:N", "answers:Q", "share:Q"),
    )
    top = max((float(row["share"]) for row in cells if row["is_error"]), default=1.0)
    strength = alt.Scale(type="sqrt", domain=[0, top], range=[0.15, 1])
    right = base.transform_filter("!datum.is_error").mark_rect(color=QUIET, opacity=0.4)
    wrong = base.transform_filter("datum.is_error").mark_rect(color=WITH)
    chart = layers(right, wrong.encode(opacity=alt.Opacity("share:Q", scale=strength, legend=None)))
    side = int(min(max(12 * len(classes), 160), 560))
    return Panel(chart=chart, height=side, width=side)


def _page_spec(panel: Panel) -> Spec:
    fit = {"type": "fit-x", "contains": "padding"}
    return _to_dict(panel.chart) | {"width": "container", "height": panel.height, "autosize": fit}


def _to_dict(chart: Any) -> Spec:
    spec: Spec = chart.to_dict(validate=False)
    spec.pop("config", None)
    return spec


def _to_rows(columns: Columns) -> list[Row]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
