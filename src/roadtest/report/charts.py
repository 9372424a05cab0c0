"""Every chart of the report, and how it looks: the only door to altair and vl-convert.

A figure is one or several panels. On the page each panel takes the width of its place; files set them side by side.
Colour always means the same: blue circles without the STN, vermilion triangles with it; shape, dash and place say it
again for readers in grey. The page's style sheet overrides the colours of text and lines, so that dark and print follow
it. Vega-Lite chooses the ticks; how far an axis reaches is decided here, because panels that are compared share it.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import altair as alt
import numpy as np
import vl_convert
from altair.utils.schemapi import debug_mode

from roadtest.format import Row
from roadtest.records import EpochMetrics, write_atomically

Spec = dict[str, Any]
Columns = dict[str, list[float | None]]
"""A table column by column."""
Range = tuple[float, float]
WITHOUT, WITH, QUIET = "#0072B2", "#D55E00", "#848a92"
"""Okabe and Ito's blue and vermilion, which every kind of colour vision tells apart, and a grey; all three reach 3:1
on white and on the page's dark."""
INK, PALE = "#3a3f45", "#dfe2e6"
FONT = (
    "-apple-system, BlinkMacSystemFont, Segoe UI, Roboto, Noto Sans, Helvetica Neue, Liberation Sans, Arial, sans-serif"
)
EXPORT_FONT = "Helvetica Neue, Helvetica, Liberation Sans, Arial, sans-serif"
THEME: dict[str, Any] = {
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
    "text": {"color": INK, "fontSize": 11},
}
KEY_SETS = "filled diamond: test; open circle: validation; line: 95 % interval"
KEY_STN = "blue: without STN; vermilion: with STN"
PANEL_WIDTH = 300
VIEW_HEIGHT = 340
"""Of a chart that the page shows alone; in files it is one of several."""
BUDGETS_HEIGHT = 300
LABEL_WIDTH = 110.0
"""Pixels beside the bars, at most."""
CHARACTER_WIDTH = 6.0
"""Pixels, of charts' words on average."""
LINE_PIXELS = 15
"""Between two names, one above the other."""
MAX_WIDENING = 0.5
"""How far intervals may stretch the axis of accuracy, in spans of the points themselves."""
NAME_ROOM = 0.3
"""How far an axis of time goes on to the right, for the names, in spans of the points themselves."""


# Figures


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart in its own frame."""

    chart: Any
    """Of altair."""
    height: int
    width: int = PANEL_WIDTH
    """In saved files; on the page a panel is as wide as its place."""

    def page_spec(self) -> Spec:
        """The Vega-Lite specification, as wide as its container."""
        fit = {"type": "fit-x", "contains": "padding"}
        return _to_dict(self.chart) | {"width": "container", "height": self.height, "autosize": fit}


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

    macro: ClassVar[str] = "figure"
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

    @property
    def anchor(self) -> str:
        """Its place in the page."""
        return f"figure-{self.name}"

    def page_specs(self) -> list[Spec]:
        """One Vega-Lite specification per panel, without its shared data."""
        return [panel.page_spec() for panel in self.panels] if not self.views else []

    def view_specs(self) -> dict[str, Spec]:
        """One specification per view, by its two axes."""
        return {f"{view.across}, {view.down}": view.panel.page_spec() for view in self.views}

    def file_spec(self) -> Spec:
        """The whole figure as one specification with fixed widths, on white."""
        charts = [panel.chart.properties(width=panel.width, height=panel.height) for panel in self.panels]
        title = alt.TitleParams(self.key, fontWeight="normal", fontSize=11, anchor="start", offset=12)
        whole = alt.concat(*charts, columns=self.num_columns, spacing=28, title=title)
        # by default panels share one scale for colours: the STN's vermilion would turn blue
        whole = whole.resolve_scale(color="independent", fill="independent", strokeDash="independent")
        config = THEME | {"background": "white", "font": EXPORT_FONT, "padding": 12}
        shared = {
            name: [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
            for name, columns in self.datasets.items()
        }
        spec = _to_dict(whole) | {"config": config}
        return spec | {"datasets": spec.get("datasets", {}) | shared}


def write_figure_files(figures: Sequence[Figure], folder: Path) -> None:
    """Save every figure as SVG and, at twice its size, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        svg = vl_convert.vegalite_to_svg(figure.file_spec())
        write_atomically(folder / f"{figure.name}.svg", svg.encode())
        write_atomically(folder / f"{figure.name}.png", vl_convert.svg_to_png(svg, scale=2))


def vega_bundle(cache_dir: Path) -> str:
    """The libraries that draw the charts, as one script that asks for nothing; built once a version, then cached."""
    path = cache_dir / f"vega-bundle-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8")
    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub forgets the default
    with contextlib.suppress(OSError):  # a cache that cannot be written costs a second and a half next time
        cache_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(path, bundle.encode())
    return bundle


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Let altair build charts without checking each part against its schema: the tests check every whole chart."""
    with debug_mode(False):
        yield


def _to_dict(chart: Any) -> Spec:
    spec: Spec = chart.to_dict(validate=False)
    spec.pop("config", None)
    return spec


# Points: the rows behind the charts. Accuracies are in percent, differences in percentage points.


@dataclass(frozen=True, kw_only=True)
class IntervalPoint:
    """A network's accuracy or gain on one set, with its interval."""

    label: str
    has_stn: bool
    set: str
    """`test` or `validation`."""
    n: int
    """Seeds."""
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class DifferencePoint:
    """A pair's difference with two intervals: the judged one, and that of seeds alone."""

    label: str
    verdict: str
    value: float
    low: float | None
    high: float | None
    seeds_low: float | None
    seeds_high: float | None


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A network's cost; `text` is what a reader sees of it."""

    label: str
    has_stn: bool
    cost: float
    text: str


@dataclass(frozen=True, kw_only=True)
class AccuracyPoint(Bar):
    """A network's accuracy against a cost, in the axis's unit."""

    accuracy: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class CostPoint(AccuracyPoint):
    """One of the networks that are compared in accuracy and cost."""

    is_front: bool = False
    place: str = "none"
    """Where its name is written: a key of LABEL_PLACES, or `none`."""


@dataclass(frozen=True, kw_only=True)
class BudgetPoint(AccuracyPoint):
    """A network's accuracy against its training time at one budget."""

    budget: str
    unit: str
    n: int


@dataclass(frozen=True, kw_only=True)
class ClassPoint:
    """The accuracy of one class; `share` is `12 of 30`."""

    class_title: str
    accuracy: float
    share: str
    correct: int
    answers: int


@dataclass(frozen=True, kw_only=True)
class ConfusionCell:
    """How many images of one class were taken for another, or recognised; `share` is percent of the true class."""

    true: int
    predicted: int
    pair: str
    answers: int
    share: float
    is_error: bool


# How far axes reach


def interval_domain(points: Sequence[IntervalPoint], *, has_zero: bool = False) -> Range:
    """The range that holds all points, the test set's intervals, and zero where gains are shown.

    From three validation folds an interval may be many times wider than everything else. It widens the range of
    accuracies by half on either side at most, that of gains not at all unless it is alone; then it leaves the frame.
    """
    firm = [point for point in points if point.set == "test" or (has_zero and len(points) == 1)]
    inside = [point.value for point in points] + [end for point in firm for end in (point.low, point.high)]
    inside += [0.0] * has_zero
    room = 0.0 if has_zero else MAX_WIDENING
    low, high = _widened(inside, [end for point in points for end in (point.low, point.high)], room)
    margin = max(0.08 * (high - low), 0.2)
    has_test = any(point.set == "test" for point in points)
    if has_zero:
        margin = margin if has_test else max(margin, high - low)
        return low - margin, high + margin
    margin = margin if has_test else max(margin, 2 * (high - low), 3.0)
    return max(low - margin, 0.0), min(high + margin, 100.0)


def difference_domain(points: Sequence[DifferencePoint]) -> Range:
    """The range that holds zero and all points; an interval may widen it to three times that."""
    inside = [0.0, *(point.value for point in points)]
    span = max(max(inside) - min(inside), 0.5)
    low, high = _widened(inside, _ends(points), 1.0, span)
    return low - 0.06 * span, high + 0.06 * span


def cost_domains(points: Sequence[AccuracyPoint]) -> tuple[Range, Range]:
    """The ranges of cost and of accuracy, with room for points and names on all sides; wide intervals may leave."""
    costs, accuracies = [point.cost for point in points], [point.accuracy for point in points]
    factor = max((max(costs) / min(costs)) ** 0.14, 1.15)
    span = max(max(accuracies) - min(accuracies), 1.0)
    margin = max(0.12 * span, 0.3)
    low, high = _widened(accuracies, _ends(points), MAX_WIDENING, span)
    return (min(costs) / factor, max(costs) * factor), (low - margin, high + margin)


def curve_domains(runs: Sequence[Sequence[EpochMetrics]]) -> dict[str, Range]:
    """The ranges of `epoch`, `accuracy` and `loss` for the panels that stand side by side.

    The accuracy axis starts below the second half of all curves: the first epochs would leave no room for the rest.
    """
    late = [row for rows in runs for row in rows[len(rows) // 2 :]]
    lowest = min(min(100 * row.train.accuracy, 100 * row.val.accuracy) for row in late)
    losses = [max(loss, 1e-5) for rows in runs for row in rows for loss in (row.train.loss, row.val.loss)]
    finite = [loss for loss in losses if np.isfinite(loss)] or [1.0]
    step = 10.0 if lowest < 80 else 5.0 if lowest < 93 else 1.0
    return {
        "epoch": (0.0, max(row.epoch for rows in runs for row in rows)),
        "accuracy": (max(0.0, float(step * np.floor(lowest / step - 0.5))), 100.0),
        "loss": (min(finite) * 0.8, max(finite) * 1.25),
    }


def _ends(points: Sequence[Any]) -> list[float]:
    return [end for point in points for end in (point.low, point.high) if end is not None]


def _widened(inside: Sequence[float], ends: Sequence[float], room: float, span: float | None = None) -> Range:
    """The range of `inside`, widened by `ends` as far as `room` spans on either side."""
    span = max(inside) - min(inside) if span is None else span
    low = max(min([*ends, *inside]), min(inside) - room * span)
    return low, min(max([*ends, *inside]), max(inside) + room * span)


# Charts


def draw_curve(
    name: str, kind: str, *, label: str, has_stn: bool, domains: Mapping[str, Range], has_band: bool, has_points: bool
) -> Panel:
    """Training (dashed) and validation (solid) `accuracy` or `loss` per evaluation, from the data set of that name.

    A band over the seeds or a line a seed; `has_points` marks single evaluations.
    """
    words, axis, scale = "accuracy, %", alt.Axis(tickCount=5), _scale(domains["accuracy"])
    if kind == "loss":
        axis = alt.Axis(tickCount=5, format=".6~g", labelOverlap=True)
        words, scale = "loss, nats", _scale(domains["loss"], type="log")
    x_axis = alt.Axis(grid=False, domain=True, tickCount=8)
    x = alt.X("epoch:Q", title="epochs", scale=_scale(domains["epoch"]), axis=x_axis)
    base, colour = alt.Chart(alt.NamedData(name=name)).encode(x=x), WITH if has_stn else WITHOUT
    y = {"title": None, "scale": scale, "axis": axis}
    chart = _draw_bands(base, kind, colour, y) if has_band else _draw_lines(base, kind, colour, y, has_points)
    chart.title = f"{label}: {words}"  # set, not added by a method: that would copy all that is in the chart
    return Panel(chart=chart, height=170)


def _draw_lines(base: Any, kind: str, colour: str, y: Mapping[str, Any], has_points: bool) -> Any:
    series: list[Any] = [f"val_{kind}", f"train_{kind}"]
    point: Any = alt.OverlayMarkDef(size=9) if has_points else False
    sets = ["validation", "training"]
    dashes: Any = alt.Scale(domain=sets, range=[[1, 0], [4, 3]])
    return (
        base.transform_fold(series, as_=["series", "value"])
        .transform_calculate(set=f"datum.series == '{series[0]}' ? 'validation' : 'training'")
        .transform_filter("isValid(datum.value)")
        # opacity of the stroke, not of the mark: the latter doubles the time that a PNG takes
        .mark_line(clip=True, strokeWidth=1.5, strokeOpacity=0.9, point=point)
        .encode(
            y=alt.Y("value:Q", **y),
            detail=alt.Detail("seed:N"),
            color=alt.Color("set:N", legend=None, scale=alt.Scale(domain=sets, range=[colour, QUIET])),
            strokeDash=alt.StrokeDash("set:N", legend=None, scale=dashes),
            tooltip=_tooltips("set:N", "seed:N", "epoch:Q", "value:Q"),
        )
    )


def _draw_bands(base: Any, kind: str, colour: str, y: Mapping[str, Any]) -> Any:
    """From the lowest to the highest seed, and their median."""
    marks = []
    for name, ink, dash in ((f"train_{kind}", QUIET, [4, 3]), (f"val_{kind}", colour, [1, 0])):
        area = base.mark_area(clip=True, color=ink, fillOpacity=0.2)
        line = base.mark_line(clip=True, color=ink, strokeWidth=1.6, strokeDash=dash)
        tooltips = _tooltips("epoch:Q", f"{name}:Q", f"{name}_low:Q", f"{name}_high:Q")
        marks.append(area.encode(y=alt.Y(f"{name}_low:Q", **y), y2=alt.Y2(f"{name}_high:Q")))
        marks.append(line.encode(y=alt.Y(f"{name}:Q", **y), tooltip=tooltips))
    return alt.layer(*marks)


def draw_intervals(points: Sequence[IntervalPoint], title: str, domain: Range, *, marks_zero: bool = False) -> Panel:
    """A point with its interval for validation and test of each network, in the order of the points."""
    labels = list(dict.fromkeys(point.label for point in points))
    base = alt.Chart(data(points)).encode(
        y=alt.Y("label:N", sort=labels, title=None, axis=_network_axis()),
        yOffset=alt.YOffset("set:N", sort=["validation", "test"]),
        color=_stn(alt.Color),
        tooltip=_tooltips("label:N", "set:N", "value:Q", "low:Q", "high:Q", "n:Q"),
    )
    scale = _scale(domain)
    rules = _across(base.mark_rule(strokeWidth=1.6, clip=True), "low", "high", scale)
    marks = base.mark_point(size=62, strokeWidth=1.6, opacity=1).encode(
        x=alt.X("value:Q", title=title, scale=scale, axis=alt.Axis(tickCount=8)),
        shape=_shape("set", ["test", "validation"], ["diamond", "circle"]),
        fill=_stn(alt.Fill),
        fillOpacity=alt.FillOpacityValue(0, condition={"test": "datum.set == 'test'", "value": 1}),
    )
    return Panel(chart=alt.layer(*([_zero()] * marks_zero), rules, marks), height=34 * len(labels), width=560)


def draw_pairs(points: Sequence[DifferencePoint], title: str) -> Panel:
    """Each pair's difference: a thin line for new images, a thick one for these images; filled where separated."""
    base = alt.Chart(data(points)).encode(
        y=alt.Y("label:N", sort=[point.label for point in points], title=None, axis=label_axis(limit=230)),
        tooltip=_tooltips("label:N", "value:Q", "low:Q", "high:Q", "seeds_low:Q", "seeds_high:Q", "verdict:N"),
    )
    scale = _scale(difference_domain(points))
    wide = base.mark_rule(color=INK, strokeWidth=1.4, clip=True)
    # of seeds alone; a pair without them has no such line
    with_seeds = base.transform_filter("isValid(datum.seeds_low)")
    seeds = with_seeds.mark_rule(color=QUIET, strokeWidth=7, strokeOpacity=0.55, clip=True)
    marks = base.mark_point(color=INK, size=56, strokeWidth=1.5, opacity=1).encode(
        x=alt.X("value:Q", title=title, scale=scale, axis=alt.Axis(tickCount=8)),
        fill=alt.FillValue("transparent", condition={"test": "datum.verdict == 'separated'", "value": INK}),
    )
    intervals = (_across(seeds, "seeds_low", "seeds_high", scale), _across(wide, "low", "high", scale))
    return Panel(chart=alt.layer(_zero(), *intervals, marks), height=24 * len(points), width=560)


def draw_costs(points: Sequence[CostPoint], title: str, words: str, *, is_count: bool) -> Panel:
    """Accuracy with its interval against a cost, and a line through the networks that no other one beats."""
    points = place_labels(points)
    costs, accuracies = cost_domains(points)
    base = alt.Chart(data(points), title=title)
    # an m for thousandths would be read as minutes or metres: only counts get prefixes
    x = _cost_axis(costs, None, "~s" if is_count else ",.6~g")
    y = _accuracy_axis(words, accuracies)
    front = base.transform_filter("datum.is_front").mark_line(
        interpolate="step-after", color=QUIET, strokeWidth=1.2, strokeDash=[5, 3]
    )
    marks = base.mark_point(size=70, strokeWidth=1.6, opacity=1).encode(
        shape=_stn_shape(),
        color=_stn(alt.Color),
        fill=_stn(alt.Fill),
        fillOpacity=alt.FillOpacityValue(0, condition={"test": "datum.is_front", "value": 1}),
        tooltip=_tooltips("label:N", "text:N", "accuracy:Q", "low:Q", "high:Q"),
    )
    names = [
        base.transform_filter(f"datum.place == '{place}'")
        .mark_text(limit=130, **offsets)
        .encode(text=alt.Text("label:N"))
        for place, offsets in LABEL_PLACES.items()
        if any(point.place == place for point in points)
    ]
    front, marks, *names = (mark.encode(y=y("accuracy")) for mark in (front, marks, *names))
    intervals = _upright(base, y, strokeOpacity=0.6)
    return Panel(chart=alt.layer(front, intervals, marks, *names, encoding=alt.FacetedEncoding(x=x)), height=200)


def draw_bars(bars: Sequence[Bar], title: str) -> Panel:
    """One bar per network from zero, with its number at the end."""
    labels = [bar.label for bar in bars]
    base = alt.Chart(data(bars), title=alt.TitleParams(title, frame="bounds")).encode(
        y=alt.Y("label:N", sort=labels, title=None, axis=_network_axis(LABEL_WIDTH)),
        tooltip=_tooltips("label:N", "text:N"),
    )
    # the number stands behind its bar: room is kept free for the longest
    label_width = min(LABEL_WIDTH, max(map(len, labels)) * CHARACTER_WIDTH)
    number_share = (max(len(bar.text) for bar in bars) + 2) * CHARACTER_WIDTH / (PANEL_WIDTH - 15 - label_width)
    domain = (0, max(float(bar.cost) for bar in bars) / (1 - number_share) or 1.0)
    x = alt.X("cost:Q", title=None, axis=None, scale=_scale(domain))
    lengths = base.mark_bar(height={"band": 0.62}).encode(x=x, color=_stn(alt.Color))
    numbers = base.mark_text(align="left", dx=5).encode(x=x, text=alt.Text("text:N"))
    return Panel(chart=alt.layer(lengths, numbers), height=24 * len(bars))


def draw_budgets(points: Sequence[BudgetPoint]) -> Panel:
    """A line per network through its points, and its name at the right, led to by a thin line."""
    (low, high), accuracies = cost_domains(points)
    costs = (low, high * (high / low) ** NAME_ROOM)
    x = _cost_axis(costs, f"training time, {points[0].unit}", ",.6~g")
    y = _accuracy_axis("validation accuracy, %", accuracies)
    base, named = alt.Chart(data(points)), alt.Chart(data(_names_at_the_right(points, costs, accuracies)))
    lines = base.mark_line(strokeWidth=1.6, strokeOpacity=0.8).encode(detail=alt.Detail("label:N"))
    marks = base.mark_point(size=62, strokeWidth=1.6, opacity=1).encode(
        shape=_stn_shape(),
        fill=_stn(alt.Fill),
        tooltip=_tooltips("label:N", "budget:N", "text:N", "accuracy:Q", "low:Q", "high:Q", "n:Q"),
    )
    leads = named.mark_rule(color=QUIET, strokeWidth=0.8, strokeDash=[2, 2]).encode(
        x=x, y=y("accuracy"), x2=alt.X2("right:Q"), y2=alt.Y2("height:Q")
    )
    texts = named.mark_text(align="left", dx=4, limit=150).encode(
        x=alt.X("right:Q", scale=_scale(costs, type="log")),
        y=alt.Y("height:Q", scale=_scale(accuracies)),
        text=alt.Text("label:N"),
    )
    intervals = _upright(base, y, strokeOpacity=0.45).encode(x=x)
    lines, marks = (mark.encode(x=x, y=y("accuracy"), color=_stn(alt.Color)) for mark in (lines, marks))
    return Panel(chart=alt.layer(leads, intervals, lines, marks, texts), height=BUDGETS_HEIGHT, width=560)


def _names_at_the_right(points: Sequence[BudgetPoint], costs: Range, accuracies: Range) -> list[Row]:
    """Each network's name to the right of its last point, moved up or down where names would cover each other."""
    last = {point.label: point for point in sorted(points, key=lambda point: point.cost)}
    ends = [last[label] for label in dict.fromkeys(point.label for point in points)]
    gap = LINE_PIXELS / BUDGETS_HEIGHT * (accuracies[1] - accuracies[0])
    heights = spread([point.accuracy for point in ends], gap, accuracies)
    right = max(point.cost for point in points) * (costs[1] / costs[0]) ** 0.05
    return [
        {"label": end.label, "cost": end.cost, "accuracy": end.accuracy, "right": right, "height": height}
        for end, height in zip(ends, heights, strict=True)
    ]


def draw_classes(points: Sequence[ClassPoint]) -> Panel:
    """Accuracy of each class as a point on a line to 100 %, least accurate first."""
    base = alt.Chart(data([{**vars(point), "all": 100} for point in points])).encode(
        y=alt.Y("class_title:N", sort=[point.class_title for point in points], title=None, axis=label_axis(limit=190)),
        tooltip=_tooltips("class_title:N", "accuracy:Q", "correct:Q", "answers:Q"),
    )
    lowest = min(point.accuracy for point in points)
    scale = _scale((max(0.0, lowest - 0.06 * (100 - lowest)), 100))
    x = alt.X("accuracy:Q", title="accuracy, %", scale=scale, axis=alt.Axis(tickCount=6))
    lines = base.mark_rule(color=QUIET, strokeWidth=1).encode(x=x, x2=alt.X2("all:Q"))
    marks = base.mark_point(filled=True, size=46, color=WITHOUT, opacity=1).encode(x=x)
    shares = base.mark_text(align="left", dx=7).encode(x=alt.X("all:Q"), text=alt.Text("share:N"))
    return Panel(chart=alt.layer(lines, marks, shares), height=15 * len(points), width=520)


def draw_confusion(cells: Sequence[ConfusionCell], classes: Sequence[int]) -> Panel:
    """True classes down, predicted classes across: grey where right, the darker the more where wrong."""
    axis = alt.Axis(labelFontSize=8, labelOverlap="parity", grid=False, ticks=False, labelAngle=0)
    scale = alt.Scale(domain=list(classes))
    base = alt.Chart(data(cells)).encode(
        x=alt.X("predicted:O", title="predicted class", axis=axis, scale=scale),
        y=alt.Y("true:O", title="true class", axis=axis, scale=scale),
        tooltip=_tooltips("pair:N", "answers:Q", "share:Q"),
    )
    top = max((cell.share for cell in cells if cell.is_error), default=1.0)
    strength = alt.Scale(type="sqrt", domain=[0, top], range=[0.15, 1])
    right = base.transform_filter("!datum.is_error").mark_rect(color=QUIET, opacity=0.4)
    wrong = base.transform_filter("datum.is_error").mark_rect(color=WITH)
    chart = alt.layer(right, wrong.encode(opacity=alt.Opacity("share:Q", scale=strength, legend=None)))
    side = int(min(max(12 * len(classes), 160), 560))
    return Panel(chart=chart, height=side, width=side)


# Parts of charts


def data(rows: Sequence[Any]) -> Any:
    """Dictionaries, or frozen values whose fields become columns."""
    return alt.InlineData(values=[row if isinstance(row, dict) else vars(row) for row in rows])


def label_axis(limit: float = 150) -> Any:
    """Of names, without ticks."""
    return alt.Axis(labelLimit=limit, ticks=False, labelPadding=8)


def _network_axis(limit: float = 150) -> Any:
    """Of networks' labels: a long one keeps its end, which tells sizes and the STN apart."""
    num_kept = int(limit / CHARACTER_WIDTH)
    shown = f"length(datum.label) > {num_kept} ? '…' + slice(datum.label, {1 - num_kept}) : datum.label"
    return alt.Axis(labelLimit=limit + 2 * CHARACTER_WIDTH, ticks=False, labelPadding=8, labelExpr=shown)


def _scale(domain: Range, **more: Any) -> Any:
    return alt.Scale(domain=list(domain), nice=False, **more)


def _cost_axis(domain: Range, title: str | None, format: str) -> Any:
    axis = alt.Axis(format=format, tickCount=5, grid=False, domain=True, labelOverlap=True)
    return alt.X("cost:Q", title=title, axis=axis, scale=_scale(domain, type="log"))


def _accuracy_axis(title: str, domain: Range) -> Callable[[str], Any]:
    """An axis that several columns share."""
    axis = alt.Axis(tickCount=5, format=".6~g")
    return lambda name: alt.Y(f"{name}:Q", title=title, axis=axis, scale=_scale(domain))


def _across(rules: Any, low: str, high: str, scale: Any) -> Any:
    """An interval as a line from one column to another."""
    return rules.encode(x=alt.X(f"{low}:Q", scale=scale), x2=alt.X2(f"{high}:Q"))


def _upright(base: Any, y: Callable[[str], Any], **style: Any) -> Any:
    """The intervals of the points that have one."""
    rules = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.2, clip=True, **style)
    return rules.encode(y=y("low"), y2=alt.Y2("high:Q"), color=_stn(alt.Color))


def _stn_shape() -> Any:
    return _shape("has_stn", [False, True], ["circle", "triangle-up"])


def _stn(channel: Any) -> Any:
    return channel("has_stn:N", scale=alt.Scale(domain=[False, True], range=[WITHOUT, WITH]), legend=None)


def _shape(name: str, domain: list[Any], shapes: list[str]) -> Any:
    return alt.Shape(f"{name}:N", scale=alt.Scale(domain=domain, range=shapes), legend=None)


def _zero() -> Any:
    return alt.Chart(data([{"zero": 0}])).mark_rule(color=QUIET, strokeWidth=1.2).encode(x=alt.X("zero:Q"))


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
    "class_title": "class",
}


def _tooltips(*shorthands: str) -> list[Any]:
    """Tooltip lines; quantities with four digits."""
    lines = []
    for shorthand in shorthands:
        name, kind = shorthand.split(":")
        line = alt.Tooltip(shorthand, title=_TITLES.get(name, name))
        lines.append(line.format(",.4~g") if kind == "Q" else line)
    return lines


# Names of points. Vega-Lite knows no layout that keeps them from covering each other.

LABEL_PLACES: dict[str, dict[str, Any]] = {
    "above": {"align": "center", "dy": -12},
    "below": {"align": "center", "dy": 15},
    "right": {"align": "left", "dx": 8, "dy": 1},
    "left": {"align": "right", "dx": -8, "dy": 1},
}
"""Where a point's name may stand."""
WIDTH, HEIGHT = 225.0, 200.0
"""Of the panel that is imagined, in pixels."""
ENOUGH_ROOM = 60.0
"""Square pixels that a name off the front may cover before it is left to the pointer."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""


def place_labels(points: Sequence[CostPoint]) -> list[CostPoint]:
    """Choose for each point, best first, the place beside it where its name covers least.

    Greedy and approximate: distances are taken in a panel of the page's usual size. A name off the front that fits
    nowhere is left to the pointer.
    """
    across = _on_panel([float(np.log(point.cost)) for point in points], 30, WIDTH - 30)
    down = _on_panel([-point.accuracy for point in points], 18, HEIGHT - 18)
    spots = list(zip(across, down, strict=True))
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in spots]
    placed = list(points)
    for number in sorted(range(len(points)), key=lambda n: (not points[n].is_front, -points[n].accuracy)):
        boxes = _label_boxes(*spots[number], width=CHARACTER_WIDTH * min(len(points[number].label), 21))
        own = taken[number]
        covered = {
            place: _outside(box) + sum(_overlap(box, other) for other in taken if other is not own)
            for place, box in boxes.items()
        }
        best = min(covered, key=lambda place: covered[place])
        if covered[best] < ENOUGH_ROOM or points[number].is_front:
            placed[number] = replace(points[number], place=best)
            taken.append(boxes[best])
    return placed


def spread(places: Sequence[float], gap: float, within: Range) -> list[float]:
    """The places, moved as little as a simple pass allows so that neighbours are a gap apart, and inside the range."""
    order = sorted(range(len(places)), key=lambda number: -places[number])
    moved = list(places)
    ceiling = within[1]
    for number in order:
        moved[number] = ceiling = min(moved[number], ceiling)
        ceiling -= gap
    floor = within[0]
    for number in reversed(order):
        moved[number] = floor = max(moved[number], floor)
        floor += gap
    return moved


def _on_panel(values: list[float], low: float, high: float) -> list[float]:
    span = max(values, default=0.0) - min(values, default=0.0)
    return [(low + high) / 2 if span == 0 else low + (value - min(values)) / span * (high - low) for value in values]


def _label_boxes(x: float, y: float, *, width: float) -> dict[str, Box]:
    return {
        "above": (x - width / 2, y - 19, x + width / 2, y - 7),
        "right": (x + 8, y - 6, x + 8 + width, y + 6),
        "left": (x - 8 - width, y - 6, x - 8, y + 6),
        "below": (x - width / 2, y + 8, x + width / 2, y + 20),
    }


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _outside(box: Box) -> float:
    """How much of a box lies beyond the panel's sides, as an area."""
    return 12.0 * (max(0.0, -box[0] - 8) + max(0.0, box[2] - WIDTH - 8))
