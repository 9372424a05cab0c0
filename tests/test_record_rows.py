"""Csv files: whole rows survive whatever happens, and hostile ones are refused in one line."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.record import append_row, read_rows, write_rows
from roadtest.record import rows as rows_module


def refused(path: Path, columns: Iterable[str] = ()) -> str:
    with pytest.raises(ValueError) as error:
        read_rows(path, columns)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    return str(error.value)


def test_rows_come_back_as_they_went_with_one_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for k in range(3):
        append_row(path, {"step": k, "loss": 0.5 * k})
    assert path.read_text() == "step,loss\n0,0.0\n1,0.5\n2,1.0\n"
    assert read_rows(path) == [{"step": str(k), "loss": str(0.5 * k)} for k in range(3)]


def test_an_absent_file_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "none.csv") == []


def test_a_last_row_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for cut in range(1, 8):
        path.write_text("step,loss\n1,0.5\n22,0.75\n"[:-cut])
        assert read_rows(path) == [{"step": "1", "loss": "0.5"}]


def test_after_a_cut_anywhere_the_next_row_is_whole(tmp_path: Path) -> None:
    path, text = tmp_path / "a.csv", "step,loss\n1,0.5\n22,0.75\n"
    for length in range(len(text) + 1):
        path.write_text(text[:length])
        append_row(path, {"step": 3, "loss": 0.25})
        rows = read_rows(path)
        assert rows[-1] == {"step": "3", "loss": "0.25"}, length
        assert len(rows) == 1 + (length >= 16) + (length >= 24), length  # whole rows end after 16 and 24 characters


def test_a_long_row_that_was_cut_off_is_removed_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("step,loss\n1,0.5\n2," + "9" * 10_000)
    append_row(path, {"step": 3, "loss": 0.25})
    assert [row["step"] for row in read_rows(path)] == ["1", "3"]


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    pairs = [(a.encode("utf-8", "replace").decode(), b.encode("utf-8", "replace").decode()) for a, b in pairs]
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    rows = [{"path": a, "group": b} for a, b in pairs]
    write_rows(path, rows, ("path", "group"))
    assert read_rows(path) == rows


@given(st.binary(max_size=80))
def test_garbage_is_rows_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    path.write_bytes(garbage)
    try:
        rows = read_rows(path)
    except ValueError:
        return
    assert all(isinstance(value, str) for row in rows for value in row.values())


def test_damage_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n\xff\xfe,1\n")
    assert "damaged" in refused(path)
    path.write_text("a,b\n1,2,3\n4,5\n")
    assert "different lengths" in refused(path)
    path.write_text("a,b\n1\n4,5\n")
    assert "different lengths" in refused(path)
    path.write_text("a,b\n" + "x" * 200_000 + ",1\n")
    assert "field" in refused(path)
    path.write_text("a,b\n1,2\n")
    assert "no column 'fold'" in refused(path, ("a", "fold"))


def test_a_value_that_is_not_of_its_columns_kind_is_told_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,ms\nx,1.5\ny,fast\n")
    assert read_rows(path, {"name": str}) == read_rows(path)
    assert "(ms: could not convert string to float: 'fast')" in refused(path, {"name": str, "ms": float})
    assert "no column 'fold'" in refused(path, {"fold": int})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_device_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    os.mkfifo(path)  # reading would wait for ever
    assert "no plain file" in refused(path)


def test_a_file_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "MAX_CSV_BYTES", 10)
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    assert "12 bytes" in refused(path)


def test_a_row_is_not_added_through_a_link_and_no_cut_row_is_removed_there(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("their first line\ntheir last, without an end")
    (tmp_path / "a.csv").symlink_to("theirs")
    with pytest.raises(ValueError, match=r"a\.csv is a link"):
        append_row(tmp_path / "a.csv", {"a": 1})
    assert (tmp_path / "theirs").read_text() == "their first line\ntheir last, without an end"
