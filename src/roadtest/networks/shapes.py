"""A network on paper: what shapes and operations it has, without any arithmetic.

Parameters and images are replaced by tensors of the meta device, which have a shape and no content: half a gigabyte of
weights costs nothing. A network that needs real values to decide what to do is run on real images instead.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def output_shape(network: nn.Module, image_size: int) -> tuple[int, ...]:
    """The shape of what the network gives for two images; the network's own exception where it cannot run."""
    try:
        output = run_on_paper(network, image_size, batch_size=2)
    except Exception:
        output = run_for_real(network, image_size, batch_size=2)
    if not isinstance(output, Tensor):
        raise TypeError(f"it gives {type(output).__name__} instead of one tensor of logits")
    return tuple(output.shape)


def run_on_paper(network: nn.Module, image_size: int, *, batch_size: int = 1) -> object:
    """Run the network in evaluation mode on meta tensors; nothing of it is changed."""
    named = dict(network.named_parameters()) | dict(network.named_buffers())
    hollow = {name: torch.empty_like(tensor, device="meta") for name, tensor in named.items()}
    images_NCHW = torch.empty_like(_black_images(network, image_size, batch_size), device="meta")
    with evaluation_mode(network), torch.no_grad():
        return torch.func.functional_call(network, hollow, (images_NCHW,))


def run_for_real(network: nn.Module, image_size: int, *, batch_size: int = 1) -> object:
    """Run the network in evaluation mode on black images, where it lies."""
    images_NCHW = _black_images(network, image_size, batch_size)
    with evaluation_mode(network), torch.no_grad():
        return network(images_NCHW)


def _black_images(network: nn.Module, image_size: int, batch_size: int) -> Tensor:
    """Images of the type of the network's parameters, where they lie."""
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
