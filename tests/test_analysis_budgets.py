"""Who wins with T minutes: annealed trainings only, who saw too little is not judged, no statement says too much."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from branched_study import Ends, build_branched_study
from exact_study import change_record, let_diverge
from roadtest.analysis import (
    budget_rows,
    budget_sentences,
    crossover_rows,
    has_branches,
    read_results,
    render_table,
    target_rows,
)
from roadtest.analysis.budgets import DIVERGED, JUDGED, MISSING, TOO_LITTLE

FIVE = range(5)
FAST = Ends(wrong=[(60, 40, 30), (50, 40, 20), (40, 40, 10)])
SLOW = Ends(wrong=[(300, 60, 5), (320, 50, 5), (310, 40, 5)], epochs=(0.8, 2.5, 5.0), seconds=(330.0, 610.0, 1250.0))
EARLY = Ends(wrong=[(50 + seed, 40, 30) for seed in FIVE])
LATE = Ends(wrong=[(250 - 3 * seed, 60 + seed, 5) for seed in FIVE])
WITHOUT_BRANCHES = Ends(wrong=[(None, None, 30)] * 3)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_branched_study(tmp_path_factory.mktemp("s") / "study", {"lenet5": FAST, "resnet34": SLOW})


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_branched_study(tmp_path_factory.mktemp("s") / "study", {"resnet34": LATE, "lenet5": EARLY})


def row_of(rows: list[dict[str, Any]], network: str, fraction: float) -> dict[str, Any]:
    (row,) = [row for row in rows if (row["network"], row["budget_fraction"]) == (network, fraction)]
    return row


def test_a_row_is_a_network_at_a_budget(study: Path) -> None:
    rows = budget_rows(study)
    row = row_of(rows, "lenet5", 0.25)
    assert (row["budget_seconds"], row["budget_epochs"], row["num_runs"]) == (300.0, None, 3)
    assert row["val_accuracy_mean"] == pytest.approx(0.95)  # 60, 50 and 40 of 1,000 wrong
    assert row["val_accuracy_std"] == pytest.approx(0.01)
    # t over three folds: 4.303 x 0.01 / sqrt(3) = 0.0248, longer below on the logit scale
    assert 0.91 < row["val_accuracy_low"] < 0.925 < 0.966 < row["val_accuracy_high"] < 0.975
    assert row["verdict"] == JUDGED
    assert row_of(rows, "lenet5", 1.0)["val_accuracy_mean"] == pytest.approx(0.98)
    assert row_of(rows, "resnet34", 0.5)["train_seconds_mean"] == 610.0


def test_the_best_of_each_budget_comes_first(study: Path) -> None:
    order = [(row["budget_fraction"], row["network"]) for row in budget_rows(study)]
    assert order == [(f, n) for f in (0.25, 0.5) for n in ("lenet5", "resnet34")] + [(1, "resnet34"), (1, "lenet5")]


def test_a_network_with_a_seed_that_diverged_is_judged_at_no_budget(tmp_path: Path) -> None:
    best = Ends(wrong=[(1, 1, 1)] * 4)
    slow, fast = (Ends(wrong=[*how.wrong, how.wrong[0]]) for how in (SLOW, FAST))
    study = build_branched_study(tmp_path / "s", {"vgg16": best, "resnet34": slow, "lenet5": fast})
    let_diverge(study, "vgg16", 3)
    rows = budget_rows(study)
    assert [row["network"] for row in rows[:3]] == ["lenet5", "resnet34", "vgg16"]  # though its figure is the best
    assert {row["verdict"] for row in rows if row["network"] == "vgg16"} == {DIVERGED}
    assert budget_sentences(study)[-1].endswith("diverged: vgg16.")
    for seed in (1, 2):
        let_diverge(study, "vgg16", seed)
    row = next(row for row in target_rows(study) if row["network"] == "vgg16")
    assert (row["num_runs"], row["seconds_to_95"]) == (4, None)  # one of four reached it


def test_a_network_that_saw_less_than_two_epochs_is_not_judged_and_comes_last(tmp_path: Path) -> None:
    lucky = Ends(wrong=[(1, 1, 1)] * 3, epochs=(1.9, 3.8, 7.6))
    rows = budget_rows(build_branched_study(tmp_path / "s", {"vgg16": lucky, "lenet5": FAST}))
    assert [row["network"] for row in rows[:2]] == ["lenet5", "vgg16"]  # though its figure is the better one
    assert (rows[1]["verdict"], rows[1]["num_undertrained"]) == (TOO_LITTLE, 3)
    assert row_of(rows, "vgg16", 0.5)["verdict"] == JUDGED


def test_a_run_counts_for_a_smaller_budget_where_patience_ended_it_within(tmp_path: Path) -> None:
    for reason, verdict in (("patience", JUDGED), ("budget", MISSING)):  # one that was only fast does not
        early = Ends(wrong=[(None, None, 10)] * 3, seconds=(0.0, 0.0, 500.0), stop_reason=reason)
        rows = budget_rows(build_branched_study(tmp_path / reason, {"lenet5": early, "resnet34": SLOW}))
        assert row_of(rows, "lenet5", 0.25)["verdict"] == MISSING  # 500 s are more than 300
        assert row_of(rows, "lenet5", 0.5)["verdict"] == verdict
        for row in (row for row in rows if row["network"] == "lenet5" and row["verdict"] == JUDGED):
            assert (row["val_accuracy_mean"], row["train_seconds_mean"]) == (pytest.approx(0.99), 500.0)


def test_a_network_that_lacks_a_seed_is_placed_by_the_seeds_that_all_have(tmp_path: Path) -> None:
    hard_first = [(400, 400, 400), (50, 40, 30), (51, 41, 31)]
    worse = [(500, 500, 500), (52, 42, 32), (53, 43, 33)]
    study = build_branched_study(tmp_path / "s", {"vgg16": Ends(wrong=worse), "lenet5": Ends(wrong=hard_first)})
    shutil.rmtree(study / "vgg16" / "seed-0")
    rows = budget_rows(study)
    assert [row["network"] for row in rows[:2]] == ["lenet5", "vgg16"]
    assert rows[0]["val_accuracy_mean"] < rows[1]["val_accuracy_mean"]  # of three seeds, and of the two easy ones


def test_without_a_clock_budgets_are_epochs(tmp_path: Path) -> None:
    ends = Ends(wrong=[(60, 40, 30)] * 3, epochs=(25.0, 50.0, 100.0), stop_reason="max epochs")
    rows = budget_rows(build_branched_study(tmp_path / "s", {"lenet5": ends}, budget_seconds=None))
    assert [row["budget_epochs"] for row in rows] == [25.0, 50.0, 100.0]
    assert [row["budget_seconds"] for row in rows] == [None] * 3


def test_two_folds_or_one_validation_set_have_a_mean_and_no_interval(study: Path, tmp_path: Path) -> None:
    two = read_results(build_branched_study(tmp_path / "s", {"lenet5": Ends(wrong=FAST.wrong[:2])}))
    three = read_results(study)
    for results, mean in ((two, 0.945), (replace(three, info=replace(three.info, num_val=1000)), 0.95)):
        row = budget_rows(results)[0]
        assert row["val_accuracy_mean"] == pytest.approx(mean)
        assert (row["val_accuracy_low"], row["val_accuracy_high"]) == (None, None)


def test_the_time_to_an_accuracy_is_the_median_over_seeds_of_annealed_trainings(study: Path) -> None:
    fast, slow = target_rows(study)
    # lenet5: 94, 95 and 96 % at 300 s, 96 % at 600 s, 97, 98 and 99 % at 1,200 s
    assert fast == {
        "network": "lenet5",
        "has_stn": False,
        "num_runs": 3,
        "seconds_to_90": 300.0,
        "seconds_to_95": 300.0,  # 600, 300, 300
        "seconds_to_98": 1200.0,  # never, 1200, 1200
        "seconds_to_99": None,  # never, never, 1200
    }
    # resnet34: 69, 68 and 69 % at 330 s, 94, 95 and 96 % at 610 s, 99.5 % at 1,250 s
    assert [slow[column] for column in list(slow)[3:]] == [610.0, 610.0, 1250.0, 1250.0]


def test_seconds_of_another_machine_are_left_out(tmp_path: Path) -> None:
    study = build_branched_study(tmp_path / "s", {"lenet5": FAST})
    change_record(study / "lenet5" / "seed-2", "is_time_comparable", False)
    assert target_rows(study)[0]["num_runs"] == 2
    for seed in (0, 1):
        change_record(study / "lenet5" / f"seed-{seed}", "is_time_comparable", False)
    assert target_rows(study)[0]["seconds_to_90"] is None
    assert budget_rows(study)[0]["train_seconds_mean"] is None


def test_a_study_without_branches_has_its_whole_budget_alone_and_says_nothing_of_budgets(tmp_path: Path) -> None:
    networks = {"lenet5": WITHOUT_BRANCHES, "vgg16": WITHOUT_BRANCHES}
    study = build_branched_study(tmp_path / "s", networks)
    assert not has_branches(study) and budget_sentences(study) == []
    assert [row["budget_fraction"] for row in budget_rows(study)] == [1.0, 1.0]


def test_the_rows_are_a_table_in_every_format(study: Path) -> None:
    for format in ("csv", "md", "json", "tex", "html"):
        assert "lenet5" in render_table(budget_rows(study), format)
        assert "resnet34" in render_table(target_rows(study), format)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("0.25", "a quarter", "is damaged"), ("1000,940", "1000,1940", r"is damaged \(1940 of 1000 images correct\)")],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    study = build_branched_study(tmp_path / "s", {"lenet5": FAST})
    path = study / "lenet5" / "seed-0" / "branches.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=rf"branches\.csv {words}") as error:
        budget_rows(study)
    assert "\n" not in str(error.value)


def test_two_networks_cross_between_the_budgets_at_which_they_change_places(crossing: Path) -> None:
    (row,) = crossover_rows(crossing)
    assert (row["network_a"], row["network_b"]) == ("lenet5", "resnet34")  # a is ahead at the smaller budget
    assert (row["budget_from"], row["budget_to"]) == ("10 min", "20 min")
    assert row["gain_from"] == pytest.approx(0.022)  # 40 wrong against 60 to 64
    assert row["gain_to"] == pytest.approx(-0.025)  # 30 against 5
    assert (row["verdict_from"], row["verdict_to"]) == ("separated", "separated")
    assert row["gain_from_low"] < row["gain_from"] < row["gain_from_high"]
    assert row["gain_to_low"] < row["gain_to"] < row["gain_to_high"] < 0


def test_the_sentences_say_who_is_ahead_and_where_they_cross(crossing: Path) -> None:
    assert budget_sentences(crossing) == [
        "With 5 min, lenet5 is ahead: 94.80 % in validation, resnet34 75.60 % (the difference is shown).",
        "With 10 min, lenet5 is ahead: 96.00 % in validation, resnet34 93.80 % (the difference is shown).",
        "With 20 min, resnet34 is ahead: 99.50 % in validation, lenet5 97.00 % (the difference is shown).",
        "Between 10 min and 20 min resnet34 overtakes lenet5: 2.20 points behind, then 2.50 points ahead; "
        "both are shown.",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("networks", "verdicts", "words"),
    [
        (
            {"lenet5": EARLY, "resnet34": Ends(wrong=[(250, 60, (5, 70, 8, 40, 12)[seed]) for seed in FIVE])},
            ("separated", "not separated"),
            "at the larger budget they are not separated",
        ),
        (
            {
                "lenet5": Ends(wrong=[(250, 32, (25, 38, 22, 41, 44)[seed]) for seed in FIVE]),
                "resnet34": Ends(wrong=[(250, (43, 23, 53, 18, 38)[seed], 32) for seed in FIVE]),
            },
            ("not separated", "not separated"),
            "0.30 points behind, then 0.20 points ahead; separated at neither",
        ),
    ],
)
def test_a_change_that_chance_may_have_made_is_said_so(
    tmp_path: Path, networks: dict[str, Ends], verdicts: tuple[str, str], words: str
) -> None:
    study = build_branched_study(tmp_path / "s", networks)
    row = crossover_rows(study)[-1]
    assert (row["verdict_from"], row["verdict_to"]) == verdicts
    assert words in budget_sentences(study)[-1]


@pytest.mark.slow
def test_of_many_changes_of_places_the_shown_ones_are_told_and_the_others_counted(tmp_path: Path) -> None:
    # five networks turn their order round; the last two by so little that chance may have done it
    wrong = {"lenet5": (20, 90), "vgg16": (40, 70), "resnet34": (60, 50), "resnet34-s1": (80, 30)}
    wrong["lenet5+stn"] = (81, 29)
    noise = {"resnet34-s1": (4, -4, 4, -4, 0)}
    networks = {
        label: Ends(wrong=[(250, early + noise.get(label, (0,) * 5)[seed], end - seed) for seed in FIVE])
        for label, (early, end) in wrong.items()
    }
    study = build_branched_study(tmp_path / "s", networks)
    assert len(crossover_rows(study)) == 10
    told = [sentence for sentence in budget_sentences(study) if not sentence.startswith("With")]
    assert len(told) == 5 and all(sentence.endswith("both are shown.") for sentence in told[:4])
    assert told[4].startswith("6 more changes of places, 5 of them shown at both budgets")


def test_two_seeds_are_observed_and_never_judged(tmp_path: Path) -> None:
    networks = {"lenet5": Ends(wrong=EARLY.wrong[:2]), "resnet34": Ends(wrong=LATE.wrong[:2])}
    sentences = budget_sentences(build_branched_study(tmp_path / "s", networks))
    assert all("(observed, not judged: needs 3 seeds, 5 are better)" in one for one in sentences[:3])
    assert sentences[3].endswith("observed, not judged.")


@pytest.mark.slow
def test_who_saw_too_little_crosses_nobody_and_is_named(tmp_path: Path) -> None:
    late = Ends(wrong=LATE.wrong, epochs=(0.5, 1.0, 2.0))
    study = build_branched_study(tmp_path / "s", {"lenet5": EARLY, "resnet34": late})
    assert crossover_rows(study) == []
    sentences = budget_sentences(study)
    assert sentences[0] == "With 5 min, lenet5 reaches 94.80 % in validation."
    assert sentences[1] == "With 5 min, resnet34 saw fewer than 2 epochs: not judged at this budget."
    assert "overtakes" not in " ".join(sentences)


@pytest.mark.slow
def test_a_missing_seed_compares_the_common_ones(tmp_path: Path) -> None:
    # seed 0's fold is hard; a network that lacks it is not the better one for that
    easy = Ends(wrong=[(400, 400, 400), (50, 40, 30), (51, 41, 31), (52, 42, 32)])
    study = build_branched_study(tmp_path / "s", {"lenet5": easy, "resnet34": easy})
    shutil.rmtree(study / "resnet34" / "seed-0")
    assert crossover_rows(study) == []
    assert "not separated" in budget_sentences(study)[0]


def test_two_networks_that_are_equal_in_between_change_places_all_the_same(tmp_path: Path) -> None:
    networks = {"lenet5": Ends(wrong=[(50, 40, 30)] * 3), "resnet34": Ends(wrong=[(60, 40, 20)] * 3)}
    (row,) = crossover_rows(build_branched_study(tmp_path / "s", networks))
    assert (row["budget_from"], row["budget_to"]) == ("5 min", "20 min")


def test_networks_with_different_seeds_are_told_by_the_means_that_put_them_in_order(tmp_path: Path) -> None:
    # seed 0's fold is hard: over all its seeds lenet5 looks the worse one
    first = Ends(wrong=[(400, 400, 400), (20, 20, 20), (20, 20, 20)])
    second = Ends(wrong=[(0, 0, 0), (30, 30, 30), (30, 30, 30)])
    study = build_branched_study(tmp_path / "s", {"lenet5": first, "resnet34": second})
    shutil.rmtree(study / "resnet34" / "seed-0")
    told = budget_sentences(study)[0]
    assert told.startswith("With 5 min, lenet5 is ahead: 98.00 % in validation, resnet34 97.00 % (observed")
    assert "by seeds 1 and 2" in told
    for seed in (1, 2):
        shutil.rmtree(study / "lenet5" / f"seed-{seed}")
    assert "each by seeds of its own" in budget_sentences(study)[0]


def test_an_order_that_stays_is_said(tmp_path: Path) -> None:
    better = Ends(wrong=[(5 + seed, 4, 3) for seed in FIVE])
    study = build_branched_study(tmp_path / "s", {"lenet5": EARLY, "resnet34": better})
    assert budget_sentences(study)[-1] == "No two networks change places between these budgets."


def test_one_validation_set_for_all_seeds_is_not_said_to_need_more_of_them(crossing: Path) -> None:
    results = read_results(crossing)
    own = replace(results, info=replace(results.info, num_val=1000))
    assert "(observed: with one validation part" in budget_sentences(own)[0]
