"""Small folders of images, a cache to decode them into, and the message of a refusal."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roadtest.data.cache import open_image_set
from roadtest.data.dataset import ImageSet, Item
from roadtest.data.sources.folder import list_folder

SIZE = 16


def pixels_of(number: int) -> np.ndarray:
    """Noise of a size of its own, always the same for one number."""
    return np.random.default_rng(number).integers(0, 256, (5 + number % 7, 20 + number % 5, 3), np.uint8)


def draw_folder(root: Path) -> Path:
    """Two classes of 15 images each, in all three parts."""
    for split, first, count in (("train", 0, 18), ("val", 18, 6), ("test", 24, 6)):
        for number in range(first, first + count):
            path = root / split / "ab"[number % 2] / f"{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels_of(number)).save(path)
    return root


def opened(root: Path, cache_dir: Path, **options: object) -> ImageSet:
    return open_image_set(list_folder(root), image_size=SIZE, cache_dir=cache_dir, **options)  # type: ignore[arg-type]


def generations(cache_dir: Path) -> list[str]:
    """What lies in the cache, by the numbers that the folders end with; private folders as they are."""
    return sorted(path.name.rpartition("-")[2] for path in (cache_dir / "decoded").iterdir())


def no_decoding(*_: object, **__: object) -> None:
    raise AssertionError("nothing was to be decoded")


def draw(path: Path, colour: int = 0, size: tuple[int, int] = (4, 3)) -> Path:
    """A small picture of one colour, in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour, 255 - colour, 7)).save(path)
    return path


def draw_classes(root: Path, counts: dict[str, int], suffix: str = ".png") -> Path:
    for k, (name, count) in enumerate(counts.items()):
        for i in range(count):
            draw(root / name / f"{i:03d}{suffix}", colour=20 * k + i)
    return root


def refusal(path: Path) -> str:
    """The message of a refused source, which must be one line."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        list_folder(path)
    message = str(error.value)
    assert "\n" not in message
    return message


def item_at(path: Path) -> Item:
    return Item(path=path.name, container="", location=str(path), label=0, group="", frame=0, split="train")
