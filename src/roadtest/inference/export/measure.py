"""Measure the network of this folder on this computer: latency, memory, and whether it answers as it should.

    python measure.py > pi5.json             messages go to standard error, the result to standard output
    roadtest add-device STUDY pi5.json       on the computer that holds the study

Needs Python 3.9 or later, numpy and onnxruntime, and nothing else; it reads model.onnx, manifest.json and sample.npz
beside it. With all the cores that this process may use, and with one: warm-up, then rounds in which batch sizes and
numbers of threads take turns, so that a disturbance hits all alike. Every sample is kept; what disturbs is flagged
(on Linux, where other processes can be seen). Images are random: no network here looks at values to save work.
What is missing or damaged is one line on standard error, and the exit code 2.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

NO_NUMPY: ImportError | None = None
"""Why numpy cannot be imported, for `main` to say in one line."""


try:
    import numpy as np
except ImportError as error:
    NO_NUMPY = error


SCHEMA_VERSION = 1
KIND = "roadtest measurement"
MIN_SAMPLES, MAX_SAMPLES = 3, 50
MAX_SIDE = 4096
"""Pixels; no network here takes images so large, and memory would run out."""
FILES = {"float32": "model.onnx", "int8": "model-int8.onnx"}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print one JSON object."""
    given = _parse(arguments)
    folder = Path(__file__).resolve().parent if given.folder is None else Path(given.folder)
    if given.rounds < 1:
        _stop(f"--rounds {given.rounds} must be 1 or more; write --rounds 5")
    if not 0 < given.seconds < 3600:
        _stop(f"--seconds {given.seconds:g} must be above 0 and below 3600; write --seconds 0.25")
    _check_libraries()
    result = measure(
        folder,
        variant="int8" if given.int8 else "float32",
        threads=_numbers("--threads", given.threads) if given.threads else sorted({usable_cores(), 1}, reverse=True),
        batch_sizes=_numbers("--batches", given.batches),
        num_rounds=given.rounds,
        seconds=given.seconds,
    )
    sys.stdout.write(json.dumps(result, indent=1, allow_nan=False) + "\n")
    return 0


def measure(
    folder: Path, *, variant: str, threads: list[int], batch_sizes: list[int], num_rounds: int, seconds: float
) -> dict[str, Any]:
    """Everything about one model on this computer, as plain values."""
    import onnxruntime

    path = folder / FILES[variant]
    if not path.is_file():
        _stop(f"there is no {path}: " + ("export with --int8" if variant == "int8" else "copy the whole bundle here"))
    run, size = read_manifest(folder / "manifest.json")
    packed = read_sample(folder / "sample.npz", variant, size)
    generator = np.random.default_rng(0)
    images = {n: generator.integers(0, 256, (n, size, size, 3), np.uint8) for n in batch_sizes}
    sessions = {threads[0]: _open(path, threads[0])}
    for _ in range(10):
        _run(sessions[threads[0]], next(iter(images.values()))[:1])
    peak_memory = peak_memory_bytes()  # of one image at a time: before larger batches and other sessions raise it
    difference, num_changed, num_checked = check_answers(sessions[threads[0]], *packed)
    _tell(f"{num_checked} packed images: largest difference {difference:.3g}, changed predictions {num_changed}")
    sessions.update({n: _open(path, n) for n in threads[1:]})
    samples = take_samples(sessions, images, num_rounds, seconds)
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "variant": variant,
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "num_checked": num_checked,
        "num_changed": num_changed,
        "largest_difference": difference,
        "peak_memory_bytes": peak_memory,
        "machine": {
            "cpu_name": cpu_name(),
            "num_cores": usable_cores(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "python": platform.python_version(),
            "versions": {"onnxruntime": onnxruntime.__version__, "numpy": np.__version__},
        },
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
        "samples": samples,
    }


def take_samples(
    sessions: dict[int, Any], images: dict[int, Any], num_rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Time every batch size with every number of threads, in rounds."""
    samples: list[dict[str, Any]] = []
    for number in range(num_rounds):
        _tell(f"round {number + 1} of {num_rounds}")
        for num_threads, session in sessions.items():
            for batch_size, batch in images.items():
                where = {"batch_size": batch_size, "num_threads": num_threads, "round": number}
                timings_ms, is_busy = _visit(session, batch, num_threads, seconds)
                samples += [
                    {**where, "sample": place, "latency_ms": latency_ms, "is_busy": is_busy}
                    for place, latency_ms in enumerate(timings_ms)
                ]
    for num_threads in sessions:
        for batch_size in images:
            visit = (num_threads, batch_size)
            found = [s["latency_ms"] for s in samples if (s["num_threads"], s["batch_size"]) == visit]
            _tell(f"batch {batch_size}, threads {num_threads}: median {np.median(found):.3g} ms of {len(found)}")
    return samples


def read_manifest(path: Path) -> tuple[dict[str, Any], int]:
    """Which run the bundle is of, and the height of its images."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        run, size = dict(manifest["run"]), int(manifest["input"]["shape"][1])
        if not 1 <= size <= MAX_SIDE:
            raise ValueError(f"images of {size} pixels")
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        _stop_at(path, error)
    return run, size


def read_sample(path: Path, variant: str, size: int) -> tuple[Any, Any]:
    """The packed images, and the logits that they must get."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images_NHWC = arrays["images_NHWC"]
            expected_NK = arrays["logits_NK" if variant == "float32" else "logits_int8_NK"]
        if images_NHWC.dtype != np.uint8 or images_NHWC.shape[1:] != (size, size, 3) or not len(images_NHWC):
            raise ValueError(f"its images are {images_NHWC.dtype} of the shape {images_NHWC.shape}")
        if expected_NK.ndim != 2 or len(expected_NK) != len(images_NHWC):
            raise ValueError(f"its logits have the shape {expected_NK.shape}")
    except Exception as error:  # numpy, zipfile and zlib have each their own for a damaged file
        _stop_at(path, error)
    return images_NHWC, expected_NK


def check_answers(session: Any, images_NHWC: Any, expected_NK: Any) -> tuple[float, int, int]:
    """Largest difference of logits, changed predictions and images, on the packed images."""
    logits_NK = _run(session, images_NHWC)
    num_changed = int((logits_NK.argmax(1) != expected_NK.argmax(1)).sum())
    return float(np.abs(logits_NK - expected_NK).max()), num_changed, len(images_NHWC)


def _open(path: Path, num_threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; a small board has no list of graphics cards, and need not say so
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no name that all versions know
        _stop_at(path, error)


def _run(session: Any, images_NHWC: Any) -> Any:
    return session.run(["logits"], {"images": images_NHWC})[0]


def _visit(session: Any, images_NHWC: Any, num_threads: int, seconds: float) -> tuple[list[float], bool]:
    """Milliseconds of batches after a warm-up, and whether other processes disturbed them."""
    others_before, start = others_cpu_seconds(), time.perf_counter()
    _run(session, images_NHWC)
    while time.perf_counter() - start < seconds:
        _run(session, images_NHWC)
    timings_ms: list[float] = []
    while len(timings_ms) < MIN_SAMPLES or (
        len(timings_ms) < MAX_SAMPLES and time.perf_counter() - start < 2 * seconds
    ):
        before = time.perf_counter_ns()
        _run(session, images_NHWC)
        timings_ms.append((time.perf_counter_ns() - before) / 1e6)
    others_after = others_cpu_seconds()
    if others_before is None or others_after is None:
        return timings_ms, False
    # As in roadtest: a quarter of a core is too much, half of the cores we leave free may be used besides.
    others_cores = (others_after - others_before) / (time.perf_counter() - start)
    return timings_ms, others_cores > 0.25 + 0.5 * max(0, usable_cores() - num_threads)


def others_cpu_seconds() -> float | None:
    """Processor seconds of all other processes so far; only differences count; None where they cannot be seen."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
        ticks_per_second = os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
    mine = os.times()
    return (user + nice + system + irq + softirq + steal) / ticks_per_second - mine.user - mine.system


def peak_memory_bytes() -> int | None:
    """The largest resident memory of this process so far; None where the system does not say."""
    try:
        match = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            return int(match[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """What the processor, or the board it sits on, calls itself."""
    for path, pattern in (
        ("/proc/device-tree/model", r"([^\0]+)"),
        ("/proc/cpuinfo", r"(?m)^(?:model name|Model|Hardware)\s*:\s*(.+)$"),
    ):
        try:
            match = re.search(pattern, Path(path).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if match:
            return match[1].strip()[:200]
    return platform.processor() or platform.machine() or "unknown"


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="measure.py", description=about)
    parser.add_argument("--int8", action="store_true", help="measure model-int8.onnx")
    parser.add_argument("--threads", default="", help="numbers of threads, such as 4,1; default: all cores, and one")
    parser.add_argument("--batches", default="1,64", help="batch sizes; default: 1,64")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--seconds", type=float, default=0.25, help="of a warm-up, and of a measurement; default: 0.25")
    parser.add_argument("--folder", default=None, help="where the bundle lies; default: beside this file")
    return parser.parse_args(arguments)


def _numbers(option: str, text: str) -> list[int]:
    """`4,1` as numbers, each once, in the order given."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(re.fullmatch("[0-9]{1,5}", part) and int(part) > 0 for part in parts):
        _stop(f"{option} {text!r} must be whole numbers above 0, with commas; write {option} 4,1")
    return list(dict.fromkeys(map(int, parts)))


def _check_libraries() -> None:
    """Stop where one of the two libraries is not there, or does not work."""
    try:
        if NO_NUMPY is not None:
            raise NO_NUMPY
        import onnxruntime  # noqa: F401
    except ImportError as error:
        _stop(f"numpy and onnxruntime are needed ({_first_line(error)}): run python -m pip install numpy onnxruntime")


def _stop_at(path: Path, error: Exception) -> NoReturn:
    why = "" if isinstance(error, FileNotFoundError) else f" ({type(error).__name__}: {_first_line(error)})"
    _stop(f"{path} {'cannot be read' if why else 'is not there'}{why}: copy the whole bundle here again")


def _stop(text: str) -> NoReturn:
    """Leave with one line that says what is wrong, as for a mistake of the user."""
    _tell(f"measure.py: {text}")
    sys.exit(2)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
