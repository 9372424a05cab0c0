"""Decoding, here and in workers: right pixels, and nothing that a worker should not do."""

import errno
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from fake_images import SIZE, draw_folder, generations, no_decoding, opened, pixels_of
from roadtest.data import decode
from roadtest.data.cache import open_image_set
from roadtest.data.decode import answer_chunk, decode_image, item_values
from roadtest.data.folder import list_folder
from roadtest.data.imageset import Item


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 15 images each, in all three parts."""
    return draw_folder(tmp_path / "images")


def test_a_large_image_is_averaged_when_it_shrinks() -> None:
    # Columns of black and white average to grey; sampling without antialiasing would keep one of the two.
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels, _ = decode_image(Image.fromarray(stripes), 16)
    assert 117 <= pixels.min() <= pixels.max() <= 138


def test_an_image_in_strips_has_the_digest_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(pixels_of(3))
    _, whole = decode_image(image, 8)
    monkeypatch.setattr(decode, "_STRIP_PIXELS", 50)
    assert decode_image(image, 8)[1] == whole


def test_the_shape_of_an_image_is_in_its_digest() -> None:
    flat, tall = (Image.new("RGB", size, "red") for size in ((6, 2), (2, 6)))
    assert decode_image(flat, 8)[1] != decode_image(tall, 8)[1]


def test_an_image_of_too_many_pixels_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", 1_000_000)
    with pytest.raises(ValueError, match="1001 x 1000 pixels are more than"):
        decode_image(Image.new("L", (1001, 1000)), 8)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_worker_reports_a_full_disk(folder: Path) -> None:
    item = list_folder(folder).items[0]
    request = json.dumps([["roadtest.data.pictures:read_image", "/dev/full", 64], 0, [item_values(item)]])
    assert answer_chunk(request)["errno"] == errno.ENOSPC


def test_a_worker_that_dies_is_an_error_that_names_the_images(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        decode, "_environment", lambda: {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONHOME": "/no"}
    )
    with pytest.raises(ValueError, match=r"a decoding process ended \(exit code \d+\) between train/\S+ and train/"):
        opened(folder, tmp_path / "cache", num_processes=2)
    assert generations(tmp_path / "cache") == []


@pytest.mark.slow
def test_an_interrupted_build_ends_its_workers_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    def interrupt(_: int, __: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(folder, tmp_path / "cache", num_processes=2, on_progress=interrupt)
    assert generations(tmp_path / "cache") == []
    assert [child for child in psutil.Process().children() if "roadtest.data.decode" in child.cmdline()] == []


def test_a_worker_calls_nothing_but_this_package() -> None:
    with pytest.raises(ValueError, match="is not a function of this package"):
        answer_chunk(json.dumps([["os:system", "/dev/null", 8], 0, []]))


def read_red(_: Item) -> Image.Image:
    return Image.new("RGB", (4, 4), "red")


def test_the_reader_of_somebody_else_is_called_here(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", no_decoding)
    listing = replace(list_folder(folder), read_image=read_red)
    opened_set = open_image_set(listing, image_size=SIZE, cache_dir=tmp_path, num_processes=2)
    assert opened_set.images_NHWC.reshape(-1, 3).max(axis=0).tolist() == [255, 0, 0]
