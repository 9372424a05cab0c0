"""The table of networks: maps beside counts, a row for one that cannot run, a sentence for one that should not."""

import json
from pathlib import Path

import pytest

from roadtest.cli.front import main


@pytest.mark.slow
def test_maps_are_shown_and_small_ones_named(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["networks", "resnet34+stn", "resnet34-imagenet", "--classes", "10", "--format", "json"])
    out, err = capsys.readouterr()
    assert code == 0
    assert [row["map_sides"] for row in json.loads(out)] == ["16 8 4 2", "16 8 4 2 1"]
    assert err.startswith("resnet34-imagenet: at 32 x 32 its maps shrink to 16, 8, 4, 2, 1; 5 convolutions see")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_of_several_one_that_cannot_run_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["networks", "lenet5", "resnet34", "--image-size", "24", "--format", "json"])
    rows = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [(row["network"], row["num_parameters"] is None) for row in rows] == [
        ("lenet5", True),
        ("lenet5", True),
        ("resnet34", False),
        ("resnet34", False),
    ]
    assert "cannot classify 24 x 24 images" in rows[0]["about"]


@pytest.mark.slow
def test_where_none_can_run_it_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "lenet5", "--image-size", "16"]) == 2
    assert "cannot classify 16 x 16 images" in capsys.readouterr().err


@pytest.mark.slow
def test_people_see_the_maps_in_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "lenet5", "--image-size", "24"]) == 2
    assert main(["networks", "resnet34-s1"]) == 0
    head, line, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["network", "parameters", "MACs", "maps"]
    assert "16 8 4  ResNet-34" in line


def test_a_network_of_ones_own_file_is_counted_and_not_advised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\n\ndef build(num_classes, image_size):\n"
        "    layers = nn.Conv2d(3, 4, 32, stride=32), nn.Conv2d(4, 4, 3, padding=1), nn.Flatten()\n"
        "    return nn.Sequential(*layers, nn.Linear(4, num_classes))\n"
    )
    assert main(["networks", f"{path}:build", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["map_sides"] == "1"
    assert err == ""
