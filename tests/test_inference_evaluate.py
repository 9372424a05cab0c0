"""A network on images that somebody labelled: classes matched, the right part taken, every figure from counts."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fake_study import build_fake_study
from roadtest.data.open import open_source
from roadtest.inference.classifier import Classifier
from roadtest.inference.evaluate import SAME_IMAGES, Evaluation, evaluate_on, evaluate_run
from roadtest.records import RunRecord, read_record, read_rows
from used_study import brightest, build_used_study, draw_colour, draw_colours

Evaluate = Callable[..., Evaluation]
RGB = {"Red": 0, "Green": 1, "Blue": 2}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    study_dir = tmp_path_factory.mktemp("labelled") / "study"
    build_fake_study(study_dir, networks=["lenet5"], seeds=1, tracks_per_class=1, frames_per_track=1)
    return read_record(study_dir / "lenet5" / "seed-0")


@pytest.fixture
def evaluate(tmp_path: Path, record: RunRecord) -> Evaluate:
    """Evaluate the network that names the brightest channel, on a source in tmp_path."""

    def run(source: str, classifier: Classifier | None = None, **options: object) -> Evaluation:
        return evaluate_on(
            classifier or brightest(record),
            tmp_path / source,
            cache_dir=tmp_path / "cache",
            study="first",
            **options,  # type: ignore[arg-type]
        )

    return run


def ledger(tmp_path: Path) -> list[dict[str, str]]:
    return read_rows(tmp_path / "cache" / "test-reads.csv")


def test_every_figure_follows_from_counts(tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colours(tmp_path / "new", RGB)
    for number in range(100, 102):  # two of six "Red" images are blue: 10 of 14 are right, and so is 4 of 6
        draw_colour(tmp_path / "new" / "Red" / f"{number}.png", 2, number)
    found = evaluate("new")
    assert found.split == "all" and len(found.labels_N) == 14
    scores = found.scores()
    assert scores["accuracy"] == pytest.approx(12 / 14)
    assert scores["balanced_accuracy"] == pytest.approx((4 / 6 + 1 + 1) / 3)
    # F1: Red 2 x 4 / (6 + 4), Green 1, Blue 2 x 4 / (4 + 6)
    assert scores["macro_f1"] == pytest.approx((0.8 + 1 + 0.8) / 3)
    assert scores["worst_class_recall"] == pytest.approx(4 / 6)
    # Red 4 of 6, the others all: its recall's variance 2 / 9 / 5, a third of it counts; 14 / 13 for 14 images in all
    balanced, plain = found.class_intervals["balanced_accuracy"], found.to_dict()
    assert balanced.standard_error == pytest.approx((2 / 9 / 5 / 3**2 * 14 / 13) ** 0.5)
    assert (plain["balanced_accuracy_low"], plain["balanced_accuracy_high"]) == (balanced.low, balanced.high)
    assert plain["macro_f1_low"] < plain["macro_f1"] < plain["macro_f1_high"]
    assert "worst_class_recall_low" not in plain
    worst = found.class_rows()[0]
    assert worst == {
        "class_id": 0,
        "class_name": "Red",
        "num_images": 6,
        "num_tracks": 6,
        "num_correct": 4,
        "recall": pytest.approx(4 / 6),
        "precision": 1.0,
        "f1": pytest.approx(0.8),
        "mostly_taken_for_id": 2,
        "mostly_taken_for": "Blue",
        "num_taken_for_it": 2,
    }
    assert [row["class_name"] for row in found.class_rows()] == ["Red", "Green", "Blue"]
    wrong = [row for row in found.image_rows() if not row["is_correct"]]
    assert [(row["path"], row["predicted_name"]) for row in wrong] == [("Red/100.png", "Blue"), ("Red/101.png", "Blue")]


def test_the_interval_is_over_the_sources_groups(tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colours(tmp_path, RGB, num_images=6)
    rows = [(f"{name}/{n}.png", name, f"{name}{n // 3}") for name in RGB for n in range(6)]
    with (tmp_path / "grouped.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "group"), *rows])
    found = evaluate("grouped.csv", split="all")
    assert found.unit_name == "tracks" and found.interval is not None
    assert (found.interval.num_clusters, found.interval.estimate) == (6, 1.0)
    # no error in 6 tracks: 0.025 ** (1 / 6) = 0.541
    assert found.interval.low == pytest.approx(0.541, abs=0.001)
    assert found.interval.statement == "these trained weights, on new signs"


def test_one_group_has_no_interval(tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colour(tmp_path / "new" / "Red" / "0.png", 0)
    found = evaluate("new")
    plain = found.to_dict()
    assert found.interval is plain["accuracy_low"] is plain["balanced_accuracy_low"] is plain["macro_f1_high"] is None
    assert found.scores()["accuracy"] == 1.0


@pytest.mark.parametrize("names", [("0", "1", "2"), ("00000", "01", "2"), ("red", "GREEN", "Blue"), ("Red", "1", "02")])
def test_classes_are_matched_by_number_or_name(names: tuple[str, ...], tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colours(tmp_path / "new", dict(zip(names, range(3), strict=True)))
    assert evaluate("new").scores()["accuracy"] == 1.0


def test_some_of_the_classes_are_enough_even_one(tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colours(tmp_path / "two", {"Green": 1, "Blue": 2})
    draw_colours(tmp_path / "one", {"Blue": 2})
    assert [row["class_id"] for row in evaluate("two").class_rows()] == [1, 2]
    assert [row["class_id"] for row in evaluate("one").class_rows()] == [2]
    assert sorted(evaluate("two").labels_N.tolist()) == [1] * 4 + [2] * 4


def test_numbers_are_names_for_a_network_whose_classes_are_named_by_numbers(
    tmp_path: Path, evaluate: Evaluate, record: RunRecord
) -> None:
    draw_colours(tmp_path / "new", {"05": 1, "00011": 2})
    found = evaluate("new", brightest(record, ("2", "5", "11")))
    assert found.scores()["accuracy"] == 1.0 and sorted(found.labels_N.tolist()) == [1] * 4 + [2] * 4


def test_unknown_classes_are_named_in_one_line_and_left_out_on_request(tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colours(tmp_path / "new", {**RGB, "Purple": 0, "7": 1})
    with pytest.raises(ValueError) as error:
        evaluate("new")
    assert str(error.value) == (
        f"{tmp_path / 'new'} has classes that the network does not know: '7', 'Purple'; lenet5 knows the classes "
        "0 (Red), 1 (Green), 2 (Blue); name them by number or by name, or leave their images out with --skip-unknown"
    )
    found = evaluate("new", skip_unknown=True)
    assert len(found.labels_N) == 12 and found.scores()["accuracy"] == 1.0
    assert found.notes[0] == "8 images of classes that the network does not know were left out: '7', 'Purple'."
    assert ledger(tmp_path) == []


def test_where_no_class_is_known_there_is_nothing_to_leave_out(tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colours(tmp_path / "new", {"Purple": 0, "Brown": 1})
    with pytest.raises(ValueError, match=r"name them by number or by name$"):
        evaluate("new", skip_unknown=True)


def test_the_test_part_is_taken_where_the_source_brings_one(tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colours(tmp_path / "new" / "train", RGB, num_images=3)
    draw_colours(tmp_path / "new" / "test", RGB, num_images=1)
    found = evaluate("new")
    assert (found.split, len(found.labels_N)) == ("test", 3)
    assert [(row["study"], row["network"], row["seed"]) for row in ledger(tmp_path)] == [("first", "lenet5", "0")]
    assert len(evaluate("new", split="train").labels_N) == 9
    assert len(ledger(tmp_path)) == 1
    assert len(evaluate("new", split="all").labels_N) == 12
    assert len(ledger(tmp_path)) == 2


def test_a_folder_with_a_test_part_alone_can_be_evaluated(tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colours(tmp_path / "new" / "test", {"Blue": 2})
    assert evaluate("new").split == "test"


def test_a_folder_without_parts_is_taken_whole_and_has_no_test_part(tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colours(tmp_path / "new", RGB, num_images=10)
    found = evaluate("new")
    assert (found.split, len(found.labels_N), found.notes) == ("all", 30, ())
    assert ledger(tmp_path) == []
    with pytest.raises(ValueError, match="has no test part; it has no parts; leave --split out, or say all"):
        evaluate("new", split="test")
    with pytest.raises(ValueError, match="--split 'half' is not known"):
        evaluate("new", split="half")


def test_of_its_own_data_only_the_held_out_part_is_taken(tmp_path: Path, evaluate: Evaluate, record: RunRecord) -> None:
    draw_colours(tmp_path / "mine", RGB, num_images=20)
    opened = open_source(str(tmp_path / "mine"), image_size=32, cache_dir=tmp_path / "cache")
    classifier = brightest(replace(record, data_fingerprint=opened.fingerprint))
    found = evaluate("mine", classifier)
    assert (found.split, len(found.labels_N)) == ("test", 9)  # 15 % of 20, of each class
    assert {row["path"] for row in found.image_rows()} == {opened.paths[i] for i in opened.indices_of("test")}
    assert SAME_IMAGES not in found.notes and len(ledger(tmp_path)) == 1
    for split, num_images in (("train", 51), ("all", 60)):
        told = evaluate("mine", classifier, split=split)
        assert len(told.labels_N) == num_images and told.notes[0] == SAME_IMAGES


def test_a_folder_that_was_tested_on_whole_is_taken_whole_again(
    tmp_path: Path, evaluate: Evaluate, record: RunRecord
) -> None:
    draw_colours(tmp_path / "theirs", RGB, num_images=20)
    opened = open_source(str(tmp_path / "theirs"), image_size=32, cache_dir=tmp_path / "cache")
    found = evaluate("theirs", brightest(replace(record, test_fingerprint=opened.fingerprint)))
    assert (found.split, len(found.labels_N), len(ledger(tmp_path))) == ("all", 60, 1)


def test_broken_images_stop_it_unless_they_are_left_out(tmp_path: Path, evaluate: Evaluate) -> None:
    draw_colours(tmp_path / "new", RGB)
    (tmp_path / "new" / "Red" / "9.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="1 of 13 images cannot be read"):
        evaluate("new")
    found = evaluate("new", skip_broken=True)
    assert len(found.labels_N) == 12 and "1 broken images were left out" in found.notes[0]


def test_batches_do_not_change_an_answer(tmp_path: Path, evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_colours(tmp_path / "new", RGB)
    whole = evaluate("new")
    monkeypatch.setattr("roadtest.inference.classifier.BATCH_SIZE", 5)
    assert np.array_equal(evaluate("new").predicted_N, whole.predicted_N)


def test_a_run_or_a_study_is_evaluated_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study_dir = build_used_study(tmp_path / "first", networks=["lenet5"])
    draw_colours(tmp_path / "new" / "test", RGB)
    found = evaluate_run(study_dir, tmp_path / "new", cache_dir=tmp_path / "cache")
    assert found.label == "lenet5" and len(found.labels_N) == 12
    monkeypatch.chdir(study_dir / "lenet5")
    again = evaluate_run("seed-0", tmp_path / "new", cache_dir=tmp_path / "cache")
    assert np.array_equal(again.predicted_N, found.predicted_N)
    assert [row["study"] for row in ledger(tmp_path)] == ["first", "first"]


def test_images_that_are_called_as_those_of_training_are_pointed_out(tmp_path: Path) -> None:
    study_dir = build_used_study(tmp_path / "first", networks=["lenet5"])
    draw_colours(tmp_path / "new", RGB)
    options = {"cache_dir": tmp_path / "cache"}
    assert evaluate_run(study_dir, tmp_path / "new", **options).notes == ()
    rows = ["path,label,group,split,fold", *(f"{name}/{n}.png,0,,train,0" for name in RGB for n in range(3))]
    (study_dir / "split.csv").write_text("\n".join(rows) + "\n")
    (note,) = evaluate_run(study_dir / "lenet5" / "seed-0", tmp_path / "new", **options).notes
    assert note.startswith("9 of 12 images have the paths of images that the network was trained on")


def test_the_plain_values_are_json(tmp_path: Path, evaluate: Evaluate) -> None:
    import json

    draw_colours(tmp_path / "new", RGB)
    plain = json.loads(json.dumps(evaluate("new").to_dict(), allow_nan=False))
    assert (plain["network"], plain["accuracy"], plain["num_images"], plain["unit_name"]) == (
        "lenet5",
        1.0,
        12,
        "images",
    )
    assert len(plain["classes"]) == 3
