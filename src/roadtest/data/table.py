"""A csv file as a source: `path,label[,group][,split]`, one row per image, paths relative to the file's folder.

The file is untrusted: no row leads out of its folder, not by `..`, not by a link. Images are not opened here; a row
whose file does not exist stops everything, because a typo in a path must not become a smaller data set.
"""

import csv
import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from roadtest.data.imageset import Listing
from roadtest.data.layout import SPLIT_WORDS, Labelled, build_listing
from roadtest.data.lines import read_lines
from roadtest.data.pictures import read_image

COLUMNS = ("path", "label", "group", "split")


def list_table(path: Path, *, seed: int = 0, is_trained_on: bool = True, is_checked: bool = False) -> Listing:
    """List the images that a csv file names; see list_folder for what happens to missing parts."""
    root = path.parent.resolve()
    labelled: dict[str, Labelled] = {}
    missing: list[str] = []
    real_folders: dict[str, str] = {}
    for number, row in _read_rows(path):
        name = _relative(row["path"], path, number)
        if name in labelled:
            raise ValueError(f"{path}, line {number}: {name!r} is named twice: each image may have one row; remove one")
        try:
            status = _status_inside(root, name, real_folders)
        except OSError:
            missing.append(name)
            continue
        if status is None:
            raise ValueError(f"{path}, line {number}: {name!r} links to a place outside {root}: copy the image there")
        labelled[name] = _labelled(row, name, root, status, f"{path}, line {number}")
    if missing:
        some = ", ".join(map(repr, missing[:3])) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise FileNotFoundError(
            f"{path} names files that do not exist: {some}; paths are relative to {root}; correct or remove the rows"
        )
    return build_listing(
        list(labelled.values()),
        where=str(path),
        source=path.stem,
        read_image=read_image,
        seed=seed,
        notes=(),
        is_trained_on=is_trained_on,
        is_checked=is_checked,
    )


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows with their line numbers; columns that nobody asked for are dropped."""
    reader = csv.reader(read_lines(path, advice="take fewer images, or leave other columns out"), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        places = _places(header, path)
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise ValueError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells under {len(header)} column names: "
                    "they must be as many; put cells with a comma in quotes"
                )
            yield reader.line_num, {name: cells[place].strip() for name, place in places.items()}
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read ({error}): it must be a csv file in UTF-8; save it as one") from None


def _places(header: list[str], path: Path) -> dict[str, int]:
    for name in ("path", "label"):
        if header.count(name) != 1:
            shown = ", ".join(header)[:200] or "nothing"
            raise ValueError(
                f"{path} has the columns {shown}: the first line must name path and label once each, and may name "
                "group and split; separate them with commas"
            )
    return {name: header.index(name) for name in COLUMNS if name in header}


def _labelled(row: dict[str, str], name: str, root: Path, status: os.stat_result, where: str) -> Labelled:
    split = row.get("split")
    if split is not None and split.lower() not in SPLIT_WORDS:
        raise ValueError(
            f"{where}: split {split!r} is not known: write {', '.join(SPLIT_WORDS)}, or leave the column out"
        )
    if not row["label"]:
        raise ValueError(f"{where}: the label is empty: every image needs one; fill it in or remove the row")
    return Labelled(
        path=name,
        location=str(root / name),
        class_name=row["label"],
        split="" if split is None else SPLIT_WORDS[split.lower()],
        group=row.get("group", ""),
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
    )


def _relative(text: str, path: Path, number: int) -> str:
    """A row's path with forward slashes, which stays below the csv file's folder."""
    name = posixpath.normpath(text.replace("\\", "/"))
    is_rooted = name.startswith("/") or PureWindowsPath(name).drive != ""
    if not text or "\0" in text or is_rooted or name in (".", "..") or name.startswith("../"):
        raise ValueError(
            f"{path}, line {number}: the path {text!r} does not lead into the csv file's folder: "
            "write it relative to that folder, without .."
        )
    return name


def _status_inside(root: Path, name: str, real_folders: dict[str, str]) -> os.stat_result | None:
    """The status of a regular file; None where it lies outside, an OSError where there is none.

    Every folder's links are followed once and remembered in real_folders: rows may be a million.
    """
    folder, _, base = str(root / name).rpartition(os.sep)
    if folder not in real_folders:
        real_folders[folder] = os.path.realpath(folder, strict=True)
    real = real_folders[folder] + os.sep + base
    status = os.lstat(real)
    if stat.S_ISLNK(status.st_mode):
        real = os.path.realpath(real, strict=True)
        status = os.stat(real)  # noqa: PTH116
    if not Path(real).is_relative_to(root):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(name)
    return status
