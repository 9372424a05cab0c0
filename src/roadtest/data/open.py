"""Open any source by its word: `gtsrb`, `signs`, `signs:20000`, or a path; decoded, cached, with tracks.

GTSRB's three archives are listed once: listing 51,839 members of zips and recovering tracks takes each new process one
to two seconds, so what opening found is kept beside the decoded images. Archives cannot change without a size or a time
of change, so these are the key; anything else in that folder is listed anew. Deleting `decoded/` forgets all.

A worker opens a study's images again from split.csv, whose rows are the rows of the array: labels, groups, splits and
folds are read from there and nowhere else, so a run trains on exactly the split that the study shows.
"""

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL

from roadtest.data.audit.sequences import propose_groups, with_groups
from roadtest.data.cache import PREPROCESSING, open_image_set, read_about, read_only
from roadtest.data.dataset import ImageSet, Listing, Note
from roadtest.data.gtsrb_classes import CLASS_NAMES
from roadtest.data.signs import is_synthetic, list_signs, parse_signs
from roadtest.data.sources.arrays import is_arrays, list_arrays
from roadtest.data.sources.download import ARCHIVE_NAMES
from roadtest.data.sources.folder import list_folder
from roadtest.data.sources.gtsrb import find_place, list_gtsrb
from roadtest.data.split import METHOD, recover_tracks
from roadtest.records import read_rows, read_study_info, replacing, write_atomically

NO_GROUPS = Note(text="roadtest looked for groups, by names and looks (--group auto), and found none.")


def open_source(
    source: str,
    *,
    image_size: int,
    cache_dir: Path,
    data_dir: Path | None = None,
    is_subset_allowed: bool = False,
    skip_broken: bool = False,
    group: str | None = None,
    is_trained_on: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
    on_download: Callable[[int, int], None] | None = None,
) -> ImageSet:
    """Find, decode once and open a data set; a ValueError in one line where something is wrong with it.

    `group` None keeps the groups that the data brought, `auto` proposes some for the images without one.
    `is_trained_on` False takes folders that nothing could be trained on, such as a single class.
    `on_download` hears bytes there and bytes in all, `on_progress` images decoded and images in all.
    """
    is_whole_gtsrb = source == "gtsrb" and group is None and not is_subset_allowed

    def key() -> str | None:  # asked before and after: the archives may have to be downloaded first
        return archives_key(find_place(data_dir) or cache_dir / "gtsrb", image_size) if is_whole_gtsrb else None

    before = key()
    if before is not None and (cached := read_cached_listing(cache_dir, before, image_size)) is not None:
        return cached
    listing = list_grouped_source(
        source,
        group=group,
        image_size=image_size,
        cache_dir=cache_dir,
        data_dir=data_dir,
        is_subset_allowed=is_subset_allowed,
        skip_broken=skip_broken,
        is_trained_on=is_trained_on,
        on_progress=on_progress,
        on_download=on_download,
    )
    image_set = open_image_set(
        listing, image_size=image_size, cache_dir=cache_dir, skip_broken=skip_broken, on_progress=on_progress
    )
    if source != "gtsrb":
        return image_set
    image_set = with_recovered_tracks(image_set)
    if (after := key()) is not None and before in (None, after):
        write_cached_listing(after, image_set)
    return image_set


def list_grouped_source(
    source: str,
    *,
    group: str | None,
    image_size: int,
    cache_dir: Path,
    data_dir: Path | None,
    is_subset_allowed: bool,
    skip_broken: bool,
    is_trained_on: bool = True,
    is_checked: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    on_download: Callable[[int, int], None] | None = None,
) -> Listing:
    """What lies there, with proposed groups where `group` is `auto`: for that, and only then, it is decoded."""
    assert group in (None, "auto"), group
    if group is not None and (source == "gtsrb" or is_synthetic(source)):
        raise ValueError(f"--group auto goes with image folders and csv files, not with {source}: leave it out")
    listing = list_source(
        source,
        cache_dir=cache_dir,
        data_dir=data_dir,
        is_subset_allowed=is_subset_allowed,
        is_trained_on=is_trained_on,
        is_checked=is_checked,
        on_download=on_download,
    )
    if group is None:
        return listing
    if all(item.group for item in listing.items):
        raise ValueError(
            f"--group auto was given, and all images of {source} have groups already: it is for images without one; "
            "leave it out"
        )
    image_set = open_image_set(
        listing, image_size=image_size, cache_dir=cache_dir, skip_broken=skip_broken, on_progress=on_progress
    )
    groups = propose_groups(image_set)
    if groups == image_set.groups:
        return replace(listing, notes=(*listing.notes, NO_GROUPS))
    return with_groups(listing, image_set.paths, groups)


def list_source(
    source: str,
    *,
    cache_dir: Path,
    data_dir: Path | None,
    is_subset_allowed: bool,
    is_trained_on: bool = True,
    is_checked: bool = False,
    on_download: Callable[[int, int], None] | None = None,
) -> Listing:
    """What lies there, not yet decoded; `is_checked` takes what the data check has to complain of (folder.py)."""
    if source == "gtsrb":
        return list_gtsrb(data_dir, is_subset_allowed=is_subset_allowed, cache_dir=cache_dir, on_progress=on_download)
    for name, value in (("--data-dir", data_dir), ("--subset", is_subset_allowed or None)):
        if value is not None:
            raise ValueError(f"{name} goes with the source gtsrb, not with {source}: leave it out")
    if is_synthetic(source):
        return list_signs(**vars(parse_signs(source)))
    path = Path(source).expanduser()
    if is_arrays(path):
        return list_arrays(path, is_checked=is_checked)
    return list_folder(path, is_trained_on=is_trained_on, is_checked=is_checked)


def with_recovered_tracks(image_set: ImageSet) -> ImageSet:
    """Give the test images, whose tracks are not published, the tracks that their looks suggest."""
    test_N = image_set.indices_of("test")
    if len(test_N) == 0 or any(image_set.groups[i] for i in test_N):
        return image_set
    labels_N = image_set.labels_N[test_N]
    ids_N = _kept_or_recovered(image_set, test_N)
    groups = list(image_set.groups)
    for i, label, track in zip(test_N, labels_N, ids_N, strict=True):
        groups[i] = f"~{label:05d}-{track:05d}"
    return replace(image_set, groups=tuple(groups), group_origin="recovered")


def _kept_or_recovered(image_set: ImageSet, test_N: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Tracks of the test images, kept beside the decoded ones: clustering takes longer than opening all the rest."""
    images_NHWC = image_set.images_NHWC
    mapped = getattr(images_NHWC, "filename", None)
    path = None if mapped is None else Path(mapped).with_name(f"tracks-{METHOD}.npy")
    with contextlib.suppress(OSError, ValueError):
        kept_N = None if path is None else np.load(path, mmap_mode="r", allow_pickle=False)
        if kept_N is not None and kept_N.shape == test_N.shape and kept_N.dtype == np.int64:
            return np.array(kept_N)
    ids_N = recover_tracks(np.asarray(images_NHWC[test_N]), image_set.labels_N[test_N])
    if path is not None:
        with contextlib.suppress(OSError), replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, ids_N)  # a cache that cannot be written to is no reason to stop
    return ids_N


LISTING = "gtsrb-listing-1"
"""Changes whenever the same archives would be listed otherwise."""
LISTED = (".zip", ".csv", ".ppm", ".png")
"""What a listing looks at, besides folders."""


def archives_key(place: Path, image_size: int) -> str | None:
    """32 hexadecimal digits for the publisher's three archives in a folder; None where a listing would find more."""
    how = (LISTING, PREPROCESSING, PIL.__version__, METHOD, image_size, str(place.absolute()))
    digest = hashlib.blake2b(repr(how).encode(), digest_size=16)
    try:
        with os.scandir(place) as scan:
            others = [child for child in scan if child.name not in ARCHIVE_NAMES]
        if any(child.is_dir() or child.name.lower().endswith(LISTED) for child in others):
            return None
        for name in ARCHIVE_NAMES:
            status = (place / name).stat()
            digest.update(repr((name, status.st_size, status.st_mtime_ns)).encode())
    except OSError:
        return None
    return digest.hexdigest()


def read_cached_listing(cache_dir: Path, key: str, image_size: int) -> ImageSet | None:
    """What `write_cached_listing` kept under this key, over the decoded images; None where either is not whole."""
    for path in sorted(cache_dir.absolute().glob(f"decoded/*/opened-{key}.json"), reverse=True):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(path.read_text(encoding="ascii"))
            labels_N, frames_N = (np.array(kept[name], np.int64) for name in ("labels", "frames"))
            about = read_about(path.parent, len(labels_N), image_size)
            groups, splits, paths = (tuple(map(str, kept[name])) for name in ("groups", "splits", "paths"))
            if about is None or not len(labels_N) == len(frames_N) == len(groups) == len(splits) == len(paths):
                continue
            return ImageSet(
                source="gtsrb",
                title=str(kept["title"]),
                class_names=CLASS_NAMES,
                images_NHWC=np.load(path.with_name("images.npy"), mmap_mode="r", allow_pickle=False),
                labels_N=read_only(labels_N),
                groups=groups,
                frames_N=read_only(frames_N),
                splits=splits,
                paths=paths,
                fingerprint=about.fingerprint,
                notes=tuple(Note(text=str(text)) for text in kept["notes"]),
                subject="signs",
                group_origin="recovered" if "test" in splits else "given",
            )
    return None


def write_cached_listing(key: str, image_set: ImageSet) -> None:
    """Keep what was opened under this key, beside the decoded images; nothing where some are broken."""
    mapped = getattr(image_set.images_NHWC, "filename", None)
    if mapped is None or any(note.kind == "broken" for note in image_set.notes):
        return
    kept = {
        "title": image_set.title,
        "notes": [note.text for note in image_set.notes],
        "labels": image_set.labels_N.tolist(),
        "frames": image_set.frames_N.tolist(),
        "groups": image_set.groups,
        "splits": image_set.splits,
        "paths": image_set.paths,
    }
    with contextlib.suppress(OSError):  # a cache that cannot be written to stops nobody
        write_atomically(Path(mapped).with_name(f"opened-{key}.json"), json.dumps(kept).encode("ascii"))


COLUMNS = ("path", "label", "group", "split", "fold")


def reopen_image_set(study_dir: Path, pixels_path: Path) -> tuple[ImageSet, npt.NDArray[np.int64]]:
    """Return the images and folds_N (-1 outside the training part) of a study.

    A frame's number is its place among the rows of its group: split.csv is in canonical order.
    """
    info, rows = read_study_info(study_dir), read_rows(study_dir / "split.csv", COLUMNS)
    if not pixels_path.exists():
        raise ValueError(f"the decoded images are gone from {pixels_path}: give the same command again to decode them")
    images_NHWC = np.load(pixels_path, mmap_mode="r", allow_pickle=False)
    if len(images_NHWC) != len(rows):
        raise ValueError(
            f"{study_dir / 'split.csv'} has {len(rows)} rows and there are {len(images_NHWC)} images: use --fresh"
        )
    labels_N, folds_N = _whole_numbers(study_dir, rows, "label"), _whole_numbers(study_dir, rows, "fold")
    if not 0 <= labels_N.min(initial=0) <= labels_N.max(initial=0) < len(info.class_names):
        raise ValueError(
            f"{study_dir / 'split.csv'} has labels beyond the {len(info.class_names)} classes: use --fresh"
        )
    seen: Counter[str] = Counter()
    frames = []
    for row in rows:
        frames.append(seen[row["group"]] if row["group"] else 0)
        seen[row["group"]] += 1
    image_set = ImageSet(
        source=info.source,
        title=info.data_title,
        class_names=info.class_names,
        images_NHWC=images_NHWC,
        labels_N=labels_N,
        groups=tuple(row["group"] for row in rows),
        frames_N=np.array(frames, np.int64),
        splits=tuple(row["split"] for row in rows),
        paths=tuple(row["path"] for row in rows),
        fingerprint=info.data_fingerprint,
        notes=tuple(Note(text=text) for text in info.notes),
        test_title=info.test_title,
        test_fingerprint=info.test_fingerprint,
        level=info.level,
        subject=info.subject,
        group_origin=info.group_origin,
    )
    return image_set, folds_N


def _whole_numbers(study_dir: Path, rows: Sequence[Mapping[str, str]], name: str) -> npt.NDArray[np.int64]:
    try:
        return np.array([int(row[name]) for row in rows], np.int64)
    except (ValueError, OverflowError):
        raise ValueError(f"{study_dir / 'split.csv'} has a {name} that is no number: use --fresh") from None
