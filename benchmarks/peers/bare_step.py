"""The limit of any loop: forward, backward and optimiser step on one batch that is already there.

In roadtest's form of the network, in its environment, in the layout and the precision that were fastest here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers.contender import MOMENTUM, WEIGHT_DECAY, Job, measure_epochs, read_job
from roadtest.networks import build_network
from roadtest.training.predict import forward

LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def prepare_step(job: Job, layout: str) -> tuple[nn.Module, Tensor, Tensor, torch.optim.Optimizer]:
    """Build network, batch and optimiser."""
    network = build_network(
        job.network, num_classes=job.num_classes, image_size=job.image_size, has_stn=job.has_stn, seed=0
    ).train()
    network.to(memory_format=LAYOUTS[layout])
    images_NCHW = torch.randn(job.batch_size, 3, job.image_size, job.image_size).to(memory_format=LAYOUTS[layout])
    labels_N = torch.arange(job.batch_size) % job.num_classes
    optimizer = torch.optim.SGD(
        network.parameters(), job.learning_rate, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True, fused=True
    )
    return network, images_NCHW, labels_N, optimizer


def take_step(
    network: nn.Module, images_NCHW: Tensor, labels_N: Tensor, optimizer: torch.optim.Optimizer, precision: str
) -> None:
    """Train on the batch."""
    loss = F.cross_entropy(forward(network, images_NCHW, precision), labels_N)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def main() -> None:
    """Train on the same batch, as often as an epoch has batches."""
    job = read_job()
    parts = prepare_step(job, job.bare_layout)

    def train_epoch(max_steps: int | None) -> int:
        num_steps = max_steps or job.num_images // job.batch_size
        for _ in range(num_steps):
            take_step(*parts, job.bare_precision)
        return num_steps * job.batch_size

    measure_epochs(job, train_epoch)


if __name__ == "__main__":
    main()
