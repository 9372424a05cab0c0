"""The data check in short, at the start of a study: leaks are told before anything trains, and nothing is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake_looks import Shot, clean_shots, draw_folder_of, image_set_of, name, pixels
from roadtest.data.open import open_source
from roadtest.events import Event
from roadtest.study import ask, check
from roadtest.study.check import check_in_short, list_originals
from small_study import compare_small, own, prepare


def told(shots: list[Shot]) -> list[tuple[str, str]]:
    events: list[Event] = []
    check_in_short("my/images", image_set_of(shots), events.append)
    return [(event.kind, event.text) for event in events]


def test_clean_images_get_one_line() -> None:
    assert told(clean_shots()) == [("phase", "checking 60 images"), ("note", "data check: no problem found")]


@pytest.mark.slow
def test_a_copy_across_parts_is_told_before_anything_trains_and_only_when_a_study_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, monkeypatch)
    images = draw_folder_of(tmp_path / "leaky", num_each=60)
    for k in range(10):
        shutil.copy(images / "train" / "a" / f"{name(k)}.png", images / "test" / "a" / f"copy{name(k)}.png")
    study, events = compare_small(images, "good")
    first = next(event for event in events if "data check" in event.text)
    assert first.kind == "warning" and "copies" in first.text and "\n" not in first.text
    assert any(event.text.startswith("data check: not ready") and str(images) in event.text for event in events)
    kinds = [event.kind for event in events]
    assert events.index(first) < kinds.index("planned") and study.missing() == []
    _, events = compare_small(images, "good", seeds=2)
    assert not any("data check" in event.text for event in events)


@pytest.mark.slow
def test_what_was_left_out_is_told_once_when_a_study_begins_and_by_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = prepare(tmp_path, monkeypatch)
    (images / "red" / "more.heic").touch()
    (images / "red" / "broken.png").touch()
    options = {"networks": own("good"), "lr": 0.05, "out": Path("study"), "skip_broken": True}
    planned: list[Event] = []
    ask(str(images), dict(options), planned.append, is_plan=True)
    _, compared = compare_small(images, "good", skip_broken=True)
    for events in (planned, compared):
        told = [(event.kind, event.text.split(":")[0]) for event in events if event.text.endswith(".")]
        assert told == [
            ("warning", "Files were left out"),
            ("note", "No test part was given"),
            ("warning", "1 broken images were left out"),
        ]
    (verdict,) = [event.text for event in compared if event.text.startswith("data check: ")]
    assert verdict.startswith("data check: usable with care: 2 warnings")  # neither is told again
    _, again = compare_small(images, "good", skip_broken=True, seeds=2)
    assert not any("left out" in event.text for event in again)


@pytest.mark.slow
def test_the_form_of_the_files_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = prepare(tmp_path, monkeypatch)
    for path in sorted((images / "blue").iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(".bmp"))
        path.unlink()
    _, events = compare_small(images, "good")
    told = [event.text for event in events if event.text.startswith("data check: file forms")]
    assert len(told) == 1 and "BMP RGB is always 'blue'" in told[0]


def test_a_test_part_that_was_taken_elsewhere_makes_no_image_broken(tmp_path: Path) -> None:
    images = draw_folder_of(tmp_path / "data")
    opened = open_source(str(images), image_size=32, cache_dir=tmp_path / "cache")
    whole = list_originals(str(images), opened, tmp_path / "cache")
    assert whole is not None and len(whole.items) == 80
    composed = replace(opened, test_title="another", paths=opened.paths[:40], splits=opened.splits[:40])
    taken = list_originals(str(images), composed, tmp_path / "cache")
    assert taken is not None and {item.split for item in taken.items} == {"train"}


def test_mixed_signs_are_not_looked_at() -> None:
    drawn = [Shot(image_HWC=pixels(1), label=0, split="drawn", path=f"drawn/{k}") for k in range(5)]
    assert told([*clean_shots(), *drawn]) == told(clean_shots())


def test_very_many_images_are_left_to_the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MAX_IMAGES", 10)
    same = [Shot(image_HWC=np.zeros((32, 32, 3), np.uint8), label=k % 2) for k in range(20)]
    assert told(same) == [
        ("note", "data check: more than 10 images are not looked at by themselves: roadtest data check my/images does")
    ]
