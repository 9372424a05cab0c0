"""Small image sets with something planted: smooth pictures, all different unless they are meant to be alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from roadtest.data.dataset import ImageSet

SIDE = 32
NUM_TRACKS, NUM_FRAMES = 5, 8


@cache
def picture(number: int, size: int = SIDE) -> Image.Image:
    """A smooth coloured picture of its own for every number."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def pixels(number: int) -> npt.NDArray[np.uint8]:
    return np.asarray(picture(number))


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One image of a set."""

    image_HWC: npt.NDArray[np.uint8]
    label: int = 0
    split: str = "train"
    group: str = ""
    path: str = ""


def image_set_of(shots: Sequence[Shot], num_classes: int | None = None) -> ImageSet:
    """A set as the cache opens it, with the shots in the order given."""
    labels_N = np.array([shot.label for shot in shots], np.int64)
    return ImageSet(
        source="planted",
        title="Planted",
        class_names=tuple(f"class {'abcdefghij'[k]}" for k in range(num_classes or int(labels_N.max()) + 1)),
        images_NHWC=np.stack([shot.image_HWC for shot in shots]),
        labels_N=labels_N,
        groups=tuple(shot.group for shot in shots),
        frames_N=np.zeros(len(shots), np.int64),
        splits=tuple(shot.split for shot in shots),
        paths=tuple(shot.path or f"{shot.split}/{shot.label}/{name(k)}.png" for k, shot in enumerate(shots)),
        fingerprint="0" * 64,
    )


def name(number: int) -> str:
    """A file name without a number in it."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def clean_shots(num_classes: int = 3, num_each: int = 20) -> list[Shot]:
    """Training and test images of every class, all of them different."""
    return [
        Shot(image_HWC=pixels(1000 * label + k), label=label, split="train" if k < 0.7 * num_each else "test")
        for label in range(num_classes)
        for k in range(num_each)
    ]


def frames(track: int, num_frames: int = 10) -> list[npt.NDArray[np.uint8]]:
    """A picture that drifts and brightens a little from frame to frame."""
    large = np.asarray(picture(50_000 + track, 64)).astype(np.float32)
    shown = []
    for k in range(num_frames):
        part = large[k : k + 48, k // 2 : k // 2 + 48] * (0.8 + 0.02 * k)
        shown.append(np.asarray(Image.fromarray(part.clip(0, 255).astype(np.uint8)).resize((SIDE, SIDE))))
    return shown


def arrow(number: int, *, is_left: bool) -> npt.NDArray[np.uint8]:
    """A noisy sign that points to one side."""
    rng = np.random.default_rng(number)
    image_HWC = rng.integers(60, 120, (SIDE, SIDE, 3)).astype(np.float32)
    shift = int(rng.integers(-2, 3))
    for row in range(8, 24):
        reach = 12 - abs(row - 16)
        image_HWC[row + shift, 6 : 12 + reach] += 100
    image_HWC = image_HWC.clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(image_HWC[:, ::-1]) if is_left else image_HWC


def draw_folder_of(root: Path, num_each: int = 20, parts: Sequence[str] = ("train", "test")) -> Path:
    """Two classes of different pictures in every part, as files."""
    for place, part in enumerate(parts):
        for label in range(2):
            for k in range(num_each):
                path = root / part / "ab"[label] / f"{name(k)}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture(10_000 * place + 1000 * label + k, 40).save(path)
    return root


def draw_tracks(root: Path, part: str = "") -> Path:
    """Two classes of tracks that only their file names and looks tell; 80 images."""
    for label in range(2):
        for track in range(NUM_TRACKS):
            for frame, image in enumerate(frames(100 * label + track, NUM_FRAMES)):
                path = root / part / "ab"[label] / f"{track:05d}_{frame:05d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
    return root
