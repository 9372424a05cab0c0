"""One rung of the ladder: the training loop with some of roadtest's steps taken, in the order of train_ladder.py."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers.contender import (
    MOMENTUM,
    NUM_WORKERS,
    WEIGHT_DECAY,
    Batches,
    Job,
    epoch_of,
    measure_epochs,
    read_job,
)
from benchmarks.peers.idiomatic import build_transform
from benchmarks.peers.plain_networks import build_plain
from roadtest.networks import build_network
from roadtest.protocol import GTSRB_V1
from roadtest.training.augment import augment_batch, sample_parameters
from roadtest.training.predict import forward

Epoch = Callable[[int | None], Batches]
"""A whole one, or one of so many steps."""


class DecodedImages(Dataset[tuple[Tensor, int]]):
    """Images in memory, varied one by one with the idiomatic transforms."""

    def __init__(self, job: Job) -> None:
        self.pixels_NHWC, self.labels_N = job.pixels_NHWC().numpy(), job.labels_N().tolist()
        self.transform = build_transform(job.image_size)

    def __len__(self) -> int:
        return len(self.labels_N)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels_NHWC[index])), self.labels_N[index]


def batches_by_loader(job: Job) -> Epoch:
    """Images in memory, workers, one image at a time."""
    loader = DataLoader(
        DecodedImages(job),
        batch_size=job.batch_size,
        shuffle=True,
        num_workers=NUM_WORKERS,
        drop_last=True,
        persistent_workers=True,
    )
    return lambda max_steps: epoch_of(loader, loader.batch_sampler, max_steps)


def batches_by_key(job: Job) -> Epoch:
    """Images in memory, varied batch by batch with a draw per image, in this process."""
    pixels_NHWC, labels_N = job.pixels_NHWC(), job.labels_N()

    def batches(max_steps: int | None) -> Iterator[tuple[Tensor, Tensor]]:
        for ids_N in torch.split(torch.randperm(len(labels_N)), job.batch_size)[:max_steps]:
            changes = sample_parameters(ids_N, augmentation=GTSRB_V1.augmentation, seed=0, epoch=0)
            images_NCHW = augment_batch(pixels_NHWC[ids_N], changes, normalisation=GTSRB_V1.normalisation)
            yield images_NCHW, labels_N[ids_N]

    return batches


def build(job: Job) -> nn.Module:
    """The network in its usual form or in roadtest's."""
    about: dict[str, Any] = {"num_classes": job.num_classes, "image_size": job.image_size, "has_stn": job.has_stn}
    if "cheaper forms" in job.steps:
        return build_network(job.network, **about, seed=0)
    return build_plain(job.network, **about)


def main() -> None:
    """Train whole epochs."""
    job = read_job()
    layout = torch.channels_last if "channels-last" in job.steps else torch.contiguous_format
    precision = job.precision if "chosen precision" in job.steps else "float32"
    network = build(job).to(memory_format=layout).train()
    optimizer = torch.optim.SGD(
        network.parameters(),
        job.learning_rate,
        MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        nesterov=True,
        fused="fused optimiser" in job.steps,
    )
    batches = batches_by_key(job) if "batched augmentation" in job.steps else batches_by_loader(job)

    def train_epoch(max_steps: int | None) -> int:
        num_images = 0
        for images_NCHW, labels_N in batches(max_steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(forward(network, images_NCHW.to(memory_format=layout), precision), labels_N)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            num_images += len(labels_N)
        return num_images

    measure_epochs(job, train_epoch)


if __name__ == "__main__":
    main()
