"""What the user asked for becomes a protocol and a list of runs; a mistake becomes one line."""

from pathlib import Path
from typing import Any

import pytest

from roadtest.protocol import FOLDER_V1, GTSRB_V1, SIGNS_V1
from roadtest.records import MAX_SEED
from roadtest.study.options import Options
from roadtest.study.resolve import chosen_protocol, chosen_seeds, planned_runs, source_kind, source_name


def refusal(**options: Any) -> str:
    with pytest.raises(ValueError) as error:
        Options(**options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preset": "fast"}, "--preset 'fast' is not known: choose one of quick, standard, thorough"),
        ({"precision": "float16"}, "choose one of auto, float32, bfloat16"),
        ({"keep_weights": "best"}, "choose one of all, chosen, none"),
        ({"stn": "yes"}, "choose one of off, on, both"),
        ({"stem": "tiny"}, "--stem 'tiny' is not known: choose one of small, small-s1, imagenet"),
        ({"pretrained": "yes"}, "--pretrained 'yes' is not known: choose one of off, on, both"),
        ({"flips": "maybe"}, "--flips 'maybe' is not known: choose one of auto, on, off"),
        ({"class_weights": "inverse"}, "--class-weights 'inverse' is not known: choose one of equal, balanced"),
        ({"group": "patient"}, "--group 'patient' is not known: choose one of auto"),
        ({"jobs": 0}, "--jobs 0 is too small"),
        ({"threads": 0}, "--threads 0 is too small"),
        ({"epochs": 0}, "--epochs 0 is too small"),
        ({"lr": 0.0}, "--lr 0.0 is out of range"),
        ({"lr": float("nan")}, "--lr nan is out of range"),
        ({"budget_seconds": 1.0, "budget_total_seconds": 2.0}, "give one"),
    ],
)
def test_a_mistake_says_what_is_allowed(options: dict[str, Any], words: str) -> None:
    assert words in refusal(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"jobs": "3"}, "jobs = '3' cannot be used: give a whole number, or leave it out"),
        ({"jobs": True}, "jobs = True cannot be used: give a whole number"),
        ({"epochs": 2.0}, "epochs = 2.0 cannot be used: give a whole number"),
        ({"budget_seconds": "10m"}, "budget_seconds = '10m' cannot be used: give a number"),
        ({"seeds": "3"}, "seeds = '3' cannot be used: give a list of whole numbers or a whole number"),
        ({"seeds": ("a",)}, "seeds = ('a',) cannot be used"),
        ({"fresh": "no"}, "fresh = 'no' cannot be used: give true or false"),
        ({"preset": 3}, "preset = 3 cannot be used: give a text"),
        ({"out": 3}, "out = 3 cannot be used: give a path"),
        ({"networks": (1,)}, "networks = (1,) cannot be used: give a list of texts"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(options: dict[str, Any], words: str) -> None:
    assert words in refusal(**options)


def test_a_whole_number_is_a_number_too() -> None:
    assert Options(budget_seconds=60, seeds=(0, 4), lr=1, out=Path("x")).budget_seconds == 60


def test_a_number_of_seeds_counts_from_zero_and_seeds_stand_for_themselves() -> None:
    assert chosen_seeds(Options()) == (0,)
    assert chosen_seeds(Options(preset="standard")) == (0, 1, 2)
    assert chosen_seeds(Options(preset="standard", seeds=2)) == (0, 1)
    assert chosen_seeds(Options(seeds=(4, 0))) == (0, 4)


@pytest.mark.parametrize("seeds", [0, -1, (), (1, 1), (-1,), (MAX_SEED + 1,)])
def test_seeds_that_cannot_be_are_refused(seeds: Any) -> None:
    with pytest.raises(ValueError, match=r"--seeds .* cannot be used"):
        chosen_seeds(Options(seeds=seeds))


def test_a_source_is_gtsrb_signs_or_a_folder_by_its_name(tmp_path: Path) -> None:
    kinds = {word: source_kind(word) for word in ("gtsrb", "signs", "./signs", "x.csv")}
    assert kinds == {"gtsrb": "gtsrb", "signs": "signs", "./signs": "folder", "x.csv": "folder"}
    assert source_name("signs") == "signs"
    assert source_name(str(tmp_path / "my images")) == "my images"
    assert source_name(str(tmp_path / "list.csv")) == "list"


def test_without_flags_the_protocol_is_the_published_one_under_the_presets_clock() -> None:
    assert chosen_protocol("gtsrb", Options(preset="standard"), 6) == GTSRB_V1
    assert chosen_protocol("x", Options(preset="standard"), 6) == FOLDER_V1
    assert chosen_protocol("gtsrb", Options(), 6).budget_seconds == 300
    assert chosen_protocol("signs", Options(), 6).budget_seconds == 30
    assert chosen_protocol("signs", Options(preset="standard"), 6) == SIGNS_V1


def test_a_total_budget_is_divided_over_the_runs() -> None:
    assert chosen_protocol("gtsrb", Options(budget_total_seconds=7200.0), 12).budget_seconds == 600
    assert chosen_protocol("gtsrb", Options(budget_seconds=60.0), 12).budget_seconds == 60


def test_who_counts_epochs_has_no_clock_unless_he_asks_for_it() -> None:
    protocol = chosen_protocol("gtsrb", Options(epochs=2), 1)
    assert (protocol.budget_seconds, protocol.max_epochs) == (None, 2)
    protocol = chosen_protocol("gtsrb", Options(epochs=2, budget_seconds=5.0), 1)
    assert (protocol.budget_seconds, protocol.max_epochs) == (5, 2)


def test_what_decides_a_result_is_in_the_fingerprint_and_the_rest_is_not() -> None:
    def fingerprint(**options: Any) -> str:
        return chosen_protocol("gtsrb", Options(**options), 1).fingerprint

    plain = fingerprint(preset="standard")
    for inside in ({"epochs": 5}, {"patience": 0}, {"budget_seconds": 9.0}, {"image_size": 48}, {"batch_size": 64}):
        assert fingerprint(preset="standard", **inside) != plain
    assert fingerprint(preset="standard", lr=0.07) != plain
    outside = {"seeds": 5, "networks": ("lenet5",), "device": "cpu", "jobs": 2, "threads": 1, "keep_weights": "none"}
    assert fingerprint(preset="standard", **outside) == plain


def test_class_weights_and_flips_are_fields_of_the_protocol() -> None:
    plain = chosen_protocol("x", Options(), 1)
    balanced = chosen_protocol("x", Options(class_weights="balanced"), 1)
    assert balanced.first_difference(plain) == "class_weights is 'balanced' there and 'equal' here"
    flipped = chosen_protocol("x", Options(flips="on"), 1)
    assert flipped.augmentation.flip_probability == 0.5
    assert chosen_protocol("x", Options(flips="auto"), 1) == chosen_protocol("x", Options(flips="off"), 1) == plain


def test_a_rate_of_the_user_holds_for_every_network_and_thorough_sweeps() -> None:
    assert chosen_protocol("gtsrb", Options(lr=0.07), 1).learning_rate("vgg16+stn") == 0.07
    assert chosen_protocol("gtsrb", Options(preset="thorough"), 1).learning_rate("lenet5") is None


def test_a_value_out_of_the_protocols_range_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size=8 is out of range"):
        chosen_protocol("gtsrb", Options(image_size=8), 1)


def test_runs_go_seed_by_seed() -> None:
    runs = planned_runs([("lenet5", False), ("lenet5", True)], (0, 3))
    assert [(run.label, run.seed) for run in runs] == [(n, s) for s in (0, 3) for n in ("lenet5", "lenet5+stn")]
