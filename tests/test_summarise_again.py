"""What the same images would show if the networks were trained again: asked only where all seeds saw the same."""

from dataclasses import replace
from pathlib import Path

import pytest

from fake_study import build_fake_study
from roadtest.summarise import (
    Results,
    difference_between,
    estimate_difference,
    read_results,
    retrained_accuracy,
    retrained_difference,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("studies") / "s"
    return read_results(build_fake_study(folder, networks=["lenet5", "vgg16"], seeds=3, has_examples=False))


def test_the_mean_is_that_of_the_seeds_and_the_interval_theirs_alone(results: Results) -> None:
    lenet5 = results.variants[0]
    found = retrained_accuracy(results, lenet5)
    accuracies = [record.test.accuracy for record in lenet5.records if record.test]
    assert found is not None and found.estimate == pytest.approx(sum(accuracies) / 3)
    assert found.low < min(accuracies) and found.statement == "on these test images, if trained again"


def test_a_difference_is_that_of_the_judge_with_another_interval(results: Results) -> None:
    a, b = results.variants
    found, judged = retrained_difference(results, a, b), estimate_difference(results, a, b, "test")
    assert found is not None and judged is not None
    assert found.estimate == pytest.approx(judged.value)
    assert found.statement != judged.statement


def test_with_folds_the_seeds_saw_different_images(results: Results) -> None:
    assert retrained_accuracy(results, results.variants[0], "val") is None
    assert retrained_difference(results, *results.variants, "val") is None


def test_with_different_numbers_of_seeds_it_rests_on_those_of_the_difference(tmp_path: Path) -> None:
    six = read_results(build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=6, has_examples=False))
    first, second = six.variants
    early, late = replace(first, records=first.records[:3]), replace(second, records=second.records[3:])
    for a, b in ((first, late), (early, late)):  # some seeds in common, and none
        found = retrained_difference(six, a, b)
        judged = difference_between(replace(six, kept={}), a, b, "test")
        assert found is not None and judged is not None
        assert found.estimate == pytest.approx(judged.estimate) and found.low < judged.estimate < found.high


def test_two_seeds_say_too_little_of_training_again(tmp_path: Path) -> None:
    two = read_results(build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=2, has_examples=False))
    assert retrained_accuracy(two, two.variants[0]) is None
    assert retrained_difference(two, *two.variants) is None
