"""The verb that asks what it would cost: `plan`, which is `compare --dry-run`. It measures, and trains nothing."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from roadtest.cli.chosen import chosen_options
from roadtest.cli.compare_verb import SOURCE_HELP
from roadtest.cli.options import CompareOptions, Format, FormatOption, Quiet, Verbose
from roadtest.cli.reading import OwnMetric

if TYPE_CHECKING:
    from roadtest.plan import Plan


def plan(
    source: Annotated[str | None, Parameter(help=SOURCE_HELP, show_default=False)] = None,
    /,
    *,
    options: CompareOptions | None = None,
    metric: OwnMetric = None,
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Say what compare with the same words would take: time, memory, disk. Nothing is trained; only decoded images
    stay, in the cache.

    Every network takes a few real steps here; what a study has finished already is not counted.
    """
    chosen = chosen_options(options or CompareOptions()) | ({} if metric is None else {"metric": metric})
    named = chosen.pop("source", "signs")
    return tell_plan(source or named, chosen, format=format, is_quiet=quiet)


def tell_plan(source: str, chosen: dict[str, Any], *, format: Format | None, is_quiet: bool) -> int:
    """Measure, print the plan, and answer with the exit code: 1 where a network could not be measured."""
    from roadtest.plan import plan_study
    from roadtest.progress import show_progress

    with show_progress(is_quiet=is_quiet) as on_event:
        found = plan_study(source, on_event=on_event, **chosen)
    if format is not None or not is_quiet:
        print_plan(found, format or "table")
    return 1 if any(row["reason"] for row in found.rows) else 0


def print_plan(found: "Plan", format: Format) -> None:
    """Print a plan; as json it is one object, as csv and md the table alone, with the sentences on standard error."""
    from roadtest.cli.terminal import print_rows

    if format == "json":
        sys.stdout.write(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    if format == "table":
        _print_table(found)
        print()
    else:
        print_rows(found.rows, format)
    for sentence in found.sentences:
        print(sentence, file=sys.stdout if format == "table" else sys.stderr)


def _print_table(found: "Plan") -> None:
    from roadtest.cli.terminal import Column, print_table, size
    from roadtest.record import row_label
    from roadtest.summarise.words import render_duration

    columns = (
        Column(title="network", text=row_label, is_right=False),
        Column(title="runs", text=_runs, rank=6),
        Column(title="images/s", text=lambda row: _number(row["images_per_second"], ",.0f"), rank=5),
        Column(title="epochs", text=lambda row: _range(row, "num_epochs", _epochs), rank=7),
        Column(title="a run", text=lambda row: _range(row, "run_seconds", render_duration), rank=8),
        Column(title="all runs", text=lambda row: _range(row, "total_seconds", render_duration)),
        Column(title="memory", text=lambda row: size(row["peak_memory_bytes"]), rank=4),
        Column(title="disk", text=lambda row: size(row["disk_bytes"]), rank=3),
        Column(title="precision", text=lambda row: row["precision"] or "–", is_right=False, rank=2),
    )
    print_table(columns, [("", list(found.rows))])


def _runs(row: dict[str, Any]) -> str:
    """`3`, or `1 of 3` where two are finished."""
    left = row["num_runs"] - row["num_finished"]
    return str(left) if left == row["num_runs"] else f"{left} of {row['num_runs']}"


def _range(row: dict[str, Any], name: str, render: Any) -> str:
    """`5 min` where it is known, `4 min to 9 min` where early stopping leaves it open."""
    if row[name] is not None:
        return str(render(row[name]))
    if row[f"{name}_low"] is None:
        return "–"
    low, high = render(row[f"{name}_low"]), render(row[f"{name}_high"])
    return low if low == high else f"{low} to {high}"


def _epochs(number: float) -> str:
    return f"{number:.1f}" if number < 10 else f"{number:.0f}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
