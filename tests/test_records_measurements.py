"""Measurements from other computers: checked like any file from a stranger, kept beside the study's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_study import build_fake_study
from roadtest.analysis import latency_rows, leaderboard_rows, rows_with_externals
from roadtest.analysis.recommend import recommend
from roadtest.records import read_rows, read_study_info
from roadtest.records.measurements import (
    add_device,
    is_exported,
    latency_summary,
    read_devices,
    read_measurement,
    replace_latencies,
)

NETWORKS = ["lenet5", "lenet5+stn"]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return build_fake_study(tmp_path / "study", networks=NETWORKS, seeds=1, tracks_per_class=1, frames_per_track=2)


def sample(**changes: object) -> dict[str, Any]:
    plain = {"batch_size": 1, "num_threads": 4, "round": 0, "sample": 0, "latency_ms": 8.0, "is_busy": False}
    return {**plain, **changes}


def plain_measurement(study: Path, **changes: object) -> dict[str, Any]:
    """What measure.py prints, of the study's lenet5."""
    info = read_study_info(study)
    run = {
        "network": "lenet5",
        "has_stn": False,
        "seed": 0,
        "protocol_fingerprint": info.protocol_fingerprint,
        "data_fingerprint": info.data_fingerprint,
    }
    machine = {"cpu_name": "Raspberry Pi 5", "num_cores": 4, "system": "Linux 6.6 aarch64", "python": "3.11.2"}
    return {
        "kind": "roadtest measurement",
        "schema_version": 1,
        "run": run,
        "variant": "float32",
        "num_checked": 10,
        "num_changed": 0,
        "largest_difference": 3e-6,
        "peak_memory_bytes": 40_000_000,
        "machine": {**machine, "versions": {"onnxruntime": "1.20.0"}},
        "measured_at": "2026-01-01T00:00:00+00:00",
        # the median with all four threads is 8; with one it would be 5, with 64 images 300
        "samples": [
            *(sample(sample=n, latency_ms=ms) for n, ms in enumerate((7.0, 8.0, 30.0))),
            sample(num_threads=1, latency_ms=5.0),
            sample(batch_size=64, latency_ms=300.0),
        ],
        **changes,
    }


def write(folder: Path, plain: object, name: str = "pi5.json") -> Path:
    path = folder / name
    path.write_text(plain if isinstance(plain, str) else json.dumps(plain))
    return path


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ValueError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_device_gets_columns_of_its_own_and_nothing_else_moves(study: Path, tmp_path: Path) -> None:
    before = leaderboard_rows(study)
    device, _ = add_device(study, write(tmp_path, plain_measurement(study)))
    assert device == "pi5"
    after = {row["has_stn"]: row for row in leaderboard_rows(study)}
    assert after[False]["pi5_latency_p50_ms"] == 8.0
    assert after[False]["pi5_peak_memory_bytes"] == 40_000_000
    assert after[True]["pi5_latency_p50_ms"] is None and after[True]["pi5_peak_memory_bytes"] is None
    assert list(after[False])[-3:] == ["latency_num_threads", "onnx_num_threads", "pi5_num_threads"]
    # PyTorch's were measured with two; of the device's, with four and with one, the median is of four
    assert {has_stn: list(row.values())[-3:] for has_stn, row in after.items()} == {
        False: [2, None, 4],
        True: [2, None, None],
    }
    for old in before:
        assert old.items() <= after[old["has_stn"]].items()
        assert old["onnx_latency_p50_ms"] is None


def test_all_rows_of_a_leaderboard_have_the_same_columns(study: Path, tmp_path: Path) -> None:
    add_device(study, write(tmp_path, plain_measurement(study)))
    assert len({tuple(row) for row in rows_with_externals(study)}) == 1


def test_the_samples_stand_in_latency_csv_under_the_devices_name(study: Path, tmp_path: Path) -> None:
    own = read_rows(study / "latency.csv")
    add_device(study, write(tmp_path, plain_measurement(study)), "board")
    rows = read_rows(study / "latency.csv")
    assert rows[: len(own)] == own
    added = rows[len(own) :]
    assert {(row["runtime"], row["device"], row["network"]) for row in added} == {("onnxruntime", "board", "lenet5")}
    assert [float(row["latency_ms"]) for row in added] == [7.0, 8.0, 30.0, 5.0, 300.0]
    found = [row for row in latency_rows(study) if row["device"] == "board"]
    assert [(row["num_threads"], row["batch_size"], row["latency_p50_ms"]) for row in found] == [
        (4, 1, 8.0),
        (1, 1, 5.0),
        (4, 64, 300.0),
    ]


def test_a_second_measurement_replaces_the_first_and_another_network_joins_it(study: Path, tmp_path: Path) -> None:
    add_device(study, write(tmp_path, plain_measurement(study)))
    add_device(study, write(tmp_path, plain_measurement(study, samples=[sample(latency_ms=2.0)])))
    with_stn = plain_measurement(study)
    with_stn["run"]["has_stn"] = True
    add_device(study, write(tmp_path, with_stn, "other.json"), "pi5")
    by_stn = {row["has_stn"]: row["pi5_latency_p50_ms"] for row in leaderboard_rows(study)}
    assert by_stn == {False: 2.0, True: 8.0}
    assert {path.name for path in (study / "devices" / "pi5").iterdir()} == {"lenet5.json", "lenet5+stn.json"}


def test_int8_is_kept_apart_and_is_not_the_networks_latency(study: Path, tmp_path: Path) -> None:
    add_device(study, write(tmp_path, plain_measurement(study, variant="int8")))
    assert next(row for row in leaderboard_rows(study) if not row["has_stn"])["pi5_latency_p50_ms"] is None
    assert {row["runtime"] for row in latency_rows(study) if row["device"] == "pi5"} == {"onnxruntime-int8"}


def test_onnx_runtime_on_this_computer_stands_beside_pytorch(study: Path) -> None:
    pytorch = {row["has_stn"]: row["latency_p50_ms"] for row in leaderboard_rows(study)}
    rows = [sample(latency_ms=0.25, network="lenet5", has_stn=False, runtime="onnxruntime", device="cpu")]
    replace_latencies(study, rows)
    found = {row["has_stn"]: row for row in leaderboard_rows(study)}
    assert found[False]["onnx_latency_p50_ms"] == 0.25 and found[True]["onnx_latency_p50_ms"] is None
    assert found[False]["onnx_num_threads"] == 4 and found[True]["onnx_num_threads"] is None
    assert {has_stn: row["latency_p50_ms"] for has_stn, row in found.items()} == pytorch


def test_without_pytorchs_times_an_exported_networks_are_not_taken_for_them(study: Path) -> None:
    (study / "latency.csv").unlink()
    replace_latencies(study, [sample(network="lenet5", has_stn=False, runtime="onnxruntime", device="cpu")])
    assert all(row["latency_p50_ms"] is None for row in leaderboard_rows(study))
    assert all(row["latency_num_threads"] is None for row in leaderboard_rows(study))


def test_a_device_decides_the_recommendation_by_its_own_latency(study: Path, tmp_path: Path) -> None:
    slow = plain_measurement(study, samples=[sample(latency_ms=90.0)])
    slow["run"]["has_stn"] = True
    add_device(study, write(tmp_path, slow))
    found = recommend(study, device="pi5", max_latency_ms=50)
    assert (found.status, found.device) == ("nothing meets the limits", "pi5")
    assert "latency on pi5 90 ms, at most 50 ms asked for" in found.sentences[0]
    assert "latency on pi5 was not measured" in found.sentences[0]
    add_device(study, write(tmp_path, plain_measurement(study)))
    found = recommend(study, device="pi5", max_latency_ms=50)
    assert found.label == "lenet5"
    rows = {row["has_stn"]: row["latency_p50_ms"] for row in found.networks}
    assert rows == {False: 8.0, True: 90.0}
    note = "Latency on pi5 (Raspberry Pi 5; ONNX Runtime, 4 threads): the median of one image alone."
    assert note in found.sentences
    found = recommend(study, device="pi5", max_memory_mb=39)
    assert "memory on pi5 40 MB, at most 39 MB asked for" in found.sentences[0]
    assert recommend(study, device="pi5", max_memory_mb=41, max_latency_ms=50).label == "lenet5"
    here = recommend(study)
    assert here.device is None and not any("pi5" in sentence for sentence in here.sentences)


def test_a_device_that_is_not_there_is_named_with_those_that_are(study: Path, tmp_path: Path) -> None:
    assert "is not among the devices of the study (none)" in refusal(lambda: recommend(study, device="pi5"))
    add_device(study, write(tmp_path, plain_measurement(study)))
    assert "is not among the devices of the study (pi5)" in refusal(lambda: recommend(study, device="pi4"))


def test_rows_know_whose_they_are() -> None:
    assert is_exported({"runtime": "onnxruntime-int8"}) and not is_exported({"runtime": "pytorch"})


def test_percentiles_are_given_per_batch_size_and_threads(study: Path, tmp_path: Path) -> None:
    rows = latency_summary(read_measurement(write(tmp_path, plain_measurement(study))), "pi5")
    assert [(row["batch_size"], row["num_threads"], row["num_samples"]) for row in rows] == [
        (1, 4, 3),
        (1, 1, 1),
        (64, 4, 1),
    ]
    # 90 % of the way from the first to the third of 7, 8, 30 is four fifths from 8 to 30
    assert rows[0]["latency_p90_ms"] == pytest.approx(25.6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "a holiday picture"}, "its kind is 'a holiday picture'"),
        ({"schema_version": 99}, "schema 99"),
        ({"samples": []}, "the number of samples is 0"),
        ({"samples": [sample(batch_size=64)]}, "no sample of one image alone"),
        ({"samples": [sample(latency_ms=-1.0)]}, "latency_ms is -1"),
        ({"samples": [sample(latency_ms="1")]}, "latency_ms is '1'"),
        ({"samples": [sample(latency_ms=1e30)]}, "latency_ms is 1e+30"),
        ({"samples": [sample(batch_size=10**9)]}, "batch_size is 1e+09"),
        ({"samples": [sample(batch_size=True)]}, "batch_size is True"),
        ({"samples": [sample(num_threads=0)]}, "num_threads is 0"),
        ({"samples": {"a": 1}}, "samples is"),
        ({"samples": [1]}, "must be an object"),
        ({"variant": "float16"}, "variant is 'float16'"),
        ({"num_changed": 11}, "not 0 to"),
        ({"largest_difference": -1.0}, "not 0 to"),
        ({"peak_memory_bytes": -5}, "peak_memory_bytes is -5"),
        ({"measured_at": "\x1b[2Jboo"}, "no text of one line"),
        ({"machine": {"cpu_name": "x"}}, "lacks num_cores"),
        ({"run": {"network": "lenet5"}}, "lacks has_stn"),
        ({"largest_difference": None}, "largest_difference is None"),
    ],
)
def test_what_no_device_would_write_is_refused_in_one_line_and_changes_nothing(
    study: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    before = (study / "latency.csv").read_bytes()
    path = write(tmp_path, plain_measurement(study, **changes))
    assert words in refusal(lambda: add_device(study, path))
    assert (study / "latency.csv").read_bytes() == before and not (study / "devices").exists()


@pytest.mark.parametrize("name", ["devices", "devices/pi5"])
def test_a_measurement_is_not_written_through_a_link_out_of_the_study(study: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "theirs").mkdir()
    (study / name).parent.mkdir(exist_ok=True)
    (study / name).symlink_to(tmp_path / "theirs", target_is_directory=True)
    before = (study / "latency.csv").read_bytes()
    path = write(tmp_path, plain_measurement(study))
    assert f"{study / name} is a link" in refusal(lambda: add_device(study, path))
    assert (study / "latency.csv").read_bytes() == before and not list((tmp_path / "theirs").iterdir())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"kind": NaN}', "[" * 100_000, '{"samples": [1e999]}', "\x00"])
def test_what_is_no_json_is_refused_in_one_line(study: Path, tmp_path: Path, text: str) -> None:
    assert "is no measurement" in refusal(lambda: add_device(study, write(tmp_path, text)))


def test_numbers_beyond_all_bounds_are_refused(study: Path, tmp_path: Path) -> None:
    text = json.dumps(plain_measurement(study)).replace("30.0", "1e999")
    assert "latency_ms is inf" in refusal(lambda: add_device(study, write(tmp_path, text)))


def test_a_file_that_is_not_there_says_what_to_give(study: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.json", tmp_path):
        assert "python measure.py > pi5.json" in refusal(lambda path=path: add_device(study, path, "pi5"))  # type: ignore[misc]


def test_a_file_that_is_too_large_is_not_read(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadtest.records.text_files.MAX_JSON_BYTES", 1000)
    assert "more than 1,000" in refusal(lambda: add_device(study, write(tmp_path, plain_measurement(study))))


@pytest.mark.parametrize("name", ["", "Pi5", "../evil", "a/b", "cpu", "mps", "5pi", "pi-5", "x" * 25, "pi\n"])
def test_a_name_that_could_not_be_a_column_or_a_folder_is_refused(study: Path, tmp_path: Path, name: str) -> None:
    path = write(tmp_path, plain_measurement(study))
    assert "is no name for a device" in refusal(lambda: add_device(study, path, name))
    assert not (study / "devices").exists()


def test_a_device_cannot_take_a_column_that_the_leaderboard_has_already(study: Path, tmp_path: Path) -> None:
    own = set(leaderboard_rows(study)[0])
    path = write(tmp_path, plain_measurement(study))
    for name in ("onnx", "latency"):
        assert own & {f"{name}_latency_p50_ms", f"{name}_num_threads"}
        assert f"{name!r} is no name for a device" in refusal(lambda name=name: add_device(study, path, name))  # type: ignore[misc]
    device, _ = add_device(study, path, "onnx2")
    assert own < set(leaderboard_rows(study)[0]) and device == "onnx2"


def test_the_whole_measurement_is_kept(study: Path, tmp_path: Path) -> None:
    plain = plain_measurement(study, model_sha256="0123456789abcdef" * 4)
    plain["run"] |= {"protocol_name": "gtsrb-v1", "data_title": "GTSRB"}
    add_device(study, write(tmp_path, plain))
    assert json.loads((study / "devices" / "pi5" / "lenet5.json").read_text()) == plain


def test_texts_that_are_only_kept_are_bounded_too(study: Path, tmp_path: Path) -> None:
    for words in ("z" * 64, "a" * 65, "a" * 63):
        path = write(tmp_path, plain_measurement(study, model_sha256=words))
        assert "not 64 hexadecimal digits" in refusal(lambda path=path: add_device(study, path))  # type: ignore[misc]
    for name in ("protocol_name", "data_title"):
        plain = plain_measurement(study)
        plain["run"][name] = "a" * 301
        path = write(tmp_path, plain)
        assert "at most 300 characters" in refusal(lambda path=path: add_device(study, path))  # type: ignore[misc]


def test_a_measurement_of_another_study_is_refused(study: Path, tmp_path: Path) -> None:
    for field, words in (("data_fingerprint", "another data"), ("protocol_fingerprint", "another protocol")):
        plain = plain_measurement(study)
        plain["run"][field] = "0" * 64
        assert words in refusal(lambda plain=plain: add_device(study, write(tmp_path, plain)))  # type: ignore[misc]
    plain = plain_measurement(study)
    plain["run"]["network"] = "vgg16"
    assert "no run of" in refusal(lambda: add_device(study, write(tmp_path, plain)))


def test_a_damaged_measurement_in_a_study_is_named(study: Path, tmp_path: Path) -> None:
    add_device(study, write(tmp_path, plain_measurement(study)))
    (study / "devices" / "pi5" / "lenet5.json").write_text("{}")
    assert "lenet5.json is no measurement" in refusal(lambda: read_devices(study))


def test_folders_that_are_no_devices_are_not_read(study: Path) -> None:
    folder = study / "devices" / "..hidden"
    folder.mkdir(parents=True)
    (folder / "x.json").write_text("{")
    assert read_devices(study) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["run", "variant", "num_checked", "num_changed", "largest_difference", "peak_memory_bytes", "machine"]


@pytest.mark.slow
@settings(max_examples=60)
@given(field=st.sampled_from([*FIELDS, "measured_at", "samples", "schema_version", "model_sha256"]), value=JSON)
def test_any_value_in_any_place_is_taken_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: object
) -> None:
    folder = tmp_path_factory.getbasetemp()
    plain = {**PLAIN, field: value}
    path = write(folder, plain)
    try:
        found = read_measurement(path)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert field not in ("run", "machine", "samples") and found.samples


RUN = {"network": "a", "has_stn": False, "seed": 0, "protocol_fingerprint": "p", "data_fingerprint": "d"}
MACHINE = {"cpu_name": "c", "num_cores": 1, "system": "s", "python": "3", "versions": {}}
PLAIN = {
    "kind": "roadtest measurement",
    "schema_version": 1,
    "run": RUN,
    "variant": "float32",
    "num_checked": 10,
    "num_changed": 0,
    "largest_difference": 0.0,
    "peak_memory_bytes": None,
    "machine": MACHINE,
    "measured_at": "now",
    "samples": [sample()],
}
