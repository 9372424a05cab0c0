"""What an image looks like in a few bytes: shrinking, hashing, even contrast."""

import numpy as np
import pytest

from fake_looks import Shot, image_set_of, pixels
from roadtest.data.duplicates import count_bits
from roadtest.data.looks import describe_looks, even_contrast, shrink


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
