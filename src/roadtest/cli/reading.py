"""The options that say how a study is read: by which metric, and which difference matters. They change no run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group

from roadtest.cli.options import PLACEHOLDERS, option

if TYPE_CHECKING:
    from roadtest.summarise import Results

CHOICE = Group("Choice", sort_key=2)
PLACEHOLDERS |= {"--metric": "WORD", "--tolerance": "POINTS"}
MetricWord = Literal["accuracy", "balanced-accuracy", "macro-f1", "worst-class-recall"]

MetricOption = Annotated[
    MetricWord | None,
    option(
        "--metric",
        help="What chooses: accuracy, balanced-accuracy, macro-f1, worst-class-recall. Default: the study's own.",
        group=CHOICE,
    ),
]
OwnMetric = Annotated[
    MetricWord | None,
    option(
        "--metric",
        help="What chooses between the networks, the study's own from now on: accuracy (the default), "
        "balanced-accuracy, macro-f1, worst-class-recall. It changes no training.",
        group=Group("Choice", sort_key=4),
    ),
]
ToleranceOption = Annotated[
    str | None,
    option(
        "--tolerance",
        help="Percentage points that do not matter: a cheaper network may be so much worse, a gain must exceed it. "
        "Default: 0.5.",
        group=CHOICE,
    ),
]


def read_as(study: Path, metric: str | None, tolerance: str | None) -> "Results":
    """Read a study as these two options say."""
    from roadtest.summarise import read_results

    return read_results(study, metric=metric, tolerance_points=read_points(tolerance))


def read_points(tolerance: str | None) -> float | None:
    """The tolerance in percentage points; None is the default."""
    from roadtest.recommend_limits import read_tolerance

    return None if tolerance is None else read_tolerance(tolerance)
