"""`study.toml`: the options of one study, in a file that repeats it.

    roadtest compare --config runs/first/study.toml

The keys are the arguments of `roadtest.compare`; the values are texts, whole numbers, numbers, yes or no, and lists of
these. The standard library reads TOML and does not write it, so the few lines that write it stand here: one key a
line, no tables. What is None is left out: it means "the default" and has no word in TOML.
"""

import json
import math
import re
import tomllib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from roadtest.record import write_atomically

MAX_BYTES = 1_000_000
_HEAD = "# Repeats this study: roadtest compare --config {name}\n"


def write_config(path: Path, options: Mapping[str, Any]) -> None:
    """Write the options that are not None, in their order, atomically."""
    write_atomically(path, (_HEAD.format(name=path.name) + render_config(options)).encode())


def read_config(path: Path) -> dict[str, Any]:
    """Read `write_config` back (lists stay lists, paths are texts); a ValueError names what is wrong with the file."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_BYTES:
            raise ValueError(
                f"{path} has {size_bytes:,} bytes: a study.toml has fewer than {MAX_BYTES:,}; give another"
            )
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"there is no {path}: give the study.toml that `roadtest compare` wrote") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder: give the study.toml inside it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML ({error}): mend that line, or give the file a study wrote") from None


def render_config(options: Mapping[str, Any]) -> str:
    """The options as TOML, one line each; a TypeError where a value has no form there."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in options.items() if value is not None)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str | PathLike):
        return _text(str(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    raise TypeError(f"{value!r} has no form in study.toml: use texts, numbers, booleans or lists of these")


def _number(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return repr(value)  # the shortest text that reads back to the same bits; 1e+22 is TOML too


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for surrogate pairs (so only ASCII control characters are escaped) and DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
