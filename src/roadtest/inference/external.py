"""Add a system that was not trained here to a study: its predictions, judged on the same images as the networks.

    roadtest add runs/first predictions.csv --name ours-2024

What is judged are the test images, and validation images where the data brought some; never the folds, whose images the
system may have seen. Each set is classified wholly or not at all. To look at test labels is to read the test set: it is
logged, and a study made with --no-test refuses. analysis/external.py makes the tables.

The csv file has one row per image, and every field is validated. One column names the image: `path` (as in split.csv,
or any path or file name that ends like one of the study's images, with or without its ending) or `image_id` (the row
number in split.csv, from 0). The class is `label` (also `class_id`, `class_name`), a number or name, or else one column
of probabilities for each class, named by number or name. What `roadtest predict --format csv` writes is taken as it is:
of several ranks the first counts. Commas, semicolons and tabs separate. Every refusal is one line that names the file's
line. The file is read line by line and never whole.
"""

import csv
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadtest.data.cache import default_cache_dir
from roadtest.data.dataset import TEST, VAL
from roadtest.data.sources.folder import read_lines
from roadtest.data.sources.images import picture_suffixes
from roadtest.data.sources.layout import ClassFinder, class_finder, name_some
from roadtest.data.split import note_test_read, split_fingerprint
from roadtest.records import (
    ExternalPredictions,
    ExternalSystem,
    PlannedRun,
    StudyInfo,
    append_row,
    external_dir,
    read_rows,
    read_study_info,
    utc_now,
    write_external,
)

SPLIT_COLUMNS = ("path", "label", "group", "split", "fold")
MAX_NAME = 60


def add_external(
    study_dir: Path, predictions: Path, *, name: str, cache_dir: Path | None = None
) -> ExternalPredictions:
    """Read a csv file of answers and keep them as an entry of the study; a ValueError in one line says what is wrong.

    Answers for training images are left out. `cache_dir` is where the ledger lies.
    """
    info = read_study_info(study_dir)
    _check_name(study_dir, info, name)
    rows = read_rows(study_dir / "split.csv", SPLIT_COLUMNS)
    parts = _judged_parts(study_dir, info, rows)
    wanted = [row for part in parts.values() for row in part]
    answers: dict[int, int] = {}
    seen: dict[int, int] = {}
    finder = image_finder([row["path"] for row in rows], wanted)
    for line, image, label in read_external_predictions(predictions, finder, class_finder(info.class_names)):
        if seen.setdefault(image, line) != line:
            raise ValueError(
                f"{predictions}, line {line}: {rows[image]['path']!r} was answered in line {seen[image]}: each image "
                "has one row; remove one"
            )
        answers[image] = label
    counts = {part: _check_complete(part, ids, answers, rows, predictions) for part, ids in parts.items()}
    if not any(counts.values()):
        raise ValueError(f"{predictions} answers none of the {' or '.join(parts)} images: it has nothing to judge")
    kept = sorted(image for part, ids in parts.items() if counts[part] for image in ids)
    if counts.get(TEST):
        _note_reading(study_dir, info, name, cache_dir or default_cache_dir())
    added = ExternalPredictions(
        system=ExternalSystem(
            name=name,
            data_fingerprint=info.data_fingerprint,
            split_fingerprint=split_fingerprint(rows),
            source_name=predictions.name,
            source_digest=_digest(predictions),
            num_test=counts.get(TEST, 0),
            num_val=counts.get(VAL, 0),
            added_at=utc_now(),
        ),
        image_ids_N=np.array(kept, np.int64),
        predicted_N=np.array([answers[image] for image in kept], np.int64),
    )
    write_external(study_dir, added)
    return added


def _check_name(study_dir: Path, info: StudyInfo, name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or name.strip() != name:
        raise ValueError(
            f"--name {name[:80]!r} cannot be used: 1 to {MAX_NAME} printed characters are possible; try ours-2024"
        )
    if name in {run.label for run in info.runs}:
        raise ValueError(f"--name {name!r} is a network of the study: it must be another; try {name}-ours")
    folder = external_dir(study_dir, name)
    if (folder / "incumbent.json").exists():
        raise ValueError(f"{study_dir} has a {name!r} already: give another --name, or delete {folder} first")


def _judged_parts(study_dir: Path, info: StudyInfo, rows: Sequence[Mapping[str, str]]) -> dict[str, list[int]]:
    """Part -> rows of the parts that may be judged."""
    wanted = (TEST, VAL) if info.reads_test else (VAL,)
    parts = {part: [i for i, row in enumerate(rows) if row["split"] == part] for part in wanted}
    parts = {part: ids for part, ids in parts.items() if ids}
    if not parts:
        why = "was made with --no-test" if not info.reads_test else "has no test set"
        raise ValueError(
            f"{study_dir} {why} and no validation part of its own: there is nothing to judge a system on; add it to a "
            "study that reads a test set"
        )
    return parts


def _check_complete(
    part: str, ids: Sequence[int], answers: Mapping[int, int], rows: Sequence[Mapping[str, str]], predictions: Path
) -> int:
    """How many images of a part were answered: all, or for another part than test none."""
    missing = [image for image in ids if image not in answers]
    if missing and (part == TEST or len(missing) < len(ids)):
        names = name_some(rows[image]["path"] for image in missing)
        raise ValueError(
            f"{predictions} has no row for {len(missing):,} of {len(ids):,} {part} images: {names}; every image needs "
            "one; add them"
        )
    return len(ids) - len(missing)


def _note_reading(study_dir: Path, info: StudyInfo, name: str, cache_dir: Path) -> None:
    line = note_test_read(
        cache_dir,
        data_fingerprint=info.test_fingerprint or info.data_fingerprint,
        study=study_dir.resolve().name,
        run=PlannedRun(network=name, has_stn=False, seed=0),
        protocol_fingerprint=info.protocol_fingerprint,
    )
    append_row(study_dir / "test-reads.csv", line)  # only added to: the study may come from another machine


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def read_external_predictions(path: Path, images: ImageFinder, classes: ClassFinder) -> Iterator[tuple[int, int, int]]:
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
