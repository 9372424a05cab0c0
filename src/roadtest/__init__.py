"""roadtest road-tests image classifiers: trains several fairly, measures their costs, says which differences are real.

    import roadtest

    study = roadtest.compare("gtsrb", networks=["lenet5", "resnet34"], seeds=3)
    study.leaderboard()  # a list of dicts, ready for pandas.DataFrame

Importing the package costs nothing: each name below is fetched from its module when it is first used, so that
`roadtest --help` never waits for torch. No module has the name of a public function (importing it would replace it).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roadtest.inference.classifier import Classifier
    from roadtest.protocol import Protocol
    from roadtest.study.api import Run, Study, compare, read_run, read_study

    __version__: str

_HOMES = {
    "Classifier": "roadtest.inference.classifier",
    "Protocol": "roadtest.protocol",
    "Run": "roadtest.study.api",
    "Study": "roadtest.study.api",
    "compare": "roadtest.study.api",
    "read_run": "roadtest.study.api",
    "read_study": "roadtest.study.api",
}

__all__ = ["Classifier", "Protocol", "Run", "Study", "__version__", "compare", "read_run", "read_study"]


def __getattr__(name: str) -> object:
    """Fetch a public name from its module on first use."""
    if name == "__version__":
        from importlib.metadata import version

        return version("roadtest")
    if name not in _HOMES:
        raise AttributeError(f"module 'roadtest' has no attribute {name!r}: it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
