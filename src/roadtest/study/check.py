"""The data check in short: a new study on images of one's own says what is wrong with them before it trains.

A finding is told in a line and refuses nothing: whose images they are decides. A thousand images of 32 x 32 take about
0.3 seconds on one core, of 128 x 128 one second, and the headers of their files 0.1 seconds. The notes of the check are
left to `roadtest data check`, but for those that the source brought.
"""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from roadtest.data.audit import audit_images
from roadtest.data.audit_notes import check_notes
from roadtest.data.imageset import DRAWN, ImageSet, Listing
from roadtest.data.open import list_source
from roadtest.events import Event

_BROKEN = ("files", "error")
MAX_IMAGES = 200_000
"""Some minutes at 128 x 128: more are left to the verb, which is asked for."""


def tell_notes(image_set: ImageSet, tell: Callable[[Event], None]) -> None:
    """Tell what a source says of itself: files that were left out, a test part that was dealt here."""
    for note in image_set.notes:
        (found,) = check_notes([note])
        tell(Event(kind="warning" if found.severity == "warning" else "note", text=note))


def list_originals(source: str, image_set: ImageSet, cache_dir: Path) -> Listing | None:
    """The original files of an image set; None where there are too many to look at."""
    if len(image_set.paths) > MAX_IMAGES:
        return None
    listing = list_source(source, cache_dir=cache_dir, data_dir=None, is_subset_allowed=False)
    if not image_set.test_title:
        return listing
    # Its test part may be another source's: images that were not taken are no broken ones.
    taken = set(image_set.paths)
    return replace(listing, items=tuple(item for item in listing.items if item.path in taken))


def check_in_short(
    source: str, image_set: ImageSet, tell: Callable[[Event], None], listing: Listing | None = None
) -> None:
    """Tell errors and warnings of the data check, a line each, and its verdict; what `tell_notes` told is not repeated.

    With the listing of the original files their headers are read too.
    """
    more = f"roadtest data check {shlex.quote(source)}"
    own = _without_drawn(image_set)
    if len(own.paths) > MAX_IMAGES:
        text = f"data check: more than {MAX_IMAGES:,} images are not looked at by themselves: {more} does"
        tell(Event(kind="note", text=text))
        return
    tell(Event(kind="phase", text=f"checking {len(own.paths):,} images"))
    audit = audit_images(own, listing)
    # Broken files were left out on request, however many they are: no error of whoever asked for it.
    findings = (replace(f, severity="warning") if (f.topic, f.severity) == _BROKEN else f for f in audit.findings)
    audit = replace(audit, findings=tuple(findings))
    troubles = [one for one in audit.findings if one.severity in ("error", "warning")]
    told = {one.topic for one in check_notes(image_set.notes)}
    for one in troubles:
        if one.severity == "error" or one.topic not in told:
            tell(Event(kind="warning", text=f"data check: {one.topic}: {one.text}"))
    tell(Event(kind="note", text=f"data check: {audit.verdict}" + (f"; {more} says what to do" if troubles else "")))


def _without_drawn(image_set: ImageSet) -> ImageSet:
    """The images that are somebody's own: mixed ones stand behind all others."""
    num_own = len(image_set.paths) - image_set.splits.count(DRAWN)
    return replace(
        image_set,
        images_NHWC=image_set.images_NHWC[:num_own],
        labels_N=image_set.labels_N[:num_own],
        groups=image_set.groups[:num_own],
        frames_N=image_set.frames_N[:num_own],
        splits=image_set.splits[:num_own],
        paths=image_set.paths[:num_own],
    )
