"""Find images that are there twice: the same pixels, and pictures that look the same.

The idea: equal digests are copies. For pictures that were re-encoded, rescaled or brightened, the 64-bit hashes are cut
into bands; two hashes that differ in fewer bits than there are bands agree in at least one whole band, so only images
that share a band are compared, by the hashes' bits and then by their small pictures. Images of one known group are
never compared: frames of a track are alike by nature. It takes seconds for 50,000 images on one core.

What looks the same to this check is a copy for all practical purposes: on GTSRB two tracks of different signs hardly
ever come as near as MAX_DISTANCE. Crops by more than a pixel or two and rotations are not found.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from roadtest.data.imageset import ImageSet
from roadtest.data.looks import Looks, even_contrast
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


def _find_copies(looks: Looks) -> tuple[tuple[int, ...], ...]:
    places: defaultdict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(looks.digests):
        if not looks.is_blank_N[row]:
            places[digest].append(row)
    return tuple(tuple(rows) for rows in places.values() if len(rows) > 1)


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


def _near(pairs_P2: Ints, looks: Looks) -> Ints:
    """The pairs whose small pictures, at even contrast, are nearly equal."""
    is_near_P = np.zeros(len(pairs_P2), np.bool_)
    for start in range(0, len(pairs_P2), 16 * _BLOCK):
        chunk_P2 = pairs_P2[start : start + 16 * _BLOCK]
        first, second = (even_contrast(looks.small_NSSC[chunk_P2[:, side]]) for side in (0, 1))
        squares_P = np.square(first - second).mean(axis=1)
        is_near_P[start : start + len(chunk_P2)] = squares_P <= MAX_DISTANCE**2
    return pairs_P2[is_near_P]
