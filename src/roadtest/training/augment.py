"""Augment whole batches of training images: one resampling and one colour matrix per image, then normalisation.

The idea: every geometric change is affine and every colour change is linear, so however many are asked for, they
compose into one 2x3 map and one 3x3 matrix (with one offset) per image. A batch then costs a single bilinear
`grid_sample` and a handful of passes over the pixels; there is no loop over images and nothing waits for the device.

Order, as a picture meets it:

1. shift, crop, then zoom, shear and rotation about the middle of what is left; resampled once, bilinearly. Outside
   the frame the nearest border pixel is repeated: zeros would add black wedges that show the angle and disturb
   per-image standardisation; reflection would add mirrored pieces of a sign, and a mirrored sign may be another class.
   Only where flips are on the map may mirror.
2. brightness, contrast, saturation, hue, grayscale, then one clip to [0, 1]. Without the clip, per-image
   standardisation would cancel brightness and contrast exactly.
3. normalisation: `per-image` subtracts the mean over all channels and pixels and divides by the deviation over the
   same, or by DEVIATION_FLOOR where that is larger; `fixed` subtracts 0.5 and divides by 0.25.

Random numbers come from a counter, not from a generator with a state: they depend on seed, epoch and image id only, so
neither batch size, order, device, number of threads nor dropout shifts them. Each field of Augmentation has numbers of
its own: switching one off leaves the others as they are. They are splitmix64's mixing function of the counter (Steele,
Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195).

On the CPU an image comes out bit for bit the same in every batch: each operation rounds every element by itself or
sums within one image in a fixed order, and sines and exponentials are taken in double precision and rounded once. On
other devices the random numbers are identical and the images equal to within rounding.

Deliberately no blur, no erasing, no mixing of images, and no gradient with respect to the images.

Shapes: N images, H = W pixels a side, C = 3 channels (RGB), D random numbers. Speed: benchmarks/speed/augment_speed.py.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from roadtest.protocol import NORMALISATIONS, Augmentation

DEVIATION_FLOOR = 1e-3
"""A quarter of one of the 255 grey levels: no real picture is flatter, and a constant one stays finite."""
GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""Luma of red, green and blue (ITU-R BT.601), as in Pillow's and torchvision's grayscale."""
# The column of random numbers that each change uses, grouped for vector operations. Another order is another protocol.
ROTATION, SHEAR, HUE, BRIGHTNESS, CONTRAST, SATURATION, LOG_SCALE = range(7)
SHIFT_X, SHIFT_Y, CROP_X, CROP_Y, CROP, GRAYSCALE, FLIP = range(7, 14)
NUM_COLUMNS = 14
CHUNK_SIZE = 8192
"""Images whose parameters are worked out together: their double precision takes a few megabytes."""


class AugmentationParameters(NamedTuple):
    """How each of N images is varied, on their device; geometry or colour is None where it does not change."""

    image_ids_N: Tensor
    maps_N23: Tensor | None
    matrices_N33: Tensor | None
    grey_shares_N: Tensor | None

    def of(self, places: slice) -> "AugmentationParameters":
        """Those of some of the images."""
        return AugmentationParameters(*(None if each is None else each[places] for each in self))  # type: ignore[arg-type]


def sample_parameters(
    image_ids_N: Tensor, *, augmentation: Augmentation, seed: int, epoch: int
) -> AugmentationParameters:
    """Sample how images are varied: an epoch at once costs a small part of what it costs batch by batch.

    `image_ids_N` (int64, not empty) are the images' row numbers in their data set, not in the batch.
    """
    a = augmentation
    has_geometry = any((a.rotation_degrees, a.shift, a.log_scale, a.shear_degrees, a.crop, a.flip_probability))
    has_colour = any((a.brightness, a.contrast, a.saturation, a.hue_degrees, a.grayscale_probability))
    parts = []
    for ids_N in torch.split(image_ids_N, CHUNK_SIZE):
        values_ND = _scale(uniform_numbers(ids_N, seed=seed, epoch=epoch, num_columns=NUM_COLUMNS), augmentation)
        colour = colour_matrices(values_ND) if has_colour else (None, None)
        parts.append((ids_N, affine_maps(values_ND) if has_geometry else None, *colour))
    merged = (None if each[0] is None else torch.cat(each) for each in zip(*parts, strict=True))
    return AugmentationParameters(*merged)  # type: ignore[arg-type]


def augment_batch(images_NHWC: Tensor, parameters: AugmentationParameters, *, normalisation: str) -> Tensor:
    """Vary and normalise uint8 images; float32 images_NCHW in channels-last layout, on the images' device."""
    image_ids_N, maps_N23, matrices_N33, grey_shares_N = parameters
    assert image_ids_N.shape == images_NHWC.shape[:1], (image_ids_N.shape, images_NHWC.shape)
    if maps_N23 is None and matrices_N33 is None:
        return prepare_batch(images_NHWC, normalisation=normalisation)
    # Two buffers take turns: fresh memory for each step would cost more than the arithmetic.
    spare_NHWC = _as_float(images_NHWC)
    images_NCHW = spare_NHWC.permute(0, 3, 1, 2)
    if maps_N23 is not None:
        images_NCHW = _resample(images_NCHW, maps_N23)
    images_NCHW = images_NCHW.contiguous()
    if matrices_N33 is not None and grey_shares_N is not None:
        out_NCHW = spare_NHWC.view_as(images_NCHW)
        varied_NCHW = _recolour(images_NCHW, matrices_N33, grey_shares_N, out_NCHW=out_NCHW)
        spare_NHWC = images_NCHW.view_as(spare_NHWC)
    else:
        varied_NCHW = images_NCHW.mul_(1 / 255)
    _normalise(varied_NCHW, normalisation)
    return spare_NHWC.copy_(varied_NCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def prepare_batch(images_NHWC: Tensor, *, normalisation: str) -> Tensor:
    """Normalise uint8 images without varying them; float32 images_NCHW in channels-last layout."""
    return _normalise(_as_float(images_NHWC).mul_(1 / 255), normalisation).permute(0, 3, 1, 2)


def _as_float(images_NHWC: Tensor) -> Tensor:
    _, height, width, num_channels = images_NHWC.shape
    assert images_NHWC.dtype == torch.uint8 and height == width and num_channels == 3, images_NHWC.shape
    return images_NHWC.to(torch.float32, memory_format=torch.contiguous_format)


# -- random numbers ---------------------------------------------------------------------------------------------------


def _scale(numbers_ND: Tensor, augmentation: Augmentation) -> Tensor:
    """Scale the numbers to each column's range; angles in radians, the last two are 1 for "stays as it is".

    In double precision where the device has it: rounding once, at the end, hides how sines were vectorised.
    """
    starts_D, spans_D = _ranges(augmentation, numbers_ND.device)
    values_ND = torch.addcmul(starts_D, numbers_ND.to(spans_D.dtype), spans_D)
    values_ND[:, GRAYSCALE:] = values_ND[:, GRAYSCALE:] >= 0
    return values_ND


_LIMITS = {"log_scale": 3.0, "shear_degrees": 80.0}
_LIMITS |= dict.fromkeys(("shift", "crop", "grayscale_probability", "flip_probability"), 1.0)


@lru_cache(maxsize=64)
def _ranges(augmentation: Augmentation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Start and width of each column's range; cached, because a copy to the device waits for it.

    A ValueError for a range that would turn a picture inside out, or lose it.
    """
    a = augmentation
    for name, value in vars(a).items():
        limit = _LIMITS.get(name, 180.0)
        if not 0 <= value <= limit:
            raise ValueError(f"{name}={value!r} is out of range: it must lie between 0 and {limit}; change it")
    angles = (math.radians(degrees) for degrees in (a.rotation_degrees, a.shear_degrees, a.hue_degrees))
    half_widths = (*angles, a.brightness, a.contrast, a.saturation, a.log_scale, 2 * a.shift, 2 * a.shift, 1.0, 1.0)
    starts = (*(-half for half in half_widths), 0.0, -a.grayscale_probability, -a.flip_probability)
    spans = (*(2 * half for half in half_widths), a.crop, 1.0, 1.0)
    return _constant(starts, device), _constant(spans, device)


@lru_cache(maxsize=64)
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    dtype = torch.float32 if device.type == "mps" else torch.float64
    return torch.tensor(values, dtype=dtype, device=device)


def uniform_numbers(image_ids_N: Tensor, *, seed: int, epoch: int, num_columns: int) -> Tensor:
    """Return float32 numbers ND, uniform on [0, 1), that depend on seed, epoch, image id and column only.

    Multiples of 2**-24, exact on every device; column d is the same for every `num_columns` above d.
    """
    assert num_columns <= _MAX_COLUMNS, num_columns
    key = _mix_int(_mix_int(seed) + epoch)
    columns_D = torch.arange(num_columns, device=image_ids_N.device)
    counters_ND = (image_ids_N * _MAX_COLUMNS)[:, None] + columns_D
    bits_ND = _mix_(counters_ND.mul_(_GAMMA).add_(key))
    return _shift_right(bits_ND, 40).to(torch.float32).mul_(2.0**-24)


def _signed(word: int) -> int:
    return (word + 2**63) % 2**64 - 2**63


_GAMMA = _signed(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, made odd: consecutive counters lie far apart
_FACTOR_1 = _signed(0xBF58476D1CE4E5B9)
_FACTOR_2 = _signed(0x94D049BB133111EB)
_MAX_COLUMNS = 64


def _shift_right(words: Tensor, num_bits: int) -> Tensor:
    """Shift int64 words right with zeros coming in; torch's own shift repeats the sign bit."""
    return (words >> num_bits).bitwise_and_((1 << (64 - num_bits)) - 1)


def _mix_(words: Tensor) -> Tensor:
    """Scramble int64 words in place, one to one; products wrap around at 64 bits."""
    words.bitwise_xor_(_shift_right(words, 30)).mul_(_FACTOR_1)
    words.bitwise_xor_(_shift_right(words, 27)).mul_(_FACTOR_2)
    return words.bitwise_xor_(_shift_right(words, 31))


def _mix_int(word: int) -> int:
    """The same of one number, after a step of the counter."""
    return int(_mix_(torch.tensor([_signed(word + _GAMMA)])))


# -- geometry ---------------------------------------------------------------------------------------------------------


def affine_maps(values_ND: Tensor) -> Tensor:
    """Compose each image's map N23 from a place in the output to the place in the input that is seen there.

    Places are (x, y) in [-1, 1] over the frame, y pointing down. Positive values move the picture right and down,
    enlarge it, push its lower half left and turn it counter-clockwise.
    """
    rotation_N, shear_N, _, _, _, _, log_scale_N, *_, crop_N, _, is_unflipped_N = values_ND.unbind(1)
    shrink_N = (1.0 - crop_N) * log_scale_N.neg().exp_()
    cos_N, sin_N = rotation_N.cos().mul_(shrink_N), rotation_N.sin().mul_(shrink_N)
    slant_N = shear_N.tan()
    offsets_N2 = values_ND[:, CROP_X : CROP_Y + 1] * crop_N[:, None] - values_ND[:, SHIFT_X : SHIFT_Y + 1]
    x_N, y_N = offsets_N2.unbind(1)
    side_N = 2 * is_unflipped_N - 1
    rows = (cos_N * side_N, cos_N * slant_N - sin_N, x_N, sin_N * side_N, sin_N * slant_N + cos_N, y_N)
    return torch.stack(rows, 1).view(-1, 2, 3).to(torch.float32)


def _resample(images_NCHW: Tensor, maps_N23: Tensor) -> Tensor:
    """Look the output's pixels up in the images, bilinearly; the border is repeated outside.

    The grid is two outer sums kept as planes: several times faster than `F.affine_grid` or a batched product.
    """
    size = images_NCHW.shape[2]
    ticks_S = torch.arange(1 - size, size, 2, device=images_NCHW.device) / size
    across_N2S = maps_N23[:, :, 0, None] * ticks_S
    down_N2S = maps_N23[:, :, 1, None] * ticks_S + maps_N23[:, :, 2, None]
    grid_NHW2 = (across_N2S[:, :, None, :] + down_N2S[:, :, :, None]).permute(0, 2, 3, 1)
    return F.grid_sample(images_NCHW, grid_NHW2, mode="bilinear", padding_mode="border", align_corners=False)


# -- colour -----------------------------------------------------------------------------------------------------------

_ROOT = math.sqrt(1 / 3)
_COLOUR_PARTS = (
    *(1, 0, 0, 0, 1, 0, 0, 0, 1),
    *(0, -_ROOT, _ROOT, _ROOT, 0, -_ROOT, -_ROOT, _ROOT, 0),
    *(1 / 3,) * 9,
    *GREY_WEIGHTS * 3,
)
"""Four 3x3 matrices: itself, a quarter turn about the grey axis, onto the grey axis at right angles, and grey."""


def colour_matrices(values_ND: Tensor) -> tuple[Tensor, Tensor]:
    """Compose each image's matrix N33 over RGB, and the share N of its mean grey to add to every channel.

    Hue is Rodrigues' rotation about (1, 1, 1), red towards green; no factor lets grey leave the grey axis, so that
    contrast needs one offset per image. Factors below zero, which would invert the picture, count as zero.
    """
    hue_N, is_coloured_N = values_ND[:, HUE], values_ND[:, GRAYSCALE]
    factors_N3 = (values_ND[:, BRIGHTNESS : SATURATION + 1] + 1.0).clamp_(min=0)
    brightness_N, contrast_N, saturation_N = factors_N3.unbind(1)
    gain_N = brightness_N * contrast_N
    colour_N = gain_N * saturation_N * is_coloured_N
    cos_N = colour_N * hue_N.cos()
    shares_N4 = torch.stack((cos_N, colour_N * hue_N.sin(), colour_N - cos_N, gain_N - colour_N), 1)
    matrices_N9 = shares_N4 @ _constant(_COLOUR_PARTS, hue_N.device).view(4, 9)
    return matrices_N9.view(-1, 3, 3).to(torch.float32), (brightness_N - gain_N).to(torch.float32)


def _recolour(images_NCHW: Tensor, matrices_N33: Tensor, grey_shares_N: Tensor, *, out_NCHW: Tensor) -> Tensor:
    """Apply the matrices to images in [0, 255], add their share of grey, scale and clip to [0, 1]."""
    red_NCC11, green_NCC11, blue_NCC11 = (matrices_N33 * (1 / 255))[..., None, None].unbind(2)
    torch.mul(images_NCHW[:, 0:1], red_NCC11, out=out_NCHW)
    out_NCHW.addcmul_(images_NCHW[:, 1:2], green_NCC11)
    out_NCHW.addcmul_(images_NCHW[:, 2:3], blue_NCC11)
    offsets_N = _mean_grey(images_NCHW).mul_(1 / 255).mul_(grey_shares_N)
    return out_NCHW.add_(offsets_N[:, None, None, None]).clamp_(0, 1)


def _mean_grey(images_NCHW: Tensor) -> Tensor:
    red_N, green_N, blue_N = images_NCHW.flatten(2).mean(2).unbind(1)
    return red_N * GREY_WEIGHTS[0] + green_N * GREY_WEIGHTS[1] + blue_N * GREY_WEIGHTS[2]


# -- normalisation ----------------------------------------------------------------------------------------------------


def _normalise(images: Tensor, normalisation: str) -> Tensor:
    """Normalise contiguous float images in [0, 1], in place; the order of their axes after the first is free."""
    if normalisation == "fixed":
        return images.sub_(0.5).mul_(1 / 0.25)
    if normalisation != "per-image":
        raise ValueError(f"normalisation={normalisation!r} is not known: choose one of {', '.join(NORMALISATIONS)}")
    # Sums run over parts first: torch would split one long row over the threads, and round differently.
    parts_NRP = images.flatten(2)
    num_values = math.prod(images.shape[1:])
    parts_NRP.sub_(parts_NRP.sum(2).sum(1).mul_(1 / num_values)[:, None, None])
    lengths_N = torch.linalg.vector_norm(torch.linalg.vector_norm(parts_NRP, dim=2), dim=1)
    deviations_N = lengths_N.mul_(num_values**-0.5).clamp_(min=DEVIATION_FLOOR)
    parts_NRP.mul_(deviations_N.reciprocal_()[:, None, None])
    return images
