"""Every option of the command line, once: its names, its group on the help page, and its one-line explanation.

`CompareOptions` is what `compare` takes besides its source. None means "not given": then `--config` speaks, and after
it the preset and the protocol. The fields are named as the arguments of `roadtest.compare`; durations and lists are
still text here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import CoercionError, Group, Parameter, Token

WHAT = Group("What is compared", sort_key=1)


DATA = Group("Data", sort_key=2)


TRAINING = Group("How much training", sort_key=3)


MACHINE = Group("Machine", sort_key=4)


FOLDER = Group("The study's folder", sort_key=5)


OUTPUT = Group("Output", sort_key=6)


Format = Literal["table", "json", "csv", "md"]


# What stands for an option's value on the help page and in docs/cli.md.
PLACEHOLDERS = {
    "--budget": "TIME",
    "--class-weights": "WORD",
    "--budget-total": "TIME",
    "--config": "FILE",
    "--data-dir": "DIR",
    "--device": "NAME",
    "--flips": "WORD",
    "--format": "WORD",
    "--group": "WORD",
    "--keep-weights": "WORD",
    "--lr": "RATE",
    "--networks": "NAMES",
    "--out": "PATH",
    "--precision": "WORD",
    "--prefer": "WORD",
    "--preset": "WORD",
    "--pretrained": "WORD",
    "--stem": "WORD",
    "--stn": "WORD",
    "--test-on": "SOURCE",
    "--validate-on": "SOURCE",
    "--min-accuracy": "RATE",
    "--tolerance": "POINTS",
}


_NUMBERS = ("--batch-size", "--classes", "--epochs", "--image-size", "--jobs", "--patience", "--seeds", "--threads")


_LIMITS = ("--max-latency-ms", "--max-macs", "--max-memory-mb", "--max-params", "--max-size-mb", "--max-train-minutes")


PLACEHOLDERS |= dict.fromkeys((*_NUMBERS, *_LIMITS), "N")


_HAS_METAVAR = hasattr(Parameter(), "metavar")  # cyclopts 5 shows them, cyclopts 4 cannot


def option(*names: str, help: str, group: Group) -> Parameter:
    """An option without the `--no-...` and `--empty-...` forms and the choices that its help names already."""
    shown: dict[str, Any] = {"metavar": PLACEHOLDERS.get(names[0], "")} if _HAS_METAVAR else {}
    return Parameter(name=names, help=help, group=group, negative=(), show_default=False, show_choices=False, **shown)


def read_whole(_: type, tokens: Sequence[Token]) -> int:
    """A whole number as it was typed: 2.9 is none, where cyclopts would round it."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise CoercionError(token=tokens[0], target_type=int) from None


Whole = Annotated[int, Parameter(converter=read_whole)]


DataDir = Annotated[
    Path | None, option("--data-dir", help="Where GTSRB lies. Default: ROADTEST_GTSRB, else downloaded.", group=DATA)
]


Subset = Annotated[bool, option("--subset", help="Take a part of GTSRB, and call it a subset everywhere.", group=DATA)]


SkipBroken = Annotated[bool, option("--skip-broken", help="Leave unreadable images out.", group=DATA)]


GroupOption = Annotated[
    Literal["auto"] | None,
    option(
        "--group",
        help="auto: keep images together that look like frames of one thing (numbered names, near copies). "
        "For image folders, and csv files with images without a group.",
        group=DATA,
    ),
]


ImageSize = Annotated[
    Whole | None,
    option(
        "--image-size",
        "--imgsz",
        help="Side of the images in pixels. Default: 32; compare takes up to 224 where your own images are larger.",
        group=DATA,
    ),
]


StudyPath = Annotated[Path, Parameter(help="The folder of a study.")]


FormatOption = Annotated[
    Format | None,
    option("--format", help="How the table is printed: table (the default), json, csv or md.", group=OUTPUT),
]


Quiet = Annotated[bool, option("--quiet", "-q", help="Print nothing but errors and the final path.", group=OUTPUT)]


Verbose = Annotated[bool, option("--verbose", "-v", help="Print the traceback of an error.", group=OUTPUT)]


NoImages = Annotated[bool, option("--no-images", help="Leave pictures of the data out of the page.", group=OUTPUT)]


Out = Annotated[
    Path | None,
    option("--out", "-o", help="The study's folder. Default: runs/<source>-<protocol>-<fingerprint>.", group=FOLDER),
]


DemoOut = Annotated[Path, option("--out", "-o", help="The study's folder. Default: runs/demo.", group=FOLDER)]


Fresh = Annotated[
    bool, option("--fresh", help="Move a study that is there aside and begin anew. Nothing is deleted.", group=FOLDER)
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What `compare` can be told besides the source."""

    networks: Annotated[
        list[str] | None,
        option(
            "--networks",
            "--models",
            "-m",
            help="Names, lists with commas, wildcards: lenet5,resnet34 or lenet5+stn or timm:resnet*. "
            "Default: lenet5,vgg16,resnet34; for images of your own four that are in use. See roadtest networks.",
            group=WHAT,
        ),
    ] = None
    stn: Annotated[
        Literal["off", "on", "both"] | None,
        option(
            "--stn",
            help="A spatial transformer in front: off, on, both. Default: both for lenet5, vgg16, resnet34, else off.",
            group=WHAT,
        ),
    ] = None
    stem: Annotated[
        Literal["small", "small-s1", "imagenet"] | None,
        option(
            "--stem",
            help="First layers of timm's and torchvision's networks: small (3x3, stride 2, no pool), small-s1 "
            "(stride 1), imagenet (their own, the default). For one of them: torchvision:resnet18@small.",
            group=WHAT,
        ),
    ] = None
    pretrained: Annotated[
        Literal["off", "on", "both"] | None,
        option(
            "--pretrained",
            help="Start timm's networks from pretrained weights: off (the default), on, both. For one of them: "
            "timm:resnet18+pretrained.",
            group=WHAT,
        ),
    ] = None
    seeds: Annotated[
        str | None,
        option("--seeds", help="3 means the seeds 0, 1, 2; 0,4 means these. Default: the preset's.", group=WHAT),
    ] = None
    data_dir: DataDir = None
    is_subset_allowed: Subset = False
    skip_broken: SkipBroken = False
    group: GroupOption = None
    image_size: ImageSize = None
    flips: Annotated[
        Literal["auto", "on", "off"] | None,
        option(
            "--flips",
            help="Mirror training images left to right: on, off, or auto (the default): where the images show that no "
            "class changes; never for signs.",
            group=DATA,
        ),
    ] = None
    validate_on: Annotated[
        str | None,
        option("--validate-on", help="Validate on the training images of another source, such as gtsrb.", group=DATA),
    ] = None
    test_on: Annotated[
        str | None, option("--test-on", help="Test on the test images of another source, such as gtsrb.", group=DATA)
    ] = None
    no_test: Annotated[bool, option("--no-test", help="Develop without reading the test set.", group=DATA)] = False
    preset: Annotated[
        Literal["quick", "standard", "thorough"] | None,
        option(
            "--preset",
            help="quick: 1 seed, 5 minutes of training a run (30 seconds on signs). standard: 3 seeds, early stopping, "
            "at most 100 epochs. thorough: 10 seeds, learning rates searched first. Default: quick.",
            group=TRAINING,
        ),
    ] = None
    budget: Annotated[
        str | None, option("--budget", help="Training time of each run: 90s, 10m, 1h30m.", group=TRAINING)
    ] = None
    budget_total: Annotated[
        str | None, option("--budget-total", help="Training time of all runs, divided equally.", group=TRAINING)
    ] = None
    anneal: Annotated[
        bool,
        option(
            "--anneal",
            help="Also anneal copies at a quarter and a half of the budget: who wins with less time. "
            "About 30 % more time.",
            group=TRAINING,
        ),
    ] = False
    epochs: Annotated[Whole | None, option("--epochs", help="At most so many epochs.", group=TRAINING)] = None
    patience: Annotated[
        Whole | None,
        option("--patience", help="Stop after so many evaluations without progress; 0 never.", group=TRAINING),
    ] = None
    class_weights: Annotated[
        Literal["equal", "balanced"] | None,
        option("--class-weights", help="balanced: in the training loss every class counts the same.", group=TRAINING),
    ] = None
    batch_size: Annotated[
        Whole | None, option("--batch-size", "-b", help="Images per step. Default: 128.", group=TRAINING)
    ] = None
    lr: Annotated[
        float | None,
        option("--lr", help="One learning rate for all. Default: the protocol's table, else a sweep.", group=TRAINING),
    ] = None
    device: Annotated[
        str | None, option("--device", help="auto, cpu, cuda, cuda:1 or mps. Default: auto.", group=MACHINE)
    ] = None
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"] | None,
        option("--precision", help="auto measures which is faster here; float32; bfloat16.", group=MACHINE),
    ] = None
    threads: Annotated[
        Whole | None, option("--threads", help="Processor threads of a run. Default: all cores.", group=MACHINE)
    ] = None
    jobs: Annotated[
        Whole | None, option("--jobs", help="Runs at the same time. Default: 1, the fair one for times.", group=MACHINE)
    ] = None
    out: Out = None
    fresh: Fresh = False
    keep_weights: Annotated[
        Literal["all", "chosen", "none"] | None,
        option(
            "--keep-weights",
            help="Whose weights stay: all, chosen (the recommended network's) or none. Default: all.",
            group=FOLDER,
        ),
    ] = None
    fail_fast: Annotated[
        bool, option("--fail-fast", help="Stop at the first run that fails; the others go on otherwise.", group=FOLDER)
    ] = False
    config: Annotated[
        Path | None,
        option("--config", "-c", help="A study.toml with options; those given here come first.", group=FOLDER),
    ] = None
    no_images: NoImages = False
