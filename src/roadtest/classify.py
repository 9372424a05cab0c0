"""A run's network in use: pictures in, class probabilities out.

Reads `record.json` and `weights.safetensors` only, so a run folder from elsewhere can be used: neither holds code. A
network from the user's own file is built only where its word is given again. Pictures are treated as training's were:
made upright RGB, resized bilinearly, normalised; never augmented.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from roadtest.augment import prepare_batch
from roadtest.data.decode import decode_image
from roadtest.data.pictures import to_rgb
from roadtest.evaluate import forward
from roadtest.networks import build_network
from roadtest.networks.own import is_own
from roadtest.record import RunRecord, read_record

MAX_IMAGE_SIZE = 512
MAX_CLASSES = 65_536
"""A record from elsewhere decides how much memory its network takes; the protocol's own bounds hold here too."""
BATCH_SIZE = 256


@dataclass(frozen=True)
class Classifier:
    """A trained network with its preprocessing and its class names."""

    network: nn.Module
    record: RunRecord

    @classmethod
    def from_run(cls, run_dir: str | Path, *, own_network: str | None = None) -> "Classifier":
        """Build the run's network and read its weights; `own_network` repeats the `file.py:build` it was trained as."""
        folder = Path(run_dir)
        record = read_record(folder)
        if is_own(record.network) and record.network != own_network:
            raise ValueError(
                f"{folder} was trained as {record.network!r}, code of its owner's: reading a run never runs code; "
                f"give own_network={record.network!r} if you trust the file"
            )
        if record.image_size > MAX_IMAGE_SIZE or not 1 <= len(record.class_names) <= MAX_CLASSES:
            raise ValueError(
                f"{folder} asks for {record.image_size} pixels and {len(record.class_names)} classes: at most "
                f"{MAX_IMAGE_SIZE} and {MAX_CLASSES} are built; restore its record.json"
            )
        network = build_network(
            record.network,
            num_classes=len(record.class_names),
            image_size=record.image_size,
            has_stn=record.has_stn,
            seed=record.seed,
        )
        _read_weights(network, folder)
        return cls(network.eval().to(memory_format=torch.channels_last), record)

    def __call__(self, images: npt.NDArray[np.uint8] | Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Give probabilities_NK for uint8 images_NHWC or a list of Pillow images, of any sizes, in RGB or not."""
        parts_NK = [np.zeros((0, len(self.record.class_names)), np.float32)]
        for start in range(0, len(images), BATCH_SIZE):
            parts_NK.append(self._probabilities(images[start : start + BATCH_SIZE]))
        return np.concatenate(parts_NK)

    def predict(self, images: npt.NDArray[np.uint8] | Sequence[Image.Image]) -> list[str]:
        """Give the most probable class's name per image."""
        return [self.record.class_names[k] for k in self(images).argmax(1)]

    @torch.inference_mode()
    def _probabilities(self, images: npt.NDArray[np.uint8] | Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        size = self.record.image_size
        images_NHWC = torch.from_numpy(np.stack([decode_image(_as_picture(image), size)[0] for image in images]))
        images_NCHW = prepare_batch(images_NHWC, normalisation=self.record.normalisation)
        probabilities_NK: npt.NDArray[np.float32] = forward(self.network, images_NCHW, "float32").softmax(1).numpy()
        return probabilities_NK


def _read_weights(network: nn.Module, folder: Path) -> None:
    path = folder / "weights.safetensors"
    if not path.exists():
        raise ValueError(f"{folder} keeps no weights: train it with --keep-weights all, or take another run")
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} does not hold this network's weights ({reason}): repeat the run") from None


def _as_picture(image: npt.NDArray[np.uint8] | Image.Image) -> Image.Image:
    if isinstance(image, Image.Image):
        return to_rgb(ImageOps.exif_transpose(image))
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"an image is {image.dtype} of shape {image.shape}: it must be uint8, H x W x 3 or H x W; convert it"
        )
    return Image.fromarray(image)
