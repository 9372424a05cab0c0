"""docs/use.md is true: its Python and its commands run, in order, in a folder such as it describes."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from roadtest import cli
from roadtest.records import read_rows
from used_study import draw_colours

PAGE = Path(__file__).parent.parent / "docs" / "use.md"
BLOCKS = re.findall(r"^```(python|console)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
TEACHES = (
    "compare",
    "read_study",
    "read_run",
    "Classifier",
    "evaluate",
    "add",
    "leaderboard",
    "recommend",
    "predictions",
    "export",
    "add_device",
    "audit_source",
)


def test_the_page_has_examples_and_each_is_python() -> None:
    python = [code for kind, code in BLOCKS if kind == "python"]
    for code in python:
        compile(code, "docs/use.md", "exec")
    assert len(python) >= 7 and len(BLOCKS) - len(python) >= 3
    assert [word for word in TEACHES if f"{word}(" not in "".join(python) and f"{word}." not in "".join(python)] == []


def write_answers(study_dir: Path, path: Path) -> None:
    """What a system that is always right would say."""
    rows = [row for row in read_rows(study_dir / "split.csv") if row["split"] == "test"]
    path.write_text("path,label\n" + "".join(f"{row['path']},{row['label']}\n" for row in rows))


def run_line(words: list[str]) -> int:
    """A line of the console: roadtest's verbs here, `python SCRIPT > FILE` in a process of its own."""
    if words[0] != "python":
        return cli.main(words[1:])
    _, script, sign, target = words
    assert sign == ">"
    with Path(target).open("wb") as out:
        return subprocess.run([sys.executable, script, "--seconds", "0.1"], stdout=out, check=False).returncode


@pytest.mark.slow
def test_every_example_runs_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROADTEST_CACHE", str(tmp_path / "cache"))
    draw_colours(tmp_path / "images", {"red": 0, "green": 1, "blue": 2}, num_images=70)
    draw_colours(tmp_path / "new-images", {"RED": 0, "02": 1}, num_images=5)  # natural order: blue, green, red
    draw_colours(tmp_path / "photos", {".": 0}, num_images=2)
    for number, name in enumerate("ab"):
        (tmp_path / "photos" / f"{number}.png").rename(tmp_path / "photos" / f"{name}.png")
    names: dict[str, Any] = {}
    for kind, code in BLOCKS:
        if kind == "python":
            exec(compile(code, "docs/use.md", "exec"), names)
        else:
            for line in code.splitlines():
                assert run_line(shlex.split(line, comments=True)) == 0, line
        if not (tmp_path / "ours.csv").exists():
            write_answers(tmp_path / "runs" / "first", tmp_path / "ours.csv")
    assert names["probabilities_NK"].shape == (2, 3)
    assert [row["network"] for row in names["study"].leaderboard()] == ["lenet5", "ours-2024", "ours-2025"]
    assert len(names["found"].labels_N) == 10
    assert "photos/a.png" in capsys.readouterr().out
