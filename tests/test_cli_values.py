"""Durations, seeds and lists as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.cli.values import MAX_SECONDS, MAX_SEEDS, parse_duration, parse_seeds, split_list


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45", 45),
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("10 min", 600),
        ("1d", 86400),
        ("0.5", 0.5),
        (" 2H ", 7200),
    ],
)
def test_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text, "--budget") == seconds


@pytest.mark.parametrize(
    "text", ["", "m", "10x", "1:30", "-5m", "1e3", "h10", "ten", "10mm", "٣m", "nan", "inf", "1 2"]
)
def test_what_is_no_duration_is_answered_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"--budget .* is no duration: write 90s, 10m"):
        parse_duration(text, "--budget")


@pytest.mark.parametrize("text", ["30m1h", "5m5m", "1s2h"])
def test_parts_out_of_order_or_twice_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="out of order"):
        parse_duration(text, "--budget")


@pytest.mark.parametrize("text", ["0", "0m", "31d", "9" * 400])
def test_nothing_and_forever_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be above 0 and at most 30d"):
        parse_duration(text, "--budget")


@pytest.mark.slow
@given(st.integers(1, int(MAX_SECONDS)))
def test_hours_minutes_and_seconds_add_up(seconds: int) -> None:
    text = f"{seconds // 3600}h{seconds // 60 % 60}m{seconds % 60}s"
    assert parse_duration(text, "--budget") == parse_duration(str(seconds), "--budget") == seconds


@given(st.text(max_size=12))
def test_no_text_does_more_than_a_value_error(text: str) -> None:
    try:
        assert 0 < parse_duration(text, "--budget") <= MAX_SECONDS
    except ValueError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", [0, 1, 2]), ("1", [0]), ("0,4", [0, 4]), ("4,", [4]), (" 2 , 1 ", [2, 1]), ("007", [*range(7)])],
)
def test_a_number_of_seeds_or_the_seeds_themselves(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "0", "-1", "a", "1,,2", "1;2", "0,0", "1.5", "²", "9999", "1" * 50, ","])
def test_what_names_no_seeds_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="--seeds") as caught:
        parse_seeds(text)
    assert "\n" not in str(caught.value)


@given(st.lists(st.integers(0, 10**9 - 1), min_size=1, max_size=20, unique=True))
def test_named_seeds_are_read_back(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds)) + ",") == seeds


def test_the_largest_number_of_seeds_is_allowed() -> None:
    assert len(parse_seeds(str(MAX_SEEDS))) == MAX_SEEDS


def test_lists_come_apart_at_commas_wherever_they_stand() -> None:
    assert split_list(["a,b", " c ", "d,"], "--networks") == ["a", "b", "c", "d"]


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(ValueError, match="--networks is empty"):
        split_list([",", " "], "--networks")
