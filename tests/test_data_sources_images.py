"""Every kind of pixel becomes RGB or is refused.

The image files that words mean: in order, as typed, lazily, and with a reason where one cannot be read.

Sizes, modes and formats of the originals, and why files cannot be read."""

import io
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fake_images import item_at
from fake_looks import picture
from roadtest.data.dataset import Item, Listing
from roadtest.data.signs import list_signs
from roadtest.data.sources import images as headers
from roadtest.data.sources.folder import list_folder
from roadtest.data.sources.gtsrb import read_image as read_zipped
from roadtest.data.sources.images import (
    MAX_LINE_BYTES,
    decode_file,
    explain_broken,
    find_image_paths,
    is_picture,
    read_headers,
    read_image,
)
from used_study import draw_colour, draw_colours

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


def test_a_format_that_is_unpacked_without_a_bound_is_not_opened_under_any_name(tmp_path: Path) -> None:
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2"]
    cards += ["NAXIS1  =                    2", "NAXIS2  =                    2", "END"]
    header = "".join(f"{card:80}" for card in cards).encode().ljust(2880)
    (tmp_path / "x.png").write_bytes(header + bytes(2880))
    with Image.open(tmp_path / "x.png") as image:
        assert image.format == "FITS"  # Pillow itself goes by the first bytes
    with pytest.raises(OSError, match="cannot identify"):
        read_image(item_at(tmp_path / "x.png"))
    assert not is_picture("x.fits")


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


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw_colours(Path("photos"), {"b": 0, "a": 1}, num_images=2)
    (Path("photos") / "read me.txt").write_text("no picture")
    draw_colour(Path("photos/.hidden/1.png"), 0)
    draw_colour(Path("photos/__MACOSX/1.png"), 0)
    return tmp_path


def test_a_folder_gives_every_picture_below_it_sorted_and_as_typed(photos: Path) -> None:
    pick = find_image_paths(["./photos"])
    assert list(pick) == ["./photos/a/0.png", "./photos/a/1.png", "./photos/b/0.png", "./photos/b/1.png"]
    assert pick.num_left_out == 1


def test_files_and_patterns_stand_in_the_order_of_the_words(photos: Path) -> None:
    words = ["photos/b/1.png", "photos/*/0.png", "nowhere.png"]
    assert list(find_image_paths(words)) == ["photos/b/1.png", "photos/a/0.png", "photos/b/0.png", "nowhere.png"]
    assert list(find_image_paths(["photos/[ab]/**/1.png"])) == ["photos/a/1.png", "photos/b/1.png"]


def test_a_file_that_looks_like_a_pattern_is_a_file(photos: Path) -> None:
    draw_colour(Path("a[1].png"), 0)
    assert list(find_image_paths(["a[1].png"])) == ["a[1].png"]


def test_a_home_folder_is_found(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(photos))
    monkeypatch.setenv("USERPROFILE", str(photos))
    assert len(list(find_image_paths(["~/photos"]))) == 4


def test_standard_input_lists_paths_and_folders_one_a_line(photos: Path) -> None:
    stdin = io.BytesIO(b"photos/b/0.png\r\n\nphotos/a\nphotos/*.png")
    assert list(find_image_paths(["-"], stdin=stdin)) == [
        "photos/b/0.png",
        "photos/a/0.png",
        "photos/a/1.png",
        "photos/*.png",  # a name in a list is a name
    ]
    assert list(find_image_paths(["-"])) == ["-"]


def test_standard_input_is_read_no_further_than_asked(photos: Path) -> None:
    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1) -> bytes:  # type: ignore[override]
            return b"x.png\n"

    paths = iter(find_image_paths(["-"], stdin=Endless()))  # type: ignore[arg-type]
    assert [next(paths) for _ in range(3)] == ["x.png"] * 3


def test_a_line_without_an_end_is_refused(photos: Path) -> None:
    pick = find_image_paths(["-"], stdin=io.BytesIO(b"a.png\n" + b"x" * (MAX_LINE_BYTES + 1)))
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
        find_image_paths(words)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_to_folders_are_not_followed_and_links_to_files_are(photos: Path) -> None:
    Path("photos/a/loop").symlink_to(photos)
    Path("photos/a/9.png").symlink_to(photos / "photos/b/0.png")
    pick = find_image_paths(["photos/a"])
    assert list(pick) == ["photos/a/0.png", "photos/a/1.png", "photos/a/9.png"]
    assert pick.num_left_out == 1


def test_a_whole_image_is_decoded_as_in_training(photos: Path) -> None:
    image_HWC = decode_file("photos/a/0.png", 32)
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
    found = decode_file(str(path), 32)
    assert isinstance(found, str) and "\n" not in found
    assert any(words in found for words in reason.split("|")), found


def test_what_is_no_file_has_a_reason_too(tmp_path: Path) -> None:
    assert decode_file(str(tmp_path / "nowhere.png"), 32) == "No such file or directory"
    assert decode_file(str(tmp_path), 32) == "the folder cannot be read"
    assert "null" in str(decode_file("a\0b", 32))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    assert decode_file(str(tmp_path / "x.png"), 32) == "it is no regular file"


def test_a_cut_off_picture_is_a_reason(photos: Path) -> None:
    whole = Path("photos/a/0.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in str(decode_file("cut.png", 32))


def test_formats_that_start_another_program_are_not_opened(tmp_path: Path) -> None:
    image = Image.new("RGB", (9, 9))
    image.save(tmp_path / "x.eps")
    assert decode_file(str(tmp_path / "x.eps"), 32) == "it is no image of a kind that is read"


def draw(root: Path) -> Path:
    for place, (width, height, mode, suffix) in enumerate(
        [(300, 200, "RGB", "png"), (150, 400, "L", "png"), (140, 130, "RGB", "jpg")]
    ):
        for label in "ab":
            path = root / label / f"{place}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(place).resize((width, height)).convert(mode).save(path)
    return root


def test_headers_tell_sizes_and_kinds(tmp_path: Path) -> None:
    found = read_headers(list_folder(draw(tmp_path)))
    assert found is not None
    assert sorted(found.short_sides_M.tolist()) == [130, 130, 150, 150, 200, 200]
    assert found.kind_counts == {"PNG RGB": 2, "PNG L": 2, "JPEG RGB": 2}
    assert found.suggested_image_size == 128  # half of the short sides lie above 150


@pytest.mark.parametrize(("side", "size"), [(20, 32), (63, 32), (64, 64), (223, 128), (900, 224)])
def test_the_suggested_size_is_the_largest_not_above_the_median(tmp_path: Path, side: int, size: int) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        Image.new("RGB", (side, side + 5)).save(tmp_path / label / "x.png")
    found = read_headers(list_folder(tmp_path))
    assert found is not None
    assert found.suggested_image_size == size


def test_broken_headers_are_left_out_and_many_files_are_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw(tmp_path)
    (root / "a" / "9.png").write_bytes(b"no picture")
    listing = list_folder(root)
    found = read_headers(listing)
    assert found is not None
    assert len(found.rows_M) == len(listing.items) - 1
    monkeypatch.setattr(headers, "MAX_FILES", 2)
    sampled = read_headers(listing)
    assert sampled is not None
    assert sampled.rows_M.tolist() == [0, len(listing.items) - 1]


def test_drawn_images_have_no_headers() -> None:
    assert read_headers(list_signs()) is None


def test_headers_are_read_inside_zips(tmp_path: Path) -> None:
    picture(0, 24).save(tmp_path / "x.png")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "x.png", "deep/x.png")
    item = Item(
        path="x",
        container=str(tmp_path / "all.zip"),
        location="deep/x.png",
        label=0,
        group="",
        frame=0,
        split="train",
        modified_ns=(tmp_path / "all.zip").stat().st_mtime_ns,
    )
    listing = Listing(source="s", title="s", class_names=("a",), items=(item,), read_image=read_zipped)
    found = read_headers(listing)
    assert found is not None
    assert (found.widths_M.tolist(), found.kinds) == ([24], ("PNG RGB",))


def test_reasons_tell_empty_cut_off_and_foreign_files(tmp_path: Path) -> None:
    root = draw(tmp_path)
    whole = (root / "a" / "2.jpg").read_bytes()
    (root / "a" / "7.png").write_bytes(b"")
    (root / "a" / "8.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "a" / "9.png").write_bytes(b"no picture at all")
    listing = list_folder(root)
    good = [item.path for item in listing.items if item.path[2] not in "789"]
    reasons = dict(explain_broken(listing, good, 32))
    assert list(reasons) == [item.path for item in listing.items if item.path[2] in "789"]
    assert reasons["a/7.png"] == "the file is empty"
    assert reasons["a/8.jpg"].startswith("cut off: ")
    assert reasons["a/9.png"] == "it is no image of a kind that is read"
