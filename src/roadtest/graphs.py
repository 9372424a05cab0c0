"""CUDA graphs: work that Python starts once, and that the device then repeats as a whole.

Starting a kernel from Python takes some microseconds, which for a small network is longer than the kernel itself.
What is recorded must be the same each time: the same places in memory, no answer that Python waits for.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import warnings
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

Step = Callable[[], Tensor]
"""Does the work, and gives its result, on the device."""


def record_graph(step: Step, device: str) -> tuple[Tensor, Callable[[], None]]:
    """Record a step without taking it: where its result will be, and what takes it. It was taken before, `aside`."""
    graph, aside = torch.cuda.CUDAGraph(), _side_stream(device)
    # The stream is entered by hand as well: where recording fails, torch does not leave it.
    with torch.cuda.device(device), torch.cuda.stream(aside), torch.cuda.graph(graph, stream=aside):
        result = step()
    return result, graph.replay


def take_aside(step: Step, device: str) -> Tensor:
    """Take a step on another stream of the device, as recording asks of those before; plainly elsewhere."""
    if not device.startswith("cuda"):
        return step()
    present, aside = torch.cuda.current_stream(device), _side_stream(device)
    aside.wait_stream(present)
    try:
        with torch.cuda.device(device), torch.cuda.stream(aside):
            return step()
    finally:
        present.wait_stream(aside)


def take_without_waiting(step: Step, device: str) -> Tensor:
    """Take a step aside; a RuntimeError where an operation in it waits for the device."""
    if not device.startswith("cuda"):
        return step()
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch may not notice every wait
        torch.cuda.set_sync_debug_mode("error")
    try:
        return take_aside(step, device)
    finally:
        torch.cuda.set_sync_debug_mode(before)


@lru_cache
def _side_stream(device: str) -> torch.cuda.Stream:
    """One for each device: every stream keeps memory of its own."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
