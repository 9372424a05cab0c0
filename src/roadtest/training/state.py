"""One network in training: what it learns from, how far it is, and what is kept to continue with the same bits.

Class weights enter the training loss alone: figures that are reported or chosen by count every image the same.
Shapes: N images, K classes.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.protocol import Protocol
from roadtest.training.schedule import TrainProgress


@dataclass(kw_only=True)
class TrainState:
    """A network with its optimizer, its loss, its data and its progress."""

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
    max_steps: int | None = None
    """An end that overrides epochs and budget; the sweep uses it."""
    should_stop: Callable[[], bool] = lambda: False
    is_capturable: bool = True
    """A step may become a CUDA graph: nothing but tensors decides what it does. False for a user's network."""
    progress: TrainProgress = field(default_factory=TrainProgress)
    optimizer: torch.optim.Optimizer = field(init=False)
    loss: Callable[[Tensor, Tensor], Tensor] = field(init=False)
    """Of logits_NK and labels_N."""
    final_val_logits_NK: Tensor | None = field(init=False, default=None)
    """From the evaluation at the last step; None where an earlier process made it."""
    num_restores: int = field(init=False, default=0)
    """Each gives momentum another place in memory."""

    def __post_init__(self) -> None:
        assert len(self.train_ids_N) >= 2, "batch norm needs two images"
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = build_optimizer(self.network, self.protocol)
        self.loss = build_loss(self.protocol, self.labels_N[torch.from_numpy(self.train_ids_N)], self.device)

    @property
    def batch_size(self) -> int:
        """Images per step: the protocol's, or all there are."""
        return min(self.protocol.batch_size, len(self.train_ids_N))

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one shuffle; the incomplete last one is left out."""
        return len(self.train_ids_N) // self.batch_size

    @property
    def epoch(self) -> float:
        """Passes over the training images so far."""
        return self.progress.step / self.steps_per_epoch

    def to_state(self) -> dict[str, Any]:
        """Everything needed to continue with the same bits, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "generator": torch.get_rng_state(),
            "cuda_generator": torch.cuda.get_rng_state(self.device) if self.device.startswith("cuda") else None,
            "mps_generator": torch.mps.get_rng_state() if self.device == "mps" else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `to_state`, also in the midst of a loop, which holds on to the same `progress`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.final_val_logits_NK = None
        self.num_restores += 1
        vars(self.progress).update(vars(TrainProgress(**state["progress"])))
        torch.set_rng_state(state["generator"])
        if state["cuda_generator"] is not None and self.device.startswith("cuda"):
            torch.cuda.set_rng_state(state["cuda_generator"], self.device)
        if state["mps_generator"] is not None and self.device == "mps":
            torch.mps.set_rng_state(state["mps_generator"])


def build_loss(protocol: Protocol, train_labels_N: Tensor, device: str = "cpu") -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of (logits_NK, labels_N): cross-entropy, each image or each class counting the same."""
    smoothing = protocol.label_smoothing
    if protocol.class_weights == "equal":
        return lambda logits_NK, labels_N: F.cross_entropy(logits_NK, labels_N, label_smoothing=smoothing)
    weights_K = balanced_weights(train_labels_N).to(device)

    def weighted(logits_NK: Tensor, labels_N: Tensor) -> Tensor:
        losses_N = F.cross_entropy(logits_NK, labels_N, label_smoothing=smoothing, reduction="none")
        # Over the number of images, not over the batch's weights: those would undo the weighting in small batches.
        return (losses_N * weights_K[labels_N]).mean()

    return weighted


def balanced_weights(train_labels_N: Tensor) -> Tensor:
    """Weights with which each class counts the same: n / (k m) for a class with m of the n images in k classes.

    Their mean over the images is 1; a class without images has weight 0.
    """
    counts_K = torch.bincount(train_labels_N).double()
    num_classes = int((counts_K > 0).sum())
    weights_K = len(train_labels_N) / (num_classes * torch.where(counts_K > 0, counts_K, 1.0))
    return torch.where(counts_K > 0, weights_K, 0.0).float()


def build_optimizer(network: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum in three groups: weights, what is not decayed, and the STN at its own rate."""
    weights: list[nn.Parameter] = []
    undecayed: list[nn.Parameter] = []
    stn: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        group = stn if name.startswith("stn.") else weights if parameter.ndim >= 2 else undecayed
        group.append(parameter)
    groups = [
        {"params": weights, "weight_decay": protocol.weight_decay, "factor": 1.0},
        {"params": undecayed, "weight_decay": 0.0, "factor": 1.0},
        {"params": stn, "weight_decay": 0.0, "factor": protocol.stn_learning_rate_factor},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]], lr=0.0, momentum=protocol.momentum, nesterov=True, fused=True
    )
