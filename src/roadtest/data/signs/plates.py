"""The 43 plates: shapes, rims and text put together, and their rasters, drawn once per process.

A plate is drawn large, in linear light (reflectance, not sRGB), and averaged down: what a camera does afterwards is
then plain arithmetic. `raster_of(label, variant)` is premultiplied: outside the plate all four channels are 0.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from roadtest.data.signs import pictograms as show
from roadtest.data.signs.letters import write
from roadtest.data.signs.pictograms import Patch
from roadtest.data.signs.strokes import Outlines, box, circle, place, polygon, rounded, stroke

FACE_SIZE = 120
"""Side of a plate's raster in pixels; the plate touches its edges."""
_OVERSAMPLING = 4

INKS: dict[str, tuple[float, float, float]] = {
    "white": (0.80, 0.80, 0.78),
    "grey": (0.12, 0.12, 0.125),
    "black": (0.025, 0.025, 0.028),
    "red": (0.42, 0.028, 0.030),
    "blue": (0.012, 0.085, 0.36),
    "yellow": (0.78, 0.43, 0.02),
    "green": (0.03, 0.32, 0.15),
}
"""Linear reflectance of red, green and blue."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """What differs between two makers of the same sign."""

    rim: float
    """Width of the red rim of round signs."""
    weight: float
    """Pen width of digits."""
    has_solid_band: bool
    """End-of-limit signs carry one grey band instead of five black lines."""


STYLES = (
    Style(rim=0.22, weight=0.15, has_solid_band=False),
    Style(rim=0.24, weight=0.135, has_solid_band=True),
)


@functools.cache
def raster_of(label: int, variant: int) -> npt.NDArray[np.uint8]:
    """Draw one plate as premultiplied linear RGBA, FACE_SIZE x FACE_SIZE x 4; kept for the process, read-only."""
    side = FACE_SIZE * _OVERSAMPLING
    canvas = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(canvas)
    for ink, outlines in patches_of(label, STYLES[variant]):
        colour = (*(round(255 * channel) for channel in INKS[ink]), 255)
        for outline in outlines:
            pen.polygon([((x + 1) / 2 * side - 0.5, (y + 1) / 2 * side - 0.5) for x, y in outline], fill=colour)
    blocks = np.asarray(canvas).reshape(FACE_SIZE, _OVERSAMPLING, FACE_SIZE, _OVERSAMPLING, 4)
    raster: npt.NDArray[np.uint8] = (blocks.mean(axis=(1, 3)) + 0.5).astype(np.uint8)
    raster.flags.writeable = False
    return raster


def patches_of(label: int, style: Style) -> list[Patch]:
    """List what is painted on the plate of a class, from the bottom to the top."""
    if label in _LIMITS:
        return [*_red_ring(style), ("black", _number(_LIMITS[label], style))]
    if label in _BLUE_ARROWS:
        return [("white", circle(0, 0, 1)), ("blue", circle(0, 0, 0.955)), ("white", _BLUE_ARROWS[label])]
    if label in _WARNINGS:
        pictogram = [(ink, place(outlines, scale=1.1, y=-0.03)) for ink, outlines in _WARNINGS[label]]
        return [*_warning_triangle(), *pictogram]
    if label in _ENDS:
        return [*_pale_disc(), *_ENDS[label], *_crossing_lines(style)]
    return _OTHERS[label](style)


def _number(text: str, style: Style) -> Outlines:
    if len(text) == 3:
        return write(text, height=0.72, width=0.37, weight=style.weight * 0.85, gap=0.06)
    return write(text, height=0.8, width=0.5, weight=style.weight, gap=0.1)


def _red_ring(style: Style) -> list[Patch]:
    return [("white", circle(0, 0, 1)), ("red", circle(0, 0, 0.97)), ("white", circle(0, 0, 0.97 - style.rim))]


def _triangle(reach: float, radius: float) -> Outlines:
    """An upright triangle about its centre of gravity; `reach` is from there to an unrounded corner."""
    low, half = 0.25 + reach / 2, reach * math.sqrt(3) / 2
    return rounded([(0.0, 0.25 - reach), (half, low), (-half, low)], radius)


def _warning_triangle() -> list[Patch]:
    return [("white", _triangle(1.265, 0.13)), ("red", _triangle(1.2, 0.115)), ("white", _triangle(0.88, 0.05))]


def _upside_down(outlines: Outlines) -> Outlines:
    return [tuple((-x, -y) for x, y in outline) for outline in outlines]


def _pale_disc() -> list[Patch]:
    return [("black", circle(0, 0, 1)), ("white", circle(0, 0, 0.95))]


def _crossing_lines(style: Style) -> list[Patch]:
    """Cross a disc from the lower left to the upper right."""
    offsets_and_widths = [(0.0, 0.26)] if style.has_solid_band else [(0.095 * k, 0.045) for k in range(-2, 3)]
    lines: Outlines = []
    for offset, width in offsets_and_widths:
        half = math.sqrt(0.95**2 - (abs(offset) + width / 2) ** 2)
        ends = [(along * 0.7 + offset * 0.714, -along * 0.714 + offset * 0.7) for along in (-half, half)]
        lines += stroke(ends, width)
    return [("grey" if style.has_solid_band else "black", lines)]


def _priority_road(style: Style) -> list[Patch]:
    def diamond(reach: float, radius: float) -> Outlines:
        return rounded([(0, -reach), (reach, 0), (0, reach), (-reach, 0)], radius)

    return [("black", diamond(1.06, 0.15)), ("white", diamond(1.025, 0.14)), ("yellow", diamond(0.7, 0.06))]


def _give_way(style: Style) -> list[Patch]:
    return [(ink, _upside_down(outlines)) for ink, outlines in _warning_triangle()]


def _octagon(reach: float) -> Outlines:
    corners = [math.radians(22.5 + 45 * k) for k in range(8)]
    r = reach / math.cos(math.radians(22.5))
    return polygon(*[(r * math.cos(a), r * math.sin(a)) for a in corners])


def _stop(style: Style) -> list[Patch]:
    word = write("STOP", height=0.64, width=0.355, weight=style.weight * 0.85, gap=0.07)
    return [("white", _octagon(1.0)), ("red", _octagon(0.93)), ("white", word)]


def _no_overtaking(style: Style) -> list[Patch]:
    left = show.car_from_behind("red", x=-0.32, y=0, scale=0.275)
    return [*_red_ring(style), *left, *show.car_from_behind("black", x=0.32, y=0, scale=0.275)]


def _no_overtaking_for_trucks(style: Style) -> list[Patch]:
    left = show.lorry_from_behind("red", x=-0.28, y=0.03, scale=0.26)
    return [*_red_ring(style), *left, *show.car_from_behind("black", x=0.33, y=0.09, scale=0.25)]


def _no_entry(style: Style) -> list[Patch]:
    bar = box(-0.74, -0.16, 0.74, 0.16)
    return [("white", circle(0, 0, 1)), ("red", circle(0, 0, 0.96)), ("white", bar)]


_LIMITS = {0: "20", 1: "30", 2: "50", 3: "60", 4: "70", 5: "80", 7: "100", 8: "120"}
_WARNINGS = {
    11: show.priority_arrow(),
    18: show.exclamation_mark(),
    19: show.bend(is_right=False),
    20: show.bend(is_right=True),
    21: show.double_bend(),
    22: show.bumps(),
    23: show.skidding_car(),
    24: show.narrowing_on_the_right(),
    25: show.worker(),
    26: show.traffic_lights(),
    27: show.walker(),
    28: show.two_children(),
    29: show.bicycle(),
    30: show.snowflake(),
    31: show.deer(),
}
_BLUE_ARROWS = {
    33: show.arrow_turning(is_right=True),
    34: show.arrow_turning(is_right=False),
    35: show.arrow_ahead(),
    36: show.arrow_ahead_or_aside(is_right=True),
    37: show.arrow_ahead_or_aside(is_right=False),
    38: show.arrow_passing(is_right=True),
    39: show.arrow_passing(is_right=False),
    40: show.arrows_round(),
}
_ENDS: dict[int, list[Patch]] = {
    6: [("grey", _number("80", STYLES[0]))],
    32: [],
    41: show.car_from_behind("grey", x=-0.34, y=0, scale=0.3) + show.car_from_behind("grey", x=0.34, y=0, scale=0.3),
    42: show.lorry_from_behind("grey", x=-0.3, y=0.03, scale=0.29)
    + show.car_from_behind("grey", x=0.36, y=0.1, scale=0.28),
}
_OTHERS = {
    9: _no_overtaking,
    10: _no_overtaking_for_trucks,
    12: _priority_road,
    13: _give_way,
    14: _stop,
    15: _red_ring,
    16: lambda style: [*_red_ring(style), *show.lorry_from_the_side("black")],
    17: _no_entry,
}
