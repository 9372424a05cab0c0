"""What the user asked for, turned into a protocol and a list of runs. Words and numbers only; nothing is read or built.

Every option has one meaning and one place here: the command line, `study.toml` and `roadtest.compare` pass the same
names. A mistake is a ValueError in one line: what was given, what is allowed, what to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from roadtest.protocol import PRESETS, PROTOCOLS, SIX_NETWORKS, Protocol
from roadtest.record import MAX_SEED, PlannedRun

STN_WORDS = ("off", "on", "both")
WEIGHT_WORDS = ("chosen", "all", "none")
GROUP_WORDS = ("auto",)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything `compare` can be told besides the source; None means the preset's or the protocol's value."""

    data_dir: Path | None = None
    networks: tuple[str, ...] | None = None
    stn: str | None = None
    """`off`, `on` or `both`; None is `both` for the three classic networks and `off` for others."""
    seeds: tuple[int, ...] | int | None = None
    """A number of seeds, from 0, or the seeds themselves."""
    preset: str = "quick"
    epochs: int | None = None
    patience: int | None = None
    budget_seconds: float | None = None
    budget_total_seconds: float | None = None
    image_size: int | None = None
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
    keep_weights: str = "all"
    has_images: bool = True

    def __post_init__(self) -> None:
        _check_choice("--preset", self.preset, tuple(PRESETS))
        _check_choice("--precision", self.precision, ("auto", "float32", "bfloat16"))
        _check_choice("--keep-weights", self.keep_weights, WEIGHT_WORDS)
        if self.stn is not None:
            _check_choice("--stn", self.stn, STN_WORDS)
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
    return source if source in PROTOCOLS else "folder"


def source_name(source: str) -> str:
    """The source as it stands in the study folder's name."""
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
    }
    kept = {"budget_seconds", "learning_rates"}
    return replace(protocol, **{k: v for k, v in changes.items() if v is not None or k in kept})  # type: ignore[arg-type]


def planned_runs(networks: Sequence[tuple[str, bool]], seeds: Sequence[int]) -> tuple[PlannedRun, ...]:
    """All runs, seed by seed, so that a study broken off early has compared every network at least once."""
    return tuple(PlannedRun(network=name, has_stn=has_stn, seed=seed) for seed in seeds for name, has_stn in networks)


def default_networks() -> tuple[str, ...]:
    """The three classic ones; with their STN switch they are six."""
    return SIX_NETWORKS


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not known: choose one of {', '.join(choices)}")
