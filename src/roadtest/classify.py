"""A run's network in use: pictures in, class probabilities out.

Reads `record.json` and `weights.safetensors` only, so a run folder from elsewhere can be used: neither holds code. A
network from the user's own file is built only where its word is given again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from roadtest.augment import prepare_batch
from roadtest.evaluate import forward
from roadtest.networks import build_network
from roadtest.record import RunRecord, read_record


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
        if ".py:" in record.network and record.network != own_network:
            raise ValueError(
                f"{folder} was trained as {record.network!r}, code of its owner's: reading a run never runs code; "
                f"give own_network={record.network!r} if you trust the file"
            )
        network = build_network(
            record.network,
            num_classes=len(record.class_names),
            image_size=record.image_size,
            has_stn=record.has_stn,
            seed=record.seed,
        )
        path = folder / "weights.safetensors"
        if not path.exists():
            raise ValueError(f"{folder} keeps no weights: train it with --keep-weights all, or take another run")
        network.load_state_dict(load_file(path))
        return cls(network.eval().to(memory_format=torch.channels_last), record)  # type: ignore[call-overload]

    def __call__(self, images: npt.NDArray[np.uint8] | Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Give probabilities_NK for uint8 images_NHWC or a list of Pillow images, of any sizes, in RGB or not."""
        size = (self.record.image_size, self.record.image_size)
        pictures = [Image.fromarray(image) if isinstance(image, np.ndarray) else image for image in images]
        resized = [
            np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BILINEAR)) for picture in pictures
        ]
        images_NHWC = torch.from_numpy(np.stack(resized))
        with torch.inference_mode():
            images_NCHW = prepare_batch(images_NHWC, normalisation=self.record.normalisation)
            probabilities_NK = forward(self.network, images_NCHW, "float32").softmax(1)
        probabilities: npt.NDArray[np.float32] = probabilities_NK.numpy()
        return probabilities

    def predict(self, images: npt.NDArray[np.uint8] | Sequence[Image.Image]) -> list[str]:
        """Give the most probable class's name per image."""
        return [self.record.class_names[k] for k in self(images).argmax(1)]
