"""What a run leaves behind: plain, raw, complete files, and the functions that write and read them.

A run is complete if and only if its `record.json` exists: it is written last, atomically, and never reopened.
Everything that reads results (reports, tables, recommendations) reads these files and nothing else. Counts and sums
are kept, never rates; a rate is computed where it is shown. No torch here. docs/records.md describes every field.

`values` are the dataclasses, `folders` writes and reads them, `checked` guards what comes from a file, `rows` is csv,
`atomic` the way to disk. A folder may come from anybody: no pickle, bounded sizes, and one line for what is wrong.
"""

from roadtest.record.atomic import refuse_link, replacing, sweep_leftovers, write_atomically
from roadtest.record.folders import (
    is_finished,
    open_arrays,
    read_branches,
    read_epochs,
    read_failures,
    read_predictions,
    read_record,
    read_records,
    read_study_info,
    to_json,
    write_predictions,
    write_record,
)
from roadtest.record.incumbents import Incumbent, IncumbentAnswers, incumbent_dir, read_incumbents, write_incumbent
from roadtest.record.rows import append_row, read_rows, write_rows
from roadtest.record.values import (
    MAX_SEED,
    BranchRow,
    Cost,
    EpochRow,
    Failure,
    Machine,
    PlannedRun,
    Predictions,
    RunRecord,
    SetResult,
    StudyInfo,
    folder_name,
    network_label,
    row_label,
    utc_now,
)

__all__ = [
    "MAX_SEED",
    "BranchRow",
    "Cost",
    "EpochRow",
    "Failure",
    "Incumbent",
    "IncumbentAnswers",
    "Machine",
    "PlannedRun",
    "Predictions",
    "RunRecord",
    "SetResult",
    "StudyInfo",
    "append_row",
    "folder_name",
    "incumbent_dir",
    "is_finished",
    "network_label",
    "open_arrays",
    "read_branches",
    "read_epochs",
    "read_failures",
    "read_incumbents",
    "read_predictions",
    "read_record",
    "read_records",
    "read_rows",
    "read_study_info",
    "refuse_link",
    "replacing",
    "row_label",
    "sweep_leftovers",
    "to_json",
    "utc_now",
    "write_atomically",
    "write_incumbent",
    "write_predictions",
    "write_record",
    "write_rows",
]
