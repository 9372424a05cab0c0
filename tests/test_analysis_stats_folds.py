"""Intervals from validation folds: the fold is the unit."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from roadtest.analysis import stats as judge


def _folds(
    num_correct: Sequence[int], *, num_seen: int = 1000, num_clusters: int = 100, folds: Sequence[int] | None = None
) -> list[judge.FoldResult]:
    numbers = range(len(num_correct)) if folds is None else folds
    return [
        judge.FoldResult(fold=fold, num_correct=correct, num_seen=num_seen, num_clusters=num_clusters)
        for fold, correct in zip(numbers, num_correct, strict=True)
    ]


def test_an_accuracy_is_the_folds_mean_with_a_t_interval_on_the_logit_scale() -> None:
    # 0.90, 0.92, 0.94: mean 0.92, standard error 0.02 / sqrt(3), 2 degrees of freedom.
    found = judge.validation_interval(_folds([900, 920, 940]))
    assert found.estimate == pytest.approx(0.92)
    assert found.standard_error == pytest.approx(0.02 / np.sqrt(3))
    half = stats.t.ppf(0.975, 2) * 0.02 / np.sqrt(3) / (0.92 * 0.08)
    assert found.low == pytest.approx(1 / (1 + np.exp(half) * 0.08 / 0.92))
    assert found.high == pytest.approx(1 / (1 + np.exp(-half) * 0.08 / 0.92))
    assert (found.num_seeds, found.num_clusters, found.degrees_of_freedom) == (3, 3, 2)


def test_a_difference_is_the_paired_t_test_over_folds() -> None:
    a, b = [900, 921, 943, 911], [880, 915, 909, 905]
    found = judge.validation_difference(_folds(a), _folds(b))
    oracle = stats.ttest_rel(np.array(a) / 1000, np.array(b) / 1000)
    assert found.p_value == pytest.approx(float(oracle.pvalue))
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval()))
    assert found.seed_correlation == pytest.approx(float(np.corrcoef(a, b)[0, 1]))


def test_seeds_that_share_a_fold_are_one_fold() -> None:
    # Seeds 0, 1, 2 and 10, the last on fold 0 again: (900 + 940) / 2 = 920 there.
    found = judge.validation_interval(_folds([900, 930, 910, 940], folds=[0, 1, 2, 0]))
    again = judge.validation_interval(_folds([920, 930, 910]))
    assert (found.low, found.high, found.num_clusters) == (again.low, again.high, 3)


def test_only_common_folds_are_compared() -> None:
    found = judge.validation_difference(_folds([900, 920, 940], folds=[0, 1, 2]), _folds([890, 925], folds=[1, 2]))
    assert found.estimate == pytest.approx(((920 - 890) + (940 - 925)) / 2000)
    assert found.num_clusters == 2
    with pytest.raises(ValueError, match="share no validation fold"):
        judge.validation_difference(_folds([900], folds=[0]), _folds([900], folds=[1]))


def test_no_results_are_a_mistake_with_a_way_out() -> None:
    with pytest.raises(ValueError, match="no validation results"):
        judge.validation_interval([])


def test_a_single_fold_says_nothing() -> None:
    found = judge.validation_interval(_folds([900]))
    assert (found.low, found.high, found.standard_error) == (0.0, 1.0, 0.5)
    difference = judge.validation_difference(_folds([900]), _folds([800]))
    assert (difference.low, difference.high, difference.p_value) == (-1.0, 1.0, 1.0)


def test_folds_that_agree_by_chance_are_no_proof() -> None:
    # One image each: a spread of zero. Three images of 3,000 differ, so no sign test gives less than 2 / 2^3.
    found = judge.validation_difference(_folds([998, 996, 997]), _folds([997, 995, 996]))
    assert found.p_value == 0.25
    assert found.low < 0
    # Forty images each: the spread is at least that of single images, 120 / 3000^2, and the verdict stands.
    assert judge.validation_difference(_folds([940] * 3), _folds([900] * 3)).standard_error == pytest.approx(
        np.sqrt(120) / 3000
    )


def test_perfect_folds_still_leave_room_below() -> None:
    found = judge.validation_interval(_folds([1000, 1000, 1000], num_clusters=100))
    assert found.low == pytest.approx(0.025 ** (1 / 300))
    assert found.high == 1.0


def test_what_more_folds_would_tell_has_one_degree_of_freedom_a_fold() -> None:
    folds_a = [judge.FoldResult(fold=k, num_correct=970 + c, num_seen=1000) for k, c in enumerate((0, 9, 3, 8, 1))]
    folds_b = [judge.FoldResult(fold=k, num_correct=967 + c, num_seen=1000) for k, c in enumerate((2, 6, 1, 0, 6))]
    difference = judge.validation_difference(folds_a, folds_b)
    more = judge.required_to_separate(difference)
    assert more.least_seeds is not None
    num_folds = 5 + more.least_seeds

    def is_enough(num_folds: int) -> bool:
        quantile = float(stats.t.ppf(0.975, num_folds - 1))
        return difference.estimate >= quantile * np.sqrt(difference.seed_variance * 5 / num_folds)

    assert is_enough(num_folds) and not is_enough(num_folds - 1)
