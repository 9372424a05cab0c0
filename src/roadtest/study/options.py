"""Every option of a study, once: its name, type, default, check, flag and help.

The command line (`cli/options.py`), `roadtest.compare`, `study.toml`, the command that repeats a study and docs/cli.md
all follow from the fields of `Options`; `resolve.py` says what they mean for a source. Imported at start-up: no numpy,
no torch. A mistake is a ValueError in one line: what was given, what is allowed, what to do.
"""

import difflib
import inspect
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from roadtest.networks.registry import STEMS
from roadtest.protocol import CLASS_WEIGHTS, METRICS, PRESETS

WHAT, DATA, TRAINING, CHOICE = "What is compared", "Data", "How much training", "Choice"
MACHINE, FOLDER, OUTPUT = "Machine", "The study's folder", "Output"
SWITCH = ("off", "on", "both")
MAX_SECONDS = 30 * 86400.0  # beyond a month a duration is a typing error
MAX_SEEDS = 1000


@dataclass(frozen=True)
class Flag:
    """How an option stands on the command line."""

    names: str
    """Its flag, then others that mean the same, with blanks between them."""
    group: str
    help: str
    placeholder: str = ""
    """What stands for its value on the help page; empty for a switch."""
    choices: tuple[str, ...] = ()
    low: int | None = None
    read: Callable[[str, str], Any] | None = None
    """From the text that was typed and the flag to the value; None where the type says it all."""
    write: Callable[[Any], str] = lambda value: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    """From the value to what is typed."""
    is_repeated: bool = True
    """Part of the command that repeats a study; paths of this machine are left to the reader."""

    @property
    def name(self) -> str:
        """`--image-size`."""
        return self.names.split()[0]


def parse_duration(text: str, flag: str) -> float:
    """Read `10m`, `2h`, `90s`, `1h30m` or plain seconds, `45`, as seconds."""
    units = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "sec": 1.0}
    part = r"([0-9]+(?:\.[0-9]+)?)\s*(d|h|min|m|sec|s)"
    words = text.strip().lower()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", words):
        seconds = float(words)
    elif re.fullmatch(rf"(?:{part}\s*)+", words):
        parts = [(float(number), units[unit]) for number, unit in re.findall(part, words)]
        scales = [scale for _, scale in parts]
        if scales != sorted(set(scales), reverse=True):
            raise ValueError(f"{flag} {text!r} is out of order: hours, minutes, seconds, each once; write 1h30m")
        seconds = sum(number * scale for number, scale in parts)
    else:
        raise ValueError(f"{flag} {text!r} is no duration: write 90s, 10m, 2h or 1h30m; a bare number is seconds")
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"{flag} {text!r} is {seconds:g} seconds: it must be above 0 and at most 30d; change it")
    return seconds


def parse_seeds(text: str, flag: str = "--seeds") -> list[int]:
    """Read `3` as the seeds 0, 1, 2, and `0,4` (or `4,`) as just these."""
    words = [word.strip() for word in text.split(",")]
    if len(words) > 1 and words[-1] == "":
        words.pop()
    if not all(re.fullmatch(r"[0-9]{1,9}", word) for word in words):
        raise ValueError(f"{flag} {text!r} is no number: 3 means the seeds 0, 1 and 2; 0,4 means these two")
    numbers = [int(word) for word in words]
    if "," not in text:
        numbers = list(range(min(numbers[0], MAX_SEEDS + 1)))
    if not 1 <= len(numbers) <= MAX_SEEDS:
        raise ValueError(f"{flag} {text!r}: between 1 and {MAX_SEEDS} seeds are possible; 3 is a good number")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{flag} {text!r} names a seed twice: each is one run; name it once")
    return numbers


def split_list(words: Sequence[str], flag: str) -> list[str]:
    """Split `a,b` and repeated options into one list of words."""
    parts = [part.strip() for word in words for part in word.split(",") if part.strip()]
    if not parts:
        raise ValueError(f"{flag} is empty: name one or more, with commas between them")
    return parts


def _seconds(value: float) -> str:
    return f"{value:g}s"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything `compare` takes besides the source; None means the preset's or the protocol's value."""

    networks: Annotated[
        tuple[str, ...] | None,
        Flag(
            "--networks --models -m",
            WHAT,
            "Names, lists with commas, wildcards: lenet5,resnet34 or lenet5+stn or timm:resnet*. Default: "
            "lenet5,vgg16,resnet34; for images of your own four that are in use. See roadtest networks.",
            "NAMES",
        ),
    ] = None
    stn: Annotated[
        str | None,
        Flag(
            "--stn",
            WHAT,
            "A spatial transformer in front: off, on, both. Default: both for lenet5, vgg16, resnet34, else off.",
            "WORD",
            SWITCH,
        ),
    ] = None
    stem: Annotated[
        str | None,
        Flag(
            "--stem",
            WHAT,
            "First layers of timm's and torchvision's networks: small (3x3, stride 2, no pool), small-s1 (stride 1), "
            "imagenet (their own, the default). For one of them: torchvision:resnet18@small.",
            "WORD",
            STEMS,
        ),
    ] = None
    pretrained: Annotated[
        str,
        Flag(
            "--pretrained",
            WHAT,
            "Start timm's networks from pretrained weights: off (the default), on, both. For one of them: "
            "timm:resnet18+pretrained.",
            "WORD",
            SWITCH,
        ),
    ] = "off"
    seeds: Annotated[
        tuple[int, ...] | int | None,
        Flag(
            "--seeds", WHAT, "3 means the seeds 0, 1, 2; 0,4 means these. Default: the preset's.", "N", read=parse_seeds
        ),
    ] = None
    data_dir: Annotated[
        Path | None,
        Flag(
            "--data-dir", DATA, "Where GTSRB lies. Default: ROADTEST_GTSRB, else downloaded.", "DIR", is_repeated=False
        ),
    ] = None
    is_subset_allowed: Annotated[
        bool, Flag("--subset", DATA, "Take a part of GTSRB, and call it a subset everywhere.")
    ] = False
    skip_broken: Annotated[bool, Flag("--skip-broken", DATA, "Leave unreadable images out.")] = False
    group: Annotated[
        str | None,
        Flag(
            "--group",
            DATA,
            "auto: keep images together that look like frames of one thing (numbered names, near copies). For image "
            "folders, and csv files with images without a group.",
            "WORD",
            ("auto",),
        ),
    ] = None
    image_size: Annotated[
        int | None,
        Flag(
            "--image-size --imgsz",
            DATA,
            "Side of the images in pixels. Default: 32; compare takes up to 224 where your own images are larger.",
            "N",
        ),
    ] = None
    flips: Annotated[
        str,
        Flag(
            "--flips",
            DATA,
            "Mirror training images left to right: on, off, or auto (the default): where the images show that no class "
            "changes; never for signs.",
            "WORD",
            ("auto", "on", "off"),
        ),
    ] = "auto"
    validate_on: Annotated[
        str | None,
        Flag("--validate-on", DATA, "Validate on the training images of another source, such as gtsrb.", "SOURCE"),
    ] = None
    test_on: Annotated[
        str | None, Flag("--test-on", DATA, "Test on the test images of another source, such as gtsrb.", "SOURCE")
    ] = None
    reads_test: Annotated[bool, Flag("--no-test", DATA, "Develop without reading the test set.")] = True
    preset: Annotated[
        str,
        Flag(
            "--preset",
            TRAINING,
            "quick: 1 seed, 5 minutes of training a run (30 seconds on signs). standard: 3 seeds, early stopping, at "
            "most 100 epochs. thorough: 10 seeds, learning rates searched first. Default: quick.",
            "WORD",
            tuple(PRESETS),
        ),
    ] = "quick"
    budget_seconds: Annotated[
        float | None,
        Flag(
            "--budget",
            TRAINING,
            "Training time of each run: 90s, 10m, 1h30m.",
            "TIME",
            read=parse_duration,
            write=_seconds,
        ),
    ] = None
    budget_total_seconds: Annotated[
        float | None,
        Flag(
            "--budget-total",
            TRAINING,
            "Training time of all runs, divided equally.",
            "TIME",
            read=parse_duration,
            write=_seconds,
        ),
    ] = None
    anneal: Annotated[
        bool,
        Flag(
            "--anneal",
            TRAINING,
            "Also anneal copies at a quarter and a half of the budget: who wins with less time. About 30 % more time.",
        ),
    ] = False
    epochs: Annotated[int | None, Flag("--epochs", TRAINING, "At most so many epochs.", "N", low=1)] = None
    patience: Annotated[
        int | None, Flag("--patience", TRAINING, "Stop after so many evaluations without progress; 0 never.", "N")
    ] = None
    class_weights: Annotated[
        str | None,
        Flag(
            "--class-weights",
            TRAINING,
            "balanced: in the training loss every class counts the same.",
            "WORD",
            CLASS_WEIGHTS,
        ),
    ] = None
    batch_size: Annotated[int | None, Flag("--batch-size -b", TRAINING, "Images per step. Default: 128.", "N")] = None
    lr: Annotated[
        float | None,
        Flag("--lr", TRAINING, "One learning rate for all. Default: the protocol's table, else a sweep.", "RATE"),
    ] = None
    metric: Annotated[
        str | None,
        Flag(
            "--metric",
            CHOICE,
            "What chooses between the networks, the study's own from now on: accuracy (the default), "
            "balanced-accuracy, macro-f1, worst-class-recall. It changes no training.",
            "WORD",
            METRICS,
        ),
    ] = None
    device: Annotated[str, Flag("--device", MACHINE, "auto, cpu, cuda, cuda:1 or mps. Default: auto.", "NAME")] = "auto"
    precision: Annotated[
        str,
        Flag(
            "--precision",
            MACHINE,
            "auto measures which is faster here; float32; bfloat16.",
            "WORD",
            ("auto", "float32", "bfloat16"),
        ),
    ] = "auto"
    threads: Annotated[
        int | None, Flag("--threads", MACHINE, "Processor threads of a run. Default: all cores.", "N", low=1)
    ] = None
    jobs: Annotated[
        int, Flag("--jobs", MACHINE, "Runs at the same time. Default: 1, the fair one for times.", "N", low=1)
    ] = 1
    out: Annotated[
        Path | None,
        Flag(
            "--out -o",
            FOLDER,
            "The study's folder. Default: runs/<source>-<protocol>-<fingerprint>.",
            "PATH",
            is_repeated=False,
        ),
    ] = None
    fresh: Annotated[
        bool,
        Flag(
            "--fresh", FOLDER, "Move a study that is there aside and begin anew. Nothing is deleted.", is_repeated=False
        ),
    ] = False
    keep_weights: Annotated[
        str,
        Flag(
            "--keep-weights",
            FOLDER,
            "Whose weights stay: all, chosen (the recommended network's) or none. Default: all.",
            "WORD",
            ("all", "chosen", "none"),
        ),
    ] = "all"
    fail_fast: Annotated[
        bool,
        Flag(
            "--fail-fast",
            FOLDER,
            "Stop at the first run that fails; the others go on otherwise.",
            is_repeated=False,
        ),
    ] = False
    has_images: Annotated[bool, Flag("--no-images", OUTPUT, "Leave pictures of the data out of the page.")] = True

    def __post_init__(self) -> None:
        for name, kinds in KINDS.items():
            _check(name, getattr(self, name), kinds, FLAGS[name])
        if self.lr is not None and not 0 < self.lr <= 100:
            raise ValueError(f"--lr {self.lr} is out of range: it must lie above 0 and not above 100; try 0.05")
        if self.budget_seconds is not None and self.budget_total_seconds is not None:
            raise ValueError("--budget and --budget-total were both given: one is per run, one for all; give one")


_HINTS = get_type_hints(Options, include_extras=True)
FLAGS: dict[str, Flag] = {name: get_args(hint)[1] for name, hint in _HINTS.items()}
"""The flag of each option, by the field's name."""
KINDS: dict[str, tuple[Any, ...]] = {
    name: get_args(get_args(hint)[0]) or (get_args(hint)[0],) for name, hint in _HINTS.items()
}
"""The types that an option may have."""
DEFAULTS: dict[str, Any] = {one.name: one.default for one in fields(Options)}


def build_options(words: Mapping[str, Any]) -> Options:
    """Options from keyword arguments or a study.toml; a ValueError names a wrong word."""
    if words.get("mix") is not None:
        raise ValueError(
            f"there is no option 'mix' any more (mix={words['mix']!r}): mixing gave no gain (docs/log.md); leave it out"
        )
    for word in words:
        if word not in FLAGS:
            near = difflib.get_close_matches(word, FLAGS, n=1)
            hint = f"did you mean {near[0]!r}" if near else f"choose from {', '.join(sorted(FLAGS))}"
            raise ValueError(f"there is no option {word!r}: {hint}")
    _refuse_objects(words.get("networks"))
    plain: dict[str, Any] = {
        name: value if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
        for name, value in words.items()
    }
    for name in ("data_dir", "out"):
        if isinstance(plain.get(name), str | Path):
            plain[name] = Path(plain[name]).expanduser()
    if isinstance(plain.get("networks"), str):
        plain["networks"] = (plain["networks"],)
    return Options(**plain)


def _refuse_objects(networks: object) -> None:
    """Refuse functions, classes and modules in place of names: a run is a process of its own and reads a file."""
    is_many = isinstance(networks, Iterable) and not isinstance(networks, str) and not callable(networks)
    given = networks if is_many and isinstance(networks, Collection) else [] if is_many else [networks]
    for one in given:
        if one is None or isinstance(one, str):
            continue
        name = getattr(one, "__name__", "build")
        word = name if name.isidentifier() else "build"
        shown = " ".join(repr(one).split())[:60]
        raise ValueError(
            f"network {shown} is an object of this session: runs are processes of their own, and read networks from "
            f"files; {_line_for(one, word)}"
        )


def _line_for(one: object, name: str) -> str:
    """How the object becomes a name: its library's, its file's, or that of the cell it was defined in."""
    library = str(getattr(one, "__module__", "")).partition(".")[0]
    if library in ("timm", "torchvision") and hasattr(one, "__name__"):
        return f"name it '{library}:{name}'"
    if callable(one) and getattr(one, "__module__", "__main__") != "__main__":
        try:
            path = inspect.getsourcefile(one)
        except TypeError:
            path = None
        if path is not None and Path(path).suffix == ".py" and Path(path).is_file():
            return f"name it {path + ':' + name!r}"
    return f"put %%writefile my_net.py into the first line of its cell, run it, and name it 'my_net.py:{name}'"


def to_command(source: str, options: Options) -> str:
    """The command line that repeats a study."""
    words = ["roadtest", "compare", source]
    for name, flag in FLAGS.items():
        value = getattr(options, name)
        if value != DEFAULTS[name] and flag.is_repeated:
            words += [flag.name] if isinstance(value, bool) else [flag.name, flag.write(value)]
    return shlex.join(words)


_KIND_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    tuple[str, ...]: "a list of texts",
    tuple[int, ...]: "a list of whole numbers",
}


def _check(name: str, value: Any, kinds: Sequence[Any], flag: Flag) -> None:
    """Refuse what a study.toml or Python can give and a command line cannot, and what lies outside of the choices."""
    if not any(_is_of(value, kind) for kind in kinds):
        words = " or ".join(_KIND_WORDS[kind] for kind in kinds if kind is not NoneType)
        raise ValueError(f"{name} = {value!r} cannot be used: give {words}, or leave it out")
    if flag.choices and value is not None and value not in flag.choices:
        raise ValueError(f"{flag.name} {value!r} is not known: choose one of {', '.join(flag.choices)}")
    if flag.low is not None and value is not None and value < flag.low:
        raise ValueError(
            f"{flag.name} {value} is too small: it must be {flag.low} or more; leave it out for the default"
        )


def _is_of(value: object, kind: Any) -> bool:
    """Whether a value is of a field's kind; a whole number is a number too, and true is none."""
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_of(part, get_args(kind)[0]) for part in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)
