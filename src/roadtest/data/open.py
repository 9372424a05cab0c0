"""One way to open any source by its word: `gtsrb`, `signs`, `signs:20000`, or a path; decoded, cached, with tracks."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from roadtest.data.arrays import is_arrays, list_arrays
from roadtest.data.cache import open_image_set
from roadtest.data.folder import list_folder
from roadtest.data.gtsrb import find_place, list_gtsrb
from roadtest.data.imageset import ImageSet, Listing
from roadtest.data.remembered import archives_key, recall, remember
from roadtest.data.sequences import propose_groups, with_groups
from roadtest.data.signs import is_drawn, list_signs, parse_drawing
from roadtest.data.tracks import METHOD, recover_tracks
from roadtest.record import replacing

NO_GROUPS = "roadtest looked for groups, by names and looks (--group auto), and found none."


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
    if before is not None and (remembered := recall(cache_dir, before, image_size)) is not None:
        return remembered
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
        remember(after, image_set)
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
    if group is not None and (source == "gtsrb" or is_drawn(source)):
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
    if is_drawn(source):
        return list_signs(**vars(parse_drawing(source)))
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
    return replace(image_set, groups=tuple(groups))


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
