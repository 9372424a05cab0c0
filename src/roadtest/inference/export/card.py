"""The model card of a bundle: what it is, how to run it, what was measured, and what it cannot do.

Every sentence follows from the records: nothing is written that was not measured, whether the study has one seed or
ten. Where the run lies in no study, intervals are left out and that is said. Names of classes and data may come from
anybody: they are escaped.
"""

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from roadtest.analysis import ACCURACY, Estimate, Results, Variant, estimate_score, read_results
from roadtest.format import Row, plural, speak_of
from roadtest.records import Machine, RunRecord, SetResult, StudyInfo, read_predictions, read_study_info

DASH = "–"
NUM_WEAKEST = 3
LEAST_OF_A_CLASS = 10
"""Images below which a class's recall is no figure worth printing; convention."""
_ENGINES = {
    "pytorch": "PyTorch, float32: the trained network",
    "onnxruntime": "ONNX Runtime, float32",
    "onnxruntime-int8": "ONNX Runtime, int8",
}

_SNIPPET = """```python
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
with open("classes.json", encoding="utf-8") as file:
    names = json.load(file)

picture = ImageOps.exif_transpose(Image.open("picture.png")).convert("RGB")
picture = picture.resize(({size}, {size}), Image.Resampling.BILINEAR)
probabilities = session.run(["probabilities"], {{"images": np.asarray(picture)[None]}})[0][0]
print(names[probabilities.argmax()], probabilities.max())
```"""


def render_card(
    run_dir: Path, record: RunRecord, rows: Sequence[Row], *, checked_on: str, packed: str, machine: Machine
) -> str:
    """The README.md of a bundle, in Markdown."""
    info = find_study_info(run_dir, record)
    results = read_results(run_dir.parent.parent) if info else None
    parts = [
        _head(record),
        _use(record, rows),
        _data(record, info),
        _training(record),
        _figures(record, results),
        _export(rows, checked_on, machine),
        _limits(run_dir, record, rows, info),
        _files(rows, packed),
    ]
    return speak_of("\n\n".join(parts) + "\n", record.data_title)


def find_study_info(run_dir: Path, record: RunRecord) -> StudyInfo | None:
    """The study that a run lies in; None where it lies in none, or in one that does not plan it."""
    study_dir = run_dir.resolve().parent.parent
    if not (study_dir / "study.json").exists():
        return None
    info = read_study_info(study_dir)
    is_there = record.run in info.runs and (study_dir / record.run.folder).resolve() == run_dir.resolve()
    return info if is_there and info.data_fingerprint == record.data_fingerprint else None


def plain(text: str) -> str:
    """Text of unknown origin, harmless in Markdown and on one line."""
    return re.sub(r"([\\`*_<>\[\]|#&])", r"\\\1", " ".join(text.split()))


def _head(record: RunRecord) -> str:
    return (
        f"# {plain(record.label)}, trained on {plain(record.data_title)}\n\n"
        f"Tells {len(record.class_names)} classes apart, in RGB images of {record.image_size} x {record.image_size} "
        f"pixels. Trained and measured by roadtest {plain(record.machine.versions.get('roadtest', '?'))}, exported by "
        f"roadtest {version('roadtest')}."
    )


def _use(record: RunRecord, rows: Sequence[Row]) -> str:
    inside = {
        "per-image": "divided by 255, minus the image's own mean, over its own deviation",
        "fixed": "divided by 255, minus 0.5, over 0.25",
    }.get(record.normalisation, f"normalised ({record.normalisation})")
    int8 = " `model-int8.onnx` is used in the same way." if len(rows) > 2 else ""
    return (
        "## How to run it\n\n"
        f"{_SNIPPET.format(size=record.image_size)}\n\n"
        f"Input `images`: uint8, N x {record.image_size} x {record.image_size} x 3, RGB, upright; N is free. The "
        f"preprocessing is inside: {inside}. Resize as above, as the training images were: the whole picture, "
        "bilinearly, its proportions not kept. Training laid transparency over white and kept the high byte of 16-bit "
        "pictures, as `.convert` does not: do so first where yours have such. Outputs, float32: `logits` and "
        f"`probabilities`, N x {len(record.class_names)}, in the order of `classes.json`.{int8}"
    )


def _data(record: RunRecord, info: StudyInfo | None) -> str:
    lines = [f"{plain(record.data_title)}, fingerprint `{record.data_fingerprint[:16]}`."]
    if info is not None:
        val = f", {info.num_val:,} for validation" if info.num_val else ""
        lines.append(f"{info.num_train:,} images for training{val}, {info.num_test:,} for testing.")
    lines.append(
        f"This run trained on {record.train.num_seen:,} images and was validated on {record.val.num_seen:,} others."
    )
    if record.test_title:
        lines.append(f"The test images are another data set's: {plain(record.test_title)}.")
    lines += [plain(note) for note in (info.notes if info else ())]
    return "## Data\n\n" + " ".join(lines)


def _training(record: RunRecord) -> str:
    started = f" Started from {plain(record.pretrained_weights)}." if record.pretrained_weights else ""
    resumed = "" if record.num_resumes == 0 else f", broken off and continued {record.num_resumes} times"
    return (
        "## Training\n\n"
        f"Protocol `{plain(record.protocol_name)}`, fingerprint `{record.protocol_fingerprint[:16]}`; seed "
        f"{record.seed}; {record.num_epochs:.1f} epochs, the constant rate ended by {record.stop_reason}{resumed}; "
        f"learning rate {record.learning_rate:g}, batches of {record.batch_size}, {record.precision} on "
        f"{record.device}; {record.cost.train_seconds:,.0f} seconds of training. {record.cost.num_parameters:,} "
        f"parameters, {record.cost.macs:,} multiply-accumulates an image.{started}"
    )


def _figures(record: RunRecord, results: Results | None) -> str:
    lines = [
        "## Accuracy",
        "",
        "| | accuracy | 95 % interval | of |",
        "|---|---:|---:|---|",
        f"| this run, validation | {_accuracy(record.val)} | | {_of(record.val)} |",
        f"| this run, test | {_accuracy(record.test)} | | {_of(record.test)} |",
    ]
    variant = results.variant(record.network, record.has_stn) if results else None
    found = {part: _estimate(results, variant, part) for part in ("val", "test")}
    for part, word in (("val", "validation"), ("test", "test")):
        estimate = found[part]
        if estimate is not None:
            runs = plural(estimate.num_seeds, "run")
            span = f"{100 * estimate.low:.2f} to {100 * estimate.high:.2f} %"
            unit = estimate.cluster_noun if estimate.num_clusters != 1 else estimate.cluster_noun.removesuffix("s")
            of = f"{runs}, {estimate.num_images:,} images, {estimate.num_clusters:,} {unit}: {estimate.statement}"
            lines.append(f"| {plain(record.label)}, {word} | {100 * estimate.value:.2f} % | {span} | {of} |")
    lines += ["", _how_measured(record, found)]
    return "\n".join(lines)


def _how_measured(record: RunRecord, found: dict[str, Estimate | None]) -> str:
    words = f"Measured by the trained network in PyTorch and {record.precision}, before it was exported."
    if record.test is None:
        words += " The test set was not read."
    if not any(found.values()):
        return f"{words} No interval is given: the run lies in no study that says which images belong together."
    return f"{words} The intervals are the network's, over its runs in the study; this bundle is one of these runs."


def _export(rows: Sequence[Row], checked_on: str, machine: Machine) -> str:
    lines = [
        "## What was checked",
        "",
        f"Compared on {checked_on}; differences are between logits, the largest of which is "
        f"{rows[0]['largest_logit']:.3g}.",
        "",
        "| engine | size | largest difference | changed predictions | accuracy there | one image | 64 images |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cells = [_ENGINES[row["runtime"]], f"{row['size_bytes'] / 1e6:,.3g} MB"]
        cells += [DASH, DASH] if row["runtime"] == "pytorch" else [f"{row['largest_difference']:.2g}", _changed(row)]
        accuracy = row["val_accuracy"]
        cells.append(DASH if accuracy is None else f"{100 * accuracy:.2f} %")
        cells += [_ms(row["latency_p50_ms"]), _ms(row["latency_64_p50_ms"])]
        lines.append(f"| {' | '.join(cells)} |")
    if rows[0]["latency_p50_ms"] is None:
        return "\n".join([*lines, "", "Latency was not measured."])
    busy = " Other processes disturbed some samples." if any(row["is_busy"] for row in rows) else ""
    where = f"{plain(machine.cpu_name)}, {plural(rows[0]['num_threads'], 'thread')}"
    last = f"Latency: medians on {where}, in rounds that take turns, preprocessing included.{busy}"
    return "\n".join(
        [*lines, "", last, "Another computer may order them otherwise: `python measure.py` measures there."]
    )


def _limits(run_dir: Path, record: RunRecord, rows: Sequence[Row], info: StudyInfo | None) -> str:
    lines = []
    if record.is_undertrained:
        lines.append("**Undertrained**: fewer than two epochs. It shows that the machinery works, nothing more.")
    lines.append(
        f"Every image gets one of the {len(record.class_names)} classes, also one that shows none of them. How far the "
        "probabilities can be trusted as such was not measured."
    )
    lines.append(f"The figures speak of images like those of {plain(record.data_title)}, and of no others.")
    if record.test is None:
        lines.append("The test set was not read: nothing confirms the validation figure, by which networks are chosen.")
    if info is not None and info.num_tracks == info.num_train:
        lines.append("Nothing said which images show the same thing: near copies across the parts would flatter.")
    weakest = _weakest(run_dir, record)
    if weakest:
        lines.append(f"Weakest classes of this run in validation: {'; '.join(weakest)}.")
    if len(rows) > 2:
        lines.append(
            "int8 was calibrated and compared on the processor named above. On x86 processors without VNNI its sums "
            "may saturate: `python measure.py --int8` compares its answers there."
        )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _weakest(run_dir: Path, record: RunRecord) -> list[str]:
    """The classes with the lowest recall in this run's validation, as counts; only those with images enough."""
    if not (run_dir / "val.npz").exists():
        return []
    val = read_predictions(run_dir / "val.npz")
    num_classes = len(record.class_names)
    is_correct_N = val.logits_NK.argmax(1) == val.labels_N
    seen_K = np.bincount(val.labels_N, minlength=num_classes)[:num_classes]
    correct_K = np.bincount(val.labels_N[is_correct_N], minlength=num_classes)[:num_classes]
    judged = [k for k in range(num_classes) if seen_K[k] >= LEAST_OF_A_CLASS and correct_K[k] < seen_K[k]]
    judged.sort(key=lambda k: (correct_K[k] / seen_K[k], k))
    return [f"{plain(record.class_names[k])}, {correct_K[k]} of {seen_K[k]}" for k in judged[:NUM_WEAKEST]]


def _files(rows: Sequence[Row], packed: str) -> str:
    int8 = "- `model-int8.onnx`: the same in 8 bits\n" if len(rows) > 2 else ""
    return (
        "## Files\n\n"
        "- `model.onnx`: the network with its preprocessing, in float32\n"
        f"{int8}"
        "- `classes.json`: the names, in the order of the outputs; also in the ONNX file's metadata\n"
        "- `manifest.json`: which run this is, and everything above in full\n"
        f"- `sample.npz`: ten {packed} with the logits they must get\n"
        "- `measure.py`: `python measure.py > here.json` measures latency and memory and compares the ten answers; it "
        "needs numpy and onnxruntime only. `roadtest add-device STUDY here.json` puts the result beside the others"
    )


def _estimate(results: Results | None, variant: Variant | None, part: str) -> Estimate | None:
    if results is None or variant is None:
        return None
    return estimate_score(results, variant, part, metric=ACCURACY)


def _accuracy(result: SetResult | None) -> str:
    return DASH if result is None else f"{100 * result.accuracy:.2f} %"


def _of(result: SetResult | None) -> str:
    return "not read" if result is None else f"{result.num_correct:,} of {result.num_seen:,} images"


def _changed(row: Row) -> str:
    return f"{row['num_changed']:,} of {row['num_images']:,}"


def _ms(value: float | None) -> str:
    return DASH if value is None else f"{value:.3g} ms"
