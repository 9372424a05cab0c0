"""The verbs that train: `compare`, and `demo`, which is `compare` on the drawn signs with everything chosen."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from roadtest.cli.chosen import chosen_options
from roadtest.cli.options import OUTPUT, CompareOptions, DemoOut, Format, FormatOption, Fresh, Quiet, Verbose, option
from roadtest.cli.reading import OwnMetric

if TYPE_CHECKING:
    from roadtest.events import Event
    from roadtest.study import Study

DEMO_DIR = Path("runs/demo")
DEMO_BUDGET_SECONDS = 20.0  # six runs: two minutes of training, and up to five for all that surrounds it
HAS_BEGUN = "the study's folder is there"
"""What an interruption says once an older study was moved aside: from then on `--fresh` would begin once more."""
DryRun = Annotated[
    bool, option("--dry-run", help="Train nothing: say what it would take, as roadtest plan.", group=OUTPUT)
]
SOURCE_HELP = (
    "gtsrb, signs (drawn, needs no data; the default; signs:20000,skewed draws more), or the path of an image "
    "folder or csv."
)


def compare(
    source: Annotated[str | None, Parameter(help=SOURCE_HELP, show_default=False)] = None,
    /,
    *,
    options: CompareOptions | None = None,
    metric: OwnMetric = None,
    dry_run: DryRun = False,
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Train networks under one protocol, measure what each costs, and write one page that compares them.

    The same command goes on where it stopped and repeats nothing that is finished.
    """
    chosen = chosen_options(options or CompareOptions()) | ({} if metric is None else {"metric": metric})
    named = chosen.pop("source", "signs")
    if dry_run:
        from roadtest.cli.plan_verb import tell_plan

        return tell_plan(source or named, chosen, format=format, is_quiet=quiet)
    return _compare(source or named, chosen, format=format, is_quiet=quiet)


def demo(
    *,
    out: DemoOut = DEMO_DIR,
    fresh: Fresh = False,
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Compare the six classic networks on drawn signs, 20 seconds of training each: no data, no network needed."""
    chosen = {"stn": "both", "budget_seconds": DEMO_BUDGET_SECONDS, "out": out, "fresh": fresh}
    return _compare("signs", chosen, format=format, is_quiet=quiet)


def _compare(source: str, chosen: dict[str, Any], *, format: Format | None, is_quiet: bool) -> int:
    from roadtest.progress import show_progress
    from roadtest.study import Interrupted
    from roadtest.study import compare as compare_networks

    started: list[str] = []
    study: Study | None = None
    try:
        with show_progress(is_quiet=is_quiet) as on_event:
            study = compare_networks(source, on_event=_noting(started, on_event), **chosen)
        return _conclude(study, has_trained=bool(started), format=format, is_quiet=is_quiet)
    except (Interrupted, KeyboardInterrupt) as stop:
        has_begun = study is not None or isinstance(stop, Interrupted)
        raise KeyboardInterrupt(HAS_BEGUN if has_begun else "") from None


def _noting(started: list[str], on_event: Callable[["Event"], None]) -> Callable[["Event"], None]:
    def note(event: "Event") -> None:
        if event.kind == "started":
            started.append(event.label)
        on_event(event)

    return note


def _conclude(study: "Study", *, has_trained: bool, format: Format | None, is_quiet: bool) -> int:
    """Print the leaderboard, which network to use, and where the page is; answer with the exit code."""
    from roadtest.cli.terminal import print_leaderboard
    from roadtest.events import printable
    from roadtest.recommend import recommend
    from roadtest.record import row_label

    rows = study.leaderboard()
    if sys.stderr.isatty() and not is_quiet:
        print(file=sys.stderr)  # between the live table and the leaderboard
    if format is not None or not is_quiet:
        print_leaderboard(rows, format or "table")
    failures = study.failures()
    notes = [f"{row_label(vars(failure))}, seed {failure.seed} failed: {failure.reason}" for failure in failures]
    if not has_trained and not failures:
        notes.append(f"{study.path} was complete already: nothing was trained; --fresh begins anew")
    if not is_quiet:
        for note in [*notes, *recommend(study.path).sentences[:1]]:
            print(printable(note), file=sys.stderr)
    print((study.path / "report" / "index.html").resolve().as_uri(), file=sys.stderr)
    return 1 if study.missing() else 0
