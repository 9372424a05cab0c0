"""The decode cache: right pixels, one fingerprint, safe against broken images, full disks and workers that die."""

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
import psutil
import pytest
from PIL import Image

from fake_images import SIZE, draw_folder, generations, no_decoding, opened, pixels_of
from roadtest.data import cache
from roadtest.data.cache import (
    BrokenImages,
    cache_key,
    data_fingerprint,
    decode_image,
    default_cache_dir,
    open_image_set,
)
from roadtest.data.dataset import Item, Listing
from roadtest.data.sources.folder import list_folder
from roadtest.data.sources.gtsrb import list_gtsrb
from roadtest.data.sources.images import read_image


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


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="only Linux reserves space without writing")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_cannot_reserve_the_array_is_the_same_error_and_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(ValueError, match=r"need \d+ bytes and the disk of"):
        opened(folder, tmp_path / "cache", num_processes=1)
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
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))  # elsewhere other names, which platformdirs knows
    if sys.platform == "linux":
        assert default_cache_dir() == tmp_path / "xdg" / "roadtest"


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


def break_images(root: Path) -> None:
    """A cut file, one that is none, and an empty one."""
    whole = root / "train" / "a" / "02.png"
    whole.write_bytes(whole.read_bytes()[:200])
    (root / "train" / "b" / "03.png").write_bytes(b"this is no image")
    (root / "test" / "a" / "24.png").write_bytes(b"")


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_all_broken_images_are_named_before_anything_else(folder: Path, tmp_path: Path, num_processes: int) -> None:
    break_images(folder)
    with pytest.raises(BrokenImages) as error:
        opened(folder, tmp_path / "cache", num_processes=num_processes)
    paths = [path for path, _ in error.value.paths_and_reasons]
    assert paths == ["train/a/02.png", "train/b/03.png", "test/a/24.png"]
    message = str(error.value)
    assert message.startswith("3 of 30 images cannot be read: train/a/02.png (")
    assert message.endswith("--skip-broken")
    assert "\n" not in message


def test_a_long_list_of_broken_images_is_cut(folder: Path, tmp_path: Path) -> None:
    for path in sorted((folder / "train" / "a").iterdir())[:5]:
        path.write_bytes(b"")
    with pytest.raises(BrokenImages, match=r"5 of 30 .*00.png.*02.png.*04.png.* and 2 more; repair") as error:
        opened(folder, tmp_path / "cache")
    assert len(error.value.paths_and_reasons) == 5


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_skipping_leaves_the_broken_out_and_keeps_the_rest_in_place(
    folder: Path, tmp_path: Path, num_processes: int
) -> None:
    whole = opened(folder, tmp_path / "cache")
    break_images(folder)
    rest = opened(folder, tmp_path / "cache", skip_broken=True, num_processes=num_processes)
    kept = [i for i, path in enumerate(whole.paths) if path in rest.paths]
    assert len(kept) == len(rest.paths) == 27
    assert np.array_equal(rest.images_NHWC, whole.images_NHWC[kept])
    assert rest.labels_N.tolist() == whole.labels_N[kept].tolist()
    assert rest.splits == tuple(whole.splits[i] for i in kept)
    assert (rest.notes[-1].kind, rest.notes[-1].count) == ("broken", 3) and "train/a/02.png (" in rest.notes[-1].text
    assert rest.fingerprint != whole.fingerprint


def test_a_set_without_its_broken_images_is_the_set_that_never_had_them(folder: Path, tmp_path: Path) -> None:
    break_images(folder)
    skipped = opened(folder, tmp_path / "cache", skip_broken=True)
    for path in ("train/a/02.png", "train/b/03.png", "test/a/24.png"):
        (folder / path).unlink()
    assert opened(folder, tmp_path / "cache").fingerprint == skipped.fingerprint


def test_broken_images_stay_an_error_after_they_were_skipped_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_images(folder)
    opened(folder, tmp_path / "cache", skip_broken=True)
    monkeypatch.setattr(cache, "decode_all", no_decoding)
    with pytest.raises(BrokenImages, match="3 of 30"):
        opened(folder, tmp_path / "cache")
    assert len(opened(folder, tmp_path / "cache", skip_broken=True).paths) == 27


def test_an_image_that_became_readable_supersedes_the_cache(folder: Path, tmp_path: Path) -> None:
    # The same size and time as before: only a look at the file itself can tell (as after a change of permissions).
    path = folder / "train" / "a" / "02.png"
    whole, status = path.read_bytes(), path.stat()
    path.write_bytes(b"x" * len(whole))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    first = opened(folder, tmp_path / "cache", skip_broken=True)
    path.write_bytes(whole)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = opened(folder, tmp_path / "cache")
    assert (len(first.paths), len(second.paths)) == (29, 30)
    assert generations(tmp_path / "cache") == ["0", "1"]
    assert first.images_NHWC[0].any()  # the superseded array is still mapped and there


def test_a_class_that_lost_all_its_images_stops_the_work(folder: Path, tmp_path: Path) -> None:
    for path in folder.rglob("b/*.png"):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="class 'b' has no readable image left"):
        opened(folder, tmp_path / "cache", skip_broken=True)


def test_nothing_but_broken_images_is_an_error_even_when_skipping(folder: Path, tmp_path: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(BrokenImages, match="30 of 30 images cannot be read"):
        opened(folder, tmp_path / "cache", skip_broken=True)
    assert generations(tmp_path / "cache") == []


def test_a_large_image_is_averaged_when_it_shrinks() -> None:
    # Columns of black and white average to grey; sampling without antialiasing would keep one of the two.
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels, _ = decode_image(Image.fromarray(stripes), 16)
    assert 117 <= pixels.min() <= pixels.max() <= 138


def test_an_image_in_strips_has_the_digest_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(pixels_of(3))
    _, whole = decode_image(image, 8)
    monkeypatch.setattr(cache, "_STRIP_PIXELS", 50)
    assert decode_image(image, 8)[1] == whole


def test_the_shape_of_an_image_is_in_its_digest() -> None:
    flat, tall = (Image.new("RGB", size, "red") for size in ((6, 2), (2, 6)))
    assert decode_image(flat, 8)[1] != decode_image(tall, 8)[1]


def test_an_image_of_too_many_pixels_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_PIXELS", 1_000_000)
    with pytest.raises(ValueError, match="1001 x 1000 pixels are more than"):
        decode_image(Image.new("L", (1001, 1000)), 8)


def read_and_die(item: Item) -> Image.Image:
    """Like a decoder that a hostile image crashes."""
    if item.path.endswith("/05.png"):
        os._exit(3)
    return read_image(item)


@pytest.mark.slow
def test_a_worker_that_dies_is_an_error_that_names_where(folder: Path, tmp_path: Path) -> None:
    listing = replace(list_folder(folder), read_image=read_and_die)
    with pytest.raises(ValueError, match=r"a decoding process ended, between train/\S+ and \S+: memory ran out or"):
        open_image_set(listing, image_size=SIZE, cache_dir=tmp_path / "cache", num_processes=2)
    assert generations(tmp_path / "cache") == []


@pytest.mark.slow
def test_an_interrupted_build_ends_its_workers_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    def interrupt(_: int, __: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(folder, tmp_path / "cache", num_processes=2, on_progress=interrupt)
    assert generations(tmp_path / "cache") == []
    assert [child for child in psutil.Process().children() if "--process-name" in child.cmdline()] == []


def test_the_array_is_the_file_that_numpy_saves(folder: Path, tmp_path: Path) -> None:
    images_NHWC = opened(folder, tmp_path / "cache").images_NHWC
    np.save(tmp_path / "x.npy", images_NHWC)
    assert (tmp_path / "x.npy").read_bytes() == Path(str(images_NHWC.filename)).read_bytes()  # type: ignore[attr-defined]
    break_images(folder)
    rest_NHWC = opened(folder, tmp_path / "cache", skip_broken=True).images_NHWC
    np.save(tmp_path / "x.npy", rest_NHWC)
    assert (tmp_path / "x.npy").read_bytes() == Path(str(rest_NHWC.filename)).read_bytes()  # type: ignore[attr-defined]
