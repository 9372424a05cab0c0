"""Which classes are mirror images of each other, and which are their own: what a left-right flip would do to labels.

The idea: a simple classifier (linear discriminants on small pictures at even contrast) learns the classes as they are,
then reads flipped images. Where flipped images of A are read as B and those of B as A, far more often than unflipped
ones, and real images of B can hardly be told from flipped ones of A, a flip changes the label: "keep right" becomes
"keep left". The last condition matters: flipped lorries of one sign may resemble another sign's lorry more than
anything else, and are still not that sign. Where flipped images are read as before, the class is its own mirror image.

A class needs a few different things to be judged by: frames of one sign are one thing. Pairs are what was found, not
all there can be: classes that small pictures do not tell apart are passed over (natural photographs often).

Fisher, The use of multiple measurements in taxonomic problems, 1936. Shapes: M sampled images, K classes, S x S small
pictures of T = 3 S^2 values.

Whether a left-right flip keeps every image in its class, as far as the images themselves can say.

The idea: the data check's classifier of small pictures (flips.py) reads flipped images. Where two classes are mirror
images of each other a flip changes the label, and flips are refused. Where flipped images of a class are no longer read
as that class, as with most digits and letters, nothing proves harm and nothing should be risked: flips stay off unless
the user says otherwise. They are on by themselves only where at least half of the classes could be judged and every one
of those is its own mirror image. Small pictures tell few natural photographs apart: there the user knows best.

Looked at are at most MAX_LOOKED images, evenly spread over the classes, never test images, and no pixel of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from roadtest.data.audit.duplicates import SMALL_SIZE, Looks, describe_looks, even_contrast, shrink
from roadtest.data.dataset import TEST, ImageSet

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MAX_PER_CLASS = 300
MAX_SAMPLED = 20_000
MIN_IMAGES = 20
"""Of a class, to be judged at all."""
RIDGE = 0.1
"""Of the mean variance, added to each: there are about as many values in a picture as images in a class."""
MEAN_EXCESS, LEAST_EXCESS = 0.4, 0.15
"""How much more often flipped than upright images of one class of a pair are read as the other: on average over both
directions, and in each. On GTSRB's training images the four pairs have at least 0.48 and 0.27."""
TOLD_APART, TOLD_APART_SLOPE = 1.15, 0.4
"""Of a pair, at most TOLD_APART - TOLD_APART_SLOPE x (mean excess) may be told from the other's mirror images: where
flips are read as the other class more often, these must fool the classifier more often. It parts GTSRB's four pairs
(0.75 to 0.91 told apart) from the nearest false one (no overtaking for trucks and no trucks: excess 0.56, 0.99 told
apart), on its training images, on a third of them, and on drawn signs, all 43 classes or 12."""
SYMMETRIC_SHARE, MIN_RECALL = 0.75, 0.5
"""A class that is recognised at least this often (and well above chance) counts as its own mirror image if flips keep
this share of it."""


@dataclass(frozen=True, kw_only=True)
class MirroredPair:
    """Two classes, each the mirror image of the other."""

    label: int
    other: int


@dataclass(frozen=True, kw_only=True)
class Mirrors:
    """What left-right flips do to the classes."""

    pairs: tuple[MirroredPair, ...]
    symmetric: tuple[int, ...]
    """Classes whose flipped images are read as themselves."""
    judged: tuple[int, ...]
    """Classes with enough images that small pictures tell from the others; about the rest nothing is known."""


def find_mirrors(image_set: ImageSet, looks: Looks) -> Mirrors:
    """Judge the classes by their images outside the test part."""
    rows_M = _sample(image_set, looks)
    if len(rows_M) == 0:
        return Mirrors(pairs=(), symmetric=(), judged=())
    labels_M = image_set.labels_N[rows_M]
    classes, places_M = np.unique(labels_M, return_inverse=True)
    halves_M = _halves([image_set.groups[row] for row in rows_M], places_M)
    rates = _measure(even_contrast(looks.small_NSSC[rows_M]), places_M, halves_M, len(classes))
    pairs = tuple(MirroredPair(label=int(classes[a]), other=int(classes[b])) for a, b in _mirrored(rates))
    recalls_K, kept_K = rates.upright_KK.diagonal(), rates.flipped_KK.diagonal()
    is_judged_K = recalls_K >= MIN_RECALL + (1 - MIN_RECALL) / len(classes)  # of two classes one is right by chance
    is_symmetric_K = is_judged_K & (kept_K >= SYMMETRIC_SHARE * recalls_K)
    return Mirrors(
        pairs=pairs,
        symmetric=tuple(int(label) for label in classes[is_symmetric_K]),
        judged=tuple(int(label) for label in classes[is_judged_K]),
    )


@dataclass(frozen=True, kw_only=True)
class _Rates:
    """Per class, how images that the classifier has not seen are read; rows add up to 1."""

    upright_KK: Floats
    flipped_KK: Floats
    told_apart_KK: Floats
    """[a, b]: how often a real image of b is nearer to b than to the flipped a."""


def _sample(image_set: ImageSet, looks: Looks) -> Ints:
    """Rows of every class that can be judged, evenly over its groups, as many of each as there is room for."""
    is_test_N = np.asarray(image_set.splits) == TEST
    rows_N = np.flatnonzero(~is_test_N & ~looks.is_blank_N)
    order_N = rows_N[np.argsort(image_set.labels_N[rows_N], kind="stable")]
    starts = np.flatnonzero(np.diff(image_set.labels_N[order_N])) + 1
    most = max(MIN_IMAGES, min(MAX_PER_CLASS, MAX_SAMPLED // max(1, image_set.num_classes)))
    chosen = [
        members[np.linspace(0, len(members) - 1, min(most, len(members))).astype(np.int64)]
        for members in np.split(order_N, starts)
        if len(members) >= MIN_IMAGES
    ]
    return np.concatenate(chosen) if len(chosen) > 1 else np.empty(0, np.int64)


def _halves(groups: Sequence[str], places_M: Ints) -> npt.NDArray[np.bool_]:
    """Cut each class in two, by groups; where none are known, neighbours in the order of the paths stay together."""
    units: list[dict[str, int]] = [{} for _ in range(int(places_M.max()) + 1)]
    numbers = [
        units[place].setdefault(group or f"/{row}", len(units[place]))
        for row, (group, place) in enumerate(zip(groups, places_M.tolist(), strict=True))
    ]
    num_units_M = np.array([len(seen) for seen in units])[places_M]
    return np.array(numbers) * 2 >= num_units_M


def _measure(
    rows_MT: npt.NDArray[np.float32], places_M: Ints, halves_M: npt.NDArray[np.bool_], num_classes: int
) -> _Rates:
    """Learn from each half and read the other, upright and flipped."""
    upright, flipped, told_apart = (np.zeros((num_classes, num_classes)) for _ in range(3))
    flipped_MT = _flip(rows_MT)
    for half in (False, True):
        is_known_M = halves_M != half
        known = _Discriminants(rows_MT[is_known_M], places_M[is_known_M], num_classes)
        mirrored = known.of_flipped_classes()
        unseen_M = places_M[~is_known_M]
        scores_MK = known.scores(rows_MT[~is_known_M])
        np.add.at(upright, (unseen_M, scores_MK.argmax(axis=1)), 1)
        np.add.at(flipped, (unseen_M, known.scores(flipped_MT[~is_known_M]).argmax(axis=1)), 1)
        own_M1 = np.take_along_axis(scores_MK, unseen_M[:, None], axis=1)
        is_own_MK = own_M1 > mirrored.scores(rows_MT[~is_known_M])
        np.add.at(told_apart.T, unseen_M, is_own_MK)
    sizes_K = np.bincount(places_M, minlength=num_classes)
    return _Rates(
        upright_KK=upright / sizes_K[:, None],
        flipped_KK=flipped / sizes_K[:, None],
        told_apart_KK=told_apart / sizes_K[None, :],
    )


class _Discriminants:
    """One linear score per class: Gaussians of one shape around the classes' means. A class without images loses."""

    def __init__(self, rows_MT: npt.NDArray[np.float32], places_M: Ints, num_classes: int) -> None:
        sizes_K = np.bincount(places_M, minlength=num_classes)
        means_KT = np.zeros((num_classes, rows_MT.shape[1]), np.float32)
        for place in np.flatnonzero(sizes_K):
            means_KT[place] = rows_MT[places_M == place].mean(axis=0)
        around_MT = rows_MT - means_KT[places_M]
        spread_TT = around_MT.T @ around_MT / np.float32(len(rows_MT))
        spread_TT.flat[:: len(spread_TT) + 1] += RIDGE * np.trace(spread_TT) / len(spread_TT) + np.float32(1e-6)
        self._is_known_K = sizes_K > 0
        self._means_KT = means_KT
        self._spread_TT = spread_TT
        self._set_means(means_KT)

    def _set_means(self, means_KT: npt.NDArray[np.float32]) -> None:
        self._weights_TK = np.linalg.solve(self._spread_TT, means_KT.T)
        self._offsets_K = np.where(self._is_known_K, -0.5 * np.einsum("kt,tk->k", means_KT, self._weights_TK), -np.inf)

    def of_flipped_classes(self) -> "_Discriminants":
        """The same scores for the classes' mirror images."""
        mirrored = object.__new__(_Discriminants)
        mirrored.__dict__.update(self.__dict__)
        mirrored._set_means(_flip(self._means_KT))
        return mirrored

    def scores(self, rows_MT: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Higher is likelier."""
        scores_MK: npt.NDArray[np.float32] = rows_MT @ self._weights_TK + self._offsets_K
        return scores_MK


def _flip(rows_MT: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    pictures = rows_MT.reshape(len(rows_MT), SMALL_SIZE, SMALL_SIZE, 3)
    return np.ascontiguousarray(pictures[:, :, ::-1]).reshape(len(rows_MT), -1)


def _mirrored(rates: _Rates) -> list[tuple[int, int]]:
    """Pairs of places, each pair once, ascending."""
    excess_KK = rates.flipped_KK - rates.upright_KK
    mean_KK = (excess_KK + excess_KK.T) / 2
    least_KK = np.minimum(excess_KK, excess_KK.T)
    told_KK = (rates.told_apart_KK + rates.told_apart_KK.T) / 2
    is_fooled_KK = told_KK <= TOLD_APART - TOLD_APART_SLOPE * mean_KK
    is_pair_KK = (mean_KK >= MEAN_EXCESS) & (least_KK >= LEAST_EXCESS) & is_fooled_KK
    first, second = np.nonzero(np.triu(is_pair_KK, 1))
    return list(zip(first.tolist(), second.tolist(), strict=True))


MAX_LOOKED = 6_000
_CHUNK = 512


@dataclass(frozen=True, kw_only=True)
class FlipVerdict:
    """What flips would do to a data set, with the classes' names."""

    pairs: tuple[tuple[str, str], ...]
    """Classes that are mirror images of each other."""
    changed: tuple[str, ...]
    """Classes whose mirrored images are no longer read as theirs."""
    num_judged: int
    num_classes: int

    @property
    def is_safe(self) -> bool:
        """Whether flips may be on without anybody's word."""
        return not self.pairs and not self.changed and 2 * self.num_judged >= self.num_classes

    @property
    def reason(self) -> str:
        """One plain sentence, with what to do where the user knows better."""
        if self.pairs:
            return f"flips are off: {name_pairs(self.pairs)}"
        if self.changed:
            return (
                f"flips are off: mirrored images of {_name_some(self.changed)} are taken for something else, as with "
                "letters and digits; --flips on where left and right mean nothing"
            )
        judged = f"{self.num_judged} of {self.num_classes} classes"
        if not self.is_safe:
            return f"flips are off: only {judged} could be judged; --flips on where left and right mean nothing"
        return f"flips are on: {judged} could be judged, each is its own mirror image; --flips off where sides matter"


def judge_flips(image_set: ImageSet) -> FlipVerdict:
    """Read flipped images outside the test part with what was learned from the others."""
    return flip_verdict(sample_mirrors(image_set), image_set.class_names)


def sample_mirrors(image_set: ImageSet) -> Mirrors:
    """Judge the classes by evenly spread images outside the test part."""
    small = _sampled(image_set)
    if small is None:
        return Mirrors(pairs=(), symmetric=(), judged=())
    return find_mirrors(small, describe_looks(small))


def flip_verdict(mirrors: Mirrors, names: Sequence[str]) -> FlipVerdict:
    """What was found of the classes, by their names: the one rule for flips, of a study and of the data check."""
    return FlipVerdict(
        pairs=tuple((names[pair.label], names[pair.other]) for pair in mirrors.pairs),
        changed=tuple(names[label] for label in sorted(set(mirrors.judged) - set(mirrors.symmetric))),
        num_judged=len(mirrors.judged),
        num_classes=len(names),
    )


def name_pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    """`'left' and 'right' are mirror images of each other`, the first three pairs by name."""
    some = ", ".join(f"{one!r} and {other!r}" for one, other in pairs[:3])
    more = f" (and {len(pairs) - 3} more pairs)" if len(pairs) > 3 else ""
    return f"{some}{more} are mirror images of each other"


def _name_some(names: tuple[str, ...]) -> str:
    some = ", ".join(map(repr, names[:3]))
    return f"{some} and {len(names) - 3} more classes" if len(names) > 3 else some


def _sampled(image_set: ImageSet) -> ImageSet | None:
    """Evenly spread images of every class as small pictures; None where there are too few of any."""
    rows_N = np.flatnonzero(np.asarray(image_set.splits) != TEST)
    order_N = rows_N[np.argsort(image_set.labels_N[rows_N], kind="stable")]
    starts = np.flatnonzero(np.diff(image_set.labels_N[order_N])) + 1
    most = max(MIN_IMAGES, MAX_LOOKED // max(1, image_set.num_classes))
    chosen = [
        members[np.linspace(0, len(members) - 1, min(most, len(members))).astype(np.int64)]
        for members in np.split(order_N, starts)
    ]
    if not any(len(members) >= MIN_IMAGES for members in chosen):
        return None
    rows_M = np.sort(np.concatenate(chosen))
    small_MSSC = np.empty((len(rows_M), SMALL_SIZE, SMALL_SIZE, 3), np.uint8)
    for start in range(0, len(rows_M), _CHUNK):
        rows = rows_M[start : start + _CHUNK]
        small_MSSC[start : start + len(rows)] = shrink(image_set.images_NHWC[rows])
    return replace(
        image_set,
        images_NHWC=small_MSSC,
        labels_N=image_set.labels_N[rows_M],
        groups=tuple(image_set.groups[row] for row in rows_M),
        frames_N=image_set.frames_N[rows_M],
        splits=tuple(image_set.splits[row] for row in rows_M),
        paths=tuple(image_set.paths[row] for row in rows_M),
    )
