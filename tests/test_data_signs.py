"""The listing of drawn signs, and the promise that a key alone decides an image's pixels.

`signs:20000,skewed`: one word says which drawn set, and the same set has one word."""

import hashlib
import io
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from roadtest.data.dataset import Item, Listing
from roadtest.data.gtsrb_classes import CLASS_NAMES
from roadtest.data.signs import SignsSpec, is_synthetic, list_signs, parse_signs, read_image
from roadtest.data.signs.track import build_track

KEYS = ("0/train/14/3/7", "0/train/0/0/0", "5/test/40/2/9", "0/train/14/3/8")
VARIED_KEYS = ("0/wild/14/3/7", "0/wildtest/0/0/0", "0/home/40/2/9", "0/away/38/1/8")


@pytest.fixture(scope="module")
def listing() -> Listing:
    return list_signs()


def digest(key: str, listing: Listing) -> str:
    image = read_image(replace(listing.items[0], location=key))
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def test_the_default_set_has_4300_training_and_1290_test_images_in_ten_and_three_tracks_per_class(
    listing: Listing,
) -> None:
    # 43 classes x 10 tracks x 10 frames = 4300; 43 x 3 x 10 = 1290
    assert Counter(item.split for item in listing.items) == {"train": 4300, "test": 1290}
    for split, num_tracks in (("train", 10), ("test", 3)):
        tracks = {(item.label, item.group) for item in listing.items if item.split == split}
        assert Counter(label for label, _ in tracks) == dict.fromkeys(range(43), num_tracks)


def test_classes_are_those_of_gtsrb_in_their_order(listing: Listing) -> None:
    assert (listing.source, listing.title, listing.class_names) == ("signs", "drawn signs", CLASS_NAMES)
    assert any("drawn by the program" in note.text for note in listing.notes)


def test_items_stand_in_canonical_order_with_unique_names(listing: Listing) -> None:
    order = [(item.split != "train", item.label, item.group, item.frame, item.path) for item in listing.items]
    assert order == sorted(order)
    for name in ("path", "location"):
        assert len({getattr(item, name) for item in listing.items}) == len(listing.items)
    assert not any("\\" in item.path or item.path.startswith("/") for item in listing.items)


def test_test_tracks_are_other_signs_than_training_tracks(listing: Listing) -> None:
    train, test = ({item.group for item in listing.items if item.split == split} for split in ("train", "test"))
    assert not train & test
    assert digest("0/train/14/0/9", listing) != digest("0/test/14/0/9", listing)


@pytest.mark.slow
def test_an_image_is_a_colour_picture_of_a_camera_s_size(listing: Listing) -> None:
    images = [read_image(item) for item in listing.items[::149]]
    assert {image.mode for image in images} == {"RGB"}
    sides = [side for image in images for side in image.size]
    assert min(sides) >= 20 and max(sides) <= 125 and len(set(sides)) > 10


@pytest.mark.slow
def test_every_part_of_a_key_changes_the_pixels(listing: Listing) -> None:
    keys = (*KEYS, "1/train/14/3/7", "0/test/14/3/7", "0/train/13/3/7", "0/train/14/4/7")
    assert len({digest(key, listing) for key in keys}) == len(keys)


def test_pixels_depend_on_the_key_and_not_on_what_was_drawn_before(listing: Listing) -> None:
    forwards = [digest(key, listing) for key in KEYS]
    build_track.cache_clear()
    backwards = [digest(key, listing) for key in reversed(KEYS)]
    assert forwards == backwards[::-1]


@pytest.mark.slow
def test_another_process_draws_the_same_bytes(listing: Listing) -> None:
    code = (
        "import hashlib, sys; from dataclasses import replace; from roadtest.data.signs import list_signs, read_image\n"
        "item = list_signs().items[0]\n"
        "for key in sys.argv[1:]:\n"
        "    image = read_image(replace(item, location=key))\n"
        "    print(hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest())\n"
    )
    answer = subprocess.run([sys.executable, "-c", code, *KEYS], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [digest(key, listing) for key in KEYS]


def test_the_seed_stands_in_the_keys_and_in_nothing_else() -> None:
    zero, one = list_signs(seed=0).items, list_signs(seed=1).items
    assert zero[0].location == "0/train/0/0/0" and one[0].location == "1/train/0/0/0"
    assert [replace(item, location="") for item in zero] == [replace(item, location="") for item in one]


def test_a_larger_set_begins_with_the_same_signs() -> None:
    small = {item.location for item in list_signs(num_train=430, num_test=430).items}
    assert small < {item.location for item in list_signs(num_train=4300, num_test=1290).items}


def test_a_number_that_is_no_multiple_of_ten_shortens_the_last_track() -> None:
    items = [item for item in list_signs(num_train=999).items if item.split == "train"]
    lengths = Counter(item.group for item in items)
    # 100 tracks, the last one frame short
    assert len(items) == 999 and len(lengths) == 100 and sorted(lengths.values())[:2] == [9, 10]


def test_a_skewed_set_is_as_skewed_as_gtsrb() -> None:
    items = [item for item in list_signs(num_train=10_000, is_skewed=True).items if item.split == "train"]
    counts = Counter(item.label for item in items)
    # each class has one track of 10 for certain, and 2250 of 39209 images of the other 957 tracks are class 2's:
    # 10 * (1 + 957 * 2250 / 39209) = 10 * 55.9; class 0 has 210: 10 * (1 + 5.1)
    assert len(items) == 10_000 and counts[2] == 560 and counts[0] == 60 and counts.most_common(1)[0][0] == 2
    assert len(counts) == 43


def test_the_smallest_skewed_set_still_has_every_class() -> None:
    items = list_signs(num_train=430, num_test=430, is_skewed=True).items
    assert Counter(item.label for item in items) == dict.fromkeys(range(43), 20)


@pytest.mark.parametrize("wrong", [0, -1, 429, 10**9, True, 4300.0, "4300"])
@pytest.mark.parametrize("name", ["num_train", "num_test"])
def test_an_impossible_number_of_images_is_refused_in_one_line(name: str, wrong: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name}=.* is out of range: .*430 images.*; choose .*$") as refusal:
        list_signs(**{name: wrong})  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("wrong", [-1, 10**19, 1.5, False])
def test_an_impossible_seed_is_refused_in_one_line(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"^seed=.* is not a seed: .*; choose .*$"):
        list_signs(seed=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("0/train/43/0/0", "classes are 0 to 42"),
        ("0/train/1/0/10", "frames are 0 to 9"),
        ("0/val/1/0/0", "is not a drawn sign"),
        ("0/train/1/0", "is not a drawn sign"),
        ("0/train/-1/0/0", "is not a drawn sign"),
        ("0/train/¹/0/0", "is not a drawn sign"),
        ("../../etc/passwd", "is not a drawn sign"),
    ],
)
def test_a_wrong_key_is_refused_in_one_line(key: str, reason: str, listing: Listing) -> None:
    with pytest.raises(ValueError, match=reason) as refusal:
        read_image(replace(listing.items[0], location=key))
    assert "\n" not in str(refusal.value)


@given(key=st.text(max_size=40))
def test_any_text_is_a_key_or_a_refusal(key: str) -> None:
    item = Item(path="x", container="", location=key, label=0, group="", frame=0, split="train")
    with pytest.raises(ValueError, match="is not a drawn sign"):
        read_image(item)


def thumbnail(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(image.resize((8, 8), Image.Resampling.BOX), np.float64).ravel()


@pytest.mark.slow
def test_frames_of_one_track_look_far_more_alike_than_two_tracks_of_one_class(listing: Listing) -> None:
    within, between = [], []
    for label in range(0, 43, 7):
        own = [thumbnail(read_image(item)) for item in listing.items[label * 100 : label * 100 + 40 : 4]]
        same_track = [listing.items[label * 100 + 4 * k].group for k in range(10)]
        for (a, group_a), (b, group_b) in pairwise(zip(own, same_track, strict=True)):
            (within if group_a == group_b else between).append(float(np.abs(a - b).mean()))
    assert np.mean(within) < 0.4 * np.mean(between)


GOLDEN_MEANS = (79.52, 136.11, 89.64, 81.66)
GOLDEN_VARIED_MEANS = (32.29, 186.89, 25.89, 57.81)


def test_the_drawing_is_the_one_of_its_version(listing: Listing) -> None:
    """Fails when a change moves pixels: then raise PIXEL_VERSION and renew these means."""
    assert {item.modified_ns for item in listing.items} == {11}
    for keys, golden in ((KEYS, GOLDEN_MEANS), (VARIED_KEYS, GOLDEN_VARIED_MEANS)):
        means = [np.asarray(read_image(replace(listing.items[0], location=key))).mean() for key in keys]
        np.testing.assert_allclose(means, golden, atol=0.5)


def test_images_survive_being_saved(listing: Listing) -> None:
    file = io.BytesIO()
    read_image(listing.items[0]).save(file, "PNG")
    with Image.open(file) as image:
        assert image.size == read_image(listing.items[0]).size


@pytest.mark.slow
def test_a_nearest_neighbour_reads_unseen_tracks_far_better_than_chance_and_seen_tracks_better_still(
    listing: Listing,
) -> None:
    """Learnable, yet not trivial, and splitting by frame instead of by track would flatter."""

    def features(items: list[Item]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        pixels = np.stack([np.asarray(read_image(i).resize((16, 16)), np.float64).ravel() for i in items])
        pixels -= pixels.mean(axis=1, keepdims=True)
        return pixels / (np.linalg.norm(pixels, axis=1, keepdims=True) + 1e-6)

    train = [item for item in listing.items if item.split == "train"]
    bank, seen = train[4::10], train[5::80]
    unseen = [item for item in listing.items if item.split == "test"][4::20]
    labels = np.array([item.label for item in bank])
    known = features(bank).T
    accuracy = {
        name: np.mean(labels[(features(part) @ known).argmax(axis=1)] == [item.label for item in part])
        for name, part in (("seen", seen), ("unseen", unseen))
    }
    assert accuracy["seen"] > 0.9 and 0.15 < accuracy["unseen"] < 0.8


@pytest.mark.parametrize(
    ("word", "drawing"),
    [
        ("signs", SignsSpec()),
        ("signs:20000", SignsSpec(num_train=20_000)),
        ("signs:20000,skewed", SignsSpec(num_train=20_000, is_skewed=True)),
        ("signs:skewed,seed=3,20000", SignsSpec(num_train=20_000, is_skewed=True, seed=3)),
        ("signs:test=430,worlds", SignsSpec(num_test=430, has_domains=True)),
    ],
)
def test_a_word_is_a_drawing(word: str, drawing: SignsSpec) -> None:
    assert parse_signs(word) == drawing


def test_the_order_of_settings_and_defaults_that_are_written_out_make_no_other_word() -> None:
    assert parse_signs("signs:seed=0,skewed,4300,test=1290").word == "signs:skewed"
    assert parse_signs("signs:4300").word == "signs"


@given(
    st.builds(
        SignsSpec,
        num_train=st.integers(0, 10**6),
        num_test=st.integers(0, 10**6),
        seed=st.integers(0, 10**19 - 1),
        is_skewed=st.booleans(),
        has_domains=st.booleans(),
    )
)
def test_every_drawing_is_read_back_from_its_word(drawing: SignsSpec) -> None:
    assert parse_signs(drawing.word) == drawing


@pytest.mark.parametrize(
    "word",
    [
        "signs:",
        "signs:abc",
        "signs:-5",
        "signs:20_000",
        "signs:skewed,",
        "signs:20000 ,skewed",
        "signs:seed=",
        "signs:٣",
    ],
)
def test_a_setting_that_is_none_is_refused_in_one_line(word: str) -> None:
    with pytest.raises(ValueError, match=r"is no setting of drawn signs: .*; write for instance") as refusal:
        parse_signs(word)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("word", ["signs:1000,2000", "signs:skewed,skewed", "signs:seed=1,seed=1"])
def test_a_setting_that_stands_there_twice_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="stands there twice"):
        parse_signs(word)


@given(st.text(max_size=40))
def test_any_settings_are_a_drawing_or_a_refusal_in_one_line(text: str) -> None:
    try:
        assert isinstance(parse_signs(f"signs:{text}"), SignsSpec)
    except ValueError as error:
        assert not re.search(r"[\n\r]", str(error))


def test_folders_and_other_words_are_no_drawn_signs() -> None:
    assert [is_synthetic(word) for word in ("signs", "signs:9", "./signs", "signs/x", "signs2", "Signs")] == [
        *[True, True],
        *[False] * 4,
    ]
