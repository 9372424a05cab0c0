"""The German Traffic Sign Recognition Benchmark: what lies there, whatever layout it has, in one canonical order.

The publisher's three archives, their unpacked tree and the Kaggle layout become the same listing: the same ids, groups,
frames, labels and order, so that their data fingerprints are equal. A data set is judged by what it holds, never by the
name of its folder: 39,209 training images in 1,307 tracks, 12,630 test images, 43 classes. Anything less is an error
that names what is missing, or a subset where that was allowed, or torchvision's smaller training set, and is titled so.
Images are read where they lie, also inside the zips; nothing is unpacked and nothing is decoded before the cache asks.

Source: Stallkamp et al. 2012, "Man vs. computer", https://doi.org/10.1016/j.neunet.2012.02.016;
https://benchmark.ini.rub.de/gtsrb_dataset.html

What a complete GTSRB holds, and how far what lies there is from it: the one place with the published counts.

A set is compared image by image with the complete one, so that an error can name the first that is missing or extra.

Read the labels of GTSRB's test images: the publisher's csv with semicolons, or Kaggle's with commas.

The file is judged line by line and believed in nothing: each error names the file, the line, what is allowed and the
way out. Only the five digits of an image's name are kept, so that no path in it is ever followed.

The 43 classes of GTSRB in their official order, in plain English; a class's number is its place here.

Find what might be GTSRB in a folder or a zip: training folders, test folders, label files; by shape, not by name.

A training folder holds class folders (`14`, `00014`) of `<track>_<frame>.ppm`, or `<class>_<track>_<frame>.png` from
Kaggle; a test folder holds `00000.ppm` or `00000.png`. Zips count as folders, but a zip inside a zip is not opened.
Nothing is decoded and nothing is judged here: gtsrb.py chooses among the finds and counts. The search looks at every
child of the place and below that only into folders with names that GTSRB's layouts use, so that a large home folder
costs little.
"""

import csv
import functools
import io
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from roadtest.data.dataset import TEST, TRAIN, Item, Listing, Note
from roadtest.data.sources.archive import MAX_MEMBERS, Entry, describe, file_of, list_members, read_member
from roadtest.data.sources.download import ARCHIVE_NAMES, HOW_TO_GET_GTSRB, download_gtsrb

MAX_PIXELS = 4096 * 4096
"""GTSRB's largest image has 250 x 250; more than this is a bomb."""
MAX_IMAGE_BYTES = 3 * MAX_PIXELS + 1024
_BROKEN_IMAGE = (OSError, ValueError, SyntaxError, IndexError, EOFError, OverflowError, zlib.error, struct.error)


def list_gtsrb(
    data_dir: Path | None,
    *,
    is_subset_allowed: bool = False,
    cache_dir: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> Listing:
    """List GTSRB from `data_dir`, else from ROADTEST_GTSRB, else download it into `cache_dir`/gtsrb first.

    `on_progress` hears the downloaded bytes and all bytes. A user's mistake is a ValueError or FileNotFoundError.
    """
    place = find_place(data_dir) or download_gtsrb(cache_dir / "gtsrb", on_progress=on_progress)
    finds = find_gtsrb(place)
    if finds.num_parts == 0:
        raise FileNotFoundError(_nothing_here(finds))
    train_images = _choose_train(finds, is_subset_allowed)
    test_items = _test_items(finds, is_subset_allowed)
    train_items = sorted(map(_train_item, train_images), key=_canonical)
    title, notes = title_and_notes(train_images, len(test_items))
    return Listing(
        source="gtsrb",
        title=title,
        class_names=CLASS_NAMES,
        items=(*train_items, *test_items),
        read_image=read_image,
        notes=notes,
        subject="signs",
        group_origin="given",
    )


def read_image(item: Item) -> Image.Image:
    """Decode one image to RGB; a ValueError names the file where it is broken or too large."""
    source = file_of(item, max_bytes=MAX_IMAGE_BYTES)
    try:
        with Image.open(source, formats=("PPM", "PNG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read")
            return image.convert("RGB")
    except UnidentifiedImageError:  # its own text names an object in memory
        reason = "it is something else"
    except (*_BROKEN_IMAGE, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        reason = " ".join(ascii(str(error))[1:-1].split())[:200]
    where = describe(item.container, item.location)
    raise ValueError(f"{where} is no readable PPM or PNG image ({reason}): it must be whole; fetch it again")


def find_place(data_dir: Path | None) -> Path | None:
    """The folder or zip the user named, or None where nothing was."""
    named_by = "--data-dir" if data_dir is not None else "ROADTEST_GTSRB"
    text = str(data_dir) if data_dir is not None else os.environ.get("ROADTEST_GTSRB", "")
    if not text:
        return None
    place = Path(text).expanduser()
    if not place.exists():
        raise FileNotFoundError(f"{named_by} {describe('', text)} does not exist: {HOW_TO_GET_GTSRB}")
    return place


def _unpack_first(entry: Entry) -> str:
    return f"{entry.where} is a zip inside a zip: images are read in zips, not deeper; unpack the outer one once"


def _read_text(entry: Entry) -> bytes:
    if entry.container:
        return read_member(entry.container, entry.location, modified_ns=entry.modified_ns, max_bytes=MAX_CSV_BYTES)
    with Path(entry.location).open("rb") as file:
        return file.read(MAX_CSV_BYTES + 1)


def _test_item(digits: str, entry: Entry, label: int) -> Item:
    return Item(
        path=f"{TEST}/{digits}",
        container=entry.container,
        location=entry.location,
        label=label,
        group="",
        frame=0,
        split=TEST,
        size_bytes=entry.size_bytes,
        modified_ns=entry.modified_ns,
    )


def _canonical(item: Item) -> tuple[int, str, int, str]:
    return item.label, item.group, item.frame, item.path


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


MAX_CSV_BYTES = 8 * 2**20
"""The official file has 377,382 bytes."""
NUM_CLASSES = 43
_IMAGE = re.compile(r"(?:Test/)?([0-9]{5})\.(?:ppm|png)", re.IGNORECASE)
_CLASS = re.compile(r"[0-9]{1,2}")
_REMEDY = "take it from GTSRB_Final_Test_GT.zip again"


def parse_test_labels(content: bytes, where: str) -> dict[str, int]:
    """Map each test image's five digits to its class; `where` names the file in errors."""
    if len(content) > MAX_CSV_BYTES:
        raise ValueError(f"{where} has {len(content):,} bytes: at most {MAX_CSV_BYTES:,} are read; {_REMEDY}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{where} is no text: it must be a csv in UTF-8; {_REMEDY}") from None
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        numbered_rows = [(rows.line_num, row) for row in rows if row]
    except csv.Error as error:
        raise ValueError(
            f"{where} line {rows.line_num}: no csv ({error}): it must be plain columns; {_REMEDY}"
        ) from None
    return _labels_of(numbered_rows, where)


def _labels_of(numbered_rows: Sequence[tuple[int, Sequence[str]]], where: str) -> dict[str, int]:
    header = [column.strip() for column in numbered_rows[0][1]] if numbered_rows else []
    image_column, class_column = _columns(header, where)
    labels: dict[str, int] = {}
    for line_number, row in numbered_rows[1:]:
        line = f"{where} line {line_number}"
        if len(row) != len(header):
            raise ValueError(f"{line}: {len(row)} columns: it must have the header's {len(header)}; {_REMEDY}")
        digits, label = _digits(row[image_column], line), _label(row[class_column], line)
        if digits in labels:
            raise ValueError(f"{line}: image {digits} comes twice: each image has one line; {_REMEDY}")
        labels[digits] = label
    if not labels:
        raise ValueError(f"{where} has no rows: it must name a class for each test image; {_REMEDY}")
    return labels


def _columns(header: list[str], where: str) -> tuple[int, int]:
    image_column = next((name for name in ("Filename", "Path") if name in header), None)
    if image_column is None or "ClassId" not in header:
        raise ValueError(
            f"{where} line 1: columns {','.join(header)[:100]!r}: "
            f"it must have ClassId and Filename (or Kaggle's Path); {_REMEDY}"
        )
    return header.index(image_column), header.index("ClassId")


def _digits(text: str, line: str) -> str:
    match = _IMAGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{line}: image {text[:60]!r}: it must read like 00000.ppm or Test/00000.png; {_REMEDY}")
    return match[1]


def _label(text: str, line: str) -> int:
    if _CLASS.fullmatch(text.strip()) is None or int(text) >= NUM_CLASSES:
        raise ValueError(f"{line}: class {text[:60]!r}: it must be a number from 0 to {NUM_CLASSES - 1}; {_REMEDY}")
    return int(text)


CLASS_NAMES = (
    "Speed limit 20",
    "Speed limit 30",
    "Speed limit 50",
    "Speed limit 60",
    "Speed limit 70",
    "Speed limit 80",
    "End of speed limit 80",
    "Speed limit 100",
    "Speed limit 120",
    "No overtaking",
    "No overtaking for trucks",
    "Priority at next junction",
    "Priority road",
    "Give way",
    "Stop",
    "No vehicles",
    "No trucks",
    "No entry",
    "Danger",
    "Bend to the left",
    "Bend to the right",
    "Double bend",
    "Uneven road",
    "Slippery road",
    "Road narrows on the right",
    "Road works",
    "Traffic lights",
    "Pedestrians",
    "Children",
    "Bicycles",
    "Snow or ice",
    "Wild animals",
    "End of all limits",
    "Turn right ahead",
    "Turn left ahead",
    "Ahead only",
    "Ahead or right",
    "Ahead or left",
    "Keep right",
    "Keep left",
    "Roundabout",
    "End of no overtaking",
    "End of no overtaking for trucks",
)

MIRRORED_CLASSES = ((19, 20), (33, 34), (36, 37), (38, 39))
"""Pairs that a left-right flip turns into each other: why no protocol flips traffic signs."""
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


def _train_item(image: TrainImage) -> Item:
    return Item(
        path=f"{TRAIN}/{image.label:05d}/{image.track:05d}_{image.frame:05d}",
        container=image.entry.container,
        location=image.entry.location,
        label=image.label,
        group=f"{image.label:05d}/{image.track:05d}",
        frame=image.frame,
        split=TRAIN,
        size_bytes=image.entry.size_bytes,
        modified_ns=image.entry.modified_ns,
    )


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


def title_and_notes(train_images: Sequence[TrainImage], num_test: int) -> tuple[str, tuple[Note, ...]]:
    """What people call this set, and what a reader of its results must know."""
    num_classes = len({image.label for image in train_images})
    counts = (
        f"{len(train_images):,} of {NUM_TRAIN:,} training images in {num_tracks(train_images):,} of {NUM_TRACKS:,} "
        f"tracks, {num_classes} of {len(CLASS_NAMES)} classes, and {num_test:,} of {NUM_TEST:,} test images"
    )
    if num_test == NUM_TEST and is_smaller_train(train_images):
        return "torchvision's smaller GTSRB", (Note(text=f"torchvision's smaller training set: {counts}."),)
    if num_test == NUM_TEST and is_complete_train(train_images):
        return "GTSRB", ()
    return "GTSRB (subset)", (Note(text=f"A subset of GTSRB: {counts}."),)


def _frames(images: Iterable[TrainImage]) -> set[tuple[int, int, int]]:
    return {(image.label, image.track, image.frame) for image in images}


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


def _nothing_here(finds: Finds) -> str:
    if finds.broken:
        return finds.broken[0]
    if finds.still_zipped:
        return _unpack_first(finds.still_zipped[0])
    return (
        f"{finds.place} holds no GTSRB: it must hold the archives, their tree or the Kaggle layout; {HOW_TO_GET_GTSRB}"
    )


def _choose_train(finds: Finds, is_subset_allowed: bool) -> list[TrainImage]:
    """Take the folder with the most training images; never images of two folders together."""
    folders = finds.train_images
    if not folders:
        raise _missing(finds, "training images", ARCHIVE_NAMES[0])
    # Kaggle's twins `Train` and `train` are equal in number; the capital letter sorts first.
    root = min(folders, key=lambda root: (-len(folders[root]), root))
    images = folders[root]
    check_train_names(images)
    if not (is_subset_allowed or is_smaller_train(images)):
        check_train_counts(images, finds.place / root, _zip_inside(root, finds), ARCHIVE_NAMES[0])
    return images


def _zip_inside(root: str, finds: Finds) -> str:
    inside = next((name for name in finds.zips if name.startswith(f"{root}/")), None)
    return f"; {inside} lies there still zipped" if inside else ""


def _test_items(finds: Finds, is_subset_allowed: bool) -> list[Item]:
    """List the test images with their labels; none only in a subset."""
    folders = finds.test_images
    if not folders:
        if is_subset_allowed and not (finds.broken or finds.still_zipped):
            return []
        raise _missing(finds, "test images", ARCHIVE_NAMES[1])
    root = min(folders, key=lambda root: (-len(folders[root]), root))
    images = dict(folders[root])
    if len(images) != len(folders[root]):
        raise ValueError(f"{finds.place / root} holds a test image twice, as ppm and png: remove one kind")
    labels, labels_where = _read_labels(finds, root)
    if not is_subset_allowed:
        check_test_counts(images, finds.place / root, ARCHIVE_NAMES[1])
        check_test_counts(labels, labels_where, ARCHIVE_NAMES[2])
    unlabelled = next((digits for digits in sorted(images) if digits not in labels), None)
    if unlabelled is not None:
        raise ValueError(
            f"{labels_where} has no row for {images[unlabelled].where}: each test image needs one; "
            f"take the file from {ARCHIVE_NAMES[2]} again"
        )
    return sorted((_test_item(digits, entry, labels[digits]) for digits, entry in images.items()), key=_canonical)


def _read_labels(finds: Finds, root: str) -> tuple[dict[str, int], str]:
    """Read the label file that goes with the test images: Kaggle's with png, the publisher's with ppm."""
    if not finds.label_files:
        raise _missing(finds, "GT-final_test.csv (the classes of the test images)", ARCHIVE_NAMES[2])
    is_kaggle = finds.test_images[root][0][1].name.lower().endswith(".png")

    def rank(entry: Entry) -> tuple[bool, int, str]:
        return entry.name.lower().endswith("gt-final_test.csv") == is_kaggle, entry.name.count("/"), entry.name

    entry = min(finds.label_files, key=rank)
    return parse_test_labels(_read_text(entry), entry.where), entry.where


def _missing(finds: Finds, what: str, archive: str) -> Exception:
    """The error for a part that is not there, with the likeliest reason first."""
    if finds.broken:
        return ValueError(finds.broken[0])
    if finds.still_zipped:
        return ValueError(_unpack_first(finds.still_zipped[0]))
    return FileNotFoundError(f"{finds.place} lacks {what}: {archive} has what is missing; {HOW_TO_GET_GTSRB}")


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
