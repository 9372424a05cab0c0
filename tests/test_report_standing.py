"""Who leads, or why nothing was judged; and a command that names no folder of this machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from exact_study import build_exact_study
from fake_study import build_fake_study
from roadtest.report.standing import describe_standing
from roadtest.summarise import read_results


def test_one_seed_is_not_judged_and_the_command_that_helps_stands_there_with_its_time(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=1, has_examples=False)
    standing = describe_standing(read_results(study))
    assert standing.leading == "Not judged: needs 3 seeds, 5 are better."
    assert standing.more.startswith("This command gives every network 5 seeds: 8 more runs, about ")
    assert standing.command.startswith("roadtest compare gtsrb --data-dir data --seeds 5 --out ")


def test_the_command_takes_the_folder_that_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=1, has_examples=False)
    monkeypatch.chdir(tmp_path)
    assert describe_standing(read_results(study)).command.endswith("--out s")
    (study / "study.toml").write_text('out = "runs/first"\n')
    assert describe_standing(read_results(study)).command.endswith("--out runs/first")
    (study / "study.toml").write_text("out = [broken\n")
    assert describe_standing(read_results(study)).command.endswith("--out s")


@pytest.mark.slow
def test_a_network_with_one_seed_is_said_to_be_unjudged_and_not_to_be_not_separated(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34", "vgg16+stn"], seeds=5, has_examples=False)
    results = read_results(study)
    first, second, best = results.variants
    alone = replace(second, planned=second.planned[:1], records=second.records[:1])
    leading = describe_standing(replace(results, variants=(first, alone, best))).leading
    assert leading == (
        "Leading on test: vgg16+stn, shown to be better than lenet5; with too few seeds to be judged against it: "
        "resnet34."
    )
    standing = describe_standing(replace(results, variants=(first, alone, best)))
    assert standing.more.startswith("This command gives every network 5 seeds: 4 more runs")
    assert "--seeds 5" in standing.command


@pytest.mark.slow
def test_the_leading_set_is_everyone_not_shown_to_be_worse(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34", "vgg16+stn"], seeds=5, has_examples=False)
    standing = describe_standing(read_results(study))
    assert standing.leading.startswith("Leading on test: ")
    assert "; not separated from it after correction for all 3 pairs: " in standing.leading
    assert "lenet5" not in standing.leading
    assert (
        standing.pairs
        == "On test, 2 of 3 pairs are separated after correction for all of them, on new signs of this kind."
    )
    assert standing.command == ""


def test_a_leader_far_ahead_leads_alone(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34+stn"], seeds=5, has_examples=False)
    standing = describe_standing(read_results(study))
    assert standing.leading == "Leading on test: resnet34+stn, shown to be better than every other network."
    assert standing.pairs == "On test, 1 of 1 pair is separated, on new signs of this kind."


def test_a_single_network_has_nobody_to_lead(tmp_path: Path) -> None:
    standing = describe_standing(read_results(build_exact_study(tmp_path / "s", {"lenet5": (1, 2, 3)})))
    assert standing.leading == standing.pairs == standing.command == ""
