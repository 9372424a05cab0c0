"""Rows as csv, json, Markdown and LaTeX: nothing leaves its cell, nothing is invented for what was not measured.

Numbers for people: units, rounding, signs."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest import format as words
from roadtest.format import FORMATS, format_cell, render_table

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (words.format_percent(0.98314), "98.31 %"),
        (words.format_percent(None), "–"),
        (words.format_points(0.0093), "+0.93"),
        (words.format_points(-0.0093), "−0.93"),
        (words.format_points(-0.000001), "0.00"),
        (words.format_gain_interval(-0.003, 0.0152), "−0.30 to +1.52"),
        (words.format_short_count(134_445_163), "134.4 M"),
        (words.format_short_count(65_219), "65.2 k"),
        (words.format_short_count(999), "999"),
        (words.format_short_count(650_000), "650.0 k"),
        (words.format_bytes(537_818_828), "537.8 MB"),
        (words.format_bytes(12), "12 B"),
        (words.format_seconds(4.21), "4.21 s"),
        (words.format_seconds(59.4), "59 s"),
        (words.format_seconds(303), "5 min 03 s"),
        (words.format_seconds(7500), "2 h 05 min"),
        (words.format_milliseconds(0.33), "0.330 ms"),
        (words.format_milliseconds(31.04), "31.0 ms"),
        (words.format_milliseconds(2310.4), "2,310 ms"),
        (words.plural(1, "run"), "1 run"),
        (words.plural(1200, "class", "classes"), "1,200 classes"),
        (words.join_words(["a", "b", "c"]), "a, b and c"),
        (words.class_title(38, "Keep right"), "Keep right (38)"),
        (words.class_title(7, "7"), "7"),
        (words.format_points_bare(-0.0093), "0.93"),
        (words.format_times(287.6), "288 times"),
        (words.format_times(1.52), "1.5 times"),
        (words.format_times(9.96), "10 times"),
        (words.format_about(29), "less than a minute"),
        (words.format_about(1500), "about 25 min"),
        (words.format_about(7500), "about 2 h 05 min"),
        (words.format_share(0.131), "13 %"),
        (words.format_share(0.0004), "0.04 %"),
        (words.format_share(1.492), "149 %"),
        (words.format_change(1.231), "+123 %"),
        (words.format_change(-0.02), "−2 %"),
        (words.format_change(-0.001), "0 %"),
        (words.format_p_value(0.00099), "< 0.001"),
        (words.format_p_value(0.0312), "0.031"),
        (words.format_p_value(0.347), "0.35"),
        (words.format_p_value(None), "–"),
        (words.capitalise("macro-F1"), "Macro-F1"),
        (words.number_word(3), "three"),
        (words.number_word(13), "13"),
        (words.format_units(1, "folds"), "1 fold"),
        (words.format_design_effect(11.94), "design effect 11.9"),
    ],
)
def test_numbers_read_as_people_write_them(text: str, expected: str) -> None:
    assert text == expected


def test_a_second_short_of_a_minute_never_reads_sixty_seconds() -> None:
    assert words.format_seconds(59.7) == "1 min 00 s"
    assert words.format_seconds(3599.8) == "1 h 00 min"


def test_a_count_just_below_a_prefix_takes_it() -> None:
    assert words.format_short_count(999_960) == "1.00 M"
    assert words.format_bytes(999_999_999) == "1.00 GB"
