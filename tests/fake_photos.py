"""Small pictures and widths of augmentation for the tests of both halves of augment."""

from dataclasses import fields

import torch
from torch import Tensor

from roadtest.protocol import Augmentation
from roadtest.training.augment import augment_batch, sample_parameters

NOTHING = Augmentation(**{field.name: 0.0 for field in fields(Augmentation)})
LARGE = Augmentation(
    rotation_degrees=180.0,
    shift=0.5,
    log_scale=0.7,
    shear_degrees=45.0,
    crop=0.5,
    brightness=0.9,
    contrast=0.9,
    saturation=0.9,
    hue_degrees=120.0,
    grayscale_probability=0.5,
    flip_probability=0.5,
)
NAMES = [field.name for field in fields(Augmentation)]
SEED, EPOCH = 3, 5


def photos(num_images: int, size: int = 32, *, low: float = 0.0, high: float = 255.0) -> Tensor:
    """Smooth coloured pictures whose values reach from low to high."""
    generator = torch.Generator().manual_seed(num_images * 1000 + size)
    coarse = torch.rand(num_images, 3, 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=True)
    smooth -= smooth.amin((1, 2, 3), keepdim=True)
    smooth /= smooth.amax((1, 2, 3), keepdim=True)
    return (low + smooth * (high - low)).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def ids(num_images: int) -> Tensor:
    return torch.arange(num_images) * 7 + 100


def vary(images: Tensor, image_ids: Tensor, augmentation: Augmentation, normalisation: str = "fixed") -> Tensor:
    changes = sample_parameters(image_ids, augmentation=augmentation, seed=SEED, epoch=EPOCH)
    return augment_batch(images, changes, normalisation=normalisation)
