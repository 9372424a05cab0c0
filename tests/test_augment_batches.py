"""What holds for every batch: draws keyed by seed, epoch and image id, sameness, shapes, and refusals."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from scipy.stats import chi2

from fake_photos import LARGE, NAMES, NOTHING, ids, photos, vary
from roadtest import augment
from roadtest.augment import augment_batch, draw_uniform, prepare_batch
from roadtest.protocol import Augmentation


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
    common = {"augmentation": Augmentation(), "normalisation": "fixed"}
    first = augment_batch(images, ids(8), seed=0, epoch=0, **common)
    assert not any(torch.equal(a, b) for a, b in pairwise(first))
    for seed, epoch in ((1, 0), (0, 1)):
        other = augment_batch(images, ids(8), seed=seed, epoch=epoch, **common)
        assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_nothing_waits_for_the_device() -> None:
    # Tensors on `meta` have no values: an .item(), a comparison in an `if` or a loop over them raises.
    images, image_ids = photos(4).to("meta"), ids(4).to("meta")
    for normalisation in ("per-image", "fixed"):
        batch = vary(images, image_ids, Augmentation(), normalisation)
        assert batch.shape == (4, 3, 32, 32)
        assert batch.device.type == prepare_batch(images, normalisation=normalisation).device.type == "meta"


# -- draws ------------------------------------------------------------------------------------------------------------


def splitmix64(state: int, step: int) -> int:
    """Output number `step` (from 1) of the published generator, in Python's own integers."""
    word = (state + step * 0x9E3779B97F4A7C15) % 2**64
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % 2**64
    return word ^ (word >> 31)


def test_draws_are_splitmix64_at_a_keyed_place() -> None:
    assert splitmix64(0, 1) == 0xE220A8397B1DCDAF  # the published first output for seed 0
    image_ids = [0, 1, 39_208, 2**40, 2**57]
    values = draw_uniform(torch.tensor(image_ids), seed=4, epoch=9, num_draws=13)
    key = splitmix64(splitmix64(4, 1) + 9, 1)
    expected = [[(splitmix64(key, 64 * i + d) >> 40) / 2**24 for d in range(13)] for i in image_ids]
    assert values.tolist() == expected


def test_columns_stay_when_more_are_drawn_and_rows_follow_their_ids() -> None:
    few, many = (draw_uniform(ids(50), seed=0, epoch=0, num_draws=num) for num in (5, 40))
    assert torch.equal(few, many[:, :5])
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw_uniform(ids(50)[order], seed=0, epoch=0, num_draws=5), few[order])


def test_draws_are_uniform() -> None:
    values = draw_uniform(torch.arange(40_000), seed=0, epoch=0, num_draws=13)
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
        draw_uniform(image_ids, seed=seed, epoch=epoch, num_draws=13)
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    columns = torch.cat([*values, values[0].roll(1, 0), values[0].roll(2, 0)], 1).T  # 78 series
    correlations = torch.corrcoef(columns.double()).fill_diagonal_(0).abs()
    # Of 3,003 pairs the largest of pure chance is about 3.6 deviations of 1 / sqrt(20,000).
    assert correlations.max() < 5 / 20_000**0.5


def test_switching_one_change_off_leaves_the_others_as_they_were() -> None:
    draws_ND = draw_uniform(ids(20), seed=0, epoch=0, num_draws=augment.NUM_DRAWS)
    for name in NAMES:
        without = augment._swings(draws_ND, replace(LARGE, **{name: 0.0}))
        num_changed = int((without != augment._swings(draws_ND, LARGE)).any(0).sum())
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
