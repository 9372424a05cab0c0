"""The loop of most tutorials: torchvision's ImageFolder and transforms, a DataLoader with two workers, float32, NCHW.

Every image is opened with Pillow at every access. Resizing comes first, which is kind to this contender: augmenting the
original pictures would cost more. It runs in the environment that a user has, with nothing set.
"""

import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.peers.contender import NUM_WORKERS, build_plain_sgd, epoch_of, measure_epochs, read_job
from benchmarks.peers.plain_networks import build_plain


def build_transform(image_size: int) -> transforms.Compose:
    """The kinds of change that the protocol's augmentation makes, in torchvision's words."""
    return transforms.Compose(
        [
            transforms.Resize((image_size, image_size)),
            transforms.RandomAffine(
                degrees=10,
                translate=(0.1, 0.1),
                scale=(0.86, 1.16),
                shear=8,
                interpolation=transforms.InterpolationMode.BILINEAR,
            ),
            transforms.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.02),
            transforms.RandomGrayscale(0.05),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.25] * 3),
        ]
    )


def main() -> None:
    """Train whole epochs."""
    job = read_job()
    dataset = ImageFolder(str(job.files), build_transform(job.image_size))
    loader = DataLoader(
        dataset,
        batch_size=job.batch_size,
        shuffle=True,
        num_workers=NUM_WORKERS,
        drop_last=True,
        persistent_workers=True,
    )
    network = build_plain(
        job.network, num_classes=job.num_classes, image_size=job.image_size, has_stn=job.has_stn
    ).train()
    optimizer = build_plain_sgd(network, job.learning_rate)

    def train_epoch(max_steps: int | None) -> int:
        num_images = 0
        for images_NCHW, labels_N in epoch_of(loader, loader.batch_sampler, max_steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(images_NCHW), labels_N)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            num_images += len(labels_N)
        return num_images

    measure_epochs(job, train_epoch)


if __name__ == "__main__":
    main()
