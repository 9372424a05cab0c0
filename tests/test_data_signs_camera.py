"""The camera: where the sign lands, and what each optical step may and may not do."""

from dataclasses import replace

import numpy as np
import pytest

from roadtest.data.signs.camera import _aim, _blurred, _smeared, _through_mosaic, take_photo
from roadtest.data.signs.track import Track, build_track

NO_NOISE = (0.0, 0.0)


def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(0))


@pytest.fixture
def track() -> Track:
    return build_track(0, "train", 17, 0)


def test_a_frontal_sign_fills_the_image_but_for_the_margin(track: Track) -> None:
    straight = replace(
        track,
        poses_F3=np.zeros_like(track.poses_F3),
        offsets_F2=np.zeros_like(track.offsets_F2),
        sizes_F=np.full_like(track.sizes_F, 80),
        margins=(1.0, 1.0),
    )
    width, height, to_plane = _aim(straight, 0)
    assert width == height == 99  # 80 + 2 * 9.2, rounded up
    left, right = to_plane @ (9.5, 49.5, 1), to_plane @ (89.5, 49.5, 1)
    np.testing.assert_allclose(left[:2] / left[2], (-1, 0), atol=1e-6)
    np.testing.assert_allclose(right[:2] / right[2], (1, 0), atol=1e-6)


def test_a_small_sign_has_five_pixels_around_it(track: Track) -> None:
    straight = np.zeros_like(track.poses_F3)
    far = replace(track, poses_F3=straight, sizes_F=np.full_like(track.sizes_F, 20), margins=(1.0, 1.0))
    assert _aim(far, 0)[:2] == (30, 30)


def test_the_box_is_that_of_the_plate_a_triangle_s_wider_than_high() -> None:
    triangle = build_track(0, "train", 25, 0)
    straight = replace(
        triangle,
        poses_F3=np.zeros_like(triangle.poses_F3),
        sizes_F=np.full_like(triangle.sizes_F, 80),
        margins=(1.0, 1.0),
    )
    width, height, _ = _aim(straight, 0)
    assert width == 99 and 89 <= height <= 93  # GTSRB's boxes of these: 0.86 to 0.94 as high as wide


def test_a_turned_sign_is_narrower_than_high(track: Track) -> None:
    turned = replace(track, poses_F3=np.full_like(track.poses_F3, 0) + np.float32((40, 0, 0)))
    width, height, _ = _aim(turned, 9)
    assert width < 0.95 * height


def test_blur_keeps_the_light_of_an_even_image_and_spreads_a_point() -> None:
    even = np.full((9, 11, 3), 0.4, np.float32)
    np.testing.assert_allclose(_blurred(even, 1.0), 0.4, rtol=1e-5)
    point = np.zeros((11, 11, 3), np.float32)
    point[5, 5] = 1
    spread = _blurred(point, 1.0)
    assert spread.sum() == pytest.approx(3, rel=1e-4) and spread[5, 5, 0] == pytest.approx(1 / (2 * np.pi), rel=0.06)


def test_motion_smears_along_its_way_only() -> None:
    point = np.zeros((9, 9, 3), np.float32)
    point[4, 4] = 1
    smeared = _smeared(point, 2.0, 0.0)[..., 0]
    # three exposures at -1, 0 and 1
    np.testing.assert_allclose(smeared[4, 3:6], 1 / 3, rtol=1e-5)
    assert np.count_nonzero(smeared) == 3
    assert _smeared(point, 0.0, 0.0) is point


@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (9, 5)])
def test_the_mosaic_is_invisible_on_an_even_colour(shape: tuple[int, int]) -> None:
    even = np.empty((*shape, 3), np.float32)
    even[...] = (0.2, 0.5, 0.8)
    np.testing.assert_allclose(_through_mosaic(even, NO_NOISE, rng()), even, atol=1e-6)


def test_the_mosaic_colours_a_grey_edge() -> None:
    edge = np.zeros((8, 8, 3), np.float32)
    edge[:, 4:] = 0.8
    seen = _through_mosaic(edge, NO_NOISE, rng())
    assert np.ptp(seen, axis=-1)[:, 3:5].max() > 0.2 and np.ptp(seen, axis=-1)[:, 0].max() == pytest.approx(0, abs=1e-6)


def test_the_sensor_clips() -> None:
    assert _through_mosaic(np.full((6, 6, 3), 5.0, np.float32), NO_NOISE, rng()).max() <= 1.0


def test_light_makes_the_photo_brighter_and_noise_makes_it_rougher(track: Track) -> None:
    plain = replace(track, coarseness=1.0, jpeg_quality=0, noise=NO_NOISE, haze_F3=np.zeros_like(track.haze_F3))
    dim = replace(plain, sign_light_F3=plain.sign_light_F3 * 0.1, scene_light_F3=plain.scene_light_F3 * 0.1)
    photo, dim_photo = (np.asarray(take_photo(t, 4, rng()), float) for t in (plain, dim))
    assert dim_photo.mean() < 0.5 * photo.mean()
    noisy = np.asarray(take_photo(replace(plain, noise=(0.05, 0.0)), 4, rng()), float)
    assert np.abs(np.diff(noisy, axis=1)).mean() > 1.5 * np.abs(np.diff(photo, axis=1)).mean()


def plain_photo(track: Track, **change: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    plain = replace(track, coarseness=1.0, jpeg_quality=0, noise=NO_NOISE, mosaic=0.0, saturation=1.0)
    return np.asarray(take_photo(replace(plain, **change), 9, rng()), float)  # type: ignore[arg-type]


def test_no_pixel_is_darker_than_black_and_white_stays(track: Track) -> None:
    night = replace(track, sign_light_F3=track.sign_light_F3 * 0, scene_light_F3=track.scene_light_F3 * 0)
    clear = replace(night, haze_F3=np.zeros_like(track.haze_F3))
    assert np.unique(plain_photo(clear, black_level=0.1)).tolist() == [26]  # 25.5 and a half, cut
    glaring = replace(track, haze_F3=np.full_like(track.haze_F3, 5), white_balance=np.ones_like(track.white_balance))
    assert np.unique(plain_photo(glaring, black_level=0.1)).tolist() == [255]


def test_sharpening_makes_steps_steeper_and_leaves_the_mean(track: Track) -> None:
    plain, sharp = (plain_photo(track, sharpening=amount) for amount in (0.0, 0.8))
    assert np.abs(np.diff(sharp, axis=1)).mean() > 1.15 * np.abs(np.diff(plain, axis=1)).mean()
    assert sharp.mean() == pytest.approx(plain.mean(), rel=0.05)


def test_a_background_of_more_contrast_leaves_the_sign_as_it_is(track: Track) -> None:
    plain, rich = (plain_photo(track, scene_contrast=contrast) for contrast in (1.0, 2.0))
    middle = slice(plain.shape[0] // 3, -plain.shape[0] // 3)
    np.testing.assert_array_equal(plain[middle, middle], rich[middle, middle])
    assert rich[:4].std() > plain[:4].std()


@pytest.mark.parametrize("change", [{"coarseness": 1.8}, {"jpeg_quality": 45}])
def test_losses_keep_the_size_and_roughly_the_picture(track: Track, change: dict[str, float]) -> None:
    whole = replace(track, coarseness=1.0, jpeg_quality=0)
    a, b = take_photo(whole, 9, rng()), take_photo(replace(whole, **change), 9, rng())  # type: ignore[arg-type]
    assert a.size == b.size and b.mode == "RGB"
    difference = np.abs(np.asarray(a, float) - np.asarray(b, float)).mean()
    assert 0 < difference < 15
