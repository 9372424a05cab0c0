"""Copies and look-alikes: what is found, what is not, and that frames of one group are left alone.

What an image looks like in a few bytes: shrinking, hashing, even contrast."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from fake_looks import Shot, clean_shots, image_set_of, picture, pixels
from roadtest.data.audit import duplicates
from roadtest.data.audit.duplicates import (
    Duplicates,
    chains,
    count_bits,
    describe_looks,
    even_contrast,
    find_duplicates,
    shrink,
)


def found_in(shots: list[Shot]) -> Duplicates:
    image_set = image_set_of(shots)
    return find_duplicates(image_set, describe_looks(image_set))


def as_jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=60)
    return Image.open(stream)


def changed(number: int, how: str) -> np.ndarray:
    image = picture(number, 64)
    image = {
        "jpeg": lambda: as_jpeg(image),
        "half": lambda: image.resize((32, 32)),
        "brighter": lambda: ImageEnhance.Brightness(image).enhance(1.2),
    }[how]()
    return np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))


def test_different_pictures_have_no_duplicates() -> None:
    found = found_in(clean_shots())
    assert (found.copies, len(found.near_pairs_P2), found.is_complete) == ((), 0, True)


def test_equal_pixels_are_copies_and_not_look_alikes() -> None:
    shots = clean_shots()
    found = found_in([*shots, shots[3], shots[7], shots[3]])
    assert found.copies == ((3, len(shots), len(shots) + 2), (7, len(shots) + 1))
    assert len(found.near_pairs_P2) == 0


@pytest.mark.parametrize("how", ["jpeg", "half", "brighter"])
def test_a_changed_copy_is_a_look_alike(how: str) -> None:
    original = np.asarray(picture(7, 64).resize((32, 32), Image.Resampling.BILINEAR))
    shots = [*clean_shots(), Shot(image_HWC=original), Shot(image_HWC=changed(7, how))]
    found = found_in(shots)
    assert found.copies == ()
    assert found.near_pairs_P2.tolist()[-1] == [len(shots) - 2, len(shots) - 1]


def test_frames_of_one_group_are_never_compared() -> None:
    twins = [pixels(900_001), (pixels(900_001) * 0.9).astype(np.uint8)]
    others = clean_shots()
    alone = found_in([*others, *(Shot(image_HWC=image) for image in twins)])
    apart = found_in([*others, *(Shot(image_HWC=image, group=f"g{k}") for k, image in enumerate(twins))])
    together = found_in([*others, *(Shot(image_HWC=image, group="g") for image in twins)])
    assert [len(found.near_pairs_P2) for found in (alone, apart, together)] == [1, 1, 0]


def test_blank_images_are_no_copies() -> None:
    blank = Shot(image_HWC=np.full((32, 32, 3), 9, np.uint8))
    found = found_in([*clean_shots(), blank, blank])
    assert (found.copies, len(found.near_pairs_P2)) == ((), 0)


def test_banding_finds_what_comparing_all_pairs_finds() -> None:
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 1 << 63, 300).astype(np.uint64)
    flips = np.array(
        [sum(1 << int(bit) for bit in rng.choice(63, k % 11, replace=False)) for k in range(300)], np.uint64
    )
    hashes = np.concatenate([hashes, hashes ^ flips])
    found, is_complete = duplicates._candidates(hashes, np.arange(600))
    differences = count_bits(hashes[:, None] ^ hashes[None])
    expected = np.argwhere(np.triu(differences <= 7, 1))
    assert is_complete
    assert found.tolist() == expected.tolist()
    assert len(found) > 200


def test_a_crowd_of_look_alikes_is_cut_short_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MAX_BUCKET", 50)
    hashes = np.zeros(200, np.uint64)
    found, is_complete = duplicates._candidates(hashes, np.arange(200))
    assert not is_complete
    assert 200 < len(found) < 200 * 8 * 5
    assert set(found.ravel().tolist()) == set(range(200))


@pytest.mark.slow
def test_a_bucket_of_too_many_pairs_is_left_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MAX_CANDIDATES", 1000)
    found, is_complete = duplicates._candidates(np.zeros(2000, np.uint64), np.arange(2000))
    assert not is_complete
    assert 1000 < len(found) < 2000 * 256 + 2000 * 4  # all pairs would be 2 million


def test_bits_are_counted_alike_by_old_and_new_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 1 << 63, (7, 5)).astype(np.uint64)
    expected = [[int(value).bit_count() for value in row] for row in values]
    assert count_bits(values).tolist() == expected
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert count_bits(values).tolist() == expected


def test_chains_join_what_is_connected() -> None:
    assert chains(np.array([[4, 2], [7, 8], [2, 9]])) == [(2, 4, 9), (7, 8)]
    assert chains(np.empty((0, 2), np.int64)) == []


def test_nothing_is_found_in_one_image() -> None:
    assert found_in([Shot(image_HWC=pixels(0))]).copies == ()


@pytest.mark.parametrize("size", [16, 32, 48, 64, 100])
def test_shrinking_averages_patches(size: int) -> None:
    images_NHWC = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    edges = np.linspace(0, size, 17).round().astype(int)
    patch = images_NHWC[1, edges[3] : edges[4], edges[7] : edges[8], 2]
    assert abs(int(shrink(images_NHWC)[1, 3, 7, 2]) - patch.mean()) <= 0.5


def test_even_contrast_forgets_brightness_and_contrast() -> None:
    small = shrink(pixels(1)[None])
    dark = (small.astype(np.float32) * 0.5 + 10).astype(np.uint8)
    assert np.abs(even_contrast(small) - even_contrast(dark)).max() < 0.15


def test_half_of_the_images_have_each_bit_set() -> None:
    looks = describe_looks(image_set_of([Shot(image_HWC=pixels(k)) for k in range(40)]))
    bits_NB = np.unpackbits(looks.hashes_N.view(np.uint8).reshape(40, 8), axis=1)
    assert bits_NB.sum(axis=0).tolist() == [20] * 64


def test_a_brightened_copy_keeps_its_hash_and_a_stranger_does_not() -> None:
    brighter = (pixels(0) * 0.8).astype(np.uint8)
    shots = [Shot(image_HWC=brighter), *(Shot(image_HWC=pixels(k)) for k in range(40))]
    hashes = describe_looks(image_set_of(shots)).hashes_N
    assert count_bits(hashes[:1] ^ hashes[1:2])[0] <= 5
    assert count_bits(hashes[:1] ^ hashes[2:]).min() > 10


def test_an_even_image_is_blank_and_one_with_a_spot_is_not() -> None:
    even = np.full((32, 32, 3), 200, np.uint8)
    spotted = even.copy()
    spotted[5, 5] = 0
    looks = describe_looks(image_set_of([Shot(image_HWC=even), Shot(image_HWC=spotted)]))
    assert looks.is_blank_N.tolist() == [True, False]
