"""One folder, one compare at a time: the living are respected, the dead are not waited for."""

import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from roadtest.records import lock as lock_module
from roadtest.records.lock import folder_lock, refuse_if_locked, this_machine


def write_lock(study_dir: Path, **changes: object) -> Path:
    holder = {
        "host": platform.node(),
        "machine": this_machine(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
    }
    path = study_dir / ".lock"
    path.write_text(json.dumps({**holder, **changes}))
    return path


def refusal(study_dir: Path) -> str:
    with pytest.raises(ValueError) as error, folder_lock(study_dir):
        raise AssertionError("the lock was given")
    assert "\n" not in str(error.value)
    return str(error.value)


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lock_names_host_and_process_and_goes_with_its_block(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        holder = json.loads((tmp_path / ".lock").read_text())
        assert (holder["host"], holder["pid"]) == (platform.node(), os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_a_lock_goes_also_where_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), folder_lock(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_a_living_process_refuses_and_stays(tmp_path: Path) -> None:
    path = write_lock(tmp_path)
    assert f"in use by process {os.getpid()} on {platform.node()}" in refusal(tmp_path)
    assert path.exists()
    with pytest.raises(ValueError, match="in use"):
        refuse_if_locked(tmp_path)


def test_a_second_compare_in_the_same_process_is_refused_and_the_first_keeps_its_lock(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        assert "in use" in refusal(tmp_path)
        assert (tmp_path / ".lock").exists()


def test_a_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    write_lock(tmp_path, pid=dead_process(), started=1.0)
    refuse_if_locked(tmp_path)
    write_lock(tmp_path, pid=dead_process(), started=1.0)
    with folder_lock(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_another_process_took_over_meanwhile_stays_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lock(tmp_path, pid=dead_process(), started=1.0)
    honest = lock_module.is_alive

    def judge_slowly(pid: int, started: float) -> bool:
        is_alive = honest(pid, started)
        write_lock(tmp_path)  # another one found it stale too, and was faster
        return is_alive

    monkeypatch.setattr(lock_module, "is_alive", judge_slowly)
    assert f"in use by process {os.getpid()}" in refusal(tmp_path)
    assert path.exists()


TAKER = """
import sys, time
from pathlib import Path
from roadtest.records.lock import folder_lock
folder, inside = Path(sys.argv[1]), Path(sys.argv[1]) / "inside"
for line in sys.stdin:  # a round: the lock in the folder is a dead process's
    try:
        with folder_lock(folder, wait_seconds=5):
            inside.touch(exist_ok=False)
            time.sleep(0.002)
            inside.unlink()
        print("fine", flush=True)
    except FileExistsError:
        print("two at once", flush=True)
"""


@pytest.mark.slow
def test_of_many_that_take_over_one_stale_lock_one_has_it_at_a_time(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    takers = [subprocess.Popen(command, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    dead = dead_process()
    try:
        for _ in range(60):
            write_lock(tmp_path, pid=dead, started=1.0)
            for taker in takers:
                taker.stdin.write("\n")
                taker.stdin.flush()
            assert [taker.stdout.readline() for taker in takers] == ["fine\n"] * 3
    finally:
        for taker in takers:
            taker.stdin.close()
            taker.wait()
            taker.stdout.close()


def test_a_lock_of_another_container_with_this_name_is_never_taken_over(tmp_path: Path) -> None:
    path = write_lock(tmp_path, machine="0" * 8, pid=dead_process(), started=1.0)
    assert "in use" in refusal(tmp_path) and path.exists()


def test_a_lock_that_is_anothers_by_now_stays(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        (tmp_path / ".lock").unlink()  # by hand, as the message says
        path = write_lock(tmp_path, pid=1)
    assert path.exists()


def test_a_guard_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    write_lock(tmp_path / "s", pid=dead_process(), started=1.0)
    (tmp_path / "s" / ".lock-guard").symlink_to(tmp_path / "elsewhere")
    assert "is a link" in refusal(tmp_path / "s") and not (tmp_path / "elsewhere").exists()


def test_a_process_that_only_inherited_the_number_is_not_the_holder(tmp_path: Path) -> None:
    write_lock(tmp_path, started=psutil.Process().create_time() - 3600)
    with folder_lock(tmp_path):
        pass


def test_a_lock_of_another_machine_is_never_taken_over(tmp_path: Path) -> None:
    write_lock(tmp_path, host="another", pid=dead_process(), started=1.0)
    message = refusal(tmp_path)
    assert "on another" in message and "delete .lock there" in message


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 1}', '{"host": "h", "pid": "x", "started": 1}', "\x00"])
def test_a_lock_that_was_cut_off_long_ago_is_taken_over(text: str, tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text(text)
    os.utime(path, (1, 1))
    with folder_lock(tmp_path):
        assert "pid" in path.read_text()


@pytest.mark.slow
def test_a_lock_that_is_being_written_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".lock").touch()
    threading.Timer(0.3, write_lock, [tmp_path]).start()
    start = time.monotonic()
    assert "in use" in refusal(tmp_path)
    assert time.monotonic() - start >= 0.25
    monkeypatch.setattr(lock_module, "WRITE_SECONDS", 0.1)
    (tmp_path / ".lock").write_text("")  # its process died while it wrote
    with folder_lock(tmp_path):
        pass


@pytest.mark.parametrize("pid", [-1, 0, 10**30])
def test_a_number_that_is_no_process_does_not_crash(pid: int, tmp_path: Path) -> None:
    write_lock(tmp_path, pid=pid, started=1.0)
    try:
        with folder_lock(tmp_path):
            pass
    except ValueError as error:
        assert "in use" in str(error)


@pytest.mark.slow
def test_a_lock_may_be_waited_for(tmp_path: Path) -> None:
    path = write_lock(tmp_path)
    threading.Timer(0.3, path.unlink).start()
    with folder_lock(tmp_path, wait_seconds=30):
        assert path.exists()
    write_lock(tmp_path)
    with pytest.raises(ValueError, match="in use"), folder_lock(tmp_path, wait_seconds=0.2):
        raise AssertionError("the lock was given")
