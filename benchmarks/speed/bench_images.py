"""The images of a speed benchmark, twice: as files for loaders that open them, and decoded for those that do not."""

from pathlib import Path

import numpy as np

from roadtest.data.cache import decode_image, default_cache_dir
from roadtest.data.dataset import Listing
from roadtest.data.signs import list_signs
from roadtest.data.sources.gtsrb import list_gtsrb


def list_images(source: str, data_dir: Path | None) -> Listing:
    """`gtsrb` (from data_dir or ROADTEST_GTSRB), or `signs`, which are drawn."""
    if source == "gtsrb":
        return list_gtsrb(data_dir, cache_dir=default_cache_dir())
    return list_signs(num_test=430)


def write_images(folder: Path, listing: Listing, *, num_images: int, image_size: int) -> None:
    """Write `files/<class>/<number>.ppm` (GTSRB's own format; png for drawn signs), `pixels.npy` and `labels.npy`.

    Training images drawn at random; where there are too few, they come again.
    """
    train = [item for item in listing.items if item.split == "train"]
    rows_N = np.resize(np.random.default_rng(0).permutation(len(train)), num_images)
    ending = "ppm" if listing.source == "gtsrb" else "png"
    pixels_NHWC = np.empty((num_images, image_size, image_size, 3), np.uint8)
    for number, row in enumerate(rows_N):
        item = train[row]
        path = folder / "files" / f"{item.label:05d}" / f"{number:06d}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = listing.read_image(item)
        image.save(path)
        pixels_NHWC[number], _ = decode_image(image, image_size)
    np.save(folder / "pixels.npy", pixels_NHWC)
    np.save(folder / "labels.npy", np.array([train[row].label for row in rows_N], np.int64))
