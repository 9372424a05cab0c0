"""`signs:20000,skewed`: one word says which drawn set, and the same set has one word."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.data.signs import Drawing, is_drawn, parse_drawing


@pytest.mark.parametrize(
    ("word", "drawing"),
    [
        ("signs", Drawing()),
        ("signs:20000", Drawing(num_train=20_000)),
        ("signs:20000,skewed", Drawing(num_train=20_000, is_skewed=True)),
        ("signs:skewed,seed=3,20000", Drawing(num_train=20_000, is_skewed=True, seed=3)),
        ("signs:test=430,worlds", Drawing(num_test=430, has_worlds=True)),
    ],
)
def test_a_word_is_a_drawing(word: str, drawing: Drawing) -> None:
    assert parse_drawing(word) == drawing


def test_the_order_of_settings_and_defaults_that_are_written_out_make_no_other_word() -> None:
    assert parse_drawing("signs:seed=0,skewed,4300,test=1290").word == "signs:skewed"
    assert parse_drawing("signs:4300").word == "signs"


@given(
    st.builds(
        Drawing,
        num_train=st.integers(0, 10**6),
        num_test=st.integers(0, 10**6),
        seed=st.integers(0, 10**19 - 1),
        is_skewed=st.booleans(),
        has_worlds=st.booleans(),
    )
)
def test_every_drawing_is_read_back_from_its_word(drawing: Drawing) -> None:
    assert parse_drawing(drawing.word) == drawing


@pytest.mark.parametrize(
    "word",
    [
        "signs:",
        "signs:abc",
        "signs:-5",
        "signs:20_000",
        "signs:skewed,",
        "signs:20000 ,skewed",
        "signs:seed=",
        "signs:٣",
    ],
)
def test_a_setting_that_is_none_is_refused_in_one_line(word: str) -> None:
    with pytest.raises(ValueError, match=r"is no setting of drawn signs: .*; write for instance") as refusal:
        parse_drawing(word)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("word", ["signs:1000,2000", "signs:skewed,skewed", "signs:seed=1,seed=1"])
def test_a_setting_that_stands_there_twice_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="stands there twice"):
        parse_drawing(word)


@given(st.text(max_size=40))
def test_any_settings_are_a_drawing_or_a_refusal_in_one_line(text: str) -> None:
    try:
        assert isinstance(parse_drawing(f"signs:{text}"), Drawing)
    except ValueError as error:
        assert not re.search(r"[\n\r]", str(error))


def test_folders_and_other_words_are_no_drawn_signs() -> None:
    assert [is_drawn(word) for word in ("signs", "signs:9", "./signs", "signs/x", "signs2", "Signs")] == [
        *[True, True],
        *[False] * 4,
    ]
