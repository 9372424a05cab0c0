"""Find frames of one sequence in data without groups: by names, by neighbours that look alike, by near copies.

The idea: people number frames. Images of one class and folder whose names end in a number form a run per beginning of
the name (`00003_00017.png` is frame 17 of `00003`). Names alone prove nothing (`IMG_0001` to `IMG_0900` are photographs
of anything), so looks decide for the whole set: neighbours in a run must be nearer to each other than random pairs of
their class nearly always are. Then runs that are many in their class are taken whole, since the names say where they
end, and a class that is one long run is cut where neighbours stop looking alike. Chains of near copies (duplicates.py)
are groups too. The result depends on nothing but names, classes and pixels.

It proposes, it never applies by itself; groups that the data brought stay. Shapes: N images, P pairs.
"""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from roadtest.data.duplicates import Duplicates, chains, find_duplicates
from roadtest.data.imageset import VAL, ImageSet, Item, Listing
from roadtest.data.layout import HELD_OUT_NOTE, hold_out_test
from roadtest.data.looks import Looks, describe_looks

Ints = npt.NDArray[np.int64]
MAX_GAP = 2
"""Neighbours are images of one run whose numbers differ by at most so much: one frame may be missing."""
MIN_ALIKE = 0.85
"""How often neighbours must be nearer than a random pair of their class; 0.5 is chance. On GTSRB it is 0.99."""
MIN_NEIGHBOURS = 20
"""Fewer neighbours prove nothing."""
MAX_RANDOM_PAIRS = 20_000
CUT_QUANTILE = 0.10
"""A long run is cut where neighbours are further apart than this share of random pairs of their class."""
_KEY = 1957
_NUMBERED = re.compile(r"(?P<start>.*?)[ _.\-()#]*(?P<number>[0-9]{1,18})[)]?")


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """What was found in the images without a group."""

    groups: tuple[str, ...]
    """Per image of the set: its own group, else a proposed one, else an empty text."""
    num_by_name: int
    """Images in proposed groups that names and looks agree on."""
    num_by_looks: int
    """Further images, in chains of near copies."""
    likeness: float | None
    """How often neighbours are nearer than a random pair of their class; None where there are too few to say."""

    @property
    def num_found(self) -> int:
        """Images that would get a group."""
        return self.num_by_name + self.num_by_looks


def propose_groups(image_set: ImageSet) -> tuple[str, ...]:
    """A group for every image that seems to be one of a sequence; an empty text for images on their own."""
    looks = describe_looks(image_set)
    return find_sequences(image_set, looks, find_duplicates(image_set, looks)).groups


def find_sequences(image_set: ImageSet, looks: Looks, duplicates: Duplicates) -> Sequences:
    """Look for sequences among the images without a group."""
    runs = _numbered_runs(image_set)
    points_NT = _points(looks)
    neighbours_P2 = _neighbours(runs)
    random_P2 = _random_pairs(image_set, neighbours_P2)
    near_P, random_P = _distances(points_NT, neighbours_P2), _distances(points_NT, random_P2)
    likeness = _likeness(near_P, random_P)
    groups = list(image_set.groups)
    if likeness is not None and likeness >= MIN_ALIKE:
        _name_runs(groups, image_set, runs, points_NT, float(np.quantile(random_P, CUT_QUANTILE)))
    num_by_name = _count_new(groups, image_set.groups)
    _name_chains(groups, image_set, duplicates)
    return Sequences(
        groups=tuple(groups),
        num_by_name=num_by_name,
        num_by_looks=_count_new(groups, image_set.groups) - num_by_name,
        likeness=likeness,
    )


def with_groups(listing: Listing, paths: Sequence[str], groups: Sequence[str], *, seed: int = 0) -> Listing:
    """Put proposed groups into a listing; a test part that was held out from it is dealt anew, by whole groups.

    Images that are not among `paths` (broken ones) stay alone. Where the parts were given, a group that stands in two
    of them is cut between them: what leaks there cannot be repaired by groups.
    """
    proposed = dict(zip(paths, groups, strict=True))
    is_dealt = any(note.startswith(HELD_OUT_NOTE) for note in listing.notes)
    items = [replace(item, group=proposed.get(item.path, item.group)) for item in listing.items]
    if is_dealt:
        items = hold_out_test([replace(item, split="train") for item in items], seed=seed)
    else:
        items = _cut_between_parts(items)
    ranks = {"train": 0, VAL: 1, "test": 2}
    items.sort(key=lambda item: (ranks[item.split], item.label, item.group, _natural(item.path)))
    seen: Counter[str] = Counter()
    numbered = []
    for item in items:
        numbered.append(replace(item, frame=seen[item.group] if item.group else item.frame))
        seen[item.group] += 1
    numbered.sort(key=lambda item: (ranks[item.split], item.label, item.group, item.frame, item.path))
    note = f"{len(seen) - ('' in seen)} groups were proposed by names and looks."
    return replace(listing, items=tuple(numbered), notes=(*listing.notes, note))
