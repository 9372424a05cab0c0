"""The things that signs show: vehicles, people, a deer, a bicycle, arrows; each a list of inked outlines.

Drawn by us in plate units (-1 to 1), simplified to what a camera sees at 30 pixels. A later patch covers an earlier
one, so a window is a white patch on a car. Triangular signs have room for x in -0.5 to 0.5 and y in -0.35 to 0.6.
"""

import math

from roadtest.data.signs.strokes import (
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


def priority_arrow() -> list[Patch]:
    """Draw the broad arrow that a thin road crosses."""
    shaft = box(-0.14, -0.06, 0.14, 0.58)
    road = polygon((-0.4, 0.2), (-0.33, 0.11), (0.33, 0.11), (0.4, 0.2), (0.33, 0.29), (-0.33, 0.29))
    return [("black", polygon((0.0, -0.34), (0.24, 0.0), (-0.24, 0.0)) + shaft + road)]


def exclamation_mark() -> list[Patch]:
    """Draw a tapered bar over a dot."""
    bar = circle(0.0, -0.24, 0.09) + polygon((-0.09, -0.24), (0.09, -0.24), (0.05, 0.34), (-0.05, 0.34))
    return [("black", bar + circle(0.0, 0.5, 0.08))]


def bend(*, is_right: bool) -> list[Patch]:
    """Draw an arrow that turns to one side."""
    stem = [(0.19, 0.6), (0.19, 0.4), *curve((0.19, 0.36), (0.17, 0.1), (-0.08, 0.08))]
    left = stroke(stem, 0.19) + arrow_head((-0.37, 0.06), 184, 0.3, 0.42)
    return [("black", place(left, is_mirrored=is_right))]


def double_bend() -> list[Patch]:
    """Draw an arrow that goes left and up again."""
    stem = [(0.16, 0.6), (0.16, 0.36), (-0.11, 0.2), (-0.11, -0.02)]
    return [("black", stroke(stem, 0.18) + arrow_head((-0.11, -0.32), 270, 0.32, 0.4))]


def bumps() -> list[Patch]:
    """Draw two humps on the road."""
    return [("black", box(-0.52, 0.46, 0.52, 0.58) + ellipse(-0.24, 0.46, 0.2, 0.17) + ellipse(0.24, 0.46, 0.2, 0.17))]


def skidding_car() -> list[Patch]:
    """Draw a tilted car with two crossing tracks of its tyres."""
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
    body = stroke([(0.04, -0.08), (-0.04, 0.2)], 0.17, has_round_ends=True)
    legs = stroke([(-0.03, 0.2), (0.17, 0.3), (0.14, 0.58)], 0.095) + stroke(
        [(-0.05, 0.2), (-0.16, 0.42), (-0.36, 0.46)], 0.095
    )
    arms = stroke([(0.06, -0.08), (0.24, 0.08), (0.36, -0.02)], 0.07) + stroke(
        [(0.0, -0.08), (-0.2, -0.02), (-0.3, 0.12)], 0.07
    )
    return circle(0.09, -0.27, 0.105) + body + legs + arms


def two_children() -> list[Patch]:
    """Draw a taller and a smaller child, running hand in hand."""
    return [("black", place(_runner(), scale=0.92, x=0.19, y=0.1) + place(_runner(), scale=0.72, x=-0.25, y=0.2))]


def bicycle() -> list[Patch]:
    """Draw a bicycle from the side."""
    wheels = [stroke(arc(x, 0.38, 0.2, 0.2, 0, 360), 0.05) for x in (-0.27, 0.27)]
    frame = stroke([(-0.27, 0.38), (-0.1, 0.12), (0.17, 0.12), (0.0, 0.38), (-0.27, 0.38)], 0.05)
    rest = stroke([(-0.12, 0.05), (0.0, 0.38)], 0.05) + stroke([(0.27, 0.38), (0.14, 0.0), (0.26, 0.0)], 0.05)
    return [("black", [*wheels[0], *wheels[1], *frame, *rest, *box(-0.2, 0.02, -0.04, 0.07)])]


def snowflake() -> list[Patch]:
    """Draw six arms, each with two twigs."""
    arm = stroke([(0, 0), (0, -0.34)], 0.065)
    twigs = stroke([(-0.12, -0.31), (0, -0.19), (0.12, -0.31)], 0.055)
    return [("black", [outline for k in range(6) for outline in place(arm + twigs, y=0.24, degrees=60 * k)])]


def deer() -> list[Patch]:
    """Draw a deer leaping to the left."""
    trunk = polygon(
        (-0.2, 0.02), (-0.05, 0.06), (0.2, 0.16), (0.34, 0.2), (0.3, 0.36), (0.14, 0.33), (-0.08, 0.28), (-0.2, 0.18)
    )
    head = polygon(
        (-0.2, 0.06), (-0.08, 0.1), (-0.18, -0.18), (-0.26, -0.2), (-0.4, -0.08), (-0.38, -0.03), (-0.26, -0.06)
    )
    antlers = stroke([(-0.22, -0.17), (-0.2, -0.28), (-0.26, -0.4)], 0.04) + stroke(
        [(-0.2, -0.27), (-0.1, -0.36)], 0.04
    )
    front = stroke([(-0.16, 0.18), (-0.34, 0.24), (-0.44, 0.18)], 0.06) + stroke(
        [(-0.1, 0.24), (-0.26, 0.36), (-0.38, 0.36)], 0.06
    )
    hind = stroke([(0.27, 0.3), (0.34, 0.44), (0.5, 0.58)], 0.07) + stroke(
        [(0.2, 0.3), (0.2, 0.46), (0.34, 0.62)], 0.07
    )
    return [("black", trunk + head + antlers + front + hind + stroke([(0.32, 0.22), (0.4, 0.12)], 0.05))]


def arrow_ahead(*, x: float = 0.0, width: float = 0.22) -> Outlines:
    """Draw an arrow that points up."""
    return box(x - width / 2, -0.48, x + width / 2, 0.7) + arrow_head((x, -0.78), 270, 0.48, 3.3 * width, notch=0.25)


def arrow_turning(*, is_right: bool) -> Outlines:
    """Draw an arrow that comes from below and leaves to one side."""
    stem = [(-0.3, 0.66), (-0.3, 0.2), *curve((-0.3, 0.1), (-0.3, -0.2), (0.0, -0.2)), (0.4, -0.2)]
    right = stroke(stem, 0.22) + arrow_head((0.7, -0.2), 0, 0.46, 0.74, notch=0.25)
    return place(right, is_mirrored=not is_right)


def arrow_ahead_or_aside(*, is_right: bool) -> Outlines:
    """Draw an arrow that points up and branches to one side."""
    branch = [*curve((-0.2, 0.62), (-0.16, 0.18), (0.1, 0.16)), (0.46, 0.16)]
    right = arrow_ahead(x=-0.2, width=0.19) + stroke(branch, 0.19) + arrow_head((0.74, 0.16), 0, 0.42, 0.62, notch=0.25)
    return place(right, is_mirrored=not is_right)


def arrow_passing(*, is_right: bool) -> Outlines:
    """Draw an arrow that points down to one side."""
    right = stroke([(-0.52, -0.52), (0.36, 0.36)], 0.25) + arrow_head((0.58, 0.58), 45, 0.5, 0.82, notch=0.2)
    return place(right, is_mirrored=not is_right)


def arrows_round() -> Outlines:
    """Draw three arrows chasing each other counter-clockwise."""
    outlines: Outlines = []
    for start in (80, 200, 320):
        end = start - 62
        a = math.radians(end - 34)
        tip = (0.5 * math.cos(a), 0.5 * math.sin(a))
        outlines += stroke(arc(0, 0, 0.53, 0.53, start, end), 0.2) + arrow_head(tip, end - 102, 0.34, 0.44)
    return outlines
