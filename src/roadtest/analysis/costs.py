"""What the networks cost: latency percentiles from raw samples, and which networks no other one dominates."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadtest.analysis.results import Results, Variant, once_per_study, read_results
from roadtest.format import Row, format_bytes, format_milliseconds, format_seconds, format_short_count
from roadtest.records.measurements import HERE, ONNXRUNTIME, Measurement, is_exported, read_devices

ONNX = "onnx"
"""ONNX Runtime on the study's computer, where a column of the leaderboard names a device."""
NUM_THREADS = "latency_num_threads"
"""The leaderboard's column with the threads of `latency_p50_ms`."""
WHAT_IS_TIMED = (
    "PyTorch is timed on prepared images, the network alone; an exported network from the pixels on, with the "
    "preprocessing that is part of it."
)
"""To be said wherever times of both are in one table."""
SIMILAR_COST_RATIO = 1.1
"""Costs less than a tenth apart are about the same."""
Sample = dict[str, str]
"""A row of latency.csv, as text."""
_KEYS = ("network", "has_stn", "runtime", "device", "batch_size", "num_threads")


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a network costs on the study's computer, in the leaderboard's columns; None is not measured."""

    num_parameters: int | None
    macs: int | None
    size_bytes: int | None
    train_seconds_mean: float | None
    latency_p50_ms: float | None
    peak_memory_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class DeviceCosts:
    """What the exported network costs on a computer; None is not measured."""

    latency_p50_ms: float | None
    peak_memory_bytes: int | None
    num_threads: int | None
    """Of the latency."""


def network_costs(results: Results, variant: Variant) -> Costs:
    """Return the costs of a network in PyTorch on the study's computer."""
    costs = [record.cost for record in variant.records]
    timed = [record.cost.train_seconds for record in variant.records if record.is_time_comparable]
    return Costs(
        num_parameters=max((cost.num_parameters for cost in costs), default=None),
        macs=max((cost.macs for cost in costs), default=None),
        size_bytes=max((cost.size_bytes for cost in costs), default=None),
        train_seconds_mean=statistics.fmean(timed) if timed else None,
        latency_p50_ms=headline_latency_ms(results, variant),
        peak_memory_bytes=max((cost.peak_memory_bytes for cost in costs), default=None),
    )


def exported_costs(results: Results, variant: Variant) -> dict[str, DeviceCosts]:
    """Return the costs of the exported network: in ONNX Runtime on the study's computer, then on every other one."""
    devices: dict[str, Sequence[Measurement]] = {HERE: (), **devices_of(results)}
    found = {}
    for device, measurements in devices.items():
        samples = _exported_samples(results, variant, device)
        own = [one for one in measurements if (one.label, one.variant) == (variant.label, "float32")]
        found[ONNX if device == HERE else device] = DeviceCosts(
            latency_p50_ms=_median_ms(samples),
            peak_memory_bytes=own[0].peak_memory_bytes if own else None,
            num_threads=_num_threads(samples),
        )
    return found


@once_per_study
def devices_of(results: Results) -> dict[str, list[Measurement]]:
    """Return the other computers that networks of the study were measured on, by name."""
    return read_devices(results.study_dir)


def device_column(device: str, cost: str = "latency_p50_ms") -> str:
    """Return the leaderboard's column with a cost on another computer."""
    return f"{device}_{cost}"


def headline_latency_ms(results: Results, variant: Variant) -> float | None:
    """Return the median time of one image alone on the study's computer, in PyTorch."""
    return _median_ms(_headline_samples(results, variant))


def headline_threads(results: Results, variant: Variant) -> int | None:
    """Return with how many threads that was measured."""
    return _num_threads(_headline_samples(results, variant))


def _headline_samples(results: Results, variant: Variant) -> list[Sample]:
    """The samples of one image alone in PyTorch, of the device and number of threads that come first."""
    own = [row for row in results.latency_rows if _is_of(row, variant) and not is_exported(row)]
    rows = [row for row in own if row["batch_size"] == "1"]
    return [row for row in rows if all(row[key] == rows[0][key] for key in _KEYS)]


def _exported_samples(results: Results, variant: Variant, device: str) -> list[Sample]:
    """The samples of one image alone in ONNX Runtime, float32, with the most threads that were measured."""
    where = {"runtime": ONNXRUNTIME, "device": device, "batch_size": "1"}
    rows = [row for row in results.latency_rows if _is_of(row, variant) and where.items() <= row.items()]
    most = max((int(row["num_threads"]) for row in rows), default=0)
    return [row for row in rows if int(row["num_threads"]) == most]


def _is_of(row: Sample, variant: Variant) -> bool:
    return row["network"] == variant.network and row["has_stn"] == str(variant.has_stn)


def _median_ms(samples: Sequence[Sample]) -> float | None:
    return float(np.median([float(row["latency_ms"]) for row in samples])) if samples else None


def _num_threads(samples: Sequence[Sample]) -> int | None:
    return int(samples[0]["num_threads"]) if samples else None


def latency_rows(study: Path | Results) -> list[Row]:
    """Return percentiles of latency per network, runtime and batch size, over all samples of all rounds."""
    groups: dict[tuple[str, ...], list[Sample]] = {}
    for row in read_results(study).latency_rows:
        groups.setdefault(tuple(row[key] for key in _KEYS), []).append(row)
    return [_latency_row(samples) for samples in groups.values()]


def _latency_row(samples: list[Sample]) -> Row:
    p50, p90, p99 = np.percentile([float(row["latency_ms"]) for row in samples], (50, 90, 99)).tolist()
    first = samples[0]
    return {
        "network": first["network"],
        "has_stn": first["has_stn"] == "True",
        "runtime": first["runtime"],
        "device": first["device"],
        "batch_size": int(first["batch_size"]),
        "num_threads": int(first["num_threads"]),
        "num_rounds": len({row["round"] for row in samples}),
        "num_samples": len(samples),
        "latency_p50_ms": p50,
        "latency_p90_ms": p90,
        "latency_p99_ms": p99,
        "is_busy": any(row["is_busy"] == "True" for row in samples),
    }


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Return the places that none beats: no other costs at most as much and is as accurate, and better in one."""
    front: list[int] = []
    best = -np.inf
    for place in sorted(range(len(costs)), key=lambda n: (costs[n], -accuracies[n])):
        ties_last = bool(front) and costs[place] == costs[front[-1]] and accuracies[place] == best
        if accuracies[place] > best or ties_last:
            front.append(place)
            best = accuracies[place]
    return front


@dataclass(frozen=True, kw_only=True)
class CostKind:
    """One cost: its column in the leaderboard, how it is called, and how it is drawn and written.

    A new cost is a field of `Costs`, a line of `network_costs` and an entry of `COSTS`: the tables on the page and on
    the terminal, the charts and the sentences follow.
    """

    column: str
    title: str
    word: str
    """In a sentence, and where a reader chooses an axis."""
    head: str
    """Of a table's column."""
    below: str = ""
    """Under the head: of what it is."""
    rank: int
    """On the terminal: the column with the lowest rank goes first where there is no room."""
    suffix: str
    """After a figure in a sentence: `650.0 k MACs`."""
    render: Callable[[float | None], str]
    """Writes the column's value with its unit."""
    unit: str = ""
    """Of an axis; empty for counts."""
    factor: float = 1.0
    """Turns the column's unit into the axis's."""

    def render_row(self, row: Row) -> str:
        """The cell of a table's row."""
        return self.render(row[self.column])

    def describe(self, value: float) -> str:
        """A figure in a sentence: `15 s of training a run`."""
        return f"{self.render(value)} {self.suffix}"


COSTS = (
    CostKind(
        column="num_parameters",
        title="Trainable parameters",
        word="parameters",
        head="parameters",
        rank=6,
        suffix="parameters",
        render=format_short_count,
    ),
    CostKind(
        column="macs",
        title="MACs for one image",
        word="MACs",
        head="MACs",
        rank=4,
        suffix="MACs",
        render=format_short_count,
    ),
    CostKind(
        column="size_bytes",
        title="Weights on disk",
        word="size",
        head="size",
        rank=2,
        suffix="on disk",
        render=format_bytes,
        unit="MB",
        factor=1e-6,
    ),
    CostKind(
        column="train_seconds_mean",
        title="Training time of a run",
        word="training time",
        head="training",
        below="per run",
        rank=7,
        suffix="of training a run",
        render=format_seconds,
        unit="min",
        factor=1 / 60,
    ),
    CostKind(
        column="latency_p50_ms",
        title="Median latency of an image",
        word="latency",
        head="latency",
        below="1 image",
        rank=5,
        suffix="an image",
        render=format_milliseconds,
        unit="ms",
    ),
    CostKind(
        column="peak_memory_bytes",
        title="Peak memory in training",
        word="memory",
        head="memory",
        below="peak",
        rank=1,
        suffix="of memory in training",
        render=format_bytes,
        unit="MB",
        factor=1e-6,
    ),
)
