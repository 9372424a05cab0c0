"""The files of runs and studies: they come back as they went, and folders from strangers are refused, never run."""

import io
import json
import os
import pickle
import zipfile
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_study import build_fake_study
from roadtest.record import (
    Failure,
    PlannedRun,
    Predictions,
    RunRecord,
    SetResult,
    append_row,
    read_epochs,
    read_failures,
    read_predictions,
    read_record,
    read_records,
    read_study_info,
    to_json,
    write_predictions,
    write_record,
)
from roadtest.record import folders as folders_module


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "study"
    return build_fake_study(
        folder, networks=("lenet5", "lenet5+stn"), seeds=2, tracks_per_class=10, class_names=("Red", "Grün")
    )


@pytest.fixture
def run_dir(tmp_path: Path, study_dir: Path) -> Path:
    """A copy of one finished run, to be damaged."""
    for path in (study_dir / "lenet5" / "seed-0").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def reason_of(read: Any, *arguments: object) -> str:
    with pytest.raises(ValueError) as error:
        read(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_record_comes_back_as_it_went(study_dir: Path, tmp_path: Path) -> None:
    record = read_record(study_dir / "lenet5+stn" / "seed-1")
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert record.class_names == ("Red", "Grün")
    assert "Grün" in (tmp_path / "record.json").read_text(encoding="utf-8")


def test_a_finished_run_is_never_written_again(study_dir: Path) -> None:
    run_dir = study_dir / "lenet5" / "seed-0"
    with pytest.raises(FileExistsError, match="never written again"):
        write_record(run_dir, read_record(run_dir))


def test_records_come_in_the_order_of_the_plan_without_the_missing(study_dir: Path, tmp_path: Path) -> None:
    labels = [(record.label, record.seed) for record in read_records(study_dir)]
    assert labels == [(run.label, run.seed) for run in read_study_info(study_dir).runs]
    unfinished = build_fake_study(
        tmp_path / "study",
        networks=("lenet5", "vgg16"),
        seeds=1,
        unfinished=("lenet5",),
        tracks_per_class=10,
        class_names=("Red", "Green"),
    )
    assert [record.label for record in read_records(unfinished)] == ["vgg16"]


def test_what_is_not_a_number_is_never_kept(study_dir: Path, tmp_path: Path) -> None:
    record = read_record(study_dir / "lenet5" / "seed-0")
    broken = replace(record, val=SetResult(num_seen=1, num_correct=0, loss_sum=float("nan")))
    assert "diverged" in reason_of(write_record, tmp_path, broken)
    assert list(tmp_path.iterdir()) == []


def test_garbage_in_a_record_is_refused_in_one_line(run_dir: Path) -> None:
    whole = json.loads((run_dir / "record.json").read_text())
    for name in ("network", "seed", "train", "cost", "machine", "is_undertrained", "precision_probe_ms"):
        for value in (None, ["x"], 0.5, {"a": "b"}):
            (run_dir / "record.json").write_text(json.dumps({**whole, name: value}))
            assert "record.json is damaged" in reason_of(read_record, run_dir), (name, value)


def test_a_record_without_a_field_is_refused(run_dir: Path) -> None:
    whole = json.loads((run_dir / "record.json").read_text())
    required = {field.name for field in fields(RunRecord) if field.default is MISSING}
    assert len(required) > 25
    for name in required:
        (run_dir / "record.json").write_text(json.dumps({key: value for key, value in whole.items() if key != name}))
        assert f"lacks {name}" in reason_of(read_record, run_dir)


def test_a_record_from_before_a_field_was_added_stays_readable(run_dir: Path) -> None:
    whole = json.loads((run_dir / "record.json").read_text())
    added = {field.name for field in fields(RunRecord) if field.default is not MISSING}
    assert {"level", "test_title"} <= added
    (run_dir / "record.json").write_text(json.dumps({key: value for key, value in whole.items() if key not in added}))
    assert read_record(run_dir).network == whole["network"]


def test_a_hostile_plan_stays_inside_its_study(study_dir: Path, tmp_path: Path) -> None:
    info = read_study_info(study_dir)
    hostile = replace(info, runs=(PlannedRun(network="../../etc", has_stn=False, seed=0),))
    (tmp_path / "study.json").write_bytes(to_json(hostile))
    (run,) = read_study_info(tmp_path).runs
    assert (tmp_path / run.folder).resolve().is_relative_to(tmp_path.resolve())
    plain = json.loads(to_json(info))
    plain["runs"][0]["seed"] = "../../../x"
    (tmp_path / "study.json").write_text(json.dumps(plain))
    assert "seed" in reason_of(read_study_info, tmp_path)


def test_the_curve_comes_back_and_damage_is_told(run_dir: Path) -> None:
    rows = read_epochs(run_dir)
    assert [type(rows[0].step), type(rows[0].epoch)] == [int, float]
    text = (run_dir / "epochs.csv").read_text()
    (run_dir / "epochs.csv").write_text(text[:-5])
    assert read_epochs(run_dir) == rows[:-1]
    (run_dir / "epochs.csv").write_text(text.replace(str(rows[0].val_loss_sum), "many"))
    assert "epochs.csv is damaged" in reason_of(read_epochs, run_dir)
    (run_dir / "epochs.csv").write_text("epoch\n1\n")
    assert "no column 'step'" in reason_of(read_epochs, run_dir)


def test_a_failure_counts_until_its_run_is_finished_and_only_the_last(study_dir: Path, tmp_path: Path) -> None:
    def fail(seed: int, reason: str) -> None:
        failure = Failure(network="lenet5", has_stn=True, seed=seed, reason=reason, failed_at="2026-01-01")
        append_row(tmp_path / "failures.csv", asdict(failure))

    assert read_failures(tmp_path) == []
    fail(0, "first"), fail(1, "other"), fail(0, "second, with a comma")
    assert [(f.seed, f.reason) for f in read_failures(tmp_path)] == [(0, "second, with a comma"), (1, "other")]
    run_dir = tmp_path / "lenet5+stn" / "seed-0"
    run_dir.mkdir(parents=True)
    (run_dir / "record.json").touch()
    assert [f.seed for f in read_failures(tmp_path)] == [1]
    (tmp_path / "failures.csv").write_text("network,has_stn,seed,reason,failed_at\nlenet5,True,../..,x,y\n")
    assert "failures.csv is damaged" in reason_of(read_failures, tmp_path)


def test_predictions_come_back_as_they_went(tmp_path: Path) -> None:
    predictions = Predictions(
        logits_NK=np.array([[1.5, -2.0], [0.0, 3.0]], np.float16),
        labels_N=np.array([0, 1], np.int64),
        image_ids_N=np.array([7, 9], np.int64),
    )
    write_predictions(tmp_path / "val.npz", predictions)
    again = read_predictions(tmp_path / "val.npz")
    for name, array in vars(predictions).items():
        assert np.array_equal(getattr(again, name), array)
    assert [path.name for path in tmp_path.iterdir()] == ["val.npz"]


def test_predictions_that_are_not_there_say_so(tmp_path: Path) -> None:
    assert "holds no test.npz" in reason_of(read_predictions, tmp_path / "test.npz")


def test_a_pickle_in_an_array_file_is_refused_and_not_run(tmp_path: Path) -> None:
    trace, path = tmp_path / "it ran", tmp_path / "val.npz"
    np.savez(path, **dict.fromkeys(("logits_NK", "labels_N", "image_ids_N"), np.array([Bomb(trace)], object)))
    assert "damaged" in reason_of(read_predictions, path)
    path.write_bytes(pickle.dumps(Bomb(trace)))
    assert "damaged" in reason_of(read_predictions, path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"logits_NK": np.zeros((2, 2), np.float64)},
        {"logits_NK": np.zeros((3, 2), np.float16)},
        {"logits_NK": np.zeros((2, 0), np.float16)},
        {"logits_NK": np.full((2, 2), np.nan, np.float16)},
        {"labels_N": np.array([0, 2], np.int64)},
        {"labels_N": np.array([0, -1], np.int64)},
        {"labels_N": np.array([0.0, 1.0])},
        {"image_ids_N": np.array([1], np.int64)},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    arrays = {"logits_NK": np.zeros((2, 2), np.float16), "labels_N": np.arange(2), "image_ids_N": np.arange(2)}
    np.savez(tmp_path / "val.npz", **{**arrays, **changes})
    assert "damaged" in reason_of(read_predictions, tmp_path / "val.npz")


@pytest.mark.parametrize("damage", ["bits", "encrypted", "folder"])
def test_an_array_file_that_cannot_be_unpacked_is_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "val.npz"
    if damage == "folder":
        path.mkdir()
    else:
        np.savez_compressed(path, **dict.fromkeys(("logits_NK", "labels_N", "image_ids_N"), np.arange(1000)))
        data = bytearray(path.read_bytes())
        if damage == "bits":
            data[100:110] = b"\xff" * 10  # inside the first array: zlib, not zipfile, finds it
        else:
            place = data.find(b"PK\x01\x02")
            while place >= 0:  # the flag that says so, of every member, in the list of members and before it
                data[place + 8] |= 1
                place = data.find(b"PK\x01\x02", place + 1)
            data[6] |= 1
        path.write_bytes(data)
    assert "val.npz is damaged" in reason_of(read_predictions, path)


def test_an_array_file_that_lies_about_its_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(  # type: ignore[no-untyped-call]
        head, {"descr": "<f2", "fortran_order": False, "shape": (1 << 45, 43)}
    )
    with zipfile.ZipFile(tmp_path / "val.npz", "w") as archive:
        archive.writestr("logits_NK.npy", head.getvalue())
    assert "damaged" in reason_of(read_predictions, tmp_path / "val.npz")
    monkeypatch.setattr(folders_module, "MAX_ARRAY_BYTES", 100)
    with zipfile.ZipFile(tmp_path / "val.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logits_NK.npy", bytes(1000))
    assert "1,000 bytes" in reason_of(read_predictions, tmp_path / "val.npz")
