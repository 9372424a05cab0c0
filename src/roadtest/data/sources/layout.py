"""From labelled files to a Listing: classes in natural order, splits, and a test set held out where none came.

What folders, csv files and arrays share. Every refusal is one line that names the first offender; every liberty that is
taken with the data (images held out, files left out) is a note in the Listing.

A class is found by a number (`5`, `05`, `00005`) or a name. Names come first, as they are written. Digits mean a class
of that name where classes are named by numbers, else the class's place: 14 is "Stop" for a network trained on GTSRB. Of
a name, case, spaces, `_`, `-` and `/` do not matter, as long as one class is meant.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from roadtest.data.dataset import PART_ORDER, TEST, TRAIN, VAL, Item, Listing, Note
from roadtest.data.split import by_class, find_units, shuffled

SPLIT_WORDS = {"train": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
"""How people write the three parts, in lower case."""
NEARLY_SPLIT_WORDS = frozenset(
    {"training", "trainset", "train_set", "trainval", "testing", "tests", "testset", "test_set"}
    | {"dev", "eval", "evaluation", "holdout"}
)
"""What else people call a part; taken for a class, it would make a comparison of part against part."""
TEST_SHARE = 0.15
"""Of the images without a part, when no test part was given. Convention."""
TEST_KEY = 15
NO_CLASS = "in no class folder"
"""What that note calls pictures that lie beside the class folders."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """One image file with what a person said about it."""

    path: str
    location: str
    class_name: str
    split: str = ""
    """Empty where nobody said."""
    group: str = ""
    size_bytes: int
    modified_ns: int


def class_key(name: str) -> tuple[int, int | str]:
    """What makes two class names the same, and their order: numbers by value (`5` is `00005`), before all words."""
    if name.isascii() and name.isdecimal() and len(name) <= 18:
        return 0, int(name)
    return 1, name


def class_order(key: tuple[int, int | str]) -> tuple[int, int | str, str]:
    """Sort classes naturally: numbers by value, words without regard to case."""
    kind, value = key
    return kind, value.casefold() if isinstance(value, str) else value, str(value)


def build_listing(
    labelled: Sequence[Labelled],
    *,
    where: str,
    source: str,
    read_image: Callable[[Item], Image.Image],
    seed: int,
    notes: Iterable[Note],
    is_trained_on: bool = True,
    is_checked: bool = False,
    empty_classes: Iterable[str] = (),
) -> Listing:
    """Number the classes, complete the parts and sort; a ValueError where nothing can be compared on the images.

    Images that nothing is trained on may be of one class, and need no training part. For the data check, which finds
    them itself, classes without training images and groups in two parts are taken too, and classes without any image.
    """
    empty = [_no_image(name) for name in empty_classes] if labelled else []
    named = [*labelled, *empty]
    _check_names(named)
    if not is_checked:
        _check_groups(labelled)
    classes = _number_classes(named, where, num_least=2 if is_trained_on and not is_checked else 1)
    if is_trained_on and not is_checked:
        _check_trained(labelled, classes, where)
    frames = _number_frames(labelled)
    items = [
        Item(
            path=image.path,
            container="",
            location=image.location,
            label=classes[class_key(image.class_name)],
            group=image.group,
            frame=frames.get(image.path, 0),
            split=image.split or TRAIN,
            size_bytes=image.size_bytes,
            modified_ns=image.modified_ns,
        )
        for image in labelled
    ]
    parts = {item.split for item in items}
    is_test_held_out = TEST not in parts and VAL not in parts
    notes = list(notes)
    if TEST not in parts and VAL in parts:
        notes.append(Note(text="No test set was given."))
    elif is_test_held_out:
        items = hold_out_test(items, seed=seed)
        notes.append(hold_out_note(items))
    return Listing(
        source=source,
        title=source,
        class_names=_spell_classes(named, classes),
        items=tuple(sorted(items, key=canonical)),
        read_image=read_image,
        notes=tuple(notes),
        is_test_held_out=is_test_held_out,
        group_origin="given" if any(item.group for item in items) else "none",
    )


def _no_image(class_name: str) -> Labelled:
    """Stands for a class that has none."""
    return Labelled(path="", location="", class_name=class_name, size_bytes=0, modified_ns=0)


def hold_out_test(items: Sequence[Item], *, seed: int) -> list[Item]:
    """Move 15 % of each class's groups (or single images) from train to test; classes of one or two give none."""
    units = find_units(
        [item.group for item in items], [item.path for item in items], np.array([item.label for item in items])
    )
    is_test_U = np.zeros(len(units.sizes_U), bool)
    for label, members in by_class(units.homes_U):
        num_test = max(1, round(TEST_SHARE * len(members))) if len(members) >= 3 else 0
        is_test_U[members[shuffled(len(members), TEST_KEY, seed, label)[:num_test]]] = True
    is_test_N = is_test_U[units.ids_N]
    return [replace(item, split=TEST) if is_test else item for item, is_test in zip(items, is_test_N, strict=True)]


def hold_out_note(items: Sequence[Item]) -> Note:
    """The note that says how many images were held out here."""
    how = "whole groups" if any(item.group for item in items) else "by class"
    num_test = sum(item.split == TEST for item in items)
    text = f"No test part was given: {num_test} of {len(items)} images were held out as the test set, {how}."
    return Note(kind="held out", count=num_test, text=text)


def canonical(item: Item) -> tuple[int, int, str, int, str]:
    """Sorts images: by part, class, group, frame and path."""
    return PART_ORDER[item.split], item.label, item.group, item.frame, item.path


def _number_classes(labelled: Sequence[Labelled], where: str, *, num_least: int) -> dict[tuple[int, int | str], int]:
    """Number the classes in natural order, having checked that there are enough."""
    keys = sorted({class_key(image.class_name) for image in labelled}, key=class_order)
    if len(keys) < num_least:
        found = f"one class, {labelled[0].class_name!r}" if keys else "no images"
        least = "two classes" if num_least == 2 else "one class"
        raise ValueError(f"{where} holds {found}: at least {least} with images are needed; add one")
    return {key: label for label, key in enumerate(keys)}


def _check_trained(labelled: Sequence[Labelled], classes: Iterable[tuple[int, int | str]], where: str) -> None:
    """Refuse a class that could not be trained."""
    trained = {class_key(image.class_name) for image in labelled if image.split in ("", TRAIN)}
    for key in classes:
        if key not in trained:
            raise ValueError(
                f"{where}: class {str(key[1])!r} has no training image: every class needs at least one; "
                "add one or take the class away"
            )


def _spell_classes(labelled: Iterable[Labelled], classes: dict[tuple[int, int | str], int]) -> tuple[str, ...]:
    """One name per class; of `5` and `00005` the shorter."""
    spellings: dict[int, str] = {}
    for image in labelled:
        label, name = classes[class_key(image.class_name)], image.class_name
        spellings[label] = min(spellings.get(label, name), name, key=lambda name: (len(name), name))
    return tuple(spellings[label] for label in range(len(classes)))


def _number_frames(labelled: Iterable[Labelled]) -> dict[str, int]:
    """Number the images of each group by their paths, from 0."""
    members: defaultdict[str, list[str]] = defaultdict(list)
    for image in labelled:
        if image.group:
            members[image.group].append(image.path)
    return {path: frame for paths in members.values() for frame, path in enumerate(sorted(paths))}


def _check_names(labelled: Sequence[Labelled]) -> None:
    """Refuse names that no csv file or page could carry, and classes that are parts by their names."""
    for name in sorted({image.class_name for image in labelled}):
        word = name.casefold().replace("-", "_").replace(" ", "_")
        if word in SPLIT_WORDS or word in NEARLY_SPLIT_WORDS:
            raise ValueError(
                f"{name!r} stands where a class does and reads as a part: parts are train, val and test; "
                "rename the folder to train, val or test, or the class"
            )
    for image in labelled:
        for name in (image.path, image.class_name, image.group):
            is_line = "".join(name.splitlines()) == name
            is_text = name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)
            if not (is_line and is_text):
                raise ValueError(f"the name {name!r} has a line break or is not UTF-8: rename it")


def torn_groups(groups_and_parts: Iterable[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """The groups that stand in two parts, each with the first two: frames of one thing are trained and tested on."""
    homes: dict[str, str] = {}
    torn: dict[str, tuple[str, str]] = {}
    for group, part in groups_and_parts:
        if group and homes.setdefault(group, part) != part:
            torn.setdefault(group, (homes[group], part))
    return torn


def _check_groups(labelled: Iterable[Labelled]) -> None:
    """Refuse a group that stands in two parts."""
    for group, (home, part) in torn_groups((image.group, image.split) for image in labelled).items():
        raise ValueError(
            f"group {group!r} has images in {home} and in {part}: a group must stand in one part; correct the split "
            "column or the group column"
        )


def count_ignored(ignored: Counter[str]) -> list[Note]:
    """A note on the files that were left out, by kind; none where there are none."""
    if not ignored:
        return []
    counts = sorted(ignored.items(), key=lambda pair: (-pair[1], pair[0]))
    text = f"Files were left out: {', '.join(f'{count} {kind}' for kind, count in counts)}."
    return [Note(kind="left out", count=ignored.total(), file_kinds=tuple(kind for kind, _ in counts), text=text)]


MAX_NAMED = 5
"""Classes that an error lists; a thousand names help nobody."""


def _numbers(keys: Sequence[tuple[int, int | str]]) -> dict[int, int]:
    """Number -> class: by name where any class is named by a number, else by place."""
    named = {int(value): label for label, (kind, value) in enumerate(keys) if kind == 0}
    return named or {label: label for label in range(len(keys))}


@dataclass(frozen=True, kw_only=True)
class ClassFinder:
    """The classes of a network, to be found by a word; make one with `class_finder`."""

    names: tuple[str, ...]
    _exact: dict[str, int]
    _numbers: dict[int, int]
    _loose: dict[str, tuple[int, ...]]

    def find(self, word: str) -> int | None:
        """The class that a word means; None where it means none, or could mean two."""
        word = word.strip()
        if word in self._exact:
            return self._exact[word]
        kind, number = class_key(word)
        if kind == 0:
            return self._numbers.get(int(number))
        found = self._loose.get(_loosely(word), ())
        return found[0] if len(found) == 1 else None

    def describe(self) -> str:
        """What there is to be found, in a few words: `43 classes, such as 0 (Speed limit 20)`."""
        some = ", ".join(f"{k} ({name})" if class_key(name)[0] else name for k, name in enumerate(self.names[:3]))
        return f"{len(self.names)} classes, such as {some}" if len(self.names) > 3 else f"the classes {some}"


def class_finder(names: Sequence[str]) -> ClassFinder:
    """Make words find these classes."""
    keys = [class_key(name) for name in names]
    loose: defaultdict[str, tuple[int, ...]] = defaultdict(tuple)
    for label, (name, (kind, _)) in enumerate(zip(names, keys, strict=True)):
        if kind:
            loose[_loosely(name)] += (label,)
    return ClassFinder(
        names=tuple(names),
        _exact={name: label for label, name in reversed(list(enumerate(names)))},
        _numbers=_numbers(keys),
        _loose=dict(loose),
    )


def name_some(words: Iterable[str]) -> str:
    """A few words in quotes, and how many more there are."""
    words = list(words)
    some = ", ".join(repr(word[:60]) for word in words[:MAX_NAMED])
    return some if len(words) <= MAX_NAMED else f"{some} and {len(words) - MAX_NAMED} more"


def _loosely(name: str) -> str:
    """A name without what differs between a sentence and a folder."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\s_/-]+", " ", plain).strip()
