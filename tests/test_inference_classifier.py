"""A run's network in use: the same answers as in the run, and nothing of a stranger's is ever executed.

Weights are read only where every tensor is the network's, and nothing larger than the network is ever read."""

import json
import os
import pickle
import shutil
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from roadtest.inference.classifier import Classifier, read_weights
from roadtest.networks.user_file import digest_user_file
from roadtest.records import read_predictions
from roadtest.training.run import execute
from tiny import TINY, coloured_squares, write_tiny_study

IMAGES = coloured_squares()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of LeNet-5 on the coloured squares."""
    job = write_tiny_study(tmp_path_factory.mktemp("classify"), replace(TINY, max_epochs=2))
    execute(job, emit=lambda event: None)
    return job.run_dir


@pytest.fixture
def run_dir(finished: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def change_record(run_dir: Path, **changes: object) -> None:
    plain = json.loads((run_dir / "record.json").read_text())
    (run_dir / "record.json").write_text(json.dumps({**plain, **changes}))


def refusal(run_dir: Path, **more: Any) -> str:
    with pytest.raises(ValueError) as error:
        Classifier.from_run(run_dir, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.slow
def test_it_answers_as_the_run_did(finished: Path) -> None:
    classifier, test = Classifier.from_run(finished), read_predictions(finished / "test.npz")
    probabilities_NK = classifier(IMAGES.images_NHWC[test.image_ids_N])
    expected_NK = torch.from_numpy(test.logits_NK.astype(np.float32)).softmax(1).numpy()
    assert np.allclose(probabilities_NK, expected_NK, atol=0.01)  # the kept logits have three digits
    names = classifier.predict(IMAGES.images_NHWC[test.image_ids_N])
    assert names == [("Red", "Green", "Blue")[k] for k in test.logits_NK.argmax(1)]


def test_arrays_and_pictures_and_any_batch_give_the_same(finished: Path) -> None:
    classifier, images_NHWC = Classifier.from_run(finished), IMAGES.images_NHWC[:20]
    from_arrays = classifier(images_NHWC)
    from_pictures = classifier([Image.fromarray(image) for image in images_NHWC])
    assert np.array_equal(from_arrays, from_pictures)
    one_by_one = np.concatenate([classifier(images_NHWC[i : i + 1]) for i in range(20)])
    assert np.allclose(from_arrays, one_by_one, atol=1e-5)
    assert np.allclose(from_arrays.sum(1), 1, atol=1e-5)


def test_pictures_are_treated_as_in_training(finished: Path) -> None:
    classifier = Classifier.from_run(finished)
    image = Image.fromarray(IMAGES.images_NHWC[0])
    turned = image.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6  # the camera was held upright: turn clockwise to see it
    exif = turned.getexif()
    turned.info["exif"] = exif.tobytes()
    deep = Image.fromarray(IMAGES.images_NHWC[0, :, :, 0].astype(np.uint16) * 256)
    grey = Image.fromarray(IMAGES.images_NHWC[0, :, :, 0])
    rows = classifier([image, turned, deep, grey])
    assert np.allclose(rows[0], rows[1], atol=1e-5)
    assert np.allclose(rows[2], rows[3], atol=1e-5)


def test_no_pictures_give_no_rows_and_odd_arrays_a_refusal(finished: Path) -> None:
    classifier = Classifier.from_run(finished)
    assert classifier([]).shape == (0, 3)
    assert classifier.predict(IMAGES.images_NHWC[:0]) == []
    for images in (np.zeros((1, 8, 8, 3), np.float32), np.zeros((1, 8, 8, 4), np.uint8)):
        with pytest.raises(ValueError, match="it must be uint8"):
            classifier(images)  # type: ignore[arg-type]


def test_a_users_own_network_is_never_run_without_its_word(run_dir: Path, tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    own = tmp_path / "own.py"
    own.write_text(f"from pathlib import Path\nPath({str(trace)!r}).touch()\n")
    change_record(run_dir, network=f"{own}:build")
    assert "reading a run never runs code" in refusal(run_dir)
    assert "and 'other.py:build' was named" in refusal(run_dir, network_file="other.py:build")
    assert "and 'own.py:other' was named" in refusal(run_dir, network_file="own.py:other")
    change_record(run_dir, network=str(own))
    assert "reading a run never runs code" in refusal(run_dir)
    assert not trace.exists()


def test_a_users_own_network_is_built_from_the_file_that_is_named_now(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "net.py").write_text("raise SystemExit('the wrong file ran')\n")
    mine = tmp_path / "net.py"
    mine.write_text("from roadtest.networks import build_lenet5\n\nbuild = build_lenet5\n")
    change_record(run_dir, network=f"{tmp_path / 'theirs' / 'net.py'}:build")
    classifier = Classifier.from_run(run_dir, network_file=f"{mine}:build")
    assert classifier(IMAGES.images_NHWC[:2]).shape == (2, 3)
    change_record(run_dir, own_network_digest=digest_user_file(f"{mine}:build"))
    assert Classifier.from_run(run_dir, network_file=f"{mine}:build")
    mine.write_text(OTHER_NETWORK)
    assert "was changed since" in refusal(run_dir, network_file=f"{mine}:build")
    change_record(run_dir, own_network_digest="")  # as older records have it
    assert "does not hold this network's weights" in refusal(run_dir, network_file=f"{mine}:build")


OTHER_NETWORK = """
from torch import nn

def build(num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, num_classes))
"""


def test_a_file_is_named_only_for_a_network_of_ones_own(run_dir: Path) -> None:
    assert "was trained as lenet5, which is not your own: leave it out" in refusal(run_dir, network_file="net.py:build")


def test_a_study_means_its_recommended_network(finished: Path) -> None:
    of_study, of_run = Classifier.from_run(finished.parent.parent), Classifier.from_run(finished)
    assert np.array_equal(of_study(IMAGES.images_NHWC[:3]), of_run(IMAGES.images_NHWC[:3]))


def test_files_are_read_as_training_read_them(finished: Path, tmp_path: Path) -> None:
    classifier, paths = Classifier.from_run(finished), []
    for place in range(3):
        paths.append(tmp_path / f"{place}.png")
        Image.fromarray(IMAGES.images_NHWC[place]).save(paths[-1])
    assert np.array_equal(classifier(paths), classifier(IMAGES.images_NHWC[:3]))
    assert classifier.predict([str(paths[0])]) == classifier.predict(IMAGES.images_NHWC[:1])
    with pytest.raises(ValueError, match=r"nowhere.png cannot be read \(No such file"):
        classifier([tmp_path / "nowhere.png"])
    with pytest.raises(ValueError, match="is one image, and a list of images is needed"):
        classifier(str(paths[0]))
    for one in (IMAGES.images_NHWC[0], Image.fromarray(IMAGES.images_NHWC[0])):
        with pytest.raises(ValueError, match=r"is one image, and a list of images is needed: write \[image\]"):
            classifier(one)  # type: ignore[arg-type]


def test_rows_rank_the_classes_and_a_broken_file_is_a_row(finished: Path, tmp_path: Path) -> None:
    classifier = Classifier.from_run(finished)
    whole, broken = tmp_path / "whole.png", tmp_path / "broken.png"
    Image.fromarray(IMAGES.images_NHWC[0]).save(whole)
    broken.write_bytes(b"nothing")
    rows = list(classifier.rows([broken, whole, str(broken)], top=2))
    assert [(row["path"], row["rank"]) for row in rows] == [
        (str(broken), None),
        (str(whole), 1),
        (str(whole), 2),
        (str(broken), None),
    ]
    assert rows[0]["error"] == "it is no image of a kind that is read" and rows[0]["probability"] is None
    expected_K = classifier([whole])[0]
    order = np.argsort(-expected_K)
    assert [row["class_id"] for row in rows[1:3]] == order[:2].tolist()
    assert rows[1]["class_name"] == ("Red", "Green", "Blue")[order[0]] and rows[1]["error"] is None
    assert rows[1]["probability"] == pytest.approx(float(expected_K[order[0]]), abs=1e-6)
    assert len(list(classifier.rows([whole], top=9))) == 3
    with pytest.raises(ValueError, match="--top 0 shows nothing"):
        next(classifier.rows([whole], top=0))


def test_rows_take_no_more_images_at_a_time_than_a_batch(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadtest.inference.classifier.BATCH_SIZE", 4)
    asked = []

    def paths() -> Iterator[str]:
        for number in range(100):
            asked.append(number)
            yield f"nowhere-{number}.png"

    rows = Classifier.from_run(finished).rows(paths())
    assert [next(rows)["path"] for _ in range(5)][-1] == "nowhere-4.png"
    assert len(asked) == 8


def test_large_images_are_worked_on_a_few_at_a_time(finished: Path) -> None:
    classifier = Classifier.from_run(finished)
    sizes = {size: replace(classifier, record=replace(classifier.record, image_size=size)) for size in (32, 224, 512)}
    assert {size: one.batch_size for size, one in sizes.items()} == {32: 256, 224: 83, 512: 16}


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_weights_that_are_a_pickle_are_refused_and_not_run(run_dir: Path, tmp_path: Path) -> None:
    path = run_dir / "weights.safetensors"
    torch.save({"w": torch.zeros(1), "b": Bomb(tmp_path / "it ran")}, path)
    assert "does not hold this network's weights" in refusal(run_dir)
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "it ran")))
    assert "does not hold this network's weights" in refusal(run_dir)
    assert not (tmp_path / "it ran").exists()


def test_weights_that_are_missing_cut_off_or_of_another_network_are_refused(run_dir: Path) -> None:
    path = run_dir / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "does not hold this network's weights" in refusal(run_dir)
    save_file({"w": torch.zeros(1)}, path)
    assert "does not hold this network's weights" in refusal(run_dir)
    path.unlink()
    assert "keeps no weights" in refusal(run_dir)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_size": 10**6}, "at most 512"),
        ({"image_size": 0}, "at most 512"),
        ({"network": "vgg16"}, "does not hold this network's weights, vgg16 ("),
        ({"has_stn": True}, "does not hold this network's weights, lenet5+stn ("),
        ({"class_names": []}, "at most 512"),
        ({"network": "no-such-network"}, "is not known"),
        ({"network": "timm:hf-hub:somebody/else"}, "not among"),
        ({"network": "../../lenet5"}, "is not known"),
        ({"cost": None}, "damaged"),
    ],
)
def test_a_record_that_asks_for_too_much_is_refused(changes: dict[str, Any], words: str, run_dir: Path) -> None:
    change_record(run_dir, **changes)
    assert words in refusal(run_dir)


def test_a_folder_without_a_record_says_what_to_give(tmp_path: Path) -> None:
    assert "nowhere does not exist: give the folder of a finished run" in refusal(tmp_path / "nowhere")


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is right."""
    save_file(small().state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def refusal_weights(path: Path) -> str:
    with pytest.raises(ValueError) as error:
        read_weights(path, small().state_dict(), "small")
    assert "\n" not in str(error.value)
    return str(error.value)


def change(path: Path, **changes: torch.Tensor | None) -> None:
    """Write other tensors; None takes one away. A dot stands as two underscores."""
    tensors = {**small().state_dict(), **{name.replace("__", "."): tensor for name, tensor in changes.items()}}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def test_every_tensor_arrives(path: Path) -> None:
    change(path, **{"0__weight": torch.full((2, 3, 3, 3), 7.0)})
    assert (read_weights(path, small().state_dict(), "small")["0.weight"] == 7).all()


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("0__weight", None, "'0.weight' is missing"),
        ("2__weight", torch.zeros(1), "'2.weight' is not in the network"),
        ("0__weight", torch.zeros(2, 3, 3, 1), r"is (2, 3, 3, 1), and (2, 3, 3, 3) in the network"),
        (
            "0__weight",
            torch.zeros(2, 3, 3, 3, dtype=torch.float64),
            "is torch.float64, and torch.float32 in",
        ),
        ("0__weight", torch.full((2, 3, 3, 3), torch.nan), "'0.weight' holds values that are no numbers"),
        ("1__running_var", torch.full((2,), torch.inf), "'1.running_var' holds values that are no numbers"),
    ],
)
def test_another_tensor_is_named(path: Path, name: str, tensor: torch.Tensor | None, words: str) -> None:
    change(path, **{name: tensor})
    assert words in refusal_weights(path)


def test_a_file_larger_than_the_network_is_not_read(path: Path) -> None:
    os.truncate(path, 10 << 30)  # a hole: it takes no room
    assert "it has 10,737,418,240 bytes, at most" in refusal_weights(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").mkdir()
    assert "it is no file" in refusal_weights(tmp_path / "weights.safetensors")
    assert "keeps no weights" in refusal_weights(tmp_path / "nowhere" / "weights.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04.",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 2) + b"{}",
    ],
)
def test_a_damaged_header_is_refused(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    assert "does not hold this network's weights, small (" in refusal_weights(path)


def test_a_header_that_lies_about_places_is_refused(path: Path) -> None:
    header: dict[str, Any] = {"0.weight": {"dtype": "F32", "shape": [2, 3, 3, 3], "data_offsets": [0, 10**12]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(216))
    assert "does not hold this network's weights" in refusal_weights(path)


@pytest.mark.slow
@given(data=st.data())
def test_any_damage_is_one_line_or_no_damage(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("weights")
    save_file(small().state_dict(), folder / "weights.safetensors")
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "weights.safetensors").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = read_weights(folder / "weights.safetensors", small().state_dict(), "small")
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert all(np.isfinite(tensor.numpy()).all() for tensor in found.values())


def test_shells_without_contents_are_enough_to_compare_with(path: Path) -> None:
    with torch.device("meta"):
        paper = small()
    read_weights(path, paper.state_dict(), "small")
    with torch.device("meta"), pytest.raises(ValueError, match="in the network"):
        read_weights(path, nn.Sequential(nn.Conv2d(3, 2, 5), nn.BatchNorm2d(2)).state_dict(), "small")
