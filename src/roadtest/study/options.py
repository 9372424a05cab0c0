"""What the user asked for, turned into a protocol and a list of runs. Words and numbers only; nothing is read or built.

Every option has one meaning and one place here: the command line, `study.toml` and `roadtest.compare` pass the same
names. A mistake is a ValueError in one line: what was given, what is allowed, what to do.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from roadtest.analysis import check_metric
from roadtest.data.signs import is_drawn, parse_drawing
from roadtest.data.sources.gtsrb import CLASS_NAMES, MIRRORED_CLASSES
from roadtest.networks import STEMS
from roadtest.protocol import CLASS_WEIGHTS, PRESETS, PROTOCOLS, SIX_NETWORKS, Augmentation, Protocol
from roadtest.records import MAX_SEED, PlannedRun

STN_WORDS = ("off", "on", "both")


FLIP_WORDS = ("auto", "on", "off")


FLIP_PROBABILITY = 0.5


FOLDER_NETWORKS = ("lenet5", "torchvision:resnet18", "timm:mobilenetv3_small_100", "timm:efficientnet_lite0")
"""Small and middling ones that are in use: what is compared on images of one's own where nobody says."""


WEIGHT_WORDS = ("chosen", "all", "none")


GROUP_WORDS = ("auto",)


KIND_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    tuple[str, ...]: "a list of texts",
    tuple[int, ...]: "a list of whole numbers",
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything `compare` can be told besides the source; None means the preset's or the protocol's value."""

    data_dir: Path | None = None
    networks: tuple[str, ...] | None = None
    stn: str | None = None
    """`off`, `on` or `both`; None is `both` for the three classic networks and `off` for others."""
    stem: str | None = None
    """`small`, `small-s1` or `imagenet`, for the networks of timm and torchvision that name none; None is their own."""
    pretrained: str = "off"
    """`off`, `on` or `both`, for the networks of timm that name neither."""
    seeds: tuple[int, ...] | int | None = None
    """A number of seeds, from 0, or the seeds themselves."""
    preset: str = "quick"
    epochs: int | None = None
    patience: int | None = None
    budget_seconds: float | None = None
    budget_total_seconds: float | None = None
    anneal: bool = False
    """Also end copies of every run as if they had been given a quarter and a half of its budget."""
    image_size: int | None = None
    """Pixels; None is the protocol's, and what the originals allow for images of one's own."""
    flips: str = "auto"
    """`auto` asks the images of one's own, and is off for signs; `on`, `off`."""
    class_weights: str | None = None
    batch_size: int | None = None
    lr: float | None = None
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    jobs: int = 1
    out: Path | None = None
    fail_fast: bool = False
    fresh: bool = False
    reads_test: bool = True
    is_subset_allowed: bool = False
    skip_broken: bool = False
    group: str | None = None
    """`auto`: groups are proposed by names and looks; None keeps those that the data brought."""
    validate_on: str | None = None
    """Another source, whose training images validate."""
    test_on: str | None = None
    """Another source, whose test images test."""
    keep_weights: str = "all"
    metric: str | None = None
    """What chooses between the networks; None is what the study has, accuracy at first. No part of the protocol."""
    has_images: bool = True

    def __post_init__(self) -> None:
        _check_kinds(self)
        _check_choice("--preset", self.preset, tuple(PRESETS))
        _check_choice("--precision", self.precision, ("auto", "float32", "bfloat16"))
        _check_choice("--keep-weights", self.keep_weights, WEIGHT_WORDS)
        if self.stn is not None:
            _check_choice("--stn", self.stn, STN_WORDS)
        if self.metric is not None:
            check_metric(self.metric)
        _check_choice("--flips", self.flips, FLIP_WORDS)
        _check_choice("--pretrained", self.pretrained, STN_WORDS)
        if self.stem is not None:
            _check_choice("--stem", self.stem, STEMS)
        if self.class_weights is not None:
            _check_choice("--class-weights", self.class_weights, CLASS_WEIGHTS)
        if self.group is not None:
            _check_choice("--group", self.group, GROUP_WORDS)
        for name, value in (("--jobs", self.jobs), ("--threads", self.threads), ("--epochs", self.epochs)):
            if value is not None and value < 1:
                raise ValueError(f"{name} {value} is too small: it must be 1 or more; leave it out for the default")
        if self.lr is not None and not 0 < self.lr <= 100:
            raise ValueError(f"--lr {self.lr} is out of range: it must lie above 0 and not above 100; try 0.05")
        if self.budget_seconds is not None and self.budget_total_seconds is not None:
            raise ValueError("--budget and --budget-total were both given: one is per run, one for all; give one")


def source_kind(source: str) -> str:
    """`gtsrb`, `signs` or `folder`: which of the published protocols a source is compared under."""
    if is_drawn(source):
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
    if is_drawn(source):
        return re.sub("[:,=]", "-", parse_drawing(source).word)
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


def _check_kinds(options: Options) -> None:
    """Refuse what a study.toml or Python can give and a command line cannot: a text for a number, `"no"` for false."""
    for one in fields(options):
        value, kinds = getattr(options, one.name), get_args(one.type) or (one.type,)
        if not any(_is_of(value, kind) for kind in kinds):
            words = " or ".join(KIND_WORDS[kind] for kind in kinds if kind is not NoneType)
            raise ValueError(f"{one.name} = {value!r} cannot be used: give {words}, or leave it out")


def _is_of(value: object, kind: Any) -> bool:
    """Whether a value is of a field's kind; a whole number is a number too, and true is none."""
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_of(part, get_args(kind)[0]) for part in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not known: choose one of {', '.join(choices)}")
