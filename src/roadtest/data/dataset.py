"""The two shapes that data has here: a Listing (what lies there, not yet decoded) and an ImageSet (decoded, ready).

Every source (gtsrb, folder, signs) makes a Listing; the cache turns a Listing into an ImageSet. Shapes: N images,
H x W pixels, C = 3 channels (RGB).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from roadtest.records.schema import GroupOrigin

TRAIN, VAL, TEST = "train", "val", "test"
PART_ORDER = {TRAIN: 0, VAL: 1, TEST: 2}


@dataclass(frozen=True, kw_only=True)
class Note:
    """One thing that a reader of the results must know, as a fact and as a sentence."""

    text: str
    kind: Literal["source", "held out", "left out", "broken"] = "source"
    """`held out`: a test set was dealt here; `left out`: files that are not taken; `broken`: images left out."""
    count: int = 0
    """Images that were held out or are broken, files that were left out."""
    file_kinds: tuple[str, ...] = ()
    """Of the files that were left out: `.heic`, `in no class folder`."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One image that lies somewhere, with all that is known before it is decoded."""

    path: str
    """How people and csv files name it: unique in its listing, relative, with forward slashes."""
    container: str
    """The zip archive it lies in, or an empty text for a file of its own."""
    location: str
    """The file's path, or the member's name inside the container; a drawn image's key."""
    label: int
    group: str
    """Images of one physical sign, scene or object share a group; an empty text where nothing is known."""
    frame: int
    """Its place in its group, from 0."""
    split: str
    """`train`, `val` or `test`."""
    size_bytes: int = 0
    modified_ns: int = 0


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All images of a data set in their canonical order: by split, class, group, frame, path."""

    source: str
    """`gtsrb`, `signs`, or the folder's own name."""
    title: str
    """What people read: `GTSRB`, `GTSRB (subset)`, `torchvision's smaller GTSRB`, `drawn signs`."""
    class_names: tuple[str, ...]
    items: tuple[Item, ...]
    read_image: Callable[[Item], Image.Image]
    """A module-level function (other processes call it) that returns the decoded image, upright."""
    notes: tuple[Note, ...] = ()
    is_test_held_out: bool = False
    """No test part was given, and one was dealt here."""
    subject: str = "images"
    """What the images show: `signs`, or `images` where nothing is known."""
    group_origin: GroupOrigin = "none"


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """A decoded data set of N images. The arrays are read-only; the pixels are memory-mapped."""

    source: str
    title: str
    class_names: tuple[str, ...]
    images_NHWC: npt.NDArray[np.uint8]
    labels_N: npt.NDArray[np.int64]
    groups: tuple[str, ...]
    """Per image; an empty text stands for an image on its own."""
    frames_N: npt.NDArray[np.int64]
    splits: tuple[str, ...]
    paths: tuple[str, ...]
    fingerprint: str
    """Of the ordered splits, classes, groups, frames, labels and original pixels; the same in every layout."""
    notes: tuple[Note, ...] = ()
    is_test_held_out: bool = False
    """No test part was given, and one was dealt here."""
    subject: str = "images"
    """What the images show: `signs`, or `images` where nothing is known."""
    group_origin: GroupOrigin = "none"
    test_title: str = ""
    """The data set that the test part was taken from; empty where it is this one's own."""
    test_fingerprint: str = ""
    """Of that data set; empty where it is this one's own."""
    level: str = ""
    """What training on drawn signs alone owes to real ones: `zero-real`, `statistics`, `real-selected`; else empty."""

    @property
    def tested_fingerprint(self) -> str:
        """Names the data set whose test part this is, for the ledger."""
        return self.test_fingerprint or self.fingerprint

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""
        return int(self.images_NHWC.shape[1])

    def indices_of(self, split: str) -> npt.NDArray[np.int64]:
        """Row numbers of one split, ascending."""
        return np.flatnonzero(np.asarray(self.splits) == split)

    def with_groups(self, groups: tuple[str, ...]) -> "ImageSet":
        """The same images with other groups."""
        assert len(groups) == len(self.groups)
        return replace(self, groups=groups)
