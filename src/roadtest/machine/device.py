"""The device to compute on: choose one that is there and works, prepare it, and wait for it."""

import re
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def choose_device(word: str) -> tuple[str, str | None]:
    """Turn `auto`, `cpu`, `cuda`, `cuda:1` or `mps` into a device that is there, and why it is not a faster one.

    `auto` takes an accelerator only if it gets through a forward and a backward pass of convolution, batch norm and
    grid sampling; the reason, one line or None, says what failed. A device that was asked for and is missing is a
    ValueError, never silently another.
    """
    import torch

    if word == "cpu":
        return "cpu", None
    if word == "auto":
        return _choose_automatically()
    match = re.fullmatch(r"(mps|cuda)(?:(?<=cuda):([0-9]{1,4}))?", word)
    if match is None:
        raise ValueError(f"device {word!r} is not known: choose auto, cpu, cuda, cuda:<number> or mps; try auto")
    kind, number = match[1], int(match[2] or 0)
    num_present = torch.cuda.device_count() if kind == "cuda" else int(torch.backends.mps.is_available())
    if number >= num_present:
        raise ValueError(f"device {word!r} is not there: torch finds {num_present} of {kind}; use auto or cpu")
    return word, None


def wait_for_device(device: "torch.device | str") -> None:
    """Return when all work queued on the device is done; at once on the CPU."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


def prepare_device(device: str, num_threads: int) -> None:
    """Set what this process computes with: the threads, and on CUDA the kernels.

    cuDNN tries its kernels on the first batch of a shape and keeps the fastest. float32 is float32: torch would let
    convolutions, though not matrix products, round their inputs to TF32's 10 bits.
    """
    import torch

    torch.set_num_threads(num_threads)
    if device.startswith("cuda"):
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = False


def _choose_automatically() -> tuple[str, str | None]:
    import torch

    with warnings.catch_warnings(record=True) as complaints:  # such as CUDA's about a driver that is too old
        warnings.simplefilter("always")
        has_cuda = torch.cuda.is_available()
    device = "cuda" if has_cuda else "mps" if torch.backends.mps.is_available() else None
    if device is None:
        return "cpu", _first_line(complaints[0].message) if complaints else None
    try:
        probe_device(device)
    except Exception as error:
        return "cpu", f"{device} is not used, its trial run failed: {_first_line(error)}"
    return device, None


def probe_device(device: str) -> None:
    """Run what the networks need, forward and backward; an exception where the device cannot, or gives no numbers."""
    import torch
    import torch.nn.functional as F

    images_NCHW = torch.linspace(-1, 1, 2 * 3 * 8 * 8, device=device).view(2, 3, 8, 8)
    weight_CC33 = torch.linspace(-1, 1, 3 * 3 * 3 * 3, device=device).view(3, 3, 3, 3).requires_grad_()
    grid_NHW2 = torch.linspace(-1.1, 1.1, 2 * 8 * 8 * 2, device=device).view(2, 8, 8, 2).requires_grad_()
    maps_NCHW = F.batch_norm(F.conv2d(images_NCHW, weight_CC33, padding=1), None, None, training=True)
    F.grid_sample(maps_NCHW, grid_NHW2, align_corners=False).square().sum().backward()  # type: ignore[no-untyped-call]
    for gradient in (weight_CC33.grad, grid_NHW2.grad):
        if gradient is None or not bool(gradient.isfinite().all()):
            raise RuntimeError("a gradient is not a number")


def _first_line(message: object) -> str:
    return (str(message).strip().splitlines() or ["no reason given"])[0][:200]
