"""The 43 plates: shapes, rims, text and pictograms put together, their makers' styles, and their rasters.

A plate is rendered large, in linear light (reflectance, not sRGB), and averaged down: what a camera does afterwards is
plain arithmetic. The law fixes what a sign shows, not the breadth of a rim, the weight of a digit or the outline of a
running child. So every measure is sampled for itself, and the figure on a plate is turned, stretched, moved and bent a
little: a network that knew twelve fixed designs read fewer real signs (docs/log.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from roadtest.data.signs.outlines import Outlines, box, circle, place, polygon, rounded, stroke, write
from roadtest.data.signs.pictograms import (
    ARROWS,
    LORRY_FROM_THE_SIDE,
    WARNINGS,
    ArrowPen,
    Patch,
    car_from_behind,
    lorry_from_behind,
    roundabout,
)

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
_LIMITS = {0: "20", 1: "30", 2: "50", 3: "60", 4: "70", 5: "80", 7: "100", 8: "120"}
_ROUNDABOUT, _DOUBLE_BEND = 40, 21
Span = tuple[float, float]
"""The part of every measure's range that is sampled, 0 to 1."""
ALL: Span = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """How far one maker's figure is off the usual one; all small."""

    turn_degrees: float = 0.0
    stretch: tuple[float, float] = (1.0, 1.0)
    """Across and down."""
    shift: tuple[float, float] = (0.0, 0.0)
    bends: tuple[tuple[float, float, float, float], ...] = ()
    """Slow waves: how far across and down, in plate units, radians per unit, and the phase."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """What differs between two makers of the same sign; lengths in plate units."""

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
    pen: ArrowPen
    arrow_scale: float
    """How much of the blue disc arrows fill: 1 leaves hardly a margin."""
    phase_degrees: float
    """Where a roundabout's arrows start."""
    is_older: bool
    """Some pictograms have an older and a newer design."""
    has_solid_band: bool
    """End-of-limit signs carry one grey band instead of five black lines."""
    distortion: Distortion = Distortion()


def sample_style(rng: np.random.Generator, span: Span = ALL, *, spread: float = 1.0) -> Style:
    """Sample one maker, every measure from `span` of its range; `spread` scales how far figures are off the usual."""

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(rng.uniform(*span))

    return Style(  # the order of the fields is the order of the random numbers
        rim=between(0.20, 0.285),
        weight=between(0.10, 0.155),
        digit_height=between(0.84, 1.0),
        digit_width=between(0.47, 0.58),
        gap=between(0.05, 0.12),
        triangle=between(0.82, 0.93),
        pictogram_scale=between(0.86, 1.16),
        pen=ArrowPen(
            notch=between(0.0, 0.45),
            width=between(0.68, 1.25),
            head=between(0.85, 1.2),
            has_barbs=bool(rng.random() < 0.6),
        ),
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
    xy_P2 = np.array([point for outline in outlines for point in outline]) - (0.0, middle)
    for number, (dx, dy, rate, start) in enumerate(distortion.bends):
        xy_P2 = xy_P2 + np.sin(rate * xy_P2[:, number % 2, None] + start) * (dx, dy)
    xy_P2 = xy_P2 * distortion.stretch @ np.array([[cos, sin], [-sin, cos]])
    xy_P2 += (distortion.shift[0], distortion.shift[1] + middle)
    points = iter([(x, y) for x, y in xy_P2.tolist()])
    return [tuple(islice(points, len(outline))) for outline in outlines]


def render_plate(patches: Sequence[Patch]) -> npt.NDArray[np.uint8]:
    """Render one plate as premultiplied linear RGBA, FACE_SIZE x FACE_SIZE x 4; outside the plate all four are 0."""
    side = FACE_SIZE * _OVERSAMPLING
    canvas = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(canvas)
    for ink, outlines in patches:
        colour = (*(round(255 * channel) for channel in INKS[ink]), 255)
        for outline in outlines:
            pen.polygon([((x + 1) / 2 * side - 0.5, (y + 1) / 2 * side - 0.5) for x, y in outline], fill=colour)
    # Pixels are opaque or empty: premultiplied they are the same, and Pillow averages that mode as it is.
    plain = Image.frombytes("RGBa", canvas.size, canvas.tobytes()).reduce(_OVERSAMPLING)
    return np.frombuffer(plain.tobytes(), np.uint8).reshape(FACE_SIZE, FACE_SIZE, 4)


def outline_of(patches: Sequence[Patch]) -> npt.NDArray[np.float64]:
    """Return the plate's own edge, P points as (x, y, 1): what a box is drawn around."""
    return np.array([(x, y, 1.0) for outline in patches[0][1] for x, y in outline])


def patches_of(label: int, style: Style) -> list[Patch]:
    """List what is painted on the plate of a class, from the bottom to the top."""
    if label in _LIMITS:
        return [*_red_ring(style), *_figure([("black", _number(_LIMITS[label], style))], style)]
    if label in ARROWS or label == _ROUNDABOUT:
        return [("white", circle(0, 0, 1)), ("blue", circle(0, 0, 0.955)), *_figure(_arrows(label, style), style)]
    if label in WARNINGS:
        scale, y = style.pictogram_scale, 0.3 - 0.3 * style.pictogram_scale  # grows about the field's middle
        is_older = style.is_older and (label != _DOUBLE_BEND or style.has_solid_band)  # its older one is rare
        pictogram = [(ink, place(outlines, scale=scale, y=y)) for ink, outlines in WARNINGS[label][is_older]]
        return [*_warning_triangle(style), *_figure(pictogram, style, middle=0.2)]
    return _other_patches(label, style)


def _other_patches(label: int, style: Style) -> list[Patch]:
    if label == 12:  # priority road
        layers = (("black", 1.06, 0.15), ("white", 1.025, 0.14), ("yellow", 0.66, 0.06))
        return [(ink, rounded([(0, -r), (r, 0), (0, r), (-r, 0)], radius)) for ink, r, radius in layers]
    if label == 13:  # give way
        return [(ink, [tuple((-x, -y) for x, y in one) for one in ones]) for ink, ones in _warning_triangle(style)]
    if label == 14:  # stop
        word = write("STOP", height=0.76, width=0.355, weight=style.weight * 0.85, gap=0.07)
        return [("white", _octagon(1.0)), ("red", _octagon(0.93)), *_figure([("white", word)], style)]
    if label == 17:  # no entry
        bar = _figure([("white", box(-0.80, -0.14, 0.80, 0.14))], style)
        return [("white", circle(0, 0, 1)), ("red", circle(0, 0, 0.96)), *bar]
    figure = {
        6: [("grey", _number("80", style))],
        9: car_from_behind("red", x=-0.32, y=0, scale=0.275) + car_from_behind("black", x=0.32, y=0, scale=0.275),
        10: lorry_from_behind("red", x=-0.28, y=0.03, scale=0.26)
        + car_from_behind("black", x=0.33, y=0.09, scale=0.25),
        15: [],
        16: LORRY_FROM_THE_SIDE,
        32: [],
        41: car_from_behind("grey", x=-0.34, y=0, scale=0.3) + car_from_behind("grey", x=0.34, y=0, scale=0.3),
        42: lorry_from_behind("grey", x=-0.3, y=0.03, scale=0.29) + car_from_behind("grey", x=0.36, y=0.1, scale=0.28),
    }[label]
    if label in (6, 32, 41, 42):  # the end of a limit
        disc = [("black", circle(0, 0, 1)), ("white", circle(0, 0, 0.95))]
        return [*disc, *_figure(figure, style), *_crossing_lines(style)]
    return [*_red_ring(style), *_figure(figure, style)]


def _figure(patches: list[Patch], style: Style, *, middle: float = 0.0) -> list[Patch]:
    """What a plate shows, as its maker distorts it."""
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


def _arrows(label: int, style: Style) -> list[Patch]:
    if label == _ROUNDABOUT:
        arrows = roundabout(style.pen, is_older=style.is_older, phase_degrees=style.phase_degrees)
        return [("white", place(arrows, scale=0.85 + 0.15 * style.arrow_scale))]
    arrow, is_mirrored = ARROWS[label]
    return [("white", place(arrow(style.pen), scale=style.arrow_scale, is_mirrored=is_mirrored))]


def _red_ring(style: Style) -> list[Patch]:
    return [("white", circle(0, 0, 1)), ("red", circle(0, 0, 0.97)), ("white", circle(0, 0, 0.97 - style.rim))]


def _warning_triangle(style: Style) -> list[Patch]:
    def triangle(reach: float, radius: float) -> Outlines:
        """Upright, about its centre of gravity; `reach` is from there to an unrounded corner."""
        low, half = 0.25 + reach / 2, reach * math.sqrt(3) / 2
        return rounded([(0.0, 0.25 - reach), (half, low), (-half, low)], radius)

    return [("white", triangle(1.265, 0.13)), ("red", triangle(1.2, 0.115)), ("white", triangle(style.triangle, 0.05))]


def _octagon(reach: float) -> Outlines:
    corners = [math.radians(22.5 + 45 * k) for k in range(8)]
    r = reach / math.cos(math.radians(22.5))
    return polygon(*[(r * math.cos(a), r * math.sin(a)) for a in corners])


def _crossing_lines(style: Style) -> list[Patch]:
    """Lines across a disc from the lower left to the upper right."""
    offsets_and_widths = [(0.0, 0.36)] if style.has_solid_band else [(0.11 * k, 0.05) for k in range(-2, 3)]
    lines: Outlines = []
    for offset, width in offsets_and_widths:
        half = math.sqrt(0.95**2 - (abs(offset) + width / 2) ** 2)
        ends = [(along * 0.7 + offset * 0.714, -along * 0.714 + offset * 0.7) for along in (-half, half)]
        lines += stroke(ends, width)
    return [("grey" if style.has_solid_band else "black", lines)]
