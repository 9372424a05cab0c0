"""Results lie beside each other: named after the machine, added to by network, and without a folder of anybody's."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import result_files
from fake_study import MACHINE


def about(**more: Any) -> dict[str, Any]:
    return {"command": "python benchmarks/x.py", "machine": vars(replace(MACHINE, **more))}


def test_a_file_is_named_after_processor_cores_and_the_best_vector_instruction(tmp_path: Path) -> None:
    path = result_files.results_path(tmp_path, "train-speed", about())
    assert path == tmp_path / "train-speed-example-2-cores-avx512-bf16.json"
    other = result_files.results_path(tmp_path, "train-speed", about(cpu_name="AMD EPYC", cpu_flags=("avx2",)))
    assert other == tmp_path / "train-speed-amd-epyc-2-cores-avx2.json"


def test_networks_of_an_earlier_call_are_there_to_be_added_to(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "speed.json"
    assert result_files.read_networks(path) == {}
    result_files.write_results(path, {"networks": {"lenet5": {"rounds": 5}}}, "a page")
    assert result_files.read_networks(path) == {"lenet5": {"rounds": 5}}
    assert path.with_suffix(".md").read_text() == "a page\n"


@pytest.mark.parametrize("text", ["[]", "{}", "no json", '{"networks": 3}'])
def test_a_file_that_holds_something_else_is_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "speed.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="holds no networks to add to"):
        result_files.read_networks(path)


def test_what_is_written_names_no_folder_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    script = str(result_files.ROOT / "benchmarks" / "speed" / "train_speed.py")
    monkeypatch.setattr(
        sys, "argv", [script, "--data-dir", "/home/somebody/data/", "--out=/tmp/x/results", "--rounds", "5"]
    )
    command = result_files.describe_run()["command"]
    assert command == "python -m benchmarks.speed.train_speed --data-dir data --out=results --rounds 5"
    told = result_files.without_folders("FileNotFoundError: No such file: '/home/somebody/a/b.ppm' in runs/alone")
    assert told == "FileNotFoundError: No such file: 'b.ppm' in runs/alone"
