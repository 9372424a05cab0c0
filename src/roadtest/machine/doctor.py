"""The doctor: what on this computer is good, slow or missing for comparing networks, and what to do about it.

Each finding is a line of its own and none stops the others. Arithmetic is measured for half a second, not guessed from
a name; everything else is only looked up.
"""

import importlib.util
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roadtest.machine import environment
from roadtest.machine.device import choose_device

GIB = 1 << 30
MATMUL_SIDE = 768
"""Matrices large enough to keep every core busy, small enough for a few milliseconds each."""
EXTRAS = {"export": ("onnx", "onnxscript", "onnxruntime")}
"""Optional parts of roadtest and the modules they need."""
GTSRB_FILES = ("GTSRB_Final_Training_Images.zip", "GTSRB_Final_Test_Images.zip", "GTSRB_Final_Test_GT.zip")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing the doctor looked at."""

    topic: str
    status: str
    """`ok`, `slow` or `missing`."""
    text: str
    """What is there."""
    advice: str
    """What to do; empty where nothing is to be done."""


def doctor_findings(cache_dir: Path) -> list[Finding]:
    """Look at everything, in about three seconds."""
    looks: dict[str, Callable[[], Finding]] = {
        "load": look_at_load,
        "processor": look_at_processor,
        "threads": look_at_threads,
        "arithmetic": look_at_arithmetic,
        "memory": look_at_memory,
        "disk": lambda: look_at_disk(cache_dir),
        "accelerator": look_at_accelerator,
        "torch": look_at_torch,
        "extras": look_at_extras,
        "gtsrb": lambda: look_at_gtsrb(os.environ.get("ROADTEST_GTSRB"), cache_dir),
    }
    return [_look(topic, look) for topic, look in looks.items()]


def _look(topic: str, look: Callable[[], Finding]) -> Finding:
    """One finding; what cannot be looked at is one too, and the others go on."""
    try:
        return look()
    except Exception as error:  # whatever a driver, a library or a folder without rights does not like
        reason = " ".join(str(error).split()) or type(error).__name__
        advice = "mend that first, where you need it"
        return Finding(topic=topic, status="missing", text=f"could not be looked at: {reason}", advice=advice)


def look_at_load() -> Finding:
    """Whether other processes compute now, which spoils every time."""
    load = environment.measure_load()
    text = f"other processes use {load:.0%} of the {environment.count_usable_cores()} cores now"
    if load > 0.1:
        return Finding(topic="load", status="slow", text=text, advice="stop them before you measure times")
    return Finding(topic="load", status="ok", text=text, advice="")


def look_at_processor() -> Finding:
    """The processor and the vector instructions that decide its speed."""
    flags = environment.cpu_flags()
    text = f"{environment.cpu_name()}: {', '.join(flags) or 'no vector instructions known here'}"
    if environment.NATIVE_BFLOAT16_FLAGS.isdisjoint(flags):
        return Finding(
            topic="processor",
            status="ok",
            text=f"{text}; bfloat16 is not native",
            advice="leave --precision at auto: bfloat16 would be several times slower on this processor",
        )
    return Finding(topic="processor", status="ok", text=f"{text}; bfloat16 is native", advice="")


def look_at_threads() -> Finding:
    """How many threads torch takes, beside how many cores there are for it."""
    import torch

    num_threads, num_cores = torch.get_num_threads(), environment.count_usable_cores()
    text = f"torch uses {num_threads} threads on {num_cores} usable of {os.cpu_count()} cores"
    if num_threads > num_cores:
        advice = f"give --threads {num_cores}: more threads than cores wait for each other"
        return Finding(topic="threads", status="slow", text=text, advice=advice)
    return Finding(topic="threads", status="ok", text=text, advice="")


def look_at_arithmetic() -> Finding:
    """What the processor reaches in a matrix product, in both precisions."""
    import torch

    float32, bfloat16 = (measure_gmacs_per_second(kind) for kind in (torch.float32, torch.bfloat16))
    text = f"{float32:.0f} billion MACs a second in float32, {bfloat16:.0f} in bfloat16 (a matrix product)"
    winner = "bfloat16" if bfloat16 > 1.1 * float32 else "float32"
    return Finding(topic="arithmetic", status="ok", text=text, advice=f"--precision auto will likely take {winner}")


def measure_gmacs_per_second(dtype: object, seconds: float = 0.25) -> float:
    """Billions of multiply-accumulates (not FLOPs) a second in products of square matrices of one type."""
    import torch

    assert isinstance(dtype, torch.dtype)
    matrix = torch.ones(MATMUL_SIDE, MATMUL_SIDE, dtype=dtype)
    _ = matrix @ matrix
    num_products, start = 0, time.perf_counter()
    while num_products < 1 or time.perf_counter() - start < seconds:
        _ = matrix @ matrix
        num_products += 1
    return num_products * MATMUL_SIDE**3 / (time.perf_counter() - start) / 1e9


def look_at_memory() -> Finding:
    """Main memory that is free."""
    free_gib, all_gib = environment.count_free_memory_bytes() / GIB, environment.count_usable_memory_bytes() / GIB
    text = f"{free_gib:.1f} of {all_gib:.1f} GiB are free"
    if free_gib < 4:  # VGG-16's weights, gradients and momentum are 1.5 GiB before the first activation
        return Finding(
            topic="memory", status="slow", text=text, advice="close programs, or leave vgg16 out: it needs 4"
        )
    return Finding(topic="memory", status="ok", text=text, advice="")


def look_at_disk(cache_dir: Path) -> Finding:
    """Room for the decoded images."""
    existing = next(folder for folder in (cache_dir, *cache_dir.absolute().parents) if folder.exists())
    free_gib = shutil.disk_usage(existing).free / GIB
    text = f"{free_gib:.1f} GiB are free where the cache is, {cache_dir}"
    if free_gib < 2:
        advice = "free some, or set ROADTEST_CACHE to a folder on another disk"
        return Finding(topic="disk", status="slow", text=text, advice=advice)
    return Finding(topic="disk", status="ok", text=text, advice="")


def look_at_accelerator() -> Finding:
    """The GPU, its driver, and whether torch gets through a trial run on it."""
    device, reason = choose_device("auto")
    driver = environment.command_output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    driver = driver.replace("\n", "; ")
    if device != "cpu":
        text = f"{environment.gpu_name()} as {device}" + (f" (name and driver: {driver})" if driver else "")
        return Finding(topic="accelerator", status="ok", text=text, advice="")
    if reason is not None:
        return Finding(
            topic="accelerator", status="missing", text=reason, advice="mend its driver, or use --device cpu"
        )
    if driver:
        text = f"torch does not see the GPU that is there ({driver})"
        advice = "install a CUDA build of torch: https://pytorch.org/get-started/locally/"
        return Finding(topic="accelerator", status="missing", text=text, advice=advice)
    text = "none; everything runs on the processor"
    return Finding(topic="accelerator", status="ok", text=text, advice="expect minutes to hours for a comparison")


def look_at_torch() -> Finding:
    """Which build of torch this is."""
    import torch

    build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    return Finding(topic="torch", status="ok", text=f"torch {torch.__version__}, built {build}", advice="")


def look_at_extras() -> Finding:
    """Optional libraries that are not installed."""
    absent = {
        extra: [name for name in modules if importlib.util.find_spec(name) is None] for extra, modules in EXTRAS.items()
    }
    lacking = {extra: names for extra, names in absent.items() if names}
    if not lacking:
        return Finding(topic="extras", status="ok", text=f"{', '.join(EXTRAS)}: all libraries are there", advice="")
    text = "; ".join(f"{extra} lacks {', '.join(names)}" for extra, names in lacking.items())
    advice = f"pip install -e '.[{','.join(lacking)}]', in the checkout of roadtest"
    return Finding(topic="extras", status="missing", text=text, advice=advice)


def look_at_gtsrb(place_text: str | None, cache_dir: Path) -> Finding:
    """Whether the real GTSRB lies where ROADTEST_GTSRB says; where that says nothing, whether it was downloaded."""
    if not place_text:
        return _look_at_download(cache_dir / "gtsrb")
    place = Path(place_text).expanduser()
    is_there = any(place.iterdir()) if place.is_dir() else zipfile.is_zipfile(place)
    if not is_there:
        what = "an empty folder" if place.is_dir() else "neither a folder nor a zip"
        text = f"ROADTEST_GTSRB names {place}, {what}"
        return Finding(topic="gtsrb", status="missing", text=text, advice="correct it, or put your copy there")
    absent = _absent_archives(place)
    num_present = len(GTSRB_FILES) - len(absent)
    if num_present and absent:
        text = f"{place}: {num_present} of the 3 official archives"
        advice = f"put {' and '.join(absent)} there; if it lies there unpacked, `roadtest data check gtsrb` finds it"
        return Finding(topic="gtsrb", status="missing", text=text, advice=advice)
    kind = "the 3 official archives" if num_present else "unpacked, or of others"
    text = f"{place}: {kind if place.is_dir() else 'a zip'}"
    return Finding(topic="gtsrb", status="ok", text=text, advice="`roadtest data check gtsrb` looks inside")


def _look_at_download(folder: Path) -> Finding:
    """What a download has left in the cache; each archive gets its name once it is complete."""
    absent = _absent_archives(folder)
    if not absent:
        text = f"{folder}: the 3 official archives, downloaded"
        return Finding(topic="gtsrb", status="ok", text=text, advice="`roadtest data check gtsrb` looks inside")
    num_present = len(GTSRB_FILES) - len(absent)
    text = "ROADTEST_GTSRB is not set" + (f"; {folder} has {num_present} of the 3 archives" if num_present else "")
    rest = "the rest" if num_present else "it"
    advice = f"set it to the folder of your copy; otherwise `roadtest compare gtsrb` downloads {rest}"
    return Finding(topic="gtsrb", status="missing", text=text, advice=advice)


def _absent_archives(folder: Path) -> list[str]:
    return [name for name in GTSRB_FILES if not (folder / name).is_file()]
