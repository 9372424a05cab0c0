"""VGG-16's fold, ResNet-34's stems and shortcuts, and the networks of torchvision and timm."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from roadtest.networks import NETWORKS, build_network, build_on_meta
from roadtest.networks.shapes import output_shape
from roadtest.networks.vgg import FoldedVGG
from roadtest.training.profile import count_macs, count_parameters


class SmallVGG(nn.Module):
    """The shape of torchvision's VGG at a thousandth of its size: 16 pixels become a 1 x 1 map of 6 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(16))
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(nn.Linear(6 * 49, 8), nn.ReLU(), nn.Linear(8, 5))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        logits_NK: Tensor = self.classifier(self.avgpool(self.features(images_NCHW)).flatten(1))
        return logits_NK


@pytest.fixture
def unfolded_and_folded() -> tuple[SmallVGG, FoldedVGG]:
    torch.manual_seed(0)
    unfolded = SmallVGG().double()
    twin = copy.deepcopy(unfolded)
    return unfolded, FoldedVGG(twin.features, twin.avgpool, twin.classifier)


@pytest.mark.parametrize("image_size", [16, 32, 112])
def test_the_fold_changes_neither_logits_nor_gradients(
    unfolded_and_folded: tuple[SmallVGG, FoldedVGG], image_size: int
) -> None:
    unfolded, folded = unfolded_and_folded  # 16 pixels are folded; 32 (2 x 2) and 112 (7 x 7) must not be
    inputs = torch.randn(3, 3, image_size, image_size, dtype=torch.float64)
    gradients = []
    for network in (unfolded, folded):
        images_NCHW = inputs.clone().requires_grad_()
        logits_NK = network(images_NCHW)
        logits_NK.square().sum().backward()
        gradients.append([logits_NK, images_NCHW.grad, *(parameter.grad for parameter in network.parameters())])
    for expected, actual in zip(*gradients, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


def test_the_fold_really_skips_the_copies(unfolded_and_folded: tuple[SmallVGG, FoldedVGG]) -> None:
    folded = unfolded_and_folded[1]
    folded.avgpool = nn.Identity()  # type: ignore[assignment]  # makes the unfolded way impossible: 6 is not 294
    assert folded(torch.zeros(2, 3, 16, 16, dtype=torch.float64)).shape == (2, 5)


def test_the_folded_layer_counts_what_the_definition_says(
    unfolded_and_folded: tuple[SmallVGG, FoldedVGG],
) -> None:
    unfolded, folded = unfolded_and_folded
    # 16*16*6*27 + 294*8 + 8*5 = 41472 + 2352 + 40
    assert count_macs(folded, 16) == count_macs(unfolded, 16) == 43_864


def test_vgg16_has_torchvisions_names_and_shapes() -> None:
    with torch.device("meta"):
        theirs = torchvision.models.vgg16_bn(num_classes=43)
    ours = build_on_meta("vgg16", num_classes=43, image_size=32, has_stn=False)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.slow
def test_vgg16_starts_with_torchvisions_weights_and_gives_its_logits() -> None:
    ours = build_network("vgg16", num_classes=43, image_size=32, has_stn=False, seed=3).eval()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = torchvision.models.vgg16_bn(num_classes=43).eval()
    assert all(torch.equal(ours.state_dict()[name], tensor) for name, tensor in theirs.state_dict().items())
    images_NCHW = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(images_NCHW), theirs(images_NCHW), rtol=1e-4, atol=1e-5)


@cache
def counts_of(name: str, has_stn: bool) -> tuple[int, int]:
    """Parameters, and MACs at 32 pixels with 43 classes."""
    network = build_on_meta(name, num_classes=43, image_size=32, has_stn=has_stn)
    return count_parameters(network), count_macs(network, 32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "num_parameters", "macs"),
    [
        ("lenet5", 65_219, 654_492),
        ("vgg16", 134_445_163, 432_910_336),
        ("resnet34", 21_299_051, 289_871_360),
        ("resnet34-s1", 21_299_051, 1_159_419_392),
        ("resnet34-imagenet", 21_306_731, 74_782_208),
    ],
)
@pytest.mark.parametrize("has_stn", [False, True])
def test_the_counts_are_those_of_the_design(name: str, num_parameters: int, macs: int, has_stn: bool) -> None:
    # The STN's layers 962,288, its grid 6,144, its sampling 12,288.
    assert counts_of(name, has_stn) == (num_parameters + 8_544 * has_stn, macs + 980_720 * has_stn)


def test_the_documentation_shows_the_numbers_that_are_counted() -> None:
    page = (Path(__file__).parents[1] / "docs" / "networks.md").read_text(encoding="utf-8")
    for name in NETWORKS:
        counts = [f"{count:,}" for has_stn in (False, True) for count in counts_of(name, has_stn)]
        assert f"| `{name}` | {' | '.join(counts)} |" in page


def test_vgg16s_operations_add_up_by_hand() -> None:
    widths = [(32, 3, 64), (32, 64, 64), (16, 64, 128), (16, 128, 128), (8, 128, 256), (8, 256, 256), (8, 256, 256)]
    widths += [(4, 256, 512), (4, 512, 512), (4, 512, 512), (2, 512, 512), (2, 512, 512), (2, 512, 512)]
    convolutions = sum(side * side * fan_in * fan_out * 9 for side, fan_in, fan_out in widths)
    assert convolutions + 25_088 * 4096 + 4096 * 4096 + 4096 * 43 == 432_910_336


@pytest.mark.parametrize(
    ("name", "stem", "sides"),
    [
        ("resnet34", ((3, 3), (2, 2)), [16, 8, 4, 2]),
        ("resnet34-s1", ((3, 3), (1, 1)), [32, 16, 8, 4]),
        ("resnet34-imagenet", ((7, 7), (2, 2)), [8, 4, 2, 1]),
    ],
)
def test_the_stem_decides_how_large_the_maps_are(name: str, stem: Any, sides: list[int]) -> None:
    network: Any = build_on_meta(name, num_classes=43, image_size=32, has_stn=False)
    assert (network.conv1.kernel_size, network.conv1.stride) == stem
    seen: list[int] = []
    for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
        layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape[-1]))
    output_shape(network, 32)
    assert seen == sides


@pytest.mark.slow
def test_without_residual_branches_the_shortcuts_still_carry_image_and_gradient() -> None:
    # The student report's "ResNet" had no shortcuts: with its branches silenced it would answer every image alike.
    network: Any = build_network("resnet34", num_classes=43, image_size=32, has_stn=False, seed=0).eval()
    blocks = [block for layer in (network.layer1, network.layer2, network.layer3, network.layer4) for block in layer]
    assert len(blocks) == 3 + 4 + 6 + 3
    with torch.no_grad():
        for block in blocks:
            block.bn2.weight.zero_()
            block.bn2.bias.zero_()
    images_NCHW = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits_NK = network(images_NCHW)
    assert (logits_NK[0] - logits_NK[1]).abs().max() > 1e-3
    logits_NK[0].sum().backward()
    assert images_NCHW.grad is not None and images_NCHW.grad[0].abs().max() > 0


@pytest.mark.slow
def test_a_silenced_block_of_equal_widths_passes_its_input_on_unchanged() -> None:
    network: Any = build_network("resnet34", num_classes=43, image_size=32, has_stn=False, seed=0).eval()
    block = network.layer1[1]
    with torch.no_grad():
        block.bn2.weight.zero_()
        block.bn2.bias.zero_()
        maps_NCHW = torch.rand(1, 64, 16, 16)
        torch.testing.assert_close(block(maps_NCHW), maps_NCHW, rtol=0, atol=0)


def test_the_new_stem_starts_like_torchvisions_other_convolutions() -> None:
    network: Any = build_network("resnet34", num_classes=43, image_size=32, has_stn=False, seed=0)
    # He's initialisation over the outputs: deviation sqrt(2 / (64 * 9)) = 0.0589; 1,728 draws know it to 1.7 %.
    assert network.conv1.weight.std().item() == pytest.approx(0.0589, rel=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("image_size", [32, 48, 64])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_other_sizes_and_class_counts(name: str, image_size: int) -> None:
    network = build_on_meta(name, num_classes=7, image_size=image_size, has_stn=True)
    assert output_shape(network, image_size) == (2, 7)


@pytest.mark.slow
def test_networks_of_timm_and_torchvision_get_our_number_of_classes() -> None:
    for name in ("timm:mobilenetv3_small_050", "timm:vit_tiny_patch16_224", "torchvision:squeezenet1_1"):
        network = build_on_meta(name, num_classes=43, image_size=32, has_stn=False)
        assert output_shape(network, 32) == (2, 43)


@pytest.mark.slow
def test_torchvisions_auxiliary_outputs_are_left_out() -> None:
    network: Any = build_on_meta("torchvision:googlenet", num_classes=43, image_size=32, has_stn=False)
    assert isinstance(network.train()(torch.zeros(2, 3, 32, 32, device="meta")), Tensor)


@pytest.mark.slow
def test_a_network_that_needs_larger_images_says_which_size_it_takes() -> None:
    with pytest.raises(ValueError, match=r"'torchvision:alexnet' cannot classify 32 x 32 .* use --image-size 64"):
        build_network("torchvision:alexnet", num_classes=43, image_size=32, has_stn=False, seed=0)


def test_a_network_that_its_library_cannot_build_says_why() -> None:
    # A transformer of patches of 16 pixels cannot divide 40.
    with pytest.raises(ValueError, match=r"'torchvision:vit_b_16' .*40 x 40.*divisible.*--image-size"):
        build_network("torchvision:vit_b_16", num_classes=43, image_size=40, has_stn=False, seed=0)
