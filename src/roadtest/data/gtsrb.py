"""The German Traffic Sign Recognition Benchmark: what lies there, whatever layout it has, in one canonical order.

The publisher's three archives, their unpacked tree and the Kaggle layout become the same listing: the same ids, groups,
frames, labels and order, so that their data fingerprints are equal. A data set is judged by what it holds, never by the
name of its folder: 39,209 training images in 1,307 tracks, 12,630 test images, 43 classes. Anything less is an error
that names what is missing, or a subset where that was allowed, or torchvision's smaller training set, and is titled so.
Images are read where they lie, also inside the zips; nothing is unpacked and nothing is decoded before the cache asks.

Source: Stallkamp et al. 2012, "Man vs. computer", https://doi.org/10.1016/j.neunet.2012.02.016;
https://benchmark.ini.rub.de/gtsrb_dataset.html
"""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from roadtest.data.archive import Entry, describe, file_of, read_member
from roadtest.data.download import ARCHIVE_NAMES, HOW_TO_GET_GTSRB, download_gtsrb
from roadtest.data.gtsrb_counts import (
    check_test_counts,
    check_train_counts,
    check_train_names,
    is_smaller_train,
    title_and_notes,
)
from roadtest.data.gtsrb_labels import MAX_CSV_BYTES, parse_test_labels
from roadtest.data.gtsrb_names import CLASS_NAMES
from roadtest.data.gtsrb_places import Finds, TrainImage, find_gtsrb
from roadtest.data.imageset import TEST, TRAIN, Item, Listing

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


def _nothing_here(finds: Finds) -> str:
    if finds.broken:
        return finds.broken[0]
    if finds.still_zipped:
        return _unpack_first(finds.still_zipped[0])
    return (
        f"{finds.place} holds no GTSRB: it must hold the archives, their tree or the Kaggle layout; {HOW_TO_GET_GTSRB}"
    )


def _unpack_first(entry: Entry) -> str:
    return f"{entry.where} is a zip inside a zip: images are read in zips, not deeper; unpack the outer one once"


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


def _read_text(entry: Entry) -> bytes:
    if entry.container:
        return read_member(entry.container, entry.location, modified_ns=entry.modified_ns, max_bytes=MAX_CSV_BYTES)
    with Path(entry.location).open("rb") as file:
        return file.read(MAX_CSV_BYTES + 1)


def _missing(finds: Finds, what: str, archive: str) -> Exception:
    """The error for a part that is not there, with the likeliest reason first."""
    if finds.broken:
        return ValueError(finds.broken[0])
    if finds.still_zipped:
        return ValueError(_unpack_first(finds.still_zipped[0]))
    return FileNotFoundError(f"{finds.place} lacks {what}: {archive} has what is missing; {HOW_TO_GET_GTSRB}")


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
