"""The images that an export is checked on, calibrated on, and packed with.

Checked on: the run's validation images, where this computer's cache holds them and the run still answers them as it
did (the kept answers are the proof that these are the same images in the same order); else signs drawn by roadtest,
which check the arithmetic alone. Calibrated on: training images, never validation, so that int8's validation accuracy
is a measurement. Packed for other computers: drawn signs, unless the user decides to hand out images of the data.

N images, S x S pixels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from roadtest.data.decode import decode_image
from roadtest.data.decoded import find_decoded
from roadtest.data.imageset import TRAIN
from roadtest.data.signs import list_signs
from roadtest.record import Predictions, RunRecord, read_predictions, read_rows

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Answer = Callable[[Bytes], npt.NDArray[np.float32]]
"""uint8 images_NHWC -> logits_NK, in PyTorch."""

MAX_CHECKED = 5000
MAX_CHECKED_BYTES = 1 << 28
"""Large images are fewer: each of them takes longer."""
MAX_AT_ONCE, MAX_BYTES_AT_ONCE = 256, 1 << 26
"""Images that are in memory at the same time, of however many are compared."""
NUM_CALIBRATION = 512
"""Convention: the range of an activation settles after a few hundred images."""
NUM_DRAWN = 86
"""Two of each of the 43 signs; one takes some hundredths of a second."""
NUM_PACKED = 10
_LEAST_AGREEMENT = 0.95
"""Of the kept answers, which may be bfloat16's, with float32's on the same images; on other images it is chance."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Images to answer, as the network takes them. They stay in their file until they are asked for."""

    stored_NHWC: Bytes
    """Memory-mapped where they lie in the cache, with others among them."""
    ids_N: Ints
    """Which rows of it they are, in the order of answering."""
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

    def validation(self) -> Pictures:
        """The run's validation images, evenly thinned out where they are many."""
        num_most = min(MAX_CHECKED, MAX_CHECKED_BYTES // self.images_NHWC[0].nbytes)
        chosen_N = _spread(np.arange(len(self.val.labels_N)), num_most)
        return Pictures(
            stored_NHWC=self.images_NHWC,
            ids_N=self.val.image_ids_N[chosen_N],
            labels_N=self.val.labels_N[chosen_N],
            words=_counted(len(chosen_N), len(self.val.labels_N), "validation images"),
        )

    def test(self) -> Pictures:
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
        return Pictures(stored_NHWC=self.images_NHWC, ids_N=ids_N, labels_N=None, words=words)

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


def find_run_images(run_dir: Path, record: RunRecord, cache_dir: Path, answer: Answer) -> RunImages | str:
    """Find the images of a run in the cache; a line that says why not where they are not there."""
    if not (run_dir / "val.npz").exists():
        return f"{run_dir} keeps no validation answers"
    val = read_predictions(run_dir / "val.npz")
    reason = f"the images of {record.data_title} are not in the cache of this computer"
    for images_NHWC in find_decoded(cache_dir, fingerprint=record.data_fingerprint, image_size=record.image_size):
        if val.image_ids_N.max() >= len(images_NHWC) or val.labels_N.max() >= len(record.class_names):
            reason = f"the images of {record.data_title} in the cache are fewer than the run's"
            continue
        agreement = _agreement(images_NHWC, val, answer)
        if agreement >= _LEAST_AGREEMENT:
            return RunImages(run_dir=run_dir, images_NHWC=images_NHWC, val=val)
        reason = f"the run answers {100 * (1 - agreement):.0f} % of the images in the cache otherwise than it did"
    return reason


def _agreement(images_NHWC: Bytes, val: Predictions, answer: Answer) -> float:
    """How many of some validation images the network still answers as the run's kept answers say."""
    chosen_N = _spread(np.arange(len(val.labels_N)), 200)
    answers_N = answer(images_NHWC[val.image_ids_N[chosen_N]]).argmax(1)
    return float(np.mean(answers_N == val.logits_NK[chosen_N].argmax(1)))


def draw_pictures(image_size: int, num_images: int | None = None) -> Pictures:
    """Draw traffic signs of every kind; the same on every computer."""
    listing, num_images = list_signs(), num_images or NUM_DRAWN
    items = [listing.items[i] for i in np.linspace(0, len(listing.items) - 1, num_images).astype(int)]
    images = [decode_image(listing.read_image(item), image_size)[0] for item in items]
    words = f"{num_images} signs drawn by roadtest, without labels of these classes"
    return Pictures(stored_NHWC=np.stack(images), ids_N=np.arange(num_images), labels_N=None, words=words)


def packed_images(found: RunImages | str, image_size: int, *, has_own_images: bool) -> Bytes:
    """Ten images for sample.npz: drawn ones, or validation images where the user hands them out."""
    if not has_own_images:
        return draw_pictures(image_size, NUM_PACKED).stored_NHWC
    if isinstance(found, str):
        raise ValueError(f"--with-images packs validation images, and {found}: leave it out to pack drawn signs")
    validation = found.validation()
    return validation.stored_NHWC[_spread(validation.ids_N, NUM_PACKED)]


def _spread(ids_N: Ints, num_most: int) -> Ints:
    """All of them, or so many at even distances."""
    if len(ids_N) <= num_most:
        return ids_N
    return ids_N[np.linspace(0, len(ids_N) - 1, num_most).astype(np.int64)]


def _counted(num_chosen: int, num_all: int, what: str) -> str:
    return f"all {num_all:,} {what}" if num_chosen == num_all else f"{num_chosen:,} of the {num_all:,} {what}"
