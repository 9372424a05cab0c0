"""The door of torchvision and timm: they take seconds to import, so they are imported inside the functions here.

The built-in networks that are made of torchvision's blocks, and any other of the two libraries by name. Every builder
takes the number of classes and the side of the square RGB images in pixels, and draws from torch's global generator.
Neither library ever fetches weights: pretrained ones are read in pretrained.py and handed over here.

VGG-16: K. Simonyan, A. Zisserman, 2014, https://arxiv.org/abs/1409.1556 (configuration D, with batch norm).
ResNet-34: K. He, X. Zhang, S. Ren, J. Sun, 2015, https://arxiv.org/abs/1512.03385 (table 1; section 4.2: 32 px).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, nn

Builder = Callable[[int, int], "nn.Module"]


def build_vgg16(num_classes: int, image_size: int) -> "nn.Module":
    """VGG-16 with batch norm and its 4096-4096 head (torchvision's vgg16_bn)."""
    from torchvision.models import vgg16_bn

    from roadtest.networks.vgg import FoldedVGG

    vgg = vgg16_bn(weights=None, num_classes=num_classes)
    return FoldedVGG(vgg.features, vgg.avgpool, vgg.classifier)


def build_resnet34(num_classes: int, image_size: int) -> "nn.Module":
    """ResNet-34 with a stem for small images: 3 x 3, stride 2, no max pool."""
    return _resnet34_with_small_stem(num_classes, stride=2)


def build_resnet34_s1(num_classes: int, image_size: int) -> "nn.Module":
    """ResNet-34 with He's own stem for 32 x 32: 3 x 3, stride 1, no max pool."""
    return _resnet34_with_small_stem(num_classes, stride=1)


def build_resnet34_imagenet(num_classes: int, image_size: int) -> "nn.Module":
    """ResNet-34 with ImageNet's stem: 7 x 7, stride 2, and max pool."""
    from torchvision.models import resnet34

    network: nn.Module = resnet34(weights=None, num_classes=num_classes)
    return network


def _resnet34_with_small_stem(num_classes: int, stride: int) -> "nn.Module":
    from torch import nn

    network = build_resnet34_imagenet(num_classes, 0)
    stem = nn.Conv2d(3, 64, 3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")  # as torchvision starts the others
    network.conv1 = stem
    network.maxpool = nn.Identity()
    return network


def build_from_timm(
    name: str, num_classes: int, image_size: int, weights: "Mapping[str, Tensor] | None" = None
) -> "nn.Module":
    """Build timm's network `name`; transformers are told the image size, which convolutions do not need.

    Given `weights`, published for that name, the network starts from them, all but its classifier.
    """
    import timm

    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    options: dict[str, Any] = {"img_size": image_size} if config is not None and config.fixed_input_size else {}
    if weights is not None:
        # Handed over as tensors: timm fetches nothing, opens nothing, and fits them to classes and image size.
        options["pretrained_cfg_overlay"] = {"state_dict": dict(weights), "custom_load": False}
    network: nn.Module = timm.create_model(name, pretrained=weights is not None, num_classes=num_classes, **options)
    if isinstance(kept := getattr(network, "pretrained_cfg", None), dict):
        kept.pop("state_dict", None)  # it would hold all weights a second time
    return network


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where timm's pretrained weights of a network are published, and what images they expect."""

    hub_id: str
    """`timm/resnet18.a1_in1k`, perhaps with `@revision`."""
    filename: str
    mean_C: tuple[float, ...]
    deviation_C: tuple[float, ...]
    """Of RGB values between 0 and 1."""


def published_by_timm(name: str) -> Published | None:
    """Where the pretrained weights of timm's network `name` are; None where timm publishes none on its hub."""
    import timm

    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:  # an unknown tag
        return None
    if config is None or not config.hf_hub_id or len(config.mean) != 3:
        return None
    return Published(
        hub_id=config.hf_hub_id,
        filename=config.hf_hub_filename or "model.safetensors",  # what timm calls them on its hub
        mean_C=tuple(map(float, config.mean)),
        deviation_C=tuple(map(float, config.std)),
    )


def build_from_torchvision(name: str, num_classes: int, image_size: int) -> "nn.Module":
    """Build torchvision's classifier `name`, without auxiliary outputs."""
    from torchvision.models import get_model

    options: dict[str, Any] = {}
    if name.startswith("vit_"):
        options["image_size"] = image_size
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": True}
    network: nn.Module = get_model(name, weights=None, num_classes=num_classes, **options)
    return network


@cache
def _names_in_timm() -> tuple[str, ...]:
    import timm

    return tuple(sorted(timm.list_models()))


@cache
def _names_in_torchvision() -> tuple[str, ...]:
    import torchvision

    return tuple(sorted(torchvision.models.list_models(module=torchvision.models)))


class Library(NamedTuple):
    """What `timm:` or `torchvision:` means."""

    names: Callable[[], tuple[str, ...]]
    """All networks that it can build, sorted."""
    build: Callable[[str, int, int], "nn.Module"]


LIBRARIES = {
    "timm": Library(_names_in_timm, build_from_timm),
    "torchvision": Library(_names_in_torchvision, build_from_torchvision),
}
