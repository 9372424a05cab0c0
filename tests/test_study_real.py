"""Whole studies with real workers, end to end, on small pictures; what the fast tests fake is true here."""

from dataclasses import replace
from pathlib import Path

import pytest

from roadtest import Classifier, compare
from roadtest.protocol import PROTOCOLS
from roadtest.records import read_rows
from roadtest.study import resolve as options_module
from small_study import compare_small, own, prepare

pytestmark = pytest.mark.slow


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch, is_fake=False)


def test_networks_are_compared_from_pictures_to_page_and_nothing_is_repeated(images: Path) -> None:
    both, how = ["lenet5", "lenet5+stn"], {"stn": "off", "threads": 1, "epochs": 1}
    study, told = compare_small(images, networks=[*both, *own("raises", "nan", "killed")], **how)
    assert [run.record.label for run in study.runs()] == ["lenet5", "lenet5+stn"]
    reasons = {failure.network: failure.reason for failure in study.failures()}
    assert "no such layer" in reasons["raises.py:build"]
    assert "the loss is nan" in reasons["nan.py:build"]
    assert "SIGKILL" in reasons["killed.py:build"]
    assert told.of("planned")[0].text.startswith("5 runs, at most 1 epochs each, at least 1.")
    board = study.leaderboard()
    assert {(row["network"], row["has_stn"]) for row in board if row["val_accuracy_mean"] is not None} == {
        ("lenet5", False),
        ("lenet5", True),
    }
    page = (study.path / "report" / "index.html").read_text(encoding="utf-8")
    assert "lenet5" in page and "no such layer" in page
    assert {row["network"] for row in read_rows(study.path / "latency.csv")} == {"lenet5"}
    test_ids = study.runs()[0].predictions("test").image_ids_N
    paths = [row["path"] for row in read_rows(study.path / "split.csv")]
    assert all((images / paths[i]).is_file() for i in test_ids)
    assert Classifier.from_run(study.runs()[1].path).record.has_stn

    before = {path: path.stat().st_mtime_ns for path in study.path.glob("*/seed-*/*.*")}
    _, told = compare_small(images, networks=both, **how)
    assert told.of("started") == []
    assert {path: path.stat().st_mtime_ns for path in study.path.glob("*/seed-*/*.*")} == before


def test_a_network_without_a_rate_is_swept_and_then_trained_at_the_best(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = replace(PROTOCOLS["folder"], sweep_rates=(0.01, 0.05), sweep_seconds=0.5)
    monkeypatch.setitem(options_module.PROTOCOLS, "folder", quick)
    study, _ = compare_small(images, "good", "raises", lr=None, epochs=1, threads=1)
    rows = read_rows(study.path / "sweep.csv")
    assert [(row["network"], row["learning_rate"]) for row in rows] == [
        ("good.py:build", "0.01"),
        ("good.py:build", "0.05"),
    ]
    (chosen,) = [row for row in rows if row["is_chosen"] == "True"]
    assert float(chosen["val_loss"]) == min(float(row["val_loss"]) for row in rows)
    assert study.runs()[0].record.learning_rate == float(chosen["learning_rate"])
    assert [failure.network for failure in study.failures()] == own("raises")
    assert "no such layer" in study.failures()[0].reason


def test_drawn_signs_are_compared_without_any_data(images: Path) -> None:
    word = "signs:860,test=430"
    how = {"budget_seconds": 2.0, "patience": 0, "device": "cpu", "threads": 1}  # a fast machine's patience ends in 2 s
    study = compare(word, networks=["lenet5"], stn="off", out="drawn", **how)
    (run,) = study.runs()
    assert run.record.data_title == "drawn signs"
    assert run.record.test is not None
    assert run.record.test.num_seen == study.info.num_test == 430
    assert run.record.num_epochs > 0
    assert run.record.stop_reason == "budget"
    assert (study.path / "report" / "index.html").exists()
