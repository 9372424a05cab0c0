"""The limit of the arithmetic: multiply-accumulates a second of a large matrix product, in both precisions.

bfloat16 is left out (null) where nothing multiplies it: one product would take a quarter of a minute.
"""

import time

import torch

from benchmarks.peers.contender import read_job, report

SIDE = 2048
"""Large enough that the product is bound by arithmetic."""
TRIED_SIDE = 512
"""Of the small product that tells whether the large one is worth its time."""
SECONDS = 1.0
"""Per precision, after one product that is not counted."""
MAX_SLOWDOWN = 4.0
"""Times as slow as float32 in the small product. Convention; where bfloat16 is native it is faster."""


def main() -> None:
    """Measure float32, and bfloat16 unless that is hopeless."""
    read_job()
    tried = {dtype: measure_gmacs_per_second(dtype, TRIED_SIDE, 0.1) for dtype in (torch.float32, torch.bfloat16)}
    is_hopeless = MAX_SLOWDOWN * tried[torch.bfloat16] < tried[torch.float32]
    report(
        float32_gmacs_per_second=measure_gmacs_per_second(torch.float32, SIDE, SECONDS),
        bfloat16_gmacs_per_second=None if is_hopeless else measure_gmacs_per_second(torch.bfloat16, SIDE, SECONDS),
    )


def measure_gmacs_per_second(dtype: torch.dtype, side: int, seconds: float) -> float:
    """The best single product: whatever else the machine does can only make one slower."""
    left, right = torch.randn(2, side, side).to(dtype)
    _ = left @ right
    samples_seconds: list[float] = []
    start = time.perf_counter()
    while not samples_seconds or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        _ = left @ right
        samples_seconds.append(time.perf_counter() - before)
    return side**3 / min(samples_seconds) / 1e9


if __name__ == "__main__":
    main()
