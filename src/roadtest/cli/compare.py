"""The subcommands that train or say what training would take: `compare`, `plan` (`compare --dry-run`) and `demo`.

`demo` is `compare` on the synthetic signs with everything chosen; `plan` measures, and trains nothing.
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from roadtest.cli.options import (
    FOLDER,
    OUTPUT,
    CompareOptions,
    Format,
    FormatOption,
    Fresh,
    Quiet,
    Verbose,
    option,
    typed_options,
)
from roadtest.study import Interrupted

if TYPE_CHECKING:
    from roadtest.format import Row
    from roadtest.records.events import Event
    from roadtest.study.api import Study
    from roadtest.study.estimate import Plan

DEMO_DIR = Path("runs/demo")
DEMO_BUDGET_SECONDS = 20.0  # six runs: two minutes of training, and up to five for all that surrounds it
DryRun = Annotated[
    bool, option("--dry-run", help="Train nothing: say what it would take, as roadtest plan.", group=OUTPUT)
]
Config = Annotated[
    Path | None, option("--config", "-c", help="A study.toml with options; those given here come first.", group=FOLDER)
]
DemoOut = Annotated[Path, option("--out", "-o", help="The study's folder. Default: runs/demo.", group=FOLDER)]
Source = Annotated[
    str | None,
    Parameter(
        help="gtsrb, signs (drawn, needs no data; the default; signs:20000,skewed draws more), or the path of an image "
        "folder or csv.",
        show_default=False,
    ),
]


def compare(
    source: Source = None,
    /,
    *,
    options: CompareOptions | None = None,
    config: Config = None,
    dry_run: DryRun = False,
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Train networks under one protocol, measure what each costs, and write one page that compares them.

    The same command goes on where it stopped and repeats nothing that is finished.
    """
    run = _plan if dry_run else _compare
    return run(_request(source, options, config), format=format, is_quiet=quiet)


def demo(
    *,
    out: DemoOut = DEMO_DIR,
    fresh: Fresh = False,
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Compare the six classic networks on drawn signs, 20 seconds of training each: no data, no network needed."""
    request = {"source": "signs", "stn": "both", "budget_seconds": DEMO_BUDGET_SECONDS, "out": out, "fresh": fresh}
    return _compare(request, format=format, is_quiet=quiet)


def plan(
    source: Source = None,
    /,
    *,
    options: CompareOptions | None = None,
    config: Config = None,
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Say what compare with the same words would take: time, memory, disk. Nothing is trained; only decoded images
    stay, in the cache.

    Every network takes a few real steps here; what a study has finished already is not counted.
    """
    return _plan(_request(source, options, config), format=format, is_quiet=quiet)


def _request(source: str | None, options: CompareOptions | None, config: Path | None) -> dict[str, Any]:
    """The arguments of `roadtest.compare`, the source among them: what was typed comes before the config file."""
    typed = typed_options(options or CompareOptions()) | ({"source": source} if source else {})
    kept: dict[str, Any] = {}
    if config is not None:
        from roadtest.records.files import read_config

        kept = read_config(config)
        if "networks" not in typed:
            _refuse_unnamed_code(kept.get("networks", ()), config)
    if any(name.startswith("budget") for name in typed):
        kept = {name: value for name, value in kept.items() if not name.startswith("budget")}
    request = {"source": "signs"} | kept | typed
    if "reads_test" in typed and request.get("test_on"):
        raise ValueError(f"--no-test and --test-on {request['test_on']} contradict each other: leave one out")
    return request


def _refuse_unnamed_code(networks: Iterable[str], config: Path) -> None:
    """A config file may be anybody's, and a user-defined network is a program: it runs where it was typed."""
    from roadtest.networks.user_file import is_user_defined

    own = [name for name in networks if is_user_defined(name)]
    if own:
        raise ValueError(
            f"{config} names {own[0]!r}, which is code: it runs only where it is named on the command line; if you "
            f"trust the file, add --networks {','.join(networks)}"
        )


def _compare(request: dict[str, Any], *, format: Format | None, is_quiet: bool) -> int:
    from roadtest.study.api import compare as compare_networks
    from roadtest.study.progress import show_progress

    started: list[str] = []
    with show_progress(is_quiet=is_quiet) as show:

        def on_event(event: "Event") -> None:
            if event.kind == "started":
                started.append(event.label)
            show(event)

        study = compare_networks(request.pop("source"), on_event=on_event, **request)
    try:
        return _conclude(study, has_trained=bool(started), format=format, is_quiet=is_quiet)
    except KeyboardInterrupt:
        raise Interrupted(study.path) from None


def _conclude(study: "Study", *, has_trained: bool, format: Format | None, is_quiet: bool) -> int:
    """Print the leaderboard, which network to use, and where the page is; return the exit code."""
    from roadtest.analysis.recommend import recommend
    from roadtest.cli.tables import print_leaderboard
    from roadtest.format import printable, row_label

    if sys.stderr.isatty() and not is_quiet:
        print(file=sys.stderr)  # between the live table and the leaderboard
    if format is not None or not is_quiet:
        print_leaderboard(study.leaderboard(), format or "table")
    failures = study.failures()
    notes = [f"{row_label(vars(failure))}, seed {failure.seed} failed: {failure.reason}" for failure in failures]
    if not has_trained and not failures:
        notes.append(f"{study.path} was complete already: nothing was trained; --fresh begins anew")
    if not is_quiet:
        for note in [*notes, *recommend(study.path).sentences[:1]]:
            print(printable(note), file=sys.stderr)
    print((study.path / "report" / "index.html").resolve().as_uri(), file=sys.stderr)
    return 1 if study.missing() else 0


def _plan(request: dict[str, Any], *, format: Format | None, is_quiet: bool) -> int:
    """Measure, print the plan, and return the exit code: 1 where a network could not be measured."""
    from roadtest.study.estimate import plan_study
    from roadtest.study.progress import show_progress

    with show_progress(is_quiet=is_quiet) as on_event:
        found = plan_study(request.pop("source"), on_event=on_event, **request)
    if format is not None or not is_quiet:
        _print_plan(found, format or "table")
    return 1 if any(row["reason"] for row in found.rows) else 0


def _print_plan(found: "Plan", format: Format) -> None:
    """Print a plan; as json it is one object, as csv and md the table alone, with the sentences on standard error."""
    from roadtest.cli.tables import Column, print_rows, print_table
    from roadtest.format import format_bytes, render_duration, row_label

    if format == "json":
        print(json.dumps(found.to_dict(), indent=1, ensure_ascii=False))
        return
    if format != "table":
        print_rows(found.rows, format)
        print(*found.sentences, sep="\n", file=sys.stderr)
        return
    columns = (
        Column(title="network", text=row_label, is_right=False),
        Column(title="runs", text=_runs, rank=6),
        Column(title="images/s", text=lambda row: _number(row["images_per_second"]), rank=5),
        Column(title="epochs", text=lambda row: _range(row, "num_epochs", _number), rank=7),
        Column(title="a run", text=lambda row: _range(row, "run_seconds", render_duration), rank=8),
        Column(title="all runs", text=lambda row: _range(row, "total_seconds", render_duration)),
        Column(title="memory", text=lambda row: format_bytes(row["peak_memory_bytes"]), rank=4),
        Column(title="disk", text=lambda row: format_bytes(row["disk_bytes"]), rank=3),
        Column(title="precision", text=lambda row: row["precision"] or "–", is_right=False, rank=2),
    )
    print_table(columns, [("", list(found.rows))])
    print("", *found.sentences, sep="\n")


def _runs(row: "Row") -> str:
    """`3`, or `1 of 3` where two are finished."""
    left = row["num_runs"] - row["num_finished"]
    return str(left) if left == row["num_runs"] else f"{left} of {row['num_runs']}"


def _range(row: "Row", name: str, render: Callable[[float], str]) -> str:
    """`5 min` where it is known, `4 min to 9 min` where early stopping leaves it open."""
    if row[name] is not None:
        return render(row[name])
    if row[f"{name}_low"] is None:
        return "–"
    low, high = render(row[f"{name}_low"]), render(row[f"{name}_high"])
    return low if low == high else f"{low} to {high}"


def _number(value: float | None) -> str:
    """`6.2`, `4,321`: a decimal below ten."""
    return "–" if value is None else f"{value:.1f}" if value < 10 else f"{value:,.0f}"
