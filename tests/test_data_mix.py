"""Training from one source, validation and test from others, drawn signs among real ones: what fits, and what not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fake_images import SIZE, draw_folder, pixels_of
from roadtest.data import mix as mix_module
from roadtest.data.imageset import ImageSet
from roadtest.data.mix import LEVELS, check_sources, open_mixed, parse_mix
from roadtest.data.signs import LEVEL, NOTE, Drawing
from tiny import coloured_squares


def refusal(source: str, **words: str | None) -> str:
    with pytest.raises(ValueError) as error:
        check_sources(source, **{"mix": None, "test_on": None, "validate_on": None, **words})
    assert "\n" not in str(error.value)
    return str(error.value)


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "share", "drawing"),
    [
        ("signs:0.3", 0.3, Drawing(num_train=12_900, num_test=430)),
        ("signs:30%", 0.3, Drawing(num_train=12_900, num_test=430)),
        ("signs:.5,20000,skewed", 0.5, Drawing(num_train=20_000, num_test=430, is_skewed=True)),
        ("signs:0.25,seed=4", 0.25, Drawing(num_train=12_900, num_test=430, seed=4)),
    ],
)
def test_a_mix_is_a_share_and_a_drawing(text: str, share: float, drawing: Drawing) -> None:
    assert parse_mix(text) == (share, drawing)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("signs", "it takes drawn signs and their share of every batch, such as signs:0.3"),
        ("gtsrb:0.3", "it takes drawn signs"),
        ("0.3", "it takes drawn signs"),
        ("signs:", "it takes drawn signs"),
        ("signs:nan", "it takes drawn signs"),
        ("signs:0", "a share of 0 is out of range: it must lie above 0 and be at most 0.99; leave --mix out"),
        ("signs:1", "out of range"),
        ("signs:30", "out of range"),
        ("signs:100%", "out of range"),
        ("signs:0.3,red", "'red' is no setting of drawn signs"),
        ("signs:0.3,worlds", "worlds and test=N are about validation and test"),
        ("signs:0.3,test=860", "leave them out"),
    ],
)
def test_a_wrong_mix_says_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_mix(text)
    assert words in str(error.value) and "\n" not in str(error.value)


@given(st.text(max_size=30))
def test_any_text_is_a_mix_or_a_refusal_in_one_line(text: str) -> None:
    try:
        share, _ = parse_mix(f"signs:{text}")
        assert 0 < share <= 0.99
    except ValueError as error:
        assert "\n" not in str(error) and "\r" not in str(error)


def test_what_cannot_be_put_together_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    assert "goes with real images, and signs:860 are drawn" in refusal("signs:860", mix="signs:0.3")
    assert "names the data that is trained on" in refusal("gtsrb", test_on="gtsrb")
    assert "names the data that is trained on" in refusal("signs:860", validate_on="signs:seed=1")
    assert "names the data that is trained on" in refusal(str(tmp_path), test_on=f"{tmp_path}/x/..")
    assert "its training images --validate-on gtsrb" in refusal("signs", test_on="gtsrb:train")
    check_sources("signs", mix=None, test_on="gtsrb", validate_on="gtsrb")
    check_sources("gtsrb", mix="signs:0.3", test_on="signs", validate_on=None)


# -- data -------------------------------------------------------------------------------------------------------------


class Sources:
    """In place of open_source: coloured squares by their word, and what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, []  # type: tuple[Path, list[dict[str, Any]]]
        self.changes: dict[str, dict[str, Any]] = {}

    def __call__(self, source: str, **options: Any) -> ImageSet:
        self.asked.append({"source": source, **options})
        name = source.split(":")[0]
        image_set = coloured_squares(num_tracks={"gtsrb": 24}.get(name, 12))
        place = self.folder / source.replace(":", "-")
        place.mkdir(exist_ok=True)
        np.save(place / "images.npy", image_set.images_NHWC)
        return replace(
            image_set,
            source=name,
            title={"gtsrb": "GTSRB", "signs": "drawn signs"}.get(name, name),
            notes=(NOTE,) if name == "signs" else (f"about {name}",),
            fingerprint=name[0] * 64,
            images_NHWC=np.load(place / "images.npy", mmap_mode="r"),
            **self.changes.get(source, {}),
        )


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    fake = Sources(tmp_path)
    monkeypatch.setattr(mix_module, "open_source", fake)
    monkeypatch.setattr(mix_module, "CLASS_NAMES", ("Red", "Green", "Blue"))
    return fake


def mixed(sources: Sources, source: str, **words: Any) -> ImageSet:
    return open_mixed(source, image_size=32, cache_dir=sources.folder / "cache", **words)


def test_a_source_alone_is_opened_as_ever(sources: Sources) -> None:
    image_set = mixed(sources, "gtsrb", data_dir=Path("there"), is_subset_allowed=True, group=None)
    assert image_set.fingerprint == "g" * 64 and image_set.test_fingerprint == "" and image_set.level == ""
    assert image_set.tested_fingerprint == "g" * 64
    assert [asked["data_dir"] for asked in sources.asked] == [Path("there")]
    assert not (sources.folder / "cache").exists()


def test_drawn_signs_are_tested_on_real_ones(sources: Sources) -> None:
    image_set = mixed(sources, "signs:860", test_on="gtsrb", data_dir=Path("there"))
    # 12 tracks of 5 drawn training images; the 30 drawn test images give way to 30 real ones
    assert [image_set.splits.count(split) for split in ("train", "val", "test")] == [60, 0, 30]
    assert all(path.startswith("gtsrb/") for path in image_set.paths[60:])
    assert (image_set.test_title, image_set.tested_fingerprint) == ("GTSRB", "g" * 64)
    assert image_set.title == f"drawn signs, tested on GTSRB ({LEVEL})" and image_set.level == LEVEL
    assert NOTE not in image_set.notes and "about gtsrb" in image_set.notes
    assert any(note.startswith(f"No real image was trained on. Level {LEVEL}: ") for note in image_set.notes)
    where = {asked["source"]: asked["data_dir"] for asked in sources.asked}
    assert where == {"signs:860": None, "gtsrb": Path("there")}


def test_real_training_images_can_validate_while_the_test_stays_unread(sources: Sources) -> None:
    image_set = mixed(sources, "signs", validate_on="gtsrb", test_on="gtsrb")
    # 24 tracks of 5 real training images validate
    assert [image_set.splits.count(split) for split in ("train", "val", "test")] == [60, 120, 30]
    assert image_set.level == "real-selected"
    assert "validated on the training images of GTSRB, tested on GTSRB" in image_set.title
    assert [asked["source"] for asked in sources.asked] == ["signs", "gtsrb"]
    own = mixed(sources, "signs", validate_on="gtsrb")
    assert own.test_title == "drawn signs" and any("test accuracy says nothing" in note for note in own.notes)


def test_drawn_signs_among_real_ones_stand_behind_them_and_change_no_number(sources: Sources) -> None:
    plain, image_set = mixed(sources, "gtsrb"), mixed(sources, "gtsrb", mix="signs:0.3")
    num = len(plain.paths)
    assert image_set.paths[:num] == plain.paths and image_set.splits[:num] == plain.splits
    assert image_set.groups[:num] == plain.groups
    assert np.array_equal(image_set.images_NHWC[:num], plain.images_NHWC)
    assert set(image_set.splits[num:]) == {"drawn"} and len(image_set.paths) == num + 60
    assert image_set.tested_fingerprint == plain.fingerprint != image_set.fingerprint
    assert (image_set.title, image_set.level) == ("GTSRB with 30 % drawn signs", "")
    assert any("30 % of every batch are drawn signs, from 60 of them" in note for note in image_set.notes)
    assert [asked["source"] for asked in sources.asked] == ["gtsrb", "gtsrb", "signs:12900,test=430"]


def test_options_of_gtsrb_without_gtsrb_go_where_they_are_refused(sources: Sources) -> None:
    mixed(sources, "signs", test_on="other", data_dir=Path("there"))
    assert [asked["data_dir"] for asked in sources.asked] == [Path("there"), None]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("Red", "Green"), "GTSRB has 2 classes and drawn signs 3: both need the same classes"),
        (("Red", "Blue", "Green"), "class 1 is 'Blue' in GTSRB and 'Green' in drawn signs: both need"),
        (("0", "2", "1"), "class 1 is '2' in GTSRB"),
    ],
)
def test_other_classes_are_refused_in_one_line(sources: Sources, names: tuple[str, ...], words: str) -> None:
    sources.changes["gtsrb"] = {"class_names": names}
    with pytest.raises(ValueError) as error:
        mixed(sources, "signs", test_on="gtsrb")
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("names", [("red", "green", "BLUE"), ("00000", "1", "02")])
def test_a_class_is_the_same_by_its_number_or_its_name(sources: Sources, names: tuple[str, ...]) -> None:
    sources.changes["gtsrb"] = {"class_names": names}
    assert mixed(sources, "signs", test_on="gtsrb").class_names == ("Red", "Green", "Blue")


def test_data_without_test_images_cannot_test(sources: Sources) -> None:
    original = coloured_squares()
    sources.changes["gtsrb"] = {"splits": tuple("train" for _ in original.splits)}
    with pytest.raises(ValueError, match="GTSRB has no test images to take"):
        mixed(sources, "signs", test_on="gtsrb")


def test_all_of_a_folder_without_parts_is_tested_on_and_a_test_part_alone_is_enough(tmp_path: Path) -> None:
    base = draw_folder(tmp_path / "base")
    for name in ("plain", "deep/test"):
        for number in range(20):
            path = tmp_path / name / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels_of(100 + number)).save(path)
    for name in ("plain", "deep"):
        word, cache_dir = str(tmp_path / name), tmp_path / "cache"
        image_set = open_mixed(str(base), test_on=word, image_size=SIZE, cache_dir=cache_dir)
        # 18 training and 6 validation images of the base, whose 6 test images give way to all 20
        assert [image_set.splits.count(split) for split in ("train", "val", "test")] == [18, 6, 20]
        assert not any("held out" in note for note in image_set.notes) and not image_set.is_test_held_out


def test_data_with_its_own_validation_keeps_it(sources: Sources) -> None:
    original = coloured_squares(num_tracks=12)
    splits = ("val", *original.splits[1:])
    sources.changes["signs:worlds"] = {"splits": splits}
    with pytest.raises(ValueError, match="brings validation images of its own: only one part chooses"):
        mixed(sources, "signs:worlds", validate_on="gtsrb")
    assert mixed(sources, "signs:worlds", test_on="gtsrb").splits.count("val") == 1


def test_every_level_has_its_sentence() -> None:
    assert LEVEL in LEVELS and all("\n" not in sentence for sentence in LEVELS.values())


def test_a_folder_with_other_classes_than_gtsrb_is_refused_before_a_sign_is_drawn(tmp_path: Path) -> None:
    draw_folder(tmp_path / "photos")
    cache_dir = tmp_path / "cache"
    for words, title in (({"mix": "signs:0.5"}, "drawn signs"), ({"test_on": "gtsrb"}, "GTSRB")):
        with pytest.raises(ValueError, match=rf"^{title} has 43 classes and .* [0-9]+: both need the same classes"):
            open_mixed(str(tmp_path / "photos"), image_size=16, cache_dir=cache_dir, **words)  # type: ignore[arg-type]
    assert len(list((cache_dir / "decoded").iterdir())) == 1  # the photos
