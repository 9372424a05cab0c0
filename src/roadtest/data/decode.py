"""Decode images into the rows of one array on disk, here or in processes of their own.

The idea: workers are fresh interpreters (`python -m roadtest.data.decode`) that are asked over a pipe for one chunk of
images at a time, write the pixels straight into the array's file and answer with digests and failures. Nothing of the
caller is forked or imported again: no main guard is needed, notebooks work, and so does every system. A worker whose
asker died sees the end of its pipe and goes. Shapes: N images, H = W = image_size, C = 3 channels (RGB).

It does not know what a cache is, and judges nothing: a broken image is an answer, not an error.
"""

import contextlib
import hashlib
import importlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from roadtest.data.imageset import Item, Listing
from roadtest.data.rows import RowFile

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


def count_processes(listing: Listing) -> int:
    """How many processes decoding is worth: one for little work, else one per core that is ours, at most 16."""
    num_bytes = sum(item.size_bytes for item in listing.items)
    if len(listing.items) < FEW_IMAGES and num_bytes < FEW_BYTES:
        return 1
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(num_cores, 16)


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


def reader_word(read_image: Callable[[Item], Image.Image]) -> str:
    """`module:name` of a module-level function, by which a worker finds it; empty for anything else."""
    module, name = getattr(read_image, "__module__", ""), getattr(read_image, "__qualname__", "")
    is_found = getattr(sys.modules.get(module), name, None) is read_image
    return f"{module}:{name}" if is_found else ""


def _is_ours(word: str) -> bool:
    """Workers import nothing but this package; the reader of somebody else is called in its own process."""
    return word.startswith("roadtest.") and word.isascii()


class _Worker:
    """One decoding process; a context manager that ends it."""

    def __init__(self, word: str, target: RowFile, log: Path) -> None:
        self._log = log
        with log.open("wb") as messages:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "roadtest.data.decode"],
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


def _environment() -> dict[str, str]:
    """The caller's environment, with its import path, and without threads that decoding does not use."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


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


if __name__ == "__main__":
    main()
