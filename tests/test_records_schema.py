"""Values from files of strangers: of the right type, or refused in one line that names the field.

Events travel as lines of JSON and come back as they went.

A job travels as JSON and comes back as it went."""

import json
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.protocol import GTSRB_V1
from roadtest.records import PlannedRun, text_files
from roadtest.records.events import Event, RunSpec
from roadtest.records.text_files import build, read_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@dataclass(frozen=True, kw_only=True)
class Inner:
    number: int


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    rate: float
    is_on: bool
    inner: Inner | None
    words: tuple[str, ...]
    inners: tuple[Inner, ...]
    table: dict[str, float]
    anything: dict[str, Any]
    late: int = 7


PLAIN: dict[str, Any] = {
    "name": "a",
    "rate": 1,
    "is_on": True,
    "inner": {"number": 3},
    "words": ["x", "y"],
    "inners": [{"number": 1}],
    "table": {"k": 2.5},
    "anything": {"k": [1, None]},
}


def message(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        read_json(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_plain_values_become_what_the_fields_say(tmp_path: Path) -> None:
    outer = build(Outer, {**PLAIN, "unknown": 1}, tmp_path)
    assert outer == Outer(
        name="a",
        rate=1.0,
        is_on=True,
        inner=Inner(number=3),
        words=("x", "y"),
        inners=(Inner(number=1),),
        table={"k": 2.5},
        anything={"k": [1, None]},
    )
    assert type(outer.rate) is float
    assert build(Outer, {**PLAIN, "inner": None}, tmp_path).inner is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 1),
        ("name", None),
        ("rate", "1"),
        ("rate", True),
        ("rate", 1e999),
        ("rate", 10**400),
        ("late", 2**63),
        ("late", -(2**63) - 1),
        ("anything", {"rate": 10**400}),
        ("is_on", 1),
        ("inner", []),
        ("words", "xy"),
        ("words", [1]),
        ("inners", [{}]),
        ("table", {"k": "2"}),
        ("late", 2.0),
        ("late", True),
    ],
)
def test_a_field_of_another_type_is_named(field: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as error:
        build(Outer, {**PLAIN, field: value}, tmp_path)
    assert "\n" not in str(error.value)
    assert "damaged" in str(error.value)
    assert field in str(error.value) or "Inner" in str(error.value)


def test_a_missing_field_is_named_unless_it_has_a_default(tmp_path: Path) -> None:
    assert build(Outer, PLAIN, tmp_path).late == 7
    with pytest.raises(ValueError, match="a Outer lacks rate"):
        build(Outer, {key: value for key, value in PLAIN.items() if key != "rate"}, tmp_path)


@pytest.mark.slow
@given(st.sampled_from(sorted(PLAIN)), JSON)
def test_whatever_stands_in_a_field_is_taken_or_refused_in_one_line(field: str, value: object) -> None:
    try:
        outer = build(Outer, {**PLAIN, field: value}, Path("a.json"))
    except ValueError as error:
        assert "\n" not in str(error)
        return
    assert isinstance(outer, Outer)


def test_what_is_not_json_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert "damaged" in message(path, "")
    assert "damaged" in message(path, '{"a": ')
    assert "one object" in message(path, "[1]")
    assert "NaN is no number in JSON" in message(path, '{"a": NaN}')
    assert "Infinity" in message(path, '{"a": -Infinity}')
    assert "damaged" in message(path, "[" * 100_000)
    assert "damaged" in message(path, '{"a": ' + "9" * 5000 + "}")
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match="damaged"):
        read_json(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_device_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "record.json")  # reading would wait for ever
    with pytest.raises(ValueError, match="no plain file"):
        read_json(tmp_path / "record.json")


def test_a_file_that_is_not_there_says_what_folder_to_give(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no record\.json: give the folder"):
        read_json(tmp_path / "nowhere" / "record.json")


def test_a_later_schema_asks_for_an_upgrade(tmp_path: Path) -> None:
    assert "upgrade" in message(tmp_path / "a.json", json.dumps({"schema_version": 99}))
    assert "upgrade" in message(tmp_path / "a.json", json.dumps({"schema_version": "1"}))


def test_a_file_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MAX_JSON_BYTES", 10)
    assert "more than 10" in message(tmp_path / "a.json", '{"a": "12345678"}')


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


JOB = RunSpec(
    study_dir=Path("runs/ä b"),
    cache_dir=Path("/tmp/cache"),
    pixels_path=Path("/tmp/cache/images.npy"),
    split_fingerprint="5" * 64,
    run=PlannedRun(network="lenet5", has_stn=True, seed=3),
    protocol=replace(GTSRB_V1, budget_seconds=12.5),
    learning_rate=0.1,
    device="cpu",
    precision="auto",
    num_threads=2,
    reads_test=False,
    keeps_weights=False,
    max_steps=7,
)


def test_a_job_comes_back_as_it_went() -> None:
    again = RunSpec.from_json(JOB.to_json())
    assert again == JOB
    assert again.protocol.fingerprint == JOB.protocol.fingerprint


def test_a_run_lies_in_its_networks_folder() -> None:
    assert JOB.run_dir == Path("runs/ä b/lenet5+stn/seed-3")


def test_an_event_carries_the_run() -> None:
    event = JOB.event("phase", text="probing precision")
    assert (event.kind, event.label, event.seed, event.text) == ("phase", "lenet5+stn", 3, "probing precision")
