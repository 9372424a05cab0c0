"""One network on its way: what it learns from, how far it is, and what has to be kept to go on with the same bits."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from roadtest.data.batches import count_drawn
from roadtest.descent import build_loss, build_optimizer
from roadtest.protocol import Protocol
from roadtest.schedule import Limits, Progress


@dataclass(kw_only=True)
class Training:
    """One network on its way: what it learns from, and how far it is."""

    network: nn.Module
    protocol: Protocol
    seed: int
    learning_rate: float
    precision: str
    device: str
    read_pixels: Callable[[Tensor], Tensor]
    """From row numbers to uint8 images_NHWC on the device."""
    labels_N: Tensor
    """Of the whole image set, on the CPU."""
    train_ids_N: npt.NDArray[np.int64]
    train_eval_ids_N: npt.NDArray[np.int64]
    """The training images that are evaluated at every row: every tenth frame of every track."""
    val_ids_N: npt.NDArray[np.int64]
    drawn_ids_N: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Drawn images for the protocol's share of every batch."""
    max_steps: int | None = None
    """An end that overrides epochs and budget; the sweep uses it."""
    should_stop: Callable[[], bool] = lambda: False
    is_recordable: bool = True
    """A step may be recorded once and replayed: nothing but tensors decides what it does. False of a user's network."""
    progress: Progress = field(default_factory=Progress)
    optimizer: torch.optim.Optimizer = field(init=False)
    loss: Callable[[Tensor, Tensor], Tensor] = field(init=False)
    """Of logits_NK and labels_N."""
    final_val_logits_NK: Tensor | None = field(init=False, default=None)
    """From the evaluation at the last step; None where that was an earlier process's."""
    num_restores: int = field(init=False, default=0)
    """Each gives momentum another place in memory."""

    def __post_init__(self) -> None:
        assert len(self.train_ids_N) >= 2, "batch norm needs two images"
        assert len(self.drawn_ids_N) or not self.num_drawn, "the protocol mixes drawn images, and there are none"
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = build_optimizer(self.network, self.protocol)
        labels_N, drawn_N = (self.labels_N[torch.from_numpy(ids_N)] for ids_N in (self.train_ids_N, self.drawn_ids_N))
        share = self.num_drawn / self.batch_size
        self.loss = build_loss(self.protocol, labels_N, self.device, drawn_labels_N=drawn_N, drawn_share=share)

    @property
    def batch_size(self) -> int:
        """Images per step; the protocol's, or all there are."""
        return min(self.protocol.batch_size, len(self.train_ids_N))

    @property
    def num_drawn(self) -> int:
        """Images of a batch that are drawn."""
        return count_drawn(self.batch_size, self.protocol.drawn_fraction)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one shuffle; the incomplete last one is left out."""
        return len(self.train_ids_N) // self.batch_size

    @property
    def epoch(self) -> float:
        """Passes over the training images so far."""
        return self.progress.step / self.steps_per_epoch

    @property
    def limits(self) -> Limits:
        """What bounds the number of steps besides the protocol."""
        return {"steps_per_epoch": self.steps_per_epoch, "max_steps": self.max_steps}

    def to_state(self) -> dict[str, Any]:
        """Everything needed to go on with the same bits, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "generator": torch.get_rng_state(),
            "cuda_generator": torch.cuda.get_rng_state(self.device) if self.device.startswith("cuda") else None,
            "mps_generator": torch.mps.get_rng_state() if self.device == "mps" else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `to_state`, also in the midst of a loop: whoever drives it sees the training at that state."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.final_val_logits_NK = None
        self.num_restores += 1
        vars(self.progress).update(vars(Progress(**state["progress"])))  # in place: a loop holds on to it
        torch.set_rng_state(state["generator"])
        if state["cuda_generator"] is not None and self.device.startswith("cuda"):
            torch.cuda.set_rng_state(state["cuda_generator"], self.device)
        if state["mps_generator"] is not None and self.device == "mps":
            torch.mps.set_rng_state(state["mps_generator"])
