"""Every kind of network becomes the same network in ONNX, in float32 and in int8, and an export can be repeated."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from exported import write_run
from roadtest.export import export_run
from roadtest.export.engine import open_session, run_logits
from roadtest.export.graph import Prepared, build_graph, write_graph
from roadtest.export.quantise import write_int8
from roadtest.networks import build_network
from roadtest.networks.pretrained import OwnConstants
from roadtest.record import RunRecord, read_record
from tiny import coloured_squares

pytestmark = pytest.mark.slow
IMAGES = coloured_squares().images_NHWC[:40]


@pytest.fixture(scope="module")
def stn_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("stn"), has_stn=True)


def shaken(name: str, *, has_stn: bool) -> nn.Module:
    """A network whose statistics are not those it starts with, and whose STN moves its images."""
    network = build_network(name, num_classes=3, image_size=32, has_stn=has_stn, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.normal_(0, 0.1, generator=generator)
                part.running_var.uniform_(0.5, 2, generator=generator)
        if has_stn:
            network.get_submodule("stn.theta").get_parameter("weight").normal_(0, 0.05, generator=generator)
    return network


@pytest.mark.parametrize(
    ("name", "has_stn", "normalisation"),
    [
        ("lenet5", True, "fixed"),
        ("resnet34", True, "per-image"),
        ("vgg16", False, "per-image"),
        ("timm:mobilenetv3_small_100", False, "per-image"),
        ("torchvision:resnet18", False, "per-image"),
    ],
)
def test_the_graph_answers_as_the_network(
    stn_run: Path, tmp_path: Path, name: str, has_stn: bool, normalisation: str
) -> None:
    torch.set_num_threads(1)
    prepared = Prepared(shaken(name, has_stn=has_stn), normalisation).eval()
    plain: dict[str, Any] = {**vars(read_record(stn_run)), "network": name, "has_stn": has_stn}
    model = build_graph(prepared, RunRecord(**{**plain, "normalisation": normalisation}))
    write_graph(tmp_path / "model.onnx", model)
    with torch.inference_mode():
        expected_NK = prepared(torch.from_numpy(IMAGES))[0].numpy()
    found_NK = run_logits(open_session(tmp_path / "model.onnx", num_threads=1), IMAGES, batch_size=7)
    assert np.abs(found_NK - expected_NK).max() < 1e-4 * max(1.0, float(np.abs(expected_NK).max()))
    operators = {node.op_type for node in model.graph.node}
    assert ("GridSample" in operators) is has_stn and "BatchNormalization" not in operators
    if name == "vgg16":  # 25,088 x 4,096 weights became 512 x 4,096: 33.7 million numbers are left of 134
        assert (tmp_path / "model.onnx").stat().st_size < 140_000_000


@pytest.mark.parametrize("has_stn", [False, True])
def test_int8_takes_a_pretrained_networks_step_to_its_own_constants_in_float32(
    stn_run: Path, tmp_path: Path, has_stn: bool
) -> None:
    network = shaken("lenet5", has_stn=has_stn)
    inner = network.get_submodule("network") if has_stn else network
    own = OwnConstants(inner, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    if has_stn:
        network.add_module("network", own)
    else:
        network = own
    model = build_graph(Prepared(network.eval(), "fixed").eval(), read_record(stn_run))
    write_graph(tmp_path / "model.onnx", model)
    write_int8(tmp_path / "model.onnx", tmp_path / "int8.onnx", IMAGES)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    makers = {output: node for node in graph.node for output in node.output}
    before, waiting = [], [next(node for node in graph.node if node.op_type == "QuantizeLinear").input[0]]
    while waiting:
        if (node := makers.get(waiting.pop())) is not None:
            before.append(node.op_type)
            waiting.extend(node.input)
    # the first value that is rounded comes out of the step, and nothing on the way to it was rounded
    assert before[0] == "Add" and "Mul" in before and "Cast" in before
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(before) and ("GridSample" in before) is has_stn


def test_a_network_that_decides_by_values_is_refused_in_one_line(stn_run: Path) -> None:
    class Deciding(nn.Module):
        def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
            return images_NCHW.mean((2, 3)) if float(images_NCHW.sum()) > 0 else images_NCHW.amax((2, 3))

    with pytest.raises(ValueError, match="cannot be written as ONNX") as error:
        build_graph(Prepared(Deciding(), "fixed").eval(), read_record(stn_run))
    assert "\n" not in str(error.value)


def test_int8_stands_beside_float32_and_a_second_export_gives_the_same_bytes(stn_run: Path, tmp_path: Path) -> None:
    more: dict[str, Any] = {"num_rounds": 1, "seconds_per_visit": 0.001, "num_threads": 1}
    more["cache_dir"] = stn_run.parents[2] / "cache"
    once = export_run(stn_run, tmp_path / "once", has_int8=True, has_own_images=True, **more)
    again = export_run(stn_run, tmp_path / "again", has_int8=True, check_on="test", **more)
    for name in ("model.onnx", "model-int8.onnx", "classes.json", "measure.py"):
        assert (once.folder / name).read_bytes() == (again.folder / name).read_bytes(), name
    torch_row, onnx_row, int8_row = once.rows
    assert onnx_row["num_changed"] == 0 and onnx_row["largest_difference"] < 1e-4
    assert int8_row["size_bytes"] < onnx_row["size_bytes"] and int8_row["precision"] == "int8"
    assert abs(int8_row["val_accuracy"] - torch_row["val_accuracy"]) <= 0.2  # of 30 images
    assert all(row["latency_p50_ms"] > 0 and row["latency_64_p50_ms"] > 0 for row in once.rows)
    assert {one.runtime for one in once.samples} == {"pytorch", "onnxruntime", "onnxruntime-int8"}
    assert {(one.network, one.has_stn, one.device) for one in once.samples} == {("lenet5", True, "cpu")}
    assert again.checked_on == "all 30 test images" and again.rows[1]["val_accuracy"] is None
    _check_packed(once.folder)


def _check_packed(folder: Path) -> None:
    with np.load(folder / "sample.npz") as arrays:
        packed = dict(arrays)
    everything = coloured_squares().images_NHWC
    assert all(any(np.array_equal(image, own) for own in everything) for image in packed["images_NHWC"])
    session = open_session(folder / "model-int8.onnx", num_threads=1)
    assert np.array_equal(run_logits(session, packed["images_NHWC"]), packed["logits_int8_NK"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["packed"] == "validation images" and "model-int8.onnx" in manifest["sha256"]
    card = (folder / "README.md").read_text()
    assert "- `sample.npz`: ten validation images" in card and "ONNX Runtime, int8" in card
