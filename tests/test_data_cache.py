"""The decode cache: right pixels, one fingerprint, safe against broken images and full disks."""

import errno
import io
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fake_images import SIZE, draw_folder, generations, no_decoding, opened, pixels_of
from roadtest.data import cache
from roadtest.data.cache import cache_key, data_fingerprint, default_cache_dir, open_image_set
from roadtest.data.decode import decode_image
from roadtest.data.folder import list_folder
from roadtest.data.gtsrb import list_gtsrb
from roadtest.data.imageset import Item, Listing
from roadtest.data.pictures import read_image
from roadtest.data.rows import RowFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 15 images each, in all three parts."""
    return draw_folder(tmp_path / "images")


# Pixels, order, reopening


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_rows_hold_the_images_of_the_listing_in_its_order(folder: Path, tmp_path: Path, num_processes: int) -> None:
    listing = list_folder(folder)
    opened_set = opened(folder, tmp_path / "cache", num_processes=num_processes)
    assert opened_set.paths == tuple(item.path for item in listing.items)
    assert opened_set.images_NHWC.shape == (30, SIZE, SIZE, 3)
    for row, item in enumerate(listing.items):
        expected = Image.fromarray(pixels_of(int(Path(item.path).stem))).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        assert np.array_equal(opened_set.images_NHWC[row], np.asarray(expected))
    assert opened_set.labels_N.tolist() == [item.label for item in listing.items]
    assert opened_set.splits == tuple(item.split for item in listing.items)


def test_the_arrays_are_read_only_and_mapped(folder: Path, tmp_path: Path) -> None:
    opened_set = opened(folder, tmp_path / "cache")
    assert isinstance(opened_set.images_NHWC, np.memmap)
    for array in (opened_set.images_NHWC, opened_set.labels_N, opened_set.frames_N):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_the_second_opening_decodes_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(folder, tmp_path / "cache")
    monkeypatch.setattr(cache, "decode_all", no_decoding)
    second = opened(folder, tmp_path / "cache", on_progress=no_decoding)
    assert np.array_equal(first.images_NHWC, second.images_NHWC)
    assert replace(first, images_NHWC=None, labels_N=None, frames_N=None) == replace(  # type: ignore[arg-type]
        second,
        images_NHWC=None,
        labels_N=None,
        frames_N=None,  # type: ignore[arg-type]
    )


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_progress_rises_to_the_number_of_images(folder: Path, tmp_path: Path, num_processes: int) -> None:
    told: list[tuple[int, int]] = []
    opened(folder, tmp_path, num_processes=num_processes, on_progress=lambda *counts: told.append(counts))
    assert len(told) > 1
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (30, 30)


def change_time(items: list[Item]) -> None:
    items[3] = replace(items[3], modified_ns=items[3].modified_ns + 1)


def change_group(items: list[Item]) -> None:
    items[0] = replace(items[0], group="g")


def change_order(items: list[Item]) -> None:
    items.reverse()


@pytest.mark.parametrize("change", [change_time, change_group, change_order, list.pop])
def test_whatever_changes_in_the_listing_changes_the_key(folder: Path, change: Callable[[list[Item]], None]) -> None:
    listing = list_folder(folder)
    items = list(listing.items)
    change(items)
    assert cache_key(replace(listing, items=tuple(items)), SIZE) != cache_key(listing, SIZE)


def test_the_image_size_is_in_the_key(folder: Path) -> None:
    assert cache_key(list_folder(folder), 16) != cache_key(list_folder(folder), 17)


def test_a_changed_file_is_decoded_again(folder: Path, tmp_path: Path) -> None:
    before = opened(folder, tmp_path / "cache")
    path = folder / "train" / "a" / "00.png"
    Image.new("RGB", (9, 9), "red").save(path)
    os.utime(path, ns=(1, 1))
    after = opened(folder, tmp_path / "cache")
    assert after.images_NHWC[0].tolist() == [[[255, 0, 0]] * SIZE] * SIZE
    assert after.fingerprint != before.fingerprint


def test_a_listing_without_images_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no images"):
        open_image_set(replace(list_folder(folder), items=()), image_size=SIZE, cache_dir=tmp_path)


# The data fingerprint


def test_the_fingerprint_is_that_of_the_original_pixels_at_any_size(folder: Path, tmp_path: Path) -> None:
    listing = list_folder(folder)
    small = open_image_set(listing, image_size=16, cache_dir=tmp_path)
    large = open_image_set(listing, image_size=24, cache_dir=tmp_path)
    assert small.fingerprint == large.fingerprint


@pytest.mark.slow
def test_the_fingerprint_does_not_know_paths_formats_and_processes(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for path in folder.rglob("*.png"):
        split, name, _ = path.relative_to(folder).parts
        target = other / split / name / "deep" / f"{99 - int(path.stem)}.ppm"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.save(target)
    here = opened(folder, tmp_path / "cache", num_processes=1)
    there = opened(other, tmp_path / "cache", num_processes=2)
    assert here.fingerprint == there.fingerprint
    assert here.paths != there.paths


def test_the_fingerprint_of_a_published_example_never_changes() -> None:
    # Golden: records of different versions are compared by it. Also the same for images large enough to go in strips.
    item = Item(path="x", container="", location="", label=1, group="g", frame=2, split="train")
    _, digest = decode_image(Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3)), 8)
    assert digest.hex() == "55e019e18928d1c085e91dbb6dd72331"
    assert data_fingerprint([item], [digest], 2) == "81bfdac04df5d5e03ca78ad20e843c7c633ef35363ab6c991bc00942cf7252aa"


@pytest.mark.parametrize(
    "change", [{"split": "val"}, {"label": 0}, {"group": "h"}, {"frame": 3}, {"path": "y", "location": "z"}]
)
def test_the_fingerprint_follows_what_an_image_is_and_not_where_it_lies(change: dict[str, object]) -> None:
    item = Item(path="x", container="", location="", label=1, group="g", frame=2, split="train")
    is_same = data_fingerprint([item], [b"d"], 2) == data_fingerprint([replace(item, **change)], [b"d"], 2)  # type: ignore[arg-type]
    assert is_same == ("path" in change)


# The disk


def test_too_little_room_is_said_before_anything_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1234))
    monkeypatch.setattr(cache, "decode_all", no_decoding)
    with pytest.raises(ValueError, match=r"need \d+ bytes and the disk of .* has 1234 free: make room") as error:
        opened(folder, tmp_path / "cache")
    assert "\n" not in str(error.value)
    assert generations(tmp_path / "cache") == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_half_way_is_the_same_error_and_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write = RowFile.write

    def write_or_fail(self: RowFile, start: int, pixels_NHWC: np.ndarray) -> None:
        if start > 10:
            raise OSError(number, os.strerror(number))
        write(self, start, pixels_NHWC)

    monkeypatch.setattr(RowFile, "write", write_or_fail)
    with pytest.raises(ValueError, match=r"need \d+ bytes and the disk of"):
        opened(folder, tmp_path / "cache", num_processes=1)
    assert generations(tmp_path / "cache") == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_reported_from_the_worker_to_the_user(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RowFile, "start", lambda self, _: self.path.symlink_to("/dev/full"))
    with pytest.raises(ValueError, match=r"need \d+ bytes and the disk of"):
        open_image_set(list_folder(folder), image_size=128, cache_dir=tmp_path / "cache", num_processes=2)
    assert generations(tmp_path / "cache") == []


def test_a_cache_folder_that_cannot_be_made_is_one_clear_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match=r"the cache cannot be kept in .*; set ROADTEST_CACHE to one"):
        opened(folder, tmp_path / "file")


@pytest.mark.parametrize("damage", ["cut", "gone", "nonsense"])
def test_a_damaged_cache_is_superseded(folder: Path, tmp_path: Path, damage: str) -> None:
    before = np.array(opened(folder, tmp_path / "cache").images_NHWC)
    (only,) = (tmp_path / "cache" / "decoded").iterdir()
    if damage == "cut":
        (only / "images.npy").write_bytes((only / "images.npy").read_bytes()[:-1])
    elif damage == "gone":
        (only / "images.npy").unlink()
    else:
        (only / "about.json").write_text("{")
    assert np.array_equal(opened(folder, tmp_path / "cache").images_NHWC, before)
    assert generations(tmp_path / "cache") == ["0", "1"]


def test_a_reader_without_a_name_is_our_mistake(folder: Path) -> None:
    listing = replace(list_folder(folder), read_image=lambda item: read_image(item))
    with pytest.raises(AssertionError, match="module-level"):
        cache_key(listing, SIZE)


# Places


def test_the_cache_lies_where_the_user_or_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADTEST_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("ROADTEST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_cache_dir() == tmp_path / "xdg" / "roadtest"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_cache_dir() == Path.home() / "Library" / "Caches" / "roadtest"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert default_cache_dir() == tmp_path / "local" / "roadtest" / "cache"


# Real data


@pytest.fixture(scope="module")
def real(gtsrb_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Listing, Path]:
    cache_dir = tmp_path_factory.mktemp("cache")
    listing = list_gtsrb(gtsrb_dir, cache_dir=cache_dir)
    open_image_set(listing, image_size=32, cache_dir=cache_dir)
    return listing, cache_dir


@pytest.mark.gtsrb
@pytest.mark.slow
def test_real_gtsrb_is_reopened_in_less_than_half_a_second(real: tuple[Listing, Path]) -> None:
    listing, cache_dir = real
    started = time.process_time()
    image_set = open_image_set(listing, image_size=32, cache_dir=cache_dir)
    assert time.process_time() - started < 0.5
    assert image_set.images_NHWC.shape == (51839, 32, 32, 3)


@pytest.mark.gtsrb
@pytest.mark.slow
def test_real_gtsrb_has_its_known_fingerprint(real: tuple[Listing, Path]) -> None:
    listing, cache_dir = real
    image_set = open_image_set(listing, image_size=32, cache_dir=cache_dir)
    assert image_set.fingerprint == "81092ce73117bf7cded71b9d7a6caedef97c2e53eb0db8f205cede9be03215ef"


@pytest.mark.gtsrb
def test_a_sample_of_real_gtsrb_is_decoded_like_pillow_does(gtsrb_dir: Path, tmp_path: Path) -> None:
    listing = list_gtsrb(gtsrb_dir, cache_dir=tmp_path)
    some = replace(listing, items=listing.items[::1500])
    image_set = open_image_set(some, image_size=32, cache_dir=tmp_path, num_processes=1)
    for row, item in enumerate(some.items):
        picture = io.BytesIO()
        listing.read_image(item).resize((32, 32), Image.Resampling.BILINEAR).save(picture, "PNG")
        assert np.array_equal(image_set.images_NHWC[row], np.asarray(Image.open(picture)))
