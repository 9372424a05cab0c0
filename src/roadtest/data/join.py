"""Put parts of several data sets into one: training images from here, test images from there.

The rows are copied once into an array of their own in the cache, `joined-<key>-<generation>`, so that all that follows
knows one memory-mapped file and one numbering of images, as with any data set. Copying needs no decoding: a hundred
megabytes a second or two. Shapes: N images, H x W pixels, C = 3 channels (RGB).
"""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from roadtest.data.cache import read_only
from roadtest.data.imageset import ImageSet
from roadtest.data.publish import published_folder
from roadtest.data.rows import RowFile
from roadtest.record import write_atomically

_CHUNK = 4096  # images copied at a time


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is taken from one data set."""

    image_set: ImageSet
    splits: Mapping[str, str]
    """Of its splits those that are taken, and what they become."""
    prefix: str = ""
    """Stands before its paths and groups, so that they differ from those of the other parts."""

    @property
    def rows_N(self) -> npt.NDArray[np.int64]:
        """The rows that are taken, ascending."""
        return np.flatnonzero([split in self.splits for split in self.image_set.splits])


def join_parts(parts: Sequence[Part], *, cache_dir: Path, title: str, notes: tuple[str, ...]) -> ImageSet:
    """One data set of several parts' rows, in their order; the first part names its source and its classes."""
    first = parts[0].image_set
    rows = [(part, int(row)) for part in parts for row in part.rows_N]
    images_NHWC, fingerprint = _joined_pixels(parts, cache_dir), joined_fingerprint(parts)
    _say_what_it_is(images_NHWC, fingerprint)
    return ImageSet(
        source=first.source,
        title=title,
        class_names=first.class_names,
        images_NHWC=images_NHWC,
        labels_N=read_only(np.concatenate([part.image_set.labels_N[part.rows_N] for part in parts])),
        groups=tuple(_prefixed(part, part.image_set.groups[row]) for part, row in rows),
        frames_N=read_only(np.concatenate([part.image_set.frames_N[part.rows_N] for part in parts])),
        splits=tuple(part.splits[part.image_set.splits[row]] for part, row in rows),
        paths=tuple(part.prefix + part.image_set.paths[row] for part, row in rows),
        fingerprint=fingerprint,
        notes=notes,
    )


def joined_fingerprint(parts: Sequence[Part]) -> str:
    """64 hexadecimal digits over which splits of which data sets stand where."""
    told = [(part.image_set.fingerprint, sorted(part.splits.items())) for part in parts]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _prefixed(part: Part, group: str) -> str:
    """A group under its part's prefix; the mark of recovered tracks stays in front, no group stays none."""
    mark = "~" if group.startswith("~") else ""
    return f"{mark}{part.prefix}{group.removeprefix(mark)}" if group else ""


def _joined_pixels(parts: Sequence[Part], cache_dir: Path) -> npt.NDArray[np.uint8]:
    """The mapped array, copied together where it is not there or is damaged."""
    cache = cache_dir.absolute() / "decoded"
    cache.mkdir(parents=True, exist_ok=True)
    num_images = sum(len(part.rows_N) for part in parts)
    image_size = parts[0].image_set.image_size
    num_bytes = RowFile(path=cache, image_size=image_size).num_bytes(num_images)
    key = _key(parts)
    for generation in itertools.count():
        folder = cache / f"joined-{key}-{generation}"
        is_new = not folder.exists()
        if is_new:
            _build(parts, folder, num_images, num_bytes, image_size)
        path = folder / "images.npy"
        if path.exists() and path.stat().st_size == num_bytes:
            joined_NHWC: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
            return joined_NHWC
        assert not is_new, f"{folder} was damaged while it was written"
    raise AssertionError


def _say_what_it_is(images_NHWC: npt.NDArray[np.uint8], fingerprint: str) -> None:
    """Let the pixels be found again by the data set's name (decoded.py); rows taken as other splits share them."""
    path = Path(str(images_NHWC.filename)).with_name(f"about-{fingerprint[:8]}.json")  # type: ignore[attr-defined]
    about = {"fingerprint": fingerprint, "image_size": images_NHWC.shape[1], "num_images": len(images_NHWC)}
    if not path.exists():
        write_atomically(path, json.dumps(about).encode())


def _key(parts: Sequence[Part]) -> str:
    """32 hexadecimal digits over the parts' own arrays, whose folders are never written twice, and the rows taken."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        pixels = Path(str(part.image_set.images_NHWC.filename))  # type: ignore[attr-defined]
        digest.update(f"{pixels.parent.name}/{pixels.name} {part.image_set.image_size}\n".encode())
        digest.update(part.rows_N.astype("<i8").tobytes())
    return digest.hexdigest()


def _build(parts: Sequence[Part], folder: Path, num_images: int, num_bytes: int, image_size: int) -> None:
    with published_folder(folder, num_bytes) as building:
        target = RowFile(path=building / "images.npy", image_size=image_size)
        target.start(num_images)
        place = 0
        for part in parts:
            rows_N = part.rows_N
            for start in range(0, len(rows_N), _CHUNK):
                chunk_NHWC = part.image_set.images_NHWC[rows_N[start : start + _CHUNK]]
                target.write(place, chunk_NHWC)
                place += len(chunk_NHWC)
