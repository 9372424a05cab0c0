"""The files of runs and studies: they come back as they went, and folders from strangers are refused, never run.

Csv files: whole rows survive whatever happens, and hostile ones are refused in one line.

All of a file or nothing of it: full disks, kills, failing writers.

study.toml: what is written is read back, and what is wrong is said in one line."""

import errno
import io
import json
import os
import pickle
import zipfile
from collections.abc import Iterable
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_study import build_fake_study
from roadtest.records import (
    Failure,
    PlannedRun,
    Predictions,
    RunRecord,
    SetResult,
    append_failure,
    append_row,
    read_epochs,
    read_failures,
    read_predictions,
    read_record,
    read_records,
    read_rows,
    read_study_info,
    text_files,
    to_json,
    write_predictions,
    write_record,
    write_rows,
)
from roadtest.records import files as config
from roadtest.records import files as folders_module
from roadtest.records.disk import refuse_link, remove_temporary_files, replacing, write_atomically


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


@pytest.mark.parametrize(
    "row", ["lenet5,True,-1,x,y,error", "lenet5,True,99999999999,x,y,error", "lenet5,True,1,x,y,other"]
)
def test_a_damaged_failure_is_named_with_its_file(tmp_path: Path, row: str) -> None:
    (tmp_path / "failures.csv").write_text(f"network,has_stn,seed,reason,failed_at,kind\n{row}\n")
    assert "failures.csv is damaged" in reason_of(read_failures, tmp_path)


def test_a_file_of_version_0_1_is_read_and_added_to(tmp_path: Path) -> None:
    old = "network,has_stn,seed,reason,failed_at\nlenet5,False,0,DivergedError: it is nan,y\nlenet5,False,1,no,y\n"
    (tmp_path / "failures.csv").write_text(old)
    append_failure(tmp_path, Failure(network="vgg16", has_stn=True, seed=2, reason="r", failed_at="z", kind="diverged"))
    found = [(failure.network, failure.seed, failure.kind) for failure in read_failures(tmp_path)]
    assert found == [("lenet5", 0, "diverged"), ("lenet5", 1, "error"), ("vgg16", 2, "diverged")]


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


def refused(path: Path, columns: Iterable[str] = ()) -> str:
    with pytest.raises(ValueError) as error:
        read_rows(path, columns)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    return str(error.value)


def test_rows_come_back_as_they_went_with_one_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for k in range(3):
        append_row(path, {"step": k, "loss": 0.5 * k})
    assert path.read_text() == "step,loss\n0,0.0\n1,0.5\n2,1.0\n"
    assert read_rows(path) == [{"step": str(k), "loss": str(0.5 * k)} for k in range(3)]


def test_an_absent_file_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "none.csv") == []


def test_a_last_row_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for cut in range(1, 8):
        path.write_text("step,loss\n1,0.5\n22,0.75\n"[:-cut])
        assert read_rows(path) == [{"step": "1", "loss": "0.5"}]


def test_after_a_cut_anywhere_the_next_row_is_whole(tmp_path: Path) -> None:
    path, text = tmp_path / "a.csv", "step,loss\n1,0.5\n22,0.75\n"
    for length in range(len(text) + 1):
        path.write_text(text[:length])
        append_row(path, {"step": 3, "loss": 0.25})
        rows = read_rows(path)
        assert rows[-1] == {"step": "3", "loss": "0.25"}, length
        assert len(rows) == 1 + (length >= 16) + (length >= 24), length  # whole rows end after 16 and 24 characters


def test_a_long_row_that_was_cut_off_is_removed_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("step,loss\n1,0.5\n2," + "9" * 10_000)
    append_row(path, {"step": 3, "loss": 0.25})
    assert [row["step"] for row in read_rows(path)] == ["1", "3"]


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    pairs = [(a.encode("utf-8", "replace").decode(), b.encode("utf-8", "replace").decode()) for a, b in pairs]
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    rows = [{"path": a, "group": b} for a, b in pairs]
    write_rows(path, rows, ("path", "group"))
    assert read_rows(path) == rows


@given(st.binary(max_size=80))
def test_garbage_is_rows_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    path.write_bytes(garbage)
    try:
        rows = read_rows(path)
    except ValueError:
        return
    assert all(isinstance(value, str) for row in rows for value in row.values())


def test_damage_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n\xff\xfe,1\n")
    assert "damaged" in refused(path)
    path.write_text("a,b\n1,2,3\n4,5\n")
    assert "different lengths" in refused(path)
    path.write_text("a,b\n1\n4,5\n")
    assert "different lengths" in refused(path)
    path.write_text("a,b\n" + "x" * 200_000 + ",1\n")
    assert "field" in refused(path)
    path.write_text("a,b\n1,2\n")
    assert "no column 'fold'" in refused(path, ("a", "fold"))


def test_a_value_that_is_not_of_its_columns_kind_is_told_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,ms\nx,1.5\ny,fast\n")
    assert read_rows(path, {"name": str}) == read_rows(path)
    assert "(ms: could not convert string to float: 'fast')" in refused(path, {"name": str, "ms": float})
    assert "no column 'fold'" in refused(path, {"fold": int})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_device_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    os.mkfifo(path)  # reading would wait for ever
    assert "no plain file" in refused(path)


def test_a_file_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MAX_CSV_BYTES", 10)
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    assert "12 bytes" in refused(path)


def test_a_row_is_not_added_through_a_link_and_no_cut_row_is_removed_there(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("their first line\ntheir last, without an end")
    (tmp_path / "a.csv").symlink_to("theirs")
    with pytest.raises(ValueError, match=r"a\.csv is a link"):
        append_row(tmp_path / "a.csv", {"a": 1})
    assert (tmp_path / "theirs").read_text() == "their first line\ntheir last, without an end"


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("place", ["write_bytes", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    monkeypatch.setattr(os if place == "fsync" else Path, place, full_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_atomically(path, b"old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_the_data_is_on_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (order.append("sync"), sync(number))[1])
    monkeypatch.setattr(Path, "replace", lambda self, target: (order.append("rename"), replace(self, target))[1])
    write_atomically(tmp_path / "a", b"1")
    assert order == ["sync", "rename"]


def test_leftovers_of_a_killed_process_are_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (".state.pt.123.part", ".weights.safetensors.9.part", "state.pt", ".lock", "my.part"):
        (tmp_path / name).touch()
    remove_temporary_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "my.part", "state.pt"]


def test_a_link_in_the_place_of_the_part_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"untouched")
    (tmp_path / f".a.json.{os.getpid()}.part").symlink_to("theirs")
    write_atomically(tmp_path / "a.json", b"new")
    assert (tmp_path / "theirs").read_bytes() == b"untouched"
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_links_are_refused_also_where_they_lead_nowhere(tmp_path: Path) -> None:
    assert refuse_link(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "a").symlink_to("nowhere")
    with pytest.raises(ValueError, match=r"a is a link: .* remove the link$"):
        refuse_link(tmp_path / "a")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1) | st.booleans()
values = texts | numbers | st.lists(texts | numbers, max_size=4)


@pytest.mark.slow
@given(st.dictionaries(texts, values, max_size=6))
def test_whatever_is_written_is_read_back(options: dict[str, Any]) -> None:
    import tomllib

    assert tomllib.loads(config.render_config(options)) == options


def test_a_file_keeps_order_and_leaves_none_out(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    config.write_config(path, {"source": "gtsrb", "epochs": None, "seeds": (0, 1), "data_dir": Path("a b"), "lr": 0.05})
    assert config.read_config(path) == {"source": "gtsrb", "seeds": [0, 1], "data_dir": "a b", "lr": 0.05}
    assert path.read_text().startswith("# Repeats this study: roadtest compare --config study.toml\nsource = ")
    assert list(config.read_config(path)) == ["source", "seeds", "data_dir", "lr"]


def test_not_a_number_is_written_as_toml_knows_it() -> None:
    assert config.render_config({"a": float("nan"), "b": float("inf")}) == "a = nan\nb = inf\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"a = ", "is no TOML"), (b"\xff\xfe", "is no TOML"), (b"a = 1\n" * 200_000, "bytes"), (None, "there is no")],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "study.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        config.read_config(path)
    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_the_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder"):
        config.read_config(tmp_path)
