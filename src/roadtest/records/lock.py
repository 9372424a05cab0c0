"""One folder, one process at a time: a lock file that names host and process, and outlives neither.

A study is locked by its `compare`, a run by its worker, which may outlive a `compare` that was killed, and GTSRB's
archives by whoever downloads them.
"""

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import psutil

NAME, GUARD = ".lock", ".lock-guard"


WRITE_SECONDS = 2.0
"""A lock that is empty for longer was left by a process that died while it wrote it."""


PAUSE_SECONDS = 0.1
"""Between two looks at a lock that is waited for."""


@contextmanager
def folder_lock(folder: Path, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the folder's lock; one whose process is gone is taken over.

    A ValueError says who holds it, after so many seconds of waiting for them.
    """
    path, give_up = folder / NAME, time.monotonic() + wait_seconds
    started = psutil.Process().create_time()
    mine = json.dumps({"host": platform.node(), "machine": this_machine(), "pid": os.getpid(), "started": started})
    while True:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(mine)
            break
        except FileExistsError:
            try:
                _refuse_or_remove(path)
            except ValueError:
                if time.monotonic() >= give_up:
                    raise
                time.sleep(PAUSE_SECONDS)
    try:
        yield
    finally:
        with suppress(FileNotFoundError, UnicodeDecodeError):  # it may have been deleted by hand, and be another's now
            if path.read_text(encoding="utf-8") == mine:
                path.unlink(missing_ok=True)


def refuse_if_locked(folder: Path) -> None:
    """Raise a ValueError where somebody works in the folder."""
    if (folder / NAME).exists():
        _refuse_or_remove(folder / NAME)


def this_machine() -> str:
    """8 hexadecimal digits: the host, and inside it the container, within which process numbers mean something."""
    try:
        numbering = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        numbering = ""
    return hashlib.sha256(f"{platform.node()} {numbering}".encode()).hexdigest()[:8]


def is_alive(process_id: int, started: float) -> bool:
    """Whether the process that began then still runs on this machine; where that cannot be known, it does."""
    try:
        # Process numbers come again, start times do not; the clock may have been set meanwhile.
        return bool(abs(psutil.Process(process_id).create_time() - started) < 10)
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OverflowError, ValueError):
        return True


def _refuse_or_remove(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
        holder = json.loads(text)
        host, pid, started = str(holder["host"]), int(holder["pid"]), float(holder["started"])
        is_here = (host, holder.get("machine")) == (platform.node(), this_machine())
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        _remove_unless_young(path)
        return
    if is_here and not is_alive(pid, started):
        _remove_unless_new(path, text)
        return
    raise ValueError(
        f"{path.parent} is in use by process {pid} on {host}: wait for it, or delete {path.name} there if it is gone"
    )


def _remove_unless_new(path: Path, text: str) -> None:
    """Remove a lock that was found stale, unless another process has put its own in its place meanwhile."""
    with suppress(FileNotFoundError), _alone(path.parent):
        if path.read_text(encoding="utf-8") == text:
            path.unlink()


def _remove_unless_young(path: Path) -> None:
    """Remove a lock that was cut off while it was written; its process may be about to write it."""
    with suppress(FileNotFoundError), _alone(path.parent):
        if time.time() - path.stat().st_mtime > WRITE_SECONDS:
            path.unlink(missing_ok=True)
    time.sleep(0.05)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Take a lock over one process after the other: between a look at it and its end nobody else may put theirs there.

    The system locks a file for this, which is gone afterwards, but on Windows, where nobody can delete an open one.
    """
    guard = folder / GUARD
    while True:
        if guard.is_symlink():
            raise ValueError(f"{guard} is a link: it must be a file of its own; delete it")
        with guard.open("ab") as file:
            _wait_for(file)
            if not _is_still(file, guard):  # whoever had it before has deleted it, and a third may have a new one
                continue
            try:
                yield
            finally:
                if sys.platform != "win32":
                    guard.unlink(missing_ok=True)
            return


def _is_still(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _wait_for(file: BinaryIO) -> None:
    """Hold the file for this process until it is closed."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        with suppress(OSError):  # some network disks cannot
            fcntl.flock(file, fcntl.LOCK_EX)
