"""Broken images in the decode cache: named all at once, left out only on demand, looked at again."""

import os
from pathlib import Path

import numpy as np
import pytest

from fake_images import draw_folder, generations, no_decoding, opened
from roadtest.data import cache
from roadtest.data.cache import BrokenImages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 15 images each, in all three parts."""
    return draw_folder(tmp_path / "images")


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
    assert rest.notes[-1].startswith("3 broken images were left out: train/a/02.png (")
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
