"""Any folder of images, or a csv file, as a source.

Layouts: a folder per class; or `train`, `val` (`valid`, `validation`) and `test`, in any case, over a folder per class;
or a csv file (table.py). Images may lie in folders of their own inside a class. Whatever is no picture is left out and
counted in a note. Links that lead out of the folder, or to folders, are refused; nothing is opened here but folders.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from roadtest.data.imageset import TRAIN, Listing
from roadtest.data.layout import NO_CLASS, SPLIT_WORDS, Labelled, build_listing, class_key, count_ignored
from roadtest.data.pictures import is_hidden, is_picture, read_image
from roadtest.data.table import list_table

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
    notes = (
        [] if tree.root == given else [f"The images lie deeper: {tree.root.relative_to(given).as_posix()} was taken."]
    )
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
