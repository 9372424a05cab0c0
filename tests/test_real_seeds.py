"""One network against itself, on a made-up study of 20 seeds: the groups are disjoint and seldom called different."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.statistics import real_seeds
from fake_study import build_fake_study
from roadtest.analysis import read_results
from roadtest.analysis.comparisons import difference_between


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "twenty"
    return build_fake_study(
        folder,
        networks=["lenet5"],
        seeds=20,
        class_names=["left", "right"],
        tracks_per_class=60,
        frames_per_track=5,
        num_evaluations=1,
        has_latency=False,
        has_examples=False,
    )


def gathered(study: Path, part: str) -> real_seeds.Answers:
    results = read_results(study)
    answers = real_seeds.gather(results, results.variants[0], part)
    assert answers is not None
    return answers


def test_groups_are_disjoint_and_in_validation_share_their_folds(study: Path) -> None:
    rng = np.random.default_rng(0)
    test, val = gathered(study, "test"), gathered(study, "val")
    assert test.is_crossed and not val.is_crossed
    for _ in range(50):
        a, b = real_seeds.draw_any(test, rng)
        assert len({*a, *b}) == 10
        a, b = real_seeds.draw_by_fold(val, rng)
        assert len({*a, *b}) == 10
        assert val.folds[a].tolist() == val.folds[b].tolist() and len(set(val.folds[a])) == 5


def test_two_groups_are_judged_as_two_networks_of_a_study_are(study: Path) -> None:
    # a network against itself over common seeds is what the tables would judge; here the two groups are one
    results = read_results(study)
    (variant,) = results.variants
    everything = np.arange(20)
    for part, judged in (("test", real_seeds.judge_crossed), ("val", real_seeds.judge_folds)):
        expected = difference_between(results, variant, variant, part)
        assert judged(gathered(study, part), everything, everything) == expected


def test_equal_groups_are_seldom_called_different_and_the_table_says_so(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert real_seeds.main([str(study), "--draws", "60", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert (tmp_path / "real-seeds.md").read_text() == out
    assert "| lenet5 | val | folds | 20 | 60 | " in out and "| lenet5 | test | tracks | 20 | 60 | " in out
    assert "at most 5 % are called different; kept." in out
    assert (
        "lenet5 val: a test that errs in exactly 5 % of studies shows between " in out and "lenet5 test: a" not in out
    )


def test_a_judge_that_calls_luck_a_difference_would_be_caught(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.analysis.stats.comparisons.CONFIDENCE", 0.5)
    rows, _ = real_seeds.measure(study, 60)
    assert max(row.percent_different for row in rows) > 20
    assert "more than that: " in real_seeds.render(study, rows, [])
    assert real_seeds.main([str(study), "--draws", "60", "--out", str(tmp_path)]) == 1


def test_an_exact_test_shows_about_five_percent_in_one_study_and_seldom_just_that() -> None:
    low, high = real_seeds.luck_percent(np.arange(30) % 10, np.random.default_rng(0))
    assert 2 < low < 4 and 6 < high < 8


def test_too_few_seeds_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=2, num_evaluations=1, reads_test=False)
    assert real_seeds.main([str(few), "--out", str(tmp_path / "out")]) == 1
    out = capsys.readouterr().out
    assert "Left out: lenet5 val: has 2 seeds: 10 are needed; lenet5 test: was not read by all seeds." in out
    assert not (tmp_path / "out").exists()
