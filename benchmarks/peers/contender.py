"""What every contender of the speed benchmarks shares: its job, its clock, and the line it leaves.

A contender is a script that is started with the path of a job (JSON), trains whole epochs, and prints one JSON line.
It runs in a process of its own, so that none inherits another's memory, threads or environment. The clock starts after
a few steps that are not counted: they import, allocate and choose kernels. When it starts, nothing is in the making.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

NUM_WARMUP_STEPS = 3
"""Steps before the clock starts: what the training loop itself leaves out of its plan (roadtest.training.schedule)."""
NUM_WORKERS = 2
"""Processes of the peers' loaders."""
MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4
"""As the protocol has them; they change no time."""
Batches = Iterable[tuple[Tensor, Tensor]]
"""images_NCHW and labels_N, batch by batch."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a contender is told."""

    network: str
    has_stn: bool
    num_images: int
    """Of one epoch: whole batches."""
    image_size: int
    num_classes: int
    batch_size: int
    learning_rate: float
    """The protocol's for this network: it changes no time, but at a larger one a loss may become no number."""
    num_threads: int | None
    """None leaves a library its own choice."""
    min_seconds: float
    """Whole epochs are repeated until so much time has passed."""
    folder: str
    """Holds `files/<class>/<image>` and the same images decoded: `pixels.npy`, `labels.npy`."""
    precision: str = "float32"
    """What roadtest's probe chose on this machine."""
    bare_precision: str = "float32"
    bare_layout: str = "channels_last"
    """What the bare step was fastest with, found by trying."""
    steps: tuple[str, ...] = ()
    """The ladder's steps that are taken."""

    @property
    def files(self) -> Path:
        """A folder per class with one file per image."""
        return Path(self.folder) / "files"

    def pixels_NHWC(self) -> Tensor:
        """The decoded images, uint8, in memory."""
        return torch.from_numpy(np.load(Path(self.folder) / "pixels.npy"))

    def labels_N(self) -> Tensor:
        """Their classes, int64."""
        return torch.from_numpy(np.load(Path(self.folder) / "labels.npy"))

    def to_json(self) -> str:
        """The job as text for another process."""
        return json.dumps(asdict(self))


def read_job() -> Job:
    """Read the job named on the command line, and set the threads it asks for."""
    plain = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    job = Job(**{**plain, "steps": tuple(plain["steps"])})
    if job.num_threads is not None:
        torch.set_num_threads(job.num_threads)
    return job


def measure_epochs(job: Job, train_epoch: Callable[[int | None], int]) -> None:
    """Time whole epochs and print the result; `train_epoch(max_steps)` returns the images it trained on."""
    train_epoch(NUM_WARMUP_STEPS)
    num_images, start = 0, time.perf_counter()
    while num_images == 0 or time.perf_counter() - start < job.min_seconds:
        num_images += train_epoch(None)
    report(num_images=num_images, seconds=time.perf_counter() - start)


def epoch_of(loader: Batches, batch_sampler: Any, max_steps: int | None) -> Batches:
    """A loader's whole epoch, or one of so few steps that its workers have nothing left to do when it is over."""
    return loader if max_steps is None else _short_epoch(loader, batch_sampler, max_steps)


def _short_epoch(loader: Batches, batch_sampler: Any, num_steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    # Broken off, a whole epoch leaves batches in the making, and the next one waits for them: on the clock.
    whole = batch_sampler.sampler
    batch_sampler.sampler = list(islice(whole, num_steps * batch_sampler.batch_size))
    try:
        yield from loader
    finally:
        batch_sampler.sampler = whole


def report(**figures: object) -> None:
    """Print the one line that the parent reads; how many threads torch uses is always in it."""
    print(json.dumps({**figures, "num_threads": torch.get_num_threads()}), flush=True)


def build_plain_sgd(network: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """The optimiser as most people write it."""
    return torch.optim.SGD(
        network.parameters(), lr=learning_rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )
