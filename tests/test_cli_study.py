"""The options that say how a study is read: the metric that chooses, and the tolerance.

The table of networks: maps beside counts, a row for one that cannot run, a sentence for one that should not."""

import csv
import io
import json
from pathlib import Path

import pytest

from exact_study import build_exact_study
from fake_study import build_fake_study
from roadtest import cli
from roadtest.cli.app import main
from roadtest.records import read_study_info
from roadtest.study.api import read_study
from roadtest.study.options import Options

Captured = pytest.CaptureFixture[str]
WRONG = {"lenet5": [25, 26, 25, 24, 26], "lenet5+stn": [5, 7, 6, 5, 6], "vgg16": [6, 5, 6, 7, 5]}


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_exact_study(tmp_path_factory.mktemp("studies") / "exact", WRONG)


@pytest.mark.slow
def test_the_table_shows_the_metric_that_chooses_and_csv_shows_all(exact: Path, capsys: Captured) -> None:
    assert cli.main(["leaderboard", str(exact), "--metric", "macro-f1"]) == 0
    out, _ = capsys.readouterr()
    head = out.splitlines()[0]
    assert "val macro-F1" in head and "test macro-F1" in head and "accuracy" not in head
    assert "Leading in validation by macro-F1: lenet5+stn" in out and "The STN pays for lenet5" in out
    assert cli.main(["leaderboard", str(exact), "--metric", "macro-f1", "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {"val_accuracy_mean", "val_macro_f1_low", "test_worst_class_recall_mean", "letters"} <= set(rows[0])
    assert {row["metric"] for row in rows} == {"macro-f1"} and "Leading in validation" in err


@pytest.mark.slow
def test_without_a_metric_the_table_is_as_it_was(exact: Path, capsys: Captured) -> None:
    assert cli.main(["leaderboard", str(exact)]) == 0
    out, _ = capsys.readouterr()
    assert "val accuracy" in out.splitlines()[0] and "Leading on test: " in out
    assert "letters (test)" in out.splitlines()[0]


@pytest.mark.slow
def test_the_tolerance_decides_whether_the_stn_pays(exact: Path, capsys: Captured) -> None:
    for points, worth in (("0.5", "pays"), ("3", "does not pay")):
        assert cli.main(["leaderboard", str(exact), "--tolerance", points, "--format", "json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert [row["stn_worth"] for row in rows if row["has_stn"]] == [worth]
    assert cli.main(["leaderboard", str(exact), "--tolerance", "-1"]) == 2
    assert "--tolerance '-1' is no number of percentage points" in capsys.readouterr().err


@pytest.mark.slow
def test_recommend_takes_metric_and_tolerance(exact: Path, capsys: Captured) -> None:
    words = ["recommend", str(exact), "--metric", "worst-class-recall", "--tolerance", "0.4", "--format", "json"]
    assert cli.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["metric"], found["tolerance_points"]) == ("worst-class-recall", 0.4)
    assert cli.main(["recommend", str(exact), "--metric", "macro-f1"]) == 0
    assert "val macro-F1" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize("verb", ["leaderboard", "recommend", "report"])
def test_an_unknown_metric_is_one_line(exact: Path, verb: str, capsys: Captured) -> None:
    assert cli.main([verb, str(exact), "--metric", "f1"]) == 2
    err = capsys.readouterr().err
    assert "macro-f1" in err and "worst-class-recall" in err and len(err.splitlines()) == 1


def test_the_report_is_read_by_the_metric_and_tolerance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []

    def write(study: Path, **options: object) -> Path:
        calls.append(options)
        return study

    monkeypatch.setattr("roadtest.report.write_report", write)
    assert cli.main(["report", str(tmp_path), "--metric", "macro-f1", "--tolerance", "1"]) == 0
    assert calls == [{"has_images": None, "metric": "macro-f1", "tolerance_points": 1.0}]  # as the study was made


@pytest.mark.slow
def test_the_studys_own_metric_is_the_default_everywhere(tmp_path: Path, capsys: Captured) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=1, num_evaluations=1)
    text = (study / "study.json").read_text()
    (study / "study.json").write_text(text.replace('"metric": "accuracy"', '"metric": "balanced-accuracy"'))
    assert read_study_info(study).metric == "balanced-accuracy"
    assert cli.main(["leaderboard", str(study)]) == 0
    assert "val balanced accuracy" in capsys.readouterr().out
    assert read_study(study).recommend().metric == "balanced-accuracy"
    assert read_study(study).leaderboard(metric="accuracy")[0]["metric"] == "accuracy"


def test_a_wrong_metric_of_a_study_is_refused_before_anything_is_done() -> None:
    with pytest.raises(ValueError, match="--metric 'loss' is not known: choose one of accuracy, balanced-accuracy"):
        Options(metric="loss")


@pytest.mark.slow
def test_maps_are_shown_and_small_ones_named(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["networks", "resnet34+stn", "resnet34-imagenet", "--classes", "10", "--format", "json"])
    out, err = capsys.readouterr()
    assert code == 0
    assert [row["map_sides"] for row in json.loads(out)] == ["16 8 4 2", "16 8 4 2 1"]
    assert err.startswith("resnet34-imagenet: at 32 x 32 its maps shrink to 16, 8, 4, 2, 1; 5 convolutions see")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_of_several_one_that_cannot_run_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["networks", "lenet5", "resnet34", "--image-size", "24", "--format", "json"])
    rows = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [(row["network"], row["num_parameters"] is None) for row in rows] == [
        ("lenet5", True),
        ("lenet5", True),
        ("resnet34", False),
        ("resnet34", False),
    ]
    assert "cannot classify 24 x 24 images" in rows[0]["about"]


@pytest.mark.slow
def test_where_none_can_run_it_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "lenet5", "--image-size", "16"]) == 2
    assert "cannot classify 16 x 16 images" in capsys.readouterr().err


@pytest.mark.slow
def test_people_see_the_maps_in_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "lenet5", "--image-size", "24"]) == 2
    assert main(["networks", "resnet34-s1"]) == 0
    head, line, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["network", "parameters", "MACs", "maps"]
    assert "16 8 4  ResNet-34" in line


def test_a_network_of_ones_own_file_is_counted_and_not_advised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\n\ndef build(num_classes, image_size):\n"
        "    layers = nn.Conv2d(3, 4, 32, stride=32), nn.Conv2d(4, 4, 3, padding=1), nn.Flatten()\n"
        "    return nn.Sequential(*layers, nn.Linear(4, num_classes))\n"
    )
    assert main(["networks", f"{path}:build", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["map_sides"] == "1"
    assert err == ""
