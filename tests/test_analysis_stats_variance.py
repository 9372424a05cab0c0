"""The variance of a mean over seeds crossed with units: hand-computed cases and other people's arithmetic."""

import numpy as np
import pytest
import statsmodels.api as sm

from roadtest.analysis.stats.variance import (
    VarianceComponents,
    cluster_variance,
    sum_by_cluster,
    total_variance,
    variance_components,
)


def _parts(wrong_SC: list[list[float]], sizes_C: list[float]) -> VarianceComponents:
    return variance_components(np.array(wrong_SC, float), np.array(sizes_C, float))


def test_errors_are_added_up_per_seed_and_unit() -> None:
    wrong_SN = np.array([[True, False, True, True], [False, False, False, True]])
    assert sum_by_cluster(wrong_SN, np.array([1, 0, 1, 0])).tolist() == [[1, 2], [1, 0]]


def test_parts_by_hand_where_seeds_and_units_simply_add_up() -> None:
    # 2 units of 2 images. Errors per seed 1/4 and 3/4: variance 1/8, over 2 seeds 1/16. Units: mean errors 1.5 and 0.5
    # against an expected 1 each, so residuals +-1/8 of all images: 2/64 * 2/(2-1) = 1/16. Nothing is left over.
    components = _parts([[1, 0], [2, 1]], [2, 2])
    assert float(components.accuracy) == 0.5
    assert float(components.seed) == 0.0625
    assert float(components.cluster) == 0.0625
    assert float(components.cell) == 0.0


def test_parts_by_hand_where_all_is_interaction() -> None:
    # Each seed fails on another unit: means agree, and each cell is 1 image off. 4 * 1 * 2 / (1 * 1 * 2 * 4^2) = 1/4.
    components = _parts([[2, 0], [0, 2]], [2, 2])
    assert (float(components.seed), float(components.cluster), float(components.cell)) == (0.0, 0.0, 0.25)
    assert float(total_variance([components], components.cluster).variance) == 0.0


def test_parts_equal_the_mean_squares_of_a_two_way_analysis_of_variance() -> None:
    wrong_SC = np.random.default_rng(0).integers(0, 2, (4, 50)).astype(float)
    row, column = wrong_SC.mean(1, keepdims=True), wrong_SC.mean(0, keepdims=True)
    mean_square_cell = ((wrong_SC - row - column + wrong_SC.mean()) ** 2).sum() / (3 * 49)
    components = variance_components(wrong_SC, np.ones(50))
    assert float(components.seed) == pytest.approx(50 * row.var(ddof=1) / 200)
    assert float(components.cluster) == pytest.approx(4 * column.var(ddof=1) / 200)
    assert float(components.cell) == pytest.approx(mean_square_cell / 200)


def test_units_of_unequal_size_agree_with_statsmodels_cluster_robust_error() -> None:
    rng = np.random.default_rng(1)
    clusters_N = np.repeat(np.arange(40), rng.integers(1, 30, 40))
    values_N = (rng.random(len(clusters_N)) < rng.random(40)[clusters_N]).astype(float)
    fit = sm.OLS(values_N, np.ones(len(values_N))).fit(cov_type="cluster", cov_kwds={"groups": clusters_N})
    components = variance_components(sum_by_cluster(values_N[None], clusters_N), np.bincount(clusters_N).astype(float))
    assert float(np.sqrt(components.cluster)) == pytest.approx(float(fit.bse[0]), rel=1e-9)


def test_seed_plus_unit_minus_cell_is_the_true_variance_on_average() -> None:
    # 4 seeds x 30 units, effects with standard deviations 0.3, 0.5 and 0.8: the mean's variance is
    # 0.09 / 4 + 0.25 / 30 + 0.64 / 120 = 0.03617.
    rng = np.random.default_rng(2)
    shape = (20_000, 4, 30)
    wrong_BSC = 0.3 * rng.normal(size=(*shape[:2], 1)) + 0.5 * rng.normal(size=(shape[0], 1, 30))
    wrong_BSC = wrong_BSC + 0.8 * rng.normal(size=shape)
    components = variance_components(wrong_BSC, np.ones(30))
    assert (components.seed + components.cluster - components.cell).mean() == pytest.approx(0.03617, rel=0.03)
    assert components.accuracy.var() == pytest.approx(0.03617, rel=0.03)


def test_the_total_never_falls_below_its_larger_part() -> None:
    components = _parts([[3, 0, 1], [0, 2, 2], [1, 1, 0]], [3, 3, 3])
    assert float(components.cell) > min(float(components.seed), float(components.cluster))
    assert float(total_variance([components], components.cluster).variance) == max(
        float(components.seed), float(components.cluster)
    )


def test_satterthwaite_by_hand() -> None:
    # Parts of 3 with 2 and of 4 with 10 degrees of freedom: 49 / (9 / 2 + 16 / 10) = 8.03.
    seed, cell, residuals_C = np.array(3.0), np.array(0.0), np.zeros(11)
    components = VarianceComponents(
        accuracy=np.array(0.5), residuals_C=residuals_C, seed=seed, cell=cell, num_seeds=3, num_clusters=11
    )
    total = total_variance([components], np.array(4.0))
    assert float(total.variance) == 7.0
    assert float(total.degrees_of_freedom) == pytest.approx(49 / 6.1)


def test_two_networks_bring_both_their_seeds_but_share_the_units() -> None:
    one, other = _parts([[1, 0], [2, 1]], [2, 2]), _parts([[0, 0], [1, 1]], [2, 2])
    residuals_C = one.residuals_C - other.residuals_C
    total = total_variance([one, other], cluster_variance(residuals_C))
    # seeds 1/16 each and the units' 1/16 (the second network errs evenly); no interaction.
    assert float(total.variance) == pytest.approx(3 / 16)


def test_many_studies_at_once_are_judged_as_each_alone() -> None:
    wrong_BSC = np.random.default_rng(3).integers(0, 5, (6, 3, 9)).astype(float)
    together = variance_components(wrong_BSC, np.full(9, 5.0))
    alone = [variance_components(wrong_SC, np.full(9, 5.0)) for wrong_SC in wrong_BSC]
    for name in ("accuracy", "seed", "cluster", "cell"):
        np.testing.assert_allclose(getattr(together, name), [getattr(one, name) for one in alone], rtol=1e-12)
