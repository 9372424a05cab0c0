"""Two made-up studies of the same images in two precisions, with differences known to the image."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.accuracy import does_precision_matter
from exact_study import build_exact_study, change_record, set_wrong

FLOAT32 = {"lenet5+stn": [30] * 5, "resnet34": [20] * 5}
BFLOAT16 = {"lenet5+stn": [31, 29, 31, 28, 31], "resnet34": [12, 28, 20, 20, 20]}
"""Wrong images of 1,000 in each fold: differences of -1, 1, -1, 2 and -1, and of 8, -8, 0, 0 and 0."""


def change_info(study: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = study / "study.json"
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    for precision, wrong in (("float32", FLOAT32), ("bfloat16", BFLOAT16)):
        study = build_exact_study(folder / precision, wrong)
        for label in wrong:
            for seed in range(5):
                set_wrong(study / label / f"seed-{seed}", "test", 200 if precision == "float32" else 210)
                change_record(study / label / f"seed-{seed}", "precision", precision)
    return folder


@pytest.fixture
def studies(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "studies"))


def words(studies: Path) -> list[str]:
    return [str(studies / "float32"), str(studies / "bfloat16"), "--out", str(studies / "out")]


def judged(studies: Path) -> dict[str, Any]:
    assert does_precision_matter.main(words(studies)) == 0
    found: dict[str, Any] = json.loads((studies / "out" / "does-precision-matter.json").read_text())
    return found


@pytest.mark.slow
def test_equivalent_is_what_lies_within_the_margin_with_its_whole_interval(
    studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = judged(studies)
    rows = {(row["network"], row["part"]): row for row in found["rows"]}
    val = rows["lenet5+stn", "val"]
    # mean 0 of 1,000; deviation sqrt(8 / 4) over five folds, an error of sqrt(0.4), and t is 2.1318 at 90 %
    half = 2.1318468 * 0.4**0.5 / 1000
    assert (val["gain"], val["gain_low"], val["gain_high"]) == pytest.approx((0.0, -half, half), abs=1e-9)
    assert half < does_precision_matter.MARGIN and val["verdict"] == "equivalent"
    # deviation sqrt(128 / 4), an error of sqrt(6.4): 5.4 of 1,000, more than the 3 of the margin
    other = rows["resnet34", "val"]
    assert other["gain_high"] == pytest.approx(2.1318468 * 6.4**0.5 / 1000) and other["verdict"] == "not shown"
    # 10 of 10,000 more, in ten tracks: an error of about sqrt(10) of 10,000
    test = rows["resnet34", "test"]
    assert test["gain"] == pytest.approx(-0.001) and -0.003 < test["gain_low"] < test["gain_high"] < 0
    assert test["verdict"] == "equivalent"
    text = (studies / "out" / "does-precision-matter.md").read_text()
    assert text == capsys.readouterr().out
    assert "- lenet5+stn: equivalent; -0.10 points (" in text and ", on test." in text


@pytest.mark.slow
def test_without_test_answers_validation_answers_alone(studies: Path) -> None:
    for label in FLOAT32:
        for seed in range(5):
            (studies / "bfloat16" / label / f"seed-{seed}" / "test.npz").unlink()
    assert [(row["network"], row["part"]) for row in judged(studies)["rows"]] == [
        ("lenet5+stn", "val"),
        ("resnet34", "val"),
    ]
    text = (studies / "out" / "does-precision-matter.md").read_text()
    assert "- resnet34: not shown; +0.00 points (-0.54 to +0.54), the margin is 0.3 points, on val." in text


@pytest.mark.slow
def test_two_seeds_show_nothing(studies: Path) -> None:
    for precision in ("float32", "bfloat16"):
        for seed in (2, 3, 4):
            (studies / precision / "lenet5+stn" / f"seed-{seed}" / "record.json").unlink()
    verdicts = [row["verdict"] for row in judged(studies)["rows"] if row["network"] == "lenet5+stn"]
    assert verdicts and set(verdicts) == {"not shown"}


@pytest.mark.slow
def test_a_network_of_one_study_is_left_out_and_said(studies: Path) -> None:
    only_one = [{"network": "lenet5", "has_stn": False, "seed": 0}]
    change_info(studies / "float32", lambda plain: plain["runs"].extend(only_one))
    assert judged(studies)["left_out"] == ["lenet5 is in one study only"]


def other_protocol(studies: Path) -> None:
    change_info(studies / "bfloat16", lambda plain: plain["protocol"].update(max_epochs=20))


def a_budget(studies: Path) -> None:
    for precision in ("float32", "bfloat16"):
        change_info(studies / precision, lambda plain: plain["protocol"].update(budget_seconds=60.0))


def other_images(studies: Path) -> None:
    change_info(studies / "bfloat16", lambda plain: plain.update(data_fingerprint="e" * 64))


def other_folds(studies: Path) -> None:
    path = studies / "bfloat16" / "split.csv"
    path.write_text(path.read_text().replace(",train,0\n", ",train,1\n", 1))


def other_seeds(studies: Path) -> None:
    (studies / "bfloat16" / "resnet34" / "seed-4" / "record.json").unlink()


def other_rate(studies: Path) -> None:
    change_record(studies / "bfloat16" / "resnet34" / "seed-3", "learning_rate", 0.02)


def mixed_precisions(studies: Path) -> None:
    change_record(studies / "bfloat16" / "resnet34" / "seed-3", "precision", "float32")


def wrong_order(studies: Path) -> None:
    (studies / "float32").rename(studies / "x")
    (studies / "bfloat16").rename(studies / "float32")
    (studies / "x").rename(studies / "bfloat16")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_protocol, "in more than precision: max_epochs is 100 there and 20 here; repeat one"),
        (a_budget, "was bounded by a budget of 60 s"),
        (other_images, "has other images than"),
        (other_folds, "deals the images over other folds"),
        (other_seeds, "resnet34 has the seeds [0, 1, 2, 3, 4] in float32 and [0, 1, 2, 3] in bfloat16"),
        (other_rate, "resnet34, seed 3 has the learning_rate 0.05 in float32 and 0.02 in bfloat16"),
        (mixed_precisions, "has runs in float32: all must be bfloat16"),
        (wrong_order, "has runs in bfloat16: all must be float32; name the study in float32 first"),
    ],
)
def test_studies_that_differ_in_more_than_precision_are_refused_in_one_line(
    studies: Path, spoil: Callable[[Path], None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(studies)
    with pytest.raises(SystemExit) as ended:
        does_precision_matter.main(words(studies))
    assert ended.value.code == 2 and said in capsys.readouterr().err.splitlines()[-1]
    assert not (studies / "out").exists()
