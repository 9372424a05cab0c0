"""A csv file from anybody, line by line and never whole: no pipe is waited for, and no line is without an end."""

import stat
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 1 << 30
"""A million images of a hundred classes with six digits each have 0.9 GB."""
MAX_LINE_BYTES = 4 << 20


def read_lines(path: Path, *, advice: str) -> Iterator[str]:
    """Give a csv file's lines with their ends; a ValueError in one line where it is none.

    `advice` says how a file that is too large becomes smaller.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: give a csv file with the columns path and label")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is no file: give a csv file with the columns path and label")
    if status.st_size > MAX_BYTES:
        raise ValueError(f"{path} has {status.st_size:,} bytes: at most {MAX_BYTES:,} are read; {advice}")
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(f"{path}, line {number} has more than {MAX_LINE_BYTES:,} bytes: it must be a csv file")
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise ValueError(f"{path}, line {number} is no text in UTF-8: save it as a csv file in UTF-8") from None
