"""Every chart of the report, drawn once: the page shows it live, the same chart is saved as SVG and PNG.

The door to altair and vl-convert, with charts.py and charts.py. A figure is one or several panels; the
page lets each panel take the width of its place (one column on a narrow window), the files set them side by side.
charts.py says how they look.

How far each axis reaches and where its ticks stand: what a chart library decides per chart, decided per figure.

Panels that are compared share their ranges, a logarithmic axis has round ticks only, and an interval that is many times
wider than all points may leave the frame rather than squeeze them.

The charts that compare: accuracies and differences with their intervals, accuracy against cost.

Part of the door to altair; charts.py says what a figure is, charts.py how it looks.

What all charts share: the panel, and the signs that mean the same everywhere. Part of the door to altair.

Where the names of points stand in a scatter plot, so that they cover as little as possible.

Greedy and approximate: names are placed one after the other, best network first, in a panel of the page's usual size;
Vega-Lite knows no such layout of its own.

How every figure looks: two colours with a meaning, one quiet grey, small type, few lines.

Colour always means the same: blue circles without the STN, vermilion triangles with it; shape, dash and place say it
again for readers in grey. The page's style sheet overrides the colours of text and lines, so that dark and print
follow it.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import vl_convert
from altair.utils.schemapi import debug_mode

from roadtest.format import Row
from roadtest.records import EpochMetrics, write_atomically

Spec = dict[str, Any]


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


def _to_dict(chart: Any) -> Spec:
    spec: Spec = chart.to_dict(validate=False)
    spec.pop("config", None)
    return spec


MAX_WIDENING = 0.5
"""How far intervals may stretch the axis of accuracy against cost, in spans of the points themselves."""


@dataclass(frozen=True, kw_only=True)
class Domains:
    """The axes that the curves of a network share, with and without the STN."""

    epochs: tuple[float, float]
    accuracy: tuple[float, float]
    """Percent."""
    loss: tuple[float, float]
    """Nats."""
    loss_ticks: list[float]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One panel of training curves."""

    dataset: str
    """The name of its columns in the figure."""
    kind: str
    """`accuracy` or `loss`."""
    title: str
    has_stn: bool
    domains: Domains
    num_runs: int
    num_rows: int
    """Evaluations of all runs together."""
    has_band: bool = False
    """A band over the seeds instead of a line each."""


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


@dataclass(frozen=True, kw_only=True)
class CostAxes:
    """Ranges and ticks of accuracy against a cost."""

    cost: tuple[float, float]
    cost_ticks: list[float]
    accuracy: tuple[float, float]
    accuracy_ticks: list[float]


def accuracy_domain(rows: list[Row]) -> tuple[float, float]:
    """The range that holds all points and the test set's intervals.

    From three validation folds an interval may be many times wider than everything else: it widens the range by half on
    either side at most, then it leaves the frame.
    """
    inside = [row["value"] for row in rows]
    inside += [row[end] for row in rows if row["set"] == "test" for end in ("low", "high")]
    room = (max(inside) - min(inside)) / 2
    low = max(min([*inside, *(row["low"] for row in rows)]), min(inside) - room)
    high = min(max([*inside, *(row["high"] for row in rows)]), max(inside) + room)
    margin = max(0.08 * (high - low), 0.2)
    if not any(row["set"] == "test" for row in rows):
        margin = max(margin, 2 * (high - low), 3.0)
    return max(low - margin, 0.0), min(high + margin, 100.0)


def gain_domain(rows: list[Row]) -> tuple[float, float]:
    """The range that holds zero, all points and the test set's intervals; validation's may leave the frame."""
    inside = [0.0, *(row["value"] for row in rows)]
    inside += [row[end] for row in rows if row["set"] == "test" or len(rows) == 1 for end in ("low", "high")]
    margin = max(0.08 * (max(inside) - min(inside)), 0.2)
    if not any(row["set"] == "test" for row in rows):
        margin = max(margin, max(inside) - min(inside))
    return min(inside) - margin, max(inside) + margin


def difference_domain(rows: list[Row]) -> tuple[float, float]:
    """The range that holds zero and all points; an interval may widen it to three times that."""
    inside = [0.0, *(row["value"] for row in rows)]
    span = max(max(inside) - min(inside), 0.5)
    low = max(min([*inside, *(row["low"] for row in rows)]), min(inside) - span)
    high = min(max([*inside, *(row["high"] for row in rows)]), max(inside) + span)
    return low - 0.06 * span, high + 0.06 * span


def curve_domains(runs: list[list[EpochMetrics]]) -> Domains:
    """The ranges for the panels that stand side by side, from the rows of all their runs.

    The accuracy axis starts below the second half of all curves: the first epochs would leave no room for the rest.
    """
    late = [row for rows in runs for row in rows[len(rows) // 2 :]]
    lowest = min(min(100 * row.train.accuracy, 100 * row.val.accuracy) for row in late)
    losses = [max(loss, 1e-5) for rows in runs for row in rows for loss in (row.train.loss, row.val.loss)]
    finite = [loss for loss in losses if np.isfinite(loss)] or [1.0]
    step = 10.0 if lowest < 80 else 5.0 if lowest < 93 else 1.0
    loss = (min(finite) * 0.8, max(finite) * 1.25)
    return Domains(
        epochs=(0.0, max(row.epoch for rows in runs for row in rows)),
        accuracy=(max(0.0, float(step * np.floor(lowest / step - 0.5))), 100.0),
        loss=loss,
        loss_ticks=log_ticks(*loss),
    )


def cost_axes(rows: list[Row]) -> CostAxes:
    """Ranges that leave room for points and names on all sides; wide intervals may leave the frame."""
    costs, accuracies = [row["cost"] for row in rows], [row["accuracy"] for row in rows]
    factor = max((max(costs) / min(costs)) ** 0.14, 1.15)
    span = max(max(accuracies) - min(accuracies), 1.0)
    margin = max(0.12 * span, 0.3)
    lows, highs = ([row[end] for row in rows if row.get(end) is not None] for end in ("low", "high"))
    low = max(min([*lows, *accuracies]), min(accuracies) - MAX_WIDENING * span)
    high = min(max([*highs, *accuracies]), max(accuracies) + MAX_WIDENING * span)
    cost = (min(costs) / factor, max(costs) * factor)
    accuracy = (low - margin, high + margin)
    ticks = [tick for tick in _even_ticks(*accuracy) if tick <= 100]
    return CostAxes(cost=cost, cost_ticks=log_ticks(*cost), accuracy=accuracy, accuracy_ticks=ticks)


def spread(places: list[float], gap: float, within: tuple[float, float]) -> list[float]:
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


def log_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round places on a logarithmic axis: powers of ten, with 3 or 2 and 5 between; even steps on a short range."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    inside: list[float] = []
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        inside = [float(f"{tick:.6g}") for tick in ticks if low <= tick <= high]
        if len(inside) <= most:
            break
    return inside[:: -(-len(inside) // most)] if len(inside) > 2 else _even_ticks(low, high)


def _even_ticks(low: float, high: float) -> list[float]:
    """Three to eight multiples of a round step."""
    power = 10.0 ** np.floor(np.log10((high - low) / 3))
    step = next(power * factor for factor in (5, 2, 1) if (high - low) / (power * factor) >= 3)
    return [float(f"{step * number:.6g}") for number in range(int(np.ceil(low / step)), int(high / step) + 1)]


Columns = dict[str, list[float | None]]
"""A table column by column."""


def _to_rows(columns: Columns) -> list[Row]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


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


KEY_SETS = "filled diamond: test; open circle: validation; line: 95 % interval"
KEY_STN = "blue: without STN; vermilion: with STN"
VIEW_HEIGHT = 340
"""Of a chart that the page shows alone; in files it is one of several."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""
WIDTH, HEIGHT = 225.0, 200.0
"""Of the panel that is imagined."""
ENOUGH_ROOM = 60.0
"""Square pixels that a name off the front may cover before it is left to the pointer."""


def place_labels(rows: list[Row]) -> None:
    """Choose for each point, best first, the place beside it where its name covers least; note it as `place`.

    Distances are taken in a panel of the page's usual size; a name that fits nowhere is left to the pointer.
    """
    if not rows:
        return
    across = _on_panel([float(np.log(row["cost"])) for row in rows], 30, WIDTH - 30)
    down = _on_panel([-row["accuracy"] for row in rows], 18, HEIGHT - 18)
    spots = list(zip(across, down, strict=True))
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in spots]
    for number in sorted(range(len(rows)), key=lambda n: (not rows[n]["is_front"], -rows[n]["accuracy"])):
        boxes = _label_boxes(*spots[number], width=CHARACTER_WIDTH * min(len(rows[number]["label"]), 21))
        own = taken[number]
        covered = {
            place: _outside(box) + sum(_overlap(box, other) for other in taken if other is not own)
            for place, box in boxes.items()
        }
        best = min(covered, key=lambda place: covered[place])
        rows[number]["place"] = best if covered[best] < ENOUGH_ROOM or rows[number]["is_front"] else "none"
        if rows[number]["place"] != "none":
            taken.append(boxes[best])


def _on_panel(values: list[float], low: float, high: float) -> list[float]:
    span = max(values) - min(values)
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


WITHOUT, WITH, QUIET = "#0072B2", "#D55E00", "#848a92"
"""Okabe and Ito's blue and vermilion, which every kind of colour vision tells apart, and a grey; all three reach 3:1
on white and on the page's dark."""
FONT = (
    "-apple-system, BlinkMacSystemFont, Segoe UI, Roboto, Noto Sans, Helvetica Neue, Liberation Sans, Arial, sans-serif"
)
EXPORT_FONT = "Helvetica Neue, Helvetica, Liberation Sans, Arial, sans-serif"
INK, PALE = "#3a3f45", "#dfe2e6"

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

PANEL_WIDTH = 300


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One chart in its own frame."""

    chart: alt.LayerChart | alt.Chart
    height: int
    width: int = PANEL_WIDTH
    """In saved files; on the page a panel is as wide as its place."""


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


CHARACTER_WIDTH = 6.0
"""Pixels, of charts' words on average."""
LABEL_PLACES: dict[str, dict[str, Any]] = {
    "above": {"align": "center", "dy": -12},
    "below": {"align": "center", "dy": 15},
    "right": {"align": "left", "dx": 8, "dy": 1},
    "left": {"align": "right", "dx": -8, "dy": 1},
}
"""Where a point's name may stand; labels.place_labels chooses."""
