"""Where the best network errs: accuracy per class, which classes it takes for which, and the images it got most wrong.

Pictures are pixels of `examples.npz`, at their own size or smaller; PNG where they are tiny, JPEG above, so that a page
with large images stays under its limit. The file is untrusted: it is read without pickle, and an array of another shape
is refused.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from roadtest.analysis import Results, Variant, class_rows, confusion_rows, error_split, pair_rows, ranked_variants
from roadtest.format import (
    DASH,
    PART_WORDS,
    Row,
    class_title,
    format_count,
    format_percent_bare,
    plural,
)
from roadtest.records import open_arrays, read_predictions
from roadtest.report.blocks import (
    Block,
    Column,
    Context,
    Details,
    Heading,
    Section,
    Table,
    Text,
    Words,
    make_table,
    present,
)
from roadtest.report.charts import ClassPoint, ConfusionCell, Figure, draw_classes, draw_confusion

Images = npt.NDArray[np.uint8]
NUM_PAIRS = 12
MAX_CLASSES = 60
"""More classes than this cannot be read in one figure: the least accurate, or most confused, ones are drawn."""
MAX_SIDE = 64
"""Pixels: 120 pictures of this size take less than half a megabyte."""
LARGEST_PNG_SIDE = 40
NUM_WORST, NUM_STN, MAX_STN_EXAMPLES = 24, 8, 6
LEFT_OUT = "Pictures were left out of this page."


def section(context: Context) -> Section:
    """The best network's errors on test, or in validation where test was not read."""
    best, results = context.best, context.results
    if best is None:
        why = Text(text="No network was trained long enough to look at its errors.", kind="absent")
        return Section(title="Errors", anchor="errors", short_title="Errors", blocks=(why,))
    split = error_split(results, best)
    classes = class_table(results, best)
    blocks = present(
        Text(
            text=f"The network that leads in validation, looked at on the {PART_WORDS[split]} images. What is seen "
            "here chose nothing."
        ),
        class_figure(results, best),
        confusion_figure(results, best),
        pairs_table(results, best) or Text(text="It mixed up no two classes.", kind="absent"),
        Details(summary="Accuracy of every class, as a table", blocks=(classes,)) if classes else None,
        Heading(text="Most mistaken images"),
        *_mistake_blocks(context, best),
    )
    return Section(
        title=f"Where {best.label} errs",
        anchor="errors",
        short_title="Errors",
        blocks=blocks,
        csv={"classes": class_rows(results, best, split), "confusion": confusion_rows(results, best, split)},
    )


def class_figure(results: Results, best: Variant) -> Figure | None:
    """The classes with errors, least accurate first; None where there are none."""
    split, points = error_split(results, best), class_points(results, best)
    if not points:
        return None
    seen = class_rows(results, best, split)
    num_flawed = sum(row["num_correct"] < row["num_answers"] for row in seen)
    cut = f" (the {len(points)} least accurate of {num_flawed})" if len(points) < num_flawed else ""
    rest = plural(len(seen) - num_flawed, "further class was", "further classes were")
    return Figure(
        name="classes",
        caption=f"{best.label}: the classes with errors on the {PART_WORDS[split]} images{cut}, least accurate first, "
        f"{_seeds_together(best)}; the number behind a name is the class's. {rest} recognised without an error.",
        alt=f"Accuracy per class of {best.label}; lowest: {points[0].class_title} with {points[0].accuracy:.1f} %.",
        key=f"{best.label}, {PART_WORDS[split]} images",
        panels=(draw_classes(points),),
    )


def class_points(results: Results, variant: Variant) -> list[ClassPoint]:
    """The classes with errors, least accurate first, at most MAX_CLASSES."""
    return [
        ClassPoint(
            class_title=class_title(row["label"], row["class_name"]),
            accuracy=100 * row["accuracy"],
            share=f"{row['num_correct']:,} of {row['num_answers']:,}",
            correct=row["num_correct"],
            answers=row["num_answers"],
        )
        for row in class_rows(results, variant, error_split(results, variant))[:MAX_CLASSES]
        if row["num_correct"] < row["num_answers"]
    ]


def confusion_figure(results: Results, best: Variant) -> Figure | None:
    """The confusion matrix; None without predictions."""
    cells, classes = confusion_cells(results, best)
    if not cells:
        return None
    images, of_all = f"{PART_WORDS[error_split(results, best)]} images", len(results.info.class_names)
    some = f" {len(classes)} of {of_all} classes: those of the most frequent confusions."
    top = max((cell.share for cell in cells if cell.is_error), default=0.0)
    num_wrong = sum(cell.answers for cell in cells if cell.is_error)
    return Figure(
        name="confusion",
        caption=f"{best.label}: confusion matrix on the {images}. Grey: recognised; vermilion: mistaken, the stronger "
        f"the larger the share of the true class, up to {top:.0f} % (square-root scale). Classes by number; names in "
        f"the tables below and under the pointer.{some if len(classes) < of_all else ''}",
        alt=f"Confusion matrix of {best.label}: {num_wrong:,} wrong predictions; the most frequent pairs follow as a "
        "table.",
        key=f"{best.label}, {images}",
        panels=(draw_confusion(cells, classes),),
    )


def confusion_cells(results: Results, variant: Variant) -> tuple[list[ConfusionCell], list[int]]:
    """The cells that are not empty among the drawn classes, and those classes in order.

    Where there are too many classes, those of the most frequent confusions are drawn.
    """
    split = error_split(results, variant)
    drawn = {row["label"] for row in class_rows(results, variant, split)}
    if len(drawn) > MAX_CLASSES:
        drawn = set()
        for row in pair_rows(results, variant, split):
            if len(drawn | {row["label_a"], row["label_b"]}) > MAX_CLASSES:
                break
            drawn |= {row["label_a"], row["label_b"]}
    cells = [
        ConfusionCell(
            true=row["true_label"],
            predicted=row["predicted_label"],
            pair=_describe_cell(row),
            answers=row["num_answers"],
            share=100 * row["fraction_of_true"],
            is_error=row["true_label"] != row["predicted_label"],
        )
        for row in confusion_rows(results, variant, split)
        if {row["true_label"], row["predicted_label"]} <= drawn
    ]
    return cells, sorted(drawn)


def _describe_cell(row: Row) -> str:
    true = class_title(row["true_label"], row["true_name"])
    if row["true_label"] == row["predicted_label"]:
        return f"{true}, recognised"
    return f"{true} taken for {class_title(row['predicted_label'], row['predicted_name'])}"


def class_table(results: Results, best: Variant) -> Table | None:
    """Accuracy of each class, in words with its number; None without predictions."""
    rows = class_rows(results, best, error_split(results, best))
    if not rows:
        return None

    def rival(row: Row) -> str:
        if row["mostly_taken_for"] is None:
            return DASH
        title = class_title(row["mostly_taken_for_label"], row["mostly_taken_for"])
        return f"{title}, {plural(row['num_taken_for_it'], 'time')}"

    columns = (
        Words("Class", lambda row: class_title(row["label"], row["class_name"])),
        Column("Accuracy", lambda row: format_percent_bare(row["accuracy"]), "%"),
        Column("Correct", lambda row: f"{row['num_correct']:,} of {row['num_answers']:,}", "of predictions"),
        Column("Images", lambda row: format_count(row["num_images"]), "n"),
        Column("Tracks", lambda row: format_count(row["num_tracks"]), "n"),
        Words("Mostly taken for", rival),
    )
    caption = (
        f"{best.label}: accuracy per class, {_seeds_together(best)}, least accurate first. "
        "Images of one track are not independent: a class with few tracks says little."
    )
    return make_table("classes", caption, rows, columns, max_rows=200)


def pairs_table(results: Results, best: Variant) -> Table | None:
    """The pairs of classes that are mixed up most; None where there are none."""
    rows = pair_rows(results, best, error_split(results, best))[:NUM_PAIRS]
    if not rows:
        return None
    columns = (
        Words("One class", lambda row: class_title(row["label_a"], row["class_name_a"])),
        Words("The other", lambda row: class_title(row["label_b"], row["class_name_b"])),
        Column("First as second", lambda row: f"{row['num_a_as_b']:,} of {row['num_answers_a']:,}", "predictions"),
        Column("Second as first", lambda row: f"{row['num_b_as_a']:,} of {row['num_answers_b']:,}", "predictions"),
        Column("Together", lambda row: format_count(row["num_mixed_up"])),
    )
    caption = f"{best.label}: the pairs of classes it mixes up most, {_seeds_together(best)}."
    return make_table("pairs", caption, rows, columns, files=("md", "tex"))


def _seeds_together(variant: Variant) -> str:
    """How many runs a count was added up over."""
    return "one seed" if len(variant.records) == 1 else f"{len(variant.records)} seeds together"


# Pictures


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A wrongly classified image with its true and its predicted class."""

    uri: str
    true: str
    predicted: str
    confidence: float
    """The probability the network gave to its wrong prediction."""


@dataclass(frozen=True, kw_only=True)
class Mistakes:
    """A gallery of wrongly classified images."""

    macro: ClassVar[str] = "mistakes"
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, kw_only=True)
class BeforeAfter:
    """What one STN did to a few images."""

    macro: ClassVar[str] = "before_after"
    label: str
    seed: int
    pairs: tuple[tuple[str, str], ...]
    """Data URIs: before, after."""


def _mistake_blocks(context: Context, best: Variant) -> tuple[Block, ...]:
    """The images that the first run with pictures got most wrong, worst first; or why there are none."""
    if not context.has_images:
        return (Text(text=LEFT_OUT),)
    for record in best.records:
        run_dir = context.results.study_dir / record.run.folder
        images_NHWC = read_pixels(run_dir / "examples.npz", "worst_images_NHWC")
        ids_N = _read_array(run_dir / "examples.npz", "worst_ids_N")
        if images_NHWC is None or ids_N is None or not (run_dir / "test.npz").exists():
            continue
        ids = [int(image_id) for image_id in ids_N.ravel()]
        found = find_mistakes(run_dir / "test.npz", context.info.class_names, images_NHWC[:NUM_WORST], ids[:NUM_WORST])
        count, run = plural(len(found), "test image"), f"{best.label}, seed {record.seed},"
        if not found:
            return (Text(text=f"{run} made no mistake on the test images."),)
        return (Text(text=f"The {count} that {run} got most wrong, worst first."), Mistakes(mistakes=tuple(found)))
    if not context.info.num_test:
        return (Text(text="This data has no test set, and so no worst test images."),)
    if not context.info.reads_test:
        return (Text(text="The test set was not read, and so there are no worst test images."),)
    return (Text(text="This copy of the study holds no pictures of test images."),)


def find_mistakes(path: Path, class_names: Sequence[str], images_NHWC: Images, ids: Sequence[int]) -> list[Mistake]:
    """What a run predicted for each image; images that it did not predict are left out."""
    test = read_predictions(path)
    places = {int(image_id): place for place, image_id in enumerate(test.image_ids_N)}
    mistakes = []
    for image_HWC, image_id in zip(images_NHWC, ids, strict=False):
        if image_id not in places:
            continue
        logits_K = test.logits_NK[places[image_id]].astype(np.float64)
        predicted, true = int(logits_K.argmax()), int(test.labels_N[places[image_id]])
        mistakes.append(
            Mistake(
                uri=data_uri(image_HWC),
                true=class_title(true, class_names[true]),
                predicted=class_title(predicted, class_names[predicted]),
                confidence=float(1.0 / np.exp(logits_K - logits_K.max()).sum()),
            )
        )
    return mistakes


def stn_examples(context: Context) -> tuple[Block, ...]:
    """Images before and after the STN, for the first run of each network that kept some; or why there are none."""
    if not context.has_images:
        return (Text(text=LEFT_OUT, kind="absent"),)
    found: list[Block] = []
    for variant in ranked_variants(context.results):
        for record in variant.records:
            path = context.results.study_dir / record.run.folder / "examples.npz"
            before_NHWC, after_NHWC = read_pixels(path, "stn_before_NHWC"), read_pixels(path, "stn_after_NHWC")
            if before_NHWC is not None and after_NHWC is not None and len(before_NHWC):
                both = zip(before_NHWC[:NUM_STN], after_NHWC[:NUM_STN], strict=False)
                pairs = tuple((data_uri(before_HWC), data_uri(after_HWC)) for before_HWC, after_HWC in both)
                found.append(BeforeAfter(label=variant.label, seed=record.seed, pairs=pairs))
                break
    return tuple(found[:MAX_STN_EXAMPLES]) or (Text(text="This copy of the study holds no pictures.", kind="absent"),)


def data_uri(image_HWC: Images) -> str:
    """One image as text that a page can hold."""
    image = Image.fromarray(image_HWC)
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    kind = "png" if max(image.size) <= LARGEST_PNG_SIDE else "jpeg"
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"optimize": True} if kind == "png" else {"quality": 85}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def read_pixels(path: Path, name: str) -> Images | None:
    """An array of `examples.npz`; None where it is missing. A ValueError refuses what are no RGB images."""
    array = _read_array(path, name)
    if array is not None and (array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8):
        raise ValueError(
            f"{path}: {name} is {array.dtype} {array.shape}: it must be uint8 N x H x W x 3; repeat the run"
        )
    return array


def _read_array(path: Path, name: str) -> npt.NDArray[np.uint8] | None:
    if not path.exists():
        return None
    with open_arrays(path) as arrays:
        return np.asarray(arrays[name]) if name in arrays else None
