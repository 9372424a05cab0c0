"""Decode a listing once; later openings memory-map the file.

`<cache>/decoded/<key>-<generation>/` holds `images.npy` (N x S x S x 3, uint8) and `about.json`; all else is in the
Listing, whose every field is in the key. A folder appears when it is whole (records/disk.py), so that two processes
may build at once: the slower one takes the other's. What was mapped once is never replaced: a damaged or outdated
generation is superseded by the next number. Deleting `decoded/` is always allowed; nothing is deleted here because the
cache is large.

Worker processes (loky: no main guard is needed, nothing of the caller is forked) write the pixels straight into the
file, whose space is reserved before: a full disk is an error and no crash. The data fingerprint is no key: it names the
data set by its original pixels, whatever its layout, format and paths. Shapes: N images, H = W = S pixels, C = 3 (RGB).
"""

import hashlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image, UnidentifiedImageError

from roadtest.data.dataset import ImageSet, Item, Listing, Note
from roadtest.records.disk import new_directory, writable_folder

PREPROCESSING = "rgb-bilinear-1"
"""Changes whenever the same files would give other pixels."""
MAX_PIXELS = 100_000_000
"""Larger images are refused as broken: a file of a few bytes can ask for any amount of memory. Convention."""
MAX_ABOUT_BYTES = 50_000_000
"""Of an `about.json`, which lists the broken images. Joined data sets have `about-<fingerprint>.json`."""
IDLE_SECONDS = 10
"""After which a worker ends whose caller was killed."""
NO_IMAGE = "it is no image of a kind that is read"
DIGEST_BYTES = 16
FEW_IMAGES = 2000
FEW_BYTES = 64 << 20
"""Below both, starting processes costs more than it saves."""
CHUNK_IMAGES = 128
CHUNK_BYTES = 8 << 20
"""A chunk's decoded pixels at most: bounds the memory of a worker."""
HEADER_BYTES = 128
_STRIP_PIXELS = 4 << 20
_item_values = attrgetter(*(f.name for f in fields(Item)))


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


@dataclass(frozen=True, kw_only=True)
class DecodedChunk:
    """What became of the images from row `start` on; their pixels are in the file."""

    start: int
    digests: tuple[bytes, ...]
    """Of the original pixels; an empty one for a broken image."""
    broken: tuple[tuple[int, str], ...]
    """(row, reason) of the images that could not be read; their rows are zero."""


def default_cache_dir() -> Path:
    """ROADTEST_CACHE, or `roadtest` in the place where this system keeps caches."""
    if given := os.environ.get("ROADTEST_CACHE"):
        return Path(given).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("roadtest", appauthor=False)


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

    num_processes None chooses by the amount of work; 1 decodes in this process. on_progress gets images done and images
    in all, only while decoding. Raises BrokenImages, or a ValueError where the disk cannot take the array.
    """
    if not listing.items:
        raise ValueError(f"{listing.title} holds no images: at least one is needed; check the path")
    key, cache = cache_key(listing, image_size), writable_folder(cache_dir.absolute() / "decoded")
    for generation in itertools.count():
        folder = cache / f"{key}-{generation}"
        is_new = not folder.exists()
        if is_new:  # afterwards it exists, ours or that of a faster process
            _build(listing, folder, image_size, num_processes or count_processes(listing), on_progress)
        about = read_about(folder, len(listing.items), image_size)
        if about is not None and (is_new or not _is_any_repaired(listing, about)):
            if about.broken and not skip_broken:
                raise BrokenImages(_paths_and_reasons(listing, about.broken), len(listing.items))
            return _image_set(listing, about, folder)
        assert about is not None or not is_new, f"{folder} was damaged while it was written"
    raise AssertionError


def cache_key(listing: Listing, image_size: int) -> str:
    """32 hexadecimal digits over everything that decides the array: the items, how they are read and resized."""
    # Two readers without a name would share one key, and so one listing would be shown the other's pixels.
    assert reader_word(listing.read_image), "Listing.read_image must be a module-level function"
    how = (PREPROCESSING, PIL.__version__, image_size, reader_word(listing.read_image), len(listing.class_names))
    digest = hashlib.blake2b(repr(how).encode(), digest_size=16)
    for item in listing.items:
        digest.update(repr(_item_values(item)).encode())
    return digest.hexdigest()


def reader_word(read_image: Callable[[Item], Image.Image]) -> str:
    """`module:name` of a module-level function; empty for anything else."""
    module, name = getattr(read_image, "__module__", ""), getattr(read_image, "__qualname__", "")
    is_found = getattr(sys.modules.get(module), name, None) is read_image
    return f"{module}:{name}" if is_found else ""


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


def _build(
    listing: Listing,
    folder: Path,
    image_size: int,
    num_processes: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Decode everything into a new folder, then close the gaps that broken images left."""
    num_images = len(listing.items)
    num_bytes = array_bytes(num_images, image_size) + num_images * DIGEST_BYTES + 65536
    with new_directory(folder, num_bytes) as building:
        path = building / "images.npy"
        create_array(path, num_images, image_size)
        digests: list[bytes] = [b""] * num_images
        broken: list[tuple[int, str]] = []
        num_done = 0
        for chunk in decode_all(listing, path, image_size, num_processes=num_processes):
            digests[chunk.start : chunk.start + len(chunk.digests)] = chunk.digests
            broken.extend(chunk.broken)
            num_done += len(chunk.digests)
            if on_progress:
                on_progress(num_done, num_images)
        kept = [i for i, digest in enumerate(digests) if digest]
        if not kept:
            raise BrokenImages(_paths_and_reasons(listing, sorted(broken)), num_images)
        if broken:
            _keep_rows(path, kept, image_size)
        items = [listing.items[i] for i in kept]
        about = About(
            source=listing.source,
            preprocessing=PREPROCESSING,
            image_size=image_size,
            num_images=len(kept),
            fingerprint=data_fingerprint(items, [digests[i] for i in kept], len(listing.class_names)),
            broken=tuple(sorted(broken)),
        )
        (building / "about.json").write_text(json.dumps(asdict(about), indent=1), encoding="ascii")


def read_about(folder: Path, num_items: int, image_size: int) -> About | None:
    """What a finished folder holds; None where it is damaged."""
    try:
        plain = json.loads((folder / "about.json").read_text(encoding="ascii"))
        plain["broken"] = tuple((int(place), str(reason)) for place, reason in plain["broken"])
        about = About(**plain)
        is_whole = (folder / "images.npy").stat().st_size == array_bytes(about.num_images, image_size)
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
        text = f"{len(about.broken)} broken images were left out: {some}."
        notes = (*notes, Note(kind="broken", count=len(about.broken), text=text))
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
        subject=listing.subject,
        group_origin=listing.group_origin,
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


def decode_image(image: Image.Image, image_size: int) -> tuple[npt.NDArray[np.uint8], bytes]:
    """Resize to a square of RGB (bilinear, antialiased) and digest the original pixels with their size."""
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS // 10**6} million")
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    digest = hashlib.blake2b(f"{rgb.width}x{rgb.height}".encode(), digest_size=DIGEST_BYTES)
    num_lines = max(1, _STRIP_PIXELS // rgb.width)
    for top in range(0, rgb.height, num_lines):  # in strips: a large image is not copied whole
        digest.update(rgb.crop((0, top, rgb.width, min(top + num_lines, rgb.height))).tobytes())
    resized = rgb.resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8), digest.digest()


def try_image(
    read_image: Callable[[Item], Image.Image], item: Item, image_size: int
) -> tuple[npt.NDArray[np.uint8], bytes] | str:
    """Read and decode one image; where that fails, the reason in one line."""
    try:
        with read_image(item) as image:
            return decode_image(image, image_size)
    except UnidentifiedImageError:  # its own text names a path of this computer, or an object in memory
        return NO_IMAGE
    except Exception as error:  # a hostile file can make a decoder raise anything
        said = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        return " ".join(said.split())[:200]


def count_processes(listing: Listing) -> int:
    """How many processes decoding is worth: one for little work, else one per core that is ours, at most 16."""
    num_bytes = sum(item.size_bytes for item in listing.items)
    if len(listing.items) < FEW_IMAGES and num_bytes < FEW_BYTES:
        return 1
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(num_cores, 16)


def decode_all(listing: Listing, path: Path, image_size: int, *, num_processes: int) -> Iterator[DecodedChunk]:
    """Decode every image into the array at `path`, yielding chunks as they are done, in any order."""
    items, num_processes = listing.items, min(num_processes, len(listing.items))
    image_bytes = image_size * image_size * 3
    most = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // image_bytes, len(items) // (4 * num_processes)))
    chunks = [(listing.read_image, items[start : start + most], start, path) for start in range(0, len(items), most)]
    if num_processes == 1:
        yield from itertools.starmap(decode_chunk, chunks)
        return
    from concurrent.futures import as_completed

    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    pool = ProcessPoolExecutor(num_processes, timeout=IDLE_SECONDS)
    try:
        futures = {pool.submit(decode_chunk, *chunk): chunk[1] for chunk in chunks}
        for future in as_completed(futures):
            yield future.result()
            del futures[future]
    except BrokenProcessPool:
        waiting = list(futures.values())[: 2 * num_processes]
        raise ValueError(
            f"a decoding process ended, between {waiting[0][0].path} and {waiting[-1][-1].path}: memory ran out or an "
            "image crashed its decoder; free memory or take that image away"
        ) from None
    finally:
        pool.shutdown(kill_workers=True)


def decode_chunk(
    read_image: Callable[[Item], Image.Image], items: Sequence[Item], start: int, path: Path
) -> DecodedChunk:
    """Decode some images and write them as the rows from `start` on."""
    images_NHWC = np.lib.format.open_memmap(path, mode="r+")
    digests, broken = [], []
    for row, item in enumerate(items, start):
        result = try_image(read_image, item, images_NHWC.shape[1])
        if isinstance(result, str):
            broken.append((row, result))
            digests.append(b"")
        else:
            images_NHWC[row] = result[0]
            digests.append(result[1])
    return DecodedChunk(start=start, digests=tuple(digests), broken=tuple(broken))


def array_bytes(num_images: int, image_size: int) -> int:
    """Size of an `images.npy`: a header that is as long for any number of images, and a byte per channel."""
    return HEADER_BYTES + num_images * image_size * image_size * 3


def create_array(path: Path, num_images: int, image_size: int) -> None:
    """Create an `images.npy` of zeros and reserve its space; an OSError where the disk is full."""
    shape = (num_images, image_size, image_size, 3)
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    num_bytes = array_bytes(num_images, image_size)
    assert path.stat().st_size == num_bytes
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, num_bytes)
        else:  # Windows reserves with the size, macOS only what is written
            file.seek(HEADER_BYTES)
            for start in range(HEADER_BYTES, num_bytes, CHUNK_BYTES):
                file.write(bytes(min(CHUNK_BYTES, num_bytes - start)))


def _keep_rows(path: Path, rows: Sequence[int], image_size: int) -> None:
    """Move some rows together, in their (ascending) order, and cut the rest off."""
    images_NHWC = np.lib.format.open_memmap(path, mode="r+")
    for place, row in enumerate(rows):
        images_NHWC[place] = images_NHWC[row]
    images_NHWC.flush()
    header = np.lib.format.header_data_from_array_1_0(images_NHWC[: len(rows)])
    del images_NHWC  # no system cuts a file that is mapped
    with path.open("r+b") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(array_bytes(len(rows), image_size))


MAX_ABOUT_BYTES = 50_000_000
"""Of an `about.json`; it lists the broken images, a line each. Joined data have `about-<fingerprint>.json`."""


def find_decoded(cache_dir: Path, *, fingerprint: str, image_size: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Give images_NHWC, memory-mapped and read-only, of every layout of a data set that this cache holds."""
    for about in sorted((cache_dir / "decoded").glob("*/about*.json")):
        try:
            if about.stat().st_size > MAX_ABOUT_BYTES:
                continue
            plain = json.loads(about.read_text(encoding="ascii"))
            if (plain["fingerprint"], plain["image_size"]) != (fingerprint, image_size):
                continue
            images_NHWC = np.load(about.with_name("images.npy"), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a folder that is being built, or damaged: as if it were not there
        if images_NHWC.shape == (plain["num_images"], image_size, image_size, 3) and images_NHWC.dtype == np.uint8:
            yield images_NHWC
