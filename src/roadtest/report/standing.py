"""What may be said of all networks together: the leading set, who shares a letter, or why nothing was judged.

Never "equal": networks that are not separated are networks that this study cannot tell apart.
"""

import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

from roadtest.report import words
from roadtest.summarise import GOOD_NUM_SEEDS, NOT_JUDGED, Judged, Results, judge_networks, leading_words, more_seeds
from roadtest.summarise.words import WHERE

_NO_VERDICT = "What was observed stands here without a verdict."
_UNJUDGED = {NOT_JUDGED: f"{_NO_VERDICT.removesuffix('.')}: luck of the training is not known."}


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
    judged, leading, more = judge_networks(results), leading_words(results), more_seeds(results)
    if len(judged.variants) < 2:
        return Standing(leading="", pairs="", more="", command="")
    pairs = _pairs(results, judged) if judged.is_judged else _UNJUDGED.get(judged.remark or "", _NO_VERDICT)
    if not judged.needs_seeds or more is None:
        return Standing(leading=leading, pairs=pairs, more="", command="")
    time = f", {words.about(more.train_seconds)} of training" if more.train_seconds else ""
    text = f"This command gives every network {GOOD_NUM_SEEDS} seeds: {words.plural(more.num_runs, 'more run')}{time}."
    return Standing(leading=leading, pairs=pairs, more=text, command=portable_command(more.command, results))


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


def _pairs(results: Results, judged: Judged) -> str:
    verdicts = [verdict for verdict in judged.verdicts if verdict.p_adjusted is not None]
    num_separated = sum(verdict.better is not None for verdict in verdicts)
    after = " after correction for all of them" if len(verdicts) > 1 else ""
    pairs = (
        f"{num_separated} of {words.plural(len(verdicts), 'pair')} {'is' if num_separated == 1 else 'are'} separated"
    )
    return f"{words.capital(WHERE[judged.part])}, {pairs}{after}, {judged.statement}."
