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
    scene_contrast: tuple[float, float]
    """Between the background's bright and dark places, in logarithms, over what is drawn."""
    evenness: float
    """How far the levels of light are drawn towards a middling one, 0 to 1."""
    black_level: tuple[float, float]
    """What black is coded as, of 1."""
    scene_zoom: tuple[float, float]
    """Texture pixels of the background per image pixel."""
    sharpening: tuple[float, float]
    """How much of what a blur of one pixel takes away the camera adds."""
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
    scene_contrast=(1.0, 1.0),
    evenness=0.0,
    black_level=(0.0, 0.0),
    scene_zoom=(0.9, 2.0),
    sharpening=(0.0, 0.0),
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
    surroundings=0.6,
    scene_contrast=(1.2, 2.3),
    evenness=0.08,
    black_level=(0.015, 0.05),
    scene_zoom=(0.9, 2.6),
    sharpening=(0.0, 0.9),
    gamma=(1.0, 1.7),
    saturation=(0.75, 1.3),
    lens_blur=(0.28, 0.35),
    motion_chance=0.2,
)
WORLDS = {
    WILD: EVERYTHING,
    WILD_TEST: EVERYTHING,
    HOME: replace(
        EVERYTHING,
        makers=(0.0, 0.65),
        backgrounds=(0, 3, 4),  # leaves, open sky, a horizon of trees
        weathers=(0, 1, 3, 6),  # sun, overcast, dusk, fog
        gamma=(1.0, 1.35),
        mosaic=(0.35, 0.7),
        jpeg_chance=0.0,
    ),
    AWAY: replace(
        EVERYTHING,
        makers=(0.65, 1.0),
        backgrounds=(1, 2),  # bare branches, houses
        weathers=(2, 4, 5, 7, 8),  # the sun behind the sign, night, overexposed, glare
        gamma=(1.35, 1.7),
        mosaic=(0.7, 1.0),
        jpeg_chance=1.0,
    ),
}


def world_of(part: str) -> World:
    """The world of a part of a drawing: `train` and `test` are the usual one."""
    return WORLDS.get(part, USUAL)
