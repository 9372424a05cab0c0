"""Sizes, colour modes and formats of the original files, read from their headers; and why files cannot be read.

A header is a few dozen bytes: nothing is decoded, so a bomb costs nothing here. Drawn images have no files.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from roadtest.data.archive import file_of
from roadtest.data.decode import try_image
from roadtest.data.imageset import Item, Listing
from roadtest.data.pictures import picture_formats

MAX_FILES = 50_000
"""Of more, evenly spread ones are read: about 0.1 ms each."""
MAX_MEMBER_BYTES = 64 << 20
IMAGE_SIZES = (32, 64, 128, 224)
"""What networks are trained at; the largest not above the median short side is suggested."""


@dataclass(frozen=True, kw_only=True)
class Headers:
    """What M files say about themselves; a file whose header cannot be read is left out."""

    rows_M: npt.NDArray[np.int64]
    """Places in the listing."""
    widths_M: npt.NDArray[np.int64]
    heights_M: npt.NDArray[np.int64]
    kinds: tuple[str, ...]
    """Per file, format and colour mode: `PNG RGBA`."""

    @property
    def short_sides_M(self) -> npt.NDArray[np.int64]:
        """The shorter side of each, in pixels."""
        return np.minimum(self.widths_M, self.heights_M)

    @property
    def suggested_image_size(self) -> int:
        """The largest usual size not above the median short side."""
        median = float(np.median(self.short_sides_M))
        return max((size for size in IMAGE_SIZES if size <= median), default=IMAGE_SIZES[0])

    @property
    def kind_counts(self) -> Counter[str]:
        """How many files there are of each kind."""
        return Counter(self.kinds)


def read_headers(listing: Listing) -> Headers | None:
    """Read the headers of the files, of evenly spread ones where there are very many; None for images without files."""
    items = listing.items
    if not items or not (items[0].container or Path(items[0].location).is_file()):
        return None
    rows = np.linspace(0, len(items) - 1, min(len(items), MAX_FILES)).astype(np.int64)
    found = [(row, header) for row in rows.tolist() if (header := _read_header(items[row])) is not None]
    if not found:
        return None
    return Headers(
        rows_M=np.array([row for row, _ in found], np.int64),
        widths_M=np.array([width for _, (width, _, _) in found], np.int64),
        heights_M=np.array([height for _, (_, height, _) in found], np.int64),
        kinds=tuple(kind for _, (_, _, kind) in found),
    )


def explain_broken(listing: Listing, whole_paths: Sequence[str], image_size: int) -> list[tuple[str, str]]:
    """(path, reason) of the images that are in the listing and were not decoded, by reading them once more."""
    whole = set(whole_paths)
    return [(item.path, _reason(listing, item, image_size)) for item in listing.items if item.path not in whole]


def _reason(listing: Listing, item: Item, image_size: int) -> str:
    if item.size_bytes == 0 and not item.container and Path(item.location).is_file():
        return "the file is empty"
    result = try_image(listing.read_image, item, image_size)
    if not isinstance(result, str):
        return "it could not be read before, and can be now"
    return f"cut off: {result}" if "truncated" in result.lower() else result


def _read_header(item: Item) -> tuple[int, int, str] | None:
    """Width, height and kind; None where even the header is broken, which decoding reports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(file_of(item, max_bytes=MAX_MEMBER_BYTES), formats=picture_formats()) as image:
                return image.width, image.height, f"{image.format} {image.mode}"
        except Exception:  # a hostile file can make a decoder raise anything
            return None
