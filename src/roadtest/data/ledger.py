"""The ledger of test readings: one line each time a run reads a test set, kept beside the data cache.

A test set that is read often stops being one. The ledger makes the number visible: studies copy their lines, and the
report says how often this test set is known to have been read. Lines are only ever added.
"""

from pathlib import Path

from roadtest.lock import folder_lock
from roadtest.record import PlannedRun, append_row, read_rows, utc_now, write_rows

COLUMNS = ("read_at", "data_fingerprint", "study", "network", "has_stn", "seed", "protocol_fingerprint")
WAIT_SECONDS = 60
"""For another run's line; one takes milliseconds."""


def note_test_read(
    cache_dir: Path, *, data_fingerprint: str, study: str, run: PlannedRun, protocol_fingerprint: str
) -> dict[str, object]:
    """Add one line, before the test set is read, and return it."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    row: dict[str, object] = {"read_at": utc_now(), "data_fingerprint": data_fingerprint, "study": study}
    row |= {**vars(run), "protocol_fingerprint": protocol_fingerprint}
    with folder_lock(cache_dir, wait_seconds=WAIT_SECONDS):  # runs at the same time share the ledger
        append_row(cache_dir / "test-reads.csv", row)
    return row


def copy_test_reads(cache_dir: Path, study_dir: Path, data_fingerprint: str) -> None:
    """Add the lines about one test set to the study's own: those of another machine, or of a lost cache, stay."""
    old, known = (read_rows(folder / "test-reads.csv", COLUMNS) for folder in (study_dir, cache_dir))
    here = {tuple(row.values()) for row in known}
    rows = [row for row in old if tuple(row.values()) not in here]
    rows += [row for row in known if row["data_fingerprint"] == data_fingerprint]
    write_rows(study_dir / "test-reads.csv", sorted(rows, key=lambda row: row["read_at"]), COLUMNS)
