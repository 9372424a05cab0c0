"""Recover which images show one physical sign, where a data set does not say: GTSRB's test images.

Frames of one track show the same sign under the same light, seconds apart: they look alike, and errors come in whole
tracks. Within each class, Ward clustering of small thumbnails, on a logarithmic scale so that a dark sign's shades
count as much as a bright one's, finds groups that serve as units of error. Two clusters are made for three tracks:
some hold two tracks, but a track is seldom torn apart, which would make intervals too short. On GTSRB's training
tracks, whose ids are known, standard errors from recovered tracks lie close to the true ones (docs/statistics.md;
tests/test_data_tracks.py measures it again). It recovers units of error, not identities: do not split training from
validation by it.

Ward, Hierarchical grouping to optimize an objective function, 1963. Shapes: N images, H x W pixels, C = 3 channels.
"""

import numpy as np
import numpy.typing as npt

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
