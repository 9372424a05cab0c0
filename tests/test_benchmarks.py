"""The speed benchmarks run, tell ratios, and compare equal networks; no test here looks at a time."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.peers import contender, plain_networks, probe
from benchmarks.speed import many_images, side_by_side, small_maps, start_up, train_ladder, train_speed
from forked import run_script
from roadtest.networks import build_network

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TOY = ("--networks", "lenet5", "--num-images", "256", "--min-seconds", "0", "--rounds", "1", "--num-threads", "1")
"""Two steps per contender."""


def _job(**more: Any) -> contender.Job:
    """LeNet-5 on two images a step."""
    values = {"network": "lenet5", "has_stn": False, "num_images": 4, "image_size": 32, "num_classes": 43}
    values |= {"batch_size": 2, "learning_rate": 0.01, "num_threads": 1, "min_seconds": 0.0, "folder": ""}
    return contender.Job(**{**values, **more})


def test_a_short_epoch_asks_workers_for_nothing_beyond_its_end() -> None:
    sampler = torch.utils.data.BatchSampler(range(100), 5, drop_last=True)
    asked = []

    def greedy() -> Any:
        """As a loader with workers, which asks for more than it has given."""
        batches = list(sampler)
        asked.append(len(batches))
        yield from ((torch.tensor(batch), torch.tensor(batch)) for batch in batches)

    class Loader:
        def __iter__(self) -> Any:
            return greedy()

    loader: Any = Loader()
    assert [len(list(contender.epoch_of(loader, sampler, steps))) for steps in (3, None)] == [3, 20]
    assert asked == [3, 20]


def test_no_network_is_trained_at_more_than_its_own_rate() -> None:
    assert train_speed.rate_of("vgg16") == 0.01 and train_speed.rate_of("lenet5+stn") == 0.1
    assert train_speed.rate_of("resnet34-imagenet") == 0.01  # none of its own: the lowest


def test_a_hopeless_precision_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe.worth_trying({"float32": 10.0, "bfloat16": 31.0}) == ["float32"]
    assert probe.worth_trying({"float32": 10.0}) == ["float32"]
    assert probe.worth_trying({"float32": 10.0, "bfloat16": 29.0}) == ["float32", "bfloat16"]
    ticks = iter(range(0, 1000, 3))  # every step takes three seconds
    monkeypatch.setattr(probe.time, "perf_counter", lambda: next(ticks))
    steps = []
    monkeypatch.setattr(probe, "take_step", lambda *parts: steps.append(parts))
    assert probe.measure_step_ms(_job(), "bfloat16", "contiguous", best_ms=900.0) == 3000 and len(steps) == 1
    assert probe.measure_step_ms(_job(), "float32", "contiguous", best_ms=1100.0) == 3000 and len(steps) == 5


@pytest.mark.slow
def test_macs_are_counted_as_a_step_computes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    # LeNet-5, two channels padded to the first six: forward 8 x 75 x 28 x 28, 16 x 200 x 10 x 10 and the matrix
    # products; backward twice that, but for the gradient of the images.
    first, second, rest = 8 * 75 * 28 * 28, 16 * 200 * 10 * 10, 120 * 400 + 84 * 120 + 43 * 84
    assert probe.count_step_macs(_job(), "float32") == 3 * (first + second + rest) - first
    resnet = _job(network="resnet34")
    counted = probe.count_step_macs(resnet, "float32")
    assert probe.count_step_macs(resnet, "bfloat16") == counted
    # the library's way multiplies with the padding of maps of 2 x 2 as well
    monkeypatch.setattr("roadtest.networks.small_maps.MAX_SIDE", 0)
    assert counted < 0.95 * probe.count_step_macs(resnet, "float32")


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
def test_train_speed_prints_every_contender_and_keeps_the_samples_of_other_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "run_process", run_script)
    train_speed.main([*TOY, "--out", str(tmp_path)])
    table = capsys.readouterr().out
    names = [*train_speed.PEERS, train_speed.OURS, train_speed.BARE]
    has_lightning = importlib.util.find_spec("lightning") is not None
    # a peer that is not installed is said to be left out, and nobody else suffers
    assert ("left out from round 1: lightning (code 1: ModuleNotFoundError" in table) != has_lightning
    names = [name for name in names if name != "lightning" or has_lightning]
    assert [name for name in names if f"\n| {name} | " not in table] == []
    (written,) = tmp_path.glob("train-speed-*.json")
    block = json.loads(written.read_text())["networks"]["lenet5"]
    assert [(s["contender"], s["num_images"]) for s in block["samples"]] == [(name, 256) for name in names]
    assert {s["num_threads"] for s in block["samples"]} == {1} and "- strong: 1 threads; nothing set" in table
    assert written.with_suffix(".md").read_text() == table
    assert ">strong</text>" in written.with_suffix(".svg").read_text()

    train_speed.main([*TOY, "--networks", "lenet5+stn", "--peers", "", "--out", str(tmp_path)])
    networks = json.loads(written.read_text())["networks"]
    assert list(networks) == ["lenet5", "lenet5+stn"] and networks["lenet5"] == block
    assert "### lenet5+stn" in written.with_suffix(".md").read_text()

    train_speed.main([*TOY, "--peers", "strong", "--held-to", "avx2", "--out", str(tmp_path)])
    (held,) = tmp_path.glob("train-speed-held-to-avx2-*.md")
    text = held.read_text()
    assert "Every library was held to AVX2" in text and "Every library was held" not in table
    assert text.count("ATEN_CPU_CAPABILITY=avx2") == 3  # strong, roadtest, bare step


@pytest.mark.slow
def test_the_ladder_prints_every_rung(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "run_process", run_script)
    train_ladder.main([*TOY, "--out", str(tmp_path)])
    table = capsys.readouterr().out
    rungs = [rung.name for rung in train_ladder.list_rungs(1)]
    assert len(rungs) == 11
    assert [name for name in rungs if f"\n| {name} | " not in table] == []
    (written,) = tmp_path.glob("train-ladder-*.json")
    assert len(json.loads(written.read_text())["networks"]["lenet5"]["samples"]) == 11


@pytest.mark.slow
def test_many_images_tells_memory_and_time_of_both_openings(capsys: pytest.CaptureFixture[str]) -> None:
    many_images.main(["--num-images", "300", "--num-classes", "3"])
    table = capsys.readouterr().out
    assert "| num_images | 300.0 | 300.0 |" in table
    figures = ("open_seconds", "own_memory_end_mb", "peak_resident_mb", "cache_mb")
    assert [name for name in figures if f"\n| {name} | " not in table] == []


@pytest.mark.slow
def test_opening_costs_are_told_one_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--rounds", "1", "--num-signs", "860", "--train-images", "256", "--num-evaluated", "64"]
    start_up.main([*words, "--train-epochs", "2", "--out", str(tmp_path)])
    table = capsys.readouterr().out
    (written,) = tmp_path.glob("start-up-signs-*.json")
    costs = {cost["name"]: cost for cost in json.loads(written.read_text())["costs"]}
    assert [name for name in costs if f"\n| {name} | " not in table] == []
    drawn, reopened = costs["drawing 860 signs of 32 x 32"], costs["reopening the cache"]
    assert drawn["samples"][0] > reopened["samples"][0] > 0
    assert [name for name in costs if "peak memory" in name] == [f"lenet5's peak memory, epochs: {n}" for n in (1, 2)]
    assert "`python " in table and written.with_suffix(".md").read_text() == table


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_small_maps_are_compared_layer_by_layer(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(small_maps, "LAYERS", ((8, 8, 2, 1), (8, 16, 2, 2)))
    monkeypatch.setattr(small_maps, "NETWORKS", ())
    small_maps.main(["--rounds", "2", "--num-threads", "1", "--out", str(tmp_path), "--precision", precision])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 8 to")]
    assert len(rows) == 2 and all(row.count("|") == 5 for row in rows)
    (written,) = tmp_path.glob(f"small-maps-{precision}-*.json")
    assert [len(pairs) for pairs in json.loads(written.read_text())["pairs_ms"].values()] == [2, 2]


@pytest.mark.slow
def test_augmentation_is_timed_beside_its_peers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("kornia")
    from benchmarks.speed import augment_speed

    augment_speed.main(["--num-rounds", "2", "--batch-size", "4", "--num-threads", "1", "--out", str(tmp_path)])
    table = capsys.readouterr().out
    (written,) = tmp_path.glob("augment-speed-*.json")
    samples = json.loads(written.read_text())["us_per_image"]
    assert len(samples) == 6 and all(len(values) == 2 for values in samples.values())
    assert [name for name in samples if f"\n| {name} | " not in table] == []


@pytest.mark.slow
def test_as_convolutions_undoes_what_building_did() -> None:
    network = build_network("resnet34", num_classes=3, image_size=32, has_stn=False, seed=0)
    assert any(isinstance(module, small_maps.SmallMapConv2d) for module in network.modules())
    small_maps.as_convolutions(network)
    assert not any(isinstance(module, small_maps.SmallMapConv2d) for module in network.modules())
