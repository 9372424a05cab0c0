"""A real study of one network from both starts, without a connection: its records, its table, its use."""

from pathlib import Path

import numpy as np
import pytest

import fake_hub
from roadtest.classify import Classifier
from roadtest.record import read_rows
from roadtest.study import Study
from roadtest.summarise import pretraining_rows
from small_study import compare_small, prepare

pytestmark = pytest.mark.slow


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    images = prepare(tmp_path, monkeypatch, is_fake=False)
    fake_hub.fill_cache(tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))  # for the workers
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    how = {"networks": [fake_hub.NETWORK], "pretrained": "both", "epochs": 3, "threads": 1, "flips": "off"}
    study, _ = compare_small(images, lr=0.002, precision="float32", **how)
    return study


def test_both_starts_are_trained_recorded_compared_and_can_be_used(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert study.failures() == []
    nothing, pretrained = (run.record for run in study.runs())
    assert (nothing.network, pretrained.network) == (fake_hub.NETWORK, f"{fake_hub.NETWORK}+pretrained")
    assert (nothing.normalisation, pretrained.normalisation) == ("per-image", "fixed")
    assert nothing.pretrained_weights == ""
    assert pretrained.pretrained_weights.startswith(f"{fake_hub.REPOSITORY} model.safetensors sha256:")
    assert nothing.cost.num_parameters == pretrained.cost.num_parameters
    assert nothing.protocol_fingerprint == pretrained.protocol_fingerprint

    (row,) = pretraining_rows(study.path)
    assert row["num_runs"] == 1 and row["val_gain"] is not None
    assert len(read_rows(study.path / "report" / "tables" / "pretraining.csv")) == 1
    assert "What pretraining brought" in (study.path / "report" / "index.html").read_text(encoding="utf-8")

    # Its own weights are all that is needed to use it: the hub's are gone.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "nothing"))
    run = study.runs()[1]
    classifier = Classifier.from_run(run.path)
    predictions = run.predictions("val")
    pixels = next((tmp_path / "cache" / "decoded").glob("*/images.npy"))
    images_NHWC = np.load(pixels)[predictions.image_ids_N]
    probabilities_NK = classifier(images_NHWC)
    assert np.array_equal(probabilities_NK.argmax(1), predictions.logits_NK.astype(np.float32).argmax(1))
