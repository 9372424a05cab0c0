"""`data check` and `data preview`: what stands on which stream, in which form, and what the exit code says."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from fake_looks import draw_folder_of, draw_tracks, picture
from roadtest import cli

Answer = Callable[..., tuple[int, str, str]]
HEADER = ["severity", "topic", "text", "advice", "examples"]


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders here are small; what is said of too few images has a test of its own."""
    monkeypatch.setattr("roadtest.data.audit.files.LEAST_IMAGES", 1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the data lie, and the cache, so that all is decoded once."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture
def roadtest(roadtest: Answer, place: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Type a command line, with the cache beside the data."""
    monkeypatch.setenv("ROADTEST_CACHE", str(place / "cache"))
    return roadtest


@pytest.fixture(scope="module")
def clean(place: Path) -> str:
    return str(draw_folder_of(place / "clean"))


@pytest.fixture(scope="module")
def tracks(place: Path) -> str:
    """Frames that nobody grouped, and one file that is no picture."""
    root = draw_tracks(place / "tracks")
    (root / "a" / "broken.png").write_bytes(b"no picture")
    return str(root)


def test_a_clean_folder_is_exit_code_0_and_the_verdict_stands_apart(roadtest: Answer, clean: str) -> None:
    code, out, err = roadtest("data", "check", clean)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["topic", "found", "what", "to", "do"]
    assert re.split(r" {2,}", lines[1]) == ["ok", "files", "all 80 images can be read"]
    assert err.splitlines()[-1] == "clean: no problem found"


def test_errors_in_the_data_are_exit_code_1_and_stand_first(roadtest: Answer, tracks: str) -> None:
    code, out, err = roadtest("data", "check", tracks)
    assert code == 1
    found, _, _ = out.partition("\n\n")
    severities = [line.split()[0] for line in found.splitlines()[1:] if not line.startswith(" ")]
    assert severities == sorted(severities, key=["error", "warning", "note", "ok"].index)
    assert "10 sequences" in out and "--group auto" in out
    assert err.splitlines()[-1].startswith("tracks: not ready: ")


@pytest.mark.slow
def test_proposed_groups_repair_what_the_check_complained_of(roadtest: Answer, tracks: str) -> None:
    def sequences(*words: str) -> list[str]:
        findings = json.loads(roadtest("data", "check", tracks, "--format", "json", *words)[1])["findings"]
        return [one["severity"] for one in findings if one["topic"] == "sequences"]

    assert sequences() == ["error"]
    assert sequences("--group", "auto") == ["ok"]


@pytest.mark.slow
def test_the_smallest_classes_stand_below_what_was_found(roadtest: Answer, clean: str, tmp_path: Path) -> None:
    _, out, _ = roadtest("data", "check", clean)
    assert [line.split() for line in out.partition("\n\n")[2].splitlines()] == [
        ["class", "training", "test", "groups"],
        ["a", "20", "20", "20"],
        ["b", "20", "20", "20"],
    ]
    for label in range(23):
        for k in range(2 + (label == 1) - (label == 22)):
            path = tmp_path / "many" / f"c{label:02d}" / f"{'abc'[k]}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(10 * label + k).save(path)
    lines = roadtest("data", "check", str(tmp_path / "many"))[1].partition("\n\n")[2].splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["c22", "c00", "c02"]  # c01 has a third image
    assert len(lines) == 1 + 20 + 1
    assert lines[-1] == "3 more classes have at least 2 training images each; --format json names all classes"


def test_what_compare_refuses_is_told_with_everything_else(roadtest: Answer, tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data")
    (root / "train" / "c").mkdir()
    code, out, err = roadtest("data", "check", str(root))
    assert code == 1
    assert "1 class without training images: c" in out and "all 80 images can be read" in out
    assert err.splitlines()[-1].startswith("data: not ready: 1 error")


def test_json_holds_everything_and_stands_alone(roadtest: Answer, tracks: str) -> None:
    code, out, _ = roadtest("data", "check", tracks, "--format", "json")
    plain = json.loads(out)
    assert code == 1
    assert plain["verdict"].startswith("not ready")
    assert (plain["num_images"], plain["num_proposed_groups"]) == (80, 10)
    assert [row["class_name"] for row in plain["classes"]] == ["a", "b"]
    (files,) = [row for row in plain["findings"] if row["topic"] == "files"]
    assert files["examples"] == ["a/broken.png"]


@pytest.mark.slow
def test_csv_and_markdown_have_a_row_per_finding(roadtest: Answer, tracks: str) -> None:
    rows = list(csv.reader(io.StringIO(roadtest("data", "check", tracks, "--format", "csv")[1])))
    assert rows[0] == HEADER
    assert ["files", "a/broken.png"] in [[row[1], row[4]] for row in rows]
    markdown = roadtest("data", "check", tracks, "--format", "md")[1].splitlines()
    assert markdown[0] == f"| {' | '.join(HEADER)} |"
    assert len(markdown) == len(rows) + 1


@pytest.mark.slow
def test_quiet_leaves_the_exit_code_and_what_was_asked_for(roadtest: Answer, tracks: str) -> None:
    assert roadtest("data", "check", tracks, "-q") == (1, "", "")
    code, out, err = roadtest("data", "check", tracks, "-q", "--format", "json")
    assert (code, err) == (1, "") and json.loads(out)


@pytest.mark.slow
def test_a_sheet_is_written_only_where_one_was_asked_for(
    roadtest: Answer, tracks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    roadtest("data", "check", tracks)
    assert list(tmp_path.iterdir()) == []
    sheet = tmp_path / "new" / "found.png"
    _, _, err = roadtest("data", "check", tracks, "--out", str(sheet))
    assert err.splitlines()[-1] == sheet.as_uri()
    with Image.open(sheet) as picture:
        assert picture.format == "PNG" and picture.height > 200


def test_a_class_that_cannot_be_read_at_all_is_told_and_no_sheet_is_drawn(roadtest: Answer, tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data", parts=("train",))
    for path in (root / "train" / "b").iterdir():
        path.write_bytes(b"no picture")
    code, out, err = roadtest("data", "check", str(root), "-o", str(tmp_path / "x.png"))
    assert code == 1
    assert "1 class without a readable image: 'b'" in out
    assert err.splitlines()[-1] == f"{tmp_path / 'x.png'} was not drawn: too little could be read"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["no/such/folder"], "no/such/folder does not exist"),
        (["signs", "--subset"], "--subset goes with the source gtsrb"),
        (["signs", "--group", "auto"], "--group auto goes with image folders and csv files, not with signs"),
        (["CLEAN", "--image-size", "0"], "image_size=0 is out of range: it must lie between 16 and 512"),
        (["CLEAN", "--out", "."], "--out . is a folder: the picture is a PNG file; give a name in it, sheet.png"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "preview"])
def test_a_mistake_is_told_in_one_line_before_anything_is_decoded(
    roadtest: Answer,
    clean: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    words: list[str],
    answer: str,
) -> None:
    monkeypatch.setenv("ROADTEST_CACHE", str(tmp_path / "cache"))
    code, out, err = roadtest("data", verb, *(clean if word == "CLEAN" else word for word in words))
    assert (code, out) == (2, "")
    assert err.startswith("roadtest: ") and answer in err and err.count("\n") == 1
    assert not (tmp_path / "cache").exists()


def test_a_preview_draws_proposed_groups_too(roadtest: Answer, tmp_path: Path) -> None:
    root, sheet = draw_tracks(tmp_path / "data"), tmp_path / "sheet.png"
    assert roadtest("data", "preview", str(root), "-o", str(sheet), "--group", "auto")[0] == 0
    assert sheet.exists()


class Window(io.StringIO):
    """A terminal's window on standard output."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", self.getvalue()).splitlines()]


@pytest.mark.parametrize(("width", "head"), [(80, "found, and what to do"), (140, "what to do")])
def test_every_word_stays_readable_in_a_window(
    roadtest: Answer, tracks: str, monkeypatch: pytest.MonkeyPatch, width: int, head: str
) -> None:
    rows = json.loads(roadtest("data", "check", tracks, "--format", "json")[1])["findings"]
    window = Window()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", window)
    assert cli.main(["data", "check", tracks]) == 1
    lines = window.lines()
    assert lines[0].endswith(head)
    assert max(map(len, lines)) <= width
    shown = set(" ".join(lines).split())
    for row in rows:
        words = (row["text"] + " " + row["advice"]).split()
        assert [word for word in words if word not in shown and len(word) < 40] == []  # a long path is broken, not cut
