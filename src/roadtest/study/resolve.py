"""What the options mean for a source: its published protocol, the runs, the networks and the study's name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from roadtest.data.dataset import ImageSet
from roadtest.data.gtsrb_classes import CLASS_NAMES, MIRRORED_CLASSES
from roadtest.data.signs import is_synthetic, parse_signs
from roadtest.protocol import PRESETS, PROTOCOLS, SIX_NETWORKS, Augmentation, Protocol
from roadtest.records import MAX_SEED, PlannedRun
from roadtest.records.events import Emit
from roadtest.study.options import Options

FLIP_PROBABILITY = 0.5
FOLDER_NETWORKS = ("lenet5", "torchvision:resnet18", "timm:mobilenetv3_small_100", "timm:efficientnet_lite0")
"""Small and middling ones that are in use: what is compared on images of one's own where nothing is named."""


@dataclass(frozen=True, kw_only=True)
class StudyContext:
    """What a call asks for, with the images open: made once, before anything is written to the study's folder."""

    source: str
    options: Options
    runs: tuple[PlannedRun, ...]
    """Those that were asked for now; the study may hold others."""
    protocol: Protocol
    study_dir: Path
    image_set: ImageSet
    cache_dir: Path
    emit: Emit


def source_kind(source: str) -> str:
    """`gtsrb`, `signs` or `folder`: which of the published protocols a source is compared under."""
    if is_synthetic(source):
        return "signs"
    return source if source in PROTOCOLS else "folder"


def study_name(source: str, options: Options, protocol: Protocol) -> str:
    """The study folder's name, `gtsrb-gtsrb-v1-1a2b3c4d`: another protocol or source name is another folder.

    Other data of the same name has the same folder, and is refused there.
    """
    name = source_name(source)
    for word, other in (("val", options.validate_on), ("on", options.test_on)):
        name += f"-{word}-{source_name(other)}" if other is not None else ""
    return f"{name}-{protocol.name}-{protocol.fingerprint[:8]}"


def source_name(source: str) -> str:
    """The source as it stands in the study folder's name; drawn signs with their settings, `signs-20000-skewed`."""
    if is_synthetic(source):
        return re.sub("[:,=]", "-", parse_signs(source).word)
    return source if source in PROTOCOLS else (Path(source).resolve().stem or "root")


def chosen_seeds(options: Options) -> tuple[int, ...]:
    """The seeds, ascending; `3` means 0, 1, 2."""
    seeds = PRESETS[options.preset].num_seeds if options.seeds is None else options.seeds
    if isinstance(seeds, int):
        seeds = tuple(range(seeds))
    if not seeds or not 0 <= min(seeds) <= max(seeds) <= MAX_SEED or len(set(seeds)) < len(seeds):
        raise ValueError(f"--seeds {options.seeds} cannot be used: give a number above 0, or distinct seeds as 0,1,4")
    return tuple(sorted(seeds))


def chosen_protocol(source: str, options: Options, num_runs: int) -> Protocol:
    """The source's published protocol with the user's changes; budget_total is divided over the runs."""
    kind, preset = source_kind(source), PRESETS[options.preset]
    protocol = PROTOCOLS[kind]
    budget = options.budget_seconds
    if options.budget_total_seconds is not None:
        budget = options.budget_total_seconds / num_runs
    elif budget is None and options.epochs is None:  # who counts epochs does not want the preset's clock
        budget = preset.signs_budget_seconds if kind == "signs" else preset.budget_seconds
    rates = () if preset.runs_sweep else protocol.learning_rates
    if options.lr is not None:
        rates = (("*", options.lr),)
    changes = {
        "budget_seconds": budget,
        "learning_rates": rates,
        "max_epochs": options.epochs,
        "patience": options.patience,
        "image_size": options.image_size,
        "batch_size": options.batch_size,
        "class_weights": options.class_weights,
        "augmentation": _flipping(protocol, has_signs=kind != "folder") if options.flips == "on" else None,
    }
    kept = {"budget_seconds", "learning_rates"}
    return replace(protocol, **{k: v for k, v in changes.items() if v is not None or k in kept})  # type: ignore[arg-type]


def planned_runs(networks: Sequence[tuple[str, bool]], seeds: Sequence[int]) -> tuple[PlannedRun, ...]:
    """All runs, seed by seed, so that a study broken off early has compared every network at least once."""
    return tuple(PlannedRun(network=name, has_stn=has_stn, seed=seed) for seed in seeds for name, has_stn in networks)


def default_networks(source: str) -> tuple[str, ...]:
    """The three classic ones, with their STN switch six; for images of one's own, networks that are in use."""
    return FOLDER_NETWORKS if source_kind(source) == "folder" else SIX_NETWORKS


def _flipping(protocol: Protocol, *, has_signs: bool) -> Augmentation:
    """The protocol's augmentation with flips, which only images of one's own may have."""
    if has_signs:
        pairs = ", ".join(f"{CLASS_NAMES[one]!r} and {CLASS_NAMES[other]!r}" for one, other in MIRRORED_CLASSES)
        raise ValueError(f"--flips on would turn signs into others: mirror images are {pairs}; leave it out")
    return replace(protocol.augmentation, flip_probability=FLIP_PROBABILITY)
