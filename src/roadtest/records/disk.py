"""The way to disk: a reader sees all of a file or folder or nothing, and in one folder one process works at a time.

A file or folder is built under a temporary name, then renamed, so that a kill or a power cut leaves no half. A folder's
temporary name says whose it is (machine, process, start time, a random word), so that the leftovers of a process that
died differ from the work of one that lives; of two that build the same folder the first wins.

`folder_lock` holds a study for its `compare`, a run for its worker, which may outlive a `compare` that was killed, and
GTSRB's archives for whoever downloads them. The system frees the lock of a process that died. `.lock-holder` beside the
lock names the process for the message, and decides nothing.
"""

import contextlib
import errno
import hashlib
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

SWEEP_SECONDS = 24 * 3600
"""Leftovers of other machines, whose processes cannot be seen from here, are kept for this long."""
_PREFIX = ".building"


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


def writable_folder(folder: Path) -> Path:
    """Make a folder inside the cache where there is none; a ValueError where it may not be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"the cache cannot be kept in {folder} ({error.strerror}): it must be a folder that may be written; "
            "set ROADTEST_CACHE to one"
        ) from None
    return folder


@contextmanager
def temporary_directory(parent: Path) -> Iterator[Path]:
    """A new folder inside `parent` that nobody else uses; whatever is left of it in the end is removed."""
    started = int(psutil.Process().create_time())
    folder = parent / "-".join((_PREFIX, _this_machine(), str(os.getpid()), str(started), secrets.token_hex(4)))
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_directory(folder: Path, num_bytes: int) -> Iterator[Path]:
    """A temporary directory that becomes `folder` where the block ends well, unless another process was faster.

    A ValueError where the disk cannot take so many bytes. What dead processes left beside it is removed first.
    """
    remove_abandoned(folder.parent)
    if shutil.disk_usage(folder.parent).free < num_bytes:
        raise _no_space(folder.parent, num_bytes)
    try:
        with temporary_directory(folder.parent) as temporary:
            yield temporary
            move_into_place(temporary, folder)
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise _no_space(folder.parent, num_bytes) from None


def move_into_place(temporary: Path, folder: Path) -> bool:
    """Give a finished directory its name; False where another process was first, and its directory stays."""
    for path in temporary.iterdir():
        with path.open("r+b") as file:
            os.fsync(file.fileno())  # a rename that outlives a power cut must not name an empty file
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        return False
    return True


def remove_abandoned(parent: Path) -> None:
    """Remove the temporary directories of processes that died."""
    for folder in parent.glob(f"{_PREFIX}-*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    _, machine, *rest = folder.name.split("-")
    if machine == _this_machine() and len(rest) == 3 and rest[0].isdecimal() and rest[1].isdecimal():
        return not _is_alive(int(rest[0]), int(rest[1]))
    with contextlib.suppress(OSError):  # it may vanish at this moment
        newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        return time.time() - newest > SWEEP_SECONDS
    return False


def is_disk_full(error: OSError) -> bool:
    """The disk, or the user's share of it, has no room left."""
    return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def _no_space(folder: Path, num_bytes: int) -> ValueError:
    free = shutil.disk_usage(folder).free
    return ValueError(
        f"the decoded images need {num_bytes} bytes and the disk of {folder} has {free} free: "
        "make room, set ROADTEST_CACHE to another disk, or take a smaller --image-size"
    )


def _this_machine() -> str:
    """8 hexadecimal digits: the host, and inside it the container, within which process numbers mean something."""
    try:
        numbering = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        numbering = ""
    return hashlib.sha256(f"{platform.node()} {numbering}".encode()).hexdigest()[:8]


def _is_alive(process_id: int, started: float) -> bool:
    """Whether the process that began then still runs on this machine; where that cannot be known, it does."""
    try:
        # Process numbers come again, start times do not; the clock may have been set meanwhile.
        return bool(abs(psutil.Process(process_id).create_time() - started) < 10)
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OverflowError, ValueError):
        return True


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
