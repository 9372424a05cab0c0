"""Worlds: which backgrounds, makers' styles, lights and cameras a track may draw from.

A network that is chosen on signs drawn like those it learned from is chosen for knowing the drawing, not the signs. So
a drawing can be split in two worlds that share little but the plates' pictograms: training sees one, validation the
other. All other tracks draw from everything there is.
"""

from dataclasses import dataclass

from roadtest.data.signs.makers import ALL, Span

HOME, AWAY = "home", "away"
"""The parts of a drawing whose tracks draw from one of the two worlds."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What is possible, by the places in BACKGROUNDS and WEATHERS; which makers; and the camera's ranges."""

    makers: Span
    """The part of every measure's range that plates are drawn from."""
    backgrounds: tuple[int, ...]
    weathers: tuple[int, ...]
    gamma: tuple[float, float]
    mosaic: tuple[float, float]
    """How much of the colour filters' mosaic is left to see, 0 to 1."""
    jpeg_chance: float


EVERYTHING = World(
    makers=ALL,
    backgrounds=(0, 1, 2, 3, 4),
    weathers=(0, 1, 2, 3, 4, 5, 6),
    gamma=(1.4, 2.1),
    mosaic=(0.35, 1.0),
    jpeg_chance=0.3,
)
WORLDS = {
    HOME: World(
        makers=(0.0, 0.65),
        backgrounds=(0, 3, 4),  # leaves, open sky, a horizon of trees
        weathers=(0, 1, 3, 6),  # sun, overcast, dusk, fog
        gamma=(1.4, 1.85),
        mosaic=(0.35, 0.7),
        jpeg_chance=0.0,
    ),
    AWAY: World(
        makers=(0.65, 1.0),
        backgrounds=(1, 2),  # bare branches, houses
        weathers=(2, 4, 5),  # the sun behind the sign, night, overexposed
        gamma=(1.85, 2.1),
        mosaic=(0.7, 1.0),
        jpeg_chance=1.0,
    ),
}


def world_of(part: str) -> World:
    """The world of a part of a drawing: `train` and `test` draw from everything."""
    return WORLDS.get(part, EVERYTHING)
