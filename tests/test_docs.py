"""Documents do not rot: commands parse, links lead somewhere, every field is described, every named test exists."""

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from roadtest.cli.app import build_app, option_names, verb_names
from roadtest.cli.reference import render_reference
from roadtest.protocol import GTSRB_V1, Augmentation, Protocol
from roadtest.records import (
    Cost,
    EpochMetrics,
    ExternalSystem,
    Failure,
    Machine,
    PlannedRun,
    Predictions,
    RunRecord,
    SetResult,
    StudyInfo,
)

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """Lines of code blocks, fenced or indented, that call roadtest or make."""
    is_fenced, lines = False, []
    for line in text.splitlines():
        if line.startswith("```"):
            is_fenced = not is_fenced
        elif is_fenced or line.startswith("    "):
            lines.append(line.strip())
    return [line for line in lines if re.match(r"(\.venv/bin/)?(roadtest|make)( |$)", line)]


def test_the_reference_is_what_the_command_line_says_now() -> None:
    assert read("docs/cli.md") == render_reference(), "run `make docs`"


def test_every_verb_and_option_is_in_the_reference() -> None:
    text, app = read("docs/cli.md"), build_app()
    for verb in verb_names(app):
        inner = verb_names(app[verb])
        for words, one in [((verb, name), app[verb][name]) for name in inner] or [((verb,), app[verb])]:
            assert f"## {' '.join(words)}\n" in text
            assert [option for option in option_names(one) if f"`{option}" not in text] == []


def test_the_readme_names_the_two_commands_that_matter() -> None:
    assert {"make demo", "make test"} <= set(commands(read("README.md")))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "docs/cli.md"])
def test_every_command_in_a_document_parses(name: str) -> None:
    app, targets = build_app(), re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE)
    for command in commands(read(name)):
        program, *words = shlex.split(command.removeprefix(".venv/bin/"), comments=True)
        if program == "make":
            assert set(words) <= set(targets), command
        else:
            app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_documents_have_commands_to_parse() -> None:
    assert len(commands(read("README.md"))) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_every_link_to_a_file_leads_there(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", read(name))
    local = [link for link in links if not link.startswith(("http://", "https://"))]
    assert [link for link in local if not ((ROOT / name).parent / link).exists()] == []


def described(page: str) -> set[str]:
    """The names in the first column of a page's tables."""
    cells = [line.split("|")[1] for line in read(page).splitlines() if line.startswith("| `")]
    return set(re.findall(r"`([A-Za-z_]+)`", " ".join(cells)))


@pytest.mark.parametrize(
    "kind",
    [RunRecord, EpochMetrics, Cost, Machine, StudyInfo, SetResult, PlannedRun, Predictions, ExternalSystem],
    ids=lambda kind: kind.__name__,
)
def test_every_field_of_a_record_is_described(kind: Any) -> None:
    assert {f.name for f in fields(kind)} - described("docs/records.md") == set()


def test_every_column_of_the_other_tables_is_named() -> None:
    from roadtest.data.split import COLUMNS as READS
    from roadtest.study.sweep import COLUMNS as SWEEP

    text = read("docs/records.md")
    columns = {*READS, *SWEEP, *(f.name for f in fields(Failure)), "latency_ms", "is_busy"}
    assert [column for column in columns if f"`{column}`" not in text] == []


def test_every_field_of_the_protocol_is_described_with_its_default() -> None:
    rows = [line.split("|") for line in read("docs/protocol.md").splitlines() if line.startswith("| `")]
    told = {row[1].strip().strip("`"): row[2].strip().strip("`") for row in rows if len(row) >= 5}
    in_words = {"augmentation": "see below", "learning_rates": "a table"}
    for kind, value in ((Protocol, GTSRB_V1), (Augmentation, GTSRB_V1.augmentation)):
        for one in fields(kind):
            default = getattr(value, one.name)
            plain = ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
            assert told.get(one.name) == in_words.get(one.name, plain), one.name


def test_every_test_that_the_protocol_names_exists() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", read("docs/protocol.md")))
    there = set(
        re.findall(r"^def (test_\w+)", "\n".join(path.read_text() for path in ROOT.glob("tests/test_*.py")), re.M)
    )
    assert len(named) >= 10
    assert named - there == set()


def test_no_document_promises_what_is_not_there() -> None:
    known = set(verb_names(build_app()))
    for name in NAMES:
        verbs = set(re.findall(r"`roadtest ([a-z]+)[ `]", read(name)))
        assert verbs <= known, name
