"""The figures of one network's errors: accuracy per class, and which classes it takes for which.

Tables about the errors of the chosen network: accuracy per class, and the pairs of classes it mixes up.

Small pictures inside the page: pixels of `examples.npz` as data URIs, and what was said about each of them.

Images are shown at their own size or smaller; PNG where they are tiny, JPEG above, so that a page with large images
stays under its limit. The file is untrusted: it is read without pickle, and an array of another shape is refused.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from roadtest.analysis import Results, Variant, class_rows, confusion_rows, error_split, pair_rows
from roadtest.format import (
    DASH,
    PART_WORDS,
    Row,
    class_title,
    format_count,
    format_percent,
    format_percent_bare,
    plural,
)
from roadtest.records import RunRecord, open_arrays, read_predictions
from roadtest.report.charts import Figure, draw_classes, draw_confusion
from roadtest.report.sections.curves import MAX_CLASSES
from roadtest.report.tables import Cell, Column, Table


def class_figure(results: Results, best: Variant | None) -> Figure | None:
    """The classes with errors, least accurate first; None where there are none."""
    rows = class_accuracy_rows(results, best, error_split(results, best)) if best else []
    if best is None or not rows:
        return None
    part = PART_WORDS[error_split(results, best)]
    seen = class_rows(results, best, error_split(results, best))
    num_flawed = sum(row["num_correct"] < row["num_answers"] for row in seen)
    cut = f" (the {len(rows)} least accurate of {num_flawed})" if len(rows) < num_flawed else ""
    caption = (
        f"{best.label}: the classes with errors on the {part} images{cut}, least accurate first, "
        f"{seeds_together(best)}; the number behind a name is the class's. "
        f"{plural(len(seen) - num_flawed, 'further class was', 'further classes were')} recognised without an error."
    )
    alt = f"Accuracy per class of {best.label}; lowest: {rows[0]['class']} with {rows[0]['accuracy']:.1f} %."
    return Figure(
        name="classes", caption=caption, alt=alt, key=f"{best.label}, {part} images", panels=(draw_classes(rows),)
    )


def confusion_figure(results: Results, best: Variant | None) -> Figure | None:
    """The confusion matrix; None without answers."""
    if best is None:
        return None
    part = error_split(results, best)
    cells, classes = confusion_cells(results, best, part)
    if not cells:
        return None
    of_all = len(results.info.class_names)
    which = (
        f" {len(classes)} of {of_all} classes: those of the most frequent confusions." if len(classes) < of_all else ""
    )
    top = max((row["share"] for row in cells if row["is_error"]), default=0.0)
    num_wrong = sum(row["answers"] for row in cells if row["is_error"])
    caption = (
        f"{best.label}: confusion matrix on the {PART_WORDS[part]} images. Grey: recognised; vermilion: mistaken, the "
        f"stronger the larger the share of the true class, up to {top:.0f} % (square-root scale). Classes by number; "
        f"names in the tables below and under the pointer.{which}"
    )
    alt = (
        f"Confusion matrix of {best.label}: {num_wrong:,} mistaken answers; the most frequent pairs follow as a table."
    )
    return Figure(
        name="confusion",
        caption=caption,
        alt=alt,
        key=f"{best.label}, {PART_WORDS[part]} images",
        panels=(draw_confusion(cells, classes),),
    )


NUM_PAIRS = 12


def class_table(results: Results, best: Variant | None) -> Table | None:
    """Accuracy of each class, in words with its number."""
    rows = class_rows(results, best, error_split(results, best)) if best else []
    if best is None or not rows:
        return None
    columns = (
        Column(title="Class", is_number=False),
        Column(title="Accuracy", unit="%"),
        Column(title="Correct", unit="of answers"),
        Column(title="Images", unit="n"),
        Column(title="Tracks", unit="n"),
        Column(title="Mostly taken for", is_number=False),
    )
    cells = tuple(
        (
            Cell(text=class_title(row["label"], row["class_name"])),
            Cell(text=format_percent_bare(row["accuracy"])),
            Cell(text=f"{row['num_correct']:,} of {row['num_answers']:,}"),
            Cell(text=format_count(row["num_images"])),
            Cell(text=format_count(row["num_tracks"])),
            Cell(text=_mostly(row)),
        )
        for row in rows
    )
    caption = (
        f"{best.label}: accuracy per class, {seeds_together(best)}, least accurate first. "
        "Images of one track stand or fall together: a class with few tracks says little."
    )
    return Table(name="classes", caption=caption, columns=columns, rows=cells)


def pairs_table(results: Results, best: Variant | None) -> Table | None:
    """The pairs of classes that are mixed up most."""
    rows = pair_rows(results, best, error_split(results, best)) if best else []
    if best is None or not rows:
        return None
    columns = (
        Column(title="One class", is_number=False),
        Column(title="The other", is_number=False),
        Column(title="First as second", unit="answers"),
        Column(title="Second as first", unit="answers"),
        Column(title="Together"),
    )
    cells = tuple(
        (
            Cell(text=class_title(row["label_a"], row["class_name_a"])),
            Cell(text=class_title(row["label_b"], row["class_name_b"])),
            Cell(text=f"{row['num_a_as_b']:,} of {row['num_answers_a']:,}"),
            Cell(text=f"{row['num_b_as_a']:,} of {row['num_answers_b']:,}"),
            Cell(text=format_count(row["num_mixed_up"])),
        )
        for row in rows[:NUM_PAIRS]
    )
    caption = f"{best.label}: the pairs of classes it mixes up most, {seeds_together(best)}."
    return Table(name="pairs", caption=caption, columns=columns, rows=cells, files=("md", "tex"))


def _mostly(row: Row) -> str:
    if row["mostly_taken_for"] is None:
        return DASH
    rival = class_title(row["mostly_taken_for_label"], row["mostly_taken_for"])
    return f"{rival}, {plural(row['num_taken_for_it'], 'time')}"


def class_accuracy_rows(results: Results, variant: Variant, part: str) -> list[Row]:
    """The classes with errors, least accurate first, at most MAX_CLASSES."""
    return [
        {
            "class": class_title(row["label"], row["class_name"]),
            "accuracy": 100 * row["accuracy"],
            "share": f"{row['num_correct']:,} of {row['num_answers']:,}",
            "correct": row["num_correct"],
            "answers": row["num_answers"],
        }
        for row in class_rows(results, variant, part)[:MAX_CLASSES]
        if row["num_correct"] < row["num_answers"]
    ]


def confusion_cells(results: Results, variant: Variant, part: str) -> tuple[list[Row], list[int]]:
    """The cells that are not empty among the drawn classes, and those classes in order."""
    drawn = _drawn_classes(results, variant, part)
    cells = [
        {
            "true": row["true_label"],
            "predicted": row["predicted_label"],
            "pair": _cell_words(row),
            "answers": row["num_answers"],
            "share": 100 * row["fraction_of_true"],
            "is_error": row["true_label"] != row["predicted_label"],
        }
        for row in confusion_rows(results, variant, part)
        if row["true_label"] in set(drawn) and row["predicted_label"] in set(drawn)
    ]
    return cells, drawn


def _drawn_classes(results: Results, variant: Variant, part: str) -> list[int]:
    """All classes that have images, or, where these are too many, those of the most frequent confusions."""
    seen = [row["label"] for row in class_rows(results, variant, part)]
    if len(seen) <= MAX_CLASSES:
        return sorted(seen)
    chosen: set[int] = set()
    for row in pair_rows(results, variant, part):
        if len(chosen | {row["label_a"], row["label_b"]}) > MAX_CLASSES:
            break
        chosen |= {row["label_a"], row["label_b"]}
    return sorted(chosen)


def _cell_words(row: Row) -> str:
    true = class_title(row["true_label"], row["true_name"])
    if row["true_label"] == row["predicted_label"]:
        return f"{true}, recognised"
    return f"{true} taken for {class_title(row['predicted_label'], row['predicted_name'])}"


Images = npt.NDArray[np.uint8]
MAX_SIDE = 64
"""Pixels: 120 pictures of this size take less than half a megabyte."""
LARGEST_PNG_SIDE = 40
NUM_WORST, NUM_STN = 24, 8


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrongly classified image with its true and its predicted class."""

    uri: str
    true: str
    predicted: str
    confidence: str
    """The probability the network gave to its wrong answer, in percent."""


@dataclass(frozen=True, kw_only=True)
class BeforeAfter:
    """What one STN did to a few images."""

    label: str
    seed: int
    pairs: tuple[tuple[str, str], ...]
    """Data URIs: before, after."""


def worst_images(results: Results, variant: Variant) -> tuple[RunRecord, list[Mistake]] | None:
    """The images that one run got most wrong, worst first; None where the study does not hold them."""
    for record in variant.records:
        run_dir = results.study_dir / record.run.folder
        images_NHWC = _pixels(run_dir / "examples.npz", "worst_images_NHWC")
        ids_N = _numbers(run_dir / "examples.npz", "worst_ids_N")
        if images_NHWC is None or ids_N is None or not (run_dir / "test.npz").exists():
            continue
        return record, _mistakes(results, run_dir, images_NHWC[:NUM_WORST], ids_N[:NUM_WORST])
    return None


def stn_examples(results: Results, variants: Sequence[Variant]) -> list[BeforeAfter]:
    """Images before and after the STN, for the first run of each network that kept some."""
    found = []
    for variant in variants:
        for record in variant.records:
            path = results.study_dir / record.run.folder / "examples.npz"
            before_NHWC, after_NHWC = _pixels(path, "stn_before_NHWC"), _pixels(path, "stn_after_NHWC")
            if before_NHWC is not None and after_NHWC is not None and len(before_NHWC):
                both = zip(before_NHWC[:NUM_STN], after_NHWC[:NUM_STN], strict=False)
                pairs = tuple((data_uri(before_HWC), data_uri(after_HWC)) for before_HWC, after_HWC in both)
                found.append(BeforeAfter(label=variant.label, seed=record.seed, pairs=pairs))
                break
    return found


def data_uri(image_HWC: Images) -> str:
    """One image as text that a page can hold."""
    image = Image.fromarray(image_HWC)
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    is_tiny = max(image.size) <= LARGEST_PNG_SIDE
    buffer = io.BytesIO()
    if is_tiny:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=85)
    kind = "png" if is_tiny else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _mistakes(results: Results, run_dir: Path, images_NHWC: Images, ids_N: npt.NDArray[np.int64]) -> list[Mistake]:
    test = read_predictions(run_dir / "test.npz")
    rows = {int(image_id): row for row, image_id in enumerate(test.image_ids_N)}
    names = results.info.class_names
    mistakes = []
    for image_HWC, image_id in zip(images_NHWC, ids_N, strict=False):
        row = rows.get(int(image_id))
        if row is None:
            continue
        logits_K = test.logits_NK[row].astype(np.float64)
        predicted, true = int(logits_K.argmax()), int(test.labels_N[row])
        share = 1.0 / np.exp(logits_K - logits_K.max()).sum()
        mistakes.append(
            Mistake(
                uri=data_uri(image_HWC),
                true=class_title(true, names[true]),
                predicted=class_title(predicted, names[predicted]),
                confidence=format_percent(float(share), digits=0),
            )
        )
    return mistakes


def _pixels(path: Path, name: str) -> Images | None:
    array = _array(path, name)
    if array is not None and (array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8):
        raise ValueError(
            f"{path}: {name} is {array.dtype} {array.shape}: it must be uint8 N x H x W x 3; repeat the run"
        )
    return array


def _numbers(path: Path, name: str) -> npt.NDArray[np.int64] | None:
    array = _array(path, name)
    return None if array is None else array.astype(np.int64).ravel()


def _array(path: Path, name: str) -> npt.NDArray[np.uint8] | None:
    if not path.exists():
        return None
    with open_arrays(path) as arrays:
        return np.asarray(arrays[name]) if name in arrays else None


def seeds_together(variant: Variant) -> str:
    """How many runs a count was added up over."""
    return "one seed" if len(variant.records) == 1 else f"{len(variant.records)} seeds together"
