"""What stands around a sign: sky, leaves, bare branches, houses; and on its own post: other signs, plates, a board.

The far background is a texture in linear light through which the camera's window moves; the companions share the sign's
plane and move with it. Both are drawn once per track. Nothing here knows the sign's class.

What years do to a plate: fading, dirt, stickers; and what light does: slopes, the shadows of leaves, a shine.

All of it is part of the sign's track: every frame of one sign shows the same stains.

Worlds: which backgrounds, makers, lights and cameras a track may draw from.

The usual drawing keeps to what is easy to see: a small set of it teaches a network in half a minute. The wild one has
what real roads have besides, glare, silhouettes before the sky, motion, makers of all kinds: it teaches more of real
signs and takes more of them. A network that is chosen on signs drawn like those it learned from is chosen for knowing
the drawing, not the signs. So the wild drawing can be split in two worlds that share little but the plates' pictograms:
training sees one, validation the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from roadtest.data.signs.plates import ALL, FACE_SIZE, Span, patches_of, render_plate, sample_style

SCENE_SIZE = 224
"""Side of the background texture in pixels."""
BRIGHTEST = 4.0
"""Linear light that the background's 255 stands for; its square-root code keeps detail in the dark."""
BOARD_SIZE = 2 * FACE_SIZE
"""Side of the sign's plane: the plate fills its middle half."""
FloatArray = npt.NDArray[np.float32]
Colour = tuple[float, float, float]
_LEAVES: tuple[tuple[Colour, ...], ...] = (
    ((0.010, 0.012, 0.010), (0.035, 0.045, 0.018), (0.10, 0.11, 0.030), (0.32, 0.30, 0.12)),
    ((0.012, 0.010, 0.008), (0.070, 0.045, 0.015), (0.26, 0.15, 0.030), (0.75, 0.55, 0.18)),
    ((0.010, 0.009, 0.008), (0.050, 0.030, 0.016), (0.14, 0.075, 0.030), (0.40, 0.26, 0.12)),
    ((0.006, 0.007, 0.007), (0.014, 0.016, 0.015), (0.03, 0.030, 0.026), (0.10, 0.095, 0.08)),
)
_WALLS: tuple[Colour, ...] = (
    (0.55, 0.50, 0.42), (0.30, 0.11, 0.07), (0.35, 0.34, 0.33), (0.62, 0.45, 0.22), (0.75, 0.74, 0.72),
    (0.13, 0.12, 0.12), (0.45, 0.28, 0.24),
)  # fmt: skip

_SKIES: tuple[Colour, ...] = (
    (0.80, 0.88, 1.0),
    (0.95, 0.96, 1.0),
    (0.42, 0.55, 0.85),
    (1.0, 0.92, 0.85),
    (0.62, 0.66, 0.75),
)


def noise_texture(rng: np.random.Generator, size: int, cells: tuple[int, ...], *, roughness: float) -> FloatArray:
    """Sum smooth noise of several cell counts per side into a size x size texture of about -1 to 1."""
    total = np.zeros((size, size), np.float32)
    amplitude = 1.0
    for num_cells in cells:
        coarse = rng.uniform(-1, 1, (num_cells, num_cells)).astype(np.float32)
        total += amplitude * np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))
        amplitude *= roughness
    return total


def _coded(light: FloatArray) -> npt.NDArray[np.uint8]:
    coded: npt.NDArray[np.uint8] = (np.sqrt(np.clip(light / BRIGHTEST, 0, 1)) * 255).astype(np.uint8)
    return coded


def _tinted(value: FloatArray, palette: tuple[Colour, ...]) -> FloatArray:
    """Map a texture of about -1 to 1 to a row of colours."""
    ramp = np.stack(
        [np.interp(np.arange(256), np.linspace(0, 255, len(palette)), c) for c in zip(*palette, strict=True)], -1
    )
    coded: FloatArray = ramp.astype(np.float32)[np.clip(value * 90 + 110, 0, 255).astype(np.uint8)]
    return coded


def _sky(rng: np.random.Generator) -> FloatArray:
    """A plain or cloudy sky, brighter than white paint."""
    colour = np.asarray(_SKIES[rng.integers(len(_SKIES))], np.float32) * rng.uniform(0.7, 3.0)
    cloud = noise_texture(rng, SCENE_SIZE, (3, 7), roughness=0.5) * rng.uniform(0.02, 0.22) + 1
    slope = np.linspace(rng.uniform(0.8, 1.1), rng.uniform(0.9, 1.25), SCENE_SIZE, dtype=np.float32)[:, None]
    return (cloud * slope)[..., None] * colour


def _leaves(rng: np.random.Generator) -> FloatArray:
    """Foliage in sun and shade, with the sky in some gaps."""
    value = noise_texture(rng, SCENE_SIZE, (5, 28, 90), roughness=rng.uniform(0.8, 1.25)) * rng.uniform(0.6, 1.1)
    light = _tinted(value - rng.uniform(-0.2, 0.4), _LEAVES[rng.choice(4, p=(0.3, 0.33, 0.22, 0.15))]) * rng.uniform(
        0.7, 2.2
    )
    if rng.random() < 0.4:
        gaps = value > rng.uniform(0.7, 1.3)
        light[gaps] = _sky(rng)[gaps]
    return light


def _with_drawing(
    rng: np.random.Generator, light: FloatArray, draw: Callable[[np.random.Generator, ImageDraw.ImageDraw], None]
) -> FloatArray:
    """Let `draw` paint over a background with Pillow."""
    image = Image.fromarray(_coded(light))
    draw(rng, ImageDraw.Draw(image))
    root = np.asarray(image, np.float32) / np.float32(255)
    return root * root * np.float32(BRIGHTEST)


def _ink(colour: Colour | FloatArray, gain: float = 1.0) -> tuple[int, int, int]:
    red, green, blue = (round(255 * min(1.0, float(c) * gain / BRIGHTEST) ** 0.5) for c in colour)
    return red, green, blue


def _branches(rng: np.random.Generator) -> FloatArray:
    """Bare trees before the sky."""
    return _with_drawing(rng, _sky(rng), _draw_trees)


def _draw_trees(rng: np.random.Generator, pen: ImageDraw.ImageDraw) -> None:
    """Grow a few trees, level by level: every limb forks into two or three that are thinner and bent away."""
    gain = rng.uniform(0.3, 2.0)
    num = int(rng.integers(2, 6))
    bases = np.stack([rng.uniform(0, SCENE_SIZE, num), np.full(num, SCENE_SIZE * 1.1)], axis=-1)
    angles, widths = rng.normal(-np.pi / 2, 0.12, num), rng.uniform(3, 11, num)
    for level in range(6):
        lengths = SCENE_SIZE * rng.uniform(0.16, 0.42, len(bases)) * 0.8**level
        tips = bases + lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        for base, tip, width in zip(bases, tips, widths, strict=True):
            ink = _ink((0.045, 0.038, 0.032), gain + 12 * max(0.0, 1 - float(width)))  # the sky shines past thin twigs
            pen.line([*base, *tip], fill=ink, width=max(1, round(width)))
        num_forks = 3 if level < 4 else 2
        forks = bases + (tips - bases) * rng.uniform(0.55, 1, (num_forks, len(bases), 1))
        forks[0] = tips
        angles = (angles + rng.normal(0, 0.5, (num_forks, len(bases)))).ravel()
        bases, widths = forks.reshape(-1, 2), np.tile(widths * 0.6, num_forks)


def _houses(rng: np.random.Generator) -> FloatArray:
    """A wall or two with rows of windows, perhaps a roof's edge and the sky."""
    return _with_drawing(rng, _sky(rng), _draw_houses)


def _draw_houses(rng: np.random.Generator, pen: ImageDraw.ImageDraw) -> None:
    left = float(rng.uniform(-60, 60))
    gain = rng.uniform(0.25, 1.4)
    while left < SCENE_SIZE:
        width, top = rng.uniform(60, 260), rng.uniform(-120, 90)
        slant = rng.uniform(-0.15, 0.15)
        wall = np.asarray(_WALLS[rng.integers(len(_WALLS))], np.float32)
        low = SCENE_SIZE + 5
        pen.polygon(
            [(left, top), (left + width, top + slant * width), (left + width, low), (left, low)], fill=_ink(wall, gain)
        )
        pen.line(
            [left, top, left + width, top + slant * width], fill=_ink(wall, gain * 0.25), width=int(rng.integers(2, 14))
        )
        _draw_windows(rng, pen, (left, top, width), slant=slant, gain=gain)
        left += width + rng.uniform(0, 50)


def _draw_windows(
    rng: np.random.Generator, pen: ImageDraw.ImageDraw, wall: tuple[float, float, float], *, slant: float, gain: float
) -> None:
    left, top, width = wall
    step_x, step_y = rng.uniform(16, 50), rng.uniform(22, 60)
    glass, frame = _ink((0.04, 0.05, 0.06), gain * rng.uniform(0.4, 4)), _ink((0.7, 0.7, 0.7), gain)
    for x in np.arange(left + step_x * 0.3, left + width - step_x * 0.6, step_x):
        for y in np.arange(top + step_y * 0.4, SCENE_SIZE, step_y):
            y_here = y + slant * (x - left)
            pen.rectangle([x, y_here, x + step_x * 0.5, y_here + step_y * 0.6], fill=glass, outline=frame)


def _horizon(rng: np.random.Generator) -> FloatArray:
    """The sky above a ragged edge of trees."""
    light = _sky(rng)
    trees = _leaves(rng) * rng.uniform(0.3, 1.0)
    ridge = noise_texture(rng, SCENE_SIZE, (4, 24, 70), roughness=0.5) * rng.uniform(8, 30)
    below = np.arange(SCENE_SIZE)[:, None] + ridge > SCENE_SIZE * rng.uniform(0.25, 0.75)
    light[below] = trees[below]
    return light


BACKGROUNDS: tuple[tuple[Callable[[np.random.Generator], FloatArray], float], ...] = (
    (_leaves, 0.29),
    (_branches, 0.20),
    (_houses, 0.20),
    (_sky, 0.17),
    (_horizon, 0.14),
)
"""Each kind and its chance."""


def _draw_box(
    pen: ImageDraw.ImageDraw, left: float, top: float, right: float, bottom: float, fill: tuple[int, int, int, int]
) -> None:
    """Fill a rectangle given in plate units, where the sign's plate is -1 to 1."""
    pen.rectangle([(v / 4 + 0.5) * BOARD_SIZE for v in (left, top, right, bottom)], fill=fill)


def _draw_post(rng: np.random.Generator, pen: ImageDraw.ImageDraw) -> None:
    x, half, grey = rng.normal(0, 0.03), rng.uniform(0.045, 0.085), int(rng.uniform(20, 130))
    top = rng.choice((-0.8, -1.12, -2.0), p=(0.5, 0.2, 0.3))
    _draw_box(pen, x - half, top, x + half, 2.0, (grey, grey, grey, 255))
    _draw_box(pen, x + half * 0.2, top, x + half, 2.0, (grey // 2, grey // 2, grey // 2, 255))


def _draw_text_plate(rng: np.random.Generator, pen: ImageDraw.ImageDraw) -> None:
    """A white plate with lines that look like small print."""
    top, half = rng.uniform(1.04, 1.2), rng.uniform(0.7, 1.05)
    bottom = top + rng.uniform(0.4, 0.8)
    _draw_box(pen, -half, top, half, bottom, (8, 8, 8, 255))
    _draw_box(pen, -half + 0.04, top + 0.04, half - 0.04, bottom - 0.04, (195, 195, 190, 255))
    for x in np.arange(-half + 0.2, half - 0.2, 0.14):
        if rng.random() < 0.8:
            y = top + 0.15 + rng.uniform(0, 0.05)
            _draw_box(pen, x, y, x + rng.uniform(0.04, 0.1), bottom - 0.16, (12, 12, 12, 255))


def _add_neighbour(rng: np.random.Generator, board: npt.NDArray[np.uint8], side: int, makers: Span) -> None:
    """Put the near part of another sign above (-1) or below (1)."""
    other = render_plate(patches_of(int(rng.integers(43)), sample_style(rng, makers)))
    offset = int(FACE_SIZE * rng.uniform(1.0, 1.1))
    start = (BOARD_SIZE - FACE_SIZE) // 2 + side * offset
    low, high = max(start, 0), min(start + FACE_SIZE, BOARD_SIZE)
    column = (BOARD_SIZE - FACE_SIZE) // 2
    part = other[low - start : high - start]
    lay_over(board[low:high, column : column + FACE_SIZE], part)


def lay_over(below: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8]) -> None:
    """Cover premultiplied pixels with others, in place."""
    clear = 255 - above[..., 3:].astype(np.uint16)
    below[...] = above + (below * clear // 255).astype(np.uint8)


_GRID = np.linspace(-1, 1, FACE_SIZE, dtype=np.float32)
_DIRT = np.array((0.10, 0.085, 0.06), np.float32)
_STICKERS = ((0.7, 0.7, 0.68), (0.03, 0.03, 0.03), (0.6, 0.5, 0.1), (0.1, 0.35, 0.15), (0.35, 0.35, 0.36))


def wear_plate(rng: np.random.Generator, raster: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Age a premultiplied plate; its outline stays."""
    cover = raster[..., 3:].astype(np.float32) / np.float32(255)
    paint = raster[..., :3].astype(np.float32) / np.float32(255)
    paint = _faded(rng, paint, cover)
    if rng.random() < 0.35:
        paint = _dirty(rng, paint, cover)
    for _ in range(rng.choice(3, p=(0.89, 0.09, 0.02))):
        paint = _with_sticker(rng, paint, cover)
    paint *= _shading(rng)[..., None]
    coded = np.clip(paint * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.concatenate([np.minimum(coded, raster[..., 3:]), raster[..., 3:]], axis=-1)


def _faded(rng: np.random.Generator, paint: FloatArray, cover: FloatArray) -> FloatArray:
    """Bleach all inks towards a pale grey, reds towards orange; whites get darker with age."""
    bleach = rng.beta(1.0, 9.0) * 0.6
    pale = np.array((0.62, 0.58, 0.52), np.float32)
    faded = paint * (1 - bleach) + pale * bleach * cover
    if rng.random() < 0.2:  # red paint that the sun turned orange
        redness = np.clip(paint[..., 0] - 2 * paint[..., 1], 0, 0.4) / 0.36
        faded[..., 1] += redness * np.float32(rng.uniform(0.02, 0.16))
    aged: FloatArray = faded * rng.uniform((0.88, 0.88, 0.86), (1.0, 1.0, 1.04)).astype(np.float32)
    return aged


def _dirty(rng: np.random.Generator, paint: FloatArray, cover: FloatArray) -> FloatArray:
    """Lay a patchy film of dirt over the plate, denser towards one side."""
    patches = noise_texture(rng, FACE_SIZE, (4, 11, 30), roughness=0.6)
    slope = _GRID[:, None] * rng.normal(0, 0.4) + _GRID[None, :] * rng.normal(0, 0.3)
    film = np.clip((patches + slope - rng.uniform(-0.3, 1.0)) * 0.8, 0, rng.uniform(0.1, 0.5))[..., None]
    soiled: FloatArray = paint * (1 - film) + _DIRT * film * cover
    return soiled


def _with_sticker(rng: np.random.Generator, paint: FloatArray, cover: FloatArray) -> FloatArray:
    """Glue a small tilted rectangle somewhere on the plate."""
    x, y = rng.uniform(-0.75, 0.75, 2)
    angle, half_width, half_height = rng.uniform(0, np.pi), *rng.uniform(0.05, 0.13, 2)
    dx, dy = _GRID[None, :] - np.float32(x), _GRID[:, None] - np.float32(y)
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    is_inside = ((np.abs(along) < half_width) & (np.abs(across) < half_height))[..., None]
    colour = np.asarray(_STICKERS[rng.integers(len(_STICKERS))], np.float32)
    covered: FloatArray = np.where(is_inside, colour * cover, paint)
    return covered


def _shading(rng: np.random.Generator) -> FloatArray:
    """The light's unevenness: a slope, and sometimes the shadows of leaves or of an edge."""
    angle = rng.uniform(0, 2 * np.pi)
    slope = _GRID[None, :] * np.float32(np.cos(angle)) + _GRID[:, None] * np.float32(np.sin(angle))
    light: FloatArray = 1 - np.float32(rng.uniform(0, 0.16)) * (slope + 1)
    kind = rng.random()
    if kind < 0.08:
        texture = noise_texture(rng, FACE_SIZE, (4, 9), roughness=0.7)
        light *= 1 - np.float32(rng.uniform(0.2, 0.5)) * np.clip(texture * 4 + 0.3, 0, 1)
    elif kind < 0.13:
        light *= 1 - np.float32(rng.uniform(0.3, 0.6)) * np.clip((slope - rng.uniform(-0.5, 0.7)) * 15, 0, 1)
    elif kind < 0.18:  # the sky or a lamp, mirrored in the foil
        x, y, reach = rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.9), rng.uniform(0.3, 1.0)
        apart = ((_GRID[None, :] - np.float32(x)) ** 2 + (_GRID[:, None] - np.float32(y)) ** 2) / np.float32(reach**2)
        light *= 1 + np.float32(rng.uniform(0.4, 1.5)) * np.exp(-apart)
    return light


HOME, AWAY = "home", "away"
"""The parts of a drawing whose tracks draw from one of the two worlds."""
WILD, WILD_TEST = "wild", "wildtest"
"""The training and the test part of a wild drawing."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """What is possible, by the places in BACKGROUNDS and WEATHERS; which makers; and the camera's ranges."""

    makers: Span
    """The part of every measure's range that plates are drawn from."""
    spread: float
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


USUAL = Domain(
    makers=(0.3, 0.7),
    spread=0.3,
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


def render_scene(rng: np.random.Generator, backgrounds: Sequence[int] = USUAL.backgrounds) -> Image.Image:
    """Draw a background, square-root coded (255 is BRIGHTEST); `backgrounds` are places in BACKGROUNDS."""
    kinds = [BACKGROUNDS[place] for place in backgrounds]
    chances = np.array([chance for _, chance in kinds])
    light = kinds[rng.choice(len(kinds), p=chances / chances.sum())][0](rng)
    return Image.fromarray(_coded(light))


def render_board(rng: np.random.Generator, makers: Span = USUAL.makers) -> npt.NDArray[np.uint8]:
    """Draw the sign's plane without the sign: premultiplied linear RGBA, BOARD_SIZE x BOARD_SIZE x 4."""
    image = Image.new("RGBA", (BOARD_SIZE, BOARD_SIZE))
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.9:
        _draw_post(rng, pen)
    if rng.random() < 0.06:
        colour = ((200, 200, 196), (198, 110, 5))[int(rng.random() < 0.3)]
        reach = rng.uniform(1.08, 1.3)
        _draw_box(pen, -reach, -reach, reach, reach * rng.uniform(1.0, 1.3), (*colour, 255))
    if rng.random() < 0.28:
        _draw_text_plate(rng, pen)
    board = np.array(image)
    for chance, side in ((0.2, -1), (0.17, 1)):
        if rng.random() < chance:
            _add_neighbour(rng, board, side, makers)
    return board


FULL = replace(
    USUAL,
    makers=ALL,
    spread=1.0,
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

DOMAINS = {
    WILD: FULL,
    WILD_TEST: FULL,
    HOME: replace(
        FULL,
        makers=(0.0, 0.65),
        backgrounds=(0, 3, 4),  # leaves, open sky, a horizon of trees
        weathers=(0, 1, 3, 6),  # sun, overcast, dusk, fog
        gamma=(1.0, 1.35),
        mosaic=(0.35, 0.7),
        jpeg_chance=0.0,
    ),
    AWAY: replace(
        FULL,
        makers=(0.65, 1.0),
        backgrounds=(1, 2),  # bare branches, houses
        weathers=(2, 4, 5, 7, 8),  # the sun behind the sign, night, overexposed, glare
        gamma=(1.35, 1.7),
        mosaic=(0.7, 1.0),
        jpeg_chance=1.0,
    ),
}


def domain_of(part: str) -> Domain:
    """The world of a part of a drawing: `train` and `test` are the usual one."""
    return DOMAINS.get(part, USUAL)
