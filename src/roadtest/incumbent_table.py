"""Read the answers of a system that was not trained here: a csv file with one row per image, believed in nothing.

One column names the image: `path` (as in split.csv, or any path or file name that ends like one of the study's images,
with or without its ending) or `image_id` (the row number in split.csv, from 0). The answer is `label` (also `class_id`,
`class_name`), a class's number or name, or else one column of probabilities for each class, named by number or name.
What `roadtest predict --format csv` writes is taken as it is: of several ranks the first counts. Commas, semicolons and
tabs separate. Every refusal is one line that names the file's line. The file is read line by line and never whole.
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roadtest.data.classes import ClassFinder, name_some
from roadtest.data.lines import read_lines
from roadtest.data.pictures import picture_suffixes

PATHS, IDS = ("path", "filename", "file", "image"), ("image_id",)
LABELS = ("label", "class_id", "class_name", "classid")
SEPARATORS = ",;\t"
SUM_TOLERANCE = 0.05
"""Probabilities of a thousand classes, rounded to four digits, may miss 1 by this much."""


@dataclass(frozen=True, kw_only=True)
class ImageFinder:
    """The images of a study, to be found by what a file calls them; make one with `image_finder`."""

    num_images: int
    by_path: Mapping[str, int]
    by_name: Mapping[str, int | None]
    """The last part of a wanted image's path; None where two share it."""

    def find(self, text: str) -> int | str:
        """The row number of the image that a path or file name means, or why there is none."""
        parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            for name in (tail, _without_suffix(tail)):
                if name in self.by_path:
                    return self.by_path[name]
        for name in (parts[-1], _without_suffix(parts[-1])) if parts else ():
            if name in self.by_name:
                found = self.by_name[name]
                return "names several images: write its path as in split.csv" if found is None else found
        return "names no image of the study: write its path as in split.csv, or its file name"


def image_finder(paths: Sequence[str], wanted: Sequence[int]) -> ImageFinder:
    """Make paths and the file names of the wanted images find their rows; whole paths come before names."""
    by_path = {_without_suffix(path): row for row, path in enumerate(paths)} | {p: row for row, p in enumerate(paths)}
    by_name: dict[str, int | None] = {}
    for row in wanted:
        name = paths[row].rpartition("/")[2]
        for key in {name, _without_suffix(name)}:
            by_name[key] = None if key in by_name else row
    return ImageFinder(num_images=len(paths), by_path=by_path, by_name=by_name)


def read_answers(path: Path, images: ImageFinder, classes: ClassFinder) -> Iterator[tuple[int, int, int]]:
    """Give (line, image, class) row by row; a ValueError in one line where a row cannot be taken."""
    lines = read_lines(path, advice="give labels in place of probabilities, or fewer digits")
    header_line = next(lines, "").strip("\r\n")
    separator = max(SEPARATORS, key=lambda sign: len(set(_cells(header_line, sign)) & {*PATHS, *IDS, *LABELS}))
    header = _cells(header_line, separator)
    columns = _columns(header, path, classes)
    rows = csv.reader(lines, delimiter=separator, strict=True)
    try:
        for cells in rows:
            where = f"{path}, line {rows.line_num + 1}"
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise ValueError(
                    f"{where}: {len(cells)} cells under {len(header)} column names: they must be as many; put cells "
                    "with a separator in quotes"
                )
            if columns.rank is not None and cells[columns.rank].strip() != "1":
                continue
            yield rows.line_num + 1, _image(cells, columns, images, where), columns.answer(cells, classes, where)
    except csv.Error as error:
        raise ValueError(f"{path}, line {rows.line_num + 1}: no csv ({error}): save it as plain columns") from None


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Which cell of a row is what."""

    image: int
    is_id: bool
    label: int | None
    scores: Mapping[int, int]
    """Place -> class, where there is no label."""
    rank: int | None

    def answer(self, cells: Sequence[str], classes: ClassFinder, where: str) -> int:
        """The class that a row names, or finds most probable."""
        if self.label is None:
            return self._most_probable(cells, where)
        word = cells[self.label]
        found = classes.find(word)
        if found is None:
            raise ValueError(
                f"{where}: label {word[:60]!r} is no class of the study, which has {classes.describe()}: correct it"
            )
        return found

    def _most_probable(self, cells: Sequence[str], where: str) -> int:
        values = {label: _probability(cells[place], where) for place, label in self.scores.items()}
        total = sum(values.values())
        if abs(total - 1) > SUM_TOLERANCE:
            raise ValueError(
                f"{where}: the probabilities add up to {total:.4g}: they must add up to 1; give probabilities, not "
                "scores, or a column label"
            )
        return max(values, key=lambda label: (values[label], -label))


def _columns(header: list[str], path: Path, classes: ClassFinder) -> _Columns:
    named = [name for name in (*PATHS, *IDS) if name in header]
    double = next((name for name in header if name and header.count(name) > 1), None)
    if double is not None:
        raise ValueError(f"{path} has the column {double[:60]!r} twice: each may stand there once; remove one")
    if len(named) != 1:
        what = f"names images by {' and '.join(named)}" if named else f"has the columns {_shown(header)}"
        raise ValueError(
            f"{path} {what}: one column must name the image, path (as in split.csv, or a file name) or image_id (its "
            "row there, from 0); rename or remove columns"
        )
    label = next((header.index(name) for name in LABELS if name in header), None)
    image = header.index(named[0])
    return _Columns(
        image=image,
        is_id=named[0] in IDS,
        label=label,
        scores={} if label is not None else _score_columns(header, image, path, classes),
        rank=header.index("rank") if "rank" in header and label is not None else None,
    )


def _score_columns(header: list[str], image: int, path: Path, classes: ClassFinder) -> dict[int, int]:
    """Place -> class for one column per class; others are left alone as long as no class is missing."""
    found: dict[int, int] = {}
    strange = []
    for place, name in enumerate(header):
        label = classes.find(name) if place != image else None
        if label is None and place != image:
            strange.append(name)
        elif label is not None and label in found.values():
            raise ValueError(f"{path} has two columns for class {label} ({classes.names[label]}): remove one")
        elif label is not None:
            found[place] = label
    missing = [name for label, name in enumerate(classes.names) if label not in found.values()]
    if missing:
        others = f", and {name_some(strange)} of no class" if strange else ""
        raise ValueError(
            f"{path} has neither a column label nor one for each class (without {name_some(missing)}{others}): give "
            "label, or one column of probabilities per class, named by its number or name"
        )
    return found


def _image(cells: Sequence[str], columns: _Columns, images: ImageFinder, where: str) -> int:
    text = cells[columns.image].strip()
    if not columns.is_id:
        found = images.find(text)
        if isinstance(found, str):
            raise ValueError(f"{where}: {text[:100]!r} {found}")
        return found
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) < images.num_images):
        raise ValueError(
            f"{where}: image_id {text[:60]!r} is no row of split.csv: they go from 0 to {images.num_images - 1}; "
            "correct it"
        )
    return int(text)


def _probability(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1 + SUM_TOLERANCE:
        raise ValueError(f"{where}: {text[:60]!r} is no probability: they lie between 0 and 1; correct it")
    return value


def _cells(line: str, separator: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return []
    names = [cell.strip() for cell in cells]
    known = {*PATHS, *IDS, *LABELS, "rank"}
    return [name.lower() if name.lower() in known else name for name in names]


def _shown(header: list[str]) -> str:
    return ", ".join(ascii(name)[1:-1] for name in header)[:150] or "nothing"


def _without_suffix(name: str) -> str:
    """A path without the ending of a picture: GTSRB's images are known without."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and stem and f".{suffix.lower()}" in picture_suffixes() else name
