"""The camera: from a sign's plane, its background and the light to the pixels of one frame.

The order is that of a real camera: perspective, light, blur of lens and motion, a sensor that clips and adds noise
behind a mosaic of colour filters, interpolation of the missing colours (which leaves coloured zips along edges in
small images), white balance, tone curve, compression. Arrays: H x W pixels, C = 3 channels, linear light until the
tone curve.
"""

import io
import math

import numpy as np
from PIL import Image

from roadtest.data.signs.plates import FACE_SIZE
from roadtest.data.signs.scene import BOARD_SIZE, BRIGHTEST, SCENE_SIZE, FloatArray
from roadtest.data.signs.track import Track

MARGIN = 0.115
"""GTSRB leaves a tenth of the sign's size around it, rather more than less, and 5 pixels at least."""
_MIN_MARGIN_PIXELS = 5


def take_photo(track: Track, frame: int, rng: np.random.Generator) -> Image.Image:
    """Photograph one frame of a track; `rng` makes the noise."""
    width, height, to_plane = _aim(track, frame)
    fineness = 2 if max(width, height) < 48 else 1
    light_HWC = _composed(track, frame, (width, height), to_plane, fineness)
    light_HWC = _blurred(light_HWC, float(track.blur_F[frame]))
    light_HWC = _smeared(light_HWC, *track.motion_F2[frame])
    light_HWC = np.minimum(light_HWC / track.white_balance, 1)  # the sensor's limit
    seen_HWC = _through_mosaic(light_HWC, track.noise, rng)
    light_HWC = (light_HWC + (seen_HWC - light_HWC) * np.float32(track.mosaic)) * track.white_balance
    coded_HWC = np.clip(light_HWC, 0, 1) ** np.float32(1 / track.gamma)
    coded_HWC = np.float32(track.black_level) + coded_HWC * np.float32(1 - track.black_level)
    if track.sharpening:
        coded_HWC = np.clip(coded_HWC + (coded_HWC - _blurred(coded_HWC, 1.0)) * np.float32(track.sharpening), 0, 1)
    grey_HW1 = coded_HWC.mean(axis=-1, keepdims=True)
    coded_HWC = np.clip(grey_HW1 + (coded_HWC - grey_HW1) * np.float32(track.saturation), 0, 1) * 255 + 0.5
    return _stored(Image.fromarray(coded_HWC.astype(np.uint8)), track)


def _aim(track: Track, frame: int) -> tuple[int, int, FloatArray]:
    """Return the image's width and height, and the 3x3 map from its pixels to plate units."""
    turned = _rotation(*np.radians(track.poses_F3[frame].astype(float)))
    distance = 12.0  # of half plates: a long lens, little perspective
    to_image = np.array([distance, distance, 1.0])[:, None] * np.stack(
        [turned[:, 0], turned[:, 1], (0, 0, distance)], axis=1
    )
    seen = to_image @ track.outline_P3.T
    seen = seen[:2] / seen[2]
    low, high = seen.min(axis=1), seen.max(axis=1)
    size = float(track.sizes_F[frame])
    margin = max(_MIN_MARGIN_PIXELS, MARGIN * size) * np.array(track.margins)
    width, height = (math.ceil(v) for v in (high - low) / 2 * size + 2 * margin)
    centre = (low + high) / 2 + track.offsets_F2[frame] * 2
    view = np.array([[2 / size, 0, centre[0] - width / size], [0, 2 / size, centre[1] - height / size], [0, 0, 1]])
    to_plane: FloatArray = np.linalg.inv(to_image) @ view
    return width, height, to_plane


def _rotation(yaw: float, pitch: float, roll: float) -> FloatArray:
    cy, sy, cp, sp, cr, sr = *_cos_sin(yaw), *_cos_sin(pitch), *_cos_sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    turned: FloatArray = about_y @ about_x @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return turned


def _cos_sin(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)


def _composed(track: Track, frame: int, size: tuple[int, int], to_plane: FloatArray, fineness: int) -> FloatArray:
    """Lay the lit sign's plane over the lit background, `fineness` samples per pixel and axis, and average."""
    canvas = (size[0] * fineness, size[1] * fineness)
    plane = _warped_plane(track, frame, canvas, to_plane, fineness)
    scene = _scene_window(track, frame, size, canvas)
    light = scene * track.scene_light_F3[frame] * (1 - plane[..., 3:]) + plane[..., :3] * track.sign_light_F3[frame]
    if fineness > 1:
        light = light.reshape(size[1], fineness, size[0], fineness, 3).mean(axis=(1, 3))
    lit: FloatArray = light + track.haze_F3[frame]
    return lit


def _warped_plane(track: Track, frame: int, canvas: tuple[int, int], to_plane: FloatArray, fineness: int) -> FloatArray:
    shrink = FACE_SIZE / (float(track.sizes_F[frame]) * fineness)
    level = min(max(int(math.log2(shrink)), 0), len(track.planes) - 1)
    side = BOARD_SIZE / 2**level
    to_texture = np.array([[side / 4, 0, side / 2], [0, side / 4, side / 2], [0, 0, 1]])
    m = to_texture @ to_plane @ np.diag([1 / fineness, 1 / fineness, 1])
    warped = track.planes[level].transform(
        canvas, Image.Transform.PERSPECTIVE, tuple((m / m[2, 2]).ravel()[:8]), Image.Resampling.BILINEAR
    )
    flat = np.frombuffer(warped.tobytes(), np.uint8).reshape(canvas[1], canvas[0], 4)
    return flat.astype(np.float32) * np.float32(1 / 255)


def _scene_window(track: Track, frame: int, size: tuple[int, int], canvas: tuple[int, int]) -> FloatArray:
    x, y, zoom = (float(v) for v in track.window_F3[frame])
    half = [min(side * zoom, SCENE_SIZE) / 2 for side in size]
    left, top = (min(max(c * SCENE_SIZE - h, 0.0), SCENE_SIZE - 2 * h) for c, h in zip((x, y), half, strict=True))
    extent = (left, top, left + 2 * half[0], top + 2 * half[1])
    coded = track.scene.transform(canvas, Image.Transform.EXTENT, extent, Image.Resampling.BILINEAR)
    root = np.asarray(coded, np.float32) * np.float32(math.sqrt(BRIGHTEST) / 255)
    window: FloatArray = root * root
    if track.scene_contrast != 1:
        grey_HW1 = window.mean(axis=-1, keepdims=True)
        window = window * (grey_HW1 / grey_HW1.mean()) ** np.float32(track.scene_contrast - 1)
    return window


def _blurred(light_HWC: FloatArray, sigma: float) -> FloatArray:
    """Blur with a Gaussian, rows first, then columns; the edges repeat."""
    radius = min(math.ceil(2.2 * sigma), 6)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    height, width = light_HWC.shape[:2]
    padded = np.pad(light_HWC, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    rows = np.zeros((height, *padded.shape[1:]), np.float32)
    blurred = np.zeros_like(light_HWC)
    for k, tap in enumerate(taps):
        rows += tap * padded[k : k + height]
    for k, tap in enumerate(taps):
        blurred += tap * rows[:, k : k + width]
    return blurred


def _smeared(light_HWC: FloatArray, dx: float, dy: float) -> FloatArray:
    """Average along the way that the image moved."""
    num = math.ceil(math.hypot(dx, dy))
    if num < 1:
        return light_HWC
    reach = num + 1
    height, width = light_HWC.shape[:2]
    padded = np.pad(light_HWC, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.zeros_like(light_HWC)
    for k in range(num + 1):
        x, y = round(dx * (k / num - 0.5)) + reach, round(dy * (k / num - 0.5)) + reach
        total += padded[y : y + height, x : x + width]
    return total / np.float32(num + 1)


def _through_mosaic(light_HWC: FloatArray, noise: tuple[float, float], rng: np.random.Generator) -> FloatArray:
    """Keep one colour per pixel (red, green / green, blue), add noise, clip, and interpolate the other two."""
    height, width = light_HWC.shape[:2]
    raw = light_HWC[..., 1].copy()
    raw[::2, ::2] = light_HWC[::2, ::2, 0]
    raw[1::2, 1::2] = light_HWC[1::2, 1::2, 2]
    read_noise, shot_noise = noise
    deviation = np.sqrt(np.clip(raw, 0, 1) * np.float32(shot_noise) + np.float32(read_noise**2))
    raw = np.clip(raw + deviation * rng.standard_normal(raw.shape, np.float32), 0, 1)
    padded = np.pad(raw, 2, mode="reflect")
    return np.stack([_filled(padded, *site)[:height, :width] for site in ((0, 0), (-1, -1), (1, 1))], axis=-1)


def _filled(padded: FloatArray, row: int, column: int) -> FloatArray:
    """Interpolate one colour linearly from its own pixels; row -1 is green, which has two sites in four."""
    own = np.zeros_like(padded)
    if row < 0:
        own[::2, 1::2], own[1::2, ::2] = padded[::2, 1::2], padded[1::2, ::2]
        near = own[1:-3, 2:-2] + own[3:-1, 2:-2] + own[2:-2, 1:-3] + own[2:-2, 3:-1]
        return own[2:-2, 2:-2] + near * np.float32(0.25)
    own[row::2, column::2] = padded[row::2, column::2]
    across = own[:, 2:-2] + (own[:, 1:-3] + own[:, 3:-1]) * np.float32(0.5)
    return across[2:-2] + (across[1:-3] + across[3:-1]) * np.float32(0.5)


def _stored(image: Image.Image, track: Track) -> Image.Image:
    """Lose what a small sensor or a JPEG file loses."""
    if track.coarseness > 1:
        small = (max(12, round(image.width / track.coarseness)), max(12, round(image.height / track.coarseness)))
        image = image.resize(small, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BICUBIC)
    if track.jpeg_quality:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=track.jpeg_quality)
        image = Image.open(file).convert("RGB")
    return image
