"""Csv and JSON: written whole or row by row, and read back with every column and field checked.

Csv rows are appended while things happen. A row that a kill cut off is no row: it is dropped when the file is read, and
removed before the next one is appended. JSON holds dataclasses; what is read has the types that its fields claim.

A file may come from anybody: whatever is missing, of another type or not a number is a ValueError in one line that
names the field. Unknown fields are left out, so that files of a later version with the same schema stay readable.
"""

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from roadtest.records.disk import refuse_link, write_atomically
from roadtest.records.schema import SCHEMA_VERSION

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


T = TypeVar("T")
MAX_JSON_BYTES = 20_000_000
"""A record has about 5 kB; one with 20,000 classes, half a megabyte."""


class DamagedFileError(ValueError):
    """A file that is not what it should be; `reason` says in a few words why."""

    def __init__(self, path: Path, reason: object, *, advice: str = "restore it or repeat the run") -> None:
        super().__init__(f"{path} is damaged ({reason}): {advice}")
        self.reason = str(reason)


def to_json(record: Any) -> bytes:
    """A dataclass as UTF-8 JSON, one field a line; a ValueError where it holds what is no number."""
    try:
        return (json.dumps(asdict(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise ValueError(f"a {type(record).__name__} cannot be kept ({error}): the run diverged; lower --lr") from None


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that this version understands."""
    try:
        if path.exists() and not path.is_file():  # a device or a pipe has no bytes, and no end
            raise ValueError("it is no plain file")
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes, more than {MAX_JSON_BYTES:,}")
        plain = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        if not isinstance(plain, dict):
            raise ValueError("it must hold one object")
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path.parent} holds no {path.name}: give the folder that `roadtest compare` wrote") from None
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(path, error) from None
    version = plain.get("schema_version", 0)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise ValueError(f"{path} has schema {version!r}: this roadtest reads up to {SCHEMA_VERSION}; upgrade roadtest")
    return plain


def build(kind: type[T], plain: object, where: Path) -> T:
    """Make a dataclass of plain values; a DamagedFileError names the file and the field that is wrong."""
    try:
        return _build(kind, plain)
    except ValueError as error:
        raise DamagedFileError(where, error) from None


def _build(kind: type[T], plain: object) -> T:
    if not isinstance(plain, Mapping):
        raise ValueError(f"a {kind.__name__} must be an object, not {_short(plain)}")
    hints, values = get_type_hints(kind), {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in plain:
            values[field.name] = _value(hints[field.name], plain[field.name], field.name)
        elif field.default is MISSING:
            raise ValueError(f"a {kind.__name__} lacks {field.name}")
    return kind(**values)


def _value(hint: Any, value: object, name: str) -> Any:
    if get_origin(hint) is UnionType:  # always `something | None` here
        return None if value is None else _value(get_args(hint)[0], value, name)
    if type(value) is int and not -(2**63) <= value < 2**63:  # neither a float nor an array could hold it
        raise ValueError(f"{name} is {_short(value)}")
    if hint is Any:
        return value
    if is_dataclass(hint):
        return _build(hint, value)  # type: ignore[arg-type]
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_value(get_args(hint)[0], one, name) for one in value)
    if get_origin(hint) is dict and isinstance(value, dict):
        return {key: _value(get_args(hint)[1], one, f"{name}[{key[:20]!r}]") for key, one in value.items()}
    if hint is float and type(value) in (int, float) and math.isfinite(value):  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    if isinstance(hint, type) and type(value) is hint and hint is not float:
        return value
    raise ValueError(f"{name} is {_short(value)}")


def _short(value: object) -> str:
    return repr(value)[:60]


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")
