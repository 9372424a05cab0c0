"""Digits and letters of our own: centre lines in a unit box, drawn with one pen, in the manner of road lettering.

Only what the 43 signs need: the digits of 20, 30, 50, 60, 70, 80, 100 and 120, and S, T, O, P.
"""

from roadtest.data.signs.strokes import Outlines, Point, arc, curve, stroke

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
_RELATIVE_WIDTHS = {"1": 0.62}


def write(text: str, *, height: float, width: float, weight: float, gap: float) -> Outlines:
    """Write one centred line; `width` is that of one character, all lengths in plate units."""
    widths = [width * _RELATIVE_WIDTHS.get(character, 1.0) for character in text]
    left = -(sum(widths) + gap * (len(text) - 1)) / 2
    outlines: Outlines = []
    for character, its_width in zip(text, widths, strict=True):
        outlines += _glyph(character, left=left, width=its_width, height=height, weight=weight)
        left += its_width + gap
    return outlines


def _glyph(character: str, *, left: float, width: float, height: float, weight: float) -> Outlines:
    outlines: Outlines = []
    for line in CENTRE_LINES[character]:
        inside = [
            (left + weight / 2 + u * (width - weight), -height / 2 + weight / 2 + v * (height - weight))
            for u, v in line
        ]
        outlines += stroke(inside, weight, has_round_ends=line[0] == line[-1])
    return outlines
