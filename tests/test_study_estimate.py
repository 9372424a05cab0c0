"""A plan measures every network that has runs to do, says what they take, and leaves nothing behind.

A plan's sentences: what is said, and nothing that the numbers do not hold.

What runs will take, as exact arithmetic."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from roadtest.protocol import GTSRB_V1, Protocol
from roadtest.records import read_rows
from roadtest.study.estimate import (
    HALF_WIDTHS,
    NOTHING,
    Plan,
    RunTime,
    Span,
    latency_time,
    plan_sentences,
    plan_study,
    run_time,
    seeds_sentence,
    side_by_side,
    step_span,
    sweep_time,
)
from roadtest.study.options import Options
from roadtest.training.probe import Speed
from small_study import Told, compare_small, draw_images, own, prepare

OPTIONS = {"lr": 0.05, "epochs": 2, "out": "study", "device": "cpu", "patience": 0}


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


def plan_small(images: Path, *names: str, **options: Any) -> tuple[Plan, Told]:
    told = Told()
    return plan_study(images, on_event=told.append, **{"networks": own(*names), **OPTIONS, **options}), told


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_plan_is_a_row_per_network_and_a_sum(images: Path) -> None:
    plan, told = plan_small(images, "good", "slow", seeds=3)
    assert [event.text for event in told.of("phase")] == ["measuring good.py:build", "measuring slow.py:build"]
    good, slow = plan.rows
    # 6 steps of 0.1 s; 3 rows of a second, one every 2 steps; 2 s to start; 50 images and the test's at 10 a second
    num_test = sum(row["split"] == "test" for row in split_rows(images))
    assert good["run_seconds"] == pytest.approx(0.6 + 3.0 + 2.0 + (50 + num_test) / 10)
    assert good["total_seconds"] == pytest.approx(3 * good["run_seconds"])
    assert slow["train_seconds"] == pytest.approx(10 * good["train_seconds"])
    assert (plan.num_runs, plan.num_finished) == (6, 0)
    assert plan.seconds == pytest.approx(good["total_seconds"] + slow["total_seconds"] + 2 * 133.0)  # and latencies
    assert plan.memory_bytes == 5_000_000_000  # the slow one, alone
    assert plan.disk_bytes == 6 * 1_000_000 + 2 * 2_000_000
    assert plan.sentences[0].startswith("6 runs: about")


def split_rows(images: Path) -> list[dict[str, str]]:
    """Where the images of this source go, from a study of it."""
    study, _ = compare_small(images, "good", out="elsewhere")
    return read_rows(study.path / "split.csv")


def test_nothing_is_written_where_the_study_would_be(images: Path, tmp_path: Path) -> None:
    plan, _ = plan_small(images, "good")
    assert plan.study_dir == Path("study")
    assert not (tmp_path / "study").exists()
    assert not (tmp_path / "cache" / "test-reads.csv").exists()


@pytest.mark.slow
def test_what_is_finished_is_not_counted_and_the_study_is_not_touched(images: Path, tmp_path: Path) -> None:
    compare_small(images, "good", patience=0, seeds=2)
    before = contents(tmp_path / "study")
    plan, told = plan_small(images, "good", "other", seeds=3)
    assert [event.text for event in told.of("phase")] == ["measuring good.py:build", "measuring other.py:build"]
    assert [(row["num_runs"], row["num_finished"]) for row in plan.rows] == [(3, 2), (3, 0)]
    assert plan.rows[0]["total_seconds"] == pytest.approx(plan.rows[0]["run_seconds"])
    assert plan.sentences[0].startswith("6 runs, 2 of them finished")
    assert contents(tmp_path / "study") == before


@pytest.mark.slow
def test_a_finished_study_is_not_measured_at_all(images: Path) -> None:
    compare_small(images, "good", patience=0)
    plan, told = plan_small(images, "good")
    assert told.of("phase") == []
    assert (plan.seconds, plan.num_finished, plan.disk_bytes) == (0.0, 1, 0)
    assert plan.sentences == ("1 run, all finished: nothing is left to do.",)
    assert plan_small(images, "good", fresh=True)[0].num_finished == 0


@pytest.mark.slow
def test_a_network_that_fails_is_a_row_with_its_reason(images: Path) -> None:
    plan, _ = plan_small(images, "raises", "good")
    assert [row["reason"] for row in plan.rows] == ["the network is wrong: mend it", None]
    assert plan.rows[0]["run_seconds"] is None
    assert any(one.startswith("raises.py:build could not be measured") for one in plan.sentences)
    only, _ = plan_small(images, "raises")
    assert only.memory_bytes is None and only.sentences[0].startswith("raises.py:build could not be measured")


@pytest.mark.slow
def test_a_missing_rate_is_a_sweep_before_the_runs(images: Path) -> None:
    plan, _ = plan_small(images, "good", lr=None)
    assert plan.rows[0]["sweep_seconds"] > 5 * 30.0
    assert plan.rows[0]["total_seconds"] == pytest.approx(plan.rows[0]["run_seconds"] + plan.rows[0]["sweep_seconds"])
    compare_small(images, "good", patience=0, lr=None)
    again, _ = plan_small(images, "good", lr=None, seeds=2)
    assert again.rows[0]["sweep_seconds"] is None


@pytest.mark.slow
def test_annealed_copies_are_in_the_time_and_on_the_disk(images: Path) -> None:
    alone, annealed = (plan_small(images, "good", epochs=20, anneal=anneal)[0] for anneal in (False, True))
    assert annealed.rows[0]["train_seconds"] == alone.rows[0]["train_seconds"]
    assert annealed.rows[0]["run_seconds"] > alone.rows[0]["run_seconds"]
    assert annealed.disk_bytes > alone.disk_bytes


@pytest.mark.slow
def test_another_protocol_or_other_data_is_refused_as_compare_does(images: Path, tmp_path: Path) -> None:
    compare_small(images, "good", patience=0)
    with pytest.raises(ValueError, match="max_epochs is 2 there and 3 here"):
        plan_small(images, "good", epochs=3)
    with pytest.raises(ValueError, match="holds a study of other data"):
        plan_small(draw_images(tmp_path / "others", shift=1000), "good")


def test_pretrained_weights_are_not_fetched_for_a_plan_and_it_says_so(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(repository: str, filename: str, *, local_files_only: bool, **more: object) -> str:
        assert local_files_only, "it asks the hub"
        raise FileNotFoundError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    network = "timm:mobilenetv3_small_050+pretrained"
    plan, told = plan_small(images, "good", networks=["good.py:build", network], flips="off")
    assert [row["reason"] for row in plan.rows] == [None, None]
    words = f"the weights of {network} are not in the cache: compare fetches them before it trains anything"
    assert words in [event.text for event in told.of("note")]


@pytest.mark.slow
def test_a_plan_is_plain_values_for_json(images: Path) -> None:
    plan, _ = plan_small(images, "good")
    assert json.loads(json.dumps(plan.to_dict()))["rows"][0]["network"] == "good.py:build"


@pytest.mark.slow
def test_a_real_plan_measures_real_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = prepare(tmp_path, monkeypatch, is_fake=False)
    monkeypatch.setenv("ROADTEST_CACHE", str(tmp_path / "cache"))
    told = Told()
    options = {"networks": ["good.py:build", "lenet5"], "stn": "off", "threads": 1, "precision": "float32", **OPTIONS}
    plan = plan_study(images, on_event=told.append, **options)
    assert [row["reason"] for row in plan.rows] == [None, None]
    for row in plan.rows:
        assert row["num_timed_steps"] >= 3
        assert 10 < row["images_per_second"] < 1e6
        assert row["run_seconds_low"] <= row["run_seconds"] <= row["run_seconds_high"]
        assert 10**8 < row["peak_memory_bytes"] < 10**10
    assert plan.rows[1]["disk_bytes"] > 3 * 65_000 * 4
    assert not (tmp_path / "study").exists()
    assert not (tmp_path / "cache" / "test-reads.csv").exists()


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
    plan: Plan = PLAN, protocol: Protocol = GTSRB_V1, is_open: bool = False, seen: tuple[float, ...] = (), **more: Any
) -> str:
    options = Options(**{"seeds": 3, **more})
    return "\n".join(plan_sentences(plan, protocol, options, is_open=is_open, seen_epochs=seen, has_folds=True))


def with_row(**values: Any) -> Plan:
    return replace(PLAN, rows=({**ROW, **values},))


TIGHT = replace(PLAN, free_memory_bytes=2 * 10**9, free_disk_bytes=10**8)
BROKEN = {**ROW, "network": "vgg16", "reason": "out of memory", "num_timed_steps": None}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "3 runs: about 1 h 00 min (50 min to 1 h 15 min), "),
        ({"plan": replace(PLAN, num_finished=1)}, "3 runs, 1 of them finished: about"),
        ({"plan": replace(PLAN, seconds=None)}, "3 runs: between 50 min and 1 h 15 min,"),
        ({}, "slowest tenth of 30 timed steps."),
        ({"plan": replace(PLAN, rows=(ROW, {**ROW, "num_timed_steps": 8}))}, "tenth of 8 to 30 timed steps"),
        ({"is_open": True}, "early stopping (patience 8), which may end a run anywhere from 15 to 100 epochs."),
        ({"seen": (20.4, 31.0)}, "early stopping as in 2 runs that finished, after 20 to 31 epochs."),
        ({"plan": with_row(sweep_seconds=310.0)}, "5 learning rates for 1 network, 60 s each"),
        ({"anneal": True}, "up to 30 % of the training time"),
        ({"jobs": 2}, "Measured one at a time: 2 at once"),
        ({"plan": with_row(is_busy=True)}, "Other programs used the processor while lenet5 ran"),
        # two epochs of 10 s, and a tenth more for what varies
        (
            {
                "plan": with_row(is_undertrained=True, num_epochs_high=1.5),
                "protocol": replace(GTSRB_V1, budget_seconds=15.0),
            },
            "lenet5 would see 1.5 epochs in 15 s: too little to compare; --budget 22s gives it two.",
        ),
        ({"plan": with_row(is_undertrained=True), "protocol": replace(GTSRB_V1, max_epochs=1)}, "give more --epochs"),
        ({}, "Memory: 2.0 GB for a run, of 16 GB free."),
        ({}, "Disk: at most 1.0 GB, of 100 GB free."),
        ({"plan": TIGHT}, "2.0 GB free: too much; give a smaller --batch-size."),
        ({"plan": TIGHT, "jobs": 2}, "2.0 GB for 2 runs at a time, of 2.0 GB free: too much; give fewer --jobs."),
        ({"plan": TIGHT}, "too much; give another --out, or --keep-weights none."),
        ({"plan": replace(PLAN, rows=(ROW, BROKEN))}, "vgg16 could not be measured: out of memory."),
    ],
)
def test_a_plan_says_what_the_numbers_hold(given: dict[str, Any], text: str) -> None:
    assert text in words(**given)


def test_what_does_not_hold_is_not_said() -> None:
    assert not re.search("learning rates|annealed|at once|Other programs|early stopping|too", words())
    assert words(replace(PLAN, num_finished=3)) == "3 runs, all finished: nothing is left to do."
    alone = words(replace(PLAN, rows=(BROKEN,), memory_bytes=None))
    assert alone.startswith("vgg16 could not be measured") and "about" not in alone.splitlines()[0]


@pytest.mark.parametrize(
    ("num_seeds", "has_folds", "end"),
    [
        (1, True, "10 seeds (docs/statistics.md); 1 seed can be observed and not judged: 3 are needed."),
        (3, True, "10 seeds (docs/statistics.md): 3 seeds rarely decide at a tolerance of 0.5, ten do."),
        (10, True, "0.9 to 1.2 with 3, 0.5 to 0.6 with 5, 0.3 to 0.4 with 10 seeds (docs/statistics.md)."),
        (3, False, "3 seeds can be judged."),
        (1, False, "1 seed can be observed and not judged: 3 are needed."),
    ],
)
def test_what_the_seeds_will_decide(num_seeds: int, has_folds: bool, end: str) -> None:
    sentence = seeds_sentence(num_seeds, has_folds=has_folds)
    assert sentence.endswith(end) and ("simulation" in sentence) == has_folds


def test_the_half_widths_are_those_of_the_documented_simulation() -> None:
    text = " ".join((Path(__file__).parents[1] / "docs" / "statistics.md").read_text().split())
    widths = list(HALF_WIDTHS.items())
    assert f"near 99.5 % is {widths[0][1]} points with 3, {widths[1][1]} with 5, {widths[2][1]} with 10" in text


SPEED = Speed(
    precision="float32",
    batch_size=128,
    steps_per_epoch=100,
    num_row_images=5_000,
    num_final_images=20_000,
    step_seconds=(0.1,) * 11,
    eval_images_per_second=10_000.0,
    start_seconds=8.0,
    peak_memory_bytes=10**9,
    weights_bytes=10**6,
    state_bytes=2 * 10**6,
    is_busy=False,
)

SURE = replace(GTSRB_V1, patience=0)


def test_steps_are_bounded_by_their_tenths() -> None:
    speed = replace(SPEED, step_seconds=tuple(n / 10 for n in range(11)))  # 0.0, 0.1, ... 1.0
    span = step_span(speed)
    assert (span.low, span.expected, span.high) == pytest.approx((0.1, 0.5, 0.9))


def time_of(speed: Speed = SPEED, *, finished_epochs: tuple[float, ...] = (), **changes: Any) -> RunTime:
    return run_time(speed, replace(GTSRB_V1, **changes), num_test=0, anneals=False, finished_epochs=finished_epochs)


def bounds(span: Span) -> tuple[float, float | None, float]:
    return span.low, span.expected, span.high


def test_without_early_stopping_a_run_is_its_epochs_and_what_surrounds_them() -> None:
    time = run_time(SPEED, replace(SURE, max_epochs=10), num_test=10_000, anneals=False)
    assert not time.is_open
    assert bounds(time.epochs) == (10, 10, 10)
    assert time.train.expected == pytest.approx(100.0)  # 1,000 steps of 0.1 s
    # 10 rows of 0.5 s, 8 s to start, 30,000 images at the end
    assert time.whole.expected == pytest.approx(100.0 + 5.0 + 8.0 + 3.0)
    assert time.whole.low == time.whole.high == time.whole.expected


def test_a_budget_bounds_the_steps_and_the_epochs_bound_the_budget() -> None:
    time = time_of(patience=0, budget_seconds=60.0)
    assert (time.train.expected, time.epochs.expected) == (pytest.approx(60.0), pytest.approx(6.0))
    assert time_of(patience=0, budget_seconds=6000.0, max_epochs=10).train.expected == pytest.approx(100.0)


def test_the_spread_of_the_steps_is_the_spread_of_the_time() -> None:
    speed = replace(SPEED, step_seconds=(0.08, 0.08, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.13, 0.13))
    assert bounds(time_of(speed, patience=0, max_epochs=10).train) == pytest.approx((80.0, 100.0, 130.0))


def test_early_stopping_leaves_a_run_open_between_the_first_moment_and_the_last_epoch() -> None:
    # Patience 8: the ninth evaluation may be the eighth without progress; then a decay of 0.4 / 0.6 as long: 15 epochs.
    time = time_of()
    assert time.is_open and bounds(time.epochs) == (15, None, 100)
    assert bounds(time.train) == (pytest.approx(150.0), None, pytest.approx(1000.0))
    assert time.whole.expected is None


def test_a_budget_is_expected_to_be_used_up_though_patience_may_end_it_earlier() -> None:
    time = time_of(budget_seconds=300.0)
    assert time.is_open and bounds(time.epochs) == (15, 30, 30)
    assert not time_of(budget_seconds=100.0).is_open  # too short for patience


def test_finished_runs_of_the_network_say_when_early_stopping_ends_one() -> None:
    time = time_of(finished_epochs=(20.0, 30.0, 25.0))
    assert not time.is_open and bounds(time.epochs) == (20, 25, 30)


def test_annealed_copies_take_three_tenths_more() -> None:
    protocol = replace(SURE, max_epochs=10)
    alone, annealed = (run_time(SPEED, protocol, num_test=0, anneals=anneals) for anneals in (False, True))
    assert annealed.train == alone.train  # the run's own clock
    # 0.4 of 250 and of 500 steps at 0.1 s, and an evaluation of each
    assert annealed.whole.high - alone.whole.high == pytest.approx(10.0 + 20.0 + 2 * 0.5)


def test_a_run_that_patience_ends_has_fewer_copies() -> None:
    # Ended as early as can be, at 900 of 10,000 steps: neither branch point, 1,500 and 3,000, is reached.
    alone, annealed = (run_time(SPEED, GTSRB_V1, num_test=0, anneals=anneals) for anneals in (False, True))
    assert annealed.whole.low == alone.whole.low
    assert annealed.whole.high - alone.whole.high == pytest.approx(300.0 + 2 * 0.5)


def test_a_sweep_is_its_seconds_and_its_evaluations() -> None:
    protocol = replace(SURE, sweep_rates=(0.1, 0.2), sweep_seconds=60.0)
    assert sweep_time(SPEED, protocol).expected == pytest.approx(2 * (60.0 + 0.5) + 8.0)


def test_latency_takes_its_visits_and_more_for_a_slow_network() -> None:
    assert latency_time(SPEED) == pytest.approx(5.0, abs=0.2)
    assert latency_time(replace(SPEED, eval_images_per_second=64.0)) == pytest.approx(5.0 + 20.0)


def test_runs_side_by_side_take_their_share_and_never_less_than_the_longest() -> None:
    one = Span(low=5.0, high=20.0, expected=10.0)
    assert side_by_side([one] * 4, 2) == Span(low=10.0, high=40.0, expected=20.0)
    assert side_by_side([one], 4) == one
    assert side_by_side([one, Span(low=1.0, high=30.0, expected=None)], 1) == Span(low=6.0, high=50.0, expected=None)
    assert side_by_side([], 2) == NOTHING
