"""Numbers, sets and classes as people read them, in one wording for all sentences and tables about a study.

Numbers as people read them: units, rounding, lists. No files, no markup, no sentences.

Turns rows into text: csv and json for programs (raw values), md, tex and html for people (rounded, percent).

Columns come from the first row; their names carry the unit. For people an accuracy, a recall or a gain is printed as
percent, other numbers are rounded. What was not measured is null in json, empty in csv, a dash elsewhere.
"""

import csv
import html
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

WHERE = {"test": "on test", "val": "in validation"}
"""A set in a sentence."""


def statement_about(statement: str, subject: str) -> str:
    """What an interval speaks of, for a study's subject: `on new signs of this kind`, `on new images of this kind`."""
    return statement.replace("new signs", f"new {subject or 'images'}")


def printable(text: str) -> str:
    """Text that does nothing to a terminal: a character that is not printable becomes a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


def format_points(difference: float) -> str:
    """-0.0093 as `−0.93`: percentage points with their sign."""
    text = f"{100 * abs(difference):.2f}"
    return text if float(text) == 0 else ("−" if difference < 0 else "+") + text


def plural(number: int, singular: str, plural_form: str | None = None) -> str:
    """`1 run`, `3 runs`."""
    return f"{number:,} {singular if number == 1 else plural_form or singular + 's'}"


def count_noun(number: int, noun: str) -> str:
    """`1 image`, `2,000 images`, `3 classes`, `4 copies`."""
    if number == 1:
        return f"1 {noun}"
    plural = f"{noun}es" if noun.endswith("s") else f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {plural}"


def with_verb(number: int, noun: str, singular: str, plural: str) -> str:
    """`1 image looks`, `2 images look`."""
    return f"{count_noun(number, noun)} {singular if number == 1 else plural}"


def part_of(part: int, whole: int) -> str:
    """`3.1 %`; two digits below one percent."""
    share = 100 * part / max(1, whole)
    return f"{share:.1f} %" if share >= 1 or part == 0 else f"{share:.2g} %"


def name_some(names: Sequence[str], most: int = 5) -> str:
    """The first few, and how many more there are."""
    some = ", ".join(names[:most])
    return some if len(names) <= most else f"{some} and {len(names) - most} more"


def class_title(label: int, name: str) -> str:
    """A class in words with its number: `Keep right (38)`; a name that is the number stands alone."""
    return name if name == str(label) else f"{name} ({label})"


def network_label(network: str, has_stn: bool) -> str:
    """`lenet5+stn`: how people and folders name a network with its switch."""
    return f"{network}+stn" if has_stn else network


def row_label(row: Mapping[str, Any], side: str = "") -> str:
    """`lenet5+stn`: the network of a table's row; where the row is of a pair, that of the side `_a` or `_b`."""
    return network_label(row[f"network{side}"], row[f"has_stn{side}"])


def render_duration(seconds: float) -> str:
    """`42 s`, `5 min`, `2 h 05 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


Row = dict[str, Any]
DASH = "–"
MINUS = "−"
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
PART_WORDS = {"test": "test", "val": "validation"}


def format_percent(fraction: float | None, digits: int = 2) -> str:
    """0.98314 as `98.31 %`."""
    return DASH if fraction is None else f"{100 * fraction:.{digits}f} %"


def format_percent_bare(fraction: float | None) -> str:
    """0.98314 as `98.31`, where the head of the column says percent."""
    return DASH if fraction is None else f"{100 * fraction:.2f}"


def format_interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Two accuracies as `97.60 to 98.89`, in percent."""
    return "" if low is None or high is None else f"{100 * low:.{digits}f} to {100 * high:.{digits}f}"


def format_gain_interval(low: float | None, high: float | None) -> str:
    """Two differences as `−0.30 to +1.52`, in percentage points."""
    return "" if low is None or high is None else f"{format_points(low)} to {format_points(high)}"


def format_count(number: float | None) -> str:
    """1234567 as `1,234,567`."""
    return DASH if number is None else f"{number:,.0f}"


def format_short_count(number: float | None) -> str:
    """134445163 as `134.4 M`: three to four digits and a prefix."""
    return DASH if number is None else _scaled(number, 1000.0, ("", " k", " M", " G", " T"))


def format_bytes(num_bytes: float | None) -> str:
    """Bytes as `537.8 MB`, in powers of 1000."""
    return DASH if num_bytes is None else _scaled(num_bytes, 1000.0, (" B", " kB", " MB", " GB", " TB"))


def format_seconds(value: float | None) -> str:
    """A stretch of time as `4.2 s`, `5 min 03 s` or `2 h 05 min`."""
    if value is None:
        return DASH
    if value < 59.5:
        return f"{value:.3g} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_milliseconds(value: float | None) -> str:
    """A latency with three digits."""
    return DASH if value is None else f"{format_three_digits(value)} ms"


def format_three_digits(value: float) -> str:
    """0.33 as `0.330`, 31.04 as `31.0`, 2310 as `2,310`: as sure as a measurement is."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def capitalise(text: str) -> str:
    """The first letter large, the others as they are: `macro-F1` as `Macro-F1`."""
    return text[:1].upper() + text[1:]


def number_word(number: int) -> str:
    """2 as `two`; from thirteen on in figures."""
    return _NUMBERS[number] if 0 < number < len(_NUMBERS) else f"{number:,}"


def join_words(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def format_points_bare(difference: float) -> str:
    """0.0093 as `0.93`: percentage points where words say the sign."""
    return f"{100 * abs(difference):.2f}"


def format_factor(ratio: float) -> str:
    """287.6 as `288`, 1.52 as `1.5`."""
    return f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}"


def format_times(ratio: float) -> str:
    """287.6 as `288 times`, 1.52 as `1.5 times`."""
    return f"{format_factor(ratio)} times"


def format_share(fraction: float) -> str:
    """0.131 as `13 %`, 0.0004 as `0.04 %`, 1.5 as `150 %`."""
    return f"{100 * fraction:.2g} %" if fraction < 0.0995 else f"{100 * fraction:,.0f} %"


def format_change(fraction: float) -> str:
    """0.131 as `+13 %`, -0.02 as `−2 %`."""
    rounded = round(100 * fraction)
    return "0 %" if rounded == 0 else f"{MINUS if rounded < 0 else '+'}{abs(rounded):,} %"


def format_about(value: float) -> str:
    """A stretch of time that is foreseen: `less than a minute`, `about 25 min`, `about 2 h 05 min`."""
    minutes = round(value / 60)
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes} min" if minutes < 60 else f"about {minutes // 60} h {minutes % 60:02d} min"


def format_p_value(probability: float | None) -> str:
    """0.0312 as `0.031`, what is smaller than 0.001 as `< 0.001`."""
    if probability is None:
        return DASH
    return "< 0.001" if probability < 0.001 else f"{probability:.3f}" if probability < 0.0995 else f"{probability:.2f}"


def format_units(number: int, unit_name: str) -> str:
    """`421 tracks`, `1 fold`."""
    return plural(number, unit_name[:-1])


def format_design_effect(value: float) -> str:
    """`design effect 11.9`: how many images tell as much as one that stands by itself."""
    return f"design effect {value:.1f}"


def _scaled(number: float, step: float, prefixes: Sequence[str]) -> str:
    value, place = float(number), 0
    # 999.96 would print as 1000.0: it takes the next prefix
    while abs(value) >= (step if place == 0 else step - 0.05) and place < len(prefixes) - 1:
        value, place = value / step, place + 1
    digits = f"{value:.0f}" if place == 0 or value >= 1000 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
    return f"{digits}{prefixes[place]}"


def plural_range(numbers: Sequence[int], singular: str) -> str:
    """`3 seeds` where all have as many, `1 to 3 seeds` where not."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return plural(high, singular) if low == high else f"{low:,} to {plural(high, singular)}"


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


T = TypeVar("T")
ALWAYS = 99
"""Rank of a column that stays in every window."""
COLUMN_GAP = 2


@dataclass(frozen=True, kw_only=True)
class Column(Generic[T]):
    """A column of a table on a terminal; the one with the lowest rank goes first where there is no room."""

    title: str
    text: Callable[[T], str]
    rank: int = ALWAYS
    is_right: bool = True
    is_folding: bool = False
    """Long words go on in the next line instead of widening the column."""
    width: int | None = None
    """Fixed, so that nothing jumps while numbers come in; None is as wide as its longest cell."""

    def width_for(self, rows: Sequence[T]) -> int:
        """Characters that the column takes; 0 for one that folds."""
        if self.width is not None or self.is_folding:
            return self.width or 0
        return max([len(self.title), *(len(self.text(row)) for row in rows)])


def choose_columns(columns: Sequence[Column[T]], rows: Sequence[T], width: int) -> list[Column[T]]:
    """The columns that fit into `width` characters, those with the highest ranks, in their order."""
    kept: list[Column[T]] = []
    left = width + COLUMN_GAP
    for column in sorted(columns, key=lambda column: -column.rank):
        wide = column.width_for(rows) + COLUMN_GAP
        if column.rank == ALWAYS or wide <= left:
            kept.append(column)
            left -= wide
    return [column for column in columns if column in kept]
