"""How far each axis reaches and where its ticks stand: what a chart library decides per chart, decided per figure.

Panels that are compared share their ranges, a logarithmic axis has round ticks only, and an interval that is many times
wider than all points may leave the frame rather than squeeze them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from roadtest.record import EpochRow

Row = dict[str, Any]
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


def curve_domains(runs: list[list[EpochRow]]) -> Domains:
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
