"""One training step: read the images, vary them, pass them forward and backward, move the weights.

On the CPU, and wherever it has to be, Python starts each operation. On CUDA that takes longer than the arithmetic of a
small network, so the first steps are taken that way and one is then recorded: a CUDA graph, which the device replays
as a whole for every batch, with the same operations, dropout's draws included (docs/speed.md has what it brings). What
changes from step to step is copied into the places that the recorded operations read: which images, how they are
varied, the learning rates. Nothing in a step waits for the device; torch checks that before it is recorded.

N images. Recording: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import sys
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from roadtest.augment import Changes, augment_batch
from roadtest.evaluate import ResidentPixels, forward
from roadtest.training import Training

NUM_PLAIN_STEPS = 2
"""On CUDA before one is recorded: they make momentum and workspaces, and try which kernels are fastest."""

T = TypeVar("T")
Record = Callable[[Callable[[], Tensor], str], tuple[Tensor, Callable[[], None]]]
"""From a step, which it does not take, to where the loss will be, and what takes the step."""


def read_batch(training: Training, ids_N: Tensor, changes: Changes) -> tuple[Tensor, Tensor]:
    """The augmented images_NCHW and the labels_N, on the device; `ids_N` lie on the CPU."""
    images_NCHW = augment_batch(training.read_pixels(ids_N), changes, normalisation=training.protocol.normalisation)
    return images_NCHW, training.labels_N[ids_N].to(training.device, non_blocking=True)


def learn(training: Training, images_NCHW: Tensor, labels_N: Tensor) -> Tensor:
    """Forward, backward, the optimiser's step at its present rates; the loss, on the device."""
    training.network.train()
    loss = training.loss(forward(training.network, images_NCHW, training.precision), labels_N)
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    training.optimizer.step()
    return loss.detach()


def can_record(training: Training) -> bool:
    """Whether every step is the same for the device: its images lie there, and no Python of the user's decides."""
    is_resident = isinstance(training.read_pixels, ResidentPixels)
    return training.device.startswith("cuda") and is_resident and training.is_recordable


def record_graph(step: Callable[[], Tensor], device: str) -> tuple[Tensor, Callable[[], None]]:
    """Record a step as a CUDA graph."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device), torch.cuda.graph(graph):
        loss = step()
    return loss, graph.replay


class RecordedSteps:
    """The steps of a training whose images lie on the device: a few one operation at a time, then the recorded one.

    A recorded step reads and writes weights, momentum and images where they lay then: `is_valid` says if they still do.
    """

    def __init__(self, training: Training, *, record: Record = record_graph) -> None:
        self._training, self._record = training, record
        self._labels_N = training.labels_N.to(training.device)
        self._num_restores = training.num_restores
        self._num_taken = 0
        self._is_recordable = True
        self._replay: Callable[[], None] | None = None
        self._changes: Changes
        self._rates: list[Tensor]
        self._loss: Tensor

    @property
    def is_valid(self) -> bool:
        """Weights and momentum lie where they lay."""
        return self._num_restores == self._training.num_restores

    def take(self, changes: Changes) -> Tensor:
        """Take the step of a batch, and give its loss: a place on the device that the next step writes to again."""
        if self._replay is None and self._is_recordable and self._num_taken >= NUM_PLAIN_STEPS:
            self._try(lambda: self._begin_recorded(changes))
        if self._replay is None:
            return self._take_plain(changes)
        for place, value in zip(self._changes, changes, strict=True):
            if place is not None and value is not None:
                place.copy_(value)
        for rate, group in zip(self._rates, self._training.optimizer.param_groups, strict=True):
            rate.fill_(group["lr"])
        self._replay()
        return self._loss

    def _take_plain(self, changes: Changes) -> Tensor:
        self._num_taken += 1
        if self._num_taken == NUM_PLAIN_STEPS:  # the last one before: does anything in it wait for the device?
            loss = self._try(lambda: _without_waiting(lambda: self._step(changes), self._training.device))
            if loss is not None:
                return loss
        return _aside(lambda: self._step(changes), self._training.device)

    def _step(self, changes: Changes) -> Tensor:
        training, ids_N = self._training, changes.image_ids_N
        pixels_NHWC = training.read_pixels(ids_N)
        images_NCHW = augment_batch(pixels_NHWC, changes, normalisation=training.protocol.normalisation)
        return learn(training, images_NCHW, self._labels_N[ids_N])

    def _begin_recorded(self, changes: Changes) -> None:
        training, groups = self._training, self._training.optimizer.param_groups
        self._changes = Changes(*(None if each is None else each.clone() for each in changes))  # type: ignore[arg-type]
        self._rates = [torch.zeros((), device=training.device) for _ in groups]
        training.optimizer.zero_grad(set_to_none=True)  # the recorded gradients have places of their own
        numbers = [group["lr"] for group in groups]
        try:
            for group, rate in zip(groups, self._rates, strict=True):
                group["lr"] = rate
            self._loss, self._replay = self._record(lambda: self._step(self._changes), training.device)
        finally:
            for group, number in zip(groups, numbers, strict=True):
                group["lr"] = number

    def _try(self, do: Callable[[], T]) -> T | None:
        """Do it, or say why not, and record nothing from there on."""
        try:
            return do()
        except RuntimeError as error:
            self._is_recordable = False
            print(f"steps are not recorded on {self._training.device}, which is slower: {error}", file=sys.stderr)
            return None


def _aside(step: Callable[[], Tensor], device: str) -> Tensor:
    """Take a step on another stream of the device, as recording asks of those before."""
    if not device.startswith("cuda"):
        return step()
    with torch.cuda.device(device):
        present, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(present)
        with torch.cuda.stream(aside):
            loss = step()
        present.wait_stream(aside)
    return loss


def _without_waiting(step: Callable[[], Tensor], device: str) -> Tensor:
    """Take a step; a RuntimeError where an operation in it waits for the device."""
    if not device.startswith("cuda"):
        return step()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        return _aside(step, device)
    finally:
        torch.cuda.set_sync_debug_mode(before)
