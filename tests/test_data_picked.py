"""The image files that words mean: in order, as typed, lazily, and with a reason where one cannot be read."""

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roadtest.data.picked import MAX_LINE_BYTES, decode_picked, pick_images
from used_study import draw_colour, draw_colours


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw_colours(Path("photos"), {"b": 0, "a": 1}, num_images=2)
    (Path("photos") / "read me.txt").write_text("no picture")
    draw_colour(Path("photos/.hidden/1.png"), 0)
    draw_colour(Path("photos/__MACOSX/1.png"), 0)
    return tmp_path


def test_a_folder_gives_every_picture_below_it_sorted_and_as_typed(photos: Path) -> None:
    pick = pick_images(["./photos"])
    assert list(pick) == ["./photos/a/0.png", "./photos/a/1.png", "./photos/b/0.png", "./photos/b/1.png"]
    assert pick.num_left_out == 1


def test_files_and_patterns_stand_in_the_order_of_the_words(photos: Path) -> None:
    words = ["photos/b/1.png", "photos/*/0.png", "nowhere.png"]
    assert list(pick_images(words)) == ["photos/b/1.png", "photos/a/0.png", "photos/b/0.png", "nowhere.png"]
    assert list(pick_images(["photos/[ab]/**/1.png"])) == ["photos/a/1.png", "photos/b/1.png"]


def test_a_file_that_looks_like_a_pattern_is_a_file(photos: Path) -> None:
    draw_colour(Path("a[1].png"), 0)
    assert list(pick_images(["a[1].png"])) == ["a[1].png"]


def test_a_home_folder_is_found(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(photos))
    monkeypatch.setenv("USERPROFILE", str(photos))
    assert len(list(pick_images(["~/photos"]))) == 4


def test_standard_input_lists_paths_and_folders_one_a_line(photos: Path) -> None:
    stdin = io.BytesIO(b"photos/b/0.png\r\n\nphotos/a\nphotos/*.png")
    assert list(pick_images(["-"], stdin=stdin)) == [
        "photos/b/0.png",
        "photos/a/0.png",
        "photos/a/1.png",
        "photos/*.png",  # a name in a list is a name
    ]
    assert list(pick_images(["-"])) == ["-"]


def test_standard_input_is_read_no_further_than_asked(photos: Path) -> None:
    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1) -> bytes:  # type: ignore[override]
            return b"x.png\n"

    paths = iter(pick_images(["-"], stdin=Endless()))  # type: ignore[arg-type]
    assert [next(paths) for _ in range(3)] == ["x.png"] * 3


def test_a_line_without_an_end_is_refused(photos: Path) -> None:
    pick = pick_images(["-"], stdin=io.BytesIO(b"a.png\n" + b"x" * (MAX_LINE_BYTES + 1)))
    with pytest.raises(ValueError, match="line 2 of standard input has more than 32,768 bytes"):
        list(pick)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "no image was named"),
        (["photos/*.jpg"], "matches no file"),
        (["empty"], "holds no image"),
        (["photos", "empty"], "holds no image"),
    ],
)
def test_words_that_give_nothing_are_a_mistake(words: list[str], reason: str, photos: Path) -> None:
    Path("empty").mkdir()
    with pytest.raises(ValueError, match=reason):
        pick_images(words)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_to_folders_are_not_followed_and_links_to_files_are(photos: Path) -> None:
    Path("photos/a/loop").symlink_to(photos)
    Path("photos/a/9.png").symlink_to(photos / "photos/b/0.png")
    pick = pick_images(["photos/a"])
    assert list(pick) == ["photos/a/0.png", "photos/a/1.png", "photos/a/9.png"]
    assert pick.num_left_out == 1


def test_a_whole_image_is_decoded_as_in_training(photos: Path) -> None:
    image_HWC = decode_picked("photos/a/0.png", 32)
    assert isinstance(image_HWC, np.ndarray)
    assert image_HWC.shape == (32, 32, 3) and image_HWC.dtype == np.uint8


def claimed(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to no pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 99))]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no image"),
        (b"GIF89a", "no image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image"),
        (claimed(100_000, 100_000), "decompression bomb"),
        (claimed(12_000, 9_000), "DecompressionBombWarning|12000 x 9000 pixels are more than 100 million"),
        (claimed(20, 20), "truncated"),
    ],
)
def test_a_file_that_cannot_be_read_has_a_reason_in_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    found = decode_picked(str(path), 32)
    assert isinstance(found, str) and "\n" not in found
    assert any(words in found for words in reason.split("|")), found


def test_what_is_no_file_has_a_reason_too(tmp_path: Path) -> None:
    assert decode_picked(str(tmp_path / "nowhere.png"), 32) == "No such file or directory"
    assert decode_picked(str(tmp_path), 32) == "the folder cannot be read"
    assert "null" in str(decode_picked("a\0b", 32))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    assert decode_picked(str(tmp_path / "x.png"), 32) == "it is no regular file"


def test_a_cut_off_picture_is_a_reason(photos: Path) -> None:
    whole = Path("photos/a/0.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in str(decode_picked("cut.png", 32))


def test_formats_that_start_another_program_are_not_opened(tmp_path: Path) -> None:
    image = Image.new("RGB", (9, 9))
    image.save(tmp_path / "x.eps")
    assert decode_picked(str(tmp_path / "x.eps"), 32) == "it is no image of a kind that is read"
