"""docs/cli.md: every verb and option, written from the command line itself.

    python -m roadtest.cli.reference docs/cli.md

A test compares the file with what this writes, so the page cannot go stale.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadtest.cli.front import build_app, verb_names

if TYPE_CHECKING:
    from cyclopts import App

HEAD = """# The command line

*Written by `make docs` from the command line itself; `roadtest VERB --help` prints the same.*

Results go to standard output, and with `--format json` (or `csv`, `md`) nothing else does: messages, progress and
warnings go to standard error. `NO_COLOR=1` takes the colours away. Verbs that train show a live table on a terminal, and
one plain line per evaluation elsewhere.

| exit code | means |
|---:|---|
| 0 | all done |
| 1 | finished, but some runs failed |
| 2 | a mistake in the command, said in one line |
| 3 | nothing meets the limits |
| 130 | interrupted; everything finished is kept, and the same command goes on from there |

| variable | means |
|---|---|
| `ROADTEST_GTSRB` | the folder in which GTSRB lies |
| `ROADTEST_CACHE` | where decoded images and downloads are kept |

Completion of verbs and options in the shell, in one line:
`eval "$(python -c 'from roadtest.cli.front import build_app; print(build_app().generate_completion(shell="bash"))')"`
(or `zsh`, `fish`).
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
    arguments = list(verb.assemble_argument_collection(parse_docstring=True))
    words = [_spell(argument) for argument in arguments if _is_positional(argument)]
    lines = [
        f"\n## {before}{name}\n",
        f"    {' '.join(['roadtest', before + name, *words])} [OPTIONS]\n",
        f"{verb.help}\n",
    ]
    lines += [
        f"- `{_spell(argument)}`: {argument.parameter.help}" for argument in arguments if _is_positional(argument)
    ]
    for group in dict.fromkeys(_group(argument) for argument in arguments if not _is_positional(argument)):
        options = [argument for argument in arguments if not _is_positional(argument) and _group(argument) == group]
        lines += [f"\n| {group} | |", "|---|---|", *(_render_option(argument) for argument in options)]
    return "\n".join(lines) + "\n"


def _is_positional(argument: Any) -> bool:
    return not any(name.startswith("-") for name in argument.names)


def _group(argument: Any) -> str:
    return str(argument.parameter.group[0].name)


def _spell(argument: Any) -> str:
    return str(argument.name).upper()


def _render_option(argument: Any) -> str:
    value = getattr(argument.parameter, "metavar", "") or ""
    names = ", ".join(
        f"`{name}{' ' + value if value and name == argument.names[0] else ''}`" for name in argument.names
    )
    return f"| {names} | {_cell(argument.parameter.help)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render_reference(), encoding="utf-8")
