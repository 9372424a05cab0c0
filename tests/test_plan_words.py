"""A plan's sentences: what is said, and nothing that the numbers do not hold."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roadtest.plan import Plan
from roadtest.plan_words import HALF_WIDTHS, plan_sentences, seeds_sentence
from roadtest.protocol import GTSRB_V1, Protocol
from roadtest.study.options import Options

ROW: dict[str, Any] = {
    "network": "lenet5",
    "has_stn": False,
    "num_runs": 3,
    "num_finished": 0,
    "num_timed_steps": 30,
    "epoch_seconds": 10.0,
    "num_epochs_low": 15.0,
    "num_epochs_high": 100.0,
    "sweep_seconds": None,
    "is_undertrained": False,
    "is_busy": False,
    "reason": None,
}
PLAN = Plan(
    study_dir=Path("s"),
    num_runs=3,
    num_finished=0,
    rows=(ROW,),
    seconds_low=3000.0,
    seconds=3600.0,
    seconds_high=4500.0,
    memory_bytes=2 * 10**9,
    free_memory_bytes=16 * 10**9,
    disk_bytes=10**9,
    free_disk_bytes=10**11,
    sentences=(),
)


def words(
    plan: Plan = PLAN,
    protocol: Protocol = GTSRB_V1,
    is_open: bool = False,
    seen: tuple[float, ...] = (),
    **options: Any,
) -> str:
    chosen = Options(**{"seeds": 3, **options})
    return "\n".join(plan_sentences(plan, protocol, chosen, is_open=is_open, seen_epochs=seen, has_folds=True))


def with_row(**values: Any) -> Plan:
    return replace(PLAN, rows=({**ROW, **values},))


def test_the_time_comes_first_with_its_bounds() -> None:
    assert words().startswith("3 runs: about 1 h 00 min (50 min to 1 h 15 min), with evaluations and latencies.\n")
    assert words(replace(PLAN, num_finished=1)).startswith("3 runs, 1 of them finished: about")
    assert words(replace(PLAN, seconds=None)).startswith("3 runs: between 50 min and 1 h 15 min,")


def test_the_bounds_have_reasons() -> None:
    assert "the fastest and the slowest tenth of 30 timed steps." in words()
    two = replace(PLAN, rows=(ROW, {**ROW, "num_timed_steps": 8}))
    assert "tenth of 8 to 30 timed steps" in words(two)
    assert "early stopping (patience 8), which may end a run anywhere from 15 to 100 epochs." in words(is_open=True)
    assert "early stopping as in 2 runs that finished, after 20 to 31 epochs." in words(seen=(20.4, 31.0))


def test_what_is_in_the_time_besides_runs_is_said() -> None:
    assert "5 learning rates for 1 network, 60 s each" in words(with_row(sweep_seconds=310.0))
    assert "annealed copies, up to 30 % of the training time" in words(anneal=True)
    assert "2 at once get in each other's way" in words(jobs=2)
    assert "Other programs used the processor while lenet5 ran" in words(with_row(is_busy=True))
    assert not re.search("learning rates|annealed|at once|Other programs", words())


def test_a_budget_too_short_for_two_epochs_is_told_with_one_that_is_enough() -> None:
    plan = with_row(is_undertrained=True, num_epochs_high=1.5)
    text = words(plan, replace(GTSRB_V1, budget_seconds=15.0))
    # two epochs of 10 s, and a tenth more for what varies
    assert "lenet5 would see 1.5 epochs in 15 s: too little to compare; --budget 22s gives it two." in text
    assert "give more --epochs" in words(plan, replace(GTSRB_V1, max_epochs=1))


def test_short_memory_and_disk_are_told_with_a_way_out() -> None:
    assert "Memory: 2.0 GB for a run, of 16 GB free." in words()
    assert "Disk: at most 1.0 GB, of 100 GB free." in words()
    tight = replace(PLAN, free_memory_bytes=2 * 10**9, free_disk_bytes=10**8)
    assert "too much; give a smaller --batch-size." in words(tight)
    assert "Memory: 2.0 GB for 2 runs at a time, of 2.0 GB free: too much; give fewer --jobs." in words(tight, jobs=2)
    assert "too much; give another --out, or --keep-weights none." in words(tight)


def test_a_network_that_could_not_be_measured_is_named_with_its_reason() -> None:
    broken = {**ROW, "network": "vgg16", "reason": "out of memory", "num_timed_steps": None}
    assert "vgg16 could not be measured: out of memory." in words(replace(PLAN, rows=(ROW, broken)))
    alone = words(replace(PLAN, rows=(broken,), memory_bytes=None))
    assert alone.startswith("vgg16 could not be measured")
    assert "about" not in alone.splitlines()[0]


def test_nothing_left_to_do_is_one_sentence() -> None:
    assert words(replace(PLAN, num_finished=3)) == "3 runs, all finished: nothing is left to do."


@pytest.mark.parametrize(
    ("num_seeds", "end"),
    [
        (1, "; 1 seed can be observed and not judged: 3 are needed."),
        (3, ": 3 seeds rarely decide at a tolerance of 0.5, ten do."),
        (10, "."),
    ],
)
def test_what_the_seeds_will_decide(num_seeds: int, end: str) -> None:
    assert seeds_sentence(num_seeds, has_folds=True).endswith(
        f"0.9 to 1.2 with 3, 0.5 to 0.6 with 5, 0.3 to 0.4 with 10 seeds (docs/statistics.md){end}"
    )


def test_nothing_is_said_of_folds_where_the_data_has_a_validation_part() -> None:
    assert seeds_sentence(3, has_folds=False) == "3 seeds can be judged."
    assert seeds_sentence(1, has_folds=False) == "1 seed can be observed and not judged: 3 are needed."


def test_the_half_widths_are_those_of_the_documented_simulation() -> None:
    text = " ".join((Path(__file__).parents[1] / "docs" / "statistics.md").read_text().split())
    widths = list(HALF_WIDTHS.items())
    assert f"near 99.5 % is {widths[0][1]} points with 3, {widths[1][1]} with 5, {widths[2][1]} with 10" in text
