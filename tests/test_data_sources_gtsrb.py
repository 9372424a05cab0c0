"""GTSRB in all its layouts: tiny fakes for layouts and errors, names alone for the counts, and the real archives.

The csv with the classes of GTSRB's test images, believed in nothing.

What counts as the complete GTSRB, as torchvision's smaller one, and what is said of the rest."""

import csv
import io
import random
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from roadtest.data.dataset import Item, Listing, Note
from roadtest.data.gtsrb_classes import CLASS_NAMES, NUM_TRAIN_BY_CLASS, complete_frames
from roadtest.data.sources import gtsrb
from roadtest.data.sources.archive import Entry, open_archive
from roadtest.data.sources.gtsrb import (
    MAX_CSV_BYTES,
    TrainImage,
    check_test_counts,
    check_train_counts,
    is_smaller_train,
    list_gtsrb,
    parse_test_labels,
    read_image,
    title_and_notes,
)

Files = dict[str, bytes]
TRAIN_ZIP, TEST_ZIP, LABELS_ZIP = gtsrb.ARCHIVE_NAMES
# Two classes; two tracks of three frames in one, one track of two in the other.
FRAMES = [(14, 0, 0), (14, 0, 1), (14, 0, 2), (14, 3, 0), (14, 3, 1), (14, 3, 29), (33, 19, 5), (33, 19, 28)]
TEST_LABELS = {"00000": 33, "00001": 14, "00002": 14, "00003": 2}


def _image(seed: int, kind: str) -> bytes:
    """A noisy image of a size of its own, the same pixels in both kinds."""
    noise = random.Random(seed)
    width, height = 15 + seed % 5, 16
    image = Image.frombytes("RGB", (width, height), noise.randbytes(width * height * 3))
    buffer = io.BytesIO()
    image.save(buffer, "PPM" if kind == "ppm" else "PNG")
    return buffer.getvalue()


def _official_train(folder: str = "GTSRB/Final_Training/Images") -> Files:
    files = {f"{folder}/{c:05d}/{t:05d}_{f:05d}.ppm": _image(c * 999 + t * 30 + f, "ppm") for c, t, f in FRAMES}
    return files | {f"{folder}/00014/GT-00014.csv": b"Filename;ClassId\r\n", "GTSRB/Readme-Images.txt": b"read me"}


def _official_test() -> Files:
    files = {f"GTSRB/Final_Test/Images/{digits}.ppm": _image(int(digits), "ppm") for digits in TEST_LABELS}
    return files | {"GTSRB/Final_Test/Images/GT-final_test.test.csv": b"Filename;Width\r\n00000.ppm;15\r\n"}


def _official_labels() -> Files:
    rows = "".join(f"{digits}.ppm;15;16;{label}\r\n" for digits, label in TEST_LABELS.items())
    return {"GT-final_test.csv": f"Filename;Width;Height;ClassId\r\n{rows}".encode()}


def _kaggle() -> Files:
    images = {f"{c}/{c:05d}_{t:05d}_{f:05d}.png": _image(c * 999 + t * 30 + f, "png") for c, t, f in FRAMES}
    test = {f"{digits}.png": _image(int(digits), "png") for digits in TEST_LABELS}
    files = {f"{twin}/{name}": content for twin in ("Train", "train") for name, content in images.items()}
    files |= {f"{twin}/{name}": content for twin in ("Test", "test") for name, content in test.items()}
    files |= {f"{twin}/{label}.png": _image(label, "png") for twin in ("Meta", "meta") for label in range(43)}
    rows = "".join(f"15,16,{label},Test/{digits}.png\n" for digits, label in TEST_LABELS.items())
    files["Test.csv"] = f"Width,Height,ClassId,Path\n{rows}".encode()
    return files | {"Train.csv": b"Width,Height,ClassId,Path\n", "Meta.csv": b"Path,ClassId\n"}


def _write_tree(folder: Path, *parts: Files) -> Path:
    for name, content in (item for files in parts for item in files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def _write_zip(path: Path, files: Files) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _official_zips(folder: Path) -> Path:
    _write_zip(folder / TRAIN_ZIP, _official_train())
    _write_zip(folder / TEST_ZIP, _official_test())
    _write_zip(folder / LABELS_ZIP, _official_labels())
    return folder


def _one_folder_for_each_zip(folder: Path) -> Path:
    _write_tree(folder / TRAIN_ZIP[:-4], _official_train())
    _write_tree(folder / TEST_ZIP[:-4], _official_test())
    return _write_tree(folder / LABELS_ZIP[:-4], _official_labels())


def _zips_and_their_tree(folder: Path) -> Path:
    return _write_tree(_official_zips(folder), _official_train(), _official_test(), _official_labels())


def _given_too_deep(folder: Path) -> Path:
    _write_tree(folder, _official_train(), _official_test(), _official_labels())
    return folder / "GTSRB" / "Final_Training" / "Images"


def _given_as_one_class(folder: Path) -> Path:
    return _given_too_deep(folder) / "00014"


def _given_too_high(folder: Path) -> Path:
    _write_tree(folder / "my downloads", _official_train(), _official_test(), _official_labels())
    return folder


def _one_of_the_zips(folder: Path) -> Path:
    return _official_zips(folder) / LABELS_ZIP


def _kaggle_parts_zipped(folder: Path) -> Path:
    files = _kaggle()
    _write_zip(folder / "Train.zip", {name: files[name] for name in files if name.startswith("Train/")})
    _write_zip(folder / "Test.zip", {name: files[name] for name in files if name.startswith("Test/")})
    return _write_tree(folder, {"Test.csv": files["Test.csv"]})


def _kaggle_of_small_letters(folder: Path) -> Path:
    files = _kaggle()
    return _write_tree(folder, {name: files[name] for name in files if not name.startswith(("Train/", "Test/"))})


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "zips": _official_zips,
    "tree": lambda folder: _write_tree(folder, _official_train(), _official_test(), _official_labels()),
    "folder per zip": _one_folder_for_each_zip,
    "zips and tree": _zips_and_their_tree,
    "too deep": _given_too_deep,
    "one class": _given_as_one_class,
    "too high": _given_too_high,
    "one of the zips": _one_of_the_zips,
    "Kaggle folder": lambda folder: _write_tree(folder, _kaggle()),
    "Kaggle zip": lambda folder: _write_zip(folder / "archive.zip", _kaggle()).parent,
    "the Kaggle zip itself": lambda folder: _write_zip(folder / "downloaded.zip", _kaggle()),
    "Kaggle's Train": lambda folder: _write_tree(folder, _kaggle()) / "Train",
    "Kaggle's parts zipped": _kaggle_parts_zipped,
    "Kaggle's twins only": _kaggle_of_small_letters,
    "torchvision": lambda folder: _write_tree(
        folder,
        {f"gtsrb/{name}": content for name, content in _official_train("GTSRB/Training").items()},
        {f"gtsrb/{name}": content for name, content in (_official_test() | _official_labels()).items()},
    ),
}


def _list(place: Path | None, *, is_subset_allowed: bool = True) -> Listing:
    return list_gtsrb(place, is_subset_allowed=is_subset_allowed, cache_dir=Path("no-cache-is-used-here"))


def _fingerprint(listing: Listing) -> list[tuple[object, ...]]:
    """What the data fingerprint is made of."""
    return [
        (item.path, item.split, item.label, item.group, item.frame, (image := read_image(item)).size, image.tobytes())
        for item in listing.items
    ]


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Listing:
    return _list(_official_zips(tmp_path_factory.mktemp("official")))


def test_the_listing_is_in_canonical_order_with_tracks_as_groups(official: Listing) -> None:
    assert [(item.path, item.label, item.group, item.frame) for item in official.items] == [
        ("train/00014/00000_00000", 14, "00014/00000", 0),
        ("train/00014/00000_00001", 14, "00014/00000", 1),
        ("train/00014/00000_00002", 14, "00014/00000", 2),
        ("train/00014/00003_00000", 14, "00014/00003", 0),
        ("train/00014/00003_00001", 14, "00014/00003", 1),
        ("train/00014/00003_00029", 14, "00014/00003", 29),
        ("train/00033/00019_00005", 33, "00033/00019", 5),
        ("train/00033/00019_00028", 33, "00033/00019", 28),
        ("test/00003", 2, "", 0),
        ("test/00001", 14, "", 0),
        ("test/00002", 14, "", 0),
        ("test/00000", 33, "", 0),
    ]
    assert [item.split for item in official.items] == ["train"] * 8 + ["test"] * 4
    assert official.source == "gtsrb" and official.class_names == CLASS_NAMES
    assert official.title == "GTSRB (subset)"
    assert official.notes[0].text == (
        "A subset of GTSRB: 8 of 39,209 training images in 3 of 1,307 tracks, 2 of 43 classes, "
        "and 4 of 12,630 test images."
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_the_same_data_set(layout: str, official: Listing, tmp_path: Path) -> None:
    listing = _list(LAYOUTS[layout](tmp_path))
    assert _fingerprint(listing) == _fingerprint(official)
    assert replace(listing, items=()) == replace(official, items=())


def test_items_say_where_the_image_lies_and_how_large_it_is(official: Listing, tmp_path: Path) -> None:
    first = official.items[0]
    assert Path(first.container).name == TRAIN_ZIP
    assert first.location == "GTSRB/Final_Training/Images/00014/00000_00000.ppm"
    assert first.modified_ns == Path(first.container).stat().st_mtime_ns
    file = _list(LAYOUTS["tree"](tmp_path)).items[0]
    assert file.container == "" and Path(file.location).name == "00000_00000.ppm"
    assert file.size_bytes == Path(file.location).stat().st_size == first.size_bytes
    assert file.modified_ns == Path(file.location).stat().st_mtime_ns


def test_the_environment_names_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADTEST_GTSRB", str(_official_zips(tmp_path)))
    assert len(_list(None).items) == 12
    monkeypatch.setenv("ROADTEST_GTSRB", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"ROADTEST_GTSRB .*nowhere does not exist"):
        _list(None)


def test_without_a_place_what_was_downloaded_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROADTEST_GTSRB", raising=False)
    _official_zips(tmp_path / "gtsrb")  # all three are here: nothing is asked of the network
    assert len(list_gtsrb(None, is_subset_allowed=True, cache_dir=tmp_path).items) == 12


def test_another_data_set_beside_the_one_that_was_named_is_not_taken(tmp_path: Path) -> None:
    place = _write_tree(tmp_path / "gtsrb-mine", _official_train(), _official_test())
    _write_tree(tmp_path / "gtsrb-other", _official_train(), _official_test(), _official_labels())
    assert f"{place} lacks GT-final_test.csv" in _error(place)
    _write_tree(tmp_path, _kaggle())  # not even where its names are those of a layout
    assert f"{place} lacks GT-final_test.csv" in _error(place)


def test_from_a_folder_given_too_deep_only_its_own_layout_is_looked_at(tmp_path: Path) -> None:
    place = _write_tree(tmp_path, _official_train(), _official_test()) / "GTSRB"
    _write_tree(tmp_path / "other", _official_labels())
    assert "GTSRB lacks GT-final_test.csv" in _error(place)


def test_a_large_folder_is_not_searched_to_its_depths(tmp_path: Path) -> None:
    _write_tree(tmp_path / "pictures" / "2011" / "backup", _official_train(), _official_test(), _official_labels())
    assert "holds no GTSRB" in _error(tmp_path)


def test_of_two_folders_the_one_with_more_images_is_taken_and_nothing_is_mixed(
    official: Listing, tmp_path: Path
) -> None:
    few = {"Archive/Training/00014/00000_00000.ppm": b"x", "Archive/Test/00000.ppm": b"x"}
    assert _fingerprint(_list(_write_tree(LAYOUTS["tree"](tmp_path), few))) == _fingerprint(official)


@pytest.mark.parametrize("layout", ["tree", "Kaggle folder"])
def test_labels_come_from_the_file_that_goes_with_the_images(layout: str, official: Listing, tmp_path: Path) -> None:
    rows = [(digits, (label + 1) % 43) for digits, label in TEST_LABELS.items()]
    if layout == "tree":
        name, text = "Test.csv", "Path,ClassId\n" + "".join(f"Test/{digits}.png,{label}\n" for digits, label in rows)
    else:
        name, text = "GT-final_test.csv", "Filename;ClassId\n" + "".join(f"{d}.ppm;{label}\n" for d, label in rows)
    place = _write_tree(LAYOUTS[layout](tmp_path), {name: text.encode()})
    assert _fingerprint(_list(place)) == _fingerprint(official)


def test_macos_leftovers_and_the_other_test_set_are_not_counted(official: Listing, tmp_path: Path) -> None:
    place = LAYOUTS["tree"](tmp_path)
    _write_tree(place, {"__MACOSX/GTSRB/Final_Training/Images/00014/._00000_00000.ppm": b"x"})
    online = {f"GTSRB/Online-Test/Images/{number:05d}.ppm": b"x" for number in range(9)}
    _write_zip(place / "GTSRB_Online-Test-Images.zip", online)
    assert _fingerprint(_list(place)) == _fingerprint(official)


def test_a_subset_may_lack_its_test_images_but_not_its_training_images(tmp_path: Path) -> None:
    listing = _list(_write_tree(tmp_path / "a", _official_train()))
    assert {item.split for item in listing.items} == {"train"}
    assert listing.notes[0].text.endswith("and 0 of 12,630 test images.")
    with pytest.raises(FileNotFoundError, match=f"lacks training images: {TRAIN_ZIP} has what is missing"):
        _list(_write_tree(tmp_path / "b", _official_test(), _official_labels()))


def _error(place: Path, *, is_subset_allowed: bool = True) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        _list(place, is_subset_allowed=is_subset_allowed)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_part_without_leave_names_the_first_missing_image_and_the_way_out(tmp_path: Path) -> None:
    text = _error(LAYOUTS["tree"](tmp_path), is_subset_allowed=False)
    assert "holds 8 training images; GTSRB has 39,209 in 1,307 tracks" in text
    assert "(of class 0, Speed limit 20, 00000_00000 is missing)" in text
    assert f"take {TRAIN_ZIP} again, or allow a subset (--subset)" in text


def test_an_empty_folder_says_where_to_get_the_files_and_what_needs_none(tmp_path: Path) -> None:
    text = _error(tmp_path)
    for word in (TRAIN_ZIP, TEST_ZIP, LABELS_ZIP, "sid.erda.dk", "--data-dir DIR", "ROADTEST_GTSRB"):
        assert word in text
    assert "`roadtest compare signs` needs neither" in text
    assert "--data-dir" in _error(tmp_path / "nowhere")


def test_missing_labels_are_named_with_the_archive_that_holds_them(tmp_path: Path) -> None:
    text = _error(_write_tree(tmp_path, _official_train(), _official_test()))
    assert f"lacks GT-final_test.csv (the classes of the test images): {LABELS_ZIP} has what is missing" in text


def test_missing_test_images_are_an_error_where_no_subset_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gtsrb, "check_train_counts", lambda *arguments: None)
    place = _write_tree(tmp_path, _official_train(), _official_labels())
    text = _error(place, is_subset_allowed=False)
    assert f"lacks test images: {TEST_ZIP} has what is missing" in text


def test_a_broken_zip_is_named(tmp_path: Path) -> None:
    path = _official_zips(tmp_path) / TEST_ZIP
    path.write_bytes(path.read_bytes()[:-100])
    # In a subset too: what was cut off is no choice of the user's.
    assert f"{TEST_ZIP} is no whole zip archive" in _error(tmp_path)
    (tmp_path / TRAIN_ZIP).write_bytes(b"<html>")
    assert f"{TEST_ZIP} is no whole zip archive" in _error(tmp_path, is_subset_allowed=False)


def test_a_zip_inside_a_zip_is_named(tmp_path: Path) -> None:
    inner = {name: (_official_zips(tmp_path / "in") / name).read_bytes() for name in (TRAIN_ZIP, TEST_ZIP)}
    _write_zip(tmp_path / "out" / "download.zip", inner)
    assert f"download.zip: {TRAIN_ZIP} is a zip inside a zip" in _error(tmp_path / "out")


def test_a_class_folder_that_is_still_zipped_is_named(tmp_path: Path) -> None:
    place = LAYOUTS["tree"](tmp_path)
    images = place / "GTSRB" / "Final_Training" / "Images"
    folder = images / "00033"
    _write_zip(images / "00033.zip", {f"00033/{path.name}": path.read_bytes() for path in folder.iterdir()})
    shutil.rmtree(folder)
    assert "00033.zip lies there still zipped" in _error(place, is_subset_allowed=False)


def test_a_file_in_another_class_s_folder_is_named(tmp_path: Path) -> None:
    place = _write_tree(tmp_path, {**_kaggle(), "Train/14/00013_00000_00000.png": b""})
    assert "00013_00000_00000.png: folder of class 14, file of class 13" in _error(place)


def test_a_class_that_does_not_exist_is_named(tmp_path: Path) -> None:
    files = {"GTSRB/Final_Training/Images/00043/00000_00000.ppm": b""}
    assert "folder of class 43" in _error(_write_tree(LAYOUTS["tree"](tmp_path), files))


def test_an_image_that_lies_there_twice_is_named(tmp_path: Path) -> None:
    place = LAYOUTS["tree"](tmp_path)
    images = place / "GTSRB" / "Final_Training" / "Images"
    _write_tree(images, {"14/00003_00029.ppm": b""})
    assert "00003_00029.ppm are one image twice" in _error(place)
    shutil.rmtree(images / "14")
    _write_tree(place, {"GTSRB/Final_Test/Images/00002.png": b""})
    assert "holds a test image twice" in _error(place)


def test_a_test_image_without_a_row_is_named(tmp_path: Path) -> None:
    place = _write_tree(LAYOUTS["tree"](tmp_path), {"GTSRB/Final_Test/Images/00007.ppm": b""})
    text = _error(place)
    assert "GT-final_test.csv has no row for" in text and "00007.ppm" in text


def test_a_wrong_class_id_is_named_with_file_and_line(tmp_path: Path) -> None:
    place = LAYOUTS["zips"](tmp_path)
    _write_zip(place / LABELS_ZIP, {"GT-final_test.csv": b"Filename;ClassId\r\n00000.ppm;99\r\n"})
    assert f"{LABELS_ZIP}: GT-final_test.csv line 2: class '99'" in _error(place)


def test_names_in_a_zip_that_lead_out_of_it_are_left_out(tmp_path: Path) -> None:
    place = LAYOUTS["zips"](tmp_path)
    _write_zip(place / TRAIN_ZIP, {**_official_train(), "../Final_Training/Images/00014/00009_00000.ppm": b"x"})
    assert len(_list(place).items) == 12


def _item(path: Path, location: str = "") -> Item:
    return Item(
        path="train/00000/00000_00000",
        container=str(path) if location else "",
        location=location or str(path),
        label=0,
        group="",
        frame=0,
        split="train",
        modified_ns=path.stat().st_mtime_ns,
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P6\n30 30\n255\n" + b"x" * 100,  # cut off
        b"P6\n5000 5000\n255\n",  # 25 million pixels
        b"P6\n99999 99999\n255\n",  # Pillow's own limit
        b"P6\n-1 5\n255\n",
        b"GIF89a" + bytes(50),
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        _image(1, "png")[:-30],
    ],
)
def test_a_broken_or_huge_image_is_named_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "00000_00000.ppm"
    path.write_bytes(content)
    archive = _write_zip(tmp_path / "a.zip", {"x/y.ppm": content})
    for item, name in ((_item(path), "00000_00000.ppm"), (_item(archive, "x/y.ppm"), "a.zip: x/y.ppm")):
        with pytest.raises(ValueError, match=f"{name} is no readable PPM or PNG image") as caught:
            read_image(item)
        assert str(caught.value).isprintable()


def test_an_image_of_more_pixels_than_allowed_is_not_decoded(tmp_path: Path) -> None:
    Image.new("1", (5000, 5000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 20_000
    with pytest.raises(ValueError, match="5000 x 5000 pixels; at most 16,777,216 are read"):
        read_image(_item(tmp_path / "bomb.png"))


def test_a_member_whose_crc_is_wrong_is_named(tmp_path: Path) -> None:
    path = _write_zip(tmp_path / "a.zip", {"y.ppm": _image(0, "ppm")})
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.zip: y\.ppm is broken .Bad CRC"):
        read_image(_item(path, "y.ppm"))


def test_grey_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P"):
        path = tmp_path / f"{mode}.png"
        Image.new("RGB", (3, 2), (51, 51, 51)).convert(mode).save(path)
        image = read_image(_item(path))
        assert (image.mode, image.getpixel((0, 0))) == ("RGB", (51, 51, 51))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["ppm", "png"]),
    changes=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=6),
    length=st.integers(0, 900),
)
def test_a_spoilt_image_is_an_image_or_a_value_error(
    kind: str, changes: list[tuple[int, int]], length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(_image(0, kind)[:length])
    for place, value in changes:
        content[place : place + 1] = bytes([value])
    path = tmp_path_factory.getbasetemp() / f"spoilt.{kind}"
    path.write_bytes(content)
    try:
        image = read_image(_item(path))
    except ValueError as error:
        assert str(error).isprintable()
    else:
        assert image.mode == "RGB"


# The counts of the complete sets, in whole archives of empty files.


def _empty_files(path: Path, names: Iterable[str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"")


@pytest.mark.slow
def test_whole_archives_are_judged_by_their_counts(tmp_path: Path) -> None:
    complete = sorted(complete_frames())
    smaller = [(track % 43, track // 43, frame) for track in range(888) for frame in range(30)]
    for name, folder, frames in (("a", "Final_Training/Images", complete), ("b", "Training", smaller)):
        (tmp_path / name).mkdir()
        names = (f"GTSRB/{folder}/{label:05d}/{track:05d}_{frame:05d}.ppm" for label, track, frame in frames)
        _empty_files(tmp_path / name / ("GTSRB-Training_fixed.zip" if name == "b" else TRAIN_ZIP), names)
        _empty_files(tmp_path / name / TEST_ZIP, (f"GTSRB/Final_Test/Images/{n:05d}.ppm" for n in range(12_630)))
        rows = "".join(f"{number:05d}.ppm;{number % 43}\n" for number in range(12_630))
        _write_zip(tmp_path / name / LABELS_ZIP, {"GT-final_test.csv": f"Filename;ClassId\n{rows}".encode()})
    for is_subset_allowed in (False, True):  # leave to take a subset does not make it one
        listing = _list(tmp_path / "a", is_subset_allowed=is_subset_allowed)
        assert (listing.title, len(listing.items)) == ("GTSRB", 51_839)
        listing = _list(tmp_path / "b", is_subset_allowed=is_subset_allowed)
        assert (listing.title, len(listing.items)) == ("torchvision's smaller GTSRB", 39_270)
    shutil.copy(tmp_path / "b" / "GTSRB-Training_fixed.zip", tmp_path / "a")
    assert _list(tmp_path / "a", is_subset_allowed=False).title == "GTSRB"  # the whole set goes before the smaller one
    _write_zip(tmp_path / "b" / LABELS_ZIP, {"GT-final_test.csv": b"Filename;ClassId\n00000.ppm;1\n"})
    text = _error(tmp_path / "b", is_subset_allowed=False)
    assert "GT-final_test.csv names 1 test images; GTSRB has 12,630 (00001 is missing)" in text


# The real archives.


@pytest.fixture(scope="module")
def real(gtsrb_dir: Path) -> Listing:
    return _list(gtsrb_dir, is_subset_allowed=False)


@pytest.mark.gtsrb
def test_the_real_archives_hold_what_was_published(real: Listing) -> None:
    assert (real.title, real.notes) == ("GTSRB", ())
    assert Counter(item.split for item in real.items) == {"train": 39_209, "test": 12_630}
    train = [item for item in real.items if item.split == "train"]
    tracks = Counter(item.group for item in train)
    assert len(tracks) == 1_307
    assert [track for track, num_frames in tracks.items() if num_frames != 30] == ["00033/00019"]
    assert tracks["00033/00019"] == 29
    by_class = Counter(item.label for item in train)
    assert (min(by_class.values()), max(by_class.values())) == (210, 2250)  # skewed by more than ten to one
    test_by_class = Counter(item.label for item in real.items if item.split == "test")
    assert set(test_by_class) == set(range(43))
    assert all(num_images % 30 == 0 for num_images in test_by_class.values())  # 421 tracks of 30
    assert len({item.path for item in real.items}) == 51_839


@pytest.mark.gtsrb
def test_listing_the_real_archives_opens_their_tables_and_no_image(
    gtsrb_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    honest = zipfile.ZipFile.open

    def noted(self: zipfile.ZipFile, name: str | zipfile.ZipInfo, *more: Any, **others: Any) -> IO[bytes]:
        opened.append(name if isinstance(name, str) else name.filename)
        return honest(self, name, *more, **others)

    monkeypatch.setattr(zipfile.ZipFile, "open", noted)
    open_archive.cache_clear()
    _list(gtsrb_dir, is_subset_allowed=False)
    # one table for each of the 43 classes, and the test labels; benchmarks/speed/start_up.py has the time
    assert 0 < len(opened) <= 44 and all(name.endswith(".csv") for name in opened)


@pytest.mark.gtsrb
def test_real_images_have_the_published_sizes(real: Listing) -> None:
    sample = random.Random(0).sample(real.items, 1000)
    sizes = [read_image(item).size for item in sample]
    # Stallkamp et al. 2012: from 15 x 15 to 222 x 193 in the training set; up to 250 in the published archives.
    assert all(15 <= side <= 272 for size in sizes for side in size)
    by_path = {item.path: item for item in real.items}
    assert read_image(by_path["test/00000"]).size == (53, 54)  # as GT-final_test.csv says
    assert by_path["test/00000"].label == 16


@pytest.mark.gtsrb
@pytest.mark.slow
def test_the_unpacked_tree_of_the_real_archives_is_the_same_data_set(
    real: Listing, gtsrb_dir: Path, tmp_path: Path
) -> None:
    for name in gtsrb.ARCHIVE_NAMES:
        with zipfile.ZipFile(gtsrb_dir / name) as archive:
            archive.extractall(tmp_path)
    tree = _list(tmp_path, is_subset_allowed=False)
    assert [replace(item, container="", location="", modified_ns=0) for item in tree.items] == [
        replace(item, container="", location="", modified_ns=0) for item in real.items
    ]
    for item, same in random.Random(0).sample(list(zip(tree.items, real.items, strict=True)), 300):
        assert read_image(item).tobytes() == read_image(same).tobytes()


OFFICIAL = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
KAGGLE = "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path"


def _parse(*lines: str, end: str = "\r\n") -> dict[str, int]:
    return parse_test_labels(end.join((*lines, "")).encode(), "GT.csv")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_publisher_s_and_kaggle_s_csv_say_the_same(end: str, mark: str) -> None:
    official = _parse(mark + OFFICIAL, "00000.ppm;53;54;6;5;48;49;16", "00001.ppm;42;45;5;5;36;40;1", end=end)
    kaggle = _parse(mark + KAGGLE, "53,54,6,5,48,49,16,Test/00000.png", "42,45,5,5,36,40,1,Test/00001.png", end=end)
    assert official == kaggle == {"00000": 16, "00001": 1}


def test_an_empty_line_is_no_row() -> None:
    assert _parse("Filename;ClassId", "", "00000.ppm;0", "") == {"00000": 0}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("00002.ppm;43", "line 3: class '43': it must be a number from 0 to 42"),
        ("00002.ppm;-1", "line 3: class '-1'"),
        ("00002.ppm;", "line 3: class ''"),
        ("00002.ppm;1.5", "line 3: class '1.5'"),
        ("00002.ppm;１", "line 3: class '１'"),  # a digit, but not of ours
        ("00002.ppm;1_0", "line 3: class '1_0'"),
        ("00002.ppm;014", "line 3: class '014'"),
        ("../../etc/00002.ppm;1", "line 3: image '../../etc/00002.ppm': it must read like 00000.ppm"),
        ("/00002.ppm;1", "line 3: image '/00002.ppm'"),
        ("Test/../00002.ppm;1", "line 3: image 'Test/../00002.ppm'"),
        ("2.ppm;1", "line 3: image '2.ppm'"),
        ("00002.jpg;1", "line 3: image '00002.jpg'"),
        ("00001.png;1", "line 3: image 00001 comes twice"),
        ("00002.ppm", "line 3: 1 columns: it must have the header's 2"),
        ("00002.ppm;1;1", "line 3: 3 columns"),
        ('00002.ppm;"1" 1', "line 3: no csv"),
        ("00002.ppm;" + "1" * 200_000, "line 3: no csv .field larger"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"GT.csv {reason}") as caught:
        _parse("Filename;ClassId", "00001.ppm;1", line)
    assert str(caught.value).isprintable()
    assert "GTSRB_Final_Test_GT.zip" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1: columns ''"),
        (b"Filename;Width;Height\n00000.ppm;1;1\n", "line 1: columns 'Filename,Width,Height': it must have ClassId"),
        (b"Width,ClassId\n1,1\n", "line 1: columns 'Width,ClassId'"),
        (b"Filename;ClassId\n", "has no rows"),
        (b"\xff\xfe\x00", "is no text"),
        (b"PK\x03\x04;\n", r"line 1: columns 'PK\\x03\\x04,'"),
        (b"x" * (MAX_CSV_BYTES + 1), "at most 8,388,608 are read"),
    ],
)
def test_a_file_that_is_something_else_is_named(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"GT.csv .*{reason}") as caught:
        parse_test_labels(content, "GT.csv")
    assert str(caught.value).isprintable()


labels_strategy = st.dictionaries(st.integers(0, 99_999).map("{:05d}".format), st.integers(0, 42), min_size=1)


@pytest.mark.slow
@given(labels=labels_strategy, is_kaggle=st.booleans(), shuffled=st.randoms())
def test_whatever_was_written_is_read_back(labels: dict[str, int], is_kaggle: bool, shuffled: "object") -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="," if is_kaggle else ";")
    writer.writerow(["ClassId", "Path"] if is_kaggle else ["Filename", "Width", "ClassId"])
    items = list(labels.items())
    shuffled.shuffle(items)  # type: ignore[attr-defined]
    for digits, label in items:
        writer.writerow([label, f"Test/{digits}.png"] if is_kaggle else [f"{digits}.ppm", 30, label])
    assert parse_test_labels(text.getvalue().encode(), "GT.csv") == labels


hostile_cells = st.one_of(st.text(max_size=8), st.sampled_from(["00000.ppm", "Test/00001.png", "7", "42", "43", '"']))
hostile_lines = st.lists(hostile_cells, max_size=4).map(";".join)


@pytest.mark.slow
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.lists(hostile_lines, max_size=6).map(lambda lines: "\n".join(["Filename;ClassId", *lines]).encode()),
    )
)
def test_any_bytes_are_labels_or_one_line_that_names_the_file(content: bytes) -> None:
    labels: dict[str, int] = {}
    with suppress(ValueError):
        labels = parse_test_labels(content, "GT.csv")
        assert labels
    assert all(len(digits) == 5 and digits.isascii() and digits.isdigit() for digits in labels)
    assert all(0 <= label <= 42 for label in labels.values())
    if not labels:
        with pytest.raises(ValueError, match=r"^GT\.csv") as caught:
            parse_test_labels(content, "GT.csv")
        assert str(caught.value).isprintable()


def _train_image(label: int, track: int, frame: int) -> TrainImage:
    entry = Entry(name="", container="", location=f"{label}/{track}_{frame}.ppm", size_bytes=0, modified_ns=0)
    return TrainImage(entry=entry, label=label, named_label=label, track=track, frame=frame)


@pytest.fixture(scope="module")
def complete() -> list[TrainImage]:
    return [_train_image(*frame) for frame in sorted(complete_frames())]


@pytest.fixture(scope="module")
def smaller() -> list[TrainImage]:
    return [_train_image(track % 43, track // 43, frame) for track in range(888) for frame in range(30)]


def test_the_expected_frames_are_the_published_numbers() -> None:
    assert sum(NUM_TRAIN_BY_CLASS) == len(complete_frames()) == 39_209
    tracks = Counter((label, track) for label, track, _ in complete_frames())
    assert Counter(tracks.values()) == {30: 1_306, 29: 1}
    assert tracks[33, 19] == 29
    by_class = Counter(label for label, _, _ in complete_frames())
    assert tuple(by_class[label] for label in range(43)) == NUM_TRAIN_BY_CLASS


@pytest.mark.slow
def test_the_complete_set_passes_and_one_image_less_or_more_is_named(complete: list[TrainImage]) -> None:
    check_train_counts(complete, "here", "", "x.zip")
    assert title_and_notes(complete, 12_630) == ("GTSRB", ())
    assert title_and_notes(complete, 12_629)[0] == "GTSRB (subset)"
    less = [image for image in complete if (image.label, image.track, image.frame) != (14, 3, 29)]
    with pytest.raises(ValueError, match=r"39,208 training images.*of class 14, Stop, 00003_00029 is missing"):
        check_train_counts(less, "here", "", "x.zip")
    with pytest.raises(ValueError, match=r"39,210 training images.*of class 33, .*, 00019_00029 is one too many"):
        check_train_counts([*complete, _train_image(33, 19, 29)], "here", "", "x.zip")
    assert title_and_notes(less, 12_630)[0] == "GTSRB (subset)"


@pytest.mark.slow
def test_torchvision_s_smaller_set_says_so(smaller: list[TrainImage]) -> None:
    assert is_smaller_train(smaller) and not is_smaller_train(smaller[1:])
    assert title_and_notes(smaller, 12_630) == (
        "torchvision's smaller GTSRB",
        (
            Note(
                text="torchvision's smaller training set: 26,640 of 39,209 training images in 888 of 1,307 tracks, "
                "43 of 43 classes, and 12,630 of 12,630 test images."
            ),
        ),
    )
    assert title_and_notes(smaller[1:], 12_630)[0] == title_and_notes(smaller, 12_600)[0] == "GTSRB (subset)"


def test_a_missing_or_extra_test_image_is_named() -> None:
    numbers = [f"{number:05d}" for number in range(12_630)]
    check_test_counts(numbers, "here", "x.zip")
    with pytest.raises(ValueError, match=r"names 12,629 test images; GTSRB has 12,630 .00007 is missing.: take x.zip"):
        check_test_counts(numbers[:7] + numbers[8:], "here", "x.zip")
    with pytest.raises(ValueError, match=r"names 12,631 test images; .* .12630 is one too many"):
        check_test_counts([*numbers, "12630"], "here", "x.zip")
