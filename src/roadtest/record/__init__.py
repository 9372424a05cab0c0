"""What a run leaves behind: plain, raw, complete files, and the functions that write and read them.

A run is complete if and only if its `record.json` exists: it is written last, atomically, and never reopened.
Everything that reads results (reports, tables, recommendations) reads these files and nothing else. Counts and sums
are kept, never rates; a rate is computed where it is shown. No torch here. docs/records.md describes every field.

`values` are the dataclasses, `folders` writes and reads them, `checked` guards what comes from a file, `rows` is csv,
`atomic` the way to disk. A folder may come from anybody: no pickle, bounded sizes, and one line for what is wrong.
"""

from roadtest.record.atomic import refuse_link, replacing, sweep_leftovers, write_atomically
from roadtest.record.folders import (
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
from roadtest.record.incumbents import (
    Incumbent,
    IncumbentAnswers,
    incumbent_dir,
    read_incumbents,
    write_incumbent,
)
from roadtest.record.rows import append_row, read_rows, write_rows
from roadtest.record.values import (
    MAX_SEED,
    SCHEMA_VERSION,
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
)

__all__ = [
    "MAX_SEED",
    "SCHEMA_VERSION",
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
    "network_label",
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
    "sweep_leftovers",
    "to_json",
    "write_atomically",
    "write_incumbent",
    "write_predictions",
    "write_record",
    "write_rows",
]
