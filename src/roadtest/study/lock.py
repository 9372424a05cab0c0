"""One study folder, one `compare` at a time: a lock file that names host and process, and outlives neither."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def study_lock(study_dir: Path) -> Iterator[None]:
    """Hold the study's lock; a ValueError says who holds it; one whose process is gone is taken over."""
    path = study_dir / ".lock"
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


def _refuse_or_remove(path: Path) -> None:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        host, pid, started = str(holder["host"]), int(holder["pid"]), float(holder["started"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        path.unlink(missing_ok=True)  # cut off while it was written: its process is gone or has just begun to be
        return
    if host == platform.node() and not _is_alive(pid, started):
        path.unlink(missing_ok=True)
        return
    raise ValueError(
        f"{path.parent} is in use by process {pid} on {host}: wait for it, or delete {path.name} there if it is gone"
    )


def _is_alive(pid: int, started: float) -> bool:
    try:
        return bool(abs(psutil.Process(pid).create_time() - started) < 2.0)
    except psutil.Error:
        return False
