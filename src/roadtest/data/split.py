"""Who trains, validates and tests: folds by group, the log of test readings, and tracks recovered from images.

Folds: images of one physical thing (a track, a group of a csv file) form a unit, and an image without a group is a unit
of its own. The units of each class are shuffled by a fixed generator and dealt over the folds, each class beginning
with the fold that has the fewest images so far. No unit is ever cut; seed k validates on fold k mod num_folds, and
neither the order of the files nor the seed moves a unit. A validation part that the data brought is kept.

The log: a test set that is read often stops being one. One line is added each time a run reads it, beside the data
cache; studies copy their lines, and the report says how often this test set is known to have been read.

Recovered tracks, for GTSRB's test images: frames of one track look alike, and errors come in whole tracks. Within each
class, Ward clustering (Hierarchical grouping to optimize an objective function, 1963) of small thumbnails on a
logarithmic scale gives units of error: two clusters for three tracks, since a torn track would make intervals too
short. On GTSRB's training tracks their standard errors lie close to the true ones (docs/statistics.md; the tests
measure it again). They are no identities: do not split training from validation by them.

Shapes: N images, H x W pixels, C = 3 channels; U units, F folds.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from roadtest.data.dataset import TRAIN, VAL, ImageSet
from roadtest.records import PlannedRun, append_row, read_rows, utc_now, write_rows
from roadtest.records.disk import folder_lock

Ints = npt.NDArray[np.int64]
FOLD_KEY = 20110804
"""Of the generator that deals folds; another number is another split. Convention: when GTSRB was presented."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Row numbers of the images that train and validate for one seed, ascending."""

    train_N: Ints
    val_N: Ints


@dataclass(frozen=True, kw_only=True)
class Units:
    """Which images belong together; units are numbered in the order of their names."""

    ids_N: Ints
    """Per image, its unit."""
    sizes_U: Ints
    """Images per unit."""
    classes: tuple[tuple[int, ...], ...]
    """Per unit, its classes from the rarest (in units) on; nearly always one."""

    @property
    def homes_U(self) -> Ints:
        """Per unit, its rarest class: the one it is dealt with."""
        return np.array([classes[0] for classes in self.classes], np.int64)


def find_units(groups: Sequence[str], paths: Sequence[str], labels_N: Ints) -> Units:
    """Gather images of one group, and leave those without a group alone."""
    keys = [(group, "") if group else ("", path) for group, path in zip(groups, paths, strict=True)]
    numbers = {key: i for i, key in enumerate(sorted(set(keys)))}
    ids_N = np.array([numbers[key] for key in keys], np.int64)
    num_classes = int(labels_N.max(initial=0)) + 1
    pairs_P = np.unique(ids_N * num_classes + labels_N)
    units_P, labels_P = np.divmod(pairs_P, num_classes)
    units_per_class_K = np.bincount(labels_P, minlength=num_classes)
    order_P = np.lexsort((labels_P, units_per_class_K[labels_P], units_P))
    classes: list[tuple[int, ...]] = [()] * len(numbers)
    for unit, label in zip(units_P[order_P].tolist(), labels_P[order_P].tolist(), strict=True):
        classes[unit] += (label,)
    return Units(ids_N=ids_N, sizes_U=np.bincount(ids_N, minlength=len(numbers)), classes=tuple(classes))


def by_class(classes_U: Ints) -> list[tuple[int, Ints]]:
    """(class, its members) for every class there is, ascending."""
    order_U = np.argsort(classes_U, kind="stable")
    labels, starts = np.unique(classes_U[order_U], return_index=True)
    return list(zip(labels.tolist(), np.split(order_U, starts[1:]), strict=True)) if len(labels) else []


def shuffled(num_things: int, *key: int) -> Ints:
    """A random order of 0 to num_things - 1 that depends on the key alone, in every version of numpy."""
    draws = np.random.PCG64(np.random.SeedSequence(key)).random_raw(num_things)
    return np.argsort(draws, kind="stable")


def assign_folds(image_set: ImageSet, num_folds: int) -> Ints:
    """Deal the training images over folds; -1 for all others, and for all where the data has a validation part.

    A ValueError where there are fewer units than folds.
    """
    folds_N = np.full(len(image_set.splits), -1, np.int64)
    train_N = image_set.indices_of(TRAIN)
    if len(image_set.indices_of(VAL)):
        return folds_N
    units = find_units(
        [image_set.groups[i] for i in train_N], [image_set.paths[i] for i in train_N], image_set.labels_N[train_N]
    )
    if len(units.sizes_U) < num_folds:
        raise ValueError(
            f"{image_set.title} has {len(units.sizes_U)} groups of training images for {num_folds} folds: every fold "
            "needs one; add images, or give a validation part of their own (a folder val beside train)"
        )
    folds_N[train_N] = _deal(units, num_folds)[units.ids_N]
    return folds_N


def _deal(units: Units, num_folds: int) -> Ints:
    """A fold for every unit: first those of several classes, one by one, then class by class, the largest last."""
    folds_U = np.full(len(units.sizes_U), -1, np.int64)
    sizes_F = np.zeros(num_folds, np.int64)
    counts_KF = np.zeros((1 + max(map(max, units.classes)), num_folds), np.int64)
    is_mixed_U = np.array([len(classes) > 1 for classes in units.classes])
    mixed = np.flatnonzero(is_mixed_U)
    for unit in mixed[shuffled(len(mixed), FOLD_KEY)]:
        labels = list(units.classes[unit])
        fold = np.lexsort((sizes_F, *counts_KF[labels[::-1]]))[0]  # fewest of its rarest class, then of the next
        folds_U[unit] = fold
        sizes_F[fold] += units.sizes_U[unit]
        counts_KF[labels, fold] += 1
    singles = np.flatnonzero(~is_mixed_U)
    for label, members in sorted(by_class(units.homes_U[singles]), key=lambda pair: (len(pair[1]), pair[0])):
        single = singles[members[shuffled(len(members), FOLD_KEY, label)]]
        order_F = np.lexsort((shuffled(num_folds, FOLD_KEY, label, 1), sizes_F, counts_KF[label]))
        folds_U[single] = order_F[np.arange(len(single)) % num_folds]
        np.add.at(sizes_F, folds_U[single], units.sizes_U[single])
    return folds_U


def split_for_seed(image_set: ImageSet, folds_N: Ints, seed: int) -> Split:
    """The two parts of one seed: validate on fold `seed` mod the number of folds, train on the others.

    A validation part that the data brought is kept; all training images train then.
    """
    val_N = image_set.indices_of(VAL)
    if len(val_N):
        return Split(train_N=image_set.indices_of(TRAIN), val_N=val_N)
    is_val_N = folds_N == seed % (int(folds_N.max()) + 1)
    return Split(train_N=np.flatnonzero((folds_N >= 0) & ~is_val_N), val_N=np.flatnonzero(is_val_N))


def split_rows(image_set: ImageSet, folds_N: Ints) -> list[dict[str, Any]]:
    """The rows of split.csv, one per image in the order of the set; fold -1 where an image is in none."""
    return [
        {"path": path, "label": label, "group": group, "split": split, "fold": fold}
        for path, label, group, split, fold in zip(
            image_set.paths,
            image_set.labels_N.tolist(),
            image_set.groups,
            image_set.splits,
            folds_N.tolist(),
            strict=True,
        )
    ]


def split_fingerprint(rows: Sequence[Mapping[str, Any]]) -> str:
    """64 hexadecimal digits over who stands where; takes the rows as made or as read back from a csv file.

    A path counts only where nothing else says which image was dealt: two layouts of one data set are one split.
    """
    digest = hashlib.sha256()
    for row in rows:
        is_known_by_path = not row["group"] and int(row["fold"]) >= 0
        values = [str(row[name]) for name in ("label", "group", "split", "fold")]
        digest.update(json.dumps([*values, row["path"] if is_known_by_path else ""]).encode() + b"\n")
    return digest.hexdigest()


def every_tenth_frame(image_set: ImageSet, train_indices_N: Ints) -> Ints:
    """The first and every further tenth frame of each group, and of each class's images without a group; ascending.

    What the training accuracy is measured on between epochs: frames of one track are nearly the same image.
    """
    names = [image_set.groups[i] or int(image_set.labels_N[i]) for i in train_indices_N]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    runs_N = np.array([numbers[name] for name in names], np.int64)
    order_N = np.lexsort((train_indices_N, image_set.frames_N[train_indices_N], runs_N))
    sorted_runs_N = runs_N[order_N]
    starts_N = np.searchsorted(sorted_runs_N, sorted_runs_N)  # where each image's run begins
    is_tenth_N = (np.arange(len(order_N)) - starts_N) % 10 == 0
    return np.sort(train_indices_N[order_N[is_tenth_N]])


COLUMNS = ("read_at", "data_fingerprint", "study", "network", "has_stn", "seed", "protocol_fingerprint")
WAIT_SECONDS = 60
"""For another run's line; one takes milliseconds."""


def note_test_read(
    cache_dir: Path, *, data_fingerprint: str, study: str, run: PlannedRun, protocol_fingerprint: str
) -> dict[str, object]:
    """Add one line, before the test set is read, and return it."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    row: dict[str, object] = {"read_at": utc_now(), "data_fingerprint": data_fingerprint, "study": study}
    row |= {**vars(run), "protocol_fingerprint": protocol_fingerprint}
    with folder_lock(cache_dir, wait_seconds=WAIT_SECONDS):  # runs at the same time share the ledger
        append_row(cache_dir / "test-reads.csv", row)
    return row


def copy_test_reads(cache_dir: Path, study_dir: Path, data_fingerprint: str) -> None:
    """Add the lines about one test set to the study's own: those of another machine, or of a lost cache, stay."""
    old, known = (read_rows(folder / "test-reads.csv", COLUMNS) for folder in (study_dir, cache_dir))
    here = {tuple(row.values()) for row in known}
    rows = [row for row in old if tuple(row.values()) not in here]
    rows += [row for row in known if row["data_fingerprint"] == data_fingerprint]
    write_rows(study_dir / "test-reads.csv", sorted(rows, key=lambda row: row["read_at"]), COLUMNS)


THUMBNAIL_SIZE = 8
"""Pixels along each side: enough for light, colour and background; finer detail differs between frames."""
TRACKS_PER_CLUSTER = 1.5
"""Of 0.7, 1, 1.5 and 2, on a third of the training tracks (as many as the test set has), this one gave small CNNs
standard errors nearest to the true-track ones: 0.97 to 1.04 of them. 1 gave 0.91 to 0.98, 2 gave 0.95 to 1.15."""
METHOD = f"ward-{THUMBNAIL_SIZE}-{TRACKS_PER_CLUSTER:g}"
"""What a kept answer was made with: another method asks again."""
MAX_IMAGES_PER_CLASS = 20_000
"""Clustering holds every pair's distance: 20,000 images take 1.6 GB."""


def recover_tracks(
    images_NHWC: npt.NDArray[np.uint8], labels_N: npt.NDArray[np.int64], *, num_images_per_track: int = 30
) -> npt.NDArray[np.int64]:
    """Number the probable tracks, from 0, class after class; images of one class and number belong together."""
    if len(images_NHWC) != len(labels_N) or num_images_per_track < 1:
        raise ValueError(
            f"{len(images_NHWC)} images, {len(labels_N)} labels, {num_images_per_track} images per track: "
            "give one label per image and at least 1 image per track"
        )
    thumbnails_NT = thumbnails(images_NHWC)
    ids_N = np.empty(len(labels_N), np.int64)
    num_found = 0
    for label in np.unique(labels_N):
        members = np.flatnonzero(labels_N == label)
        num_clusters = max(1, round(len(members) / (num_images_per_track * TRACKS_PER_CLUSTER)))
        clusters = _cluster(thumbnails_NT[members], num_clusters)
        ids_N[members] = num_found + clusters
        num_found += int(clusters.max()) + 1
    return ids_N


def thumbnails(images_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """One row of log(1 + mean level) per image: its averages over 8 x 8 patches, for each colour."""
    height, width = images_NHWC.shape[1:3]
    if min(height, width) < THUMBNAIL_SIZE:
        raise ValueError(f"images of {width} x {height} pixels are too small: use at least {THUMBNAIL_SIZE} a side")
    rows, columns = (np.linspace(0, size, THUMBNAIL_SIZE + 1).round().astype(int) for size in (height, width))
    small = np.empty((len(images_NHWC), THUMBNAIL_SIZE, THUMBNAIL_SIZE, images_NHWC.shape[3]), np.float32)
    for row in range(THUMBNAIL_SIZE):
        for column in range(THUMBNAIL_SIZE):
            patch = images_NHWC[:, rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
            small[:, row, column] = patch.mean(axis=(1, 2), dtype=np.float32)
    flat: npt.NDArray[np.float32] = np.log1p(small).reshape(len(images_NHWC), -1)
    return flat


def _cluster(points_NT: npt.NDArray[np.float32], num_clusters: int) -> npt.NDArray[np.int64]:
    """Cluster numbers from 0 in the order of their first image."""
    if num_clusters == 1 or len(points_NT) == 1:
        return np.zeros(len(points_NT), np.int64)
    if len(points_NT) > MAX_IMAGES_PER_CLASS:
        raise ValueError(
            f"a class of {len(points_NT)} images is too large to recover tracks in: at most {MAX_IMAGES_PER_CLASS}; "
            "name the groups of your images instead"
        )
    from scipy.cluster.hierarchy import fcluster, linkage

    found = fcluster(linkage(points_NT, method="ward"), num_clusters, criterion="maxclust")
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    order: npt.NDArray[np.int64] = np.argsort(np.argsort(first))[inverse].astype(np.int64)
    return order
