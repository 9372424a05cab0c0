"""A few images of a finished run, kept for the report: what it got most wrong, and what its STN does to an image.

Written as `examples.npz`, without pickle. Studies that are published leave the file out.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from roadtest.augment import prepare_batch
from roadtest.networks.stn import WithSTN
from roadtest.record import Predictions, replacing
from roadtest.training import Training

NUM_WORST = 24
NUM_STN = 8


def write_examples(path: Path, training: Training, test: Predictions | None) -> None:
    """Write the worst test images and, with an STN, validation images before and after it; nothing where neither is."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    if test is not None:
        worst_ids_N = _worst_ids(test)
        arrays["worst_ids_N"] = worst_ids_N
        arrays["worst_images_NHWC"] = training.read_pixels(torch.from_numpy(worst_ids_N)).cpu().numpy()
    if isinstance(training.network, WithSTN):
        ids_N = np.linspace(0, len(training.val_ids_N) - 1, NUM_STN).astype(np.int64)
        before_NHWC = training.read_pixels(torch.from_numpy(training.val_ids_N[ids_N]))
        arrays["stn_before_NHWC"] = before_NHWC.cpu().numpy()
        arrays["stn_after_NHWC"] = _transformed(training.network, before_NHWC, training.protocol.normalisation)
    if not arrays:
        return
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _worst_ids(test: Predictions) -> npt.NDArray[np.int64]:
    """The images whose true class got the least probability, wrong ones only, worst first."""
    logits_NK = test.logits_NK.astype(np.float64)
    log_sum_N = np.log(np.exp(logits_NK - logits_NK.max(1, keepdims=True)).sum(1)) + logits_NK.max(1)
    loss_N = log_sum_N - logits_NK[np.arange(len(logits_NK)), test.labels_N]
    is_wrong_N = logits_NK.argmax(1) != test.labels_N
    order_N = np.argsort(-loss_N, kind="stable")
    worst_ids_N: npt.NDArray[np.int64] = test.image_ids_N[order_N[is_wrong_N[order_N]][:NUM_WORST]]
    return worst_ids_N


@torch.inference_mode()
def _transformed(network: WithSTN, images_NHWC: torch.Tensor, normalisation: str) -> npt.NDArray[np.uint8]:
    """What the network behind the STN sees, mapped back to each image's own brightness and contrast."""
    network.eval()
    prepared_NCHW = prepare_batch(images_NHWC, normalisation=normalisation)
    pixels_NCHW = images_NHWC.permute(0, 3, 1, 2).float()
    scale_N111 = _spread(pixels_NCHW) / _spread(prepared_NCHW).clamp_min(1e-6)
    offset_N111 = _mean(pixels_NCHW) - scale_N111 * _mean(prepared_NCHW)
    warped_NCHW = network.transform(prepared_NCHW) * scale_N111 + offset_N111
    warped: npt.NDArray[np.uint8] = warped_NCHW.permute(0, 2, 3, 1).clamp(0, 255).round().byte().cpu().numpy()
    return warped


def _mean(images_NCHW: torch.Tensor) -> torch.Tensor:
    return images_NCHW.mean((1, 2, 3), keepdim=True)


def _spread(images_NCHW: torch.Tensor) -> torch.Tensor:
    return images_NCHW.std((1, 2, 3), keepdim=True)
