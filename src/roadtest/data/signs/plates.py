"""The 43 plates: shapes, rims and text put together, and their rasters.

A plate is drawn large, in linear light (reflectance, not sRGB), and averaged down: what a camera does afterwards is
then plain arithmetic. `render_plate` is premultiplied: outside the plate all four channels are 0. Plates of one class
differ by their maker's style (plates.py).

Makers of signs: what differs between two plates of one class, drawn anew for every sign.

The law fixes what a sign shows, not the breadth of a rim, the weight of a digit or the outline of a running child. So
every measure is drawn for itself, and the figure on a plate is turned, stretched, moved and bent a little: a network
that knew twelve drawings by heart read too few real ones (docs/log.md).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from roadtest.data.signs import pictograms as show
from roadtest.data.signs.outlines import Outlines, box, circle, place, polygon, rounded, stroke, write
from roadtest.data.signs.pictograms import Patch

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


def render_plate(patches: Sequence[Patch]) -> npt.NDArray[np.uint8]:
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


def _triangle(reach: float, radius: float) -> Outlines:
    """An upright triangle about its centre of gravity; `reach` is from there to an unrounded corner."""
    low, half = 0.25 + reach / 2, reach * math.sqrt(3) / 2
    return rounded([(0.0, 0.25 - reach), (half, low), (-half, low)], radius)


def _upside_down(outlines: Outlines) -> Outlines:
    return [tuple((-x, -y) for x, y in outline) for outline in outlines]


def _pale_disc() -> list[Patch]:
    return [("black", circle(0, 0, 1)), ("white", circle(0, 0, 0.95))]


def _octagon(reach: float) -> Outlines:
    corners = [math.radians(22.5 + 45 * k) for k in range(8)]
    r = reach / math.cos(math.radians(22.5))
    return polygon(*[(r * math.cos(a), r * math.sin(a)) for a in corners])


def _two_cars(ink: str) -> list[Patch]:
    return show.car_from_behind(ink, x=-0.34, y=0, scale=0.3) + show.car_from_behind(ink, x=0.34, y=0, scale=0.3)


def _lorry_and_car(ink: str) -> list[Patch]:
    lorry = show.lorry_from_behind(ink, x=-0.3, y=0.03, scale=0.29)
    return lorry + show.car_from_behind(ink, x=0.36, y=0.1, scale=0.28)


_LIMITS = {0: "20", 1: "30", 2: "50", 3: "60", 4: "70", 5: "80", 7: "100", 8: "120"}
_ROUNDABOUT = 40
Span = tuple[float, float]
"""Which part of every measure's range is drawn from, 0 to 1."""
ALL: Span = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """How far one maker's figure is off the usual one; all small."""

    turn_degrees: float = 0.0
    stretch: tuple[float, float] = (1.0, 1.0)
    """Across and down."""
    shift: tuple[float, float] = (0.0, 0.0)
    bends: tuple[tuple[float, float, float, float], ...] = ()
    """Slow waves: how far across and down, in plate units, how many radians a unit, and where it starts."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """What differs between two makers of the same sign."""

    rim: float
    """Width of the red rim of round signs."""
    weight: float
    """Pen width of digits."""
    digit_height: float
    digit_width: float
    """Of numbers with two digits; three are narrower."""
    gap: float
    """Between digits."""
    triangle: float
    """Reach of a warning triangle's white field."""
    pictogram_scale: float
    arrow_notch: float
    """How far the back of a filled head is cut in, as a fraction of its length."""
    arrow_width: float
    """Of the shafts of all arrows on blue, over the usual width."""
    arrow_head: float
    """Of their heads."""
    has_barbs: bool
    """Their heads are two barbs instead of a filled triangle."""
    arrow_scale: float
    """How much of the blue disc they fill: 1 leaves hardly a margin."""
    phase_degrees: float
    """Where a roundabout's arrows start."""
    is_older: bool
    """Some pictograms come in an older and a newer drawing."""
    has_solid_band: bool
    """End-of-limit signs carry one grey band instead of five black lines."""
    distortion: Distortion = Distortion()


def patches_of(label: int, style: Style) -> list[Patch]:
    """List what is painted on the plate of a class, from the bottom to the top."""
    if label in _LIMITS:
        return [*_red_ring(style), ("black", distorted(_number(_LIMITS[label], style), style.distortion))]
    if label in _BLUE_ARROWS:
        scale = style.arrow_scale if label != _ROUNDABOUT else 0.85 + 0.15 * style.arrow_scale
        arrows = distorted(place(_BLUE_ARROWS[label](style), scale=scale), style.distortion)
        return [("white", circle(0, 0, 1)), ("blue", circle(0, 0, 0.955)), ("white", arrows)]
    if label in _WARNINGS:
        scale, y = style.pictogram_scale, 0.3 - 0.3 * style.pictogram_scale  # grows about the field's middle
        pictogram = [(ink, place(outlines, scale=scale, y=y)) for ink, outlines in _WARNINGS[label](style)]
        return [*_warning_triangle(style), *_distorted(pictogram, style, middle=0.2)]
    if label in _ENDS:
        return [*_pale_disc(), *_distorted(_ENDS[label](style), style), *_crossing_lines(style)]
    return _OTHERS[label](style)


def _distorted(patches: list[Patch], style: Style, *, middle: float = 0.0) -> list[Patch]:
    return [(ink, distorted(outlines, style.distortion, middle=middle)) for ink, outlines in patches]


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


def _warning_triangle(style: Style) -> list[Patch]:
    inside = _triangle(style.triangle, 0.05)
    return [("white", _triangle(1.265, 0.13)), ("red", _triangle(1.2, 0.115)), ("white", inside)]


def _pen(style: Style) -> show.ArrowPen:
    return show.ArrowPen(
        width=style.arrow_width, head=style.arrow_head, notch=style.arrow_notch, has_barbs=style.has_barbs
    )


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


def _stop(style: Style) -> list[Patch]:
    word = write("STOP", height=0.76, width=0.355, weight=style.weight * 0.85, gap=0.07)
    return [("white", _octagon(1.0)), ("red", _octagon(0.93)), ("white", distorted(word, style.distortion))]


def _no_overtaking(style: Style) -> list[Patch]:
    cars = show.car_from_behind("red", x=-0.32, y=0, scale=0.275)
    cars += show.car_from_behind("black", x=0.32, y=0, scale=0.275)
    return [*_red_ring(style), *_distorted(cars, style)]


def _no_overtaking_for_trucks(style: Style) -> list[Patch]:
    both = show.lorry_from_behind("red", x=-0.28, y=0.03, scale=0.26)
    both += show.car_from_behind("black", x=0.33, y=0.09, scale=0.25)
    return [*_red_ring(style), *_distorted(both, style)]


def _no_entry(style: Style) -> list[Patch]:
    bar = distorted(box(-0.80, -0.14, 0.80, 0.14), style.distortion)
    return [("white", circle(0, 0, 1)), ("red", circle(0, 0, 0.96)), ("white", bar)]


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
    16: lambda style: [*_red_ring(style), *_distorted(show.lorry_from_the_side("black"), style)],
    17: _no_entry,
}


def sample_style(rng: np.random.Generator, span: Span = ALL, *, spread: float = 1.0) -> Style:
    """Draw one maker, every measure from the same part of its range; `spread` is how far figures are off the usual."""

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(rng.uniform(*span))

    return Style(
        rim=between(0.20, 0.285),
        weight=between(0.10, 0.155),
        digit_height=between(0.84, 1.0),
        digit_width=between(0.47, 0.58),
        gap=between(0.05, 0.12),
        triangle=between(0.82, 0.93),
        pictogram_scale=between(0.86, 1.16),
        arrow_notch=between(0.0, 0.45),
        arrow_width=between(0.68, 1.25),
        arrow_head=between(0.85, 1.2),
        has_barbs=bool(rng.random() < 0.6),
        arrow_scale=between(0.85, 1.06),
        phase_degrees=between(-18, 18),
        is_older=bool(rng.random() < 0.35),
        has_solid_band=bool(rng.random() < 0.5),
        distortion=_sample_distortion(rng, spread),
    )


def _sample_distortion(rng: np.random.Generator, spread: float) -> Distortion:
    bends = [(*rng.normal(0, 0.012 * spread, 2), rng.uniform(2.0, 6.0), rng.uniform(0, 2 * math.pi)) for _ in range(4)]
    return Distortion(
        turn_degrees=float(np.clip(rng.normal(0, 1.5 * spread), -4, 4)),
        stretch=tuple(np.exp(np.clip(rng.normal(0, 0.05 * spread, 2), -0.1, 0.1)).tolist()),
        shift=tuple(np.clip(rng.normal(0, 0.015 * spread, 2), -0.03, 0.03).tolist()),
        bends=tuple((float(dx), float(dy), float(rate), float(start)) for dx, dy, rate, start in bends),
    )


def distorted(outlines: Outlines, distortion: Distortion, *, middle: float = 0.0) -> Outlines:
    """Bend, stretch, turn and move a figure about (0, `middle`)."""
    if not outlines:
        return []
    cos, sin = math.cos(math.radians(distortion.turn_degrees)), math.sin(math.radians(distortion.turn_degrees))
    xy_P2 = np.array([point for outline in outlines for point in outline]) - (
        0.0,
        middle,
    )
    for number, (dx, dy, rate, start) in enumerate(distortion.bends):
        wave_P1 = np.sin(rate * xy_P2[:, number % 2, None] + start)
        xy_P2 = xy_P2 + wave_P1 * (dx, dy)
    xy_P2 = xy_P2 * distortion.stretch @ np.array([[cos, sin], [-sin, cos]])
    xy_P2 += (distortion.shift[0], distortion.shift[1] + middle)
    points = iter([(x, y) for x, y in xy_P2.tolist()])
    return [tuple(islice(points, len(outline))) for outline in outlines]
