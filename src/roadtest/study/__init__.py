"""A study from the question to the page. `api.py` has `compare`, `Study` and `Run`; importing this imports nothing."""

from pathlib import Path


class Interrupted(Exception):  # noqa: N818
    """Ctrl-C: every finished run and the last state of the others are kept in `study_dir`."""

    def __init__(self, study_dir: Path) -> None:
        super().__init__(f"interrupted: {study_dir} keeps everything; the same command goes on where it stopped")
        self.study_dir = study_dir
