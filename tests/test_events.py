"""Events travel as lines of JSON and come back as they went."""

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.events import Event

EVENTS = st.builds(
    Event,
    kind=st.sampled_from(["row", "step", "download", "a kind of tomorrow"]),
    label=st.text(),
    seed=st.none() | st.integers(0, 99),
    text=st.text(),
    num_done=st.none() | st.integers(0),
    val_loss=st.none() | st.floats(allow_nan=False),
)


@given(EVENTS)
def test_an_event_comes_back_as_it_went_and_is_one_line(event: Event) -> None:
    line = event.to_line()
    assert "\n" not in line
    assert Event.from_line(line) == event


def test_a_line_says_only_what_is_set_and_zero_is_set() -> None:
    line = Event(kind="row", label="lenet5", seed=0, val_loss=0.0).to_line()
    assert json.loads(line) == {"kind": "row", "label": "lenet5", "seed": 0, "val_loss": 0.0}


@pytest.mark.parametrize("line", ["", "42", "[]", "{}", '{"kind": "row"', '{"kind": "row", "colour": "red"}', "nan"])
def test_any_other_line_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError):
        Event.from_line(line)


def test_every_field_is_documented() -> None:
    for field in fields(Event):
        assert field.name in ("kind", "status") or field.name in (Event.__doc__ or ""), field.name
