"""What pretraining brings is a paired difference between two starts of one network, with its interval."""

from dataclasses import replace
from pathlib import Path

import pytest

import fake_study
from fake_study import build_fake_study
from roadtest.analysis import estimate_difference, pretraining_rows, read_results
from roadtest.records import RunRecord, read_record, write_record
from roadtest.report.sections.factors import pretraining_table

NOTHING, PRETRAINED = "timm:resnet18", "timm:resnet18+pretrained"


def change_records(study_dir: Path, word: str, **values: object) -> None:
    for path in study_dir.glob("*/seed-*/record.json"):
        record: RunRecord = read_record(path.parent)
        if record.network.endswith(word):
            path.unlink()
            write_record(path.parent, replace(record, **values))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def two_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that the fake study does not know by itself; the pretrained one errs less."""
    for name, skill in ((NOTHING, 1.9), (PRETRAINED, 2.6)):
        monkeypatch.setitem(fake_study.SKILLS, name, skill)
        for table in (fake_study.NUM_PARAMETERS, fake_study.MACS, fake_study.LATENCY_MS):
            monkeypatch.setitem(table, name, table["resnet34"])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = build_fake_study(tmp_path / "study", networks=[NOTHING, "lenet5", "lenet5+stn", PRETRAINED])
    change_records(folder, "+pretrained", learning_rate=0.005, pretrained_weights="timm/x model.safetensors sha256:1")
    return folder


@pytest.mark.slow
def test_the_gain_is_the_paired_difference_of_the_two_starts(study: Path) -> None:
    (row,) = pretraining_rows(study)
    results = read_results(study)
    pretrained, nothing = results.variant(PRETRAINED, False), results.variant(NOTHING, False)
    assert pretrained is not None and nothing is not None
    for part in ("val", "test"):
        gain = estimate_difference(results, pretrained, nothing, part)
        assert gain is not None
        assert [row[f"{part}_gain{end}"] for end in ("", "_low", "_high")] == [gain.value, gain.low, gain.high]
    assert (row["network"], row["has_stn"], row["num_runs"], row["status"]) == (NOTHING, False, 3, "compared")


@pytest.mark.slow
def test_a_row_names_both_rates_and_the_weights(study: Path) -> None:
    (row,) = pretraining_rows(study)
    assert row["learning_rate_pretrained"] == 0.005 != row["learning_rate_from_nothing"]
    assert row["pretrained_weights"] == "timm/x model.safetensors sha256:1"
    assert row["num_epochs_from_nothing"] == row["num_epochs_pretrained"] == 12


def test_a_start_that_is_not_there_yet_is_said(tmp_path: Path) -> None:
    folder = build_fake_study(tmp_path / "study", networks=[NOTHING, PRETRAINED], unfinished=[PRETRAINED])
    (row,) = pretraining_rows(folder)
    assert (row["status"], row["val_gain"], row["learning_rate_pretrained"]) == ("waiting", None, None)
    assert pretraining_table(read_results(folder)) is None


def test_only_pairs_make_rows(tmp_path: Path) -> None:
    folder = build_fake_study(tmp_path / "study", networks=["lenet5", f"{PRETRAINED}+stn", NOTHING])
    assert pretraining_rows(folder) == []
    assert pretraining_table(read_results(folder)) is None


@pytest.mark.slow
def test_people_read_both_starts_in_one_line(study: Path) -> None:
    table = pretraining_table(read_results(study))
    assert table is not None
    (row,) = table.rows
    assert row[0].text == NOTHING and row[0].below.startswith("timm/x")
    assert row[4].text.endswith(" → 0.005")
