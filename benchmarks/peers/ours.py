"""roadtest's own training loop, clocked from outside: whatever it spends between its steps counts.

Only its evaluations are shrunk to two images each, because no other contender evaluates.
"""

import torch
from torch import Tensor, nn

from benchmarks.peers.contender import Job, measure_epochs, read_job
from roadtest.networks import build_network
from roadtest.protocol import GTSRB_V1
from roadtest.training.loop import train
from roadtest.training.predict import pixel_reader
from roadtest.training.state import TrainState


def build_training(
    job: Job, network: nn.Module, pixels_NHWC: Tensor, labels_N: Tensor, max_steps: int, *, num_evaluated: int = 2
) -> TrainState:
    """So many steps of the published protocol; `num_evaluated` images of each kind at every evaluation."""
    ids_N = torch.arange(len(labels_N)).numpy()
    return TrainState(
        network=network,
        protocol=GTSRB_V1,
        seed=0,
        learning_rate=job.learning_rate,
        precision=job.precision,
        device="cpu",
        read_pixels=pixel_reader(pixels_NHWC.numpy(), "cpu"),
        labels_N=labels_N,
        train_ids_N=ids_N,
        train_eval_ids_N=ids_N[:num_evaluated],
        val_ids_N=ids_N[-num_evaluated:],
        max_steps=max_steps,
    )


def main() -> None:
    """Train whole epochs."""
    job = read_job()
    assert (GTSRB_V1.batch_size, GTSRB_V1.image_size) == (job.batch_size, job.image_size)
    network = build_network(
        job.network, num_classes=job.num_classes, image_size=job.image_size, has_stn=job.has_stn, seed=0
    )
    pixels_NHWC, labels_N = job.pixels_NHWC(), job.labels_N()

    def train_epoch(max_steps: int | None) -> int:
        training = build_training(job, network, pixels_NHWC, labels_N, max_steps or job.num_images // job.batch_size)
        for _ in train(training):
            pass
        return training.progress.step * training.batch_size

    measure_epochs(job, train_epoch)


if __name__ == "__main__":
    main()
