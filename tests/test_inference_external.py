"""A system that was not trained here: its answers are read as a stranger's, and judged only where all are there."""

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_study import build_fake_study
from roadtest.data.sources.layout import class_finder
from roadtest.inference.external import add_external, image_finder, read_external_predictions
from roadtest.records import read_external, read_rows

NAMES = ("Red", "Green", "Blue")


@pytest.fixture
def study_dir(tmp_path: Path) -> Path:
    """30 test images: 3 classes x 5 tracks x 2 frames; as many for training before them."""
    return build_fake_study(
        tmp_path / "first",
        networks=["lenet5"],
        seeds=1,
        class_names=NAMES,
        tracks_per_class=5,
        frames_per_track=2,
        num_evaluations=1,
        has_examples=False,
        has_latency=False,
    )


def rows_of_test(study_dir: Path) -> list[tuple[int, dict[str, str]]]:
    return [(i, row) for i, row in enumerate(read_rows(study_dir / "split.csv")) if row["split"] == "test"]


def write_csv(path: Path, rows: Sequence[Sequence[object]], separator: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    return path


def right_answers(study_dir: Path) -> list[list[object]]:
    return [["path", "label"], *([row["path"], row["label"]] for _, row in rows_of_test(study_dir))]


def add(study_dir: Path, rows: Sequence[Sequence[object]], *, name: str = "ours", separator: str = ",") -> Any:
    path = write_csv(study_dir.parent / "ours.csv", rows, separator)
    return add_external(study_dir, path, name=name, cache_dir=study_dir.parent / "cache")


def refusal(study_dir: Path, rows: Sequence[Sequence[object]], **more: Any) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        add(study_dir, rows, **more)
    assert "\n" not in str(error.value)
    assert not (study_dir / "incumbents").exists()
    return str(error.value)


def test_answers_become_a_folder_of_plain_files(study_dir: Path) -> None:
    added = add(study_dir, right_answers(study_dir))
    assert (added.system.num_test, added.system.num_val, added.system.source_name) == (30, 0, "ours.csv")
    (read,) = read_external(study_dir, num_images=60, num_classes=3)
    assert read.system == added.system
    assert read.image_ids_N.tolist() == list(range(30, 60))
    assert read.predicted_N.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert sorted(path.name for path in (study_dir / "incumbents" / "ours").iterdir()) == [
        "answers.csv",
        "incumbent.json",
    ]


def test_adding_is_a_reading_of_the_test_set(study_dir: Path) -> None:
    before = read_rows(study_dir / "test-reads.csv")
    add(study_dir, right_answers(study_dir))
    (line,) = read_rows(study_dir.parent / "cache" / "test-reads.csv")
    assert (line["study"], line["network"]) == ("first", "ours")
    assert read_rows(study_dir / "test-reads.csv") == [*before, line]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("spell", [str, lambda k: f"{k:05d}", lambda k: NAMES[k], lambda k: NAMES[k].upper()])
def test_labels_are_numbers_or_names_and_columns_are_separated_somehow(
    spell: Any, separator: str, study_dir: Path
) -> None:
    rows = [
        ["Filename", "ClassId"],
        *([f"x/{row['path']}.png", spell(int(row["label"]))] for _, row in rows_of_test(study_dir)),
    ]
    added = add(study_dir, rows, separator=separator)
    assert added.predicted_N.tolist() == [0] * 10 + [1] * 10 + [2] * 10


def test_row_numbers_name_images_too(study_dir: Path) -> None:
    rows = [["image_id", "class_name", "remark"], *([i, "Blue", "x"] for i, _ in reversed(rows_of_test(study_dir)))]
    assert add(study_dir, rows).predicted_N.tolist() == [2] * 30


def test_of_probabilities_the_largest_counts(study_dir: Path) -> None:
    header = ["image_id", "2", "Red", "green", "remark"]
    rows = [
        header,
        *([i, 0.5, 0.2, 0.3, ""] if i % 2 else [i, 0.3, 0.35, 0.35, ""] for i, _ in rows_of_test(study_dir)),
    ]
    assert add(study_dir, rows).predicted_N.tolist() == [0, 2] * 15  # of two equal ones the first class


def test_what_predict_writes_is_taken_as_it_is(study_dir: Path) -> None:
    header = ["path", "rank", "class_id", "class_name", "probability", "error"]
    rows = [[row["path"], rank, (rank + 1) % 3, "", 0.5, ""] for _, row in rows_of_test(study_dir) for rank in (1, 2)]
    assert add(study_dir, [header, *rows]).predicted_N.tolist() == [2] * 30


def test_rows_of_training_images_are_left_out(study_dir: Path) -> None:
    rows = [["image_id", "label"], *([i, 0] for i in range(60))]
    assert add(study_dir, rows).image_ids_N.tolist() == list(range(30, 60))


def change(study_dir: Path, number: int, row: Sequence[object]) -> list[list[object]]:
    """The right answers with one line changed; line 1 is the header."""
    rows = right_answers(study_dir)
    rows[number - 1] = list(row)
    return rows


@pytest.mark.parametrize(
    ("number", "row", "words"),
    [
        (1, ["name", "label"], "has the columns name, label: one column must name the image"),
        (1, ["path", "answer"], "neither a column label nor one for each class (without 'Red', 'Green', 'Blue'"),
        (1, ["path", "path"], "has the column 'path' twice"),
        (1, ["path", "image_id"], "names images by path and image_id"),
        (5, ["nowhere.png", "0"], "line 5: 'nowhere.png' names no image of the study"),
        (5, ["", "0"], "line 5: '' names no image of the study"),
        (5, ["x" * 999, "3"], "names no image"),
        (5, ["a", "b", "c"], "line 5: 3 cells under 2 column names"),
        (5, ["a"], "line 5: 1 cells under 2 column names"),
    ],
)
def test_a_wrong_line_is_named(number: int, row: list[str], words: str, study_dir: Path) -> None:
    assert words in refusal(study_dir, change(study_dir, number, row))


@pytest.mark.parametrize("label", ["3", "-1", "Purple", "", "0.0", "nan", "\x1b[31m"])
def test_an_unknown_label_is_named(label: str, study_dir: Path) -> None:
    path = rows_of_test(study_dir)[3][1]["path"]
    told = refusal(study_dir, change(study_dir, 5, [path, label]))
    assert f"line 5: label {label!r} is no class of the study, which has the classes 0 (Red)" in told


def test_a_missing_and_a_double_image_are_named(study_dir: Path) -> None:
    rows = right_answers(study_dir)
    path = rows[4][0]
    assert f"has no row for 1 of 30 test images: {path!r}; every image needs one" in refusal(
        study_dir, rows[:4] + rows[5:]
    )
    assert f"line 32: {path!r} was answered in line 5" in refusal(study_dir, [*rows, rows[4]])
    assert "has no row for 30 of 30 test images" in refusal(study_dir, rows[:1])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["nan", 0.5, 0.5], "line 2: 'nan' is no probability"),
        ([-0.1, 0.6, 0.5], "line 2: '-0.1' is no probability"),
        (["inf", 0, 0], "line 2: 'inf' is no probability"),
        (["", 0.5, 0.5], "line 2: '' is no probability"),
        (["0,5", 0.5, 0], "line 2: '0,5' is no probability"),
        ([0.1, 0.1, 0.1], "the probabilities add up to 0.3"),
        ([1, 1, 1], "the probabilities add up to 3"),
        ([0, 0, 0], "the probabilities add up to 0"),
        ([12.5, 3, 1], "is no probability: they lie between 0 and 1"),
    ],
)
def test_what_is_no_probability_is_named(values: list[object], words: str, study_dir: Path) -> None:
    rows = [["image_id", *NAMES], [30, *values], *([i, 1, 0, 0] for i in range(31, 60))]
    assert words in refusal(study_dir, rows)


def test_columns_of_classes_are_all_or_none(study_dir: Path) -> None:
    assert "without 'Blue', and 'Bleu' of no class" in refusal(study_dir, [["path", "Red", "Green", "Bleu"]])
    assert "two columns for class 0 (Red)" in refusal(study_dir, [["path", "Red", "0", "Green", "Blue"]])


@pytest.mark.parametrize("name", ["", " ours", "a" * 61, "two\nlines", "\x1b[31m", "lenet5"])
def test_a_name_that_cannot_be_used_is_refused(name: str, study_dir: Path) -> None:
    assert "--name" in refusal(study_dir, right_answers(study_dir), name=name)


@pytest.mark.parametrize("name", ["../../x", "..", "a/b", "C:\\x", "ours 2024", "con.", "Unser größtes"])
def test_no_name_leads_out_of_the_study(name: str, study_dir: Path) -> None:
    around = {path for path in study_dir.parent.rglob("*") if study_dir not in path.parents}
    add(study_dir, right_answers(study_dir), name=name)
    assert len(list((study_dir / "incumbents").iterdir())) == 1
    assert read_external(study_dir, num_images=60, num_classes=3)[0].system.name == name
    new = {path for path in study_dir.parent.rglob("*") if study_dir not in path.parents} - around
    assert {path.name for path in new} == {"ours.csv", "cache", "test-reads.csv", ".lock"}


@pytest.mark.parametrize("name", ["incumbents", "incumbents/ours"])
def test_nothing_is_written_or_noted_where_a_link_leads_out_of_the_study(name: str, study_dir: Path) -> None:
    (theirs := study_dir.parent / "theirs").mkdir()
    (study_dir / name).parent.mkdir(exist_ok=True)
    (study_dir / name).symlink_to(theirs, target_is_directory=True)
    with pytest.raises(ValueError, match="is a link"):
        add(study_dir, right_answers(study_dir))
    assert not list(theirs.iterdir()) and not (study_dir.parent / "cache").exists()


def test_a_name_is_given_once(study_dir: Path) -> None:
    add(study_dir, right_answers(study_dir))
    with pytest.raises(ValueError, match="has a 'ours' already: give another --name, or delete"):
        add(study_dir, right_answers(study_dir))
    add(study_dir, right_answers(study_dir), name="ours-2")
    assert len(read_external(study_dir, num_images=60, num_classes=3)) == 2


def test_a_study_that_never_reads_its_test_set_takes_no_answers_for_it(study_dir: Path) -> None:
    rows = right_answers(study_dir)
    info = json.loads((study_dir / "study.json").read_text())
    (study_dir / "study.json").write_text(json.dumps({**info, "reads_test": False}))
    assert "was made with --no-test" in refusal(study_dir, rows)
    assert not (study_dir.parent / "cache").exists()


def with_validation(study_dir: Path) -> None:
    """Make the first ten training images a validation part that the data brought."""
    text = (study_dir / "split.csv").read_text().splitlines()
    text[1:11] = [line.replace(",train,", ",val,") for line in text[1:11]]
    (study_dir / "split.csv").write_text("\n".join(text) + "\n")


def test_a_validation_part_is_answered_wholly_or_not_at_all(study_dir: Path) -> None:
    with_validation(study_dir)
    rows = [["image_id", "label"], *([i, 0] for i in range(30, 60))]
    assert add(study_dir, rows).system.num_val == 0
    assert add(study_dir, [*rows, *([i, 0] for i in range(10))], name="both").system.num_val == 10
    with pytest.raises(ValueError, match="has no row for 1 of 10 val images"):
        add(study_dir, [*rows, *([i, 0] for i in range(9))], name="most")


def refused_file(study_dir: Path, path: Path) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        add_external(study_dir, path, name="ours", cache_dir=study_dir.parent / "cache")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_no_csv_file_is_refused(study_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    assert "does not exist" in refused_file(study_dir, path)
    assert "is no file" in refused_file(study_dir, tmp_path)
    path.write_bytes(b"")
    assert "has the columns nothing" in refused_file(study_dir, path)
    path.write_bytes("path,label\n".encode("utf-16"))
    assert "line 1 is no text in UTF-8" in refused_file(study_dir, path)
    path.write_bytes(b"path,label\nstop\xff,1\n")
    assert "line 2 is no text in UTF-8" in refused_file(study_dir, path)
    path.write_bytes(b'path,label\n"a,1\n')
    assert "no csv" in refused_file(study_dir, path)
    path.write_bytes(b"path,label\n" + b"x" * 200_000 + b",1\n")
    assert "no csv (field larger than field limit" in refused_file(study_dir, path)


def test_a_file_of_ten_gigabytes_is_not_read(study_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").touch()
    os.truncate(tmp_path / "x.csv", 10 << 30)  # a hole: it takes no room
    assert "has 10,737,418,240 bytes: at most 1,073,741,824 are read" in refused_file(study_dir, tmp_path / "x.csv")
    os.truncate(tmp_path / "x.csv", 100 << 20)
    assert "line 1 has more than 4,194,304 bytes" in refused_file(study_dir, tmp_path / "x.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_not_waited_for(study_dir: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    assert "is no file" in refused_file(study_dir, tmp_path / "x.csv")


@given(content=st.binary(max_size=200))
def test_any_bytes_are_rows_or_one_line(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"path,label\n" + content)
    images, classes = image_finder(["a/1.png"], [0]), class_finder(NAMES)
    try:
        assert all(
            image == 0 and label in range(3) for _, image, label in read_external_predictions(path, images, classes)
        )
    except ValueError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("test/00000", 1),
        ("test/00000.ppm", 1),
        ("00000.PNG", 1),
        ("/data/GTSRB/test/00000.ppm", 1),
        (r"C:\data\test\00000.png", 1),
        ("./test//00000", 1),
        ("train/0/00000_1", 0),
        ("a/x.png", 2),
        ("a/x", 2),
        ("b/x.png", 3),
        ("v1.0", 4),
    ],
)
def test_an_image_is_found_by_how_its_path_ends(text: str, row: int) -> None:
    finder = image_finder(["train/0/00000_1", "test/00000", "a/x.png", "b/x.png", "v1.0"], [1, 2, 3, 4])
    assert finder.find(text) == row


def test_a_name_of_two_images_is_no_name() -> None:
    finder = image_finder(["train/0/00000_1", "a/x.png", "b/x.png"], [1, 2])
    assert "names several images" in str(finder.find("x.png"))
    assert "names no image" in str(finder.find("00000_1"))  # a name alone finds no training image
    assert "names no image" in str(finder.find(""))
