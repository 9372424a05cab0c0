"""Build a network by its name, with a seed's initial weights or on the meta device; refuse one that does not fit.

One seed gives one set of initial weights, whatever was drawn before, and the same weights for the network with and
without a spatial transformer in front, so that the two are compared as a pair.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from roadtest.networks import user_file, zoo
from roadtest.networks.names import check_known, why_no_stem, why_not_pretrained
from roadtest.networks.registry import NETWORKS, STN_SUFFIX, parse_network

if TYPE_CHECKING:
    from torch import nn

_USUAL_SIZES = (24, 28, 32, 48, 64, 96, 128, 224, 256)


def build_network(
    name: str, *, num_classes: int, image_size: int, has_stn: bool, seed: int, starts_pretrained: bool = False
) -> "nn.Module":
    """Build a network with the seed's initial weights, channels-last, on the CPU; global generators stay untouched.

    With `starts_pretrained` a network named `+pretrained` gets those weights, from the cache. Without it, as for a
    network whose trained weights are read next, nothing is looked for.
    """
    import torch

    from roadtest.networks.small_maps import speed_up_small_maps

    with _seeded(seed):
        network = _build_bare(name, num_classes, image_size, starts_pretrained=starts_pretrained)
    if has_stn:
        with _seeded(seed + (1 << 32)):  # another seed: the network behind has the same weights with and without STN
            network = _put_stn_before(network, image_size)
    reason = _misfit(network, num_classes, image_size)
    if reason is not None:
        fitting = _fitting_size(name, num_classes, has_stn)
        raise ValueError(
            f"network {name + STN_SUFFIX * has_stn!r} cannot classify {image_size} x {image_size} images ({reason}): "
            + (f"use --image-size {fitting}" if fitting else "leave it out, or mend it if it is yours")
        )
    speed_up_small_maps(network)
    return network.to(memory_format=torch.channels_last)


def build_on_meta(name: str, *, num_classes: int, image_size: int, has_stn: bool) -> "nn.Module":
    """Build a network without contents, on the meta device, to be counted; a few milliseconds for any size."""
    try:
        network = _try_on_meta(name, num_classes, image_size, has_stn)
        if _misfit(network, num_classes, image_size) is None:
            return network
    except Exception:
        pass
    # Some networks look at values while they are built or run; and an error reads as it does in training.
    return build_network(name, num_classes=num_classes, image_size=image_size, has_stn=has_stn, seed=0)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    import torch

    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the accelerators' generators as well
        yield


def _build_bare(name: str, num_classes: int, image_size: int, *, starts_pretrained: bool = False) -> "nn.Module":
    """Build a network without an STN, from torch's global generator; a ValueError where the name cannot be built."""
    if name in NETWORKS:
        return NETWORKS[name](num_classes, image_size)
    model = parse_network(name)
    reason = why_no_stem(model) if model.has_new_stem else None
    reason = reason or (why_not_pretrained(model) if model.is_pretrained else None)
    if reason is not None:
        raise ValueError(reason)
    if user_file.is_user_defined(name):
        return user_file.build_user_defined(name, num_classes, image_size)
    check_known(model.name)
    weights = None
    if model.is_pretrained and starts_pretrained:
        from roadtest.networks.pretrained import read_weights

        weights = read_weights(name)
    try:
        if weights is not None:
            network = zoo.build_from_timm(model.inner, num_classes, image_size, weights)
        else:
            network = zoo.LIBRARIES[str(model.origin)].build(model.inner, num_classes, image_size)
    except Exception as error:
        raise ValueError(
            f"network {name!r} cannot be built for {image_size} x {image_size} images ({user_file.first_line(error)}): "
            "use another --image-size or leave it out"
        ) from error
    if model.has_new_stem:
        from roadtest.networks.stems import put_stem

        put_stem(network, model)
    if model.is_pretrained:
        from roadtest.networks.pretrained import OwnConstants

        published = zoo.published_by_timm(model.inner)
        assert published is not None
        network = OwnConstants(network, published.mean_C, published.deviation_C)
    return network


def _put_stn_before(network: "nn.Module", image_size: int) -> "nn.Module":
    from roadtest.networks.stn import SpatialTransformer, WithSTN

    return WithSTN(SpatialTransformer(image_size), network)


def _try_on_meta(name: str, num_classes: int, image_size: int, has_stn: bool) -> "nn.Module":
    import torch

    with torch.device("meta"):
        network = _build_bare(name, num_classes, image_size)
        return _put_stn_before(network, image_size) if has_stn else network


def _misfit(network: "nn.Module", num_classes: int, image_size: int) -> str | None:
    """Why a network cannot classify images of this size; None where it can."""
    from roadtest.networks.shapes import output_shape

    try:
        shape = output_shape(network, image_size)
    except Exception as error:
        return user_file.first_line(error)
    return None if shape == (2, num_classes) else f"it gives {shape} for 2 images and {num_classes} classes"


def _fitting_size(name: str, num_classes: int, has_stn: bool) -> int | None:
    """The smallest usual size at which the network runs; not looked for in a user's file."""
    for size in _USUAL_SIZES if not user_file.is_user_defined(name) else ():
        try:
            if _misfit(_try_on_meta(name, num_classes, size, has_stn), num_classes, size) is None:
                return size
        except Exception:
            continue
    return None
