"""One folder, one process at a time: the living are respected, the dead are not waited for."""

import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from roadtest.records.disk import folder_lock, refuse_if_locked

HOLD = """
import sys
from pathlib import Path
from roadtest.records.disk import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def refusal(folder: Path, wait_seconds: float = 0.0) -> str:
    with pytest.raises(ValueError) as error, folder_lock(folder, wait_seconds=wait_seconds):
        raise AssertionError("the lock was given")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_second_holder_is_refused_by_the_first_ones_name_also_in_one_process(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        assert f"in use by process {os.getpid()} on {platform.node()}" in refusal(tmp_path)
        with pytest.raises(ValueError, match="in use"):
            refuse_if_locked(tmp_path)
    refuse_if_locked(tmp_path)


def test_a_lock_is_free_also_where_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), folder_lock(tmp_path):
        raise KeyboardInterrupt
    with folder_lock(tmp_path):
        assert (tmp_path / ".lock-holder").exists()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_lock_of_another_process_is_free_once_that_was_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        assert f"process {process.pid}" in refusal(tmp_path)
        process.kill()
    assert (tmp_path / ".lock-holder").exists()  # left behind, and believed by nobody
    with folder_lock(tmp_path):
        assert (tmp_path / ".lock-holder").read_text() == f"process {os.getpid()} on {platform.node()}"


def test_a_lock_may_be_waited_for(tmp_path: Path) -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with folder_lock(tmp_path):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    assert "in use" in refusal(tmp_path, wait_seconds=0.15)
    threading.Timer(0.2, leave.set).start()
    with folder_lock(tmp_path, wait_seconds=10):
        assert leave.is_set()
    thread.join()


@pytest.mark.parametrize("name", [".lock", ".lock-holder"])
def test_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / name).symlink_to(tmp_path / "elsewhere")
    assert "is a link" in refusal(tmp_path / "s") and not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("text", ["", "\x00", "a\nb", "x" * 10_000])
def test_what_stands_in_the_holders_file_is_only_told_where_it_is_a_short_line(tmp_path: Path, text: str) -> None:
    with folder_lock(tmp_path):
        (tmp_path / ".lock-holder").write_text(text)
        assert len(refusal(tmp_path)) < len(str(tmp_path)) + 300
