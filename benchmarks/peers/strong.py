"""What a good engineer writes in under 60 lines: images in memory, whole-batch transforms, channels-last, bfloat16.

bfloat16 where roadtest's probe chose it. torchvision's v2 draws once per batch: all its images are turned alike.
"""

import torch
import torch.nn.functional as F
from torchvision.transforms import InterpolationMode, v2

from benchmarks.peers.contender import MOMENTUM, WEIGHT_DECAY, measure_epochs, read_job
from benchmarks.peers.plain_networks import build_plain


def main() -> None:
    """Train whole epochs."""
    job = read_job()
    images_NCHW = job.pixels_NHWC().permute(0, 3, 1, 2)  # channels-last as it lies
    labels_N = job.labels_N()
    augment = v2.Compose(
        [
            v2.ToDtype(torch.float32, scale=True),  # first: each step would convert uint8 there and back
            v2.RandomAffine(10, (0.1, 0.1), (0.86, 1.16), 8, InterpolationMode.BILINEAR),
            v2.ColorJitter(0.3, 0.3, 0.3, 0.02),
            v2.RandomGrayscale(0.05),
            v2.Normalize([0.5] * 3, [0.25] * 3),
        ]
    )
    network = build_plain(job.network, num_classes=job.num_classes, image_size=job.image_size, has_stn=job.has_stn)
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(
        network.parameters(), job.learning_rate, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True, fused=True
    )

    def train_epoch(max_steps: int | None) -> int:
        batches = torch.split(torch.randperm(len(labels_N)), job.batch_size)[:max_steps]
        for ids_N in batches:
            batch_NCHW = augment(images_NCHW[ids_N]).to(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=job.precision == "bfloat16"):
                logits_NK = network(batch_NCHW)
            loss = F.cross_entropy(logits_NK.float(), labels_N[ids_N])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return len(batches) * job.batch_size

    measure_epochs(job, train_epoch)


if __name__ == "__main__":
    main()
