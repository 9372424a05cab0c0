"""One training step: read the images, vary them, pass them forward and backward, move the weights.

On the CPU Python starts each operation. On CUDA that takes longer than the arithmetic of a small network, so after two
such steps the next one is captured as a CUDA graph, which the device replays as a whole for every batch, with the same
operations, dropout included (docs/speed.md has the gain). What changes from step to step is copied to the places that
the captured operations read: the batch and the learning rates. The images of several batches are varied at a time,
because there, too, each operation costs its start. Nothing waits for the device; torch checks that before the capture.

N images. Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

from roadtest.training.augment import AugmentationParameters, augment_batch
from roadtest.training.predict import ResidentPixels, forward
from roadtest.training.state import TrainState

T = TypeVar("T")
NUM_PLAIN_STEPS = 2
"""On CUDA before the capture: they allocate momentum and workspaces, and try which kernels are fastest."""
NUM_PREPARED_PIXELS = 1024 * 32**2
"""Of images that are varied at a time on CUDA: eight batches of small ones, and one batch of large ones."""
Batch = tuple[Tensor, Tensor]
"""images_NCHW and labels_N, on the device."""
Step = Callable[[], Tensor]
"""Does the work and returns its result, on the device."""
Capture = Callable[[Step, str], tuple[Tensor, Callable[[], None]]]


def read_batch(training: TrainState, ids_N: Tensor, parameters: AugmentationParameters) -> Batch:
    """The augmented images and their labels; `ids_N` lie on the CPU."""
    pixels_NHWC, normalisation = training.read_pixels(ids_N), training.protocol.normalisation
    labels_N = training.labels_N[ids_N].to(training.device, non_blocking=True)
    return augment_batch(pixels_NHWC, parameters, normalisation=normalisation), labels_N


def learn(training: TrainState, images_NCHW: Tensor, labels_N: Tensor) -> Tensor:
    """Forward, backward, the optimizer's step at its present rates; the loss, on the device."""
    training.network.train()
    loss = training.loss(forward(training.network, images_NCHW, training.precision), labels_N)
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    training.optimizer.step()
    return loss.detach()


def can_capture(training: TrainState) -> bool:
    """Whether every step is the same for the device: its images lie there, and no user's Python decides."""
    is_resident = isinstance(training.read_pixels, ResidentPixels)
    return training.device.startswith("cuda") and is_resident and training.is_capturable


def capture_graph(step: Step, device: str) -> tuple[Tensor, Callable[[], None]]:
    """Capture a step, which ran on the side stream before: where its result will be, and what takes it."""
    graph, side = torch.cuda.CUDAGraph(), _side_stream(device)
    # The stream is entered by hand as well: where capturing fails, torch does not leave it.
    with torch.cuda.device(device), torch.cuda.stream(side), torch.cuda.graph(graph, stream=side):
        result = step()
    return result, graph.replay


class CapturedSteps:
    """The steps of a training whose images lie on the device: a few one operation at a time, then the captured one.

    A captured step reads and writes weights and momentum where they were then: `is_valid` says if they still are there.
    """

    def __init__(self, training: TrainState, *, capture: Capture = capture_graph) -> None:
        self._training, self._capture = training, capture
        self._labels_N = training.labels_N.to(training.device)
        self._num_restores = training.num_restores
        self._num_taken = 0
        self._is_capturable = True
        self._prepared: tuple[AugmentationParameters, int, Batch] | None = None
        """Of an epoch: its parameters, the place of the first prepared image, and the images."""
        self._replay: Callable[[], None] | None = None
        self._batch: Batch
        self._rates: list[Tensor]
        self._loss: Tensor

    @property
    def is_valid(self) -> bool:
        """Weights and momentum are where they were."""
        return self._num_restores == self._training.num_restores

    def take(self, parameters: AugmentationParameters, places: slice) -> Tensor:
        """Take the step of a batch, which has these places in an epoch's parameters.

        Return its loss: a place on the device that the next step overwrites.
        """
        if self._replay is None and self._is_capturable and self._num_taken >= NUM_PLAIN_STEPS:
            self._try(lambda: self._begin_captured(self._read(parameters, places)))
        if self._replay is None:
            return self._take_plain(parameters, places)
        for place, value in zip(self._batch, self._read(parameters, places), strict=True):
            place.copy_(value)
        for rate, group in zip(self._rates, self._training.optimizer.param_groups, strict=True):
            rate.fill_(group["lr"])
        self._replay()
        return self._loss

    def _read(self, parameters: AugmentationParameters, places: slice) -> Batch:
        """The batch out of those that were varied together; varied now where it is the first of them."""
        training, prepared = self._training, self._prepared
        if prepared is None or prepared[0] is not parameters or places.stop > prepared[1] + len(prepared[2][1]):
            num_images = NUM_PREPARED_PIXELS // training.protocol.image_size**2
            num_batches = max(1, num_images // training.batch_size)
            some = parameters.of(slice(places.start, places.start + num_batches * training.batch_size))
            pixels_NHWC = training.read_pixels(some.image_ids_N)
            images_NCHW = augment_batch(pixels_NHWC, some, normalisation=training.protocol.normalisation)
            self._prepared = prepared = parameters, places.start, (images_NCHW, self._labels_N[some.image_ids_N])
        _, first, (images_NCHW, labels_N) = prepared
        there = slice(places.start - first, places.stop - first)
        return images_NCHW[there], labels_N[there]

    def _take_plain(self, parameters: AugmentationParameters, places: slice) -> Tensor:
        def step() -> Tensor:
            return learn(self._training, *self._read(parameters, places))

        if not self._is_capturable:
            return step()
        self._num_taken += 1
        if self._num_taken < NUM_PLAIN_STEPS:
            return run_on_side_stream(step, self._training.device)
        # The last one before the capture: does anything in it, reading included, wait for the device?
        self._prepared = None
        loss = self._try(lambda: run_without_waiting(step, self._training.device))
        return step() if loss is None else loss

    def _begin_captured(self, batch: Batch) -> None:
        training, groups = self._training, self._training.optimizer.param_groups
        images_NCHW, labels_N = (each.clone() for each in batch)  # channels-last as it was
        self._batch = images_NCHW, labels_N
        self._rates = [torch.zeros((), device=training.device) for _ in groups]
        training.optimizer.zero_grad(set_to_none=True)  # the captured gradients have places of their own
        numbers = [group["lr"] for group in groups]
        try:
            for group, rate in zip(groups, self._rates, strict=True):
                group["lr"] = rate
            self._loss, self._replay = self._capture(lambda: learn(training, images_NCHW, labels_N), training.device)
        finally:
            for group, number in zip(groups, numbers, strict=True):
                group["lr"] = number

    def _try(self, do: Callable[[], T]) -> T | None:
        """Do it, or say why not, and capture nothing from there on."""
        try:
            return do()
        except RuntimeError as error:
            self._is_capturable = False
            print(f"steps are not recorded on {self._training.device}, which is slower: {error}", file=sys.stderr)
            return None


def run_on_side_stream(step: Step, device: str) -> Tensor:
    """Take a step on another stream of the device, as a capture needs of those before it; plainly on the CPU."""
    if not device.startswith("cuda"):
        return step()
    present, side = torch.cuda.current_stream(device), _side_stream(device)
    side.wait_stream(present)
    try:
        with torch.cuda.device(device), torch.cuda.stream(side):
            return step()
    finally:
        present.wait_stream(side)


def run_without_waiting(step: Step, device: str) -> Tensor:
    """Take a step on the side stream; a RuntimeError where an operation in it waits for the device."""
    if not device.startswith("cuda"):
        return step()
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch may not notice every wait
        torch.cuda.set_sync_debug_mode("error")
    try:
        return run_on_side_stream(step, device)
    finally:
        torch.cuda.set_sync_debug_mode(before)


@lru_cache
def _side_stream(device: str) -> torch.cuda.Stream:
    """One for each device: every stream keeps memory of its own."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
