"""GTSRB's archives, opened once, open in a blink ever after: what opening found is kept beside the decoded images.

Listing 51,839 members of zips, and finding their tracks' places, takes each new process one to two seconds. What three
archives hold cannot change without a size or a time of change, so these are the key; whatever else lies in that folder
or is listed otherwise (trees, other zips, parts of it) is looked at anew each time. Deleting `decoded/` forgets all.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import PIL

from roadtest.data.cache import BROKEN, PREPROCESSING, read_about, read_only
from roadtest.data.download import ARCHIVE_NAMES
from roadtest.data.gtsrb_names import CLASS_NAMES
from roadtest.data.imageset import ImageSet
from roadtest.data.tracks import METHOD
from roadtest.record import write_atomically

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


def recall(cache_dir: Path, key: str, image_size: int) -> ImageSet | None:
    """What `remember` kept under this key, over the decoded images; None where either is not whole."""
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
                notes=tuple(map(str, kept["notes"])),
            )
    return None


def remember(key: str, image_set: ImageSet) -> None:
    """Keep what was opened under this key, beside the decoded images; nothing where some are broken."""
    mapped = getattr(image_set.images_NHWC, "filename", None)
    if mapped is None or any(BROKEN in note for note in image_set.notes):
        return
    kept = {
        "title": image_set.title,
        "notes": image_set.notes,
        "labels": image_set.labels_N.tolist(),
        "frames": image_set.frames_N.tolist(),
        "groups": image_set.groups,
        "splits": image_set.splits,
        "paths": image_set.paths,
    }
    with contextlib.suppress(OSError):  # a cache that cannot be written to stops nobody
        write_atomically(Path(mapped).with_name(f"opened-{key}.json"), json.dumps(kept).encode("ascii"))
