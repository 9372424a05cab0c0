"""The subcommands that use what a comparison found: `predict`, `evaluate`, and `add` for a system in use.

Predictions are printed as they come, for any number of images. A table is for people: percent, the class's number and
name, and no control characters, whatever a file is called. csv and json are for programs: raw values, one row per image
and rank, an unreadable image with its `error`.
"""

import csv
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

from cyclopts import Parameter

from roadtest.cli.options import (
    DATA,
    OUTPUT,
    WHAT,
    DataDir,
    Format,
    FormatOption,
    GroupOption,
    Quiet,
    SkipBroken,
    StudyPath,
    Subset,
    Verbose,
    Whole,
    option,
)
from roadtest.cli.tables import Column, count, interval, print_rows, print_table
from roadtest.format import Row, class_title, format_percent, printable, row_label, statement_about

if TYPE_CHECKING:
    from roadtest.inference.evaluate import Evaluation

STDIN_WORD = "<stdin>"
"""What app.py puts in place of a lone `-`, which the parser would take for an option."""
RunPath = Annotated[Path, Parameter(help="The folder of a run, or of a study: then its recommended network.")]
ImageWords = Annotated[
    str, Parameter(help="Image files, folders, patterns; - reads paths from standard input.", show_default=False)
]
OwnNetwork = Annotated[
    str | None,
    option("--network", help="Your own network's file.py:build again: a run folder never runs code.", group=WHAT),
]


def predict(
    run: RunPath,
    /,
    *images: ImageWords,
    top: Annotated[Whole, option("--top", help="How many classes of each image. Default: 5.", group=OUTPUT)] = 5,
    network: OwnNetwork = None,
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Name what images show: the most probable classes of each, with their probabilities.

    An image that cannot be read is a row with its reason, and the exit code is 1 at the end.
    """
    from roadtest.data.sources.images import STDIN, find_image_paths

    words = [STDIN if word == STDIN_WORD else word for word in images]
    pick = find_image_paths(words, stdin=sys.stdin.buffer)  # a mistake is told before torch comes in
    _check_top(top)
    from roadtest.inference.classifier import Classifier

    classifier = Classifier.from_run(_found(run, is_quiet=quiet), network_file=network)
    num_images = num_broken = 0

    def counted() -> Iterator[Row]:
        nonlocal num_images, num_broken
        for row in classifier.rows(pick, top=top):
            num_images += row["rank"] in (1, None)
            num_broken += row["error"] is not None
            yield row

    print_predictions(counted(), format or "table", classifier.record.class_names)
    if num_images == 0:
        raise ValueError("no image was named on standard input: give paths, one a line")
    if num_broken:
        print(f"{num_broken:,} of {num_images:,} images could not be read: their rows say why", file=sys.stderr)
    if pick.num_left_out and not quiet:
        print(f"{pick.num_left_out:,} other files were left out: no pictures, or links to folders", file=sys.stderr)
    return 1 if num_broken else 0


def evaluate(
    run: RunPath,
    source: Annotated[str, Parameter(help="Labelled images: gtsrb, signs, or the path of a folder or csv.")],
    /,
    *,
    split: Annotated[
        Literal["test", "val", "train", "all"] | None,
        option(
            "--split",
            help="Which images: test, val, train, all. Default: the source's test part, else all images.",
            group=DATA,
        ),
    ] = None,
    skip_unknown: Annotated[
        bool,
        option("--skip-unknown", help="Leave images out whose class the network does not know.", group=DATA),
    ] = False,
    data_dir: DataDir = None,
    subset: Subset = False,
    skip_broken: SkipBroken = False,
    group: GroupOption = None,
    network: OwnNetwork = None,
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Judge a trained network on labelled images: accuracy with its interval, three other metrics, every class.

    Classes are matched by number or name; some of them are enough. Reading a test set is noted in the ledger.
    """
    path = _found(run, is_quiet=quiet)
    from roadtest.inference.evaluate import evaluate_run
    from roadtest.study.progress import show_progress

    with show_progress(is_quiet=quiet) as on_event:
        found = evaluate_run(
            path,
            source,
            network_file=network,
            split=split,
            skip_unknown=skip_unknown,
            data_dir=data_dir,
            is_subset_allowed=subset,
            skip_broken=skip_broken,
            group=group,
            on_event=on_event,
        )
    print_evaluation(found, format or "table")
    if not quiet:
        for note in found.notes:
            print(printable(note), file=sys.stderr)
    return 0


def add(
    study: StudyPath,
    predictions: Annotated[
        Path,
        Parameter(help="A csv: path or image_id, and label or a column of probabilities per class; docs/use.md."),
    ],
    /,
    *,
    name: Annotated[str, option("--name", help="What the system is called: ours-2024.", group=WHAT)],
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Put a system that is in use already beside the networks, by its answers on the study's test images."""
    from roadtest.analysis import external_difference_rows, read_results, rows_with_externals
    from roadtest.analysis.external import STATUS
    from roadtest.inference.external import add_external

    add_external(study, predictions, name=name)
    results = read_results(study)
    row = next(row for row in rows_with_externals(results) if (row["network"], row["status"]) == (name, STATUS))
    differences = [each for each in external_difference_rows(results) if each["system"] == name]
    _print_added(row, differences, results.info.subject, format or "table", is_quiet=quiet)
    return 0


def _found(run: Path, *, is_quiet: bool) -> Path:
    """The run's folder; which one was taken of a study is said."""
    from roadtest.analysis.recommend import find_run

    found = find_run(run)
    if found.words and not is_quiet:
        print(printable(found.words), file=sys.stderr)
    return found.path


def _check_top(top: int) -> None:
    if top < 1:
        raise ValueError(f"--top {top} shows nothing: 1 shows the most probable class; give 1 or more")


def _print_added(row: Row, differences: list[Row], subject: str, format: Format, *, is_quiet: bool) -> None:
    if format == "json":
        sys.stdout.write(json.dumps({"system": row, "differences": differences}, indent=1) + "\n")
    elif format == "table":
        for sentence in system_sentences(row, subject):
            print(printable(sentence))
        print_differences(differences)
    else:
        print_rows(differences, format)
    if not differences and not is_quiet:
        print("no network of the study answered the same images: nothing is compared yet", file=sys.stderr)


COLUMNS = ("path", "rank", "class_id", "class_name", "probability", "error")
PATH_WIDTH, CLASS_WIDTH, SMALLEST_PATH = 40, 40, 16
"""Characters: where paths and classes are longer, a terminal's width decides, and a file takes them whole."""


def print_predictions(rows: Iterable[Row], format: str, class_names: Sequence[str], file: TextIO | None = None) -> None:
    """Print predictions in a format as they come, one by one."""
    out = file or sys.stdout
    if format == "csv":
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_encodable, rows))
    elif format == "json":
        _print_json(rows, out)
    elif format == "md":
        _print_markdown(rows, out)
    else:
        _print_for_people(rows, class_names, out)


def _print_json(rows: Iterable[Row], out: TextIO) -> None:
    """One array, a row a line, which is whole however the rows end."""
    mark = "[\n"
    try:
        for row in rows:
            out.write(mark + json.dumps(_encodable(row)))
            mark = ",\n"
    finally:
        out.write("[]\n" if mark == "[\n" else "\n]\n")


def _print_markdown(rows: Iterable[Row], out: TextIO) -> None:
    from roadtest.analysis import render_table

    for place, row in enumerate(rows):
        head, rule, line = render_table([_encodable(row)], "md").splitlines(keepends=True)
        out.write(line if place else head + rule + line)


def _print_for_people(rows: Iterable[Row], class_names: Sequence[str], out: TextIO) -> None:
    """Aligned columns; an image's path stands before its first class only."""
    longest = max((len(printable(class_title(k, name))) for k, name in enumerate(class_names)), default=0)
    class_width, path_width = max(5, min(longest, CLASS_WIDTH)), PATH_WIDTH
    if out.isatty():
        room = shutil.get_terminal_size().columns - class_width - 2 * 2 - len("probability")
        path_width = max(SMALLEST_PATH, min(PATH_WIDTH, room))

    def print_line(path: str, title: str, probability: str) -> None:
        if out.isatty() and len(path) > path_width:
            path = "…" + path[len(path) - path_width + 1 :]
        out.write(f"{path:<{path_width}}  {title:<{class_width}}  {probability:>11}".rstrip() + "\n")

    print_line("path", "class", "probability")
    for row in rows:
        path = printable(row["path"])
        if row["error"] is not None:
            print_line(path, printable(f"cannot be read: {row['error']}"), "")
        else:
            title = printable(class_title(row["class_id"], row["class_name"]))
            print_line(path if row["rank"] == 1 else "", title, format_percent(row["probability"]))


def print_evaluation(found: "Evaluation", format: str) -> None:
    """Print what a network is worth on labelled images; with csv and md the classes, and the sentences on stderr."""
    if format == "json":
        sys.stdout.write(json.dumps(found.to_dict(), indent=1) + "\n")
        return
    words = sys.stdout if format == "table" else sys.stderr
    for sentence in _evaluation_sentences(found):
        print(sentence, file=words)
    if format == "table":
        print()
        columns = [column for column in CLASSES if column.title != "tracks" or found.unit_name == "tracks"]
        print_table(columns, [("", found.class_rows())])
    else:
        print_rows(found.class_rows(), format)


def _evaluation_sentences(found: "Evaluation") -> list[str]:
    plain = found.to_dict()
    part = "all images" if found.split == "all" else f"the {found.split} part"
    tracks = f" in {plain['num_units']:,} tracks" if found.unit_name == "tracks" else ""
    lines = [
        f"{found.label}, seed {found.seed}, on {printable(found.data_title)}, {part}: "
        f"{plain['num_images']:,} images{tracks}, {plain['num_classes']} of {len(found.class_names)} classes"
    ]
    between = "one group of images has no interval"
    if plain["accuracy_low"] is not None:
        between = f"95 % interval {100 * plain['accuracy_low']:.1f} to {100 * plain['accuracy_high']:.1f}: "
        between += statement_about(str(plain["statement"]), found.subject)
    worst = found.class_rows()[0]
    remarks = {
        column: f"95 % interval {100 * one.low:.1f} to {100 * one.high:.1f}"
        for column, one in found.class_intervals.items()
    }
    remarks |= {
        "accuracy": between,
        "worst_class_recall": printable(class_title(worst["class_id"], worst["class_name"])),
    }
    for column, value in found.scores().items():
        title = column.replace("_", " ").replace("macro f1", "macro-F1").replace("worst class", "worst-class")
        lines.append(f"  {title:<20}{format_percent(value):>9}  {remarks.get(column, '')}".rstrip())
    return lines


def _taken_for(row: Row) -> str:
    if row["mostly_taken_for_id"] is None:
        return ""
    return f"{class_title(row['mostly_taken_for_id'], row['mostly_taken_for'])} ({row['num_taken_for_it']})"


CLASSES = (
    Column(title="class", text=lambda row: class_title(row["class_id"], row["class_name"]), is_right=False),
    Column(title="images", text=lambda row: count(row["num_images"])),
    Column(title="tracks", text=lambda row: count(row["num_tracks"]), rank=3),
    Column(title="recall", text=lambda row: format_percent(row["recall"])),
    Column(title="precision", text=lambda row: format_percent(row["precision"]), rank=5),
    Column(title="F1", text=lambda row: format_percent(row["f1"]), rank=4),
    Column(title="mostly taken for", text=_taken_for, is_right=False, rank=6),
)


def system_sentences(row: Row, subject: str) -> list[str]:
    """A line for each part that a system answered: its accuracy, its interval, and what that speaks of."""
    from roadtest.analysis.external import THIS_SYSTEM

    lines, statement = [], statement_about(THIS_SYSTEM, subject)
    for part in ("test", "val"):
        accuracy, low = row.get(f"{part}_accuracy_mean"), row.get(f"{part}_accuracy_low")
        if accuracy is not None:
            between = f", 95 % interval {interval(row, part)}" if low is not None else ""
            lines.append(f"{row['network']}: {format_percent(accuracy)} on {part}{between} ({statement})")
    return lines


def print_differences(rows: Sequence[Row]) -> None:
    """Print how far each network is from a system, paired by image."""
    if not rows:
        return
    print()
    columns = (
        Column(title="network", text=row_label, is_right=False),
        Column(title="part", text=lambda row: str(row["part"]), is_right=False, rank=3),
        Column(title="accuracy", text=lambda row: format_percent(row["network_accuracy"])),
        Column(title=f"minus {printable(rows[0]['system'])}", text=_points),
        Column(title="95 % interval", text=_interval),
        Column(title="only it right", text=lambda row: f"{row['num_only_network']:,.0f}", rank=5),
        Column(title="only the other", text=lambda row: f"{row['num_only_system']:,.0f}", rank=4),
        Column(title="seeds", text=lambda row: str(row["num_seeds"]), rank=2),
    )
    print_table(columns, [("", list(rows))])
    first = rows[0]
    print(f"percentage points, paired over {first['num_units']:,} {first['unit_name']}; {first['statement']}")


def _points(row: Row) -> str:
    return f"{100 * row['gain']:+.2f}"


def _interval(row: Row) -> str:
    return f"{100 * row['gain_low']:+.2f} to {100 * row['gain_high']:+.2f}"


def _encodable(row: Row) -> Row:
    """Six digits of a probability, and text that can be written: a file name need not be UTF-8."""
    found = dict(row)
    found["path"] = row["path"].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if row["probability"] is not None:
        found["probability"] = float(f"{row['probability']:.6g}")
    return found
