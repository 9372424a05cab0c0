"""Csv files: rows are appended while things happen, or a file is written whole; rows are read back as text.

A row that a kill cut off is no row: it is dropped when the file is read, and removed before the next one is appended.
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from roadtest.records.atomic import refuse_link, write_atomically

MAX_CSV_BYTES = 1 << 30
"""A split.csv of a million images has about 100 MB."""


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Append one row to a csv file, with a header where the file is new; a ValueError where it is a link.

    One writer at a time: where several processes may append, the caller holds a lock.
    """
    data = _render([row], list(row), has_header=not _end_whole(refuse_link(path)))
    with path.open("ab") as file:
        file.write(data)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Write a whole csv file atomically."""
    write_atomically(path, _render(rows, list(columns), has_header=True))


def read_rows(path: Path, columns: Iterable[str] | Mapping[str, type] = ()) -> list[dict[str, str]]:
    """The rows of a csv file as text; an absent file has none; a last row that was cut off is dropped.

    A ValueError in one line where the file is damaged or lacks one of the columns, or where a value in a column that
    has a type, such as int, cannot become one.
    """
    if not path.exists():
        return []
    if not path.is_file():  # a device or a pipe has no bytes, and no end
        raise ValueError(f"{path} is no plain file: restore it or repeat the study")
    if path.stat().st_size > MAX_CSV_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes: at most {MAX_CSV_BYTES:,} are read; restore it")
    try:
        text = path.read_bytes().decode()
        reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
        rows: list[dict[str, str]] = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged ({error}): restore it or repeat the study") from None
    missing = [name for name in columns if name not in (reader.fieldnames or [])]
    if missing and reader.fieldnames:
        raise ValueError(f"{path} has no column {missing[0]!r}: restore it or repeat the study")
    if rows and None in rows[-1].values():
        rows.pop()
    if any(None in row or None in row.values() for row in rows):
        raise ValueError(f"{path} has rows of different lengths: restore it or repeat the study")
    for name, kind in columns.items() if isinstance(columns, Mapping) else ():
        try:
            for row in rows:
                kind(row[name])
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({name}: {error}): restore it or repeat the study") from None
    return rows


def _render(rows: Iterable[Mapping[str, Any]], columns: list[str], *, has_header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    quoter = csv.DictWriter(text, columns, lineterminator="\n", quoting=csv.QUOTE_ALL)
    if has_header:
        writer.writeheader()
    for row in rows:  # a carriage return would end a row where it is read, and csv does not quote it by itself
        (quoter if any("\r" in str(value) for value in row.values()) else writer).writerow(row)
    return text.getvalue().encode()


def _end_whole(path: Path) -> bool:
    """Remove a last row that was cut off; False where nothing is left or nothing was there."""
    if not path.exists():
        return False
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 4096)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            if last >= 0:
                if start + last + 1 < file.seek(0, os.SEEK_END):
                    file.truncate(start + last + 1)
                return True
            end = start
        file.truncate(0)
    return False
