"""What is paid before and after training: opening, decoding, reopening, the report, the memory of a small training.

    python -m benchmarks.speed.start_up [--source gtsrb --data-dir DIR] [--study runs/STUDY] [--rounds 11]

Every cost is taken in fresh processes, as a person meets it; what costs seconds is taken at most three times. The
report is of the given study, or of the made-up one that the tests use (six networks, three seeds, 360 images).
Aims on two server cores: help under 0.5 s, decoding all of GTSRB under 15 s, drawing 20,000 signs of 32 x 32 under
60 s, reopening the cache under 0.5 s, the report's page under 2 s and with all figures under 10 s, a LeNet-5 training
under 1.5 GB. Decoding, drawing and reopening are the package's own seconds in a process that has imported it, each in a
process of its own; the report's seconds include the start of its process. The memory is that of a training which
evaluates as many images as a run on GTSRB does, after one epoch and after several: nothing may grow with their number.

Writes results/start-up-<source>-<machine>.json and .md. Five minutes on two cores.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.result_files import RESULTS, ROOT, describe_run, render_run, render_table, results_path, write_results
from benchmarks.speed.side_by_side import plain_environment, worker_environment
from roadtest.data.signs import SignsSpec

NUM_SLOW_ROUNDS = 3
"""For what takes seconds."""
NUM_TEST_SIGNS = 430
"""Of the drawn signs: the fewest there are."""
OPEN = """
import json, sys, time
from pathlib import Path
from roadtest.data.join import open_joined
source, data_dir, cache_dir = sys.argv[1], sys.argv[2], Path(sys.argv[3])
start = time.perf_counter()
images = open_joined(source, image_size=32, cache_dir=cache_dir, data_dir=Path(data_dir) if data_dir else None)
print(json.dumps([time.perf_counter() - start, len(images.labels_N)]))
"""
REPORT = """
import sys
from pathlib import Path
from roadtest.report import write_report
write_report(Path(sys.argv[1]), has_figures=sys.argv[2] == "figures")
"""
TRAIN = """
import sys
import torch
from benchmarks.peers.contender import Job
from benchmarks.peers.ours import build_training
from roadtest.training.profile import peak_memory_bytes
from roadtest.networks import build_network
from roadtest.protocol import GTSRB_V1
from roadtest.training.loop import train
num_images, num_epochs, num_evaluated = map(int, sys.argv[1:4])
network = build_network("lenet5", num_classes=43, image_size=32, has_stn=False, seed=0)
job = Job(network="lenet5", has_stn=False, num_images=num_images, image_size=32, num_classes=43, batch_size=128,
          learning_rate=GTSRB_V1.learning_rate("lenet5"), num_threads=None, min_seconds=0, folder="")
pixels_NHWC = torch.randint(0, 256, (num_images, 32, 32, 3), dtype=torch.uint8)
training = build_training(job, network, pixels_NHWC, torch.arange(num_images) % 43, num_images // 128 * num_epochs,
                          num_evaluated=num_evaluated // 2)
for _ in train(training):
    pass
print(peak_memory_bytes())
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One thing that is paid."""

    name: str
    unit: str
    """`s` or `GB`."""
    aim: float
    """Less than this, in the unit, on two server cores."""
    samples: tuple[float, ...]
    remark: str = ""


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


def measure_opening(source: str, data_dir: str, num_rounds: int) -> tuple[list[float], list[float], int]:
    """Seconds to fill an empty cache, seconds to open it in another process, and how many images there are.

    Another process, because this one would remember the archives' listing.
    """
    fill, reopen, count = [], [], 0
    for _ in range(num_rounds):
        with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
            words = ("-c", OPEN, source, data_dir, folder)
            (first, count), (second, _) = (json.loads(run_fresh(*words)) for _ in range(2))
        fill.append(first)
        reopen.append(second)
    return fill, reopen, count


def measure_report(study: Path | None, num_rounds: int) -> tuple[list[float], list[float]]:
    """Seconds for the page alone, and with every figure as SVG and PNG; the study is copied first."""
    with tempfile.TemporaryDirectory(prefix="roadtest-bench-") as folder:
        copy = Path(folder) / "study"
        if study is not None:
            shutil.copytree(study, copy)
        else:
            sys.path.insert(0, str(ROOT / "tests"))
            from fake_study import build_fake_study  # type: ignore[import-not-found]

            build_fake_study(copy)
        page, figures = (
            measure_seconds(lambda what=what: run_fresh("-c", REPORT, str(copy), what), num_rounds)  # type: ignore[misc]
            for what in ("page", "figures")
        )
    return page, figures


def measure_memory(num_images: int, num_epochs: int, num_evaluated: int) -> float:
    """Gigabytes that a LeNet-5 training holds at its peak, in the environment of roadtest's workers."""
    words = ("-c", TRAIN, str(num_images), str(num_epochs), str(num_evaluated))
    return float(run_fresh(*words, environment=worker_environment(2))) / 1e9


def measure_costs(options: argparse.Namespace) -> Iterator[Cost]:
    """One after the other, as the page shows them."""
    slow_rounds = min(options.rounds, NUM_SLOW_ROUNDS)
    heavy = [name for name in ("torch", "numpy", "scipy", "altair") if name in imported_packages()]
    samples = measure_seconds(lambda: run_fresh("-m", "roadtest", "--help"), options.rounds)
    remark = f"heavy imports: {', '.join(heavy) or 'none'}"
    yield Cost(name="roadtest --help", unit="s", aim=0.5, samples=tuple(samples), remark=remark)

    is_synthetic = options.source == "signs"
    drawing = SignsSpec(num_train=options.num_signs - NUM_TEST_SIGNS, num_test=NUM_TEST_SIGNS)
    fill, reopen, count = measure_opening(drawing.word if is_synthetic else "gtsrb", options.data_dir, slow_rounds)
    name = f"drawing {count:,} signs of 32 x 32" if is_synthetic else f"decoding all {count:,} images"
    yield Cost(name=name, unit="s", aim=60.0 if is_synthetic else 15.0, samples=tuple(fill))
    yield Cost(name="reopening the cache", unit="s", aim=0.5, samples=tuple(reopen), remark=f"{count:,} images")

    page, figures = measure_report(options.study, slow_rounds)
    study = options.study.name if options.study else "the tests' made-up study"
    yield Cost(name="report, page alone", unit="s", aim=2.0, samples=tuple(page), remark=study)
    yield Cost(name="report with figures", unit="s", aim=10.0, samples=tuple(figures), remark=study)

    num_evaluated = min(options.num_evaluated, 2 * options.train_images)  # half on each side of the evaluation
    remark = f"{options.train_images:,} images, {num_evaluated:,} evaluated"
    for num_epochs in sorted({1, options.train_epochs}):
        peak = measure_memory(options.train_images, num_epochs, num_evaluated)
        name = f"lenet5's peak memory, epochs: {num_epochs}"
        yield Cost(name=name, unit="GB", aim=1.5, samples=(peak,), remark=remark)


def render_row(cost: Cost) -> list[str]:
    """One row of the table."""
    low, middle, high = min(cost.samples), statistics.median(cost.samples), max(cost.samples)
    spread = f" ({low:.3f} to {high:.3f})" if len(cost.samples) > 1 else ""
    aim = f"{cost.aim:g} {cost.unit}"
    return [cost.name, f"{middle:.3f}{spread} {cost.unit}", aim, str(len(cost.samples)), cost.remark]


def render(about: Mapping[str, Any], costs: Sequence[Cost]) -> str:
    """The Markdown page."""
    table = render_table(["cost", "median (least to largest)", "aim: less than", "samples", ""], map(render_row, costs))
    return f"# Opening costs\n\n{render_run(about)}\n\n{table}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", choices=("signs", "gtsrb"), default="signs")
    parser.add_argument("--data-dir", default="", help="GTSRB; else ROADTEST_GTSRB")
    parser.add_argument("--study", type=Path, help="a finished study; default: the tests' made-up one")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--num-signs", type=int, default=20_000, help="drawn, with --source signs")
    parser.add_argument("--train-images", type=int, default=35_328, help="for the peak memory: nine folds of GTSRB")
    parser.add_argument("--num-evaluated", type=int, default=7_500, help="of them after each epoch, as on GTSRB")
    parser.add_argument("--train-epochs", type=int, default=5, help="beside one epoch")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    about, costs = describe_run(), []
    for cost in measure_costs(options):
        costs.append(cost)
        print(*render_row(cost), sep=" | ", file=sys.stderr, flush=True)
    text = render(about, costs)
    print(text)
    path = results_path(options.out, f"start-up-{options.source}", about)
    write_results(path, {"about": about, "costs": [asdict(cost) for cost in costs]}, text)


if __name__ == "__main__":
    main()
