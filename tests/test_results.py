"""What is published is whole, agrees with itself and with the documents that quote it, and holds no image."""

import csv
import json
import re
import shlex
import statistics
from pathlib import Path

import pytest

from roadtest.cli.app import build_app
from roadtest.records import read_epochs, read_records, read_study_info

ROOT = Path(__file__).parent.parent
STUDIES = sorted(path.parent for path in ROOT.glob("results/**/study.json"))
of_each_study = pytest.mark.parametrize("study", STUDIES, ids=[str(study.relative_to(ROOT)) for study in STUDIES])


def test_there_are_published_studies() -> None:
    assert STUDIES


@of_each_study
def test_every_planned_run_is_there_with_its_curve_under_the_studys_protocol(study: Path) -> None:
    info = read_study_info(study)
    records = read_records(study)
    assert len(records) == len(info.runs) > 0
    for run, record in zip(info.runs, records, strict=True):
        assert record.protocol_fingerprint == info.protocol_fingerprint
        assert record.data_fingerprint == info.data_fingerprint
        assert record.machine.commit is not None
        rows = read_epochs(study / run.folder)
        assert rows[-1].epoch == pytest.approx(record.num_epochs, abs=1e-3)
        assert rows[-1].val_num_correct == record.val.num_correct


@of_each_study
def test_the_leaderboard_is_the_mean_of_the_records(study: Path) -> None:
    records = read_records(study)
    with (study / "report" / "tables" / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["network"], row["has_stn"]) for row in rows} == {(r.network, str(r.has_stn)) for r in records}
    for row in rows:
        own = [r for r in records if (r.network, str(r.has_stn)) == (row["network"], row["has_stn"])]
        assert int(row["num_runs"]) == len(own)
        for part in ("val", "test"):
            results = [getattr(record, part) for record in own]
            if all(results):
                mean = statistics.mean(result.num_correct / result.num_seen for result in results)
                assert float(row[f"{part}_accuracy_mean"]) == pytest.approx(mean)


@of_each_study
def test_the_page_names_every_network_and_holds_no_image_and_no_path(study: Path) -> None:
    page = (study / "report" / "index.html").read_text(encoding="utf-8")
    for run in read_study_info(study).runs:
        assert run.label in page
    for path in [path for path in study.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        assert not re.search(rb"data:image/(png|jpeg|webp)", content), path
        assert not re.search(rb"/(home|root|tmp|work|Users)/\w", content), path
        assert path.suffix not in {".npz", ".safetensors", ".pt"}, path


@of_each_study
def test_its_words_quote_the_table_as_it_is_and_commands_that_parse(study: Path) -> None:
    words = (study / "README.md").read_text(encoding="utf-8")
    table = (study / "report" / "tables" / "leaderboard.md").read_text(encoding="utf-8")
    assert table.strip() in words
    commands = re.findall(r"^    (roadtest .+)$", words, re.MULTILINE)
    assert any(command.startswith(f"roadtest compare {read_study_info(study).source}") for command in commands)
    for command in commands:
        if "--mix" in command:  # it has gone; results/mixing names the commit that knows it
            continue
        build_app().parse_args(shlex.split(command)[1:], print_error=False, exit_on_error=False)


def test_every_row_of_the_readmes_results_stands_in_a_published_table() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## Results", 1)[1].split("\n## ", 1)[0]
    quoted = [line for line in text.splitlines() if re.match(r"\| \S*(lenet5|vgg16|resnet34)", line)]
    published = {
        line for study in STUDIES for line in (study / "report/tables/leaderboard.md").read_text("utf-8").splitlines()
    }
    assert quoted and set(quoted) <= published


@pytest.mark.parametrize("document", ["README.md", "docs/speed.md"])
def test_every_row_about_speed_stands_in_a_benchmarks_results(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    if document == "README.md":
        text = text.split("## Speed", 1)[1].split("\n## ", 1)[0]
    quoted = [line for line in text.splitlines() if re.match(r"\|.*\(\S+ to ", line)]
    rows = [
        line.rstrip("| ")
        for page in (ROOT / "benchmarks" / "results").glob("*.md")
        for line in page.read_text(encoding="utf-8").splitlines()
    ]
    # The README leaves the last columns out.
    assert quoted and [line for line in quoted if not any(row.startswith(line.rstrip("| ")) for row in rows)] == []


def test_a_published_study_tells_how_often_its_test_set_was_read() -> None:
    for study in STUDIES:
        if json.loads((study / "study.json").read_text())["reads_test"]:
            assert (study / "test-reads.csv").read_text().count("\n") >= 2
