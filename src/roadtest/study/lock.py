"""One study folder, one `compare` at a time: a lock file that names host and process, and outlives neither."""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from roadtest.data.publish import is_alive

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
