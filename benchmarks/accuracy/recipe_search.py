"""Which recipe trains all networks well: one training per call on one validation fold, with everything set by hand.

    python -m benchmarks.accuracy.recipe_search --out trials.jsonl --queue trials.txt      # a line of options per trial
    python -m benchmarks.accuracy.recipe_search --out trials.jsonl -- resnet34 --seed 1 --steps 600 --optimizer adamw
    python -m benchmarks.accuracy.recipe_search --out trials.jsonl --table     # means over seeds, with spread

The test set is not opened. Trials of equal options and different seeds are paired by seed: seed k validates on fold k.
Besides accuracy and loss on the fold each trial is judged on a hard validation set: the same pictures darkened, lowered
in contrast, blurred, shifted and turned, with fixed seeds and strengths that were set before the first trial. Both are
told for the last weights and for their averaged copy. Threads: one; several trials may run side by side.
"""

import argparse
import copy
import json
import math
import shlex
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.accuracy.protocol_trial import change_protocol
from benchmarks.accuracy.signnets import SIGNNETS
from roadtest.data.cache import default_cache_dir, open_image_set
from roadtest.data.dataset import ImageSet
from roadtest.data.sources.gtsrb import list_gtsrb
from roadtest.data.split import assign_folds, split_for_seed
from roadtest.networks import build_network, parse_label
from roadtest.protocol import Protocol
from roadtest.training.augment import augment_batch, prepare_batch, sample_parameters
from roadtest.training.predict import forward

EMA_STEPS = 200
"""The averaged copy forgets over this many steps, or over a twentieth of a shorter run."""
HARD_SEED = 20261130
HARD = {"brightness": (0.35, 1.0), "contrast": (0.4, 1.0), "blur": (0.0, 1.3), "shift": 0.1, "degrees": 15.0}
"""Strengths of the hard validation set; blur in pixels, shift as a share of the side. Set before the first trial."""
SAME = ("out", "seed")


def hard_images(images_NHWC: np.ndarray) -> np.ndarray:
    """The hard twin of each image: bytes, the same at every call."""
    rng = np.random.default_rng(HARD_SEED)
    images_NCHW = torch.from_numpy(np.ascontiguousarray(images_NHWC)).permute(0, 3, 1, 2).float() / 255
    num = len(images_NCHW)

    def uniform(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, num).astype(np.float32))

    angle_N, shift_x_N, shift_y_N = (
        uniform(-size, size) for size in (math.radians(HARD["degrees"]), 2 * HARD["shift"], 2 * HARD["shift"])
    )
    theta_N23 = torch.stack(
        [angle_N.cos(), -angle_N.sin(), shift_x_N, angle_N.sin(), angle_N.cos(), shift_y_N], dim=1
    ).view(-1, 2, 3)
    grid = F.affine_grid(theta_N23, list(images_NCHW.shape), align_corners=False)
    images_NCHW = F.grid_sample(images_NCHW, grid, padding_mode="border", align_corners=False)
    sigma_N, offsets_K = uniform(*HARD["blur"]).clamp(min=0.05), torch.arange(-4, 5)
    kernel_NK = torch.exp(-(offsets_K**2) / (2 * sigma_N[:, None] ** 2))
    kernel_NK = kernel_NK / kernel_NK.sum(1, keepdim=True)
    out = []
    for image_CHW, kernel_K in zip(images_NCHW, kernel_NK, strict=True):
        padded = F.pad(image_CHW[:, None], (4, 4, 4, 4), mode="replicate")
        out.append(F.conv2d(F.conv2d(padded, kernel_K.view(1, 1, 1, -1)), kernel_K.view(1, 1, -1, 1))[:, 0])
    images_NCHW = torch.stack(out)
    mean_N = images_NCHW.mean((1, 2, 3), keepdim=True)
    images_NCHW = mean_N + (images_NCHW - mean_N) * uniform(*HARD["contrast"])[:, None, None, None]
    images_NCHW = images_NCHW * uniform(*HARD["brightness"])[:, None, None, None]
    return (images_NCHW.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


class Average:
    """An exponential average of weights and buffers; early steps are averaged evenly."""

    def __init__(self, network: nn.Module, num_steps: int) -> None:
        self.network = copy.deepcopy(network)
        self.num_seen, self.span = 0, min(EMA_STEPS, max(num_steps // 20, 1))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.num_seen += 1
        share = max(1 / self.num_seen, 1 / self.span)
        for mine, theirs in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs.to(mine.dtype), share)
            else:
                mine.copy_(theirs)


def rate_at(step: int, given: argparse.Namespace) -> float:
    """The rate as a share of its highest: warm-up over a tenth, then as the schedule says."""
    warmup = max(given.steps // 10, 1) if given.schedule != "v1" else max(min(100, given.steps // 10), 1)
    warm = (step + 1) / (warmup + 1)
    left = (given.steps - step) / given.steps
    if given.schedule == "linear":
        fall = (given.steps - step) / max(given.steps - warmup, 1)
    elif given.schedule == "cosine":
        fall = 0.5 * (1 + math.cos(math.pi * max(step - warmup, 0) / max(given.steps - warmup, 1)))
    elif given.schedule == "constant":
        fall = 1.0
    else:
        fall = left / 0.4
    return min(1.0, warm, fall)


def build_optimizers(network: nn.Module, given: argparse.Namespace) -> list[torch.optim.Optimizer]:
    """SGD or AdamW for all, or Muon for hidden matrices and convolutions with AdamW for the rest."""
    stn = [p for name, p in network.named_parameters() if name.startswith("stn.")]
    rest = [p for name, p in network.named_parameters() if not name.startswith("stn.")]
    matrices, vectors = [p for p in rest if p.ndim >= 2], [p for p in rest if p.ndim < 2]

    def groups(weights: Sequence[nn.Parameter], rate: float, decay: float) -> list[dict[str, Any]]:
        found = [
            {"params": list(weights), "lr": rate, "top": rate, "weight_decay": decay},
            {"params": vectors, "lr": rate, "top": rate, "weight_decay": 0.0},
            {"params": stn, "lr": rate, "top": rate * given.stn_factor, "weight_decay": 0.0},
        ]
        return [group for group in found if group["params"]]

    if given.optimizer == "sgd":
        return [torch.optim.SGD(groups(matrices, given.lr, given.wd), lr=0.1, momentum=0.9, nesterov=True)]
    if given.optimizer == "adamw":
        return [torch.optim.AdamW(groups(matrices, given.lr, given.wd), lr=0.1, betas=(0.9, given.beta2))]
    from timm.optim import Muon

    hidden = matrices[1:-1]
    others = groups([matrices[0], matrices[-1]], given.adam_lr, 0.05)
    muon = [{"params": hidden, "lr": given.lr, "top": given.lr, "weight_decay": given.wd}]
    return [Muon(muon, lr=0.1, momentum=0.95), torch.optim.AdamW(others, lr=0.1, betas=(0.9, given.beta2))]


def prepare_network(network: nn.Module, given: argparse.Namespace) -> None:
    """Zero the last batch norm of each residual branch, set the head's dropout."""
    for module in network.modules():
        if given.zero_init and type(module).__name__ == "BasicBlock":
            nn.init.zeros_(module.bn2.weight)  # type: ignore[arg-type]
        if given.dropout is not None and isinstance(module, nn.Dropout):
            module.p = given.dropout


def more_augmentation(images_NCHW: Tensor, given: argparse.Namespace, generator: torch.Generator) -> Tensor:
    """Erase a rectangle, blur: what the protocol's augmentation does not have."""
    num, _, height, width = images_NCHW.shape
    if given.blur > 0:
        is_blurred = torch.rand(num, generator=generator) < 0.5
        sigma = float(torch.rand(1, generator=generator)) * given.blur + 0.05
        kernel_K = torch.exp(-(torch.arange(-3, 4) ** 2) / (2 * sigma**2))
        kernel_K = (kernel_K / kernel_K.sum()).to(images_NCHW.dtype)
        some = images_NCHW[is_blurred]
        some = F.pad(some, (3, 3, 3, 3), mode="replicate")
        some = F.conv2d(some, kernel_K.view(1, 1, 1, -1).expand(3, 1, 1, 7), groups=3)
        images_NCHW[is_blurred] = F.conv2d(some, kernel_K.view(1, 1, -1, 1).expand(3, 1, 7, 1), groups=3)
    if given.erase > 0:
        chance_N = torch.rand(num, generator=generator)
        sides_N2 = torch.randint(5, 15, (num, 2), generator=generator)
        for i in torch.nonzero(chance_N < given.erase).flatten().tolist():
            high, wide = sides_N2[i].tolist()
            top = int(torch.randint(0, height - high + 1, (1,), generator=generator))
            left = int(torch.randint(0, width - wide + 1, (1,), generator=generator))
            fill = torch.randn(3, 1, 1, generator=generator)
            images_NCHW[i, :, top : top + high, left : left + wide] = fill
    return images_NCHW


@torch.no_grad()
def evaluate(network: nn.Module, images_NHWC: np.ndarray, labels_N: Tensor, protocol: Protocol) -> tuple[float, float]:
    """Accuracy in percent and mean cross-entropy."""
    network.eval()
    parts = []
    for start in range(0, len(labels_N), 512):
        images_NCHW = prepare_batch(
            torch.from_numpy(np.ascontiguousarray(images_NHWC[start : start + 512])),
            normalisation=protocol.normalisation,
        )
        parts.append(forward(network, images_NCHW, "bfloat16").float())
    logits_NK = torch.cat(parts)
    right = (logits_NK.argmax(1) == labels_N).float().mean()
    return round(100 * float(right), 4), round(float(F.cross_entropy(logits_NK, labels_N)), 5)


@torch.no_grad()
def restore_batch_norm(network: nn.Module, batches: Iterator[Tensor]) -> None:
    """Batch norm's running figures from a few augmented batches, as the weights stand now."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    for images_NCHW in batches:
        forward(network, images_NCHW, "bfloat16")
    for norm in norms:
        norm.momentum = 0.1


def run_trial(given: argparse.Namespace, image_set: ImageSet) -> dict[str, Any]:
    """Train once; the figures of the end, and of the averaged copy."""
    protocol = change_protocol(given.set)
    split = split_for_seed(image_set, assign_folds(image_set, protocol.num_folds), given.seed)
    torch.manual_seed(given.seed)
    if given.network in SIGNNETS:
        network = SIGNNETS[given.network](43)
    else:
        name, has_stn = parse_label(given.network)
        network = build_network(name, num_classes=43, image_size=32, has_stn=bool(has_stn), seed=given.seed)
    prepare_network(network, given)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizers, average = build_optimizers(network, given), Average(network, given.steps)
    labels_N = torch.from_numpy(image_set.labels_N.astype(np.int64))
    generator = torch.Generator().manual_seed(given.seed)
    started, losses, step, epoch = time.process_time(), [], 0, 0
    batch_size = given.batch
    while step < given.steps:
        order_N = torch.from_numpy(np.random.default_rng([given.seed, epoch]).permutation(split.train_N))
        parameters = sample_parameters(order_N, augmentation=protocol.augmentation, seed=given.seed, epoch=epoch)
        for first in range(0, len(order_N) - batch_size + 1, batch_size):
            places = slice(first, first + batch_size)
            pixels = torch.from_numpy(image_set.images_NHWC[order_N[places].numpy()])
            images_NCHW = augment_batch(pixels, parameters.of(places), normalisation=protocol.normalisation)
            images_NCHW = more_augmentation(images_NCHW, given, generator)
            factor = rate_at(step, given)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["top"] * factor
            network.train()
            logits_NK = forward(network, images_NCHW, "bfloat16")
            loss = F.cross_entropy(logits_NK.float(), labels_N[order_N[places]], label_smoothing=given.smoothing)
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            average.update(network)
            losses.append(float(loss.detach()))
            step += 1
            if step >= given.steps or not math.isfinite(losses[-1]):
                break
        epoch += 1
        if not math.isfinite(losses[-1]):
            break
    seconds = time.process_time() - started
    val_NHWC = image_set.images_NHWC[split.val_N]
    val_labels_N, hard_NHWC = labels_N[torch.from_numpy(split.val_N)], hard_images(val_NHWC)
    found: dict[str, Any] = {"train_loss": round(statistics.fmean(losses[-100:]), 4)}
    for word, one in {"": network, "ema_": average.network}.items():
        found[f"{word}accuracy"], found[f"{word}loss"] = evaluate(one, val_NHWC, val_labels_N, protocol)
        found[f"{word}hard_accuracy"], found[f"{word}hard_loss"] = evaluate(one, hard_NHWC, val_labels_N, protocol)
    found["num_parameters"] = sum(p.numel() for p in network.parameters())
    found["process_seconds"] = round(seconds, 1)
    return found


def build_parser() -> argparse.ArgumentParser:
    """The options of one trial."""
    parser = argparse.ArgumentParser(prog="trial")
    parser.add_argument("network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--optimizer", choices=("sgd", "adamw", "muon"), default="sgd")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--adam-lr", type=float, default=0.002, help="beside Muon")
    parser.add_argument("--wd", type=float, default=5e-4)
    parser.add_argument("--beta2", type=float, default=0.99)
    parser.add_argument("--schedule", choices=("v1", "linear", "cosine", "constant"), default="linear")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--smoothing", type=float, default=0.1)
    parser.add_argument("--stn-factor", type=float, default=0.1)
    parser.add_argument("--zero-init", action="store_true")
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--erase", type=float, default=0.0, help="chance of an erased rectangle")
    parser.add_argument("--blur", type=float, default=0.0, help="largest sigma in pixels, on half the images")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    return parser


def describe(options: dict[str, Any]) -> str:
    """The options that are not their defaults, without the seed: what trials of several seeds share."""
    defaults = vars(build_parser().parse_args(["x"]))
    words = [f"{name}={value}" for name, value in options.items() if name != "seed" and defaults.get(name) != value]
    return " ".join(words)


def print_table(out: Path) -> None:
    """Means over seeds; the standard deviation over seeds in brackets."""
    trials: dict[str, list[dict[str, Any]]] = {}
    for line in out.read_text().splitlines():
        row = json.loads(line)
        trials.setdefault(describe(row["options"]), []).append(row)
    columns = ("accuracy", "ema_accuracy", "loss", "ema_loss", "hard_accuracy", "ema_hard_accuracy", "ema_hard_loss")
    print("| trial | seeds | " + " | ".join(columns) + " | process seconds |")
    print("|---" * (len(columns) + 3) + "|")
    for words, rows in trials.items():
        cells = []
        for column in columns:
            values = [row[column] for row in rows]
            spread = f" ({statistics.stdev(values):.2f})" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.{3 if 'loss' in column else 2}f}{spread}")
        seconds = statistics.fmean(row["process_seconds"] for row in rows)
        seeds = ",".join(str(row["options"]["seed"]) for row in rows)
        print(f"| {words} | {seeds} | {' | '.join(cells)} | {seconds:.0f} |")


def main() -> None:
    """Run the trials that are not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--queue", type=Path, help="a file with a line of options per trial, read again after each")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("trial", nargs="*")
    given = parser.parse_args()
    if given.table:
        print_table(given.out)
        return
    torch.set_num_threads(1)
    cache_dir = default_cache_dir()
    image_set = open_image_set(list_gtsrb(given.data_dir, cache_dir=cache_dir), image_size=32, cache_dir=cache_dir)
    while True:
        lines = given.queue.read_text().splitlines() if given.queue else [shlex.join(given.trial)]
        trials = [vars(build_parser().parse_args(shlex.split(line))) for line in lines if line and line[0] != "#"]
        done = (
            [json.loads(line)["options"] for line in given.out.read_text().splitlines()] if given.out.exists() else []
        )
        left = [trial for trial in trials if trial not in done]
        if not left:
            return
        row = run_trial(argparse.Namespace(**left[0]), image_set)
        with given.out.open("a") as file:
            file.write(json.dumps({"options": left[0], **row}) + "\n")


if __name__ == "__main__":
    main()
