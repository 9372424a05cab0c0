"""What the networks cost: latency percentiles from raw samples, and which networks no other one dominates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roadtest.summarise.results import Results, Variant, read_results

Row = dict[str, Any]
_KEYS = ("network", "has_stn", "runtime", "device", "batch_size", "num_threads")


def latency_rows(study: Path | Results) -> list[Row]:
    """Percentiles of latency per network, runtime and batch size, over all samples of all rounds."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in read_results(study).latency_rows:
        groups.setdefault(tuple(row[key] for key in _KEYS), []).append(row)
    return [_latency_row(rows) for rows in groups.values()]


def headline_latency_ms(results: Results, variant: Variant) -> float | None:
    """The median time of one image alone, in the runtime that was measured first."""
    rows = [row for row in results.latency_rows if _is_of(row, variant) and row["batch_size"] == "1"]
    first = {tuple(row[key] for key in _KEYS): None for row in rows}
    chosen = [float(row["latency_ms"]) for row in rows if tuple(row[key] for key in _KEYS) == next(iter(first))]
    return float(np.median(chosen)) if chosen else None


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
