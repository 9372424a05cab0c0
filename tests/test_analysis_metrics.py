"""Balanced accuracy, macro-F1 and worst-class recall: their arithmetic, their intervals, and what they choose."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exact_study import build_exact_study
from fake_study import build_fake_study
from roadtest.analysis import (
    estimate_score,
    judge_networks,
    judged_split,
    leaderboard_rows,
    ranked_variants,
    read_results,
    seed_rows,
    stn_rows,
    summary_sentences,
    verdict_rows,
)
from roadtest.analysis import stats as judge
from roadtest.analysis.comparisons import difference_between, why_not_compared
from roadtest.analysis.metrics import (
    ClassCounts,
    check_metric,
    count_classes,
    fold_sizes,
    image_weights,
    influence,
    score,
)
from roadtest.analysis.results import mean_score, weakest_classes
from roadtest.records import read_predictions, write_predictions

answers = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


def counts_of(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, ClassCounts]:
    labels_N, predicted_N = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    return labels_N, predicted_N, count_classes(labels_N, predicted_N, 5)


def test_the_metrics_of_a_confusion_that_can_be_added_up_by_hand() -> None:
    # class 0: 3 of 4 right, one called 1; class 1: 1 of 2 right, one called 0; class 2 has no image, 0 calls
    pairs = [(0, 0), (0, 0), (0, 0), (0, 1), (1, 1), (1, 0)]
    *_, counts = counts_of(pairs)
    assert score(counts, "accuracy") == pytest.approx(4 / 6)
    assert score(counts, "balanced-accuracy") == pytest.approx((3 / 4 + 1 / 2) / 2)
    # F1 of 0: 2 * 3 / (4 + 4), of 1: 2 * 1 / (2 + 2)
    assert score(counts, "macro-f1") == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert score(counts, "worst-class-recall") == pytest.approx(1 / 2)


@pytest.mark.slow
@given(answers)
@settings(max_examples=50)
def test_the_metrics_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    oracle = pytest.importorskip("sklearn.metrics")
    labels_N, predicted_N, counts = counts_of(pairs)
    present = np.unique(labels_N)
    recall = oracle.recall_score(labels_N, predicted_N, labels=present, average=None, zero_division=0)
    assert score(counts, "balanced-accuracy") == pytest.approx(recall.mean())
    assert score(counts, "worst-class-recall") == pytest.approx(recall.min())
    f1 = oracle.f1_score(labels_N, predicted_N, labels=present, average="macro", zero_division=0)
    assert score(counts, "macro-f1") == pytest.approx(f1)


@pytest.mark.parametrize("metric", ["balanced-accuracy", "macro-f1"])
def test_an_influence_is_what_a_little_more_of_an_image_does(metric: str) -> None:
    rng = np.random.default_rng(0)
    labels_N = rng.integers(0, 4, 60)
    predicted_N = np.where(rng.random(60) < 0.7, labels_N, rng.integers(0, 5, 60))
    counts = count_classes(labels_N, predicted_N, 5)
    moved_N = influence(labels_N, predicted_N, counts, metric)
    weights_N = image_weights(labels_N)
    for n in range(10):
        more = {k: np.array(v, float) for k, v in vars(counts).items()}
        more["images_K"][labels_N[n]] += 1e-6
        more["called_K"][predicted_N[n]] += 1e-6
        more["correct_K"][labels_N[n]] += 1e-6 * (labels_N[n] == predicted_N[n])
        found = (score(ClassCounts(**more), metric) - score(counts, metric)) / 1e-6  # type: ignore[arg-type]
        # balanced accuracy's is given but for a constant in the class: the recall's share
        shift = weights_N[n] * counts.recall_K[labels_N[n]] if metric == "balanced-accuracy" else 0.0
        assert moved_N[n] - shift == pytest.approx(found, rel=1e-4, abs=1e-8)
    assert weights_N.sum() == pytest.approx(1.0)
    if metric == "macro-f1":
        assert moved_N.sum() == pytest.approx(0.0, abs=1e-12)


def test_a_fold_counts_images_and_units_of_equal_weight() -> None:
    labels_N, clusters_N = np.array([0] * 8 + [1] * 2), np.arange(10) // 2
    assert fold_sizes(labels_N, clusters_N, "accuracy") == (10, 5)
    # weights 1/16 and 1/4: 1 / (8/256 + 2/16) = 6.4 images; units 1/8 four times and 1/2: 1 / (4/64 + 1/4) = 3.2
    assert fold_sizes(labels_N, clusters_N, "macro-f1") == (6, 3)
    assert fold_sizes(labels_N, clusters_N, "worst-class-recall") == (2, 1)


def test_an_unknown_metric_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--metric 'f1' is not known: choose one of accuracy, balanced-accuracy, m"):
        check_metric("f1")
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1, num_evaluations=1)
    text = (study / "study.json").read_text()
    (study / "study.json").write_text(text.replace('"metric": "accuracy"', '"metric": "nonsense"'))
    with pytest.raises(ValueError, match=r"study\.json: metric 'nonsense' is not known"):
        read_results(study)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "four"
    networks = ["lenet5", "lenet5+stn", "vgg16", "resnet34"]
    return build_fake_study(folder, networks=networks, seeds=3, num_evaluations=1, has_examples=False)


def set_answers(study: Path, label: str, is_wrong: Callable[[np.ndarray], np.ndarray]) -> None:
    """Let a network call an image by the next class's name where `is_wrong` of the labels says so."""
    for path in sorted((study / label).rglob("*.npz")):
        if path.name in ("val.npz", "test.npz"):
            found = read_predictions(path)
            logits_NK = np.zeros_like(found.logits_NK)
            called_N = (found.labels_N + is_wrong(found.labels_N)) % logits_NK.shape[1]
            logits_NK[np.arange(len(called_N)), called_N] = 1.0
            write_predictions(path, replace(found, logits_NK=logits_NK))


def test_old_studies_have_all_metrics_in_their_tables(study: Path) -> None:
    for row in leaderboard_rows(study):
        for part in ("val", "test"):
            for column in ("balanced_accuracy", "macro_f1"):
                low, mean, high = (row[f"{part}_{column}_{end}"] for end in ("low", "mean", "high"))
                assert low < mean < high
            assert 0 <= row[f"{part}_worst_class_recall_mean"] <= row[f"{part}_balanced_accuracy_mean"]
        # folds judge any metric; on one set a lowest recall has no honest interval
        assert row["val_worst_class_recall_low"] is not None and row["test_worst_class_recall_low"] is None
    runs = seed_rows(study)
    assert all(run["val_macro_f1"] is not None and run["test_worst_class_recall"] is not None for run in runs)


def test_balanced_accuracy_of_equal_classes_is_accuracy_with_much_the_same_interval(study: Path) -> None:
    # every class of the fake test set has three tracks of ten
    results = read_results(study)
    for variant in results.variants:
        one = estimate_score(results, variant, "test", metric="accuracy")
        other = estimate_score(results, variant, "test", metric="balanced-accuracy")
        assert one is not None and other is not None
        assert other.value == pytest.approx(one.value)
        for name in ("num_clusters", "cluster_noun", "statement"):
            assert getattr(other, name) == getattr(one, name)
        # classes are given, so their differences are no luck: at most as wide, but for the correction 3 / 2
        assert 0.6 < (other.high - other.low) / (one.high - one.low) < 1.25


def test_what_chooses_orders_the_leaderboard_and_everything_judged(tmp_path: Path) -> None:
    # vgg16 gets one of 43 classes wholly wrong, lenet5 every fifth image of every class
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=3, num_evaluations=1)
    set_answers(study, "vgg16", lambda labels_N: labels_N == 0)
    set_answers(study, "lenet5", lambda labels_N: np.arange(len(labels_N)) % 5 == 0)
    balanced, by_worst = (read_results(study, metric=name) for name in ("balanced-accuracy", "worst-class-recall"))
    assert [v.label for v in ranked_variants(balanced)] == ["vgg16", "lenet5"]
    assert [v.label for v in ranked_variants(by_worst)] == ["lenet5", "vgg16"]
    assert [mean_score(by_worst, v, "val") for v in by_worst.variants] == pytest.approx([0.8, 0.0])
    # three tracks of 43 classes: all of class 0, nothing else
    assert mean_score(balanced, balanced.variants[1], "test") == pytest.approx(42 / 43)
    weakest = weakest_classes(by_worst, by_worst.variants[1], "test")[0]
    assert (weakest.label, weakest.class_name, weakest.recall) == (0, "Speed limit 20", 0.0)
    assert [row["metric"] for row in leaderboard_rows(by_worst)] == ["worst-class-recall"] * 2


def test_by_another_metric_validation_judges_fold_by_fold(study: Path) -> None:
    for name in ("balanced-accuracy", "macro-f1", "worst-class-recall"):
        results = read_results(study, metric=name)
        assert judged_split(results) == "val"
        rows = verdict_rows(results)
        assert {(row["unit_name"], row["num_units"]) for row in rows} == {("folds", 3)}
        a, b = (results.variant(rows[0][f"network_{end}"], rows[0][f"has_stn_{end}"]) for end in "ab")
        assert a is not None and b is not None
        means = [mean_score(results, variant, "val") for variant in (a, b)]
        assert rows[0]["gain"] == pytest.approx((means[0] or 0) - (means[1] or 0))
        assert stn_rows(results)[0]["val_gain"] is not None


def test_a_paired_t_over_folds_judges_macro_f1(study: Path) -> None:
    results = read_results(study, metric="macro-f1")
    a, b = results.variants[0], results.variants[3]
    found = difference_between(results, a, b, "val")
    runs = {(row["network"], row["has_stn"], row["seed"]): row["val_macro_f1"] for row in seed_rows(results)}
    gaps_F = np.array([runs[a.network, a.has_stn, k] - runs[b.network, b.has_stn, k] for k in range(3)])
    assert found is not None and found.statement == judge.ON_NEW_FOLDS
    # a fold has 13 classes of one track of ten: no smaller error than single images would bring
    least = np.abs(gaps_F).sum() * 130 / (3 * 130) ** 2
    half = 4.302653 * np.sqrt(max(gaps_F.var(ddof=1) / 3, least))  # t with 2 degrees of freedom
    assert (found.low, found.high) == pytest.approx((gaps_F.mean() - half, gaps_F.mean() + half), rel=1e-4)


def test_one_metric_does_not_change_what_another_said(study: Path) -> None:
    results = read_results(study)
    before = judge_networks(results).letters
    judge_networks(read_results(results, metric="macro-f1"))
    assert judge_networks(results).metric == "accuracy" and judge_networks(results).letters == before


def test_a_lowest_recall_on_one_set_is_not_judged_and_says_why(study: Path) -> None:
    results = read_results(study, metric="worst-class-recall")
    a, b = results.variants[:2]
    assert difference_between(results, a, b, "test") is None
    assert "three validation folds" in why_not_compared(results, a, b, "test")
    rows = verdict_rows(results, "test")
    assert {row["verdict"] for row in rows} == {f"not judged: {why_not_compared(results, a, b, 'test')}"}


def test_the_studys_own_metric_is_read_from_its_folder(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1, num_evaluations=1)
    text = (study / "study.json").read_text()
    assert '"metric": "accuracy"' in text
    (study / "study.json").write_text(text.replace('"metric": "accuracy"', '"metric": "macro-f1"'))
    assert read_results(study).metric == "macro-f1"
    assert read_results(study, metric="accuracy").metric == "accuracy"


@pytest.mark.slow
def test_the_summary_is_told_in_sentences(tmp_path: Path) -> None:
    wrong = {"lenet5": [25, 26, 25, 24, 26], "lenet5+stn": [5, 7, 6, 5, 6], "vgg16": [6, 5, 6, 7, 5]}
    exact = build_exact_study(tmp_path / "s", wrong)
    results = read_results(exact, metric="balanced-accuracy")
    leading, worth = summary_sentences(results)
    assert leading.startswith("Leading in validation by balanced accuracy: lenet5+stn; not separated from it")
    assert leading.endswith("all 3 pairs: vgg16.")
    assert worth.startswith("The STN pays for lenet5: +1.94 points in validation by balanced accuracy (+")
    assert worth.endswith("with a tolerance of 0.5.")
    (_, strict) = summary_sentences(read_results(exact, tolerance_points=2.5))
    assert strict.startswith("The STN does not pay for lenet5")
