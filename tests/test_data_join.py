"""Parts of several data sets as one: every image keeps its pixels, class and track, under one numbering."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roadtest.data.decoded import find_decoded
from roadtest.data.imageset import ImageSet
from roadtest.data.join import Part, join_parts, joined_fingerprint
from roadtest.data.tracks import recover_tracks
from tiny import coloured_squares


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
