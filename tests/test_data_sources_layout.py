"""Which class a word means: names first, numbers by name or by place, and never a guess between two.

Class order, and what is held out."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_images import draw_classes
from roadtest.data.gtsrb_classes import CLASS_NAMES
from roadtest.data.sources.folder import list_folder
from roadtest.data.sources.layout import class_finder, class_key, class_order, name_some


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("Stop", 14),
        ("stop", 14),
        (" STOP ", 14),
        ("14", 14),
        ("00014", 14),
        ("0", 0),
        ("Speed limit 20", 0),
        ("speed_limit_20", 0),
        ("keep-right", 38),
        ("43", None),
        ("-1", None),
        ("14.0", None),
        ("", None),
        ("Stopp", None),
        ("９", None),
    ],
)
def test_words_are_classes_of_gtsrb(word: str, label: int | None) -> None:
    assert class_finder(CLASS_NAMES).find(word) == label


def test_where_classes_are_named_by_numbers_digits_are_names_and_no_places() -> None:
    finder = class_finder(["2", "5", "11"])
    assert [finder.find(word) for word in ("2", "05", "00011", "0", "1")] == [0, 1, 2, None, None]


def test_one_class_named_by_a_number_makes_all_digits_names() -> None:
    finder = class_finder(["7", "other"])
    assert [finder.find(word) for word in ("7", "1", "Other")] == [0, None, 1]


def test_a_word_that_could_mean_two_classes_means_none_but_its_spelling_does() -> None:
    finder = class_finder(["cat", "Cat", "big cat", "big_cat"])
    assert [finder.find(word) for word in ("cat", "Cat", "CAT", "big-cat", "big_cat")] == [0, 1, None, None, 3]


def test_signs_that_matter_stay() -> None:
    finder = class_finder(["C", "C++", "C#"])
    assert [finder.find(word) for word in ("c", "c++", "C#", "c+")] == [0, 1, 2, None]


def test_names_of_other_systems_are_the_same_names() -> None:
    assert class_finder(["Straße", "Fußgänger"]).find("Fußga\u0308nger") == 1  # as macOS writes folder names


@pytest.mark.slow
@given(st.lists(st.text(min_size=1, max_size=8).filter(lambda name: name.strip() == name), min_size=1, unique=True))
def test_every_class_is_found_by_its_own_name(names: list[str]) -> None:
    finder = class_finder(names)
    assert [finder.find(name) for name in names] == list(range(len(names)))


@given(st.text(max_size=20))
def test_any_word_is_a_class_or_none(word: str) -> None:
    found = class_finder(CLASS_NAMES).find(word)
    assert found is None or 0 <= found < 43


def test_many_classes_are_described_in_a_few_words() -> None:
    assert class_finder(CLASS_NAMES).describe() == (
        "43 classes, such as 0 (Speed limit 20), 1 (Speed limit 30), 2 (Speed limit 50)"
    )
    assert class_finder(["3", "cat"]).describe() == "the classes 3, 1 (cat)"


def test_many_words_are_named_by_the_first() -> None:
    assert name_some(["a", "b"]) == "'a', 'b'"
    assert name_some(map(str, range(9))) == "'0', '1', '2', '3', '4' and 4 more"


def test_a_folder_per_class_gets_15_percent_held_out_by_class(tmp_path: Path) -> None:
    listing = list_folder(draw_classes(tmp_path / "pets", {"dogs": 20, "Cats": 40}))
    assert listing.class_names == ("Cats", "dogs")
    assert listing.source == listing.title == "pets"
    held_out = Counter(item.label for item in listing.items if item.split == "test")
    assert held_out == {0: 6, 1: 3}  # 15 % of 40 and of 20
    assert [(note.kind, note.count) for note in listing.notes] == [("held out", 9)]


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
