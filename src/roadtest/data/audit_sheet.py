"""The picture of a data check: for every finding with examples, its sentence and the images it is about.

Images of one case (two copies, the first frames of a sequence, two mirrored classes) stand side by side, each with its
part, class and file name below. Test images stay hidden behind a grey tile: whoever looks at them begins to tune on
them. Pixels are shown as a network gets them, enlarged without smoothing.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from roadtest.data.audit import Audit
from roadtest.data.finding import Finding
from roadtest.data.imageset import TEST, ImageSet

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
