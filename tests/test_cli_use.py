"""`export` and `add-device` as people type and see them.

predict, evaluate and add as they are typed: what stands on which stream, in which format, with which exit code."""

import csv
import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exported import write_small_bundle
from fake_study import build_fake_study
from roadtest import cli
from roadtest.analysis import leaderboard_rows
from roadtest.analysis.costs import WHAT_IS_TIMED
from roadtest.cli.tables import timing_words
from roadtest.cli.use import class_title, print_predictions
from roadtest.format import printable
from roadtest.inference.export import Exported, measure
from roadtest.records import read_record, read_rows, read_study_info
from roadtest.records.disk import folder_lock
from roadtest.records.measurements import read_devices
from roadtest.study import api as deploy
from roadtest.study.api import read_run, read_study
from roadtest.training.profile import LatencySample
from used_study import COLOURS, build_used_study, draw_colours


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

    monkeypatch.setattr("roadtest.inference.export.export_run", export_run)
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
    monkeypatch.setattr("roadtest.inference.export.onnx.NEEDED", ("onnx", "a_library_that_is_not_there"))
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
    from test_records_measurements import plain_measurement, write

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
    monkeypatch.setattr("roadtest.inference.export.export_run", lambda *_, **__: given)
    before = (study / "latency.csv").read_bytes()
    assert deploy.export_and_note(alone) is given
    assert (study / "latency.csv").read_bytes() == before


def test_python_has_the_same_two_steps(study: Path, fake_export: list[dict[str, object]], tmp_path: Path) -> None:
    from test_records_measurements import plain_measurement, write

    run = read_run(study / "lenet5" / "seed-0")
    assert run.export(tmp_path / "b", has_int8=False) == tmp_path / "b"
    opened = read_study(study)
    assert opened.add_device(write(tmp_path, plain_measurement(study)), name="pi5") == "pi5"
    rows = {row["has_stn"]: row for row in opened.leaderboard()}
    assert (rows[False]["onnx_latency_p50_ms"], rows[False]["pi5_latency_p50_ms"]) == (0.125, 8.0)
    assert opened.recommend(device="pi5").device == "pi5"


Answer = Callable[..., tuple[int, str, str]]
RGB = {"Red": 0, "Green": 1, "Blue": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study `first` and labelled images `new`, made once."""
    root = tmp_path_factory.mktemp("use")
    build_used_study(root / "first")
    draw_colours(root / "new", RGB)
    return root


@pytest.fixture(autouse=True)
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ROADTEST_CACHE", str(tmp_path / "cache"))


def listed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_predict_prints_csv_rows_alone_on_standard_output(roadtest: Answer) -> None:
    code, out, err = roadtest("predict", "first", "new", "--format", "csv", "--top", "2")
    rows = listed(out)
    assert code == 0 and len(rows) == 24
    assert list(rows[0]) == ["path", "rank", "class_id", "class_name", "probability", "error"]
    assert [row["path"] for row in rows[:3]] == ["new/Blue/0.png", "new/Blue/0.png", "new/Blue/1.png"]
    assert [row["rank"] for row in rows[:3]] == ["1", "2", "1"]
    assert {row["error"] for row in rows} == {""} and rows[0]["class_name"] in COLOURS
    assert err == "first recommends lenet5 (observed): its run with seed 0 is taken\n"


def test_json_is_one_array_of_the_same_rows(roadtest: Answer) -> None:
    code, out, err = roadtest("predict", "first/lenet5/seed-0", "new/Red/0.png", "nowhere.png", "--format", "json")
    rows = json.loads(out)
    assert code == 1 and len(rows) == 4
    assert [row["rank"] for row in rows] == [1, 2, 3, None]
    assert sum(row["probability"] for row in rows[:3]) == pytest.approx(1, abs=1e-4)
    assert rows[3] == {
        "path": "nowhere.png",
        "rank": None,
        "class_id": None,
        "class_name": None,
        "probability": None,
        "error": "No such file or directory",
    }
    assert err == "1 of 2 images could not be read: their rows say why\n"


def test_the_table_names_an_image_once(roadtest: Answer) -> None:
    code, out, _ = roadtest("predict", "first", "new/Red/*.png", "--quiet")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 1 + 4 * 3
    assert lines[0].split() == ["path", "class", "probability"]
    assert [line.startswith("new/Red/") for line in lines[1:4]] == [True, False, False]
    assert all(line.endswith(" %") for line in lines[1:])


def test_markdown_has_one_head(roadtest: Answer) -> None:
    _, out, _ = roadtest("predict", "first", "new/Red", "--format", "md", "--top", "1", "-q")
    assert len(out.splitlines()) == 2 + 4 and out.count("path") == 1


def test_paths_come_from_standard_input(roadtest: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"new/Red/0.png\nnew/Blue/1.png\n")))
    code, out, _ = roadtest("predict", "first", "-", "--format", "csv", "--top", "1", "-q")
    assert code == 0 and [row["path"] for row in listed(out)] == ["new/Red/0.png", "new/Blue/1.png"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert roadtest("predict", "first", "-")[0] == 2


def test_other_files_in_a_folder_are_counted(roadtest: Answer, tmp_path: Path) -> None:
    draw_colours(tmp_path / "photos", {"a": 0})
    (tmp_path / "photos" / "x.txt").touch()
    code, _, err = roadtest("predict", "first", str(tmp_path / "photos"), "--format", "csv")
    assert code == 0 and err.endswith("1 other files were left out: no pictures, or links to folders\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["first"], "no image was named"),
        (["nowhere", "new"], "nowhere does not exist"),
        (["first", "*.jpg"], "*.jpg matches no file"),
        (["first", "new", "--top", "0"], "--top 0 shows nothing"),
        (["first", "new", "--top", "x"], "no whole number"),
        (["first", "new", "--network", "net.py:build"], "which is not your own: leave it out"),
        (["first", "new", "--topp", "1"], "there is no option --topp: the nearest is --top"),
    ],
)
def test_a_mistake_in_predict_is_one_line(words: list[str], told: str, roadtest: Answer) -> None:
    code, out, err = roadtest("predict", *words)
    assert code == 2 and out == ""
    assert told in err.splitlines()[-1]


def test_nothing_in_a_name_reaches_the_terminal_as_an_order() -> None:
    out = io.StringIO()
    rows = [
        {
            "path": "a\x1b[2J\n.png",
            "rank": 1,
            "class_id": 0,
            "class_name": "\x1b]0;x\x07",
            "probability": 1.0,
            "error": None,
        },
        {"path": "b", "rank": None, "error": "\x1b[31m", "class_id": None},
    ]
    print_predictions(rows, "table", ["\x1b[31mred"], out)
    assert "\x1b" not in out.getvalue() and "\x07" not in out.getvalue()
    assert len(out.getvalue().splitlines()) == 3
    assert printable("Straße 5") == "Straße 5"


def test_a_file_name_that_is_no_text_is_written_all_the_same() -> None:
    row = {"path": "a\udcff.png", "rank": 1, "class_id": 0, "class_name": "x", "probability": 0.5, "error": None}
    for format in ("csv", "json", "md", "table"):
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        print_predictions([row], format, ["x"], out)
        out.flush()


def test_no_rows_are_an_empty_array() -> None:
    out = io.StringIO()
    print_predictions([], "json", [], out)
    assert json.loads(out.getvalue()) == []


def test_a_class_has_its_number_behind_its_name() -> None:
    assert class_title(38, "Keep right") == "Keep right (38)"
    assert class_title(5, "5") == "5"
    assert class_title(0, "5") == "5 (0)"


def test_evaluate_prints_sentences_and_every_class(roadtest: Answer) -> None:
    code, out, err = roadtest("evaluate", "first", "new")
    assert code == 0
    assert out.startswith("lenet5, seed 0, on new, all images: 12 images, 3 of 3 classes\n")
    for words in ("  accuracy ", "  balanced accuracy ", "  macro-F1 ", "  worst-class recall "):
        assert words in out
    assert out.count("95 % interval") == 3
    assert [line.split()[0] for line in out.splitlines()[6:]].count("class") == 1
    assert all(f"{name} (" in out for name in COLOURS)
    assert "tracks" not in out and "first recommends" in err


def test_evaluate_gives_programs_everything(roadtest: Answer) -> None:
    _, out, err = roadtest("evaluate", "first", "new", "--format", "json", "-q")
    plain = json.loads(out)
    assert plain["split"] == "all" and len(plain["classes"]) == 3 and err == ""
    assert plain["accuracy_low"] <= plain["accuracy"] <= plain["accuracy_high"]
    _, out, err = roadtest("evaluate", "first", "new", "--format", "csv")
    assert len(listed(out)) == 3 and "accuracy" in err


def test_a_mistake_in_evaluate_is_one_line(roadtest: Answer, tmp_path: Path) -> None:
    draw_colours(tmp_path / "odd", {"Purple": 0})
    for words, told in (
        ([str(tmp_path / "odd")], "classes that the network does not know: 'Purple'"),
        (["new", "--split", "test"], "new has no test part"),
        (["nowhere"], "nowhere does not exist"),
        (["new", "--split", "half"], "half"),
    ):
        code, out, err = roadtest("evaluate", "first", *words, "-q")
        assert code == 2 and out == "" and told in err, err


def write_answers(path: Path, study_dir: Path) -> Path:
    rows = [(i, row) for i, row in enumerate(read_rows(study_dir / "split.csv")) if row["split"] == "test"]
    path.write_text("image_id,label\n" + "".join(f"{i},{row['label']}\n" for i, row in rows))
    return path


def test_add_prints_the_system_and_how_far_each_network_is_from_it(roadtest: Answer, tmp_path: Path) -> None:
    study_dir = build_used_study(tmp_path / "study")
    answers = write_answers(tmp_path / "ours.csv", study_dir)
    code, out, _ = roadtest("add", str(study_dir), str(answers), "--name", "ours-2024")
    assert code == 0
    assert out.startswith("ours-2024: 100.00 % on test, 95 % interval ")
    assert "minus ours-2024" in out and "paired over 30 tracks; these trained weights against this system" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("lenet5")] != []
    code, out, err = roadtest("add", str(study_dir), str(answers), "--name", "ours-2024")
    assert code == 2 and out == "" and "has a 'ours-2024' already" in err


def test_the_leaderboard_has_added_systems_under_a_line(roadtest: Answer, tmp_path: Path) -> None:
    study_dir = build_used_study(tmp_path / "study")
    answers = write_answers(tmp_path / "ours.csv", study_dir)
    _, out, _ = roadtest("add", str(study_dir), str(answers), "--name", "ours", "--format", "json")
    assert json.loads(out)["system"]["network"] == "ours" and len(json.loads(out)["differences"]) == 2
    _, out, _ = roadtest("leaderboard", str(study_dir))
    lines = out.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("── added"))
    assert lines[place + 1].split()[0] == "ours" and lines[place + 1].count("–") >= 6
    _, out, _ = roadtest("leaderboard", str(study_dir), "--format", "csv")
    assert listed(out)[-1]["status"] == "added" and listed(out)[-1]["macs"] == ""


def test_add_without_a_name_is_one_line(roadtest: Answer) -> None:
    code, _, err = roadtest("add", "first", "ours.csv")
    assert code == 2 and "--name" in err
