"""Convolutions on maps of one or two pixels: the same layer, computed as a matrix product."""

import pytest
import torch
from torch import nn

from roadtest.networks.build import build_network
from roadtest.networks.small_maps import SmallMapConv2d, speed_up_small_maps


def both(conv: nn.Conv2d) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The convolution, and the same one that may be computed as a linear layer."""
    fast = nn.Sequential(nn.Conv2d(conv.in_channels, conv.out_channels, 3, conv.stride, 1, bias=conv.bias is not None))
    fast[0].load_state_dict(conv.state_dict())
    speed_up_small_maps(fast)
    assert isinstance(fast[0], SmallMapConv2d)
    return conv, fast[0]


def gradients(conv: nn.Conv2d, maps_NCHW: torch.Tensor) -> list[torch.Tensor]:
    maps_NCHW = maps_NCHW.clone().requires_grad_()
    result = conv(maps_NCHW)
    # Every output counts differently, so that none can stand in for another.
    (result * torch.arange(result.numel()).view(result.shape).cos()).sum().backward()
    return [result.detach(), maps_NCHW.grad, *(parameter.grad for parameter in conv.parameters())]


@pytest.mark.slow
@pytest.mark.parametrize("sides", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (2, 3)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("has_bias", [False, True])
def test_values_and_gradients_are_those_of_the_convolution(sides: tuple[int, int], stride: int, has_bias: bool) -> None:
    torch.manual_seed(0)
    slow, fast = both(nn.Conv2d(5, 7, 3, stride, 1, bias=has_bias))
    maps_NCHW = torch.randn(4, 5, *sides).to(memory_format=torch.channels_last)
    for one, other in zip(gradients(slow, maps_NCHW), gradients(fast, maps_NCHW), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("maps_dtype", [torch.float32, torch.bfloat16])
def test_in_bfloat16_it_is_the_convolution_but_for_rounding(
    sides: tuple[int, int], stride: int, maps_dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    slow, fast = both(nn.Conv2d(5, 7, 3, stride, 1))
    maps_NCHW = torch.randn(4, 5, *sides).bfloat16().to(maps_dtype).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        theirs, ours = gradients(slow, maps_NCHW), gradients(fast, maps_NCHW)
    assert [each.dtype for each in ours] == [each.dtype for each in theirs]
    slow.zero_grad()
    # Compared with float32: of the library's own bfloat16 some weights' gradients are whatever lay in memory (AMX, a
    # stride of 2 on one pixel, torch 2.14.1). 8 bits go in and come out, sums are taken in float32.
    for exact, rounded in zip(gradients(slow, maps_NCHW.float()), ours, strict=True):
        assert (rounded.float() - exact).abs().max() <= 2**-6 * exact.abs().max()


def test_one_output_pixel_is_worked_out_by_hand() -> None:
    # On 1 x 1 the kernel's middle meets the pixel and the other eight weights meet padding: 3 * 5 = 15.
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.arange(-1.0, 8.0).view(1, 1, 3, 3))
    _, fast = both(conv)
    result = fast(torch.full((1, 1, 1, 1), 5.0))
    assert result.item() == 15.0
    result.sum().backward()
    assert fast.weight.grad.flatten().tolist() == [0, 0, 0, 0, 5.0, 0, 0, 0, 0]


def test_kinds_that_the_convolution_does_not_mix_are_not_mixed_here() -> None:
    _, fast = both(nn.Conv2d(3, 4, 3, padding=1))
    for dtype in (torch.float64, torch.bfloat16):
        with pytest.raises(RuntimeError):
            fast(torch.randn(2, 3, 2, 2).to(dtype))


def test_it_is_the_convolution_in_evaluation_and_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    _, fast = both(nn.Conv2d(3, 4, 3, padding=1))
    monkeypatch.setattr("roadtest.networks.small_maps._WholeMapConv", None)  # breaks whoever goes there
    maps_NCHW = torch.randn(2, 3, 2, 2)
    with torch.no_grad():
        fast(maps_NCHW)
    fast(torch.randn(2, 3, 3, 3))
    fast.double()(maps_NCHW.double())
    fast.float().eval()(maps_NCHW)
    with pytest.raises(AttributeError):
        fast.train()(maps_NCHW)
    with pytest.raises(AttributeError), torch.autocast("cpu", dtype=torch.bfloat16):
        fast(maps_NCHW)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 5, padding=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.ConvTranspose2d(4, 4, 3, padding=1),
    ],
)
def test_other_convolutions_are_left_alone(conv: nn.Module) -> None:
    kind = type(conv)
    speed_up_small_maps(nn.Sequential(conv))
    assert type(conv) is kind


def smooth_residual_network() -> nn.Module:
    """Without kinks: where a value lies near one, a rounding on its way there changes gradients by tenths."""
    network = build_network("resnet34-imagenet", num_classes=3, image_size=32, has_stn=False, seed=0)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Softplus())
            elif isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(3, 2, 1))
    return network


@pytest.mark.slow
def test_a_residual_network_keeps_its_weights_names_and_first_step() -> None:
    built, plain = smooth_residual_network(), smooth_residual_network()
    assert any(isinstance(module, SmallMapConv2d) for module in built.modules())
    for module in plain.modules():
        if isinstance(module, SmallMapConv2d):
            module.__class__ = nn.Conv2d
    assert list(built.state_dict()) == list(plain.state_dict())
    torch.manual_seed(0)
    images_NCHW = torch.randn(8, 3, 32, 32).to(memory_format=torch.channels_last)
    for network in (built, plain):
        network(images_NCHW).square().sum().backward()
    slow, fast = (dict(network.named_parameters()) for network in (plain, built))
    for name, parameter in slow.items():
        largest = parameter.grad.abs().max()
        assert (parameter.grad - fast[name].grad).abs().max() <= 1e-3 * largest, name
