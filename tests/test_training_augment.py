"""Augmentation against slow, independent implementations; its random numbers against the definition and chance.

Images are uint8 NHWC, as everywhere; `shown` undoes the fixed normalisation, so that oracles work on [0, 1].
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation
from scipy.stats import chi2
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from fake_photos import EPOCH, LARGE, NAMES, NOTHING, SEED, ids, photos, vary
from roadtest.protocol import Augmentation
from roadtest.training import augment
from roadtest.training.augment import affine_maps, augment_batch, prepare_batch, sample_parameters, uniform_numbers

Pixels = npt.NDArray[np.float64]
NO_COLOUR = dict.fromkeys(("brightness", "contrast", "saturation", "hue_degrees", "grayscale_probability"), 0.0)
NO_GEOMETRY = dict.fromkeys(set(NAMES) - set(NO_COLOUR), 0.0)


def shown(batch: Tensor) -> Tensor:
    """Undo the fixed normalisation: NCHW in [0, 1]."""
    return batch * 0.25 + 0.5


def numbers(image_ids: Tensor, column: int) -> list[float]:
    numbers_ND = uniform_numbers(image_ids, seed=SEED, epoch=EPOCH, num_columns=augment.NUM_COLUMNS)
    return [float(number) for number in numbers_ND[:, column]]


def centred(image_ids: Tensor, column: int, half_width: float) -> list[float]:
    return [(2 * draw - 1) * half_width for draw in numbers(image_ids, column)]


def only(**values: float) -> Augmentation:
    return replace(NOTHING, **values)


# -- geometry, step by step, in numpy ---------------------------------------------------------------------------------


def slow_geometry(images: Tensor, image_ids: Tensor, a: Augmentation) -> Pixels:
    """For each pixel of the output walk back through the steps, then interpolate linearly; borders repeat."""
    size = images.shape[1]
    swing = {
        "rotation": centred(image_ids, augment.ROTATION, a.rotation_degrees),
        "shear": centred(image_ids, augment.SHEAR, a.shear_degrees),
        "log_scale": centred(image_ids, augment.LOG_SCALE, a.log_scale),
        "crop": [a.crop * draw for draw in numbers(image_ids, augment.CROP)],
        "crop_x": centred(image_ids, augment.CROP_X, 0.5),
        "crop_y": centred(image_ids, augment.CROP_Y, 0.5),
        "shift_x": centred(image_ids, augment.SHIFT_X, a.shift),
        "shift_y": centred(image_ids, augment.SHIFT_Y, a.shift),
    }
    flips = numbers(image_ids, augment.FLIP)
    seen = []
    for index, image in enumerate(images.numpy() / 255):
        s = {name: values[index] for name, values in swing.items()}
        row, column = np.mgrid[:size, :size]
        x, y = (column + 0.5) / size - 0.5, (row + 0.5) / size - 0.5  # fractions of the side, from the middle
        x = x if flips[index] >= a.flip_probability else -x
        x = x + np.tan(np.radians(s["shear"])) * y
        angle = np.radians(s["rotation"])
        x, y = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
        x, y = x / np.exp(s["log_scale"]), y / np.exp(s["log_scale"])
        # A window of 1 - crop of the side; its middle can lie up to crop / 2 away from the picture's.
        x, y = x * (1 - s["crop"]) + s["crop"] * s["crop_x"], y * (1 - s["crop"]) + s["crop"] * s["crop_y"]
        x, y = x - s["shift_x"], y - s["shift_y"]
        where = [(y + 0.5) * size - 0.5, (x + 0.5) * size - 0.5]
        seen.append([map_coordinates(image[:, :, c], where, order=1, mode="nearest") for c in range(3)])
    return np.array(seen)


@pytest.mark.parametrize(
    "augmentation",
    [
        only(rotation_degrees=170.0),
        only(shift=0.4),
        only(log_scale=0.8),
        only(shear_degrees=50.0),
        only(crop=0.6),
        only(flip_probability=0.5),
        replace(LARGE, **NO_COLOUR),
    ],
    ids=["rotation", "shift", "scale", "shear", "crop", "flip", "all"],
)
@pytest.mark.parametrize("size", [32, 45])
def test_geometry_equals_a_walk_back_through_its_steps(augmentation: Augmentation, size: int) -> None:
    images = photos(12, size)
    seen = shown(vary(images, ids(12), augmentation)).numpy()
    # Places are float32: an error of 1e-6 sides times a slope of at most 1 per pixel.
    np.testing.assert_allclose(seen, slow_geometry(images, ids(12), augmentation), atol=5e-5)


def test_rotation_equals_torchvision_inside_the_circle_that_stays_in_the_frame() -> None:
    images = photos(8)
    angles = centred(ids(8), augment.ROTATION, 90.0)
    seen = shown(vary(images, ids(8), only(rotation_degrees=90.0)))
    middle = torch.arange(32) - 15.5
    is_inside = (middle**2 + middle[:, None] ** 2).sqrt() < 14.5
    for index, angle in enumerate(angles):  # torchvision turns counter-clockwise for positive angles, as we say we do
        image = images[index].permute(2, 0, 1) / 255
        turned = tv.rotate(image, angle, interpolation=InterpolationMode.BILINEAR)
        torch.testing.assert_close(seen[index][:, is_inside], turned[:, is_inside], atol=1e-4, rtol=0)


def test_the_border_is_repeated_so_that_white_stays_white() -> None:
    white = torch.full((64, 32, 32, 3), 255, dtype=torch.uint8)
    torch.testing.assert_close(
        shown(vary(white, ids(64), replace(LARGE, **NO_COLOUR))), torch.ones(64, 3, 32, 32), atol=1e-6, rtol=0
    )


def test_no_map_has_a_mirror_in_it_unless_flips_are_on() -> None:
    image_ids = torch.arange(20_000)
    widest = replace(LARGE, crop=1.0, shear_degrees=80.0, log_scale=3.0, flip_probability=0.0)
    numbers_ND = uniform_numbers(image_ids, seed=0, epoch=0, num_columns=augment.NUM_COLUMNS)
    maps_N23 = affine_maps(augment._scale(numbers_ND, widest)).double()
    assert (torch.linalg.det(maps_N23[:, :, :2]) > 0).all()
    flipped_N23 = affine_maps(augment._scale(numbers_ND, replace(widest, flip_probability=1.0))).double()
    assert (torch.linalg.det(flipped_N23[:, :, :2]) < 0).all()


def marked(num_images: int) -> Tensor:
    """A red dot in the left half, a green one in the right, a blue one at the top, on black: turning clockwise
    from red to blue to green."""
    image = torch.zeros(64, 64, 3, dtype=torch.uint8)
    image[28:36, 16:24, 0] = 255
    image[28:36, 40:48, 1] = 255
    image[16:24, 28:36, 2] = 255
    return image.expand(num_images, 64, 64, 3).contiguous()


def centres(batch: Tensor) -> Tensor:
    """Where each channel's light lies: N x 3 x (x, y), in pixels."""
    light = shown(batch).clamp(min=0)
    ticks = torch.arange(64.0)
    across, down = light.sum(2) @ ticks, light.sum(3) @ ticks
    return torch.stack((across, down), 2) / light.sum((2, 3))[:, :, None]


def test_what_is_left_stays_left_in_the_published_protocol() -> None:
    red, green, _ = centres(vary(marked(500), ids(500), replace(Augmentation(), **NO_COLOUR))).unbind(1)
    assert (red[:, 0] + 10 < green[:, 0]).all()  # 24 pixels apart before


def test_three_marks_keep_their_sense_of_rotation_however_far_they_are_turned() -> None:
    geometry = only(rotation_degrees=180.0, shear_degrees=40.0, log_scale=0.3)
    red, green, blue = centres(vary(marked(500), ids(500), geometry)).unbind(1)
    first, second = blue - red, green - red
    # The product is positive where red, blue, green run clockwise on the screen, y pointing down.
    assert (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] > 0).all()


# -- colour -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "column", "half_width", "oracle", "atol"),
    [
        ("brightness", augment.BRIGHTNESS, 0.8, tv.adjust_brightness, 1e-5),
        ("contrast", augment.CONTRAST, 0.9, tv.adjust_contrast, 3e-4),  # its weight of red is 0.2989
        ("saturation", augment.SATURATION, 0.9, tv.adjust_saturation, 3e-4),
    ],
)
def test_a_colour_change_equals_torchvisions(
    name: str, column: int, half_width: float, oracle: Callable[[Tensor, float], Tensor], atol: float
) -> None:
    images = photos(16)
    seen = shown(vary(images, ids(16), only(**{name: half_width})))
    for index, swing in enumerate(centred(ids(16), column, half_width)):
        expected = oracle(images[index].permute(2, 0, 1) / 255, 1 + swing)
        torch.testing.assert_close(seen[index], expected, atol=atol, rtol=0)


def test_grayscale_equals_torchvision_and_comes_as_often_as_asked() -> None:
    images = photos(400, 8)
    seen = shown(vary(images, ids(400), only(grayscale_probability=0.3)))
    grey = tv.rgb_to_grayscale(images.permute(0, 3, 1, 2) / 255, num_output_channels=3)
    is_grey = torch.tensor(numbers(ids(400), augment.GRAYSCALE)) < 0.3
    torch.testing.assert_close(seen[is_grey], grey[is_grey], atol=3e-4, rtol=0)
    torch.testing.assert_close(seen[~is_grey], images[~is_grey].permute(0, 3, 1, 2) / 255, atol=1e-5, rtol=0)
    assert 92 <= int(is_grey.sum()) <= 148  # 120 expected, deviation sqrt(400 * 0.3 * 0.7) = 9.2, three of them


def test_hue_is_a_rotation_about_the_grey_axis() -> None:
    images = photos(16, low=100, high=155)  # far enough from black and white to need no clip
    seen = shown(vary(images, ids(16), only(hue_degrees=180.0)))
    for index, swing in enumerate(centred(ids(16), augment.HUE, 180.0)):
        turn = Rotation.from_rotvec(np.full(3, np.radians(swing) / np.sqrt(3)))
        expected = turn.apply(images[index].reshape(-1, 3).numpy() / 255)
        np.testing.assert_allclose(seen[index].flatten(1).T.numpy(), expected, atol=1e-5)


def slow_colour(image: Pixels, swing: dict[str, float], is_grey: bool) -> Pixels:
    """The steps one after the other on H x W x RGB, without a clip between them."""
    weights = np.array([0.299, 0.587, 0.114])
    image = image * (1 + swing["brightness"])
    mean_grey = (image @ weights).mean()
    image = mean_grey + (image - mean_grey) * (1 + swing["contrast"])
    grey = (image @ weights)[:, :, None]
    image = grey + (image - grey) * (1 + swing["saturation"])
    turn = Rotation.from_rotvec(np.full(3, swing["hue"] / np.sqrt(3))).as_matrix()
    image = image @ turn.T
    if is_grey:
        image = np.broadcast_to(grey, image.shape)
    return np.clip(image, 0, 1)


def test_all_colour_changes_together_equal_their_steps_in_order() -> None:
    images = photos(32, 16)
    a = replace(LARGE, **NO_GEOMETRY)
    swing = {
        "brightness": centred(ids(32), augment.BRIGHTNESS, a.brightness),
        "contrast": centred(ids(32), augment.CONTRAST, a.contrast),
        "saturation": centred(ids(32), augment.SATURATION, a.saturation),
        "hue": centred(ids(32), augment.HUE, np.radians(a.hue_degrees)),
    }
    is_grey = [draw < a.grayscale_probability for draw in numbers(ids(32), augment.GRAYSCALE)]
    assert 5 < sum(is_grey) < 27
    seen = shown(vary(images, ids(32), a)).permute(0, 2, 3, 1).numpy()
    for index in range(32):
        own = {name: values[index] for name, values in swing.items()}
        expected = slow_colour(images[index].numpy() / 255, own, is_grey[index])
        np.testing.assert_allclose(seen[index], expected, atol=2e-5)


def test_contrast_turns_about_the_mean_grey_of_what_is_left_in_the_frame() -> None:
    images = photos(16)
    a = only(crop=0.8, contrast=0.5)
    cropped = shown(vary(images, ids(16), replace(a, contrast=0.0)))
    seen = shown(vary(images, ids(16), a))
    for index, swing in enumerate(centred(ids(16), augment.CONTRAST, 0.5)):
        torch.testing.assert_close(seen[index], tv.adjust_contrast(cropped[index], 1 + swing), atol=3e-4, rtol=0)


def test_factors_above_one_reach_black_but_never_a_negative() -> None:
    images = photos(64, low=60, high=200)
    dark = torch.tensor(centred(ids(64), augment.BRIGHTNESS, 3.0)) < -1
    seen = shown(vary(images, ids(64), only(brightness=3.0)))
    assert dark.any()
    assert (seen[dark] == 0).all()


# -- what the network sees --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalisation", ["per-image", "fixed"])
@pytest.mark.parametrize("name", NAMES)
def test_every_field_alone_changes_what_the_network_sees(name: str, normalisation: str) -> None:
    # White and black patches with slopes between them: per-image standardisation leaves of brightness and contrast
    # only what the clip cuts off, and draws that darken or flatten clip nothing; hence the upper quarter.
    images = ((photos(64).float() - 128) * 2 + 128).clamp(0, 255).to(torch.uint8)
    seen = vary(images, ids(64), only(**{name: getattr(LARGE, name)}), normalisation)
    plain = prepare_batch(images, normalisation=normalisation)
    changes = (seen - plain).abs().mean((1, 2, 3))  # in deviations, or in quarters of the range
    assert changes.quantile(0.75) > 0.1


@pytest.mark.parametrize("name", ["brightness", "contrast"])
def test_per_image_standardisation_cancels_all_but_the_clip(name: str) -> None:
    images = photos(16, low=90, high=140)  # times 1.3 is 182: nothing is clipped
    seen = vary(images, ids(16), only(**{name: 0.3}), "per-image")
    torch.testing.assert_close(seen, prepare_batch(images, normalisation="per-image"), atol=1e-4, rtol=0)


def test_no_augmentation_is_preparation() -> None:
    images = photos(16)
    for normalisation in ("per-image", "fixed"):
        assert torch.equal(
            vary(images, ids(16), NOTHING, normalisation), prepare_batch(images, normalisation=normalisation)
        )


def test_augmentation_goes_to_preparation_as_its_widths_go_to_zero() -> None:
    images = photos(16)
    tiny = replace(Augmentation(**dict.fromkeys(NAMES, 1e-7)), grayscale_probability=0.0)
    for normalisation in ("per-image", "fixed"):
        plain = prepare_batch(images, normalisation=normalisation)
        torch.testing.assert_close(vary(images, ids(16), tiny, normalisation), plain, atol=1e-4, rtol=0)


def test_normalisation_per_image_gives_mean_zero_and_deviation_one() -> None:
    values = vary(photos(20), ids(20), Augmentation(), "per-image").double().flatten(1)
    torch.testing.assert_close(values.mean(1), torch.zeros(20).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(values.std(1, correction=0), torch.ones(20).double(), atol=1e-5, rtol=0)


def test_fixed_normalisation_maps_black_to_minus_two_and_white_to_two() -> None:
    images = torch.tensor([0, 255, 51], dtype=torch.uint8)[:, None, None, None].expand(3, 16, 16, 3)
    batch = prepare_batch(images, normalisation="fixed")
    # (0 - 0.5) / 0.25 = -2; (1 - 0.5) / 0.25 = 2; (0.2 - 0.5) / 0.25 = -1.2
    torch.testing.assert_close(batch[:, 0, 0, 0], torch.tensor([-2.0, 2.0, -1.2]), atol=1e-6, rtol=0)


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


# -- the same whatever stands beside it -------------------------------------------------------------------------------


@pytest.mark.parametrize("normalisation", ["per-image", "fixed"])
@pytest.mark.parametrize(("num_images", "size"), [(64, 32), (33, 17), (4, 224)])
def test_an_image_is_bit_for_bit_the_same_in_every_batch(num_images: int, size: int, normalisation: str) -> None:
    images, image_ids = photos(num_images, size), ids(num_images)
    whole = vary(images, image_ids, Augmentation(), normalisation)
    alone = [vary(images[i : i + 1], image_ids[i : i + 1], Augmentation(), normalisation) for i in range(num_images)]
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat(alone), whole)
    assert torch.equal(vary(images[order], image_ids[order], Augmentation(), normalisation), whole[order])
    parts = [
        vary(images[part], image_ids[part], Augmentation(), normalisation)
        for part in torch.arange(num_images).split(13)
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_changes_drawn_for_an_epoch_are_those_drawn_batch_by_batch() -> None:
    image_ids = torch.randperm(20_000, generator=torch.Generator().manual_seed(0))  # three of the chunks
    for augmentation in (Augmentation(), NOTHING):
        common = {"augmentation": augmentation, "seed": 3, "epoch": 5}
        whole = sample_parameters(image_ids, **common)
        for first in (0, 8064, 19_968):  # the second lies across two chunks
            places = slice(first, first + 128)
            for one, other in zip(whole.of(places), sample_parameters(image_ids[places], **common), strict=True):
                assert (one is None and other is None) or torch.equal(one, other)


@pytest.mark.slow
def test_the_number_of_threads_changes_nothing() -> None:
    # Alone in its batch, a large image is what torch would share out over its threads.
    batches = [photos(64), *photos(8, 224).split(1)]
    seen: list[list[torch.Tensor]] = []
    for num_threads in (1, 2, 5):
        torch.set_num_threads(num_threads)
        seen.append([vary(images, ids(len(images)), Augmentation(), "per-image") for images in batches])
        seen[-1] += [prepare_batch(images, normalisation="per-image") for images in batches]
    for one, two, five in zip(*seen, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, five)


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    images = photos(8)
    torch.manual_seed(1)
    first, state = vary(images, ids(8), Augmentation()), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(vary(images, ids(8), Augmentation()), first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_seed_epoch_and_id_each_change_the_batch() -> None:
    images = photos(1).expand(8, 32, 32, 3)
    changes = sample_parameters(ids(8), augmentation=Augmentation(), seed=0, epoch=0)
    first = augment_batch(images, changes, normalisation="fixed")
    assert not any(torch.equal(a, b) for a, b in pairwise(first))
    for seed, epoch in ((1, 0), (0, 1)):
        changes = sample_parameters(ids(8), augmentation=Augmentation(), seed=seed, epoch=epoch)
        other = augment_batch(images, changes, normalisation="fixed")
        assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_nothing_waits_for_the_device() -> None:
    # Tensors on `meta` have no values: an .item(), a comparison in an `if` or a loop over them raises.
    images, image_ids = photos(4).to("meta"), ids(4).to("meta")
    for normalisation in ("per-image", "fixed"):
        batch = vary(images, image_ids, Augmentation(), normalisation)
        assert batch.shape == (4, 3, 32, 32)
        assert batch.device.type == prepare_batch(images, normalisation=normalisation).device.type == "meta"


def test_switching_one_change_off_leaves_the_others_as_they_were() -> None:
    numbers_ND = uniform_numbers(ids(20), seed=0, epoch=0, num_columns=augment.NUM_COLUMNS)
    for name in NAMES:
        without = augment._scale(numbers_ND, replace(LARGE, **{name: 0.0}))
        num_changed = int((without != augment._scale(numbers_ND, LARGE)).any(0).sum())
        assert num_changed == (2 if name == "shift" else 1)


# -- shapes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_constant_image_becomes_zero_and_stays_finite(level: int) -> None:
    images = torch.full((3, 32, 32, 3), level, dtype=torch.uint8)
    for batch in (prepare_batch(images, normalisation="per-image"), vary(images, ids(3), LARGE, "per-image")):
        torch.testing.assert_close(batch, torch.zeros(3, 3, 32, 32), atol=1e-2, rtol=0)


@pytest.mark.parametrize(("num_images", "size"), [(0, 32), (1, 32), (7, 32), (5, 64), (2, 224), (3, 17)])
def test_batches_of_any_size_are_float32_and_channels_last(num_images: int, size: int) -> None:
    images = photos(num_images, size)
    before = images.clone()
    for batch in (vary(images, ids(num_images), Augmentation()), prepare_batch(images, normalisation="per-image")):
        assert batch.shape == (num_images, 3, size, size)
        assert batch.dtype == torch.float32
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert batch.isfinite().all()
    assert torch.equal(images, before)


# -- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"), [("crop", 1.5), ("shear_degrees", 90.0), ("brightness", -0.1), ("shift", float("nan"))]
)
def test_a_width_that_would_turn_pictures_inside_out_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name}=.* must lie between 0 and"):
        vary(photos(2), ids(2), replace(NOTHING, **{name: value}))


def test_an_unknown_normalisation_is_refused() -> None:
    for augmentation in (NOTHING, LARGE):
        with pytest.raises(ValueError, match=r"normalisation='imagenet' is not known: choose one of per-image, fixed"):
            vary(photos(2), ids(2), augmentation, "imagenet")


def splitmix64(state: int, step: int) -> int:
    """Output number `step` (from 1) of the published generator, in Python's own integers."""
    word = (state + step * 0x9E3779B97F4A7C15) % 2**64
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % 2**64
    return word ^ (word >> 31)


def test_draws_are_splitmix64_at_a_keyed_place() -> None:
    assert splitmix64(0, 1) == 0xE220A8397B1DCDAF  # the published first output for seed 0
    image_ids = [0, 1, 39_208, 2**40, 2**57]
    values = uniform_numbers(torch.tensor(image_ids), seed=4, epoch=9, num_columns=13)
    key = splitmix64(splitmix64(4, 1) + 9, 1)
    expected = [[(splitmix64(key, 64 * i + d) >> 40) / 2**24 for d in range(13)] for i in image_ids]
    assert values.tolist() == expected


def test_columns_stay_when_more_are_drawn_and_rows_follow_their_ids() -> None:
    few, many = (uniform_numbers(ids(50), seed=0, epoch=0, num_columns=num) for num in (5, 40))
    assert torch.equal(few, many[:, :5])
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(uniform_numbers(ids(50)[order], seed=0, epoch=0, num_columns=5), few[order])


def test_draws_are_uniform() -> None:
    values = uniform_numbers(torch.arange(40_000), seed=0, epoch=0, num_columns=13)
    assert values.dtype == torch.float32
    assert values.min() >= 0
    assert values.max() < 1
    # A mean of 40,000 has the deviation sqrt(1 / 12 / 40,000) = 0.00144; five of them.
    assert (values.mean(0) - 0.5).abs().max() < 0.0072
    assert (values.double().var(0) - 1 / 12).abs().max() < 0.002  # five of sqrt((1/80 - 1/144) / 40,000)
    for column in values.unbind(1):
        counts = torch.histc(column, bins=100, min=0, max=1)
        assert chi2.ppf(1e-5, 99) < float(((counts - 400) ** 2 / 400).sum()) < chi2.ppf(1 - 1e-5, 99)


def test_draws_are_independent_across_ids_epochs_seeds_and_columns() -> None:
    image_ids = torch.arange(20_000)
    values = [
        uniform_numbers(image_ids, seed=seed, epoch=epoch, num_columns=13)
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    columns = torch.cat([*values, values[0].roll(1, 0), values[0].roll(2, 0)], 1).T  # 78 series
    correlations = torch.corrcoef(columns.double()).fill_diagonal_(0).abs()
    # Of 3,003 pairs the largest of pure chance is about 3.6 deviations of 1 / sqrt(20,000).
    assert correlations.max() < 5 / 20_000**0.5
