"""Archives that did not change are not listed again; whatever might have changed is."""

import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from fake_images import draw_folder
from roadtest.data import open as open_module
from roadtest.data.download import ARCHIVE_NAMES
from roadtest.data.folder import list_folder
from roadtest.data.gtsrb_names import CLASS_NAMES
from roadtest.data.imageset import ImageSet, Listing
from roadtest.data.open import open_source

Open = Callable[..., tuple[ImageSet, bool]]
"""Opens GTSRB; what was opened, and whether it was listed for that."""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The three archives, in name: what is in them comes from a folder of images."""
    folder = tmp_path / "archives"
    folder.mkdir()
    for name in ARCHIVE_NAMES:
        (folder / name).write_text("not read")
    return folder


@pytest.fixture
def open_gtsrb(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    draw_folder(tmp_path / "images")
    listed: list[Listing] = []

    def list_gtsrb(*_: object, **__: object) -> Listing:
        listing = list_folder(tmp_path / "images")
        listed.append(replace(listing, source="gtsrb", title="GTSRB", class_names=CLASS_NAMES, notes=("one",)))
        return listed[-1]

    def opened(**options: object) -> tuple[ImageSet, bool]:
        listed.clear()
        given = {"image_size": 16, "cache_dir": tmp_path / "cache", "data_dir": data_dir, **options}
        return open_source("gtsrb", **given), bool(listed)  # type: ignore[arg-type]

    monkeypatch.setattr(open_module, "list_gtsrb", list_gtsrb)
    return opened


def test_what_is_recalled_is_what_was_opened(open_gtsrb: Open, tmp_path: Path) -> None:
    first, was_listed = open_gtsrb()
    second, is_listed_again = open_gtsrb()
    assert (was_listed, is_listed_again) == (True, False)
    assert any(group.startswith("~") for group in second.groups)  # recovered tracks too
    for field in fields(ImageSet):
        if not field.name.endswith(("_N", "_NHWC", "held_out")):
            assert getattr(first, field.name) == getattr(second, field.name), field.name
    for name in ("images_NHWC", "labels_N", "frames_N"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
        assert not getattr(second, name).flags.writeable
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_an_archive_that_changed_is_listed_again(open_gtsrb: Open, data_dir: Path) -> None:
    open_gtsrb()
    (data_dir / ARCHIVE_NAMES[0]).write_text("not read, longer")
    assert open_gtsrb()[1]
    assert not open_gtsrb()[1]
    os.utime(data_dir / ARCHIVE_NAMES[1], (1, 1))
    assert open_gtsrb()[1]


@pytest.mark.parametrize("other", ["Images/", "more.zip", "GT-final_test.csv", "00000.PPM"])
def test_a_folder_that_holds_more_is_always_listed(other: str, open_gtsrb: Open, data_dir: Path) -> None:
    open_gtsrb()
    if other.endswith("/"):
        (data_dir / other).mkdir()
    else:
        (data_dir / other).write_text("")
    assert open_gtsrb()[1]
    assert open_gtsrb()[1]


def test_files_that_no_listing_looks_at_do_not_matter(open_gtsrb: Open, data_dir: Path) -> None:
    open_gtsrb()
    (data_dir / "README.txt").write_text("")
    assert not open_gtsrb()[1]


def test_a_part_of_it_is_always_listed(open_gtsrb: Open, data_dir: Path) -> None:
    open_gtsrb()
    assert open_gtsrb(is_subset_allowed=True)[1]
    (data_dir / ARCHIVE_NAMES[2]).unlink()
    assert open_gtsrb(is_subset_allowed=True)[1]
    assert open_gtsrb()[1]


def test_another_size_is_decoded_for_itself(open_gtsrb: Open) -> None:
    open_gtsrb()
    larger, is_listed = open_gtsrb(image_size=24)
    assert is_listed and larger.image_size == 24
    assert open_gtsrb()[0].image_size == 16


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"labels": [1]}', '{"labels": "x", "frames": [[1], [1, 2]]}'])
def test_what_was_kept_damaged_is_kept_anew(text: str, open_gtsrb: Open, tmp_path: Path) -> None:
    first, _ = open_gtsrb()
    (kept,) = (tmp_path / "cache").glob("decoded/*/opened-*.json")
    kept.write_text(text)
    second, is_listed = open_gtsrb()
    assert is_listed and second.paths == first.paths
    assert not open_gtsrb()[1]


def test_pixels_that_were_cut_off_are_decoded_again(open_gtsrb: Open, tmp_path: Path) -> None:
    first, _ = open_gtsrb()
    (pixels,) = (tmp_path / "cache").glob("decoded/*/images.npy")
    os.truncate(pixels, 1000)
    second, is_listed = open_gtsrb()
    assert is_listed and second.images_NHWC.shape == first.images_NHWC.shape
    third, is_listed = open_gtsrb()
    assert not is_listed and np.array_equal(second.images_NHWC, third.images_NHWC)


def test_where_images_are_broken_nothing_is_remembered(open_gtsrb: Open, tmp_path: Path) -> None:
    open_gtsrb()
    next((tmp_path / "images").rglob("*.png")).write_bytes(b"no picture")
    for archive in (tmp_path / "archives").iterdir():
        os.utime(archive, (2, 2))
    for _ in range(2):
        image_set, is_listed = open_gtsrb(skip_broken=True)
        assert is_listed and any("left out" in note for note in image_set.notes)


def test_a_cache_that_cannot_be_written_to_stops_nobody(open_gtsrb: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("roadtest.data.remembered.write_atomically", full)
    assert open_gtsrb()[1]
    assert open_gtsrb()[1]
