"""Intervals of balanced accuracy and macro-F1 on one set: known arithmetic, edges, and made-up studies."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from roadtest import judge
from roadtest.summarise.metrics import count_classes, image_weights, influence, score

UNITS_OF_CLASS = (2, 3, 3, 4, 5, 6, 8, 8, 10, 12)
"""As uneven as GTSRB's test classes, which have 2 to 25 tracks."""
TRACK_SIZE = 10
SHARED, OWN, ONCE, SINGLE = (np.sqrt(share) for share in (0.45, 0.15, 0.15, 0.25))


def scores_of(labels_N: np.ndarray, predicted_SN: np.ndarray, units_N: np.ndarray, metric: str) -> judge.Scores:
    counts = [count_classes(labels_N, row_N, int(labels_N.max()) + 1) for row_N in predicted_SN]
    moved = [influence(labels_N, row_N, one, metric) for row_N, one in zip(predicted_SN, counts, strict=True)]
    return judge.Scores(
        values_S=np.array([score(one, metric) for one in counts]),
        influence_SN=np.stack(moved),
        weights_N=image_weights(labels_N),
        correct_SN=predicted_SN == labels_N,
        classes_N=labels_N,
        units_N=units_N,
    )


def test_the_variance_of_a_balanced_accuracy_is_that_of_its_classes() -> None:
    # class 0: four tracks of two with 2, 2, 1, 1 right; class 1: two tracks of two with 2 and 0 right
    labels_N = np.array([0] * 8 + [1] * 4)
    units_N = np.arange(12) // 2
    is_right = np.array([1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0], bool)
    predicted_SN = np.where(is_right, labels_N, 1 - labels_N)[None, :]
    found = judge.score_interval(scores_of(labels_N, predicted_SN, units_N, "balanced-accuracy"))
    # recalls 6/8 and 2/4; tracks' shares 1, 1, .5, .5 and 1, 0: variances of their means 1/48 and 1/4
    variance = (1 / 48 + 1 / 4) / 2**2
    assert found.estimate == pytest.approx((6 / 8 + 2 / 4) / 2)
    # one factor 6 / 5 too much for six units in all: on the safe side
    assert found.unit_variance == pytest.approx(variance * 6 / 5)
    assert (found.num_units, found.num_seeds, found.statement) == (6, 1, judge.THESE_WEIGHTS)


def test_classes_of_a_single_track_are_judged_together() -> None:
    # three classes of one track each, half, all and none of it right: alone each would show no variance at all
    labels_N, units_N = np.repeat([0, 1, 2], 4), np.repeat([0, 1, 2], 4)
    predicted_SN = np.array([[0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]])
    found = judge.score_interval(scores_of(labels_N, predicted_SN, units_N, "balanced-accuracy"))
    # recalls 1/2, 1 and 0: variance 1/4, of their mean 1/12; once more 3 / 2 for three units in all
    assert found.unit_variance == pytest.approx(1 / 12 * 3 / 2)


def test_one_track_in_all_tells_nothing() -> None:
    labels_N = np.array([0, 0, 1, 1])
    scores = scores_of(labels_N, np.array([[0, 1, 1, 1]]), np.zeros(4, np.int64), "macro-f1")
    found = judge.score_interval(scores)
    assert (found.low, found.high) == (0.0, 1.0)


def test_no_error_at_all_leaves_what_so_few_units_leave() -> None:
    labels_N, units_N = np.repeat([0, 1], 20), np.arange(40) // 4
    scores = scores_of(labels_N, np.stack([labels_N] * 3), units_N, "macro-f1")
    found = judge.score_interval(scores)
    # ten units of equal weight
    assert (found.low, found.high) == pytest.approx((0.025 ** (1 / 10), 1.0))
    gap = judge.score_difference(scores, scores)
    assert (gap.estimate, gap.p_value, gap.num_differing_units) == (0.0, 1.0, 0)
    assert gap.low == pytest.approx(-(1 - 0.025 ** (1 / 10)))


def test_other_images_are_refused() -> None:
    labels_N = np.repeat([0, 1], 4)
    scores = scores_of(labels_N, labels_N[None, :], np.arange(8), "macro-f1")
    fewer = scores_of(labels_N[:6], labels_N[None, :6], np.arange(6), "macro-f1")
    with pytest.raises(ValueError, match="8 images against 6: both must see the same images"):
        judge.score_difference(scores, fewer)


def draw_study(rng: np.random.Generator, accuracy: float, num_seeds: int, deviation: float) -> list[np.ndarray]:
    """Labels, units, and the answers of two networks of equal accuracy that err on different images."""
    labels_U = np.repeat(np.arange(len(UNITS_OF_CLASS)), UNITS_OF_CLASS)
    num_units = len(labels_U)
    hard_U = SHARED * rng.standard_normal(num_units)
    spread = deviation / (np.exp(-(ndtri(accuracy) ** 2) / 2) / np.sqrt(2 * np.pi))
    limit = ndtri(accuracy) * np.sqrt(1 + spread**2)
    labels_N, units_N = np.repeat(labels_U, TRACK_SIZE), np.repeat(np.arange(num_units), TRACK_SIZE)
    answers = []
    for _ in range(2):
        hard_SU = hard_U + OWN * rng.standard_normal(num_units) + ONCE * rng.standard_normal((num_seeds, num_units))
        hard_SU += spread * rng.standard_normal((num_seeds, 1))
        chance_SN = np.repeat(ndtr((hard_SU - limit) / SINGLE), TRACK_SIZE, axis=1)
        is_wrong_SN = rng.random(chance_SN.shape) < chance_SN
        answers.append((labels_N + is_wrong_SN) % len(UNITS_OF_CLASS))
    return [labels_N, units_N, *answers]


def simulate(metric: str, accuracy: float, num_seeds: int, deviation: float, num_studies: int) -> tuple[float, float]:
    """How often the interval holds the truth, and how often two equal networks are called different, in percent."""
    rng = np.random.default_rng(2026)
    num_held = num_different = 0
    for _ in range(num_studies):
        labels_N, units_N, *answers = draw_study(rng, accuracy, num_seeds, deviation)
        a, b = (scores_of(labels_N, predicted_SN, units_N, metric) for predicted_SN in answers)
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
