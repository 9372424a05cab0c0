"""What was added to a study, on the page: systems that were not trained, and other computers that were measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exact_study import build_exact_study
from fake_study import build_fake_study
from roadtest.analysis import read_results
from roadtest.analysis.costs import WHAT_IS_TIMED
from roadtest.records import ExternalPredictions, ExternalSystem, read_rows, read_study_info, write_external
from roadtest.records.measurements import add_device, replace_latencies
from roadtest.report import build, write_report
from roadtest.report.blocks import Context, Table
from roadtest.report.sections.costs import latency_table, other_devices_table
from roadtest.report.sections.leaderboard import leaderboard_table, systems_table

FIRST_TEST, NUM_TEST = 10_000, 10_000  # of an exact study: 2 classes x 100 tracks x 50 frames


def texts(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text for cell in row] for row in table.rows]


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network, and a system of the same name with 300 test images wrong."""
    folder = build_exact_study(tmp_path_factory.mktemp("added") / "study", {"lenet5": [20, 30, 40], "vgg16": [9, 9, 9]})
    predicted_N = np.repeat([0, 1], NUM_TEST // 2)
    predicted_N[:300] = 1
    words = dict.fromkeys(("data_fingerprint", "split_fingerprint", "source_name", "source_digest", "added_at"), "")
    system = ExternalSystem(name="lenet5", num_test=NUM_TEST, num_val=0, **words)
    ids_N = np.arange(FIRST_TEST, FIRST_TEST + NUM_TEST)
    write_external(folder, ExternalPredictions(system=system, image_ids_N=ids_N, predicted_N=predicted_N))
    return folder


@pytest.mark.slow
def test_a_system_stands_under_a_line_with_a_dash_for_every_cost_and_without_a_networks_letters(
    study_dir: Path,
) -> None:
    table = leaderboard_table(Context(results=read_results(study_dir)))
    assert list(table.lines) == [2] and table.lines[2].startswith("Added: not trained here")
    (system,) = texts(table)[2:]
    assert system[:5] == ["lenet5", "–", "97.00", "–", "one set of predictions"]
    assert set(system[5:]) == {"–"}
    assert all(cell.below != "leading" for cell in table.rows[2])


def test_every_network_is_set_against_the_system(study_dir: Path) -> None:
    rows = texts(systems_table(read_results(study_dir)))
    assert sorted(row[0] for row in rows) == ["lenet5", "vgg16"]
    assert all(row[1:3] == ["lenet5", "test"] and row[4] == "97.00" for row in rows)


@pytest.mark.slow
def test_the_page_has_the_systems_and_the_figures_do_not(study_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "vega_bundle", lambda cache_dir: "")
    html = write_report(study_dir, has_figures=False).read_text(encoding="utf-8")
    assert "Against what was added" in html and 'id="table-systems"' in html
    board = read_rows(study_dir / "report" / "tables" / "leaderboard.csv")
    assert [row["status"] for row in board] == ["complete", "complete", "added"]
    charts = json.loads(html.partition('id="charts">')[2].partition("</script>")[0])
    bars = next(iter(charts["panels"]["costs-0"]["datasets"].values()))
    assert [row["label"] for row in bars] == ["vgg16", "lenet5"]


@pytest.mark.slow
def test_a_study_to_which_nothing_was_added_has_neither_table(tmp_path: Path) -> None:
    results = read_results(build_exact_study(tmp_path / "s", {"lenet5": [1, 2]}))
    assert systems_table(results) is None
    assert other_devices_table(Context(results=results)) is None


def test_another_computers_latency_and_memory_stand_beside_this_ones(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=1, tracks_per_class=1)
    (tmp_path / "pi5.json").write_text(json.dumps(measurement(study)))
    add_device(study, tmp_path / "pi5.json")
    results = read_results(study)
    table = other_devices_table(Context(results=results))
    assert table is not None and [column.title for column in table.columns] == ["Network", "Here", "pi5"]
    units = ["PyTorch, 2 threads", "ONNX Runtime, 4 threads, memory below"]
    assert [column.unit for column in table.columns[1:]] == units
    (row,) = table.rows
    assert (row[0].text, row[2].text, row[2].below) == ("lenet5", "8.00 ms", "40.0 MB")
    assert "pi5: Raspberry Pi 5, 4 cores." in table.caption and WHAT_IS_TIMED in table.caption
    latencies = latency_table(results)
    assert latencies is not None and latencies.caption.endswith(WHAT_IS_TIMED)
    assert any(row[1].text.startswith("onnxruntime, pi5") for row in latencies.rows)


def test_networks_that_were_measured_with_different_numbers_of_threads_say_so_each(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=1, tracks_per_class=1)
    for network, num_threads in (("lenet5", 4), ("vgg16", 1)):
        sample = {**measurement(study)["samples"][0], "num_threads": num_threads}
        where = {"network": network, "has_stn": False, "runtime": "onnxruntime", "device": "cpu"}
        replace_latencies(study, [{**sample, **where}])
    results = read_results(study)
    table = other_devices_table(Context(results=results))
    assert table is not None and [column.unit for column in table.columns[1:]] == ["PyTorch, 2 threads", "ONNX Runtime"]
    assert {row[0].text: row[2].below for row in table.rows} == {"lenet5": "4 threads", "vgg16": "1 thread"}


def test_where_pytorch_alone_was_timed_nothing_is_said_of_others(tmp_path: Path) -> None:
    table = latency_table(read_results(build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1)))
    assert table is not None and WHAT_IS_TIMED not in table.caption


def measurement(study: Path) -> dict[str, Any]:
    """What measure.py prints of the study's lenet5: 8 ms with four threads."""
    info = read_study_info(study)
    prints = {name: getattr(info, name) for name in ("protocol_fingerprint", "data_fingerprint")}
    machine = {"cpu_name": "Raspberry Pi 5", "num_cores": 4, "system": "Linux", "python": "3.11.2", "versions": {}}
    sample = {"batch_size": 1, "num_threads": 4, "round": 0, "sample": 0, "latency_ms": 8.0, "is_busy": False}
    return {
        "kind": "roadtest measurement",
        "schema_version": 1,
        "run": {"network": "lenet5", "has_stn": False, "seed": 0, **prints},
        "variant": "float32",
        "num_checked": 10,
        "num_changed": 0,
        "largest_difference": 3e-6,
        "peak_memory_bytes": 40_000_000,
        "machine": machine,
        "measured_at": "2026-01-01T00:00:00+00:00",
        "samples": [sample],
    }
