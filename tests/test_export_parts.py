"""Single parts of an export: comparing answers, choosing images, what int8 leaves alone, text of unknown origin."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from fake_study import build_fake_study
from roadtest.export import card, pictures
from roadtest.export.card import plain
from roadtest.export.parity import compare_answers, join_parities
from roadtest.export.quantise import nodes_before_learning, nodes_before_sampling
from roadtest.record import Predictions, read_record, write_predictions


def test_differences_and_changed_predictions_are_counted() -> None:
    expected_NK = np.array([[2, 1], [0, 5], [1, 0]], np.float32)
    found_NK = np.array([[2, 1.5], [0, 4.75], [1, 1.25]], np.float32)
    parity = compare_answers(expected_NK, found_NK, np.array([0, 1, 1]))
    # the last image went over to class 1, which is right; its logit moved farthest, by 1.25
    assert (parity.num_images, parity.num_changed, parity.largest_difference) == (3, 1, 1.25)
    assert (parity.num_correct, parity.largest_logit) == (3, 5.0)
    assert compare_answers(expected_NK, found_NK, None).num_correct is None


def test_batches_are_added_up_to_what_all_images_give_together() -> None:
    generator = np.random.default_rng(0)
    expected_NK, found_NK = generator.normal(size=(2, 10, 3)).astype(np.float32)
    labels_N = generator.integers(0, 3, 10)
    parts = [slice(0, 4), slice(4, 8), slice(8, 10)]
    joined = join_parities([compare_answers(expected_NK[part], found_NK[part], labels_N[part]) for part in parts])
    assert joined == compare_answers(expected_NK, found_NK, labels_N)
    unlabelled = [compare_answers(expected_NK[part], found_NK[part], None) for part in parts]
    assert join_parities(unlabelled).num_correct is None


def test_an_answer_that_is_no_number_is_not_lost_among_the_batches() -> None:
    good_NK, bad_NK = np.zeros((1, 2), np.float32), np.array([[np.nan, 0]], np.float32)
    for answers in ((good_NK, bad_NK), (bad_NK, good_NK)):
        joined = join_parities([compare_answers(good_NK, answer_NK, None) for answer_NK in answers])
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
    ((images_NHWC, labels_N),) = found.batches()
    assert images_NHWC[:, 0, 0, 0].tolist() == [0, 4, 8]
    assert labels_N is not None and labels_N.tolist() == [0, 0, 0]


def test_however_many_images_are_compared_few_are_in_memory_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_AT_ONCE", 3)
    ids_N = np.arange(8, dtype=np.int64)[::-1]
    answers = Predictions(logits_NK=np.zeros((8, 2), np.float16), labels_N=ids_N % 2, image_ids_N=ids_N)
    write_predictions(tmp_path / "test.npz", answers)
    images_NHWC = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    found = pictures.RunImages(run_dir=tmp_path, images_NHWC=images_NHWC, val=answers)
    test = found.test()
    assert test.stored_NHWC is images_NHWC and test.words == "all 8 test images"
    batches = [(part_NHWC[:, 0, 0, 0].tolist(), labels_N) for part_NHWC, labels_N in test.batches()]
    assert batches == [([7, 6, 5], None), ([4, 3, 2], None), ([1, 0], None)]
    labels = [labels_N.tolist() for _, labels_N in found.validation().batches() if labels_N is not None]
    assert labels == [[1, 0, 1], [0, 1, 0], [1, 0]]
    # an image of 2 x 2 has 12 bytes: two fit into 24, and one is taken where none fits
    for num_bytes, num_images in ((24, 2), (5, 1)):
        monkeypatch.setattr(pictures, "MAX_BYTES_AT_ONCE", num_bytes)
        assert max(len(part_NHWC) for part_NHWC, _ in test.batches()) == num_images


def test_drawn_signs_are_the_same_every_time() -> None:
    once, again = pictures.draw_pictures(32, 4), pictures.draw_pictures(32, 4)
    assert np.array_equal(once.stored_NHWC, again.stored_NHWC) and once.labels_N is None
    assert len({image.tobytes() for image in once.stored_NHWC}) == 4 and once.ids_N.tolist() == [0, 1, 2, 3]


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
