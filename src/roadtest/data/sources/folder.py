"""A folder of images, or a csv file, as a source.

Layouts: a folder per class; or `train`, `val` (`valid`, `validation`) and `test`, in any case, over a folder per class,
with folders of any depth inside a class; or a csv file `path,label[,group][,split]`, one row per image, with paths
relative to its folder. Files that are no pictures are left out and counted in a note.

Everything is untrusted: no link and no row leads out of the folder, a csv file is read line by line under bounds, and a
row whose file does not exist stops everything, because a typo must not become a smaller data set. No image is opened.
"""

import csv
import os
import posixpath
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PureWindowsPath

from roadtest.data.dataset import TRAIN, Listing, Note
from roadtest.data.sources.images import is_hidden, is_picture, read_image
from roadtest.data.sources.layout import NO_CLASS, SPLIT_WORDS, Labelled, build_listing, class_key, count_ignored

ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
BUILT_IN = ("gtsrb", "signs")
"""Sources that are no folder, which a mistyped name may have meant."""
LAYOUTS = "a folder per class, or train, val and test over a folder per class"


@dataclass(frozen=True, kw_only=True)
class _Tree:
    """A folder being listed, and what was left out on the way."""

    root: Path
    is_strict: bool
    """Whether a class, or everything, without a training image is refused."""
    ignored: Counter[str] = field(default_factory=Counter)
    empty_classes: list[str] = field(default_factory=list)


def list_folder(path: Path, *, seed: int = 0, is_trained_on: bool = True, is_checked: bool = False) -> Listing:
    """List a folder of images or a csv file; `seed` is that of the test part, where none was given.

    Without a test part 15 % are held out (by group, else by class), unless a validation part was given: then there is
    no test set. A ValueError or FileNotFoundError of one line where nothing can be compared on it. Images that nothing
    is trained on may be of one class, without a training part. So may images that are checked (`is_checked`), and
    their groups may stand in two parts: the check itself says what is wrong.
    """
    if not path.exists():
        near = get_close_matches(str(path).casefold(), BUILT_IN, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise FileNotFoundError(f"{path} does not exist: give a folder of images ({LAYOUTS}) or a csv file{meant}")
    if path.is_dir():
        return _list_tree(path, seed, is_trained_on=is_trained_on, is_checked=is_checked)
    if path.suffix.lower() == ".csv":
        return list_table(path, seed=seed, is_trained_on=is_trained_on, is_checked=is_checked)
    way_out = "unpack it first" if path.suffix.lower() in ARCHIVE_SUFFIXES else f"give a folder ({LAYOUTS})"
    raise ValueError(f"{path} is a file: a folder of images or a csv file is needed; {way_out}")


def _list_tree(path: Path, seed: int, *, is_trained_on: bool, is_checked: bool) -> Listing:
    given = path.resolve()
    tree = _Tree(root=_find_layout(given, depth=3) or given, is_strict=is_trained_on and not is_checked)
    deeper = Note(text=f"The images lie deeper: {tree.root.relative_to(given).as_posix()} was taken.")
    notes = [] if tree.root == given else [deeper]
    folders = _folders_in(tree.root)
    parts = _parts(tree, folders)
    labelled = (
        [image for part in sorted(parts) for image in _list_classes(tree, tree.root / part, parts[part])]
        if parts
        else _list_classes(tree, tree.root, "")
    )
    if parts:
        _count_loose(tree, tree.root)
    return build_listing(
        labelled,
        where=str(path),
        source=given.name or "images",
        read_image=read_image,
        seed=seed,
        notes=[*notes, *count_ignored(tree.ignored)],
        is_trained_on=is_trained_on,
        is_checked=is_checked,
        empty_classes=tree.empty_classes if is_checked else (),
    )


def _find_layout(folder: Path, depth: int) -> Path | None:
    """The folder itself where it has classes or parts, or its only folder's layout: one level too high is forgiven."""
    names = _folders_in(folder)
    if len(names) > 1 or any(name.lower() in SPLIT_WORDS for name in names):
        return folder
    if len(names) == 0 or depth == 0 or any(is_picture(entry.name) for entry in _entries(folder)):
        return None
    return _find_layout(folder / names[0], depth - 1)


def _parts(tree: _Tree, folders: list[str]) -> dict[str, str]:
    """Folder name -> part, where the folders are parts; empty where they are classes."""
    root = tree.root
    parts = {name: SPLIT_WORDS[name.lower()] for name in folders if name.lower() in SPLIT_WORDS}
    if not parts:
        return {}
    others = [name for name in folders if name not in parts]
    if others:
        raise ValueError(
            f"{root} holds {min(parts)!r} beside {others[0]!r}: it must be {LAYOUTS}; "
            f"rename the class {min(parts)!r}, or move {others[0]!r} into a part"
        )
    twins = [name for name, part in parts.items() if list(parts.values()).count(part) > 1]
    if twins:
        raise ValueError(f"{root} holds {' and '.join(map(repr, sorted(twins)))}: one folder per part; merge them")
    if TRAIN not in parts.values() and tree.is_strict:
        raise ValueError(f"{root} holds {', '.join(sorted(parts))} and no train: something must be trained on; add it")
    return parts


def _list_classes(tree: _Tree, folder: Path, split: str) -> list[Labelled]:
    """The images of every class folder in `folder`."""
    names = _folders_in(folder)
    has_loose = _count_loose(tree, folder)
    if not names:
        found = "images but no folders" if has_loose else "no images"
        raise ValueError(f"{folder} holds {found}: every class needs a folder of its own; make them")
    spelled: dict[tuple[int, int | str], str] = {}
    labelled = []
    for name in names:
        if spelled.setdefault(class_key(name), name) != name:
            raise ValueError(
                f"{folder} holds {spelled[class_key(name)]!r} and {name!r}: they name one class; merge them"
            )
        images = [_labelled(tree, entry, name, split) for entry in _pictures_below(tree, folder / name)]
        if not images and split in ("", TRAIN):
            if tree.is_strict:
                raise ValueError(
                    f"{folder / name} holds no image: every class needs at least one; add some or remove it"
                )
            tree.empty_classes.append(name)
        labelled += images
    return labelled


def _labelled(tree: _Tree, entry: "os.DirEntry[str]", class_name: str, split: str) -> Labelled:
    status = entry.stat()
    return Labelled(
        path=Path(entry.path).relative_to(tree.root).as_posix(),
        location=entry.path,
        class_name=class_name,
        split=split,
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
    )


def _pictures_below(tree: _Tree, folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Every picture inside a class folder, however deep; all else is counted."""
    waiting = [folder]
    while waiting:
        for entry in _entries(waiting.pop()):
            if entry.is_symlink():
                _refuse_escape(entry, tree.root)
            if entry.is_dir():
                if not is_hidden(entry.name):
                    waiting.append(Path(entry.path))
            elif is_picture(entry.name) and entry.is_file():
                yield entry
            else:
                tree.ignored[_kind(entry.name)] += 1


def _count_loose(tree: _Tree, folder: Path) -> bool:
    """Count the files that lie beside class folders as left out; say whether one is a picture."""
    kinds = [
        NO_CLASS if is_picture(entry.name) else _kind(entry.name) for entry in _entries(folder) if not entry.is_dir()
    ]
    tree.ignored.update(kinds)
    return NO_CLASS in kinds


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _folders_in(folder: Path) -> list[str]:
    """Names of the folders that may be classes or parts, sorted."""
    folders = [entry for entry in _entries(folder) if entry.is_dir() and not is_hidden(entry.name)]
    for entry in folders:
        if entry.is_symlink():
            _refuse_escape(entry, folder)
    return [entry.name for entry in folders]


def _kind(name: str) -> str:
    """How a note calls a file: by its ending, if that is a plain one."""
    ending = Path(name).suffix.lower()
    if is_hidden(name):
        return "hidden"
    return ending if ending[1:].isalnum() and ending.isascii() and len(ending) <= 9 else "of no known kind"


def _refuse_escape(entry: "os.DirEntry[str]", root: Path) -> None:
    """Stop at links that lead out of the data, to a folder, or nowhere."""
    real = Path(entry.path).resolve()
    if not real.is_relative_to(root):
        raise ValueError(f"{entry.path} links to a place outside {root}: only what lies in it is read; copy it there")
    if not real.is_file():
        raise ValueError(
            f"{entry.path} links to a folder, or to nothing: only links to images are followed; replace it"
        )


MAX_BYTES = 1 << 30
"""A million images of a hundred classes with six digits each have 0.9 GB."""
MAX_LINE_BYTES = 4 << 20


def read_lines(path: Path, *, advice: str) -> Iterator[str]:
    """Give a csv file's lines with their ends; a ValueError in one line where it is none.

    `advice` says how a file that is too large becomes smaller.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: give a csv file with the columns path and label")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is no file: give a csv file with the columns path and label")
    if status.st_size > MAX_BYTES:
        raise ValueError(f"{path} has {status.st_size:,} bytes: at most {MAX_BYTES:,} are read; {advice}")
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise ValueError(f"{path}, line {number} has more than {MAX_LINE_BYTES:,} bytes: it must be a csv file")
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise ValueError(f"{path}, line {number} is no text in UTF-8: save it as a csv file in UTF-8") from None


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
        labelled[name] = _labelled_row(row, name, root, status, f"{path}, line {number}")
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


def _labelled_row(row: dict[str, str], name: str, root: Path, status: os.stat_result, where: str) -> Labelled:
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
