"""The German Traffic Sign Recognition Benchmark: what lies there, whatever layout it has, in one canonical order.

The publisher's three archives, their unpacked tree and the Kaggle layout become the same listing: the same ids, groups,
frames, labels and order, so that their data fingerprints are equal. A place is searched for training folders, test
folders and label files by the names of the files in them; then the fullest of each is chosen and compared, image by
image, with the published set: 39,209 training images in 1,307 tracks, 12,630 test images, 43 classes. Anything less is
an error that names what is missing, a subset where that was allowed, or torchvision's smaller training set.

A training folder holds class folders (`14`, `00014`) of `<track>_<frame>.ppm`, or `<class>_<track>_<frame>.png` from
Kaggle; a test folder holds `00000.ppm` or `00000.png`. Zips count as folders, but a zip inside a zip is not opened;
nothing is unpacked or decoded. The search looks at every child of the place and below that only into folders with names
of GTSRB's layouts, so that a large home folder costs little. No path in a csv file is followed.

Source: Stallkamp et al. 2012, "Man vs. computer", https://doi.org/10.1016/j.neunet.2012.02.016;
https://benchmark.ini.rub.de/gtsrb_dataset.html
"""

import csv
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
from roadtest.data.gtsrb_classes import (
    CLASS_NAMES,
    NUM_CLASSES,
    NUM_SMALLER_TRACKS,
    NUM_SMALLER_TRAIN,
    NUM_TEST,
    NUM_TRACKS,
    NUM_TRAIN,
    complete_frames,
)
from roadtest.data.sources.archive import MAX_MEMBERS, Entry, describe, file_of, list_members, read_member
from roadtest.data.sources.download import ARCHIVE_NAMES, HOW_TO_GET_GTSRB, download_gtsrb

ALLOW_SUBSET = "allow a subset (--subset)"
MAX_PIXELS = 4096 * 4096
"""GTSRB's largest image has 250 x 250; more than this is a bomb."""
MAX_IMAGE_BYTES = 3 * MAX_PIXELS + 1024
MAX_CSV_BYTES = 8 * 2**20
"""The official file has 377,382 bytes."""
_BROKEN_IMAGE = (OSError, ValueError, SyntaxError, IndexError, EOFError, OverflowError, zlib.error, struct.error)
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

    def missing(self, advice: str) -> Exception:
        """The error where something is not there: a broken or an unopened zip is the likeliest reason."""
        if self.broken:
            return ValueError(self.broken[0])
        if self.still_zipped:
            where = self.still_zipped[0].where
            return ValueError(
                f"{where} is a zip inside a zip: images are read in zips, not deeper; unpack the outer one once"
            )
        return FileNotFoundError(f"{self.place} {advice}; {HOW_TO_GET_GTSRB}")


def list_gtsrb(
    data_dir: Path | None,
    *,
    is_subset_allowed: bool = False,
    cache_dir: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> Listing:
    """List GTSRB from `data_dir`, else from ROADTEST_GTSRB, else download it into `cache_dir`/gtsrb first.

    `on_progress` gets the downloaded bytes and all bytes. A user's mistake is a ValueError or FileNotFoundError.
    """
    place = find_place(data_dir) or download_gtsrb(cache_dir / "gtsrb", on_progress=on_progress)
    finds = find_gtsrb(place)
    if finds.num_parts == 0:
        raise finds.missing("holds no GTSRB: it must hold the archives, their tree or the Kaggle layout")
    train_images = _choose_train(finds, is_subset_allowed)
    test_items = _test_items(finds, is_subset_allowed)
    title, notes = title_and_notes(train_images, len(test_items))
    train_items = [
        _item(
            image.entry,
            split=TRAIN,
            name=f"{image.label:05d}/{image.track:05d}_{image.frame:05d}",
            label=image.label,
            group=f"{image.label:05d}/{image.track:05d}",
            frame=image.frame,
        )
        for image in train_images
    ]
    return Listing(
        source="gtsrb",
        title=title,
        class_names=CLASS_NAMES,
        items=(*sorted(train_items, key=_canonical), *sorted(test_items, key=_canonical)),
        read_image=read_image,
        notes=notes,
        subject="signs",
        group_origin="given",
    )


def _item(entry: Entry, *, split: str, name: str, label: int, group: str = "", frame: int = 0) -> Item:
    return Item(
        path=f"{split}/{name}",
        container=entry.container,
        location=entry.location,
        label=label,
        group=group,
        frame=frame,
        split=split,
        size_bytes=entry.size_bytes,
        modified_ns=entry.modified_ns,
    )


def _canonical(item: Item) -> tuple[int, str, int, str]:
    return item.label, item.group, item.frame, item.path


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


def _choose_train(finds: Finds, is_subset_allowed: bool) -> list[TrainImage]:
    """Take the folder with the most training images; never images of two folders together."""
    folders = finds.train_images
    if not folders:
        raise finds.missing(f"lacks training images: {ARCHIVE_NAMES[0]} has what is missing")
    # Kaggle's twins `Train` and `train` are equal in number; the capital letter sorts first.
    root = min(folders, key=lambda root: (-len(folders[root]), root))
    images = folders[root]
    check_train_names(images)
    if not (is_subset_allowed or is_smaller_train(images)):
        inside = next((name for name in finds.zips if name.startswith(f"{root}/")), None)
        hint = f"; {inside} lies there still zipped" if inside else ""
        check_train_counts(images, finds.place / root, hint, ARCHIVE_NAMES[0])
    return images


def _test_items(finds: Finds, is_subset_allowed: bool) -> list[Item]:
    """List the test images with their labels; none only in a subset."""
    folders = finds.test_images
    if not folders:
        if is_subset_allowed and not (finds.broken or finds.still_zipped):
            return []
        raise finds.missing(f"lacks test images: {ARCHIVE_NAMES[1]} has what is missing")
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
    return [_item(entry, split=TEST, name=digits, label=labels[digits]) for digits, entry in images.items()]


def _read_labels(finds: Finds, root: str) -> tuple[dict[str, int], str]:
    """Read the label file that goes with the test images: Kaggle's with png, the publisher's with ppm."""
    if not finds.label_files:
        what = "GT-final_test.csv (the classes of the test images)"
        raise finds.missing(f"lacks {what}: {ARCHIVE_NAMES[2]} has what is missing")
    is_kaggle = finds.test_images[root][0][1].name.lower().endswith(".png")

    def rank(entry: Entry) -> tuple[bool, int, str]:
        return entry.name.lower().endswith("gt-final_test.csv") == is_kaggle, entry.name.count("/"), entry.name

    entry = min(finds.label_files, key=rank)
    if entry.container:
        modified_ns = entry.modified_ns
        content = read_member(entry.container, entry.location, modified_ns=modified_ns, max_bytes=MAX_CSV_BYTES)
    else:
        with Path(entry.location).open("rb") as file:
            content = file.read(MAX_CSV_BYTES + 1)
    return parse_test_labels(content, entry.where), entry.where


def _frames(images: Iterable[TrainImage]) -> set[tuple[int, int, int]]:
    return {(image.label, image.track, image.frame) for image in images}


def is_smaller_train(images: Sequence[TrainImage]) -> bool:
    """True for torchvision's training set, an earlier stage of the competition."""
    return len(images) == NUM_SMALLER_TRAIN and _num_tracks(images) == NUM_SMALLER_TRACKS


def _num_tracks(images: Iterable[TrainImage]) -> int:
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


def title_and_notes(train_images: Sequence[TrainImage], num_test: int) -> tuple[str, tuple[Note, ...]]:
    """What people call this set, and what a reader of its results must know."""
    num_classes = len({image.label for image in train_images})
    counts = (
        f"{len(train_images):,} of {NUM_TRAIN:,} training images in {_num_tracks(train_images):,} of {NUM_TRACKS:,} "
        f"tracks, {num_classes} of {len(CLASS_NAMES)} classes, and {num_test:,} of {NUM_TEST:,} test images"
    )
    if num_test == NUM_TEST and is_smaller_train(train_images):
        return "torchvision's smaller GTSRB", (Note(text=f"torchvision's smaller training set: {counts}."),)
    if num_test == NUM_TEST and _frames(train_images) == complete_frames():
        return "GTSRB", ()
    return "GTSRB (subset)", (Note(text=f"A subset of GTSRB: {counts}."),)


_IMAGE = re.compile(r"(?:Test/)?([0-9]{5})\.(?:ppm|png)", re.IGNORECASE)
_CLASS = re.compile(r"[0-9]{1,2}")


def parse_test_labels(content: bytes, where: str) -> dict[str, int]:
    """Map each test image's five digits to its class: the publisher's csv with semicolons, or Kaggle's with commas.

    Every error names the file (`where`), the line, what is allowed and the way out.
    """

    def wrong(place: str, reason: str) -> ValueError:
        return ValueError(f"{where}{place} {reason}; take it from GTSRB_Final_Test_GT.zip again")

    if len(content) > MAX_CSV_BYTES:
        raise wrong("", f"has {len(content):,} bytes: at most {MAX_CSV_BYTES:,} are read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise wrong("", "is no text: it must be a csv in UTF-8") from None
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        numbered_rows = [(rows.line_num, row) for row in rows if row]
    except csv.Error as error:
        raise wrong(f" line {rows.line_num}:", f"no csv ({error}): it must be plain columns") from None
    header = [column.strip() for column in numbered_rows[0][1]] if numbered_rows else []
    image_name = next((name for name in ("Filename", "Path") if name in header), None)
    if image_name is None or "ClassId" not in header:
        found = repr(",".join(header)[:100])
        raise wrong(" line 1:", f"columns {found}: it must have ClassId and Filename (or Kaggle's Path)")
    labels: dict[str, int] = {}
    for number, row in numbered_rows[1:]:
        line = f" line {number}:"
        if len(row) != len(header):
            raise wrong(line, f"{len(row)} columns: it must have the header's {len(header)}")
        image, label = row[header.index(image_name)], row[header.index("ClassId")]
        if (match := _IMAGE.fullmatch(image.strip())) is None:
            raise wrong(line, f"image {image[:60]!r}: it must read like 00000.ppm or Test/00000.png")
        if _CLASS.fullmatch(label.strip()) is None or int(label) >= NUM_CLASSES:
            raise wrong(line, f"class {label[:60]!r}: it must be a number from 0 to {NUM_CLASSES - 1}")
        if match[1] in labels:
            raise wrong(line, f"image {match[1]} comes twice: each image has one line")
        labels[match[1]] = int(label)
    if not labels:
        raise wrong("", "has no rows: it must name a class for each test image")
    return labels


def find_gtsrb(place: Path) -> Finds:
    """Look for GTSRB in a folder or zip; where only a part is there, also above it, for a folder given too deep."""
    first = _search(place, _ANY_NAME)
    is_class_folder = (
        place.is_dir()
        and _CLASS_FOLDER.fullmatch(place.name) is not None
        and any(_TRAIN_FILE.fullmatch(child.name) for child in place.iterdir())
    )
    if first.num_parts == 3 or not (first.num_parts or is_class_folder):
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
