"""Turns rows into text: csv and json for programs (raw values), md, tex and html for people (rounded, percent).

Columns come from the first row; their names carry the unit. For people an accuracy, a recall or a gain is printed as
percent, other numbers are rounded. What was not measured is null in json, empty in csv, a dash elsewhere.
"""

import csv
import html
import io
import json
import math
import re
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
FORMATS = ("csv", "md", "json", "tex", "html")
_TEX_SIGNS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def render_table(rows: Sequence[Row], format: str) -> str:
    """Render rows as `csv`, `md`, `json`, `tex` or `html`, with a final newline; no rows give an empty table."""
    renderers = {"csv": _to_csv, "md": _to_markdown, "json": _to_json, "tex": _to_tex, "html": _to_html}
    if format not in renderers:
        raise ValueError(f"format={format!r} is not known: it is one of {', '.join(FORMATS)}; choose one of these")
    return renderers[format](rows)


def format_cell(column: str, value: Any) -> str:
    """Print one value for people; the column's name says its unit."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and re.search(r"accuracy|gain|fraction|recall|macro_f1", column):
        return f"{100 * value:+.2f} %" if "gain" in column else f"{100 * value:.2f} %"
    if isinstance(value, float):
        return f"{value:.3f}" if "loss" in column else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _to_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        # a bare carriage return is a line's end to some readers, and the writer does not quote it
        writer.writerows({key: _without_returns(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _without_returns(value: Any) -> Any:
    return value.replace("\r", " ") if isinstance(value, str) else value


def _to_json(rows: Sequence[Row]) -> str:
    return json.dumps([{key: _finite(value) for key, value in row.items()} for row in rows], indent=1) + "\n"


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are not measured."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _to_markdown(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    columns = list(rows[0])
    lines = [columns, ["---:" if _is_number(rows, column) else "---" for column in columns]]
    lines += [[_markdown_text(format_cell(column, row[column])) for column in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _to_tex(rows: Sequence[Row]) -> str:
    """A booktabs tabular, ready for \\input."""
    if not rows:
        return ""
    columns = list(rows[0])
    shape = "".join("r" if _is_number(rows, column) else "l" for column in columns)
    body = [[_tex_text(format_cell(column, row[column])) for column in columns] for row in rows]
    lines = [rf"\begin{{tabular}}{{{shape}}}", r"\toprule", " & ".join(map(_tex_text, columns)) + r" \\", r"\midrule"]
    lines += [" & ".join(line) + r" \\" for line in body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _to_html(rows: Sequence[Row]) -> str:
    """A bare table, every text escaped: a notebook gives it its looks."""
    if not rows:
        return "<table></table>\n"
    heads = "".join(f"<th>{html.escape(column)}</th>" for column in rows[0])
    lines = ["".join(f"<td>{html.escape(format_cell(column, row[column]))}</td>" for column in rows[0]) for row in rows]
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _is_number(rows: Sequence[Row], column: str) -> bool:
    return any(isinstance(row[column], int | float) and not isinstance(row[column], bool) for row in rows)


def _markdown_text(text: str) -> str:
    """Keep a cell in its cell, and its signs plain text."""
    one_line = " ".join(text.split())
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", one_line)


def _tex_text(text: str) -> str:
    signs = "".join(_TEX_SIGNS.get(sign, sign) for sign in " ".join(text.split()))
    return signs.replace("–", "--")
