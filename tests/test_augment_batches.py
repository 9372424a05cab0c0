"""What holds for every batch: draws keyed by seed, epoch and image id, sameness, shapes, and refusals."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from fake_photos import LARGE, NAMES, NOTHING, ids, photos, vary
from roadtest import augment
from roadtest.augment import augment_batch, draw_changes, prepare_batch
from roadtest.draws import draw_uniform
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


def test_changes_drawn_for_an_epoch_are_those_drawn_batch_by_batch() -> None:
    image_ids = torch.randperm(20_000, generator=torch.Generator().manual_seed(0))  # three of the chunks
    for augmentation in (Augmentation(), NOTHING):
        common = {"augmentation": augmentation, "seed": 3, "epoch": 5}
        whole = draw_changes(image_ids, **common)
        for first in (0, 8064, 19_968):  # the second lies across two chunks
            places = slice(first, first + 128)
            for one, other in zip(whole.of(places), draw_changes(image_ids[places], **common), strict=True):
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
    changes = draw_changes(ids(8), augmentation=Augmentation(), seed=0, epoch=0)
    first = augment_batch(images, changes, normalisation="fixed")
    assert not any(torch.equal(a, b) for a, b in pairwise(first))
    for seed, epoch in ((1, 0), (0, 1)):
        changes = draw_changes(ids(8), augmentation=Augmentation(), seed=seed, epoch=epoch)
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
