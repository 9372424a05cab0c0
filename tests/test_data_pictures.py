"""Every kind of pixel becomes RGB or is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fake_images import item_at
from roadtest.data.pictures import is_picture, read_image

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
