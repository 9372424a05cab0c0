"""Made-up studies whose truth is known: what six networks of equal accuracy get wrong, unit by unit.

Six networks, S seeds each, see the same test images: 12,630 in 421 tracks of 30 (GTSRB), or as many unrelated ones; or,
as validation does it, each seed sees another fold of 130 tracks. Whether an image is misread is the sign of a sum of
normal draws, so that the true accuracy is known exactly: a difficulty of the unit (track or image) that all networks
share, one of the network with the unit, one of the trained network with the unit, one of the single image, and the
seed's effect on everything. The shares make tracks look like GTSRB's: an intraclass correlation of 0.4 near 95 %, and
networks that err on different images. In the family of identical networks the network's own share is everybody's.

All cells of one kind of units and one number of seeds stand on the same draws: that saves most of the time, and what
differs between two cells is then the cell. judge_simulation.py judges them. B studies, K networks, S seeds, U units;
V views: S where each seed sees units of its own, else 1.
"""

import functools
from dataclasses import dataclass
from itertools import product
from math import exp, pi, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import binom, ndtr, ndtri

Floats = npt.NDArray[np.floating]
NUM_NETWORKS = 6
TRACK_SIZE = 30
INDEPENDENT, TRACKS, FOLDS = "independent", "tracks of 30", "validation folds"
NUM_UNITS = {INDEPENDENT: 12_630, TRACKS: 421, FOLDS: 130}
NUM_SEEDS = (3, 5, 10)
ACCURACIES = (0.95, 0.995)
SEED_EFFECTS = {"none": (0.0, 0.0), "typical": (0.003, 0.0007), "large": (0.01, 0.0025)}
"""Standard deviation of a seed's true accuracy, at the first and at the second accuracy."""
SHARES = {INDEPENDENT: (0.3, 0.2, 0.5), TRACKS: (0.45, 0.15, 0.15), FOLDS: (0.45, 0.15, 0.15)}
"""Of the variance of the sum behind an error: of the unit, of network x unit, of network x seed x unit; in tracks the
rest is the single image's."""
DIFFERENT, IDENTICAL = "equal", "identical"
FAMILIES = (DIFFERENT, IDENTICAL)
"""Equally accurate, and erring on different images; or one network six times, trained with other seeds."""
LEVELS, LEVELS_PER_UNIT, COLUMNS = 4096, 256, 32
"""Of the table of binomials: how finely the sum is rounded (1/256 moves no accuracy by 1e-6), and counts 0 to 31."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of study."""

    family: str
    units: str
    accuracy: float
    seed_effect: str
    num_seeds: int

    @property
    def seed_deviation(self) -> float:
        """Standard deviation of the seed's draw on the scale of the sum behind an error."""
        wanted = SEED_EFFECTS[self.seed_effect][ACCURACIES.index(self.accuracy)]
        return wanted / (exp(-(float(ndtri(self.accuracy)) ** 2) / 2) / sqrt(2 * pi))

    @property
    def threshold(self) -> float:
        """A sum above it is an error; the accuracy over seeds and units is then exact."""
        return float(ndtri(self.accuracy)) * sqrt(1 + self.seed_deviation**2)


CELLS = tuple(
    Cell(family=family, units=units, accuracy=accuracy, seed_effect=effect, num_seeds=num_seeds)
    for family, units, accuracy, effect, num_seeds in product(FAMILIES, NUM_UNITS, ACCURACIES, SEED_EFFECTS, NUM_SEEDS)
)
KINDS = tuple(product(NUM_UNITS, NUM_SEEDS))
"""Cells of one kind stand on the same draws."""


@dataclass(frozen=True, kw_only=True)
class Luck:
    """What is drawn for a batch of studies: standard normals, and random bits for the images of a track."""

    shared_B1VU: Floats
    own_BKVU: Floats
    last_BKSU: Floats
    """Of network x seed x unit."""
    seeds_BKS1: Floats
    bits_BKSU: npt.NDArray[np.uint32]
    """Empty for single images."""


def draw_luck(units: str, num_seeds: int, num_studies: int, rng: np.random.Generator) -> Luck:
    """Draw for so many studies, whatever their accuracy, seed effect and family."""
    num_units, num_views = NUM_UNITS[units], num_seeds if units == FOLDS else 1

    def normal(*shape: int) -> npt.NDArray[np.float32]:
        return rng.standard_normal((num_studies, *shape), dtype=np.float32)

    last_BKSU = normal(NUM_NETWORKS, num_seeds, num_units)
    return Luck(
        shared_B1VU=normal(1, num_views, num_units),
        own_BKVU=normal(NUM_NETWORKS, num_views, num_units),
        last_BKSU=last_BKSU,
        seeds_BKS1=normal(NUM_NETWORKS, num_seeds, 1),
        bits_BKSU=rng.integers(0, 2**32, 0 if units == INDEPENDENT else last_BKSU.shape, np.uint32),
    )


def sum_up(luck: Luck, family: str, units: str) -> Floats:
    """The sum behind an error, BKSU, but for the seed's effect and for the single image of a track."""
    shared, own, last = SHARES[units]
    if family == IDENTICAL:
        shared, own = shared + own, 0.0
    sums_BKSU = sqrt(last) * luck.last_BKSU
    sums_BKSU += sqrt(shared) * luck.shared_B1VU + sqrt(own) * luck.own_BKVU
    return sums_BKSU


def count_wrong(cell: Cell, sums_BKSU: Floats, luck: Luck) -> Floats:
    """The number of images that each trained network gets wrong in each unit, BKSU."""
    limits_BKS1 = cell.threshold - cell.seed_deviation * luck.seeds_BKS1
    if cell.units == INDEPENDENT:
        return (sums_BKSU > limits_BKS1).astype(np.float32)
    single = sqrt(1 - sum(SHARES[cell.units]))
    levels_BKSU = (sums_BKSU - limits_BKS1) * (LEVELS_PER_UNIT / single)
    levels_BKSU += LEVELS / 2
    np.clip(np.rint(levels_BKSU, out=levels_BKSU), 0, LEVELS - 1, out=levels_BKSU)
    columns_BKSU = luck.bits_BKSU & np.uint32(COLUMNS - 1)
    packed_BKSU = _binomials()[levels_BKSU.astype(np.int32) * COLUMNS + columns_BKSU.astype(np.int32)]
    is_own_BKSU = (luck.bits_BKSU >> 5) < (packed_BKSU >> 5)
    return np.where(is_own_BKSU, columns_BKSU, packed_BKSU & np.uint32(COLUMNS - 1)).astype(np.float32)


def draw_wrong(cell: Cell, num_studies: int, rng: np.random.Generator) -> Floats:
    """The number of images that each trained network gets wrong in each unit of so many studies, BKSU."""
    luck = draw_luck(cell.units, cell.num_seeds, num_studies, rng)
    return count_wrong(cell, sum_up(luck, cell.family, cell.units), luck)


@functools.cache
def _binomials() -> npt.NDArray[np.uint32]:
    """Binomial counts of 30 for each level of the sum, as alias tables (Walker 1977): one look-up a draw.

    Five random bits choose a column, the other 27 whether its own count holds or its alias's, which is packed below.
    """
    wrong_L1 = ndtr((np.arange(LEVELS) - LEVELS / 2) / LEVELS_PER_UNIT)[:, None]
    counts_C = np.arange(COLUMNS)
    left_LC = binom(TRACK_SIZE, counts_C) * wrong_L1**counts_C * (1 - wrong_L1) ** np.maximum(TRACK_SIZE - counts_C, 0)
    left_LC[:, TRACK_SIZE + 1 :] = 0
    left_LC *= COLUMNS
    share_LC, alias_LC = np.ones_like(left_LC), np.tile(counts_C, (LEVELS, 1))
    is_open_LC, rows_L = np.ones(left_LC.shape, bool), np.arange(LEVELS)
    for _ in range(COLUMNS - 1):  # the poorest column is filled up by the richest
        poor_L = np.where(is_open_LC, left_LC, np.inf).argmin(axis=1)
        rich_L = np.where(is_open_LC, left_LC, -np.inf).argmax(axis=1)
        share_LC[rows_L, poor_L] = np.minimum(left_LC[rows_L, poor_L], 1)
        alias_LC[rows_L, poor_L] = rich_L
        left_LC[rows_L, rich_L] -= 1 - share_LC[rows_L, poor_L]
        is_open_LC[rows_L, poor_L] = False
    shares_LC = np.minimum(share_LC * 2**27, 2**27 - 1).astype(np.uint32)
    return (shares_LC << np.uint32(5) | alias_LC.astype(np.uint32)).ravel()
