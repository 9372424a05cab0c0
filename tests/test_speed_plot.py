"""The picture of the training speeds: every contender and number is in it, and nothing of it needs colour."""

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import speed_plot


def block(**speeds: list[float]) -> dict[str, Any]:
    samples = [
        {"label": "x", "contender": name, "round": i, "num_images": speed, "seconds": 1.0}
        | {"num_threads": 2, "others_cores": 0.0}
        for name, of_rounds in speeds.items()
        for i, speed in enumerate(of_rounds)
    ]
    return {"environments": {name: {} for name in speeds}, "samples": samples, "failures": []}


def test_every_contender_of_every_network_is_drawn_in_greys(tmp_path: Path) -> None:
    networks = {
        "lenet5": block(idiomatic=[1400, 1500, 1600], roadtest=[12000, 13000, 12500], lightning=[]),
        "vgg16": block(idiomatic=[40, 46, 48], roadtest=[90, 92, 95]),
    }
    speed_plot.write_plot(tmp_path / "speed.svg", networks)
    svg = (tmp_path / "speed.svg").read_text()
    for word in ("lenet5", "vgg16", "idiomatic", "roadtest", "1,500", "12,500", "46", "92"):
        assert f">{word}</text>" in svg
    assert ">lightning</text>" not in svg  # it failed: nothing to draw
    colours = set(re.findall(r"#[0-9a-f]{6}", svg.lower()))
    # what little tint a grey has leaves it a grey: channels differ by less than a twelfth
    channels = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours]
    assert colours and all(max(one) - min(one) <= 20 for one in channels)


def test_panels_span_equal_ratios() -> None:
    rows = {
        name: speed_plot.plot_rows(some)
        for name, some in {
            "a": block(idiomatic=[10], roadtest=[200]),
            "b": block(idiomatic=[1000], roadtest=[2000]),
        }.items()
    }
    specs = [speed_plot.build_figure(rows).panels[i].chart.to_dict(validate=False) for i in (0, 1)]
    domains = [spec["layer"][0]["encoding"]["x"]["scale"]["domain"] for spec in specs]
    assert domains[0][1] / domains[0][0] == pytest.approx(domains[1][1] / domains[1][0])
    assert speed_plot.round_ticks(6.2, 230.0) == [10, 20, 50, 100, 200]


def test_nothing_measured_gives_a_picture_without_panels(tmp_path: Path) -> None:
    speed_plot.write_plot(tmp_path / "speed.svg", {"lenet5": block(idiomatic=[])})
    assert (tmp_path / "speed.svg").read_text().startswith("<svg")
