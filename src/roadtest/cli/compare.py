"""The verbs that train: `compare`, and `demo`, which is `compare` on the drawn signs with everything chosen.

What was typed, and what a config file says, as the arguments of `roadtest.compare`.

The verb that asks what it would cost: `plan`, which is `compare --dry-run`. It measures, and trains nothing.

What people type after an option: durations, seeds, lists. Words in, plain values out; every mistake is one line.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from roadtest.cli.options import OUTPUT, CompareOptions, DemoOut, Format, FormatOption, Fresh, Quiet, Verbose, option
from roadtest.cli.study import OwnMetric

if TYPE_CHECKING:
    from roadtest.records.events import Event
    from roadtest.study.api import Study
    from roadtest.study.estimate import Plan

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
    from roadtest.study.api import Interrupted
    from roadtest.study.api import compare as compare_networks
    from roadtest.study.progress import show_progress

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
    from roadtest.analysis.recommend import recommend
    from roadtest.cli.tables import print_leaderboard
    from roadtest.format import printable
    from roadtest.records import row_label

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


_TURNED = {"networks", "seeds", "budget", "budget_total", "no_test", "no_images", "config"}
"""Options whose text is turned into something else; all others pass as they are."""


_PLAIN = tuple(one.name for one in fields(CompareOptions) if one.name not in _TURNED)


def chosen_options(given: CompareOptions) -> dict[str, Any]:
    """The arguments of `roadtest.compare`: those of the config file, overruled by what was typed."""

    chosen: dict[str, Any] = {}
    if given.config is not None:
        from roadtest.records.files import read_config

        chosen |= read_config(given.config)
        if given.networks is None:
            _refuse_unnamed_code(chosen.get("networks", ()), given.config)
    typed = {name: getattr(given, name) for name in _PLAIN}
    chosen |= {name: value for name, value in typed.items() if value is not None and value is not False}  # but 0 counts
    if given.networks is not None:
        chosen["networks"] = split_list(given.networks, "--networks")
    if given.seeds is not None:
        chosen["seeds"] = parse_seeds(given.seeds)
    budgets = {"budget": given.budget, "budget_total": given.budget_total}
    if any(text is not None for text in budgets.values()):
        chosen = {name: value for name, value in chosen.items() if not name.startswith("budget")}
    for name, text in budgets.items():
        if text is not None:
            chosen[f"{name}_seconds"] = parse_duration(text, f"--{name.replace('_', '-')}")
    if given.no_test and chosen.get("test_on"):
        raise ValueError(f"--no-test and --test-on {chosen['test_on']} contradict each other: leave one out")
    chosen |= {"reads_test": False} if given.no_test else {}
    return chosen | ({"has_images": False} if given.no_images else {})


def _refuse_unnamed_code(networks: Iterable[str], config: Path) -> None:
    """A config file may be anybody's, and a network of one's own is a program: it runs where it was typed."""
    from roadtest.networks.user_file import is_user_defined

    own = [name for name in networks if is_user_defined(name)]
    if own:
        raise ValueError(
            f"{config} names {own[0]!r}, which is code: it runs only where it is named on the command line; if you "
            f"trust the file, add --networks {','.join(networks)}"
        )


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
    from roadtest.study.estimate import plan_study
    from roadtest.study.progress import show_progress

    with show_progress(is_quiet=is_quiet) as on_event:
        found = plan_study(source, on_event=on_event, **chosen)
    if format is not None or not is_quiet:
        print_plan(found, format or "table")
    return 1 if any(row["reason"] for row in found.rows) else 0


def print_plan(found: "Plan", format: Format) -> None:
    """Print a plan; as json it is one object, as csv and md the table alone, with the sentences on standard error."""
    from roadtest.cli.tables import print_rows

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
    from roadtest.cli.tables import Column, print_table, size
    from roadtest.format import render_duration
    from roadtest.records import row_label

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


_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "sec": 1.0}


_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(d|h|min|m|sec|s)")


MAX_SECONDS = 30 * 86400.0  # beyond a month a duration is a typing error


MAX_SEEDS = 1000


def parse_duration(text: str, option: str) -> float:
    """Read `10m`, `2h`, `90s`, `1h30m` or plain seconds, `45`, as seconds."""
    words = text.strip().lower()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", words):
        seconds = float(words)
    elif re.fullmatch(rf"(?:{_PART.pattern}\s*)+", words):
        parts = [(float(number), _UNITS[unit]) for number, unit in _PART.findall(words)]
        scales = [scale for _, scale in parts]
        if scales != sorted(set(scales), reverse=True):
            raise ValueError(f"{option} {text!r} is out of order: hours, minutes, seconds, each once; write 1h30m")
        seconds = sum(number * scale for number, scale in parts)
    else:
        raise ValueError(f"{option} {text!r} is no duration: write 90s, 10m, 2h or 1h30m; a bare number is seconds")
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"{option} {text!r} is {seconds:g} seconds: it must be above 0 and at most 30d; change it")
    return seconds


def parse_seeds(text: str) -> list[int]:
    """Read `3` as the seeds 0, 1, 2, and `0,4` (or `4,`) as just these."""
    words = [word.strip() for word in text.split(",")]
    if len(words) > 1 and words[-1] == "":
        words.pop()
    if not all(re.fullmatch(r"[0-9]{1,9}", word) for word in words):
        raise ValueError(f"--seeds {text!r} is no number: 3 means the seeds 0, 1 and 2; 0,4 means these two")
    numbers = [int(word) for word in words]
    if "," not in text:
        numbers = list(range(min(numbers[0], MAX_SEEDS + 1)))
    if not 1 <= len(numbers) <= MAX_SEEDS:
        raise ValueError(f"--seeds {text!r}: between 1 and {MAX_SEEDS} seeds are possible; 3 is a good number")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"--seeds {text!r} names a seed twice: each is one run; name it once")
    return numbers


def split_list(words: Sequence[str], option: str) -> list[str]:
    """Split `a,b` and repeated options into one list of words."""
    parts = [part.strip() for word in words for part in word.split(",") if part.strip()]
    if not parts:
        raise ValueError(f"{option} is empty: name one or more, with commas between them")
    return parts
