"""Trials of the protocol: what is set by hand is what is trained, and the figures are of validation."""

import json
from pathlib import Path

import pytest

from benchmarks.accuracy import protocol_trial
from roadtest.protocol import GTSRB_V1


def test_a_field_of_the_protocol_and_one_of_its_augmentation_are_set() -> None:
    changed = protocol_trial.change_protocol(["label_smoothing=0.25", "shear_degrees=12"])
    assert (changed.label_smoothing, changed.augmentation.shear_degrees) == (0.25, 12)
    assert changed.batch_size == GTSRB_V1.batch_size


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(KeyError, match="sheer_degrees"):
        protocol_trial.change_protocol(["sheer_degrees=12"])


@pytest.mark.slow
def test_a_trial_on_drawn_signs_prints_its_validation_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROADTEST_CACHE", str(tmp_path))
    words = ["lenet5", "--source", "signs", "--steps", "5", "--precision", "float32", "--set", "label_smoothing=0"]
    protocol_trial.main(words)
    told = json.loads(capsys.readouterr().out)
    assert told["set"] == ["label_smoothing=0"]
    assert told["learning_rate"] == 0.1
    assert 0 <= told["val_accuracy"] <= 1 < told["val_loss"]
