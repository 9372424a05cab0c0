"""predict, evaluate and add as they are typed: what stands on which stream, in which format, with which exit code."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from roadtest.cli.streams import class_title, print_predictions
from roadtest.events import printable
from roadtest.record import read_rows
from used_study import COLOURS, build_used_study, draw_colours

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
