"""One physical sign that a car passes: its plate, its surroundings, the light, and how all of it drifts.

Everything that the frames of a track share is sampled here from the track's own random stream, the drift over its
frames included. So frames of one track look alike, two tracks do not, and data split by frame instead of track leaks.
The order of the random numbers defines the pixels: a new property takes its numbers from a stream of its own.
"""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from roadtest.data.signs.plates import FACE_SIZE, outline_of, patches_of, render_plate, sample_style
from roadtest.data.signs.scene import (
    AWAY,
    BOARD_SIZE,
    HOME,
    WILD,
    WILD_TEST,
    Domain,
    domain_of,
    lay_over,
    render_board,
    render_scene,
    wear_plate,
)

FRAMES_PER_TRACK = 10
"""GTSRB has 30; ten keep a small set rich in signs."""
PART_CODES = {"train": 0, "test": 1, HOME: 2, AWAY: 3, WILD: 4, WILD_TEST: 5}
FloatArray = npt.NDArray[np.float32]
_NEARNESS_F = np.linspace(0, 1, FRAMES_PER_TRACK, dtype=np.float32)
"""0 at the first frame, 1 at the last."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """A kind of light; pairs are the ends of log-uniform or uniform ranges."""

    chance: float
    """Over those of the others that a domain has."""
    sign_light: tuple[float, float]
    """White paint in this light, before the lens: 1 is where the sensor clips."""
    scene_light: tuple[float, float]
    """The background's light as a multiple of the sign's."""
    tint: tuple[float, float, float]
    """Colour of the light on the sign."""
    haze: tuple[float, float] = (0.0, 0.0)
    """Share of the light that comes from between camera and sign."""


MIDDLING_LIGHT = 0.35
"""White paint under a grey sky."""
WEATHERS = (
    Weather(chance=0.33, sign_light=(0.4, 1.8), scene_light=(0.35, 1.5), tint=(1.03, 1.0, 0.95)),  # sun on the sign
    Weather(chance=0.29, sign_light=(0.12, 0.6), scene_light=(0.30, 1.3), tint=(0.95, 1.0, 1.08)),  # overcast
    Weather(chance=0.10, sign_light=(0.08, 0.30), scene_light=(1.2, 3.0), tint=(0.92, 1.0, 1.10)),  # sun behind it
    Weather(chance=0.10, sign_light=(0.03, 0.15), scene_light=(0.25, 1.1), tint=(0.92, 0.98, 1.12)),  # dusk
    Weather(chance=0.06, sign_light=(0.15, 1.2), scene_light=(0.01, 0.08), tint=(1.05, 1.0, 0.92)),  # night, headlights
    Weather(chance=0.05, sign_light=(1.2, 2.6), scene_light=(0.6, 2.0), tint=(1.03, 1.0, 0.94)),  # overexposed
    Weather(chance=0.07, sign_light=(0.25, 0.8), scene_light=(0.5, 1.1), tint=(1, 1, 1), haze=(0.05, 0.3)),  # fog
    Weather(chance=0.05, sign_light=(0.06, 0.30), scene_light=(3.0, 8.0), tint=(0.92, 1.0, 1.10)),  # before a white sky
    Weather(chance=0.05, sign_light=(2.6, 4.5), scene_light=(0.6, 2.0), tint=(1.03, 1.0, 0.94)),  # glare
)


@dataclass(frozen=True, kw_only=True)
class Track:
    """What all frames of one sign share; arrays over F frames hold its drift. Camera settings are those of Domain."""

    planes: tuple[Image.Image, ...]
    """The sign's plane with plate and companions, premultiplied linear light, each half as large as the one before."""
    scene: Image.Image
    outline_P3: npt.NDArray[np.float64]
    """The plate's edge as (x, y, 1), which the box around it touches but for the margin."""
    margins: tuple[float, float]
    """Width of the margin left and right, and above and below, over the usual one: people drew GTSRB's boxes."""
    sizes_F: FloatArray
    """The plate's apparent side in pixels, growing as the car comes nearer."""
    poses_F3: FloatArray
    """Yaw, pitch and roll in degrees."""
    offsets_F2: FloatArray
    """How far the box around the sign is off, as a fraction of its side."""
    sign_light_F3: FloatArray
    scene_light_F3: FloatArray
    haze_F3: FloatArray
    scene_contrast: float
    black_level: float
    sharpening: float
    window_F3: FloatArray
    """The background's window: centre x, y and zoom (texture pixels per image pixel)."""
    white_balance: FloatArray
    gamma: float
    blur_F: FloatArray
    """Standard deviation of the lens's blur in pixels."""
    motion_F2: FloatArray
    """Smear during the exposure in pixels."""
    mosaic: float
    noise: tuple[float, float]
    """Standard deviation of read noise, and variance of shot noise at full light."""
    coarseness: float
    """The image was once this much smaller; 1 is never."""
    jpeg_quality: int
    """0 is uncompressed."""
    saturation: float


def open_rng(seed: int, part: str, label: int, track: int, frame: int | None) -> np.random.Generator:
    """Open the random numbers of one track (frame None) or of one image, equal in every process."""
    words = [seed, PART_CODES[part], label, track, 0 if frame is None else 1, frame or 0]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


@functools.lru_cache(maxsize=8)
def build_track(seed: int, part: str, label: int, track: int) -> Track:
    """Sample a sign with its surroundings; cached for the frames that follow."""
    rng = open_rng(seed, part, label, track, None)
    domain = domain_of(part)
    more_rng = rng.spawn(1)[0]  # for properties that later versions added
    sign_light_F3, scene_light_F3, haze_F3 = _light(rng, domain)
    sizes_F, patches = _sizes(rng), patches_of(label, sample_style(rng, domain.makers, spread=domain.spread))
    return Track(
        planes=_planes(rng, render_plate(patches), domain),
        outline_P3=outline_of(patches),
        margins=tuple(np.exp(rng.normal(0, 0.2, 2)).tolist()),
        scene=render_scene(rng, domain.backgrounds),
        sizes_F=sizes_F,
        poses_F3=_poses(rng),
        offsets_F2=_drift(rng, 2, step=0.008) + rng.normal(0, 0.012, 2).astype(np.float32),
        sign_light_F3=sign_light_F3,
        scene_light_F3=scene_light_F3,
        haze_F3=haze_F3,
        scene_contrast=float(more_rng.uniform(*domain.scene_contrast)),
        black_level=float(more_rng.uniform(*domain.black_level)),
        sharpening=float(more_rng.uniform(*domain.sharpening)),
        window_F3=_window(rng, domain.scene_zoom),
        white_balance=np.exp(rng.normal(0, 0.12 if rng.random() < 0.1 else 0.04, 3)).astype(np.float32),
        gamma=float(rng.uniform(*domain.gamma)),
        blur_F=_blur(rng, sizes_F, domain),
        motion_F2=_motion(rng, sizes_F, domain.motion_chance),
        mosaic=float(rng.uniform(*domain.mosaic)),
        noise=(float(rng.uniform(0.0003, 0.0022)), float(rng.uniform(0.0, 0.001))),
        coarseness=float(rng.uniform(1.1, 2.2)) if rng.random() < 0.12 * domain.roughness else 1.0,
        jpeg_quality=int(rng.integers(45, 93)) if rng.random() < domain.jpeg_chance else 0,
        saturation=float(rng.uniform(*domain.saturation)),
    )


def _drift(rng: np.random.Generator, num: int, *, step: float) -> FloatArray:
    """A random walk over the frames, starting at 0."""
    walk: FloatArray = np.cumsum(rng.normal(0, step, (FRAMES_PER_TRACK, num)), axis=0, dtype=np.float32)
    return walk - walk[:1]


def _planes(rng: np.random.Generator, raster: npt.NDArray[np.uint8], domain: Domain) -> tuple[Image.Image, ...]:
    board = render_board(rng, domain.makers)
    low = (BOARD_SIZE - FACE_SIZE) // 2
    lay_over(board[low : low + FACE_SIZE, low : low + FACE_SIZE], wear_plate(rng, raster))
    # RGBa is Pillow's premultiplied mode: its resampling treats the four channels alike.
    full = Image.frombytes("RGBa", (BOARD_SIZE, BOARD_SIZE), board.tobytes())
    return (full, full.reduce(2), full.reduce(4))


def _sizes(rng: np.random.Generator) -> FloatArray:
    """Apparent size is one over the distance, and the distance shrinks evenly."""
    first = rng.uniform(14, 38)
    last = np.clip(first * rng.lognormal(np.log(2.2), 0.3), first * 1.3, 96)
    sizes: FloatArray = first / (1 - _NEARNESS_F * np.float32(1 - first / last))
    return sizes


def _poses(rng: np.random.Generator) -> FloatArray:
    spread = (11.0, 4.0, 6.0 if rng.random() < 0.1 else 2.5)
    still = np.clip(rng.normal(0, spread), -42, 42)
    turn = np.array((rng.uniform(0, 10) * np.sign(still[0]), 0, 0))  # the sign is passed at the side
    poses: FloatArray = (still + _NEARNESS_F[:, None] * turn + _drift(rng, 3, step=0.5)).astype(np.float32)
    return poses


def _light(rng: np.random.Generator, domain: Domain) -> tuple[FloatArray, FloatArray, FloatArray]:
    weathers = [WEATHERS[place] for place in domain.weathers]
    chances = np.array([weather.chance for weather in weathers])
    weather = weathers[rng.choice(len(weathers), p=chances / chances.sum())]
    level = np.exp(rng.uniform(*np.log(weather.sign_light)))
    level = level ** (1 - domain.evenness) * MIDDLING_LIGHT**domain.evenness
    tint = np.asarray(weather.tint) * np.exp(rng.normal(0, 0.03, 3))
    exposure = np.exp(_drift(rng, 1, step=0.09) + _NEARNESS_F[:, None] * rng.normal(0, 0.25))
    sign = level * tint * exposure
    scene = sign * np.exp(rng.uniform(*np.log(weather.scene_light))) * domain.surroundings
    haze = exposure * level * rng.uniform(*weather.haze) * rng.uniform((0.8, 0.8, 0.8), (1.0, 0.95, 1.1))
    return sign.astype(np.float32), scene.astype(np.float32), haze.astype(np.float32)


def _window(rng: np.random.Generator, zooms: tuple[float, float]) -> FloatArray:
    """The background glides by."""
    centre = rng.uniform(0.35, 0.65, 2) + _drift(rng, 2, step=0.01) + _NEARNESS_F[:, None] * rng.normal(0, 0.08, 2)
    zoom = np.full((FRAMES_PER_TRACK, 1), rng.uniform(*zooms))
    return np.concatenate([centre, zoom], axis=1).astype(np.float32)


def _blur(rng: np.random.Generator, sizes_F: FloatArray, domain: Domain) -> FloatArray:
    """The lens; sometimes out of focus, and sometimes shimmering air, in proportion to the sign's size."""
    median, spread = domain.lens_blur
    base = rng.lognormal(np.log(median), spread)
    base += rng.uniform(0.3, 1.0) if rng.random() < 0.08 * domain.roughness else 0.0
    share = rng.uniform(0.01, 0.035) if rng.random() < 0.1 * domain.roughness else 0.0
    blur: FloatArray = np.clip(base * np.exp(_drift(rng, 1, step=0.08)[:, 0]) + share * sizes_F, 0.25, 2.5)
    return blur


def _motion(rng: np.random.Generator, sizes_F: FloatArray, chance: float) -> FloatArray:
    """Some tracks are smeared, more so when the sign is near."""
    length = rng.uniform(0.02, 0.13) if rng.random() < chance else 0.0
    angle = rng.normal(0, 0.5) if rng.random() < 0.6 else rng.uniform(0, np.pi)
    smear: FloatArray = (sizes_F * length)[:, None] * np.array((np.cos(angle), np.sin(angle)), np.float32)
    return smear
