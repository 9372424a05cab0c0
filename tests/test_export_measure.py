"""measure.py: alone on another computer, with numpy and onnxruntime and nothing else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exported import write_small_bundle
from roadtest.devices import read_measurement
from roadtest.export import measure

FAST = ["--rounds", "2", "--seconds", "0.001", "--threads", "2,1", "--batches", "1,4"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_small_bundle(tmp_path / "bundle")


def measured(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Path, str]:
    """Measure in this process; the file it would have been sent to, and what was said meanwhile."""
    assert measure.main(["--folder", str(folder), *FAST, *words]) == 0
    streams = capsys.readouterr()
    path = folder.parent / "pi5.json"
    path.write_text(streams.out)
    return path, streams.err


def test_it_measures_every_batch_size_and_number_of_threads_in_turn(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, said = measured(folder, capsys)
    found = read_measurement(path)
    visits = list(dict.fromkeys((s.round, s.num_threads, s.batch_size) for s in found.samples))
    assert visits == [(r, threads, size) for r in (0, 1) for threads in (2, 1) for size in (1, 4)]
    assert all(sample.latency_ms > 0 for sample in found.samples)
    assert found.machine.cpu_name and found.machine.num_cores >= 1 and found.peak_memory_bytes is not None
    assert "round 2 of 2" in said and "batch 4, threads 1: median" in said


def test_it_compares_the_packed_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_measurement(measured(folder, capsys)[0])
    assert (found.num_checked, found.num_changed) == (10, 0) and found.largest_difference < 1e-3
    with np.load(folder / "sample.npz") as arrays:
        images_NHWC, logits_NK = arrays["images_NHWC"], arrays["logits_NK"]
    logits_NK[0, logits_NK[0].argmax()] -= 1000  # as if the device answered another class
    logits_NK[1] += 0.5
    np.savez(folder / "sample.npz", images_NHWC=images_NHWC, logits_NK=logits_NK)
    found = read_measurement(measured(folder, capsys)[0])
    assert found.num_changed == 1 and found.largest_difference == pytest.approx(1000, abs=1)


def test_int8_is_another_file_with_answers_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(folder / "model.onnx", folder / "model-int8.onnx")
    with np.load(folder / "sample.npz") as arrays:
        packed = dict(arrays)
    np.savez(folder / "sample.npz", **packed, logits_int8_NK=packed["logits_NK"] + 2)
    found = read_measurement(measured(folder, capsys, "--int8")[0])
    assert found.variant == "int8" and found.largest_difference == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("words", ["--threads=0", "--threads=-1", "--threads=x", "--batches=", "--batches=1,²"])
def test_wrong_numbers_are_one_line(words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        measure.main(["--folder", str(folder), words])
    (line,) = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and words.split("=")[0] in line and "must be whole numbers above 0" in line


def test_other_processes_are_seen_and_memory_is_this_ones() -> None:
    before = measure.others_cpu_seconds()
    assert before is None or before > 0
    peak = measure.peak_memory_bytes()
    assert peak is None or 10**7 < peak < 10**12


BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ALLOWED and name.split(".")[0] in REFUSED:
            raise ImportError(f"{name} is not here")

ALLOWED = ("numpy", "onnxruntime")
REFUSED = ("torch", "roadtest", "onnx", "onnxscript", "timm", "torchvision", "PIL", "psutil", "scipy", "safetensors")
sys.meta_path.insert(0, Blocked())
for name in REFUSED:
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} could be imported")
import runpy
sys.argv = ["measure.py", *sys.argv[1:]]
runpy.run_path("measure.py", run_name="__main__")
"""


@pytest.mark.slow
def test_it_runs_where_neither_torch_nor_roadtest_is(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKED, *FAST], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["num_changed"] == 0
