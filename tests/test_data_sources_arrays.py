"""Arrays from Python become a folder of the cache that is a source like any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roadtest.data.cache import open_image_set
from roadtest.data.open import list_source
from roadtest.data.sources.arrays import is_arrays, list_arrays, short_side, store_arrays

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 24, 30, 3), np.uint8)
LABELS = np.arange(40) % 4


def stored(tmp_path: Path, images: Any = IMAGES, labels: Any = LABELS) -> Path:
    return store_arrays(images, labels, tmp_path / "cache")


def test_the_same_arrays_are_the_same_folder_and_others_are_not(tmp_path: Path) -> None:
    first = stored(tmp_path)
    before = (first / "images.npy").stat().st_mtime_ns
    assert stored(tmp_path, IMAGES.copy(), LABELS.tolist()) == first
    assert (first / "images.npy").stat().st_mtime_ns == before
    assert first.name == "arrays" and is_arrays(first)
    assert stored(tmp_path, IMAGES, LABELS[::-1]) != first
    assert stored(tmp_path, IMAGES[:, ::-1], LABELS) != first


def test_decoded_they_have_the_pixels_the_labels_and_a_test_part(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (40, 32, 32, 3), np.uint8)  # the size they are decoded to
    listing = list_source(
        str(stored(tmp_path, images)), cache_dir=tmp_path / "cache", data_dir=None, is_subset_allowed=False
    )
    image_set = open_image_set(listing, image_size=32, cache_dir=tmp_path / "cache")
    rows = [int(path) for path in image_set.paths]
    assert np.array_equal(image_set.images_NHWC, images[rows])
    assert np.array_equal(image_set.labels_N, LABELS[rows])
    assert image_set.splits.count("test") == 8  # 15 % of ten images, rounded, of each of four classes
    assert image_set.class_names == ("0", "1", "2", "3")
    assert image_set.title == "arrays"


def test_images_that_were_overwritten_are_read_anew(tmp_path: Path) -> None:
    folder = tmp_path / "arrays"
    folder.mkdir()
    np.save(folder / "labels.npy", LABELS)
    means, fingerprints = [], []
    for value in (10, 200):
        np.save(folder / "images.npy", np.full(IMAGES.shape, value, np.uint8))
        image_set = open_image_set(list_arrays(folder), image_size=32, cache_dir=tmp_path / "cache")
        means.append(float(image_set.images_NHWC.mean()))
        fingerprints.append(image_set.fingerprint)
    assert means == [10, 200] and len(set(fingerprints)) == 2


def test_grey_images_and_labels_in_words_are_taken(tmp_path: Path) -> None:
    for images in (IMAGES[..., 0], IMAGES[..., :1]):
        listing = list_arrays(stored(tmp_path, images, np.array(["cat", "dog"])[np.arange(40) % 2]))
        assert listing.class_names == ("cat", "dog")
        picture = listing.read_image(listing.items[0])
        assert picture.mode == "RGB" and picture.size == (30, 24)


def test_the_short_side_is_known_without_reading_pixels(tmp_path: Path) -> None:
    assert short_side(stored(tmp_path)) == 24


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (IMAGES / 255, LABELS, r"the images are float64: .* use .astype\('uint8'\)"),
        (IMAGES.transpose(0, 3, 1, 2), LABELS, r"40 x 3 x 24 x 30: .* use .transpose\(0, 2, 3, 1\)"),
        (IMAGES[0], LABELS, "give one per image"),
        (IMAGES[..., :2], LABELS, "reshape them"),
        (IMAGES, LABELS[:-1], r"the labels are int64 of shape \(39,\) for 40 images"),
        (IMAGES, LABELS / 2, "the labels are float64"),
        (IMAGES, np.array([None] * 40), "the labels are object"),
        (IMAGES[:0], LABELS[:0], "there must be some"),
    ],
)
def test_what_is_no_set_of_images_is_one_line(images: Any, labels: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words) as error:
        stored(tmp_path, images, labels)
    assert "\n" not in str(error.value)


def test_a_folder_with_class_folders_is_no_array(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    (folder / "cats").mkdir()
    assert not is_arrays(folder)


def test_a_pickle_in_place_of_an_array_is_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    np.save(folder / "images.npy", IMAGES)
    np.save(folder / "labels.npy", np.array([{"a": 1}] * 40), allow_pickle=True)
    with pytest.raises(ValueError, match="holds no labels"):
        list_arrays(folder)
    with (folder / "labels.npy").open("wb") as file:  # a few bytes that say they are eight petabytes
        np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": (10**15,)})
    with pytest.raises(ValueError, match="holds no labels"):
        list_arrays(folder)
    (folder / "images.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match="is no array"):
        list_arrays(folder.rename(tmp_path / "again"))
