"""A library's convolutional network with a stem for small images.

Networks made for 224 pixels begin by quartering the image, which at 32 pixels leaves the last stage a map of one pixel.
`small` makes the first convolution 3 x 3 with stride 2 and removes the pool behind it; `small-s1` makes it stride 1
(He et al. 2015, https://arxiv.org/abs/1512.03385, section 4.2). All else stays the network's own.

The pool halves the map after the first convolution, with at most two more convolutions in between (a stem of three).
Where the first convolution does not shrink the image there is no stem to change. A convolution that is 3 x 3 already
keeps its weights, pretrained ones too; another is initialised anew.
"""

import torch
from torch import nn

from roadtest.networks.registry import ModelName
from roadtest.networks.shapes import Visit, list_visits

STRIDES = {"small": 2, "small-s1": 1}
LOOK_SIZE = 224
"""Where a stem is looked for: every convolutional network runs there."""
MAX_MORE_CONVOLUTIONS = 2
HALVES = 1.5
"""A layer that divides a map's side by this or more shrinks it; less is a missing border."""


def put_stem(network: nn.Module, model: ModelName) -> None:
    """Change a network's stem in place; a ValueError in one line where it has none that can be changed."""
    first, pool = _find_stem(network, model)
    stride, old = STRIDES[str(model.stem)], first.layer
    assert isinstance(old, nn.Conv2d)
    if old.kernel_size == (3, 3):
        old.stride = (stride, stride)
    else:
        with torch.device(old.weight.device):
            new = nn.Conv2d(old.in_channels, old.out_channels, 3, stride=stride, padding=1, bias=old.bias is not None)
        # As torchvision initialises those of its residual networks.
        nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
        if new.bias is not None:
            nn.init.zeros_(new.bias)
        network.set_submodule(first.name, new)
    if pool is not None:
        network.set_submodule(pool.name, nn.Identity())


def _find_stem(network: nn.Module, model: ModelName) -> tuple[Visit, Visit | None]:
    """The first convolution, and the pool behind it if there is one."""
    refusal = ValueError(
        f"{model.name} has no stem that can be changed to {model.stem}: its first layer must be a convolution "
        f"that shrinks the image; name it without a stem, or leave it out"
    )
    try:
        visits = list_visits(network, LOOK_SIZE)
    except Exception:  # a transformer that was built for one size
        raise refusal from None
    first = next((visit for visit in visits if visit.in_side == LOOK_SIZE), None)
    is_stem = first is not None and isinstance(first.layer, nn.Conv2d) and first.layer.in_channels == 3
    if first is None or not is_stem or first.out_side * HALVES > first.in_side:
        raise refusal
    return first, _find_pool(visits[visits.index(first) + 1 :], first.out_side)


def _find_pool(visits: list[Visit], side: int) -> Visit | None:
    num_more = 0
    for visit in visits:
        if visit.in_side * HALVES <= side:
            continue  # a branch that looks at the map's mean
        shrinks = visit.out_side * HALVES <= visit.in_side
        if shrinks and not visit.is_convolution and visit.out_side > 1:
            is_used_once = sum(other.name == visit.name for other in visits) == 1
            return visit if is_used_once else None
        num_more += visit.is_convolution
        if (shrinks and visit.is_convolution) or num_more > MAX_MORE_CONVOLUTIONS:
            return None
    return None
