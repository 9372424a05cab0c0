"""Training curves and the words under the plots: each rule at its threshold and on both sides of it."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exact_study import build_exact_study, change_record
from fake_study import build_fake_study
from roadtest.analysis import Estimate, Results, judge_networks, leaderboard_rows, read_results
from roadtest.records import EpochMetrics, SetResult
from roadtest.report.sections import costs, curves
from roadtest.report.sections.costs import cost_sentences, dominating
from roadtest.report.sections.curves import (
    band_columns,
    collapsed_seeds,
    curve_columns,
    fit_sentences,
    has_band,
    has_converged,
    over_fits,
    under_fits,
)
from roadtest.report.sections.factors import stn_sentences
from roadtest.report.sections.pairs import is_noise, noise_sentence


def result(accuracy: float) -> SetResult:
    return SetResult(num_seen=10_000, num_correct=round(10_000 * accuracy), loss_sum=1.0)


def record(train: float = 0.999, val: float = 0.99, *, seed: int = 0, stop_reason: str = "budget") -> Any:
    """What the rules read of a run of 43 classes."""
    names = tuple(map(str, range(43)))
    return SimpleNamespace(seed=seed, stop_reason=stop_reason, class_names=names, train=result(train), val=result(val))


def evaluation(epoch: float, val_loss: float = 0.2, train_loss: float = 0.1, num_correct: int = 90) -> EpochMetrics:
    seconds = dict.fromkeys(("train_seconds", "data_seconds", "eval_seconds", "images_per_second"), 1.0)
    return EpochMetrics(
        epoch=epoch,
        step=int(epoch),
        learning_rate=0.05,
        **seconds,
        train_num_seen=100,
        train_num_correct=90,
        train_loss_sum=100 * train_loss,
        val_num_seen=100,
        val_num_correct=num_correct,
        val_loss_sum=100 * val_loss,
    )


def rows(val_losses: list[float], train_losses: list[float] | None = None) -> list[EpochMetrics]:
    """An evaluation an epoch at a constant rate."""
    falling = [1.0 / (epoch + 1) for epoch in range(len(val_losses))]
    losses = zip(val_losses, train_losses or falling, strict=True)
    return [evaluation(epoch, val, train) for epoch, (val, train) in enumerate(losses, start=1)]


def test_a_band_reaches_from_the_lowest_to_the_highest_seed_and_a_run_that_ended_keeps_its_last() -> None:
    runs = [
        [evaluation(1, num_correct=50), evaluation(2, num_correct=60)],  # ended early
        [evaluation(1, num_correct=40), evaluation(3, num_correct=80)],
        [evaluation(1, num_correct=55), evaluation(2, num_correct=70), evaluation(3, num_correct=90)],
    ]
    columns = band_columns(runs)
    assert columns["epoch"] == [1, 2, 3]
    assert columns["val_accuracy_low"] == [40, 60, 60]
    assert columns["val_accuracy"] == [50, 60, 80]
    assert columns["val_accuracy_high"] == [55, 70, 90]


def test_single_evaluations_are_points_and_no_band() -> None:
    assert not has_band([[evaluation(1)]] * 3)
    assert has_band([[evaluation(1)], *[[evaluation(1), evaluation(2)]] * 2])


def test_a_band_of_long_runs_has_few_points() -> None:
    columns = band_columns([[evaluation(epoch + 0.1 * seed) for epoch in range(1, 200)] for seed in range(3)])
    assert len(columns["epoch"]) == curves.MAX_BAND_POINTS
    # from where all have begun to the end of the longest
    assert (columns["epoch"][0], columns["epoch"][-1]) == (1.2, 199.2)


def test_long_curves_are_thinned_and_keep_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1, num_evaluations=200)
    monkeypatch.setattr(curves, "MAX_CURVE_ROWS", 50)
    results = read_results(study)
    epochs = curve_columns(results, results.variants[0])["epoch"]
    assert (len(epochs), epochs[0], epochs[-1]) == (50, 1.0, 200.0)


def test_patience_means_that_nothing_improved_any_more() -> None:
    assert has_converged(record(stop_reason="patience"), rows([3.0, 2.0, 1.0, 0.5, 0.25, 0.1])) is True


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.0, 0.8, 0.5, 0.5, 0.4, 0.4], False),  # 0.4 lies 20 % below 0.5
        ([1.0, 0.8, 0.5, 0.5, 0.49, 0.49], True),  # 2 %
        ([1.0, 0.8, 0.5, 0.5, 0.6, 0.6], True),  # rising is not falling
        ([1.0, 0.8, 0.5, 0.5, 0.4], None),  # one evaluation too few to tell
    ],
)
def test_a_run_converged_if_its_loss_had_stopped_falling(losses: list[float], expected: bool | None) -> None:
    assert has_converged(record(), rows(losses)) is expected


def test_the_decay_of_the_rate_says_nothing_about_convergence() -> None:
    decay = [replace(row, epoch=7.0, learning_rate=0.01) for row in rows([0.1])]
    assert has_converged(record(), [*rows([1.0, 0.8, 0.5, 0.5, 0.5, 0.5]), *decay]) is True


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [
        (0.979, 0.96, True),  # 2.1 % wrong in training, more than half of 4 %
        (0.981, 0.98, False),  # 1.9 % is below the threshold
        (0.95, 0.89, False),  # 5 % of 11 %: less than half
        (0.95, 0.97, True),  # worse in training than in validation
    ],
)
def test_a_network_under_fits_if_most_of_its_error_was_never_learnt(train: float, val: float, expected: bool) -> None:
    assert under_fits(record(train, val)) is expected


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [
        (0.999, 0.97, True),  # 0.1 % against 3 %
        (0.999, 0.985, False),  # 1.4 points apart
        (0.99, 0.965, False),  # 2.5 points apart, but 1 % is more than a quarter of 3.5 %
    ],
)
def test_a_network_over_fits_if_it_knows_its_training_images_far_better(
    train: float, val: float, expected: bool
) -> None:
    assert over_fits(record(train, val), rows([1.0, 0.5, 0.4])) is expected


def test_a_network_over_fits_if_validation_turned_back_while_training_went_on() -> None:
    assert over_fits(record(), rows([1.0, 0.5, 0.4, 0.45])) is True  # 12.5 % above its lowest
    assert over_fits(record(), rows([1.0, 0.5, 0.4, 0.43])) is False  # 7.5 %
    assert over_fits(record(), rows([0.3, 0.05, 0.04, 0.049])) is False  # 22 %, but 0.009 nats
    assert over_fits(record(), rows([1.0, 0.5, 0.4, 0.5], [0.9, 0.5, 0.3, 0.4])) is False  # both turned back


def test_a_seed_collapsed_if_it_fell_far_behind_the_others_or_only_guesses() -> None:
    three = [record(val=0.98, seed=0), record(val=0.97, seed=1), record(val=0.86, seed=2)]
    assert collapsed_seeds(three) == (2,)  # 11 points below the median of 97 %
    assert collapsed_seeds(three[:2]) == ()
    assert collapsed_seeds([record(val=0.12)]) == (0,)  # guessing is 2.3 %, a tenth of the rest on top is 12.1 %
    assert collapsed_seeds([record(val=0.13)]) == ()
    assert collapsed_seeds([]) == ()


def gap(value: float, half: float, verdict: str) -> Estimate:
    return Estimate(
        value=value,
        low=value - half,
        high=value + half,
        num_seeds=5,
        num_clusters=100,
        cluster_noun="tracks",
        num_images=3000,
        statement="on new signs of this kind",
        verdict=verdict,
    )


def test_a_difference_is_noise_only_where_it_was_judged_and_its_interval_holds_zero() -> None:
    assert is_noise(gap(0.001, 0.002, "not separated"))
    assert not is_noise(gap(0.003, 0.002, "not separated"))  # correction for many pairs alone decided
    assert not is_noise(gap(0.001, 0.002, "not judged"))
    assert not is_noise(gap(0.003, 0.002, "different"))


def test_a_cost_dominates_only_at_twice_the_next() -> None:
    assert dominating([2000.0, 600.0, 30.0]) == 0
    assert dominating([1000.0, 600.0, 30.0]) is None
    assert dominating([3.0]) is None
    assert dominating([1.0, 1.0]) is None
    assert dominating([30.0, 60.0]) == 1


def test_the_document_names_each_threshold() -> None:
    text = (Path(__file__).parents[1] / "docs" / "statistics.md").read_text(encoding="utf-8")
    rules = text[text.index("## Words under the plots") : text.index("## Edges")]
    for words in (
        f"over {100 * curves.STILL_FALLING:g} % below",
        f"asked from {curves.MIN_ROWS} evaluations",
        f"{100 * curves.UNDERFIT_ERROR:g} % or more of the training images",
        {0.5: "at least half of the error"}[curves.UNDERFIT_SHARE],
        f"{100 * curves.OVERFIT_GAP:g} points or more above",
        {0.25: "at most a quarter"}[curves.OVERFIT_SHARE],
        f"{100 * curves.OVERFIT_RISE:g} % and {curves.OVERFIT_NATS:g} nats above",
        f"over {curves.COLLAPSE_POINTS:g} points below the median",
        {0.1: "a tenth of the way"}[curves.COLLAPSE_SHARE],
        f"at least {costs.DOMINATES:g} times as far apart",
        {0.5: "half of the training time"}[costs.DATA_SHARE],
    ):
        assert words in rules, words


def fit(results: Results) -> str:
    return " ".join(fit_sentences(results, results.variants))


def set_accuracies(study: Path, label: str, seed: int, **accuracies: float) -> None:
    for split, accuracy in accuracies.items():
        change_record(study / label / f"seed-{seed}", split, vars(result(accuracy)))


def few(tmp_path: Path, **options: Any) -> Path:
    return build_fake_study(tmp_path / "s", has_examples=False, class_names=list("abcdefgh"), **options)


def test_a_network_that_fits_well_is_said_to(tmp_path: Path) -> None:
    study = few(tmp_path, networks=["lenet5"], seeds=1)
    set_accuracies(study, "lenet5", 0, train=0.999, val=0.991)
    said = "lenet5 converged and neither under- nor over-fits (0.10 % wrong in training, 0.90 % in validation)."
    assert fit(read_results(study)) == said


def test_a_word_is_said_of_a_network_where_most_of_its_seeds_show_it(tmp_path: Path) -> None:
    study = few(tmp_path, networks=["lenet5"], seeds=3)
    for seed, train in enumerate((0.9, 0.92, 0.999)):
        set_accuracies(study, "lenet5", seed, train=train, val=0.99 if train > 0.95 else 0.93)
    assert "under-fits in 2 of 3 seeds (6.03 % wrong in training, 5.00 % in validation)" in fit(read_results(study))
    set_accuracies(study, "lenet5", 0, train=0.999, val=0.99)
    assert "lenet5 under-fits" not in fit(read_results(study))


def test_a_seed_that_collapsed_is_named_and_counts(tmp_path: Path) -> None:
    study = few(tmp_path, networks=["lenet5"], seeds=3)
    for seed, val in enumerate((0.99, 0.5, 0.99)):
        set_accuracies(study, "lenet5", seed, train=0.999, val=val)
    assert "lenet5 collapsed with seed 1, which count like any other" in fit(read_results(study))


def test_networks_that_saw_too_little_get_one_sentence_together(tmp_path: Path) -> None:
    study = few(tmp_path, networks=["lenet5", "vgg16"], seeds=1, undertrained="vgg16")
    assert fit(read_results(study)).endswith("vgg16 saw too little to say how it fits.")


def test_noise_is_spoken_of_only_where_something_was_judged(tmp_path: Path) -> None:
    study = few(tmp_path, networks=["lenet5", "vgg16"], seeds=2)
    assert noise_sentence(read_results(study)) == ""


@pytest.mark.slow
def test_the_difference_of_twins_is_within_the_noise(tmp_path: Path) -> None:
    study = build_exact_study(tmp_path / "s", {"vgg16": (5, 9, 7, 4, 6), "lenet5": (6, 7, 8, 5, 7)})
    for label in ("vgg16", "lenet5"):
        for seed in range(5):
            change_record(study / label / f"seed-{seed}", "test", None)
            (study / label / f"seed-{seed}" / "test.npz").unlink()
    said = noise_sentence(read_results(study))
    assert "within the noise" in said and "+0.04 points, " in said


@pytest.mark.slow
def test_pairs_that_only_the_correction_leaves_unseparated_are_not_called_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"vgg16": (5, 5, 6, 5, 5), "lenet5": (10, 12, 8, 9, 12), "resnet34": (90, 92, 88, 91, 90)}
    results = read_results(build_exact_study(tmp_path / "s", wrong))
    judged = judge_networks(results, "val")
    pair = judged.verdict(*judged.variants[:2])
    assert pair is not None and pair.difference.low > 0  # it excludes zero; say that the correction leaves it open
    unclear = replace(pair, word="not separated", p_adjusted=0.06)
    verdicts = tuple(unclear if one is pair else one for one in judged.verdicts)
    unsure = replace(judged, verdicts=verdicts)
    monkeypatch.setattr("roadtest.analysis.comparisons._judge", lambda results, split: unsure)
    assert noise_sentence(results) == (
        "No interval holds zero, and yet 1 of 3 pairs is not separated after correction for all of them."
    )


def test_the_cost_in_which_networks_lie_far_apart_dominates(tmp_path: Path) -> None:
    study = few(tmp_path, networks=["lenet5", "vgg16"], seeds=1)
    said = " ".join(cost_sentences(read_results(study), leaderboard_rows(study)))
    # 134,445,163 / 65,219 parameters, 433 M / 0.65 M MACs
    assert "The cost that dominates is parameters: a factor of 2,061 lies between lenet5 and vgg16" in said
    assert "against 666 in MACs" in said


def test_a_network_that_waits_for_its_batches_is_named(tmp_path: Path) -> None:
    study = few(tmp_path, networks=["lenet5"], seeds=1)
    path = study / "lenet5" / "seed-0" / "record.json"
    record = json.loads(path.read_text())
    record["cost"] |= {"train_seconds": 10.0, "data_seconds": 6.0}
    path.write_text(json.dumps(record))
    said = " ".join(cost_sentences(read_results(study), leaderboard_rows(study)))
    assert said == "More than half of the training time of lenet5 went into making batches."


@pytest.mark.slow
def test_the_stn_pays_or_not_in_a_sentence_with_its_price(tmp_path: Path) -> None:
    wrong = {"lenet5": (40, 41, 40, 41, 40), "lenet5+stn": (20, 20, 21, 20, 21)}
    (said,) = stn_sentences(read_results(build_exact_study(tmp_path / "s", wrong)))
    assert said.startswith("For lenet5 the STN pays: +2.00 points in validation (+1.44 to +2.56)")
    assert said.endswith(
        "shown to be more than 0.5 points. It costs 2.2 times the training time and 1.7 times the latency."
    )


def test_with_one_seed_the_stns_gain_is_an_observation(tmp_path: Path) -> None:
    study = few(tmp_path, networks=["lenet5", "lenet5+stn"], seeds=1)
    (said,) = stn_sentences(read_results(study))
    assert "observed with 1 seed, not judged" in said and "pays" not in said
