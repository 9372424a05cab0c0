"""The networks by name: a literal dict of the built-in ones, and how the others and their variants are written.

    lenet5                              built in
    timm:resnet18  torchvision:resnet18 a library's
    path/file.py:build                  a function in the user's file
    torchvision:resnet18@small          a library's, with a stem for small images
    timm:resnet18+pretrained            timm's, starting from pretrained weights
    timm:resnet18@small+pretrained+stn  all of it: the stem, then the weights, then the spatial transformer in front

All but `+stn` is part of a network's name: tables keep their two columns, `network` and `has_stn`. Names only: torch
comes with the first network that is built.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roadtest.networks import user_file, zoo
from roadtest.protocol import ORIGINAL_STEM as ORIGINAL_STEM
from roadtest.protocol import STEMS as STEMS

if TYPE_CHECKING:
    from torch import nn


def build_lenet5(num_classes: int, image_size: int) -> "nn.Module":
    """LeNet-5 as five convolutions, with batch norm on the two inner layers."""
    from roadtest.networks.lenet import LeNet5

    return LeNet5(num_classes)


NETWORKS: dict[str, zoo.Builder] = {
    "lenet5": build_lenet5,
    "vgg16": zoo.build_vgg16,
    "resnet34": zoo.build_resnet34,
    "resnet34-s1": zoo.build_resnet34_s1,
    "resnet34-imagenet": zoo.build_resnet34_imagenet,
}
"""Name -> builder(num_classes, image_size)."""
COMPARED_WITH_STN = ("lenet5", "vgg16", "resnet34")
"""Networks that are trained both with and without a spatial transformer unless the user says otherwise."""
STN_SUFFIX, PRETRAINED_SUFFIX, STEM_SIGN = "+stn", "+pretrained", "@"


@dataclass(frozen=True, kw_only=True)
class ModelName:
    """A network's name, taken apart."""

    name: str
    """`lenet5`, `timm:resnet18`, `file.py:build`."""
    stem: str | None = None
    """One of STEMS; None is the network's own."""
    is_pretrained: bool = False

    def __str__(self) -> str:
        stem = f"{STEM_SIGN}{self.stem}" if self.stem is not None else ""
        return f"{self.name}{stem}{PRETRAINED_SUFFIX * self.is_pretrained}"

    @property
    def origin(self) -> str | None:
        """`timm`, `torchvision`, or None for built-in and user-defined networks."""
        library = self.name.partition(":")[0]
        return library if library in zoo.LIBRARIES and not user_file.is_user_defined(self.name) else None

    @property
    def inner(self) -> str:
        """The name within the library."""
        return self.name.partition(":")[2]

    @property
    def has_new_stem(self) -> bool:
        """Whether the network gets a stem that is not its own."""
        return self.stem not in (None, ORIGINAL_STEM)


def parse_network(network: str) -> ModelName:
    """Take `timm:resnet18@small+pretrained` apart; an unknown stem stays part of the name."""
    name = network.removesuffix(PRETRAINED_SUFFIX)
    model = ModelName(name=name, is_pretrained=name != network)
    bare, _, stem = name.rpartition(STEM_SIGN)
    return replace(model, name=bare, stem=stem) if bare and stem in STEMS else model


def parse_label(label: str) -> tuple[str, bool | None]:
    """Split `lenet5+stn` into the network and True; None where the label says nothing about the STN."""
    return (label.removesuffix(STN_SUFFIX), True) if label.endswith(STN_SUFFIX) else (label, None)


def default_stn(network: str) -> str:
    """What `--stn` is by default: `both` for the networks the comparison is about, `off` for others."""
    return "both" if network in COMPARED_WITH_STN else "off"


def describe_network(network: str) -> str:
    """One line about a network, for a table."""
    model = parse_network(network)
    if network in NETWORKS:
        return (NETWORKS[network].__doc__ or "").splitlines()[0]
    if user_file.is_user_defined(network):
        return "from your file"
    stem = {"small": ", stem 3 x 3, stride 2", "small-s1": ", stem 3 x 3, stride 1"}.get(str(model.stem), "")
    return f"from {model.name.partition(':')[0]}{stem}" + ", starting from pretrained weights" * model.is_pretrained
