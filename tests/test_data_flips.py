"""Flips are on by themselves only where the images show that nothing changes."""

from dataclasses import replace

import numpy as np
import pytest

from roadtest.data.flips import FlipVerdict, judge_flips
from roadtest.data.imageset import ImageSet
from tiny import coloured_squares

SIZE = 32


def drawn(shapes: dict[str, tuple[slice, slice]], num_images: int = 80, *, noise: int = 40) -> ImageSet:
    """One bright rectangle per class, on noise; every tenth image is for the test."""
    generator = np.random.default_rng(3)
    labels_N = np.arange(num_images * len(shapes)) % len(shapes)
    images = generator.integers(0, noise, (len(labels_N), SIZE, SIZE, 3))
    for image_HWC, label in zip(images, labels_N, strict=True):
        image_HWC[list(shapes.values())[label]] += 160
    splits = tuple("test" if i % 10 == 9 else "train" for i in range(len(labels_N)))
    return replace(
        coloured_squares(),
        class_names=tuple(shapes),
        images_NHWC=images.astype(np.uint8),
        labels_N=labels_N,
        groups=("",) * len(labels_N),
        frames_N=np.zeros(len(labels_N), np.int64),
        splits=splits,
        paths=tuple(f"{i:05d}" for i in range(len(labels_N))),
    )


LEFT, RIGHT = (slice(8, 24), slice(2, 10)), (slice(8, 24), slice(22, 30))
TOP, MIDDLE = (slice(2, 10), slice(8, 24)), (slice(12, 20), slice(8, 24))
CORNER = (slice(2, 10), slice(2, 10))


def test_classes_that_are_their_own_mirror_images_may_be_flipped() -> None:
    verdict = judge_flips(drawn({"top": TOP, "middle": MIDDLE}))
    assert verdict.is_safe and verdict.num_judged == 2
    assert verdict.reason.startswith("flips are on: 2 of 2 classes could be judged")


def test_classes_that_mirror_each_other_are_named() -> None:
    verdict = judge_flips(drawn({"left": LEFT, "right": RIGHT, "top": TOP}))
    assert verdict.pairs == (("left", "right"),)
    assert not verdict.is_safe
    assert verdict.reason == "flips are off: 'left' and 'right' are mirror images of each other"


def test_a_class_that_a_flip_changes_keeps_flips_off_though_none_mirrors_it() -> None:
    verdict = judge_flips(drawn({"corner": CORNER, "top": TOP, "middle": MIDDLE}))
    assert verdict.pairs == () and verdict.changed == ("corner",)
    assert not verdict.is_safe
    assert "mirrored images of 'corner' are taken for something else" in verdict.reason


def test_what_cannot_be_judged_is_not_flipped() -> None:
    few = judge_flips(drawn({"top": TOP, "middle": MIDDLE}, num_images=12))
    alike = judge_flips(drawn({"one": TOP, "other": TOP}))
    for verdict in (few, alike):
        assert verdict.num_judged == 0 and not verdict.is_safe
        assert "only 0 of 2 classes could be judged; --flips on" in verdict.reason


@pytest.mark.slow
def test_test_images_have_no_say() -> None:
    image_set = drawn({"top": TOP, "middle": MIDDLE})
    images_NHWC = image_set.images_NHWC.copy()
    images_NHWC[image_set.indices_of("test")] = 0
    assert judge_flips(replace(image_set, images_NHWC=images_NHWC)) == judge_flips(image_set)


@pytest.mark.parametrize("num_pairs", [1, 3, 5])
def test_a_reason_is_one_line_however_much_was_found(num_pairs: int) -> None:
    pairs = tuple((f"a{i}", f"b{i}") for i in range(num_pairs))
    reason = FlipVerdict(pairs=pairs, changed=(), num_judged=10, num_classes=10).reason
    assert "\n" not in reason and ("more pairs" in reason) == (num_pairs > 3)
