"""The speed benchmarks run, tell ratios, and compare equal networks; no test here looks at a time."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from roadtest.networks import build_network

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "peers"))
import many_images
import plain_networks
import side_by_side
import small_maps
import start_up
import time_to_accuracy
import train_ladder
import train_speed
from side_by_side import Sample

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TOY = ("--networks", "lenet5", "--num-images", "256", "--min-seconds", "0", "--rounds", "1", "--num-threads", "1")
"""Two steps per contender."""


def _samples(**speeds: list[float]) -> list[Sample]:
    """One network's samples of a second each."""
    return [
        Sample(label="lenet5", contender=name, round=i, num_images=round(speed), seconds=1.0, others_cores=0.0)
        for name, of_rounds in speeds.items()
        for i, speed in enumerate(of_rounds)
    ]


def test_a_ratio_is_formed_within_a_round() -> None:
    # Rounds: 200/100, 90/30, 40/10: 2, 3 and 4. The ratio of the medians would be 90/30 = 3 as well, of means 2.36.
    samples = _samples(ours=[200, 90, 40], theirs=[100, 30, 10])
    ratio = side_by_side.ratio_of(samples, "lenet5", "ours", "theirs")
    assert (ratio.median, ratio.low, ratio.high) == (3, 2, 4)


def test_every_round_begins_with_another_contender(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def pretend(contender: side_by_side.Contender, job: dict[str, Any]) -> tuple[dict[str, Any], float]:
        started.append((job["network"], contender.name))
        return {"num_images": 1, "seconds": 1.0}, 0.0

    monkeypatch.setattr(side_by_side, "run_contender", pretend)
    contenders = [side_by_side.Contender(name=name, script="") for name in "ab"]
    jobs = {"x": {"network": "x"}, "y": {"network": "y"}}
    assert len(list(side_by_side.run_rounds(contenders, jobs, 2))) == 8
    assert "".join(network + name for network, name in started) == "xaxb" + "yayb" + "xbxa" + "ybya"


def test_peers_do_not_inherit_what_the_user_set_for_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    monkeypatch.setenv("SOMETHING_ELSE", "kept")
    environment = side_by_side.plain_environment()
    assert environment["SOMETHING_ELSE"] == "kept"
    assert not [name for name in environment if name.startswith(side_by_side.LIBRARY_VARIABLES)]


@pytest.mark.parametrize(  # the residual networks are the same code
    "label", ["lenet5", "lenet5+stn", pytest.param("vgg16", marks=pytest.mark.slow)]
)
def test_the_usual_form_of_a_network_gives_the_same_logits(label: str) -> None:
    name, _, stn = label.partition("+")
    ours = build_network(name, num_classes=43, image_size=32, has_stn=bool(stn), seed=0).eval()
    plain = plain_networks.build_plain(name, num_classes=43, image_size=32, has_stn=bool(stn)).eval()
    if stn:
        # Off the identity, so that the grids must agree where they differ from it.
        torch.nn.init.normal_(ours.stn.theta.weight, std=0.01, generator=torch.Generator().manual_seed(1))
    # The usual form has no adaptive pool before its linear layer.
    names = {name: name.removeprefix("stn.").replace("localisation.8", "localisation.7") for name in ours.state_dict()}
    plain.load_state_dict({names[name]: value for name, value in ours.state_dict().items()})
    images_NCHW = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    # With gradients on: without them a network may take another path.
    torch.testing.assert_close(plain(images_NCHW), ours(images_NCHW), rtol=1e-3, atol=1e-4)


def test_the_strong_peer_stays_under_60_lines() -> None:
    assert len((BENCHMARKS / "peers" / "strong.py").read_text().splitlines()) < 60


def test_a_network_or_peer_that_is_not_known_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train_speed.main(["--networks", "lenet6"])
    assert "'lenet6' is not known: choose from lenet5" in capsys.readouterr().err


@pytest.mark.slow
def test_train_speed_prints_every_contender_and_keeps_its_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lightning")
    train_speed.main([*TOY, "--out", str(tmp_path)])
    table = capsys.readouterr().out
    names = [*train_speed.PEERS, train_speed.OURS, train_speed.BARE]
    assert [name for name in names if f"\n| {name} | " not in table] == []
    (written,) = tmp_path.glob("train-speed-*.json")
    results = json.loads(written.read_text())
    assert [(s["contender"], s["num_images"]) for s in results["samples"]] == [(name, 256) for name in names]
    assert written.with_suffix(".md").read_text() == table
    assert results["about"]["environments"]["strong"] == {}


@pytest.mark.slow
def test_the_ladder_prints_every_rung(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_ladder.main([*TOY, "--out", str(tmp_path)])
    table = capsys.readouterr().out
    rungs = [rung.name for rung in train_ladder.list_rungs(1)]
    assert len(rungs) == 11
    assert [name for name in rungs if f"\n| {name} | " not in table] == []


@pytest.mark.slow
def test_many_images_tells_memory_and_time_of_both_openings(capsys: pytest.CaptureFixture[str]) -> None:
    many_images.main(["--num-images", "300", "--num-classes", "3"])
    table = capsys.readouterr().out
    assert "| num_images | 300.0 | 300.0 |" in table
    figures = ("open_seconds", "own_memory_end_mb", "peak_resident_mb", "cache_mb")
    assert [name for name in figures if f"\n| {name} | " not in table] == []


@pytest.mark.slow
def test_opening_costs_are_told_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    start_up.main(["--rounds", "1", "--num-images", "430", "--train-epochs", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [name for name in start_up.COSTS if not any(line.startswith(name) for line in lines)] == []


def test_small_maps_are_compared_layer_by_layer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(small_maps, "LAYERS", ((8, 8, 2, 1), (8, 16, 2, 2)))
    monkeypatch.setattr(small_maps, "NETWORKS", ())
    monkeypatch.setattr(sys, "argv", ["small_maps.py", "--rounds", "2", "--num-threads", "1"])
    small_maps.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 8 to")]
    assert len(rows) == 2 and all(row.count("|") == 5 for row in rows)


def test_as_convolutions_undoes_what_building_did() -> None:
    network = build_network("resnet34", num_classes=3, image_size=32, has_stn=False, seed=0)
    assert any(isinstance(module, small_maps.SmallMapConv2d) for module in network.modules())
    small_maps.as_convolutions(network)
    assert not any(isinstance(module, small_maps.SmallMapConv2d) for module in network.modules())


def test_the_time_to_an_accuracy_is_the_median_of_those_that_passed() -> None:
    row = {"threshold": 97.2, "epoch": 8.0, "val_accuracy": 0.975, "test_accuracy": 0.96}
    rows = [{**row, "seed": k, "train_seconds": 40.0 + k, "has_passed": k != 1} for k in range(4)]
    text = time_to_accuracy.render(rows)
    # 40, 42 and 43 passed; the one that did not still counts for test
    assert text.endswith(
        "3 of 4 seeds passed 97.2 % in validation, after 42.0 s of training in the median; test: mean 96.00 %."
    )
    assert text.count("not passed") == 1


def test_a_threshold_belongs_to_its_network_unless_another_is_named() -> None:
    assert time_to_accuracy.read_options(["lenet5+stn", "--budget", "300"]).threshold == 99.1
    assert time_to_accuracy.read_options(["lenet5", "--budget", "60", "--threshold", "90"]).threshold == 90


@pytest.mark.slow
@pytest.mark.gtsrb
def test_one_seed_ends_where_it_passes_and_notes_its_reading(
    gtsrb_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADTEST_CACHE", str(tmp_path))
    words = ["lenet5", "--budget", "600", "--threshold", "20", "--data-dir", str(gtsrb_dir)]
    row = time_to_accuracy.run_seed(words, 0, 2)
    # The first row: the end of the first epoch, or of the second where one is over before the budget is timed.
    assert row["has_passed"] and row["epoch"] in (1, 2) and row["val_accuracy"] >= 0.2
    assert (tmp_path / "test-reads.csv").read_text().count("time_to_accuracy") == 1
