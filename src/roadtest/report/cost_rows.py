"""The costs a network has, how each is called and written, and the points and bars that show them. No drawing here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from roadtest.record import row_label
from roadtest.report import words
from roadtest.summarise import pareto_front

Row = dict[str, Any]
NOT_WORTH_TELLING = 1.1
"""Costs less than a tenth apart are about the same."""


@dataclass(frozen=True, kw_only=True)
class CostKind:
    """One cost: its column in the leaderboard, how it is called, and how it is drawn and written."""

    column: str
    title: str
    word: str
    """In a sentence, and where a reader chooses an axis."""
    suffix: str
    """After a figure in a sentence: `650.0 k MACs`."""
    unit: str = ""
    """Of an axis; empty for counts."""
    factor: float = 1.0
    """Turns the column's unit into the axis's."""
    render: Callable[[float], str]
    """Writes the column's value with its unit."""

    def tell(self, value: float) -> str:
        """A figure in a sentence: `15 s of training a run`."""
        return f"{self.render(value)} {self.suffix}"


COSTS = (
    CostKind(
        column="num_parameters",
        title="Trainable parameters",
        word="parameters",
        suffix="parameters",
        render=words.short_count,
    ),
    CostKind(
        column="macs",
        title="MACs for one image",
        word="MACs",
        suffix="MACs",
        render=words.short_count,
    ),
    CostKind(
        column="size_bytes",
        title="Weights on disk",
        word="size",
        suffix="on disk",
        unit="MB",
        factor=1e-6,
        render=words.size,
    ),
    CostKind(
        column="train_seconds_mean",
        title="Training time of a run",
        word="training time",
        suffix="of training a run",
        unit="min",
        factor=1 / 60,
        render=words.seconds,
    ),
    CostKind(
        column="latency_p50_ms",
        title="Median latency of an image",
        word="latency",
        suffix="an image",
        unit="ms",
        render=words.milliseconds,
    ),
    CostKind(
        column="peak_memory_bytes",
        title="Peak memory in training",
        word="memory",
        suffix="of memory in training",
        unit="MB",
        factor=1e-6,
        render=words.size,
    ),
)


def cost_rows(board: Sequence[Row], kind: CostKind, part: str = "val") -> list[Row]:
    """One point per compared network: cost in the axis's unit, accuracy on `val` or `test` in percent, front or not."""
    found = [
        row
        for row in board
        if row["status"] in ("complete", "incomplete")
        and row[f"{part}_accuracy_mean"] is not None
        and (row[kind.column] or 0) > 0
    ]
    front = pareto_front([row[kind.column] for row in found], [row[f"{part}_accuracy_mean"] for row in found])
    return [
        {
            "label": row_label(row),
            "has_stn": row["has_stn"],
            "cost": row[kind.column] * kind.factor,
            "text": kind.render(row[kind.column]),
            "accuracy": 100 * row[f"{part}_accuracy_mean"],
            **{end: _percent(row[f"{part}_accuracy_{end}"]) for end in ("low", "high")},
            "is_front": place in front,
        }
        for place, row in enumerate(found)
    ]


def bar_rows(board: Sequence[Row], kind: CostKind) -> list[Row]:
    """One bar per network that has a figure, undertrained ones included: their costs are as real."""
    return [
        {
            "label": row_label(row),
            "has_stn": row["has_stn"],
            "cost": row[kind.column],
            "text": kind.render(row[kind.column]),
        }
        for row in board
        if row[kind.column] is not None
    ]


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 4)
