"""Sizes, modes and formats of the originals, and why files cannot be read."""

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from fake_looks import picture
from roadtest.data import headers
from roadtest.data.folder import list_folder
from roadtest.data.gtsrb import read_image as read_zipped
from roadtest.data.headers import explain_broken, read_headers
from roadtest.data.imageset import Item, Listing
from roadtest.data.signs import list_signs


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
