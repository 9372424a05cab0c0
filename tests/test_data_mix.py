"""Training from one source, validation and test from others, drawn signs among real ones: what fits, and what not.

Parts of several data sets as one: every image keeps its pixels, class and track, under one numbering.

Drawn signs in batches: an exact share, in an order of seed and epoch, at the same number of steps."""

from collections import Counter
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
from roadtest.data.cache import find_decoded
from roadtest.data.dataset import ImageSet
from roadtest.data.mix import (
    LEVELS,
    Ints,
    Part,
    check_sources,
    count_drawn,
    join_parts,
    joined_fingerprint,
    mix_in,
    open_mixed,
    parse_mix,
)
from roadtest.data.signs import LEVEL, NOTE, Drawing
from roadtest.data.split import recover_tracks
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


def squares(folder: Path, name: str, shift: int = 0, **sizes: int) -> ImageSet:
    """Coloured squares whose pixels lie in a file, as a cache's do."""
    image_set = coloured_squares(**sizes)
    place = folder / name
    place.mkdir()
    np.save(place / "images.npy", image_set.images_NHWC + np.uint8(shift))
    pixels_NHWC = np.load(place / "images.npy", mmap_mode="r")
    return replace(image_set, images_NHWC=pixels_NHWC, fingerprint=name[0] * 64, source=name)


@pytest.fixture
def ours(tmp_path: Path) -> ImageSet:
    return squares(tmp_path, "a")


@pytest.fixture
def theirs(tmp_path: Path) -> ImageSet:
    return squares(tmp_path, "b", shift=1, num_tracks=6, num_test=9)


def joined(tmp_path: Path, ours: ImageSet, theirs: ImageSet) -> ImageSet:
    parts = [
        Part(image_set=ours, splits={"train": "train"}),
        Part(image_set=theirs, splits={"test": "test", "train": "val"}, prefix="b/"),
    ]
    return join_parts(parts, cache_dir=tmp_path / "cache", title="both", notes=("a note",))


def test_every_image_keeps_its_pixels_class_group_and_frame(tmp_path: Path, ours: ImageSet, theirs: ImageSet) -> None:
    both = joined(tmp_path, ours, theirs)
    # 24 tracks of 5, then 6 tracks of 5 and 9 test images
    assert len(both.images_NHWC) == 120 + 39 and both.class_names == ours.class_names
    assert [both.splits.count(split) for split in ("train", "val", "test")] == [120, 30, 9]
    assert np.array_equal(both.images_NHWC[:120], ours.images_NHWC[:120])
    assert np.array_equal(both.images_NHWC[120:], theirs.images_NHWC)
    assert np.array_equal(both.labels_N, np.concatenate([ours.labels_N[:120], theirs.labels_N]))
    assert np.array_equal(both.frames_N[120:], theirs.frames_N)
    assert both.groups[:120] == ours.groups[:120] and both.paths[:120] == ours.paths[:120]
    assert both.groups[120] == f"b/{theirs.groups[0]}" and both.paths[-1] == f"b/{theirs.paths[-1]}"
    assert both.groups[-1] == ""
    assert (both.title, both.source, both.notes) == ("both", "a", ("a note",))
    assert not both.labels_N.flags.writeable and isinstance(both.images_NHWC, np.memmap)


def test_paths_and_groups_of_two_parts_never_meet(tmp_path: Path, ours: ImageSet, theirs: ImageSet) -> None:
    both = joined(tmp_path, ours, theirs)
    assert set(ours.groups) & set(theirs.groups) - {""}
    assert len(set(both.paths)) == len(both.paths)
    assert not set(both.groups[:120]) & set(both.groups[120:])


def test_recovered_tracks_stay_marked(tmp_path: Path, ours: ImageSet, theirs: ImageSet) -> None:
    test_N = theirs.indices_of("test")
    ids_N = recover_tracks(theirs.images_NHWC[test_N], theirs.labels_N[test_N])
    groups = (*theirs.groups[: test_N[0]], *(f"~{number}" for number in ids_N))
    both = joined(tmp_path, ours, theirs.with_groups(groups))
    assert both.groups[-1] == f"~b/{ids_N[-1]}"


def test_a_second_opening_takes_the_same_file_and_a_damaged_one_is_superseded(
    tmp_path: Path, ours: ImageSet, theirs: ImageSet
) -> None:
    first = joined(tmp_path, ours, theirs)
    again = joined(tmp_path, ours, theirs)
    assert first.images_NHWC.filename == again.images_NHWC.filename  # type: ignore[attr-defined]
    Path(first.images_NHWC.filename).write_bytes(b"cut off")  # type: ignore[attr-defined]
    mended = joined(tmp_path, ours, theirs)
    assert mended.images_NHWC.filename != first.images_NHWC.filename  # type: ignore[attr-defined]
    assert np.array_equal(mended.images_NHWC[120:], theirs.images_NHWC)
    assert len(list((tmp_path / "cache" / "decoded").iterdir())) == 2


def test_joined_images_are_found_again_by_what_they_are(tmp_path: Path, ours: ImageSet, theirs: ImageSet) -> None:
    both = joined(tmp_path, ours, theirs)
    tested = {"test": "test", "train": "test"}  # the same rows for another purpose
    parts = [Part(image_set=ours, splits={"train": "train"}), Part(image_set=theirs, splits=tested, prefix="b/")]
    other = join_parts(parts, cache_dir=tmp_path / "cache", title="other", notes=())
    assert both.images_NHWC.filename == other.images_NHWC.filename  # type: ignore[attr-defined]
    for image_set in (both, other):
        (found,) = find_decoded(tmp_path / "cache", fingerprint=image_set.fingerprint, image_size=both.image_size)
        assert np.array_equal(found, both.images_NHWC)
    assert not list(find_decoded(tmp_path / "cache", fingerprint=both.fingerprint, image_size=both.image_size + 1))


def test_other_rows_are_another_file(tmp_path: Path, ours: ImageSet, theirs: ImageSet) -> None:
    part = Part(image_set=theirs, splits={"train": "train"})
    less = join_parts([part], cache_dir=tmp_path / "cache", title="less", notes=())
    assert len(less.images_NHWC) == 30
    assert len(joined(tmp_path, ours, theirs).images_NHWC) == 159


def test_the_fingerprint_tells_which_part_is_what(ours: ImageSet, theirs: ImageSet) -> None:
    one = Part(image_set=ours, splits={"train": "train"})
    prints = [
        joined_fingerprint(parts)
        for parts in (
            [one, Part(image_set=theirs, splits={"test": "test"})],
            [one, Part(image_set=theirs, splits={"train": "test"})],
            [one, Part(image_set=theirs, splits={"train": "val"})],
            [one, Part(image_set=replace(theirs, fingerprint="c" * 64), splits={"test": "test"})],
            [one],
        )
    ]
    assert len(set(prints)) == len(prints) and {len(text) for text in prints} == {64}
    assert joined_fingerprint([replace(one, prefix="elsewhere/")]) == prints[-1]


def test_a_full_disk_is_told_in_one_line(
    tmp_path: Path, ours: ImageSet, theirs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from types import SimpleNamespace

    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10))
    with pytest.raises(ValueError, match="has 10 free: make room"):
        joined(tmp_path, ours, theirs)


REAL_N, DRAWN_N = np.arange(100), np.arange(1000, 1013)


def mixed_batches(seed: int = 0, epoch: int = 0, num_drawn: int = 3, drawn_N: Ints = DRAWN_N) -> Ints:
    return mix_in(REAL_N, drawn_N, batch_size=10, num_drawn=num_drawn, seed=seed, epoch=epoch)


def test_without_drawn_images_the_order_is_the_very_same() -> None:
    assert mixed_batches(num_drawn=0) is REAL_N


def test_every_batch_has_its_share_and_the_real_images_stay_where_they_were() -> None:
    batches_SB = mixed_batches().reshape(-1, 10)
    assert len(batches_SB) == 10
    assert np.array_equal(batches_SB[:, :7], REAL_N.reshape(10, 10)[:, :7])
    assert np.isin(batches_SB[:, 7:], DRAWN_N).all()


def test_no_drawn_image_comes_again_before_all_have_come() -> None:
    # 10 batches of 3 take 30 of 13 images: each 2 or 3 times
    drawn_N = mixed_batches().reshape(-1, 10)[:, 7:].ravel()
    assert sorted(Counter(drawn_N.tolist()).values()) == [2] * 9 + [3] * 4
    assert set(drawn_N[:13]) == set(drawn_N[13:26]) == set(DRAWN_N)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    assert np.array_equal(mixed_batches(seed=2, epoch=5), mixed_batches(seed=2, epoch=5))
    for other in (mixed_batches(seed=3, epoch=5), mixed_batches(seed=2, epoch=6)):
        assert not np.array_equal(mixed_batches(seed=2, epoch=5), other)


@given(
    num_real=st.integers(1, 200), batch_size=st.integers(2, 40), num_drawn=st.integers(1, 39), pool=st.integers(1, 50)
)
def test_steps_and_shares_hold_for_every_size(num_real: int, batch_size: int, num_drawn: int, pool: int) -> None:
    if num_drawn >= batch_size or batch_size > num_real:
        return
    order_N = mix_in(
        np.arange(num_real), np.arange(1000, 1000 + pool), batch_size=batch_size, num_drawn=num_drawn, seed=1, epoch=2
    )
    batches_SB = order_N.reshape(-1, batch_size)
    assert len(batches_SB) == num_real // batch_size
    assert ((batches_SB >= 1000).sum(axis=1) == num_drawn).all()


def test_a_share_becomes_a_whole_number_of_images() -> None:
    # 0.3 of 128 is 38.4
    assert [count_drawn(128, share) for share in (0.0, 0.3, 0.5)] == [0, 38, 64]


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_share_that_leaves_none_of_a_kind_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"images of a batch of 128: both kinds need at least one; choose"):
        count_drawn(128, share)
