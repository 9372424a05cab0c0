"""The cache that decodes a listing once, and opens it in a blink ever after.

The idea: `<cache>/decoded/<key>-<generation>/` holds `images.npy` (N x S x S x 3, uint8, memory-mapped) and
`about.json`; all else is in the Listing, whose every field is in the key. A build happens in a private folder that is
renamed when it is complete, so that two processes may build at once (the slower one takes the other's) and a killed one
leaves nothing but a folder to sweep. What was mapped once is never replaced: a damaged or outdated generation is
superseded by the next number. Deleting `decoded/` is always allowed; the ledger lies beside it.

The data fingerprint is no key: it names the data set by its original pixels, whatever its layout, format and paths.
Nothing is ever thrown away because the cache is large; that is left to people.
"""

import contextlib
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL

from roadtest.data.decode import DIGEST_BYTES, count_processes, decode_all, item_values, reader_word, try_image
from roadtest.data.imageset import ImageSet, Item, Listing
from roadtest.data.publish import published_folder
from roadtest.data.rows import RowFile

PREPROCESSING = "rgb-bilinear-1"
"""Changes whenever the same files would give other pixels."""
BROKEN = "broken images were left out: "
"""In the note that says so, after their number."""


class BrokenImages(ValueError):  # noqa: N818
    """Some images cannot be read; `paths_and_reasons` has all of them."""

    def __init__(self, paths_and_reasons: Sequence[tuple[str, str]], num_images: int) -> None:
        self.paths_and_reasons = tuple(paths_and_reasons)
        super().__init__(
            f"{len(self.paths_and_reasons)} of {num_images} images cannot be read: "
            f"{_name_some(self.paths_and_reasons)}; repair or remove them, or leave them out with --skip-broken"
        )


class LostClass(ValueError):  # noqa: N818
    """Without its broken images a class has none; `paths_and_reasons` has all that cannot be read."""

    def __init__(self, class_name: str, paths_and_reasons: Sequence[tuple[str, str]]) -> None:
        self.paths_and_reasons = tuple(paths_and_reasons)
        super().__init__(f"class {class_name!r} has no readable image left: every class needs one; repair its images")


@dataclass(frozen=True, kw_only=True)
class About:
    """`about.json`: what the array beside it is."""

    source: str
    preprocessing: str
    image_size: int
    num_images: int
    """Rows of the array: the images of the listing without the broken ones."""
    fingerprint: str
    broken: tuple[tuple[int, str], ...]
    """(place in the listing, reason) of the images that were left out."""


def default_cache_dir() -> Path:
    """ROADTEST_CACHE, or `roadtest` in the place where this system keeps caches."""
    if given := os.environ.get("ROADTEST_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "roadtest" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "roadtest"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roadtest"


def open_image_set(
    listing: Listing,
    *,
    image_size: int,
    cache_dir: Path,
    num_processes: int | None = None,
    skip_broken: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> ImageSet:
    """Open the decoded images of a listing, decoding them first where nobody did.

    num_processes None chooses by the amount of work; 1 decodes in this process. on_progress is told images done and
    images in all, only while decoding. Raises BrokenImages, or a ValueError where the disk cannot take the array.
    """
    if not listing.items:
        raise ValueError(f"{listing.title} holds no images: at least one is needed; check the path")
    about, folder = _find_or_build(listing, image_size, cache_dir, num_processes, on_progress)
    if about.broken and not skip_broken:
        raise BrokenImages(_paths_and_reasons(listing, about.broken), len(listing.items))
    return _image_set(listing, about, folder)


def cache_key(listing: Listing, image_size: int) -> str:
    """32 hexadecimal digits over everything that decides the array: the items, how they are read and resized."""
    # Two readers without a name would share one key, and so one listing would be shown the other's pixels.
    assert reader_word(listing.read_image), "Listing.read_image must be a module-level function"
    how = (PREPROCESSING, PIL.__version__, image_size, reader_word(listing.read_image), len(listing.class_names))
    digest = hashlib.blake2b(repr(how).encode(), digest_size=16)
    for item in listing.items:
        digest.update(repr(item_values(item)).encode())
    return digest.hexdigest()


def data_fingerprint(items: Sequence[Item], digests: Sequence[bytes], num_classes: int) -> str:
    """Name a data set: 64 hexadecimal digits over split, class, group, frame and original pixels of all images.

    Sorted, so that the order of the files does not matter; class names, paths and formats are not in it.
    """
    rows = sorted(
        (item.split, item.label, item.group, item.frame, digest.hex())
        for item, digest in zip(items, digests, strict=True)
    )
    whole = hashlib.sha256(f"{num_classes} classes\n".encode())
    for row in rows:
        whole.update(f"{row!r}\n".encode())
    return whole.hexdigest()


def _find_or_build(
    listing: Listing,
    image_size: int,
    cache_dir: Path,
    num_processes: int | None,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[About, Path]:
    """The newest generation that is whole and true, made here where there is none."""
    cache = writable_folder(cache_dir.absolute() / "decoded")
    key = cache_key(listing, image_size)
    for generation in itertools.count():
        folder = cache / f"{key}-{generation}"
        is_new = not folder.exists()
        if is_new:
            _build(listing, folder, image_size, num_processes or count_processes(listing), on_progress)
        about = read_about(folder, len(listing.items), image_size)
        if about is not None and (is_new or not _is_any_repaired(listing, about)):
            return about, folder
        assert about is not None or not is_new, f"{folder} was damaged while it was written"
    raise AssertionError


def _build(
    listing: Listing,
    folder: Path,
    image_size: int,
    num_processes: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Decode into a private folder and rename it; after this, `folder` exists, ours or that of a faster process."""
    num_bytes = len(listing.items) * (image_size * image_size * 3 + DIGEST_BYTES) + 65536
    with published_folder(folder, num_bytes) as building:
        target = RowFile(path=building / "images.npy", image_size=image_size)
        target.start(len(listing.items))
        about = _fill(listing, target, building, num_processes, on_progress)
        (building / "about.json").write_text(json.dumps(asdict(about), indent=1), encoding="ascii")


def _fill(
    listing: Listing,
    target: RowFile,
    building: Path,
    num_processes: int,
    on_progress: Callable[[int, int], None] | None,
) -> About:
    """Decode everything into the array, then close the gaps that broken images left."""
    digests: list[bytes] = [b""] * len(listing.items)
    broken: list[tuple[int, str]] = []
    num_done = 0
    chunks = decode_all(listing, target, num_processes=num_processes, log_dir=building)
    with contextlib.closing(chunks):
        for chunk in chunks:
            digests[chunk.start : chunk.start + len(chunk.digests)] = chunk.digests
            broken.extend(chunk.broken)
            num_done += len(chunk.digests)
            if on_progress:
                on_progress(num_done, len(listing.items))
    for log in building.glob("worker-*.log"):
        log.unlink()
    kept = [i for i, digest in enumerate(digests) if digest]
    if not kept:
        raise BrokenImages(_paths_and_reasons(listing, sorted(broken)), len(listing.items))
    if broken:
        target.keep(kept)
    items = [listing.items[i] for i in kept]
    return About(
        source=listing.source,
        preprocessing=PREPROCESSING,
        image_size=target.image_size,
        num_images=len(kept),
        fingerprint=data_fingerprint(items, [digests[i] for i in kept], len(listing.class_names)),
        broken=tuple(sorted(broken)),
    )


def read_about(folder: Path, num_items: int, image_size: int) -> About | None:
    """What a finished folder holds; None where it is damaged."""
    try:
        plain = json.loads((folder / "about.json").read_text(encoding="ascii"))
        plain["broken"] = tuple((int(place), str(reason)) for place, reason in plain["broken"])
        about = About(**plain)
        num_bytes = (folder / "images.npy").stat().st_size
        is_whole = num_bytes == RowFile(path=folder, image_size=image_size).num_bytes(about.num_images)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    is_ours = about.num_images + len(about.broken) == num_items and about.image_size == image_size
    return about if is_whole and is_ours else None


def _is_any_repaired(listing: Listing, about: About) -> bool:
    """Look again at what could not be read: permissions and disks change without a file's time changing."""
    return any(
        not isinstance(try_image(listing.read_image, listing.items[place], about.image_size), str)
        for place, _ in about.broken
    )


def _image_set(listing: Listing, about: About, folder: Path) -> ImageSet:
    """Put the mapped array and the listing together."""
    left_out = {place for place, _ in about.broken}
    items = [item for i, item in enumerate(listing.items) if i not in left_out]
    lost = sorted({item.label for item in listing.items} - {item.label for item in items})
    if lost:
        raise LostClass(listing.class_names[lost[0]], _paths_and_reasons(listing, about.broken))
    images_NHWC = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    notes = listing.notes
    if about.broken:
        some = _name_some(_paths_and_reasons(listing, about.broken))
        notes = (*notes, f"{len(about.broken)} {BROKEN}{some}.")
    return ImageSet(
        source=listing.source,
        title=listing.title,
        class_names=listing.class_names,
        images_NHWC=images_NHWC,
        labels_N=read_only(np.array([item.label for item in items], np.int64)),
        groups=tuple(item.group for item in items),
        frames_N=read_only(np.array([item.frame for item in items], np.int64)),
        splits=tuple(item.split for item in items),
        paths=tuple(item.path for item in items),
        fingerprint=about.fingerprint,
        notes=notes,
        is_test_held_out=listing.is_test_held_out,
    )


def _paths_and_reasons(listing: Listing, broken: Iterable[tuple[int, str]]) -> list[tuple[str, str]]:
    return [(listing.items[place].path, reason) for place, reason in broken]


def _name_some(paths_and_reasons: Sequence[tuple[str, str]]) -> str:
    some = "; ".join(f"{path} ({reason})" for path, reason in paths_and_reasons[:3])
    more = len(paths_and_reasons) - 3
    return " ".join(f"{some} and {more} more".split() if more > 0 else some.split())


def read_only(array_N: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The same array, which nobody can write to any more."""
    array_N.flags.writeable = False
    return array_N


def writable_folder(folder: Path) -> Path:
    """Make a folder inside the cache where there is none; a ValueError where it may not be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"the cache cannot be kept in {folder} ({error.strerror}): it must be a folder that may be written; "
            "set ROADTEST_CACHE to one"
        ) from None
    return folder
