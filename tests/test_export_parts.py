"""Single parts of an export: comparing answers, choosing images, what int8 leaves alone, text of unknown origin."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from fake_study import build_fake_study
from roadtest.export import card, pictures
from roadtest.export.card import plain
from roadtest.export.parity import compare_answers
from roadtest.export.quantise import nodes_before_sampling
from roadtest.record import Predictions, read_record


def test_differences_and_changed_predictions_are_counted() -> None:
    expected_NK = np.array([[2, 1], [0, 5], [1, 0]], np.float32)
    found_NK = np.array([[2, 1.5], [0, 4.75], [1, 1.25]], np.float32)
    parity = compare_answers(expected_NK, found_NK, np.array([0, 1, 1]))
    # the last image went over to class 1, which is right; its logit moved farthest, by 1.25
    assert (parity.num_images, parity.num_changed, parity.largest_difference) == (3, 1, 1.25)
    assert (parity.num_correct, parity.largest_logit) == (3, 5.0)
    assert compare_answers(expected_NK, found_NK, None).num_correct is None


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


def test_int8_is_calibrated_on_training_images_and_never_on_validation_or_test(tmp_path: Path) -> None:
    splits = ["train"] * 8 + ["test"] * 3 + ["drawn"] * 2
    (tmp_path / "split.csv").write_text("split\n" + "".join(f"{split}\n" for split in splits))
    images_NHWC = np.arange(13, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    val = Predictions(
        logits_NK=np.zeros((2, 2), np.float16), labels_N=np.array([0, 1]), image_ids_N=np.array([2, 5], np.int64)
    )
    run_dir = tmp_path / "lenet5" / "seed-0"
    found = pictures.RunImages(run_dir=run_dir, images_NHWC=images_NHWC, val=val)
    assert found.calibration()[:, 0, 0, 0].tolist() == [0, 1, 3, 4, 6, 7]
    (tmp_path / "split.csv").unlink()
    with pytest.raises(ValueError, match="lies in no study"):
        found.calibration()


def test_many_validation_images_are_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_CHECKED", 3)
    ids_N = np.arange(9, dtype=np.int64)
    val = Predictions(logits_NK=np.zeros((9, 2), np.float16), labels_N=ids_N % 2, image_ids_N=ids_N)
    images_NHWC = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    found = pictures.RunImages(run_dir=Path("run"), images_NHWC=images_NHWC, val=val).validation()
    assert found.words == "3 of the 9 validation images"
    assert found.images_NHWC[:, 0, 0, 0].tolist() == [0, 4, 8]
    assert found.labels_N is not None and found.labels_N.tolist() == [0, 0, 0]


def test_drawn_signs_are_the_same_every_time() -> None:
    once, again = pictures.draw_pictures(32, 4), pictures.draw_pictures(32, 4)
    assert np.array_equal(once.images_NHWC, again.images_NHWC) and once.labels_N is None
    assert len({image.tobytes() for image in once.images_NHWC}) == 4


def test_the_card_says_where_the_weights_started_and_what_its_lines_do_not_do(tmp_path: Path) -> None:
    study_dir = build_fake_study(tmp_path / "study", networks=["lenet5"], seeds=1, has_examples=False)
    record = read_record(study_dir / "lenet5" / "seed-0")
    assert "Started from" not in card._training(record)
    pretrained = replace(record, pretrained_weights="timm/resnet18.a1_in1k model.safetensors sha256:0123456789abcdef")
    assert card._training(pretrained).endswith(
        "Started from timm/resnet18.a1\\_in1k model.safetensors sha256:0123456789abcdef."
    )
    assert "laid transparency over white and kept the high byte of 16-bit pictures" in card._use(record, [])


def test_names_from_anybody_cannot_break_out_of_their_place() -> None:
    assert plain("a|b\n# <script>[x](y)`") == r"a\|b \# \<script\>\[x\](y)\`"
