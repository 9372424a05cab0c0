"""The csv file: what it gives, and what it is refused for."""

import os
from collections import Counter
from pathlib import Path

import pytest

from fake_images import draw, refusal
from roadtest.data.folder import list_folder


def write_csv(root: Path, text: str) -> Path:
    path = root / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_file_gives_labels_groups_and_parts(tmp_path: Path) -> None:
    for i in range(6):
        draw(tmp_path / "images" / f"{i}.png")
    path = write_csv(
        tmp_path,
        "\ufeffPath, Label ,group,split,note\n"  # with a byte order mark, as spreadsheets write it
        'images/0.png,Stop,t1,train,"a, b"\n'
        "images\\1.png,Stop,t1,Train,\n"
        "images/x/../2.png,Give way,t2,train,\n"
        "\n"
        "images/3.png,Give way,,VALID,\n"
        "./images/4.png,Stop,t5,test,\n"
        "images/5.png,Stop,t5,test,\n",
    )
    listing = list_folder(path)
    assert listing.class_names == ("Give way", "Stop")
    assert [(i.path, i.label, i.group, i.frame, i.split) for i in listing.items] == [
        ("images/2.png", 0, "t2", 0, "train"),
        ("images/0.png", 1, "t1", 0, "train"),
        ("images/1.png", 1, "t1", 1, "train"),
        ("images/3.png", 0, "", 0, "val"),
        ("images/4.png", 1, "t5", 0, "test"),
        ("images/5.png", 1, "t5", 1, "test"),
    ]


def test_whole_groups_are_held_out_from_a_csv_file(tmp_path: Path) -> None:
    rows = ["path,label,group"]
    for i in range(200):
        draw(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{i // 100},{i // 100}-{i // 5}")
    listing = list_folder(write_csv(tmp_path, "\n".join(rows) + "\n"))
    split_by_group = {(item.group, item.split) for item in listing.items}
    assert len(split_by_group) == 40  # each group on one side only
    assert Counter(split for _, split in split_by_group) == {"train": 34, "test": 6}  # 3 of 20 in each class
    assert listing.notes == ("No test part was given: 30 of 200 images were held out as the test set, whole groups.",)


ROW = "1.png,a\n2.png,b\n"


BAD_TABLES = [
    ("path;label\n1.png;a\n", "has the columns path;label: the first line must name path and label"),
    ("", "has the columns nothing"),
    ("path,label,label\n1.png,a,b\n", "path and label once each"),
    ("path,label\n1.png,a,b\n", "line 2: 3 cells under 2 column names"),
    ("path,label\n/etc/passwd,a\n", "does not lead into the csv file's folder"),
    ("path,label\nC:/x.png,a\n", "does not lead into the csv file's folder"),
    ("path,label\n\\\\host\\x.png,a\n", "does not lead into the csv file's folder"),
    ("path,label\nx/../../1.png,a\n", "does not lead into the csv file's folder"),
    ("path,label\n,a\n", "does not lead into the csv file's folder"),
    (f"path,label\n{ROW}./1.png,b\n", "line 4: '1.png' is named twice"),
    (f"path,label\n{ROW}no.png,b\nnot.png,b\n", "do not exist: 'no.png', 'not.png'; paths are relative"),
    ("path,label\n1.png,\n", "the label is empty"),
    ("path,label,split\n1.png,a,tets\n", "split 'tets' is not known: write train"),
    ("path,label,split\n1.png,a,\n", "split '' is not known"),
    ("path,label,group,split\n1.png,a,g,train\n2.png,b,g,test\n", "group 'g' has images in train and in test"),
    ("path,label\n1.png,a\n2.png,a\n", "one class, 'a'"),
    ("path,label\n", "holds no images"),
    ('path,label\n"1.png,a\n', "must be a csv file in UTF-8"),
    ("path,label\n1.png,a\n.,b\n", "does not lead into the csv file's folder"),
    ("path,label\n1.png,a\nsub,b\n", "do not exist: 'sub'"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TABLES)
def test_a_bad_csv_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    for name in ("1.png", "2.png", "sub/3.png"):
        draw(tmp_path / "data" / name)
    draw(tmp_path / "1.png")
    assert message in refusal(write_csv(tmp_path / "data", text))


def test_a_csv_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("path,label\nü.png,a\n".encode("latin-1"))
    assert "line 2 is no text in UTF-8: save it as a csv file in UTF-8" in refusal(tmp_path / "x.csv")


def test_a_csv_file_without_an_end_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"path,label\n")
    os.truncate(tmp_path / "x.csv", 10 << 20)  # a hole: a line of ten megabytes that takes no room
    assert "line 2 has more than 4,194,304 bytes" in refusal(tmp_path / "x.csv")
    os.truncate(tmp_path / "x.csv", 10 << 30)
    assert "has 10,737,418,240 bytes: at most 1,073,741,824 are read" in refusal(tmp_path / "x.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    assert "is no file" in refusal(tmp_path / "x.csv")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("row", ["link.png", "out/1.png"])
def test_a_csv_row_must_not_follow_a_link_out_of_the_folder(tmp_path: Path, row: str) -> None:
    data = tmp_path / "data"
    draw(data / "1.png")
    draw(tmp_path / "secret" / "1.png")
    (data / "link.png").symlink_to(tmp_path / "secret" / "1.png")
    (data / "out").symlink_to(tmp_path / "secret")
    assert "links to a place outside" in refusal(write_csv(data, f"path,label\n1.png,a\n{row},b\n"))
