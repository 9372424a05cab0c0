"""Folders and csv files of images: layouts, class order, what is left out, what is refused, and every kind of pixel."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from roadtest.data.cache import open_image_set
from roadtest.data.folder import list_folder
from roadtest.data.imageset import Item, Listing
from roadtest.data.layout import class_key, class_order
from roadtest.data.pictures import read_image


def draw(path: Path, colour: int = 0, size: tuple[int, int] = (4, 3)) -> Path:
    """A small picture of one colour, in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour, 255 - colour, 7)).save(path)
    return path


def draw_classes(root: Path, counts: dict[str, int], suffix: str = ".png") -> Path:
    for k, (name, count) in enumerate(counts.items()):
        for i in range(count):
            draw(root / name / f"{i:03d}{suffix}", colour=20 * k + i)
    return root


def write_csv(root: Path, text: str) -> Path:
    path = root / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def parts(listing: Listing) -> Counter[str]:
    return Counter(item.split for item in listing.items)


def refusal(path: Path) -> str:
    """The message of a refused source, which must be one line."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        list_folder(path)
    message = str(error.value)
    assert "\n" not in message
    return message


def item_at(path: Path) -> Item:
    return Item(path=path.name, container="", location=str(path), label=0, group="", frame=0, split="train")


# Layouts


def test_a_folder_per_class_gets_15_percent_held_out_by_class(tmp_path: Path) -> None:
    listing = list_folder(draw_classes(tmp_path / "pets", {"dogs": 20, "Cats": 40}))
    assert listing.class_names == ("Cats", "dogs")
    assert listing.source == listing.title == "pets"
    held_out = Counter(item.label for item in listing.items if item.split == "test")
    assert held_out == {0: 6, 1: 3}  # 15 % of 40 and of 20
    assert listing.notes == ("No test part was given: 9 of 60 images were held out as the test set, by class.",)


def test_the_seed_decides_which_images_are_held_out(tmp_path: Path) -> None:
    root = draw_classes(tmp_path, {"a": 30, "b": 30})

    def test_paths(seed: int) -> list[str]:
        return [item.path for item in list_folder(root, seed=seed).items if item.split == "test"]

    assert test_paths(0) == test_paths(0) != test_paths(1)


def test_a_class_of_two_images_gives_none_to_the_test_set(tmp_path: Path) -> None:
    listing = list_folder(draw_classes(tmp_path, {"few": 2, "many": 9}))
    assert Counter((item.label, item.split) for item in listing.items) == {
        (0, "train"): 2,
        (1, "train"): 8,
        (1, "test"): 1,
    }


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
    assert listing.notes == ("No test set was given.",)


def test_train_alone_gets_a_test_set_held_out(tmp_path: Path) -> None:
    draw_classes(tmp_path / "train", {"a": 10, "b": 10})
    assert parts(list_folder(tmp_path)) == {"train": 16, "test": 4}


def test_train_and_test_keep_their_test_set(tmp_path: Path) -> None:
    for name in ("train", "test"):
        draw_classes(tmp_path / name, {"a": 10, "b": 10})
    assert parts(list_folder(tmp_path)) == {"train": 20, "test": 20}


def test_a_folder_one_level_too_high_is_understood_and_noted(tmp_path: Path) -> None:
    draw_classes(tmp_path / "archive" / "data", {"a": 4, "b": 4})
    listing = list_folder(tmp_path)
    assert len(listing.items) == 8
    assert listing.items[0].path == "a/000.png"
    assert listing.notes[0] == "The images lie deeper: archive/data was taken."


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


def test_numbered_classes_sort_by_value_and_match_in_any_spelling(tmp_path: Path) -> None:
    draw_classes(tmp_path / "train", {"00010": 1, "00005": 1, "2": 1})
    draw_classes(tmp_path / "test", {"10": 1, "5": 1, "02": 1})
    listing = list_folder(tmp_path)
    assert listing.class_names == ("2", "5", "10")
    assert [item.path for item in listing.items if item.label == 1] == ["train/00005/000.png", "test/5/000.png"]


@given(st.lists(st.text(max_size=6) | st.integers(0, 300).map(str), unique=True))
def test_the_class_order_is_numbers_by_value_then_words_without_case(names: list[str]) -> None:
    keys = sorted({class_key(name) for name in names}, key=class_order)
    numbers = [value for kind, value in keys if kind == 0]
    words = [str(value).casefold() for kind, value in keys if kind == 1]
    assert numbers == sorted(numbers, key=int)
    assert words == sorted(words)
    assert [kind for kind, _ in keys] == [0] * len(numbers) + [1] * len(words)


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
    assert listing.notes[0] == (
        "Files were left out: 2 .csv, 2 hidden, 1 .db, 1 .txt, 1 images in no class folder, 1 of no known kind."
    )


# Refusals


def test_a_missing_path_says_what_to_give(tmp_path: Path) -> None:
    assert "does not exist: give a folder" in refusal(tmp_path / "nothing")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "holds no images: every class needs a folder" in refusal(tmp_path)


def test_images_without_class_folders_are_refused(tmp_path: Path) -> None:
    draw(tmp_path / "1.png")
    assert "1 images that lie in no class folder" in refusal(tmp_path)


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


# The csv file


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
    assert "must be a csv file in UTF-8" in refusal(tmp_path / "x.csv")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("row", ["link.png", "out/1.png"])
def test_a_csv_row_must_not_follow_a_link_out_of_the_folder(tmp_path: Path, row: str) -> None:
    data = tmp_path / "data"
    draw(data / "1.png")
    draw(tmp_path / "secret" / "1.png")
    (data / "link.png").symlink_to(tmp_path / "secret" / "1.png")
    (data / "out").symlink_to(tmp_path / "secret")
    assert "links to a place outside" in refusal(write_csv(data, f"path,label\n1.png,a\n{row},b\n"))


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


# Every kind of pixel

GREY = Image.fromarray(np.array([[0, 100], [200, 255]], np.uint8))


def over_white(value: int, alpha: int) -> int:
    return round((value * alpha + 255 * (255 - alpha)) / 255)


def first_pixel(path: Path) -> tuple[int, ...]:
    image = read_image(item_at(path))
    assert image.mode == "RGB"
    pixel = image.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def test_grey_is_repeated(tmp_path: Path) -> None:
    GREY.save(tmp_path / "x.png")
    assert np.array(read_image(item_at(tmp_path / "x.png"))).tolist() == [
        [[0, 0, 0], [100, 100, 100]],
        [[200, 200, 200], [255, 255, 255]],
    ]


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    Image.new("1", (2, 2), 1).save(tmp_path / "x.png")
    assert first_pixel(tmp_path / "x.png") == (255, 255, 255)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.new("P", (2, 2), 3)
    image.putpalette([0, 0, 0, 1, 1, 1, 2, 2, 2, 10, 20, 30])
    image.save(tmp_path / "x.png")
    assert first_pixel(tmp_path / "x.png") == (10, 20, 30)


def test_a_transparent_palette_colour_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "x.gif", transparency=1)
    assert first_pixel(tmp_path / "x.gif") == (255, 255, 255)


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (200, 0, 0, 100)).save(tmp_path / "x.png")
    assert first_pixel(tmp_path / "x.png") == (over_white(200, 100), over_white(0, 100), over_white(0, 100))
    Image.new("LA", (2, 2), (50, 0)).save(tmp_path / "y.png")
    assert first_pixel(tmp_path / "y.png") == (255, 255, 255)


def test_an_opaque_image_with_alpha_keeps_its_pixels(tmp_path: Path) -> None:
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (16, 16, 4), np.uint8)
    pixels_HWC[..., 3] = 255
    Image.fromarray(pixels_HWC).save(tmp_path / "x.png")
    assert np.array_equal(np.array(read_image(item_at(tmp_path / "x.png"))), pixels_HWC[..., :3])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_their_high_byte(tmp_path: Path, suffix: str) -> None:
    values_HW = np.array([[0, 255], [256 * 100 + 17, 65535]], np.uint16)
    Image.fromarray(values_HW).save(tmp_path / f"x{suffix}")
    assert np.array(read_image(item_at(tmp_path / f"x{suffix}")))[..., 0].tolist() == [[0, 0], [100, 255]]


def test_pixels_of_no_known_scale_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.0, 0.5]], np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(tmp_path / "int.tif")
    for name in ("float.tif", "int.tif"):
        with pytest.raises(ValueError, match="no agreed scale"):
            read_image(item_at(tmp_path / name))


def test_cmyk_is_converted(tmp_path: Path) -> None:
    Image.new("CMYK", (2, 2), (255, 0, 0, 0)).save(tmp_path / "x.tif")
    assert first_pixel(tmp_path / "x.tif") == (0, 255, 255)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)), (8, lambda a: np.rot90(a, 1))],
)
def test_the_exif_orientation_is_obeyed(
    tmp_path: Path, orientation: int, turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels_HWC).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(np.array(read_image(item_at(tmp_path / "x.png"))), turn(pixels_HWC))


def test_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert first_pixel(tmp_path / "x.gif") == (255, 0, 0)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    # A bitmap of a few bytes that claims to have 20,000 x 20,000 pixels: 1.2 GB if it were believed.
    Image.new("L", (8, 8)).save(tmp_path / "x.bmp")
    data = bytearray((tmp_path / "x.bmp").read_bytes())
    data[18:26] = (20_000).to_bytes(4, "little") * 2
    (tmp_path / "x.bmp").write_bytes(data)
    with pytest.raises((Image.DecompressionBombError, Image.DecompressionBombWarning)):
        read_image(item_at(tmp_path / "x.bmp"))


def test_a_picture_that_starts_another_program_is_not_opened(tmp_path: Path) -> None:
    GREY.save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.png")
    with pytest.raises(OSError, match="cannot identify"):
        read_image(item_at(tmp_path / "x.png"))


@given(
    data=st.binary(max_size=200),
    magic=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"P6\n", b"BM", b"\xff\xd8\xff"]),
)
def test_garbage_is_an_image_or_an_ordinary_error(
    data: bytes, magic: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.png"
    path.write_bytes(magic + data)
    try:
        image = read_image(item_at(path))
    except Exception as error:  # anything but a crash or a huge image
        assert str(error) is not None
    else:
        assert image.mode == "RGB"
