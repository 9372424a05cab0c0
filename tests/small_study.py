"""What a study in a test stands on: a small folder of pictures, networks in files, and workers that train nothing."""

import io
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fake_worker
from forked import ForkedWorker
from roadtest.protocol import GTSRB_V1
from roadtest.records.events import Event
from roadtest.study import launch
from roadtest.study import runner as work
from roadtest.study.api import Study, compare
from roadtest.study.options import Options
from roadtest.study.resolve import StudyContext
from roadtest.training import worker

FAKE_WORKER = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
NUM_IMAGES = 200

GOOD_NETWORK = """
from torch import nn

def build(num_classes, image_size):
    side = (image_size - 5) // 4 + 1
    layers = nn.Conv2d(3, 4, 5, stride=4), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4 * side**2, num_classes))
"""
RAISING_NETWORK = """
def build(num_classes, image_size):
    raise ZeroDivisionError("no such layer")
"""
NAN_NETWORK = """
from torch import nn

class Net(nn.Linear):
    def forward(self, images):
        return super().forward(images.mean((2, 3))) * float("nan")

def build(num_classes, image_size):
    return Net(3, num_classes)
"""
KILLED_NETWORK = """
import os, signal
from torch import nn

class Net(nn.Linear):
    def forward(self, images):
        if self.training:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(images.mean((2, 3)))

def build(num_classes, image_size):
    return Net(3, num_classes)
"""
NETWORKS = {
    "good": GOOD_NETWORK,
    "other": GOOD_NETWORK,
    "raises": RAISING_NETWORK,
    "nan": NAN_NETWORK,
    "killed": KILLED_NETWORK,
    "waits": GOOD_NETWORK,
    "slow": GOOD_NETWORK,
}


def draw_images(root: Path, num_images: int = NUM_IMAGES, shift: int = 0) -> Path:
    """Two classes of small noisy PNGs, one reddish, one bluish."""
    for name in ("red", "blue"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for number in range(num_images):
        path = root / ("red", "blue")[number % 2] / f"{number:03d}.png"
        path.write_bytes(_png(number + shift, 2 * (number % 2)))
    return root


@cache
def _png(seed: int, channel: int) -> bytes:
    """A small noisy picture in which one channel is brighter."""
    image_HWC = np.random.default_rng(seed).integers(0, 120, (20, 20, 3), np.uint8)
    image_HWC[:, :, channel] += 90
    file = io.BytesIO()
    Image.fromarray(image_HWC).save(file, "PNG")
    return file.getvalue()


def write_networks(folder: Path) -> None:
    """A file per network, to be named as `good.py:build` from this folder."""
    for name, code in NETWORKS.items():
        (folder / f"{name}.py").write_text(code)


def make_context(**changes: Any) -> StudyContext:
    """What a call asks for, with nothing behind it."""
    values = {"source": "squares", "options": Options(), "runs": (), "protocol": GTSRB_V1, "study_dir": Path("study")}
    values |= {"image_set": None, "cache_dir": Path("cache"), "emit": lambda event: None, **changes}
    return StudyContext(**values)  # type: ignore[arg-type]


def own(*names: str) -> list[str]:
    return [f"{name}.py:build" for name in names]


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_fake: bool = True) -> Path:
    """Images, networks, a cache of their own, the current folder; give the images' folder.

    Faked, workers are functions in this process and the report is one line. Real workers are forked, not started.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ROADTEST_CACHE", str(folder / "cache"))
    write_networks(folder)
    if is_fake:
        monkeypatch.setattr(launch, "_run_task", run_task_here)
        monkeypatch.setattr(work, "write_report", fake_report)
    else:
        kept = {name: vars(subprocess)[name] for name in ("PIPE", "TimeoutExpired")}
        monkeypatch.setattr(launch, "subprocess", SimpleNamespace(Popen=ForkedWorker, **kept))
    return draw_images(folder / "images")


def use_fake_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that train nothing in processes of their own again, for what only processes can do."""
    monkeypatch.setattr(launch, "_run_task", RUN_TASK)
    monkeypatch.setattr(launch, "WORKER", FAKE_WORKER)


RUN_TASK = launch._run_task


class Ended(Exception):  # noqa: N818
    """In place of a signal, which would end the tests."""


def run_task_here(task: launch.Task, emit: Callable[[Event], None], stop: threading.Event) -> launch.Outcome:
    """Do the task in this process, and judge it as a process is judged."""
    task.log_path.parent.mkdir(parents=True, exist_ok=True)
    task.log_path.touch()
    heard: list[Event] = []

    def hear(event: Event) -> None:
        heard.append(event)
        emit(event)

    code = 0
    try:
        if task.kind == "run" and task.label.startswith("killed"):
            hear(Event(kind="started", label=task.label, seed=task.seed))
            raise Ended
        fake_worker.KINDS[task.kind](task.job_json, hear, stop.is_set)
        heard.append(Event(kind="done"))
    except SystemExit:  # as though a network had called sys.exit
        pass
    except Ended:
        code = -signal.SIGKILL
    except Exception as error:
        heard.append(Event(kind="failed", text=worker._reason(error)))
        code = 1
    return launch._outcome(task, code, heard, is_asked_to_stop=stop.is_set())


def fake_report(study_dir: Path, **_: object) -> Path:
    (study_dir / "report").mkdir(exist_ok=True)
    path = study_dir / "report" / "index.html"
    path.write_text("a page")
    return path


class Told(list[Event]):
    """The events that a study told."""

    def of(self, kind: str) -> list[Event]:
        return [event for event in self if event.kind == kind]

    def runs(self, kind: str = "started") -> list[tuple[str, int | None]]:
        return [(event.label.removesuffix(".py:build"), event.seed) for event in self.of(kind)]


def compare_small(folder: Path, *names: str, **options: Any) -> tuple[Study, Told]:
    """Compare networks of our own on the images, and give what was told too."""
    told = Told()
    chosen = {"networks": own(*names), "lr": 0.05, "epochs": 2, "out": "study", "device": "cpu", **options}
    return compare(folder, on_event=told.append, **chosen), told


def wait_until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for what another process does; fail where it never does it."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


@contextmanager
def ctrl_c_when(is_time: Callable[[], bool]) -> Iterator[None]:
    """Interrupt this process, as the terminal does, when the moment has come, while the block works."""

    def interrupt() -> None:
        try:
            wait_until(is_time)
        finally:
            signal.raise_signal(signal.SIGINT)

    # The processes of pytest-xdist ignore Ctrl-C, which is meant for the one that started them.
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGINT, kept)
