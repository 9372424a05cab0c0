"""Convolutions on maps of one or two pixels, computed as what they are there: a linear layer.

After four or five halvings 32 pixels are a map of 2 x 2 or 1 x 1, and a 3 x 3 kernel that is centred on any of its
pixels sees the whole map. An output pixel then is one matrix product of all input values with the slice of the kernel
that meets no padding; values, gradients, parameters and names are those of the convolution, but for rounding, and the
multiplications with padded zeros are left out. oneDNN computes just these layers by paths that are many times slower:
without AVX-512 the weights' gradient, with AMX all of them in bfloat16 (docs/networks.md has the times). Only training
on a processor is computed this way; everywhere else, and in what is counted or exported, the layer is the convolution.

N images, C and U channels in and out, H x W the input map and h x w the output map.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx as Context

MAX_SIDE = 2
"""Pixels: on larger maps a 3 x 3 kernel does not see the whole."""


class SmallMapConv2d(nn.Conv2d):
    """A 3 x 3 convolution with padding 1 that trains as a linear layer where its input has at most 2 x 2 pixels."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve N x C x H x W."""
        if not self._is_linear_on(input):
            return super().forward(input)
        dtype = _computed_dtype()
        maps_NUhw: Tensor = _WholeMapConv.apply(input, self.weight, self.stride[0], dtype)
        return maps_NUhw if self.bias is None else maps_NUhw + self.bias.to(dtype)[:, None, None]

    def _is_linear_on(self, maps_NCHW: Tensor) -> bool:
        is_plain = maps_NCHW.device.type == "cpu" and maps_NCHW.dtype in (torch.float32, _computed_dtype())
        is_small = maps_NCHW.ndim == 4 and max(maps_NCHW.shape[2:]) <= MAX_SIDE
        is_training = self.training and torch.is_grad_enabled()
        return is_plain and is_small and is_training and self.weight.dtype == torch.float32


def _computed_dtype() -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


class _WholeMapConv(torch.autograd.Function):
    """The convolution and its two gradients as three matrix products."""

    @staticmethod
    def forward(ctx: Context, maps_NCHW: Tensor, weight_UC33: Tensor, stride: int, dtype: torch.dtype) -> Tensor:
        """Multiply all input values with one slice of the kernel per output pixel."""
        height, width = ((side - 1) // stride + 1 for side in maps_NCHW.shape[2:])
        slices = _slices(maps_NCHW.shape, stride)
        kernel_UC33 = weight_UC33.to(dtype)
        matrix_PUHWC = torch.cat([kernel_UC33[slice_].permute(0, 2, 3, 1).flatten(1) for slice_ in slices])
        values_NHWC = maps_NCHW.to(dtype).permute(0, 2, 3, 1).flatten(1)
        ctx.save_for_backward(values_NHWC, matrix_PUHWC)
        ctx.shapes = maps_NCHW.shape, weight_UC33.shape, slices  # type: ignore[attr-defined]
        ctx.dtypes = maps_NCHW.dtype, weight_UC33.dtype  # type: ignore[attr-defined]
        return (values_NHWC @ matrix_PUHWC.t()).view(-1, height, width, len(weight_UC33)).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Context, grad_NUhw: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        """Give the gradients of the input and of the kernel, which adds those of its slices up."""
        values_NHWC, matrix_PUHWC = ctx.saved_tensors  # type: ignore[attr-defined]
        (_, channels, *sides), (units, *_), slices = ctx.shapes  # type: ignore[attr-defined]
        maps_dtype, weight_dtype = ctx.dtypes  # type: ignore[attr-defined]
        grad_NPU = grad_NUhw.permute(0, 2, 3, 1).flatten(1)
        grad_maps = None
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            grad_maps = (grad_NPU @ matrix_PUHWC).view(-1, *sides, channels).permute(0, 3, 1, 2).to(maps_dtype)
        grad_slices = (grad_NPU.t() @ values_NHWC).view(len(slices), units, *sides, channels)
        # Added up in the weight's precision, and laid out as it is in memory, channels last: the optimiser then walks
        # both in one order.
        grad_U33C = grad_NUhw.new_zeros(units, 3, 3, channels, dtype=weight_dtype)
        for (_, _, rows, columns), grad_UHWC in zip(slices, grad_slices, strict=True):
            grad_U33C[:, rows, columns] += grad_UHWC
        return grad_maps, grad_U33C.permute(0, 3, 1, 2), None, None


def _slices(shape_NCHW: torch.Size, stride: int) -> list[tuple[slice, slice, slice, slice]]:
    """For every output pixel, row by row: the part of the kernel that lies on the map when it is centred there."""
    height, width = shape_NCHW[2:]
    return [
        (slice(None), slice(None), slice(1 - top, 1 - top + height), slice(1 - left, 1 - left + width))
        for top in range(0, height, stride)
        for left in range(0, width, stride)
    ]


def speed_up_small_maps(network: nn.Module) -> None:
    """Let the network's plain 3 x 3 convolutions train as linear layers where their maps are that small; in place."""
    for module in network.modules():
        # Exactly nn.Conv2d: whoever made a class of their own may mean another forward pass.
        if type(module) is nn.Conv2d and _is_suitable(module):
            module.__class__ = SmallMapConv2d  # keeps names, weights and their identity


def _is_suitable(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size == (3, 3)
        and conv.padding == (1, 1)
        and conv.stride in ((1, 1), (2, 2))
        and conv.dilation == (1, 1)
        and conv.groups == 1
        and conv.padding_mode == "zeros"
    )
