"""A run as a folder that runs anywhere: ONNX file, class names, check, model card and a script that measures it.

    lenet5+stn-onnx/
    ├── model.onnx          uint8 images N x S x S x 3 in, logits and probabilities out, preprocessing inside
    ├── model-int8.onnx     with --int8
    ├── classes.json        the class names in the order of the outputs
    ├── manifest.json       which run this is, what was checked, with which result
    ├── sample.npz          ten images and the logits they must get
    ├── measure.py          needs only numpy and onnxruntime
    └── README.md           the model card

It is built under a private name and renamed when everything in it is written and checked: an export that fails leaves
nothing. The trained network itself, in PyTorch and float32, is what everything is compared with.

Compared are the run's validation images, where this computer's cache holds them and the run still predicts for them
what it did (the kept predictions prove that these are the same images in the same order); else synthetic signs, which
check the arithmetic alone. Calibrated is on training images, never validation, so that int8's validation accuracy is a
measurement. Packed for other computers are synthetic signs, unless the user decides to hand out images of the data.

N images, S x S pixels, K classes.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from roadtest.analysis.recommend import find_run
from roadtest.data.cache import decode_image, default_cache_dir, find_decoded
from roadtest.data.dataset import TRAIN
from roadtest.data.signs import list_signs
from roadtest.format import Row
from roadtest.inference.classifier import Classifier
from roadtest.inference.export import measure
from roadtest.inference.export.card import render_card
from roadtest.inference.export.onnx import (
    INPUT,
    LOGITS,
    PROBABILITIES,
    PYTORCH,
    Parity,
    Prepared,
    check_extra,
    compare_logits,
    join_parities,
    median_ms,
    open_session,
    run_logits,
    time_engines,
    write_graph,
    write_int8,
)
from roadtest.machine import count_usable_cores, describe_machine
from roadtest.records import Predictions, RunRecord, folder_name, read_predictions, read_rows, utc_now
from roadtest.records.disk import move_into_place, temporary_directory
from roadtest.records.events import Emit, Event, counting
from roadtest.records.measurements import INT8, ONNXRUNTIME, RUNTIMES
from roadtest.training.profile import LatencySample

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
MANIFEST_VERSION = 1
VARIANTS = {runtime: variant for variant, runtime in RUNTIMES.items()}
MAX_CHANGED = 0.01
"""A float32 file with more changed predictions is not the trained network; convention."""
MAX_CHECKED, MAX_CHECKED_BYTES = 5000, 1 << 28
"""Large images are fewer: each of them takes longer."""
MAX_AT_ONCE, MAX_BYTES_AT_ONCE = 256, 1 << 26
"""Images that are in memory at the same time, of however many are compared."""
NUM_CALIBRATION = 512
"""Convention: the range of an activation settles after a few hundred images."""
NUM_SYNTHETIC = 86
"""Two of each of the 43 signs; one takes some hundredths of a second."""
NUM_PACKED = 10
_LEAST_AGREEMENT = 0.95
"""Of the kept predictions, which may be bfloat16's, with float32's on the same images; on other images it is chance."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A bundle that was written, and what was found on the way."""

    folder: Path
    run_dir: Path
    record: RunRecord
    checked_on: str
    """The images that all were compared on, for people."""
    rows: list[Row]
    """One per engine: PyTorch, ONNX Runtime, and ONNX Runtime with int8 where that was asked for."""
    samples: list[LatencySample]
    words: str
    """Which run was taken, where a study was named; else empty."""


def export_run(
    path: str | Path,
    out: str | Path | None = None,
    *,
    has_int8: bool = False,
    has_own_images: bool = False,
    check_on: str = "val",
    network_file: str | None = None,
    num_threads: int | None = None,
    num_rounds: int = 5,
    seconds_per_visit: float = 0.25,
    cache_dir: Path | None = None,
    emit: Emit = lambda event: None,
) -> Exported:
    """Write the ONNX bundle of a run, or of the run that a study recommends, to a new folder.

    `check_on` is `val` or `test`; `has_own_images` packs validation images instead of synthetic signs; `num_rounds` 0
    leaves latency out. A ValueError says in one line what is in the way; nothing is left behind then.
    """
    check_extra()
    found = find_run(path)
    work = _Work(Classifier.from_run(found.path, network_file=network_file), found.path, num_threads, emit)
    folder = Path(f"{folder_name(work.record.label)}-onnx") if out is None else Path(out).expanduser()
    if folder.exists() or folder.is_symlink():
        raise ValueError(f"{folder} exists: a bundle is written to a new folder, whole or not at all; give another -o")
    own = find_run_images(work, cache_dir or default_cache_dir())
    packed_NHWC = _images_to_pack(own, work.record.image_size, has_own_images=has_own_images)
    images = _images_to_check(own, work, check_on, has_int8=has_int8)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_directory(folder.parent) as building:
        models = _write_models(building, work, own if has_int8 else None)
        parities = _compare(work, models, images)
        arrays: dict[str, Any] = {"images_NHWC": packed_NHWC, "logits_NK": work.predict(packed_NHWC)}
        if has_int8:  # as this computer computes them
            arrays["logits_int8_NK"] = run_logits(open_session(models[INT8], num_threads=work.num_threads), packed_NHWC)
        np.savez_compressed(building / "sample.npz", **arrays)
        samples = work.time(models, num_rounds, seconds_per_visit) if num_rounds else []
        rows = [_row(work, building, runtime, parity, samples) for runtime, parity in parities.items()]
        packed = "validation images" if has_own_images else "drawn signs"
        _write_descriptions(building, work, images.words, packed, rows)
        if not move_into_place(building, folder):
            raise ValueError(f"{folder} appeared meanwhile: give another -o")
    return Exported(
        folder=folder,
        run_dir=found.path,
        record=work.record,
        checked_on=images.words,
        rows=rows,
        samples=samples,
        words=found.words,
    )


class _Work:
    """The run that is being exported: its record, and its network with the preprocessing."""

    def __init__(self, classifier: Classifier, run_dir: Path, num_threads: int | None, emit: Emit) -> None:
        self.run_dir, self.record, self.batch_size = run_dir, classifier.record, classifier.batch_size
        self.prepared = Prepared(classifier.network, classifier.record.normalisation).eval()
        self.num_threads = num_threads or count_usable_cores()
        self.emit = emit

    @torch.inference_mode()
    def predict(self, images_NHWC: Bytes) -> Floats:
        """The trained network's logits_NK, in PyTorch and float32."""
        parts = torch.split(torch.from_numpy(np.ascontiguousarray(images_NHWC)), self.batch_size)
        logits_NK: Floats = torch.cat([self.prepared(part)[0] for part in parts]).numpy()
        return logits_NK

    def emit_phase(self, text: str) -> None:
        """Report what is being done."""
        self.emit(Event(kind="phase", label=self.record.label, seed=self.record.seed, text=text))

    def time(self, models: dict[str, Path], num_rounds: int, seconds_per_visit: float) -> list[LatencySample]:
        """Time all engines side by side."""
        self.emit_phase("measuring latency")
        return time_engines(
            self.prepared,
            models,
            self.record,
            num_threads=self.num_threads,
            num_rounds=num_rounds,
            seconds_per_visit=seconds_per_visit,
            on_progress=counting(self.emit, "latency"),
        )


def _write_models(building: Path, work: _Work, calibrated_on: "RunImages | str | None") -> dict[str, Path]:
    """Write the ONNX files; give them by the runtime's name in latency.csv."""
    work.emit_phase("writing ONNX")
    models = {ONNXRUNTIME: building / measure.FILES["float32"]}
    write_graph(models[ONNXRUNTIME], work.prepared, work.record)
    if isinstance(calibrated_on, RunImages):
        work.emit_phase("calibrating int8 on training images")
        models[INT8] = building / measure.FILES["int8"]
        write_int8(models[ONNXRUNTIME], models[INT8], calibrated_on.calibration())
    return models


def _compare(work: _Work, models: dict[str, Path], images: "CheckImages") -> dict[str, Parity]:
    """Every engine's logits beside PyTorch's; a float32 file that is not the trained network is refused."""
    work.emit_phase(f"comparing answers on {images.words}")
    sessions = {runtime: open_session(model, num_threads=work.num_threads) for runtime, model in models.items()}
    parts: dict[str, list[Parity]] = {runtime: [] for runtime in (PYTORCH, *sessions)}
    for images_NHWC, labels_N in images.batches():
        expected_NK = work.predict(images_NHWC)
        parts[PYTORCH].append(compare_logits(expected_NK, expected_NK, labels_N))
        for runtime, session in sessions.items():
            parts[runtime].append(compare_logits(expected_NK, run_logits(session, images_NHWC), labels_N))
    parities = {runtime: join_parities(found) for runtime, found in parts.items()}
    parity = parities[ONNXRUNTIME]
    if parity.num_changed > MAX_CHANGED * parity.num_images or not np.isfinite(parity.largest_difference):
        raise ValueError(
            f"{work.record.label} answers {parity.num_changed:,} of {parity.num_images:,} images otherwise as ONNX "
            f"(largest difference {parity.largest_difference:.3g}): it is not exported; take another network"
        )
    return parities


def _row(work: _Work, building: Path, runtime: str, parity: Parity, samples: list[LatencySample]) -> Row:
    """What is known of one engine; accuracies are of the compared images, None where they have no labels."""
    is_torch = runtime == PYTORCH
    path = work.run_dir / "weights.safetensors" if is_torch else building / measure.FILES[VARIANTS[runtime]]
    correct = parity.num_correct
    return {
        "runtime": runtime,
        "precision": VARIANTS.get(runtime, "float32"),
        "file": path.name,
        "size_bytes": path.stat().st_size,
        "num_images": parity.num_images,
        "largest_difference": parity.largest_difference,
        "largest_logit": parity.largest_logit,
        "num_changed": parity.num_changed,
        "num_correct": correct,
        "val_accuracy": None if correct is None else correct / parity.num_images,
        "num_threads": work.num_threads,
        "latency_p50_ms": median_ms(samples, runtime, 1),
        "latency_64_p50_ms": median_ms(samples, runtime, 64),
        "is_busy": any(one.is_busy for one in samples if one.runtime == runtime) if samples else None,
    }


def _write_descriptions(building: Path, work: _Work, checked_on: str, packed: str, rows: list[Row]) -> None:
    """Write manifest, class names, the measuring script and the model card."""
    record, machine = work.record, describe_machine()
    identity = ("network", "has_stn", "seed", "protocol_name", "protocol_fingerprint", "data_title", "data_fingerprint")
    manifest = {
        "kind": "roadtest bundle",
        "manifest_version": MANIFEST_VERSION,
        "roadtest": version("roadtest"),
        "run": {name: getattr(record, name) for name in identity},  # `add-device` compares it with the study
        "input": {"name": INPUT, "type": "uint8", "shape": ["batch", record.image_size, record.image_size, 3]},
        "outputs": {LOGITS: ["batch", len(record.class_names)], PROBABILITIES: ["batch", len(record.class_names)]},
        "compared_on": checked_on,
        "packed": packed,
        "engines": rows,
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(building.iterdir())},
        "machine": asdict(machine),
        "exported_at": utc_now(),
    }
    for name, value in (("manifest.json", manifest), ("classes.json", record.class_names)):
        text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (building / name).write_text(text, encoding="utf-8")
    shutil.copyfile(measure.__file__, building / "measure.py")
    card = render_card(work.run_dir, record, rows, checked_on=checked_on, packed=packed, machine=machine)
    (building / "README.md").write_text(card, encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class CheckImages:
    """Images to predict, as the network takes them. They stay in their file until they are used."""

    stored_NHWC: Bytes
    """Memory-mapped in the cache, with others among them."""
    ids_N: Ints
    """Which rows of it they are, in the order of predicting."""
    labels_N: Ints | None
    """Per id; None where they are not of the network's classes, or not to be looked at."""
    words: str
    """What they are, for people."""

    def batches(self) -> Iterator[tuple[Bytes, Ints | None]]:
        """All images in their order, so few at a time that memory does not grow with their number."""
        num_at_once = max(1, min(MAX_AT_ONCE, MAX_BYTES_AT_ONCE // self.stored_NHWC[0].nbytes))
        for start in range(0, len(self.ids_N), num_at_once):
            part = slice(start, start + num_at_once)
            yield self.stored_NHWC[self.ids_N[part]], None if self.labels_N is None else self.labels_N[part]


@dataclass(frozen=True, kw_only=True)
class RunImages:
    """The images that a run was trained and judged on, found in the cache."""

    run_dir: Path
    images_NHWC: Bytes
    """Memory-mapped; a row per row of the study's split.csv."""
    val: Predictions

    def validation(self) -> CheckImages:
        """The run's validation images, evenly thinned out where they are many."""
        num_all = len(self.val.labels_N)
        chosen_N = _spread(np.arange(num_all), min(MAX_CHECKED, MAX_CHECKED_BYTES // self.images_NHWC[0].nbytes))
        share = f"all {num_all:,}" if len(chosen_N) == num_all else f"{len(chosen_N):,} of the {num_all:,}"
        return CheckImages(
            stored_NHWC=self.images_NHWC,
            ids_N=self.val.image_ids_N[chosen_N],
            labels_N=self.val.labels_N[chosen_N],
            words=f"{share} validation images",
        )

    def test(self) -> CheckImages:
        """The test images of a run that has read them, without their labels."""
        if not (self.run_dir / "test.npz").exists():
            raise ValueError(f"--check-on test: {self.run_dir} has not read the test set; leave it out, val is checked")
        ids_N = read_predictions(self.run_dir / "test.npz").image_ids_N
        if ids_N.max() >= len(self.images_NHWC):
            raise ValueError(
                f"--check-on test: the test images of {self.run_dir} are not in this cache; give the study's compare "
                "command again here, or leave it out"
            )
        words = f"all {len(ids_N):,} test images"
        return CheckImages(stored_NHWC=self.images_NHWC, ids_N=ids_N, labels_N=None, words=words)

    def calibration(self) -> Bytes:
        """A few hundred training images, evenly over the classes' order."""
        rows = read_rows(self.run_dir.parent.parent / "split.csv", ("split",))
        is_train_N = np.array([row["split"] == TRAIN for row in rows], bool)
        is_train_N[self.val.image_ids_N[self.val.image_ids_N < len(rows)]] = False
        ids_N = _spread(np.flatnonzero(is_train_N), NUM_CALIBRATION)
        if not 0 < len(rows) <= len(self.images_NHWC) or not len(ids_N):
            raise ValueError(
                f"--int8 is calibrated on training images, and {self.run_dir} lies in no study that says which these "
                "are: export it from its study, or leave --int8 out"
            )
        return self.images_NHWC[ids_N]


def find_run_images(work: _Work, cache_dir: Path) -> RunImages | str:
    """Find the images of a run in the cache; a line that says why not where they are not there."""
    record, run_dir = work.record, work.run_dir
    if not (run_dir / "val.npz").exists():
        return f"{run_dir} keeps no validation answers"
    val = read_predictions(run_dir / "val.npz")
    chosen_N = _spread(np.arange(len(val.labels_N)), 200)
    reason = f"the images of {record.data_title} are not in the cache of this computer"
    for images_NHWC in find_decoded(cache_dir, fingerprint=record.data_fingerprint, image_size=record.image_size):
        if val.image_ids_N.max() >= len(images_NHWC) or val.labels_N.max() >= len(record.class_names):
            reason = f"the images of {record.data_title} in the cache are fewer than the run's"
            continue
        predicted_N = work.predict(images_NHWC[val.image_ids_N[chosen_N]]).argmax(1)
        agreement = float(np.mean(predicted_N == val.logits_NK[chosen_N].argmax(1)))
        if agreement >= _LEAST_AGREEMENT:
            return RunImages(run_dir=run_dir, images_NHWC=images_NHWC, val=val)
        reason = f"the run answers {100 * (1 - agreement):.0f} % of the images in the cache otherwise than it did"
    return reason


def _images_to_check(own: RunImages | str, work: _Work, check_on: str, *, has_int8: bool) -> CheckImages:
    if check_on not in ("val", "test"):
        raise ValueError(f"--check-on {check_on!r} is not known: choose val or test")
    if not isinstance(own, str):
        return own.test() if check_on == "test" else own.validation()
    again = "give the study's compare command again on this computer, which decodes them"
    if has_int8:
        raise ValueError(f"--int8 is calibrated on training images, and {own}: {again}, or leave --int8 out")
    if check_on == "test":
        raise ValueError(f"--check-on test compares test images, and {own}: {again}, or leave it out")
    work.emit(Event(kind="warning", text=f"{own}: compared on drawn signs, without accuracy"))
    return synthetic_images(work.record.image_size, NUM_SYNTHETIC)


def _images_to_pack(own: RunImages | str, image_size: int, *, has_own_images: bool) -> Bytes:
    """Ten images for sample.npz: synthetic ones, or validation images where the user hands them out."""
    if not has_own_images:
        return synthetic_images(image_size, NUM_PACKED).stored_NHWC
    if isinstance(own, str):
        raise ValueError(f"--with-images packs validation images, and {own}: leave it out to pack drawn signs")
    validation = own.validation()
    return validation.stored_NHWC[_spread(validation.ids_N, NUM_PACKED)]


def synthetic_images(image_size: int, num_images: int) -> CheckImages:
    """Synthetic signs of every kind; the same on every computer."""
    listing = list_signs()
    items = [listing.items[i] for i in np.linspace(0, len(listing.items) - 1, num_images).astype(int)]
    images = [decode_image(listing.read_image(item), image_size)[0] for item in items]
    words = f"{num_images} signs drawn by roadtest, without labels of these classes"
    return CheckImages(stored_NHWC=np.stack(images), ids_N=np.arange(num_images), labels_N=None, words=words)


def _spread(ids_N: Ints, num_most: int) -> Ints:
    """All of them, or so many at even distances."""
    if len(ids_N) <= num_most:
        return ids_N
    return ids_N[np.linspace(0, len(ids_N) - 1, num_most).astype(np.int64)]
