"""The short verbs: read a study again, and look at networks, data and machine before one starts."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from roadtest.cli.options import (
    DATA,
    OUTPUT,
    DataDir,
    FormatOption,
    ImageSize,
    NoImages,
    Quiet,
    SkipBroken,
    StudyPath,
    Subset,
    Verbose,
    option,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SHEET = Path("sheet.png")


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


def preview(
    source: Annotated[str, Parameter(help="gtsrb, signs, or the path of an image folder or csv.")],
    /,
    *,
    out: Annotated[Path, option("--out", "-o", help="The picture to write. Default: sheet.png.", group=OUTPUT)] = SHEET,
    augmented: Annotated[
        bool, option("--augmented", help="Show images as training varies them.", group=OUTPUT)
    ] = False,
    data_dir: DataDir = None,
    subset: Subset = False,
    skip_broken: SkipBroken = False,
    image_size: ImageSize = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Draw a contact sheet: training images of every class, a row each, with the class's number and name."""
    from roadtest.data.cache import default_cache_dir
    from roadtest.data.open import open_source
    from roadtest.events import Event
    from roadtest.preview import write_contact_sheet
    from roadtest.progress import show_progress

    with show_progress(is_quiet=quiet) as on_event:
        image_set = open_source(
            source,
            image_size=32 if image_size is None else image_size,
            cache_dir=default_cache_dir(),
            data_dir=data_dir,
            is_subset_allowed=subset,
            skip_broken=skip_broken,
            on_progress=lambda done, total: on_event(Event(kind="data", num_done=done, num_total=total)),
            on_download=lambda done, total: on_event(Event(kind="download", num_done=done, num_total=total)),
        )
    sheet = write_contact_sheet(out, image_set, augment=_vary if augmented else None)
    print(sheet.resolve().as_uri(), file=sys.stderr)
    return 0


def _vary(images_NHWC: "npt.NDArray[np.uint8]", image_ids_N: "npt.NDArray[np.int64]") -> "npt.NDArray[np.float32]":
    """Vary images as the published protocol does in its first epoch."""
    import torch

    from roadtest.augment import augment_batch
    from roadtest.protocol import GTSRB_V1

    images_NCHW = augment_batch(
        torch.from_numpy(images_NHWC.copy()),
        torch.from_numpy(image_ids_N.copy()),
        augmentation=GTSRB_V1.augmentation,
        normalisation=GTSRB_V1.normalisation,
        seed=0,
        epoch=0,
    )
    varied_NHWC: npt.NDArray[np.float32] = images_NCHW.permute(0, 2, 3, 1).numpy()
    return varied_NHWC
