"""Read a run's weights: safetensors only, and only where they are this network's, tensor by tensor.

A file may come from anybody, and says itself how much it wants to be read. Its header is compared with the network
first: names, shapes and kinds of numbers, and the size of the file; nothing larger than the network is ever read. No
pickle. state.py writes the same files.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = "weights.safetensors"
_KINDS = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
HEADER_BYTES = 100_000
HEADER_BYTES_PER_TENSOR = 1_000
"""A name, a shape and two offsets take about a hundred; the rest may be the writer's remarks."""


def check_weights(path: Path, expected: Mapping[str, Tensor], label: str) -> None:
    """Compare a file's header with a network's tensors, which may be empty shells; a ValueError where they differ."""
    if not path.exists():
        raise ValueError(f"{path.parent} keeps no weights: train it with --keep-weights all, or take another run")
    if not path.is_file():
        raise _refusal(path, label, "it is no file")
    num_bytes, most = path.stat().st_size, sum(tensor.nbytes for tensor in expected.values())
    most += HEADER_BYTES + HEADER_BYTES_PER_TENSOR * len(expected)
    if num_bytes > most:
        raise _refusal(path, label, f"it has {num_bytes:,} bytes, at most {most:,} are right")
    try:
        difference = _first_difference(path, expected)
    except (SafetensorError, OSError, ValueError) as error:
        difference = " ".join(str(error).split())[:200]
    if difference is not None:
        raise _refusal(path, label, difference)


def read_weights(path: Path, network: nn.Module, label: str) -> None:
    """Fill a network from a file; a ValueError in one line where the weights are not its own or no numbers."""
    check_weights(path, network.state_dict(), label)
    try:
        weights = load_file(path)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise _refusal(path, label, " ".join(str(error).split())[:200]) from None
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise _refusal(path, label, f"{_short(name)} holds values that are no numbers")
    network.load_state_dict(weights)


def _first_difference(path: Path, expected: Mapping[str, Tensor]) -> str | None:
    with safe_open(path, framework="pt") as file:
        found = set(file.keys())
        for name in expected:
            if name not in found:
                return f"{_short(name)} is missing"
        for name in sorted(found):
            if name not in expected:
                return f"{_short(name)} is not in the network"
        for name, tensor in expected.items():
            part = file.get_slice(name)
            shape, kind = tuple(part.get_shape()), part.get_dtype()
            if shape != tuple(tensor.shape):
                return f"{_short(name)} is {shape}, and {tuple(tensor.shape)} in the network"
            if kind != _KINDS.get(tensor.dtype, kind):
                return f"{_short(name)} is {kind}, and {_KINDS[tensor.dtype]} in the network"
    return None


def _refusal(path: Path, label: str, reason: str) -> ValueError:
    return ValueError(f"{path} does not hold this network's weights, {label} ({reason}): restore it or repeat the run")


def _short(name: str) -> str:
    return ascii(name[:80])
