"""What a change of the protocol would bring, on validation: one training on one fold, with fields set by hand.

    python -m benchmarks.accuracy.protocol_trial lenet5 --seed 1 --steps 4000 [--data-dir DIR]
    python -m benchmarks.accuracy.protocol_trial lenet5 --seed 1 --steps 4000 --set shear_degrees=12

Prints one line of JSON. The test set is not opened. Steps, not seconds: trials can run side by side, a thread each.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from roadtest.data.cache import default_cache_dir, open_image_set
from roadtest.data.dataset import ImageSet
from roadtest.data.signs import list_signs
from roadtest.data.sources.gtsrb import list_gtsrb
from roadtest.data.split import assign_folds, every_tenth_frame, split_for_seed
from roadtest.networks import build_network, parse_label
from roadtest.protocol import GTSRB_V1, Protocol
from roadtest.records import EpochMetrics
from roadtest.training.loop import train
from roadtest.training.predict import pixel_reader
from roadtest.training.state import TrainState


def change_protocol(changes: Sequence[str]) -> Protocol:
    """Apply `field=value` to the protocol or its augmentation; a KeyError names a field that neither has."""
    values = {name: _parse(value) for name, _, value in (change.partition("=") for change in changes)}
    of_protocol = {name: value for name, value in values.items() if name in vars(GTSRB_V1)}
    of_augmentation = {name: value for name, value in values.items() if name in vars(GTSRB_V1.augmentation)}
    unknown = values.keys() - of_protocol.keys() - of_augmentation.keys()
    if unknown:
        raise KeyError(f"{', '.join(unknown)}: neither a field of the protocol nor of its augmentation")
    return replace(GTSRB_V1, augmentation=replace(GTSRB_V1.augmentation, **of_augmentation), **of_protocol)  # type: ignore[arg-type]


def _parse(value: str) -> float | str:
    """A number, or a word such as `fixed`."""
    try:
        return float(value)
    except ValueError:
        return value


def build_trial(image_set: ImageSet, protocol: Protocol, options: argparse.Namespace) -> TrainState:
    """A training as a run would build it, on the fold of the seed."""
    split = split_for_seed(image_set, assign_folds(image_set, protocol.num_folds), options.seed)
    name, has_stn = parse_label(options.network)
    network = build_network(
        name,
        num_classes=image_set.num_classes,
        image_size=protocol.image_size,
        has_stn=bool(has_stn),
        seed=options.seed,
    )
    rate = options.lr or protocol.learning_rate(options.network)
    assert rate is not None, f"{options.network} has no rate in the protocol: give --lr"
    return TrainState(
        network=network,
        protocol=protocol,
        seed=options.seed,
        learning_rate=rate,
        precision=options.precision,
        device="cpu",
        read_pixels=pixel_reader(image_set.images_NHWC, "cpu"),
        labels_N=torch.from_numpy(image_set.labels_N.astype(np.int64)),
        train_ids_N=split.train_N,
        train_eval_ids_N=every_tenth_frame(image_set, split.train_N),
        val_ids_N=split.val_N,
        max_steps=options.steps,
    )


def main(words: Sequence[str] | None = None) -> None:
    """Train, and print the figures of the last evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="as in roadtest compare: lenet5+stn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--lr", type=float, help="the protocol's where it is left out")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="may be given often")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--source", choices=("gtsrb", "signs"), default="gtsrb")
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    cache_dir = default_cache_dir()
    listing = list_gtsrb(options.data_dir, cache_dir=cache_dir) if options.source == "gtsrb" else list_signs()
    image_set = open_image_set(listing, image_size=GTSRB_V1.image_size, cache_dir=cache_dir)
    training = build_trial(image_set, change_protocol(options.set), options)
    rows = [happening for happening in train(training) if isinstance(happening, EpochMetrics)]
    figures = {"val_accuracy": rows[-1].val.accuracy, "val_loss": rows[-1].val.loss}
    said = {name: getattr(options, name) for name in ("network", "seed", "steps", "set")}
    print(json.dumps({**said, "learning_rate": training.learning_rate, **figures}))


if __name__ == "__main__":
    main()
