"""The verbs that use what a comparison found: `predict`, `evaluate`, and `add` for a system that is in use already."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from roadtest.cli.options import (
    DATA,
    OUTPUT,
    PLACEHOLDERS,
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
from roadtest.events import printable

Row = dict[str, object]
PLACEHOLDERS |= {"--name": "NAME", "--network": "FILE", "--split": "WORD", "--top": "N"}
STDIN_WORD = "<stdin>"
"""What front.py puts in place of a lone `-`, which the parser would take for an option."""
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
    from roadtest.data.picked import STDIN, pick_images

    words = [STDIN if word == STDIN_WORD else word for word in images]
    pick = pick_images(words, stdin=sys.stdin.buffer)  # a mistake is told before torch comes in
    _check_top(top)
    from roadtest.classify import Classifier
    from roadtest.cli.streams import print_predictions

    classifier = Classifier.from_run(_found(run, is_quiet=quiet), own_network=network)
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
    from roadtest.cli.streams import print_evaluation
    from roadtest.labelled import evaluate_run
    from roadtest.progress import show_progress

    with show_progress(is_quiet=quiet) as on_event:
        found = evaluate_run(
            path,
            source,
            own_network=network,
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
    from roadtest.incumbent import add_incumbent
    from roadtest.summarise import incumbent_difference_rows, incumbent_rows, read_results

    add_incumbent(study, predictions, name=name)
    results = read_results(study)
    row = next(row for row in incumbent_rows(results) if row["network"] == name)
    differences = [each for each in incumbent_difference_rows(results) if each["system"] == name]
    _print_added(row, differences, results.info.data_title, format or "table", is_quiet=quiet)
    return 0


def _found(run: Path, *, is_quiet: bool) -> Path:
    """The run's folder; which one was taken of a study is said."""
    from roadtest.winner import find_run

    found = find_run(run)
    if found.words and not is_quiet:
        print(printable(found.words), file=sys.stderr)
    return found.path


def _check_top(top: int) -> None:
    if top < 1:
        raise ValueError(f"--top {top} shows nothing: 1 shows the most probable class; give 1 or more")


def _print_added(row: Row, differences: list[Row], data_title: str, format: Format, *, is_quiet: bool) -> None:
    from roadtest.cli.streams import print_differences, system_sentences
    from roadtest.cli.terminal import print_rows

    if format == "json":
        sys.stdout.write(json.dumps({"system": row, "differences": differences}, indent=1) + "\n")
    elif format == "table":
        for sentence in system_sentences(row, data_title):
            print(printable(sentence))
        print_differences(differences)
    else:
        print_rows(differences, format)
    if not differences and not is_quiet:
        print("no network of the study answered the same images: nothing is compared yet", file=sys.stderr)
