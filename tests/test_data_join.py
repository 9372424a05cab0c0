"""Training from one source, validation and test from others: what fits, and that every image stays what it was."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fake_images import SIZE, draw_folder, pixels_of
from roadtest.data import join as join_module
from roadtest.data.cache import find_decoded
from roadtest.data.dataset import ImageSet, Note
from roadtest.data.join import LEVELS, JoinedSource, check_sources, join_rows, joined_fingerprint, open_joined
from roadtest.data.signs import LEVEL, NOTE
from roadtest.data.split import recover_tracks
from tiny import coloured_squares


def refusal(source: str, **words: str | None) -> str:
    with pytest.raises(ValueError) as error:
        check_sources(source, **{"test_on": None, "validate_on": None, **words})
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_be_put_together_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    assert "names the data that is trained on" in refusal("gtsrb", test_on="gtsrb")
    assert "names the data that is trained on" in refusal("signs:860", validate_on="signs:seed=1")
    assert "names the data that is trained on" in refusal(str(tmp_path), test_on=f"{tmp_path}/x/..")
    assert "its training images --validate-on gtsrb" in refusal("signs", test_on="gtsrb:train")
    check_sources("signs", test_on="gtsrb", validate_on="gtsrb")


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
            notes=(NOTE,) if name == "signs" else (Note(text=f"about {name}"),),
            fingerprint=name[0] * 64,
            images_NHWC=np.load(place / "images.npy", mmap_mode="r"),
            **self.changes.get(source, {}),
        )


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    fake = Sources(tmp_path)
    monkeypatch.setattr(join_module, "open_source", fake)
    monkeypatch.setattr(join_module, "CLASS_NAMES", ("Red", "Green", "Blue"))
    return fake


def opened(sources: Sources, source: str, **words: Any) -> ImageSet:
    return open_joined(source, image_size=32, cache_dir=sources.folder / "cache", **words)


def test_a_source_alone_is_opened_as_ever(sources: Sources) -> None:
    image_set = opened(sources, "gtsrb", data_dir=Path("there"), is_subset_allowed=True, group=None)
    assert image_set.fingerprint == "g" * 64 and image_set.test_fingerprint == "" and image_set.level == ""
    assert image_set.tested_fingerprint == "g" * 64
    assert [asked["data_dir"] for asked in sources.asked] == [Path("there")]
    assert not (sources.folder / "cache").exists()


def test_drawn_signs_are_tested_on_real_ones(sources: Sources) -> None:
    image_set = opened(sources, "signs:860", test_on="gtsrb", data_dir=Path("there"))
    # 12 tracks of 5 drawn training images; the 30 drawn test images give way to 30 real ones
    assert [image_set.splits.count(split) for split in ("train", "val", "test")] == [60, 0, 30]
    assert all(path.startswith("gtsrb/") for path in image_set.paths[60:])
    assert (image_set.test_title, image_set.tested_fingerprint) == ("GTSRB", "g" * 64)
    assert image_set.title == f"drawn signs, tested on GTSRB ({LEVEL})" and image_set.level == LEVEL
    assert NOTE not in image_set.notes and Note(text="about gtsrb") in image_set.notes
    assert any(note.text.startswith(f"No real image was trained on. Level {LEVEL}: ") for note in image_set.notes)
    where = {asked["source"]: asked["data_dir"] for asked in sources.asked}
    assert where == {"signs:860": None, "gtsrb": Path("there")}


def test_real_training_images_can_validate_while_the_test_stays_unread(sources: Sources) -> None:
    image_set = opened(sources, "signs", validate_on="gtsrb", test_on="gtsrb")
    # 24 tracks of 5 real training images validate
    assert [image_set.splits.count(split) for split in ("train", "val", "test")] == [60, 120, 30]
    assert image_set.level == "real-selected"
    assert "validated on the training images of GTSRB, tested on GTSRB" in image_set.title
    assert [asked["source"] for asked in sources.asked] == ["signs", "gtsrb"]
    own = opened(sources, "signs", validate_on="gtsrb")
    assert own.test_title == "drawn signs" and any("test accuracy says nothing" in note.text for note in own.notes)


def test_options_of_gtsrb_without_gtsrb_go_where_they_are_refused(sources: Sources) -> None:
    opened(sources, "signs", test_on="other", data_dir=Path("there"))
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
        opened(sources, "signs", test_on="gtsrb")
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("names", [("red", "green", "BLUE"), ("00000", "1", "02")])
def test_a_class_is_the_same_by_its_number_or_its_name(sources: Sources, names: tuple[str, ...]) -> None:
    sources.changes["gtsrb"] = {"class_names": names}
    assert opened(sources, "signs", test_on="gtsrb").class_names == ("Red", "Green", "Blue")


def test_data_without_test_images_cannot_test(sources: Sources) -> None:
    original = coloured_squares()
    sources.changes["gtsrb"] = {"splits": tuple("train" for _ in original.splits)}
    with pytest.raises(ValueError, match="GTSRB has no test images to take"):
        opened(sources, "signs", test_on="gtsrb")


def test_all_of_a_folder_without_parts_is_tested_on_and_a_test_part_alone_is_enough(tmp_path: Path) -> None:
    base = draw_folder(tmp_path / "base")
    for name in ("plain", "deep/test"):
        for number in range(20):
            path = tmp_path / name / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels_of(100 + number)).save(path)
    for name in ("plain", "deep"):
        word, cache_dir = str(tmp_path / name), tmp_path / "cache"
        image_set = open_joined(str(base), test_on=word, image_size=SIZE, cache_dir=cache_dir)
        # 18 training and 6 validation images of the base, whose 6 test images give way to all 20
        assert [image_set.splits.count(split) for split in ("train", "val", "test")] == [18, 6, 20]
        assert not any("held out" in note.text for note in image_set.notes) and not image_set.is_test_held_out


def test_data_with_its_own_validation_keeps_it(sources: Sources) -> None:
    original = coloured_squares(num_tracks=12)
    splits = ("val", *original.splits[1:])
    sources.changes["signs:worlds"] = {"splits": splits}
    with pytest.raises(ValueError, match="brings validation images of its own: only one part chooses"):
        opened(sources, "signs:worlds", validate_on="gtsrb")
    assert opened(sources, "signs:worlds", test_on="gtsrb").splits.count("val") == 1


def test_every_level_has_its_sentence() -> None:
    assert LEVEL in LEVELS and all("\n" not in sentence for sentence in LEVELS.values())


def test_a_folder_with_other_classes_than_gtsrb_is_refused_before_a_sign_is_drawn(tmp_path: Path) -> None:
    draw_folder(tmp_path / "photos")
    cache_dir = tmp_path / "cache"
    for word, title in (("signs:860", "drawn signs"), ("gtsrb", "GTSRB")):
        with pytest.raises(ValueError, match=rf"^{title} has 43 classes and .* [0-9]+: both need the same classes"):
            open_joined(str(tmp_path / "photos"), image_size=16, cache_dir=cache_dir, test_on=word)
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
        JoinedSource(image_set=ours, splits={"train": "train"}),
        JoinedSource(image_set=theirs, splits={"test": "test", "train": "val"}, prefix="b/"),
    ]
    return join_rows(parts, cache_dir=tmp_path / "cache", title="both", notes=(Note(text="a note"),))


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
    assert (both.title, both.source, both.notes) == ("both", "a", (Note(text="a note"),))
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
    parts = [
        JoinedSource(image_set=ours, splits={"train": "train"}),
        JoinedSource(image_set=theirs, splits=tested, prefix="b/"),
    ]
    other = join_rows(parts, cache_dir=tmp_path / "cache", title="other", notes=())
    assert both.images_NHWC.filename == other.images_NHWC.filename  # type: ignore[attr-defined]
    for image_set in (both, other):
        (found,) = find_decoded(tmp_path / "cache", fingerprint=image_set.fingerprint, image_size=both.image_size)
        assert np.array_equal(found, both.images_NHWC)
    assert not list(find_decoded(tmp_path / "cache", fingerprint=both.fingerprint, image_size=both.image_size + 1))


def test_other_rows_are_another_file(tmp_path: Path, ours: ImageSet, theirs: ImageSet) -> None:
    part = JoinedSource(image_set=theirs, splits={"train": "train"})
    less = join_rows([part], cache_dir=tmp_path / "cache", title="less", notes=())
    assert len(less.images_NHWC) == 30
    assert len(joined(tmp_path, ours, theirs).images_NHWC) == 159


def test_the_fingerprint_tells_which_part_is_what(ours: ImageSet, theirs: ImageSet) -> None:
    one = JoinedSource(image_set=ours, splits={"train": "train"})
    prints = [
        joined_fingerprint(parts)
        for parts in (
            [one, JoinedSource(image_set=theirs, splits={"test": "test"})],
            [one, JoinedSource(image_set=theirs, splits={"train": "test"})],
            [one, JoinedSource(image_set=theirs, splits={"train": "val"})],
            [one, JoinedSource(image_set=replace(theirs, fingerprint="c" * 64), splits={"test": "test"})],
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
