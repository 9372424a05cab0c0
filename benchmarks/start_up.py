"""What is paid before and after training: opening, decoding, reopening, the report, the memory of a small training.

    python benchmarks/start_up.py [--source gtsrb --data-dir DIR] [--study runs/STUDY] [--rounds 11]

Every cost is taken in fresh processes, as a person meets it; what costs seconds is taken at most three times. The
report is of the given study, or of the made-up one that the tests use (six networks, three seeds, 360 images).
Aims on two server cores: help under 0.5 s, decoding all of GTSRB under 15 s, reopening the cache under 0.5 s, the
report's page under 2 s and with all figures under 10 s, a LeNet-5 training under 1.5 GB. Decoding and reopening are
the package's own seconds in a process that has imported it; the report's seconds include the start of its process.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from side_by_side import HERE, plain_environment, worker_environment

NUM_SLOW_ROUNDS = 3
"""For what takes seconds."""
OPEN = """
import json, sys, time
from pathlib import Path
from roadtest.data.cache import open_image_set
from roadtest.data.open import list_source
source, data_dir, cache_dir, num_images = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
if source == "signs" and num_images:
    from roadtest.data.signs import list_signs
    make = lambda: list_signs(num_train=num_images, num_test=430)
else:
    make = lambda: list_source(source, cache_dir=cache_dir, data_dir=Path(data_dir) if data_dir else None,
                               is_subset_allowed=False)
seconds = []
for _ in range(2):
    start = time.perf_counter()
    images = open_image_set(make(), image_size=32, cache_dir=cache_dir)
    seconds.append(time.perf_counter() - start)
print(json.dumps([*seconds, len(images.labels_N)]))
"""
REPORT = """
import sys
from pathlib import Path
from roadtest.report import write_report
write_report(Path(sys.argv[1]), has_figures=sys.argv[2] == "figures")
"""
TRAIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import numpy as np, torch
from contender import Job
from ours import build_training
from roadtest.cost import peak_memory_bytes
from roadtest.networks import build_network
from roadtest.train import train
num_images, num_epochs = int(sys.argv[1]), int(sys.argv[2])
network = build_network("lenet5", num_classes=43, image_size=32, has_stn=False, seed=0)
job = Job(network="lenet5", has_stn=False, num_images=num_images, image_size=32, num_classes=43, batch_size=128,
          num_threads=None, min_seconds=0, folder="")
pixels_NHWC = torch.randint(0, 256, (num_images, 32, 32, 3), dtype=torch.uint8)
training = build_training(job, network, pixels_NHWC, torch.arange(num_images) % 43, num_images // 128 * num_epochs)
for _ in train(training):
    pass
print(peak_memory_bytes())
"""
COSTS = (
    "roadtest --help",
    "decoding all images",
    "reopening the cache",
    "report, page alone",
    "report with figures",
    "lenet5's peak memory",
)
"""The lines that are printed, in order."""


def run_fresh(*command: str, environment: dict[str, str] | None = None) -> str:
    """Run a command in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, *command], env={**plain_environment(), **(environment or {})}, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"code {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def measure_seconds(run: Callable[[], object], num_rounds: int) -> list[float]:
    """Seconds of each round, the first one (cold files) left out."""
    samples = []
    for _ in range(num_rounds + 1):
        started = time.perf_counter()
        run()
        samples.append(time.perf_counter() - started)
    return samples[1:]


def imported_packages() -> list[str]:
    """The top-level packages and modules that the help page needs."""
    code = "import sys, roadtest.cli; roadtest.cli.main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return sorted({name.split(".")[0] for name in done.stderr.split()})


def measure_opening(
    source: str, data_dir: str, num_images: int, num_rounds: int
) -> tuple[list[float], list[float], int]:
    """Seconds to decode all images into an empty cache, seconds to open it again, and how many images there are."""
    decode, reopen, count = [], [], 0
    for _ in range(num_rounds):
        with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
            first, second, count = json.loads(run_fresh("-c", OPEN, source, data_dir, folder, str(num_images)))
        decode.append(first)
        reopen.append(second)
    return decode, reopen, count


def measure_report(study: Path | None, num_rounds: int) -> tuple[list[float], list[float]]:
    """Seconds for the page alone, and with every figure as SVG and PNG; the study is copied first."""
    with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
        copy = Path(folder) / "study"
        if study is not None:
            shutil.copytree(study, copy)
        else:
            sys.path.insert(0, str(HERE.parent / "tests"))
            from fake_study import build_fake_study  # type: ignore[import-not-found]

            build_fake_study(copy)
        page, figures = (
            measure_seconds(lambda what=what: run_fresh("-c", REPORT, str(copy), what), num_rounds)  # type: ignore[misc]
            for what in ("page", "figures")
        )
    return page, figures


def measure_memory(num_images: int, num_epochs: int) -> float:
    """Gigabytes that a LeNet-5 training holds at its peak, in the environment of roadtest's workers."""
    environment = worker_environment(2)
    words = ("-c", TRAIN, str(num_images), str(num_epochs), str(HERE / "peers"))
    return float(run_fresh(*words, environment=environment)) / 1e9


def tell(name: str, samples: Sequence[float], note: str = "") -> None:
    """One line: median and extremes."""
    low, high = min(samples), max(samples)
    median = statistics.median(samples)
    print(f"{name:22}median {median:7.3f} s of {len(samples)} ({low:.3f} to {high:.3f}){note}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, one cost a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", choices=("signs", "gtsrb"), default="signs")
    parser.add_argument("--data-dir", default="", help="GTSRB; else ROADTEST_GTSRB")
    parser.add_argument("--study", type=Path, help="a finished study; default: the tests' made-up one")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--num-images", type=int, default=0, help="drawn training images; default: as many as usual")
    parser.add_argument("--train-epochs", type=int, default=2, help="of 35,328 images, for the peak memory")
    options = parser.parse_args(arguments)
    slow_rounds = min(options.rounds, NUM_SLOW_ROUNDS)
    heavy = [name for name in ("torch", "numpy", "scipy", "altair") if name in imported_packages()]
    tell(
        COSTS[0],
        measure_seconds(lambda: run_fresh("-m", "roadtest", "--help"), options.rounds),
        f"; heavy imports: {', '.join(heavy) or 'none'}",
    )
    decode, reopen, count = measure_opening(options.source, options.data_dir, options.num_images, slow_rounds)
    tell(COSTS[1], decode, f"; {count:,} images of {options.source}")
    tell(COSTS[2], reopen)
    page, figures = measure_report(options.study, slow_rounds)
    tell(COSTS[3], page)
    tell(COSTS[4], figures)
    num_images = options.num_images or 35_328
    few, many = (measure_memory(num_images, epochs) for epochs in (1, options.train_epochs))
    print(f"{COSTS[5]:22}{few:.3f} GB after 1 epoch, {many:.3f} GB after {options.train_epochs}; {num_images:,} images")


if __name__ == "__main__":
    main()
