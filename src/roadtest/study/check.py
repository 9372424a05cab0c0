"""The data check in short: a new study on images of one's own says what is wrong with them before it trains.

A finding is told in a line and refuses nothing: whose images they are decides. A thousand images of 32 x 32 take about
0.3 seconds on one core, of 128 x 128 one second; `roadtest data check` looks at the original files too.
"""

import shlex
from collections.abc import Callable
from dataclasses import replace

from roadtest.data.audit import audit_images
from roadtest.data.imageset import DRAWN, ImageSet
from roadtest.events import Event

MAX_IMAGES = 200_000
"""Some minutes at 128 x 128: more are left to the verb, which is asked for."""


def check_in_short(source: str, image_set: ImageSet, tell: Callable[[Event], None]) -> None:
    """Tell errors and warnings of the data check, a line each, and its verdict."""
    more = f"roadtest data check {shlex.quote(source)}"
    own = _without_drawn(image_set)
    if len(own.paths) > MAX_IMAGES:
        text = f"data check: more than {MAX_IMAGES:,} images are not looked at by themselves: {more} does"
        tell(Event(kind="note", text=text))
        return
    tell(Event(kind="phase", text=f"checking {len(own.paths):,} images"))
    audit = audit_images(own)
    troubles = [one for one in audit.findings if one.severity in ("error", "warning")]
    for one in troubles:
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
