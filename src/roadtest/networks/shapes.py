"""Shape inference on the meta device: a network's output, and how large its feature maps are on the way there.

Parameters and images are replaced by tensors of the meta device, which have a shape and no content: half a gigabyte of
weights costs nothing. A network that looks at values to decide what to do is run on black images instead.

Every convolution and pool reports the sides of its input and output. The main path's sides only ever fall: a layer
belongs to it where it starts from the last side that was reached. A branch that first shrinks a map to one pixel
(squeeze and excitation, a global pool) does not.

Maps are too small too early where a convolution with a kernel larger than 1 x 1 is given a map of 1 x 1: all its
weights but the middle one meet padding only, and are never trained. That is exact, and says how many are wasted.

Sides are in pixels. Nothing here is trained or changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def output_shape(network: nn.Module, image_size: int) -> tuple[int, ...]:
    """The shape of what the network gives for two images; the network's own exception where it cannot run."""
    try:
        output = run_on_meta(network, image_size, batch_size=2)
    except Exception:
        output = run_on_zeros(network, image_size, batch_size=2)
    if not isinstance(output, Tensor):
        raise TypeError(f"it gives {type(output).__name__} instead of one tensor of logits")
    return tuple(output.shape)


def run_on_meta(network: nn.Module, image_size: int, *, batch_size: int = 1) -> object:
    """Run the network in evaluation mode on meta tensors; nothing of it is changed."""
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    on_meta = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    images_NCHW = torch.empty_like(_black_images(network, image_size, batch_size), device="meta")
    with evaluation_mode(network), torch.no_grad():
        return torch.func.functional_call(network, on_meta, (images_NCHW,))


def run_on_zeros(network: nn.Module, image_size: int, *, batch_size: int = 1) -> object:
    """Run the network in evaluation mode on black images, on its device."""
    with evaluation_mode(network), torch.no_grad():
        return network(_black_images(network, image_size, batch_size))


def _black_images(network: nn.Module, image_size: int, batch_size: int) -> Tensor:
    """Images of the type and device of the network's parameters."""
    like = next((parameter for parameter in network.parameters() if parameter.is_floating_point()), torch.empty(0))
    return like.new_zeros(batch_size, 3, image_size, image_size)


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Switch a network to evaluation; put each of its parts back afterwards as it was."""
    was_training = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for part, training in was_training:
            part.training = training


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One layer's work on a square map."""

    name: str
    """As in `named_modules`."""
    layer: nn.Module
    in_side: int
    out_side: int

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution; else it is a pool."""
        return isinstance(self.layer, nn.Conv2d)

    @property
    def is_aside(self) -> bool:
        """Whether it pools the whole map: the end of the maps, or a branch that looks at their mean."""
        is_adaptive = "Adaptive" in type(self.layer).__name__
        return not self.is_convolution and self.out_side == 1 and (is_adaptive or self.in_side > 3)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The feature maps of a network at one image size."""

    sides: tuple[int, ...]
    """Of the map after each stage: a stage ends where the map shrinks."""
    num_blind: int
    """Convolutions with a kernel larger than 1 x 1 whose input is one pixel."""
    num_blind_weights: int
    """Their weights that meet nothing but padding."""

    @property
    def is_too_small(self) -> bool:
        """Whether maps shrink to 1 x 1 too early."""
        return self.num_blind > 0


def probe_network(network: nn.Module, image_size: int) -> Probe:
    """Follow the maps of a network through one image."""
    sides, blind = [image_size], []
    for visit in list_visits(network, image_size):
        if visit.in_side == sides[-1] and visit.out_side < visit.in_side and not visit.is_aside:
            sides.append(visit.out_side)
        if isinstance(visit.layer, nn.Conv2d) and visit.in_side == 1 and _kernel_size(visit.layer) > 1:
            blind.append(visit.layer)
    wasted = (int(layer.weight.numel() * (1 - 1 / _kernel_size(layer))) for layer in dict.fromkeys(blind))
    return Probe(sides=tuple(sides[1:]), num_blind=len(blind), num_blind_weights=sum(wasted))


def list_visits(network: nn.Module, image_size: int) -> list[Visit]:
    """All convolutions and pools in the order in which they work on square maps; hooks are taken off again."""
    visits: list[Visit] = []

    def note(name: str, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        in_side, out_side = _side(inputs[0] if inputs else None), _side(output)
        if in_side is not None and out_side is not None:
            visits.append(Visit(name=name, layer=layer, in_side=in_side, out_side=out_side))

    hooks = [
        layer.register_forward_hook(partial(note, name))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) or (not any(layer.children()) and "Pool" in type(layer).__name__)
    ]
    try:
        try:
            run_on_meta(network, image_size)
        except Exception:  # it looks at values to decide what to do
            visits.clear()
            run_on_zeros(network, image_size)
    finally:
        for hook in hooks:
            hook.remove()
    return visits


def _side(tensor: Any) -> int | None:
    """Side of a square map N x C x S x S; None for anything else."""
    is_square = isinstance(tensor, Tensor) and tensor.ndim == 4 and tensor.shape[2] == tensor.shape[3]
    return int(tensor.shape[3]) if is_square else None


def _kernel_size(conv: nn.Conv2d) -> int:
    """Pixels under a convolution's kernel."""
    return conv.kernel_size[0] * conv.kernel_size[1]
