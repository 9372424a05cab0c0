"""Training images from one source, validation or test images from another, and drawn signs mixed among real ones.

    roadtest compare signs:20000 --test-on gtsrb            learns from drawn signs alone, is tested on real ones
    roadtest compare signs:20000 --validate-on gtsrb --no-test       chooses by GTSRB's training images
    roadtest compare gtsrb --mix signs:0.3                  30 % of every batch are drawn signs

`--validate-on` takes the other source's training images, which may be looked at as often as one likes; `--test-on`
takes its test images, or all of a folder without parts, and every reading is a line in the ledger under that data set's
own fingerprint. Mixed images are a part of their own behind all others: the real images keep their numbers, and so
their augmentation.

Drawn signs among the real images of an epoch: which stand in which batch.

An epoch with drawn signs has as many steps as without: in every batch the last images of the real ones' order give way.
So the control for "do drawn signs help?" is the same command without them. S steps, B images of a batch.

Put parts of several data sets into one: training images from here, test images from there.

The rows are copied once into an array of their own in the cache, `joined-<key>-<generation>`, so that all that follows
knows one memory-mapped file and one numbering of images, as with any data set. Copying needs no decoding: a hundred
megabytes a second or two. Shapes: N images, H x W pixels, C = 3 channels (RGB).
"""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from roadtest.data.cache import RowFile, published_folder, read_only
from roadtest.data.dataset import DRAWN, TEST, TRAIN, VAL, ImageSet
from roadtest.data.open import open_source
from roadtest.data.signs import LEVEL, NOTE, Drawing, is_drawn, list_signs, read_settings
from roadtest.data.sources.gtsrb import CLASS_NAMES
from roadtest.data.sources.layout import HELD_OUT
from roadtest.records import write_atomically

NUM_MIXED = 12_900
"""Drawn images that are mixed in where the user names no number: 30 tracks of each class."""


_LEAST_TEST = 430  # a drawing has a test part, and nobody looks at a mixed one's


_SHARE = re.compile(r"(?P<number>[0-9]{0,4}\.?[0-9]{1,6})(?P<percent>%?)")


LEVELS = {
    "zero-real": "no pixel or statistic of GTSRB was consulted, and drawn signs alone chose",
    "statistics": "laws of light or size were fitted to GTSRB's training images",
    "real-selected": "drawing and recipe were chosen beside labelled GTSRB training images, with no gradient from them",
}


def parse_mix(text: str) -> tuple[float, Drawing]:
    """Read `signs:0.3` or `signs:30%,20000,skewed`: the share of every batch, and which drawn signs."""
    share, *settings = text.removeprefix("signs").removeprefix(":").split(",")
    match = _SHARE.fullmatch(share)
    if not is_drawn(text) or match is None:
        raise ValueError(
            f"--mix {text[:80]!r} is not understood: it takes drawn signs and their share of every batch, such as "
            "signs:0.3; the settings of the signs may follow, as in signs:0.3,20000,skewed"
        )
    fraction = float(match["number"]) / (100 if match["percent"] else 1)
    if not 0 < fraction <= 0.99:
        raise ValueError(
            f"--mix {text[:80]!r}: a share of {share} is out of range: it must lie above 0 and be at most 0.99; "
            "leave --mix out for none, or compare signs for drawn signs alone"
        )
    drawing = read_settings(text, settings) if settings else Drawing(num_train=NUM_MIXED)
    if drawing.has_worlds or drawing.num_test != Drawing().num_test:
        raise ValueError(
            f"--mix {text[:80]!r}: worlds and test=N are about validation and test, and mixed signs are only trained "
            "on: leave them out"
        )
    if not any(setting.isdecimal() for setting in settings):
        drawing = replace(drawing, num_train=NUM_MIXED)
    return fraction, replace(drawing, num_test=_LEAST_TEST)


def check_sources(source: str, *, mix: str | None, test_on: str | None, validate_on: str | None) -> None:
    """Refuse, before anything is decoded, what cannot be put together."""
    if mix is not None:
        list_signs(**vars(parse_mix(mix)[1]))  # refuses impossible numbers
        if is_drawn(source):
            raise ValueError(f"--mix {mix} goes with real images, and {source} are drawn: leave it out")
    for name, word in (("--test-on", test_on), ("--validate-on", validate_on)):
        if word is None:
            continue
        if word.startswith("gtsrb:"):
            raise ValueError(
                f"{name} {word[:80]!r} is not known: GTSRB's test images are --test-on gtsrb, its training images "
                "--validate-on gtsrb; give one of these"
            )
        if _place(word) == _place(source):
            raise ValueError(
                f"{name} {word} names the data that is trained on: it takes another source; leave it out, "
                f"{source} has images of its own for that"
            )


def open_mixed(
    source: str,
    *,
    mix: str | None = None,
    test_on: str | None = None,
    validate_on: str | None = None,
    image_size: int,
    cache_dir: Path,
    data_dir: Path | None = None,
    is_subset_allowed: bool = False,
    skip_broken: bool = False,
    group: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_download: Callable[[int, int], None] | None = None,
) -> ImageSet:
    """Open a source, and what is to be mixed in or tested and validated on; the source as it is where that is nothing.

    Raise a ValueError in one line where the parts do not fit together.
    """
    check_sources(source, mix=mix, test_on=test_on, validate_on=validate_on)
    others = [word for word in (test_on, validate_on) if word is not None]
    is_gtsrb_needed = source != "gtsrb" and "gtsrb" in others
    opened: dict[str, ImageSet] = {}

    def open_word(word: str) -> ImageSet:
        # GTSRB's own options go to GTSRB, wherever it stands; without it the source refuses them.
        has_options = word == "gtsrb" or (word == source and not is_gtsrb_needed)
        if word not in opened:
            opened[word] = open_source(
                word,
                image_size=image_size,
                cache_dir=cache_dir,
                data_dir=data_dir if has_options else None,
                is_subset_allowed=is_subset_allowed if has_options else False,
                skip_broken=skip_broken,
                group=group if word == source else None,
                is_trained_on=word != test_on,
                on_progress=on_progress,
                on_download=on_download,
            )
        return opened[word]

    base = open_word(source)
    if mix is None and not others:
        return base
    for word in (*others, *(["signs"] if mix is not None else [])):
        if word == "gtsrb" or is_drawn(word):  # told now, not after minutes of decoding
            _check_classes({"gtsrb": "GTSRB"}.get(word, "drawn signs"), CLASS_NAMES, base)
    drawn = open_word(parse_mix(mix)[1].word) if mix is not None else None
    return _composed(
        base,
        drawn=drawn,
        share=parse_mix(mix)[0] if mix is not None else 0.0,
        test=open_word(test_on) if test_on is not None else None,
        val=open_word(validate_on) if validate_on is not None else None,
        cache_dir=cache_dir,
    )


def _composed(
    base: ImageSet,
    *,
    drawn: ImageSet | None,
    share: float,
    test: ImageSet | None,
    val: ImageSet | None,
    cache_dir: Path,
) -> ImageSet:
    """The parts as one data set, under a title that names them all."""
    if val is not None and len(base.indices_of(VAL)):
        raise ValueError(
            f"--validate-on was given, and {base.title} brings validation images of its own: only one part chooses; "
            "leave --validate-on out"
        )
    kept = {split: split for split in (TRAIN, VAL, TEST) if not (split == TEST and test is not None)}
    parts = [Part(image_set=base, splits=kept)]
    title = base.title if drawn is None else f"{base.title} with {100 * share:.3g} % {drawn.title}"
    if val is not None:
        parts.append(Part(image_set=_fitting(val, base, TRAIN), splits={TRAIN: VAL}, prefix=f"{val.source}/"))
        title += f", validated on the training images of {val.title}"
    if test is not None:
        # Of a folder without parts all is tested on, not only what was dealt for a test here; evaluate does the same.
        taken = {TRAIN: TEST, TEST: TEST} if test.is_test_held_out else {TEST: TEST}
        parts.append(Part(image_set=_fitting(test, base, TEST), splits=taken, prefix=f"{test.source}/"))
        title += f", tested on {test.title}"
    if drawn is not None:
        parts.append(Part(image_set=_fitting(drawn, base, TRAIN), splits={TRAIN: DRAWN}, prefix=f"{DRAWN}/"))
    level = _level(base, test, val)
    notes = _notes(base, drawn, share, test, val, level)
    joined = join_parts(parts, cache_dir=cache_dir, title=f"{title} ({level})" if level else title, notes=notes)
    tested = test if test is not None else base
    return replace(
        joined,
        test_title=tested.title,
        test_fingerprint=tested.fingerprint,
        is_test_held_out=test is None and base.is_test_held_out,
        level=level,
    )


def _level(base: ImageSet, test: ImageSet | None, val: ImageSet | None) -> str:
    """Named where drawn signs alone were learned from, and real ones are looked at."""
    is_real = [other is not None and not is_drawn(other.source) for other in (test, val)]
    if not is_drawn(base.source) or not any(is_real):
        return ""
    return "real-selected" if is_real[1] else LEVEL


def _notes(
    base: ImageSet, drawn: ImageSet | None, share: float, test: ImageSet | None, val: ImageSet | None, level: str
) -> tuple[str, ...]:
    notes = [note for note in base.notes if note != NOTE]
    if is_drawn(base.source) and test is None:
        notes.append("The test images are drawn by the program: test accuracy says nothing about real traffic signs.")
    if level:
        notes.append(f"No real image was trained on. Level {level}: {LEVELS[level]}.")
    if drawn is not None:
        notes.append(
            f"{100 * share:.3g} % of every batch are drawn signs, from {len(drawn.indices_of(TRAIN)):,} of them; "
            "validation and test are not. An epoch has as many steps as without them."
        )
    for note in (note for other in (test, val) if other is not None for note in other.notes):
        if note != NOTE and note not in notes and not note.startswith(HELD_OUT):
            notes.append(note)
    return tuple(notes)


def _check_classes(title: str, class_names: Sequence[str], base: ImageSet) -> None:
    """Refuse another list of classes, naming the first that differs."""
    if len(class_names) != len(base.class_names):
        raise ValueError(
            f"{title} has {len(class_names)} classes and {base.title} {len(base.class_names)}: both need the same "
            "classes under the same numbers; choose data that has them"
        )
    for label, (theirs, ours) in enumerate(zip(class_names, base.class_names, strict=True)):
        if not _is_same_class(label, theirs, ours):
            raise ValueError(
                f"class {label} is {theirs!r} in {title} and {ours!r} in {base.title}: both need the same classes "
                "under the same numbers; choose data that has them"
            )


def _fitting(other: ImageSet, base: ImageSet, split: str) -> ImageSet:
    """The other data set, once it is certain that its classes are the same and that it has such images."""
    _check_classes(other.title, other.class_names, base)
    if len(other.indices_of(split)) == 0:
        raise ValueError(
            f"{other.title} has no {'test' if split == TEST else 'training'} images to take: one at least is needed; "
            "choose other data"
        )
    return other


def _is_same_class(label: int, theirs: str, ours: str) -> bool:
    """A folder `00005` is class 5 of whoever calls it by a name."""
    numbers = [int(name) for name in (theirs, ours) if name.isascii() and name.isdecimal()]
    return theirs.casefold() == ours.casefold() if len(numbers) != 1 else numbers == [label]


def _place(word: str) -> str:
    """What tells two sources apart: all drawn signs are one."""
    if is_drawn(word):
        return "signs"
    return word if word == "gtsrb" else str(Path(word).expanduser().resolve())


Ints = npt.NDArray[np.int64]


_DRAWN_KEY = 43  # of the generator that orders drawn signs, apart from the one that shuffles real images


def count_drawn(batch_size: int, drawn_fraction: float) -> int:
    """How many images of a batch are drawn; a ValueError where rounding leaves none, or no real one."""
    num_drawn = round(batch_size * drawn_fraction)
    if drawn_fraction > 0 and not 0 < num_drawn < batch_size:
        raise ValueError(
            f"a share of {drawn_fraction:g} drawn signs is {num_drawn} images of a batch of {batch_size}: both kinds "
            "need at least one; choose another share, or a larger --batch-size"
        )
    return num_drawn


def mix_in(order_N: Ints, drawn_ids_N: Ints, *, batch_size: int, num_drawn: int, seed: int, epoch: int) -> Ints:
    """Put drawn images into the last `num_drawn` places of every whole batch; what follows the last one is cut off.

    They come in an order of seed and epoch alone, and none comes again before all have come.
    """
    if num_drawn == 0:
        return order_N
    num_steps = len(order_N) // batch_size
    batches_SB = order_N[: num_steps * batch_size].reshape(num_steps, batch_size).copy()
    generator = np.random.default_rng([seed, epoch, _DRAWN_KEY])
    num_rounds = math.ceil(num_steps * num_drawn / len(drawn_ids_N))
    drawn_N = np.concatenate([generator.permutation(drawn_ids_N) for _ in range(num_rounds)])
    batches_SB[:, batch_size - num_drawn :] = drawn_N[: num_steps * num_drawn].reshape(num_steps, num_drawn)
    mixed_N: Ints = batches_SB.reshape(-1)
    return mixed_N


_CHUNK = 4096  # images copied at a time


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is taken from one data set."""

    image_set: ImageSet
    splits: Mapping[str, str]
    """Of its splits those that are taken, and what they become."""
    prefix: str = ""
    """Stands before its paths and groups, so that they differ from those of the other parts."""

    @property
    def rows_N(self) -> npt.NDArray[np.int64]:
        """The rows that are taken, ascending."""
        return np.flatnonzero([split in self.splits for split in self.image_set.splits])


def join_parts(parts: Sequence[Part], *, cache_dir: Path, title: str, notes: tuple[str, ...]) -> ImageSet:
    """One data set of several parts' rows, in their order; the first part names its source and its classes."""
    first = parts[0].image_set
    rows = [(part, int(row)) for part in parts for row in part.rows_N]
    images_NHWC, fingerprint = _joined_pixels(parts, cache_dir), joined_fingerprint(parts)
    _say_what_it_is(images_NHWC, fingerprint)
    return ImageSet(
        source=first.source,
        title=title,
        class_names=first.class_names,
        images_NHWC=images_NHWC,
        labels_N=read_only(np.concatenate([part.image_set.labels_N[part.rows_N] for part in parts])),
        groups=tuple(_prefixed(part, part.image_set.groups[row]) for part, row in rows),
        frames_N=read_only(np.concatenate([part.image_set.frames_N[part.rows_N] for part in parts])),
        splits=tuple(part.splits[part.image_set.splits[row]] for part, row in rows),
        paths=tuple(part.prefix + part.image_set.paths[row] for part, row in rows),
        fingerprint=fingerprint,
        notes=notes,
        subject=first.subject,
    )


def joined_fingerprint(parts: Sequence[Part]) -> str:
    """64 hexadecimal digits over which splits of which data sets stand where."""
    told = [(part.image_set.fingerprint, sorted(part.splits.items())) for part in parts]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _prefixed(part: Part, group: str) -> str:
    """A group under its part's prefix; the mark of recovered tracks stays in front, no group stays none."""
    mark = "~" if group.startswith("~") else ""
    return f"{mark}{part.prefix}{group.removeprefix(mark)}" if group else ""


def _joined_pixels(parts: Sequence[Part], cache_dir: Path) -> npt.NDArray[np.uint8]:
    """The mapped array, copied together where it is not there or is damaged."""
    cache = cache_dir.absolute() / "decoded"
    cache.mkdir(parents=True, exist_ok=True)
    num_images = sum(len(part.rows_N) for part in parts)
    image_size = parts[0].image_set.image_size
    num_bytes = RowFile(path=cache, image_size=image_size).num_bytes(num_images)
    key = _key(parts)
    for generation in itertools.count():
        folder = cache / f"joined-{key}-{generation}"
        is_new = not folder.exists()
        if is_new:
            _build(parts, folder, num_images, num_bytes, image_size)
        path = folder / "images.npy"
        if path.exists() and path.stat().st_size == num_bytes:
            joined_NHWC: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
            return joined_NHWC
        assert not is_new, f"{folder} was damaged while it was written"
    raise AssertionError


def _say_what_it_is(images_NHWC: npt.NDArray[np.uint8], fingerprint: str) -> None:
    """Let the pixels be found again by the data set's name (cache.py); rows taken as other splits share them."""
    path = Path(str(images_NHWC.filename)).with_name(f"about-{fingerprint[:8]}.json")  # type: ignore[attr-defined]
    about = {"fingerprint": fingerprint, "image_size": images_NHWC.shape[1], "num_images": len(images_NHWC)}
    if not path.exists():
        write_atomically(path, json.dumps(about).encode())


def _key(parts: Sequence[Part]) -> str:
    """32 hexadecimal digits over the parts' own arrays, whose folders are never written twice, and the rows taken."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        pixels = Path(str(part.image_set.images_NHWC.filename))  # type: ignore[attr-defined]
        digest.update(f"{pixels.parent.name}/{pixels.name} {part.image_set.image_size}\n".encode())
        digest.update(part.rows_N.astype("<i8").tobytes())
    return digest.hexdigest()


def _build(parts: Sequence[Part], folder: Path, num_images: int, num_bytes: int, image_size: int) -> None:
    with published_folder(folder, num_bytes) as building:
        target = RowFile(path=building / "images.npy", image_size=image_size)
        target.start(num_images)
        place = 0
        for part in parts:
            rows_N = part.rows_N
            for start in range(0, len(rows_N), _CHUNK):
                chunk_NHWC = part.image_set.images_NHWC[rows_N[start : start + _CHUNK]]
                target.write(place, chunk_NHWC)
                place += len(chunk_NHWC)
