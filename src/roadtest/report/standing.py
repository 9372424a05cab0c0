"""What may be said of all networks together: the leading set, who shares a letter, or why nothing was judged.

Never "equal": networks that are not separated are networks that this study cannot tell apart.
"""

import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

from roadtest.report import words
from roadtest.summarise import GOOD_NUM_SEEDS, Judged, Results, judge_networks, more_seeds

ON_PART = {"test": "on test", "val": "in validation"}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Sentences above the leaderboard and above the pairs, and what would allow a verdict."""

    leading: str
    """Who leads; or that nothing was judged, and what it needs."""
    pairs: str
    """How many pairs are separated, and on which ground."""
    more: str
    """What the command below adds; empty where there are seeds enough."""
    command: str


def describe_standing(results: Results) -> Standing:
    """Say who leads and what is separated, as far as seeds allow."""
    judged = judge_networks(results)
    more = more_seeds(results)
    if len(judged.variants) < 2:
        return Standing(leading="", pairs="", more="", command="")
    if not judged.is_judged:
        remark = words.capital(judged.remark or "")
        pairs = "What was observed stands here without a verdict: luck of the training is not known."
        if more is None:
            return Standing(leading=f"{remark}.", pairs=pairs, more="", command="")
        time = f", {words.about(more.train_seconds)} of training" if more.train_seconds else ""
        text = (
            f"This command gives every network {GOOD_NUM_SEEDS} seeds: {words.plural(more.num_runs, 'more run')}{time}."
        )
        command = portable_command(more.command, results)
        return Standing(leading=f"{remark}.", pairs=pairs, more=text, command=command)
    return Standing(leading=_leading(judged), pairs=_pairs(results, judged), more="", command="")


def portable_command(command: str, results: Results) -> str:
    """A command without the way to this machine's folders: `--out` as it was typed, or from where the page is built."""
    *start, option, folder = shlex.split(command)
    if option != "--out":
        return command
    typed = _typed_out(results.study_dir / "study.toml")
    study_dir = results.study_dir.resolve()
    near = study_dir.relative_to(Path.cwd()) if study_dir.is_relative_to(Path.cwd()) else Path(folder)
    return shlex.join([*start, "--out", typed or str(near)])


def _typed_out(path: Path) -> str | None:
    """What was typed for `--out`, from the study's own options."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("out")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) else None


def _leading(judged: Judged) -> str:
    where, first, others = ON_PART[judged.part], judged.leading[0], judged.leading[1:]
    if not others:
        return f"{first} leads alone: every other network is shown to be worse {where}."
    are = "is" if len(others) == 1 else "are"
    return f"The leading set {where}: {first}, and {words.listed(others)}, which {are} not shown to be worse."


def _pairs(results: Results, judged: Judged) -> str:
    verdicts = [verdict for verdict in judged.verdicts if verdict.p_adjusted is not None]
    num_separated = sum(verdict.better is not None for verdict in verdicts)
    after = " after correction for all of them" if len(verdicts) > 1 else ""
    pairs = (
        f"{num_separated} of {words.plural(len(verdicts), 'pair')} {'is' if num_separated == 1 else 'are'} separated"
    )
    return f"{words.capital(ON_PART[judged.part])}, {pairs}{after}, {judged.statement}."
