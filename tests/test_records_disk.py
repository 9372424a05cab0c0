"""Directories that exist whole or not at all: rivals, sudden death, and what is removed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from fake_images import draw_folder, generations, opened
from roadtest.records.disk import SWEEP_SECONDS, remove_abandoned, temporary_directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 15 images each, in all three parts."""
    return draw_folder(tmp_path / "images")


BUILD = """
import os, sys, time
from pathlib import Path
from roadtest.data.cache import open_image_set
from roadtest.data.sources.folder import list_folder
root, cache_dir, num_processes, what = sys.argv[1:]
def on_progress(done, total):
    {on_progress}
image_set = open_image_set(
    list_folder(Path(root)),
    image_size=16,
    cache_dir=Path(cache_dir),
    num_processes=int(num_processes),
    on_progress=on_progress,
)
print(image_set.fingerprint, image_set.images_NHWC.sum(), flush=True)
"""


def start_build(
    root: Path, cache_dir: Path, on_progress: str, num_processes: int = 2, what: str = ""
) -> subprocess.Popen[str]:
    """Build in another process, with a line of code to run at each progress."""
    script = BUILD.format(on_progress=on_progress)
    return subprocess.Popen(
        [sys.executable, "-c", script, str(root), str(cache_dir), str(num_processes), what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


KILL_ITSELF = (
    "import psutil; workers = [c.pid for c in psutil.Process().children() if '--process-name' in c.cmdline()]\n"
    "    print(*workers, flush=True); os.kill(os.getpid(), 9)"
)


def wait_until_gone(process_ids: list[int], seconds: float) -> bool:
    """Whether all processes ended in time; one that nobody has reaped yet has ended too."""
    deadline = time.monotonic() + seconds
    while any(is_running(process_id) for process_id in process_ids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_running(process_id: int) -> bool:
    try:
        return bool(psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal there")
def test_a_build_killed_half_way_leaves_no_trace_in_the_next(folder: Path, tmp_path: Path) -> None:
    with start_build(folder, tmp_path / "cache", KILL_ITSELF) as builder:
        output, _ = builder.communicate(timeout=60)
    assert builder.returncode == -signal.SIGKILL
    workers = [int(word) for word in output.split()]
    assert len(workers) == 2
    assert wait_until_gone(workers, seconds=30)
    (leftover,) = (tmp_path / "cache" / "decoded").iterdir()
    assert leftover.name.startswith(".building-")
    fresh = opened(folder, tmp_path / "fresh")
    after = opened(folder, tmp_path / "cache")
    assert np.array_equal(after.images_NHWC, fresh.images_NHWC)
    assert generations(tmp_path / "cache") == ["0"]


MEET = (
    "Path(cache_dir, what).touch(); deadline = time.monotonic() + 30\n"
    "    while len(list(Path(cache_dir).glob('meet-*'))) < 2 and time.monotonic() < deadline: time.sleep(0.01)"
)


@pytest.mark.slow
def test_two_builds_at_once_give_one_cache_and_equal_results(folder: Path, tmp_path: Path) -> None:
    # Each waits, after its first images, until the other has begun: both are certainly half-way at the same time.
    cache_dir = tmp_path / "cache"
    builders = [start_build(folder, cache_dir, MEET, num_processes=1, what=f"meet-{i}") for i in range(2)]
    outputs = []
    for builder in builders:
        with builder:
            output, messages = builder.communicate(timeout=60)
            assert builder.returncode == 0, messages
            outputs.append(output)
    assert outputs[0] == outputs[1] != ""
    assert len(list(cache_dir.glob("meet-*"))) == 2
    assert generations(cache_dir) == ["0"]


@pytest.mark.slow
def test_a_script_without_a_main_guard_runs_once(folder: Path, tmp_path: Path) -> None:
    with start_build(folder, tmp_path / "cache", "pass") as builder:
        output, messages = builder.communicate(timeout=60)
    assert (builder.returncode, messages) == (0, "")
    assert output.count("\n") == 1  # the workers did not run the script again


def test_the_folder_of_a_living_process_is_not_swept(tmp_path: Path) -> None:
    with temporary_directory(tmp_path) as mine:
        remove_abandoned(tmp_path)
        assert mine.is_dir()
    assert not mine.exists()


def test_a_process_number_that_came_again_does_not_protect_a_leftover(tmp_path: Path) -> None:
    with temporary_directory(tmp_path) as mine:
        prefix, machine, process_id, started, word = mine.name.split("-")
        old = tmp_path / "-".join((prefix, machine, process_id, str(int(started) - 86400), word))
        old.mkdir()
        remove_abandoned(tmp_path)
        assert not old.exists()


def test_leftovers_of_another_machine_are_swept_only_when_old(tmp_path: Path) -> None:
    young, old = tmp_path / ".building-00000000-1-1-a", tmp_path / ".building-00000000-1-1-b"
    for leftover in (young, old):
        leftover.mkdir()
        (leftover / "images.npy").write_bytes(b"x")
    long_ago = time.time() - SWEEP_SECONDS - 60
    for path in (old / "images.npy", old):
        os.utime(path, (long_ago, long_ago))
    remove_abandoned(tmp_path)
    assert young.exists()
    assert not old.exists()
