"""Find images that are there twice: the same pixels, and pictures that look the same.

The idea: equal digests are copies. For pictures that were re-encoded, rescaled or brightened, the 64-bit hashes are cut
into bands; two hashes that differ in fewer bits than there are bands agree in at least one whole band, so only images
that share a band are compared, by the hashes' bits and then by their small pictures. Images of one known group are
never compared: frames of a track are alike by nature. It takes seconds for 50,000 images on one core.

What looks the same to this check is a copy for all practical purposes: on GTSRB two tracks of different signs hardly
ever come as near as MAX_DISTANCE. Crops by more than a pixel or two and rotations are not found.

What every image looks like, in a few bytes: a small picture, 64 bits of perceptual hash, a digest of its pixels.

The data check compares images by these instead of by their pixels: 50,000 images take 40 MB and a few seconds. A hash
bit says whether one of the lowest 64 frequencies (a cosine transform of the grey picture at even contrast) lies above
this data set's own median: half of the images have each bit set, so that a set of very similar pictures, such as round
signs, still spreads over all hashes. Hashes of two data sets do not compare.

Shapes: N images, H x W pixels, S x S small pictures, C = 3 channels (RGB).
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from roadtest.data.dataset import ImageSet
from roadtest.data.split import shuffled

Ints = npt.NDArray[np.int64]
MAX_DISTANCE = 0.15
"""Root mean square difference of two small pictures at even contrast (0: equal, 1.4: unrelated). 95 % of GTSRB's images
saved as JPEG (quality 90) or halved in brightness stay below; of its nearest pictures of two signs less than 1 %."""
MANY_IMAGES = 200_000
"""Above, four long bands instead of eight short ones: fewer comparisons, and only the nearest copies are found."""
MAX_BUCKET = 20_000
MAX_CANDIDATES = 500_000
_WINDOW = 4
"""In a bucket beyond the limits an image is compared with so many neighbours in the order of the hashes."""
_BLOCK = 256
NUM_RANDOM_PAIRS = 2000
_KEY = 64


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Which images are there twice; all numbers are rows of the image set."""

    copies: tuple[tuple[int, ...], ...]
    """Sets of images with the same pixels, each ascending, the sets in the order of their first image."""
    near_pairs_P2: Ints
    """Pairs of images of two groups (or of none) that look the same and do not have the same pixels, ascending."""
    is_complete: bool
    """False where so many images look alike that only neighbours were compared."""
    alike_share: float
    """Of random pairs of images, how many look the same; above a few percent, pairs say nothing any more."""


def chains(pairs_P2: Ints) -> list[tuple[int, ...]]:
    """Gather pairs into chains: images that are connected through others, each chain ascending."""
    parents: dict[int, int] = {}

    def root_of(row: int) -> int:
        while parents.setdefault(row, row) != row:
            parents[row] = parents[parents[row]]
            row = parents[row]
        return row

    for first, second in pairs_P2.tolist():
        low, high = sorted((root_of(first), root_of(second)))
        parents[high] = low
    members: defaultdict[int, list[int]] = defaultdict(list)
    for row in sorted(parents):
        members[root_of(row)].append(row)
    return [tuple(rows) for _, rows in sorted(members.items())]


def _group_numbers(groups: Sequence[str]) -> Ints:
    """A number per group; images without one get numbers of their own."""
    numbers = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[group] if group else -1 - row for row, group in enumerate(groups)], np.int64)


def _candidates(hashes_M: npt.NDArray[np.uint64], groups_M: Ints) -> tuple[Ints, bool]:
    """Pairs whose hashes differ in fewer bits than there are bands; and whether all of them were looked for."""
    num_bands = 8 if len(hashes_M) <= MANY_IMAGES else 4
    bands_MB = hashes_M.view(np.uint8 if num_bands == 8 else np.uint16).reshape(len(hashes_M), num_bands)
    found: list[Ints] = [np.empty((0, 2), np.int64)]
    num_found, is_complete = 0, True
    for band in range(num_bands):
        for bucket in _buckets(bands_MB[:, band]):
            is_crowded = len(bucket) > MAX_BUCKET or num_found > MAX_CANDIDATES
            is_complete &= not is_crowded
            search = _neighbour_pairs if is_crowded else _all_pairs
            for pairs_P2 in search(hashes_M, bucket, num_bands - 1):
                other_P2 = pairs_P2[groups_M[pairs_P2[:, 0]] != groups_M[pairs_P2[:, 1]]]
                found.append(np.sort(other_P2, axis=1))
                num_found += len(other_P2)
                if not is_crowded and num_found > MAX_CANDIDATES:
                    is_complete = False
                    break
    keys = np.unique(np.concatenate(found) @ np.array([len(hashes_M), 1]))
    return np.stack(np.divmod(keys, max(1, len(hashes_M))), axis=1), is_complete


def _buckets(keys_M: npt.NDArray[Any]) -> Iterator[Ints]:
    """The places of each key that occurs at least twice."""
    order_M = np.argsort(keys_M, kind="stable")
    starts = np.flatnonzero(np.diff(keys_M[order_M])) + 1
    yield from (bucket for bucket in np.split(order_M, starts) if len(bucket) > 1)


def _all_pairs(hashes_M: npt.NDArray[np.uint64], bucket: Ints, max_bits: int) -> Iterator[Ints]:
    hashes = hashes_M[bucket]
    for start in range(0, len(bucket), _BLOCK):
        differences = hashes[start : start + _BLOCK, None] ^ hashes[None, start:]
        rows, columns = np.nonzero(count_bits(differences) <= max_bits)
        is_pair = columns > rows
        yield np.stack([bucket[start + rows[is_pair]], bucket[start + columns[is_pair]]], axis=1)


def _neighbour_pairs(hashes_M: npt.NDArray[np.uint64], bucket: Ints, max_bits: int) -> Iterator[Ints]:
    ordered = bucket[np.argsort(hashes_M[bucket], kind="stable")]
    for offset in range(1, min(_WINDOW, len(ordered) - 1) + 1):
        differences = hashes_M[ordered[:-offset]] ^ hashes_M[ordered[offset:]]
        places = np.flatnonzero(count_bits(differences) <= max_bits)
        yield np.stack([ordered[places], ordered[places + offset]], axis=1)


_BITS_OF_16 = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)


def count_bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """How many bits are set in each 64-bit value."""
    if hasattr(np, "bitwise_count"):
        counts: npt.NDArray[np.uint8] = np.bitwise_count(values)
        return counts
    halves = np.ascontiguousarray(values).view(np.uint16).reshape(*values.shape, 4)  # numpy before 2.0
    summed: npt.NDArray[np.uint8] = _BITS_OF_16[halves].sum(axis=-1, dtype=np.uint8)
    return summed


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


def find_duplicates(image_set: ImageSet, looks: Looks) -> Duplicates:
    """Look for copies in the whole set, parts and classes alike; blank images are no copies of each other."""
    copies = _find_copies(looks)
    # Copies stand for each other: only the first of each set takes part in the search for look-alikes.
    is_later_N = looks.is_blank_N.copy()
    for same in copies:
        is_later_N[list(same[1:])] = True
    rows_M = np.flatnonzero(~is_later_N)
    pairs_P2, is_complete = _candidates(looks.hashes_N[rows_M], _group_numbers(image_set.groups)[rows_M])
    near_P2 = _near(rows_M[pairs_P2], looks)
    random_P2 = rows_M[np.stack([shuffled(len(rows_M), _KEY, side)[:NUM_RANDOM_PAIRS] for side in (0, 1)], axis=1)]
    random_P2 = random_P2[random_P2[:, 0] != random_P2[:, 1]]
    alike_share = len(_near(random_P2, looks)) / max(1, len(random_P2))
    return Duplicates(copies=copies, near_pairs_P2=near_P2, is_complete=is_complete, alike_share=alike_share)


def _find_copies(looks: Looks) -> tuple[tuple[int, ...], ...]:
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(looks.digests):
        if not looks.is_blank_N[row]:
            places[digest].append(row)
    return tuple(tuple(rows) for rows in places.values() if len(rows) > 1)


def _near(pairs_P2: Ints, looks: Looks) -> Ints:
    """The pairs whose small pictures, at even contrast, are nearly equal."""
    is_near_P = np.zeros(len(pairs_P2), np.bool_)
    for start in range(0, len(pairs_P2), 16 * _BLOCK):
        chunk_P2 = pairs_P2[start : start + 16 * _BLOCK]
        first, second = (even_contrast(looks.small_NSSC[chunk_P2[:, side]]) for side in (0, 1))
        squares_P = np.square(first - second).mean(axis=1)
        is_near_P[start : start + len(chunk_P2)] = squares_P <= MAX_DISTANCE**2
    return pairs_P2[is_near_P]


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
