"""The cache that decodes a listing once, and opens it in a blink ever after.

The idea: `<cache>/decoded/<key>-<generation>/` holds `images.npy` (N x S x S x 3, uint8, memory-mapped) and
`about.json`; all else is in the Listing, whose every field is in the key. A build happens in a private folder that is
renamed when it is complete, so that two processes may build at once (the slower one takes the other's) and a killed one
leaves nothing but a folder to sweep. What was mapped once is never replaced: a damaged or outdated generation is
superseded by the next number. Deleting `decoded/` is always allowed; the ledger lies beside it.

The data fingerprint is no key: it names the data set by its original pixels, whatever its layout, format and paths.
Nothing is ever thrown away because the cache is large; that is left to people.

Decode images into the rows of one array on disk, here or in processes of their own.

The idea: workers are fresh interpreters (`python -m roadtest.data.cache`) that are asked over a pipe for one chunk of
images at a time, write the pixels straight into the array's file and answer with digests and failures. Nothing of the
caller is forked or imported again: no main guard is needed, notebooks work, and so does every system. A worker whose
asker died sees the end of its pipe and goes. Shapes: N images, H = W = image_size, C = 3 channels (RGB).

It does not know what a cache is, and judges nothing: a broken image is an answer, not an error.

A data set's decoded images, found again in the cache by what they are: its fingerprint.

A run's folder does not say where its images lie, and a path would tell nothing on another computer. Two layouts of one
data set share a fingerprint and may order images without groups differently: whoever uses the rows checks that a kept
answer agrees.

Folders that exist either whole or not at all: built under a private name, then renamed.

The private name says whose it is (machine, process, start time, a random word), so that the leftovers of a process that
died can be told from the work of one that lives. No locks: of two that publish the same folder the first wins.

An .npy file of images that several processes fill row by row, in any order.

Rows are written as plain file output, never through a memory map: a disk that fills is an error then, not a crash.
Shapes: N images, H = W = image_size, C = 3 channels (RGB), one byte each.
"""

import contextlib
import errno
import hashlib
import importlib
import itertools
import json
import os
import queue
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import psutil
from PIL import Image, UnidentifiedImageError

from roadtest.data.dataset import ImageSet, Item, Listing, Note
from roadtest.records.lock import is_alive, this_machine

PREPROCESSING = "rgb-bilinear-1"
"""Changes whenever the same files would give other pixels."""


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


MAX_PIXELS = 100_000_000
"""Larger images are refused as broken: a file of a few bytes can ask for any amount of memory. Convention."""
NO_IMAGE = "it is no image of a kind that is read"
DIGEST_BYTES = 16
FEW_IMAGES = 2000
FEW_BYTES = 64 << 20
"""Below both, starting processes costs more than it saves."""
CHUNK_IMAGES = 128
CHUNK_BYTES = 8 << 20
"""A chunk's decoded pixels at most: bounds the memory of a worker."""
_STRIP_PIXELS = 4 << 20
item_values = attrgetter(*(f.name for f in fields(Item)))
"""An Item as a plain tuple, in the order of its fields."""


@dataclass(frozen=True, kw_only=True)
class DecodedChunk:
    """What became of the images from row `start` on; their pixels are in the file."""

    start: int
    digests: tuple[bytes, ...]
    """Of the original pixels; an empty one stands for a broken image."""
    broken: tuple[tuple[int, str], ...]
    """(row, reason) of the images that could not be read; their rows are zero."""


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


def reader_word(read_image: Callable[[Item], Image.Image]) -> str:
    """`module:name` of a module-level function, by which a worker finds it; empty for anything else."""
    module, name = getattr(read_image, "__module__", ""), getattr(read_image, "__qualname__", "")
    is_found = getattr(sys.modules.get(module), name, None) is read_image
    return f"{module}:{name}" if is_found else ""


def _is_ours(word: str) -> bool:
    """Workers import nothing but this package; the reader of somebody else is called in its own process."""
    return word.startswith("roadtest.") and word.isascii()


def _environment() -> dict[str, str]:
    """The caller's environment, with its import path, and without threads that decoding does not use."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _wait_for(answers: "queue.SimpleQueue[DecodedChunk | Exception]") -> DecodedChunk | Exception:
    while True:
        with contextlib.suppress(queue.Empty):
            return answers.get(timeout=0.5)  # with a limit: Windows hears Ctrl-C only between two waits


def answer_chunk(line: str) -> dict[str, Any]:
    """A worker's answer to one line: digests and failures, or the error of the disk."""
    (word, path, image_size), start, rows = json.loads(line)
    if not _is_ours(word):
        raise ValueError(f"{word!r} is not a function of this package: workers call nothing else")
    module, name = word.split(":")
    read_image = getattr(importlib.import_module(module), name)
    target = RowFile(path=Path(path), image_size=image_size)
    try:
        chunk = decode_chunk(read_image, [Item(**dict(zip(_NAMES, row, strict=True))) for row in rows], start, target)
    except OSError as error:
        return {"errno": error.errno, "text": error.strerror}
    return {"digests": [digest.hex() for digest in chunk.digests], "broken": chunk.broken}


_NAMES = tuple(f.name for f in fields(Item))


def main() -> None:
    """Answer chunks until the asker is gone. Its own stdout is the answers' alone."""
    with os.fdopen(os.dup(1), "w", encoding="ascii") as answers:
        os.dup2(2, 1)  # whatever else prints goes to the log
        while line := sys.stdin.readline():
            print(json.dumps(answer_chunk(line)), file=answers, flush=True)


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


SWEEP_SECONDS = 24 * 3600
"""Leftovers of other machines, whose processes cannot be seen from here, are kept for this long."""
_PREFIX = ".building"


@contextlib.contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A new folder inside `parent` that nobody else uses; whatever is left of it in the end is removed."""
    started = int(psutil.Process().create_time())
    folder = parent / "-".join((_PREFIX, this_machine(), str(os.getpid()), str(started), secrets.token_hex(4)))
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def published_folder(folder: Path, num_bytes: int) -> Iterator[Path]:
    """A private folder that becomes `folder` where the block ends well, unless another process was faster.

    A ValueError where the disk cannot take so many bytes. What dead processes left beside it is swept away first.
    """
    sweep(folder.parent)
    if shutil.disk_usage(folder.parent).free < num_bytes:
        raise _no_space(folder.parent, num_bytes)
    try:
        with private_folder(folder.parent) as private:
            yield private
            publish(private, folder)
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise _no_space(folder.parent, num_bytes) from None


def publish(private: Path, folder: Path) -> bool:
    """Give a finished private folder its name; False where another process was first, and its folder stays."""
    for path in private.iterdir():
        _sync(path)
    try:
        private.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        return False
    return True


def sweep(parent: Path) -> None:
    """Remove the private folders of processes that died."""
    for folder in parent.glob(f"{_PREFIX}-*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def is_disk_full(error: OSError) -> bool:
    """The disk, or the user's share of it, has no room left."""
    return error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def _no_space(folder: Path, num_bytes: int) -> ValueError:
    free = shutil.disk_usage(folder).free
    return ValueError(
        f"the decoded images need {num_bytes} bytes and the disk of {folder} has {free} free: "
        "make room, set ROADTEST_CACHE to another disk, or take a smaller --image-size"
    )


def _is_abandoned(folder: Path) -> bool:
    _, machine, *rest = folder.name.split("-")
    if machine == this_machine() and len(rest) == 3 and rest[0].isdecimal() and rest[1].isdecimal():
        return not is_alive(int(rest[0]), int(rest[1]))
    with contextlib.suppress(OSError):  # it may vanish at this moment
        newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        return time.time() - newest > SWEEP_SECONDS
    return False


def _sync(path: Path) -> None:
    """Wait until the disk has it: a rename that outlives a power cut must not name an empty file."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


HEADER_BYTES = 128


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """The file, and how large its images are."""

    path: Path
    image_size: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one image."""
        return self.image_size * self.image_size * 3

    def num_bytes(self, num_images: int) -> int:
        """Bytes of the whole file."""
        return HEADER_BYTES + num_images * self.row_bytes

    def start(self, num_images: int) -> None:
        """Create the file with all rows zero."""
        with self.path.open("wb") as file:
            file.write(self._header(num_images))
            file.truncate(self.num_bytes(num_images))

    def write(self, start: int, pixels_NHWC: npt.NDArray[np.uint8]) -> None:
        """Write images as the rows from `start` on; an OSError is the disk's."""
        with self.path.open("r+b") as file:
            file.seek(self.num_bytes(start))
            file.write(pixels_NHWC.tobytes())

    def keep(self, rows: Sequence[int]) -> None:
        """Move some rows together, in their (ascending) order, and cut the rest off."""
        with self.path.open("r+b") as file:
            for place, row in enumerate(rows):
                if row != place:
                    file.seek(self.num_bytes(row))
                    pixels = file.read(self.row_bytes)
                    file.seek(self.num_bytes(place))
                    file.write(pixels)
            file.truncate(self.num_bytes(len(rows)))
            file.seek(0)
            file.write(self._header(len(rows)))

    def _header(self, num_images: int) -> bytes:
        """Version 1.0 of the format, padded so that it has the same length for any number of images."""
        shape = (num_images, self.image_size, self.image_size, 3)
        words = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
        words = words.ljust(HEADER_BYTES - 11) + "\n"
        return b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words.encode("ascii")


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


def decode_chunk(
    read_image: Callable[[Item], Image.Image], items: Sequence[Item], start: int, target: RowFile
) -> DecodedChunk:
    """Decode some images and write them as the rows from `start` on; an OSError is the disk's."""
    size = target.image_size
    pixels_NHWC = np.zeros((len(items), size, size, 3), np.uint8)
    digests, broken = [], []
    for i, item in enumerate(items):
        result = try_image(read_image, item, size)
        if isinstance(result, str):
            broken.append((start + i, result))
            digests.append(b"")
        else:
            pixels_NHWC[i] = result[0]
            digests.append(result[1])
    target.write(start, pixels_NHWC)
    return DecodedChunk(start=start, digests=tuple(digests), broken=tuple(broken))


def decode_all(
    listing: Listing, target: RowFile, *, num_processes: int, log_dir: Path
) -> Generator[DecodedChunk, None, None]:
    """Decode every image, yielding chunks as they are done, in any order; log_dir takes the workers' messages."""
    num_processes = min(num_processes, len(listing.items))
    word = reader_word(listing.read_image)
    most = max(1, min(CHUNK_IMAGES, CHUNK_BYTES // target.row_bytes, len(listing.items) // (4 * num_processes)))
    starts = range(0, len(listing.items), most)
    if num_processes <= 1 or not _is_ours(word) or not sys.executable:
        for start in starts:
            yield decode_chunk(listing.read_image, listing.items[start : start + most], start, target)
        return
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(_Worker(word, target, log_dir / f"worker-{i}.log")) for i in range(num_processes)
        ]
        yield from _share_out(workers, listing.items, starts)


class _Worker:
    """One decoding process; a context manager that ends it."""

    def __init__(self, word: str, target: RowFile, log: Path) -> None:
        self._log = log
        with log.open("wb") as messages:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "roadtest.data.cache"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                env=_environment(),
                text=True,
                encoding="ascii",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        self._job = [word, str(target.path), target.image_size]

    def ask(self, start: int, items: Sequence[Item]) -> DecodedChunk:
        """Have one chunk decoded; blocks until it is done."""
        answer = self._exchange(json.dumps([self._job, start, [item_values(item) for item in items]]))
        if not answer:
            raise ValueError(
                f"a decoding process ended (exit code {self._process.wait()}) between {items[0].path} and "
                f"{items[-1].path}{self._last_message()}: memory ran out or an image crashed its decoder; "
                "free memory or take that image away"
            )
        plain = json.loads(answer)
        if "errno" in plain:
            raise OSError(plain["errno"], plain["text"])
        return DecodedChunk(
            start=start,
            digests=tuple(bytes.fromhex(digest) for digest in plain["digests"]),
            broken=tuple((row, reason) for row, reason in plain["broken"]),
        )

    def _exchange(self, line: str) -> str:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            return self._process.stdout.readline()
        except OSError:  # it is gone
            return ""

    def _last_message(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n") if self._log.exists() else []
        return "".join(f" ({line.strip()[:200]})" for line in [line for line in lines if line.strip()][-1:])

    def kill(self) -> None:
        """End the process at once; whoever waits for its answer gets none."""
        self._process.kill()

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(OSError):  # a half-written line to a process that is gone
                pipe.close()


def _share_out(workers: Sequence[_Worker], items: Sequence[Item], starts: range) -> Iterator[DecodedChunk]:
    """Give every idle worker the next chunk, one thread per worker waiting for its answers."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    answers: queue.SimpleQueue[DecodedChunk | Exception] = queue.SimpleQueue()
    for start in starts:
        waiting.put(start)

    def feed(worker: _Worker) -> None:
        try:
            while True:
                start = waiting.get_nowait()
                answers.put(worker.ask(start, items[start : start + starts.step]))
        except queue.Empty:
            pass
        except Exception as error:
            answers.put(error)

    threads = [threading.Thread(target=feed, args=(worker,), daemon=True) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        for _ in starts:
            answer = _wait_for(answers)
            if isinstance(answer, Exception):
                raise answer
            yield answer
    finally:
        for worker in workers:
            worker.kill()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
