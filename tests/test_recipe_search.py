"""The search of the recipe: its hard validation set is the same at every call, and its schedules end at nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.accuracy.recipe_search import build_parser, describe, hard_images, print_table, rate_at
from benchmarks.accuracy.signnets import SIGNNETS


def test_the_hard_images_are_darker_and_the_same_at_every_call() -> None:
    images_NHWC = np.random.default_rng(0).integers(60, 255, (6, 32, 32, 3), np.uint8)
    hard_NHWC = hard_images(images_NHWC)
    assert np.array_equal(hard_NHWC, hard_images(images_NHWC)) and hard_NHWC.shape == images_NHWC.shape
    assert hard_NHWC.mean() < images_NHWC.mean()


@pytest.mark.parametrize("schedule", ["v1", "linear", "cosine"])
def test_a_schedule_rises_and_ends_near_nothing(schedule: str) -> None:
    given = build_parser().parse_args(["lenet5", "--steps", "1000", "--schedule", schedule])
    rates = [rate_at(step, given) for step in range(1000)]
    assert rates[0] < 0.02 and max(rates) > 0.98 and rates[-1] < 0.02


@pytest.mark.parametrize(("name", "most"), [("signnet-s-plain", 100_000), ("signnet-plain", 1_000_000)])
def test_a_small_network_stays_within_its_size(name: str, most: int) -> None:
    network = SIGNNETS[name](43).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) < most
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 43)


def test_trials_that_differ_in_the_seed_alone_share_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {
        f"{word}{name}": 1.0 for word in ("", "ema_") for name in ("accuracy", "loss", "hard_accuracy", "hard_loss")
    }
    lines = []
    for seed in (0, 1):
        options = vars(build_parser().parse_args(["lenet5", "--seed", str(seed)]))
        assert describe(options) == "network=lenet5"
        lines.append(json.dumps({"options": options, **figures, "accuracy": 98.0 + seed, "process_seconds": 9}))
    (tmp_path / "trials.jsonl").write_text("\n".join(lines))
    print_table(tmp_path / "trials.jsonl")
    assert "| network=lenet5 | 0,1 | 98.50 (0.71) |" in capsys.readouterr().out
