"""Any source by its word: each goes to its own reader, and nobody gets another's options.

Archives that did not change are not listed again; whatever might have changed is.

A study's images in another process: exactly the split that its split.csv shows."""

import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from fake_images import draw_folder
from fake_looks import NUM_FRAMES, NUM_TRACKS, draw_folder_of, draw_tracks
from roadtest.data import open as open_module
from roadtest.data.dataset import ImageSet, Listing, Note
from roadtest.data.gtsrb_classes import CLASS_NAMES
from roadtest.data.open import NO_GROUPS, list_source, open_source, reopen_image_set, with_recovered_tracks
from roadtest.data.signs import list_signs
from roadtest.data.sources.download import ARCHIVE_NAMES
from roadtest.data.sources.folder import list_folder
from roadtest.data.sources.images import read_image
from roadtest.data.split import assign_folds, every_tenth_frame
from roadtest.records import read_rows, write_rows
from roadtest.records.events import RunSpec
from tiny import coloured_squares, write_tiny_study


def test_a_path_is_a_folder_of_images(tmp_path: Path) -> None:
    draw_folder(tmp_path / "signs here")
    heard: list[tuple[int, int]] = []
    image_set = open_source(
        str(tmp_path / "signs here"),
        image_size=16,
        cache_dir=tmp_path / "cache",
        on_progress=lambda done, total: heard.append((done, total)),
    )
    assert image_set.images_NHWC.shape == (30, 16, 16, 3)
    assert heard[-1] == (30, 30)
    assert set(image_set.groups) == {""}  # tracks are recovered for GTSRB only


def test_a_word_is_the_source_and_a_folder_of_that_name_needs_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "signs")
    asked: list[str] = []
    drawn = Listing(source="signs", title="drawn signs", class_names=("a",), items=(), read_image=read_image)
    monkeypatch.setattr(open_module, "list_signs", lambda **settings: asked.append("signs") or drawn)
    here = {"cache_dir": tmp_path, "data_dir": None, "is_subset_allowed": False}
    assert list_source("signs", **here) is drawn  # type: ignore[arg-type]
    assert asked == ["signs"]
    assert len(list_source("./signs", **here).items) == 30  # type: ignore[arg-type]


def test_drawn_signs_take_their_settings_in_their_word(tmp_path: Path) -> None:
    here = {"cache_dir": tmp_path, "data_dir": None, "is_subset_allowed": False}
    assert list_source("signs:860,test=430", **here) == list_signs(num_train=860, num_test=430)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_train=0 is out of range"):
        list_source("signs:0", **here)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"--group auto goes with image folders .*, not with signs:860"):
        open_source("signs:860", image_size=32, group="auto", cache_dir=tmp_path)


@pytest.mark.parametrize("source", ["signs", "some/folder"])
def test_options_of_gtsrb_are_refused_elsewhere(source: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"--data-dir goes with the source gtsrb, not with {source}: leave it out"):
        open_source(source, image_size=32, cache_dir=tmp_path, data_dir=tmp_path)
    with pytest.raises(ValueError, match="--subset goes with the source gtsrb"):
        open_source(source, image_size=32, cache_dir=tmp_path, is_subset_allowed=True)


def test_the_bytes_of_a_download_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[int, int]] = []

    def download(data_dir: Path | None, **options: object) -> Listing:
        options["on_progress"](5, 10)  # type: ignore[operator]
        raise FileNotFoundError("no network")

    monkeypatch.setattr(open_module, "list_gtsrb", download)
    with pytest.raises(FileNotFoundError):
        open_source(
            "gtsrb", image_size=32, cache_dir=tmp_path, on_download=lambda done, total: heard.append((done, total))
        )
    assert heard == [(5, 10)]


def test_test_images_without_tracks_get_recovered_ones_of_their_class() -> None:
    original = coloured_squares(num_test=120)
    image_set = with_recovered_tracks(original)
    test_N = image_set.indices_of("test")
    groups = [image_set.groups[i] for i in test_N]
    assert all(
        group.startswith(f"~{label:05d}-") for group, label in zip(groups, image_set.labels_N[test_N], strict=True)
    )
    assert image_set.groups[: test_N[0]] == original.groups[: test_N[0]]
    assert np.array_equal(image_set.images_NHWC, original.images_NHWC)


def test_recovered_tracks_are_kept_beside_the_decoded_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = coloured_squares(num_test=120)
    np.save(tmp_path / "images.npy", original.images_NHWC)
    mapped = replace(original, images_NHWC=np.load(tmp_path / "images.npy", mmap_mode="r"))
    first = with_recovered_tracks(mapped)
    (kept,) = tmp_path.glob("tracks-*.npy")
    with monkeypatch.context() as patch:
        patch.setattr(open_module, "recover_tracks", lambda *_: pytest.fail("recovered once more"))
        assert with_recovered_tracks(mapped).groups == first.groups
    kept.write_bytes(b"no array")  # what is damaged is made anew
    assert with_recovered_tracks(mapped).groups == first.groups
    assert np.load(kept).shape == (120,)


def test_known_tracks_are_kept_and_without_a_test_part_nothing_changes() -> None:
    known = coloured_squares()
    known = known.with_groups((*known.groups[:-1], "one known"))
    assert with_recovered_tracks(known) is known
    untested = coloured_squares(num_test=0)
    assert with_recovered_tracks(untested) is untested


def grouped(source: Path, cache_dir: Path, **options: bool) -> ImageSet:
    return open_source(str(source), image_size=32, cache_dir=cache_dir, group="auto", **options)


def test_proposed_groups_stand_in_the_data_and_in_its_notes(tmp_path: Path) -> None:
    root = draw_tracks(tmp_path / "data")
    plain = open_source(str(root), image_size=32, cache_dir=tmp_path / "cache")
    assert set(plain.groups) == {""}
    image_set = grouped(root, tmp_path / "cache")
    assert len(set(image_set.groups)) == 2 * NUM_TRACKS and "" not in image_set.groups
    parts = set(zip(image_set.groups, image_set.splits, strict=True))
    assert len(parts) == 2 * NUM_TRACKS  # no group stands in two parts
    assert len(image_set.indices_of("test")) == 2 * NUM_FRAMES  # one track of each class
    assert image_set.notes[-1].text.startswith("10 groups were proposed by roadtest")
    assert image_set.group_origin == "auto"
    pixels = {path: image.tobytes() for path, image in zip(plain.paths, plain.images_NHWC, strict=True)}
    assert pixels == {path: image.tobytes() for path, image in zip(image_set.paths, image_set.images_NHWC, strict=True)}
    assert image_set.fingerprint != plain.fingerprint
    assert grouped(root, tmp_path / "cache").fingerprint == image_set.fingerprint


def test_where_nothing_belongs_together_the_data_stay_as_they_were_and_a_note_says_so(tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data")
    image_set = grouped(root, tmp_path / "cache")
    assert image_set.notes == (NO_GROUPS,)
    assert image_set.fingerprint == open_source(str(root), image_size=32, cache_dir=tmp_path / "cache").fingerprint


def write_table(root: Path, own_groups: int) -> Path:
    """A csv of the folder's images; so many tracks have a group of their own already."""
    rows = ["path,label,group"]
    for path in sorted(root.glob("*/*.png")):
        track = int(path.name[:5])
        rows.append(
            f"{path.relative_to(root)},{path.parent.name},{'own' + path.name[:5] if track < own_groups else ''}"
        )
    table = root / "table.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def test_groups_of_a_csv_stay_and_the_others_are_proposed(tmp_path: Path) -> None:
    table = write_table(draw_tracks(tmp_path / "data"), own_groups=1)
    image_set = grouped(table, tmp_path / "cache")
    is_own = [path[2:7] == "00000" for path in image_set.paths]
    assert {group for group, own in zip(image_set.groups, is_own, strict=True) if own} == {"own00000"}
    assert len({group for group, own in zip(image_set.groups, is_own, strict=True) if not own}) == 2 * (NUM_TRACKS - 1)


def test_groups_that_are_known_are_not_proposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write_table(draw_tracks(tmp_path / "data"), own_groups=NUM_TRACKS)
    with pytest.raises(ValueError, match=r"--group auto was given, and all images of .* have groups already"):
        grouped(table, tmp_path / "cache")
    monkeypatch.setattr(open_module, "list_gtsrb", lambda *_, **__: pytest.fail("it was looked for"))
    for source in ("gtsrb", "signs"):
        with pytest.raises(ValueError, match=f"--group auto goes with image folders and csv files, not with {source}"):
            open_source(source, image_size=32, cache_dir=tmp_path, group="auto")
    assert not (tmp_path / "cache").exists()


def test_broken_images_stop_the_proposal_unless_they_are_left_out(tmp_path: Path) -> None:
    root = draw_tracks(tmp_path / "data")
    (root / "a" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="1 of 81"):
        grouped(root, tmp_path / "cache")
    image_set = grouped(root, tmp_path / "cache", skip_broken=True)
    assert len(image_set.paths) == 80
    assert any(note.text.startswith("1 broken images were left out: a/broken.png") for note in image_set.notes)


def test_a_folder_named_like_a_source_is_a_folder(tmp_path: Path) -> None:
    image_set = grouped(draw_tracks(tmp_path / "gtsrb", "train"), tmp_path / "cache")
    assert not any(group.startswith("~") for group in image_set.groups)
    draw_folder(tmp_path / "other" / "gtsrb")
    assert set(open_source(str(tmp_path / "other" / "gtsrb"), image_size=16, cache_dir=tmp_path).groups) == {""}


Open = Callable[..., tuple[ImageSet, bool]]
"""Opens GTSRB; what was opened, and whether it was listed for that."""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The three archives, in name: what is in them comes from a folder of images."""
    folder = tmp_path / "archives"
    folder.mkdir()
    for name in ARCHIVE_NAMES:
        (folder / name).write_text("not read")
    return folder


@pytest.fixture
def open_gtsrb(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    draw_folder(tmp_path / "images")
    listed: list[Listing] = []

    def list_gtsrb(*_: object, **__: object) -> Listing:
        listing = list_folder(tmp_path / "images")
        gtsrb = {"source": "gtsrb", "title": "GTSRB", "class_names": CLASS_NAMES, "subject": "signs"}
        listed.append(replace(listing, **gtsrb, notes=(Note(text="one"),)))
        return listed[-1]

    def opened(**options: object) -> tuple[ImageSet, bool]:
        listed.clear()
        given = {"image_size": 16, "cache_dir": tmp_path / "cache", "data_dir": data_dir, **options}
        return open_source("gtsrb", **given), bool(listed)  # type: ignore[arg-type]

    monkeypatch.setattr(open_module, "list_gtsrb", list_gtsrb)
    return opened


def test_what_is_recalled_is_what_was_opened(open_gtsrb: Open, tmp_path: Path) -> None:
    first, was_listed = open_gtsrb()
    second, is_listed_again = open_gtsrb()
    assert (was_listed, is_listed_again) == (True, False)
    assert any(group.startswith("~") for group in second.groups)  # recovered tracks too
    for field in fields(ImageSet):
        if not field.name.endswith(("_N", "_NHWC", "held_out")):
            assert getattr(first, field.name) == getattr(second, field.name), field.name
    for name in ("images_NHWC", "labels_N", "frames_N"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
        assert not getattr(second, name).flags.writeable
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_an_archive_that_changed_is_listed_again(open_gtsrb: Open, data_dir: Path) -> None:
    open_gtsrb()
    (data_dir / ARCHIVE_NAMES[0]).write_text("not read, longer")
    assert open_gtsrb()[1]
    assert not open_gtsrb()[1]
    os.utime(data_dir / ARCHIVE_NAMES[1], (1, 1))
    assert open_gtsrb()[1]


@pytest.mark.parametrize("other", ["Images/", "more.zip", "GT-final_test.csv", "00000.PPM"])
def test_a_folder_that_holds_more_is_always_listed(other: str, open_gtsrb: Open, data_dir: Path) -> None:
    open_gtsrb()
    if other.endswith("/"):
        (data_dir / other).mkdir()
    else:
        (data_dir / other).write_text("")
    assert open_gtsrb()[1]
    assert open_gtsrb()[1]


def test_files_that_no_listing_looks_at_do_not_matter(open_gtsrb: Open, data_dir: Path) -> None:
    open_gtsrb()
    (data_dir / "README.txt").write_text("")
    assert not open_gtsrb()[1]


def test_a_part_of_it_is_always_listed(open_gtsrb: Open, data_dir: Path) -> None:
    open_gtsrb()
    assert open_gtsrb(is_subset_allowed=True)[1]
    (data_dir / ARCHIVE_NAMES[2]).unlink()
    assert open_gtsrb(is_subset_allowed=True)[1]
    assert open_gtsrb()[1]


def test_another_size_is_decoded_for_itself(open_gtsrb: Open) -> None:
    open_gtsrb()
    larger, is_listed = open_gtsrb(image_size=24)
    assert is_listed and larger.image_size == 24
    assert open_gtsrb()[0].image_size == 16


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"labels": [1]}', '{"labels": "x", "frames": [[1], [1, 2]]}'])
def test_what_was_kept_damaged_is_kept_anew(text: str, open_gtsrb: Open, tmp_path: Path) -> None:
    first, _ = open_gtsrb()
    (kept,) = (tmp_path / "cache").glob("decoded/*/opened-*.json")
    kept.write_text(text)
    second, is_listed = open_gtsrb()
    assert is_listed and second.paths == first.paths
    assert not open_gtsrb()[1]


def test_pixels_that_were_cut_off_are_decoded_again(open_gtsrb: Open, tmp_path: Path) -> None:
    first, _ = open_gtsrb()
    (pixels,) = (tmp_path / "cache").glob("decoded/*/images.npy")
    os.truncate(pixels, 1000)
    second, is_listed = open_gtsrb()
    assert is_listed and second.images_NHWC.shape == first.images_NHWC.shape
    third, is_listed = open_gtsrb()
    assert not is_listed and np.array_equal(second.images_NHWC, third.images_NHWC)


def test_where_images_are_broken_nothing_is_remembered(open_gtsrb: Open, tmp_path: Path) -> None:
    open_gtsrb()
    next((tmp_path / "images").rglob("*.png")).write_bytes(b"no picture")
    for archive in (tmp_path / "archives").iterdir():
        os.utime(archive, (2, 2))
    for _ in range(2):
        image_set, is_listed = open_gtsrb(skip_broken=True)
        assert is_listed and any("left out" in note.text for note in image_set.notes)


def test_a_cache_that_cannot_be_written_to_stops_nobody(open_gtsrb: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("roadtest.data.open.write_atomically", full)
    assert open_gtsrb()[1]
    assert open_gtsrb()[1]


def refusal(job: RunSpec) -> str:
    with pytest.raises(ValueError) as error:
        reopen_image_set(job.study_dir, job.pixels_path)
    assert "\n" not in str(error.value)
    return str(error.value)


def rewrite(job: RunSpec, row: int, **changes: str) -> None:
    rows = read_rows(job.study_dir / "split.csv")
    rows[row] |= changes
    write_rows(job.study_dir / "split.csv", rows, rows[0].keys())


def test_the_images_come_back_as_they_were(tmp_path: Path) -> None:
    job, original = write_tiny_study(tmp_path), coloured_squares()
    image_set, folds_N = reopen_image_set(job.study_dir, job.pixels_path)
    assert np.array_equal(image_set.images_NHWC, original.images_NHWC)
    assert np.array_equal(image_set.labels_N, original.labels_N)
    assert np.array_equal(image_set.frames_N, original.frames_N)
    for name in ("groups", "splits", "paths", "class_names", "fingerprint", "title", "source"):
        assert getattr(image_set, name) == getattr(original, name), name
    assert np.array_equal(folds_N, assign_folds(original, 4))
    train_N = image_set.indices_of("train")
    assert np.array_equal(every_tenth_frame(image_set, train_N), every_tenth_frame(original, train_N))


def test_the_pixels_are_mapped_and_not_read(tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path)
    image_set, _ = reopen_image_set(job.study_dir, job.pixels_path)
    assert isinstance(image_set.images_NHWC, np.memmap)
    assert not image_set.images_NHWC.flags.writeable


def test_the_folds_are_those_of_the_file_and_not_dealt_anew(tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path)
    _, before_N = reopen_image_set(job.study_dir, job.pixels_path)
    rewrite(job, 0, fold=str((before_N[0] + 1) % 4))
    _, after_N = reopen_image_set(job.study_dir, job.pixels_path)
    assert after_N[0] == (before_N[0] + 1) % 4


def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path)
    rewrite(job, 3, label="7")
    assert "labels beyond the 3 classes" in refusal(job)
    rewrite(job, 3, label="../x")
    assert "a label that is no number" in refusal(job)
    rewrite(job, 3, label="0", fold="")
    assert "a fold that is no number" in refusal(job)
    rows = read_rows(job.study_dir / "split.csv")
    write_rows(job.study_dir / "split.csv", rows[:-1], rows[0].keys())
    assert "149 rows and there are 150 images" in refusal(job)
    job.pixels_path.unlink()
    assert "give the same command again" in refusal(job)


def test_pixels_that_are_a_pickle_are_refused(tmp_path: Path) -> None:
    job = write_tiny_study(tmp_path)
    np.save(job.pixels_path, np.array([{"a": 1}], object), allow_pickle=True)
    assert "Array can't be memory-mapped" in refusal(job)
