"""A job travels as JSON and comes back as it went."""

from dataclasses import replace
from pathlib import Path

from roadtest.job import Job
from roadtest.protocol import GTSRB_V1
from roadtest.record import PlannedRun

JOB = Job(
    study_dir=Path("runs/ä b"),
    cache_dir=Path("/tmp/cache"),
    pixels_path=Path("/tmp/cache/images.npy"),
    split_fingerprint="5" * 64,
    run=PlannedRun(network="lenet5", has_stn=True, seed=3),
    protocol=replace(GTSRB_V1, budget_seconds=12.5),
    learning_rate=0.1,
    device="cpu",
    precision="auto",
    num_threads=2,
    reads_test=False,
    keeps_weights=False,
    max_steps=7,
)


def test_a_job_comes_back_as_it_went() -> None:
    again = Job.from_json(JOB.to_json())
    assert again == JOB
    assert again.protocol.fingerprint == JOB.protocol.fingerprint


def test_a_run_lies_in_its_networks_folder() -> None:
    assert JOB.run_dir == Path("runs/ä b/lenet5+stn/seed-3")


def test_an_event_carries_the_run() -> None:
    event = JOB.event("phase", text="probing precision")
    assert (event.kind, event.label, event.seed, event.text) == ("phase", "lenet5+stn", 3, "probing precision")
