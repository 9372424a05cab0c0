"""Find what might be GTSRB in a folder or a zip: training folders, test folders, label files; by shape, not by name.

A training folder holds class folders (`14`, `00014`) of `<track>_<frame>.ppm`, or `<class>_<track>_<frame>.png` from
Kaggle; a test folder holds `00000.ppm` or `00000.png`. Zips count as folders, but a zip inside a zip is not opened.
Nothing is decoded and nothing is judged here: gtsrb.py chooses among the finds and counts. The search looks at every
child of the place and below that only into folders with names that GTSRB's layouts use, so that a large home folder
costs little.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from roadtest.data.archive import MAX_MEMBERS, Entry, list_members

_ANY_NAME = re.compile(r".*", re.S)
_LAYOUT_NAME = re.compile(
    r"gtsrb.*|(final_training|final_test|images|training|train|test|archive|[0-9]{1,5})([ _.-].*)?", re.I
)
"""Folders and zips that GTSRB's layouts consist of, and what downloaders make of their names: `archive (1).zip`."""
_DEEP_PLACE = re.compile(
    r"GTSRB|Final_Training|Final_Test|Images|Training|[0-9]{1,5}|([Tt]rain|[Tt]est|"
    r"GTSRB[_-](Final_)?(Training|Test)(_Images|_GT|_fixed))(\.zip)?"
)
"""Names inside a layout, exactly: from these we look further up."""
_FILE = re.compile(r".*\.(ppm|png)|GT-final_test\.csv|Test\.csv", re.I)
_TRAIN_FILE = re.compile(r"(?:([0-9]{1,5})_)?([0-9]{5})_([0-9]{5})\.(?:ppm|png)", re.I)
_TEST_FILE = re.compile(r"([0-9]{5})\.(?:ppm|png)", re.I)
_CLASS_FOLDER = re.compile(r"[0-9]{1,5}")
_LABELS = ("gt-final_test.csv", "test.csv")
_MAX_DEPTH = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainImage:
    """A file with the name of a training image."""

    entry: Entry
    label: int
    named_label: int
    """The class in Kaggle's file name; the folder's elsewhere."""
    track: int
    frame: int


@dataclass(frozen=True, kw_only=True)
class Finds:
    """What lies in a place, by the folder it lies in."""

    place: Path
    train_images: dict[str, list[TrainImage]] = field(default_factory=dict)
    test_images: dict[str, list[tuple[str, Entry]]] = field(default_factory=dict)
    """By folder: the five digits of each image with its file."""
    label_files: list[Entry] = field(default_factory=list)
    zips: list[str] = field(default_factory=list)
    """Zips that were opened, as paths below the place."""
    still_zipped: list[Entry] = field(default_factory=list)
    """Zips inside zips, which are not opened."""
    broken: list[str] = field(default_factory=list)
    """Errors about zips and folders that could not be read."""

    @property
    def num_parts(self) -> int:
        """How many of training images, test images and labels there are: 0 to 3."""
        return bool(self.train_images) + bool(self.test_images) + bool(self.label_files)


def find_gtsrb(place: Path) -> Finds:
    """Look for GTSRB in a folder or zip; where only a part is there, also above it, for a folder given too deep."""
    first = _search(place, _ANY_NAME)
    if first.num_parts == 3 or not (first.num_parts or _is_class_folder(place)):
        return first
    above = place.resolve()
    while _DEEP_PLACE.fullmatch(above.name):
        above = above.parent
        # Only folders with the data set's own names: another data set beside the user's is none of our business.
        finds = _search(above, _DEEP_PLACE)
        if finds.num_parts == 3:
            return finds
    return first


def _search(place: Path, child_name: re.Pattern[str]) -> Finds:
    finds = Finds(place=place)
    if place.is_dir():
        entries: Iterable[Entry] = _walk(place, "", finds, [child_name, _LAYOUT_NAME])
    else:
        entries = _open_zip(place, place.name, finds)
    for num_seen, entry in enumerate(entries):
        if num_seen > MAX_MEMBERS:
            raise ValueError(f"{place} holds more than {MAX_MEMBERS:,} files: GTSRB has 51,839; give its own folder")
        _sort_in(entry, finds)
    return finds


def _walk(folder: Path, name: str, finds: Finds, names: list[re.Pattern[str]]) -> Iterator[Entry]:
    """List a folder in order of names; `names` says which folders and zips are entered, by level, then the last."""
    try:
        with os.scandir(folder) as scan:
            children = sorted(scan, key=lambda child: child.name)
    except OSError as error:
        finds.broken.append(f"{folder} cannot be read ({error.strerror}): it must be readable; change its permissions")
        return
    for child in children:
        child_name = f"{name}/{child.name}" if name else child.name
        is_wanted = names[0].fullmatch(child.name) is not None
        if child.is_dir():
            if is_wanted and child_name.count("/") < _MAX_DEPTH:
                yield from _walk(Path(child.path), child_name, finds, names[1:] or names)
        elif child.name.lower().endswith(".zip"):
            if is_wanted:
                yield from _open_zip(Path(child.path), child_name, finds)
        elif _FILE.fullmatch(child.name) and child.is_file():
            stat = child.stat()
            yield Entry(
                name=child_name,
                container="",
                location=child.path,
                size_bytes=stat.st_size,
                modified_ns=stat.st_mtime_ns,
            )


def _open_zip(path: Path, name: str, finds: Finds) -> list[Entry]:
    try:
        entries = list_members(path, name)
    except ValueError as error:
        finds.broken.append(str(error))
        return []
    finds.zips.append(name)
    return entries


def _sort_in(entry: Entry, finds: Finds) -> None:
    """Put a file where its name says it belongs; most files of strangers belong nowhere."""
    folder, _, file = entry.name.rpartition("/")
    if (train := _TRAIN_FILE.fullmatch(file)) is not None:
        root, _, class_folder = folder.rpartition("/")
        if _CLASS_FOLDER.fullmatch(class_folder):
            image = TrainImage(
                entry=entry,
                label=int(class_folder),
                named_label=int(train[1] or class_folder),
                track=int(train[2]),
                frame=int(train[3]),
            )
            finds.train_images.setdefault(root, []).append(image)
    elif (test := _TEST_FILE.fullmatch(file)) is not None:
        if "online" not in folder.lower():  # the publisher's other test set has the same names and other images
            finds.test_images.setdefault(folder, []).append((test[1], entry))
    elif file.lower() in _LABELS:
        finds.label_files.append(entry)
    elif file.lower().endswith(".zip") and _LAYOUT_NAME.fullmatch(file):
        finds.still_zipped.append(entry)


def _is_class_folder(place: Path) -> bool:
    return (
        place.is_dir()
        and _CLASS_FOLDER.fullmatch(place.name) is not None
        and any(_TRAIN_FILE.fullmatch(child.name) for child in place.iterdir())
    )
