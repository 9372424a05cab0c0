"""The package's own face: what is public is listed, sorted, fetched late, and named like no module."""

import subprocess
import sys
from pathlib import Path

import pytest

import roadtest

PACKAGE = Path(roadtest.__file__).parent


def test_public_names_are_sorted() -> None:
    assert roadtest.__all__ == sorted(roadtest.__all__)


def test_no_public_name_is_a_module_name_because_importing_the_module_would_replace_it() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert not modules & set(roadtest.__all__)


def test_every_public_name_is_there() -> None:
    assert [name for name in roadtest.__all__ if not hasattr(roadtest, name)] == []


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    assert dir(roadtest) == sorted(roadtest.__all__)


def test_an_unknown_name_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'fit'.*compare"):
        roadtest.fit  # noqa: B018


def test_importing_the_package_brings_no_heavy_guest_in() -> None:
    code = "import sys, roadtest; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "roadtest" in modules
    assert not {"torch", "numpy", "scipy", "rich", "cyclopts"} & set(modules)


def test_the_version_is_a_version() -> None:
    assert [part.isdigit() for part in roadtest.__version__.split(".")[:2]] == [True, True]
