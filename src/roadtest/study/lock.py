"""One study folder, one `compare` at a time: a lock file that names host and process, and outlives neither."""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

NAME = ".lock"
WRITE_SECONDS = 2.0
"""A lock that is empty for longer was left by a process that died while it wrote it."""


@contextmanager
def study_lock(study_dir: Path) -> Iterator[None]:
    """Hold the study's lock; a ValueError says who holds it; one whose process is gone is taken over."""
    path = study_dir / NAME
    mine = json.dumps({"host": platform.node(), "pid": os.getpid(), "started": psutil.Process().create_time()})
    while True:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(mine)
            break
        except FileExistsError:
            _refuse_or_remove(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def refuse_if_locked(study_dir: Path) -> None:
    """Raise a ValueError where somebody works in the folder."""
    if (study_dir / NAME).exists():
        _refuse_or_remove(study_dir / NAME)


def _refuse_or_remove(path: Path) -> None:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        host, pid, started = str(holder["host"]), int(holder["pid"]), float(holder["started"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        _remove_unless_young(path)
        return
    if host == platform.node() and not _is_alive(pid, started):
        path.unlink(missing_ok=True)
        return
    raise ValueError(
        f"{path.parent} is in use by process {pid} on {host}: wait for it, or delete {path.name} there if it is gone"
    )


def _remove_unless_young(path: Path) -> None:
    """Remove a lock that was cut off while it was written; its process may be about to write it."""
    try:
        if time.time() - path.stat().st_mtime > WRITE_SECONDS:
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    time.sleep(0.05)


def _is_alive(pid: int, started: float) -> bool:
    try:
        # Process numbers come again, start times do not; the clock may have been set meanwhile.
        return bool(abs(psutil.Process(pid).create_time() - started) < 10.0)
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OverflowError, ValueError):
        return True
