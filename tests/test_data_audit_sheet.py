"""The sheet of findings: what is drawn, and that test images stay hidden."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake_looks import Shot, clean_shots, image_set_of, pixels
from roadtest.data.audit import audit_images
from roadtest.data.audit_sheet import CELL, EDGE, HIDDEN, WIDTH, write_findings_sheet
from roadtest.data.imageset import ImageSet


def leaking_set() -> ImageSet:
    shots = clean_shots()
    return image_set_of([*shots, replace(shots[0], split="test")])


def drawn(path: Path, image_set: ImageSet) -> np.ndarray:
    written = write_findings_sheet(path / "deep" / "sheet.png", audit_images(image_set), image_set)
    with Image.open(written) as image:
        return np.asarray(image.convert("RGB"))


def places_of(sheet: np.ndarray, image_HWC: np.ndarray) -> list[int]:
    """The columns at which an enlarged image stands somewhere in the sheet."""
    tile = np.asarray(Image.fromarray(image_HWC).resize((CELL, CELL), Image.Resampling.NEAREST))
    starts = np.argwhere((sheet == tile[0, 0]).all(axis=2))
    return [int(x) for y, x in starts if sheet[y : y + CELL, x : x + CELL].tobytes() == tile.tobytes()]


def num_hidden(sheet: np.ndarray) -> int:
    return int((sheet == HIDDEN).all(axis=2).sum())


def test_test_images_stay_hidden(tmp_path: Path) -> None:
    sheet = drawn(tmp_path, leaking_set())
    assert places_of(sheet, pixels(0)) == [EDGE]  # the training image
    assert num_hidden(sheet) > CELL * CELL // 2


def test_a_clean_set_has_an_almost_empty_sheet(tmp_path: Path) -> None:
    sheet = drawn(tmp_path, image_set_of(clean_shots()))
    assert sheet.shape[0] < 150


@pytest.mark.slow
def test_odd_names_and_many_images_fit(tmp_path: Path) -> None:
    shots = [
        Shot(image_HWC=pixels(k % 15), label=k % 2, path=f"train/{'long folder ' * 9}/{k}\u202e name {'x' * 90}.png")
        for k in range(60)
    ]
    image_set = replace(image_set_of(shots), class_names=("a" * 300, "b\u0007c"))
    assert drawn(tmp_path, image_set).shape[1] == WIDTH
