"""Small pictures inside the page: pixels of `examples.npz` as data URIs, and what was said about each of them.

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

from roadtest.record import RunRecord, open_arrays, read_predictions
from roadtest.report.words import class_title, percent
from roadtest.summarise import Results, Variant

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
                confidence=percent(float(share), digits=0),
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
