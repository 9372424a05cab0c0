"""Does memory stay small while the images become many? Decode and open a generated folder, and watch.

    python -m benchmarks.speed.many_images                     # 200,000 PNG files of 32 pixels in 100 classes
    python -m benchmarks.speed.many_images --num-images 2000   # a try

Files are written into a temporary folder and removed at the end (200,000 take about 500 MB). Then a process of its own
lists, decodes and opens them, once without a cache and once with it, deals the folds and judges flips, as `roadtest
compare` does before it trains. Reported are seconds, the peak of the process's own memory (without the mapped pixels,
which belong to the system, to be given back at any time) and the bytes of the cache. What must grow with the
images is the cache alone; the rest is about 1 kB an image: paths, labels and groups.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

IMAGE_SIZE = 32


def write_images(root: Path, num_images: int, num_classes: int, side: int) -> None:
    """Write noise around a class's own grey, one PNG each, a folder per class."""
    generator = np.random.default_rng(0)
    for label in range(num_classes):
        (root / f"{label:04d}").mkdir(parents=True)
    for number in range(num_images):
        label = number % num_classes
        grey = 30 + 180 * label // num_classes
        image_HWC = generator.integers(grey - 20, grey + 20, (side, side, 3), np.uint8)
        Image.fromarray(image_HWC).save(root / f"{label:04d}" / f"{number:07d}.png", compress_level=1)


def measure(root: Path, cache_dir: Path) -> dict[str, float]:
    """Open the folder as compare does, and tell seconds and megabytes; in a process of its own."""
    from roadtest.data.audit.flips import judge_flips
    from roadtest.data.open import open_source
    from roadtest.data.split import assign_folds

    before_mb = own_memory_mb()
    start = time.perf_counter()
    image_set = open_source(str(root), image_size=IMAGE_SIZE, cache_dir=cache_dir)
    open_seconds = time.perf_counter() - start
    open_mb = own_memory_mb()
    start = time.perf_counter()
    assign_folds(image_set, 10)
    judge_flips(image_set)
    return {
        "num_images": len(image_set.paths),
        "open_seconds": open_seconds,
        "folds_and_flips_seconds": time.perf_counter() - start,
        "own_memory_before_mb": before_mb,
        "own_memory_open_mb": open_mb,
        "own_memory_end_mb": own_memory_mb(),
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "peak_resident_of_a_worker_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "cache_mb": sum(path.stat().st_size for path in cache_dir.rglob("*") if path.is_file()) / 1e6,
    }


def own_memory_mb() -> float:
    """Anonymous memory of this process, without mapped files (Linux)."""
    words = Path("/proc/self/status").read_text(encoding="ascii").split()
    return int(words[words.index("RssAnon:") + 1]) / 1024


def main(argv: list[str] | None = None) -> None:
    """Generate, measure twice, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-images", type=int, default=200_000)
    parser.add_argument("--num-classes", type=int, default=100)
    parser.add_argument("--side", type=int, default=IMAGE_SIZE, help="pixels of the written files")
    parser.add_argument("--measure", nargs=2, type=Path, metavar=("FOLDER", "CACHE"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    with tempfile.TemporaryDirectory(prefix="roadtest-many-") as folder:
        start = time.perf_counter()
        write_images(Path(folder) / "images", options.num_images, options.num_classes, options.side)
        print(f"{options.num_images:,} files written in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        rows = [_measure_in_process(Path(folder)) for _ in range(2)]
    print("| | first time | from the cache |\n|---|---:|---:|")
    for name in rows[0]:
        print(f"| {name} | {rows[0][name]:,.1f} | {rows[1][name]:,.1f} |")


def _measure_in_process(folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", str(folder / "images"), str(folder / "cache")]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    row: dict[str, float] = json.loads(done.stdout)
    return row


if __name__ == "__main__":
    main()
