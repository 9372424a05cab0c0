"""docs/cli.md: every verb and option, written from the command line itself.

    python -m roadtest.cli.reference docs/cli.md

A test compares the file with what this writes, so the page cannot go stale.
"""

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadtest.cli.app import build_app, verb_names
from roadtest.cli.options import PLACEHOLDERS

if TYPE_CHECKING:
    from cyclopts import App

HEAD = """# The command line

*Written by `make docs` from the command line itself; `roadtest VERB --help` prints the same.*

Results go to standard output, and with `--format json` (or `csv`, `md`) nothing else does: messages, progress and
warnings go to standard error. `NO_COLOR=1` takes the colours away. Verbs that train show a live table on a terminal,
and one plain line per evaluation elsewhere.

| exit code | means |
|---:|---|
| 0 | all done |
| 1 | finished, but some runs or images failed, a network could not be measured, or `data check` found errors; \
also where roadtest itself broke |
| 2 | a mistake in the command, said in one line |
| 3 | nothing meets the limits |
| 130 | interrupted; everything finished is kept, and the same command goes on from there |

| variable | means |
|---|---|
| `ROADTEST_GTSRB` | the folder in which GTSRB lies |
| `ROADTEST_CACHE` | where decoded images, downloads and the ledger of test readings are kept |

Completion of verbs and options in bash, zsh, fish or PowerShell, in one line: `roadtest --install-completion`
"""


def render_reference() -> str:
    """The whole page."""
    app = build_app()
    return HEAD + "".join(_render_verb(app, name) for name in verb_names(app))


def _render_verb(app: "App", name: str, before: str = "") -> str:
    verb = app[name]
    inner = verb_names(verb)
    if inner:
        return "".join(_render_verb(verb, one, f"{before}{name} ") for one in inner)
    arguments = [one for one in verb.assemble_argument_collection(parse_docstring=True) if one.name != "*"]
    words = [argument for argument in arguments if _is_positional(argument)]
    usage = ["roadtest", before + name, *(_spell(word) for word in words), "[OPTIONS]"]
    lines = [f"\n## {before}{name}\n", f"    {' '.join(usage)}\n", f"{inspect.cleandoc(verb.help)}\n"]
    lines += [f"- `{_spell(word)}`: {_cell(word.parameter.help)}" for word in words] + [""] * bool(words)
    options = [argument for argument in arguments if not _is_positional(argument)]
    for group in sorted({_group(argument) for argument in options}):
        lines += [f"| {group[1]} | |", "|---|---|"]
        lines += [_render_option(argument) for argument in options if _group(argument) == group] + [""]
    return "\n".join(lines)


def _is_positional(argument: Any) -> bool:
    return not any(name.startswith("-") for name in argument.names)


def _group(argument: Any) -> tuple[int, str]:
    group = argument.parameter.group[0]
    return int(group.sort_key), str(group.name)


def _spell(argument: Any) -> str:
    """`STUDY`, `[SOURCE]` where it may be left out, `[NAMES...]` where there may be many."""
    name = str(argument.name).upper().lstrip("-")
    if argument.field_info.kind is inspect.Parameter.VAR_POSITIONAL:
        return f"[{name}...]"
    return name if argument.required else f"[{name}]"


def _render_option(argument: Any) -> str:
    value = PLACEHOLDERS.get(argument.name, "")
    names = [
        f"`{argument.name} {value}`" if value else f"`{argument.name}`",
        *(f"`{name}`" for name in argument.names[1:]),
    ]
    return f"| {', '.join(names)} | {_cell(argument.parameter.help)} |"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render_reference(), encoding="utf-8")
