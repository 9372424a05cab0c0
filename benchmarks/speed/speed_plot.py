"""The picture of train_speed.py's results: a bar per contender and network, on a logarithmic axis, in greys.

Equal lengths are equal ratios, in every panel: all panels span as many powers of ten. A logarithmic axis has no zero,
so bars begin where their panel does, and only their ends mean anything.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from benchmarks.speed.side_by_side import Measured, speed_of
from roadtest.records import write_atomically
from roadtest.report.charts import INK, Figure, Panel, data, label_axis

Row = dict[str, Any]
FILLS = {"peer": "#b9bec4", "roadtest": "#5b626a", "bare step": "#ffffff"}
"""Light, dark and empty: told apart on any printer."""
FOOT, HEAD = 1.6, 1.8
"""Times the slowest that a panel begins below it, and times the fastest that it ends above it, for the number."""


def write_plot(path: Path, networks: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw the networks' results into an SVG file."""
    rows = {label: plot_rows(block) for label, block in networks.items()}
    svg = vl_convert.vegalite_to_svg(build_figure({label: some for label, some in rows.items() if some}).file_spec())
    write_atomically(path, svg.encode())


def plot_rows(block: Mapping[str, Any]) -> list[Row]:
    """One row for each contender that was measured."""
    samples = Measured.from_dict(block).samples
    speeds = {name: speed_of(samples, name) for name in block["environments"]}
    return [
        {
            "contender": name,
            "kind": name if name in FILLS else "peer",
            "median": speed.median,
            "low": speed.low,
            "high": speed.high,
            "text": f"{speed.median:,.0f}",
        }
        for name, speed in speeds.items()
        if speed is not None
    ]


def build_figure(rows: Mapping[str, list[Row]]) -> Figure:
    """One panel for each network."""
    ranges = [max(row["high"] for row in some) / min(row["low"] for row in some) for some in rows.values()]
    times = FOOT * HEAD * max(ranges, default=1.0)
    return Figure(
        name="train-speed",
        caption="Training speed beside what a user would write instead.",
        alt="Images per second of each contender, a panel for each network.",
        panels=tuple(draw_panel(label, some, times) for label, some in rows.items()),
        num_columns=2,
        key="images/s in training, augmentation included: median, and the least and largest round; logarithmic",
    )


def draw_panel(label: str, rows: list[Row], times: float) -> Panel:
    """Bars from the panel's beginning to the median, a line from the least to the largest round, and the number."""
    start = min(row["low"] for row in rows) / FOOT
    names = [row["contender"] for row in rows]
    base = alt.Chart(data([{**row, "start": start} for row in rows]), title=label).encode(
        y=alt.Y("contender:N", sort=names, title=None, axis=label_axis())
    )
    scale = alt.Scale(type="log", domain=[start, start * times], nice=False)
    axis = alt.Axis(values=round_ticks(start, start * times), format=",")

    def across(name: str) -> alt.X:
        return alt.X(f"{name}:Q", title=None, scale=scale, axis=axis)

    fill = alt.Fill("kind:N", legend=None, scale=alt.Scale(domain=list(FILLS), range=list(FILLS.values())))
    bars = base.mark_bar(height={"band": 0.62}, stroke=INK, strokeWidth=0.7).encode(
        x=across("start"), x2=alt.X2("median:Q"), fill=fill
    )
    spreads = base.mark_rule(color="#000000").encode(x=across("low"), x2=alt.X2("high:Q"))
    numbers = base.mark_text(align="left", dx=6).encode(x=across("high"), text=alt.Text("text:N"))
    return Panel(chart=bars + spreads + numbers, height=24 * len(rows))


def round_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times each power of ten that lies between."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [tick for power in powers for digit in (1, 2, 5) if low <= (tick := digit * 10.0**power) <= high]
