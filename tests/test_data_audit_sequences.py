"""Frames of one thing: found by names with looks, by looks alone, and not where photographs are merely numbered."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fake_looks import (
    NUM_FRAMES,
    NUM_TRACKS,
    Shot,
    clean_shots,
    draw_tracks,
    frames,
    image_set_of,
    name,
    picture,
    pixels,
)
from roadtest.data.audit import sequences
from roadtest.data.audit.duplicates import describe_looks, find_duplicates
from roadtest.data.audit.sequences import Sequences, find_sequences, numbered, propose_groups, with_groups
from roadtest.data.cache import open_image_set
from roadtest.data.dataset import ImageSet
from roadtest.data.sources.folder import list_folder
from roadtest.data.sources.gtsrb import list_gtsrb
from roadtest.data.split import shuffled


def found_in(image_set: ImageSet) -> Sequences:
    looks = describe_looks(image_set)
    return find_sequences(image_set, looks, find_duplicates(image_set, looks))


def tracks(path: str, order: Sequence[int] | None = None) -> ImageSet:
    """Frames of two classes; `path` knows label, track, frame, and number, which counts a class's images."""
    shots = []
    for label in range(2):
        images = [image for track in range(NUM_TRACKS) for image in frames(100 * label + track, NUM_FRAMES)]
        for number, image in enumerate(images):
            track, frame = divmod(number, NUM_FRAMES)
            place = number if order is None else order[number]
            shots.append(
                Shot(
                    image_HWC=image, label=label, path=path.format(label=label, track=track, frame=frame, number=place)
                )
            )
    return image_set_of(shots)


@pytest.mark.parametrize(
    ("path", "start", "number"),
    [
        ("a/00003_00017.ppm", "a/00003", 17),
        ("a/IMG 12.jpg", "a/IMG", 12),
        ("a/photo (3).jpeg", "a/photo", 3),
        ("a/007.png", "a/", 7),
        ("train/00003/00001_00002", "train/00003/00001", 2),
        ("a/cat.png", "a/cat.png", -1),
        ("a/v2/cat.png", "a/v2/cat.png", -1),
    ],
)
def test_names_are_cut_before_their_last_number(path: str, start: str, number: int) -> None:
    assert numbered(path) == (start, number)


@pytest.mark.parametrize("path", ["{label}/{track:05d}_{frame:05d}.ppm", "{label}/sign{track}/{frame:03d}.png"])
def test_tracks_with_names_are_taken_as_they_are_named(path: str) -> None:
    found = found_in(tracks(path))
    assert found.num_by_name == 2 * NUM_TRACKS * NUM_FRAMES
    assert len(set(found.groups)) == 2 * NUM_TRACKS
    assert all(len(set(found.groups[k : k + NUM_FRAMES])) == 1 for k in range(0, 80, NUM_FRAMES))
    assert found.likeness is not None
    assert found.likeness > 0.95


def test_frames_that_are_numbered_through_are_cut_where_the_picture_changes() -> None:
    groups = propose_groups(tracks("{label}/{number:04d}.png"))
    assert len(set(groups)) == 2 * NUM_TRACKS
    assert groups[0] == "0/#0"
    assert groups[NUM_FRAMES] == f"0/#{NUM_FRAMES}"


def test_names_without_likeness_prove_nothing() -> None:
    order = np.random.default_rng(0).permutation(NUM_TRACKS * NUM_FRAMES).tolist()
    assert found_in(tracks("{label}/{number:04d}.png", order)).num_by_name == 0


def test_numbered_photographs_of_anything_are_no_sequence() -> None:
    shots = [replace(shot, path=f"{shot.label}/IMG_{k:04d}.jpg") for k, shot in enumerate(clean_shots(2, 40))]
    found = found_in(image_set_of(shots))
    assert (found.num_by_name, set(found.groups)) == (0, {""})
    assert found.likeness is not None
    assert 0.2 < found.likeness < 0.8


def test_copies_of_one_class_are_grouped_whatever_their_names() -> None:
    shots = clean_shots()
    found = found_in(image_set_of([*shots, shots[5], replace(shots[6], label=2)]))
    assert found.groups[5] == found.groups[len(shots)] == "like train/0/f.png"
    assert found.groups[6] == found.groups[len(shots) + 1] == ""  # another class: two labels, no sequence
    assert (found.num_by_name, sum(map(bool, found.groups))) == (0, 2)


def test_groups_that_the_data_brought_stay_apart_and_take_copies_in() -> None:
    twin = (pixels(70_000) * 0.9).astype(np.uint8)
    shots = [
        *clean_shots(),
        Shot(image_HWC=pixels(70_000), group="g"),
        Shot(image_HWC=twin),
        Shot(image_HWC=pixels(70_001), group="h"),
        Shot(image_HWC=pixels(70_001), group="i"),
    ]
    assert found_in(image_set_of(shots)).groups[-4:] == ("g", "g", "h", "i")


def test_the_same_names_and_pixels_in_another_order_give_the_same_groups() -> None:
    image_set = tracks("{label}/{number:04d}.png")
    order = np.random.default_rng(1).permutation(len(image_set.paths))
    mixed = replace(
        image_set,
        images_NHWC=image_set.images_NHWC[order],
        labels_N=image_set.labels_N[order],
        paths=tuple(image_set.paths[k] for k in order),
    )
    assert dict(zip(mixed.paths, propose_groups(mixed), strict=True)) == dict(
        zip(image_set.paths, propose_groups(image_set), strict=True)
    )


def test_a_held_out_test_part_is_dealt_anew_by_whole_groups(tmp_path: Path) -> None:
    listing = list_folder(draw_tracks(tmp_path / "data"))
    image_set = open_image_set(listing, image_size=32, cache_dir=tmp_path / "cache")
    groups = propose_groups(image_set)
    torn = {group for group, split in zip(groups, image_set.splits, strict=True) if split == "test"}
    assert len(torn) > 2  # 15 % of single frames touch nearly every track
    grouped = with_groups(listing, image_set.paths, groups)
    parts: dict[str, set[str]] = {}
    for item in grouped.items:
        parts.setdefault(item.group, set()).add(item.split)
    assert len(parts) == 2 * NUM_TRACKS
    assert all(len(splits) == 1 for splits in parts.values())
    assert sum(item.split == "test" for item in grouped.items) == 2 * NUM_FRAMES
    assert [note.text for note in grouped.notes if note.kind == "held out"] == [
        "No test part was given: 16 of 80 images were held out as the test set, whole groups."
    ]
    assert grouped.notes[-1].text == "10 groups were proposed by roadtest, by names and looks (--group auto)."
    assert [item.frame for item in grouped.items[:NUM_FRAMES]] == list(range(NUM_FRAMES))
    assert open_image_set(grouped, image_size=32, cache_dir=tmp_path / "cache").num_classes == 2


def test_given_parts_stay_and_a_group_in_two_parts_becomes_two(tmp_path: Path) -> None:
    draw_tracks(tmp_path / "data", "train")
    for label in "ab":
        path = tmp_path / "data" / "test" / label / "x.png"
        path.parent.mkdir(parents=True)
        picture(1).save(path)
    listing = list_folder(tmp_path / "data")
    paths = [item.path for item in listing.items]
    grouped = with_groups(listing, paths, ["g" if item.label == 0 else name(k) for k, item in enumerate(listing.items)])
    assert [item.split for item in grouped.items] == [item.split for item in listing.items]
    assert {item.group for item in grouped.items if item.label == 0} == {"g", "g@test"}


def test_a_group_that_the_data_brought_in_two_parts_stays_for_the_check_to_find(tmp_path: Path) -> None:
    rows = ["path,label,group,split"]
    for k in range(8):
        draw_at = tmp_path / f"{name(k)}.png"
        picture(k).save(draw_at)
        rows.append(f"{draw_at.name},{'ab'[k % 2]},{'torn' if k < 4 else ''},{'test' if k % 4 == 3 else 'train'}")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    listing = list_folder(tmp_path / "list.csv", is_checked=True)
    paths, groups = zip(*((item.path, item.group or "one") for item in listing.items), strict=True)
    grouped = with_groups(listing, paths, groups)
    assert {(item.group, item.split) for item in grouped.items} == {
        *[("torn", "train"), ("torn", "test")],
        *[("one", "train"), ("one@test", "test")],
    }


def test_names_in_pairs_cost_one_shuffle_of_the_images_and_not_one_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [f"{label}/{name(pair)}_{frame}.png" for label in range(2) for pair in range(20) for frame in range(2)]
    shots = [replace(shot, path=path) for shot, path in zip(clean_shots(2, 40), paths, strict=True)]
    num_shuffled: list[int] = []

    def counted(num_things: int, *key: int) -> np.ndarray:
        num_shuffled.append(num_things)
        return shuffled(num_things, *key)

    monkeypatch.setattr(sequences, "shuffled", counted)
    found = found_in(image_set_of(shots))
    assert num_shuffled == [40, 40]  # a class each, in 20 pairs
    assert found.likeness is not None


@pytest.mark.gtsrb
@pytest.mark.slow
def test_gtsrbs_tracks_are_recovered_from_names(gtsrb_dir: Path, tmp_path: Path) -> None:
    listing = list_gtsrb(gtsrb_dir, cache_dir=tmp_path)
    items = tuple(item for item in listing.items if item.split == "train" and item.label in (0, 14, 19, 20))
    image_set = open_image_set(replace(listing, items=items), image_size=32, cache_dir=tmp_path, num_processes=1)
    groups = found_in(image_set.with_groups(("",) * len(items))).groups
    assert len(set(groups)) == len(set(image_set.groups)) == len(set(zip(groups, image_set.groups, strict=True)))
