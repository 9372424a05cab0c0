"""Limits as people type them, and the order from cheap to dear."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.analysis.costs import Costs
from roadtest.analysis.recommend.limits import (
    BY_NAME,
    Offer,
    cost_key,
    misses,
    read_limits,
    read_tolerance,
)
from roadtest.analysis.results import ClassRecall

COSTS = Costs(
    num_parameters=65_219,
    macs=650_000,
    size_bytes=264_000,
    latency_p50_ms=0.33,
    train_seconds_mean=90.0,
    peak_memory_bytes=601_000_000,
)
OFFER = Offer(
    costs=COSTS,
    val_accuracy=0.98,
    weakest_classes=[
        ClassRecall(label=27, class_name="Pedestrians", recall=0.85),
        ClassRecall(label=3, class_name="3", recall=0.88),
        ClassRecall(label=1, class_name="left", recall=0.97),
    ],
)


@pytest.mark.parametrize(
    ("text", "expected"), [("0.98", 0.98), ("98%", 0.98), (" 98.5 % ", 0.985), (0.9, 0.9), (1, 1.0), ("0", 0.0)]
)
def test_an_accuracy_is_a_fraction_or_has_a_percent_sign(text: float | str, expected: float) -> None:
    assert read_limits({"min_accuracy": text})["min_accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize("value", ["98", 98, 1.5, "1.01"])
def test_a_bare_accuracy_above_1_is_refused_with_the_way_out(value: float | str) -> None:
    with pytest.raises(ValueError, match="is above 1: an accuracy is a fraction or has a percent sign; write"):
        read_limits({"min_accuracy": value})


@pytest.mark.parametrize("value", ["", "x", "-1", "nan", "inf", "1e999", "101%", "0x10", "98%%", "1 2"])
def test_what_is_no_accuracy_is_refused_in_one_line(value: str) -> None:
    with pytest.raises(ValueError, match=r"^--min-accuracy [^\n]+$"):
        read_limits({"min_accuracy": value})


@pytest.mark.parametrize("value", ["x", "", "0", "-5", "nan", "5ms", 0, -1.0, float("inf")])
def test_what_is_no_limit_is_refused_and_names_its_option(value: float | str) -> None:
    with pytest.raises(ValueError, match=r"--max-latency-ms .* is no limit: give a number of ms above 0"):
        read_limits({"max_latency_ms": value})


@pytest.mark.parametrize(("text", "expected"), [("65k", 65e3), ("1.5M", 1.5e6), ("65,219", 65219), ("1e6", 1e6)])
def test_counts_may_have_a_prefix(text: str, expected: float) -> None:
    assert read_limits({"max_params": text}) == {"max_params": expected}


@given(st.floats(1e-6, 1e12))
def test_every_number_that_python_writes_is_read_back(number: float) -> None:
    assert read_limits({"max_macs": number}) == {"max_macs": number}


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_one_line(text: str) -> None:
    try:
        (value,) = read_limits({"max_params": text}).values()
        assert value > 0
    except ValueError as error:
        assert "\n" not in str(error)


def test_a_limit_that_was_not_given_is_left_out() -> None:
    assert read_limits(dict.fromkeys(BY_NAME)) == {}


@pytest.mark.parametrize("value", ["-0.1", "100", "x", "0.5%"])
def test_a_tolerance_is_a_number_of_points(value: str) -> None:
    assert read_tolerance("0.5") == read_tolerance(0.5) == 0.5
    with pytest.raises(ValueError, match="is no number of percentage points"):
        read_tolerance(value)


def test_a_limit_is_met_where_it_is_just_reached() -> None:
    limits = {"max_latency_ms": 0.33, "max_train_minutes": 1.5, "max_memory_mb": 601, "min_accuracy": 0.98}
    assert misses(OFFER, limits) == []
    (miss,) = misses(OFFER, {**limits, "max_train_minutes": 1.4})
    assert miss.factor == pytest.approx(1.5 / 1.4)


def test_misses_come_farthest_first_and_unmeasured_before_all() -> None:
    offer = replace(OFFER, costs=replace(COSTS, latency_p50_ms=None))
    found = misses(offer, {"min_accuracy": 0.99, "max_params": 50_000, "max_latency_ms": 1})
    # errors: 2 % of 1 % allowed; parameters: 65,219 of 50,000
    assert [miss.limit for miss in found] == ["max_latency_ms", "min_accuracy", "max_params"]
    assert found[0].to_dict()["factor"] is None
    assert found[1].factor == pytest.approx(2.0)


def test_ties_are_broken_by_the_other_costs_and_the_unmeasured_is_dearest() -> None:
    larger, unmeasured = (
        replace(OFFER, costs=replace(COSTS, **change))
        for change in ({"num_parameters": 70_000}, {"latency_p50_ms": None})
    )
    assert cost_key(OFFER, "latency") < cost_key(larger, "latency") < cost_key(unmeasured, "latency")
    assert cost_key(unmeasured, "params") < cost_key(larger, "params")


def test_a_limit_on_recall_names_every_class_below_it_weakest_first() -> None:
    (miss,) = misses(OFFER, read_limits({"min_class_recall": "90%"}))
    assert miss.words == "recall of Pedestrians (27) 85.00 %, 3 88.00 %, at least 90.00 % asked for"
    # 15 % of the images missed, 10 % allowed
    assert miss.factor == pytest.approx(1.5)
    assert misses(OFFER, {"min_class_recall": 0.85}) == []
    many = [ClassRecall(label=k, class_name=f"c{k}", recall=0.5) for k in range(5)]
    (miss,) = misses(replace(OFFER, weakest_classes=many), {"min_class_recall": 0.9})
    assert "c0 (0) 50.00 %, c1 (1) 50.00 %, c2 (2) 50.00 % and 2 more classes, at least" in miss.words
    (miss,) = misses(replace(OFFER, weakest_classes=[]), {"min_class_recall": 0.9})
    assert miss.words == "recall was not measured"
    rare = ClassRecall(label=9, class_name="Rare", recall=None)
    unseen = replace(OFFER, weakest_classes=[*OFFER.weakest_classes, rare])
    (miss,) = misses(unseen, {"min_class_recall": 0.8})
    assert (miss.found, miss.words.partition(":")[0]) == (None, "recall of Rare (9) was not measured")
    (miss,) = misses(unseen, {"min_class_recall": 0.9})  # one that is too weak is told
    assert miss.words.startswith("recall of Pedestrians (27) 85.00 %")


@pytest.mark.parametrize("value", ["90", "x", "101%"])
def test_what_is_no_recall_is_refused_by_its_own_name(value: str) -> None:
    with pytest.raises(ValueError, match=r"^--min-class-recall '[^\n]+$"):
        read_limits({"min_class_recall": value})
