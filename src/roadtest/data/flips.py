"""Whether a left-right flip keeps every image in its class, as far as the images themselves can say.

The idea: the data check's classifier of small pictures (mirrors.py) reads flipped images. Where two classes are mirror
images of each other a flip changes the label, and flips are refused. Where flipped images of a class are no longer read
as that class, as with most digits and letters, nothing proves harm and nothing should be risked: flips stay off unless
the user says otherwise. They are on by themselves only where at least half of the classes could be judged and every one
of those is its own mirror image. Small pictures tell few natural photographs apart: there the user knows best.

Looked at are at most MAX_LOOKED images, evenly spread over the classes, never test images, and no pixel of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadtest.data.imageset import TEST, ImageSet
from roadtest.data.looks import SMALL_SIZE, describe_looks, shrink
from roadtest.data.mirrors import MIN_IMAGES, Mirrors, find_mirrors

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
