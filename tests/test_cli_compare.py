"""`roadtest plan`, and `compare --dry-run`: what is printed where, and with which exit code.

Durations, seeds and lists as people type them."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.records.events import Event
from roadtest.study.estimate import Plan
from roadtest.study.options import MAX_SECONDS, MAX_SEEDS, parse_duration, parse_seeds, split_list

Answer = Callable[..., tuple[int, str, str]]

ROW: dict[str, Any] = {
    "network": "lenet5",
    "has_stn": True,
    "num_runs": 3,
    "num_finished": 1,
    "precision": "float32",
    "images_per_second": 4321.4,
    "num_timed_steps": 90,
    "epoch_seconds": 8.2,
    "train_seconds": None,
    "num_epochs_low": 15.0,
    "num_epochs": None,
    "num_epochs_high": 100.0,
    "run_seconds_low": 150.0,
    "run_seconds": None,
    "run_seconds_high": 1000.0,
    "sweep_seconds": None,
    "total_seconds_low": 300.0,
    "total_seconds": None,
    "total_seconds_high": 2000.0,
    "peak_memory_bytes": 780_000_000,
    "disk_bytes": 1_830_000,
    "is_undertrained": False,
    "is_busy": False,
    "reason": None,
}

SURE = {**ROW, "has_stn": False, "num_finished": 0, "num_epochs": 6.25, "run_seconds": 62.0, "total_seconds": 186.0}

PLAN = Plan(
    study_dir=Path("runs/x"),
    num_runs=6,
    num_finished=1,
    rows=(SURE, ROW),
    seconds_low=480.0,
    seconds=None,
    seconds_high=2200.0,
    memory_bytes=780_000_000,
    free_memory_bytes=10**10,
    disk_bytes=4 * 10**6,
    free_disk_bytes=10**11,
    sentences=("6 runs, 1 of them finished: between 8 min and 37 min.", "Disk: at most 4.0 MB."),
)


class Planned:
    """Stands in for `roadtest.study.estimate.plan_study`: notes how it was called, and answers with a plan."""

    def __init__(self) -> None:
        self.plan = PLAN
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, source: str, *, on_event: Callable[[Event], None], **options: Any) -> Plan:
        self.calls.append((source, options))
        on_event(Event(kind="phase", text="measuring lenet5"))
        return self.plan


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Planned:
    fake = Planned()
    monkeypatch.setattr("roadtest.study.estimate.plan_study", fake)
    monkeypatch.setattr("roadtest.study.api.compare", lambda *_, **__: pytest.fail("it was trained"))
    return fake


def test_the_table_and_the_sentences_are_printed(roadtest: Answer, planned: Planned) -> None:
    code, out, err = roadtest("plan", "gtsrb")
    assert code == 0
    head, first, second, empty, *sentences = out.splitlines()
    assert " ".join(head.split()) == "network runs images/s epochs a run all runs memory disk precision"
    assert " ".join(first.split()) == "lenet5 3 4,321 6.2 62 s 3 min 780.0 MB 1.83 MB float32"
    assert " ".join(second.split()) == (
        "lenet5+stn 2 of 3 4,321 15 to 100 2 min to 17 min 5 min to 33 min 780.0 MB 1.83 MB float32"
    )
    assert empty == "" and tuple(sentences) == PLAN.sentences
    assert err == "measuring lenet5\n"


def test_a_dry_run_is_a_plan_with_the_same_options(roadtest: Answer, planned: Planned) -> None:
    words = ["gtsrb", "--networks", "lenet5,vgg16", "--seeds", "2", "--budget", "10m", "--anneal", "--jobs", "2"]
    assert roadtest("plan", *words)[1] == roadtest("compare", *words, "--dry-run")[1]
    assert planned.calls[0] == planned.calls[1]
    source, options = planned.calls[0]
    assert source == "gtsrb"
    typed = {"networks": ["lenet5", "vgg16"], "seeds": [0, 1], "budget_seconds": 600.0, "anneal": True, "jobs": 2}
    assert options == typed


def test_json_is_one_object_and_alone_on_standard_output(roadtest: Answer, planned: Planned) -> None:
    code, out, _ = roadtest("plan", "--format", "json")
    plain = json.loads(out)
    assert code == 0
    assert plain["rows"][1]["total_seconds"] is None
    assert (plain["seconds"], plain["seconds_low"], plain["study_dir"]) == (None, 480.0, "runs/x")


def test_csv_and_md_are_the_table_alone(roadtest: Answer, planned: Planned) -> None:
    _, out, err = roadtest("plan", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["total_seconds"] for row in rows] == ["186.0", ""]
    assert PLAN.sentences[0] in err
    _, out, err = roadtest("plan", "--format", "md")
    assert out.startswith("| network | has_stn |") and PLAN.sentences[0] in err


def test_quiet_prints_only_what_was_asked_for(roadtest: Answer, planned: Planned) -> None:
    assert roadtest("plan", "-q") == (0, "", "")
    code, out, err = roadtest("plan", "-q", "--format", "json")
    assert (code, err) == (0, "") and json.loads(out)


def test_a_network_that_could_not_be_measured_is_a_dash_and_an_exit_code(roadtest: Answer, planned: Planned) -> None:
    broken = dict.fromkeys(ROW) | {"network": "vgg16", "has_stn": False, "num_runs": 1, "num_finished": 0}
    planned.plan = replace(PLAN, rows=(SURE, {**broken, "reason": "no memory"}))
    code, out, _ = roadtest("plan")
    assert code == 1
    assert out.splitlines()[2].split() == ["vgg16", "1", *["–"] * 7]


def test_a_mistake_is_one_line(roadtest: Answer) -> None:
    code, out, err = roadtest("plan", "signs", "--networks", "lenet6")
    assert (code, out) == (2, "")
    assert "'lenet6' is not known" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(("words", "answer"), [(["plan", "--workers", "4"], "--jobs"), (["estimate"], "plan says")])
def test_wrong_words_are_answered(words: list[str], answer: str, roadtest: Answer) -> None:
    code, _, err = roadtest(*words)
    assert code == 2 and answer in err


DURATIONS = {"45": 45, "90s": 90, "10m": 600, "2h": 7200, "1h30m": 5400, "1h 30m": 5400, "1.5h": 5400, "10 min": 600}


@pytest.mark.parametrize(("text", "seconds"), [*DURATIONS.items(), ("1d", 86400), ("0.5", 0.5), (" 2H ", 7200)])
def test_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text, "--budget") == seconds


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("", "m", "10x", "1:30", "-5m", "1e3", "h10", "ten", "10mm", "٣m", "nan", "inf", "1 2"), "write 90s, 10m"),
        (("30m1h", "5m5m", "1s2h"), "out of order"),
        (("0", "0m", "31d", "9" * 400), "must be above 0 and at most 30d"),
    ],
)
def test_what_is_no_duration_is_answered_with_how_to_write_one(texts: tuple[str, ...], words: str) -> None:
    for text in texts:
        with pytest.raises(ValueError, match=f"--budget .*{words}"):
            parse_duration(text, "--budget")


@pytest.mark.slow
@given(st.integers(1, int(MAX_SECONDS)))
def test_hours_minutes_and_seconds_add_up(seconds: int) -> None:
    text = f"{seconds // 3600}h{seconds // 60 % 60}m{seconds % 60}s"
    assert parse_duration(text, "--budget") == parse_duration(str(seconds), "--budget") == seconds


@given(st.text(max_size=12))
def test_no_text_does_more_than_a_value_error(text: str) -> None:
    try:
        assert 0 < parse_duration(text, "--budget") <= MAX_SECONDS
    except ValueError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", [0, 1, 2]), ("1", [0]), ("0,4", [0, 4]), ("4,", [4]), (" 2 , 1 ", [2, 1]), ("007", [*range(7)])],
)
def test_a_number_of_seeds_or_the_seeds_themselves(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "0", "-1", "a", "1,,2", "1;2", "0,0", "1.5", "²", "9999", "1" * 50, ","])
def test_what_names_no_seeds_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="--seeds") as caught:
        parse_seeds(text)
    assert "\n" not in str(caught.value)


@given(st.lists(st.integers(0, 10**9 - 1), min_size=1, max_size=20, unique=True))
def test_named_seeds_are_read_back(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds)) + ",") == seeds


def test_the_largest_number_of_seeds_is_allowed() -> None:
    assert len(parse_seeds(str(MAX_SEEDS))) == MAX_SEEDS


def test_lists_come_apart_at_commas_and_an_empty_one_is_refused() -> None:
    assert split_list(["a,b", " c ", "d,"], "--networks") == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="--networks is empty"):
        split_list([",", " "], "--networks")
