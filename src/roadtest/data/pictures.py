"""Read any picture file as upright 8-bit RGB, and refuse what has no clear meaning.

What becomes of the kinds: grey is repeated; a palette is looked up; transparency is laid over white, as a page shows
it; 16-bit grey keeps its high byte, as Pillow does for 16-bit colour; CMYK and YCbCr are converted without a colour
profile (profiles are not applied anywhere); the EXIF orientation is obeyed; of animations and stacks the first frame
counts. Floating-point pixels and integers beyond 16 bits have no agreed scale: they are refused, never guessed.

Files are untrusted: formats that start another program (EPS), that Pillow only recognises, or that older versions of it
unpack without a bound (FITS) are not opened, and an image of more than MAX_PIXELS is refused before a pixel of it is
decoded. What a file is called does not matter: its first bytes say what it is.
"""

import functools
import os
import warnings

import numpy as np
from PIL import Image, ImageOps

from roadtest.data.decode import MAX_PIXELS
from roadtest.data.imageset import Item

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
