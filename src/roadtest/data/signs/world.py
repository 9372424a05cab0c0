"""Worlds: which backgrounds, makers, lights and cameras a track may draw from.

The usual drawing keeps to what is easy to see: a small set of it teaches a network in half a minute. The wild one has
what real roads have besides, glare, silhouettes before the sky, motion, makers of all kinds: it teaches more of real
signs and takes more of them. A network that is chosen on signs drawn like those it learned from is chosen for knowing
the drawing, not the signs. So the wild drawing can be split in two worlds that share little but the plates' pictograms:
training sees one, validation the other.
"""

from dataclasses import dataclass, replace

from roadtest.data.signs.makers import ALL, Span

HOME, AWAY = "home", "away"
"""The parts of a drawing whose tracks draw from one of the two worlds."""
WILD, WILD_TEST = "wild", "wildtest"
"""The training and the test part of a wild drawing."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What is possible, by the places in BACKGROUNDS and WEATHERS; which makers; and the camera's ranges."""

    makers: Span
    """The part of every measure's range that plates are drawn from."""
    slips: float
    """How far figures are turned, stretched and bent, over the largest."""
    roughness: float
    """How often pictures are out of focus, moved, coarse or hazy, over the most."""
    backgrounds: tuple[int, ...]
    weathers: tuple[int, ...]
    surroundings: float
    """How bright the background is, over what its weather says."""
    gamma: tuple[float, float]
    saturation: tuple[float, float]
    """How far the camera pushes colours away from grey."""
    lens_blur: tuple[float, float]
    """Of its standard deviation in pixels: the median, and the spread of its logarithm."""
    motion_chance: float
    mosaic: tuple[float, float]
    """How much of the colour filters' mosaic is left to see, 0 to 1."""
    jpeg_chance: float


USUAL = World(
    makers=(0.3, 0.7),
    slips=0.3,
    roughness=0.25,
    backgrounds=(0, 1, 2, 3, 4),
    weathers=(0, 1, 2, 3, 4, 5, 6),
    surroundings=1.0,
    gamma=(1.4, 2.1),
    saturation=(0.95, 1.5),
    lens_blur=(0.42, 0.25),
    motion_chance=0.1,
    mosaic=(0.35, 1.0),
    jpeg_chance=0.3,
)
EVERYTHING = replace(
    USUAL,
    makers=ALL,
    slips=1.0,
    roughness=1.0,
    weathers=(0, 1, 2, 3, 4, 5, 6, 7, 8),
    surroundings=0.8,
    gamma=(1.2, 2.0),
    saturation=(0.85, 1.5),
    lens_blur=(0.28, 0.35),
    motion_chance=0.28,
)
WORLDS = {
    WILD: EVERYTHING,
    WILD_TEST: EVERYTHING,
    HOME: replace(
        EVERYTHING,
        makers=(0.0, 0.65),
        backgrounds=(0, 3, 4),  # leaves, open sky, a horizon of trees
        weathers=(0, 1, 3, 6),  # sun, overcast, dusk, fog
        gamma=(1.2, 1.6),
        mosaic=(0.35, 0.7),
        jpeg_chance=0.0,
    ),
    AWAY: replace(
        EVERYTHING,
        makers=(0.65, 1.0),
        backgrounds=(1, 2),  # bare branches, houses
        weathers=(2, 4, 5, 7, 8),  # the sun behind the sign, night, overexposed, glare
        gamma=(1.6, 2.0),
        mosaic=(0.7, 1.0),
        jpeg_chance=1.0,
    ),
}


def world_of(part: str) -> World:
    """The world of a part of a drawing: `train` and `test` are the usual one."""
    return WORLDS.get(part, USUAL)
