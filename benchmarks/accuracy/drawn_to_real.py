"""How far drawn signs teach a network real ones: one short training, judged on GTSRB's training images.

    python -m benchmarks.accuracy.drawn_to_real signs:30000,wild lenet5+stn --steps 4000 [--data-dir DIR]

Prints the accuracy on frame 5 of every ten of each training track, and the classes with the most errors, with what they
were taken for. The test set is not read. Every call is a look at real images: docs/log.md counts them, because a
drawing that is changed after a look is no longer `statistics` but `real-selected` (docs/signs.md).
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from roadtest.data.cache import default_cache_dir
from roadtest.data.dataset import TRAIN, VAL, ImageSet
from roadtest.data.join import open_joined
from roadtest.networks import build_network, parse_label
from roadtest.protocol import GTSRB_V1
from roadtest.training.loop import train
from roadtest.training.predict import pixel_reader, predict_logits
from roadtest.training.state import TrainState

Ints = npt.NDArray[np.int64]
NUM_SHOWN = 15


def build_trial(image_set: ImageSet, val_N: Ints, options: argparse.Namespace) -> TrainState:
    """A training on all drawn training images, as a run would build it."""
    name, has_stn = parse_label(options.network)
    rate = options.lr or GTSRB_V1.learning_rate(options.network)
    assert rate is not None, f"{options.network} has no rate in the protocol: give --lr"
    train_N = image_set.indices_of(TRAIN)
    return TrainState(
        network=build_network(
            name,
            num_classes=image_set.num_classes,
            image_size=image_set.image_size,
            has_stn=bool(has_stn),
            seed=options.seed,
        ),
        protocol=GTSRB_V1,
        seed=options.seed,
        learning_rate=rate,
        precision="float32",
        device="cpu",
        read_pixels=pixel_reader(image_set.images_NHWC, "cpu"),
        labels_N=torch.from_numpy(image_set.labels_N.astype(np.int64)),
        train_ids_N=train_N,
        train_eval_ids_N=train_N[:1],
        val_ids_N=val_N[:1],  # looked at once, at the end
        max_steps=options.steps,
    )


def confusion_lines(labels_N: Ints, predicted_N: Ints, class_names: Sequence[str]) -> list[str]:
    """A line per class, most errors first."""
    wrong = Counter(labels_N[labels_N != predicted_N].tolist())
    lines = []
    for label, num_wrong in wrong.most_common(NUM_SHOWN):
        is_wrong_N = (labels_N == label) & (predicted_N != label)
        taken = Counter(predicted_N[is_wrong_N].tolist()).most_common(4)
        where = ", ".join(f"{class_names[other]} ({other}) {num}" for other, num in taken)
        lines.append(f"{label:3d} {class_names[label]}: {num_wrong} of {int((labels_N == label).sum())} wrong: {where}")
    return lines


def main(words: Sequence[str] | None = None) -> None:
    """Train, look once, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="drawn signs with their settings: signs:30000,wild")
    parser.add_argument("network", help="as in roadtest compare: lenet5+stn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--lr", type=float, help="the protocol's where it is left out")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    image_set = open_joined(
        options.source,
        validate_on="gtsrb",
        image_size=GTSRB_V1.image_size,
        cache_dir=default_cache_dir(),
        data_dir=options.data_dir,
    )
    val_N = image_set.indices_of(VAL)
    val_N = val_N[image_set.frames_N[val_N] % 10 == 5]
    training = build_trial(image_set, val_N, options)
    for _ in train(training):
        pass
    logits_NK = predict_logits(training.network, training.read_pixels, val_N, normalisation=GTSRB_V1.normalisation)
    labels_N, predicted_N = image_set.labels_N[val_N], logits_NK.argmax(1).numpy()
    print(f"{np.mean(labels_N == predicted_N):.4f} of {len(val_N)} images of GTSRB's training tracks")
    print("\n".join(confusion_lines(labels_N, predicted_N, image_set.class_names)))


if __name__ == "__main__":
    main()
