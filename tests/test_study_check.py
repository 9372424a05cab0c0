"""The data check in short, at the start of a study: leaks are told before anything trains, and nothing is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from fake_looks import Shot, clean_shots, draw_folder_of, image_set_of, name, pixels
from roadtest.events import Event
from roadtest.study import check
from roadtest.study.check import check_in_short
from small_study import compare_small, prepare


def told(shots: list[Shot]) -> list[tuple[str, str]]:
    events: list[Event] = []
    check_in_short("my/images", image_set_of(shots), events.append)
    return [(event.kind, event.text) for event in events]


def test_clean_images_get_one_line() -> None:
    assert told(clean_shots()) == [("phase", "checking 60 images"), ("note", "data check: no problem found")]


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


def test_mixed_signs_are_not_looked_at() -> None:
    drawn = [Shot(image_HWC=pixels(1), label=0, split="drawn", path=f"drawn/{k}") for k in range(5)]
    assert told([*clean_shots(), *drawn]) == told(clean_shots())


def test_very_many_images_are_left_to_the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MAX_IMAGES", 10)
    same = [Shot(image_HWC=np.zeros((32, 32, 3), np.uint8), label=k % 2) for k in range(20)]
    assert told(same) == [
        ("note", "data check: more than 10 images are not looked at by themselves: roadtest data check my/images does")
    ]
