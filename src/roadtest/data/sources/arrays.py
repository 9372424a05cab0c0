"""Arrays from Python as a source: `roadtest.compare((images_NHWC, labels_N))`.

The idea: they are written once into a folder of the cache, `given/<digest>/arrays/` with `images.npy` and `labels.npy`,
and that folder is a source like any other. So every process finds them, the same arrays are the same study, and its
`study.toml` names a place that is there. Any folder with these two files can be compared; nothing in them is ever
unpickled. Shapes: N images, H x W pixels of any size, C = 3 channels (RGB) or one.
"""

import functools
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from roadtest.data.dataset import Item, Listing, Note
from roadtest.data.sources.images import to_rgb
from roadtest.data.sources.layout import Labelled, build_listing
from roadtest.records.disk import new_directory

IMAGES, LABELS = "images.npy", "labels.npy"
NAME = "arrays"
"""Names the source in the study's folder."""
WANTED = "compare((images, labels)) takes uint8 images of N x H x W x 3 and N labels"
MAX_LABELS_BYTES = 1 << 30
_CHUNK = 4096


def store_arrays(images: npt.ArrayLike, labels: npt.ArrayLike, cache_dir: Path) -> Path:
    """Put arrays into the cache, unless they are there, and give their folder; a ValueError where they are wrong."""
    images_NHWC, labels_N = _check(np.asarray(images), np.asarray(labels))
    parent = cache_dir.absolute() / "given" / _digest(images_NHWC, labels_N)
    parent.mkdir(parents=True, exist_ok=True)
    if not is_arrays(parent / NAME):
        with new_directory(parent / NAME, images_NHWC.nbytes) as building:
            np.save(building / IMAGES, images_NHWC, allow_pickle=False)
            np.save(building / LABELS, labels_N, allow_pickle=False)
    return parent / NAME


def is_arrays(path: Path) -> bool:
    """Whether a folder holds arrays instead of folders of pictures."""
    is_both = (path / IMAGES).is_file() and (path / LABELS).is_file()
    return is_both and not any(entry.is_dir() for entry in path.iterdir())


def list_arrays(path: Path, *, seed: int = 0, is_checked: bool = False) -> Listing:
    """List the images of a folder with `images.npy` and `labels.npy`; 15 % of each class are held out for the test."""
    images_path = (path / IMAGES).resolve()
    modified_ns = images_path.stat().st_mtime_ns
    images_NHWC, labels_N = _check(open_array(str(images_path), modified_ns), _read_labels(path / LABELS))
    labelled = [
        Labelled(
            path=f"{row:07d}",
            location=f"{images_path}#{row}",
            class_name=str(label),
            size_bytes=int(images_NHWC[0].nbytes),
            modified_ns=modified_ns,
        )
        for row, label in enumerate(labels_N.tolist())
    ]
    return build_listing(
        labelled,
        where=str(path),
        source=NAME,
        read_image=read_array_image,
        seed=seed,
        notes=(Note(text="The images were given as arrays."),),
        is_checked=is_checked,
    )


def short_side(path: Path) -> int:
    """The shorter side of the images in pixels."""
    images_path = (path / IMAGES).resolve()
    return int(min(open_array(str(images_path), images_path.stat().st_mtime_ns).shape[1:3]))


def read_array_image(item: Item) -> Image.Image:
    """One row of the images as RGB."""
    path, _, row = item.location.rpartition("#")
    return to_rgb(Image.fromarray(np.ascontiguousarray(open_array(path, item.modified_ns)[int(row)]).squeeze()))


@functools.lru_cache(maxsize=4)
def open_array(path: str, modified_ns: int) -> npt.NDArray[np.uint8]:
    """Map an array into memory, anew where the file was changed; a ValueError in one line where the file is none."""
    try:
        array: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, OverflowError, MemoryError) as error:
        raise ValueError(f"{path} is no array ({error}): a plain .npy file is needed; use numpy.save") from None
    return array


def _read_labels(path: Path) -> npt.NDArray[np.generic]:
    if path.stat().st_size > MAX_LABELS_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes: labels take at most {MAX_LABELS_BYTES:,}")
    try:
        labels_N: npt.NDArray[np.generic] = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, OverflowError, MemoryError) as error:
        raise ValueError(f"{path} holds no labels ({error}): they must be numbers or texts; save them anew") from None
    return labels_N


def _check(
    images_NHWC: npt.NDArray[np.generic], labels_N: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.generic]]:
    """Both arrays, once it is certain that they are images and their labels."""
    shape = " x ".join(map(str, images_NHWC.shape)) or "one number"
    if images_NHWC.dtype != np.uint8:
        raise ValueError(f"the images are {images_NHWC.dtype}: {WANTED}; scale them to 0..255 and use .astype('uint8')")
    is_grey = images_NHWC.ndim == 3 or (images_NHWC.ndim == 4 and images_NHWC.shape[3] == 1)
    if not is_grey and (images_NHWC.ndim != 4 or images_NHWC.shape[3] != 3):
        is_channels_first = images_NHWC.ndim == 4 and images_NHWC.shape[1] in (1, 3)
        hint = "use .transpose(0, 2, 3, 1)" if is_channels_first else "reshape them"
        raise ValueError(f"the images are {shape}: {WANTED} (or N x H x W, grey); {hint}")
    if labels_N.shape != images_NHWC.shape[:1] or labels_N.dtype.kind not in "iuU":
        raise ValueError(
            f"the labels are {labels_N.dtype} of shape {labels_N.shape} for {len(images_NHWC)} images: {WANTED}, whole "
            "numbers or texts; give one per image"
        )
    if 0 in images_NHWC.shape:
        raise ValueError(f"the images are {shape}: there must be some; give arrays that hold pictures")
    return images_NHWC.view(np.uint8), labels_N


def _digest(images_NHWC: npt.NDArray[np.uint8], labels_N: npt.NDArray[np.generic]) -> str:
    """32 hexadecimal digits over everything that is in the arrays."""
    digest = hashlib.blake2b(repr((images_NHWC.shape, labels_N.dtype.kind)).encode(), digest_size=16)
    for start in range(0, len(images_NHWC), _CHUNK):
        digest.update(np.ascontiguousarray(images_NHWC[start : start + _CHUNK]).data)
    digest.update("\n".join(map(str, labels_N.tolist())).encode())
    return digest.hexdigest()
