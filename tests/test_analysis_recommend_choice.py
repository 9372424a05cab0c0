"""What test says of the recommended network: held against every other one, and never against the best mean alone."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from exact_study import build_exact_study, set_wrong
from roadtest.analysis.recommend import recommend

# In validation resnet34 is best and cheaper than vgg16; lenet5 and lenet5+stn are far behind.
WRONG = {"lenet5": [60] * 5, "lenet5+stn": [70] * 5, "resnet34": [5, 6, 5, 6, 5], "vgg16": [9, 8, 9, 9, 8]}
STEADY = (300, 303, 306, 309, 312)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_exact_study(tmp_path_factory.mktemp("studies") / "s", WRONG)


def told(study: Path, wrong: Mapping[str, Sequence[int]]) -> tuple[dict[str, Any], str]:
    """What test says where these networks get so many of 10,000 test images wrong, the others 5,000."""
    for label in WRONG:
        for seed in range(5):
            set_wrong(study / label / f"seed-{seed}", "test", wrong.get(label, (5000,) * 5)[seed])
    found = recommend(study)
    assert found.label == "resnet34" and found.test is not None
    return found.test, found.test_sentence


@pytest.mark.slow
def test_test_agrees_where_no_other_can_be_better_by_the_tolerance(study: Path) -> None:
    found, sentence = told(study, {"resnet34": STEADY, "vgg16": [count + 10 for count in STEADY]})
    assert (found["agreement"], found["against"]["network"], found["is_best"]) == ("agrees", "vgg16", True)
    assert "Test agrees: +0.10 points" in sentence and sentence.endswith("from vgg16, the best other there.")


@pytest.mark.slow
def test_a_network_with_a_lower_mean_and_a_wide_interval_keeps_test_from_agreeing(study: Path) -> None:
    wrong = {"resnet34": STEADY, "lenet5": [count + 5 for count in STEADY], "vgg16": (10, 700, 100, 600, 200)}
    found, sentence = told(study, wrong)
    assert found["agreement"] == "does not decide"
    assert found["against"] == {"network": "vgg16", "has_stn": False} and not found["is_best"]
    assert found["test_gain_low"] < -0.005 and "which is nearest to that" in sentence


@pytest.mark.slow
def test_test_disagrees_where_one_network_is_shown_to_be_better_by_more(study: Path) -> None:
    wrong = {"resnet34": [count + 600 for count in STEADY], "lenet5": STEADY, "vgg16": (10, 700, 100, 600, 200)}
    found, _ = told(study, wrong)
    assert (found["agreement"], found["against"]["network"]) == ("disagrees", "lenet5")


@pytest.mark.slow
def test_a_network_with_one_seed_makes_it_an_observation(study: Path, tmp_path: Path) -> None:
    told(study, {"resnet34": STEADY, "vgg16": [count + 10 for count in STEADY]})
    other = tmp_path / "s"
    shutil.copytree(study, other)
    for seed in range(1, 5):
        shutil.rmtree(other / "vgg16" / f"seed-{seed}")
    assert "Test agrees, observed for these trained weights: " in recommend(other).test_sentence


@pytest.mark.slow
def test_answers_that_are_not_there_leave_it_open_and_are_named(study: Path, tmp_path: Path) -> None:
    told(study, {"resnet34": STEADY})
    other = tmp_path / "s"
    shutil.copytree(study, other)
    (other / "lenet5" / "seed-2" / "test.npz").unlink()
    found = recommend(other)
    assert found.test is not None and found.test["agreement"] is None
    assert found.test_sentence.endswith("; test does not decide: not every run has its raw answers here (test.npz).")
