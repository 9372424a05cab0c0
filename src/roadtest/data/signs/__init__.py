"""Traffic signs drawn by this program: the 43 classes of GTSRB without a download, for demonstrations and tests.

Plates are vector shapes of our own (plates, makers, pictograms, letters, strokes); a track ages one and puts it into a
scene (wear, scene, track); a camera takes ten frames as it comes nearer (camera). An image depends on its key alone, so
the same seed gives the same pixels with any number of processes. No program fits anything to GTSRB's images, but people
looked at them (LEVEL). Accuracy here says that the machinery works and how networks rank on easy data, never how well
they read real signs; for that, test on them (data/join.py).

What a set of drawn signs is asked to be, as one word: `signs`, `signs:20000,skewed`, `signs:20000,worlds,seed=3`.

After the colon stand, in any order and with commas between them: a number of training images, `test=N` of test images,
`skewed` (classes as frequent as in GTSRB), `wild` (as varied as real roads), `worlds` (wild too, with a validation part
from worlds that training never shows) and `seed=N`. One word instead of options, because it then goes wherever a source
goes and names the study's folder.
"""

import re
from dataclasses import dataclass, fields

from PIL import Image

from roadtest.data.dataset import TEST, TRAIN, VAL, Item, Listing, Note
from roadtest.data.gtsrb_classes import CLASS_NAMES, NUM_TRAIN_BY_CLASS
from roadtest.data.signs.camera import take_photo
from roadtest.data.signs.scene import AWAY, HOME, WILD, WILD_TEST
from roadtest.data.signs.track import FRAMES_PER_TRACK, build_track, open_rng

__all__ = ["LEVEL", "NOTE", "SignsSpec", "is_synthetic", "list_signs", "parse_signs", "read_image", "read_settings"]
LEVEL = "real-selected"
"""What the generator owes to real images: of `zero-real` (no GTSRB pixel or statistic), `statistics` (laws of light or
size fitted to its training images) and `real-selected` (chosen beside its labelled training images, without a gradient
from them), the last: plates, colours, light and sizes were drawn while looking at them (docs/log.md)."""
NUM_CLASSES = len(CLASS_NAMES)
PIXEL_VERSION = 11
"""Raise it whenever a change here moves a pixel: a cache of decoded images then draws anew."""
_MAX_IMAGES = 1_000_000
_KEY = re.compile(
    r"(?P<seed>[0-9]{1,19})/(?P<part>train|test|home|away|wild|wildtest)/(?P<label>[0-9]{1,6})/(?P<track>[0-9]{1,9})/(?P<frame>[0-9]{1,6})"
)
NOTE = Note(text="The signs are drawn by the program: accuracies say nothing about real traffic signs.")
_WORLDS_NOTE = Note(
    text="Validation shows backgrounds, styles of plates, lights and cameras that training never shows."
)


def list_signs(
    *,
    num_train: int = 4300,
    num_test: int = 1290,
    seed: int = 0,
    is_skewed: bool = False,
    is_wild: bool = False,
    has_domains: bool = False,
) -> Listing:
    """List drawn images in tracks of ten, equally many per class or as skewed as GTSRB; draws nothing yet.

    Wild ones are as varied as real roads. With worlds, which are wild too, a validation part, as large as the test
    part, shows what training never does.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 10**19:
        raise ValueError(
            f"seed={seed!r} is not a seed: seeds are whole numbers of 1 to 19 digits; choose one such as 0"
        )
    train, test = (WILD, WILD_TEST) if is_wild or has_domains else (TRAIN, TEST)
    parts = [(TRAIN, HOME if has_domains else train, "num_train", num_train), (TEST, test, "num_test", num_test)]
    if has_domains:
        parts.insert(1, (VAL, AWAY, "num_test", num_test))
    items = [
        item
        for split, part, name, num_images in parts
        for item in _items_of(split, part, _checked(name, num_images), seed, is_skewed=is_skewed)
    ]
    return Listing(
        source="signs",
        title="drawn signs",
        class_names=CLASS_NAMES,
        items=tuple(items),
        read_image=read_image,
        notes=(NOTE, _WORLDS_NOTE) if has_domains else (NOTE,),
        subject="signs",
        group_origin="given",
    )


def read_image(item: Item) -> Image.Image:
    """Draw the image whose key is the item's location, such as `0/train/14/3/7`: seed, part, class, track, frame."""
    seed, part, label, track, frame = _parsed(item.location)
    rng = open_rng(seed, part, label, track, frame)
    return take_photo(build_track(seed, part, label, track), frame, rng)


def _checked(name: str, num_images: int) -> int:
    least = NUM_CLASSES * FRAMES_PER_TRACK
    if isinstance(num_images, bool) or not isinstance(num_images, int) or not least <= num_images <= _MAX_IMAGES:
        raise ValueError(
            f"{name}={num_images!r} is out of range: a part has {least} images (one track of {FRAMES_PER_TRACK} frames "
            f"for each of {NUM_CLASSES} classes) to {_MAX_IMAGES}; choose a whole number between"
        )
    return num_images


def _items_of(split: str, part: str, num_images: int, seed: int, *, is_skewed: bool) -> list[Item]:
    """Deal whole tracks over the classes; where the number is no multiple of ten, the very last track is shorter."""
    num_tracks = -(-num_images // FRAMES_PER_TRACK)
    items = [
        _item(split, part, label, track, frame, seed)
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


def _item(split: str, part: str, label: int, track: int, frame: int, seed: int) -> Item:
    group = f"{split}/{label:05d}/{track:05d}"
    return Item(
        path=f"{group}/{frame:05d}",
        container="",
        location=f"{seed}/{part}/{label}/{track}/{frame}",
        label=label,
        group=group,
        frame=frame,
        split=split,
        modified_ns=PIXEL_VERSION,
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
    return seed, match["part"], label, track, frame


NAME = "signs"
MAX_SEED = 10**19 - 1
_SETTING = re.compile(r"(?:(?P<name>test|seed)=)?(?P<number>[0-9]{1,19})")
_FLAGS = {"skewed": "is_skewed", "wild": "is_wild", "worlds": "has_domains"}
_NAMES = {None: "num_train", "test": "num_test", "seed": "seed"}


@dataclass(frozen=True, kw_only=True)
class SignsSpec:
    """A drawn set: the same one is the same pixels."""

    num_train: int = 4300
    num_test: int = 1290
    seed: int = 0
    is_skewed: bool = False
    """Classes are as frequent as in GTSRB's training images, instead of equally so."""
    is_wild: bool = False
    """Light, cameras and makers are as varied as on real roads: harder, and it teaches more of real signs."""
    has_domains: bool = False
    """Training shows some backgrounds, makers' styles, lights and cameras, and a validation part shows the others."""

    @property
    def word(self) -> str:
        """The shortest word for it: equal drawings have equal words."""
        plain = SignsSpec()
        settings = [str(self.num_train)] if self.num_train != plain.num_train else []
        settings += [f"test={self.num_test}"] if self.num_test != plain.num_test else []
        settings += [flag for flag, name in _FLAGS.items() if getattr(self, name)]
        settings += [f"seed={self.seed}"] if self.seed != plain.seed else []
        return f"{NAME}:{','.join(settings)}" if settings else NAME


def is_synthetic(source: str) -> bool:
    """Whether a source's word asks for drawn signs; a folder of that name is `./signs`."""
    return source == NAME or source.startswith(f"{NAME}:")


def parse_signs(source: str) -> SignsSpec:
    """Read `signs` or `signs:...`; a ValueError in one line where a setting is none, or stands there twice."""
    assert is_synthetic(source), source
    settings = source.removeprefix(NAME).removeprefix(":")
    return read_settings(source, settings.split(",")) if source != NAME else SignsSpec()


def read_settings(source: str, settings: list[str]) -> SignsSpec:
    """Read the settings of a drawing; `source` is what the user wrote, for the refusal."""
    chosen: dict[str, int | bool] = {}
    for setting in settings:
        name, value = _read(setting)
        if name is None or name in chosen:
            what = "stands there twice" if name else "is no setting of drawn signs"
            raise ValueError(
                f"{source[:80]!r}: {setting[:40]!r} {what}: a number of training images, test=N, seed=N, skewed, wild "
                "and worlds are settings, with commas; write for instance signs:20000,skewed"
            )
        chosen[name] = value
    return SignsSpec(**chosen)  # type: ignore[arg-type]


def _read(setting: str) -> tuple[str | None, int | bool]:
    if setting in _FLAGS:
        return _FLAGS[setting], True
    match = _SETTING.fullmatch(setting)
    if match is None:
        return None, False
    return _NAMES[match["name"]], int(match["number"])


assert {*_FLAGS.values(), *_NAMES.values()} == {field.name for field in fields(SignsSpec)}
