"""LeNet-5: its layers, its count, and what it does with larger images."""

import pytest
import torch
from torch import nn

from roadtest.networks.lenet import LeNet5
from roadtest.training.profile import count_macs, count_parameters


def test_lenet_has_the_parameters_of_its_layers() -> None:
    # 6 (75+1) + 16 (150+1) + 120 (400+1) + 2*120 + 84 (120+1) + 2*84 + 43 (84+1)
    #   = 456 + 2416 + 48120 + 240 + 10164 + 168 + 3655
    assert count_parameters(LeNet5(43)) == 65_219


def test_lenet_costs_the_operations_of_its_convolutions() -> None:
    # 28*28*6*75 + 10*10*16*150 + 120*400 + 84*120 + 43*84 = 352800 + 240000 + 48000 + 10080 + 3612
    assert count_macs(LeNet5(43), 32) == 654_492


def test_at_32_pixels_the_last_map_is_one_pixel() -> None:
    images_NCHW = torch.randn(2, 3, 32, 32)
    network = LeNet5(10).eval()
    with torch.no_grad():
        maps_NKhw = network.layers(images_NCHW)
        assert maps_NKhw.shape == (2, 10, 1, 1)
        torch.testing.assert_close(network(images_NCHW), maps_NKhw[:, :, 0, 0], rtol=0, atol=0)


@pytest.mark.parametrize("size", [32, 48])
@pytest.mark.parametrize("is_bfloat16", [False, True])
def test_the_faster_way_of_training_gives_the_plain_layers_outputs_and_gradients(size: int, is_bfloat16: bool) -> None:
    torch.manual_seed(0)
    images_NCHW = torch.randn(16, 3, size, size).contiguous(memory_format=torch.channels_last)
    network = LeNet5(10).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=is_bfloat16):
        plain_NK = network.layers(images_NCHW).mean((2, 3))
        fast_NK = network(images_NCHW)
    rounding = 0.03 if is_bfloat16 else 1e-5
    torch.testing.assert_close(fast_NK, plain_NK, rtol=rounding, atol=rounding)
    parameters = list(network.parameters())
    plain, fast = (
        torch.cat(
            [gradient.flatten() for gradient in torch.autograd.grad(logits_NK.float().square().sum(), parameters)]
        )
        for logits_NK in (plain_NK, fast_NK)
    )
    assert (fast - plain).norm() <= rounding * plain.norm()


def test_larger_images_average_the_last_map() -> None:
    images_NCHW = torch.randn(2, 3, 48, 48)
    network = LeNet5(10).eval()
    maps_NKhw = network.layers(images_NCHW)  # 48 -> 44 -> 22 -> 18 -> 9 -> 5
    assert maps_NKhw.shape == (2, 10, 5, 5)
    torch.testing.assert_close(network(images_NCHW), maps_NKhw.flatten(2).sum(2) / 25)


def test_pooling_before_the_relu_changes_neither_values_nor_gradients() -> None:
    maps_NCHW = torch.randn(4, 6, 28, 28, generator=torch.Generator().manual_seed(0))
    before, after = maps_NCHW.clone().requires_grad_(), maps_NCHW.clone().requires_grad_()
    weights = torch.randn(4, 6, 14, 14)
    pool, relu = nn.MaxPool2d(2), nn.ReLU()
    for maps, result in ((before, relu(pool(before))), (after, pool(relu(after)))):
        (result * weights).sum().backward()
        assert maps.grad is not None
    torch.testing.assert_close(relu(pool(before)), pool(relu(after)), rtol=0, atol=0)
    torch.testing.assert_close(before.grad, after.grad, rtol=0, atol=0)


def test_both_inner_layers_are_normalised_and_no_others() -> None:
    widths = [layer.num_features for layer in LeNet5(43).layers if isinstance(layer, nn.BatchNorm2d)]
    assert widths == [120, 84]
