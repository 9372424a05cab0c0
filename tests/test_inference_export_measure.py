"""measure.py: alone on another computer, with numpy and onnxruntime and nothing else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exported import write_small_bundle
from roadtest.inference.export import measure
from roadtest.records.measurements import read_measurement

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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rounds", "0"], "--rounds 0 must be 1 or more; write --rounds 5"),
        (["--rounds", "-2"], "--rounds -2 must be 1 or more"),
        (["--seconds", "0"], "--seconds 0 must be above 0"),
        (["--seconds", "nan"], "--seconds nan must be above 0"),
        (["--threads", "0"], "--threads '0' must be whole numbers above 0"),
        (["--int8"], "model-int8.onnx: export with --int8"),
        (["--folder", "nowhere"], "model.onnx: copy the whole bundle here"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refusal(capsys, "--folder", str(folder), *words)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", None),
        ("manifest.json", b""),
        ("manifest.json", b"[1]"),
        ("manifest.json", b"\xff"),
        ("manifest.json", b'{"run": {}}'),
        ("manifest.json", b'{"run": {}, "input": {"shape": ["batch", 1e999]}}'),
        ("manifest.json", b'{"run": {}, "input": {"shape": ["batch", 1000000]}}'),
        ("manifest.json", b"[" * 100_000),
        ("sample.npz", None),
        ("sample.npz", b""),
        ("sample.npz", b"no archive"),
        ("sample.npz", b"PK\x03\x04 cut off"),
        ("model.onnx", b"no network"),
    ],
)
def test_a_bundle_that_is_not_whole_is_one_line_that_names_the_file(
    folder: Path, name: str, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    line = refusal(capsys, "--folder", str(folder), *FAST)
    assert line.startswith(f"measure.py: {folder / name} ") and line.endswith(": copy the whole bundle here again")
    assert ("is not there" if content is None else "cannot be read (") in line


@pytest.mark.parametrize("change", ["no answers", "another size", "fewer answers", "no images"])
def test_packed_images_that_the_network_cannot_take_are_one_line(
    folder: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(folder / "sample.npz") as arrays:
        images_NHWC, logits_NK = arrays["images_NHWC"], arrays["logits_NK"]
    packed = {
        "no answers": {"images_NHWC": images_NHWC},
        "another size": {"images_NHWC": images_NHWC[:, :16], "logits_NK": logits_NK},
        "fewer answers": {"images_NHWC": images_NHWC, "logits_NK": logits_NK[:3]},
        "no images": {"images_NHWC": images_NHWC[:0], "logits_NK": logits_NK[:0]},
    }[change]
    np.savez(folder / "sample.npz", **packed)
    assert "sample.npz cannot be read (" in refusal(capsys, "--folder", str(folder), *FAST)


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that is said where nothing is measured."""
    with pytest.raises(SystemExit) as stopped:
        measure.main(list(words))
    streams = capsys.readouterr()
    (line,) = streams.err.splitlines()
    assert (stopped.value.code, streams.out) == (2, "")
    return line


ABSENT = """
import runpy
import sys

absent = sys.argv.pop()

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == absent:
            raise ImportError(f"{name} is not here\\nand a page of advice")

sys.meta_path.insert(0, Absent())
runpy.run_path("measure.py", run_name="__main__")
"""


@pytest.mark.parametrize("name", ["numpy", "onnxruntime"])
def test_a_library_that_is_not_installed_is_one_line(folder: Path, name: str) -> None:
    done = subprocess.run([sys.executable, "-c", ABSENT, name], cwd=folder, capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert f"({name} is not here): run python -m pip install numpy onnxruntime" in line


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
