"""What counts as the complete GTSRB, as torchvision's smaller one, and what is said of the rest."""

from collections import Counter

import pytest

from roadtest.data.archive import Entry
from roadtest.data.gtsrb_counts import (
    NUM_TRAIN_BY_CLASS,
    check_test_counts,
    check_train_counts,
    complete_frames,
    is_smaller_train,
    title_and_notes,
)
from roadtest.data.gtsrb_places import TrainImage


def _train_image(label: int, track: int, frame: int) -> TrainImage:
    entry = Entry(name="", container="", location=f"{label}/{track}_{frame}.ppm", size_bytes=0, modified_ns=0)
    return TrainImage(entry=entry, label=label, named_label=label, track=track, frame=frame)


@pytest.fixture(scope="module")
def complete() -> list[TrainImage]:
    return [_train_image(*frame) for frame in sorted(complete_frames())]


@pytest.fixture(scope="module")
def smaller() -> list[TrainImage]:
    return [_train_image(track % 43, track // 43, frame) for track in range(888) for frame in range(30)]


def test_the_expected_frames_are_the_published_numbers() -> None:
    assert sum(NUM_TRAIN_BY_CLASS) == len(complete_frames()) == 39_209
    tracks = Counter((label, track) for label, track, _ in complete_frames())
    assert Counter(tracks.values()) == {30: 1_306, 29: 1}
    assert tracks[33, 19] == 29
    by_class = Counter(label for label, _, _ in complete_frames())
    assert tuple(by_class[label] for label in range(43)) == NUM_TRAIN_BY_CLASS


@pytest.mark.slow
def test_the_complete_set_passes_and_one_image_less_or_more_is_named(complete: list[TrainImage]) -> None:
    check_train_counts(complete, "here", "", "x.zip")
    assert title_and_notes(complete, 12_630) == ("GTSRB", ())
    assert title_and_notes(complete, 12_629)[0] == "GTSRB (subset)"
    less = [image for image in complete if (image.label, image.track, image.frame) != (14, 3, 29)]
    with pytest.raises(ValueError, match=r"39,208 training images.*of class 14, Stop, 00003_00029 is missing"):
        check_train_counts(less, "here", "", "x.zip")
    with pytest.raises(ValueError, match=r"39,210 training images.*of class 33, .*, 00019_00029 is one too many"):
        check_train_counts([*complete, _train_image(33, 19, 29)], "here", "", "x.zip")
    assert title_and_notes(less, 12_630)[0] == "GTSRB (subset)"


@pytest.mark.slow
def test_torchvision_s_smaller_set_says_so(smaller: list[TrainImage]) -> None:
    assert is_smaller_train(smaller) and not is_smaller_train(smaller[1:])
    assert title_and_notes(smaller, 12_630) == (
        "torchvision's smaller GTSRB",
        (
            "torchvision's smaller training set: 26,640 of 39,209 training images in 888 of 1,307 tracks, "
            "43 of 43 classes, and 12,630 of 12,630 test images.",
        ),
    )
    assert title_and_notes(smaller[1:], 12_630)[0] == title_and_notes(smaller, 12_600)[0] == "GTSRB (subset)"


def test_a_missing_or_extra_test_image_is_named() -> None:
    numbers = [f"{number:05d}" for number in range(12_630)]
    check_test_counts(numbers, "here", "x.zip")
    with pytest.raises(ValueError, match=r"names 12,629 test images; GTSRB has 12,630 .00007 is missing.: take x.zip"):
        check_test_counts(numbers[:7] + numbers[8:], "here", "x.zip")
    with pytest.raises(ValueError, match=r"names 12,631 test images; .* .12630 is one too many"):
        check_test_counts([*numbers, "12630"], "here", "x.zip")
