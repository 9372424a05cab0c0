"""A bundle: the same answers as the trained network, everything inside that it needs, and all of it or nothing."""

import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import roadtest
from exported import write_cache, write_run
from roadtest.inference.classifier import Classifier
from roadtest.inference.export import Exported, bundle, export_run
from roadtest.inference.export.onnx import open_session, run_logits
from roadtest.records import read_predictions
from roadtest.records.events import Event
from tiny import CLASS_NAMES, coloured_squares

IMAGES = coloured_squares().images_NHWC


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of LeNet-5 whose images are in the cache beside its study."""
    return write_run(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def exported(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The run's bundle."""
    return export(run_dir, tmp_path_factory.mktemp("bundles") / "bundle")


def export(run_dir: Path, folder: Path, **more: Any) -> Exported:
    """Export without measuring latency."""
    cache_dir = run_dir.parents[2] / "cache"
    return export_run(run_dir, folder, **{"num_rounds": 0, "num_threads": 1, "cache_dir": cache_dir, **more})


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stop before anything is traced; tells whether it came so far."""
    reached: list[str] = []

    def stop(*_: object) -> None:
        reached.append("traced")
        raise ValueError("enough")

    monkeypatch.setattr(bundle, "write_graph", stop)
    monkeypatch.setattr(bundle, "NUM_SYNTHETIC", 3)
    monkeypatch.setattr(bundle, "NUM_PACKED", 2)
    return reached


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ValueError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.slow
def test_the_exported_network_answers_as_the_trained_one(run_dir: Path, exported: Exported) -> None:
    torch_row, onnx_row = exported.rows
    assert exported.checked_on == "all 30 validation images"  # a fold of 6 of the 24 tracks, 5 frames each
    assert onnx_row["num_changed"] == 0 and onnx_row["largest_difference"] < 1e-4
    val = read_predictions(run_dir / "val.npz")
    num_correct = int((val.logits_NK.argmax(1) == val.labels_N).sum())
    assert onnx_row["num_correct"] == torch_row["num_correct"] == num_correct
    assert onnx_row["val_accuracy"] == num_correct / 30


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3, 70])
def test_any_number_of_images_goes_in_as_bytes_and_probabilities_come_out(
    run_dir: Path, exported: Exported, batch_size: int
) -> None:
    session = open_session(exported.folder / "model.onnx", num_threads=1)
    logits_NK, probabilities_NK = session.run(None, {"images": IMAGES[:batch_size]})
    assert np.allclose(probabilities_NK, Classifier.from_run(run_dir)(IMAGES[:batch_size]), atol=1e-5)
    assert np.allclose(probabilities_NK.sum(1), 1, atol=1e-5) and logits_NK.shape == (batch_size, 3)


@pytest.mark.slow
def test_a_flat_image_has_an_answer_of_finite_numbers(exported: Exported) -> None:
    session = open_session(exported.folder / "model.onnx", num_threads=1)
    assert np.isfinite(run_logits(session, np.full((1, 32, 32, 3), 7, np.uint8))).all()


@pytest.mark.slow
def test_a_bundle_holds_what_it_says_and_class_names_travel_inside(exported: Exported) -> None:
    names = {"README.md", "classes.json", "manifest.json", "measure.py", "model.onnx", "sample.npz"}
    assert {path.name for path in exported.folder.iterdir()} == names
    assert json.loads((exported.folder / "classes.json").read_text()) == list(CLASS_NAMES)
    metadata = {entry.key: entry.value for entry in onnx.load(exported.folder / "model.onnx").metadata_props}
    assert json.loads(metadata["class_names"]) == list(CLASS_NAMES)
    manifest = json.loads((exported.folder / "manifest.json").read_text())
    assert manifest["run"] | {"network": "lenet5", "has_stn": False, "seed": 0} == manifest["run"]
    assert manifest["engines"] == exported.rows
    assert set(manifest["sha256"]) == {"model.onnx", "sample.npz"}


@pytest.mark.slow
def test_nothing_in_the_file_tells_where_it_was_made(exported: Exported) -> None:
    data = (exported.folder / "model.onnx").read_bytes()
    for trace in (str(Path(roadtest.__file__).parent), 'File "', "site-packages", "stack_trace"):
        assert trace.encode() not in data


@pytest.mark.slow
def test_ten_drawn_signs_are_packed_with_their_answers(exported: Exported) -> None:
    with np.load(exported.folder / "sample.npz") as arrays:
        images_NHWC, logits_NK = arrays["images_NHWC"], arrays["logits_NK"]
    assert images_NHWC.shape == (10, 32, 32, 3) and logits_NK.dtype == np.float32
    session = open_session(exported.folder / "model.onnx", num_threads=1)
    assert np.abs(run_logits(session, images_NHWC) - logits_NK).max() < 1e-4
    assert not any(np.array_equal(packed, own) for packed in images_NHWC for own in IMAGES)


@pytest.mark.slow
def test_the_card_runs_as_it_is_written(
    run_dir: Path,
    exported: Exported,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    folder = Path(shutil.copytree(exported.folder, tmp_path / "bundle"))
    picture = Image.fromarray(np.repeat(np.repeat(IMAGES[3], 3, 0), 2, 1))  # 96 x 64: not square, not of its size
    picture.save(folder / "picture.png")
    monkeypatch.chdir(folder)
    found = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert found is not None
    exec(found[1], {})
    name, probability = capsys.readouterr().out.rsplit(maxsplit=1)
    expected_K = Classifier.from_run(run_dir)([picture])[0]
    assert name == CLASS_NAMES[expected_K.argmax()]
    assert float(probability) == pytest.approx(expected_K.max(), abs=1e-4)


@pytest.mark.slow
def test_the_card_gives_counts_limits_and_what_was_not_measured(exported: Exported) -> None:
    card = (exported.folder / "README.md").read_text()
    num_correct = exported.record.val.num_correct
    assert f"| this run, validation | {100 * num_correct / 30:.2f} % | | {num_correct} of 30 images |" in card
    assert "**Undertrained**" in card  # one epoch
    assert "Latency was not measured." in card
    assert "1 run, 30 images, 6 tracks: these trained weights, on new images" in card


@pytest.mark.slow
def test_a_run_outside_its_study_gets_a_card_without_intervals(
    run_dir: Path, exported: Exported, tmp_path: Path
) -> None:
    alone = Path(shutil.copytree(run_dir, tmp_path / "alone"))
    rows = exported.rows
    machine = exported.record.machine
    card = bundle.render_card(alone, exported.record, rows, checked_on="x", packed="drawn signs", machine=machine)
    assert "No interval is given" in card and "on new images" not in card


def test_a_folder_that_is_there_is_never_written_over(run_dir: Path, no_work: list[str], tmp_path: Path) -> None:
    assert "exists: a bundle is written to a new folder" in refusal(lambda: export(run_dir, tmp_path))
    assert no_work == [] and list(tmp_path.iterdir()) == []


def test_an_export_that_fails_at_its_end_leaves_nothing(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bundle, "NUM_PACKED", 2)
    monkeypatch.setattr(bundle, "write_graph", lambda path, *_: path.write_bytes(b"half a bundle"))
    with pytest.raises(Exception, match=r"(?i)protobuf|invalid|fail"):
        export(run_dir, tmp_path / "deep" / "bundle")
    assert list((tmp_path / "deep").iterdir()) == []


def test_an_onnx_file_that_answers_otherwise_is_no_export(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bundle, "NUM_PACKED", 2)
    monkeypatch.setattr(bundle, "write_graph", lambda path, *_: path.write_bytes(b"another network"))
    monkeypatch.setattr(bundle, "open_session", lambda *_, **__: None)
    monkeypatch.setattr(bundle, "run_logits", lambda _, images: np.eye(3, dtype=np.float32)[np.arange(len(images)) % 3])
    assert "images otherwise as ONNX" in refusal(lambda: export(run_dir, tmp_path / "bundle"))
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_one_line_says_what_to_install(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    honest = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else honest(name))
    text = refusal(lambda: export(run_dir, tmp_path / "bundle"))
    assert text.startswith("onnxscript is not installed")
    assert text.endswith('run pip install -e ".[export]" in the checkout of roadtest')


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"has_int8": True}, "--int8 is calibrated on training images, and the images of coloured squares are not in"),
        ({"has_own_images": True}, "--with-images packs validation images, and the images of coloured squares"),
        ({"check_on": "test"}, "--check-on test compares test images, and the images of coloured squares"),
        ({"check_on": "train"}, "--check-on 'train' is not known: choose val or test"),
    ],
)
def test_what_needs_the_data_says_so_where_it_is_not_there(
    run_dir: Path, no_work: list[str], tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    text = refusal(lambda: export(run_dir, tmp_path / "bundle", cache_dir=tmp_path / "empty", **options))
    assert words in text and no_work == []


def test_without_the_data_drawn_signs_are_compared_and_that_is_said(
    run_dir: Path, no_work: list[str], tmp_path: Path
) -> None:
    told: list[Event] = []
    refusal(lambda: export(run_dir, tmp_path / "bundle", cache_dir=tmp_path / "empty", emit=told.append))
    assert no_work == ["traced"]
    (warning,) = [event.text for event in told if event.kind == "warning"]
    assert warning.endswith("compared on drawn signs, without accuracy")


@pytest.mark.parametrize("change", ["other pixels", "fewer images", "another size", "no json"])
def test_images_that_are_not_the_runs_are_not_taken_for_them(
    run_dir: Path, no_work: list[str], tmp_path: Path, change: str
) -> None:
    folder = write_cache(tmp_path / "cache", **({"image_size": 64} if change == "another size" else {}))
    if change == "other pixels":
        np.save(folder / "images.npy", IMAGES[:, :, :, ::-1].copy())
    if change == "fewer images":
        np.save(folder / "images.npy", IMAGES[:4])
    if change == "no json":
        (folder / "about.json").write_text("{")
    told: list[Event] = []
    refusal(lambda: export(run_dir, tmp_path / "bundle", cache_dir=tmp_path / "cache", emit=told.append))
    assert any("compared on drawn signs" in event.text for event in told)


@pytest.mark.slow
def test_test_images_are_compared_without_their_labels(run_dir: Path, no_work: list[str], tmp_path: Path) -> None:
    told: list[Event] = []
    refusal(lambda: export(run_dir, tmp_path / "bundle", check_on="test", emit=told.append))
    assert no_work == ["traced"] and not [event for event in told if event.kind == "warning"]
    unread = Path(shutil.copytree(run_dir, tmp_path / "unread"))
    (unread / "test.npz").unlink()
    words = refusal(
        lambda: export(unread, tmp_path / "bundle", check_on="test", cache_dir=run_dir.parents[2] / "cache")
    )
    assert "has not read the test set" in words
