"""Small things to train on in tests: a data set of coloured squares, a small network, and jobs on them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from roadtest.data.dataset import ImageSet
from roadtest.data.split import assign_folds, split_fingerprint, split_rows
from roadtest.protocol import Protocol
from roadtest.records import EpochMetrics, PlannedRun, StudyInfo, read_rows, to_json, write_atomically, write_rows
from roadtest.records.events import RunSpec
from roadtest.training.loop import train
from roadtest.training.predict import pixel_reader
from roadtest.training.state import TrainState

CLASS_NAMES = ("Red", "Green", "Blue")

TINY = Protocol(
    name="tiny-v1",
    image_size=32,
    batch_size=16,
    learning_rates=(("*", 0.02),),
    max_epochs=3,
    patience=0,
    warmup_steps=3,
    num_folds=4,
)


class TinyNet(nn.Module):
    """Two layers, batch norm and dropout: everything that has state."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 5, stride=4), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3)
        )
        self.head = nn.Linear(4 * 49, num_classes)

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        logits_NK: torch.Tensor = self.head(self.layers(images_NCHW))
        return logits_NK


def coloured_squares(num_tracks: int = 24, num_frames: int = 5, num_test: int = 30, size: int = 32) -> ImageSet:
    """Noise in which one colour channel is brighter; tracks of frames that look alike; test images on their own."""
    generator = np.random.default_rng(5)
    images, labels, groups, frames, splits = [], [], [], [], []
    for track in range(num_tracks):
        base_HWC = generator.integers(0, 120, (size, size, 3))
        for frame in range(num_frames):
            images.append(base_HWC + generator.integers(0, 20, (size, size, 3)))
            labels.append(track % 3)
            groups.append(f"{track % 3}/{track}")
            frames.append(frame)
            splits.append("train")
    for i in range(num_test):
        images.append(generator.integers(0, 140, (size, size, 3)))
        labels.append(i % 3)
        groups.append("")
        frames.append(0)
        splits.append("test")
    for image_HWC, label in zip(images, labels, strict=True):
        image_HWC[:, :, label] += 60
    return ImageSet(
        source="squares",
        title="coloured squares",
        class_names=CLASS_NAMES,
        images_NHWC=np.stack(images).astype(np.uint8),
        labels_N=np.array(labels, np.int64),
        groups=tuple(groups),
        frames_N=np.array(frames, np.int64),
        splits=tuple(splits),
        paths=tuple(f"{split}/{i:04d}" for i, split in enumerate(splits)),
        fingerprint="f" * 64,
    )


def tiny_training(
    protocol: Protocol = TINY, seed: int = 0, network: nn.Module | None = None, **more: object
) -> TrainState:
    """A training of TinyNet on the coloured squares, one thread, ready to be driven."""
    torch.set_num_threads(1)
    image_set = coloured_squares()
    train_N = image_set.indices_of("train")
    if network is None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = TinyNet()
    values = {
        "network": network,
        "protocol": protocol,
        "seed": seed,
        "learning_rate": 0.02,
        "precision": "float32",
        "device": "cpu",
        "read_pixels": pixel_reader(image_set.images_NHWC, "cpu"),
        "labels_N": torch.from_numpy(image_set.labels_N),
        "train_ids_N": train_N[train_N % 4 != 0],
        "train_eval_ids_N": train_N[::5],
        "val_ids_N": train_N[train_N % 4 == 0],
    }
    return TrainState(**{**values, **more})  # type: ignore[arg-type]


def rows_of(training: TrainState) -> list[EpochMetrics]:
    """Train to the end, and give the evaluations."""
    return [happening for happening in train(training) if isinstance(happening, EpochMetrics)]


def weights_of(training: TrainState) -> torch.Tensor:
    """All weights and buffers in one row, on the CPU."""
    return torch.cat([each.detach().flatten() for each in training.network.state_dict().values()]).cpu()


def write_tiny_study(folder: Path, protocol: Protocol = TINY, num_seeds: int = 1, network: str = "lenet5") -> RunSpec:
    """Write study.json, split.csv and the pixels of the coloured squares, and return the job of the first run."""
    image_set = coloured_squares()
    study_dir, pixels_path = folder / "study", folder / "pixels.npy"
    study_dir.mkdir()
    np.save(pixels_path, image_set.images_NHWC)
    rows = split_rows(image_set, assign_folds(image_set, protocol.num_folds))
    write_rows(study_dir / "split.csv", rows, rows[0].keys())
    runs = tuple(PlannedRun(network=network, has_stn=False, seed=seed) for seed in range(num_seeds))
    info = StudyInfo(
        source="squares",
        data_title=image_set.title,
        data_fingerprint=image_set.fingerprint,
        class_names=CLASS_NAMES,
        num_train=120,
        num_val=0,
        num_test=30,
        num_tracks=24,
        protocol=protocol.to_dict(),
        protocol_fingerprint=protocol.fingerprint,
        runs=runs,
        command="roadtest compare squares",
        created_at="2026-01-01T00:00:00+00:00",
    )
    write_atomically(study_dir / "study.json", to_json(info))
    return RunSpec(
        study_dir=study_dir,
        cache_dir=folder / "cache",
        pixels_path=pixels_path,
        split_fingerprint=split_fingerprint(read_rows(study_dir / "split.csv")),
        run=runs[0],
        protocol=protocol,
        learning_rate=0.02,
        device="cpu",
        precision="float32",
        num_threads=1,
    )


def with_budget(protocol: Protocol, seconds: float) -> Protocol:
    """The same protocol under a clock."""
    return replace(protocol, budget_seconds=seconds)
