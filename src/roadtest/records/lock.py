"""One folder, one process at a time.

A study is locked by its `compare`, a run by its worker, which may outlive a `compare` that was killed, and GTSRB's
archives by whoever downloads them. The system frees the lock of a process that died. `.lock-holder` beside the lock
names the process for the message, and decides nothing.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from roadtest.records.atomic import refuse_link

LOCK, HOLDER = ".lock", ".lock-holder"
PAUSE_SECONDS = 0.1
"""Between two attempts at a lock that is waited for."""


@contextmanager
def folder_lock(folder: Path, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the folder's lock; after `wait_seconds` of waiting a ValueError says who holds it."""
    from filelock import FileLock, SoftFileLock, Timeout

    path, holder = refuse_link(folder / LOCK), refuse_link(folder / HOLDER)
    lock: FileLock | SoftFileLock = FileLock(path, poll_interval=PAUSE_SECONDS)
    try:
        try:
            lock.acquire(timeout=wait_seconds)
        except NotImplementedError:  # a network disk that cannot lock
            lock = SoftFileLock(path, poll_interval=PAUSE_SECONDS)
            lock.acquire(timeout=wait_seconds)
    except Timeout:
        raise ValueError(f"{folder} is in use by {_describe(holder)}: wait for it, or end it") from None
    try:
        holder.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def refuse_if_locked(folder: Path) -> None:
    """Raise a ValueError where somebody works in the folder."""
    with folder_lock(folder):
        pass


def _describe(holder: Path) -> str:
    with suppress(OSError, UnicodeDecodeError), holder.open(encoding="utf-8") as file:
        text = file.read(200)
        if text and text.isprintable():
            return text
    return "another process"
