"""All of a file or nothing of it: full disks, kills, failing writers."""

import errno
import os
from pathlib import Path

import pytest

from roadtest.record.atomic import refuse_link, replacing, sweep_leftovers, write_atomically


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("place", ["write_bytes", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    monkeypatch.setattr(os if place == "fsync" else Path, place, full_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_atomically(path, b"old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_the_data_is_on_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (order.append("sync"), sync(number))[1])
    monkeypatch.setattr(Path, "replace", lambda self, target: (order.append("rename"), replace(self, target))[1])
    write_atomically(tmp_path / "a", b"1")
    assert order == ["sync", "rename"]


def test_leftovers_of_a_killed_process_are_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (".state.pt.123.part", ".weights.safetensors.9.part", "state.pt", ".lock", "my.part"):
        (tmp_path / name).touch()
    sweep_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "my.part", "state.pt"]


def test_a_link_in_the_place_of_the_part_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"untouched")
    (tmp_path / f".a.json.{os.getpid()}.part").symlink_to("theirs")
    write_atomically(tmp_path / "a.json", b"new")
    assert (tmp_path / "theirs").read_bytes() == b"untouched"
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_links_are_refused_also_where_they_lead_nowhere(tmp_path: Path) -> None:
    assert refuse_link(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").symlink_to("nowhere")
    with pytest.raises(ValueError, match=r"a is a link: .* remove the link$"):
        refuse_link(tmp_path / "a")
