"""What is settled before a study has a folder: image size, flips, networks and their weights; and a short data check.

For images of your own the size comes from the files' headers and flips from the decoded images
(`data/audit/flips.py`). Both are fields of the protocol, are reported in one line each, and are in study.toml as if
they had been given. Signs, synthetic or real, keep their published protocols.

`--stem`, `--pretrained` and `--stn` hold for networks whose own name says nothing; `torchvision:resnet18@small`,
`timm:resnet18+pretrained` and `lenet5+stn` overrule them.

The data check refuses nothing: a person decides. A thousand images of 32 x 32 take about 0.3 seconds on one core, of
128 x 128 one second, the headers of their files 0.1 seconds.
"""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from roadtest.data.audit import audit_images, check_notes
from roadtest.data.audit.files import LEAST_IMAGES
from roadtest.data.audit.flips import judge_flips, name_pairs
from roadtest.data.cache import open_image_set
from roadtest.data.dataset import ImageSet, Listing
from roadtest.data.open import list_grouped_source, list_source
from roadtest.data.sources.arrays import is_arrays, short_side, store_arrays
from roadtest.data.sources.images import IMAGE_SIZES, read_headers
from roadtest.networks import (
    ModelName,
    default_stn,
    parse_label,
    parse_network,
    resolve_networks,
    why_no_stem,
    why_not_pretrained,
)
from roadtest.networks.registry import ORIGINAL_STEM
from roadtest.records import PlannedRun, is_finished
from roadtest.records.events import Emit, Event, counting
from roadtest.study.options import Options
from roadtest.study.resolve import default_networks, source_kind

Source = str | Path | tuple[Any, Any]
"""A word, a path, or the arrays images_NHWC and labels_N."""
MAX_CLASSES = 1_000
MAX_IMAGES = 1_000_000
"""What can be compared: more was never tried."""
MAX_CHECKED_IMAGES = 200_000
"""Some minutes at 128 x 128: more are left to `roadtest data check`."""
SWITCHES: dict[str, tuple[bool, ...]] = {"off": (False,), "on": (True,), "both": (False, True)}


def name_source(source: Source, cache_dir: Path) -> str:
    """The source as a word; arrays are put into the cache and become the path of their folder there."""
    if isinstance(source, str | Path):
        return str(source)
    if not isinstance(source, tuple | list) or len(source) != 2:
        raise ValueError(
            f"a {type(source).__name__} cannot be compared: give gtsrb, signs, a path, or two arrays (images, labels)"
        )
    return str(store_arrays(*source, cache_dir))


def settle(
    source: str, options: Options, cache_dir: Path, emit: Emit, *, check: Callable[[Options], None] = lambda sized: None
) -> Options:
    """Options with an image size and flips on or off; a ValueError where the images are too few, or too many.

    For signs the options as they are. `check` may refuse them before any image is decoded for its flips.
    """
    if source_kind(source) != "folder":
        return options
    listing = list_source(source, cache_dir=cache_dir, data_dir=None, is_subset_allowed=False)
    _check_limits(listing)
    if options.image_size is None:
        image_size, reason = _suggested_size(source, listing)
        options = replace(options, image_size=image_size)
        emit(Event(kind="note", text=reason))
    check(options)
    return options if options.flips == "off" else _settle_flips(source, listing, options, cache_dir, emit)


def _settle_flips(source: str, listing: Listing, options: Options, cache_dir: Path, emit: Emit) -> Options:
    assert options.image_size is not None
    opening: dict[str, Any] = {
        "image_size": options.image_size,
        "cache_dir": cache_dir,
        "skip_broken": options.skip_broken,
        "on_progress": counting(emit, "data"),
    }
    if options.group is not None:  # groups deal the test split anew, and none of its images is looked at
        where: dict[str, Any] = {"data_dir": None, "is_subset_allowed": False}
        listing = list_grouped_source(source, group=options.group, **where, **opening)
    verdict = judge_flips(open_image_set(listing, **opening))
    if options.flips == "auto":
        emit(Event(kind="note", text=verdict.reason))
        return replace(options, flips="on" if verdict.is_safe else "off")
    if verdict.pairs:
        raise ValueError(f"--flips on would change labels: {name_pairs(verdict.pairs)}; leave it out")
    return options


def _suggested_size(source: str, listing: Listing) -> tuple[int, str]:
    """The largest usual size not above the median short side, and that in words."""
    path = Path(source).expanduser()
    if is_arrays(path):
        median, size = float(short_side(path)), max((s for s in IMAGE_SIZES if s <= short_side(path)), default=32)
    elif (headers := read_headers(listing)) is None:
        return IMAGE_SIZES[0], f"images are made {IMAGE_SIZES[0]} pixels a side: no header could be read"
    else:
        median, size = float(np.median(headers.short_sides_M)), headers.suggested_image_size
    reason = f"their median short side is {median:g} pixels; --image-size changes it"
    return size, f"images are made {size} x {size}: {reason}"


def _check_limits(listing: Listing) -> None:
    num_images, num_classes = len(listing.items), len(listing.class_names)
    if num_classes > MAX_CLASSES:
        raise ValueError(
            f"{listing.title} has {num_classes:,} classes: 2 to {MAX_CLASSES:,} can be compared; is there a folder per "
            "image instead of per class?"
        )
    if num_images < LEAST_IMAGES:
        raise ValueError(
            f"{listing.title} has {num_images} images: at least {LEAST_IMAGES} are needed to tell anything; add some"
        )
    if num_images > MAX_IMAGES:
        raise ValueError(f"{listing.title} has {num_images:,} images: at most {MAX_IMAGES:,} are compared; take a part")


def report_notes(image_set: ImageSet, emit: Emit) -> None:
    """Report what a source says of itself: files that were left out, a test split that was dealt here."""
    for note in image_set.notes:
        (found,) = check_notes([note])
        emit(Event(kind="warning" if found.severity == "warning" else "note", text=note.text))


def list_originals(source: str, image_set: ImageSet, cache_dir: Path) -> Listing | None:
    """The original files of an image set; None where there are too many to look at."""
    if len(image_set.paths) > MAX_CHECKED_IMAGES:
        return None
    listing = list_source(source, cache_dir=cache_dir, data_dir=None, is_subset_allowed=False)
    if not image_set.test_title:
        return listing
    # Its test split may be another source's: images that were not taken are not broken.
    taken = set(image_set.paths)
    return replace(listing, items=tuple(item for item in listing.items if item.path in taken))


def check_in_short(source: str, image_set: ImageSet, emit: Emit, listing: Listing | None = None) -> None:
    """Emit errors and warnings of the data check, a line each, and its verdict; notes of `report_notes` only once.

    With the listing of the original files their headers are read too.
    """
    more = f"roadtest data check {shlex.quote(source)}"
    if len(image_set.paths) > MAX_CHECKED_IMAGES:
        text = f"data check: more than {MAX_CHECKED_IMAGES:,} images are not looked at by themselves: {more} does"
        emit(Event(kind="note", text=text))
        return
    emit(Event(kind="phase", text=f"checking {len(image_set.paths):,} images"))
    audit = audit_images(image_set, listing)
    # Broken files were left out on request: no error.
    findings = [
        replace(f, severity="warning") if f.topic == "files" and f.severity == "error" else f for f in audit.findings
    ]
    audit = replace(audit, findings=tuple(findings))
    troubles = [one for one in findings if one.severity in ("error", "warning")]
    reported = {one.topic for one in check_notes(image_set.notes)}
    for one in troubles:
        if one.severity == "error" or one.topic not in reported:
            emit(Event(kind="warning", text=f"data check: {one.topic}: {one.text}"))
    emit(Event(kind="note", text=f"data check: {audit.verdict}" + (f"; {more} says what to do" if troubles else "")))


def choose_variants(source: str, options: Options, emit: Emit) -> list[tuple[str, bool]]:
    """(network, has_stn) in the order of the request, each once; a name that says so overrules the switches."""
    labels = resolve_networks(options.networks or default_networks(source))
    names = [
        (_with_stem(parse_network(network), options.stem), has_stn) for network, has_stn in map(parse_label, labels)
    ]
    if options.stem is not None and all(why_no_stem(name) is not None for name, _ in names):
        raise ValueError(
            f"--stem {options.stem} goes with networks of timm and torchvision, and none is named: name one, or leave "
            "it out"
        )
    starts = _starts([name for name, _ in names], options.pretrained, emit)
    pairs: dict[tuple[str, bool], None] = {}
    for name, has_stn in names:
        stns = SWITCHES[options.stn or default_stn(str(name))] if has_stn is None else (has_stn,)
        stem = None if name.stem == ORIGINAL_STEM else name.stem
        networks = [str(replace(name, stem=stem, is_pretrained=start)) for start in starts[name]]
        pairs |= dict.fromkeys((network, each) for network in networks for each in stns)
    return list(pairs)


def _with_stem(name: ModelName, stem: str | None) -> ModelName:
    is_meant = stem is not None and name.stem is None and why_no_stem(name) is None
    return parse_network(str(replace(name, stem=stem))) if is_meant else name


def _starts(names: Sequence[ModelName], switch: str, emit: Emit) -> dict[ModelName, tuple[bool, ...]]:
    """Per network whether it starts pretrained, from scratch, or both; one line names those that cannot."""
    starts = {name: SWITCHES["on" if name.is_pretrained else switch] for name in names}
    if switch == "off":
        return starts
    reasons = {name: reason for name in names if not name.is_pretrained and (reason := why_not_pretrained(name))}
    if len(reasons) == len(names):
        raise ValueError(f"--pretrained {switch} was given: {next(iter(reasons.values()))}")
    if reasons:
        emit(Event(kind="note", text=f"no pretrained weights, so from nothing: {', '.join(map(str, reasons))}"))
    return starts | dict.fromkeys(reasons, SWITCHES["off"])


def find_missing_weights(
    runs: Iterable[PlannedRun], study_dir: Path, emit: Emit, *, is_fresh: bool, is_fetching: bool
) -> None:
    """Have the pretrained weights of all runs to be done in the cache; a ValueError where some cannot be had.

    Without `is_fetching` a note says which weights are not there yet.
    """
    missing = [run for run in runs if is_fresh or not is_finished(study_dir / run.folder)]
    for network in dict.fromkeys(run.network for run in missing if parse_network(run.network).is_pretrained):
        from roadtest.networks.pretrained import find_weights

        if is_fetching:
            emit(Event(kind="phase", text=f"looking for the weights of {network}"))
        try:
            find_weights(network, is_fetching=is_fetching)
        except ValueError:
            if is_fetching:
                raise
            text = f"the weights of {network} are not in the cache: compare fetches them before it trains anything"
            emit(Event(kind="note", text=text))
