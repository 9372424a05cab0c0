"""Contact sheets: what a data set looks like, a row per class, as one PNG.

A row carries the class's number and its name in words, and examples from as many tracks as it has room for: a row of
look-alikes then means a class of look-alikes. Pixels are shown as a network gets them, enlarged without smoothing. It
judges nothing; and it shows training images only unless it is asked for others. Shapes: N images, H x W pixels,
C = 3 channels (RGB).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from roadtest.data.imageset import TEST, TRAIN, VAL, ImageSet

Augment = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], npt.NDArray[Any]]
"""Takes images_NHWC and their row numbers in the set; returns varied images_NHWC, uint8 or float."""

PAPER, INK, FAINT = (255, 255, 255), (20, 20, 20), (105, 105, 105)
_EDGE, _GAP, _BLOCK_GAP, _HEAD = 14, 2, 18, 58
_NAME_SIZE, _SMALL_SIZE = 15, 12
_MAX_PIXELS = 120_000_000
_TITLES = {TRAIN: "training", VAL: "validation", TEST: "test"}


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Columns of the sheet that show one thing."""

    title: str
    split: str
    is_varied: bool


def write_contact_sheet(
    path: Path,
    image_set: ImageSet,
    *,
    num_examples: int = 12,
    scale: int = 2,
    augment: Augment | None = None,
    classes: Sequence[int] | None = None,
    splits: Sequence[str] = (TRAIN,),
) -> Path:
    """Write a PNG with a row per class and a block of columns per split; return its path.

    `num_examples` counts per class and block, `scale` enlarges by a whole number, `classes` None is all. With `augment`
    a block more shows the same training images varied; float results are stretched to the full range image by image.
    """
    labels = _checked_classes(image_set, classes)
    _check_number("num_examples", num_examples, 200)
    _check_number("scale", scale, 32)
    blocks = _blocks(image_set, splits, has_varied=augment is not None)
    cell = image_set.image_size * scale
    name_width = max(_text_width(image_set, labels), 120)
    block_width = num_examples * (cell + _GAP) - _GAP
    width = _EDGE + name_width + len(blocks) * (block_width + _BLOCK_GAP) - _BLOCK_GAP + _EDGE
    row_height = max(cell, _NAME_SIZE + _SMALL_SIZE + 8) + _GAP
    height = _HEAD + len(labels) * row_height + _EDGE
    _check_area(width, height)
    sheet = Image.new("RGB", (width, height), PAPER)
    _write_head(sheet, image_set, scale)
    for k, block in enumerate(blocks):
        left = _EDGE + name_width + k * (block_width + _BLOCK_GAP)
        _write(sheet, (left, _HEAD - 20), block.title, size=_SMALL_SIZE, ink=FAINT)
        for row, label in enumerate(labels):
            examples_N = spread_examples(image_set, label, block.split, num_examples)
            images_NHWC = _shown(image_set, examples_N, augment if block.is_varied else None)
            _paste_row(sheet, images_NHWC, (left, _HEAD + row * row_height), cell)
    for row, label in enumerate(labels):
        _write_name(sheet, image_set, label, _HEAD + row * row_height, [block.split for block in blocks])
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "PNG")
    return path


def spread_examples(image_set: ImageSet, label: int, split: str, num_examples: int) -> npt.NDArray[np.int64]:
    """Choose rows of one class evenly over its tracks and their frames; fewer where there are fewer."""
    own = [int(i) for i in image_set.indices_of(split) if image_set.labels_N[i] == label]
    own.sort(key=lambda i: (image_set.groups[i], image_set.frames_N[i]))
    num = min(num_examples, len(own))
    return np.array([own[(2 * k + 1) * len(own) // (2 * num)] for k in range(num)], np.int64)


def _checked_classes(image_set: ImageSet, classes: Sequence[int] | None) -> list[int]:
    labels = list(range(image_set.num_classes)) if classes is None else [int(label) for label in classes]
    unknown = [label for label in labels if not 0 <= label < image_set.num_classes]
    if unknown or not labels:
        raise ValueError(
            f"classes={unknown or labels} cannot be shown: {image_set.title} has 0 to {image_set.num_classes - 1}; "
            "name some of those"
        )
    return labels


def _check_number(name: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(
            f"{name}={value!r} is out of range: whole numbers from 1 to {most} are allowed; choose another"
        )


def _check_area(width: int, height: int) -> None:
    if width * height > _MAX_PIXELS:
        raise ValueError(
            f"the sheet would be {width} x {height} pixels: {_MAX_PIXELS} pixels are allowed; "
            "show fewer examples or classes, or use a smaller scale"
        )


def _blocks(image_set: ImageSet, splits: Sequence[str], *, has_varied: bool) -> list[_Block]:
    if not splits:
        raise ValueError(f"no part was named: {', '.join(_TITLES)} can be shown; name one of those")
    known = {split: len(image_set.indices_of(split)) for split in _TITLES}
    for split in splits:
        if not known.get(split):
            has = ", ".join(name for name, num in known.items() if num)
            raise ValueError(f"split {split!r} has no images: {image_set.title} has {has}; name one of those")
    blocks: list[_Block] = []
    for split in splits:
        blocks.append(_Block(title=f"{_TITLES[split]}, {known[split]} images", split=split, is_varied=False))
        if has_varied and split == TRAIN:
            blocks.append(_Block(title="the same as training varies them", split=split, is_varied=True))
    return blocks


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


def _write(sheet: Image.Image, corner: tuple[int, int], text: str, *, size: int, ink: tuple[int, int, int]) -> None:
    ImageDraw.Draw(sheet).text(corner, _drawable(text), fill=ink, font=ImageFont.load_default(size))


def _drawable(text: str) -> str:
    """Keep what the built-in font can draw; a class name comes from a folder and may hold anything."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _write_head(sheet: Image.Image, image_set: ImageSet, scale: int) -> None:
    _write(sheet, (_EDGE, 8), image_set.title, size=_NAME_SIZE + 3, ink=INK)
    size = image_set.image_size
    note = f"{size} x {size} pixels, enlarged {scale} times" if scale > 1 else f"{size} x {size} pixels"
    _write(sheet, (_EDGE, _HEAD - 26), note, size=_SMALL_SIZE, ink=FAINT)


def _label_of(image_set: ImageSet, label: int) -> str:
    name = image_set.class_names[label]
    return f"{label}  {name if len(name) <= 40 else name[:39] + '…'}"


def _text_width(image_set: ImageSet, labels: Sequence[int]) -> int:
    font = ImageFont.load_default(_NAME_SIZE)
    return int(max(font.getlength(_drawable(_label_of(image_set, label))) for label in labels)) + 16


def _write_name(sheet: Image.Image, image_set: ImageSet, label: int, top: int, splits: Sequence[str]) -> None:
    """Write the number, the name, and how many images and tracks stand behind the row."""
    shown = np.flatnonzero((image_set.labels_N == label) & np.isin(np.asarray(image_set.splits), list(splits)))
    num_tracks = len({image_set.groups[i] for i in shown} - {""})
    count = f"{len(shown)} images" + (f", {num_tracks} tracks" if num_tracks else "")
    _write(sheet, (_EDGE, top + 4), _label_of(image_set, label), size=_NAME_SIZE, ink=INK)
    _write(sheet, (_EDGE, top + 4 + _NAME_SIZE + 4), count, size=_SMALL_SIZE, ink=FAINT)
