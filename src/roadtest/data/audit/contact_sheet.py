"""The picture of a data check: for every finding with examples, its sentence and the images it is about.

Images of one case (two copies, the first frames of a sequence, two mirrored classes) stand side by side, each with its
part, class and file name below. Test images stay hidden behind a grey tile: whoever looks at them begins to tune on
them. Pixels are shown as a network gets them, enlarged without smoothing.

Contact sheets: what a data set looks like, a row per class, as one PNG.

A row carries the class's number and its name in words, and examples from as many tracks as it has room for: a row of
look-alikes then means a class of look-alikes. Pixels are shown as a network gets them, enlarged without smoothing. It
judges nothing, and it shows training images only. Shapes: N images, H x W pixels, C = 3 channels (RGB).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from roadtest.data.audit import Audit
from roadtest.data.dataset import TEST, TRAIN, ImageSet
from roadtest.records.schema import Finding

PAPER, INK, FAINT, HIDDEN = (255, 255, 255), (20, 20, 20), (105, 105, 105), (222, 222, 222)
COLOURS = {"error": (176, 0, 32), "warning": (154, 84, 0), "note": (0, 82, 148), "ok": (0, 104, 55)}
WIDTH, CELL, EDGE, GAP, CASE_GAP = 1160, 96, 20, 6, 30
_LABEL_SIZE, _TEXT_SIZE, _TITLE_SIZE = 12, 15, 20
_LABEL_HEIGHT, _LINE = 65, 21
_MAX_CASES = 6
Corner = tuple[int, int]
Colour = tuple[int, int, int]


def write_findings_sheet(path: Path, audit: Audit, image_set: ImageSet) -> Path:
    """Write a PNG of all findings with examples, the worst first; return its path."""
    shown = [one for one in audit.findings if one.cases and one.severity != "ok"]
    sheet = Image.new("RGB", (WIDTH, _height(shown)), PAPER)
    write_text(sheet, (EDGE, 14), f"{audit.title}: {audit.verdict}", size=_TITLE_SIZE, ink=INK)
    top = 52
    if not shown:
        write_text(sheet, (EDGE, top), "There is nothing to show.", size=_TEXT_SIZE, ink=FAINT)
    for finding in shown:
        write_text(
            sheet, (EDGE, top), f"{finding.severity}: {finding.topic}", size=_TEXT_SIZE, ink=COLOURS[finding.severity]
        )
        top += _LINE
        for line, ink in _lines(finding):
            write_text(sheet, (EDGE, top), line, size=_TEXT_SIZE, ink=ink)
            top += _LINE
        for row in _rows(finding):
            left = EDGE
            for case in row:
                for image in case:
                    _paste(sheet, (left, top + 6), image_set, image)
                    left += CELL + GAP
                left += CASE_GAP - GAP
            top += CELL + _LABEL_HEIGHT + 8
        top += 14
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "PNG")
    return path


def _height(shown: list[Finding]) -> int:
    heights = [_LINE * (1 + len(_lines(one))) + (CELL + _LABEL_HEIGHT + 8) * len(_rows(one)) + 14 for one in shown]
    return 52 + max(sum(heights), 40) + EDGE


def _rows(finding: Finding) -> list[list[tuple[int, ...]]]:
    """Cases in rows, as many side by side as there is room for."""
    rows: list[list[tuple[int, ...]]] = []
    left = WIDTH
    most = (WIDTH - 2 * EDGE + GAP) // (CELL + GAP)
    for case in (case[:most] for case in finding.cases[:_MAX_CASES]):
        wide = len(case) * (CELL + GAP) - GAP
        if left + wide > WIDTH - EDGE:
            rows.append([])
            left = EDGE
        rows[-1].append(case)
        left += wide + CASE_GAP
    return rows


def _lines(finding: Finding) -> list[tuple[str, Colour]]:
    """The finding's sentence and below it its advice, in lines that fit."""
    width = WIDTH - 2 * EDGE
    said = [(line, INK) for line in _wrap(finding.text, _TEXT_SIZE, width)]
    return said + [(line, FAINT) for line in _wrap(finding.advice, _TEXT_SIZE, width)]


def _wrap(text: str, size: int, width: int) -> list[str]:
    """Break a text between words."""
    font = ImageFont.load_default(size)
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(drawable(longer)) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _paste(sheet: Image.Image, corner: Corner, image_set: ImageSet, row: int) -> None:
    """Draw one image with its part, class and name below, or a tile in place of a hidden one."""
    left, top = corner
    if image_set.splits[row] == TEST:
        ImageDraw.Draw(sheet).rectangle((left, top, left + CELL - 1, top + CELL - 1), fill=HIDDEN)
        write_text(sheet, (left + 12, top + CELL // 2 - 8), "test image", size=_LABEL_SIZE, ink=FAINT)
    else:
        image = Image.fromarray(np.ascontiguousarray(image_set.images_NHWC[row]))
        sheet.paste(image.resize((CELL, CELL), Image.Resampling.NEAREST), corner)
    label = int(image_set.labels_N[row])
    name = image_set.class_names[label]
    texts = [(image_set.splits[row], FAINT)]
    for line in _wrap(name if name == str(label) else f"{label} {name}", _LABEL_SIZE, CELL)[:2]:
        texts.append((_cut(line), INK))
    texts.append((_cut(Path(image_set.paths[row]).name, is_end_kept=True), FAINT))
    for place, (text, ink) in enumerate(texts):
        write_text(sheet, (left, top + CELL + 2 + 15 * place), text, size=_LABEL_SIZE, ink=ink)


def _cut(text: str, *, is_end_kept: bool = False) -> str:
    """As much of a text as fits under an image: the end of a file name says more than its beginning."""
    font = ImageFont.load_default(_LABEL_SIZE)
    if font.getlength(drawable(text)) <= CELL:
        return text
    text = text[-40:] if is_end_kept else text[:40]
    while text and font.getlength(drawable("…" + text)) > CELL:
        text = text[1:] if is_end_kept else text[:-1]
    return "…" + text if is_end_kept else text + "…"


def write_text(sheet: Image.Image, corner: Corner, text: str, *, size: int, ink: Colour) -> None:
    """Write one line with the font that Pillow brings."""
    ImageDraw.Draw(sheet).text(corner, drawable(text), fill=ink, font=ImageFont.load_default(size))


def drawable(text: str) -> str:
    """What can be drawn in one line; names come from files and may hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


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
