"""Fetch GTSRB's three archives from their publisher, once, and go on where a connection broke off.

Bytes go to `<name>.part`; a later call asks only for the rest (HTTP Range). The file gets its name when it was
verified: by the md5 the archives are known by, or, for the training images, for which none is published, by the CRC of
every member. The standard library fetches. It deliberately has no mirror list, no threads and no unpacking.
"""

import contextlib
import functools
import hashlib
import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from roadtest.data.sources.archive import check_members
from roadtest.records.disk import folder_lock, is_disk_full, writable_folder

PUBLISHER_URL = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370"
TIMEOUT_SECONDS = 30.0
PAUSE_SECONDS = 2.0
MAX_TRIES = 4
"""Connections in a row that bring no byte, after which we stop; one that brings some starts the count again."""
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One of the publisher's files."""

    name: str
    md5: str | None
    """None where nobody published one."""
    usual_bytes: int
    """For progress and free space only, before the server says; twice as much is refused."""


ARCHIVES = (
    Archive(name="GTSRB_Final_Training_Images.zip", md5=None, usual_bytes=276_294_756),
    Archive(name="GTSRB_Final_Test_Images.zip", md5="c7e4e6327067d32654124b0fe9e82185", usual_bytes=88_978_620),
    Archive(name="GTSRB_Final_Test_GT.zip", md5="fe31e9c9270bbcd7b84b7f21a9d9d9e5", usual_bytes=99_620),
)
ARCHIVE_NAMES = tuple(archive.name for archive in ARCHIVES)
HOW_TO_GET_GTSRB = (
    f"fetch {', '.join(ARCHIVE_NAMES)} from {PUBLISHER_URL}/published-archive.html into one folder and name it with "
    "`--data-dir DIR` or ROADTEST_GTSRB; `roadtest compare signs` needs neither data nor network"
)


def download_gtsrb(
    folder: Path, *, url: str | None = None, on_progress: Callable[[int, int], None] | None = None
) -> Path:
    """Bring the three archives into `folder`, those that are missing, and return it.

    `on_progress` hears the bytes that are here and all bytes. Without a network a FileNotFoundError says the way out,
    while another process downloads into the folder a ValueError.
    """
    writable_folder(folder)
    with folder_lock(folder):
        _download_missing(folder, url or PUBLISHER_URL, on_progress)
    return folder


def _download_missing(folder: Path, url: str, on_progress: Callable[[int, int], None] | None) -> None:
    missing = [archive for archive in ARCHIVES if not (folder / archive.name).exists()]
    if shutil.disk_usage(folder).free < _needed_bytes(folder):
        raise _no_room(folder)
    total_bytes = sum(archive.usual_bytes for archive in ARCHIVES)
    done_bytes = total_bytes - sum(archive.usual_bytes for archive in missing)
    told_bytes = -1

    def report(start_bytes: int, num_bytes: int) -> None:
        nonlocal told_bytes
        here_bytes = min(start_bytes + num_bytes, total_bytes)
        if on_progress is not None and here_bytes != told_bytes:  # the end is a line in a file, and comes once
            told_bytes = here_bytes
            on_progress(here_bytes, total_bytes)

    for archive in missing:
        try:
            download_file(
                f"{url}/{archive.name}",
                folder / archive.name,
                md5=archive.md5,
                max_bytes=2 * archive.usual_bytes,
                on_bytes=functools.partial(report, done_bytes),
            )
        except OSError as error:
            if is_disk_full(error):
                raise _no_room(folder) from None
            here = _size(folder / f"{archive.name}.part")
            kept = f" after {here / 1e6:,.1f} MB, which are kept: the same command goes on there" if here else ""
            raise FileNotFoundError(
                f"{archive.name} could not be downloaded ({_reason(error)}){kept}: {HOW_TO_GET_GTSRB}"
            ) from None
        done_bytes += archive.usual_bytes
        report(done_bytes, 0)


def download_file(
    url: str,
    target: Path,
    *,
    md5: str | None,
    max_bytes: int,
    on_bytes: Callable[[int], None] | None = None,
    pause_seconds: float | None = None,
) -> None:
    """Fetch one file, resuming `<target>.part`; an OSError is the network's or the disk's, a ValueError a wrong file's.

    Without an md5 the file has to be a zip whose every member is whole. `on_bytes` hears the bytes that are here.
    """
    part = target.with_name(f"{target.name}.part")
    num_tries = 0
    has_ever_moved = False
    while True:
        start_bytes = _size(part)
        try:
            _fetch_rest(url, part, max_bytes, on_bytes or (lambda num_bytes: None))
            break
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and is_disk_full(error):
                raise
            has_moved = _size(part) > start_bytes
            has_ever_moved = has_ever_moved or has_moved
            num_tries = 0 if has_moved else num_tries + 1
            # A network that never answered is not asked again: offline, the user wants the advice now.
            if not has_ever_moved or num_tries >= MAX_TRIES or _is_refusal(error):
                raise error if isinstance(error, OSError) else ConnectionError(_reason(error)) from None
            time.sleep((PAUSE_SECONDS if pause_seconds is None else pause_seconds) * (num_tries + 1))
    _verify(part, target.name, md5)
    part.replace(target)


def _fetch_rest(url: str, part: Path, max_bytes: int, on_bytes: Callable[[int], None]) -> None:
    """Append what is missing to the part file; a ConnectionError where the end was not reached."""
    have_bytes = _size(part)
    headers = {"User-Agent": "roadtest", "Accept-Encoding": "identity"}
    if have_bytes:
        headers["Range"] = f"bytes={have_bytes}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            if error.code != 416 or not have_bytes:  # 416: nothing lies behind the bytes we have
                raise
            if error.headers.get("Content-Range") == f"bytes */{have_bytes}":
                return
        _fetch_anew(url, part, max_bytes, on_bytes)
        return
    with response:
        _check_scheme(url, response.url)
        span = _span(response, have_bytes)
        if span is None:
            _fetch_anew(url, part, max_bytes, on_bytes)
            return
        start_bytes, total_bytes = span
        if (total_bytes or 0) > max_bytes:
            raise ValueError(f"{url} is {total_bytes:,} bytes: at most {max_bytes:,} are expected; fetch it by hand")
        with part.open("r+b" if start_bytes else "wb") as file:
            file.seek(start_bytes)
            _copy(response, file, start_bytes, max_bytes, on_bytes)
    if total_bytes is not None and _size(part) < total_bytes:
        raise ConnectionError(f"the connection ended after {_size(part):,} of {total_bytes:,} bytes")


def _fetch_anew(url: str, part: Path, max_bytes: int, on_bytes: Callable[[int], None]) -> None:
    """Start again from the first byte, where what we have is no beginning of what the server has."""
    part.unlink()
    _fetch_rest(url, part, max_bytes, on_bytes)


def _span(response: http.client.HTTPResponse, have_bytes: int) -> tuple[int, int | None] | None:
    """Where the answer's first byte belongs and how long the whole file is; None where it goes on elsewhere."""
    if response.status != 206:  # the server knows no ranges: it sends everything again
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    content_range = re.fullmatch(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", response.headers.get("Content-Range", ""))
    if content_range is not None and int(content_range[1]) == have_bytes:
        return have_bytes, None if content_range[2] == "*" else int(content_range[2])
    if not have_bytes:
        raise ValueError(f"{response.url} sent a part that nobody asked for: it must send the file; try later")
    return None


def _copy(
    response: http.client.HTTPResponse,
    file: IO[bytes],
    start_bytes: int,
    max_bytes: int,
    on_bytes: Callable[[int], None],
) -> None:
    num_bytes = start_bytes
    while chunk := response.read(_CHUNK_BYTES):
        num_bytes += len(chunk)
        if num_bytes > max_bytes:
            raise ValueError(f"{response.url} does not end: at most {max_bytes:,} bytes are expected; fetch it by hand")
        file.write(chunk)
        on_bytes(num_bytes)


def _check_scheme(asked: str, answered: str) -> None:
    if asked.startswith("https:") and not answered.startswith("https:"):
        raise ValueError(f"{asked} led to {answered[:200]!r}: it must stay on https; try another network")


def _verify(part: Path, name: str, md5: str | None) -> None:
    """Check a complete part file; a wrong one is removed, for going on with it would be wrong again."""
    try:
        if md5 is None:
            check_members(part)
        else:
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            if digest != md5:
                raise ValueError(f"its md5 is {digest}, it must be {md5}")
    except ValueError as error:
        part.unlink()
        raise ValueError(
            f"{name} came damaged ({error}): it was deleted; run the command again, or {HOW_TO_GET_GTSRB}"
        ) from None


def _needed_bytes(folder: Path) -> int:
    """What is still to come of the three archives."""
    missing = [archive for archive in ARCHIVES if not (folder / archive.name).exists()]
    return sum(max(archive.usual_bytes - _size(folder / f"{archive.name}.part"), 0) for archive in missing)


def _no_room(folder: Path) -> ValueError:
    free_bytes = shutil.disk_usage(folder).free
    return ValueError(
        f"{folder} has {free_bytes / 1e6:,.0f} MB free: GTSRB needs {_needed_bytes(folder) / 1e6:,.0f} MB; "
        "make room, or set ROADTEST_CACHE to a folder on another disk"
    )


def _is_refusal(error: BaseException) -> bool:
    """True where the server answered and asking again would change nothing."""
    return isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code not in (408, 429)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError):
        text = str(error.reason)
    else:
        text = str(error)
    return " ".join(text.split())[:200] or type(error).__name__
