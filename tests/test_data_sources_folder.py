"""Folders of images: layouts, what is left out, what is refused, and one fingerprint in every layout.

The csv file: what it gives, and what it is refused for."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake_images import draw, draw_classes, refusal
from roadtest.data.cache import open_image_set
from roadtest.data.dataset import Listing
from roadtest.data.sources.folder import list_folder
from roadtest.data.sources.layout import hold_out_note


def write_csv(root: Path, text: str) -> Path:
    path = root / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def parts(listing: Listing) -> Counter[str]:
    return Counter(item.split for item in listing.items)


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Train", "VALID", "Test"), ("TRAIN", "validation", "tEST")]
)
def test_parts_are_known_in_any_case(tmp_path: Path, names: tuple[str, str, str]) -> None:
    for name, count in zip(names, (3, 2, 1), strict=True):
        draw_classes(tmp_path / name, {"a": count, "b": count})
    listing = list_folder(tmp_path)
    assert parts(listing) == {"train": 6, "val": 4, "test": 2}
    assert listing.notes == ()
    assert listing.items[0].path == f"{names[0]}/a/000.png"


def test_train_and_val_alone_leave_no_test_set(tmp_path: Path) -> None:
    for name in ("train", "val"):
        draw_classes(tmp_path / name, {"a": 5, "b": 5})
    listing = list_folder(tmp_path)
    assert parts(listing) == {"train": 10, "val": 10}
    assert [note.text for note in listing.notes] == ["No test set was given."]


def test_train_and_test_keep_their_test_set(tmp_path: Path) -> None:
    for name in ("train", "test"):
        draw_classes(tmp_path / name, {"a": 10, "b": 10})
    assert parts(list_folder(tmp_path)) == {"train": 20, "test": 20}


def test_a_folder_one_level_too_high_is_understood_and_noted(tmp_path: Path) -> None:
    draw_classes(tmp_path / "archive" / "data", {"a": 4, "b": 4})
    listing = list_folder(tmp_path)
    assert len(listing.items) == 8
    assert listing.items[0].path == "a/000.png"
    assert listing.notes[0].text == "The images lie deeper: archive/data was taken."


def test_folders_inside_a_class_belong_to_the_class(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "deep" / "er" / "1.png")
    draw(tmp_path / "a" / "2.png")
    draw(tmp_path / "b" / "3.png")
    listing = list_folder(tmp_path)
    assert [(item.label, item.path) for item in listing.items] == [
        (0, "a/2.png"),
        (0, "a/deep/er/1.png"),
        (1, "b/3.png"),
    ]


def test_items_stand_in_canonical_order(tmp_path: Path) -> None:
    draw_classes(tmp_path / "test", {"b": 2, "a": 2})
    draw_classes(tmp_path / "train", {"b": 2, "a": 2})
    assert [(item.split, item.label) for item in list_folder(tmp_path).items] == [
        *[("train", 0), ("train", 0), ("train", 1), ("train", 1)],
        *[("test", 0), ("test", 0), ("test", 1), ("test", 1)],
    ]


# What is left out


def test_files_that_are_no_images_are_left_out_and_counted(tmp_path: Path) -> None:
    root = draw_classes(tmp_path, {"a": 5, "b": 5})
    for name in ("a/Thumbs.db", "a/.DS_Store", "a/._000.png", "notes.TXT", "b/list.csv", "b/more.csv", "b/README"):
        (root / name).write_bytes(b"x")
    (root / ".git").mkdir()
    (root / "__MACOSX").mkdir()
    draw(root / "a" / ".thumbs" / "000.png")
    draw(root / "loose.png")
    listing = list_folder(root)
    assert len(listing.items) == 10
    (left_out, _) = listing.notes
    assert (left_out.kind, left_out.count) == ("left out", 8)
    assert left_out.file_kinds == (".csv", "hidden", ".db", ".txt", "in no class folder", "of no known kind")
    assert left_out.text.startswith("Files were left out: 2 .csv, 2 hidden, 1 .db, ")


# Refusals


def test_a_missing_path_says_what_to_give(tmp_path: Path) -> None:
    assert "does not exist: give a folder" in refusal(tmp_path / "nothing")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "holds no images: every class needs a folder" in refusal(tmp_path)


def test_images_without_class_folders_are_refused(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    assert "holds images but no folders: every class needs" in refusal(tmp_path)


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    assert "one class, 'a': at least two" in refusal(draw_classes(tmp_path, {"a": 3}))


def test_a_class_without_images_is_refused(tmp_path: Path) -> None:
    (draw_classes(tmp_path, {"a": 3, "b": 3}) / "empty").mkdir()
    assert "empty holds no image" in refusal(tmp_path)


def test_a_class_that_is_only_tested_is_refused(tmp_path: Path) -> None:
    draw_classes(tmp_path / "train", {"a": 3, "b": 3})
    draw_classes(tmp_path / "test", {"a": 3, "c": 3})
    assert "class 'c' has no training image" in refusal(tmp_path)


def test_a_part_beside_a_class_is_refused(tmp_path: Path) -> None:
    assert "'train' beside 'cats'" in refusal(draw_classes(tmp_path, {"train": 3, "cats": 3}))


@pytest.mark.parametrize("names", [("Training", "Testing"), ("Train-Set", "Test set"), ("dev", "HOLDOUT")])
def test_parts_of_other_names_are_not_taken_for_classes(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        draw_classes(tmp_path / name, {"a": 2, "b": 2})
    assert refusal(tmp_path) == (
        f"{min(names)!r} stands where a class does and reads as a part: parts are train, val and test; "
        "rename the folder to train, val or test, or the class"
    )


def test_two_folders_of_one_part_are_refused(tmp_path: Path) -> None:
    for name in ("train", "val", "valid"):
        draw_classes(tmp_path / name, {"a": 1, "b": 1})
    assert "'val' and 'valid': one folder per part" in refusal(tmp_path)


def test_parts_without_train_are_refused(tmp_path: Path) -> None:
    for name in ("val", "test"):
        draw_classes(tmp_path / name, {"a": 1, "b": 1})
    assert "test, val and no train" in refusal(tmp_path)


def test_two_spellings_of_one_class_side_by_side_are_refused(tmp_path: Path) -> None:
    assert "'005' and '5': they name one class" in refusal(draw_classes(tmp_path, {"5": 1, "005": 1, "6": 1}))


def test_an_archive_is_to_be_unpacked_first(tmp_path: Path) -> None:
    (tmp_path / "data.ZIP").write_bytes(b"PK")
    assert "unpack it first" in refusal(tmp_path / "data.ZIP")


def test_a_name_with_a_line_break_is_refused(tmp_path: Path) -> None:
    draw_classes(tmp_path, {"a": 2, "b": 2})
    draw(tmp_path / "b" / "x\u2028y.png")
    assert "has a line break" in refusal(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("target", ["secret.png", "folder", "nowhere.png"])
def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path, target: str) -> None:
    root = draw_classes(tmp_path / "data", {"a": 2, "b": 2})
    draw(tmp_path / "secret.png")
    draw_classes(tmp_path / "folder", {"x": 1})
    (root / "a" / "link.png").symlink_to(tmp_path / target)
    assert "links to a place outside" in refusal(root)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_class_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    root = draw_classes(tmp_path / "data", {"a": 2, "b": 2})
    (root / "c").symlink_to(root / "a")
    assert "links to a folder" in refusal(root)
    (root / "c").unlink()
    (root / "c").symlink_to(draw_classes(tmp_path / "other", {"x": 1}))
    assert "links to a place outside" in refusal(root)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    root = draw_classes(tmp_path, {"a": 2, "b": 2})
    (root / "b" / "link.png").symlink_to(root / "a" / "000.png")
    assert [item.path for item in list_folder(root).items if "link" in item.path] == ["b/link.png"]


# One data set in several layouts


def fingerprint(listing: Listing, cache_dir: Path) -> str:
    return open_image_set(listing, image_size=16, cache_dir=cache_dir).fingerprint


def test_one_data_set_has_one_fingerprint_in_every_layout(tmp_path: Path) -> None:
    ppm, png, table = tmp_path / "ppm", tmp_path / "png", tmp_path / "table"
    rows = ["path,label,split"]
    for split, count in (("train", 6), ("test", 3)):
        for name in ("0", "1"):
            for i in range(count):
                pixels = np.random.default_rng([count, int(name), i]).integers(0, 256, (9 + i, 8, 3), np.uint8)
                image = Image.fromarray(pixels)
                draws = {
                    ppm / split / name / f"{i}.ppm": image,
                    png / split.upper() / f"0{name}" / "in" / f"{9 - i}.png": image,  # reversed order of names
                    table / f"{split}-{name}-{i}.bmp": image,
                }
                for path, picture in draws.items():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    picture.save(path)
                rows.append(f"{split}-{name}-{i}.bmp,{name},{split}")
    listings = [list_folder(ppm), list_folder(png), list_folder(write_csv(table, "\n".join(rows) + "\n"))]
    assert len({fingerprint(listing, tmp_path / "cache") for listing in listings}) == 1
    changed = ppm / "train" / "0" / "0.ppm"
    with Image.open(changed) as image:
        pixels = np.array(image)
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(changed)
    assert fingerprint(list_folder(ppm), tmp_path / "cache") != fingerprint(listings[1], tmp_path / "cache")


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
    assert listing.notes == (hold_out_note(listing.items),)
    assert (listing.notes[0].kind, listing.notes[0].count) == ("held out", 30)


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
