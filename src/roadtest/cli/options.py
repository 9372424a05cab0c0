"""The options of the command line as cyclopts takes them.

Those of `compare` follow from `study/options.py`, where each is declared once; here stand those that several other
subcommands share. None means "not given": then `--config` decides, after it the preset and the protocol.
"""

from collections.abc import Sequence
from dataclasses import make_dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import CoercionError, Group, Parameter, Token

from roadtest.study import options as study_options
from roadtest.study.options import DEFAULTS, FLAGS, GROUPS, KINDS, read_helps, split_list

_GROUPS = {title: Group(title, sort_key=key) for title, key in GROUPS.items()}
WHAT, DATA, MACHINE = (_GROUPS[title] for title in (study_options.WHAT, study_options.DATA, study_options.MACHINE))
FOLDER, OUTPUT = _GROUPS[study_options.FOLDER], _GROUPS[study_options.OUTPUT]
_HELPS = read_helps()

PLACEHOLDERS = {flag.name: flag.placeholder for flag in FLAGS.values() if flag.placeholder} | {
    **dict.fromkeys(("--check-on", "--format", "--prefer", "--split"), "WORD"),
    **dict.fromkeys(("--config", "--network"), "FILE"),
    **dict.fromkeys(("--min-accuracy", "--min-class-recall"), "RATE"),
    **dict.fromkeys(("--classes", "--top", "--max-latency-ms", "--max-macs", "--max-memory-mb", "--max-params"), "N"),
    **dict.fromkeys(("--max-size-mb", "--max-train-minutes"), "N"),
    "--name": "NAME",
    "--tolerance": "POINTS",
}
"""What stands for an option's value on the help page and in docs/cli.md."""
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


def _typed(name: str) -> Any:
    """One option of a study as a type that cyclopts reads."""
    flag = FLAGS[name]
    kind = next(one for one in KINDS[name] if one is not NoneType)
    plain = option(*flag.names.split(), help=_HELPS[name], group=_GROUPS[flag.group])
    if kind is bool:
        return Annotated[bool, plain]
    if name == "networks":
        kind = list[str]
    elif flag.read is not None:
        kind = str
    elif flag.choices:
        kind = Literal[flag.choices]
    elif kind is int:
        kind = Whole
    return Annotated[kind | None, plain]


if TYPE_CHECKING:
    CompareOptions: TypeAlias = Any
    DataDir: TypeAlias = Path | None
    Subset: TypeAlias = bool
    SkipBroken: TypeAlias = bool
    GroupOption: TypeAlias = Literal["auto"] | None
    ImageSize: TypeAlias = int | None
    NoImages: TypeAlias = bool
    Fresh: TypeAlias = bool
else:
    DataDir, Subset, SkipBroken = _typed("data_dir"), _typed("is_subset_allowed"), _typed("skip_broken")
    GroupOption, ImageSize = _typed("group"), _typed("image_size")
    NoImages, Fresh = _typed("has_images"), _typed("fresh")
    _kinds = [(name, _typed(name), False if isinstance(DEFAULTS[name], bool) else None) for name in FLAGS]
    _here = {"__module__": __name__}  # cyclopts does not look into classes of the standard library
    CompareOptions = Parameter(name="*")(make_dataclass("CompareOptions", _kinds, frozen=True, namespace=_here))
    """What `compare` takes besides its source, as it was typed."""

Format = Literal["table", "json", "csv", "md"]
StudyPath = Annotated[Path, Parameter(help="The folder of a study.")]
FormatOption = Annotated[
    Format | None,
    option("--format", help="How the table is printed: table (the default), json, csv or md.", group=OUTPUT),
]
Quiet = Annotated[bool, option("--quiet", "-q", help="Print nothing but errors and the final path.", group=OUTPUT)]
Verbose = Annotated[bool, option("--verbose", "-v", help="Print the traceback of an error.", group=OUTPUT)]


def typed_options(given: CompareOptions) -> dict[str, Any]:
    """What was typed, as arguments of `roadtest.compare`; a ValueError names a text that means nothing."""
    chosen: dict[str, Any] = {}
    for name, flag in FLAGS.items():
        value = getattr(given, name)
        if value is None or value is False:  # but 0 counts
            continue
        if isinstance(value, bool):
            value = not DEFAULTS[name]  # `--no-test` is `reads_test=False`
        elif name == "networks":
            value = split_list(value, flag.name)
        elif flag.read is not None:
            value = flag.read(value, flag.name)
        chosen[name] = value
    return chosen
