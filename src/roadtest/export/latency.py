"""How fast the exported network is beside PyTorch's, on the same images, in rounds that take turns.

All engines do the same work: uint8 images in, logits out, the preprocessing included. (The study's own PyTorch rows
time the network alone.) The clock, the warm-up, the rounds and the watch for other processes are `cost`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from roadtest.cost import LatencySample, measure_latency
from roadtest.export.engine import open_session
from roadtest.export.graph import INPUT, LOGITS, Prepared
from roadtest.record import RunRecord

PYTORCH = "pytorch"
BATCH_SIZES = (1, 64)


def time_engines(
    prepared: Prepared,
    models: Mapping[str, Path],
    record: RunRecord,
    *,
    num_threads: int,
    num_rounds: int,
    seconds_per_visit: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[LatencySample]:
    """Time PyTorch and the ONNX files (runtime -> file) side by side; samples name their runtime."""
    generator = np.random.default_rng(0)
    shape = (record.image_size, record.image_size, 3)
    images = {size: generator.integers(0, 256, (size, *shape), np.uint8) for size in BATCH_SIZES}
    tensors = {size: torch.from_numpy(images_NHWC) for size, images_NHWC in images.items()}
    engines: dict[str, Callable[[int], object]] = {PYTORCH: lambda size: prepared(tensors[size])}
    for runtime, path in models.items():
        session = open_session(path, num_threads=num_threads)
        engines[runtime] = lambda size, session=session: session.run([LOGITS], {INPUT: images[size]})  # type: ignore[misc]
    samples = measure_latency(
        {(runtime, False): _Engine(run) for runtime, run in engines.items()},
        image_size=record.image_size,
        batch_sizes=BATCH_SIZES,
        num_threads=num_threads,
        num_rounds=num_rounds,
        seconds_per_visit=seconds_per_visit,
        on_progress=on_progress,
    )
    return [replace(one, network=record.network, has_stn=record.has_stn, runtime=one.network) for one in samples]


def median_ms(samples: Sequence[LatencySample], runtime: str, batch_size: int) -> float | None:
    """The median time of a batch; None where it was not measured."""
    found = [one.latency_ms for one in samples if (one.runtime, one.batch_size) == (runtime, batch_size)]
    return float(np.median(found)) if found else None


class _Engine(nn.Module):
    """Anything that answers a batch, in the place where `cost` expects a network."""

    def __init__(self, run: Callable[[int], object]) -> None:
        super().__init__()
        self.run = run

    def forward(self, images_NCHW: Tensor) -> object:
        """Answer as many images of this engine's own."""
        return self.run(len(images_NCHW))
