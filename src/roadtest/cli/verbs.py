"""The short verbs: read a study again, and look at networks and machine before one starts."""

import sys
from typing import Annotated

from cyclopts import Parameter

from roadtest.cli.options import DATA, FormatOption, ImageSize, NoImages, StudyPath, Verbose, option


def leaderboard(study: StudyPath, /, *, format: FormatOption = None, verbose: Verbose = False) -> int:
    """Print the table of a study: accuracy, size, operations, time, latency, memory."""
    from roadtest.cli.terminal import caution, print_leaderboard
    from roadtest.summarise import leaderboard_rows

    rows = leaderboard_rows(study)
    print_leaderboard(rows, format or "table")
    if note := caution(rows):
        print(note, file=sys.stderr)
    return 0


def report(study: StudyPath, /, *, no_images: NoImages = False, verbose: Verbose = False) -> int:
    """Build the page, the figures and the tables of a study again, from its folder alone."""
    from roadtest.report import write_report

    page = write_report(study, has_images=not no_images)
    print(page.resolve().as_uri(), file=sys.stderr)
    return 0


def networks(
    *names: Annotated[str, Parameter(help="Names or wildcards, timm:resnet18 too. Default: all built-in ones.")],
    image_size: ImageSize = None,
    classes: Annotated[
        int,
        option(
            "--classes",
            help="Number of classes. Default: 43.",
            group=DATA,
        ),
    ] = 43,
    format: FormatOption = None,
    verbose: Verbose = False,
) -> int:
    """List what can be compared, with trainable parameters and multiply-accumulates (MACs) of one image."""
    from roadtest.cli.terminal import network_rows, print_networks

    print_networks(
        network_rows(names, image_size=32 if image_size is None else image_size, num_classes=classes), format or "table"
    )
    return 0


def doctor(*, format: FormatOption = None, verbose: Verbose = False) -> int:
    """Say what this machine has, what is slow or missing, and what to do about it."""
    from dataclasses import asdict

    from roadtest.cli.terminal import print_findings
    from roadtest.machine import doctor_findings

    print_findings([asdict(finding) for finding in doctor_findings()], format or "table")
    return 0
