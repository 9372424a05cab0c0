"""What a training step minimises, and who takes the step: the loss and the optimiser of a protocol.

Class weights stand in the training loss alone: figures that are reported or chosen by count every image the same.
Shapes: N images, K classes.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.protocol import Protocol


def build_loss(
    protocol: Protocol,
    train_labels_N: Tensor,
    device: str = "cpu",
    *,
    drawn_labels_N: Tensor | None = None,
    drawn_share: float = 0.0,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Give the loss of (logits_NK, labels_N): cross-entropy, each image or each class counting the same.

    `drawn_share` of every batch are images with labels as `drawn_labels_N`.
    """
    smoothing = protocol.label_smoothing
    if protocol.class_weights == "equal":
        return lambda logits_NK, labels_N: F.cross_entropy(logits_NK, labels_N, label_smoothing=smoothing)
    weights_K = balanced_weights(train_labels_N, drawn_labels_N, drawn_share).to(device)

    def weighted(logits_NK: Tensor, labels_N: Tensor) -> Tensor:
        losses_N = F.cross_entropy(logits_NK, labels_N, label_smoothing=smoothing, reduction="none")
        # Over the number of images, not over the batch's weights: those would undo the weighting in small batches.
        return (losses_N * weights_K[labels_N]).mean()

    return weighted


def balanced_weights(train_labels_N: Tensor, drawn_labels_N: Tensor | None = None, drawn_share: float = 0.0) -> Tensor:
    """One weight per class, so that each class counts the same and the mean over the images of batches is 1.

    Of n images in k classes, one of a class with m images weighs n / (k m). A class without images weighs nothing.
    Where a share of every batch is drawn, the m of a class is what n images of such batches hold.
    """
    counts_K = torch.bincount(train_labels_N).double()
    if drawn_labels_N is not None and len(drawn_labels_N) and drawn_share:
        drawn_K = torch.bincount(drawn_labels_N, minlength=len(counts_K)).double()
        counts_K = F.pad(counts_K, (0, len(drawn_K) - len(counts_K))) * (1 - drawn_share)
        counts_K += drawn_K * (drawn_share * len(train_labels_N) / len(drawn_labels_N))
    num_classes = int((counts_K > 0).sum())
    weights_K = len(train_labels_N) / (num_classes * torch.where(counts_K > 0, counts_K, 1.0))
    return torch.where(counts_K > 0, weights_K, 0.0).float()


def build_optimizer(network: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum in three groups: weights, what is not decayed, and the STN at its own rate."""
    stn_ids = {id(parameter) for name, parameter in network.named_parameters() if name.startswith("stn.")}
    weights: list[nn.Parameter] = []
    undecayed: list[nn.Parameter] = []
    stn: list[nn.Parameter] = []
    for parameter in network.parameters():
        group = stn if id(parameter) in stn_ids else weights if parameter.ndim >= 2 else undecayed
        group.append(parameter)
    groups = [
        {"params": weights, "weight_decay": protocol.weight_decay, "factor": 1.0},
        {"params": undecayed, "weight_decay": 0.0, "factor": 1.0},
        {"params": stn, "weight_decay": 0.0, "factor": protocol.stn_learning_rate_factor},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]], lr=0.0, momentum=protocol.momentum, nesterov=True, fused=True
    )
