"""A study whose networks can be used without having been trained: real weights of LeNet-5, drawn at random.

And a network that is always right about colours: it names the brightest channel.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from fake_study import build_fake_study
from roadtest.inference.classifier import Classifier
from roadtest.networks import build_network
from roadtest.records import RunRecord, read_record
from roadtest.training.checkpoint import write_weights

COLOURS = ("Red", "Green", "Blue")


class Brightest(nn.Module):
    """Three logits: the means of the channels."""

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return images_NCHW.mean((2, 3))


def build_used_study(
    study_dir: Path, *, networks: Sequence[str] = ("lenet5", "lenet5+stn"), seeds: int = 1, class_names=COLOURS
) -> Path:
    """A fake study of a few images whose runs keep weights that fit."""
    build_fake_study(
        study_dir,
        networks=networks,
        seeds=seeds,
        class_names=class_names,
        tracks_per_class=10,
        frames_per_track=2,
        num_evaluations=2,
        has_examples=False,
    )
    for path in study_dir.glob("*/seed-*/record.json"):
        write_fitting_weights(path.parent)
    return study_dir


def write_fitting_weights(run_dir: Path) -> None:
    """Write random weights of the network that the record names."""
    record = read_record(run_dir)
    network = build_network(
        record.network,
        num_classes=len(record.class_names),
        image_size=record.image_size,
        has_stn=record.has_stn,
        seed=record.seed,
    )
    write_weights(run_dir / "weights.safetensors", network, {})


def brightest(record: RunRecord, class_names: Sequence[str] = COLOURS) -> Classifier:
    """A classifier that names the brightest channel."""
    return Classifier(Brightest(), replace(record, class_names=tuple(class_names), normalisation="fixed"))


def draw_colour(path: Path, colour: int, number: int = 0, size: int = 20) -> Path:
    """A noisy PNG in which one channel is brightest; each number is another image."""
    image_HWC = np.random.default_rng(1000 * colour + number).integers(0, 100, (size, size, 3), np.uint8)
    image_HWC[:, :, colour] += 100
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image_HWC).save(path)
    return path


def draw_colours(root: Path, folders: dict[str, int], num_images: int = 4) -> Path:
    """Folders of images: name -> the channel that is brightest in it."""
    for name, colour in folders.items():
        for number in range(num_images):
            draw_colour(root / name / f"{number}.png", colour, number)
    return root
