"""The judge's promises on a few hundred made-up studies; benchmarks/judge_simulation.py holds the full table.

The seeds are fixed. Bounds are the promised ones, widened by three standard deviations of so few studies.
"""

import csv
import sys
from collections.abc import Callable
from functools import cache
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from roadtest import judge

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import judge_simulation as simulation

NUM_STUDIES = 300


def _cell(units: str, accuracy: float, effect: str, num_seeds: int) -> simulation.Cell:
    return simulation.Cell(units=units, accuracy=accuracy, seed_effect=effect, num_seeds=num_seeds)


@cache
def _row(cell: simulation.Cell) -> dict[str, float]:
    return {name: value for name, value in simulation.simulate(cell, NUM_STUDIES).items() if isinstance(value, float)}


def _widened(percent: float) -> float:
    """Three standard deviations, in points, of a share seen in NUM_STUDIES studies."""
    return 300 * sqrt(percent / 100 * (1 - percent / 100) / NUM_STUDIES)


CELLS = [
    _cell("tracks of 30", 0.95, "large", 3),
    _cell("tracks of 30", 0.95, "typical", 5),
    _cell("tracks of 30", 0.995, "typical", 3),
    _cell("tracks of 30", 0.995, "large", 5),
    _cell("independent", 0.95, "typical", 3),
    _cell("validation folds", 0.95, "typical", 5),
]
EVERY_CELL = [
    pytest.param(
        cell,
        id=f"{cell.units}, {cell.accuracy}, {cell.seed_effect}, {cell.num_seeds} seeds",
        marks=[pytest.mark.slow] if place else [],
    )
    for place, cell in enumerate(CELLS)
]


@pytest.mark.parametrize("cell", EVERY_CELL)
def test_an_interval_holds_the_truth_as_often_as_promised(cell: simulation.Cell) -> None:
    promised = 92.0 if cell.accuracy == 0.95 else 91.0
    # The six networks of a study share their images: they count as one study here, which is on the safe side.
    assert _row(cell)["coverage"] >= promised - _widened(promised)
    assert _row(cell)["pair_coverage"] >= 92.0 - _widened(92.0)


@pytest.mark.parametrize("cell", EVERY_CELL)
def test_equal_networks_are_seldom_called_different(cell: simulation.Cell) -> None:
    promised = 7.0 if cell.num_seeds == 3 else 5.0
    assert _row(cell)["false_positives"] <= promised + _widened(promised)


@pytest.mark.slow
def test_what_people_do_instead_fails_the_same_studies() -> None:
    row = _row(_cell("tracks of 30", 0.95, "typical", 5))
    assert row["seeds_t_coverage"] < 80
    assert row["seeds_t_false_positives"] > 20
    assert row["mcnemar_false_positives"] > 80


def test_made_up_networks_are_as_accurate_and_as_clustered_as_claimed() -> None:
    cell = _cell("tracks of 30", 0.95, "typical", 3)
    wrong_BKSU = simulation.draw_wrong(cell, 150, np.random.default_rng(0))
    share = wrong_BKSU / simulation.TRACK_SIZE
    assert share.mean() == pytest.approx(0.05, abs=0.002)
    # Intraclass correlation from the variance of a track's mean: p (1 - p) (1 + 29 r) / 30.
    correlation = (share.var() / (0.05 * 0.95) * 30 - 1) / 29
    assert correlation == pytest.approx(0.41, abs=0.03)


def test_the_simulation_judges_as_the_judge_does() -> None:
    cell = _cell("tracks of 30", 0.95, "large", 3)
    wrong_BKSU = simulation.draw_wrong(cell, 1, np.random.default_rng(1))
    (low, high), (pair_low, pair_high, p_BP) = simulation._judge_crossed(wrong_BKSU, 30)
    place_N = np.tile(np.arange(30), 421)
    correct_KSN = place_N >= np.repeat(wrong_BKSU[0], 30, axis=-1)
    units_N = np.repeat(np.arange(421), 30)
    one = judge.accuracy_interval(correct_KSN[0], units_N)
    pair = judge.difference_interval(correct_KSN[0], correct_KSN[1], units_N)
    # single precision there, double here
    assert (low[0, 0], high[0, 0]) == pytest.approx((one.low, one.high), rel=1e-4)
    assert (pair_low[0, 0], pair_high[0, 0], p_BP[0, 0]) == pytest.approx((pair.low, pair.high, pair.p_value), abs=1e-4)


def test_the_simulation_judges_folds_as_the_judge_does() -> None:
    cell = _cell("validation folds", 0.95, "large", 3)
    wrong_BKSU = simulation.draw_wrong(cell, 1, np.random.default_rng(2))
    (low, high), (pair_low, pair_high, p_BP) = simulation._judge_folds(wrong_BKSU, 30)
    folds = [
        [
            judge.FoldResult(fold=s, num_correct=3900 - wrong, num_seen=3900, num_units=130)
            for s, wrong in enumerate(w_S)
        ]
        for w_S in wrong_BKSU[0].sum(axis=-1).tolist()
    ]
    one, pair = judge.validation_interval(folds[0]), judge.validation_difference(folds[0], folds[1])
    assert (low[0, 0], high[0, 0]) == pytest.approx((one.low, one.high))
    assert (pair_low[0, 0], pair_high[0, 0], p_BP[0, 0]) == pytest.approx((pair.low, pair.high, pair.p_value))


def _committed_rows() -> list[dict[str, str]]:
    path = Path(simulation.__file__).parent / "results" / "judge-simulation.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_the_committed_table_keeps_the_promises() -> None:
    rows = _committed_rows()
    assert len(rows) == len(simulation.CELLS)
    for row in rows:
        assert int(row["num_studies"]) >= 5000
        assert float(row["coverage"]) >= (92 if row["accuracy"] == "0.95" else 91), row
        assert float(row["false_positives"]) <= (7 if row["num_seeds"] == "3" else 5), row


def _worst(rows: list[dict[str, str]], name: str, pick: Callable[[list[float]], float]) -> str:
    values = [float(row[name]) for row in rows if row[name]]
    return f"{pick(values):.1f}" if values else ""


def test_the_docs_repeat_the_committed_table() -> None:
    rows, folder = _committed_rows(), Path(simulation.__file__).parents[1]
    text = (folder / "docs" / "statistics.md").read_text(encoding="utf-8")
    for units, accuracy, seeds in {(row["units"], row["accuracy"], row["num_seeds"]) for row in rows}:
        same = [row for row in rows if (row["units"], row["accuracy"], row["num_seeds"]) == (units, accuracy, seeds)]
        low = [_worst(same, name, min) for name in ("coverage", "pair_coverage", "seeds_t_coverage")]
        high = [_worst(same, f"{name}false_positives", max) for name in ("", "seeds_t_", "mcnemar_")]
        cells = [units, f"{100 * float(accuracy):g} %", seeds, low[0], low[1], high[0], low[2], high[1], high[2]]
        assert f"| {' | '.join(cells)} |" in text
