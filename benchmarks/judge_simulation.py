"""Does the judge keep its promises? Thousands of made-up studies whose truth is known, judged by the judge's own code.

    python benchmarks/judge_simulation.py --studies 5000        # the committed table, about 10 minutes on one core
    python benchmarks/judge_simulation.py --studies 500         # a look, about a minute

A study is six networks of equal true accuracy, S seeds each, on 12,630 test images: one by one (independent) or in 421
tracks of 30. Whether an image is misread is the sign of a sum of normal draws, so that the true accuracy is known
exactly: a difficulty of the track (of the image, where images are independent) that all networks share, one of the
network with that track, one of the trained network with that track, one of the image, and the seed's effect on
everything. The shares are chosen so that tracks of 30 look like what GTSRB shows: an intraclass correlation of 0.4 and
networks that err on different images. Judged are: how often an interval holds the truth (coverage), and how often one
of the 15 pairs is called different although none is (family-wise false positives). Beside the judge stand what people
do instead: a t interval and t tests over seeds, and McNemar's test over images on the first seeds; all with Holm's
correction. It writes benchmarks/results/judge-simulation.csv and .md.
"""

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from roadtest.judge import CONFIDENCE
from roadtest.judge_intervals import accuracy_bounds, difference_bounds
from roadtest.judge_variance import Parts, total_variance, unit_variance, variance_parts

NUM_NETWORKS = 6
NUM_IMAGES = 12_630
TRACK_SIZE = 30
PAIRS = tuple(combinations(range(NUM_NETWORKS), 2))
NUM_SEEDS = (3, 5, 10)
ACCURACIES = (0.95, 0.995)
SEED_EFFECTS = {"none": (0.0, 0.0), "typical": (0.003, 0.0007), "large": (0.01, 0.0025)}
"""Standard deviation of a seed's true accuracy, at the first and at the second accuracy."""
SHARES = {"tracks of 30": (0.40, 0.20, 0.15), "independent": (0.30, 0.20, 0.0)}
"""Of the variance of the sum behind an error: shared by all networks, of network x unit, of network x seed x unit."""
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of study."""

    units: str
    accuracy: float
    seed_effect: str
    num_seeds: int

    @property
    def seed_deviation(self) -> float:
        """Standard deviation of the seed's draw, on the scale of the sum behind an error."""
        wanted = SEED_EFFECTS[self.seed_effect][ACCURACIES.index(self.accuracy)]
        density = np.exp(-(ndtri(self.accuracy) ** 2) / 2) / np.sqrt(2 * np.pi)
        return float(wanted / density)

    @property
    def threshold(self) -> float:
        """Above it the sum means an error; set so that the accuracy over seeds and units is exact."""
        return float(ndtri(self.accuracy) * np.sqrt(1 + self.seed_deviation**2))


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one cell showed; rates in percent, to one decimal."""

    units: str
    accuracy: float
    seed_effect: str
    num_seeds: int
    num_studies: int
    coverage: float
    """Of the judge's interval for one network."""
    half_width_points: float
    """Mean half-width of that interval, in percentage points."""
    false_positives: float
    """Studies in which the judge called any of the 15 pairs different."""
    pair_coverage: float
    """Of the judge's interval for one pair's difference."""
    seeds_t_coverage: float
    """Of a t interval over seeds alone."""
    seeds_t_false_positives: float
    mcnemar_false_positives: float


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One study: numbers of wrong images, and the images' own table of the first seeds for McNemar."""

    wrong_KSU: Floats
    sizes_U: Floats
    discordant_PX: Floats
    """Per pair: images that only the first, and only the second network's first seed got wrong."""


def draw_study(cell: Cell, rng: np.random.Generator) -> Draw:
    """Let six networks with S seeds each misread images."""
    if cell.units == "independent":
        return _draw_images(cell, rng)
    return _draw_tracks(cell, rng)


def judge_study(draw: Draw, truth: float) -> dict[str, float]:
    """Judge one study by every method; the sums that a row is made of."""
    num_units = draw.wrong_KSU.shape[-1]
    parts = variance_parts(draw.wrong_KSU, draw.sizes_U)
    low, high = accuracy_bounds(parts.accuracy, total_variance([parts], parts.unit), num_units, CONFIDENCE)
    p_values, differences = [], []
    for a, b in PAIRS:
        one, other = _network(parts, a), _network(parts, b)
        residuals_U = one.residuals_U - other.residuals_U
        total = total_variance([one, other], unit_variance(residuals_U))
        num_differing = (np.abs(residuals_U) > 1e-12).sum()
        bounds = difference_bounds(one.accuracy - other.accuracy, total, num_differing, num_units, CONFIDENCE)
        p_values.append(float(bounds[2]))
        differences.append(bool(bounds[0] <= 0 <= bounds[1]))
    seeds_low, seeds_high, seeds_p = _over_seeds(1 - draw.wrong_KSU.sum(axis=-1) / draw.sizes_U.sum())
    return {
        "coverage": np.mean((low <= truth) & (truth <= high)),
        "half_width_points": np.mean(high - low) * 50,
        "false_positives": _any_rejected(np.array(p_values)),
        "pair_coverage": np.mean(differences),
        "seeds_t_coverage": np.mean((seeds_low <= truth) & (truth <= seeds_high)),
        "seeds_t_false_positives": _any_rejected(seeds_p),
        "mcnemar_false_positives": _any_rejected(_mcnemar(draw.discordant_PX)),
    }


def simulate(cell: Cell, num_studies: int, seed: int) -> Row:
    """Draw and judge many studies of one kind."""
    rng = np.random.Generator(np.random.SFC64([seed, *CELLS_KEY(cell)]))
    sums: dict[str, float] = {}
    for _ in range(num_studies):
        for name, value in judge_study(draw_study(cell, rng), cell.accuracy).items():
            sums[name] = sums.get(name, 0.0) + float(value)
    rates = {
        name: round(total / num_studies * (1 if name == "half_width_points" else 100), 2)
        for name, total in sums.items()
    }
    return Row(**asdict(cell), num_studies=num_studies, **rates)
