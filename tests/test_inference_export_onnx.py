"""Single parts of an export: comparing answers, choosing images, what int8 leaves alone, text of unknown origin.

Every kind of network becomes the same network in ONNX, in float32 and in int8, and an export can be repeated."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

from exported import write_run
from fake_study import build_fake_study
from roadtest.format import statement_about
from roadtest.inference.export import bundle, card, export_run
from roadtest.inference.export.card import plain
from roadtest.inference.export.onnx import (
    Prepared,
    build_graph,
    compare_logits,
    join_parities,
    nodes_before_learning,
    nodes_before_sampling,
    open_session,
    run_logits,
    write_graph,
    write_int8,
)
from roadtest.networks import build_network
from roadtest.networks.pretrained import OwnConstants
from roadtest.records import Predictions, RunRecord, read_record, write_predictions
from tiny import coloured_squares


def test_differences_and_changed_predictions_are_counted() -> None:
    expected_NK = np.array([[2, 1], [0, 5], [1, 0]], np.float32)
    found_NK = np.array([[2, 1.5], [0, 4.75], [1, 1.25]], np.float32)
    parity = compare_logits(expected_NK, found_NK, np.array([0, 1, 1]))
    # the last image went over to class 1, which is right; its logit moved farthest, by 1.25
    assert (parity.num_images, parity.num_changed, parity.largest_difference) == (3, 1, 1.25)
    assert (parity.num_correct, parity.largest_logit) == (3, 5.0)
    assert compare_logits(expected_NK, found_NK, None).num_correct is None


def test_batches_are_added_up_to_what_all_images_give_together() -> None:
    generator = np.random.default_rng(0)
    expected_NK, found_NK = generator.normal(size=(2, 10, 3)).astype(np.float32)
    labels_N = generator.integers(0, 3, 10)
    parts = [slice(0, 4), slice(4, 8), slice(8, 10)]
    joined = join_parities([compare_logits(expected_NK[part], found_NK[part], labels_N[part]) for part in parts])
    assert joined == compare_logits(expected_NK, found_NK, labels_N)
    unlabelled = [compare_logits(expected_NK[part], found_NK[part], None) for part in parts]
    assert join_parities(unlabelled).num_correct is None


def test_an_answer_that_is_no_number_is_not_lost_among_the_batches() -> None:
    good_NK, bad_NK = np.zeros((1, 2), np.float32), np.array([[np.nan, 0]], np.float32)
    for answers in ((good_NK, bad_NK), (bad_NK, good_NK)):
        joined = join_parities([compare_logits(good_NK, answer_NK, None) for answer_NK in answers])
        assert np.isnan(joined.largest_difference)


def test_int8_leaves_alone_what_a_sampling_grid_is_computed_from() -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], name="cast"),
        helper.make_node("Conv", ["floats", "w"], ["features"], name="localise"),
        helper.make_node("Gemm", ["features", "theta"], ["grid"], name="theta"),
        helper.make_node("GridSample", ["floats", "grid"], ["warped"], name="sample"),
        helper.make_node("Conv", ["warped", "v"], ["logits"], name="classify"),
    ]
    graph = helper.make_graph(nodes, "stn", [], [])
    assert nodes_before_sampling(graph) == {"cast", "localise", "theta"}
    assert nodes_before_sampling(helper.make_graph(nodes[:3], "none", [], [])) == set()


def test_int8_leaves_alone_what_comes_before_the_first_learned_layer() -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], name="cast"),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"], name="scale"),
        helper.make_node("Add", ["scaled", "offset"], ["own"], name="offset"),
        helper.make_node("Conv", ["own", "w"], ["features"], name="stem"),
        helper.make_node("MaxPool", ["features"], ["pooled"], name="pool"),
        helper.make_node("Add", ["pooled", "own"], ["sum"], name="shortcut"),
        helper.make_node("Gemm", ["sum", "v"], ["logits"], name="classify"),
    ]
    graph = helper.make_graph(nodes, "pretrained", [], [])
    assert nodes_before_learning(graph, set()) == {"cast", "scale", "offset"}
    without_convolutions = helper.make_graph([*nodes[:3], *nodes[6:]], "mlp", [], [])
    assert nodes_before_learning(without_convolutions, set()) == {"cast", "scale", "offset"}


def test_int8_leaves_alone_what_stands_between_a_sampling_and_the_first_learned_layer() -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], name="cast"),
        helper.make_node("Conv", ["floats", "w"], ["grid"], name="localise"),
        helper.make_node("GridSample", ["floats", "grid"], ["warped"], name="sample"),
        helper.make_node("Add", ["warped", "offset"], ["own"], name="offset"),
        helper.make_node("Conv", ["own", "v"], ["logits"], name="classify"),
        helper.make_node("Add", ["logits", "b"], ["more"], name="bias"),
    ]
    graph = helper.make_graph(nodes, "stn", [], [])
    sampled = nodes_before_sampling(graph)
    assert sampled | nodes_before_learning(graph, sampled) == {"cast", "localise", "sample", "offset"}


def test_int8_is_calibrated_on_training_images_and_never_on_validation_or_test(tmp_path: Path) -> None:
    splits = ["train"] * 8 + ["test"] * 3 + ["drawn"] * 2
    (tmp_path / "split.csv").write_text("split\n" + "".join(f"{split}\n" for split in splits))
    images_NHWC = np.arange(13, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    val = Predictions(
        logits_NK=np.zeros((2, 2), np.float16), labels_N=np.array([0, 1]), image_ids_N=np.array([2, 5], np.int64)
    )
    run_dir = tmp_path / "lenet5" / "seed-0"
    found = bundle.RunImages(run_dir=run_dir, images_NHWC=images_NHWC, val=val)
    assert found.calibration()[:, 0, 0, 0].tolist() == [0, 1, 3, 4, 6, 7]
    (tmp_path / "split.csv").unlink()
    with pytest.raises(ValueError, match="lies in no study"):
        found.calibration()


def test_many_validation_images_are_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_CHECKED", 3)
    ids_N = np.arange(9, dtype=np.int64)
    val = Predictions(logits_NK=np.zeros((9, 2), np.float16), labels_N=ids_N % 2, image_ids_N=ids_N)
    images_NHWC = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    found = bundle.RunImages(run_dir=Path("run"), images_NHWC=images_NHWC, val=val).validation()
    assert found.words == "3 of the 9 validation images"
    ((images_NHWC, labels_N),) = found.batches()
    assert images_NHWC[:, 0, 0, 0].tolist() == [0, 4, 8]
    assert labels_N is not None and labels_N.tolist() == [0, 0, 0]


def test_however_many_images_are_compared_few_are_in_memory_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MAX_AT_ONCE", 3)
    ids_N = np.arange(8, dtype=np.int64)[::-1]
    answers = Predictions(logits_NK=np.zeros((8, 2), np.float16), labels_N=ids_N % 2, image_ids_N=ids_N)
    write_predictions(tmp_path / "test.npz", answers)
    images_NHWC = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    found = bundle.RunImages(run_dir=tmp_path, images_NHWC=images_NHWC, val=answers)
    test = found.test()
    assert test.stored_NHWC is images_NHWC and test.words == "all 8 test images"
    batches = [(part_NHWC[:, 0, 0, 0].tolist(), labels_N) for part_NHWC, labels_N in test.batches()]
    assert batches == [([7, 6, 5], None), ([4, 3, 2], None), ([1, 0], None)]
    labels = [labels_N.tolist() for _, labels_N in found.validation().batches() if labels_N is not None]
    assert labels == [[1, 0, 1], [0, 1, 0], [1, 0]]
    # an image of 2 x 2 has 12 bytes: two fit into 24, and one is taken where none fits
    for num_bytes, num_images in ((24, 2), (5, 1)):
        monkeypatch.setattr(bundle, "MAX_BYTES_AT_ONCE", num_bytes)
        assert max(len(part_NHWC) for part_NHWC, _ in test.batches()) == num_images


def test_drawn_signs_are_the_same_every_time() -> None:
    once, again = bundle.synthetic_images(32, 4), bundle.synthetic_images(32, 4)
    assert np.array_equal(once.stored_NHWC, again.stored_NHWC) and once.labels_N is None
    assert len({image.tobytes() for image in once.stored_NHWC}) == 4 and once.ids_N.tolist() == [0, 1, 2, 3]


def test_the_card_says_where_the_weights_started_and_what_its_lines_do_not_do(tmp_path: Path) -> None:
    study_dir = build_fake_study(tmp_path / "study", networks=["lenet5"], seeds=1, has_examples=False)
    record = read_record(study_dir / "lenet5" / "seed-0")
    row = {"runtime": "pytorch", "size_bytes": 10**6, "largest_logit": 1.0, "val_accuracy": 0.5}
    row |= {"latency_p50_ms": None, "latency_64_p50_ms": None}

    def rendered(record: RunRecord) -> str:
        run_dir = study_dir / "lenet5" / "seed-0"
        return card.render_card(run_dir, record, [row], checked_on="x", packed="y", machine=record.machine)

    assert "Started from" not in rendered(record)
    pretrained = replace(record, pretrained_weights="timm/resnet18.a1_in1k model.safetensors sha256:0123456789abcdef")
    assert "Started from timm/resnet18.a1\\_in1k model.safetensors sha256:0123456789abcdef." in rendered(pretrained)
    assert "laid transparency over white and kept the high byte of 16-bit pictures" in rendered(record)


def test_the_card_speaks_of_signs_where_the_data_show_signs() -> None:
    assert statement_about("on new signs of this kind", "signs") == "on new signs of this kind"
    assert statement_about("on new signs of this kind", "images") == "on new images of this kind"


def test_names_from_anybody_cannot_break_out_of_their_place() -> None:
    assert plain("a|b\n# <script>[x](y)`") == r"a\|b \# \<script\>\[x\](y)\`"


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


@pytest.mark.slow
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
    write_graph(tmp_path / "model.onnx", prepared, RunRecord(**{**plain, "normalisation": normalisation}))
    with torch.inference_mode():
        expected_NK = prepared(torch.from_numpy(IMAGES))[0].numpy()
    found_NK = run_logits(open_session(tmp_path / "model.onnx", num_threads=1), IMAGES, batch_size=7)
    assert np.abs(found_NK - expected_NK).max() < 1e-4 * max(1.0, float(np.abs(expected_NK).max()))
    operators = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert ("GridSample" in operators) is has_stn and "BatchNormalization" not in operators
    if name == "vgg16":  # 25,088 x 4,096 weights became 512 x 4,096: 33.7 million numbers are left of 134
        assert (tmp_path / "model.onnx").stat().st_size < 140_000_000


@pytest.mark.slow
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
    write_graph(tmp_path / "model.onnx", Prepared(network.eval(), "fixed").eval(), read_record(stn_run))
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


@pytest.mark.slow
def test_a_network_that_decides_by_values_is_refused_in_one_line(stn_run: Path) -> None:
    class Deciding(nn.Module):
        def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
            return images_NCHW.mean((2, 3)) if float(images_NCHW.sum()) > 0 else images_NCHW.amax((2, 3))

    with pytest.raises(ValueError, match="cannot be written as ONNX") as error:
        build_graph(Prepared(Deciding(), "fixed").eval(), read_record(stn_run))
    assert "\n" not in str(error.value)


@pytest.mark.slow
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
