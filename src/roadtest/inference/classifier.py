"""A run's network in use: pictures in, class probabilities out.

    from roadtest import Classifier

    classifier = Classifier.from_run("runs/first")  # a run, or a study: then the network it recommends
    probabilities_NK = classifier(["sign.png"])

Reads `record.json` and `weights.safetensors` only, so a run folder from elsewhere can be used: neither holds code, and
nothing larger than the network that the record names is read. A network from the user's own file is built only where
it is named again. Pictures are treated as training's were: made upright RGB, resized bilinearly, normalised; never
augmented. Shapes: N images, H x W pixels, C = 3 channels (RGB), K classes.

Weights are safetensors only, no pickle, and may come from anybody: they are compared with the network's tensors by
name, shape and type. training/checkpoint.py writes the same files.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from roadtest.analysis.recommend import find_run
from roadtest.data.cache import decode_image
from roadtest.data.sources.images import decode_file, to_rgb
from roadtest.format import Row
from roadtest.networks import build_network, build_on_meta
from roadtest.networks.user_file import digest_user_file, is_user_defined
from roadtest.records import RunRecord, read_record
from roadtest.training.augment import prepare_batch
from roadtest.training.predict import forward

Picture = str | Path | Image.Image | npt.NDArray[np.uint8]
MAX_IMAGE_SIZE = 512
MAX_CLASSES = 65_536
"""A record from elsewhere decides how much memory its network takes; the protocol's own bounds hold here too."""
BATCH_SIZE = 256
BATCH_PIXELS = 1 << 22
"""At most this many pixels are in work at a time: 256 images of 128 x 128, 83 of 224 x 224."""
HEADER_BYTES = 100_000
HEADER_BYTES_PER_TENSOR = 1_000
"""A name, a shape and two offsets take about a hundred; the rest may be the writer's remarks."""
COLUMNS = ("path", "rank", "class_id", "class_name", "probability", "error")


@dataclass(frozen=True)
class Classifier:
    """A trained network with its preprocessing and its class names."""

    network: nn.Module
    record: RunRecord

    @classmethod
    def from_run(cls, path: str | Path, *, network_file: str | None = None) -> "Classifier":
        """Build the network of a run, or of a study's recommended one, and read its weights.

        `network_file` names the `file.py:build` again that the run was trained as. A ValueError says what is wrong.
        """
        folder = find_run(path).path
        record = read_record(folder)
        _check_sizes(folder, record)
        name = _name_to_build(folder, record, network_file)
        shape: dict[str, Any] = {"image_size": record.image_size, "has_stn": record.has_stn}
        shape["num_classes"] = len(record.class_names)
        path = folder / "weights.safetensors"
        if is_user_defined(name):
            network = build_network(name, **shape, seed=record.seed)
            weights = read_weights(path, network.state_dict(), record.label)
        else:  # a network of any size has a name: its weights are read before it is built
            weights = read_weights(path, build_on_meta(name, **shape).state_dict(), record.label)
            network = build_network(name, **shape, seed=record.seed)
        network.load_state_dict(weights)
        return cls(network.eval().to(memory_format=torch.channels_last), record)

    @property
    def batch_size(self) -> int:
        """How many images are classified at a time."""
        return max(1, min(BATCH_SIZE, BATCH_PIXELS // self.record.image_size**2))

    def __call__(self, images: npt.NDArray[np.uint8] | Sequence[Picture]) -> npt.NDArray[np.float32]:
        """Give probabilities_NK for uint8 images_NHWC, or for a list of files, Pillow images or arrays of any size."""
        if isinstance(images, str | Path):
            raise ValueError(f"{str(images)!r} is one image, and a list of images is needed: write [{str(images)!r}]")
        if isinstance(images, Image.Image) or (isinstance(images, np.ndarray) and images.shape[2:] == (3,)):
            raise ValueError("what was given is one image, and a list of images is needed: write [image]")
        parts_NK = [np.zeros((0, len(self.record.class_names)), np.float32)]
        size = self.record.image_size
        for start in range(0, len(images), self.batch_size):
            batch = [_decode(image, size) for image in images[start : start + self.batch_size]]
            parts_NK.append(self._probabilities(np.stack(batch)))
        return np.concatenate(parts_NK)

    def predict(self, images: npt.NDArray[np.uint8] | Sequence[Picture]) -> list[str]:
        """Give the most probable class's name per image."""
        return [self.record.class_names[k] for k in self(images).argmax(1)]

    def rows(self, paths: Iterable[str | Path], *, top: int = 5) -> Iterator[Row]:
        """Give `top` rows per image file, the most probable class first, a batch at a time; for any number of files.

        A file that cannot be read is one row with its `error`. See `data/sources/images.py` for folders and patterns.
        """
        if top < 1:
            raise ValueError(f"--top {top} shows nothing: 1 shows the most probable class; give 1 or more")
        waiting = iter(paths)
        while batch := list(islice(waiting, self.batch_size)):
            found = [decode_file(str(path), self.record.image_size) for path in batch]
            whole = [image_HWC for image_HWC in found if not isinstance(image_HWC, str)]
            ranked = iter(self._probabilities(np.stack(whole))) if whole else iter(())
            for path, image in zip(batch, found, strict=True):
                if isinstance(image, str):
                    yield dict.fromkeys(COLUMNS) | {"path": str(path), "error": image}
                else:
                    yield from self._ranked(str(path), next(ranked), top)

    def _ranked(self, path: str, probabilities_K: npt.NDArray[np.float32], top: int) -> Iterator[Row]:
        for place, label in enumerate(np.argsort(-probabilities_K, kind="stable")[:top].tolist()):
            yield {
                "path": path,
                "rank": place + 1,
                "class_id": label,
                "class_name": self.record.class_names[label],
                "probability": float(probabilities_K[label]),
                "error": None,
            }

    @torch.inference_mode()
    def _probabilities(self, images_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        images_NCHW = prepare_batch(torch.from_numpy(images_NHWC), normalisation=self.record.normalisation)
        probabilities_NK: npt.NDArray[np.float32] = forward(self.network, images_NCHW, "float32").softmax(1).numpy()
        return probabilities_NK


def _check_sizes(folder: Path, record: RunRecord) -> None:
    if not 1 <= record.image_size <= MAX_IMAGE_SIZE or not 1 <= len(record.class_names) <= MAX_CLASSES:
        raise ValueError(
            f"{folder} asks for {record.image_size} pixels and {len(record.class_names)} classes: at most "
            f"{MAX_IMAGE_SIZE} and {MAX_CLASSES} are built; restore its record.json"
        )


def _name_to_build(folder: Path, record: RunRecord, network_file: str | None) -> str:
    """The network's name; of one from the user's own file the word given now, never the word in the record."""
    if not is_user_defined(record.network):
        if network_file is not None:
            raise ValueError(
                f"{network_file!r} was named, and {folder} was trained as {record.label}, which is not your own: leave "
                "it out, or name the folder of another run"
            )
        return record.network
    if network_file is None or _last_part(network_file) != _last_part(record.network):
        named = "" if network_file is None else f", and {network_file!r} was named"
        raise ValueError(
            f"{folder} was trained as {record.network!r}, code of its owner's{named}: reading a run never runs code; "
            f"if you trust the file, name it: --network {record.network} (from Python: network_file=)"
        )
    if record.own_network_digest not in ("", digest_user_file(network_file)):
        raise ValueError(
            f"{network_file!r} was changed since {folder} was trained with it: weights mean nothing in another "
            "network; name the file as it was"
        )
    return network_file


def _last_part(word: str) -> str:
    return word.replace("\\", "/").rpartition("/")[2]


def _decode(image: Picture, image_size: int) -> npt.NDArray[np.uint8]:
    if isinstance(image, str | Path):
        found = decode_file(str(image), image_size)
        if isinstance(found, str):
            raise ValueError(f"{image} cannot be read ({found}): leave it out, or use rows(), which goes on")
        return found
    return decode_image(_as_picture(image), image_size)[0]


def _as_picture(image: npt.NDArray[np.uint8] | Image.Image) -> Image.Image:
    if isinstance(image, Image.Image):
        return to_rgb(ImageOps.exif_transpose(image))
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"an image is {image.dtype} of shape {image.shape}: it must be uint8, H x W x 3 or H x W; convert it"
        )
    return Image.fromarray(image)


def read_weights(path: Path, expected: Mapping[str, Tensor], label: str) -> dict[str, Tensor]:
    """Read a file's tensors; a ValueError in one line where they are not just those expected, or are no numbers.

    `expected` may be tensors without contents. A file that is larger than they are is not opened.
    """
    if not path.exists():
        raise ValueError(f"{path.parent} keeps no weights: train it with --keep-weights all, or take another run")
    if not path.is_file():
        raise _refusal(path, label, "it is no file")
    num_bytes, most = path.stat().st_size, sum(tensor.nbytes for tensor in expected.values())
    most += HEADER_BYTES + HEADER_BYTES_PER_TENSOR * len(expected)
    if num_bytes > most:
        raise _refusal(path, label, f"it has {num_bytes:,} bytes, at most {most:,} are right")
    try:
        found = load_file(path)
    except (SafetensorError, RuntimeError, OSError, ValueError, KeyError) as error:
        raise _refusal(path, label, " ".join(str(error).split())[:200]) from None
    for name in (*expected, *sorted(found)):
        if (difference := _difference(found.get(name), expected.get(name))) is not None:
            raise _refusal(path, label, f"{name[:80]!a} {difference}")
    return found


def _difference(found: Tensor | None, expected: Tensor | None) -> str | None:
    if found is None:
        return "is missing"
    if expected is None:
        return "is not in the network"
    if found.shape != expected.shape:
        return f"is {tuple(found.shape)}, and {tuple(expected.shape)} in the network"
    if found.dtype != expected.dtype:
        return f"is {found.dtype}, and {expected.dtype} in the network"
    if found.is_floating_point() and not torch.isfinite(found).all():
        return "holds values that are no numbers"
    return None


def _refusal(path: Path, label: str, reason: str) -> ValueError:
    return ValueError(f"{path} does not hold this network's weights, {label} ({reason}): restore it or repeat the run")
