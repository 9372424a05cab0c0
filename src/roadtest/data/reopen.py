"""Open a study's images again, in another process, from the study's own folder and the decoded pixels.

The rows of split.csv are the rows of the array: labels, groups, splits and folds are read from there and nowhere
else, so a run trains on exactly the split that the study shows.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from roadtest.data.imageset import ImageSet
from roadtest.record import read_rows, read_study_info


def reopen_image_set(study_dir: Path, pixels_path: Path) -> tuple[ImageSet, npt.NDArray[np.int64]]:
    """Return the images and folds_N (-1 outside the training part) of a study.

    A frame's number is its place among the rows of its group: split.csv is in canonical order.
    """
    info, rows = read_study_info(study_dir), read_rows(study_dir / "split.csv")
    images_NHWC = np.load(pixels_path, mmap_mode="r", allow_pickle=False)
    if len(images_NHWC) != len(rows):
        raise ValueError(
            f"{study_dir / 'split.csv'} has {len(rows)} rows and there are {len(images_NHWC)} images: use --fresh"
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
        labels_N=np.array([int(row["label"]) for row in rows], np.int64),
        groups=tuple(row["group"] for row in rows),
        frames_N=np.array(frames, np.int64),
        splits=tuple(row["split"] for row in rows),
        paths=tuple(row["path"] for row in rows),
        fingerprint=info.data_fingerprint,
        notes=info.notes,
    )
    return image_set, np.array([int(row["fold"]) if row["fold"] else -1 for row in rows], np.int64)
