"""The array file that is filled row by row."""

from pathlib import Path

import numpy as np

from roadtest.data.rows import RowFile


def test_a_row_file_is_an_npy_file_before_and_after_rows_are_dropped(tmp_path: Path) -> None:
    rows = RowFile(path=tmp_path / "x.npy", image_size=3)
    rows.start(1_000_000)
    assert np.load(rows.path, mmap_mode="r").shape == (1_000_000, 3, 3, 3)
    rows.start(5)
    for row in (4, 0, 2, 1, 3):
        rows.write(row, np.full((1, 3, 3, 3), row, np.uint8))
    rows.keep([0, 2, 4])
    assert np.load(rows.path)[:, 0, 0, 0].tolist() == [0, 2, 4]
