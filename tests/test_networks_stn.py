"""The spatial transformer: starts as the identity, moves what it should, keeps layout and precision."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.networks.stn import SpatialTransformer, WithSTN
from roadtest.training.profile import count_macs, count_parameters


def noise(num_images: int, image_size: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    images_NCHW = torch.randn(num_images, 3, image_size, image_size, generator=generator)
    return images_NCHW.contiguous(memory_format=torch.channels_last)


def with_theta(image_size: int, theta: list[float]) -> SpatialTransformer:
    """A transformer that applies one map to everything: its last layer's weight is zero, so the bias is theta."""
    stn = SpatialTransformer(image_size)
    with torch.no_grad():
        stn.theta.bias.copy_(torch.tensor(theta))
    return stn


def test_the_transformer_has_8544_parameters() -> None:
    # 8 (147+1) + 10 (200+1) + 32 (160+1) + 6 (32+1) = 1184 + 2010 + 5152 + 198
    assert count_parameters(SpatialTransformer(32)) == 8_544


def test_the_transformer_costs_its_layers_its_grid_and_its_sampling() -> None:
    layers = 26 * 26 * 8 * 147 + 9 * 9 * 10 * 200 + 160 * 32 + 32 * 6  # the design's 0.96 M
    grid = 32 * 32 * 2 * 3
    sampling = 32 * 32 * 3 * 4
    assert layers == 962_288
    assert count_macs(SpatialTransformer(32), 32) == layers + grid + sampling


@pytest.mark.parametrize("image_size", [18, 32, 33, 48, 96])
def test_it_starts_as_the_identity(image_size: int) -> None:
    images_NCHW = noise(3, image_size)
    # Coordinates are float32: their rounding, in pixels, grows with the number of pixels.
    tolerance = 1e-6 * image_size
    torch.testing.assert_close(SpatialTransformer(image_size)(images_NCHW), images_NCHW, rtol=0, atol=tolerance)


def test_at_32_pixels_the_identity_holds_to_a_hundred_thousandth() -> None:
    images_NCHW = torch.rand(8, 3, 32, 32)
    torch.testing.assert_close(SpatialTransformer(32)(images_NCHW), images_NCHW, rtol=0, atol=1e-5)


def test_it_can_learn_from_the_first_step() -> None:
    stn = SpatialTransformer(32)
    stn(noise(4, 32)).square().sum().backward()
    assert stn.theta.weight.grad is not None and stn.theta.weight.grad.abs().max() > 0


def test_a_shift_of_two_pixels_moves_the_image_and_leaves_zeros_behind() -> None:
    images_NCHW = noise(2, 32)
    # x' = x + 4/32: a coordinate of 2/32 is one pixel, so output column j shows input column j + 2.
    shifted = with_theta(32, [1, 0, 4 / 32, 0, 1, 0])(images_NCHW)
    torch.testing.assert_close(shifted[..., :30], images_NCHW[..., 2:], rtol=0, atol=1e-4)
    assert shifted[..., 30:].abs().max() < 1e-4


def test_a_vertical_shift_moves_rows() -> None:
    images_NCHW = noise(2, 32)
    shifted = with_theta(32, [1, 0, 0, 0, 1, 2 / 32])(images_NCHW)
    torch.testing.assert_close(shifted[:, :, :31], images_NCHW[:, :, 1:], rtol=0, atol=1e-4)


def test_a_half_turn_reverses_rows_and_columns() -> None:
    images_NCHW = noise(2, 32)
    turned = with_theta(32, [-1, 0, 0, 0, -1, 0])(images_NCHW)
    torch.testing.assert_close(turned, images_NCHW.flip(2, 3), rtol=0, atol=1e-4)


def test_every_image_gets_the_map_that_pytorch_would_give_it() -> None:
    stn = SpatialTransformer(20)
    nn.init.normal_(stn.theta.weight, std=0.3)
    images_NCHW = noise(5, 20)
    theta_N23 = stn.theta(stn.localisation(images_NCHW)).view(-1, 2, 3)
    assert theta_N23.std(0).min() > 0  # each image its own
    grid_NHW2 = F.affine_grid(theta_N23, [5, 3, 20, 20], align_corners=False)
    expected = F.grid_sample(images_NCHW, grid_NHW2, align_corners=False)
    torch.testing.assert_close(stn(images_NCHW), expected, rtol=1e-4, atol=1e-4)


def test_the_warped_images_stay_channels_last() -> None:
    assert SpatialTransformer(32)(noise(2, 32)).is_contiguous(memory_format=torch.channels_last)


def test_under_bfloat16_the_sampling_stays_float32() -> None:
    # A turn by 10 degrees has entries that bfloat16 cannot hold: 0.98481 would become 0.98438, 0.17365 0.17383.
    cos, sin = math.cos(math.radians(10)), math.sin(math.radians(10))
    stn, images_NCHW = with_theta(64, [cos, -sin, 0.01234, sin, cos, -0.04321]), noise(2, 64)
    expected = stn(images_NCHW)
    with torch.autocast("cpu", torch.bfloat16):
        warped = stn(images_NCHW)
    assert warped.dtype == torch.float32
    torch.testing.assert_close(warped, expected, rtol=0, atol=1e-6)


def test_images_in_bfloat16_come_back_in_bfloat16() -> None:
    assert SpatialTransformer(32)(noise(2, 32)).dtype == torch.float32
    stn = SpatialTransformer(32).to(torch.bfloat16)
    images_NCHW = noise(2, 32).to(torch.bfloat16)
    warped = stn(images_NCHW)
    assert warped.dtype == torch.bfloat16
    torch.testing.assert_close(warped, images_NCHW, rtol=0, atol=0.05)


def test_the_grid_is_not_saved_with_the_weights() -> None:
    assert not [name for name in SpatialTransformer(32).state_dict() if "grid" in name]


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(AssertionError):
        SpatialTransformer(32)(noise(1, 40))


def test_a_wrapped_network_sees_the_transformed_images() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))
    wrapped, images_NCHW = WithSTN(with_theta(32, [0.8, 0.1, 0.2, -0.1, 0.9, 0]), network), noise(2, 32)
    assert (wrapped.transform(images_NCHW) - images_NCHW).abs().max() > 0.1
    torch.testing.assert_close(wrapped(images_NCHW), network(wrapped.transform(images_NCHW)), rtol=0, atol=0)
    assert wrapped.network is network
