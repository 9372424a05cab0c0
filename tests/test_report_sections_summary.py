"""The first screen: which network, by how much, at what cost, how sure, what would change it; never too much.

Who leads, or why nothing was judged; and a command that names no folder of this machine."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exact_study import build_exact_study
from fake_study import SIX, build_fake_study
from roadtest.analysis import Results, leading_sentence, read_results
from roadtest.report.blocks import Command, Context
from roadtest.report.sections.leaderboard import more_seeds_block
from roadtest.report.sections.pairs import pairs_sentence
from roadtest.report.sections.summary import Conclusion, conclude

Build = Callable[..., Conclusion]


def conclusion(study: Path) -> Conclusion:
    return conclude(Context(results=read_results(study)))


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a fake study of some networks and say what it concludes."""

    def build(*networks: str, **options: Any) -> Conclusion:
        folder = tmp_path_factory.mktemp("studies") / "study"
        return conclusion(build_fake_study(folder, networks=networks, has_examples=False, **options))

    return build


@pytest.fixture(scope="module")
def one_seed(of: Build) -> str:
    return " ".join(of("lenet5", "resnet34", seeds=1).sentences)


def test_the_sentences_stand_in_the_order_a_reader_asks(one_seed: str) -> None:
    places = [
        one_seed.index(words)
        for words in ("in validation", "of the 1,290 test images", "It costs", "observed, not judged", "may change it")
    ]
    assert places == sorted(places)


def test_one_seed_gives_an_observation_and_no_verdict(of: Build, one_seed: str) -> None:
    assert of("lenet5", "resnet34", seeds=1).headline == "One seed points to resnet34"
    assert "one seed cannot separate a network from" in one_seed
    assert "better" not in one_seed and "separated" not in one_seed
    # four more seeds of each
    assert "8 more runs, about" in one_seed and "would let it be judged" in one_seed


def test_two_seeds_are_said_as_such(of: Build) -> None:
    found = of("lenet5", "resnet34", seeds=2)
    assert found.headline == "Two seeds point to resnet34"
    assert "two seeds cannot separate" in " ".join(found.sentences)


def test_costs_stand_beside_those_of_the_other_network(one_seed: str) -> None:
    # 21,299,051 parameters against 65,219; 290 M MACs against 0.65 M
    assert "It costs 21.3 M parameters, 290.0 M MACs" in one_seed
    assert "that is 327 times the parameters, 446 times the MACs" in one_seed
    assert "of lenet5." in one_seed


def test_three_seeds_separate_what_lies_far_apart(of: Build) -> None:
    found = of("lenet5", "resnet34+stn", seeds=3)
    text = " ".join(found.sentences)
    assert found.headline == "Use resnet34+stn"
    assert "resnet34+stn is better on new signs of this kind (129 tracks, 3 seeds, design effect" in text


@pytest.mark.slow
def test_a_verdict_among_many_says_that_it_is_after_correction(of: Build) -> None:
    text = " ".join(of("lenet5", "vgg16", "resnet34+stn", seeds=3).sentences)
    assert "after correction for all 3 pairs" in text


def test_what_cannot_be_told_apart_is_not_separated_and_never_equal(of: Build) -> None:
    text = " ".join(of("resnet34", "vgg16+stn", seeds=3).sentences)
    assert "the two are not separated" in text
    assert "is better on" not in text and "equal" not in text


def test_without_a_test_set_the_figure_says_why_to_doubt_it(of: Build) -> None:
    text = " ".join(of("lenet5", "vgg16", seeds=3, has_test=False).sentences)
    assert "validation images correctly" in text and "optimistic" in text
    assert "test images" not in text


@pytest.mark.slow
def test_the_cheapest_close_enough_network_is_recommended_and_says_what_would_change_it(tmp_path: Path) -> None:
    # five folds of 1000: lenet5 gets one or two more wrong than resnet34, and costs a fraction
    wrong = {"resnet34": (5, 6, 5, 6, 5), "lenet5": (6, 7, 6, 7, 7)}
    found = conclusion(build_exact_study(tmp_path / "s", wrong))
    text = " ".join(found.sentences)
    assert found.headline == "Use lenet5"
    assert "lenet5 is the cheapest network by latency that validation shows to be at most 0.5 points less" in text
    assert "resnet34 costs 327 times the parameters" in text
    # the folds differ by 0.12 points on average; the lower bound lies at -0.26, a spread of single images at least
    assert text.endswith("A tolerance under 0.26 points would change it.")


@pytest.mark.slow
def test_where_the_best_is_also_the_cheapest_no_tolerance_changes_it(tmp_path: Path) -> None:
    wrong = {"resnet34": (50, 60, 50, 60, 50), "lenet5": (6, 7, 6, 7, 7)}
    text = " ".join(conclusion(build_exact_study(tmp_path / "s", wrong)).sentences)
    assert text.startswith("lenet5 is the most accurate network in validation, and the cheapest by latency.")
    assert text.endswith("No other tolerance would change it.")


def test_another_metric_speaks_in_its_own_words(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34"], seeds=3, has_examples=False)
    text = " ".join(conclude(Context(results=read_results(study, metric="macro-f1"))).sentences)
    assert "resnet34 is the best network in validation by macro-F1" in text
    assert "% macro-F1 on the " in text and "accurate" not in text and "correctly" not in text


def test_undertrained_networks_win_nothing(of: Build) -> None:
    found = of("lenet5", undertrained="lenet5", seeds=1)
    assert found.headline == "No network was trained long enough to be compared"
    assert "less than two passes" in found.sentences[0]


def test_a_study_that_has_not_begun_says_so(of: Build) -> None:
    found = of(*SIX, unfinished=SIX, seeds=3, has_latency=False)
    assert found.headline == "No run has finished yet"
    assert "0 of 18 planned runs" in found.sentences[0]


def test_a_network_alone_has_not_won(of: Build) -> None:
    alone = of("lenet5", seeds=1)
    assert alone.headline == "lenet5 is the network that was tested"
    assert alone.sentences[0].startswith("lenet5 classifies ")
    left = of("lenet5", "vgg16", undertrained="vgg16", seeds=1)
    assert left.headline == "Only lenet5 got far enough to be compared"


def more_seeds(results: Results) -> Command:
    block = more_seeds_block(Context(results=results))
    assert block is not None
    return block


def test_one_seed_is_not_judged_and_the_command_that_helps_stands_there_with_its_time(tmp_path: Path) -> None:
    results = read_results(build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=1, has_examples=False))
    assert leading_sentence(results) == "Not judged: needs 3 seeds, 5 are better."
    assert more_seeds(results).text.startswith("This command gives every network 5 seeds: 8 more runs, about ")
    assert more_seeds(results).command.startswith("roadtest compare gtsrb --data-dir data --seeds 5 --out ")


def test_the_command_takes_the_folder_that_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=1, has_examples=False)
    monkeypatch.chdir(tmp_path)
    for config, folder in (("", "s"), ('out = "runs/first"\n', "runs/first"), ("out = [broken\n", "s")):
        (study / "study.toml").write_text(config)
        assert more_seeds(read_results(study)).command.endswith(f"--out {folder}")


@pytest.mark.slow
def test_a_network_with_one_seed_is_said_to_be_unjudged_and_not_to_be_not_separated(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34", "vgg16+stn"], seeds=5, has_examples=False)
    results = read_results(study)
    first, second, best = results.variants
    alone = replace(second, planned=second.planned[:1], records=second.records[:1])
    fewer = replace(results, variants=(first, alone, best))
    assert leading_sentence(fewer).endswith("with too few seeds to be judged against it: resnet34.")
    assert more_seeds(fewer).text.startswith("This command gives every network 5 seeds: 4 more runs")
    assert "--seeds 5" in more_seeds(fewer).command


@pytest.mark.slow
def test_pairs_are_counted_after_correction_where_there_are_several(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34", "vgg16+stn"], seeds=5, has_examples=False)
    results = read_results(study)
    assert pairs_sentence(results).startswith("On test, 2 of 3 pairs are separated after correction for all of them, ")
    assert more_seeds_block(Context(results=results)) is None


def test_a_single_pair_needs_no_correction(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34+stn"], seeds=5, has_examples=False)
    assert pairs_sentence(read_results(study)).startswith("On test, 1 of 1 pair is separated, ")


def test_a_single_network_needs_no_more_seeds(tmp_path: Path) -> None:
    results = read_results(build_exact_study(tmp_path / "s", {"lenet5": (1, 2, 3)}))
    assert more_seeds_block(Context(results=results)) is None
