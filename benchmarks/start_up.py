"""How long a person waits for `roadtest --help`: the median of fresh processes, and what is imported on the way.

    python benchmarks/start_up.py

Expect under 0.5 s on any machine of the last ten years; most of it is the interpreter and cyclopts.
"""

import statistics
import subprocess
import sys
import time

NUM_ROUNDS = 11
COMMAND = (sys.executable, "-m", "roadtest", "--help")


def measure_start_up() -> list[float]:
    """Seconds of each round, the first one (cold files) left out."""
    samples = []
    for _ in range(NUM_ROUNDS + 1):
        started = time.perf_counter()
        subprocess.run(COMMAND, check=True, capture_output=True)
        samples.append(time.perf_counter() - started)
    return samples[1:]


def imported_packages() -> list[str]:
    """The top-level packages and modules that the help page needs."""
    code = "import sys, roadtest.cli; roadtest.cli.main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return sorted({name.split(".")[0] for name in done.stderr.split()})


if __name__ == "__main__":
    samples, packages = measure_start_up(), imported_packages()
    low, high = min(samples), max(samples)
    print(f"roadtest --help: median {statistics.median(samples):.3f} s of {len(samples)} ({low:.3f} to {high:.3f})")
    heavy = [name for name in ("torch", "numpy", "scipy", "altair") if name in packages]
    print(f"imports {len(packages)} top-level packages; heavy ones among them: {', '.join(heavy) or 'none'}")
