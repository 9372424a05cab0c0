"""The verbs that look at a data set before anything is trained on it: `data check` and `data preview`."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from roadtest.cli.options import (
    OUTPUT,
    DataDir,
    Format,
    FormatOption,
    GroupOption,
    ImageSize,
    Quiet,
    SkipBroken,
    Subset,
    Verbose,
    option,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from roadtest.data.audit import Audit
    from roadtest.format import Row

SHEET = Path("sheet.png")
WIDE = 110  # characters from which on a finding and its advice stand side by side
MAX_CLASSES = 20  # that the terminal shows: the smallest are those to look at
Source = Annotated[str, Parameter(help="gtsrb, signs, or the path of an image folder or csv.")]


def check(
    source: Source,
    /,
    *,
    data_dir: DataDir = None,
    subset: Subset = False,
    group: GroupOption = None,
    image_size: ImageSize = None,
    format: FormatOption = None,
    out: Annotated[
        Path | None,
        option("--out", "-o", help="A picture to write of what was found. Default: none.", group=OUTPUT),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Look for broken files, copies across parts, double labels, frames without groups and mirrored classes, before
    anything is trained.

    Nothing is changed. Where results on the data would be wrong, the exit code is 1.
    """
    from roadtest.data.audit import audit_source
    from roadtest.data.audit.contact_sheet import write_findings_sheet
    from roadtest.data.cache import default_cache_dir
    from roadtest.data.open import list_grouped_source
    from roadtest.format import printable
    from roadtest.records.events import Event, counting
    from roadtest.study.progress import show_progress

    _check_picture(out)
    size, cache_dir = _checked_size(image_size), default_cache_dir()
    with show_progress(is_quiet=quiet) as on_event:
        listing = list_grouped_source(
            source,
            group=group,
            image_size=size,
            cache_dir=cache_dir,
            data_dir=data_dir,
            is_subset_allowed=subset,
            skip_broken=True,
            is_checked=True,
            on_progress=counting(on_event, "data"),
            on_download=counting(on_event, "download"),
        )
        on_event(Event(kind="phase", text=f"checking {len(listing.items):,} images"))
        audit, image_set = audit_source(
            listing, cache_dir=cache_dir, image_size=size, on_progress=counting(on_event, "data")
        )
    if format is not None or not quiet:
        _print_audit(audit, format or "table")
    if not quiet:
        print(printable(f"{audit.title}: {audit.verdict}"), file=sys.stderr)
    if out is not None and image_set is not None:
        print(write_findings_sheet(out, audit, image_set).resolve().as_uri(), file=sys.stderr)
    elif out is not None:
        print(f"{out} was not drawn: too little could be read", file=sys.stderr)
    return 1 if audit.has_errors else 0


def preview(
    source: Source,
    /,
    *,
    out: Annotated[Path, option("--out", "-o", help="The picture to write. Default: sheet.png.", group=OUTPUT)] = SHEET,
    augmented: Annotated[
        bool, option("--augmented", help="Show images as training varies them.", group=OUTPUT)
    ] = False,
    data_dir: DataDir = None,
    subset: Subset = False,
    skip_broken: SkipBroken = False,
    group: GroupOption = None,
    image_size: ImageSize = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Draw a contact sheet: training images of every class, a row each, with the class's number and name."""
    from roadtest.data.audit.contact_sheet import write_contact_sheet
    from roadtest.data.cache import default_cache_dir
    from roadtest.data.open import open_source
    from roadtest.records.events import counting
    from roadtest.study.progress import show_progress

    _check_picture(out)
    size = _checked_size(image_size)
    with show_progress(is_quiet=quiet) as on_event:
        image_set = open_source(
            source,
            image_size=size,
            cache_dir=default_cache_dir(),
            data_dir=data_dir,
            is_subset_allowed=subset,
            skip_broken=skip_broken,
            group=group,
            on_progress=counting(on_event, "data"),
            on_download=counting(on_event, "download"),
        )
    sheet = write_contact_sheet(out, image_set, augment=_vary if augmented else None)
    print(sheet.resolve().as_uri(), file=sys.stderr)
    return 0


def _check_picture(path: Path | None) -> None:
    """Tell a mistake before anything is decoded."""
    if path is not None and path.is_dir():
        raise ValueError(f"--out {path} is a folder: the picture is a PNG file; give a name in it, {path / SHEET}")
    if path is not None and path.suffix.lower() != ".png":
        raise ValueError(
            f"--out {path} does not end in .png: the picture is a PNG file; give {path.with_suffix('.png')}"
        )


def _checked_size(image_size: int | None) -> int:
    """The protocol's own size, or another in its bounds."""
    from dataclasses import replace

    from roadtest.protocol import FOLDER_V1

    return FOLDER_V1.image_size if image_size is None else replace(FOLDER_V1, image_size=image_size).image_size


def _print_audit(audit: "Audit", format: Format) -> None:
    """The findings, the worst first, and for people the classes' sizes; with json everything that was counted."""
    from roadtest.cli.tables import print_rows
    from roadtest.data.audit import audit_to_dict, finding_rows

    if format == "json":
        sys.stdout.write(json.dumps(audit_to_dict(audit), indent=1, ensure_ascii=False) + "\n")
    elif format == "table":
        _print_table(finding_rows(audit))
        _print_classes(audit.classes)
    else:
        print_rows([row | {"examples": " ".join(row["examples"])} for row in finding_rows(audit)], format)


def _print_table(rows: Sequence["Row"]) -> None:
    """The advice beside what was found, or below it where the window is narrow: every word stays readable."""
    from roadtest.cli.tables import Column, print_table

    is_wide = not sys.stdout.isatty() or shutil.get_terminal_size().columns >= WIDE
    columns = [
        Column(title="", text=lambda row: str(row["severity"]), is_right=False),
        Column(title="topic", text=lambda row: str(row["topic"]), is_right=False),
        Column(title="found", text=lambda row: str(row["text"]), is_right=False, is_folding=True),
        Column(title="what to do", text=lambda row: str(row["advice"]), is_right=False, is_folding=True),
    ]
    if not is_wide:
        columns[2:] = [Column(title="found, and what to do", text=_found_and_advice, is_right=False, is_folding=True)]
    print_table(columns, [("", list(rows))])


def _print_classes(rows: Sequence["Row"]) -> None:
    """How many images the classes have in each part, those with the fewest training images first."""
    from roadtest.cli.tables import Column, print_table
    from roadtest.data.audit.files import PARTS

    if not rows:
        return
    parts = {f"num_{part}": words for part, words in PARTS.items()}
    shown = {name: words for name, words in parts.items() if any(row[name] for row in rows)}
    smallest = sorted(rows, key=lambda row: (row["num_train"], sum(row[name] for name in parts), row["class_id"]))
    columns = [
        Column(title="class", text=lambda row: str(row["class_name"]), is_right=False, is_folding=True),
        *(Column(title=words, text=_counted(name)) for name, words in shown.items()),
        Column(title="groups", text=_counted("num_groups"), rank=1),
    ]
    print()
    print_table(columns, [("", smallest[:MAX_CLASSES])])
    left = smallest[MAX_CLASSES:]
    if left:
        num_least = f"{left[0]['num_train']:,} training image{'' if left[0]['num_train'] == 1 else 's'}"
        more = "1 more class has" if len(left) == 1 else f"{len(left):,} more classes have"
        print(f"{more} at least {num_least}{'' if len(left) == 1 else ' each'}; --format json names all classes")


def _counted(name: str) -> Callable[["Row"], str]:
    from roadtest.cli.tables import count

    return lambda row: count(row[name])


def _found_and_advice(row: "Row") -> str:
    return f"{row['text']}\n> {row['advice']}" if row["advice"] else str(row["text"])


def _vary(images_NHWC: "npt.NDArray[np.uint8]", image_ids_N: "npt.NDArray[np.int64]") -> "npt.NDArray[np.float32]":
    """Vary images as the published protocol does in its first epoch."""
    import torch

    from roadtest.protocol import GTSRB_V1
    from roadtest.training.augment import augment_batch, sample_parameters

    ids_N = torch.from_numpy(image_ids_N.copy())
    changes = sample_parameters(ids_N, augmentation=GTSRB_V1.augmentation, seed=0, epoch=0)
    images_NHWC = images_NHWC.copy()
    images_NCHW = augment_batch(torch.from_numpy(images_NHWC), changes, normalisation=GTSRB_V1.normalisation)
    varied_NHWC: npt.NDArray[np.float32] = images_NCHW.permute(0, 2, 3, 1).numpy()
    return varied_NHWC
