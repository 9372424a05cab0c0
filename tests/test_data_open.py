"""Any source by its word: each goes to its own reader, and nobody gets another's options."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fake_images import draw_folder
from fake_looks import NUM_FRAMES, NUM_TRACKS, draw_folder_of, draw_tracks
from roadtest.data import open as open_module
from roadtest.data.imageset import ImageSet, Listing
from roadtest.data.open import NO_GROUPS, list_source, open_source, with_recovered_tracks
from roadtest.data.pictures import read_image
from roadtest.data.signs import list_signs
from tiny import coloured_squares


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
    assert "10 groups were proposed by roadtest, by names and looks (--group auto)." in image_set.notes
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
    assert any(note.startswith("1 broken images were left out: a/broken.png") for note in image_set.notes)


def test_a_folder_named_like_a_source_is_a_folder(tmp_path: Path) -> None:
    image_set = grouped(draw_tracks(tmp_path / "gtsrb", "train"), tmp_path / "cache")
    assert not any(group.startswith("~") for group in image_set.groups)
    draw_folder(tmp_path / "other" / "gtsrb")
    assert set(open_source(str(tmp_path / "other" / "gtsrb"), image_size=16, cache_dir=tmp_path).groups) == {""}
