"""One training step: read the images, vary them, pass them forward and backward, move the weights.

On the CPU, and wherever it has to be, Python starts each operation. On CUDA that takes longer than the arithmetic of a
small network, so two steps are taken that way and the next one is recorded: a CUDA graph, which the device replays as a
whole for every batch, with the same operations, dropout's draws included (docs/speed.md has what it brings). What
changes from step to step is copied to the places that the recorded operations read: the batch and the learning rates.
The images of several batches are varied at a time, for there, too, each operation costs its start. Nothing waits for
the device; torch checks that before a step is recorded.

N images.

CUDA graphs: work that Python starts once, and that the device then repeats as a whole.

Starting a kernel from Python takes some microseconds, which for a small network is longer than the kernel itself.
What is recorded must be the same each time: the same places in memory, no answer that Python waits for.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

from roadtest.training.augment import Changes, augment_batch
from roadtest.training.predict import ResidentPixels, forward
from roadtest.training.state import Training

T = TypeVar("T")
NUM_PLAIN_STEPS = 2
"""On CUDA before one is recorded: they make momentum and workspaces, and try which kernels are fastest."""
NUM_PREPARED_PIXELS = 1024 * 32**2
"""Of images that are varied at a time on CUDA: eight batches of small ones, and one batch of large ones."""
Batch = tuple[Tensor, Tensor]
"""images_NCHW and labels_N, on the device."""


def read_batch(training: Training, ids_N: Tensor, changes: Changes) -> Batch:
    """The augmented images and their labels; `ids_N` lie on the CPU."""
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


Step = Callable[[], Tensor]
"""Does the work, and gives its result, on the device."""
Record = Callable[[Step, str], tuple[Tensor, Callable[[], None]]]


def record_graph(step: Step, device: str) -> tuple[Tensor, Callable[[], None]]:
    """Record a step without taking it: where its result will be, and what takes it. It was taken before, `aside`."""
    graph, aside = torch.cuda.CUDAGraph(), _side_stream(device)
    # The stream is entered by hand as well: where recording fails, torch does not leave it.
    with torch.cuda.device(device), torch.cuda.stream(aside), torch.cuda.graph(graph, stream=aside):
        result = step()
    return result, graph.replay


class RecordedSteps:
    """The steps of a training whose images lie on the device: a few one operation at a time, then the recorded one.

    A recorded step reads and writes weights and momentum where they lay then: `is_valid` says if they still do.
    """

    def __init__(self, training: Training, *, record: Record = record_graph) -> None:
        self._training, self._record = training, record
        self._labels_N = training.labels_N.to(training.device)
        self._num_restores = training.num_restores
        self._num_taken = 0
        self._is_recordable = True
        self._prepared: tuple[Changes, int, Batch] | None = None
        """Images of an epoch, the place of the first one in it, and the images."""
        self._replay: Callable[[], None] | None = None
        self._batch: Batch
        self._rates: list[Tensor]
        self._loss: Tensor

    @property
    def is_valid(self) -> bool:
        """Weights and momentum lie where they lay."""
        return self._num_restores == self._training.num_restores

    def take(self, changes: Changes, places: slice) -> Tensor:
        """Take the step of a batch, which has these places in an epoch's changes.

        Give its loss: a place on the device that the next step writes to again.
        """
        if self._replay is None and self._is_recordable and self._num_taken >= NUM_PLAIN_STEPS:
            self._try(lambda: self._begin_recorded(self._read(changes, places)))
        if self._replay is None:
            return self._take_plain(changes, places)
        for place, value in zip(self._batch, self._read(changes, places), strict=True):
            place.copy_(value)
        for rate, group in zip(self._rates, self._training.optimizer.param_groups, strict=True):
            rate.fill_(group["lr"])
        self._replay()
        return self._loss

    def _read(self, changes: Changes, places: slice) -> Batch:
        """The batch, out of those that were varied together; varied now where it is the first of them."""
        training = self._training
        if self._prepared is None or self._prepared[0] is not changes or places.stop > self._end:
            num_images = NUM_PREPARED_PIXELS // training.protocol.image_size**2
            num_batches = max(1, num_images // training.batch_size)
            some = changes.of(slice(places.start, places.start + num_batches * training.batch_size))
            pixels_NHWC = training.read_pixels(some.image_ids_N)
            images_NCHW = augment_batch(pixels_NHWC, some, normalisation=training.protocol.normalisation)
            self._prepared = changes, places.start, (images_NCHW, self._labels_N[some.image_ids_N])
        _, first, (images_NCHW, labels_N) = self._prepared
        there = slice(places.start - first, places.stop - first)
        return images_NCHW[there], labels_N[there]

    @property
    def _end(self) -> int:
        assert self._prepared is not None
        _, first, (_, labels_N) = self._prepared
        return first + len(labels_N)

    def _take_plain(self, changes: Changes, places: slice) -> Tensor:
        def step() -> Tensor:
            return learn(self._training, *self._read(changes, places))

        if not self._is_recordable:
            return step()
        self._num_taken += 1
        if self._num_taken < NUM_PLAIN_STEPS:
            return take_aside(step, self._training.device)
        # The last one before: does anything in it, reading included, wait for the device?
        self._prepared = None
        loss = self._try(lambda: take_without_waiting(step, self._training.device))
        return step() if loss is None else loss

    def _begin_recorded(self, batch: Batch) -> None:
        training, groups = self._training, self._training.optimizer.param_groups
        images_NCHW, labels_N = (each.clone() for each in batch)  # channels-last as it was
        self._batch = images_NCHW, labels_N
        self._rates = [torch.zeros((), device=training.device) for _ in groups]
        training.optimizer.zero_grad(set_to_none=True)  # the recorded gradients have places of their own
        numbers = [group["lr"] for group in groups]
        try:
            for group, rate in zip(groups, self._rates, strict=True):
                group["lr"] = rate
            self._loss, self._replay = self._record(lambda: learn(training, images_NCHW, labels_N), training.device)
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


def take_aside(step: Step, device: str) -> Tensor:
    """Take a step on another stream of the device, as recording asks of those before; plainly elsewhere."""
    if not device.startswith("cuda"):
        return step()
    present, aside = torch.cuda.current_stream(device), _side_stream(device)
    aside.wait_stream(present)
    try:
        with torch.cuda.device(device), torch.cuda.stream(aside):
            return step()
    finally:
        present.wait_stream(aside)


def take_without_waiting(step: Step, device: str) -> Tensor:
    """Take a step aside; a RuntimeError where an operation in it waits for the device."""
    if not device.startswith("cuda"):
        return step()
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch may not notice every wait
        torch.cuda.set_sync_debug_mode("error")
    try:
        return take_aside(step, device)
    finally:
        torch.cuda.set_sync_debug_mode(before)


@lru_cache
def _side_stream(device: str) -> torch.cuda.Stream:
    """One for each device: every stream keeps memory of its own."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
