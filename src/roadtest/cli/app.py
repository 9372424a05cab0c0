"""The command line as a whole: the verbs in their groups, and how a mistake or an interruption becomes one line."""

import io
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from cyclopts import App, CycloptsError, Group

from roadtest.cli import compare, data, export, study, use
from roadtest.cli.hints import answer_option, answer_surplus, answer_verb
from roadtest.format import printable
from roadtest.study import Interrupted

ABOUT = "Road-test image classifiers: train several fairly, measure their costs, see which differences are real."
COMPLETION = "Let the shell complete verbs and options; says what it changed."
EPILOGUE = "roadtest VERB --help says more. Without data and without a network: roadtest demo."


def build_app() -> App:
    """All subcommands, in the order in which a newcomer meets them."""
    app = App(
        name="roadtest",
        help=ABOUT,
        help_epilogue=EPILOGUE,
        help_format="plaintext",
        version=lambda: f"roadtest {version('roadtest')}",
        suppress_keyboard_interrupt=False,
        result_action="return_value",
        group_commands=Group("Options", sort_key=9),
    )
    app.register_install_completion_command(help=COMPLETION, add_to_startup=True)
    ready = Group("Before you start", sort_key=3)
    looks = App(name="data", help="Look at a data set.", group=ready, group_commands=Group("Verbs"))
    looks.command(data.check)
    looks.command(data.preview)
    groups: dict[str, tuple[Any, ...]] = {
        "Compare": (compare.compare, compare.plan, compare.demo),
        "Read a study": (study.leaderboard, study.recommend, study.report, use.add),
        "Use the winner": (use.predict, use.evaluate, export.export, export.add_device),
        "Before you start": (looks, study.doctor, study.networks),
    }
    for title, commands in groups.items():
        group = ready if title == ready.name else Group(title, sort_key=list(groups).index(title))
        for command in commands:
            if isinstance(command, App):
                app.command(command)  # it has its group already
            else:
                app.command(command, group=group)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and answer with its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    is_verbose = any(word in ("-v", "--verbose") for word in words)
    _forgive_encodings()
    try:
        return _call(words)
    except Interrupted:
        return _say_interrupted(words, has_begun=True)
    except KeyboardInterrupt:
        return _say_interrupted(words, has_begun=False)
    except BrokenPipeError:  # `roadtest leaderboard STUDY | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, FileNotFoundError, FileExistsError, NotADirectoryError, PermissionError) as error:
        return _say_mistake(error, is_verbose=is_verbose)
    except Exception as error:
        return _say_break(error, is_verbose=is_verbose)


def _forgive_encodings() -> None:
    """Let a stream that lacks a sign write a question mark: a file on Windows may not know the dash of a table."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what stands in for one in a notebook has no encoding to set
            stream.reconfigure(errors="replace")


def _call(words: list[str]) -> int:
    app = build_app()
    _check_verbs(app, words)
    if words[:1] == ["predict"]:
        words = [use.STDIN_WORD if word == "-" else word for word in words]
    try:
        return int(app(words, exit_on_error=False, print_error=False) or 0)
    except CycloptsError as error:
        raise ValueError(_explain(app, words, error)) from None


def _check_verbs(app: App, words: list[str]) -> None:
    """Answer an unknown verb before anything is parsed."""
    here = app
    for word in words[:2]:
        known = verb_names(here)
        if word.startswith("-") or not known:
            return
        if word not in known:
            raise ValueError(answer_verb(word, known))
        here = here[word]


def verb_names(app: App) -> list[str]:
    """The verbs of an app, without its flags."""
    return [name for name in app if not name.startswith("-")]


def option_names(app: App) -> list[str]:
    """Every spelling of every option of a verb."""
    arguments = app.assemble_argument_collection()
    return [name for argument in arguments for name in argument.names if name.startswith("-")]


def _explain(app: App, words: list[str], error: CycloptsError) -> str:
    """Turn a parser's complaint into one line: what was given, what is allowed, what to do."""
    here = app
    path: list[str] = []
    for word in words[:2]:
        if word in verb_names(here):
            here, path = here[word], [*path, word]
    verb = " ".join(path)
    kind, token, argument = type(error).__name__, getattr(error, "token", None), error.argument
    if kind in ("UnknownOptionError", "UnknownCommandError"):
        option = token.keyword or token.value if token else next(word for word in words if word.startswith("-"))
        return answer_option(option, verb, option_names(here) if path else ["--help", "--version"])
    if kind == "UnusedCliTokensError":
        return answer_surplus(error.unused_tokens or [], verb)
    more = f"roadtest {verb} --help says more"
    if kind == "MissingArgumentError" and argument is not None:
        after = words[words.index(argument.name) + 1 :][:1] if argument.name in words else []
        if after and after[0][1:2].isdigit():
            return f"{argument.name} {after[0]!r} is negative: give a value above 0; {more}"
        return f"{argument.name} is missing its value: {more}"
    wanted = {int: "whole number", float: "number"}.get(getattr(error, "target_type", None))  # type: ignore[arg-type]
    if kind == "CoercionError" and wanted and token:
        return f"{token.keyword} {token.value!r} is no {wanted}: give one; {more}"
    return " ".join(str(error).split())


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:  # the system's own
        return f"{error.filename}: {error.strerror[:1].lower()}{error.strerror[1:]}; give another place"
    return " ".join(str(error).split()) or type(error).__name__


def _say(text: str) -> None:
    print(f"roadtest: {printable(text)}", file=sys.stderr)


def _say_mistake(error: Exception, *, is_verbose: bool) -> int:
    if is_verbose:
        traceback.print_exception(error)
    broken = getattr(error, "paths_and_reasons", ())
    for path, reason in broken[:20]:
        print(f"  {printable(path)}: {printable(reason)}", file=sys.stderr)
    if len(broken) > 20:
        print(f"  and {len(broken) - 20} more", file=sys.stderr)
    _say(_one_line(error))
    return 2


def _say_break(error: Exception, *, is_verbose: bool) -> int:
    """Say what nobody made a mistake for: a full disk, or else a bug of ours."""
    if is_verbose:
        traceback.print_exception(error)
    if _is_disk_full(error):
        _say("the disk is full: make room, and the same command goes on")
        return 1
    try:
        with tempfile.NamedTemporaryFile("w", prefix="roadtest-", suffix="-error.txt", delete=False) as log:
            log.write(f"roadtest {version('roadtest')}\n")
            traceback.print_exception(error, file=log)
        where = f"the traceback is in {log.name}"
    except OSError:  # the disk of temporary files is full, or there is none
        where = "--verbose shows the traceback"
    _say(f"stopped by {type(error).__name__}: {_one_line(error)}; {where}")
    return 1


def _is_disk_full(error: Exception) -> bool:
    from roadtest.records.disk import is_disk_full

    return isinstance(error, OSError) and is_disk_full(error)


def _say_interrupted(words: list[str], *, has_begun: bool) -> int:
    """Say how to go on: with --fresh as long as the older study was not moved aside, and never after that."""
    text = "interrupted"
    if words[:1] in (["compare"], ["demo"]):
        is_begun_anew = "--fresh" in words and not has_begun
        again = [word for word in words if is_begun_anew or word != "--fresh"]
        goes_on = "everything finished is kept, and this goes on from there"
        advice = "nothing was moved aside yet, and this begins anew" if is_begun_anew else goes_on
        text += f"; {advice}: {shlex.join(['roadtest', *again])}"
    _say(text)
    return 130
