"""One precision for all seeds of a network: in two they would not be alike. Whichever run begins first probes.

Runs that begin side by side wait for the one that probes; what it found stands in the network's folder, so that the
others know it before a record does.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from roadtest.job import Job
from roadtest.lock import folder_lock
from roadtest.record import Machine, read_record, write_atomically

NAME = ".precision.json"
WORDS = ("float32", "bfloat16")
WAIT_SECONDS = 600.0
MAX_BYTES = 10_000


@dataclass(frozen=True, kw_only=True)
class _Settled:
    """What the first run took, and on what."""

    precision: str
    place: list[str | None]


def settle_precision(
    job: Job, machine: Machine, choose: Callable[[str], tuple[str, dict[str, float]]]
) -> tuple[str, dict[str, float]]:
    """What `choose` makes of the job's word: the precision and the probe's milliseconds; `auto` once a network."""
    if job.precision != "auto":
        return choose(job.precision)
    folder, place = job.run_dir.parent, [job.device, *machine.cpu_flags, machine.gpu_name]
    with folder_lock(folder, wait_seconds=WAIT_SECONDS):
        known = _known(job, place)
        precision, probe_ms = choose(known or "auto")
        if known is None:
            write_atomically(folder / NAME, json.dumps({"precision": precision, "place": place}).encode())
    return precision, probe_ms


def _known(job: Job, place: list[str | None]) -> str | None:
    """The precision that an earlier run of the network took on a machine like this; None where none did."""
    settled = _read(job)
    if settled is not None and settled.place == place:
        return settled.precision
    for path in sorted(job.run_dir.parent.glob("seed-*/record.json")):
        record = read_record(path.parent)
        if [record.device, *record.machine.cpu_flags, record.machine.gpu_name] == place:
            return record.precision
    return None


def _read(job: Job) -> _Settled | None:
    """What stands in the folder; a file that says something else, which anybody may have written, says nothing."""
    try:
        with (job.run_dir.parent / NAME).open("rb") as file:
            plain = json.loads(file.read(MAX_BYTES))
        found = _Settled(precision=plain["precision"], place=plain["place"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if found.precision in WORDS and isinstance(found.place, list) else None
