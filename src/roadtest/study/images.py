"""What images of one's own decide for themselves before their protocol has a name: the image size, and flips.

Both are fields of the protocol, so they must be known before the study's folder is; both are told in one line each, and
stand in study.toml as if they had been asked for. The size takes a look at the files' headers, flips one at the decoded
images (roadtest.data.flips). Signs, drawn or real, decide nothing: their protocols are published as they are.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from roadtest.data.arrays import is_arrays, short_side, store_arrays
from roadtest.data.audit_images import LEAST_IMAGES
from roadtest.data.cache import open_image_set
from roadtest.data.flips import judge_flips, name_pairs
from roadtest.data.headers import IMAGE_SIZES, read_headers
from roadtest.data.imageset import Listing
from roadtest.data.open import list_grouped_source, list_source
from roadtest.events import Event, counting
from roadtest.study.options import Options, source_kind

Source = str | Path | tuple[Any, Any]
"""A word, a path, or the arrays images_NHWC and labels_N."""
MAX_CLASSES = 1_000
MAX_IMAGES = 1_000_000
"""What can be compared: with fewer images a test part of 15 % says nothing, and more were never tried."""


def name_source(source: Source, cache_dir: Path) -> str:
    """The source as a word; arrays are put into the cache and become the path of their folder there."""
    if isinstance(source, str | Path):
        return str(source)
    if not isinstance(source, tuple | list) or len(source) != 2:
        raise ValueError(
            f"a {type(source).__name__} cannot be compared: give gtsrb, signs, a path, or two arrays (images, labels)"
        )
    return str(store_arrays(*source, cache_dir))


def settle(
    source: str,
    options: Options,
    cache_dir: Path,
    tell: Callable[[Event], None],
    *,
    check: Callable[[Options], None] = lambda sized: None,
) -> Options:
    """Options with an image size and flips on or off; a ValueError where the images are too few, or too many.

    For signs the options as they are. `check` may refuse them before any image is decoded for its flips.
    """
    if source_kind(source) != "folder":
        return options
    listing = list_source(source, cache_dir=cache_dir, data_dir=None, is_subset_allowed=False)
    _check_limits(listing)
    if options.image_size is None:
        image_size, reason = _suggested_size(source, listing)
        options = replace(options, image_size=image_size)
        tell(Event(kind="note", text=reason))
    if options.mix is not None:  # among drawn signs are mirror images, whatever the folder holds
        return replace(options, flips="off")
    check(options)
    return options if options.flips == "off" else _settle_flips(source, listing, options, cache_dir, tell)


def _settle_flips(
    source: str, listing: Listing, options: Options, cache_dir: Path, tell: Callable[[Event], None]
) -> Options:
    assert options.image_size is not None
    if options.group is not None:  # groups deal the test part anew, and none of its images is looked at
        listing = list_grouped_source(
            source,
            group=options.group,
            image_size=options.image_size,
            cache_dir=cache_dir,
            data_dir=None,
            is_subset_allowed=False,
            skip_broken=options.skip_broken,
            on_progress=counting(tell, "data"),
        )
    image_set = open_image_set(
        listing,
        image_size=options.image_size,
        cache_dir=cache_dir,
        skip_broken=options.skip_broken,
        on_progress=counting(tell, "data"),
    )
    verdict = judge_flips(image_set)
    if options.flips == "on" and verdict.pairs:
        raise ValueError(f"--flips on would change labels: {name_pairs(verdict.pairs)}; leave it out")
    if options.flips == "on":
        return options
    tell(Event(kind="note", text=verdict.reason))
    return replace(options, flips="on" if verdict.is_safe else "off")


def _suggested_size(source: str, listing: Listing) -> tuple[int, str]:
    """The largest usual size not above the median short side, and that in words."""
    path = Path(source).expanduser()
    if is_arrays(path):
        median, size = float(short_side(path)), max((s for s in IMAGE_SIZES if s <= short_side(path)), default=32)
    else:
        headers = read_headers(listing)
        if headers is None:
            return IMAGE_SIZES[0], f"images are made {IMAGE_SIZES[0]} pixels a side: no header could be read"
        median, size = float(np.median(headers.short_sides_M)), headers.suggested_image_size
    return (
        size,
        f"images are made {size} x {size}: their median short side is {median:g} pixels; --image-size changes it",
    )


def _check_limits(listing: Listing) -> None:
    num_images, num_classes = len(listing.items), len(listing.class_names)
    if num_classes > MAX_CLASSES:
        raise ValueError(
            f"{listing.title} has {num_classes:,} classes: 2 to {MAX_CLASSES:,} can be compared; is there a folder per "
            "image instead of per class?"
        )
    if num_images < LEAST_IMAGES:
        raise ValueError(
            f"{listing.title} has {num_images} images: at least {LEAST_IMAGES} are needed to tell anything; add some"
        )
    if num_images > MAX_IMAGES:
        raise ValueError(f"{listing.title} has {num_images:,} images: at most {MAX_IMAGES:,} are compared; take a part")
