"""Lightning's Trainer around the idiomatic loader: float32, no logger, no checkpoints, no bar, which is kind to it."""

import logging
import time
import warnings
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from benchmarks.peers.contender import NUM_WARMUP_STEPS, NUM_WORKERS, Job, build_plain_sgd, read_job, report
from benchmarks.peers.idiomatic import build_transform
from benchmarks.peers.plain_networks import build_plain


class Module(lightning.LightningModule):
    """A network with its step and its optimiser, and a clock that stops once enough whole epochs are through."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self.network = build_plain(
            job.network, num_classes=job.num_classes, image_size=job.image_size, has_stn=job.has_stn
        )
        self.num_images, self.start, self.seconds = 0, 0.0, 0.0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """One step's loss."""
        images_NCHW, labels_N = batch
        self.num_images += len(labels_N)
        return F.cross_entropy(self.network(images_NCHW), labels_N)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The same optimiser as the idiomatic loop's."""
        return build_plain_sgd(self.network, self.job.learning_rate)

    def on_train_start(self) -> None:
        """Start the clock."""
        self.num_images, self.start = 0, time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Stop after the first epoch that leaves enough seconds behind."""
        self.seconds = time.perf_counter() - self.start
        self.trainer.should_stop = self.seconds >= self.job.min_seconds


def main() -> None:
    """Train a few steps unclocked, then whole epochs."""
    warnings.simplefilter("ignore")
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
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
    quiet: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    module = Module(job)
    lightning.Trainer(accelerator="cpu", max_epochs=1, limit_train_batches=NUM_WARMUP_STEPS, **quiet).fit(
        module, loader
    )
    lightning.Trainer(accelerator="cpu", max_epochs=1_000_000, **quiet).fit(module, loader)
    report(num_images=module.num_images, seconds=module.seconds)


if __name__ == "__main__":
    main()
