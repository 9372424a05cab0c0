"""The things that signs show: vehicles, people, a deer, a bicycle, arrows; each a list of inked outlines.

Drawn by us in plate units (-1 to 1), simplified to what a camera sees at 30 pixels. A later patch covers an earlier
one, so a window is a white patch on a car. Triangular signs have room for x in -0.5 to 0.5 and y in -0.35 to 0.6.
"""

import math
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


def car_from_behind(ink: str, *, x: float, y: float, scale: float) -> list[Patch]:
    """Draw a saloon car, 2 units wide before scaling."""
    body = polygon(
        (-0.62, -0.6), (0.62, -0.6), (0.8, -0.05), (1.0, 0.05), (1.0, 0.5), (-1.0, 0.5), (-1.0, 0.05), (-0.8, -0.05)
    )
    wheels = box(-0.86, 0.4, -0.54, 0.72) + box(0.54, 0.4, 0.86, 0.72)
    window = polygon((-0.48, -0.46), (0.48, -0.46), (0.6, -0.06), (-0.6, -0.06))
    return [(ink, place(body + wheels, scale=scale, x=x, y=y)), ("white", place(window, scale=scale, x=x, y=y))]


def lorry_from_behind(ink: str, *, x: float, y: float, scale: float) -> list[Patch]:
    """Draw a lorry's tall box on its wheels, 2 units wide before scaling."""
    load = box(-1.0, -1.35, 1.0, 0.3)
    chassis = box(-0.9, 0.36, 0.9, 0.62) + box(-0.85, 0.5, -0.45, 0.95) + box(0.45, 0.5, 0.85, 0.95)
    return [(ink, place(load + chassis, scale=scale, x=x, y=y))]


def lorry_from_the_side(ink: str) -> list[Patch]:
    """Draw a lorry driving to the left, across a round sign."""
    load = box(-0.16, -0.34, 0.56, 0.12)
    cab = polygon((-0.22, -0.2), (-0.42, -0.2), (-0.5, 0.0), (-0.55, 0.04), (-0.55, 0.24), (-0.22, 0.24))
    chassis = box(-0.55, 0.15, 0.56, 0.24)
    wheels = circle(-0.36, 0.25, 0.1) + circle(0.22, 0.25, 0.1) + circle(0.42, 0.25, 0.1)
    window = polygon((-0.27, -0.14), (-0.39, -0.14), (-0.45, 0.02), (-0.27, 0.02))
    return [(ink, load + cab + chassis + wheels), ("white", window + circle(-0.36, 0.25, 0.04))]


@dataclass(frozen=True, kw_only=True)
class ArrowPen:
    """How arrows on blue signs are drawn."""

    width: float = 1.0
    """Of shafts, over the usual one."""
    head: float = 1.0
    """Size of heads, over the usual one."""
    notch: float = 0.25
    """How far the back of a filled head is cut in, as a fraction of its length."""
    has_barbs: bool = False
    """The head is two barbs as broad as the shaft, instead of a filled triangle."""


_USUAL_PEN = ArrowPen()


def priority_arrow(*, is_older: bool = False) -> list[Patch]:
    """Draw the broad arrow that a thin road crosses."""
    if not is_older:
        broad = polygon((0.0, -0.36), (0.19, -0.1), (0.19, 0.58), (0.0, 0.5), (-0.19, 0.58), (-0.19, -0.1))
        road = polygon((-0.43, 0.19), (-0.36, 0.12), (0.36, 0.12), (0.43, 0.19), (0.36, 0.26), (-0.36, 0.26))
        return [("black", broad + road)]
    shaft = box(-0.14, -0.06, 0.14, 0.58)
    road = polygon((-0.4, 0.2), (-0.33, 0.13), (0.33, 0.13), (0.4, 0.2), (0.33, 0.27), (-0.33, 0.27))
    return [("black", polygon((0.0, -0.34), (0.24, 0.0), (-0.24, 0.0)) + shaft + road)]


def exclamation_mark() -> list[Patch]:
    """Draw a tapered bar over a dot."""
    bar = circle(0.0, -0.3, 0.1) + polygon((-0.1, -0.3), (0.1, -0.3), (0.055, 0.34), (-0.055, 0.34))
    return [("black", bar + circle(0.0, 0.5, 0.09))]


def bend(*, is_right: bool, is_older: bool = False) -> list[Patch]:
    """Draw a broad band that turns to one side; the older one has an arrow's head, the newer one a point."""
    if is_older:
        stem = [(0.19, 0.6), (0.19, 0.4), *curve((0.19, 0.36), (0.17, 0.1), (-0.08, 0.08))]
        left = stroke(stem, 0.19) + arrow_head((-0.37, 0.06), 184, 0.3, 0.42)
    else:
        stem = [(0.17, 0.6), (0.17, 0.3), *curve((0.17, 0.26), (0.17, 0.06), (-0.08, 0.04)), (-0.22, 0.04)]
        left = stroke(stem, 0.2) + arrow_head((-0.37, 0.03), 182, 0.16, 0.2)
    return [("black", place(left, is_mirrored=is_right))]


def double_bend(*, is_older: bool = False) -> list[Patch]:
    """Draw an arrow that goes left and up again; the newer one like lightning."""
    if not is_older:
        zigzag = [(-0.12, -0.18), (-0.12, 0.24), (0.12, 0.1), (0.12, 0.5)]
        ends = arrow_head((-0.12, -0.31), 270, 0.15, 0.19) + arrow_head((0.12, 0.61), 90, 0.13, 0.19)
        return [("black", stroke(zigzag, 0.19) + ends)]
    stem = [(0.16, 0.6), (0.16, 0.36), (-0.11, 0.2), (-0.11, -0.02)]
    return [("black", stroke(stem, 0.18) + arrow_head((-0.11, -0.32), 270, 0.32, 0.4))]


def bumps(*, is_older: bool = False) -> list[Patch]:
    """Draw two humps on the road; the newer ones are pointed."""
    if not is_older:
        left = [(-0.48, 0.5), (-0.36, 0.44), *curve((-0.32, 0.4), (-0.22, 0.2), (-0.1, 0.36)), (0.0, 0.46)]
        right = [(0.08, 0.42), *curve((0.12, 0.38), (0.22, 0.18), (0.32, 0.38)), (0.38, 0.45), (0.48, 0.5)]
        return [("black", polygon(*left, *right, (0.48, 0.6), (-0.48, 0.6)))]
    return [("black", box(-0.52, 0.46, 0.52, 0.58) + ellipse(-0.24, 0.46, 0.2, 0.17) + ellipse(0.24, 0.46, 0.2, 0.17))]


def skidding_car(*, is_older: bool = False) -> list[Patch]:
    """Draw a tilted car with the tracks of its tyres, two that cross or thin ones that curl."""
    if not is_older:
        tilted = car_from_behind("black", x=0.0, y=0.0, scale=0.29)
        curls = stroke(
            [*curve((-0.3, 0.36), (0.1, 0.28), (-0.06, 0.42)), *curve((-0.06, 0.42), (-0.3, 0.6), (0.06, 0.58))], 0.045
        )
        curls += stroke(
            [*curve((0.06, 0.3), (0.34, 0.3), (0.2, 0.44)), *curve((0.2, 0.44), (0.04, 0.56), (0.36, 0.58))], 0.045
        )
        return [*((ink, place(outlines, y=0.06, degrees=12)) for ink, outlines in tilted), ("black", curls)]
    car = [
        (ink, place(outlines, y=0.04, degrees=10)) for ink, outlines in car_from_behind("black", x=0, y=0, scale=0.27)
    ]
    tracks: Outlines = []
    for side in (-1, 1):
        wave: list[Point] = [
            (side * (0.16 + 0.12 * math.sin(k / 2.2)) + 0.02 * k - 0.08, 0.29 + 0.024 * k) for k in range(14)
        ]
        tracks += stroke(wave, 0.055)
    return [*car, ("black", tracks)]


def narrowing_on_the_right() -> list[Patch]:
    """Draw two edges of a road; the right one comes closer."""
    right = [(0.24, 0.6), (0.24, 0.36), (0.1, 0.12), (0.1, -0.24)]
    return [("black", box(-0.19, -0.24, -0.06, 0.6) + stroke(right, 0.13))]


def worker() -> list[Patch]:
    """Draw a digging person before a heap."""
    body = stroke([(-0.06, -0.06), (-0.2, 0.2)], 0.17, has_round_ends=True)
    legs = stroke([(-0.19, 0.2), (-0.06, 0.36), (-0.12, 0.6)], 0.09) + stroke(
        [(-0.22, 0.2), (-0.3, 0.4), (-0.42, 0.6)], 0.09
    )
    arms = stroke([(-0.05, -0.06), (0.1, 0.12), (0.02, 0.24)], 0.075)
    shovel = stroke([(-0.1, 0.1), (0.24, 0.44)], 0.05)
    heap = polygon((0.04, 0.6), (0.2, 0.36), (0.3, 0.3), (0.4, 0.4), (0.54, 0.6))
    return [("black", circle(0.02, -0.22, 0.09) + body + legs + arms + shovel + heap)]


def traffic_lights() -> list[Patch]:
    """Draw red over yellow over green."""
    lights = (("red", -0.12), ("yellow", 0.16), ("green", 0.44))
    return [patch for ink, y in lights for patch in (("black", circle(0, y, 0.135)), (ink, circle(0, y, 0.112)))]


def walker() -> list[Patch]:
    """Draw a person in mid-step."""
    body = stroke([(0.02, -0.08), (0.0, 0.2)], 0.2, has_round_ends=True)
    legs = stroke([(0.02, 0.2), (0.13, 0.38), (0.23, 0.62)], 0.105) + stroke(
        [(-0.02, 0.2), (-0.09, 0.42), (-0.24, 0.62)], 0.105
    )
    arms = stroke([(0.07, -0.08), (0.21, 0.06), (0.24, 0.2)], 0.075) + stroke(
        [(-0.03, -0.08), (-0.18, 0.06), (-0.2, 0.2)], 0.075
    )
    return [("black", circle(0.03, -0.28, 0.1) + body + legs + arms)]


def _runner() -> Outlines:
    """One child, a unit tall, its middle at 0."""
    body = stroke([(0.02, -0.24), (-0.02, 0.08)], 0.16, has_round_ends=True)
    legs = stroke([(-0.02, 0.08), (0.15, 0.26), (0.2, 0.5)], 0.1) + stroke(
        [(-0.03, 0.08), (-0.13, 0.3), (-0.34, 0.44)], 0.1
    )
    arms = stroke([(0.03, -0.22), (0.2, -0.1), (0.34, -0.18)], 0.075) + stroke(
        [(0.0, -0.22), (-0.16, -0.1), (-0.3, 0.02)], 0.075
    )
    return circle(0.05, -0.41, 0.1) + body + legs + arms


def two_children(*, is_older: bool = False) -> list[Patch]:
    """Draw a taller child on the right and a smaller one on the left, running hand in hand."""
    taller = place(_runner(), scale=0.78 if is_older else 0.7, x=0.16, y=0.19, is_mirrored=is_older)
    return [("black", taller + place(_runner(), scale=0.54, x=-0.22, y=0.3, is_mirrored=is_older))]


def bicycle() -> list[Patch]:
    """Draw a bicycle from the side."""
    wheels = [stroke(arc(x, 0.38, 0.18, 0.18, 0, 360), 0.042) for x in (-0.29, 0.29)]
    frame = stroke([(-0.29, 0.38), (-0.1, 0.14), (0.17, 0.14), (0.0, 0.38), (-0.29, 0.38)], 0.042)
    rest = stroke([(-0.12, 0.06), (0.0, 0.38)], 0.042) + stroke([(0.29, 0.38), (0.14, 0.02), (0.26, 0.02)], 0.042)
    return [("black", [*wheels[0], *wheels[1], *frame, *rest, *box(-0.2, 0.02, -0.04, 0.07)])]


def snowflake() -> list[Patch]:
    """Draw six arms, each with two twigs."""
    arm = stroke([(0, 0), (0, -0.34)], 0.065)
    twigs = stroke([(-0.12, -0.31), (0, -0.19), (0.12, -0.31)], 0.055)
    return [("black", [outline for k in range(6) for outline in place(arm + twigs, y=0.24, degrees=60 * k)])]


def deer() -> list[Patch]:
    """Draw a deer leaping to the left."""
    trunk = polygon(
        (-0.2, 0.0), (-0.06, -0.02), (0.16, 0.1), (0.32, 0.16), (0.38, 0.28), (0.28, 0.36), (0.08, 0.28), (-0.14, 0.24)
    )
    neck = polygon((-0.2, 0.06), (-0.04, 0.02), (-0.16, -0.2), (-0.27, -0.2))
    head = stroke([(-0.2, -0.22), (-0.36, -0.12)], 0.1, has_round_ends=True)
    antlers = stroke([(-0.2, -0.24), (-0.17, -0.4)], 0.04) + stroke([(-0.2, -0.24), (-0.1, -0.34)], 0.04)
    front = stroke([(-0.12, 0.18), (-0.34, 0.3), (-0.46, 0.26)], 0.065) + stroke(
        [(-0.08, 0.22), (-0.26, 0.38), (-0.38, 0.38)], 0.06
    )
    hind = stroke([(0.3, 0.26), (0.36, 0.42), (0.54, 0.56)], 0.08) + stroke(
        [(0.24, 0.3), (0.28, 0.46), (0.42, 0.62)], 0.07
    )
    return [("black", place(trunk + neck + head + antlers + front + hind, scale=0.87, y=0.03))]


def _head(tip: Point, degrees: float, size: float, shaft: float, pen: ArrowPen) -> Outlines:
    """An arrow's head, `size` wide before the pen's own: a filled triangle, or two barbs as broad as the shaft."""
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


def arrow_ahead(*, x: float = 0.0, width: float = 0.22, pen: ArrowPen = _USUAL_PEN) -> Outlines:
    """Draw an arrow that points up."""
    width *= pen.width
    top = -0.56 if pen.has_barbs else -0.42
    return box(x - width / 2, top, x + width / 2, 0.7) + _head((x, -0.76), 270, 0.8, width, pen)


def arrow_turning(*, is_right: bool, pen: ArrowPen = _USUAL_PEN) -> Outlines:
    """Draw an arrow that comes from below and leaves to one side."""
    stem = [(-0.3, 0.66), (-0.3, 0.2), *curve((-0.3, 0.1), (-0.3, -0.2), (0.0, -0.2)), (0.4, -0.2)]
    shaft = 0.22 * pen.width
    right = stroke(stem, shaft) + _head((0.68, -0.2), 0, 0.74, shaft, pen)
    return place(right, is_mirrored=not is_right)


def arrow_ahead_or_aside(*, is_right: bool, pen: ArrowPen = _USUAL_PEN) -> Outlines:
    """Draw an arrow that points up and branches to one side."""
    branch = [*curve((-0.2, 0.62), (-0.16, 0.18), (0.1, 0.16)), (0.46, 0.16)]
    shaft = 0.19 * pen.width
    right = box(-0.2 - shaft / 2, -0.5, -0.2 + shaft / 2, 0.7) + _head((-0.2, -0.76), 270, 0.64, shaft, pen)
    right += stroke(branch, shaft) + _head((0.72, 0.16), 0, 0.6, shaft, pen)
    return place(right, is_mirrored=not is_right)


def arrow_passing(*, is_right: bool, pen: ArrowPen = _USUAL_PEN) -> Outlines:
    """Draw an arrow that points down to one side."""
    shaft = 0.23 * pen.width
    right = stroke([(-0.52, -0.52), (0.4, 0.4)], shaft) + _head((0.56, 0.56), 45, 0.84, shaft, pen)
    return place(right, is_mirrored=not is_right)


def arrows_round(*, pen: ArrowPen = _USUAL_PEN, is_older: bool = False, phase_degrees: float = 0.0) -> Outlines:
    """Draw three arrows chasing each other counter-clockwise; the newer ones are slender."""
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
