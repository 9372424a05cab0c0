"""Variance components of an accuracy over seeds crossed with clusters, and their degrees of freedom.

The model. A network is trained with S seeds; each trained one predicts the same C clusters (tracks: the errors on
images of one sign are dependent). Three sources of variance: the seed, the cluster, and one seed on one cluster. Of

    seed    = variance of the S seeds' accuracies / S                         (seeds, plus the cells' share)
    cluster = cluster-robust variance over clusters of the mean over seeds    (clusters, plus the cells' share)
    cell    = variance of what neither explains                               (the cells' share, counted in both)

the sum seed + cluster - cell estimates the variance of the mean without bias (Searle, Casella and McCulloch, Variance
Components, 1992, chapter 4; the form of Owen, The pigeonhole bootstrap, 2007). It is never taken below the larger of
the first two. Arrays in, arrays out: leading axes are studies, so that a simulation judges thousands at once with the
very code that judges one. Shapes: S seeds, C clusters, N images.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class VarianceComponents:
    """The estimated components of the variance of one network's accuracy; each an array over studies."""

    accuracy: Floats
    residuals_C: Floats
    """Per cluster: its share of the mean over seeds, less what its size alone would bring; sums to zero."""
    seed: Floats
    cell: Floats
    num_seeds: int
    num_clusters: int

    @property
    def cluster(self) -> Floats:
        """The cluster-robust variance over clusters; for two networks' difference subtract their residuals first."""
        return cluster_variance(self.residuals_C)


@dataclass(frozen=True, kw_only=True)
class Total:
    """A variance and how well it is known."""

    variance: Floats
    degrees_of_freedom: Floats


def sum_by_cluster(values_SN: npt.NDArray[np.generic], clusters_N: npt.NDArray[np.int64]) -> Floats:
    """Add up the images of each cluster (numbered 0 to C - 1), for every seed."""
    num_clusters = int(clusters_N.max()) + 1
    return np.stack([np.bincount(clusters_N, weights=row, minlength=num_clusters) for row in values_SN])


def variance_components(wrong_SC: Floats, sizes_C: Floats) -> VarianceComponents:
    """Split the variance of one network's accuracy, from the number of wrong images per seed and cluster."""
    num_seeds, num_clusters = wrong_SC.shape[-2:]
    num_images = sizes_C.sum()
    error_S = wrong_SC.sum(axis=-1, keepdims=True) / num_images
    mean_C = wrong_SC.mean(axis=-2, keepdims=True)
    error = error_S.mean(axis=-2, keepdims=True)
    zero = np.zeros(wrong_SC.shape[:-2])
    seed = error_S.var(axis=(-2, -1), ddof=1) / num_seeds if num_seeds > 1 else zero
    cell = zero
    if num_seeds > 1 and num_clusters > 1:
        left_SC = wrong_SC - mean_C
        left_SC -= (error_S - error) * sizes_C
        np.square(left_SC, out=left_SC)
        cell = (
            left_SC.sum(axis=(-2, -1))
            * num_clusters
            / ((num_seeds - 1) * (num_clusters - 1) * num_seeds * num_images**2)
        )
    return VarianceComponents(
        accuracy=1 - error[..., 0, 0],
        residuals_C=(mean_C - error * sizes_C)[..., 0, :] / num_images,
        seed=seed,
        cell=cell,
        num_seeds=num_seeds,
        num_clusters=num_clusters,
    )


def cluster_variance(residuals_C: Floats) -> Floats:
    """The cluster-robust (sandwich) variance of a mean from its clusters' residuals, with the factor C / (C - 1)."""
    num_clusters = residuals_C.shape[-1]
    variance: Floats = (residuals_C**2).sum(axis=-1) * (num_clusters / max(num_clusters - 1, 1))
    return variance


def total_variance(networks: list[VarianceComponents], cluster: Floats) -> Total:
    """Add up seeds and clusters, for one network or for the difference of two whose seeds have nothing in common.

    `cluster` is the cluster-robust variance of the figure itself: of the one network, or of the images' differences.
    The degrees of freedom are Satterthwaite's (1946).
    """
    seed = sum((components.seed for components in networks), start=np.zeros(()))
    cell = sum((components.cell for components in networks), start=np.zeros(()))
    variance = np.maximum(seed + cluster - cell, np.maximum(seed, cluster))
    cluster_df = networks[0].num_clusters - 1
    spread = cluster**2 / cluster_df
    for components in networks:
        seed_df = components.num_seeds - 1
        spread = spread + components.seed**2 / seed_df + components.cell**2 / (seed_df * cluster_df)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(variance > 0, variance**2 / spread, np.inf)
    lowest = min(cluster_df, *(components.num_seeds - 1 for components in networks))
    highest = cluster_df + sum(components.num_seeds - 1 for components in networks)
    return Total(variance=variance, degrees_of_freedom=np.clip(found, lowest, highest))
