"""This computer, as far as it decides how fast a network trains and runs.

Versions come from the installed packages' metadata, never from importing them; torch is imported only to name the
accelerator. Limits of containers and affinities hold: what counts is what this process may use.
"""

import contextlib
import functools
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from roadtest.records import Machine

LIBRARIES = ("roadtest", "torch", "torchvision", "timm", "numpy", "pillow")
"""The packages whose code runs in training."""
DECIDING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16", "asimd", "sve", "bf16")
"""Vector instructions of x86 and ARM that decide the speed of float32 and bfloat16."""
NATIVE_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
SHORTEST_WATCH_SECONDS = 0.2
"""Processor time comes in ticks of 10 ms: over a shorter while a single tick would look like a busy machine."""
CHECKOUT = Path(__file__).resolve().parents[3]
"""Where roadtest's own checkout is, if it runs from one."""


def describe_machine(*, has_siblings: bool = False) -> Machine:
    """Everything that a record keeps about this computer; measuring its load takes a quarter of a second.

    Where it `has_siblings`, other processes of the same parent are not counted among what else runs.
    """
    return Machine(
        cpu_name=cpu_name(),
        num_cores=count_usable_cores(),
        memory_bytes=count_usable_memory_bytes(),
        cpu_flags=cpu_flags(),
        gpu_name=gpu_name(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        versions=installed_versions(),
        commit=checkout_commit(),
        load=measure_load(has_siblings=has_siblings),
    )


@functools.cache
def cpu_name() -> str:
    """What the processor calls itself."""
    match = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    if match:
        return match[1].strip()
    if sys.platform == "darwin":
        return command_output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    return platform.processor() or platform.machine() or "unknown"


@functools.cache
def cpu_flags() -> tuple[str, ...]:
    """The processor's vector instructions among DECIDING_FLAGS, in their order."""
    if sys.platform == "darwin":
        has_bf16 = command_output("sysctl", "-n", "hw.optional.arm.FEAT_BF16") == "1"
        has_avx2 = command_output("sysctl", "-n", "hw.optional.avx2_0") == "1"
        return ("avx2",) * has_avx2 + ("bf16",) * has_bf16
    match = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    present = set(match[1].split()) if match else set()
    return tuple(flag for flag in DECIDING_FLAGS if flag in present)


def count_usable_cores() -> int:
    """Cores that this process may use: fewer than there are, under an affinity or a container's limit."""
    limits = [float(len(_usable_core_numbers()))]
    for folder in _cgroup_folders():
        quota, period = (_text(folder / "cpu.max").split() or ["max", "1"])[:2]
        if quota != "max":
            limits.append(int(quota) / int(period))
    return max(1, round(min(limits)))


def count_usable_memory_bytes() -> int:
    """Main memory, or a container's limit where that is less."""
    limits = [_text(folder / "memory.max") for folder in _cgroup_folders()]
    return min([int(psutil.virtual_memory().total), *(int(limit) for limit in limits if limit not in ("", "max"))])


def count_free_memory_bytes() -> int:
    """Main memory that is free now, a container's limit respected."""
    free = [int(psutil.virtual_memory().available)]
    for folder in _cgroup_folders():
        limit, used = _text(folder / "memory.max"), _text(folder / "memory.current")
        if used and limit not in ("", "max"):
            free.append(int(limit) - int(used))
    return max(0, min(free))


def gpu_name() -> str | None:
    """The accelerator's name, or None; imports torch."""
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return f"{cpu_name()} GPU" if torch.backends.mps.is_available() else None


def installed_versions() -> dict[str, str]:
    """The versions of the LIBRARIES that are installed, without importing them."""
    versions = {}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def checkout_commit(root: Path = CHECKOUT) -> str | None:
    """The commit of the checkout that roadtest runs from, with a + where files differ; None without a checkout."""
    if not (root / ".git").exists():
        return None
    commit = command_output("git", "-C", str(root), "rev-parse", "HEAD")
    if not commit:
        return None
    changes = command_output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    return commit + ("+" if changes else "")


def others_cpu_seconds() -> float:
    """Processor seconds used so far by other processes, on the cores this one may use; only differences count."""
    idle = ("idle", "iowait", "guest", "guest_nice")  # Linux counts a guest's time in user and nice already
    usable, busy_seconds, mine = _usable_core_numbers(), 0.0, os.times()
    for core, times in enumerate(psutil.cpu_times(percpu=True)):
        if core in usable:
            busy_seconds += sum(getattr(times, name) for name in times._fields if name not in idle)
    return busy_seconds - mine.user - mine.system


def measure_load(seconds: float = 0.25, *, has_siblings: bool = False) -> float:
    """Cores that other processes keep busy now, per usable core: 0 is a quiet machine, 1 leaves nothing.

    Not the system's load average: that remembers our own last run for minutes.
    """
    load = watch_load(has_siblings=has_siblings)
    time.sleep(seconds)
    return load()


def watch_load(*, has_siblings: bool = False) -> Callable[[], float]:
    """Begin to watch other processes; the returned function gives their load on average from now on.

    Less than SHORTEST_WATCH_SECONDS later it gives 0: not known yet.
    """
    before, kin_before, start = others_cpu_seconds(), _kin_cpu_seconds() if has_siblings else {}, time.perf_counter()

    def load() -> float:
        seconds = time.perf_counter() - start
        if seconds < SHORTEST_WATCH_SECONDS:
            return 0.0
        kin = _kin_cpu_seconds() if has_siblings else {}
        kin_seconds = sum(kin[pid] - kin_before[pid] for pid in kin.keys() & kin_before.keys())
        others_cores = (others_cpu_seconds() - before - kin_seconds) / seconds
        return round(min(max(others_cores / count_usable_cores(), 0.0), 1.0), 3)

    return load


def _kin_cpu_seconds() -> dict[int, float]:
    """Processor seconds of this process's parent and of its other children, by process."""
    me = psutil.Process()
    parent = me.parent()
    seconds = {}
    for process in [parent, *parent.children(recursive=True)] if parent is not None else []:
        with contextlib.suppress(psutil.Error):  # it may have ended meanwhile
            times = process.cpu_times()
            seconds[process.pid] = times.user + times.system
    seconds.pop(me.pid, None)
    return seconds


def _usable_core_numbers() -> set[int]:
    return os.sched_getaffinity(0) if sys.platform == "linux" else set(range(os.cpu_count() or 1))


@functools.cache
def _cgroup_folders() -> tuple[Path, ...]:
    """Linux's control groups above this process, outermost first: each may limit it."""
    groups = [line[3:].strip("/") for line in _text(Path("/proc/self/cgroup")).splitlines() if line.startswith("0::")]
    parts = Path(groups[0]).parts if groups and ".." not in groups[0] else ()
    return tuple(Path("/sys/fs/cgroup").joinpath(*parts[:depth]) for depth in range(len(parts) + 1))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def command_output(*command: str) -> str:
    """The output of a short command; empty where it fails or does not exist."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
