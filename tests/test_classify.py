"""A run's network in use: the same answers as in the run, and nothing of a stranger's is ever executed."""

import json
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from roadtest.classify import Classifier
from roadtest.record import read_predictions
from roadtest.run import execute
from tiny import TINY, coloured_squares, write_tiny_study

IMAGES = coloured_squares()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of LeNet-5 on the coloured squares."""
    job = write_tiny_study(tmp_path_factory.mktemp("classify"), replace(TINY, max_epochs=1))
    execute(job, tell=lambda event: None)
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
    assert "reading a run never runs code" in refusal(run_dir, own_network="other.py:build")
    change_record(run_dir, network=str(own))
    assert "reading a run never runs code" in refusal(run_dir)
    assert not trace.exists()


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
    assert "give the folder that `roadtest compare` wrote" in refusal(tmp_path / "nowhere")
