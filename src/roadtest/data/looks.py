"""What every image looks like, in a few bytes: a small picture, 64 bits of perceptual hash, a digest of its pixels.

The data check compares images by these instead of by their pixels: 50,000 images take 40 MB and a few seconds. A hash
bit says whether one of the lowest 64 frequencies (a cosine transform of the grey picture at even contrast) lies above
this data set's own median: half of the images have each bit set, so that a set of very similar pictures, such as round
signs, still spreads over all hashes. Hashes of two data sets do not compare.

Shapes: N images, H x W pixels, S x S small pictures, C = 3 channels (RGB).
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roadtest.data.imageset import ImageSet

SMALL_SIZE = 16
"""Side of the small pictures: a re-encoded or rescaled copy keeps them, and 1 % of an image's noise survives."""
HASH_BITS = 64
BLANK_LEVELS = 2
"""An image whose every channel spans at most so many levels shows nothing."""
CONTRAST_FLOOR = 4.0
"""Levels added to an image's deviation: noise in an almost even picture is not stretched into a pattern."""
_CHUNK = 2048


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What the data check knows about the pixels of N images."""

    small_NSSC: npt.NDArray[np.uint8]
    hashes_N: npt.NDArray[np.uint64]
    digests: tuple[bytes, ...]
    """Equal for equal decoded pixels."""
    is_blank_N: npt.NDArray[np.bool_]
    """Images of one even colour: all blank images are alike, and none is a copy of another."""


def describe_looks(image_set: ImageSet) -> Looks:
    """Read every image once."""
    images_NHWC = image_set.images_NHWC
    num_images = len(images_NHWC)
    small_NSSC = np.empty((num_images, SMALL_SIZE, SMALL_SIZE, 3), np.uint8)
    is_blank_N = np.zeros(num_images, np.bool_)
    digests: list[bytes] = []
    for start in range(0, num_images, _CHUNK):
        chunk_NHWC = np.ascontiguousarray(images_NHWC[start : start + _CHUNK])
        rows = slice(start, start + len(chunk_NHWC))
        small_NSSC[rows] = shrink(chunk_NHWC)
        spans_NC = np.ptp(chunk_NHWC.reshape(len(chunk_NHWC), -1, 3), axis=1)
        is_blank_N[rows] = spans_NC.max(axis=1) <= BLANK_LEVELS
        digests += [hashlib.blake2b(image_HWC.data, digest_size=16).digest() for image_HWC in chunk_NHWC]
    return Looks(small_NSSC=small_NSSC, hashes_N=_hashes(small_NSSC), digests=tuple(digests), is_blank_N=is_blank_N)


def shrink(images_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Average patches until SMALL_SIZE pixels a side are left; images must be at least that large."""
    size = images_NHWC.shape[1]
    assert images_NHWC.shape[1] == images_NHWC.shape[2] >= SMALL_SIZE
    factor, rest = divmod(size, SMALL_SIZE)
    if rest == 0:  # adding strided slices is several times faster than a mean over two axes
        sums = np.zeros((len(images_NHWC), SMALL_SIZE, SMALL_SIZE, 3), np.uint32)
        for row in range(factor):
            for column in range(factor):
                sums += images_NHWC[:, row::factor, column::factor]
        small: npt.NDArray[np.uint8] = ((sums + factor * factor // 2) // (factor * factor)).astype(np.uint8)
        return small
    edges = np.linspace(0, size, SMALL_SIZE + 1).round().astype(np.int64)
    sizes = np.diff(edges)
    sums = np.add.reduceat(images_NHWC, edges[:-1], axis=1, dtype=np.uint32)
    sums = np.add.reduceat(sums, edges[:-1], axis=2, dtype=np.uint32)
    areas = (sizes[:, None] * sizes[None, :]).astype(np.uint32)[None, :, :, None]
    return ((sums + areas // 2) // areas).astype(np.uint8)


def even_contrast(small_NSSC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """One row per image: its small picture minus its mean, over its deviation."""
    rows_NT = small_NSSC.reshape(len(small_NSSC), -1).astype(np.float32)
    rows_NT -= rows_NT.mean(axis=1, keepdims=True)
    rows_NT /= rows_NT.std(axis=1, keepdims=True) + np.float32(CONTRAST_FLOOR)
    return rows_NT


def _hashes(small_NSSC: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """64 bits per image; bit for bit the same on every machine but for values within rounding of the median."""
    frequencies_NB = np.empty((len(small_NSSC), HASH_BITS), np.float32)
    basis_TB = _lowest_frequencies()
    for start in range(0, len(small_NSSC), _CHUNK):
        grey_NSS = small_NSSC[start : start + _CHUNK].mean(axis=3, dtype=np.float32)
        rows_NT = grey_NSS.reshape(len(grey_NSS), -1)
        rows_NT -= rows_NT.mean(axis=1, keepdims=True)
        rows_NT /= rows_NT.std(axis=1, keepdims=True) + np.float32(CONTRAST_FLOOR)
        frequencies_NB[start : start + _CHUNK] = rows_NT @ basis_TB
    bits_NB = frequencies_NB > np.median(frequencies_NB, axis=0)
    hashes: npt.NDArray[np.uint64] = np.packbits(bits_NB, axis=1).view(np.uint64).ravel()
    return hashes


def _lowest_frequencies() -> npt.NDArray[np.float32]:
    """A column per frequency of the cosine transform, the lowest first, without the mean."""
    places = np.arange(SMALL_SIZE)
    waves = np.cos(np.pi * (2 * places[None, :] + 1) * places[:, None] / (2 * SMALL_SIZE))
    order = sorted(
        ((u, v) for u in range(SMALL_SIZE) for v in range(SMALL_SIZE) if u or v), key=lambda uv: (uv[0] + uv[1], uv)
    )
    columns = [np.outer(waves[u], waves[v]).ravel() for u, v in order[:HASH_BITS]]
    return np.stack(columns, axis=1).astype(np.float32)
