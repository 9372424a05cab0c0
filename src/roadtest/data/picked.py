"""The image files that a person's words mean: files, folders, patterns, or a list of paths on standard input.

Words are expanded one after the other and nothing is kept: a folder of a million images takes no memory. A folder gives
every picture below it, sorted; links to folders are not followed, so that no loop and no other disk is entered. A file
that is missing or cannot be read is an answer with a reason, never the end: whoever asked for a thousand images wants
the other 999.
"""

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from roadtest.data.decode import try_image
from roadtest.data.imageset import Item
from roadtest.data.pictures import is_hidden, is_picture, read_image

STDIN = "-"
MAX_LINE_BYTES = 32_768
"""Of a path on standard input; systems take 4,096."""


@dataclass(kw_only=True)
class Pick:
    """The paths that words mean, in their order; iterate over it once."""

    words: tuple[str, ...]
    stdin: BinaryIO | None = None
    """Where the word `-` reads paths, one a line; None takes `-` for a file's name."""
    num_left_out: int = field(default=0, init=False)
    """Files in folders that are no pictures, and links to folders, as far as it got."""

    def __iter__(self) -> Iterator[str]:
        for word in self.words:
            if word == STDIN and self.stdin is not None:
                for line in _lines(self.stdin):
                    yield from self._expanded(line)
            elif _is_pattern(word):
                for path in sorted(glob.iglob(word, recursive=True)):  # noqa: PTH207 - the paths stay as typed
                    yield from self._expanded(path)
            else:
                yield from self._expanded(word)

    def _expanded(self, path: str) -> Iterator[str]:
        if not os.path.isdir(path):  # noqa: PTH112 - a path from outside may hold a zero byte
            yield path
            return
        closed: list[str] = []
        for folder, names, files in os.walk(path, onerror=lambda error: closed.append(str(error.filename))):
            yield from closed
            closed.clear()
            self.num_left_out += sum(os.path.islink(os.path.join(folder, name)) for name in names)  # noqa: PTH114, PTH118
            names[:] = sorted(name for name in names if not is_hidden(name))
            for name in sorted(files):
                if is_picture(name):
                    yield os.path.join(folder, name)  # noqa: PTH118 - as typed, `./` included
                elif not is_hidden(name):
                    self.num_left_out += 1
        yield from closed


def pick_images(words: Iterable[str | Path], *, stdin: BinaryIO | None = None) -> Pick:
    """Take words as paths, folders or patterns; a ValueError where a folder or pattern gives no image at all."""
    pick = Pick(words=tuple(os.path.expanduser(str(word)) for word in words), stdin=stdin)  # noqa: PTH111 - as typed
    if not pick.words:
        raise ValueError("no image was named: give files, folders or patterns, or - for a list on standard input")
    for word in pick.words:
        is_list = word == STDIN and stdin is not None
        if not is_list and (_is_pattern(word) or Path(word).is_dir()) and next(iter(Pick(words=(word,))), None) is None:
            kind = "matches no file" if _is_pattern(word) else "holds no image"
            raise ValueError(f"{word} {kind}: give files, folders or patterns of images, or - for standard input")
    return pick


def decode_picked(path: str, image_size: int) -> npt.NDArray[np.uint8] | str:
    """Read one file as training's images were read, image_HWC; where that fails, the reason in one line."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    if stat.S_ISDIR(status.st_mode):
        return "the folder cannot be read"
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    item = Item(path=path, container="", location=path, label=0, group="", frame=0, split="")
    result = try_image(read_image, item, image_size)
    return result if isinstance(result, str) else result[0]


def _lines(stdin: BinaryIO) -> Iterator[str]:
    """Paths, one a line, in the encoding of file names; empty lines are none."""
    number = 0
    while line := stdin.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"line {number} of standard input has more than {MAX_LINE_BYTES:,} bytes: one path a line")
        if text := os.fsdecode(line.rstrip(b"\r\n")):
            yield text


def _is_pattern(word: str) -> bool:
    return glob.has_magic(word) and not os.path.lexists(word)
