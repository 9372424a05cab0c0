"""What a run leaves behind: plain, raw, complete files, and the functions that write and read them.

A run is complete if and only if its `record.json` exists: it is written last, atomically, and never reopened.
Everything that reads results (reports, tables, recommendations) reads these files and nothing else. Counts and sums
are kept, never rates; a rate is computed where it is shown. No torch here. docs/records.md describes every field.
A folder may come from anybody: no pickle, bounded sizes, and one line for what is wrong.
"""

from roadtest.format import network_label, row_label
from roadtest.records.disk import refuse_link, remove_temporary_files, replacing, write_atomically
from roadtest.records.files import (
    ExternalPredictions,
    ExternalSystem,
    append_failure,
    external_dir,
    is_finished,
    open_arrays,
    read_cooldowns,
    read_epochs,
    read_external,
    read_failures,
    read_predictions,
    read_record,
    read_records,
    read_study_info,
    write_external,
    write_predictions,
    write_record,
)
from roadtest.records.schema import (
    MAX_SEED,
    CooldownMetrics,
    Cost,
    EpochMetrics,
    Failure,
    Machine,
    PlannedRun,
    Predictions,
    RunRecord,
    SetResult,
    StudyInfo,
    folder_name,
    utc_now,
)
from roadtest.records.text_files import append_row, read_rows, to_json, write_rows

__all__ = [
    "MAX_SEED",
    "CooldownMetrics",
    "Cost",
    "EpochMetrics",
    "ExternalPredictions",
    "ExternalSystem",
    "Failure",
    "Machine",
    "PlannedRun",
    "Predictions",
    "RunRecord",
    "SetResult",
    "StudyInfo",
    "append_failure",
    "append_row",
    "external_dir",
    "folder_name",
    "is_finished",
    "network_label",
    "open_arrays",
    "read_cooldowns",
    "read_epochs",
    "read_external",
    "read_failures",
    "read_predictions",
    "read_record",
    "read_records",
    "read_rows",
    "read_study_info",
    "refuse_link",
    "remove_temporary_files",
    "replacing",
    "row_label",
    "to_json",
    "utc_now",
    "write_atomically",
    "write_external",
    "write_predictions",
    "write_record",
    "write_rows",
]
