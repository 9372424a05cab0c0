"""Read the labels of GTSRB's test images: the publisher's csv with semicolons, or Kaggle's with commas.

The file is judged line by line and believed in nothing: each error names the file, the line, what is allowed and the
way out. Only the five digits of an image's name are kept, so that no path in it is ever followed.
"""

import csv
import io
import re
from collections.abc import Sequence

MAX_CSV_BYTES = 8 * 2**20
"""The official file has 377,382 bytes."""
NUM_CLASSES = 43
_IMAGE = re.compile(r"(?:Test/)?([0-9]{5})\.(?:ppm|png)", re.IGNORECASE)
_CLASS = re.compile(r"[0-9]{1,2}")
_REMEDY = "take it from GTSRB_Final_Test_GT.zip again"


def parse_test_labels(content: bytes, where: str) -> dict[str, int]:
    """Map each test image's five digits to its class; `where` names the file in errors."""
    if len(content) > MAX_CSV_BYTES:
        raise ValueError(f"{where} has {len(content):,} bytes: at most {MAX_CSV_BYTES:,} are read; {_REMEDY}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{where} is no text: it must be a csv in UTF-8; {_REMEDY}") from None
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        numbered_rows = [(rows.line_num, row) for row in rows if row]
    except csv.Error as error:
        raise ValueError(
            f"{where} line {rows.line_num}: no csv ({error}): it must be plain columns; {_REMEDY}"
        ) from None
    return _labels_of(numbered_rows, where)


def _labels_of(numbered_rows: Sequence[tuple[int, Sequence[str]]], where: str) -> dict[str, int]:
    header = [column.strip() for column in numbered_rows[0][1]] if numbered_rows else []
    image_column, class_column = _columns(header, where)
    labels: dict[str, int] = {}
    for line_number, row in numbered_rows[1:]:
        line = f"{where} line {line_number}"
        if len(row) != len(header):
            raise ValueError(f"{line}: {len(row)} columns: it must have the header's {len(header)}; {_REMEDY}")
        digits, label = _digits(row[image_column], line), _label(row[class_column], line)
        if digits in labels:
            raise ValueError(f"{line}: image {digits} comes twice: each image has one line; {_REMEDY}")
        labels[digits] = label
    if not labels:
        raise ValueError(f"{where} has no rows: it must name a class for each test image; {_REMEDY}")
    return labels


def _columns(header: list[str], where: str) -> tuple[int, int]:
    image_column = next((name for name in ("Filename", "Path") if name in header), None)
    if image_column is None or "ClassId" not in header:
        raise ValueError(
            f"{where} line 1: columns {','.join(header)[:100]!r}: "
            f"it must have ClassId and Filename (or Kaggle's Path); {_REMEDY}"
        )
    return header.index(image_column), header.index("ClassId")


def _digits(text: str, line: str) -> str:
    match = _IMAGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{line}: image {text[:60]!r}: it must read like 00000.ppm or Test/00000.png; {_REMEDY}")
    return match[1]


def _label(text: str, line: str) -> int:
    if _CLASS.fullmatch(text.strip()) is None or int(text) >= NUM_CLASSES:
        raise ValueError(f"{line}: class {text[:60]!r}: it must be a number from 0 to {NUM_CLASSES - 1}; {_REMEDY}")
    return int(text)
