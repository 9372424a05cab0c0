"""A data set's decoded images, found again in the cache by what they are: its fingerprint.

A run's folder does not say where its images lie, and a path would tell nothing on another computer. Two layouts of one
data set share a fingerprint and may order images without groups differently: whoever uses the rows checks that a kept
answer agrees.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

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
