"""One folder, one process at a time: a lock file that names host and process, and outlives neither.

A study is locked by its `compare`, a run by its worker, which may outlive a `compare` that was killed, and GTSRB's
archives by whoever downloads them.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

NAME = ".lock"
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
    mine = json.dumps({"host": platform.node(), "pid": os.getpid(), "started": psutil.Process().create_time()})
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
        path.unlink(missing_ok=True)


def refuse_if_locked(folder: Path) -> None:
    """Raise a ValueError where somebody works in the folder."""
    if (folder / NAME).exists():
        _refuse_or_remove(folder / NAME)


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
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        _remove_unless_young(path)
        return
    if host == platform.node() and not is_alive(pid, started):
        _remove_unless_new(path, text)
        return
    raise ValueError(
        f"{path.parent} is in use by process {pid} on {host}: wait for it, or delete {path.name} there if it is gone"
    )


def _remove_unless_new(path: Path, text: str) -> None:
    """Remove a lock that was found stale, unless another process has put its own in its place meanwhile."""
    with suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8") == text:
            path.unlink()


def _remove_unless_young(path: Path) -> None:
    """Remove a lock that was cut off while it was written; its process may be about to write it."""
    try:
        if time.time() - path.stat().st_mtime > WRITE_SECONDS:
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    time.sleep(0.05)
