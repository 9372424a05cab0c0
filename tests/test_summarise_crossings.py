"""Which network is ahead at which budget, said no surer than it is."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from branched_study import Ends, build_branched_study
from roadtest.summarise import budget_sentences, crossover_rows, read_results

FIVE = range(5)
FAST = Ends(wrong=[(50 + seed, 40, 30) for seed in FIVE])
LATE = Ends(wrong=[(250 - 3 * seed, 60 + seed, 5) for seed in FIVE])


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_branched_study(tmp_path_factory.mktemp("s") / "study", {"resnet34": LATE, "lenet5": FAST})


def test_two_networks_cross_between_the_budgets_at_which_they_change_places(study_dir: Path) -> None:
    (row,) = crossover_rows(study_dir)
    assert (row["network_a"], row["network_b"]) == ("lenet5", "resnet34")  # a is ahead at the smaller budget
    assert (row["budget_from"], row["budget_to"]) == ("10 min", "20 min")
    assert row["gain_from"] == pytest.approx(0.022)  # 40 wrong against 60 to 64
    assert row["gain_to"] == pytest.approx(-0.025)  # 30 against 5
    assert (row["verdict_from"], row["verdict_to"]) == ("separated", "separated")


def test_the_sentences_say_who_is_ahead_and_where_they_cross(study_dir: Path) -> None:
    assert budget_sentences(study_dir) == [
        "With 5 min, lenet5 is ahead: 94.80 % in validation, resnet34 75.60 % (the difference is shown).",
        "With 10 min, lenet5 is ahead: 96.00 % in validation, resnet34 93.80 % (the difference is shown).",
        "With 20 min, resnet34 is ahead: 99.50 % in validation, lenet5 97.00 % (the difference is shown).",
        "Between 10 min and 20 min resnet34 overtakes lenet5: 2.20 points behind, then 2.50 points ahead; "
        "both are shown.",
    ]


@pytest.mark.slow
def test_a_difference_that_luck_may_have_made_is_said_so(tmp_path: Path) -> None:
    noisy = Ends(wrong=[(250, 60, (5, 70, 8, 40, 12)[seed]) for seed in FIVE])
    study_dir = build_branched_study(tmp_path / "s", {"lenet5": FAST, "resnet34": noisy})
    assert crossover_rows(study_dir)[0]["verdict_to"] == "not separated"
    assert budget_sentences(study_dir)[-1].endswith(
        "at the larger budget they are not separated, so luck may have a part in it."
    )


def test_a_change_that_is_shown_at_neither_end_may_be_luck(tmp_path: Path) -> None:
    early, late = (40, 20, 50, 15, 35), (25, 38, 22, 41, 44)
    networks = {
        "lenet5": Ends(wrong=[(250, 32, late[seed]) for seed in FIVE]),
        "resnet34": Ends(wrong=[(250, early[seed] + 3, 32) for seed in FIVE]),
    }
    study_dir = build_branched_study(tmp_path / "s", networks)
    assert budget_sentences(study_dir)[-1] == (
        "Between 10 min and 20 min resnet34 overtakes lenet5: 0.30 points behind, then 0.20 points ahead; separated at "
        "neither, so luck alone may do this."
    )


@pytest.mark.slow
def test_of_many_changes_of_places_the_shown_ones_are_told_and_the_others_counted(tmp_path: Path) -> None:
    # five networks turn their order round; the last two by so little that luck may have done it
    wrong = {
        "lenet5": (20, 90),
        "vgg16": (40, 70),
        "resnet34": (60, 50),
        "resnet34-s1": (80, 30),
        "lenet5+stn": (81, 29),
    }
    noise = {"resnet34-s1": (4, -4, 4, -4, 0)}
    networks = {
        label: Ends(wrong=[(250, early + noise.get(label, (0,) * 5)[seed], end - seed) for seed in FIVE])
        for label, (early, end) in wrong.items()
    }
    study_dir = build_branched_study(tmp_path / "s", networks)
    assert len(crossover_rows(study_dir)) == 10
    told = [sentence for sentence in budget_sentences(study_dir) if not sentence.startswith("With")]
    assert len(told) == 5 and all(sentence.endswith("both are shown.") for sentence in told[:4])
    assert told[4] == "6 more changes of places, 5 of them shown at both budgets; the table has all."


def test_two_seeds_are_observed_and_never_judged(tmp_path: Path) -> None:
    study_dir = build_branched_study(
        tmp_path / "s", {"lenet5": Ends(wrong=FAST.wrong[:2]), "resnet34": Ends(wrong=LATE.wrong[:2])}
    )
    sentences = budget_sentences(study_dir)
    assert all("(observed, not judged: needs 3 seeds, 5 are better)" in one for one in sentences[:3])
    assert sentences[3].endswith("observed, not judged.")


@pytest.mark.slow
def test_who_saw_too_little_crosses_nobody_and_is_named(tmp_path: Path) -> None:
    late = Ends(wrong=LATE.wrong, epochs=(0.5, 1.0, 2.0))
    study_dir = build_branched_study(tmp_path / "s", {"lenet5": FAST, "resnet34": late})
    assert crossover_rows(study_dir) == []
    sentences = budget_sentences(study_dir)
    assert sentences[0] == "With 5 min, lenet5 reaches 94.80 % in validation."
    assert sentences[1] == "With 5 min, resnet34 saw fewer than 2 epochs: not judged at this budget."
    assert "overtakes" not in " ".join(sentences)


@pytest.mark.slow
def test_a_missing_seed_compares_the_common_ones(tmp_path: Path) -> None:
    # seed 0's fold is hard; a network that lacks it is not the better one for that
    easy = Ends(wrong=[(400, 400, 400), (50, 40, 30), (51, 41, 31), (52, 42, 32)])
    study_dir = build_branched_study(tmp_path / "s", {"lenet5": easy, "resnet34": easy})
    for path in (study_dir / "resnet34" / "seed-0").iterdir():
        path.unlink()
    assert crossover_rows(study_dir) == []
    assert "not separated" in budget_sentences(study_dir)[0]


def test_two_networks_that_are_equal_in_between_change_places_all_the_same(tmp_path: Path) -> None:
    networks = {
        "lenet5": Ends(wrong=[(50, 40, 30)] * 3),
        "resnet34": Ends(wrong=[(60, 40, 20)] * 3),
    }
    study_dir = build_branched_study(tmp_path / "s", networks)
    (row,) = crossover_rows(study_dir)
    assert (row["budget_from"], row["budget_to"]) == ("5 min", "20 min")


def test_networks_with_different_seeds_are_told_by_the_means_that_put_them_in_order(tmp_path: Path) -> None:
    # seed 0's fold is hard: over all its seeds lenet5 looks the worse one
    first = Ends(wrong=[(400, 400, 400), (20, 20, 20), (20, 20, 20)])
    second = Ends(wrong=[(0, 0, 0), (30, 30, 30), (30, 30, 30)])
    study_dir = build_branched_study(tmp_path / "s", {"lenet5": first, "resnet34": second})
    shutil.rmtree(study_dir / "resnet34" / "seed-0")
    assert budget_sentences(study_dir)[0] == (
        "With 5 min, lenet5 is ahead: 98.00 % in validation, resnet34 97.00 % (observed, not judged: needs 3 seeds, "
        "5 are better), by seeds 1 and 2, which all judged there have."
    )
    for seed in (1, 2):
        shutil.rmtree(study_dir / "lenet5" / f"seed-{seed}")
    assert "each by seeds of its own, and folds differ in difficulty." in budget_sentences(study_dir)[0]


def test_an_order_that_stays_is_said(tmp_path: Path) -> None:
    better = Ends(wrong=[(5 + seed, 4, 3) for seed in FIVE])
    study_dir = build_branched_study(tmp_path / "s", {"lenet5": FAST, "resnet34": better})
    assert budget_sentences(study_dir)[-1] == "No two networks change places between these budgets."


def test_a_study_without_branches_says_nothing_of_budgets(tmp_path: Path) -> None:
    alone = Ends(wrong=[(None, None, 30)] * 3)
    assert budget_sentences(build_branched_study(tmp_path / "s", {"lenet5": alone, "vgg16": alone})) == []


def test_one_validation_part_for_all_seeds_is_not_said_to_need_more_of_them(study_dir: Path) -> None:
    results = read_results(study_dir)
    own = replace(results, info=replace(results.info, num_val=1000), kept={})
    assert budget_sentences(own)[0].endswith("(observed: with one validation part for all seeds this is not judged).")


def test_a_change_of_places_has_intervals_at_both_ends(study_dir: Path) -> None:
    (row,) = crossover_rows(study_dir)
    assert row["gain_from_low"] < row["gain_from"] < row["gain_from_high"]
    assert row["gain_to_low"] < row["gain_to"] < row["gain_to_high"] < 0
