"""Makers of signs: what differs between two plates of one class, drawn anew for every sign.

The law fixes what a sign shows, not the breadth of a rim, the weight of a digit or the outline of a running child. So
every measure is drawn for itself, and the figure on a plate is turned, stretched, moved and bent a little: a network
that knew twelve drawings by heart read too few real ones (docs/log.md).
"""

import math
from dataclasses import dataclass
from itertools import islice

import numpy as np

from roadtest.data.signs.strokes import Outlines

Span = tuple[float, float]
"""Which part of every measure's range is drawn from, 0 to 1."""
ALL: Span = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Wobble:
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
    wobble: Wobble = Wobble()


def draw_style(rng: np.random.Generator, span: Span = ALL, *, slips: float = 1.0) -> Style:
    """Draw one maker, every measure from the same part of its range; `slips` is how far figures are off the usual."""

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
        wobble=_wobble(rng, slips),
    )


def _wobble(rng: np.random.Generator, slips: float) -> Wobble:
    bends = [(*rng.normal(0, 0.012 * slips, 2), rng.uniform(2.0, 6.0), rng.uniform(0, 2 * math.pi)) for _ in range(4)]
    return Wobble(
        turn_degrees=float(np.clip(rng.normal(0, 1.5 * slips), -4, 4)),
        stretch=tuple(np.exp(np.clip(rng.normal(0, 0.05 * slips, 2), -0.1, 0.1)).tolist()),
        shift=tuple(np.clip(rng.normal(0, 0.015 * slips, 2), -0.03, 0.03).tolist()),
        bends=tuple((float(dx), float(dy), float(rate), float(start)) for dx, dy, rate, start in bends),
    )


def wobbled(outlines: Outlines, wobble: Wobble, *, middle: float = 0.0) -> Outlines:
    """Bend, stretch, turn and move a figure about (0, `middle`)."""
    if not outlines:
        return []
    cos, sin = math.cos(math.radians(wobble.turn_degrees)), math.sin(math.radians(wobble.turn_degrees))
    xy_P2 = np.array([point for outline in outlines for point in outline]) - (
        0.0,
        middle,
    )
    for number, (dx, dy, rate, start) in enumerate(wobble.bends):
        wave_P1 = np.sin(rate * xy_P2[:, number % 2, None] + start)
        xy_P2 = xy_P2 + wave_P1 * (dx, dy)
    xy_P2 = xy_P2 * wobble.stretch @ np.array([[cos, sin], [-sin, cos]])
    xy_P2 += (wobble.shift[0], wobble.shift[1] + middle)
    points = iter([(x, y) for x, y in xy_P2.tolist()])
    return [tuple(islice(points, len(outline))) for outline in outlines]
