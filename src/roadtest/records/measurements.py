"""Other computers that a study's networks were measured on: what `measure.py` wrote there, checked and kept.

    STUDY/devices/pi5/lenet5+stn.json    the whole measurement: machine, memory, differences, samples
    STUDY/latency.csv                    its samples, as rows with the runtime onnxruntime and the device pi5

A measurement is a file from elsewhere: its size, types and numbers are checked, and it must name a run of this study.
Rows of latency.csv that PyTorch did not write are replaced by network, runtime and device; the others stay.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roadtest.format import Row
from roadtest.records.files import read_rows, read_study_info, refuse_link, to_json, write_atomically, write_rows
from roadtest.records.schema import PlannedRun, StudyInfo, build, folder_name, network_label, read_json

KIND = "roadtest measurement"


ONNXRUNTIME, INT8 = "onnxruntime", "onnxruntime-int8"
"""Runtimes of latency.csv that run exported networks."""


HERE = "cpu"
"""The device of ONNX Runtime's rows that `export` measured on the study's computer."""


RUNTIMES = {"float32": ONNXRUNTIME, "int8": INT8}


COLUMNS = (
    *("network", "has_stn", "runtime", "device", "batch_size", "num_threads"),
    *("round", "sample", "latency_ms", "is_busy"),
)


RESERVED = ("auto", "cpu", "cuda", "mps", "onnx", "latency")
"""The last two begin columns that the leaderboard has already."""


MAX_SAMPLES = 100_000


MAX_TEXT = 300


MAX_LATENCY_MS = 1e7
"""Almost three hours for a batch."""


_WANTED = "give what `python measure.py > pi5.json` wrote on the device"


@dataclass(frozen=True, kw_only=True)
class MeasuredRun:
    """The run whose network was measured, as the bundle's manifest names it."""

    network: str
    has_stn: bool
    seed: int
    protocol_fingerprint: str
    data_fingerprint: str
    protocol_name: str = ""
    data_title: str = ""


@dataclass(frozen=True, kw_only=True)
class MeasuredMachine:
    """The computer."""

    cpu_name: str
    num_cores: int
    system: str
    python: str
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class MeasuredSample:
    """One timed batch."""

    batch_size: int
    num_threads: int
    round: int
    sample: int
    latency_ms: float
    is_busy: bool


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What `measure.py` printed."""

    kind: str
    run: MeasuredRun
    variant: str
    """`float32` or `int8`."""
    num_checked: int
    num_changed: int
    """Of the packed images, predictions that differ from those where the network was exported."""
    largest_difference: float
    """Of any two logits there."""
    peak_memory_bytes: int | None
    """Of the process, with one image at a time; None where the system does not say."""
    machine: MeasuredMachine
    measured_at: str
    samples: tuple[MeasuredSample, ...]
    schema_version: int
    model_sha256: str = ""
    """Of the file that was measured, which the bundle's manifest names too."""

    @property
    def label(self) -> str:
        """`lenet5+stn`."""
        return network_label(self.run.network, self.run.has_stn)


def read_measurement(path: Path) -> Measurement:
    """Read a file that `measure.py` wrote; a ValueError in one line says what is wrong with it."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}: {_WANTED}")
    try:
        plain = read_json(path)
        if plain.get("kind") != KIND:
            raise ValueError(f"its kind is {str(plain.get('kind'))[:40]!r}")
        measurement = build(Measurement, plain, path)
        _check(measurement)
    except ValueError as error:
        reason = str(error).removeprefix(f"{path} is damaged (").partition("): restore it")[0]
        raise ValueError(f"{path} is no measurement ({reason}): {_WANTED}") from None
    return measurement


def add_device(study_dir: Path, path: Path, name: str | None = None) -> tuple[str, Measurement]:
    """Keep a measurement in a study under a device's name, in place of an earlier one of the same network.

    The name is the file's without a word: pi5.json is pi5. Nothing is written where a ValueError is raised.
    """
    device = _checked_name(path.stem if name is None else name, is_given=name is not None)
    info, measurement = read_study_info(study_dir), read_measurement(path)
    _check_is_of(info, measurement, study_dir, path)
    folder = refuse_link(refuse_link(study_dir / "devices") / device)
    replace_latencies(study_dir, _latency_rows(measurement, device))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _file_name(measurement), to_json(measurement))
    return device, measurement


def read_devices(study_dir: Path) -> dict[str, list[Measurement]]:
    """Every device of a study with its measurements; a ValueError names a damaged file."""
    found: dict[str, list[Measurement]] = {}
    for path in sorted((study_dir / "devices").glob("*/*.json")):
        if _is_name(path.parent.name):
            found.setdefault(path.parent.name, []).append(read_measurement(path))
    return found


def latency_summary(measurement: Measurement, device: str) -> list[Row]:
    """Percentiles per batch size and number of threads, in the order measured."""
    groups: dict[tuple[int, int], list[MeasuredSample]] = {}
    for sample in measurement.samples:
        groups.setdefault((sample.batch_size, sample.num_threads), []).append(sample)
    return [
        {
            "device": device,
            "network": measurement.run.network,
            "has_stn": measurement.run.has_stn,
            "runtime": RUNTIMES[measurement.variant],
            "batch_size": batch_size,
            "num_threads": num_threads,
            "num_samples": len(samples),
            "latency_p50_ms": float(np.percentile([sample.latency_ms for sample in samples], 50)),
            "latency_p90_ms": float(np.percentile([sample.latency_ms for sample in samples], 90)),
            "is_busy": any(sample.is_busy for sample in samples),
        }
        for (batch_size, num_threads), samples in groups.items()
    ]


def replace_latencies(study_dir: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of exported networks into latency.csv, in place of those of the same network, runtime and device."""
    path = study_dir / "latency.csv"
    new = [{name: row[name] for name in COLUMNS} for row in rows]
    replaced = {_key(row) for row in new}
    kept = [row for row in read_rows(path, COLUMNS) if _key(row) not in replaced]
    write_rows(path, [*kept, *new], COLUMNS)


def is_exported(row: Mapping[str, Any]) -> bool:
    """Whether a row of latency.csv is an exported network's, which PyTorch's measurements leave as it is."""
    return str(row["runtime"]) in RUNTIMES.values()


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in ("network", "has_stn", "runtime", "device"))


def _latency_rows(measurement: Measurement, device: str) -> list[Row]:
    where = {"network": measurement.run.network, "has_stn": measurement.run.has_stn, "device": device}
    where["runtime"] = RUNTIMES[measurement.variant]
    return [where | asdict(sample) for sample in measurement.samples]


def _file_name(measurement: Measurement) -> str:
    return folder_name(measurement.label) + ("-int8" if measurement.variant == "int8" else "") + ".json"


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[a-z][a-z0-9_]{0,23}", name) is not None and name not in RESERVED


def _checked_name(name: str, *, is_given: bool) -> str:
    if _is_name(name):
        return name
    what = f"--name {name!r}" if is_given else f"the file's name {name!r}"
    raise ValueError(
        f"{what} is no name for a device: small letters, digits and _ begin with a letter, at most 24, and not "
        f"{', '.join(RESERVED)}; give --name pi5"
    )


def _check_is_of(info: StudyInfo, measurement: Measurement, study_dir: Path, path: Path) -> None:
    """Refuse a measurement of another study's network."""
    run = measurement.run
    if run.protocol_fingerprint != info.protocol_fingerprint or run.data_fingerprint != info.data_fingerprint:
        what = "data" if run.data_fingerprint != info.data_fingerprint else "protocol"
        raise ValueError(f"{path} measures a network of another {what} than {study_dir}: name its own study")
    if PlannedRun(network=run.network, has_stn=run.has_stn, seed=run.seed) not in info.runs:
        raise ValueError(f"{path} measures {measurement.label}, seed {run.seed}, no run of {study_dir}: name its study")


def _check(measurement: Measurement) -> None:
    """Bounds that no real measurement exceeds; a ValueError says which one is."""
    if measurement.variant not in RUNTIMES:
        raise ValueError(f"variant is {measurement.variant[:40]!r}, not float32 or int8")
    if not 0 < len(measurement.samples) <= MAX_SAMPLES:
        raise ValueError(f"it has {len(measurement.samples):,} samples, not 1 to {MAX_SAMPLES:,}")
    for sample in measurement.samples:
        _check_sample(sample)
    if not any(sample.batch_size == 1 for sample in measurement.samples):
        raise ValueError("it has no sample of one image alone")
    if not 0 <= measurement.num_changed <= measurement.num_checked <= 10_000 or measurement.largest_difference < 0:
        raise ValueError("num_checked, num_changed and largest_difference do not fit together")
    if not 0 <= (measurement.peak_memory_bytes or 0) <= 2**50:
        raise ValueError(f"peak_memory_bytes is {measurement.peak_memory_bytes}")
    _check_texts(measurement)


def _check_texts(measurement: Measurement) -> None:
    """Texts are of one line and short; a title, which nothing prints, is only short."""
    machine, run = measurement.machine, measurement.run
    if not 1 <= machine.num_cores <= 10_000 or len(machine.versions) > 20:
        raise ValueError("num_cores or versions of the machine are out of range")
    if re.fullmatch(r"([0-9a-f]{64})?", measurement.model_sha256) is None:
        raise ValueError(f"model_sha256 is {measurement.model_sha256[:40]!r}, not 64 hexadecimal digits")
    for text in (run.protocol_name, run.data_title):
        if len(text) > MAX_TEXT:
            raise ValueError(f"{text[:40]!r} is longer than {MAX_TEXT} characters")
    pairs = (word for pair in machine.versions.items() for word in pair)
    for text in (machine.cpu_name, machine.system, machine.python, measurement.measured_at, *pairs):
        if len(text) > MAX_TEXT or not text.isprintable():
            raise ValueError(f"{text[:40]!r} is no text of one line and at most {MAX_TEXT} characters")


def _check_sample(sample: MeasuredSample) -> None:
    bounds = (
        ("batch_size", 1, 65_536),
        ("num_threads", 1, 4096),
        ("round", 0, MAX_SAMPLES),
        ("sample", 0, MAX_SAMPLES),
        ("latency_ms", 1e-6, MAX_LATENCY_MS),
    )
    for name, low, high in bounds:
        if not low <= getattr(sample, name) <= high:
            raise ValueError(f"{name} is {getattr(sample, name):g}, not {low:g} to {high:g}")
