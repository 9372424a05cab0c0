"""What signs show: vehicles, people, a deer, a bicycle, arrows; each a list of inked outlines.

Designed for this package in plate units (-1 to 1), simplified to what a camera resolves at 30 pixels. A later patch
covers an earlier one: a window is a white patch on a car. Triangles have room for x in -0.5 to 0.5, y in -0.35 to 0.6.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from roadtest.data.signs.outlines import (
    Outlines,
    Point,
    arc,
    arrow_head,
    box,
    circle,
    curve,
    ellipse,
    place,
    polygon,
    stroke,
)

Patch = tuple[str, Outlines]
"""An ink's name and what it fills."""
Variants = tuple[list[Patch], list[Patch]]
"""The newer and the older pictogram of one sign; many signs have only one."""


def car_from_behind(ink: str, *, x: float, y: float, scale: float) -> list[Patch]:
    """Return a saloon car, 2 units wide before scaling."""
    body = polygon(
        (-0.62, -0.6), (0.62, -0.6), (0.8, -0.05), (1.0, 0.05), (1.0, 0.5), (-1.0, 0.5), (-1.0, 0.05), (-0.8, -0.05)
    )
    wheels = box(-0.86, 0.4, -0.54, 0.72) + box(0.54, 0.4, 0.86, 0.72)
    window = polygon((-0.48, -0.46), (0.48, -0.46), (0.6, -0.06), (-0.6, -0.06))
    return [(ink, place(body + wheels, scale=scale, x=x, y=y)), ("white", place(window, scale=scale, x=x, y=y))]


def lorry_from_behind(ink: str, *, x: float, y: float, scale: float) -> list[Patch]:
    """Return a lorry's tall box on its wheels, 2 units wide before scaling."""
    load = box(-1.0, -1.35, 1.0, 0.3)
    chassis = box(-0.9, 0.36, 0.9, 0.62) + box(-0.85, 0.5, -0.45, 0.95) + box(0.45, 0.5, 0.85, 0.95)
    return [(ink, place(load + chassis, scale=scale, x=x, y=y))]


LORRY_FROM_THE_SIDE: list[Patch] = [
    (
        "black",
        box(-0.16, -0.34, 0.56, 0.12)
        + polygon((-0.22, -0.2), (-0.42, -0.2), (-0.5, 0.0), (-0.55, 0.04), (-0.55, 0.24), (-0.22, 0.24))
        + box(-0.55, 0.15, 0.56, 0.24)
        + circle(-0.36, 0.25, 0.1)
        + circle(0.22, 0.25, 0.1)
        + circle(0.42, 0.25, 0.1),
    ),
    (
        "white",
        polygon((-0.27, -0.14), (-0.39, -0.14), (-0.45, 0.02), (-0.27, 0.02)) + circle(-0.36, 0.25, 0.04),
    ),
]


def _black(newer: Outlines, older: Outlines | None = None) -> Variants:
    return [("black", newer)], [("black", newer if older is None else older)]


_PRIORITY_ARROW = _black(
    polygon((0.0, -0.36), (0.19, -0.1), (0.19, 0.58), (0.0, 0.5), (-0.19, 0.58), (-0.19, -0.1))
    + polygon((-0.43, 0.19), (-0.36, 0.12), (0.36, 0.12), (0.43, 0.19), (0.36, 0.26), (-0.36, 0.26)),
    polygon((0.0, -0.34), (0.24, 0.0), (-0.24, 0.0))
    + box(-0.14, -0.06, 0.14, 0.58)
    + polygon((-0.4, 0.2), (-0.33, 0.13), (0.33, 0.13), (0.4, 0.2), (0.33, 0.27), (-0.33, 0.27)),
)
_EXCLAMATION_MARK = _black(
    circle(0.0, -0.3, 0.1) + polygon((-0.1, -0.3), (0.1, -0.3), (0.055, 0.34), (-0.055, 0.34)) + circle(0.0, 0.5, 0.09)
)
_BEND = (
    stroke([(0.17, 0.6), (0.17, 0.3), *curve((0.17, 0.26), (0.17, 0.06), (-0.08, 0.04)), (-0.22, 0.04)], 0.2)
    + arrow_head((-0.37, 0.03), 182, 0.16, 0.2),
    stroke([(0.19, 0.6), (0.19, 0.4), *curve((0.19, 0.36), (0.17, 0.1), (-0.08, 0.08))], 0.19)
    + arrow_head((-0.37, 0.06), 184, 0.3, 0.42),
)
_DOUBLE_BEND = _black(
    stroke([(-0.12, -0.18), (-0.12, 0.24), (0.12, 0.1), (0.12, 0.5)], 0.19)
    + arrow_head((-0.12, -0.31), 270, 0.15, 0.19)
    + arrow_head((0.12, 0.61), 90, 0.13, 0.19),
    stroke([(0.16, 0.6), (0.16, 0.36), (-0.11, 0.2), (-0.11, -0.02)], 0.18)
    + arrow_head((-0.11, -0.32), 270, 0.32, 0.4),
)
_BUMPS = _black(
    polygon(
        *[(-0.48, 0.5), (-0.36, 0.44), *curve((-0.32, 0.4), (-0.22, 0.2), (-0.1, 0.36)), (0.0, 0.46)],
        *[(0.08, 0.42), *curve((0.12, 0.38), (0.22, 0.18), (0.32, 0.38)), (0.38, 0.45), (0.48, 0.5)],
        *[(0.48, 0.6), (-0.48, 0.6)],
    ),
    box(-0.52, 0.46, 0.52, 0.58) + ellipse(-0.24, 0.46, 0.2, 0.17) + ellipse(0.24, 0.46, 0.2, 0.17),
)


def _skidding_car() -> Variants:
    """A tilted car with the tracks of its tyres: thin ones that curl, or two that cross."""
    curls = stroke(
        [*curve((-0.3, 0.36), (0.1, 0.28), (-0.06, 0.42)), *curve((-0.06, 0.42), (-0.3, 0.6), (0.06, 0.58))], 0.045
    ) + stroke([*curve((0.06, 0.3), (0.34, 0.3), (0.2, 0.44)), *curve((0.2, 0.44), (0.04, 0.56), (0.36, 0.58))], 0.045)
    waves: list[list[Point]] = [
        [(side * (0.16 + 0.12 * math.sin(k / 2.2)) + 0.02 * k - 0.08, 0.29 + 0.024 * k) for k in range(14)]
        for side in (-1, 1)
    ]
    newer, older = (
        [(ink, place(outlines, y=y, degrees=degrees)) for ink, outlines in car_from_behind("black", x=0, y=0, scale=s)]
        for s, y, degrees in ((0.29, 0.06, 12), (0.27, 0.04, 10))
    )
    crossing = [outline for wave in waves for outline in stroke(wave, 0.055)]
    return [*newer, ("black", curls)], [*older, ("black", crossing)]


_NARROWING = _black(
    box(-0.19, -0.24, -0.06, 0.6) + stroke([(0.24, 0.6), (0.24, 0.36), (0.1, 0.12), (0.1, -0.24)], 0.13)
)
_WORKER = _black(
    circle(0.02, -0.22, 0.09)
    + stroke([(-0.06, -0.06), (-0.2, 0.2)], 0.17, has_round_ends=True)
    + stroke([(-0.19, 0.2), (-0.06, 0.36), (-0.12, 0.6)], 0.09)
    + stroke([(-0.22, 0.2), (-0.3, 0.4), (-0.42, 0.6)], 0.09)
    + stroke([(-0.05, -0.06), (0.1, 0.12), (0.02, 0.24)], 0.075)
    + stroke([(-0.1, 0.1), (0.24, 0.44)], 0.05)
    + polygon((0.04, 0.6), (0.2, 0.36), (0.3, 0.3), (0.4, 0.4), (0.54, 0.6))
)
_TRAFFIC_LIGHTS: list[Patch] = [
    patch
    for ink, y in (("red", -0.12), ("yellow", 0.16), ("green", 0.44))
    for patch in (("black", circle(0, y, 0.135)), (ink, circle(0, y, 0.112)))
]
_WALKER = _black(
    circle(0.03, -0.28, 0.1)
    + stroke([(0.02, -0.08), (0.0, 0.2)], 0.2, has_round_ends=True)
    + stroke([(0.02, 0.2), (0.13, 0.38), (0.23, 0.62)], 0.105)
    + stroke([(-0.02, 0.2), (-0.09, 0.42), (-0.24, 0.62)], 0.105)
    + stroke([(0.07, -0.08), (0.21, 0.06), (0.24, 0.2)], 0.075)
    + stroke([(-0.03, -0.08), (-0.18, 0.06), (-0.2, 0.2)], 0.075)
)
_CHILD = (
    circle(0.05, -0.41, 0.1)
    + stroke([(0.02, -0.24), (-0.02, 0.08)], 0.16, has_round_ends=True)
    + stroke([(-0.02, 0.08), (0.15, 0.26), (0.2, 0.5)], 0.1)
    + stroke([(-0.03, 0.08), (-0.13, 0.3), (-0.34, 0.44)], 0.1)
    + stroke([(0.03, -0.22), (0.2, -0.1), (0.34, -0.18)], 0.075)
    + stroke([(0.0, -0.22), (-0.16, -0.1), (-0.3, 0.02)], 0.075)
)
"""A unit tall, its middle at 0."""
_CHILDREN = _black(
    place(_CHILD, scale=0.7, x=0.16, y=0.19) + place(_CHILD, scale=0.54, x=-0.22, y=0.3),
    place(_CHILD, scale=0.78, x=0.16, y=0.19, is_mirrored=True)
    + place(_CHILD, scale=0.54, x=-0.22, y=0.3, is_mirrored=True),
)
_BICYCLE = _black(
    stroke(arc(-0.29, 0.38, 0.18, 0.18, 0, 360), 0.042)
    + stroke(arc(0.29, 0.38, 0.18, 0.18, 0, 360), 0.042)
    + stroke([(-0.29, 0.38), (-0.1, 0.14), (0.17, 0.14), (0.0, 0.38), (-0.29, 0.38)], 0.042)
    + stroke([(-0.12, 0.06), (0.0, 0.38)], 0.042)
    + stroke([(0.29, 0.38), (0.14, 0.02), (0.26, 0.02)], 0.042)
    + box(-0.2, 0.02, -0.04, 0.07)
)
_ARM = stroke([(0, 0), (0, -0.34)], 0.065) + stroke([(-0.12, -0.31), (0, -0.19), (0.12, -0.31)], 0.055)
_SNOWFLAKE = _black([outline for k in range(6) for outline in place(_ARM, y=0.24, degrees=60 * k)])
_DEER = _black(
    place(
        polygon(
            *[(-0.2, 0.0), (-0.06, -0.02), (0.16, 0.1), (0.32, 0.16)],
            *[(0.38, 0.28), (0.28, 0.36), (0.08, 0.28), (-0.14, 0.24)],
        )
        + polygon((-0.2, 0.06), (-0.04, 0.02), (-0.16, -0.2), (-0.27, -0.2))
        + stroke([(-0.2, -0.22), (-0.36, -0.12)], 0.1, has_round_ends=True)
        + stroke([(-0.2, -0.24), (-0.17, -0.4)], 0.04)
        + stroke([(-0.2, -0.24), (-0.1, -0.34)], 0.04)
        + stroke([(-0.12, 0.18), (-0.34, 0.3), (-0.46, 0.26)], 0.065)
        + stroke([(-0.08, 0.22), (-0.26, 0.38), (-0.38, 0.38)], 0.06)
        + stroke([(0.3, 0.26), (0.36, 0.42), (0.54, 0.56)], 0.08)
        + stroke([(0.24, 0.3), (0.28, 0.46), (0.42, 0.62)], 0.07),
        scale=0.87,
        y=0.03,
    )
)
WARNINGS: dict[int, Variants] = {
    11: _PRIORITY_ARROW,
    18: _EXCLAMATION_MARK,
    19: _black(*(place(one) for one in _BEND)),
    20: _black(*(place(one, is_mirrored=True) for one in _BEND)),
    21: _DOUBLE_BEND,
    22: _BUMPS,
    23: _skidding_car(),
    24: _NARROWING,
    25: _WORKER,
    26: (_TRAFFIC_LIGHTS, _TRAFFIC_LIGHTS),
    27: _WALKER,
    28: _CHILDREN,
    29: _BICYCLE,
    30: _SNOWFLAKE,
    31: _DEER,
}
"""The pictogram of each class with a warning triangle."""


@dataclass(frozen=True, kw_only=True)
class ArrowPen:
    """The style of arrows on blue signs."""

    notch: float = 0.25
    """How far the back of a filled head is cut in, as a fraction of its length."""
    width: float = 1.0
    """Of shafts, over the usual one."""
    head: float = 1.0
    """Size of heads, over the usual one."""
    has_barbs: bool = False
    """The head is two barbs as broad as the shaft, instead of a filled triangle."""


def _head(tip: Point, degrees: float, size: float, shaft: float, pen: ArrowPen) -> Outlines:
    """An arrow's head, `size` wide before the pen scales it."""
    width = size * pen.head
    length = 0.56 * width
    if not pen.has_barbs:
        return arrow_head(tip, degrees, 1.15 * length, 0.95 * width, notch=pen.notch)
    a = math.radians(degrees)

    def at(back: float, side: float) -> Point:
        return (tip[0] - back * math.cos(a) - side * math.sin(a), tip[1] - back * math.sin(a) + side * math.cos(a))

    cut = 0.7 * shaft
    half = width / 2
    corners = [at(length, half), at(length + cut, half - cut), at(2 * cut, 0.0)]
    return [(tip, *corners, at(length + cut, cut - half), at(length, -half))]


def _ahead(pen: ArrowPen) -> Outlines:
    width = 0.22 * pen.width
    top = -0.56 if pen.has_barbs else -0.42
    return box(-width / 2, top, width / 2, 0.7) + _head((0.0, -0.76), 270, 0.8, width, pen)


def _turning(pen: ArrowPen) -> Outlines:
    """From below to the right."""
    stem = [(-0.3, 0.66), (-0.3, 0.2), *curve((-0.3, 0.1), (-0.3, -0.2), (0.0, -0.2)), (0.4, -0.2)]
    shaft = 0.22 * pen.width
    return stroke(stem, shaft) + _head((0.68, -0.2), 0, 0.74, shaft, pen)


def _ahead_or_aside(pen: ArrowPen) -> Outlines:
    """Up, with a branch to the right."""
    branch = [*curve((-0.2, 0.62), (-0.16, 0.18), (0.1, 0.16)), (0.46, 0.16)]
    shaft = 0.19 * pen.width
    up = box(-0.2 - shaft / 2, -0.5, -0.2 + shaft / 2, 0.7) + _head((-0.2, -0.76), 270, 0.64, shaft, pen)
    return up + stroke(branch, shaft) + _head((0.72, 0.16), 0, 0.6, shaft, pen)


def _passing(pen: ArrowPen) -> Outlines:
    """To the lower right."""
    shaft = 0.23 * pen.width
    return stroke([(-0.52, -0.52), (0.4, 0.4)], shaft) + _head((0.56, 0.56), 45, 0.84, shaft, pen)


ARROWS: dict[int, tuple[Callable[[ArrowPen], Outlines], bool]] = {
    33: (_turning, False),
    34: (_turning, True),
    35: (_ahead, False),
    36: (_ahead_or_aside, False),
    37: (_ahead_or_aside, True),
    38: (_passing, False),
    39: (_passing, True),
}
"""The arrow of each blue sign but the roundabout, and whether it is mirrored."""


def roundabout(pen: ArrowPen, *, is_older: bool, phase_degrees: float) -> Outlines:
    """Return three arrows that chase each other counter-clockwise; the newer ones are slender."""
    radius, weight, length, width = (0.58, 0.15, 0.3, 0.42) if is_older else (0.67, 0.1, 0.22, 0.32)
    outlines: Outlines = []
    for start in (108 + phase_degrees, 228 + phase_degrees, 348 + phase_degrees):
        end = start - 62
        a = math.radians(end - 34)
        tip = (0.95 * radius * math.cos(a), 0.95 * radius * math.sin(a))
        outlines += stroke(arc(0, 0, radius, radius, start, end), weight * pen.width)
        if pen.has_barbs:
            outlines += _head(tip, end - 102, 1.1 * width, 0.8 * weight * pen.width, pen)
        else:
            outlines += arrow_head(tip, end - 102, length * pen.head, width * pen.head, notch=pen.notch / 2)
    return outlines
