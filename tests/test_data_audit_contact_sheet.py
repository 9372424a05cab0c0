"""Contact sheets: what stands where, which images are chosen, and what is refused.

The sheet of findings: what is drawn, and that test images stay hidden."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fake_looks import Shot, clean_shots, image_set_of, pixels
from roadtest.data.audit import audit_images
from roadtest.data.audit.contact_sheet import (
    CELL,
    EDGE,
    HIDDEN,
    WIDTH,
    spread_examples,
    write_contact_sheet,
    write_findings_sheet,
)
from roadtest.data.dataset import ImageSet

NUM_TRACKS, NUM_FRAMES = 6, 5


def small_set(num_classes: int = 3, *, has_groups: bool = True) -> ImageSet:
    """8 px images, one even colour each: red tells the class, green the track, blue the frame; 40 in test images."""
    rows = [
        (split, label, track, frame)
        for split, num_tracks in (("train", NUM_TRACKS), ("test", 1))
        for label in range(num_classes)
        for track in range(num_tracks)
        for frame in range(NUM_FRAMES)
    ]
    colours = [
        (10 + 40 * label, 10 + 20 * track, 40 if split == "test" else frame) for split, label, track, frame in rows
    ]
    images_NHWC = np.broadcast_to(np.array(colours, np.uint8)[:, None, None], (len(rows), 8, 8, 3))
    return ImageSet(
        source="small",
        title="Small set",
        class_names=tuple(f"Class number {label}" for label in range(num_classes)),
        images_NHWC=images_NHWC,
        labels_N=np.array([label for _, label, _, _ in rows]),
        groups=tuple(f"{split}/{label}/{track}" if has_groups else "" for split, label, track, _ in rows),
        frames_N=np.array([frame for *_, frame in rows]),
        splits=tuple(split for split, *_ in rows),
        paths=tuple(str(k) for k in range(len(rows))),
        fingerprint="0" * 64,
    )


def colours_of(sheet: Path) -> set[tuple[int, int, int]]:
    """All colours that fill at least a whole 16 x 16 cell, but for the paper and the greys of the text."""
    with Image.open(sheet) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    filled = {(int(r), int(g), int(b)) for r, g, b in colours[counts >= 256]}
    return {colour for colour in filled if len(set(colour)) > 1 or sum(colour) == 0}


def size_of(sheet: Path) -> tuple[int, int]:
    with Image.open(sheet) as image:
        return image.size


def test_a_row_shows_each_track_before_it_shows_one_twice() -> None:
    image_set = small_set()
    chosen = spread_examples(image_set, 1, NUM_TRACKS)
    assert len({image_set.groups[i] for i in chosen}) == NUM_TRACKS
    assert {int(image_set.labels_N[i]) for i in chosen} == {1}


def test_a_class_with_few_images_shows_each_once() -> None:
    chosen = spread_examples(small_set(), 0, 100)
    assert len(chosen) == len(set(chosen.tolist())) == NUM_TRACKS * NUM_FRAMES


def test_an_absent_class_has_an_empty_row() -> None:
    assert len(spread_examples(small_set(), 3, 12)) == 0


def test_the_sheet_holds_training_images_of_every_class_and_no_test_image(tmp_path: Path) -> None:
    sheet = write_contact_sheet(tmp_path / "new" / "sheet.png", small_set(), num_examples=6)
    colours = colours_of(sheet)
    assert sheet.read_bytes().startswith(b"\x89PNG") and len(colours) == 3 * 6
    assert {red for red, _, _ in colours} == {10, 50, 90} and 40 not in {blue for *_, blue in colours}


def test_the_scale_enlarges_pixels_without_inventing_colours(tmp_path: Path) -> None:
    two = write_contact_sheet(tmp_path / "two.png", small_set(), num_examples=3, scale=3)
    six = write_contact_sheet(tmp_path / "six.png", small_set(), num_examples=3, scale=6)
    assert colours_of(two) == colours_of(six)
    # three cells of 8 pixels: 3 x 8 x (6 - 3) wider
    assert size_of(six)[0] - size_of(two)[0] == 72


def test_augmented_images_stand_beside_the_plain_ones_and_know_their_row_numbers(tmp_path: Path) -> None:
    image_set, seen = small_set(), []

    def invert(images_NHWC: npt.NDArray[np.uint8], ids_N: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        assert (images_NHWC == image_set.images_NHWC[ids_N]).all()
        seen.extend(ids_N.tolist())
        return 255 - images_NHWC

    plain = write_contact_sheet(tmp_path / "plain.png", image_set, num_examples=2)
    sheet = write_contact_sheet(tmp_path / "sheet.png", image_set, num_examples=2, augment=invert)
    assert size_of(sheet)[0] > size_of(plain)[0] and size_of(sheet)[1] == size_of(plain)[1]
    colours = colours_of(sheet)
    assert colours == colours_of(plain) | {(255 - r, 255 - g, 255 - b) for r, g, b in colours_of(plain)}
    assert len(seen) == 3 * 2 and {image_set.splits[i] for i in seen} == {"train"}


def test_float_images_are_stretched_to_the_whole_range(tmp_path: Path) -> None:
    def standardise(images_NHWC: npt.NDArray[np.uint8], ids_N: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        floats = np.full(images_NHWC.shape, -2.0, np.float32)
        floats[:, :, 4:] = 3.0
        return floats

    sheet = write_contact_sheet(tmp_path / "sheet.png", small_set(), num_examples=1, augment=standardise)
    assert (0, 0, 0) in colours_of(sheet)


def test_an_even_float_image_is_no_division_by_zero(tmp_path: Path) -> None:
    write_contact_sheet(
        tmp_path / "sheet.png",
        small_set(),
        num_examples=1,
        augment=lambda images, ids: np.zeros(images.shape, np.float32),
    )


def test_a_set_without_tracks_and_names_in_any_script_are_drawn(tmp_path: Path) -> None:
    image_set = small_set(has_groups=False)
    object.__setattr__(image_set, "class_names", ("Zürich", "标志", "line\nbreak \x00" + "x" * 500))
    sheet = write_contact_sheet(tmp_path / "sheet.png", image_set, num_examples=1)
    assert size_of(sheet)[0] < 900


def test_a_sheet_that_is_too_large_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pixels are allowed; take a smaller --image-size") as refusal:
        write_contact_sheet(tmp_path / "sheet.png", small_set(), num_examples=200, scale=100)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "sheet.png").exists()


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
