"""A study that is interrupted or killed: its state is kept, no worker stays behind, and the same command goes on."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from roadtest.record import read_epochs
from roadtest.study import Interrupted, read_study
from small_study import compare_small, ctrl_c_when, own, prepare, use_fake_processes, wait_until

HERE = Path(__file__).parent


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


@pytest.mark.slow
def test_ctrl_c_keeps_everything_and_the_same_command_goes_on(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_processes(monkeypatch)

    began = ctrl_c_when(lambda: bool(list(Path("study").glob("*/seed-0/began"))))
    with pytest.raises(Interrupted, match="the same command goes on") as error, began:
        compare_small(images, "good", "waits", "other")
    study = read_study(error.value.study_dir)
    assert [run.record.network for run in study.runs()] == own("good")
    (trace,) = study.path.glob("*/seed-0/trace")
    assert trace.read_text() == "the state is kept"
    assert not (study.path / ".lock").exists()
    assert study.failures() == []
    _, told = compare_small(images, "good", "other")
    assert told.runs() == [("other", 0)]


def start_study(images: Path, *names: str) -> "subprocess.Popen[bytes]":
    """The same in a process of its own, with workers of their own, which may be ended."""
    code = (
        "import signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where pytest-xdist ignores it\n"
        "from roadtest.study import Interrupted\n"
        "import small_study as s; s.launch.WORKER = s.FAKE_WORKER; s.work.write_report = s.fake_report\n"
        "try: s.compare_small(Path(sys.argv[2]), *sys.argv[3:])\n"
        "except Interrupted: sys.exit(130)\n"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(HERE), str(images), *names])


@pytest.mark.slow
def test_a_killed_study_leaves_no_worker_behind_and_its_lock_is_taken_over(images: Path) -> None:
    parent = start_study(images, "good", "waits")
    try:
        wait_until(lambda: bool(list(Path("study").glob("*/seed-0/began"))))
        workers = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not any(worker.is_running() for worker in workers))
    (trace,) = Path("study").glob("*/seed-0/trace")
    assert trace.read_text() == "the state is kept"
    assert Path("study/.lock").exists()
    _, told = compare_small(images, "good", "other")
    assert told.runs() == [("other", 0)]


@pytest.mark.slow
def test_ctrl_c_at_the_terminal_ends_a_study_with_130(images: Path) -> None:
    parent = start_study(images, "waits")
    try:
        wait_until(lambda: bool(list(Path("study").glob("*/seed-0/began"))))
        parent.send_signal(signal.SIGINT)
        assert parent.wait(60) == 130
    finally:
        parent.kill()
        parent.wait()
    (trace,) = Path("study").glob("*/seed-0/trace")
    assert trace.read_text() == "the state is kept"
    assert not Path("study/.lock").exists()


REAL_STUDY = """
import signal, sys
import roadtest
from roadtest.study import Interrupted
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    roadtest.compare(sys.argv[1], networks=["good.py:build"], lr=0.05, epochs=int(sys.argv[2]), patience=0,
                     batch_size=16, out="study", device="cpu", threads=1)
except Interrupted:
    sys.exit(130)
"""


@pytest.mark.slow
def test_a_real_study_killed_in_training_goes_on_from_its_state(images: Path) -> None:
    def start(num_epochs: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", REAL_STUDY, str(images), str(num_epochs)])

    parent = start(3000)
    try:
        wait_until(lambda: any(read_epochs(path.parent) for path in Path("study").glob("*/seed-0/epochs.csv")), 120)
        workers = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not any(worker.is_running() for worker in workers))
    (state,) = Path("study").glob("*/seed-0/state.pt")
    num_rows = len(read_epochs(state.parent))
    assert num_rows >= 1
    again = start(3000)
    try:
        wait_until(lambda: len(read_epochs(state.parent)) > num_rows, 120)
        again.send_signal(signal.SIGINT)
        assert again.wait(60) == 130
    finally:
        again.kill()
        again.wait()
    assert state.exists()
    assert "from epoch" not in (state.parent / "log.txt").read_text()  # the log has the libraries' words, not ours
    steps = [row.step for row in read_epochs(state.parent)]
    assert steps == sorted(set(steps))
    assert not (state.parent / "record.json").exists()
