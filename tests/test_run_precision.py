"""One precision for all seeds of a network, also of those that begin at the same moment."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from roadtest.job import Job
from roadtest.machine import describe_machine
from roadtest.run_precision import NAME, settle_precision
from tiny import TINY, write_tiny_study

HERE = describe_machine()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    job = replace(write_tiny_study(tmp_path, TINY, num_seeds=2), precision="auto")
    job.run_dir.parent.mkdir(parents=True, exist_ok=True)
    return job


def probe(word: str) -> tuple[str, dict[str, float]]:
    return ("bfloat16", {"float32": 2.0, "bfloat16": 1.0}) if word == "auto" else (word, {})


def test_the_first_run_probes_and_the_next_takes_what_it_found(job: Job) -> None:
    assert settle_precision(job, HERE, probe) == ("bfloat16", {"float32": 2.0, "bfloat16": 1.0})
    later = replace(job, run=replace(job.run, seed=1))
    assert settle_precision(later, HERE, probe) == ("bfloat16", {})
    elsewhere = replace(HERE, cpu_flags=("avx2",))
    assert settle_precision(later, elsewhere, lambda word: ("float32", {"float32": 1.0}))[0] == "float32"


def test_runs_that_begin_together_probe_once(job: Job) -> None:
    asked: list[str] = []
    found: list[str] = []

    def slow_probe(word: str) -> tuple[str, dict[str, float]]:
        asked.append(word)
        time.sleep(0.3)
        # beside other work the second would have found the other one faster
        return ("float32" if asked.count("auto") == 1 else "bfloat16", {}) if word == "auto" else (word, {})

    def begin(seed: int) -> None:
        found.append(settle_precision(replace(job, run=replace(job.run, seed=seed)), HERE, slow_probe)[0])

    threads = [threading.Thread(target=begin, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == ["auto", "float32"] and found == ["float32", "float32"]


def test_a_precision_that_was_asked_for_is_neither_probed_nor_kept(job: Job) -> None:
    assert settle_precision(replace(job, precision="float32"), HERE, probe) == ("float32", {})
    assert not (job.run_dir.parent / NAME).exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"precision": "float64", "place": []}', '{"precision": 1, "place": 2}']
)
def test_a_damaged_note_says_nothing(text: str, job: Job) -> None:
    (job.run_dir.parent / NAME).write_text(text)
    assert settle_precision(job, HERE, probe)[1] != {}
