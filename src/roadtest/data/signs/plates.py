"""The 43 plates: shapes, rims and text put together, and their rasters.

A plate is drawn large, in linear light (reflectance, not sRGB), and averaged down: what a camera does afterwards is
then plain arithmetic. `draw_plate` is premultiplied: outside the plate all four channels are 0. Plates of one class
differ by their maker's style (makers.py).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from roadtest.data.signs import pictograms as show
from roadtest.data.signs.letters import write
from roadtest.data.signs.makers import Style, wobbled
from roadtest.data.signs.pictograms import Patch
from roadtest.data.signs.strokes import Outlines, box, circle, place, polygon, rounded, stroke

FACE_SIZE = 120
"""Side of a plate's raster in pixels; the plate touches its edges."""
_OVERSAMPLING = 4

INKS: dict[str, tuple[float, float, float]] = {
    "white": (0.78, 0.80, 0.79),
    "grey": (0.16, 0.16, 0.165),
    "black": (0.025, 0.025, 0.028),
    "red": (0.42, 0.024, 0.026),
    "blue": (0.011, 0.10, 0.36),
    "yellow": (0.74, 0.42, 0.05),
    "green": (0.03, 0.32, 0.15),
}
"""Linear reflectance of red, green and blue."""


def draw_plate(patches: Sequence[Patch]) -> npt.NDArray[np.uint8]:
    """Draw what is painted on one plate as premultiplied linear RGBA, FACE_SIZE x FACE_SIZE x 4."""
    side = FACE_SIZE * _OVERSAMPLING
    canvas = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(canvas)
    for ink, outlines in patches:
        colour = (*(round(255 * channel) for channel in INKS[ink]), 255)
        for outline in outlines:
            pen.polygon([((x + 1) / 2 * side - 0.5, (y + 1) / 2 * side - 0.5) for x, y in outline], fill=colour)
    # What is painted is opaque, the rest empty: premultiplied it is the same, and Pillow averages it as it is.
    plain = Image.frombytes("RGBa", canvas.size, canvas.tobytes()).reduce(_OVERSAMPLING)
    return np.frombuffer(plain.tobytes(), np.uint8).reshape(FACE_SIZE, FACE_SIZE, 4)


def outline_of(patches: Sequence[Patch]) -> npt.NDArray[np.float64]:
    """The plate's own edge, P points as (x, y, 1): what a box is drawn around."""
    edge = patches[0][1]
    return np.array([(x, y, 1.0) for outline in edge for x, y in outline])


def patches_of(label: int, style: Style) -> list[Patch]:
    """List what is painted on the plate of a class, from the bottom to the top."""
    if label in _LIMITS:
        return [*_red_ring(style), ("black", wobbled(_number(_LIMITS[label], style), style.wobble))]
    if label in _BLUE_ARROWS:
        scale = style.arrow_scale if label != _ROUNDABOUT else 0.85 + 0.15 * style.arrow_scale
        arrows = wobbled(place(_BLUE_ARROWS[label](style), scale=scale), style.wobble)
        return [("white", circle(0, 0, 1)), ("blue", circle(0, 0, 0.955)), ("white", arrows)]
    if label in _WARNINGS:
        scale, y = style.pictogram_scale, 0.3 - 0.3 * style.pictogram_scale  # grows about the field's middle
        pictogram = [(ink, place(outlines, scale=scale, y=y)) for ink, outlines in _WARNINGS[label](style)]
        return [*_warning_triangle(style), *_wobbled(pictogram, style, middle=0.2)]
    if label in _ENDS:
        return [*_pale_disc(), *_wobbled(_ENDS[label](style), style), *_crossing_lines(style)]
    return _OTHERS[label](style)


def _wobbled(patches: list[Patch], style: Style, *, middle: float = 0.0) -> list[Patch]:
    return [(ink, wobbled(outlines, style.wobble, middle=middle)) for ink, outlines in patches]


def _number(text: str, style: Style) -> Outlines:
    is_long = len(text) == 3
    return write(
        text,
        height=style.digit_height * (0.94 if is_long else 1),
        width=style.digit_width * (0.76 if is_long else 1),
        weight=style.weight * (0.95 if is_long else 1),
        gap=style.gap * (0.75 if is_long else 1),
    )


def _red_ring(style: Style) -> list[Patch]:
    return [("white", circle(0, 0, 1)), ("red", circle(0, 0, 0.97)), ("white", circle(0, 0, 0.97 - style.rim))]


def _triangle(reach: float, radius: float) -> Outlines:
    """An upright triangle about its centre of gravity; `reach` is from there to an unrounded corner."""
    low, half = 0.25 + reach / 2, reach * math.sqrt(3) / 2
    return rounded([(0.0, 0.25 - reach), (half, low), (-half, low)], radius)


def _warning_triangle(style: Style) -> list[Patch]:
    inside = _triangle(style.triangle, 0.05)
    return [("white", _triangle(1.265, 0.13)), ("red", _triangle(1.2, 0.115)), ("white", inside)]


def _upside_down(outlines: Outlines) -> Outlines:
    return [tuple((-x, -y) for x, y in outline) for outline in outlines]


def _pen(style: Style) -> show.ArrowPen:
    return show.ArrowPen(
        width=style.arrow_width, head=style.arrow_head, notch=style.arrow_notch, has_barbs=style.has_barbs
    )


def _pale_disc() -> list[Patch]:
    return [("black", circle(0, 0, 1)), ("white", circle(0, 0, 0.95))]


def _crossing_lines(style: Style) -> list[Patch]:
    """Cross a disc from the lower left to the upper right."""
    offsets_and_widths = [(0.0, 0.36)] if style.has_solid_band else [(0.11 * k, 0.05) for k in range(-2, 3)]
    lines: Outlines = []
    for offset, width in offsets_and_widths:
        half = math.sqrt(0.95**2 - (abs(offset) + width / 2) ** 2)
        ends = [(along * 0.7 + offset * 0.714, -along * 0.714 + offset * 0.7) for along in (-half, half)]
        lines += stroke(ends, width)
    return [("grey" if style.has_solid_band else "black", lines)]


def _priority_road(style: Style) -> list[Patch]:
    def diamond(reach: float, radius: float) -> Outlines:
        return rounded([(0, -reach), (reach, 0), (0, reach), (-reach, 0)], radius)

    return [("black", diamond(1.06, 0.15)), ("white", diamond(1.025, 0.14)), ("yellow", diamond(0.66, 0.06))]


def _give_way(style: Style) -> list[Patch]:
    return [(ink, _upside_down(outlines)) for ink, outlines in _warning_triangle(style)]


def _octagon(reach: float) -> Outlines:
    corners = [math.radians(22.5 + 45 * k) for k in range(8)]
    r = reach / math.cos(math.radians(22.5))
    return polygon(*[(r * math.cos(a), r * math.sin(a)) for a in corners])


def _stop(style: Style) -> list[Patch]:
    word = write("STOP", height=0.76, width=0.355, weight=style.weight * 0.85, gap=0.07)
    return [("white", _octagon(1.0)), ("red", _octagon(0.93)), ("white", wobbled(word, style.wobble))]


def _no_overtaking(style: Style) -> list[Patch]:
    cars = show.car_from_behind("red", x=-0.32, y=0, scale=0.275)
    cars += show.car_from_behind("black", x=0.32, y=0, scale=0.275)
    return [*_red_ring(style), *_wobbled(cars, style)]


def _no_overtaking_for_trucks(style: Style) -> list[Patch]:
    both = show.lorry_from_behind("red", x=-0.28, y=0.03, scale=0.26)
    both += show.car_from_behind("black", x=0.33, y=0.09, scale=0.25)
    return [*_red_ring(style), *_wobbled(both, style)]


def _two_cars(ink: str) -> list[Patch]:
    return show.car_from_behind(ink, x=-0.34, y=0, scale=0.3) + show.car_from_behind(ink, x=0.34, y=0, scale=0.3)


def _lorry_and_car(ink: str) -> list[Patch]:
    lorry = show.lorry_from_behind(ink, x=-0.3, y=0.03, scale=0.29)
    return lorry + show.car_from_behind(ink, x=0.36, y=0.1, scale=0.28)


def _no_entry(style: Style) -> list[Patch]:
    bar = wobbled(box(-0.80, -0.14, 0.80, 0.14), style.wobble)
    return [("white", circle(0, 0, 1)), ("red", circle(0, 0, 0.96)), ("white", bar)]


_LIMITS = {0: "20", 1: "30", 2: "50", 3: "60", 4: "70", 5: "80", 7: "100", 8: "120"}
_WARNINGS: dict[int, Callable[[Style], list[Patch]]] = {
    11: lambda style: show.priority_arrow(is_older=style.is_older),
    18: lambda style: show.exclamation_mark(),
    19: lambda style: show.bend(is_right=False, is_older=style.is_older),
    20: lambda style: show.bend(is_right=True, is_older=style.is_older),
    21: lambda style: show.double_bend(is_older=style.is_older and style.has_solid_band),  # the older one is rare
    22: lambda style: show.bumps(is_older=style.is_older),
    23: lambda style: show.skidding_car(is_older=style.is_older),
    24: lambda style: show.narrowing_on_the_right(),
    25: lambda style: show.worker(),
    26: lambda style: show.traffic_lights(),
    27: lambda style: show.walker(),
    28: lambda style: show.two_children(is_older=style.is_older),
    29: lambda style: show.bicycle(),
    30: lambda style: show.snowflake(),
    31: lambda style: show.deer(),
}
_ROUNDABOUT = 40
_BLUE_ARROWS: dict[int, Callable[[Style], Outlines]] = {
    33: lambda style: show.arrow_turning(is_right=True, pen=_pen(style)),
    34: lambda style: show.arrow_turning(is_right=False, pen=_pen(style)),
    35: lambda style: show.arrow_ahead(pen=_pen(style)),
    36: lambda style: show.arrow_ahead_or_aside(is_right=True, pen=_pen(style)),
    37: lambda style: show.arrow_ahead_or_aside(is_right=False, pen=_pen(style)),
    38: lambda style: show.arrow_passing(is_right=True, pen=_pen(style)),
    39: lambda style: show.arrow_passing(is_right=False, pen=_pen(style)),
    _ROUNDABOUT: lambda style: show.arrows_round(
        pen=_pen(style), is_older=style.is_older, phase_degrees=style.phase_degrees
    ),
}
_ENDS: dict[int, Callable[[Style], list[Patch]]] = {
    6: lambda style: [("grey", _number("80", style))],
    32: lambda style: [],
    41: lambda style: _two_cars("grey"),
    42: lambda style: _lorry_and_car("grey"),
}
_OTHERS = {
    9: _no_overtaking,
    10: _no_overtaking_for_trucks,
    12: _priority_road,
    13: _give_way,
    14: _stop,
    15: _red_ring,
    16: lambda style: [*_red_ring(style), *_wobbled(show.lorry_from_the_side("black"), style)],
    17: _no_entry,
}
