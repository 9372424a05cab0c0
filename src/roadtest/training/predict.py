"""A network's raw outputs over a set of images, and the counts that follow from them.

Large batches, inference mode, no augmentation. Counts and sums are returned, never rates: they can be added up and
divided once. Shapes: N images, H x W pixels, C = 3 channels, K classes.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.records import Predictions, SetResult
from roadtest.training.augment import prepare_batch

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class ResidentPixels:
    """Reads pixels of a set that lies on the device; it waits for nothing where the row numbers lie there too."""

    images_NHWC: Tensor

    def __call__(self, ids_N: Tensor) -> Tensor:
        """The uint8 pixels of these rows."""
        return self.images_NHWC[ids_N.to(self.images_NHWC.device, non_blocking=True)]


def pixel_reader(images_NHWC: npt.NDArray[np.uint8], device: str) -> Callable[[Tensor], Tensor]:
    """Return a function from row numbers (int64, on the CPU) to their uint8 pixels on the device.

    On an accelerator the whole set is copied there once where it takes at most half of the free memory.
    """
    if device.startswith("cuda") and images_NHWC.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
        return ResidentPixels(torch.from_numpy(np.array(images_NHWC)).to(device))
    return lambda ids_N: torch.from_numpy(images_NHWC[ids_N.numpy()]).to(device, non_blocking=True)


def eval_batch_size(image_size: int) -> int:
    """Images per evaluation batch: as many pixels as 512 images of 32 x 32 have, and at least 32 images."""
    return max(32, 512 * 32**2 // image_size**2)


def forward(network: nn.Module, images_NCHW: Tensor, precision: str) -> Tensor:
    """Run the network in a precision and return float32 logits_NK."""
    with torch.autocast(images_NCHW.device.type, PRECISIONS[precision], enabled=precision != "float32"):
        logits_NK: Tensor = network(images_NCHW)
    return logits_NK.float()


@torch.inference_mode()
def predict_logits(
    network: nn.Module,
    read_pixels: Callable[[Tensor], Tensor],
    ids_N: npt.NDArray[np.int64],
    *,
    normalisation: str,
    precision: str = "float32",
    batch_size: int = 512,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tensor:
    """Return float32 logits_NK on the CPU, in the order of the ids; the network's mode is restored.

    Raise InterruptedError between two batches where `should_stop` says so.
    """
    was_training = network.training
    network.eval()
    try:
        parts = []
        for batch_ids_N in torch.split(torch.from_numpy(np.ascontiguousarray(ids_N)), batch_size):
            if should_stop():
                raise InterruptedError
            images_NCHW = prepare_batch(read_pixels(batch_ids_N), normalisation=normalisation)
            parts.append(forward(network, images_NCHW, precision).cpu())
    finally:
        network.train(was_training)
    return torch.cat(parts)


def count_correct(logits_NK: Tensor, labels_N: Tensor) -> SetResult:
    """Sum up predictions and plain cross-entropy (nats, added in float64)."""
    return SetResult(
        num_seen=len(labels_N),
        num_correct=int((logits_NK.argmax(1) == labels_N).sum()),
        loss_sum=float(F.cross_entropy(logits_NK.double(), labels_N, reduction="sum")),
    )


def add_up(results: Iterable[SetResult]) -> SetResult:
    """The result on all images, from the results on their parts."""
    seen, correct, losses = zip(*((one.num_seen, one.num_correct, one.loss_sum) for one in results), strict=True)
    return SetResult(num_seen=sum(seen), num_correct=sum(correct), loss_sum=math.fsum(losses))


def to_predictions(logits_NK: Tensor, labels_N: Tensor, ids_N: npt.NDArray[np.int64]) -> Predictions:
    """Pack logits for disk: as float16 where every prediction stays the same, else as float32."""
    rounded_NK = logits_NK.to(torch.float16)
    is_same = bool(rounded_NK.isfinite().all()) and torch.equal(rounded_NK.argmax(1), logits_NK.argmax(1))
    return Predictions(
        logits_NK=(rounded_NK if is_same else logits_NK.float()).numpy(),
        labels_N=labels_N.numpy(),
        image_ids_N=np.asarray(ids_N, dtype=np.int64),
    )
