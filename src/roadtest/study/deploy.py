"""What a network does outside PyTorch, put beside what the study knows: an export's latencies, another computer's.

The work is done by `roadtest.export` and `roadtest.devices`; here the study's lock is held while its latency.csv is
written. A bundle that was written stays written: where the study cannot be written to, that is a warning.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadtest.devices import Measurement, add_device, is_exported, replace_latencies
from roadtest.events import Event
from roadtest.lock import folder_lock
from roadtest.record import read_study_info

if TYPE_CHECKING:
    from roadtest.export import Exported


def export_and_note(
    path: str | Path, out: str | Path | None = None, *, tell: Callable[[Event], None] = lambda event: None, **more: Any
) -> "Exported":
    """Write a run's bundle, and its latencies into the study that it lies in; options as in `export_run`."""
    from roadtest.export import export_run, find_study_info  # brings torch in

    exported = export_run(path, out, tell=tell, **more)
    rows = [row for row in map(asdict, exported.samples) if is_exported(row)]
    if rows and find_study_info(exported.run_dir, exported.record) is not None:
        study_dir = exported.run_dir.resolve().parent.parent
        try:
            with folder_lock(study_dir):
                replace_latencies(study_dir, rows)
        except (ValueError, OSError) as error:
            text = f"the latencies were not put into the study's latency.csv: {' '.join(str(error).split())}"
            tell(Event(kind="warning", text=text))
    return exported


def note_device(study_dir: Path, path: Path, name: str | None = None) -> tuple[str, Measurement]:
    """Put what `measure.py` wrote on another computer into a study; give the device's name and the measurement."""
    read_study_info(study_dir)  # a folder that is no study gets no lock
    with folder_lock(study_dir):
        return add_device(study_dir, path, name)
