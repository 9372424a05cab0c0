"""Training images from one source, validation or test images from another, and drawn signs mixed among real ones.

    roadtest compare signs:20000 --test-on gtsrb            learns from drawn signs alone, is tested on real ones
    roadtest compare signs:20000 --validate-on gtsrb --no-test       chooses by GTSRB's training images
    roadtest compare gtsrb --mix signs:0.3                  30 % of every batch are drawn signs

`--validate-on` takes the other source's training images, which may be looked at as often as one likes; `--test-on`
takes its test images, or all of a folder without parts, and every reading is a line in the ledger under that data set's
own fingerprint. Mixed images are a part of their own behind all others: the real images keep their numbers, and so
their augmentation.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from roadtest.data.gtsrb_names import CLASS_NAMES
from roadtest.data.imageset import DRAWN, TEST, TRAIN, VAL, ImageSet
from roadtest.data.join import Part, join_parts
from roadtest.data.layout import HELD_OUT
from roadtest.data.open import open_source
from roadtest.data.signs import LEVEL, NOTE, Drawing, is_drawn, list_signs, read_settings

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
