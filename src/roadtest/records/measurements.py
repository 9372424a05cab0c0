"""Measurements of a study's networks on other devices: what `measure.py` wrote there, checked and kept.

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

from roadtest.format import Row, network_label
from roadtest.records.disk import refuse_link, write_atomically
from roadtest.records.files import read_study_info
from roadtest.records.schema import PlannedRun, StudyInfo, folder_name
from roadtest.records.text_files import DamagedFileError, build, read_json, read_rows, to_json, write_rows

KIND = "roadtest measurement"
ONNXRUNTIME, INT8 = "onnxruntime", "onnxruntime-int8"
"""Runtimes of latency.csv that run exported networks."""
RUNTIMES = {"float32": ONNXRUNTIME, "int8": INT8}
HERE = "cpu"
"""The device of ONNX Runtime's rows that `export` measured on the study's computer."""
COLUMNS = (
    *("network", "has_stn", "runtime", "device", "batch_size", "num_threads"),
    *("round", "sample", "latency_ms", "is_busy"),
)
RESERVED = ("auto", "cpu", "cuda", "mps", "onnx", "latency")
"""The last two begin columns that the leaderboard has already."""
MAX_SAMPLES, MAX_TEXT = 100_000, 300
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
        _check_numbers(measurement)
        _check_texts(measurement)
    except ValueError as error:
        reason = error.reason if isinstance(error, DamagedFileError) else error
        raise ValueError(f"{path} is no measurement ({reason}): {_WANTED}") from None
    return measurement


def add_device(study_dir: Path, path: Path, name: str | None = None) -> tuple[str, Measurement]:
    """Keep a measurement in a study under a device's name, in place of an earlier one of the same network.

    The name is the file's where none is given: pi5.json is pi5. Nothing is written where a ValueError is raised.
    """
    device = path.stem if name is None else name
    if not _is_name(device):
        raise ValueError(
            f"{f'--name {name!r}' if name is not None else f'the file name {device!r}'} is no name for a device: small "
            f"letters, digits and _ begin with a letter, at most 24, and not {', '.join(RESERVED)}; give --name pi5"
        )
    info, measurement = read_study_info(study_dir), read_measurement(path)
    _check_is_of(info, measurement, study_dir, path)
    folder = refuse_link(refuse_link(study_dir / "devices") / device)
    run = {"network": measurement.run.network, "has_stn": measurement.run.has_stn, "device": device}
    run["runtime"] = RUNTIMES[measurement.variant]
    replace_latencies(study_dir, [run | asdict(sample) for sample in measurement.samples])
    folder.mkdir(parents=True, exist_ok=True)
    suffix = "-int8" if measurement.variant == "int8" else ""
    write_atomically(folder / f"{folder_name(measurement.label)}{suffix}.json", to_json(measurement))
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

    def key(row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in ("network", "has_stn", "runtime", "device"))

    path = study_dir / "latency.csv"
    new = [{name: row[name] for name in COLUMNS} for row in rows]
    replaced = {key(row) for row in new}
    kept = [row for row in read_rows(path, COLUMNS) if key(row) not in replaced]
    write_rows(path, [*kept, *new], COLUMNS)


def is_exported(row: Mapping[str, Any]) -> bool:
    """Whether a row of latency.csv is an exported network's, which PyTorch's measurements leave as it is."""
    return str(row["runtime"]) in RUNTIMES.values()


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[a-z][a-z0-9_]{0,23}", name) is not None and name not in RESERVED


def _check_is_of(info: StudyInfo, measurement: Measurement, study_dir: Path, path: Path) -> None:
    """Refuse a measurement of another study's network."""
    run = measurement.run
    if run.protocol_fingerprint != info.protocol_fingerprint or run.data_fingerprint != info.data_fingerprint:
        what = "data" if run.data_fingerprint != info.data_fingerprint else "protocol"
        raise ValueError(f"{path} measures a network of another {what} than {study_dir}: name its own study")
    if PlannedRun(network=run.network, has_stn=run.has_stn, seed=run.seed) not in info.runs:
        raise ValueError(f"{path} measures {measurement.label}, seed {run.seed}, no run of {study_dir}: name its study")


def _check_numbers(measurement: Measurement) -> None:
    """Bounds that no real measurement exceeds; a ValueError says which one is."""
    if measurement.variant not in RUNTIMES:
        raise ValueError(f"variant is {measurement.variant[:40]!r}, not float32 or int8")
    bounds: list[tuple[str, float, float, float]] = [
        ("the number of samples", len(measurement.samples), 1, MAX_SAMPLES),
        ("num_checked", measurement.num_checked, 0, 10_000),
        ("num_changed", measurement.num_changed, 0, measurement.num_checked),
        ("largest_difference", measurement.largest_difference, 0, 1e30),
        ("peak_memory_bytes", measurement.peak_memory_bytes or 0, 0, 2**50),
        ("num_cores", measurement.machine.num_cores, 1, 10_000),
        ("the number of versions", len(measurement.machine.versions), 0, 20),
    ]
    for sample in measurement.samples[: MAX_SAMPLES + 1]:
        bounds += [
            ("batch_size", sample.batch_size, 1, 65_536),
            ("num_threads", sample.num_threads, 1, 4096),
            ("round", sample.round, 0, MAX_SAMPLES),
            ("sample", sample.sample, 0, MAX_SAMPLES),
            ("latency_ms", sample.latency_ms, 1e-6, 1e7),
        ]
    for name, value, low, high in bounds:
        if not low <= value <= high:
            raise ValueError(f"{name} is {value:g}, not {low:g} to {high:g}")
    if not any(sample.batch_size == 1 for sample in measurement.samples):
        raise ValueError("it has no sample of one image alone")


def _check_texts(measurement: Measurement) -> None:
    """Texts are of one line and short; a title, which nothing prints, is only short."""
    machine, run = measurement.machine, measurement.run
    if re.fullmatch(r"([0-9a-f]{64})?", measurement.model_sha256) is None:
        raise ValueError(f"model_sha256 is {measurement.model_sha256[:40]!r}, not 64 hexadecimal digits")
    pairs = (word for pair in machine.versions.items() for word in pair)
    lines = (machine.cpu_name, machine.system, machine.python, measurement.measured_at, *pairs)
    for text in (run.protocol_name, run.data_title, *lines):
        if len(text) > MAX_TEXT or (text in lines and not text.isprintable()):
            raise ValueError(f"{text[:40]!r} is no text of one line and at most {MAX_TEXT} characters")
