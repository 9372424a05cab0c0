"""Read members of zip archives in place: nothing is ever extracted, so no member's name can reach the disk.

What a zip says about itself is not believed: members, names, sizes and compression are bounded before a byte is read.
Open archives are kept per process (parsing GTSRB's directory of 39,252 members takes 0.3 s, reading one 57 us), never
shared over a fork, where two processes would move one file position.
"""

import functools
import io
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from roadtest.data.dataset import Item

MAX_MEMBERS = 500_000
"""Ten times what GTSRB has; as many names take about 150 MB."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack without a bound on memory
BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, UnicodeError)
"""What reading a damaged or hostile zip raises."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file in a folder or in a zip."""

    name: str
    """How it reads below the place that was searched, through zips: `a.zip/Train/0/x.png`."""
    container: str
    """The zip it lies in, or an empty text."""
    location: str
    """The file's path, or the member's name."""
    size_bytes: int
    modified_ns: int
    """Of the file, or of the zip."""

    @property
    def where(self) -> str:
        """The file as errors name it."""
        return describe(self.container, self.location)


def describe(container: str, location: str) -> str:
    """Name a file or a member in one line, whatever its name holds."""
    text = f"{container}: {location}" if container else location
    return text if text.isprintable() else ascii(text)


def list_members(path: Path, name: str) -> list[Entry]:
    """Every file in a zip under the prefix `name`, strange names left out; a ValueError says what is wrong with it."""
    stat = path.stat()
    try:
        infos = open_archive(str(path), stat.st_mtime_ns, os.getpid()).infolist()
    except BROKEN_ZIP as error:
        raise ValueError(
            f"{describe('', str(path))} is no whole zip archive ({error}): it must be complete; "
            "delete it and fetch it again"
        ) from None
    if len(infos) > MAX_MEMBERS:
        raise ValueError(f"{path} has {len(infos):,} members: at most {MAX_MEMBERS:,} are read; give another archive")
    return [
        Entry(
            name=f"{name}/{info.filename}",
            container=str(path),
            location=info.filename,
            size_bytes=info.file_size,
            modified_ns=stat.st_mtime_ns,
        )
        for info in infos
        if not info.is_dir() and _is_plain(info.filename)
    ]


@functools.lru_cache(maxsize=8)
def open_archive(path: str, modified_ns: int, process_id: int) -> zipfile.ZipFile:
    """Open a zip once per process and state of the file; the last two arguments only tell them apart."""
    return zipfile.ZipFile(path)


def read_member(container: str, location: str, *, modified_ns: int, max_bytes: int) -> bytes:
    """Read one member, checked against its CRC; a ValueError names it where it is too large, missing or broken."""
    where = describe(container, location)
    try:
        archive = open_archive(container, modified_ns, os.getpid())
        info = archive.getinfo(location)
        if info.file_size > max_bytes or info.compress_type not in _METHODS:
            raise ValueError(
                f"{where} is {info.file_size:,} bytes, method {info.compress_type}: "
                f"at most {max_bytes:,} bytes, stored or deflated, are read; give another archive"
            )
        with archive.open(info) as member:
            content = member.read(info.file_size + 1)  # with a number, so that a bomb stops at the size it declared
    except (KeyError, *BROKEN_ZIP) as error:
        raise ValueError(f"{where} is broken ({_reason(error)}): it must be whole; fetch the archive again") from None
    if len(content) != info.file_size:
        raise ValueError(f"{where} is cut off: it must be {info.file_size:,} bytes long; fetch the archive again")
    return content


def file_of(item: Item, *, max_bytes: int) -> io.BytesIO | str:
    """What opens an image where it lies: its path, or a member's bytes."""
    if not item.container:
        return item.location
    return io.BytesIO(read_member(item.container, item.location, modified_ns=item.modified_ns, max_bytes=max_bytes))


def check_members(path: Path) -> None:
    """Read every member against its CRC; a ValueError names the first that is broken."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except BROKEN_ZIP as error:
        raise ValueError(f"{path} is no whole zip archive ({_reason(error)})") from None
    if broken is not None:
        raise ValueError(f"{describe(str(path), broken)} is broken")


def _is_plain(name: str) -> bool:
    return name.isprintable() and not name.startswith("/") and "\\" not in name and ".." not in name.split("/")


def _reason(error: BaseException) -> str:
    return str(error).replace("\n", " ")[:200] or type(error).__name__
