"""timm's dataset, loader, transforms and optimiser, and the loop of its training script; no flips, else its defaults.

Its transforms do less than the protocol's augmentation asks for: crop, zoom and colour, no rotation and no shear.
"""

import torch
import torch.nn.functional as F
from timm.data import create_dataset, create_loader  # type: ignore[attr-defined]
from timm.data.readers.img_extensions import add_img_extensions
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

from benchmarks.peers.contender import MOMENTUM, NUM_WORKERS, WEIGHT_DECAY, epoch_of, measure_epochs, read_job
from benchmarks.peers.plain_networks import build_plain


def main() -> None:
    """Train whole epochs."""
    job = read_job()
    add_img_extensions(".ppm")  # type: ignore[no-untyped-call]
    loader = create_loader(
        create_dataset("", root=str(job.files), is_training=True),
        input_size=(3, job.image_size, job.image_size),
        batch_size=job.batch_size,
        is_training=True,
        scale=(0.8, 1.0),
        hflip=0.0,
        color_jitter=0.3,
        num_workers=NUM_WORKERS,
        device=torch.device("cpu"),
    )
    network = build_plain(
        job.network, num_classes=job.num_classes, image_size=job.image_size, has_stn=job.has_stn
    ).train()
    optimizer = create_optimizer_v2(
        network, opt="sgd", lr=job.learning_rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )

    def train_epoch(max_steps: int | None) -> int:
        num_images = 0
        for images_NCHW, labels_N in epoch_of(loader, loader.loader.batch_sampler, max_steps):
            loss = F.cross_entropy(network(images_NCHW), labels_N)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            num_images += len(labels_N)
        return num_images

    measure_epochs(job, train_epoch)


if __name__ == "__main__":
    main()
