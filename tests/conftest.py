"""What all tests share: where the real data and the browser lie, and what Ctrl-C and slow machines mean here."""

import importlib.util
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A suite that was started in the background ignores Ctrl-C, and so would everything it starts; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says something about the machine, not about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def no_power_cuts() -> Iterator[None]:
    """What tests write need not outlive a power cut: waiting for the disk would take as long as the tests themselves.

    That a file is synced before it gets its name, test_records_files.py knows.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        yield


@pytest.fixture
def roadtest(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Type a command line; answers with exit code, standard output and standard error."""
    from roadtest import cli

    def type_words(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return type_words


def _is_required(what: str) -> bool:
    """`ROADTEST_REQUIRE=gtsrb,browser` turns a skip into a failure: the complete suite must not pass by skipping."""
    return what in os.environ.get("ROADTEST_REQUIRE", "").split(",")


def _skip_or_fail(what: str, reason: str) -> None:
    if _is_required(what):
        pytest.fail(f"{what} is required here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def gtsrb_dir() -> Path:
    """The folder with the three official GTSRB archives."""
    folder = Path(os.environ.get("ROADTEST_GTSRB", "gtsrb-is-not-set"))
    if not (folder / "GTSRB_Final_Training_Images.zip").exists():
        _skip_or_fail("gtsrb", "the real GTSRB is not here: set ROADTEST_GTSRB to the folder of its three archives")
    return folder


@pytest.fixture(scope="session")
def cuda() -> str:
    """The device of a GPU."""
    import torch

    if not torch.cuda.is_available():
        _skip_or_fail("cuda", "torch finds no CUDA device here")
    return "cuda"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium to drive, where there is also playwright to drive it with."""
    if importlib.util.find_spec("playwright") is None:
        _skip_or_fail("browser", "playwright is not installed: pip install -e '.[test]'")
    for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"):
        if Path(path).exists():
            return path
    _skip_or_fail("browser", "no Chromium is installed: apt-get install chromium")
    raise AssertionError
