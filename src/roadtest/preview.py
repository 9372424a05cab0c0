"""Contact sheets: what a data set looks like, a row per class, as one PNG.

A row carries the class's number and its name in words, and examples from as many tracks as it has room for: a row of
look-alikes then means a class of look-alikes. Pixels are shown as a network gets them, enlarged without smoothing. It
judges nothing, and it shows training images only. Shapes: N images, H x W pixels, C = 3 channels (RGB).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFont

from roadtest.data.audit_sheet import FAINT, INK, PAPER, drawable, write_text
from roadtest.data.imageset import TRAIN, ImageSet

Augment = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], npt.NDArray[Any]]
"""Takes images_NHWC and their row numbers in the set; returns varied images_NHWC, uint8 or float."""

_EDGE, _GAP, _BLOCK_GAP, _HEAD = 14, 2, 18, 58
_NAME_SIZE, _SMALL_SIZE = 15, 12
_MAX_PIXELS = 120_000_000


def write_contact_sheet(
    path: Path, image_set: ImageSet, *, num_examples: int = 12, scale: int = 2, augment: Augment | None = None
) -> Path:
    """Write a PNG with a row per class and `num_examples` training images in it, and return its path.

    `scale` enlarges by a whole number. With `augment` a second block of columns shows the same images varied; float
    results are stretched to the full range image by image.
    """
    blocks: list[tuple[str, Augment | None]] = [(f"training, {len(image_set.indices_of(TRAIN))} images", None)]
    blocks += [("the same as training varies them", augment)] if augment is not None else []
    labels = range(image_set.num_classes)
    cell = image_set.image_size * scale
    name_width = max(_text_width(image_set), 120)
    block_width = num_examples * (cell + _GAP) - _GAP
    width = _EDGE + name_width + len(blocks) * (block_width + _BLOCK_GAP) - _BLOCK_GAP + _EDGE
    row_height = max(cell, _NAME_SIZE + _SMALL_SIZE + 8) + _GAP
    height = _HEAD + len(labels) * row_height + _EDGE
    _check_area(width, height)
    sheet = Image.new("RGB", (width, height), PAPER)
    _write_head(sheet, image_set, scale)
    for k, (title, vary) in enumerate(blocks):
        left = _EDGE + name_width + k * (block_width + _BLOCK_GAP)
        write_text(sheet, (left, _HEAD - 20), title, size=_SMALL_SIZE, ink=FAINT)
        for label in labels:
            images_NHWC = _shown(image_set, spread_examples(image_set, label, num_examples), vary)
            _paste_row(sheet, images_NHWC, (left, _HEAD + label * row_height), cell)
    for label in labels:
        _write_name(sheet, image_set, label, _HEAD + label * row_height)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "PNG")
    return path


def spread_examples(image_set: ImageSet, label: int, num_examples: int) -> npt.NDArray[np.int64]:
    """Choose training images of one class evenly over its tracks and their frames; fewer where there are fewer."""
    own = [int(i) for i in image_set.indices_of(TRAIN) if image_set.labels_N[i] == label]
    own.sort(key=lambda i: (image_set.groups[i], image_set.frames_N[i]))
    num = min(num_examples, len(own))
    return np.array([own[(2 * k + 1) * len(own) // (2 * num)] for k in range(num)], np.int64)


def _check_area(width: int, height: int) -> None:
    if width * height > _MAX_PIXELS:
        raise ValueError(
            f"the sheet would be {width} x {height} pixels: {_MAX_PIXELS} pixels are allowed; take a smaller "
            "--image-size"
        )


def _shown(image_set: ImageSet, examples_N: npt.NDArray[np.int64], augment: Augment | None) -> npt.NDArray[np.uint8]:
    images_NHWC = np.ascontiguousarray(image_set.images_NHWC[examples_N])
    if augment is None or len(examples_N) == 0:
        return images_NHWC
    varied_NHWC = np.asarray(augment(images_NHWC, examples_N))
    assert varied_NHWC.shape == images_NHWC.shape, (varied_NHWC.shape, images_NHWC.shape)
    return varied_NHWC if varied_NHWC.dtype == np.uint8 else _stretched(varied_NHWC)


def _stretched(images_NHWC: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Map each float image's own range to 0 to 255: normalised images have no grey levels of their own."""
    low, high = (edge(images_NHWC, axis=(1, 2, 3), keepdims=True) for edge in (np.min, np.max))
    stretched: npt.NDArray[np.uint8] = ((images_NHWC - low) / np.maximum(high - low, 1e-6) * 255 + 0.5).astype(np.uint8)
    return stretched


def _paste_row(sheet: Image.Image, images_NHWC: npt.NDArray[np.uint8], corner: tuple[int, int], cell: int) -> None:
    for k, image_HWC in enumerate(images_NHWC):
        enlarged = Image.fromarray(image_HWC).resize((cell, cell), Image.Resampling.NEAREST)
        sheet.paste(enlarged, (corner[0] + k * (cell + _GAP), corner[1]))


def _write_head(sheet: Image.Image, image_set: ImageSet, scale: int) -> None:
    write_text(sheet, (_EDGE, 8), image_set.title, size=_NAME_SIZE + 3, ink=INK)
    size = image_set.image_size
    note = f"{size} x {size} pixels, enlarged {scale} times" if scale > 1 else f"{size} x {size} pixels"
    write_text(sheet, (_EDGE, _HEAD - 26), note, size=_SMALL_SIZE, ink=FAINT)


def _label_of(image_set: ImageSet, label: int) -> str:
    name = image_set.class_names[label]
    return f"{label}  {name if len(name) <= 40 else name[:39] + '…'}"


def _text_width(image_set: ImageSet) -> int:
    font = ImageFont.load_default(_NAME_SIZE)
    names = [drawable(_label_of(image_set, label)) for label in range(image_set.num_classes)]
    return int(max(map(font.getlength, names))) + 16


def _write_name(sheet: Image.Image, image_set: ImageSet, label: int, top: int) -> None:
    """Write the number, the name, and how many images and tracks stand behind the row."""
    shown = np.flatnonzero((image_set.labels_N == label) & (np.asarray(image_set.splits) == TRAIN))
    num_tracks = len({image_set.groups[i] for i in shown} - {""})
    count = f"{len(shown)} images" + (f", {num_tracks} tracks" if num_tracks else "")
    write_text(sheet, (_EDGE, top + 4), _label_of(image_set, label), size=_NAME_SIZE, ink=INK)
    write_text(sheet, (_EDGE, top + 4 + _NAME_SIZE + 4), count, size=_SMALL_SIZE, ink=FAINT)
