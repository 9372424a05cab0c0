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
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from roadtest.data.audit.duplicates import Duplicates, Looks, chains, describe_looks, find_duplicates
from roadtest.data.dataset import PART_ORDER, TRAIN, ImageSet, Item, Listing, Note
from roadtest.data.sources.layout import SPLIT_WORDS, canonical, hold_out_note, hold_out_test, torn_groups
from roadtest.data.split import shuffled

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Run = tuple[str, Ints, Ints]
"""Name, rows of its images in the order of their numbers, the numbers."""
MAX_GAP = 2
"""Neighbours are images of one run whose numbers differ by at most so much: one frame may be missing."""
MIN_ALIKE = 0.85
"""How often neighbours must be nearer than a random pair of their class; 0.5 is chance, GTSRB's frames have 0.99."""
MIN_NEIGHBOURS = 20
"""Fewer prove nothing."""
MAX_NEIGHBOURS = 20_000
MAX_WHOLE = 200
"""Runs up to this length are taken whole where their class has several."""
CUT_QUANTILE = 0.20
"""A long run is cut where neighbours are further apart than this share of random pairs of their class. With GTSRB's
frames numbered through, of 0.10, 0.15, 0.20 and 0.30 this one gave as many tracks torn as tracks joined."""
_KEY = 1957
_NUMBERED = re.compile(r"(?P<start>.*?)[ _.()#-]*(?P<number>[0-9]{1,18})[)]?")


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """What was found in the images without a group."""

    groups: tuple[str, ...]
    """Per image of the set: its own group, else a proposed one, else an empty text."""
    num_by_name: int
    """Images in proposed groups that names and looks agree on."""
    likeness: float | None
    """How often neighbours are nearer than a random pair of their class; None where there are too few to say."""


def propose_groups(image_set: ImageSet) -> tuple[str, ...]:
    """A group for every image that seems to be one of a sequence; an empty text for images on their own."""
    looks = describe_looks(image_set)
    return find_sequences(image_set, looks, find_duplicates(image_set, looks)).groups


def find_sequences(image_set: ImageSet, looks: Looks, duplicates: Duplicates) -> Sequences:
    """Look for sequences among the images without a group."""
    points_NT = _points(looks)
    groups = list(image_set.groups)
    likenesses = []
    for classes in _numbered_runs(image_set).values():
        likeness, cut = _compare_neighbours(points_NT, classes)
        if likeness is not None:
            likenesses.append(likeness)
            if likeness >= MIN_ALIKE:
                _name_runs(groups, classes, points_NT, cut)
    num_by_name = sum(bool(group) and not brought for group, brought in zip(groups, image_set.groups, strict=True))
    _name_chains(groups, image_set, duplicates)
    return Sequences(groups=tuple(groups), num_by_name=num_by_name, likeness=max(likenesses, default=None))


def with_groups(listing: Listing, paths: Sequence[str], groups: Sequence[str], *, seed: int = 0) -> Listing:
    """Put proposed groups into a listing; a test part that was held out of it is dealt anew, by whole groups.

    Images that are not among `paths` (broken ones) keep what they have. Where the parts were given, a group that stands
    in two of them becomes two: what leaks there cannot be repaired by groups. A group that the data brought that way
    stays as it is: the data check must find it.
    """
    proposed = dict(zip(paths, groups, strict=True))
    items = [replace(item, group=proposed.get(item.path, item.group)) for item in listing.items]
    notes = [note for note in listing.notes if note.kind != "held out"]
    if listing.is_test_held_out:
        items = hold_out_test([replace(item, split=TRAIN) for item in items], seed=seed)
        notes.append(hold_out_note(items))
    else:
        torn = torn_groups((item.group, item.split) for item in listing.items)
        items = _cut_between_parts(items, kept=torn)
    num_groups = len({item.group for item in items} - {""})
    notes.append(Note(text=f"{num_groups} groups were proposed by roadtest, by names and looks (--group auto)."))
    return replace(listing, items=tuple(_numbered_frames(items)), notes=tuple(notes), group_origin="auto")


def _numbered_runs(image_set: ImageSet) -> dict[str, dict[int, list[Run]]]:
    """Scope (a part's folder, or nothing) -> class -> its runs of two images and more."""
    rows: defaultdict[tuple[str, int, str], list[tuple[int, int]]] = defaultdict(list)
    for row, path in enumerate(image_set.paths):
        start, number = numbered(path)
        if number >= 0 and not image_set.groups[row]:
            first = path.partition("/")[0]
            scope = first if first.lower() in SPLIT_WORDS else ""
            rows[scope, int(image_set.labels_N[row]), start].append((number, row))
    runs: defaultdict[str, defaultdict[int, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for (scope, label, start), pairs in sorted(rows.items()):
        if len(pairs) > 1:
            ordered = np.array(sorted(pairs), np.int64)
            runs[scope][label].append((start, ordered[:, 1], ordered[:, 0]))
    return {scope: dict(classes) for scope, classes in runs.items()}


def numbered(path: str) -> tuple[str, int]:
    """Cut `a/00003_00017.png` into `a/00003` and 17; -1 where a name does not end in a number."""
    folder, name = posixpath.split(path)
    found = _NUMBERED.fullmatch(name if "." not in name else name[: name.rindex(".")])
    if found is None:
        return path, -1
    return posixpath.join(folder, found["start"]), int(found["number"])


def _points(looks: Looks) -> Floats:
    """One row per image: 8 x 8 colours on a logarithmic scale, light and all: frames of one scene share both."""
    small = looks.small_NSSC.astype(np.uint16)
    sums = small[:, ::2, ::2] + small[:, 1::2, ::2] + small[:, ::2, 1::2] + small[:, 1::2, 1::2]
    points_NT: Floats = np.log1p(sums.reshape(len(sums), -1).astype(np.float32) / 4)
    return points_NT


def _compare_neighbours(points_NT: Floats, classes: dict[int, list[Run]]) -> tuple[float | None, float]:
    """How often neighbours are nearer than a random pair of their class, and from which distance on runs are cut."""
    firsts, seconds, others = [], [], []
    for label, runs in classes.items():
        places = [np.flatnonzero(np.diff(numbers) <= MAX_GAP) for _, _, numbers in runs]
        firsts += [rows[found] for (_, rows, _), found in zip(runs, places, strict=True)]
        seconds += [rows[found + 1] for (_, rows, _), found in zip(runs, places, strict=True)]
        # One shuffle a class: a class may have a hundred thousand runs, and always has fewer neighbours than images.
        members = np.concatenate([rows for _, rows, _ in runs])
        others.append(members[shuffled(len(members), _KEY, label)[: sum(map(len, places))]])
    first_P, second_P, other_P = (np.concatenate(parts) for parts in (firsts, seconds, others))
    is_fair_P = (other_P != first_P) & (other_P != second_P)
    kept = np.flatnonzero(is_fair_P)
    if len(kept) < MIN_NEIGHBOURS:
        return None, 0.0
    kept = kept[np.linspace(0, len(kept) - 1, min(len(kept), MAX_NEIGHBOURS)).astype(np.int64)]
    near_P = _distances(points_NT, first_P[kept], second_P[kept])
    random_P = _distances(points_NT, first_P[kept], other_P[kept])
    return float((near_P < random_P).mean()), float(np.quantile(random_P, CUT_QUANTILE))


def _distances(points_NT: Floats, first_P: Ints, second_P: Ints) -> Floats:
    squares_P: Floats = np.square(points_NT[first_P] - points_NT[second_P]).mean(axis=1)
    return np.sqrt(squares_P)


def _name_runs(groups: list[str], classes: dict[int, list[Run]], points_NT: Floats, cut: float) -> None:
    """Name short runs whole where a class has several, and the pieces of all others."""
    for runs in classes.values():
        for start, rows, numbers in runs:
            is_whole = len(runs) > 1 and len(rows) <= MAX_WHOLE
            for piece in [np.arange(len(rows))] if is_whole else _pieces(points_NT, rows, numbers, cut):
                name = start if is_whole else f"{start}#{numbers[piece[0]]}"
                for place in piece if len(piece) > 1 else ():
                    groups[rows[place]] = name


def _pieces(points_NT: Floats, rows: Ints, numbers: Ints, cut: float) -> list[Ints]:
    """Cut a run between two images where nothing across the cut looks alike, one blurred frame notwithstanding."""
    is_far = _distances(points_NT, rows[:-1], rows[1:]) > cut
    if len(rows) > 2:
        is_far_by_two = _distances(points_NT, rows[:-2], rows[2:]) > cut
        is_far[1:] &= is_far_by_two
        is_far[:-1] &= is_far_by_two
    is_cut = is_far | (np.diff(numbers) > MAX_GAP)
    return np.split(np.arange(len(rows)), np.flatnonzero(is_cut) + 1)


def _name_chains(groups: list[str], image_set: ImageSet, duplicates: Duplicates) -> None:
    """Join images and groups of one class that share a near copy; groups that the data brought are never joined."""
    pairs = [(same[0], other) for same in duplicates.copies for other in same[1:]]
    pairs_P2 = np.concatenate([np.array(pairs, np.int64).reshape(-1, 2), duplicates.near_pairs_P2])
    labels_P2 = image_set.labels_N[pairs_P2]
    pairs_P2 = pairs_P2[labels_P2[:, 0] == labels_P2[:, 1]]
    members: defaultdict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        if group:
            members[group].append(row)
    # An image in a group is stood for by the group's first image.
    stands_for = np.array([members[group][0] if group else row for row, group in enumerate(groups)], np.int64)
    for chain in chains(stands_for[pairs_P2]):
        brought = {image_set.groups[row] for row in chain} - {""}
        if len(chain) < 2 or len(brought) > 1:
            continue
        name = min(brought or {groups[row] for row in chain} - {""}, default=f"like {image_set.paths[chain[0]]}")
        for row in chain:
            for member in members[groups[row]] if groups[row] else [row]:
                groups[member] = name


def _cut_between_parts(items: Sequence[Item], *, kept: Container[str]) -> list[Item]:
    """Give a group's images in a second part a group of their own, unless the group is to be kept."""
    homes: dict[str, str] = {}
    for item in items:
        homes.setdefault(item.group, item.split)
    return [
        replace(item, group=f"{item.group}@{item.split}")
        if item.group and homes[item.group] != item.split and item.group not in kept
        else item
        for item in items
    ]


def _numbered_frames(items: Sequence[Item]) -> list[Item]:
    """In canonical order; frames follow the numbers in the names."""
    ordered = sorted(items, key=lambda one: (PART_ORDER[one.split], one.label, one.group, *numbered(one.path)[::-1]))
    seen: Counter[str] = Counter()
    framed = []
    for item in ordered:
        framed.append(replace(item, frame=seen[item.group]) if item.group else item)
        seen[item.group] += 1
    return sorted(framed, key=canonical)
