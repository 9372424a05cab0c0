"""Several data sets as one: training images from one source, validation or test images from another.

    roadtest compare signs:20000 --test-on gtsrb                 trains on synthetic signs alone, tests on real ones
    roadtest compare signs:20000 --validate-on gtsrb --no-test   chooses by GTSRB's training images

`--validate-on` takes the other source's training images, which may be looked at as often as one likes; `--test-on`
takes its test images, or all of a folder without a split, and every reading is logged under that data set's
fingerprint.

The rows are copied once into an array of their own in the cache, `joined-<key>-<generation>`, so that all that follows
knows one memory-mapped file and one numbering of images, as with any data set. Copying needs no decoding: a hundred
megabytes a second or two. Shapes: N images, H x W pixels, C = 3 channels (RGB).
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from roadtest.data.cache import array_bytes, create_array, read_only
from roadtest.data.dataset import TEST, TRAIN, VAL, ImageSet, Note
from roadtest.data.gtsrb_classes import CLASS_NAMES
from roadtest.data.open import open_source
from roadtest.data.signs import LEVEL, NOTE, is_synthetic
from roadtest.records import write_atomically
from roadtest.records.disk import new_directory, writable_folder

LEVELS = {
    "zero-real": "no pixel or statistic of GTSRB was consulted, and drawn signs alone chose",
    "statistics": "laws of light or size were fitted to GTSRB's training images",
    "real-selected": "drawing and recipe were chosen beside labelled GTSRB training images, with no gradient from them",
}


def check_sources(source: str, *, test_on: str | None, validate_on: str | None) -> None:
    """Refuse, before anything is decoded, sources that cannot be joined."""
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


def open_joined(
    source: str,
    *,
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
    """Open a source and what it is tested and validated on as one data set; the source as it is where that is nothing.

    Raise a ValueError in one line where the data sets do not fit together.
    """
    check_sources(source, test_on=test_on, validate_on=validate_on)
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
    for word in others:
        if word == "gtsrb" or is_synthetic(word):  # before minutes of decoding
            _check_classes({"gtsrb": "GTSRB"}.get(word, "drawn signs"), CLASS_NAMES, base)
    if not others:
        return base
    test, val = (None if word is None else open_word(word) for word in (test_on, validate_on))
    return _joined(base, test=test, val=val, cache_dir=cache_dir)


def _joined(base: ImageSet, *, test: ImageSet | None, val: ImageSet | None, cache_dir: Path) -> ImageSet:
    """The sources as one data set, under a title that names them all."""
    if val is not None and len(base.indices_of(VAL)):
        raise ValueError(
            f"--validate-on was given, and {base.title} brings validation images of its own: only one part chooses; "
            "leave --validate-on out"
        )
    kept = {split: split for split in (TRAIN, VAL, TEST) if not (split == TEST and test is not None)}
    sources, title = [JoinedSource(image_set=base, splits=kept)], base.title
    if val is not None:
        sources.append(JoinedSource(image_set=_fitting(val, base, TRAIN), splits={TRAIN: VAL}, prefix=f"{val.source}/"))
        title += f", validated on the training images of {val.title}"
    if test is not None:
        # Of a folder without a split all is tested on, not only what was held out here; evaluate does the same.
        splits = {TRAIN: TEST, TEST: TEST} if test.is_test_held_out else {TEST: TEST}
        sources.append(JoinedSource(image_set=_fitting(test, base, TEST), splits=splits, prefix=f"{test.source}/"))
        title += f", tested on {test.title}"
    level = _level(base, test, val)
    title = f"{title} ({level})" if level else title
    tested = test if test is not None else base
    return replace(
        join_rows(sources, cache_dir=cache_dir, title=title, notes=_notes(base, test, val, level)),
        test_title=tested.title,
        test_fingerprint=tested.fingerprint,
        is_test_held_out=test is None and base.is_test_held_out,
        group_origin=tested.group_origin,
        level=level,
    )


def _level(base: ImageSet, test: ImageSet | None, val: ImageSet | None) -> str:
    """How much real data served a training on synthetic signs alone; empty for other trainings."""
    is_real = [other is not None and not is_synthetic(other.source) for other in (test, val)]
    if not is_synthetic(base.source) or not any(is_real):
        return ""
    return "real-selected" if is_real[1] else LEVEL


def _notes(base: ImageSet, test: ImageSet | None, val: ImageSet | None, level: str) -> tuple[Note, ...]:
    notes = [note for note in base.notes if note != NOTE]
    if is_synthetic(base.source) and test is None:
        text = "The test images are drawn by the program: test accuracy says nothing about real traffic signs."
        notes.append(Note(text=text))
    if level:
        notes.append(Note(text=f"No real image was trained on. Level {level}: {LEVELS[level]}."))
    for note in (note for other in (test, val) if other is not None for note in other.notes):
        if note != NOTE and note not in notes and note.kind != "held out":
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
    """What tells two sources apart: all synthetic signs are one."""
    if is_synthetic(word):
        return "signs"
    return word if word == "gtsrb" else str(Path(word).expanduser().resolve())


_CHUNK = 4096
"""Images copied at a time."""


@dataclass(frozen=True, kw_only=True)
class JoinedSource:
    """What is taken from one data set."""

    image_set: ImageSet
    splits: Mapping[str, str]
    """Of its splits those that are taken, and what they become."""
    prefix: str = ""
    """Before its paths and groups, so that they differ from those of the other data sets."""

    @cached_property
    def rows_N(self) -> npt.NDArray[np.int64]:
        """The rows that are taken, ascending."""
        return np.flatnonzero([split in self.splits for split in self.image_set.splits])

    def prefixed(self, group: str) -> str:
        """A group under the prefix; the mark of recovered tracks stays in front, no group stays none."""
        mark = "~" if group.startswith("~") else ""
        return f"{mark}{self.prefix}{group.removeprefix(mark)}" if group else ""


def join_rows(sources: Sequence[JoinedSource], *, cache_dir: Path, title: str, notes: tuple[Note, ...]) -> ImageSet:
    """One data set of several data sets' rows, in their order; the first names its source and its classes."""
    first = sources[0].image_set
    rows = [(one, int(row)) for one in sources for row in one.rows_N]
    fingerprint = joined_fingerprint(sources)
    path = _joined_pixels(sources, cache_dir)
    images_NHWC = np.load(path, mmap_mode="r", allow_pickle=False)
    # Lets find_decoded (cache.py) know the pixels by this name too; rows taken as other splits share them.
    about_path = path.with_name(f"about-{fingerprint[:8]}.json")
    if not about_path.exists():
        about = {"fingerprint": fingerprint, "image_size": first.image_size, "num_images": len(rows)}
        write_atomically(about_path, json.dumps(about).encode())
    return ImageSet(
        source=first.source,
        title=title,
        class_names=first.class_names,
        images_NHWC=images_NHWC,
        labels_N=read_only(np.concatenate([one.image_set.labels_N[one.rows_N] for one in sources])),
        groups=tuple(one.prefixed(one.image_set.groups[row]) for one, row in rows),
        frames_N=read_only(np.concatenate([one.image_set.frames_N[one.rows_N] for one in sources])),
        splits=tuple(one.splits[one.image_set.splits[row]] for one, row in rows),
        paths=tuple(one.prefix + one.image_set.paths[row] for one, row in rows),
        fingerprint=fingerprint,
        notes=notes,
        subject=first.subject,
    )


def joined_fingerprint(sources: Sequence[JoinedSource]) -> str:
    """64 hexadecimal digits over which splits of which data sets serve as what."""
    taken = [(one.image_set.fingerprint, sorted(one.splits.items())) for one in sources]
    return hashlib.sha256(json.dumps(taken).encode()).hexdigest()


def _joined_pixels(sources: Sequence[JoinedSource], cache_dir: Path) -> Path:
    """The array's file, copied together where it is not there or is damaged."""
    cache = writable_folder(cache_dir.absolute() / "decoded")
    num_images, image_size = sum(len(one.rows_N) for one in sources), sources[0].image_set.image_size
    num_bytes = array_bytes(num_images, image_size)
    digest = hashlib.blake2b(digest_size=16)  # over the arrays, whose folders are never written twice, and the rows
    for one in sources:
        pixels = Path(str(one.image_set.images_NHWC.filename))  # type: ignore[attr-defined]
        digest.update(f"{pixels.parent.name}/{pixels.name} {one.image_set.image_size}\n".encode())
        digest.update(one.rows_N.astype("<i8").tobytes())
    for generation in itertools.count():
        folder = cache / f"joined-{digest.hexdigest()}-{generation}"
        is_new = not folder.exists()
        if is_new:
            with new_directory(folder, num_bytes) as building:
                create_array(building / "images.npy", num_images, image_size)
                _copy_rows(sources, building / "images.npy")
        path = folder / "images.npy"
        if path.exists() and path.stat().st_size == num_bytes:
            return path
        assert not is_new, f"{folder} was damaged while it was written"
    raise AssertionError


def _copy_rows(sources: Sequence[JoinedSource], path: Path) -> None:
    joined_NHWC, place = np.lib.format.open_memmap(path, mode="r+"), 0
    for one in sources:
        for start in range(0, len(one.rows_N), _CHUNK):
            rows_N = one.rows_N[start : start + _CHUNK]
            joined_NHWC[place : place + len(rows_N)] = one.image_set.images_NHWC[rows_N]
            place += len(rows_N)
