"""The networks: a literal dict of the comparison's own, and any other by `timm:`, `torchvision:` or `file.py:build`.

Building is seeded: one seed gives one set of initial weights, whatever else was drawn before, and the same weights for
the network with and without a spatial transformer in front, so that the two are compared as a pair. Importing this
package is light; torch comes with the first network that is built, torchvision and timm with the first of theirs.
docs/networks.md has sources, deviations and counts.
"""

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from roadtest.networks import own, zoo

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "NETWORKS",
    "build_network",
    "build_on_paper",
    "default_stn",
    "describe_network",
    "parse_label",
    "resolve_networks",
]


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

STN_SUFFIX = "+stn"
_USUAL_SIZES = (24, 28, 32, 48, 64, 96, 128, 224, 256)


def build_network(name: str, *, num_classes: int, image_size: int, has_stn: bool, seed: int) -> "nn.Module":
    """Build a network with the seed's initial weights, channels-last, on the CPU; global generators stay untouched."""
    import torch

    with torch.device("cpu"):
        network = _seeded(seed, lambda: _build_bare(name, num_classes, image_size))
        if has_stn:
            # Drawn from a seed of its own: the network behind starts from the same weights with and without it.
            network = _seeded(seed + (1 << 32), lambda: _put_stn_before(network, image_size))
    _check_fit(network, name, num_classes, image_size)
    return network.to(memory_format=torch.channels_last)


def build_on_paper(name: str, *, num_classes: int, image_size: int, has_stn: bool) -> "nn.Module":
    """Build a network without contents, on the meta device, to be counted; a few milliseconds for any size."""
    try:
        network = _hollow(name, num_classes, image_size, has_stn)
        if _misfit(network, num_classes, image_size) is None:
            return network
    except Exception:
        pass
    # Some networks look at values while they are built or run; and an error is told as training would meet it.
    return build_network(name, num_classes=num_classes, image_size=image_size, has_stn=has_stn, seed=0)


def resolve_networks(words: Sequence[str]) -> list[str]:
    """Turn names, lists with commas and wildcards into labels such as `lenet5+stn`, each once, in the order given."""
    labels = [label for word in words for part in word.split(",") if part.strip() for label in _matches(part.strip())]
    if not labels:
        raise ValueError(f"no network is named: choose from {_all_names()}; or leave the option away")
    return list(dict.fromkeys(labels))


def parse_label(label: str) -> tuple[str, bool | None]:
    """Split `lenet5+stn` into the network and True; None where the label says nothing about the STN."""
    return (label.removesuffix(STN_SUFFIX), True) if label.endswith(STN_SUFFIX) else (label, None)


def default_stn(name: str) -> str:
    """What `--stn` is where nobody says: `both` for the networks the comparison is about, `off` for others."""
    return "both" if name in COMPARED_WITH_STN else "off"


def describe_network(name: str) -> str:
    """One line about a network, for a table."""
    if name in NETWORKS:
        return (NETWORKS[name].__doc__ or "").splitlines()[0]
    return "from your file" if own.is_own(name) else f"from {name.partition(':')[0]}"


def _seeded(seed: int, build: Callable[[], "nn.Module"]) -> "nn.Module":
    import torch

    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the accelerators' generators as well.
        torch.default_generator.manual_seed(seed)
        return build()


def _build_bare(name: str, num_classes: int, image_size: int) -> "nn.Module":
    if name in NETWORKS:
        return NETWORKS[name](num_classes, image_size)
    if own.is_own(name):
        return own.build_own(name, num_classes, image_size)
    _check_known(name)
    library, _, inner = name.partition(":")
    try:
        return zoo.LIBRARIES[library][1](inner, num_classes, image_size)
    except Exception as error:
        raise ValueError(
            f"network {name!r} cannot be built for {image_size} x {image_size} images ({own.first_line(error)}): "
            "use another --image-size or leave it out"
        ) from error


def _put_stn_before(network: "nn.Module", image_size: int) -> "nn.Module":
    from roadtest.networks.stn import SpatialTransformer, WithSTN

    return WithSTN(SpatialTransformer(image_size), network)


def _hollow(name: str, num_classes: int, image_size: int, has_stn: bool) -> "nn.Module":
    import torch

    with torch.device("meta"):
        network = _build_bare(name, num_classes, image_size)
        return _put_stn_before(network, image_size) if has_stn else network


def _check_fit(network: "nn.Module", name: str, num_classes: int, image_size: int) -> None:
    """Refuse a network that cannot classify images of this size, and name a size that it can."""
    reason = _misfit(network, num_classes, image_size)
    if reason is None:
        return
    from roadtest.networks.stn import WithSTN

    has_stn = isinstance(network, WithSTN)
    fitting = _fitting_size(name, num_classes, has_stn)
    raise ValueError(
        f"network {name + STN_SUFFIX * has_stn!r} cannot classify {image_size} x {image_size} images ({reason}): "
        + (f"use --image-size {fitting}" if fitting else "leave it out, or mend it if it is yours")
    )


def _misfit(network: "nn.Module", num_classes: int, image_size: int) -> str | None:
    """Why a network cannot classify images of this size; None where it can."""
    from roadtest.networks.shapes import output_shape

    try:
        shape = output_shape(network, image_size)
    except Exception as error:
        return own.first_line(error)
    return None if shape == (2, num_classes) else f"it gives {shape} for 2 images and {num_classes} classes"


def _fitting_size(name: str, num_classes: int, has_stn: bool) -> int | None:
    """The smallest usual size at which the network runs; not looked for in a user's own file."""
    for size in _USUAL_SIZES if not own.is_own(name) else ():
        try:
            network = _hollow(name, num_classes, size, has_stn)
        except Exception:
            continue
        if _misfit(network, num_classes, size) is None:
            return size
    return None


def _matches(word: str) -> list[str]:
    """The labels that one word stands for; a ValueError with near misses where there is none."""
    name, has_stn = parse_label(word)
    library, _, inner = name.partition(":")
    if own.is_own(name):
        own.locate_own(name)
        names = [name]
    elif not any(sign in name for sign in "*?["):
        _check_known(name)
        names = [name]
    elif library in zoo.LIBRARIES and inner:
        names = [f"{library}:{found}" for found in zoo.names_like(library, inner)]
    else:
        names = fnmatch.filter(NETWORKS, name)
    if not names:
        raise ValueError(f"no network matches {name!r}: the names are {_all_names()}; widen the pattern")
    return [found + STN_SUFFIX if has_stn else found for found in names]


def _check_known(name: str) -> None:
    library, _, inner = name.partition(":")
    if name in NETWORKS:
        return
    if library not in zoo.LIBRARIES:
        near = _nearest(name, NETWORKS, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm: and torchvision: have many more"
        raise ValueError(f"network {name!r} is not known: choose from {_all_names()}; {hint}")
    # timm's names may carry the tag of a pretrained set of weights, which is of no use here but does no harm.
    known = zoo.LIBRARIES[library][0]()
    if inner.partition(".")[0] not in known:
        nearest = ", ".join(f"{library}:{found}" for found in _nearest(inner, known, cutoff=0.0))
        raise ValueError(f"network {name!r} is not among the {len(known)} of {library}: take one, such as {nearest}")


def _nearest(name: str, known: Iterable[str], cutoff: float) -> list[str]:
    """Up to three names that look alike, letters and digits counting first: `ResNet-34` is resnet34."""
    known = list(known)
    same = [each for each in known if _plain(each) == _plain(name)]
    return same or difflib.get_close_matches(name.lower(), known, n=3, cutoff=cutoff)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _all_names() -> str:
    return ", ".join([*NETWORKS, "timm:<name>", "torchvision:<name>", "file.py:build"])
