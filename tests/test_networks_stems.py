"""Stems for small images, the maps on their way, and what is said where they shrink too early."""

from typing import Any

import pytest
import torch
from torch import nn

from roadtest.networks import ModelName, build_network, build_on_meta, parse_network, resolve_networks
from roadtest.networks.advice import remark_on_maps
from roadtest.networks.shapes import output_shape, probe_network
from roadtest.networks.stems import put_stem


def on_paper(name: str, image_size: int = 32) -> nn.Module:
    return build_on_meta(name, num_classes=10, image_size=image_size, has_stn=False)


def sides(name: str, image_size: int = 32) -> list[int]:
    return list(probe_network(on_paper(name, image_size), image_size).sides)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("lenet5", [28, 14, 10, 5, 1]),
        ("vgg16", [16, 8, 4, 2, 1]),
        ("resnet34", [16, 8, 4, 2]),
        ("resnet34-s1", [16, 8, 4]),
        ("resnet34-imagenet", [16, 8, 4, 2, 1]),
        ("torchvision:resnet18", [16, 8, 4, 2, 1]),
        ("torchvision:resnet18@small", [16, 8, 4, 2]),
        ("torchvision:resnet18@small-s1", [16, 8, 4]),
        ("torchvision:resnet18@imagenet", [16, 8, 4, 2, 1]),
        ("torchvision:mobilenet_v3_small", [16, 8, 4, 2, 1]),  # its branches that look at the mean are no stages
        ("timm:mobilenetv3_small_050@small-s1", [16, 8, 4, 2]),
        ("timm:resnet18d@small", [16, 8, 4, 2]),  # a stem of three convolutions
        ("torchvision:squeezenet1_1@small", [15, 7, 3]),  # its first convolution has no border; ours neither changes it
        ("torchvision:shufflenet_v2_x0_5@small", [16, 8, 4, 2]),
    ],
)
def test_a_stem_decides_how_far_the_maps_shrink(name: str, wanted: list[int]) -> None:
    assert sides(name) == wanted


def test_the_stem_is_a_3x3_convolution_and_no_pool() -> None:
    network: Any = on_paper("torchvision:resnet18@small")
    assert (network.conv1.kernel_size, network.conv1.stride, network.conv1.padding) == ((3, 3), (2, 2), (1, 1))
    assert isinstance(network.maxpool, nn.Identity)
    assert output_shape(network, 32) == (2, 10)


@pytest.mark.slow
def test_our_resnet34_is_torchvisions_with_the_small_stem() -> None:
    ours, theirs = on_paper("resnet34"), on_paper("torchvision:resnet34@small")
    assert {name: tensor.shape for name, tensor in ours.state_dict().items()} == {
        name: tensor.shape for name, tensor in theirs.state_dict().items()
    }


def test_a_stems_weights_follow_the_seed() -> None:
    def first_weights(seed: int) -> torch.Tensor:
        network: Any = build_network(
            "torchvision:squeezenet1_1@small", num_classes=10, image_size=32, has_stn=False, seed=seed
        )
        weight: torch.Tensor = network.features[0].weight
        return weight

    assert torch.equal(first_weights(1), first_weights(1)) and not torch.equal(first_weights(1), first_weights(2))


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2)),  # as VGG: nothing shrinks before the first stage
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, stride=2)),
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)),  # made for one size
    ],
    ids=["stride 1", "a pool first", "one size"],
)
def test_who_has_no_stem_to_change_says_so(network: nn.Module) -> None:
    with pytest.raises(ValueError, match="has no stem that can be changed to small") as error:
        put_stem(network, ModelName(name="timm:toy", stem="small"))
    assert "\n" not in str(error.value)


def test_a_pool_that_is_used_again_later_stays() -> None:
    class Reusing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.pool = nn.Conv2d(3, 4, 7, stride=2, padding=3), nn.MaxPool2d(2)

        def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
            maps: torch.Tensor = self.pool(self.pool(self.first(images_NCHW)))
            return maps

    network = Reusing()
    put_stem(network, ModelName(name="timm:toy", stem="small-s1"))
    assert network.first.stride == (1, 1) and isinstance(network.pool, nn.MaxPool2d)


@pytest.mark.parametrize("word", ["lenet5@small", "resnet34*@small-s1"])
def test_ours_are_not_given_stems(word: str) -> None:
    with pytest.raises(ValueError, match=r"has no choice of stems: .* resnet34-s1"):
        resolve_networks([word])


def test_an_unknown_stem_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"stem 'tiny' is not known: choose one of small, small-s1, imagenet"):
        resolve_networks(["torchvision:resnet18@tiny"])


def test_a_wildcard_carries_its_stem() -> None:
    found = resolve_networks(["torchvision:resnet1*@small+stn"])
    assert "torchvision:resnet18@small+stn" in found and all(name.endswith("@small+stn") for name in found)


def test_an_address_in_a_path_is_no_stem() -> None:
    assert parse_network("me@home/net.py:build").name == "me@home/net.py:build"


@pytest.mark.slow
def test_a_convolution_that_sees_one_pixel_is_counted_by_hand() -> None:
    # ResNet-18's last stage at 32 pixels: its first convolution goes from 2 x 2 to 1 x 1, three more see one pixel,
    # 512 x 512 x 9 weights each, of which 8 in 9 meet padding.
    probe = probe_network(on_paper("torchvision:resnet18"), 32)
    assert (probe.num_blind, probe.num_blind_weights) == (3, 3 * 512 * 512 * 8)
    assert not probe_network(on_paper("torchvision:resnet18", 64), 64).is_too_small


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("torchvision:resnet18", "--stem small (torchvision:resnet18@small) ends at 2 x 2"),
        ("timm:mobilenetv3_small_050", "--stem small-s1 (timm:mobilenetv3_small_050@small-s1) ends at 2 x 2"),
        ("resnet34-imagenet", "resnet34 does not"),
    ],
)
def test_what_helps_is_named_and_does_help(name: str, words: str) -> None:
    remark = remark_on_maps(name, on_paper(name), num_classes=10, image_size=32)
    assert remark is not None and remark.endswith(words) and "\n" not in remark


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "vgg16", "resnet34", "torchvision:resnet18@small"])
def test_nothing_is_said_of_maps_that_are_large_enough(name: str) -> None:
    assert remark_on_maps(name, on_paper(name), num_classes=10, image_size=32) is None


def test_looking_leaves_no_hook_behind() -> None:
    network = on_paper("torchvision:resnet18")
    probe_network(network, 32)
    assert not any(part._forward_hooks for part in network.modules())
