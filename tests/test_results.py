"""What is published agrees with itself: documents, records, and pages that hold no picture of a data set."""

import re
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pytest

from roadtest.record import RunRecord, read_record, read_rows, read_study_info

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results"
STUDIES = sorted(path.parent for path in RESULTS.rglob("study.json"))
NAMES = [str(study.relative_to(RESULTS)) for study in STUDIES]
ROW = re.compile(r"^\| `(?P<label>[^`]+)` \| (?P<seeds>\d+) \| (?P<val>[\d.]+) \| (?P<test>[\d.]+) \|", re.MULTILINE)
"""A row of a table in a document: network, seeds, validation and test accuracy in percent."""


def _records(study: Path) -> dict[str, list[RunRecord]]:
    found = defaultdict(list)
    for path in sorted(study.glob("*/seed-*/record.json")):
        record = read_record(path.parent)
        found[record.run.label].append(record)
    return found


@pytest.mark.parametrize("page", ["README.md", "results/gtsrb-v1/README.md"])
def test_the_tables_in_documents_are_those_of_the_published_records(page: str) -> None:
    records = _records(RESULTS / "gtsrb-v1" / "30-minutes")
    rows = {row["label"]: row for row in ROW.finditer((ROOT / page).read_text(encoding="utf-8"))}
    assert rows.keys() == records.keys()
    for label, runs in records.items():
        assert int(rows[label]["seeds"]) == len(runs)
        assert rows[label]["val"] == f"{100 * fmean(run.val.accuracy for run in runs):.2f}"
        assert rows[label]["test"] == f"{100 * fmean(run.test.accuracy for run in runs if run.test):.2f}"


@pytest.mark.parametrize("study", STUDIES, ids=NAMES)
def test_a_published_study_is_whole_and_of_one_protocol_and_one_data_set(study: Path) -> None:
    info = read_study_info(study)
    records = [record for runs in _records(study).values() for record in runs]
    assert {record.run for record in records} == set(info.runs)
    assert {record.protocol_fingerprint for record in records} == {info.protocol_fingerprint}
    assert {record.data_fingerprint for record in records} == {info.data_fingerprint}
    reads = [
        row for row in read_rows(study / "test-reads.csv") if row["protocol_fingerprint"] == info.protocol_fingerprint
    ]
    assert len(reads) == sum(record.test is not None for record in records)  # the test set was read once a run


@pytest.mark.parametrize("study", STUDIES, ids=NAMES)
def test_a_published_study_holds_neither_pictures_nor_weights_nor_a_path_of_the_machine(study: Path) -> None:
    page = (study / "report" / "index.html").read_text(encoding="utf-8")
    assert "data:image" not in page and len(page) < 3_000_000
    assert not re.search(r"/(tmp|home|root|work|Users)/", page)
    endings = {path.suffix for path in study.rglob("*") if path.is_file()}
    assert endings <= {".json", ".toml", ".csv", ".md", ".tex", ".html", ".svg", ".png"}
    assert all(path.parent.name == "figures" for path in study.rglob("*.png"))
