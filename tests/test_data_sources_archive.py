"""Reading zips in place: hostile ones are refused, broken ones are named, and no process reads another's position."""

import multiprocessing
import os
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from roadtest.data.sources.archive import check_members, describe, list_members, open_archive, read_member


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _read(path: Path, name: str, max_bytes: int = 10_000) -> bytes:
    return read_member(str(path), name, modified_ns=path.stat().st_mtime_ns, max_bytes=max_bytes)


def test_members_are_listed_with_their_sizes_and_read_back(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"x/1.txt": b"one", "x/": b"", "2.txt": b"zwei"})
    entries = list_members(path, "sub/a.zip")
    assert [(entry.name, entry.location, entry.size_bytes) for entry in entries] == [
        ("sub/a.zip/x/1.txt", "x/1.txt", 3),
        ("sub/a.zip/2.txt", "2.txt", 4),
    ]
    assert {entry.modified_ns for entry in entries} == {path.stat().st_mtime_ns}
    assert [_read(path, entry.location) for entry in entries] == [b"one", b"zwei"]
    assert entries[0].where == f"{path}: x/1.txt"


def test_names_that_lead_elsewhere_are_not_listed(tmp_path: Path) -> None:
    names = ["../up.ppm", "a/../../up.ppm", "/etc/root.ppm", "a\\b.ppm", "bell\a.ppm", "fine..ppm"]
    path = _zip(tmp_path / "a.zip", dict.fromkeys(names, b"x"))
    assert [entry.location for entry in list_members(path, "a.zip")] == ["fine..ppm"]


def test_a_file_that_is_no_zip_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04 and then the connection broke")
    with pytest.raises(ValueError, match=r"a\.zip is no whole zip archive .*fetch it again") as caught:
        list_members(path, "a.zip")
    assert "\n" not in str(caught.value)


def test_a_truncated_zip_is_named(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"1.txt": os.urandom(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match="no whole zip archive"):
        list_members(path, "a.zip")
    with pytest.raises(ValueError, match="no whole zip archive"):
        check_members(path)


def test_a_flipped_byte_is_found_by_the_crc(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"1.txt": b"a" * 100}, zipfile.ZIP_STORED)
    check_members(path)
    content = bytearray(path.read_bytes())
    content[60] ^= 1  # 30 bytes of header and 5 of name come first, then 100 of content
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.zip: 1\.txt is broken \(Bad CRC"):
        _read(path, "1.txt")
    with pytest.raises(ValueError, match=r"1\.txt is broken"):
        check_members(path)


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"1.txt": b"a"})
    with pytest.raises(ValueError, match=r"a\.zip: 2\.txt is broken"):
        _read(path, "2.txt")


def test_a_member_that_declares_too_much_is_not_unpacked(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"bomb": bytes(20_000_000)})
    assert path.stat().st_size < 50_000
    with pytest.raises(ValueError, match="bomb is 20,000,000 bytes"):
        _read(path, "bomb")


def test_a_member_that_unpacks_to_more_than_it_declares_stops_there(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"bomb": bytes(20_000_000)})
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 500)  # the declared size in the central directory
    path.write_bytes(content)
    open_archive(str(path), path.stat().st_mtime_ns, os.getpid())
    tracemalloc.start()
    with pytest.raises(ValueError, match="bomb is broken"):  # 500 zeros have another CRC
        _read(path, "bomb")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


def test_methods_that_unpack_without_a_bound_are_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"1.txt": b"a"}, zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match="stored or deflated"):
        _read(path, "1.txt")


def test_an_encrypted_member_is_an_error_in_one_line(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"1.txt": b"a"})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # the encryption flag, in the local header and in the directory
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"1\.txt is broken .*encrypted"):
        _read(path, "1.txt")


def test_a_replaced_archive_is_read_anew(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"1.txt": b"old"})
    assert _read(path, "1.txt") == b"old"
    path.unlink()
    _zip(path, {"1.txt": b"new!"})
    os.utime(path, ns=(1, 1))
    assert _read(path, "1.txt") == b"new!"


def test_an_archive_is_opened_once_per_process(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {str(number): b"x" for number in range(20)})
    open_archive.cache_clear()
    for number in range(20):
        _read(path, str(number))
    assert open_archive.cache_info().misses == 1


def _read_many(path: Path, start: int) -> bool:
    return all(_read(path, str(n % 200)) == str(n % 200).encode() * 40 for n in range(start, start + 2000))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_processes_do_not_share_a_position(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {str(n): str(n).encode() * 40 for n in range(200)})
    assert _read_many(path, 0)  # opened before the fork: sharing it would mix up the reads
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert all(pool.starmap(_read_many, [(path, start) for start in range(0, 200, 25)]))


def test_a_name_with_line_breaks_stays_one_line_in_errors() -> None:
    assert describe("a.zip", "x\ny\x1b") == r"'a.zip: x\ny\x1b'"
