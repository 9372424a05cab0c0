"""What a study's records say of the student report's claims: each supported, contradicted, and left undecided."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from exact_study import change_record, set_wrong
from fake_study import SIX, build_fake_study
from roadtest.analysis import claim_rows, read_results
from roadtest.records import read_record

# 300 test tracks of five images: 1,500 images, one is 0.067 points. Per network how many each seed gets wrong; they are
# spread evenly, so that other numbers are other images, and more than a few tracks differ where accuracies hardly do.
SUPPORTING = {
    "lenet5": [30, 32, 31],
    "lenet5+stn": [6, 8, 7],
    "resnet34": [12, 14, 13],
    "resnet34+stn": [10, 15, 13],
    "vgg16": [10, 15, 13],
    "vgg16+stn": [33, 35, 34],
}
CONTRADICTING = {
    "lenet5": [40, 42, 41],
    "lenet5+stn": [90, 92, 91],
    "resnet34": [90, 91, 93],
    "resnet34+stn": [6, 8, 7],
    "vgg16": [12, 14, 13],
    "vgg16+stn": [10, 15, 13],
}
UNDECIDED = {
    "lenet5": [60, 10, 45],
    "lenet5+stn": [20, 70, 9],
    "resnet34": [9, 60, 21],
    "resnet34+stn": [55, 5, 30],
    "vgg16": [12, 50, 33],
    "vgg16+stn": [60, 20, 8],
}
EPOCHS = {"supported": (20.0, [14.0, 15.0, 13.0]), "contradicted": (20.0, [30.0, 29.0, 31.0])}
EPOCHS["not decided"] = (20.0, [12.0, 30.0, 21.0])
RATIOS = {"supported": [1.5, 1.52, 1.48], "contradicted": [60.0, 64.0, 58.0], "not decided": [1.0, 1.6, 2.4]}
CLAIMS = [
    "The STN lifts LeNet-5.",
    "The STN gives ResNet nothing and is wasteful.",
    "The STN hurts VGG (the report's 97.25 % is a validation figure; its test figure was 96.07 %).",
    "The STN lets VGG stop earlier.",
    "ResNet beats LeNet-5.",
    "ResNet takes 1.5 times LeNet-5's time.",
    "VGG is worst for its cost.",
    "All six pass 96 %.",
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "six"
    return build_fake_study(
        folder,
        networks=SIX,
        seeds=3,
        class_names=["left", "right"],
        tracks_per_class=150,
        frames_per_track=5,
        num_evaluations=1,
        has_examples=False,
    )


def tell(base: Path, folder: Path, wrong: dict[str, list[int]], word: str) -> Path:
    """A study with these errors on test, and times and epochs that support, contradict or leave undecided."""
    shutil.copytree(base, folder)
    first_epochs, epochs = EPOCHS[word]
    for label, counts in wrong.items():
        for seed, count in enumerate(counts):
            run_dir = folder / label / f"seed-{seed}"
            set_wrong(run_dir, "test", count)
            if label.startswith("vgg16"):
                change_record(run_dir, "num_epochs", epochs[seed] if label.endswith("+stn") else first_epochs)
            if label in ("lenet5", "resnet34"):
                change_cost(run_dir, 1.0 if label == "lenet5" else RATIOS[word][seed])
    return folder


def change_cost(run_dir: Path, train_seconds: float) -> None:
    cost = json.loads((run_dir / "record.json").read_text())["cost"]
    change_record(run_dir, "cost", {**cost, "train_seconds": train_seconds})


def verdicts(study: Path) -> dict[str, str]:
    return {row["claim"]: row["verdict"] for row in claim_rows(study)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "word"),
    [(SUPPORTING, "supported"), (CONTRADICTING, "contradicted"), (UNDECIDED, "not decided")],
    ids=["supported", "contradicted", "not decided"],
)
def test_every_claim_can_be_supported_contradicted_and_left_undecided(
    base: Path, tmp_path: Path, wrong: dict[str, list[int]], word: str
) -> None:
    found = verdicts(tell(base, tmp_path / "s", wrong, word))
    assert found == dict.fromkeys(CLAIMS, word)


def test_the_evidence_has_numbers_interval_and_what_they_rest_on(base: Path, tmp_path: Path) -> None:
    study = tell(base, tmp_path / "s", SUPPORTING, "supported")
    rows = {row["claim"]: row["evidence"] for row in claim_rows(study)}
    assert list(rows) == CLAIMS
    # (93 - 21) / 4500 is 1.60 points
    lifts = rows["The STN lifts LeNet-5."]
    assert lifts.startswith("lenet5+stn minus lenet5 on test: +1.60 points (95 % interval +")
    assert lifts.endswith("; 300 tracks, 3 seeds); separated after correction for all 15 pairs.")
    nothing = rows["The STN gives ResNet nothing and is wasteful."]
    assert "It costs 8,544 parameters, 0.97 M multiply-accumulates, " in nothing and "times the latency." in nothing
    assert rows["The STN lets VGG stop earlier."] == (
        "vgg16+stn trained 14.0 epochs, vgg16 20.0: -6.0 epochs (95 % interval -8.5 to -3.5; 3 seeds)."
    )
    assert "resnet34 1.5 times as long as lenet5 (95 % interval 1.4" in rows["ResNet takes 1.5 times LeNet-5's time."]
    assert "resnet34 is cheaper in every cost and −0.02 points from vgg16 on test" in rows["VGG is worst for its cost."]
    assert rows["All six pass 96 %."].startswith("The lowest bound is that of vgg16+stn: 97.73 % on test (")


def test_below_three_seeds_nothing_is_decided_and_the_numbers_still_stand(base: Path, tmp_path: Path) -> None:
    study = tell(base, tmp_path / "s", SUPPORTING, "supported")
    for run_dir in study.glob("*/seed-2"):
        shutil.rmtree(run_dir)
    rows = claim_rows(study)
    assert {row["verdict"] for row in rows} == {"not decided"} and len(rows) == len(CLAIMS)
    assert rows[0]["evidence"].startswith("lenet5+stn minus lenet5 on test: +1.60 points (95 % interval +")
    assert "2 seeds, for these trained weights only" in rows[0]["evidence"]


def test_claims_about_networks_that_are_not_there_are_not_decided(base: Path, tmp_path: Path) -> None:
    study = tell(base, tmp_path / "s", SUPPORTING, "supported")
    remove(study, ["vgg16", "vgg16+stn", "resnet34+stn"])
    rows = claim_rows(study)
    asked = {CLAIMS[0], CLAIMS[4], CLAIMS[5]}
    assert {row["claim"] for row in rows if row["verdict"] == "supported"} == asked
    told = {row["claim"]: row["evidence"] for row in rows if row["claim"] not in asked}
    assert told[CLAIMS[1]] == "Not compared: resnet34+stn." and told[CLAIMS[6]] == "Not compared: vgg16."
    assert {row["verdict"] for row in rows if row["claim"] in told} == {"not decided"} and len(rows) == len(CLAIMS)


def test_a_study_that_can_speak_to_no_claim_tells_none(base: Path, tmp_path: Path) -> None:
    study = tell(base, tmp_path / "s", SUPPORTING, "supported")
    remove(study, ["lenet5+stn", "vgg16", "vgg16+stn", "resnet34", "resnet34+stn"])
    assert claim_rows(study) == []


def remove(study: Path, labels: Sequence[str]) -> None:
    for label in labels:
        shutil.rmtree(study / label)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"data_title": "GTSRB"', '"data_title": "GTSRB (subset)"'),
        ('"source": "gtsrb"', '"source": "signs"'),
        ('"test_title": ""', '"test_title": "drawn signs"'),
        ('"drawn_fraction": 0.0', '"drawn_fraction": 0.3'),
    ],
)
def test_other_data_than_the_whole_of_gtsrb_says_nothing_of_the_claims(
    base: Path, tmp_path: Path, old: str, new: str
) -> None:
    study = tmp_path / "s"
    shutil.copytree(base, study)
    text = (study / "study.json").read_text()
    assert old in text
    (study / "study.json").write_text(text.replace(old, new))
    assert claim_rows(study) == []


def test_where_a_budget_ended_the_runs_an_epochs_time_is_compared_and_no_stop(base: Path, tmp_path: Path) -> None:
    study = tell(base, tmp_path / "s", SUPPORTING, "supported")
    for run_dir in (path.parent for path in study.rglob("record.json")):
        change_record(run_dir, "stop_reason", "budget")
    rows = {row["claim"]: row for row in claim_rows(study)}
    stops = rows["The STN lets VGG stop earlier."]
    assert stops["verdict"] == "not decided" and "(budget)" in stops["evidence"]
    epochs = {name: read_record(study / name / "seed-0").num_epochs for name in ("lenet5", "resnet34")}
    assert epochs["lenet5"] == epochs["resnet34"]
    times = rows["ResNet takes 1.5 times LeNet-5's time."]
    assert times["verdict"] == "supported" and times["evidence"].startswith("An epoch takes resnet34 1.5 times")


@pytest.mark.slow
def test_the_claims_are_about_accuracy_whatever_chooses(base: Path, tmp_path: Path) -> None:
    study = tell(base, tmp_path / "s", SUPPORTING, "supported")
    assert claim_rows(read_results(study, metric="macro-f1")) == claim_rows(study)
