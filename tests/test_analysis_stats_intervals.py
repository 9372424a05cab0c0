"""Intervals over seeds and clusters, of an accuracy and of figures that weigh classes: golden cases, oracles, edges."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr, ndtri

from roadtest.analysis import stats as judge
from roadtest.analysis.metrics import count_classes, image_weights, influence, score
from roadtest.analysis.stats.intervals import correlation

EVERY_IMAGE = np.arange


def _correct(text: str) -> npt.NDArray[np.bool_]:
    """One line per seed, a 1 for each correct image."""
    return np.array([[mark == "1" for mark in line] for line in text.split()])


def _random_study(seed: int, *, num_seeds: int = 3, num_clusters: int = 20) -> npt.NDArray[np.bool_]:
    rng = np.random.default_rng(seed)
    hard_C = rng.beta(0.3, 1.5, num_clusters)
    return rng.random((num_seeds, num_clusters * 5)) > np.repeat(hard_C, 5)


UNITS = np.repeat(np.arange(20), 5)


def test_one_seed_by_hand_is_over_units_alone() -> None:
    # 4 single images, 3 correct: variance 4/3 * (3 * (1/16)^2 + (3/16)^2) = 4/3 * 12/256 = 1/16, standard error 1/4.
    found = judge.accuracy_interval(_correct("1110"), EVERY_IMAGE(4))
    assert found.estimate == 0.75
    assert found.standard_error == pytest.approx(0.25)
    assert found.degrees_of_freedom == 3
    # on the logit scale: ln 3 +- t(3) * 0.25 / (0.75 * 0.25)
    half = stats.t.ppf(0.975, 3) * 0.25 / 0.1875
    assert found.high == pytest.approx(1 / (1 + np.exp(-(np.log(3) + half))))
    assert found.low == pytest.approx(1 / (1 + np.exp(-(np.log(3) - half))))


@pytest.mark.parametrize(
    ("num_seeds", "statement"), [(1, judge.THESE_WEIGHTS), (2, judge.THESE_WEIGHTS), (3, judge.ON_NEW_SIGNS)]
)
def test_the_statement_says_what_the_seeds_allow(num_seeds: int, statement: str) -> None:
    study = _random_study(0, num_seeds=num_seeds)
    assert judge.accuracy_interval(study, UNITS).statement == statement
    assert judge.difference_interval(study, _random_study(1, num_seeds=num_seeds), UNITS).statement == statement


def test_the_two_statements_are_two_intervals() -> None:
    study = _random_study(2, num_seeds=4)
    again = judge.seed_only_interval(study)
    assert again is not None
    assert again.statement == "on these test images, if trained again"
    assert again.standard_error == pytest.approx(study.mean(1).std(ddof=1) / 2)
    assert again.degrees_of_freedom == 3
    wider = judge.accuracy_interval(study, UNITS)
    assert again.high - again.low < wider.high - wider.low
    assert judge.seed_only_interval(study[:2]) is None


def test_images_of_one_track_count_as_little_as_they_tell() -> None:
    # Every image copied ten times, the copies one unit: the same interval, a design effect of about ten.
    study_SC = np.random.default_rng(3).random((3, 50)) > 0.2
    single = judge.accuracy_interval(study_SC, EVERY_IMAGE(50))
    copied = judge.accuracy_interval(np.repeat(study_SC, 10, axis=1), np.repeat(EVERY_IMAGE(50), 10))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))
    assert single.design_effect == pytest.approx(1.0)
    assert copied.design_effect == pytest.approx(10 * (499 / 500) / (49 / 50))
    assert copied.num_clusters == 50


def test_a_perfect_network_may_still_err_on_what_was_not_seen() -> None:
    found = judge.accuracy_interval(np.ones((3, 60), bool), np.repeat(np.arange(6), 10))
    assert found.high == 1.0
    # six units without an error: an error-prone share of 46 % would show none with a chance of 2.5 %.
    assert found.low == pytest.approx(0.025 ** (1 / 6))
    assert found.standard_error == 0.0
    nothing_right = judge.accuracy_interval(np.zeros((3, 60), bool), np.repeat(np.arange(6), 10))
    assert nothing_right.high == pytest.approx(1 - 0.025 ** (1 / 6))


def test_one_error_more_never_makes_a_lower_bound_rise() -> None:
    lows = []
    for num_wrong in range(6):
        study = np.ones((1, 300), bool)
        study[0, : 10 * num_wrong : 10] = False
        lows.append(judge.accuracy_interval(study, np.repeat(np.arange(30), 10)).low)
    assert lows == sorted(lows, reverse=True)


def test_a_single_track_says_nothing_about_others() -> None:
    study = _random_study(4)
    found = judge.accuracy_interval(study, np.zeros(100, int))
    assert (found.low, found.high, found.standard_error) == (0.0, 1.0, 0.5)
    difference = judge.difference_interval(study, ~study, np.zeros(100, int))
    assert (difference.low, difference.high, difference.p_value) == (-1.0, 1.0, 1.0)


def test_a_difference_is_paired_by_image() -> None:
    # Both fail on the same hard units; one also fails on every 25th image: pairing must see through the shared luck.
    shared = _random_study(5, num_seeds=3, num_clusters=20)
    worse = shared.copy()
    worse[:, ::25] = False
    found = judge.difference_interval(shared, worse, UNITS)
    assert found.standard_error < judge.accuracy_interval(shared, UNITS).standard_error
    assert found.estimate == pytest.approx(shared.mean() - worse.mean())


def test_one_seed_each_on_single_images_is_the_paired_t_test() -> None:
    a, b = _random_study(6, num_seeds=1), _random_study(7, num_seeds=1)
    found = judge.difference_interval(a, b, EVERY_IMAGE(100))
    oracle = stats.ttest_rel(a[0].astype(float), b[0].astype(float))
    assert found.p_value == pytest.approx(float(oracle.pvalue))
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval()))


def test_many_units_and_noisy_seeds_approach_welchs_test_over_seeds() -> None:
    # Seeds differ by 20 points, units hardly matter: then only the seeds' luck is left.
    rng = np.random.default_rng(8)
    a, b = (rng.random((5, 200_00)) < rng.uniform(0.3, 0.9, 5)[:, None] for _ in range(2))
    found = judge.difference_interval(a, b, EVERY_IMAGE(200_00))
    oracle = stats.ttest_ind(a.mean(1), b.mean(1), equal_var=False)
    assert found.p_value == pytest.approx(float(oracle.pvalue), rel=0.02)
    assert found.degrees_of_freedom == pytest.approx(oracle.df, rel=0.02)


def test_on_these_images_a_difference_is_welchs_test_over_seeds() -> None:
    rng = np.random.default_rng(11)
    a_SN, b_SN = rng.random((5, 400)) < 0.95, rng.random((4, 400)) < 0.9
    found = judge.seed_only_difference(a_SN, b_SN)
    oracle = stats.ttest_ind(a_SN.mean(axis=1), b_SN.mean(axis=1), equal_var=False)
    expected = oracle.confidence_interval(0.95)
    assert found is not None and found.statement == judge.WITH_NEW_SEEDS
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.degrees_of_freedom == pytest.approx(oracle.df)
    assert judge.seed_only_difference(a_SN, b_SN[:2]) is None


def test_seeds_that_agree_to_the_image_still_leave_an_interval() -> None:
    same_SN = np.repeat(np.arange(100) < 97, 3).reshape(100, 3).T
    found = judge.seed_only_difference(same_SN, same_SN)
    assert found is not None and found.low < 0 < found.high


def test_swapping_two_networks_only_turns_the_sign() -> None:
    a, b = _random_study(9), _random_study(10, num_seeds=5)
    there, back = judge.difference_interval(a, b, UNITS), judge.difference_interval(b, a, UNITS)
    assert there.estimate == pytest.approx(-back.estimate)
    assert (there.low, there.high, there.p_value) == pytest.approx((-back.high, -back.low, back.p_value))


def test_two_equal_sets_of_predictions_are_not_proof_of_equality() -> None:
    study = _random_study(11)
    found = judge.difference_interval(study, study, UNITS[:100])
    assert (found.estimate, found.p_value) == (0.0, 1.0)
    assert found.low < 0 < found.high
    assert judge.difference_interval(study[:1], study[:1], UNITS).high == pytest.approx(1 - 0.025 ** (1 / 20))


@pytest.mark.parametrize(("num_differing", "is_called"), [(5, False), (6, True)])
def test_five_tracks_can_never_separate_and_six_can(num_differing: int, is_called: bool) -> None:
    # Signs of 5 units agree by chance with probability 2 / 32 = 0.0625; of 6 with 2 / 64 = 0.031.
    a, b = np.ones((1, 200), bool), np.ones((1, 200), bool)
    b[0, : num_differing * 10] = False
    found = judge.difference_interval(a, b, np.repeat(np.arange(20), 10))
    assert (found.p_value <= 0.05) == is_called
    assert (found.low > 0) == is_called
    assert found.num_differing_clusters == num_differing


def test_a_difference_without_any_spread_is_not_certain() -> None:
    # All right against all wrong on three images: the variance is zero, and yet three signs prove little.
    found = judge.difference_interval(np.ones((3, 3), bool), np.zeros((3, 3), bool), EVERY_IMAGE(3))
    assert found.estimate == 1.0
    assert found.p_value == 0.25
    assert found.low < 0


def test_seeds_are_reported_as_correlated_where_they_are() -> None:
    a_S = np.array([0.1, 0.2, 0.4])
    assert correlation(a_S, 1 - a_S) == pytest.approx(-1)
    assert correlation(a_S, a_S[:2]) is None
    assert correlation(a_S, np.ones(3)) is None


def test_networks_judged_on_different_images_are_refused() -> None:
    with pytest.raises(ValueError, match="both must see the same images; align them"):
        judge.difference_interval(_correct("111"), _correct("11"), EVERY_IMAGE(3))
    with pytest.raises(ValueError, match="one number per image"):
        judge.accuracy_interval(_correct("111"), EVERY_IMAGE(4))


@settings(max_examples=60, deadline=None)
@given(
    study=st.integers(1, 5).flatmap(
        lambda num_seeds: st.integers(1, 12).flatmap(
            lambda num_images: st.tuples(
                st.lists(
                    st.lists(st.booleans(), min_size=num_images, max_size=num_images),
                    min_size=num_seeds,
                    max_size=num_seeds,
                ),
                st.lists(st.lists(st.booleans(), min_size=num_images, max_size=num_images), min_size=1, max_size=4),
                st.lists(st.integers(-3, 99), min_size=num_images, max_size=num_images),
            )
        )
    )
)
def test_whatever_the_data_an_interval_holds_its_estimate_and_is_finite(study: tuple[list, list, list]) -> None:  # type: ignore[type-arg]
    a, b, units = np.array(study[0]), np.array(study[1]), np.array(study[2])
    accuracy, difference = judge.accuracy_interval(a, units), judge.difference_interval(a, b, units)
    assert 0 <= accuracy.low <= accuracy.estimate <= accuracy.high <= 1
    assert -1 <= difference.low <= difference.estimate <= difference.high <= 1
    assert 0 <= difference.p_value <= 1
    assert all(np.isfinite([accuracy.standard_error, accuracy.degrees_of_freedom, accuracy.design_effect]))
    assert (difference.p_value <= 0.05) <= (difference.low * difference.high >= 0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_neither_the_images_order_nor_the_units_names_matter(seed: int) -> None:
    study, order = _random_study(seed), np.random.default_rng(seed).permutation(100)
    there = judge.accuracy_interval(study, UNITS)
    again = judge.accuracy_interval(study[:, order], 7 * UNITS[order] - 3)
    assert (there.low, there.high) == pytest.approx((again.low, again.high))


UNITS_OF_CLASS = (2, 3, 3, 4, 5, 6, 8, 8, 10, 12)
"""As uneven as GTSRB's test classes, which have 2 to 25 tracks."""
TRACK_SIZE = 10
SHARED, OWN, ONCE, SINGLE = (np.sqrt(share) for share in (0.45, 0.15, 0.15, 0.25))


def scores_of(labels_N: np.ndarray, predicted_SN: np.ndarray, clusters_N: np.ndarray, metric: str) -> judge.Scores:
    counts = [count_classes(labels_N, row_N, int(labels_N.max()) + 1) for row_N in predicted_SN]
    moved = [influence(labels_N, row_N, one, metric) for row_N, one in zip(predicted_SN, counts, strict=True)]
    return judge.Scores(
        values_S=np.array([score(one, metric) for one in counts]),
        influence_SN=np.stack(moved),
        weights_N=image_weights(labels_N),
        correct_SN=predicted_SN == labels_N,
        classes_N=labels_N,
        clusters_N=clusters_N,
    )


def test_the_variance_of_a_balanced_accuracy_is_that_of_its_classes() -> None:
    # class 0: four tracks of two with 2, 2, 1, 1 right; class 1: two tracks of two with 2 and 0 right
    labels_N = np.array([0] * 8 + [1] * 4)
    clusters_N = np.arange(12) // 2
    is_right = np.array([1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0], bool)
    predicted_SN = np.where(is_right, labels_N, 1 - labels_N)[None, :]
    found = judge.score_interval(scores_of(labels_N, predicted_SN, clusters_N, "balanced-accuracy"))
    # recalls 6/8 and 2/4; tracks' shares 1, 1, .5, .5 and 1, 0: variances of their means 1/48 and 1/4
    variance = (1 / 48 + 1 / 4) / 2**2
    assert found.estimate == pytest.approx((6 / 8 + 2 / 4) / 2)
    # one factor 6 / 5 too much for six units in all: on the safe side
    assert found.cluster_variance == pytest.approx(variance * 6 / 5)
    assert (found.num_clusters, found.num_seeds, found.statement) == (6, 1, judge.THESE_WEIGHTS)


def test_classes_of_a_single_track_are_judged_together() -> None:
    # three classes of one track each, half, all and none of it right: alone each would show no variance at all
    labels_N, clusters_N = np.repeat([0, 1, 2], 4), np.repeat([0, 1, 2], 4)
    predicted_SN = np.array([[0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]])
    found = judge.score_interval(scores_of(labels_N, predicted_SN, clusters_N, "balanced-accuracy"))
    # recalls 1/2, 1 and 0: variance 1/4, of their mean 1/12; once more 3 / 2 for three units in all
    assert found.cluster_variance == pytest.approx(1 / 12 * 3 / 2)


def test_one_track_in_all_tells_nothing() -> None:
    labels_N = np.array([0, 0, 1, 1])
    scores = scores_of(labels_N, np.array([[0, 1, 1, 1]]), np.zeros(4, np.int64), "macro-f1")
    found = judge.score_interval(scores)
    assert (found.low, found.high) == (0.0, 1.0)


def test_no_error_at_all_leaves_what_so_few_units_leave() -> None:
    labels_N, clusters_N = np.repeat([0, 1], 20), np.arange(40) // 4
    scores = scores_of(labels_N, np.stack([labels_N] * 3), clusters_N, "macro-f1")
    found = judge.score_interval(scores)
    # ten units of equal weight
    assert (found.low, found.high) == pytest.approx((0.025 ** (1 / 10), 1.0))
    gap = judge.score_difference(scores, scores)
    assert (gap.estimate, gap.p_value, gap.num_differing_clusters) == (0.0, 1.0, 0)
    assert gap.low == pytest.approx(-(1 - 0.025 ** (1 / 10)))


def test_other_images_are_refused() -> None:
    labels_N = np.repeat([0, 1], 4)
    scores = scores_of(labels_N, labels_N[None, :], np.arange(8), "macro-f1")
    fewer = scores_of(labels_N[:6], labels_N[None, :6], np.arange(6), "macro-f1")
    with pytest.raises(ValueError, match="8 images against 6: both must see the same images"):
        judge.score_difference(scores, fewer)


def draw_study(rng: np.random.Generator, accuracy: float, num_seeds: int, deviation: float) -> list[np.ndarray]:
    """Labels, units, and the answers of two networks of equal accuracy that err on different images."""
    labels_C = np.repeat(np.arange(len(UNITS_OF_CLASS)), UNITS_OF_CLASS)
    num_clusters = len(labels_C)
    hard_C = SHARED * rng.standard_normal(num_clusters)
    spread = deviation / (np.exp(-(ndtri(accuracy) ** 2) / 2) / np.sqrt(2 * np.pi))
    limit = ndtri(accuracy) * np.sqrt(1 + spread**2)
    labels_N, clusters_N = np.repeat(labels_C, TRACK_SIZE), np.repeat(np.arange(num_clusters), TRACK_SIZE)
    answers = []
    for _ in range(2):
        own_C, once_SC = rng.standard_normal(num_clusters), rng.standard_normal((num_seeds, num_clusters))
        hard_SC = hard_C + OWN * own_C + ONCE * once_SC
        hard_SC += spread * rng.standard_normal((num_seeds, 1))
        chance_SN = np.repeat(ndtr((hard_SC - limit) / SINGLE), TRACK_SIZE, axis=1)
        is_wrong_SN = rng.random(chance_SN.shape) < chance_SN
        answers.append((labels_N + is_wrong_SN) % len(UNITS_OF_CLASS))
    return [labels_N, clusters_N, *answers]


def simulate(metric: str, accuracy: float, num_seeds: int, deviation: float, num_studies: int) -> tuple[float, float]:
    """How often the interval holds the truth, and how often two equal networks are called different, in percent."""
    rng = np.random.default_rng(2026)
    num_held = num_different = 0
    for _ in range(num_studies):
        labels_N, clusters_N, *answers = draw_study(rng, accuracy, num_seeds, deviation)
        a, b = (scores_of(labels_N, predicted_SN, clusters_N, metric) for predicted_SN in answers)
        found, gap = judge.score_interval(a), judge.score_difference(a, b)
        num_held += found.low <= accuracy <= found.high
        num_different += gap.p_value <= 0.05
    return 100 * num_held / num_studies, 100 * num_different / num_studies


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accuracy", "num_seeds", "deviation"), [(0.95, 3, 0.003), (0.95, 5, 0.01), (0.995, 5, 0.0007)]
)
def test_made_up_studies_are_judged_as_promised(accuracy: float, num_seeds: int, deviation: float) -> None:
    num_studies = 250
    held, different = simulate("balanced-accuracy", accuracy, num_seeds, deviation, num_studies)
    # the bounds of accuracy's simulation, widened by three standard deviations of so few studies
    assert held >= 92 - 300 * np.sqrt(0.92 * 0.08 / num_studies)
    assert different <= 5 + 300 * np.sqrt(0.05 * 0.95 / num_studies)
    _, different = simulate("macro-f1", accuracy, num_seeds, deviation, num_studies)
    assert different <= 5 + 300 * np.sqrt(0.05 * 0.95 / num_studies)
