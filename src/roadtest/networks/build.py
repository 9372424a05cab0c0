"""Build a network by its name, with a seed's initial weights or on paper; and refuse one that does not fit the images.

Building is seeded: one seed gives one set of initial weights, whatever else was drawn before, and the same weights for
the network with and without a spatial transformer in front, so that the two are compared as a pair.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from roadtest.networks import user_file, zoo
from roadtest.networks.names import check_known, why_no_stem, why_not_pretrained
from roadtest.networks.registry import NETWORKS, ORIGINAL_STEM, STN_SUFFIX, ModelName, parse_network

if TYPE_CHECKING:
    from torch import nn

_USUAL_SIZES = (24, 28, 32, 48, 64, 96, 128, 224, 256)


def build_network(
    name: str, *, num_classes: int, image_size: int, has_stn: bool, seed: int, starts_pretrained: bool = False
) -> "nn.Module":
    """Build a network with the seed's initial weights, channels-last, on the CPU; global generators stay untouched.

    With `starts_pretrained` a network that is named `+pretrained` has those weights, from the cache. Without it, as for
    a network whose trained weights are read next, nothing is looked for.
    """
    import torch

    with torch.device("cpu"):
        network = _seeded(seed, lambda: _build_bare(name, num_classes, image_size, starts_pretrained=starts_pretrained))
        if has_stn:
            # Drawn from a seed of its own: the network behind starts from the same weights with and without it.
            network = _seeded(seed + (1 << 32), lambda: _put_stn_before(network, image_size))
    _check_fit(network, name, num_classes, image_size)
    from roadtest.networks.small_maps import speed_up_small_maps

    speed_up_small_maps(network)
    return network.to(memory_format=torch.channels_last)


def build_on_meta(name: str, *, num_classes: int, image_size: int, has_stn: bool) -> "nn.Module":
    """Build a network without contents, on the meta device, to be counted; a few milliseconds for any size."""
    try:
        network = _hollow(name, num_classes, image_size, has_stn)
        if _misfit(network, num_classes, image_size) is None:
            return network
    except Exception:
        pass
    # Some networks look at values while they are built or run; and an error is told as training would meet it.
    return build_network(name, num_classes=num_classes, image_size=image_size, has_stn=has_stn, seed=0)


def _seeded(seed: int, build: Callable[[], "nn.Module"]) -> "nn.Module":
    import torch

    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would reseed the accelerators' generators as well.
        torch.default_generator.manual_seed(seed)
        return build()


def _build_bare(name: str, num_classes: int, image_size: int, *, starts_pretrained: bool = False) -> "nn.Module":
    if name in NETWORKS:
        return NETWORKS[name](num_classes, image_size)
    model = parse_network(name)
    if model.stem not in (None, ORIGINAL_STEM):
        _refuse(why_no_stem(model))
    if model.is_pretrained:
        _refuse(why_not_pretrained(model))
    if user_file.is_user_defined(name):
        return user_file.build_user_defined(name, num_classes, image_size)
    check_known(model.name)
    weights = None
    if model.is_pretrained and starts_pretrained:
        from roadtest.networks.pretrained import read_weights

        weights = read_weights(name)
    try:
        network = (
            zoo.build_from_timm(model.inner, num_classes, image_size, weights)
            if weights is not None
            else zoo.LIBRARIES[str(model.origin)][1](model.inner, num_classes, image_size)
        )
    except Exception as error:
        raise ValueError(
            f"network {name!r} cannot be built for {image_size} x {image_size} images ({user_file.first_line(error)}): "
            "use another --image-size or leave it out"
        ) from error
    return _finish(network, model)


def _finish(network: "nn.Module", model: ModelName) -> "nn.Module":
    """Give a library's network its stem, and a pretrained one the constants of its weights."""
    if model.stem not in (None, ORIGINAL_STEM):
        from roadtest.networks.stems import put_stem

        put_stem(network, model)
    if not model.is_pretrained:
        return network
    from roadtest.networks.pretrained import OwnConstants

    published = zoo.published_by_timm(model.inner)
    assert published is not None
    return OwnConstants(network, published.mean_C, published.deviation_C)


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise ValueError(reason)


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
        return user_file.first_line(error)
    return None if shape == (2, num_classes) else f"it gives {shape} for 2 images and {num_classes} classes"


def _fitting_size(name: str, num_classes: int, has_stn: bool) -> int | None:
    """The smallest usual size at which the network runs; not looked for in a user's own file."""
    for size in _USUAL_SIZES if not user_file.is_user_defined(name) else ():
        try:
            network = _hollow(name, num_classes, size, has_stn)
        except Exception:
            continue
        if _misfit(network, num_classes, size) is None:
            return size
    return None
