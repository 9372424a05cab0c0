"""`export` and `add-device` as people type and see them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from exported import write_small_bundle
from fake_study import build_fake_study
from roadtest import cli
from roadtest.cli.terminal import timing_words
from roadtest.cost import LatencySample
from roadtest.devices import read_devices
from roadtest.export import Exported, measure
from roadtest.lock import folder_lock
from roadtest.record import read_record, read_rows, read_study_info
from roadtest.study import deploy, read_run, read_study
from roadtest.summarise import leaderboard_rows
from roadtest.summarise.costs import WHAT_IS_TIMED


@pytest.fixture
def study(tmp_path: Path) -> Path:
    labels = ["lenet5", "lenet5+stn"]
    return build_fake_study(tmp_path / "study", networks=labels, seeds=1, tracks_per_class=1, frames_per_track=2)


@pytest.fixture
def fake_export(study: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """In place of the work: notes the options, and gives what an export of the study's LeNet-5 would."""
    calls: list[dict[str, object]] = []

    def export_run(path: Path, out: Path | None, **options: object) -> Exported:
        calls.append({"path": path, "out": out, **options})
        run_dir = study / "lenet5" / "seed-0"
        return _exported(run_dir, Path(out or "lenet5-onnx"), has_int8=bool(options["has_int8"]))

    monkeypatch.setattr("roadtest.export.export_run", export_run)
    return calls


def _exported(run_dir: Path, folder: Path, *, has_int8: bool) -> Exported:
    row = {"num_images": 430, "num_threads": 2, "is_busy": False, "largest_logit": 19.55, "val_accuracy": 0.9907}
    engines = [("pytorch", 0.0, 0, 1.5), ("onnxruntime", 1e-5, 0, 0.125), ("onnxruntime-int8", 0.48, 3, 0.1)]
    rows = [
        {"runtime": runtime, "size_bytes": 300_000, "largest_difference": difference, "num_changed": changed}
        | {"latency_p50_ms": ms, "latency_64_p50_ms": 20 * ms, **row}
        for runtime, difference, changed, ms in engines[: 3 if has_int8 else 2]
    ]
    sample = LatencySample(
        network="lenet5",
        has_stn=False,
        runtime="pytorch",
        device="cpu",
        batch_size=1,
        num_threads=2,
        round=0,
        sample=0,
        latency_ms=1.5,
        is_busy=False,
    )
    samples = [sample, replace(sample, runtime="onnxruntime", latency_ms=0.125)]
    return Exported(
        folder=folder,
        run_dir=run_dir,
        record=read_record(run_dir),
        checked_on="all 430 validation images",
        rows=rows,
        samples=samples,
        words="",
    )


def typed(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = cli.main([str(word) for word in words])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def test_export_prints_what_was_compared_and_where_the_bundle_is(
    study: Path, fake_export: list[dict[str, object]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = typed(capsys, "export", study, "--int8", "-o", tmp_path / "b", "--threads", "2")
    assert code == 0
    assert fake_export[0]["has_int8"] is True and fake_export[0]["num_threads"] == 2
    lines = out.splitlines()
    assert " ".join(lines[0].split()) == "engine size largest difference changed accuracy one image 64 images"
    assert lines[2].startswith("ONNX Runtime ") and "1e-05  0 of 430" in lines[2] and "0.125 ms" in lines[2]
    assert "3 of 430" in lines[3]
    assert "Compared on all 430 validation images: differences of logits, the largest of which is 19.6." in out
    assert err.strip().endswith((tmp_path / "b").resolve().as_uri())


def test_export_speaks_json_alone_on_standard_output(
    study: Path, fake_export: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = typed(capsys, "export", study, "--format", "json")
    assert [row["runtime"] for row in json.loads(out)] == ["pytorch", "onnxruntime"]


def test_export_puts_onnx_runtimes_latency_into_the_study(
    study: Path, fake_export: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_rows(study / "latency.csv")
    for _ in range(2):  # a second time replaces the first
        assert typed(capsys, "export", study)[0] == 0
    rows = read_rows(study / "latency.csv")
    assert rows[:-1] == before and rows[-1]["runtime"] == "onnxruntime"
    board = {row["has_stn"]: row["onnx_latency_p50_ms"] for row in leaderboard_rows(study)}
    assert board == {False: 0.125, True: None}


def test_a_study_that_is_in_use_keeps_its_latencies_and_the_bundle_stays(
    study: Path, fake_export: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_rows(study / "latency.csv")
    with folder_lock(study):
        code, _, err = typed(capsys, "export", study)
    assert code == 0 and "were not put into the study's latency.csv" in err and "is in use by process" in err
    assert read_rows(study / "latency.csv") == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["export", "nowhere"], "nowhere does not exist: give the folder of a finished run"),
        (["export", "nowhere", "--threads", "0"], "--threads 0 is no number of threads: give 1 or more"),
        (["export", "nowhere", "--check-on", "train"], 'Choose from: "val", "test"'),
        (["add-device", "nowhere", "pi5.json"], "nowhere holds no study.json"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = typed(capsys, *words)
    assert (code, out) == (2, "") and expected in err and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_export_says_what_to_install(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.export.engine.NEEDED", ("onnx", "a_library_that_is_not_there"))
    code, _, err = typed(capsys, "export", study)
    assert code == 2 and err.strip().endswith('run pip install -e ".[export]" in the checkout of roadtest')


@pytest.mark.slow
def test_what_a_device_measured_is_printed_and_stands_on_the_leaderboard(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = read_study_info(study)
    same = {"protocol_fingerprint": info.protocol_fingerprint, "data_fingerprint": info.data_fingerprint}
    folder = write_small_bundle(tmp_path / "bundle", **same)
    words = ["--folder", str(folder), "--rounds", "1", "--seconds", "0.001", "--threads", "2", "--batches", "1"]
    measure.main(words)
    (tmp_path / "pi5.json").write_text(capsys.readouterr().out)
    code, out, err = typed(capsys, "add-device", study, tmp_path / "pi5.json")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:5] == ["pi5", "lenet5", "ONNX", "Runtime", "1"]
    assert "Answers on 10 packed images: largest difference" in out and "0 changed." in out
    board = json.loads(typed(capsys, "leaderboard", study, "--format", "json")[1])
    assert [row["pi5_latency_p50_ms"] is None for row in board] == [row["has_stn"] for row in board]
    out = typed(capsys, "leaderboard", study)[1]
    assert "pi5 latency" in out and f"\n{WHAT_IS_TIMED} Threads: latency 2, pi5 latency 2.\n" in out
    code, out, _ = typed(capsys, "recommend", study, "--device", "pi5", "--max-latency-ms", "1000")
    assert code == 0 and "latency on pi5" in out and "Use lenet5" in out
    code, _, err = typed(capsys, "recommend", study, "--device", "pi4")
    assert code == 2 and "is not among the devices of the study (pi5)" in err


def test_where_one_kind_of_latency_is_shown_nothing_is_said_of_threads(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert WHAT_IS_TIMED not in typed(capsys, "leaderboard", study)[1]


def test_the_threads_of_every_latency_that_is_shown_are_told() -> None:
    names = ("latency_num_threads", "onnx_num_threads", "pi5_num_threads", "onnx_latency_p50_ms", "pi5_latency_p50_ms")
    rows = [dict(zip(names, values, strict=True)) for values in ((2, 4, 4, 0.1, 8.0), (2, None, 1, None, 9.0))]
    told = timing_words(rows, ["network", "latency", "ONNX latency", "pi5 latency"])
    assert told == f"{WHAT_IS_TIMED} Threads: latency 2, ONNX latency 4, pi5 latency 1 or 4."
    # a narrow window left the others out
    assert timing_words(rows, ["network", "latency"]) is None and timing_words([], ["latency"]) is None


def test_a_device_that_answers_otherwise_is_told_loudly(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from test_devices import plain_measurement, write

    path = write(tmp_path, plain_measurement(study, num_changed=2, largest_difference=3.5))
    code, _, err = typed(capsys, "add-device", study, path, "--name", "old_pc", "--quiet")
    assert code == 0 and err.startswith("careful: on old_pc 2 of 10 packed images are classified otherwise")
    assert list(read_devices(study)) == ["old_pc"]


def test_an_export_outside_a_study_touches_nothing(
    study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    (study / "lenet5" / "seed-0").rename(alone)
    given = _exported(alone, tmp_path / "b", has_int8=False)
    monkeypatch.setattr("roadtest.export.export_run", lambda *_, **__: given)
    before = (study / "latency.csv").read_bytes()
    assert deploy.export_and_note(alone) is given
    assert (study / "latency.csv").read_bytes() == before


def test_python_has_the_same_two_steps(study: Path, fake_export: list[dict[str, object]], tmp_path: Path) -> None:
    from test_devices import plain_measurement, write

    run = read_run(study / "lenet5" / "seed-0")
    assert run.export(tmp_path / "b", has_int8=False) == tmp_path / "b"
    opened = read_study(study)
    assert opened.add_device(write(tmp_path, plain_measurement(study)), name="pi5") == "pi5"
    rows = {row["has_stn"]: row for row in opened.leaderboard()}
    assert (rows[False]["onnx_latency_p50_ms"], rows[False]["pi5_latency_p50_ms"]) == (0.125, 8.0)
    assert opened.recommend(device="pi5").device == "pi5"
