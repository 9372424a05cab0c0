"""A study's images in another process: exactly the split that its split.csv shows."""

from pathlib import Path

import numpy as np
import pytest

from roadtest.data.reopen import reopen_image_set
from roadtest.data.split import assign_folds, every_tenth_frame
from roadtest.job import Job
from roadtest.record import read_rows, write_rows
from tiny import coloured_squares, write_tiny_study


def refusal(job: Job) -> str:
    with pytest.raises(ValueError) as error:
        reopen_image_set(job.study_dir, job.pixels_path)
    assert "\n" not in str(error.value)
    return str(error.value)


def rewrite(job: Job, row: int, **changes: str) -> None:
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
