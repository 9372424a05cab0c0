"""Every option of a study, once: its name, type, default, check, flag and, as its docstring, its help.

The command line (`cli/options.py`), `roadtest.compare`, `study.toml`, the command that repeats a study and docs/cli.md
all follow from the fields of `Options`; `resolve.py` says what they mean for a source. Imported at start-up: no numpy,
no torch. A mistake is a ValueError in one line: what was given, what is allowed, what to do.
"""

import ast
import difflib
import inspect
import re
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from roadtest.protocol import CLASS_WEIGHTS, METRICS, PRESETS, STEMS

WHAT, DATA, TRAINING, CHOICE = "What is compared", "Data", "How much training", "Choice"
MACHINE, FOLDER, OUTPUT = "Machine", "The study's folder", "Output"
GROUPS = {WHAT: 1, DATA: 2, TRAINING: 3, CHOICE: 4, MACHINE: 4, FOLDER: 5, OUTPUT: 6}
"""The groups of the help page, and their order."""
SWITCH = ("off", "on", "both")
MAX_SECONDS = 30 * 86400.0  # beyond a month a duration is a typing error
MAX_SEEDS = 1000


@dataclass(frozen=True)
class Flag:
    """How an option is written on the command line."""

    names: str
    """Its flag, then others that mean the same, with blanks between them."""
    group: str
    placeholder: str = ""
    """Its value on the help page; empty for a switch."""
    choices: tuple[str, ...] = ()
    low: int | None = None
    read: Callable[[str, str], Any] | None = None
    """From the text that was typed and the flag to the value; None where the type is enough."""
    is_repeated: bool = True
    """Part of the command that repeats a study; paths of this machine are left to the reader."""

    @property
    def name(self) -> str:
        """`--image-size`."""
        return self.names.split()[0]

    def write(self, value: Any) -> str:
        """What is typed for a value."""
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        return f"{value:g}s" if self.read is parse_duration else str(value)


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


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything `compare` takes besides the source; None means the preset's or the protocol's value."""

    networks: Annotated[tuple[str, ...] | None, Flag("--networks --models -m", WHAT, "NAMES")] = None
    """Names, lists with commas, wildcards: lenet5,resnet34 or lenet5+stn or timm:resnet*. Default:
    lenet5,vgg16,resnet34; for images of your own four that are in use. See roadtest networks."""
    stn: Annotated[str | None, Flag("--stn", WHAT, "WORD", SWITCH)] = None
    """A spatial transformer in front: off, on, both. Default: both for lenet5, vgg16, resnet34, else off."""
    stem: Annotated[str | None, Flag("--stem", WHAT, "WORD", STEMS)] = None
    """First layers of timm's and torchvision's networks: small (3x3, stride 2, no pool), small-s1 (stride 1), imagenet
    (their own, the default). For one of them: torchvision:resnet18@small."""
    pretrained: Annotated[str, Flag("--pretrained", WHAT, "WORD", SWITCH)] = "off"
    """Start timm's networks from pretrained weights: off (the default), on, both. For one of them:
    timm:resnet18+pretrained."""
    seeds: Annotated[tuple[int, ...] | int | None, Flag("--seeds", WHAT, "N", read=parse_seeds)] = None
    """3 means the seeds 0, 1, 2; 0,4 means these. Default: the preset's."""
    data_dir: Annotated[Path | None, Flag("--data-dir", DATA, "DIR", is_repeated=False)] = None
    """Where GTSRB lies. Default: ROADTEST_GTSRB, else downloaded."""
    is_subset_allowed: Annotated[bool, Flag("--subset", DATA)] = False
    """Take a part of GTSRB, and call it a subset everywhere."""
    skip_broken: Annotated[bool, Flag("--skip-broken", DATA)] = False
    """Leave unreadable images out."""
    group: Annotated[str | None, Flag("--group", DATA, "WORD", ("auto",))] = None
    """auto: keep images together that look like frames of one thing (numbered names, near copies). For image folders,
    and csv files with images without a group."""
    image_size: Annotated[int | None, Flag("--image-size --imgsz", DATA, "N")] = None
    """Side of the images in pixels. Default: 32; compare takes up to 224 where your own images are larger."""
    flips: Annotated[str, Flag("--flips", DATA, "WORD", ("auto", "on", "off"))] = "auto"
    """Mirror training images left to right: on, off, or auto (the default): where the images show that no class
    changes; never for signs."""
    validate_on: Annotated[str | None, Flag("--validate-on", DATA, "SOURCE")] = None
    """Validate on the training images of another source, such as gtsrb."""
    test_on: Annotated[str | None, Flag("--test-on", DATA, "SOURCE")] = None
    """Test on the test images of another source, such as gtsrb."""
    reads_test: Annotated[bool, Flag("--no-test", DATA)] = True
    """Develop without reading the test set."""
    preset: Annotated[str, Flag("--preset", TRAINING, "WORD", tuple(PRESETS))] = "quick"
    """quick: 1 seed, 5 minutes of training a run (30 seconds on signs). standard: 3 seeds, early stopping, at most 100
    epochs. thorough: 10 seeds, learning rates searched first. Default: quick."""
    budget_seconds: Annotated[float | None, Flag("--budget", TRAINING, "TIME", read=parse_duration)] = None
    """Training time of each run: 90s, 10m, 1h30m."""
    budget_total_seconds: Annotated[float | None, Flag("--budget-total", TRAINING, "TIME", read=parse_duration)] = None
    """Training time of all runs, divided equally."""
    anneal: Annotated[bool, Flag("--anneal", TRAINING)] = False
    """Also anneal copies at a quarter and a half of the budget: who wins with less time. About 30 % more time."""
    epochs: Annotated[int | None, Flag("--epochs", TRAINING, "N", low=1)] = None
    """At most so many epochs."""
    patience: Annotated[int | None, Flag("--patience", TRAINING, "N")] = None
    """Stop after so many evaluations without progress; 0 never."""
    class_weights: Annotated[str | None, Flag("--class-weights", TRAINING, "WORD", CLASS_WEIGHTS)] = None
    """balanced: in the training loss every class counts the same."""
    batch_size: Annotated[int | None, Flag("--batch-size -b", TRAINING, "N")] = None
    """Images per step. Default: 128."""
    lr: Annotated[float | None, Flag("--lr", TRAINING, "RATE")] = None
    """One learning rate for all. Default: the protocol's table, else a sweep."""
    metric: Annotated[str | None, Flag("--metric", CHOICE, "WORD", METRICS)] = None
    """What chooses between the networks, the study's own from now on: accuracy (the default), balanced-accuracy,
    macro-f1, worst-class-recall. It changes no training."""
    device: Annotated[str, Flag("--device", MACHINE, "NAME")] = "auto"
    """auto, cpu, cuda, cuda:1 or mps. Default: auto."""
    precision: Annotated[str, Flag("--precision", MACHINE, "WORD", ("auto", "float32", "bfloat16"))] = "auto"
    """auto measures which is faster here; float32; bfloat16."""
    threads: Annotated[int | None, Flag("--threads", MACHINE, "N", low=1)] = None
    """Processor threads of a run. Default: all cores."""
    jobs: Annotated[int, Flag("--jobs", MACHINE, "N", low=1)] = 1
    """Runs at the same time. Default: 1, the fair one for times."""
    out: Annotated[Path | None, Flag("--out -o", FOLDER, "PATH", is_repeated=False)] = None
    """The study's folder. Default: runs/<source>-<protocol>-<fingerprint>."""
    fresh: Annotated[bool, Flag("--fresh", FOLDER, is_repeated=False)] = False
    """Move a study that is there aside and begin anew. Nothing is deleted."""
    keep_weights: Annotated[str, Flag("--keep-weights", FOLDER, "WORD", ("all", "chosen", "none"))] = "all"
    """Whose weights stay: all, chosen (the recommended network's) or none. Default: all."""
    fail_fast: Annotated[bool, Flag("--fail-fast", FOLDER, is_repeated=False)] = False
    """Stop at the first run that fails; the others go on otherwise."""
    has_images: Annotated[bool, Flag("--no-images", OUTPUT)] = True
    """Leave pictures of the data out of the page."""

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


def read_helps() -> dict[str, str]:
    """The docstring under each option, on one line, from the source of this file."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    body = next(one.body for one in tree.body if isinstance(one, ast.ClassDef) and one.name == "Options")
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


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
        if one is not None and not isinstance(one, str):
            raise ValueError(
                f"network {' '.join(repr(one).split())[:60]} is an object of this session: runs are processes of their "
                f"own, and read networks from files; {_name_of(one)}"
            )


def _name_of(one: object) -> str:
    """How the object becomes a name: its library's, its file's, or that of the cell it was defined in."""
    name, module = getattr(one, "__name__", ""), str(getattr(one, "__module__", "__main__"))
    library, word = module.partition(".")[0], name if name.isidentifier() else "build"
    if name and library in ("timm", "torchvision"):
        return f"name it '{library}:{word}'"
    if inspect.isroutine(one) or inspect.isclass(one):
        path = Path(getattr(sys.modules.get(module), "__file__", None) or "")
        if module != "__main__" and path.suffix == ".py" and path.is_file():
            return f"name it {f'{path}:{word}'!r}"
    return f"put %%writefile my_net.py into the first line of its cell, run it, and name it 'my_net.py:{word}'"


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
