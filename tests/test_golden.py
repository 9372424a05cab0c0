"""What a reader sees of one made-up study, word by word: a change of wording shows here, in one place, as a diff.

After a change that is meant: `ROADTEST_GOLDEN=write pytest tests/test_golden.py`; read the diff before you commit it.
"""

import os
import re
from pathlib import Path

import pytest

from benchmarks.same_outputs import page_text
from fake_study import build_fake_study
from roadtest import cli
from roadtest.report import write_report

GOLDEN = Path(__file__).with_name("golden")
FORMATS = ("table", "csv", "json", "md")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six networks, one of them with a failed seed and one undertrained."""
    folder = tmp_path_factory.mktemp("golden") / "study"
    return build_fake_study(folder, failed="vgg16", undertrained="resnet34", has_examples=False)


def check(name: str, text: str) -> None:
    """Compare with the file of that name, or write it; the study's folder is another one each time."""
    path, text = GOLDEN / name, re.sub(r"--out \S+", "--out STUDY", text).rstrip("\n") + "\n"
    if os.environ.get("ROADTEST_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_says_what_it_said(study: Path) -> None:
    page = write_report(study, has_figures=False)
    check("page.txt", page_text(page.read_text(encoding="utf-8")))
    check("leaderboard.tex", (page.parent / "tables" / "leaderboard.tex").read_text(encoding="utf-8"))


@pytest.mark.parametrize("form", FORMATS)
def test_the_leaderboard_is_printed_as_it_was(study: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["leaderboard", str(study), "--format", form]) == 0
    check(f"leaderboard.{form}", capsys.readouterr().out)


def test_the_recommendation_says_what_it_said(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["recommend", str(study)])
    check("recommend.txt", capsys.readouterr().out)
