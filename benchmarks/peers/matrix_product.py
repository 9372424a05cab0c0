"""The limit of the arithmetic: multiply-accumulates a second of a large matrix product, in both precisions."""

import time

import torch
from contender import read_job, report

SIDE = 2048
"""Large enough that the product is bound by arithmetic, small enough for a second on any machine."""
SECONDS = 1.0
"""Per precision, after one product that is not counted."""


def main() -> None:
    """Measure float32 and bfloat16."""
    read_job()
    report(
        float32_gmacs_per_second=measure_gmacs_per_second(torch.float32),
        bfloat16_gmacs_per_second=measure_gmacs_per_second(torch.bfloat16),
    )


def measure_gmacs_per_second(dtype: torch.dtype) -> float:
    """The best single product: whatever else the machine does can only make one slower."""
    left, right = torch.randn(2, SIDE, SIDE).to(dtype)
    _ = left @ right
    samples_seconds: list[float] = []
    start = time.perf_counter()
    while not samples_seconds or time.perf_counter() - start < SECONDS:
        before = time.perf_counter()
        _ = left @ right
        samples_seconds.append(time.perf_counter() - before)
    return SIDE**3 / min(samples_seconds) / 1e9


if __name__ == "__main__":
    main()
