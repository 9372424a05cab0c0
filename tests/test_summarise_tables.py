"""Rows as csv, json, Markdown and LaTeX: nothing leaves its cell, nothing is invented for what was not measured."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.summarise.tables import FORMATS, format_cell, render_table

ROWS = [
    {"network": "lenet5", "has_stn": True, "num_runs": 3, "val_accuracy_mean": 0.98314, "latency_p50_ms": None},
    {"network": "a|b_c & <i>", "has_stn": False, "num_runs": 1, "val_accuracy_mean": 0.5, "latency_p50_ms": 0.25},
]
CELLS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


def test_csv_keeps_raw_values_and_leaves_the_unmeasured_empty() -> None:
    lines = render_table(ROWS, "csv").splitlines()
    assert lines[0] == "network,has_stn,num_runs,val_accuracy_mean,latency_p50_ms"
    assert lines[1] == "lenet5,True,3,0.98314,"


def test_json_says_null_for_the_unmeasured_and_never_nan() -> None:
    assert json.loads(render_table(ROWS, "json"))[0]["latency_p50_ms"] is None
    assert json.loads(render_table([{"loss": float("nan")}], "json")) == [{"loss": None}]


def test_markdown_prints_percent_and_keeps_cells_apart() -> None:
    lines = render_table(ROWS, "md").splitlines()
    assert lines[1] == "| --- | --- | ---: | ---: | ---: |"
    assert lines[2] == "| lenet5 | yes | 3 | 98.31 % | – |"
    assert lines[3].startswith(r"| a\|b\_c & \<i\> |")


def test_latex_escapes_every_sign_that_has_a_meaning_there() -> None:
    table = render_table([{"name_": r"50% of $x_1$ & {a} \b #c ~d ^e"}], "tex")
    assert r"50\% of \$x\_1\$ \& \{a\} \textbackslash{}b \#c \textasciitilde{}d \textasciicircum{}e" in table
    assert table.startswith(r"\begin{tabular}{l}") and table.endswith("\\end{tabular}\n")


@pytest.mark.parametrize("format", FORMATS)
def test_no_rows_make_an_empty_table(format: str) -> None:
    assert render_table([], format).strip() in ("", "[]", "<table></table>")


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="it is one of csv, md, json, tex, html; choose one"):
        render_table(ROWS, "xlsx")


def test_gains_carry_their_sign() -> None:
    assert format_cell("test_gain", 0.0093) == "+0.93 %"
    assert format_cell("test_gain", -0.0093) == "-0.93 %"


@given(st.lists(st.fixed_dictionaries({"a": CELLS, "b": CELLS}), min_size=1, max_size=4))
def test_csv_gives_back_what_went_in(rows: list[dict[str, str]]) -> None:
    expected = [{key: value.replace("\r", " ") for key, value in row.items()} for row in rows]
    assert list(csv.DictReader(io.StringIO(render_table(rows, "csv"), newline=""))) == expected


@given(st.lists(st.fixed_dictionaries({"a": CELLS, "b": CELLS}), min_size=1, max_size=4))
def test_every_markdown_line_has_the_same_cells(rows: list[dict[str, str]]) -> None:
    lines = render_table(rows, "md").split("\n")[:-1]
    assert len(lines) == len(rows) + 2
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines} == {3}


def test_html_shows_markup_as_text() -> None:
    table = render_table(ROWS, "html")
    assert "a|b_c &amp; &lt;i&gt;" in table and "<i>" not in table
    assert table.count("<tr>") == 3


@given(CELLS)
def test_latex_braces_always_balance(text: str) -> None:
    body = render_table([{"a": text}], "tex")
    bare = re.sub(r"\\[{}]", "", body)
    assert bare.count("{") == bare.count("}")
