"""Traffic signs drawn by this program: the 43 classes of GTSRB without a download, for demonstrations and tests.

Plates are vector shapes of our own (plates, pictograms, letters); a track ages one and puts it into a scene (wear, scene,
track); a camera takes ten frames as it comes nearer (camera). An image depends on its key alone, so the same seed gives
the same pixels with any number of processes. It deliberately fits nothing to GTSRB's images: a network's accuracy here
says that the machinery works, and how networks rank on easy data, never how well they read real signs.
"""

from PIL import Image

from ..gtsrb_names import CLASS_NAMES
from ..imageset import TEST, TRAIN, Item, Listing
from .camera import take_photo
from .track import FRAMES_PER_TRACK, SPLIT_CODES, build_track, random_stream

__all__ = ["list_signs", "read_image"]

NUM_CLASSES = len(CLASS_NAMES)
GTSRB_TRACKS = (
    7, 74, 75, 47, 66, 62, 14, 48, 47, 49, 67, 44, 70, 72, 26, 21, 14, 37, 40, 7, 12, 11, 13, 17, 9, 50, 20, 8, 18, 9, 15,
    26, 8, 23, 14, 40, 13, 7, 69, 10, 12, 8, 8,
)  # fmt: skip
"""Training tracks per class in GTSRB: the shape of a skewed set."""
_MAX_IMAGES = 1_000_000
_NOTE = "The signs are drawn by the program: accuracies say nothing about real traffic signs."


def list_signs(*, num_train: int = 4300, num_test: int = 1290, seed: int = 0, is_skewed: bool = False) -> Listing:
    """List drawn images in tracks of ten, equally many per class or as skewed as GTSRB; draws nothing yet."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"seed={seed!r} is not a seed: it must be a whole number from 0 on; choose one such as 0")
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
            f"{name}={num_images!r} is out of range: a part needs {least} (one track of {FRAMES_PER_TRACK} frames for each "
            f"of {NUM_CLASSES} classes) to {_MAX_IMAGES} images; choose a number between"
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
    """Share out tracks, one at least per class, the rest by largest remainder."""
    shares = GTSRB_TRACKS if is_skewed else (1,) * NUM_CLASSES
    exact = [num_tracks * share / sum(shares) for share in shares]
    counts = [max(1, int(part)) for part in exact]
    while sum(counts) < num_tracks:
        neediest = max(range(NUM_CLASSES), key=lambda label: exact[label] - counts[label])
        counts[neediest] += 1
    while sum(counts) > num_tracks:  # the classes that got their one track as a favour took it from the richest
        counts[max(range(NUM_CLASSES), key=lambda label: counts[label] - exact[label] + (counts[label] > 1) * 1e6)] -= 1
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
    )


def _parsed(key: str) -> tuple[int, str, int, int, int]:
    parts = key.split("/")
    numbers = [part for k, part in enumerate(parts) if k != 1]
    is_key = (
        len(parts) == 5
        and parts[1] in SPLIT_CODES
        and all(n.isascii() and n.isdigit() and len(n) < 20 for n in numbers)
    )
    if not is_key:
        raise ValueError(f"{key[:80]!r} is not a drawn sign: keys look like 0/train/14/3/7; list them with list_signs")
    seed, label, track, frame = (int(number) for number in numbers)
    if label >= NUM_CLASSES:
        raise ValueError(
            f"class {label} of {key!r} is not known: classes are 0 to {NUM_CLASSES - 1}; choose one of them"
        )
    if frame >= FRAMES_PER_TRACK:
        raise ValueError(
            f"frame {frame} of {key!r} is not there: tracks have {FRAMES_PER_TRACK}; choose 0 to {FRAMES_PER_TRACK - 1}"
        )
    return seed, parts[1], label, track, frame
