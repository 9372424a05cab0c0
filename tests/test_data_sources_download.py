"""Downloading GTSRB's archives, against a server on 127.0.0.1 that breaks off, forgets ranges and lies."""

import errno
import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import pytest

from roadtest.data.sources import download
from roadtest.data.sources.download import ARCHIVES, download_file, download_gtsrb
from roadtest.records.disk import folder_lock

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes: several chunks
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class FakePublisher:
    """What the server has and how it misbehaves; `ranges` is what it was asked for, request by request."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    """Bytes of the body after which the next connections end."""
    knows_ranges: bool = True
    range_shift: int = 0
    statuses: list[int] = field(default_factory=list)
    """Codes to answer the next requests with, instead of the file; 0 is the file."""
    has_length: bool = True
    ranges: list[str | None] = field(default_factory=list)


def _handler(publisher: FakePublisher) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            publisher.ranges.append(wanted)
            content = publisher.files.get(self.path.lstrip("/"))
            status = publisher.statuses.pop(0) if publisher.statuses else 0
            if status or content is None:
                self.send_error(status or 404)
                return
            start = int(wanted[len("bytes=") : -1]) if wanted and publisher.knows_ranges else 0
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(content, start, is_part=bool(wanted) and publisher.knows_ranges)

        def _send(self, content: bytes, start: int, is_part: bool) -> None:
            body = content[start:]
            self.send_response(206 if is_part else 200)
            if is_part:
                first = start + publisher.range_shift
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            if publisher.has_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: publisher.cuts.pop(0)] if publisher.cuts else body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePublisher]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    fake = FakePublisher(files={"a.bin": CONTENT})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def _fetch(publisher: FakePublisher, target: Path, *, md5: str | None = MD5, max_bytes: int = 2_000_000) -> list[int]:
    heard: list[int] = []
    download_file(
        f"{publisher.url}/a.bin", target, md5=md5, max_bytes=max_bytes, on_bytes=heard.append, pause_seconds=0.0
    )
    return heard


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, name * 50)
    return buffer.getvalue()


def test_a_file_arrives_whole_and_progress_ends_at_its_size(publisher: FakePublisher, tmp_path: Path) -> None:
    heard = _fetch(publisher, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert heard == sorted(heard) and heard[-1] == len(CONTENT) and len(heard) > 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_connection_that_breaks_off_goes_on_where_it_was(publisher: FakePublisher, tmp_path: Path) -> None:
    publisher.cuts = [300_000, 200_000]
    _fetch(publisher, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert publisher.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_call_resumes_what_an_earlier_one_left(publisher: FakePublisher, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    _fetch(publisher, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert publisher.ranges == ["bytes=1000-"]


def test_a_server_without_ranges_is_read_from_the_start_again(publisher: FakePublisher, tmp_path: Path) -> None:
    publisher.knows_ranges = False
    (tmp_path / "a.bin.part").write_bytes(b"x" * 1000)
    _fetch(publisher, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_server_that_goes_on_elsewhere_is_asked_for_everything(publisher: FakePublisher, tmp_path: Path) -> None:
    publisher.range_shift = 1
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    _fetch(publisher, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert publisher.ranges == ["bytes=1000-", None]


def test_a_part_that_is_already_whole_is_not_fetched_again(publisher: FakePublisher, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert _fetch(publisher, tmp_path / "a.bin") == []
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_thrown_away(publisher: FakePublisher, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"x")
    _fetch(publisher, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_wrong_md5_deletes_the_part_and_says_so_in_one_line(publisher: FakePublisher, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"a.bin came damaged .its md5 is {MD5}, it must be 00ff") as caught:
        _fetch(publisher, tmp_path / "a.bin", md5="00ff")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_an_md5_a_login_page_is_no_archive(publisher: FakePublisher, tmp_path: Path) -> None:
    publisher.files["a.bin"] = b"<html>Please log in</html>"
    with pytest.raises(ValueError, match=r"a\.bin came damaged .*no whole zip archive"):
        _fetch(publisher, tmp_path / "a.bin", md5=None)
    assert list(tmp_path.iterdir()) == []


def test_without_an_md5_one_flipped_byte_in_a_member_is_found(publisher: FakePublisher, tmp_path: Path) -> None:
    whole = _zip("one.txt", "two.txt")
    publisher.files["a.bin"] = whole
    _fetch(publisher, tmp_path / "a.bin", md5=None)
    # 30 bytes of local header, 7 of the name, then the first member's deflated bytes.
    publisher.files["a.bin"] = whole[:38] + bytes([whole[38] ^ 1]) + whole[39:]
    with pytest.raises(ValueError, match=r"b\.bin came damaged"):
        _fetch(publisher, tmp_path / "b.bin", md5=None)


def test_more_bytes_than_expected_are_refused_by_length_and_by_count(publisher: FakePublisher, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is 1,024,000 bytes: at most 500,000"):
        _fetch(publisher, tmp_path / "a.bin", max_bytes=500_000)
    publisher.has_length = False
    with pytest.raises(ValueError, match="does not end: at most 500,000"):
        _fetch(publisher, tmp_path / "a.bin", max_bytes=500_000)


def test_an_absent_file_is_asked_for_once(publisher: FakePublisher, tmp_path: Path) -> None:
    publisher.files.clear()
    with pytest.raises(OSError, match="404"):
        _fetch(publisher, tmp_path / "a.bin")
    assert publisher.ranges == [None]


def test_a_file_that_vanishes_midway_is_not_asked_for_again(publisher: FakePublisher, tmp_path: Path) -> None:
    publisher.cuts, publisher.statuses = [1000], [0, 404]
    with pytest.raises(OSError, match="404"):
        _fetch(publisher, tmp_path / "a.bin")
    assert publisher.ranges == [None, "bytes=1000-"]


def test_a_server_that_gets_busy_midway_is_asked_again(publisher: FakePublisher, tmp_path: Path) -> None:
    publisher.cuts, publisher.statuses = [1000], [0, 503, 429]
    _fetch(publisher, tmp_path / "a.bin")
    assert publisher.ranges == [None] + ["bytes=1000-"] * 3
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_connection_that_stays_broken_keeps_its_part(publisher: FakePublisher, tmp_path: Path) -> None:
    publisher.cuts = [1000] + [0] * 10
    with pytest.raises(ConnectionError, match="1,000 of 1,024,000"):
        _fetch(publisher, tmp_path / "a.bin")
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:1000]
    assert len(publisher.ranges) == 1 + download.MAX_TRIES


def test_https_may_not_lead_to_http() -> None:
    with pytest.raises(ValueError, match="must stay on https"):
        download._check_scheme("https://a.example/x", "http://b.example/x")


@pytest.fixture
def small_archives(publisher: FakePublisher, monkeypatch: pytest.MonkeyPatch) -> FakePublisher:
    """The publisher's three names with small contents, and their md5 where one is published."""
    for archive in ARCHIVES:
        publisher.files[archive.name] = _zip(archive.name)
    monkeypatch.setattr(
        download,
        "ARCHIVES",
        tuple(
            replace(
                archive,
                usual_bytes=len(publisher.files[archive.name]),
                md5=archive.md5 and hashlib.md5(publisher.files[archive.name]).hexdigest(),
            )
            for archive in ARCHIVES
        ),
    )
    return publisher


def test_the_three_archives_arrive_and_a_second_call_asks_for_nothing(
    small_archives: FakePublisher, tmp_path: Path
) -> None:
    heard: list[tuple[int, int]] = []
    folder = download_gtsrb(
        tmp_path / "gtsrb", url=small_archives.url, on_progress=lambda done, total: heard.append((done, total))
    )
    assert sorted(path.name for path in folder.glob("*.*") if path.name != ".lock") == sorted(
        one.name for one in ARCHIVES
    )
    total = sum(len(small_archives.files[archive.name]) for archive in ARCHIVES)
    assert heard == sorted(heard) and heard[-1] == (total, total)
    assert heard.count((total, total)) == 1  # a file gets a line for it
    assert len(small_archives.ranges) == 3
    download_gtsrb(folder, url=small_archives.url)
    assert len(small_archives.ranges) == 3


def test_two_downloads_never_write_one_file(small_archives: FakePublisher, tmp_path: Path) -> None:
    with folder_lock(tmp_path), pytest.raises(ValueError, match=r"in use by process \d+ on .*: wait for it"):
        download_gtsrb(tmp_path, url=small_archives.url)
    assert small_archives.ranges == []


def test_only_the_missing_archive_is_fetched(small_archives: FakePublisher, tmp_path: Path) -> None:
    for archive in ARCHIVES[:2]:
        (tmp_path / archive.name).write_bytes(b"here")
    download_gtsrb(tmp_path, url=small_archives.url)
    assert len(small_archives.ranges) == 1
    assert (tmp_path / ARCHIVES[2].name).read_bytes() == small_archives.files[ARCHIVES[2].name]


def test_without_a_network_the_error_says_where_to_get_the_files_and_what_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as nobody:  # bound, but not listening: connections are refused
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(FileNotFoundError) as caught:
            download_gtsrb(tmp_path, url=f"http://127.0.0.1:{nobody.getsockname()[1]}")
    text = str(caught.value)
    for word in (*download.ARCHIVE_NAMES, "sid.erda.dk", "--data-dir DIR", "ROADTEST_GTSRB", "roadtest compare signs"):
        assert word in text
    assert "\n" not in text


def test_an_archive_that_broke_off_says_that_the_same_command_goes_on(
    small_archives: FakePublisher, tmp_path: Path
) -> None:
    small_archives.cuts = [100] + [0] * 10
    with pytest.raises(FileNotFoundError, match=r"GTSRB_Final_Training_Images\.zip.*the same command goes on there"):
        download_gtsrb(tmp_path, url=small_archives.url)


def test_a_full_disk_is_said_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1_000_000}))
    with pytest.raises(ValueError, match="1 MB free: GTSRB needs 365 MB; make room, or set ROADTEST_CACHE"):
        download_gtsrb(tmp_path)


def test_a_disk_that_fills_up_midway_is_said_and_not_taken_for_the_network(
    small_archives: FakePublisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(response: object, file: IO[bytes], *_: object) -> None:
        file.write(b"PK")
        raise OSError(errno.ENOSPC, "No space left on device")

    free = iter([1_000_000_000, 0])
    monkeypatch.setattr(download, "_copy", fill)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": next(free)}))
    with pytest.raises(ValueError, match=r"has 0 MB free: GTSRB needs 0 MB; make room, or set ROADTEST_CACHE"):
        download_gtsrb(tmp_path, url=small_archives.url)
    assert len(small_archives.ranges) == 1  # it is not tried again


def test_a_cache_that_is_a_file_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(ValueError, match=r"the cache cannot be kept in .*; set ROADTEST_CACHE to one"):
        download_gtsrb(tmp_path / "cache" / "gtsrb")


def test_the_published_checksums_are_those_of_the_publisher_s_files() -> None:
    assert [(archive.name, archive.md5) for archive in ARCHIVES] == [
        ("GTSRB_Final_Training_Images.zip", None),
        ("GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
        ("GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
    ]
