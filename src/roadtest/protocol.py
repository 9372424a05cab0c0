"""The protocol: everything that must be equal when networks are compared, in one frozen value.

What may differ between two runs of a study is a network, its STN switch and a seed; every other decision is a field
here. Change a field and the fingerprint changes: results of different protocols never mix. Words only, no torch.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How a training image may be varied; each number is the half-width of a uniform draw unless it says otherwise.

    Traffic signs are never flipped: a flipped "Keep right" is a "Keep left", and GTSRB's classes 19/20, 33/34, 36/37
    and 38/39 are mirror images of each other.
    """

    rotation_degrees: float = 10.0
    """In-plane rotation, plus or minus."""
    shift: float = 0.10
    """Translation along each axis, as a fraction of the side, plus or minus."""
    log_scale: float = 0.15
    """Natural logarithm of the zoom, plus or minus."""
    shear_degrees: float = 8.0
    """Horizontal shear, plus or minus."""
    crop: float = 0.10
    """Up to this fraction of the side is cropped away at a random place, then the rest fills the frame."""
    brightness: float = 0.3
    """Multiplies the image by 1 plus or minus this."""
    contrast: float = 0.3
    """Multiplies the distance from the image's mean grey by 1 plus or minus this."""
    saturation: float = 0.3
    """Multiplies the distance from the pixel's grey by 1 plus or minus this."""
    hue_degrees: float = 7.0
    """Rotation about the grey axis of RGB, plus or minus."""
    grayscale_probability: float = 0.05
    """The chance that an image loses its colour."""
    flip_probability: float = 0.0
    """The chance that left and right change places; above zero only where no class mirrors another or itself."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One fair way to train and judge every network; see docs/protocol.md for the reasons and sources."""

    name: str
    """Names the published recipe, `gtsrb-v1`; part of the study folder's name."""
    image_size: int = 32
    """Side of the square RGB input, in pixels."""
    num_folds: int = 10
    """Tracks are dealt over this many folds; seed k validates on fold k mod num_folds."""
    normalisation: str = "per-image"
    """`per-image`: each image minus its mean, over its deviation; `fixed`: minus 0.5, over 0.25."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """What is varied in training images; validation and test images never are."""
    batch_size: int = 128
    """Images per optimiser step."""
    momentum: float = 0.9
    """Nesterov momentum of SGD."""
    weight_decay: float = 5e-4
    """On weights of two dimensions and more; never on biases, normalisation or the STN."""
    label_smoothing: float = 0.1
    """Of the training loss only; reported losses are plain cross-entropy."""
    class_weights: str = "equal"
    """`equal`: each image counts the same in the training loss; `balanced`: each class does."""
    drawn_fraction: float = 0.0
    """Always 0: mixing synthetic signs into batches has gone. Kept because fingerprints hash every field."""
    stn_learning_rate_factor: float = 0.1
    """The STN's learning rate over the network's."""
    learning_rates: tuple[tuple[str, float], ...] = ()
    """(label, rate) with labels as `lenet5+stn`; `*` is any network; one that is missing runs the sweep first."""
    sweep_rates: tuple[float, ...] = (0.005, 0.01, 0.02, 0.05, 0.1)
    """The rates that a network without one tries, each for sweep_seconds on the full schedule, on seed 0's fold."""
    sweep_seconds: float = 60.0
    """Training seconds per tried rate, turned into steps once per network."""
    warmup_steps: int = 100
    """The rate rises linearly over these steps, or over a tenth of the run where that is fewer."""
    decay_fraction: float = 0.4
    """Share of all steps in which the rate falls linearly to zero, at the end."""
    max_epochs: int = 100
    """No run sees the training images more often, the decay included."""
    patience: int = 8
    """The constant rate ends after this many evaluations without a lower validation loss; 0 is never."""
    budget_seconds: float | None = None
    """Training seconds per run, turned into a number of steps on the run's first steps; None is no budget."""

    def __post_init__(self) -> None:
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name}={value!r} is out of range: it must lie between {low} and {high}; change it")
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(
                f"normalisation={self.normalisation!r} is not known: choose one of {', '.join(NORMALISATIONS)}"
            )
        if self.class_weights not in CLASS_WEIGHTS:
            raise ValueError(
                f"class_weights={self.class_weights!r} is not known: choose one of {', '.join(CLASS_WEIGHTS)}"
            )

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that change when any field changes."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values, ready for JSON."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Protocol":
        """Rebuild a protocol from `to_dict`; a ValueError where it is none, or one of another version."""
        try:
            plain = dict(fields)
            plain["augmentation"] = Augmentation(**plain["augmentation"])
            plain["learning_rates"] = tuple((str(label), float(rate)) for label, rate in plain["learning_rates"])
            plain["sweep_rates"] = tuple(float(rate) for rate in plain["sweep_rates"])
            return cls(**plain)
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise ValueError(
                f"this is no protocol of this roadtest ({error}): it must have the fields of {cls.__name__}; "
                "use the version that wrote it"
            ) from None

    def learning_rate(self, label: str) -> float | None:
        """The rate of the network `label`, or None where the sweep has to find it."""
        rates = dict(self.learning_rates)
        return rates.get(label, rates.get("*"))

    def first_difference(self, other: "Protocol") -> str | None:
        """Name the first field in which two protocols differ, with both values; None when they are equal."""
        for name, mine in self.to_dict().items():
            theirs = other.to_dict()[name]
            if mine != theirs:
                return f"{name} is {mine!r} there and {theirs!r} here"
        return None


NORMALISATIONS = ("per-image", "fixed")
CLASS_WEIGHTS = ("equal", "balanced")
METRICS = ("accuracy", "balanced-accuracy", "macro-f1", "worst-class-recall")
"""What may choose between networks: a choice of reading, no field of the protocol."""

_BOUNDS = (
    ("image_size", 16, 512),
    ("num_folds", 2, 100),
    ("batch_size", 2, 65536),
    ("warmup_steps", 0, 1_000_000),
    ("decay_fraction", 0.0, 0.99),
    ("max_epochs", 1, 1_000_000),
    ("patience", 0, 1_000_000),
    ("budget_seconds", 0.1, 3.2e7),
    ("sweep_seconds", 0.1, 3.2e7),
    ("label_smoothing", 0.0, 0.9),
    ("drawn_fraction", 0.0, 0.99),
)

ORIGINAL_STEM = "imagenet"
STEMS = ("small", "small-s1", ORIGINAL_STEM)
"""A network's first layers: 3 x 3 with stride 2 and no pool; 3 x 3 with stride 1 and no pool; the network's own."""
SIX_NETWORKS = ("lenet5", "vgg16", "resnet34")

GTSRB_V1 = Protocol(
    name="gtsrb-v1",
    # From the sweep published under results/gtsrb-v1/ (docs/log.md, 2026-11-22).
    learning_rates=(
        ("lenet5", 0.1),
        ("lenet5+stn", 0.1),
        ("resnet34", 0.02),
        ("resnet34+stn", 0.02),
        ("vgg16", 0.01),
        ("vgg16+stn", 0.01),
    ),
)

SIGNS_V1 = replace(GTSRB_V1, name="signs-v1", sweep_seconds=20.0)
# Image size and flips follow from the images (study/images.py). The lowest rate is for pretrained networks.
FOLDER_V1 = replace(
    GTSRB_V1,
    name="folder-v1",
    learning_rates=(),
    sweep_rates=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
    sweep_seconds=30.0,
)

PROTOCOLS = {"gtsrb": GTSRB_V1, "signs": SIGNS_V1, "folder": FOLDER_V1}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How much a study spends when the user does not say."""

    num_seeds: int
    """Seeds 0 to num_seeds - 1."""
    budget_seconds: float | None
    """Training seconds per run; None trains until patience or max_epochs."""
    signs_budget_seconds: float | None
    """The same on the drawn signs, which are few and easy."""
    runs_sweep: bool = False
    """Look for every network's rate anew on this data, instead of taking the protocol's table."""


PRESETS = {
    "quick": Preset(num_seeds=1, budget_seconds=300.0, signs_budget_seconds=30.0),
    "standard": Preset(num_seeds=3, budget_seconds=None, signs_budget_seconds=None),
    "thorough": Preset(num_seeds=10, budget_seconds=None, signs_budget_seconds=None, runs_sweep=True),
}
UNDERTRAINED_EPOCHS = 2.0
"""A network that saw less is marked: too little training to compare. Convention."""
BRANCH_FRACTIONS = (0.25, 0.5)
"""Of the budget: for these a copy of the network is annealed beside the run, where that is asked for."""
