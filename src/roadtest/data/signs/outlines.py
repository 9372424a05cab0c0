"""Outlines, strokes and letters: everything on a synthetic sign is a list of closed polygons.

x points right and y down; angles are degrees, clockwise as seen (0 is right, 90 is down, 270 is up). A plate fills -1
to 1. Curves become polygons, so that a polygon filler is enough: no font, no image file, equal shapes on every machine.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

Point = tuple[float, float]
Outline = tuple[Point, ...]
Outlines = list[Outline]


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float, *, num_points: int = 24) -> list[Point]:
    """Walk an ellipse's rim from the angle `start` to `end`, either way round."""
    angles = (math.radians(start + (end - start) * k / (num_points - 1)) for k in range(num_points))
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def ellipse(x: float, y: float, rx: float, ry: float) -> Outlines:
    """Outline a full ellipse."""
    return [tuple(arc(x, y, rx, ry, 0, 360, num_points=61)[:-1])]


def circle(x: float, y: float, r: float) -> Outlines:
    """Outline a full circle."""
    return ellipse(x, y, r, r)


def curve(start: Point, pull: Point, end: Point, *, num_points: int = 16) -> list[Point]:
    """Walk a quadratic Bezier curve."""
    steps = [k / (num_points - 1) for k in range(num_points)]
    weights = [((1 - t) ** 2, 2 * t * (1 - t), t**2) for t in steps]
    return [(a * start[0] + b * pull[0] + c * end[0], a * start[1] + b * pull[1] + c * end[1]) for a, b, c in weights]


def polygon(*points: Point) -> Outlines:
    """Outline the given corners."""
    return [points]


def box(left: float, top: float, right: float, bottom: float) -> Outlines:
    """Outline an upright rectangle."""
    return [((left, top), (right, top), (right, bottom), (left, bottom))]


_JOINT = arc(0, 0, 1, 1, 0, 360, num_points=21)[:-1]


def stroke(points: Sequence[Point], width: float, *, has_round_ends: bool = False) -> Outlines:
    """Outline a line of constant width with round joints: a slab per segment, a disc per joint."""
    slabs = [_slab(a, b, width) for a, b in pairwise(points) if a != b]
    joints = points if has_round_ends else points[1:-1]
    r = width / 2
    return slabs + [tuple([(x + r * u, y + r * v) for u, v in _JOINT]) for x, y in joints]


def _slab(a: Point, b: Point, width: float) -> Outline:
    length = math.dist(a, b)
    nx, ny = -(b[1] - a[1]) / length * width / 2, (b[0] - a[0]) / length * width / 2
    return ((a[0] + nx, a[1] + ny), (b[0] + nx, b[1] + ny), (b[0] - nx, b[1] - ny), (a[0] - nx, a[1] - ny))


def arrow_head(tip: Point, degrees: float, length: float, width: float, *, notch: float = 0.0) -> Outlines:
    """Outline a triangle that points along `degrees`; `notch` cuts into its back, as a fraction of its length."""
    a = math.radians(degrees)
    along, across = (math.cos(a), math.sin(a)), (-math.sin(a), math.cos(a))

    def at(back: float, side: float) -> Point:
        return (tip[0] - back * along[0] + side * across[0], tip[1] - back * along[1] + side * across[1])

    return [(tip, at(length, width / 2), at(length * (1 - notch), 0.0), at(length, -width / 2))]


def rounded(corners: Sequence[Point], radius: float) -> Outlines:
    """Round a convex polygon's corners; the corners are listed clockwise as seen."""
    points: list[Point] = []
    for before, here, after in zip([corners[-1], *corners], corners, [*corners[1:], corners[0]], strict=False):
        into = math.degrees(math.atan2(here[1] - before[1], here[0] - before[0]))
        turn = (math.degrees(math.atan2(after[1] - here[1], after[0] - here[0])) - into) % 360
        bisector = math.radians(into + 90 + turn / 2)
        reach = radius / math.cos(math.radians(turn / 2))
        centre = (here[0] + reach * math.cos(bisector), here[1] + reach * math.sin(bisector))
        points += arc(*centre, radius, radius, into - 90, into - 90 + turn, num_points=8)
    return [tuple(points)]


def place(
    outlines: Iterable[Outline],
    *,
    scale: float = 1.0,
    x: float = 0.0,
    y: float = 0.0,
    degrees: float = 0.0,
    is_mirrored: bool = False,
) -> Outlines:
    """Mirror left to right, then scale, turn clockwise and move."""
    cos, sin = math.cos(math.radians(degrees)) * scale, math.sin(math.radians(degrees)) * scale
    side = -1.0 if is_mirrored else 1.0
    return [tuple((x + cos * side * u - sin * v, y + sin * side * u + cos * v) for u, v in o) for o in outlines]


_RING = [*arc(0.5, 0.3, 0.5, 0.3, 180, 360), *arc(0.5, 0.7, 0.5, 0.3, 0, 180), (0.0, 0.3)]
CENTRE_LINES: dict[str, list[list[Point]]] = {
    "0": [_RING],
    "1": [[(0.0, 0.27), (0.62, 0.0), (0.62, 1.0)]],
    "2": [[*arc(0.5, 0.29, 0.48, 0.29, 190, 388), (0.02, 1.0), (1.0, 1.0)]],
    "3": [
        [*arc(0.47, 0.245, 0.47, 0.245, 200, 450), *arc(0.47, 0.735, 0.53, 0.265, 270, 520)],
        [(0.3, 0.48), (0.5, 0.48)],
    ],
    "5": [[(0.92, 0.0), (0.14, 0.0), (0.08, 0.47), *arc(0.46, 0.68, 0.54, 0.32, 222, 514)]],
    "6": [[*arc(0.5, 0.69, 0.5, 0.31, 0, 360)], curve((0.02, 0.6), (0.16, 0.3), (0.68, 0.0))],
    "7": [[(0.0, 0.0), (1.0, 0.0), (0.36, 1.0)]],
    "8": [arc(0.5, 0.245, 0.43, 0.245, 0, 360), arc(0.5, 0.74, 0.5, 0.26, 0, 360)],
    "S": [[*arc(0.5, 0.25, 0.48, 0.25, 335, 90), *arc(0.5, 0.75, 0.5, 0.25, 270, 515)]],
    "T": [[(0.0, 0.0), (1.0, 0.0)], [(0.5, 0.0), (0.5, 1.0)]],
    "O": [_RING],
    "P": [[(0.0, 1.0), (0.0, 0.0), (0.5, 0.0), *arc(0.5, 0.28, 0.5, 0.28, 270, 450), (0.0, 0.56)]],
}
"""The characters of the 43 signs in a unit box, for one pen, in the manner of road lettering."""
_RELATIVE_WIDTHS = {"1": 0.62}


def write(text: str, *, height: float, width: float, weight: float, gap: float) -> Outlines:
    """Outline one centred line of text; `width` is that of one character, all lengths in plate units."""
    widths = [width * _RELATIVE_WIDTHS.get(character, 1.0) for character in text]
    left = -(sum(widths) + gap * (len(text) - 1)) / 2
    outlines: Outlines = []
    for character, its_width in zip(text, widths, strict=True):
        for line in CENTRE_LINES[character]:
            inside = [
                (left + weight / 2 + u * (its_width - weight), -height / 2 + weight / 2 + v * (height - weight))
                for u, v in line
            ]
            outlines += stroke(inside, weight, has_round_ends=line[0] == line[-1])
        left += its_width + gap
    return outlines
