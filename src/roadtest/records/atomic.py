"""The way to disk on which a reader sees all of a file or nothing, also after a kill, a full disk or a power cut."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the place of `path` where the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)  # a link that waits there would lead what is written elsewhere
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())  # a rename that outlives a power cut must not name an empty file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file at once."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def refuse_link(path: Path) -> Path:
    """The path as it is; a ValueError where it is a link, which may lead what is written out of a study."""
    if path.is_symlink():
        raise ValueError(f"{path} is a link: what is written lies inside its study; remove the link")
    return path


def remove_temporary_files(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote; nobody else may be writing there."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)
