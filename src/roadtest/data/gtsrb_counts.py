"""What a complete GTSRB holds, and how far what lies there is from it: the one place with the published counts.

A set is compared image by image with the complete one, so that an error can name the first that is missing or extra.
"""

import functools
from collections.abc import Iterable, Sequence

from roadtest.data.archive import Entry
from roadtest.data.gtsrb_names import CLASS_NAMES
from roadtest.data.gtsrb_places import TrainImage

NUM_TRAIN_BY_CLASS = (
    *(210, 2220, 2250, 1410, 1980, 1860, 420, 1440, 1410, 1470, 2010, 1320, 2100, 2160, 780, 630, 420, 1110, 1200, 210),
    *(360, 330, 390, 510, 270, 1500, 600, 240, 540, 270, 450, 780, 240, 689, 420, 1200, 390, 210, 2070, 300, 360, 240),
    240,
)
"""Training images of each class; class 33 has the one track of 29 frames."""
NUM_TRAIN, NUM_TRACKS, NUM_TEST = 39_209, 1_307, 12_630
NUM_SMALLER_TRAIN, NUM_SMALLER_TRACKS = 26_640, 888
FRAMES_PER_TRACK = 30
ALLOW_SUBSET = "allow a subset (--subset)"


@functools.cache
def complete_frames() -> frozenset[tuple[int, int, int]]:
    """The (class, track, frame) of every training image: tracks of 30, but class 33's track 19, which has 29."""
    return frozenset(
        (label, *divmod(number, FRAMES_PER_TRACK))
        for label, num_images in enumerate(NUM_TRAIN_BY_CLASS)
        for number in range(num_images + (label == 33))
    ) - {(33, 19, 29)}


def is_complete_train(images: Iterable[TrainImage]) -> bool:
    """True for exactly the official training images."""
    return _frames(images) == complete_frames()


def is_smaller_train(images: Sequence[TrainImage]) -> bool:
    """True for torchvision's training set, an earlier stage of the competition."""
    return len(images) == NUM_SMALLER_TRAIN and num_tracks(images) == NUM_SMALLER_TRACKS


def num_tracks(images: Iterable[TrainImage]) -> int:
    """Count the tracks that have an image here."""
    return len({(image.label, image.track) for image in images})


def check_train_names(images: Iterable[TrainImage]) -> None:
    """Refuse a class that does not exist, a file in another class's folder, and an image that lies there twice."""
    seen: dict[tuple[int, int, int], Entry] = {}
    for image in images:
        if image.label >= len(CLASS_NAMES) or image.named_label != image.label:
            raise ValueError(
                f"{image.entry.where}: folder of class {image.label}, file of class {image.named_label}: both must be "
                f"the same from 0 to {len(CLASS_NAMES) - 1}; move it or unpack the data again"
            )
        first = seen.setdefault((image.label, image.track, image.frame), image.entry)
        if first is not image.entry:
            raise ValueError(f"{first.where} and {image.entry.where} are one image twice: it must lie once; remove one")


def check_train_counts(images: Sequence[TrainImage], where: object, hint: str, archive: str) -> None:
    """Name the first difference from the complete training set; `hint` says what may be the reason."""
    difference = _frames(images) ^ complete_frames()
    if not difference:
        return
    label, track, frame = min(difference)
    what = "is missing" if (label, track, frame) in complete_frames() else "is one too many"
    class_name = CLASS_NAMES[label]
    raise ValueError(
        f"{where} holds {len(images):,} training images; GTSRB has {NUM_TRAIN:,} in {NUM_TRACKS:,} tracks "
        f"(of class {label}, {class_name}, {track:05d}_{frame:05d} {what}{hint}): "
        f"take {archive} again, or {ALLOW_SUBSET}"
    )


def check_test_counts(found: Iterable[str], where: object, archive: str) -> None:
    """Name the first of the five-digit numbers that is missing or extra."""
    digits = set(found)
    difference = digits ^ {f"{number:05d}" for number in range(NUM_TEST)}
    if difference:
        first = min(difference)
        raise ValueError(
            f"{where} names {len(digits):,} test images; GTSRB has {NUM_TEST:,} ({first} is "
            f"{'one too many' if first in digits else 'missing'}): take {archive} again, or {ALLOW_SUBSET}"
        )


def title_and_notes(train_images: Sequence[TrainImage], num_test: int) -> tuple[str, tuple[str, ...]]:
    """What people call this set, and what a reader of its results must know."""
    num_classes = len({image.label for image in train_images})
    counts = (
        f"{len(train_images):,} of {NUM_TRAIN:,} training images in {num_tracks(train_images):,} of {NUM_TRACKS:,} "
        f"tracks, {num_classes} of {len(CLASS_NAMES)} classes, and {num_test:,} of {NUM_TEST:,} test images"
    )
    if num_test == NUM_TEST and is_smaller_train(train_images):
        return "torchvision's smaller GTSRB", (f"torchvision's smaller training set: {counts}.",)
    if num_test == NUM_TEST and is_complete_train(train_images):
        return "GTSRB", ()
    return "GTSRB (subset)", (f"A subset of GTSRB: {counts}.",)


def _frames(images: Iterable[TrainImage]) -> set[tuple[int, int, int]]:
    return {(image.label, image.track, image.frame) for image in images}
