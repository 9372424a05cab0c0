"""Class order, and what is held out."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_images import draw_classes
from roadtest.data.folder import list_folder
from roadtest.data.layout import class_key, class_order


def test_a_folder_per_class_gets_15_percent_held_out_by_class(tmp_path: Path) -> None:
    listing = list_folder(draw_classes(tmp_path / "pets", {"dogs": 20, "Cats": 40}))
    assert listing.class_names == ("Cats", "dogs")
    assert listing.source == listing.title == "pets"
    held_out = Counter(item.label for item in listing.items if item.split == "test")
    assert held_out == {0: 6, 1: 3}  # 15 % of 40 and of 20
    assert listing.notes == ("No test part was given: 9 of 60 images were held out as the test set, by class.",)


def test_the_seed_decides_which_images_are_held_out(tmp_path: Path) -> None:
    root = draw_classes(tmp_path, {"a": 30, "b": 30})

    def test_paths(seed: int) -> list[str]:
        return [item.path for item in list_folder(root, seed=seed).items if item.split == "test"]

    assert test_paths(0) == test_paths(0) != test_paths(1)


def test_a_class_of_two_images_gives_none_to_the_test_set(tmp_path: Path) -> None:
    listing = list_folder(draw_classes(tmp_path, {"few": 2, "many": 9}))
    assert Counter((item.label, item.split) for item in listing.items) == {
        (0, "train"): 2,
        (1, "train"): 8,
        (1, "test"): 1,
    }


def test_train_alone_gets_a_test_set_held_out(tmp_path: Path) -> None:
    draw_classes(tmp_path / "train", {"a": 10, "b": 10})
    parts = Counter(item.split for item in list_folder(tmp_path).items)
    assert parts == {"train": 16, "test": 4}


def test_numbered_classes_sort_by_value_and_match_in_any_spelling(tmp_path: Path) -> None:
    draw_classes(tmp_path / "train", {"00010": 1, "00005": 1, "2": 1})
    draw_classes(tmp_path / "test", {"10": 1, "5": 1, "02": 1})
    listing = list_folder(tmp_path)
    assert listing.class_names == ("2", "5", "10")
    assert [item.path for item in listing.items if item.label == 1] == ["train/00005/000.png", "test/5/000.png"]


@pytest.mark.slow
@given(st.lists(st.text(max_size=6) | st.integers(0, 300).map(str), unique=True))
def test_the_class_order_is_numbers_by_value_then_words_without_case(names: list[str]) -> None:
    keys = sorted({class_key(name) for name in names}, key=class_order)
    numbers = [value for kind, value in keys if kind == 0]
    words = [str(value).casefold() for kind, value in keys if kind == 1]
    assert numbers == sorted(numbers, key=int)
    assert words == sorted(words)
    assert [kind for kind, _ in keys] == [0] * len(numbers) + [1] * len(words)
