"""Traffic signs drawn by this program: the 43 classes of GTSRB without a download, for demonstrations and tests.

Plates are vector shapes of our own (plates, pictograms, letters, strokes); a track ages one and puts it into a scene
(wear, scene, track); a camera takes ten frames as it comes nearer (camera). An image depends on its key alone, so the
same seed gives the same pixels with any number of processes. It deliberately fits nothing to GTSRB's images: accuracy
here says that the machinery works and how networks rank on easy data, never how well they read real signs.
"""

import re

from PIL import Image

from roadtest.data.gtsrb_counts import NUM_TRAIN_BY_CLASS
from roadtest.data.gtsrb_names import CLASS_NAMES
from roadtest.data.imageset import TEST, TRAIN, Item, Listing
from roadtest.data.signs.camera import take_photo
from roadtest.data.signs.track import FRAMES_PER_TRACK, build_track, random_stream

__all__ = ["list_signs", "read_image"]

NUM_CLASSES = len(CLASS_NAMES)
DRAWING_VERSION = 1
"""Raise it whenever a change here moves a pixel: a cache of decoded images then draws anew."""
_MAX_IMAGES = 1_000_000
_KEY = re.compile(
    r"(?P<seed>[0-9]{1,19})/(?P<split>train|test)/(?P<label>[0-9]{1,6})/(?P<track>[0-9]{1,9})/(?P<frame>[0-9]{1,6})"
)
_NOTE = "The signs are drawn by the program: accuracies say nothing about real traffic signs."


def list_signs(*, num_train: int = 4300, num_test: int = 1290, seed: int = 0, is_skewed: bool = False) -> Listing:
    """List drawn images in tracks of ten, equally many per class or as skewed as GTSRB; draws nothing yet."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 10**19:
        raise ValueError(
            f"seed={seed!r} is not a seed: seeds are whole numbers of 1 to 19 digits; choose one such as 0"
        )
    items = [
        item
        for split, num_images in ((TRAIN, num_train), (TEST, num_test))
        for item in _items_of(split, _checked(f"num_{split}", num_images), seed, is_skewed=is_skewed)
    ]
    return Listing(
        source="signs",
        title="drawn signs",
        class_names=CLASS_NAMES,
        items=tuple(items),
        read_image=read_image,
        notes=(_NOTE,),
    )


def read_image(item: Item) -> Image.Image:
    """Draw the image whose key is the item's location, such as `0/train/14/3/7`: seed, split, class, track, frame."""
    seed, split, label, track, frame = _parsed(item.location)
    rng = random_stream(seed, split, label, track, frame)
    return take_photo(build_track(seed, split, label, track), frame, rng)


def _checked(name: str, num_images: int) -> int:
    least = NUM_CLASSES * FRAMES_PER_TRACK
    if isinstance(num_images, bool) or not isinstance(num_images, int) or not least <= num_images <= _MAX_IMAGES:
        raise ValueError(
            f"{name}={num_images!r} is out of range: a part has {least} images (one track of {FRAMES_PER_TRACK} frames "
            f"for each of {NUM_CLASSES} classes) to {_MAX_IMAGES}; choose a whole number between"
        )
    return num_images


def _items_of(split: str, num_images: int, seed: int, *, is_skewed: bool) -> list[Item]:
    """Deal whole tracks over the classes; where the number is no multiple of ten, the very last track is shorter."""
    num_tracks = -(-num_images // FRAMES_PER_TRACK)
    items = [
        _item(split, label, track, frame, seed)
        for label, num_of_class in enumerate(_tracks_per_class(num_tracks, is_skewed=is_skewed))
        for track in range(num_of_class)
        for frame in range(FRAMES_PER_TRACK)
    ]
    return items[:num_images]


def _tracks_per_class(num_tracks: int, *, is_skewed: bool) -> list[int]:
    """Give one track to every class and share out the rest by largest remainder."""
    shares = NUM_TRAIN_BY_CLASS if is_skewed else (1,) * NUM_CLASSES
    exact = [(num_tracks - NUM_CLASSES) * share / sum(shares) for share in shares]
    counts = [1 + int(part) for part in exact]
    by_remainder = sorted(range(NUM_CLASSES), key=lambda label: int(exact[label]) - exact[label])
    for label in by_remainder[: num_tracks - sum(counts)]:
        counts[label] += 1
    return counts


def _item(split: str, label: int, track: int, frame: int, seed: int) -> Item:
    group = f"{split}/{label:05d}/{track:05d}"
    return Item(
        path=f"{group}/{frame:05d}",
        container="",
        location=f"{seed}/{split}/{label}/{track}/{frame}",
        label=label,
        group=group,
        frame=frame,
        split=split,
        modified_ns=DRAWING_VERSION,
    )


def _parsed(key: str) -> tuple[int, str, int, int, int]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise ValueError(f"{key[:80]!r} is not a drawn sign: keys look like 0/train/14/3/7; list them with list_signs")
    seed, label, track, frame = (int(match[name]) for name in ("seed", "label", "track", "frame"))
    if label >= NUM_CLASSES:
        raise ValueError(f"{key!r} names class {label}: classes are 0 to {NUM_CLASSES - 1}; choose one of them")
    if frame >= FRAMES_PER_TRACK:
        raise ValueError(f"{key!r} names frame {frame}: frames are 0 to {FRAMES_PER_TRACK - 1}; choose one of them")
    return seed, match["split"], label, track, frame
