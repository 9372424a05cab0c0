"""The short verbs: read a study again, and look at networks and machine before one starts."""

import sys
from typing import Annotated

from cyclopts import Parameter

from roadtest.cli.options import DATA, FormatOption, ImageSize, NoImages, StudyPath, Verbose, Whole, option
from roadtest.cli.reading import MetricOption, ToleranceOption, read_as, read_points


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
    from roadtest.cli.terminal import caution, print_leaderboard
    from roadtest.events import printable
    from roadtest.summarise import rows_with_incumbents, standing_words

    results = read_as(study, metric, tolerance)
    rows = rows_with_incumbents(results)
    print_leaderboard(rows, format or "table")
    told = standing_words(results)
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
    from roadtest.cli.network_table import network_rows, print_networks

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
    from dataclasses import asdict

    from roadtest.cli.terminal import print_findings
    from roadtest.data.cache import default_cache_dir
    from roadtest.machine import doctor_findings

    print_findings([asdict(finding) for finding in doctor_findings(default_cache_dir())], format or "table")
    return 0
