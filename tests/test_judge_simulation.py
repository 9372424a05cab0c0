"""The judge's promises on a few hundred made-up studies; benchmarks/statistics holds the full table.

The seeds are fixed. Bounds are the promised ones, widened by three standard deviations of so few studies.
"""

import sys
from functools import cache
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from benchmarks.result_files import RESULTS
from benchmarks.statistics import judge_at_once, made_up_studies
from benchmarks.statistics import judge_simulation as simulation
from roadtest.analysis import stats as judge
from roadtest.analysis.metrics import (
    ACCURACY,
    BALANCED,
    MACRO_F1,
    METRICS,
    ClassCounts,
    count_classes,
    fold_sizes,
    score,
)
from roadtest.analysis.stats.variance import Floats
from test_analysis_stats_intervals import scores_of

NUM_STUDIES = 300


def _cell(
    units: str, accuracy: float, effect: str, num_seeds: int, family: str = made_up_studies.DIFFERENT
) -> made_up_studies.Cell:
    return made_up_studies.Cell(family=family, units=units, accuracy=accuracy, seed_effect=effect, num_seeds=num_seeds)


@cache
def _rows(cell: made_up_studies.Cell) -> dict[str, dict[str, float]]:
    """The rates of a cell by metric, in percent."""
    rows = simulation.simulate([cell], NUM_STUDIES)
    return {row["metric"]: {name: float(row[name]) for name in simulation.RATES if row[name]} for row in rows}


def _widened(percent: float) -> float:
    """Three standard deviations, in points, of a share seen in NUM_STUDIES studies."""
    return 300 * sqrt(percent / 100 * (1 - percent / 100) / NUM_STUDIES)


CELLS = [
    _cell("tracks of 30", 0.95, "large", 3),
    _cell("tracks of 30", 0.95, "typical", 5),
    _cell("tracks of 30", 0.995, "typical", 3),
    _cell("tracks of 30", 0.995, "large", 5),
    _cell("tracks of 30", 0.95, "typical", 3, made_up_studies.IDENTICAL),
    _cell("independent", 0.95, "typical", 3),
    _cell("validation folds", 0.95, "typical", 5),
    _cell("validation folds", 0.95, "typical", 5, made_up_studies.IDENTICAL),
]
NAMES = [f"{c.family}, {c.units}, {c.accuracy}, {c.seed_effect}, {c.num_seeds} seeds" for c in CELLS]
SIMULATED = [
    pytest.param(cell, id=name, marks=() if place == 1 else pytest.mark.slow)
    for place, (cell, name) in enumerate(zip(CELLS, NAMES, strict=True))
]
"""One cell in the fast suite; they take a second or two each."""


@pytest.mark.slow
@pytest.mark.parametrize("cell", SIMULATED)
def test_an_interval_holds_the_truth_as_often_as_promised(cell: made_up_studies.Cell) -> None:
    promised = 92.0 if cell.accuracy == 0.95 else 91.0
    for row in _rows(cell).values():
        # The six networks of a study share their images: they count as one study here, which is on the safe side.
        assert row["coverage"] >= promised - _widened(promised)
        assert row["pair_coverage"] >= 92.0 - _widened(92.0)


@pytest.mark.parametrize("cell", SIMULATED)
def test_equal_networks_are_seldom_called_different(cell: made_up_studies.Cell) -> None:
    promised = 7.0 if cell.num_seeds == 3 else 5.0
    for row in _rows(cell).values():
        assert row["false_positives"] <= promised + _widened(promised)


@pytest.mark.slow
def test_what_people_do_instead_fails_the_same_studies() -> None:
    row = _rows(_cell("tracks of 30", 0.95, "typical", 5))[ACCURACY]
    assert row["seeds_t_coverage"] < 80
    assert row["seeds_t_false_positives"] > 20
    assert row["mcnemar_false_positives"] > 80
    # In validation the luck of tracks is in the spread over seeds already; McNemar's test still counts images.
    assert _rows(_cell("validation folds", 0.95, "typical", 5))[ACCURACY]["mcnemar_false_positives"] > 50


def test_every_cell_is_judged_by_every_figure_that_has_an_interval() -> None:
    judged = {(c.family, c.units): simulation.metrics_of(c) for c in made_up_studies.CELLS}
    assert judged["equal", "validation folds"] == tuple(METRICS)
    assert judged["equal", "tracks of 30"] == (ACCURACY, BALANCED, MACRO_F1)
    assert judged["equal", "independent"] == judged["identical", "tracks of 30"] == (ACCURACY,)
    assert len(made_up_studies.CELLS) == 2 * 3 * 2 * 3 * 3


def test_made_up_networks_are_as_accurate_and_as_clustered_as_claimed() -> None:
    for family in made_up_studies.FAMILIES:
        cell = _cell("tracks of 30", 0.95, "typical", 3, family)
        share = made_up_studies.draw_wrong(cell, 150, np.random.default_rng(0)) / made_up_studies.TRACK_SIZE
        assert share.mean() == pytest.approx(0.05, abs=0.002)
        # Intraclass correlation from the variance of a track's mean: p (1 - p) (1 + 29 r) / 30.
        correlation = (share.var() / (0.05 * 0.95) * 30 - 1) / 29
        assert correlation == pytest.approx(0.41, abs=0.03)


def test_identical_networks_err_on_the_same_images_more_often_than_equal_ones() -> None:
    shared = {}
    for family in made_up_studies.FAMILIES:
        cell = _cell("tracks of 30", 0.95, "none", 3, family)
        wrong_BKU = made_up_studies.draw_wrong(cell, 20, np.random.default_rng(0)).mean(axis=2)
        shared[family] = np.corrcoef(wrong_BKU[:, 0].ravel(), wrong_BKU[:, 1].ravel())[0, 1]
    assert shared["identical"] > shared["equal"] + 0.1 > 0.5


def test_independent_images_are_as_many_as_gtsrb_has_and_know_nothing_of_each_other() -> None:
    cell = _cell("independent", 0.95, "none", 3)
    wrong_BKSU = made_up_studies.draw_wrong(cell, 4, np.random.default_rng(0))
    assert wrong_BKSU.shape == (4, 6, 3, 12_630)
    assert wrong_BKSU.mean() == pytest.approx(0.05, abs=0.002)
    assert abs(np.corrcoef(wrong_BKSU[..., 1:].ravel(), wrong_BKSU[..., :-1].ravel())[0, 1]) < 0.01


def test_the_images_of_a_track_are_drawn_from_their_binomial() -> None:
    table = made_up_studies._binomials().reshape(made_up_studies.LEVELS, 32)
    # the chance of a count: its own column's share, and what other columns leave to it
    for level in (0, 1500, 2048, 4095):
        own_C, alias_C = (table[level] >> 5) / 2**27, table[level] & 31
        chance_C = (own_C + np.bincount(alias_C, 1 - own_C, 32)) / 32
        p = ndtr((level - 2048) / 256)
        assert chance_C @ np.arange(32) == pytest.approx(30 * p, abs=1e-5)
        assert chance_C[0] == pytest.approx((1 - p) ** 30, abs=1e-6)


def test_a_cell_has_the_same_draws_alone_and_among_others() -> None:
    cells = [_cell("tracks of 30", 0.95, "large", 3), _cell("tracks of 30", 0.995, "none", 3)]
    assert simulation.simulate(cells, 4)[-3:] == simulation.simulate(cells[1:], 4)


def _images(wrong_SU: Floats) -> tuple[np.ndarray, np.ndarray]:
    """Which image each trained network got right, SN, and each image's track."""
    place_N = np.tile(np.arange(30), wrong_SU.shape[-1])
    return place_N >= np.repeat(wrong_SU, 30, axis=-1), np.repeat(np.arange(wrong_SU.shape[-1]), 30)


def test_the_simulation_judges_as_the_judge_does() -> None:
    cell = _cell("tracks of 30", 0.95, "large", 3)
    wrong_BKSU = made_up_studies.draw_wrong(cell, 1, np.random.default_rng(1))
    found = judge_at_once.judge_crossed(wrong_BKSU, 30)
    (correct_a_SN, clusters_N), (correct_b_SN, _) = (_images(wrong_BKSU[0, k]) for k in (0, 1))
    one = judge.accuracy_interval(correct_a_SN, clusters_N)
    pair = judge.difference_interval(correct_a_SN, correct_b_SN, clusters_N)
    # single precision there, double here
    assert (found.low_BK[0, 0], found.high_BK[0, 0]) == pytest.approx((one.low, one.high), rel=1e-4)
    assert _first_pair(found) == pytest.approx((pair.low, pair.high, pair.p_value), abs=1e-4)


@pytest.mark.parametrize("metric", [BALANCED, MACRO_F1])
def test_the_simulation_judges_classes_as_the_judge_does(metric: str) -> None:
    cell = _cell("tracks of 30", 0.95, "large", 3)
    wrong_BKSU = made_up_studies.draw_wrong(cell, 1, np.random.default_rng(3))
    by_seed_BKS, found = judge_at_once.judge_classes(wrong_BKSU, metric, is_by_fold=False)
    labels_N = np.repeat(np.arange(43), 30 * judge_at_once.share_tracks(421))
    networks = []
    for wrong_SU in wrong_BKSU[0, :2]:
        correct_SN, clusters_N = _images(wrong_SU)
        networks.append(scores_of(labels_N, (labels_N + ~correct_SN) % 43, clusters_N, metric))
    one, pair = judge.score_interval(networks[0]), judge.score_difference(*networks)
    assert by_seed_BKS[0, 0] == pytest.approx(networks[0].values_S)
    assert (found.low_BK[0, 0], found.high_BK[0, 0]) == pytest.approx((one.low, one.high), rel=1e-4)
    assert _first_pair(found) == pytest.approx((pair.low, pair.high, pair.p_value), abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_the_simulation_judges_folds_as_the_judge_does(metric: str) -> None:
    cell = _cell("validation folds", 0.95, "large", 3)
    wrong_BKSU = made_up_studies.draw_wrong(cell, 1, np.random.default_rng(2))
    if metric == ACCURACY:
        by_seed_BKS = 1 - wrong_BKSU.sum(axis=-1).astype(float) / 3900
        found = judge_at_once.judge_accuracy(wrong_BKSU, by_seed_BKS, 30, is_by_fold=True)
    else:
        _, found = judge_at_once.judge_classes(wrong_BKSU, metric, is_by_fold=True)
    folds = [[_fold(seed, wrong_U, metric) for seed, wrong_U in enumerate(wrong_SU)] for wrong_SU in wrong_BKSU[0, :2]]
    one, pair = judge.validation_interval(folds[0]), judge.validation_difference(folds[0], folds[1])
    assert (found.low_BK[0, 0], found.high_BK[0, 0]) == pytest.approx((one.low, one.high))
    assert _first_pair(found) == pytest.approx((pair.low, pair.high, pair.p_value))


def _first_pair(found: judge_at_once.Judged) -> tuple[float, float, float]:
    return found.pair_low_BP[0, 0], found.pair_high_BP[0, 0], found.p_BP[0, 0]


def _fold(seed: int, wrong_U: Floats, metric: str) -> judge.FoldResult:
    """A seed's result on its fold, from the answers image by image."""
    labels_N = np.repeat(np.arange(43), 30 * judge_at_once.share_tracks(130))
    correct_SN, clusters_N = _images(wrong_U[None])
    counts: ClassCounts = count_classes(labels_N, (labels_N + ~correct_SN[0]) % 43, 43)
    num_seen, num_clusters = fold_sizes(labels_N, clusters_N, metric)
    return judge.FoldResult(
        fold=seed, num_correct=num_seen * score(counts, metric), num_seen=num_seen, num_clusters=num_clusters
    )


def test_a_simulation_that_was_broken_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "CELLS", tuple(CELLS))
    monkeypatch.setattr(simulation, "KINDS", (("tracks of 30", 3), ("validation folds", 5)))
    monkeypatch.setattr(sys, "argv", ["judge_simulation.py", "--studies", "2", "--out", str(tmp_path)])
    cells = [cell for cell in CELLS if (cell.units, cell.num_seeds) == ("tracks of 30", 3)]
    done = [row | {"coverage": "12.34"} for row in simulation.simulate(cells, 2)]
    simulation.write_rows(done, tmp_path / "judge-simulation.part.csv")
    simulation.main()
    rows = simulation.read_rows(tmp_path / "judge-simulation.csv")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["judge-simulation.csv", "judge-simulation.md"]
    assert [row["coverage"] == "12.34" for row in rows] == [row["units"] == "tracks of 30" for row in rows]
    assert {row["units"] for row in rows} == {"tracks of 30", "validation folds"}


def _committed_rows() -> list[simulation.Row]:
    return simulation.read_rows(RESULTS / "judge-simulation.csv")


def test_the_committed_table_keeps_the_promises() -> None:
    rows = _committed_rows()
    assert len(rows) == sum(len(simulation.metrics_of(cell)) for cell in made_up_studies.CELLS)
    for row in rows:
        assert int(row["num_studies"]) >= 5000
        assert float(row["coverage"]) >= (92 if row["accuracy"] == "0.95" else 91), row
        assert float(row["false_positives"]) <= (7 if row["num_seeds"] == "3" else 5), row


def test_the_docs_repeat_the_committed_table() -> None:
    text = (RESULTS.parents[1] / "docs" / "statistics.md").read_text(encoding="utf-8")
    for line in simulation.worst_tables(_committed_rows()):
        assert line in text
