"""Which class a word means: names first, numbers by name or by place, and never a guess between two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.data.classes import class_finder, name_some
from roadtest.data.gtsrb_names import CLASS_NAMES


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
