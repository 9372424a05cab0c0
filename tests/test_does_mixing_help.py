"""Two made-up studies of the same images, with gains that are known to the image; and what may not be compared."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exact_study import build_exact_study, change_record, set_wrong

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import does_mixing_help

ALONE = {"lenet5+stn": [30] * 5, "resnet34": [20] * 5}
MIXED = {"lenet5+stn": [28, 24, 20, 16, 12], "resnet34": [21, 19, 21, 19, 20]}
"""Wrong images of 1,000 in each fold: gains of 2, 6, 10, 14 and 18, and of -1, 1, -1, 1 and 0."""
REAL = "d" * 64


def change_info(study: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = study / "study.json"
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))


def mix(study: Path) -> None:
    """Let a study look as if drawn signs had been mixed in: a part of its own behind all others."""

    def note(plain: dict[str, Any]) -> None:
        plain["protocol"]["drawn_fraction"] = 0.3
        plain["data_fingerprint"], plain["test_fingerprint"] = "m" * 64, REAL

    change_info(study, note)
    with (study / "split.csv").open("a", newline="") as file:
        file.writelines(f"drawn/{number}.png,{number % 2},drawn/a,drawn,-1\n" for number in range(10))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    for name, wrong in (("alone", ALONE), ("mixed", MIXED)):
        study = build_exact_study(folder / name, wrong)
        for label in wrong:
            for seed in range(5):
                set_wrong(study / label / f"seed-{seed}", "test", 200 if name == "alone" else 100)
    mix(folder / "mixed")
    return folder


@pytest.fixture
def studies(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "studies"))


def judged(studies: Path, *words: str) -> dict[str, Any]:
    out = studies / "out"
    assert does_mixing_help.main([str(studies / "alone"), str(studies / "mixed"), "--out", str(out), *words]) == 0
    found: dict[str, Any] = json.loads((out / "does-mixing-help.json").read_text())
    return found


@pytest.mark.slow
def test_each_network_is_judged_in_validation_by_pairs_of_folds_and_on_test(
    studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = judged(studies)
    rows = {(row["network"], row["part"]): row for row in found["rows"]}
    val = rows["lenet5+stn", "val"]
    # mean 10 of 1,000; deviation sqrt(40) over five folds, so an error of sqrt(8), and t is 2.7764 with 4 degrees
    half = 2.7764451 * 8**0.5 / 1000
    assert (val["alone_accuracy"], val["mixed_accuracy"]) == pytest.approx((0.97, 0.98))
    assert (val["gain"], val["gain_low"], val["gain_high"]) == pytest.approx((0.01, 0.01 - half, 0.01 + half))
    assert val["p_adjusted"] == pytest.approx(2 * val["p_value"]) and val["verdict"] == "mixing helps"
    assert (rows["resnet34", "val"]["gain"], rows["resnet34", "val"]["verdict"]) == (pytest.approx(0), "not separated")
    assert rows["resnet34", "test"]["gain"] == pytest.approx(0.01)  # 100 of 10,000
    assert [val[name] for name in ("num_seeds", "num_units", "unit_name")] == [5, 5, "folds"]
    assert rows["resnet34", "test"]["unit_name"] == "tracks" and found["drawn_fraction"] == 0.3
    text = (studies / "out" / "does-mixing-help.md").read_text()
    assert text == capsys.readouterr().out
    assert "| resnet34 | test | 5 | " in text and "- resnet34: mixing helps; +1.00 points (" in text


@pytest.mark.slow
def test_without_test_answers_in_both_validation_answers_alone(studies: Path) -> None:
    for seed in range(5):
        (studies / "mixed" / "lenet5+stn" / f"seed-{seed}" / "test.npz").unlink()
    found = [(row["network"], row["part"]) for row in judged(studies)["rows"]]
    assert found == [("lenet5+stn", "val"), ("resnet34", "val"), ("resnet34", "test")]
    text = (studies / "out" / "does-mixing-help.md").read_text()
    assert "- lenet5+stn: mixing helps; +1.00 points (+0.21 to +1.79), on val, " in text


@pytest.mark.slow
def test_a_network_of_one_study_is_left_out_and_said(studies: Path) -> None:
    only_one = [{"network": "lenet5", "has_stn": False, "seed": 0}]
    change_info(studies / "alone", lambda plain: plain["runs"].extend(only_one))
    assert judged(studies)["left_out"] == ["lenet5 is in one study only"]


def other_protocol(studies: Path) -> None:
    change_info(studies / "mixed", lambda plain: plain["protocol"].update(max_epochs=20))


def other_images(studies: Path) -> None:
    change_info(studies / "mixed", lambda plain: plain.update(test_fingerprint="e" * 64))


def other_folds(studies: Path) -> None:
    path = studies / "mixed" / "split.csv"
    path.write_text(path.read_text().replace(",train,0\n", ",train,1\n", 1))


def other_steps(studies: Path) -> None:
    run_dir = studies / "mixed" / "resnet34" / "seed-3"
    cost = json.loads((run_dir / "record.json").read_text())["cost"]
    change_record(run_dir, "cost", {**cost, "num_steps": cost["num_steps"] + 1})


def other_seeds(studies: Path) -> None:
    (studies / "mixed" / "resnet34" / "seed-4" / "record.json").unlink()


def nothing_mixed(studies: Path) -> None:
    change_info(studies / "mixed", lambda plain: plain["protocol"].update(drawn_fraction=0.0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (other_protocol, "in more than the mix: max_epochs is 100 there and 20 here; repeat one"),
        (other_images, "has other real images than"),
        (other_folds, "deals the images over other folds"),
        (other_steps, "resnet34, seed 3 took "),
        (other_seeds, "resnet34 has the seeds [0, 1, 2, 3, 4] alone and [0, 1, 2, 3] mixed"),
        (nothing_mixed, "the first must have none and the second some"),
    ],
)
def test_studies_that_differ_in_more_than_the_mix_are_refused_in_one_line(
    studies: Path, spoil: Callable[[Path], None], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(studies)
    with pytest.raises(SystemExit) as ended:
        does_mixing_help.main([str(studies / "alone"), str(studies / "mixed"), "--out", str(studies / "out")])
    assert ended.value.code == 2 and words in capsys.readouterr().err.splitlines()[-1]
    assert not (studies / "out").exists()
