"""Any source by its word: each goes to its own reader, and nobody gets another's options."""

from pathlib import Path

import numpy as np
import pytest
from fake_images import draw_folder
from tiny import coloured_squares

from roadtest.data import open as open_module
from roadtest.data.imageset import Listing
from roadtest.data.open import list_source, open_source, with_recovered_tracks
from roadtest.data.pictures import read_image


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
    monkeypatch.setattr(open_module, "list_signs", lambda: asked.append("signs") or drawn)
    here = {"cache_dir": tmp_path, "data_dir": None, "is_subset_allowed": False}
    assert list_source("signs", **here) is drawn  # type: ignore[arg-type]
    assert asked == ["signs"]
    assert len(list_source("./signs", **here).items) == 30  # type: ignore[arg-type]


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
    assert all(group.startswith(f"~{label:05d}-") for group, label in zip(groups, image_set.labels_N[test_N]))
    assert image_set.groups[: test_N[0]] == original.groups[: test_N[0]]
    assert np.array_equal(image_set.images_NHWC, original.images_NHWC)


def test_known_tracks_are_kept_and_without_a_test_part_nothing_changes() -> None:
    known = coloured_squares()
    known = known.with_groups((*known.groups[:-1], "one known"))
    assert with_recovered_tracks(known) is known
    untested = coloured_squares(num_test=0)
    assert with_recovered_tracks(untested) is untested
