"""Open a study's images again, in another process, from the study's own folder and the decoded pixels.

The rows of split.csv are the rows of the array: labels, groups, splits and folds are read from there and nowhere
else, so a run trains on exactly the split that the study shows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from roadtest.data.imageset import ImageSet
from roadtest.record import read_rows, read_study_info

COLUMNS = ("path", "label", "group", "split", "fold")


def reopen_image_set(study_dir: Path, pixels_path: Path) -> tuple[ImageSet, npt.NDArray[np.int64]]:
    """Return the images and folds_N (-1 outside the training part) of a study.

    A frame's number is its place among the rows of its group: split.csv is in canonical order.
    """
    info, rows = read_study_info(study_dir), read_rows(study_dir / "split.csv", COLUMNS)
    if not pixels_path.exists():
        raise ValueError(f"the decoded images are gone from {pixels_path}: give the same command again to decode them")
    images_NHWC = np.load(pixels_path, mmap_mode="r", allow_pickle=False)
    if len(images_NHWC) != len(rows):
        raise ValueError(
            f"{study_dir / 'split.csv'} has {len(rows)} rows and there are {len(images_NHWC)} images: use --fresh"
        )
    labels_N, folds_N = _whole_numbers(study_dir, rows, "label"), _whole_numbers(study_dir, rows, "fold")
    if not 0 <= labels_N.min(initial=0) <= labels_N.max(initial=0) < len(info.class_names):
        raise ValueError(
            f"{study_dir / 'split.csv'} has labels beyond the {len(info.class_names)} classes: use --fresh"
        )
    seen: Counter[str] = Counter()
    frames = []
    for row in rows:
        frames.append(seen[row["group"]] if row["group"] else 0)
        seen[row["group"]] += 1
    image_set = ImageSet(
        source=info.source,
        title=info.data_title,
        class_names=info.class_names,
        images_NHWC=images_NHWC,
        labels_N=labels_N,
        groups=tuple(row["group"] for row in rows),
        frames_N=np.array(frames, np.int64),
        splits=tuple(row["split"] for row in rows),
        paths=tuple(row["path"] for row in rows),
        fingerprint=info.data_fingerprint,
        notes=info.notes,
        test_title=info.test_title,
        test_fingerprint=info.test_fingerprint,
        level=info.level,
    )
    return image_set, folds_N


def _whole_numbers(study_dir: Path, rows: Sequence[Mapping[str, str]], name: str) -> npt.NDArray[np.int64]:
    try:
        return np.array([int(row[name]) for row in rows], np.int64)
    except (ValueError, OverflowError):
        raise ValueError(f"{study_dir / 'split.csv'} has a {name} that is no number: use --fresh") from None
