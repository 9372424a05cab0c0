"""What years do to a plate: fading, dirt, stickers; and what light does: slopes, the shadows of leaves, a shine.

All of it is part of the sign's track: every frame of one sign shows the same stains.
"""

import numpy as np
import numpy.typing as npt

from roadtest.data.signs.plates import FACE_SIZE
from roadtest.data.signs.scene import FloatArray, noise_texture

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
