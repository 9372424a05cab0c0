"""The short verbs: read a study again, and look at networks and machine before one starts.

The table of networks: what each has, does and sees at one image size, before anything is trained.

The options that say how a study is read: by which metric, and which difference matters. They change no run.

The verb that chooses: `recommend`, a study and the user's limits in, one network and its reasons out.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from roadtest.cli.options import (
    DATA,
    FormatOption,
    ImageSize,
    NoImages,
    StudyPath,
    Verbose,
    Whole,
    option,
)
from roadtest.cli.tables import Column, count, print_rows, print_table
from roadtest.format import DASH, Row, row_label
from roadtest.protocol import METRICS

if TYPE_CHECKING:
    from roadtest.analysis import Results
    from roadtest.analysis.recommend import Recommendation


def networks(
    *names: Annotated[str, Parameter(help="Names or wildcards, timm:resnet18 too. Default: all built-in ones.")],
    image_size: ImageSize = None,
    classes: Annotated[Whole, option("--classes", help="Number of classes. Default: 43.", group=DATA)] = 43,
    format: FormatOption = None,
    verbose: Verbose = False,
) -> int:
    """List what can be compared: trainable parameters, multiply-accumulates (MACs) of one image, and the side of the
    maps after each stage.
    """

    for name, value, low, high in (("--classes", classes, 1, 65_536), ("--image-size", image_size or 32, 16, 512)):
        if not low <= value <= high:
            raise ValueError(f"{name} {value} is out of range: it must lie between {low} and {high}; change it")
    rows, remarks = network_rows(names, image_size=32 if image_size is None else image_size, num_classes=classes)
    print_networks(rows, format or "table")
    for remark in remarks:
        print(remark, file=sys.stderr)
    return 1 if any(row["num_parameters"] is None for row in rows) else 0


def doctor(*, format: FormatOption = None, verbose: Verbose = False) -> int:
    """Say what this machine has, what is slow or missing, and what to do about it."""
    from roadtest.cli.tables import print_findings
    from roadtest.data.cache import default_cache_dir
    from roadtest.data.sources.download import ARCHIVE_NAMES
    from roadtest.machine import doctor_findings

    findings = doctor_findings(default_cache_dir(), ARCHIVE_NAMES)
    rows = [{"topic": f.topic, "status": f.severity, "text": f.text, "advice": f.advice} for f in findings]
    print_findings(rows, format or "table")
    return 0


MANY = 20
"""So many networks take long enough for a word about it."""

COLUMNS = (
    Column(title="network", text=row_label, is_right=False),
    Column(
        title="parameters", text=lambda row: DASH if row["num_parameters"] is None else f"{row['num_parameters']:,}"
    ),
    Column(title="MACs", text=lambda row: count(row["macs"])),
    Column(title="maps", text=lambda row: str(row["map_sides"] or DASH), rank=1, is_right=False),
    Column(title="what it is", text=lambda row: str(row["about"]), is_right=False, is_folding=True),
)


def print_networks(rows: Sequence[Row], format: str) -> None:
    """Print what can be compared."""
    if format != "table":
        print_rows(rows, format)
    else:
        print_table(COLUMNS, [("", list(rows))])


def network_rows(names: Sequence[str], *, image_size: int, num_classes: int) -> tuple[list[Row], list[str]]:
    """Count the named networks (all of our own where none is named), STN off and on; and a sentence on small maps.

    Of several networks one that cannot run at this size is a row with the reason; a ValueError where none can.
    """
    from roadtest.networks import NETWORKS, default_stn, parse_label, resolve_networks

    labels = resolve_networks(list(names) or list(NETWORKS))
    if len(labels) > MANY:
        print(f"building and counting {len(labels):,} networks: a second or more each", file=sys.stderr)
    rows: list[Row] = []
    remarks: dict[str, None] = {}
    first_error: ValueError | None = None
    for word in labels:
        name, asked = parse_label(word)
        for has_stn in [asked] if asked is not None else [False, True] if default_stn(name) == "both" else [False]:
            try:
                row, remark = _count(name, has_stn, image_size=image_size, num_classes=num_classes)
            except ValueError as error:
                first_error = first_error or error
                nothing = {"num_parameters": None, "macs": None, "map_sides": None}
                row, remark = {"network": name, "has_stn": has_stn, **nothing, "about": str(error)}, None
            rows.append(row)
            remarks |= {remark: None} if remark is not None else {}
    if first_error is not None and all(row["num_parameters"] is None for row in rows):
        raise first_error
    return rows, list(remarks)


def _count(name: str, has_stn: bool, *, image_size: int, num_classes: int) -> tuple[Row, str | None]:
    from roadtest.networks import build_on_meta, describe_network
    from roadtest.networks.advice import remark_on_maps
    from roadtest.networks.shapes import probe_network
    from roadtest.networks.user_file import is_user_defined
    from roadtest.training.profile import (  # brings torch in: not before the names are known
        count_macs,
        count_parameters,
    )

    network = build_on_meta(name, num_classes=num_classes, image_size=image_size, has_stn=has_stn)
    bare = build_on_meta(name, num_classes=num_classes, image_size=image_size, has_stn=False) if has_stn else network
    probe = probe_network(bare, image_size)
    row: Row = {
        "network": name,
        "has_stn": has_stn,
        "num_parameters": count_parameters(network),
        "macs": count_macs(network, image_size),
        "map_sides": " ".join(map(str, probe.sides)),
        "about": describe_network(name) if not has_stn else "the same behind a spatial transformer",
    }
    is_looked_at = not is_user_defined(name)
    remark = remark_on_maps(name, bare, num_classes=num_classes, image_size=image_size) if is_looked_at else None
    return row, remark


CHOICE = Group("Choice", sort_key=2)

MetricOption = Annotated[
    Literal[METRICS] | None,  # type: ignore[valid-type]
    option(
        "--metric",
        help="What chooses: accuracy, balanced-accuracy, macro-f1, worst-class-recall. Default: the study's own.",
        group=CHOICE,
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


def leaderboard(
    study: StudyPath,
    /,
    *,
    metric: MetricOption = None,
    tolerance: ToleranceOption = None,
    format: FormatOption = None,
    verbose: Verbose = False,
) -> int:
    """Print the table of a study: accuracy, size, operations, time, latency, memory; and which differences are real."""
    from roadtest.analysis import rows_with_externals, summary_sentences
    from roadtest.cli.tables import caution, print_leaderboard
    from roadtest.format import printable

    results = read_as(study, metric, tolerance)
    rows = rows_with_externals(results)
    print_leaderboard(rows, format or "table")
    told = summary_sentences(results)
    if not told and (note := caution(rows)):
        print(note, file=sys.stderr)
    for sentence in told:
        print(printable(sentence), file=sys.stdout if format in (None, "table") else sys.stderr)
    return 0


def report(
    study: StudyPath,
    /,
    *,
    metric: MetricOption = None,
    tolerance: ToleranceOption = None,
    no_images: NoImages = False,
    verbose: Verbose = False,
) -> int:
    """Build the page, the figures and the tables of a study again, from its folder alone.

    Pictures stay out where compare left them out.
    """
    from roadtest.report import write_report

    points = read_points(tolerance)
    page = write_report(study, has_images=False if no_images else None, metric=metric, tolerance_points=points)
    print(page.resolve().as_uri(), file=sys.stderr)
    return 0


def read_as(study: Path, metric: str | None, tolerance: str | None) -> "Results":
    """Read a study as these two options say."""
    from roadtest.analysis import read_results

    return read_results(study, metric=metric, tolerance_points=read_points(tolerance))


def read_points(tolerance: str | None) -> float | None:
    """The tolerance in percentage points; None is the default."""
    from roadtest.analysis.recommend.limits import read_tolerance

    return None if tolerance is None else read_tolerance(tolerance)


LIMITS = Group("Limits", sort_key=1)
Prefer = Literal["latency", "params", "macs", "size", "train-time"]


def _limit(name: str, help: str) -> Parameter:
    return option(name, help=help, group=LIMITS)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecommendOptions:
    """The options of `recommend`, named as the arguments of `roadtest.analysis.recommend.recommend`."""

    max_params: Annotated[str | None, _limit("--max-params", "At most so many parameters: 65000, 1M.")] = None
    max_macs: Annotated[
        str | None, _limit("--max-macs", "At most so many multiply-accumulates of one image: 300M.")
    ] = None
    max_size_mb: Annotated[str | None, _limit("--max-size-mb", "At most so many megabytes of weights.")] = None
    max_latency_ms: Annotated[
        str | None,
        _limit("--max-latency-ms", "At most so many milliseconds for one image, here or on --device."),
    ] = None
    max_train_minutes: Annotated[
        str | None, _limit("--max-train-minutes", "At most so many minutes of training a run.")
    ] = None
    max_memory_mb: Annotated[
        str | None, _limit("--max-memory-mb", "At most so many megabytes of memory in training, or on --device.")
    ] = None
    min_accuracy: Annotated[
        str | None, _limit("--min-accuracy", "At least this accuracy in validation: 0.98 or 98%.")
    ] = None
    min_class_recall: Annotated[
        str | None, _limit("--min-class-recall", "At least this recall of every class in validation: 0.9 or 90%.")
    ] = None
    metric: MetricOption = None
    tolerance: ToleranceOption = None
    prefer: Annotated[
        Prefer | None,
        option(
            "--prefer",
            help="What cheapest means: latency, params, macs, size, train-time; ties are broken in this order. "
            "Default: latency, or params where it was not measured.",
            group=CHOICE,
        ),
    ] = None
    device: Annotated[
        str | None,
        option(
            "--device",
            help="Another computer whose latency and memory count, such as pi5: see add-device. Default: this one.",
            group=CHOICE,
        ),
    ] = None


def recommend(
    study: StudyPath,
    /,
    *,
    options: RecommendOptions | None = None,
    format: FormatOption = None,
    verbose: Verbose = False,
) -> int:
    """Name the cheapest network within your limits that is shown to be about as good as the best, and why.

    Validation chooses; test is only quoted. Where nothing meets the limits, the exit code is 3.
    """
    from roadtest.analysis.recommend import recommend as choose

    found = choose(study, **vars(options or RecommendOptions()))
    _print(found, format or "table")
    return {"recommended": 0, "nothing meets the limits": 3}.get(found.status, 1)


def _print(found: "Recommendation", format: str) -> None:
    """The table and the sentences; with json the whole answer, with csv and md the table, sentences on stderr."""
    from roadtest.cli.tables import print_rows
    from roadtest.format import printable, row_label

    if format == "json":
        sys.stdout.write(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    words = sys.stdout
    if format == "table":
        _print_table(found)
        print()
    else:
        print_rows(found.networks, format)
        words = sys.stderr
    for sentence in found.sentences:
        print(printable(sentence), file=words)
    if found.would_change:
        print("What would change the answer:", file=words)
        for change in found.would_change:
            print(f"  {printable(change)}", file=words)
    if found.test_sentence:
        print(printable(found.test_sentence), file=words)
    for failure in found.failures:
        reason = printable(failure["reason"])
        print(f"{row_label(failure)}, seed {failure['seed']} failed: {reason}", file=sys.stderr)


def _print_table(found: "Recommendation") -> None:
    from roadtest.analysis import METRICS
    from roadtest.cli.tables import Column, cost_columns, print_table
    from roadtest.format import format_milliseconds, format_percent, row_label

    metric = METRICS[found.metric]
    columns = (
        Column(title="network", text=row_label, is_right=False),
        Column(title="verdict", text=lambda row: str(row["verdict"]), is_right=False),
        Column(title=f"val {metric.words}", text=lambda row: format_percent(row[f"val_{metric.column}_mean"])),
        Column(title="from the leader", text=_gain, rank=8),
        Column(
            title=f"latency on {found.device}" if found.device else "latency",
            text=lambda row: format_milliseconds(row["latency_p50_ms"]),
            rank=7,
        ),
        *cost_columns(without="latency_p50_ms"),
        Column(title="runs", text=lambda row: str(row["num_runs"]), rank=1),
    )
    print_table(columns, [("", list(found.networks))])


def _gain(row: dict[str, Any]) -> str:
    """`-0.21 (-0.42 to +0.01)`, in percentage points."""
    if row["val_gain"] is None:
        return "–"
    low, high = (f"{100 * row[f'val_gain_{end}']:+.2f}" for end in ("low", "high"))
    return f"{100 * row['val_gain']:+.2f} ({low} to {high})"
