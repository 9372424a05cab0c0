"""Picture files: read as upright 8-bit RGB, their headers, and the files that words on a command line mean.

Grey is repeated; a palette is looked up; transparency is laid over white; 16-bit grey keeps its high byte, as Pillow
does for 16-bit colour; CMYK and YCbCr are converted without a colour profile; the EXIF orientation is obeyed; of
animations and stacks the first frame counts. Floating-point pixels and integers beyond 16 bits have no agreed scale:
they are refused, never guessed.

Files are untrusted: formats that start another program (EPS), that Pillow only recognises, or that older versions of it
unpack without a bound (FITS) are not opened, and an image of more than MAX_PIXELS is refused before it is decoded. The
first bytes, not the name, say what a file is. Headers are read without decoding.

Words are expanded one after the other, so that a folder of a million images takes no memory; links to folders are not
followed. A file that is missing or cannot be read is an answer with a reason: the other 999 are wanted.
"""

import functools
import glob
import os
import stat
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from roadtest.data.cache import MAX_PIXELS, try_image
from roadtest.data.dataset import Item, Listing
from roadtest.data.sources.archive import file_of

REFUSED_FORMATS = frozenset({"BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"})


@functools.cache
def picture_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read, the common ones first."""
    Image.preinit()
    Image.init()
    return tuple(name for name in Image.ID if name not in REFUSED_FORMATS)


@functools.cache
def picture_suffixes() -> frozenset[str]:
    """File name endings of those formats, with the dot, in lower case."""
    formats = picture_formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


def is_hidden(name: str) -> bool:
    """Left behind by a system: dot files, and the folder that macOS puts into archives."""
    return name.startswith(".") or name == "__MACOSX"


def is_picture(name: str) -> bool:
    """Whether a file's name says that it is a picture of a kind that is read."""
    return not is_hidden(name) and os.path.splitext(name)[1].lower() in picture_suffixes()  # noqa: PTH122 - often


def read_image(item: Item) -> Image.Image:
    """Open the file of an item as RGB; any exception says that it is broken."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on metadata that nobody reads here
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(item.location, formats=picture_formats()) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS // 10**6} million")
            ImageOps.exif_transpose(image, in_place=True)
            return to_rgb(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn any kind of pixels into 8-bit RGB; a ValueError where their scale is unknown."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed scale: 8 or 16 bits are read; convert it")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _high_bytes(image).convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("RGB")


def _high_bytes(image: Image.Image) -> Image.Image:
    values_HW = np.asarray(image)
    if values_HW.min() < 0 or values_HW.max() > 65535:
        raise ValueError("pixels of more than 16 bits have no agreed scale: 8 or 16 bits are read; convert it")
    return Image.fromarray((values_HW >> 8).astype(np.uint8))


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


STDIN = "-"
MAX_LINE_BYTES = 32_768
"""Of a path on standard input; systems take 4,096."""


@dataclass(kw_only=True)
class ImagePaths:
    """The paths that words mean, in their order; iterate over it once."""

    words: tuple[str, ...]
    stdin: BinaryIO | None = None
    """Where the word `-` reads paths, one a line; None takes `-` for a file's name."""
    num_left_out: int = field(default=0, init=False)
    """Files in folders that are no pictures, and links to folders, as far as it got."""

    def __iter__(self) -> Iterator[str]:
        for word in self.words:
            if word == STDIN and self.stdin is not None:
                for line in _lines(self.stdin):
                    yield from self._expanded(line)
            elif _is_pattern(word):
                for path in sorted(glob.iglob(word, recursive=True)):  # noqa: PTH207 - the paths stay as typed
                    yield from self._expanded(path)
            else:
                yield from self._expanded(word)

    def _expanded(self, path: str) -> Iterator[str]:
        if not os.path.isdir(path):  # noqa: PTH112 - a path from outside may hold a zero byte
            yield path
            return
        closed: list[str] = []
        for folder, names, files in os.walk(path, onerror=lambda error: closed.append(str(error.filename))):
            yield from closed
            closed.clear()
            self.num_left_out += sum(os.path.islink(os.path.join(folder, name)) for name in names)  # noqa: PTH114, PTH118
            names[:] = sorted(name for name in names if not is_hidden(name))
            for name in sorted(files):
                if is_picture(name):
                    yield os.path.join(folder, name)  # noqa: PTH118 - as typed, `./` included
                elif not is_hidden(name):
                    self.num_left_out += 1
        yield from closed


def find_image_paths(words: Iterable[str | Path], *, stdin: BinaryIO | None = None) -> ImagePaths:
    """Take words as paths, folders or patterns; a ValueError where a folder or pattern gives no image at all."""
    paths = ImagePaths(words=tuple(os.path.expanduser(str(word)) for word in words), stdin=stdin)  # noqa: PTH111 - as typed
    if not paths.words:
        raise ValueError("no image was named: give files, folders or patterns, or - for a list on standard input")
    for word in paths.words:
        is_list = word == STDIN and stdin is not None
        if (
            not is_list
            and (_is_pattern(word) or Path(word).is_dir())
            and next(iter(ImagePaths(words=(word,))), None) is None
        ):
            kind = "matches no file" if _is_pattern(word) else "holds no image"
            raise ValueError(f"{word} {kind}: give files, folders or patterns of images, or - for standard input")
    return paths


def decode_file(path: str, image_size: int) -> npt.NDArray[np.uint8] | str:
    """Read one file as training's images were read, image_HWC; where that fails, the reason in one line."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    if stat.S_ISDIR(status.st_mode):
        return "the folder cannot be read"
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    item = Item(path=path, container="", location=path, label=0, group="", frame=0, split="")
    result = try_image(read_image, item, image_size)
    return result if isinstance(result, str) else result[0]


def _lines(stdin: BinaryIO) -> Iterator[str]:
    """Paths, one a line, in the encoding of file names; empty lines are none."""
    number = 0
    while line := stdin.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"line {number} of standard input has more than {MAX_LINE_BYTES:,} bytes: one path a line")
        if text := os.fsdecode(line.rstrip(b"\r\n")):
            yield text


def _is_pattern(word: str) -> bool:
    return glob.has_magic(word) and not os.path.lexists(word)
