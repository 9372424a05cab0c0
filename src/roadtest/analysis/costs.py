"""What the networks cost: latency percentiles from raw samples, and which networks no other one dominates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadtest.analysis.results import Results, Variant, read_results
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
"""To be said wherever times of both stand in one table."""


_KEYS = ("network", "has_stn", "runtime", "device", "batch_size", "num_threads")


def latency_rows(study: Path | Results) -> list[Row]:
    """Percentiles of latency per network, runtime and batch size, over all samples of all rounds."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in read_results(study).latency_rows:
        groups.setdefault(tuple(row[key] for key in _KEYS), []).append(row)
    return [_latency_row(rows) for rows in groups.values()]


def headline_latency_ms(results: Results, variant: Variant) -> float | None:
    """The median time of one image alone on the study's computer, in PyTorch."""
    return _median_ms(_headline_rows(results, variant))


def costs_elsewhere(results: Results, variant: Variant) -> Row:
    """What the exported network costs: in ONNX Runtime on the study's computer, then on every other one."""
    row: Row = {device_column(ONNX): _median_ms(_exported_rows(results, variant, HERE))}
    for device, measurements in devices_of(results).items():
        row[device_column(device)] = _median_ms(_exported_rows(results, variant, device))
        own = [one for one in measurements if (one.label, one.variant) == (variant.label, "float32")]
        row[device_column(device, "peak_memory_bytes")] = own[0].peak_memory_bytes if own else None
    return row


def latency_threads(results: Results, variant: Variant) -> Row:
    """With how many threads each of these latencies was measured; two of them need not have had the same."""
    row: Row = {NUM_THREADS: _num_threads(_headline_rows(results, variant))}
    row[device_column(ONNX, "num_threads")] = _num_threads(_exported_rows(results, variant, HERE))
    for device in devices_of(results):
        row[device_column(device, "num_threads")] = _num_threads(_exported_rows(results, variant, device))
    return row


def devices_of(results: Results) -> dict[str, list[Measurement]]:
    """Other computers that networks of the study were measured on, by name."""
    if "devices" not in results.kept:
        results.kept["devices"] = read_devices(results.study_dir)
    found: dict[str, list[Measurement]] = results.kept["devices"]
    return found


def device_column(device: str, cost: str = "latency_p50_ms") -> str:
    """The leaderboard's column with a cost on another computer."""
    return f"{device}_{cost}"


def _headline_rows(results: Results, variant: Variant) -> list[dict[str, str]]:
    """The samples of one image alone in PyTorch, of the device and number of threads that stand first."""
    own = [row for row in results.latency_rows if _is_of(row, variant) and not is_exported(row)]
    rows = [row for row in own if row["batch_size"] == "1"]
    return [row for row in rows if all(row[key] == rows[0][key] for key in _KEYS)]


def _exported_rows(results: Results, variant: Variant, device: str) -> list[dict[str, str]]:
    """The samples of one image alone in ONNX Runtime, float32, with the most threads that were measured."""
    where = {"runtime": ONNXRUNTIME, "device": device, "batch_size": "1"}
    rows = [row for row in results.latency_rows if _is_of(row, variant) and where.items() <= row.items()]
    most = max((int(row["num_threads"]) for row in rows), default=0)
    return [row for row in rows if int(row["num_threads"]) == most]


def _median_ms(rows: Sequence[dict[str, str]]) -> float | None:
    return float(np.median([float(row["latency_ms"]) for row in rows])) if rows else None


def _num_threads(rows: Sequence[dict[str, str]]) -> int | None:
    return int(rows[0]["num_threads"]) if rows else None


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """The places no other place beats: none costs at most as much and is at least as accurate, and better in one."""
    front: list[int] = []
    best = -np.inf
    for place in sorted(range(len(costs)), key=lambda n: (costs[n], -accuracies[n])):
        ties_last = bool(front) and costs[place] == costs[front[-1]] and accuracies[place] == best
        if accuracies[place] > best or ties_last:
            front.append(place)
            best = accuracies[place]
    return front


def _is_of(row: dict[str, str], variant: Variant) -> bool:
    return row["network"] == variant.network and row["has_stn"] == str(variant.has_stn)


def _latency_row(rows: list[dict[str, str]]) -> Row:
    samples_ms = np.array([float(row["latency_ms"]) for row in rows])
    p50, p90, p99 = np.percentile(samples_ms, (50, 90, 99)).tolist()
    first = rows[0]
    return {
        "network": first["network"],
        "has_stn": first["has_stn"] == "True",
        "runtime": first["runtime"],
        "device": first["device"],
        "batch_size": int(first["batch_size"]),
        "num_threads": int(first["num_threads"]),
        "num_rounds": len({row["round"] for row in rows}),
        "num_samples": len(rows),
        "latency_p50_ms": p50,
        "latency_p90_ms": p90,
        "latency_p99_ms": p99,
        "is_busy": any(row["is_busy"] == "True" for row in rows),
    }


SIMILAR_COST_RATIO = 1.1
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
        render=format_short_count,
    ),
    CostKind(
        column="macs",
        title="MACs for one image",
        word="MACs",
        suffix="MACs",
        render=format_short_count,
    ),
    CostKind(
        column="size_bytes",
        title="Weights on disk",
        word="size",
        suffix="on disk",
        unit="MB",
        factor=1e-6,
        render=format_bytes,
    ),
    CostKind(
        column="train_seconds_mean",
        title="Training time of a run",
        word="training time",
        suffix="of training a run",
        unit="min",
        factor=1 / 60,
        render=format_seconds,
    ),
    CostKind(
        column="latency_p50_ms",
        title="Median latency of an image",
        word="latency",
        suffix="an image",
        unit="ms",
        render=format_milliseconds,
    ),
    CostKind(
        column="peak_memory_bytes",
        title="Peak memory in training",
        word="memory",
        suffix="of memory in training",
        unit="MB",
        factor=1e-6,
        render=format_bytes,
    ),
)
