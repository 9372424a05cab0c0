"""Who wins with T minutes: annealed trainings only, and whoever saw too little is not judged."""

import json
from pathlib import Path
from typing import Any

import pytest

from branched_study import Ends, build_branched_study
from exact_study import change_record, let_diverge
from roadtest.summarise import budget_rows, budget_sentences, has_branches, render_table, target_rows
from roadtest.summarise.budgets import DIVERGED, JUDGED, MISSING, TOO_LITTLE, render_duration

FAST = Ends(wrong=[(60, 40, 30), (50, 40, 20), (40, 40, 10)])
SLOW = Ends(wrong=[(300, 60, 5), (320, 50, 5), (310, 40, 5)], epochs=(0.8, 2.5, 5.0), seconds=(330.0, 610.0, 1250.0))


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_branched_study(tmp_path_factory.mktemp("s") / "study", {"lenet5": FAST, "resnet34": SLOW})


def row_of(rows: list[dict[str, Any]], network: str, fraction: float) -> dict[str, Any]:
    (row,) = [row for row in rows if (row["network"], row["budget_fraction"]) == (network, fraction)]
    return row


def test_a_row_stands_for_a_network_at_a_budget(study_dir: Path) -> None:
    rows = budget_rows(study_dir)
    row = row_of(rows, "lenet5", 0.25)
    assert (row["budget_seconds"], row["budget_epochs"], row["num_runs"]) == (300.0, None, 3)
    assert row["val_accuracy_mean"] == pytest.approx(0.95)  # 60, 50 and 40 of 1,000 wrong
    assert row["val_accuracy_std"] == pytest.approx(0.01)
    # t over three folds: 4.303 x 0.01 / sqrt(3) = 0.0248, longer below on the logit scale
    assert 0.91 < row["val_accuracy_low"] < 0.925 < 0.966 < row["val_accuracy_high"] < 0.975
    assert row["verdict"] == JUDGED
    assert row_of(rows, "lenet5", 1.0)["val_accuracy_mean"] == pytest.approx(0.98)
    assert row_of(rows, "resnet34", 0.5)["train_seconds_mean"] == 610.0


def test_the_best_of_each_budget_comes_first(study_dir: Path) -> None:
    order = [(row["budget_fraction"], row["network"]) for row in budget_rows(study_dir)]
    assert order == [
        (0.25, "lenet5"),
        (0.25, "resnet34"),
        (0.5, "lenet5"),
        (0.5, "resnet34"),
        (1.0, "resnet34"),
        (1.0, "lenet5"),
    ]


def test_a_network_with_a_seed_that_diverged_is_judged_at_no_budget(tmp_path: Path) -> None:
    best = Ends(wrong=[(1, 1, 1)] * 4)
    slow, fast = (Ends(wrong=[*how.wrong, how.wrong[0]]) for how in (SLOW, FAST))
    study_dir = build_branched_study(tmp_path / "s", {"vgg16": best, "resnet34": slow, "lenet5": fast})
    let_diverge(study_dir, "vgg16", 3)
    rows = budget_rows(study_dir)
    assert [row["network"] for row in rows[:3]] == ["lenet5", "resnet34", "vgg16"]  # though its figure is the best
    assert {row["verdict"] for row in rows if row["network"] == "vgg16"} == {DIVERGED}
    assert budget_sentences(study_dir)[-1] == "Not judged at any budget, for a seed that diverged: vgg16."
    for seed in (1, 2):
        let_diverge(study_dir, "vgg16", seed)
    row = next(row for row in target_rows(study_dir) if row["network"] == "vgg16")
    assert (row["num_runs"], row["seconds_to_95"]) == (4, None)  # one of four reached it


def test_a_network_that_saw_less_than_two_epochs_is_not_judged_and_comes_last(tmp_path: Path) -> None:
    lucky = Ends(wrong=[(1, 1, 1)] * 3, epochs=(1.9, 3.8, 7.6))
    rows = budget_rows(build_branched_study(tmp_path / "s", {"vgg16": lucky, "lenet5": FAST}))
    assert [row["network"] for row in rows[:2]] == ["lenet5", "vgg16"]  # though its figure is the better one
    assert (rows[1]["verdict"], rows[1]["num_undertrained"]) == (TOO_LITTLE, 3)
    assert row_of(rows, "vgg16", 0.5)["verdict"] == JUDGED


def test_a_run_that_patience_ended_early_stands_for_the_budgets_it_did_not_need(tmp_path: Path) -> None:
    early = Ends(wrong=[(None, None, 10)] * 3, seconds=(0.0, 0.0, 500.0), stop_reason="patience")
    rows = budget_rows(build_branched_study(tmp_path / "s", {"lenet5": early, "resnet34": SLOW}))
    assert row_of(rows, "lenet5", 0.25)["verdict"] == MISSING  # 500 s are more than 300
    for fraction in (0.5, 1.0):
        assert row_of(rows, "lenet5", fraction)["val_accuracy_mean"] == pytest.approx(0.99)
        assert row_of(rows, "lenet5", fraction)["train_seconds_mean"] == 500.0


def test_a_run_that_was_only_fast_does_not_stand_for_a_shorter_one(tmp_path: Path) -> None:
    fast = Ends(wrong=[(None, None, 10)] * 3, seconds=(0.0, 0.0, 500.0), stop_reason="budget")
    rows = budget_rows(build_branched_study(tmp_path / "s", {"lenet5": fast, "resnet34": SLOW}))
    assert row_of(rows, "lenet5", 0.5)["verdict"] == MISSING


def test_a_network_that_lacks_a_seed_is_placed_by_the_seeds_that_all_have(tmp_path: Path) -> None:
    hard_first = [(400, 400, 400), (50, 40, 30), (51, 41, 31)]
    worse = [(500, 500, 500), (52, 42, 32), (53, 43, 33)]
    study_dir = build_branched_study(tmp_path / "s", {"vgg16": Ends(wrong=worse), "lenet5": Ends(wrong=hard_first)})
    for path in (study_dir / "vgg16" / "seed-0").iterdir():
        path.unlink()
    rows = budget_rows(study_dir)
    assert [row["network"] for row in rows[:2]] == ["lenet5", "vgg16"]
    assert rows[0]["val_accuracy_mean"] < rows[1]["val_accuracy_mean"]  # of three seeds, and of the two easy ones


def test_without_a_clock_budgets_are_epochs(tmp_path: Path) -> None:
    ends = Ends(wrong=[(60, 40, 30)] * 3, epochs=(25.0, 50.0, 100.0), stop_reason="max epochs")
    rows = budget_rows(build_branched_study(tmp_path / "s", {"lenet5": ends}, budget_seconds=None))
    assert [(row["budget_seconds"], row["budget_epochs"]) for row in rows] == [
        (None, 25.0),
        (None, 50.0),
        (None, 100.0),
    ]


def test_two_seeds_have_a_mean_and_no_interval(tmp_path: Path) -> None:
    rows = budget_rows(build_branched_study(tmp_path / "s", {"lenet5": Ends(wrong=FAST.wrong[:2])}))
    assert rows[0]["val_accuracy_mean"] == pytest.approx(0.945)
    assert (rows[0]["val_accuracy_low"], rows[0]["val_accuracy_high"]) == (None, None)


def test_one_validation_part_for_all_seeds_has_no_interval_over_folds(tmp_path: Path) -> None:
    study_dir = build_branched_study(tmp_path / "s", {"lenet5": FAST})
    info = json.loads((study_dir / "study.json").read_text())
    (study_dir / "study.json").write_text(json.dumps({**info, "num_val": 1000}))
    assert budget_rows(study_dir)[0]["val_accuracy_low"] is None


def test_the_time_to_an_accuracy_is_the_median_over_seeds_of_annealed_trainings(study_dir: Path) -> None:
    fast, slow = target_rows(study_dir)
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
    study_dir = build_branched_study(tmp_path / "s", {"lenet5": FAST})
    change_record(study_dir / "lenet5" / "seed-2", "is_time_comparable", False)
    assert target_rows(study_dir)[0]["num_runs"] == 2
    change_record(study_dir / "lenet5" / "seed-1", "is_time_comparable", False)
    change_record(study_dir / "lenet5" / "seed-0", "is_time_comparable", False)
    assert target_rows(study_dir)[0]["seconds_to_90"] is None
    assert budget_rows(study_dir)[0]["train_seconds_mean"] is None


def test_a_study_without_branches_has_its_whole_budget_alone(tmp_path: Path) -> None:
    ends = Ends(wrong=[(None, None, 30)] * 3)
    study_dir = build_branched_study(tmp_path / "s", {"lenet5": ends})
    assert not has_branches(study_dir)
    assert [row["budget_fraction"] for row in budget_rows(study_dir)] == [1.0]


def test_the_rows_are_a_table_in_every_format(study_dir: Path) -> None:
    for format in ("csv", "md", "json", "tex", "html"):
        assert "lenet5" in render_table(budget_rows(study_dir), format)
        assert "resnet34" in render_table(target_rows(study_dir), format)


def test_a_damaged_file_is_named_in_one_line(tmp_path: Path) -> None:
    study_dir = build_branched_study(tmp_path / "s", {"lenet5": FAST})
    path = study_dir / "lenet5" / "seed-0" / "branches.csv"
    path.write_text(path.read_text().replace("0.25", "a quarter"))
    with pytest.raises(ValueError, match=r"branches\.csv is damaged") as error:
        budget_rows(study_dir)
    assert "\n" not in str(error.value)


def test_more_correct_than_seen_is_damage_too(tmp_path: Path) -> None:
    study_dir = build_branched_study(tmp_path / "s", {"lenet5": FAST})
    path = study_dir / "lenet5" / "seed-0" / "branches.csv"
    path.write_text(path.read_text().replace("1000,940", "1000,1940"))
    with pytest.raises(ValueError, match=r"branches\.csv is damaged \(1940 of 1000 images correct\)"):
        budget_rows(study_dir)


def test_durations_are_short() -> None:
    assert [render_duration(s) for s in (42, 300, 7500)] == ["42 s", "5 min", "2 h 05 min"]
