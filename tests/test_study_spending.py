"""One line before anything is spent: runs, time, disk."""

from dataclasses import replace

import pytest

from roadtest.protocol import FOLDER_V1, GTSRB_V1
from roadtest.record import PlannedRun
from roadtest.study import spending as spending_module
from roadtest.study.options import planned_runs
from roadtest.study.spending import (
    Size,
    count_disk_bytes,
    measure_networks,
    plan_text,
    render_bytes,
    render_duration,
)

TIMED = replace(GTSRB_V1, budget_seconds=625.0)


def text_of(runs: tuple[PlannedRun, ...], missing: tuple[PlannedRun, ...], **more: object) -> str:
    values = {"num_parallel": 1, "num_swept": 0, "disk_bytes": 6_400_000_000, **more}
    protocol = values.pop("protocol", TIMED)
    return plan_text(runs, missing, protocol, **values)  # type: ignore[arg-type]


RUNS = planned_runs([(name, has_stn) for name in ("lenet5", "vgg16") for has_stn in (False, True)], (0, 1, 2))


def test_the_line_says_runs_time_and_disk() -> None:
    assert text_of(RUNS, RUNS) == "12 runs, about 2 h 05 min of training, 6.4 GB"  # 12 x 625 s = 7,500 s
    assert text_of(RUNS, RUNS, num_parallel=2) == "12 runs, about 1 h 02 min of training, 6.4 GB"
    assert text_of(RUNS[:1], RUNS[:1], protocol=GTSRB_V1) == "1 run, at most 100 epochs each, 6.4 GB"


def test_annealed_copies_are_told_beside_the_training() -> None:
    # 12 x 625 s = 7,500 s, of which 0.4 x (1/4 + 1/2) = 0.3
    text = text_of(RUNS, RUNS, anneals=True)
    assert text == "12 runs, about 2 h 05 min of training, about 38 min of annealed copies beside it, 6.4 GB"
    assert "annealed" not in text_of(RUNS, RUNS, protocol=GTSRB_V1, anneals=True)


def test_what_is_finished_costs_nothing() -> None:
    assert text_of(RUNS, RUNS[10:]) == "12 runs, 10 of them finished, about 21 min of training, 6.4 GB"
    assert text_of(RUNS, ()) == "12 runs, 12 of them finished"


def test_a_sweep_is_told() -> None:
    text = text_of(RUNS, RUNS, protocol=FOLDER_V1, num_swept=4)
    seconds = render_duration(FOLDER_V1.sweep_seconds)
    assert f"before it {len(FOLDER_V1.sweep_rates)} learning rates for 4 networks, {seconds} each" in text


def test_a_network_of_ones_own_makes_the_disk_a_lower_bound() -> None:
    own = planned_runs([("net.py:build", False)], (0,))
    assert text_of(own, own).endswith(", at least 6.4 GB")
    assert text_of(own, own, disk_bytes=0) == "1 run, about 10 min of training"


def test_sizes_are_counted_on_paper() -> None:
    sizes, reasons = measure_networks(planned_runs([("lenet5", False)], (0, 1)), num_classes=43, image_size=32)
    # 65,219 parameters in float32, batch norm's running mean and variance of 120 + 84 maps, two counters of 8 bytes.
    weights = 4 * 65_219 + 4 * 2 * (120 + 84) + 2 * 8
    assert sizes == {"lenet5": Size(weights_bytes=weights, state_bytes=weights + 4 * 65_219)}
    assert reasons == {}


def test_a_network_that_cannot_be_built_is_named_with_its_reason() -> None:
    runs = planned_runs([("resnet99", False), ("lenet5", True)], (0,))
    sizes, reasons = measure_networks(runs, num_classes=43, image_size=32)
    assert list(sizes) == ["lenet5+stn"]
    assert list(reasons) == ["resnet99"]
    assert "is not known" in reasons["resnet99"] and "\n" not in reasons["resnet99"]


def test_any_exception_of_a_library_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Size:
        raise AssertionError("first\nsecond")

    monkeypatch.setattr(spending_module, "_measure", broken)
    assert measure_networks(RUNS[:1], num_classes=2, image_size=32)[1] == {"lenet5": "first second"}


def test_a_users_own_network_is_not_run_here(tmp_path: object) -> None:
    own = planned_runs([(f"{tmp_path}/none.py:build", False)], (0,))
    assert measure_networks(own, num_classes=2, image_size=32) == ({}, {})


def test_disk_holds_all_weights_and_the_largest_states_twice() -> None:
    sizes = {
        "lenet5": Size(weights_bytes=1, state_bytes=2),
        "lenet5+stn": Size(weights_bytes=10, state_bytes=20),
        "vgg16": Size(weights_bytes=100, state_bytes=200),
    }
    runs = planned_runs([("lenet5", False), ("lenet5", True), ("vgg16", False), ("unknown", False)], (0, 1))
    assert count_disk_bytes(runs, sizes, num_parallel=1, keeps_weights=True) == 2 * 111 + 2 * 200
    assert count_disk_bytes(runs, sizes, num_parallel=3, keeps_weights=True) == 2 * 111 + 2 * (200 + 200 + 20)
    assert count_disk_bytes(runs, sizes, num_parallel=1, keeps_weights=False) == 2 * 200
    # beside the two of a branch lies the run's own
    assert count_disk_bytes(runs, sizes, num_parallel=1, keeps_weights=False, anneals=True) == 3 * 200
    assert count_disk_bytes((), sizes, num_parallel=1, keeps_weights=True) == 0


def test_durations_and_sizes_are_short() -> None:
    assert [render_duration(s) for s in (0.6, 89, 90, 3599, 3600, 7500)] == [
        "1 s",
        "89 s",
        "2 min",
        "1 h 00 min",
        "1 h 00 min",
        "2 h 05 min",
    ]
    assert [render_bytes(b) for b in (400, 261_000, 999_600, 9_940_000, 64e9, 5e12)] == [
        "0.4 kB",
        "261 kB",
        "1.0 MB",
        "9.9 MB",
        "64 GB",
        "5000 GB",
    ]
