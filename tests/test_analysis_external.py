"""Systems that were added: an interval of their own, and differences paired by image, over tracks alone."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exact_study import build_exact_study, set_wrong
from roadtest.analysis import (
    external_difference_rows,
    leaderboard_rows,
    read_results,
    rows_with_externals,
)
from roadtest.analysis import stats as judge
from roadtest.analysis.external import STATUS
from roadtest.analysis.recommend import recommend
from roadtest.records import ExternalPredictions, ExternalSystem, external_dir, read_external, write_external
from roadtest.study.api import Study

FIRST_TEST, NUM_TEST = 10_000, 10_000  # of an exact study: 2 classes x 100 tracks x 50 frames


def add(study_dir: Path, name: str, wrong: list[int]) -> None:
    """A system that gets these test images wrong, counted from the first."""
    predicted_N = np.repeat([0, 1], NUM_TEST // 2)
    predicted_N[wrong] = 1 - predicted_N[wrong]
    incumbent = ExternalSystem(
        name=name,
        data_fingerprint="",
        split_fingerprint="",
        source_name="",
        source_digest="",
        num_test=NUM_TEST,
        num_val=0,
        added_at="",
    )
    ids_N = np.arange(FIRST_TEST, FIRST_TEST + NUM_TEST)
    write_external(study_dir, ExternalPredictions(system=incumbent, image_ids_N=ids_N, predicted_N=predicted_N))


def system_rows(study: Path) -> list[dict[str, Any]]:
    return [row for row in rows_with_externals(study) if row["status"] == STATUS]


def answers(image_ids: Iterable[int], label: int) -> str:
    """The text of answers.csv."""
    return "image_id,label\n" + "".join(f"{image},{label}\n" for image in image_ids)


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet-5 with 200 and 100 test images wrong, with the STN 50 and 50; two systems, 300 and 400 wrong."""
    folder = build_exact_study(
        tmp_path_factory.mktemp("added") / "study", {"lenet5": [300, 310], "lenet5+stn": [20, 30]}
    )
    for label, counts in {"lenet5": (200, 100), "lenet5+stn": (50, 50)}.items():
        for seed, count in enumerate(counts):
            set_wrong(folder / label / f"seed-{seed}", "test", count)
    add(folder, "worse", list(range(400)))
    add(folder, "ours", list(range(300)))
    return folder


@pytest.mark.slow
def test_a_system_has_the_columns_of_the_leaderboard_and_no_costs(study_dir: Path) -> None:
    networks, systems = leaderboard_rows(study_dir), system_rows(study_dir)
    assert [row["network"] for row in systems] == ["ours", "worse"]  # the best on test first
    assert all(list(row) == list(networks[0]) for row in systems)
    ours = systems[0]
    assert (ours["test_accuracy_mean"], ours["val_accuracy_mean"], ours["num_runs"]) == (0.97, None, 0)
    assert ours["status"] == "added"
    costs = ("num_parameters", "macs", "size_bytes", "train_seconds_mean", "latency_p50_ms", "peak_memory_bytes")
    assert [ours[column] for column in costs] == [None] * 6
    # all 300 errors are of class 0, which has 5,000 images
    assert ours["test_worst_class_recall_mean"] == pytest.approx(0.94)


@pytest.mark.slow
def test_its_interval_is_the_judges_over_tracks(study_dir: Path) -> None:
    ours = system_rows(study_dir)[0]
    correct_N = np.ones(NUM_TEST, bool)
    correct_N[:300] = False
    expected = judge.accuracy_interval(correct_N[None], np.arange(NUM_TEST) // 50)
    assert (ours["test_accuracy_low"], ours["test_accuracy_high"]) == (expected.low, expected.high)
    assert expected.num_clusters == 200


def test_a_difference_is_paired_by_image_over_the_networks_mean(study_dir: Path) -> None:
    rows = {(row["system"], row["network"], row["has_stn"]): row for row in external_difference_rows(study_dir)}
    assert len(rows) == 4
    row = rows["ours", "lenet5", False]
    # (200 + 100) / 2 of 10,000 wrong against 300
    assert row["network_accuracy"] == pytest.approx(0.985) and row["system_accuracy"] == pytest.approx(0.97)
    assert row["gain"] == pytest.approx(0.015)
    assert row["gain_low"] < 0.015 < row["gain_high"]
    assert (row["num_seeds"], row["num_units"], row["unit_name"], row["part"]) == (2, 200, "tracks", "test")
    assert row["statement"] == "these trained weights against this system, on new signs"
    assert row["num_only_network"] - row["num_only_system"] == pytest.approx(150)


@pytest.mark.slow
def test_a_system_with_the_networks_own_answers_is_not_apart_from_it(study_dir: Path) -> None:
    results = read_results(study_dir)
    (record, _) = next(v for v in results.variants if v.label == "lenet5+stn").records
    outcome = results.predictions(record, "test")
    assert outcome is not None
    add(study_dir, "twin", np.flatnonzero(~outcome.is_correct_N).tolist())
    try:
        rows = [row for row in external_difference_rows(study_dir) if row["system"] == "twin" and row["has_stn"]]
        assert [row["gain"] for row in rows] == [0.0]
        assert (rows[0]["num_only_network"], rows[0]["num_only_system"]) == (0.0, 0.0)
    finally:
        shutil.rmtree(external_dir(study_dir, "twin"))


@pytest.mark.slow
def test_the_leaderboard_shows_systems_below_and_nothing_chooses_them(study_dir: Path) -> None:
    rows = rows_with_externals(study_dir)
    assert [row["network"] for row in rows] == ["lenet5", "lenet5", "ours", "worse"]
    assert Study(study_dir).leaderboard() == rows
    assert recommend(study_dir).label == "lenet5+stn"


@pytest.mark.slow
def test_a_study_without_systems_has_no_rows(tmp_path: Path) -> None:
    folder = build_exact_study(tmp_path / "study", {"lenet5": [1]})
    assert external_difference_rows(folder) == []
    assert rows_with_externals(folder) == leaderboard_rows(folder)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("incumbent.json", "{", "incumbent.json is damaged"),
        ("incumbent.json", json.dumps({"name": 3}), "incumbent.json is damaged"),
        ("answers.csv", "image_id,label\n", "0 rows for 10000 images"),
        ("answers.csv", "image_id,answer\n1,2\n", "no column 'label'"),
        ("answers.csv", answers([10_000] * 10_000, 0), "not those of split.csv in their order"),
        ("answers.csv", answers(range(10_001, 20_001), 0), "not those of split"),
        ("answers.csv", answers(range(10_000, 20_000), 9), "none of the 2 classes"),
        ("answers.csv", answers(range(10_000, 20_000), 9**99), "damaged"),
    ],
)
def test_a_damaged_folder_is_named_in_one_line(file: str, content: str, words: str, tmp_path: Path) -> None:
    add(tmp_path, "ours", [])
    (external_dir(tmp_path, "ours") / file).write_text(content)
    with pytest.raises(ValueError) as error:
        read_external(tmp_path, num_images=20_000, num_classes=2)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_what_was_broken_off_while_it_was_added_is_not_there(tmp_path: Path) -> None:
    add(tmp_path, "ours", [])
    (external_dir(tmp_path, "ours") / "incumbent.json").unlink()
    assert read_external(tmp_path, num_images=20_000, num_classes=2) == []
