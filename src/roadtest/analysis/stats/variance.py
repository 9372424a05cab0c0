"""How large the luck in an accuracy is: the variance of a mean over seeds crossed with units, and its trust.

The model. A network is trained with S seeds; every trained one judges the same U units (tracks: images of one physical
sign stand or fall together). Three kinds of luck: the seed's, the unit's, and that of one seed on one unit. Of

    seed  = variance of the S seeds' accuracies / S                      (luck of seeds, plus the cells' share)
    unit  = cluster-robust variance over units of the mean over seeds    (luck of units, plus the cells' share)
    cell  = variance of what neither explains                            (the cells' share, counted in both)

the sum seed + unit - cell estimates the variance of the mean without bias (Searle, Casella and McCulloch, Variance
Components, 1992, chapter 4; the form of Owen, The pigeonhole bootstrap, 2007). It is never taken below the larger of
the first two. Arrays in, arrays out: leading axes are studies, so that a simulation judges thousands at once with the
very code that judges one. Shapes: S seeds, U units, N images. Verdicts and words live in comparisons.py.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The estimated parts of the variance of one network's accuracy; each an array over studies."""

    accuracy: Floats
    residuals_U: Floats
    """Per unit: its share of the mean over seeds, less what its size alone would bring; sums to zero."""
    seed: Floats
    cell: Floats
    num_seeds: int
    num_units: int

    @property
    def unit(self) -> Floats:
        """The cluster-robust variance over units; for two networks' difference subtract their residuals first."""
        return unit_variance(self.residuals_U)


@dataclass(frozen=True, kw_only=True)
class Total:
    """A variance and how well it is known."""

    variance: Floats
    degrees_of_freedom: Floats


def sum_by_unit(values_SN: npt.NDArray[np.generic], units_N: npt.NDArray[np.int64]) -> Floats:
    """Add up the images of each unit (numbered 0 to U - 1), for every seed."""
    num_units = int(units_N.max()) + 1
    return np.stack([np.bincount(units_N, weights=row, minlength=num_units) for row in values_SN])


def variance_parts(wrong_SU: Floats, sizes_U: Floats) -> Parts:
    """Split the luck in one network's accuracy, from the number of wrong images per seed and unit."""
    num_seeds, num_units = wrong_SU.shape[-2:]
    num_images = sizes_U.sum()
    error_S = wrong_SU.sum(axis=-1, keepdims=True) / num_images
    mean_U = wrong_SU.mean(axis=-2, keepdims=True)
    error = error_S.mean(axis=-2, keepdims=True)
    zero = np.zeros(wrong_SU.shape[:-2])
    seed = error_S.var(axis=(-2, -1), ddof=1) / num_seeds if num_seeds > 1 else zero
    cell = zero
    if num_seeds > 1 and num_units > 1:
        left_SU = wrong_SU - mean_U
        left_SU -= (error_S - error) * sizes_U
        np.square(left_SU, out=left_SU)
        cell = left_SU.sum(axis=(-2, -1)) * num_units / ((num_seeds - 1) * (num_units - 1) * num_seeds * num_images**2)
    return Parts(
        accuracy=1 - error[..., 0, 0],
        residuals_U=(mean_U - error * sizes_U)[..., 0, :] / num_images,
        seed=seed,
        cell=cell,
        num_seeds=num_seeds,
        num_units=num_units,
    )


def unit_variance(residuals_U: Floats) -> Floats:
    """The cluster-robust (sandwich) variance of a mean from its units' residuals, with the factor U / (U - 1)."""
    num_units = residuals_U.shape[-1]
    variance: Floats = (residuals_U**2).sum(axis=-1) * (num_units / max(num_units - 1, 1))
    return variance


def total_variance(networks: list[Parts], unit: Floats) -> Total:
    """Seeds and units together, for one network or for the difference of two whose seeds have nothing in common.

    `unit` is the cluster-robust variance of the figure itself: of the one network, or of the images' differences.
    The degrees of freedom are Satterthwaite's (1946).
    """
    seed = sum((parts.seed for parts in networks), start=np.zeros(()))
    cell = sum((parts.cell for parts in networks), start=np.zeros(()))
    variance = np.maximum(seed + unit - cell, np.maximum(seed, unit))
    unit_df = networks[0].num_units - 1
    spread = unit**2 / unit_df
    for parts in networks:
        seed_df = parts.num_seeds - 1
        spread = spread + parts.seed**2 / seed_df + parts.cell**2 / (seed_df * unit_df)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(variance > 0, variance**2 / spread, np.inf)
    lowest = min(unit_df, *(parts.num_seeds - 1 for parts in networks))
    highest = unit_df + sum(parts.num_seeds - 1 for parts in networks)
    return Total(variance=variance, degrees_of_freedom=np.clip(found, lowest, highest))
