"""What images of one's own decide for themselves before their protocol has a name: the image size, and flips.

Both are fields of the protocol, so they must be known before the study's folder is; both are told in one line each, and
stand in study.toml as if they had been asked for. The size takes a look at the files' headers, flips one at the decoded
images (roadtest.data.audit.flips). Signs, drawn or real, decide nothing: their protocols are published as they are.

The data check in short: a new study on images of one's own says what is wrong with them before it trains.

A finding is told in a line and refuses nothing: whose images they are decides. A thousand images of 32 x 32 take about
0.3 seconds on one core, of 128 x 128 one second, and the headers of their files 0.1 seconds. The notes of the check are
left to `roadtest data check`, but for those that the source brought.

Which networks run, with which stem, from which start, with or without a spatial transformer; and where weights lie.

`--stem`, `--pretrained` and `--stn` speak for networks whose own name says nothing: `torchvision:resnet18@small`,
`timm:resnet18+pretrained` and `lenet5+stn` overrule them. Where a switch cannot hold for a network, one line says so.
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
"""What can be compared: with fewer images a test part of 15 % says nothing, and more were never tried."""


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
    source: str,
    options: Options,
    cache_dir: Path,
    emit: Emit,
    *,
    check: Callable[[Options], None] = lambda sized: None,
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
    if options.group is not None:  # groups deal the test part anew, and none of its images is looked at
        listing = list_grouped_source(
            source,
            group=options.group,
            image_size=options.image_size,
            cache_dir=cache_dir,
            data_dir=None,
            is_subset_allowed=False,
            skip_broken=options.skip_broken,
            on_progress=counting(emit, "data"),
        )
    image_set = open_image_set(
        listing,
        image_size=options.image_size,
        cache_dir=cache_dir,
        skip_broken=options.skip_broken,
        on_progress=counting(emit, "data"),
    )
    verdict = judge_flips(image_set)
    if options.flips == "on" and verdict.pairs:
        raise ValueError(f"--flips on would change labels: {name_pairs(verdict.pairs)}; leave it out")
    if options.flips == "on":
        return options
    emit(Event(kind="note", text=verdict.reason))
    return replace(options, flips="on" if verdict.is_safe else "off")


def _suggested_size(source: str, listing: Listing) -> tuple[int, str]:
    """The largest usual size not above the median short side, and that in words."""
    path = Path(source).expanduser()
    if is_arrays(path):
        median, size = float(short_side(path)), max((s for s in IMAGE_SIZES if s <= short_side(path)), default=32)
    else:
        headers = read_headers(listing)
        if headers is None:
            return IMAGE_SIZES[0], f"images are made {IMAGE_SIZES[0]} pixels a side: no header could be read"
        median, size = float(np.median(headers.short_sides_M)), headers.suggested_image_size
    return (
        size,
        f"images are made {size} x {size}: their median short side is {median:g} pixels; --image-size changes it",
    )


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


_BROKEN = ("files", "error")
MAX_CHECKED_IMAGES = 200_000
"""Some minutes at 128 x 128: more are left to the verb, which is asked for."""


def report_notes(image_set: ImageSet, emit: Emit) -> None:
    """Tell what a source says of itself: files that were left out, a test part that was dealt here."""
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
    # Its test part may be another source's: images that were not taken are no broken ones.
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
    # Broken files were left out on request, however many they are: no error of whoever asked for it.
    findings = (replace(f, severity="warning") if (f.topic, f.severity) == _BROKEN else f for f in audit.findings)
    audit = replace(audit, findings=tuple(findings))
    troubles = [one for one in audit.findings if one.severity in ("error", "warning")]
    told = {one.topic for one in check_notes(image_set.notes)}
    for one in troubles:
        if one.severity == "error" or one.topic not in told:
            emit(Event(kind="warning", text=f"data check: {one.topic}: {one.text}"))
    emit(Event(kind="note", text=f"data check: {audit.verdict}" + (f"; {more} says what to do" if troubles else "")))


SWITCHES: dict[str, tuple[bool, ...]] = {"off": (False,), "on": (True,), "both": (False, True)}


def choose_variants(source: str, options: Options, emit: Emit) -> list[tuple[str, bool]]:
    """(network, has_stn) in the order they were asked for, each once; a name that says so overrules the switches."""
    labels = resolve_networks(options.networks or default_networks(source))
    asked = [(parse_network(network), has_stn) for network, has_stn in map(parse_label, labels)]
    asked = [(_with_stem(spelling, options.stem), has_stn) for spelling, has_stn in asked]
    _check_stem(options.stem, [spelling for spelling, _ in asked])
    starts = _starts([spelling for spelling, _ in asked], options.pretrained, emit)
    pairs: list[tuple[str, bool]] = []
    for spelling, has_stn in asked:
        switch = SWITCHES[options.stn or default_stn(str(spelling))] if has_stn is None else (has_stn,)
        for is_pretrained in starts[spelling]:
            stem = None if spelling.stem == ORIGINAL_STEM else spelling.stem
            network = str(replace(spelling, stem=stem, is_pretrained=is_pretrained))
            pairs += [(network, each) for each in switch if (network, each) not in pairs]
    return pairs


def fetch_weights(runs: Iterable[PlannedRun], study_dir: Path, emit: Emit, *, is_fresh: bool) -> None:
    """Have the pretrained weights of all runs to be done in the cache; a ValueError where some cannot be had."""
    for network in _pretrained(runs, study_dir, is_fresh):
        from roadtest.networks.pretrained import find_weights

        emit(Event(kind="phase", text=f"looking for the weights of {network}"))
        find_weights(network, is_fetching=True)


def announce_weights(runs: Iterable[PlannedRun], study_dir: Path, emit: Emit, *, is_fresh: bool) -> None:
    """Say of which runs to be done the pretrained weights are not in the cache yet; nothing is fetched."""
    for network in _pretrained(runs, study_dir, is_fresh):
        from roadtest.networks.pretrained import find_weights

        try:
            find_weights(network)
        except ValueError:
            text = f"the weights of {network} are not in the cache: compare fetches them before it trains anything"
            emit(Event(kind="note", text=text))


def _pretrained(runs: Iterable[PlannedRun], study_dir: Path, is_fresh: bool) -> list[str]:
    """The pretrained networks among the runs to be done."""
    missing = [run for run in runs if is_fresh or not is_finished(study_dir / run.folder)]
    return list(dict.fromkeys(run.network for run in missing if parse_network(run.network).is_pretrained))


def _with_stem(spelling: ModelName, stem: str | None) -> ModelName:
    is_meant = stem is not None and spelling.stem is None and why_no_stem(spelling) is None
    return parse_network(str(replace(spelling, stem=stem))) if is_meant else spelling


def _check_stem(stem: str | None, spellings: Sequence[ModelName]) -> None:
    if stem is not None and all(why_no_stem(spelling) is not None for spelling in spellings):
        raise ValueError(
            f"--stem {stem} goes with networks of timm and torchvision, and none is named: name one, or leave it out"
        )


def _starts(spellings: Sequence[ModelName], switch: str, emit: Emit) -> dict[ModelName, tuple[bool, ...]]:
    """Per network whether it starts pretrained, from nothing, or both; one line names those that cannot."""
    starts = {spelling: SWITCHES["on" if spelling.is_pretrained else "off"] for spelling in spellings}
    if switch == "off":
        return starts
    reasons: dict[str, str] = {}
    for spelling in spellings:
        if spelling.is_pretrained:
            continue
        reason = why_not_pretrained(spelling)
        if reason is None:
            starts[spelling] = SWITCHES[switch]
        else:
            reasons[str(spelling)] = reason
    if len(reasons) == len(spellings):
        raise ValueError(f"--pretrained {switch} was given: {next(iter(reasons.values()))}")
    if reasons:
        emit(Event(kind="note", text=f"no pretrained weights, so from nothing: {', '.join(reasons)}"))
    return starts
