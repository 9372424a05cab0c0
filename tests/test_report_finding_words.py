"""The sentences under the plots: each from the records, none where nothing can be said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exact_study import build_exact_study, change_record
from fake_study import build_fake_study
from roadtest.report.finding_words import cost_sentences, fit_sentences, noise_sentence, stn_sentences
from roadtest.summarise import Results, judge_networks, leaderboard_rows, read_results


def fit(results: Results) -> str:
    return " ".join(fit_sentences(results, results.variants))


def set_accuracies(study: Path, label: str, seed: int, **accuracies: float) -> None:
    for part, accuracy in accuracies.items():
        result = {"num_seen": 10_000, "num_correct": round(10_000 * accuracy), "loss_sum": 1.0}
        change_record(study / label / f"seed-{seed}", part, result)


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
    assert said.startswith(
        "The difference is within the noise: luck alone makes differences of this size, +0.04 points, "
    )


@pytest.mark.slow
def test_pairs_that_only_the_correction_leaves_unseparated_are_not_called_real(tmp_path: Path) -> None:
    wrong = {"vgg16": (5, 5, 6, 5, 5), "lenet5": (10, 12, 8, 9, 12), "resnet34": (90, 92, 88, 91, 90)}
    results = read_results(build_exact_study(tmp_path / "s", wrong))
    judged = judge_networks(results, "val")
    pair = judged.verdict(*judged.variants[:2])
    assert pair is not None and pair.difference.low > 0  # it excludes zero; say that the correction leaves it open
    unclear = replace(pair, word="not separated", p_adjusted=0.06)
    verdicts = tuple(unclear if one is pair else one for one in judged.verdicts)
    for part in ("test", "val"):  # what a page is built from is judged once and kept
        results.kept[f"judged on {part} by accuracy"] = replace(judged, verdicts=verdicts)
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
    import json

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
