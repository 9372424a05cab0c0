"""The verb that chooses: `recommend`, a study and the user's limits in, one network and its reasons out."""

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from roadtest.cli.options import PLACEHOLDERS, FormatOption, StudyPath, Verbose, option
from roadtest.cli.reading import CHOICE, MetricOption, ToleranceOption

if TYPE_CHECKING:
    from roadtest.recommend import Recommendation

LIMITS = Group("Limits", sort_key=1)
PLACEHOLDERS |= {"--min-class-recall": "RATE"}
Prefer = Literal["latency", "params", "macs", "size", "train-time"]


def _limit(name: str, help: str) -> Parameter:
    return option(name, help=help, group=LIMITS)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecommendOptions:
    """What `recommend` can be told besides the study; named as the arguments of `roadtest.recommend.recommend`."""

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
    from roadtest.recommend import recommend as choose

    found = choose(study, **vars(options or RecommendOptions()))
    _print(found, format or "table")
    return {"recommended": 0, "nothing meets the limits": 3}.get(found.status, 1)


def _print(found: "Recommendation", format: str) -> None:
    """The table and the sentences; with json the whole answer, with csv and md the table, sentences on stderr."""
    from roadtest.cli.terminal import print_rows
    from roadtest.events import printable
    from roadtest.record import row_label

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
    from roadtest.cli.terminal import Column, count, milliseconds, percent, print_table, seconds, size
    from roadtest.record import row_label
    from roadtest.summarise import METRICS

    metric = METRICS[found.metric]
    columns = (
        Column(title="network", text=row_label, is_right=False),
        Column(title="verdict", text=lambda row: str(row["verdict"]), is_right=False),
        Column(title=f"val {metric.words}", text=lambda row: percent(row[f"val_{metric.column}_mean"])),
        Column(title="from the leader", text=_gain, rank=8),
        Column(
            title=f"latency on {found.device}" if found.device else "latency",
            text=lambda row: milliseconds(row["latency_p50_ms"]),
            rank=7,
        ),
        Column(title="parameters", text=lambda row: count(row["num_parameters"]), rank=6),
        Column(title="MACs", text=lambda row: count(row["macs"]), rank=4),
        Column(title="size", text=lambda row: size(row["size_bytes"]), rank=3),
        Column(title="trained", text=lambda row: seconds(row["train_seconds_mean"]), rank=5),
        Column(title="memory", text=lambda row: size(row["peak_memory_bytes"]), rank=2),
        Column(title="runs", text=lambda row: str(row["num_runs"]), rank=1),
    )
    print_table(columns, [("", list(found.networks))])


def _gain(row: dict[str, Any]) -> str:
    """`-0.21 (-0.42 to +0.01)`, in percentage points."""
    if row["val_gain"] is None:
        return "–"
    low, high = (f"{100 * row[f'val_gain_{end}']:+.2f}" for end in ("low", "high"))
    return f"{100 * row['val_gain']:+.2f} ({low} to {high})"
