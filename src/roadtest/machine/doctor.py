"""The doctor: what on this computer is good, slow or missing for comparing networks, and what to do about it.

Each finding is a line of its own and none stops the others. Arithmetic is measured for half a second, not guessed from
a name; everything else is only looked up.
"""

import importlib.util
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from roadtest.machine import environment
from roadtest.machine.device import choose_device
from roadtest.records.schema import Finding

GIB = 1 << 30
MATMUL_SIDE = 768
"""Matrices large enough to keep every core busy, small enough for a few milliseconds each."""
EXTRAS = {"export": ("onnx", "onnxscript", "onnxruntime")}
"""Optional parts of roadtest and the modules they need."""
Status = Literal["ok", "slow", "missing"]


class Result(NamedTuple):
    """What one check found, and what to do; empty where nothing is to be done."""

    status: Status
    text: str
    advice: str = ""


def doctor_findings(cache_dir: Path, gtsrb_files: Sequence[str]) -> list[Finding]:
    """Run every check, in about three seconds; `gtsrb_files` are the names of the official archives."""
    checks: dict[str, Callable[[], Result]] = {
        "load": check_load,
        "processor": check_processor,
        "threads": check_threads,
        "arithmetic": check_arithmetic,
        "memory": check_memory,
        "disk": lambda: check_disk(cache_dir),
        "accelerator": check_accelerator,
        "torch": check_torch,
        "extras": check_extras,
        "gtsrb": lambda: check_gtsrb(os.environ.get("ROADTEST_GTSRB"), cache_dir, gtsrb_files),
    }
    findings = []
    for topic, check in checks.items():
        try:
            result = check()
        except Exception as error:  # whatever a driver, a library or a folder without rights does not like
            reason = " ".join(str(error).split()) or type(error).__name__
            result = Result("missing", f"could not be looked at: {reason}", "mend that first, where you need it")
        findings.append(Finding(topic=topic, severity=result.status, text=result.text, advice=result.advice))
    return findings


def check_load() -> Result:
    """Whether other processes compute now, which spoils every time."""
    load = environment.measure_load()
    text = f"other processes use {load:.0%} of the {environment.count_usable_cores()} cores now"
    return Result("slow", text, "stop them before you measure times") if load > 0.1 else Result("ok", text)


def check_processor() -> Result:
    """The processor and the vector instructions that decide its speed."""
    flags = environment.cpu_flags()
    text = f"{environment.cpu_name()}: {', '.join(flags) or 'no vector instructions known here'}"
    if environment.NATIVE_BFLOAT16_FLAGS.isdisjoint(flags):
        advice = "leave --precision at auto: bfloat16 would be several times slower on this processor"
        return Result("ok", f"{text}; bfloat16 is not native", advice)
    return Result("ok", f"{text}; bfloat16 is native")


def check_threads() -> Result:
    """The threads that torch uses, beside the cores there are for it."""
    import torch

    num_threads, num_cores = torch.get_num_threads(), environment.count_usable_cores()
    text = f"torch uses {num_threads} threads on {num_cores} usable of {os.cpu_count()} cores"
    if num_threads > num_cores:
        return Result("slow", text, f"give --threads {num_cores}: more threads than cores wait for each other")
    return Result("ok", text)


def check_arithmetic() -> Result:
    """The processor's speed in a matrix product, in both precisions."""
    import torch

    float32, bfloat16 = (measure_gmacs_per_second(kind) for kind in (torch.float32, torch.bfloat16))
    text = f"{float32:.0f} billion MACs a second in float32, {bfloat16:.0f} in bfloat16 (a matrix product)"
    winner = "bfloat16" if bfloat16 > 1.1 * float32 else "float32"
    return Result("ok", text, f"--precision auto will likely take {winner}")


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


def check_memory() -> Result:
    """Main memory that is free."""
    free_gib, all_gib = environment.count_free_memory_bytes() / GIB, environment.count_usable_memory_bytes() / GIB
    text = f"{free_gib:.1f} of {all_gib:.1f} GiB are free"
    if free_gib < 4:  # VGG-16's weights, gradients and momentum are 1.5 GiB before the first activation
        return Result("slow", text, "close programs, or leave vgg16 out: it needs 4")
    return Result("ok", text)


def check_disk(cache_dir: Path) -> Result:
    """Room for the decoded images."""
    existing = next(folder for folder in (cache_dir, *cache_dir.absolute().parents) if folder.exists())
    free_gib = shutil.disk_usage(existing).free / GIB
    text = f"{free_gib:.1f} GiB are free where the cache is, {cache_dir}"
    if free_gib < 2:
        return Result("slow", text, "free some, or set ROADTEST_CACHE to a folder on another disk")
    return Result("ok", text)


def check_accelerator() -> Result:
    """The GPU, its driver, and whether torch gets through a trial run on it."""
    device, reason = choose_device("auto")
    driver = environment.command_output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    driver = driver.replace("\n", "; ")
    if device != "cpu":
        named = f" (name and driver: {driver})" if driver else ""
        return Result("ok", f"{environment.gpu_name()} as {device}{named}")
    if reason is not None:
        return Result("missing", reason, "mend its driver, or use --device cpu")
    if driver:
        text = f"torch does not see the GPU that is there ({driver})"
        return Result("missing", text, "install a CUDA build of torch: https://pytorch.org/get-started/locally/")
    return Result("ok", "none; everything runs on the processor", "expect minutes to hours for a comparison")


def check_torch() -> Result:
    """Which build of torch this is."""
    import torch

    build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    return Result("ok", f"torch {torch.__version__}, built {build}")


def check_extras() -> Result:
    """Optional libraries that are not installed."""
    absent = {
        extra: [name for name in modules if importlib.util.find_spec(name) is None] for extra, modules in EXTRAS.items()
    }
    lacking = {extra: names for extra, names in absent.items() if names}
    if not lacking:
        return Result("ok", f"{', '.join(EXTRAS)}: all libraries are there")
    text = "; ".join(f"{extra} lacks {', '.join(names)}" for extra, names in lacking.items())
    return Result("missing", text, f"pip install -e '.[{','.join(lacking)}]', in the checkout of roadtest")


def check_gtsrb(place_text: str | None, cache_dir: Path, files: Sequence[str]) -> Result:
    """Whether the real GTSRB is where ROADTEST_GTSRB says; where that is not set, whether it was downloaded."""
    place = Path(place_text).expanduser() if place_text else cache_dir / "gtsrb"
    absent = [name for name in files if not (place / name).is_file()]
    num_present, look_inside = len(files) - len(absent), "`roadtest data check gtsrb` looks inside"
    if not place_text:  # a download gives each archive its name once it is complete
        if not absent:
            return Result("ok", f"{place}: the {len(files)} official archives, downloaded", look_inside)
        some = f"; {place} has {num_present} of the {len(files)} archives" if num_present else ""
        rest = "the rest" if num_present else "it"
        advice = f"set it to the folder of your copy; otherwise `roadtest compare gtsrb` downloads {rest}"
        return Result("missing", f"ROADTEST_GTSRB is not set{some}", advice)
    if not (any(place.iterdir()) if place.is_dir() else zipfile.is_zipfile(place)):
        what = "an empty folder" if place.is_dir() else "neither a folder nor a zip"
        return Result("missing", f"ROADTEST_GTSRB names {place}, {what}", "correct it, or put your copy there")
    if num_present and absent:
        text = f"{place}: {num_present} of the {len(files)} official archives"
        advice = f"put {' and '.join(absent)} there; if it lies there unpacked, `roadtest data check gtsrb` finds it"
        return Result("missing", text, advice)
    kind = f"the {len(files)} official archives" if num_present else "unpacked, or of others"
    return Result("ok", f"{place}: {kind if place.is_dir() else 'a zip'}", look_inside)
