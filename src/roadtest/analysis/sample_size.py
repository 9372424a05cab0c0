"""What would decide a comparison: how many more seeds or tracks, and the command that adds the seeds.

The statistics take the difference seen, and the components of its variance, for the true ones: orders of magnitude,
no promises. Times are the training seconds of the runs that are there; evaluation and latency come on top.
"""

import math
import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roadtest.analysis import stats
from roadtest.analysis.results import Results, Variant, read_results

GOOD_NUM_SEEDS = 5
"""Three seeds are the least for a verdict; five decide much more (docs/statistics.md)."""


@dataclass(frozen=True, kw_only=True)
class RequiredSeeds(stats.RequiredSampleSize):
    """What would decide a comparison, within the folds that a study has; all None where it is decided."""

    words: str | None = None


@dataclass(frozen=True, kw_only=True)
class SeedPlan:
    """What it takes to give every network of a study a number of seeds."""

    command: str
    """The study's own with `--seeds 5`; it trains only what is missing."""
    num_runs: int
    train_seconds: float | None
    """Of all these runs together; None where no run has a time."""


def required_to_separate(
    results: Results, difference: stats.Difference, *, split: str, num_pairs: int = 1
) -> RequiredSeeds:
    """Estimate what would separate a difference on `val` or `test` from zero."""
    found = stats.required_to_separate(difference, num_pairs=num_pairs)
    return _in_words(results, difference, found, split=split, does="separates them")


def required_to_show(results: Results, difference: stats.Difference, tolerance: float) -> RequiredSeeds | None:
    """Estimate what would show in validation that `a` is at most the tolerance worse; None where it looks worse."""
    found = stats.required_to_show(difference, tolerance)
    return None if found is None else _in_words(results, difference, found, split="val", does="decides it")


def _in_words(
    results: Results, difference: stats.Difference, found: stats.RequiredSampleSize, *, split: str, does: str
) -> RequiredSeeds:
    if difference.statement == stats.ON_NEW_FOLDS:
        num_folds = int(results.info.protocol["num_folds"])
        return _in_folds(found, left=num_folds - difference.num_seeds, num_folds=num_folds)
    times = None if found.times_tracks is None else max(_round_up(found.times_tracks), 1.1)
    words = _seed_words(found.least_seeds, found.most_seeds)
    if found.least_seeds is None:
        words = f"no number of seeds {does} on this {'test' if split == 'test' else 'validation'} set"
        words += f"; about {times:,.12g} times as many tracks would" if times else ": the difference seen is zero"
    return RequiredSeeds(least_seeds=found.least_seeds, most_seeds=found.most_seeds, times_tracks=times, words=words)


def _in_folds(found: stats.RequiredSampleSize, *, left: int, num_folds: int) -> RequiredSeeds:
    """Seeds beyond the folds bring no new fold: no number above `left` is given."""
    least, most = (number if number and number <= left else None for number in (found.least_seeds, found.most_seeds))
    words = _seed_words(least, most)
    if least is None:
        words = f"no number of seeds: there are {num_folds} validation folds"
    elif most is None:
        words = f"{_more(least)} or more, and perhaps more than the {num_folds} validation folds allow"
    return RequiredSeeds(least_seeds=least, most_seeds=most, words=words)


def _round_up(times: float) -> float:
    """Two digits, because it is an order of magnitude."""
    step = 10.0 ** (math.floor(math.log10(times)) - 1) if times >= 1 else 0.1
    return round(math.ceil(times / step) * step, 1)


def _seed_words(least: int | None, most: int | None) -> str:
    if most is None:
        return f"at least {_more(least)}"
    return f"about {_more(least)}" if least == most else f"between {least} and {most} more seeds"


def _more(number: int | None) -> str:
    return f"{number} more seed{'s' * (number != 1)}"


def plan_more_seeds(study: Path | Results, num_seeds: int = GOOD_NUM_SEEDS) -> SeedPlan | None:
    """Return the command that gives every planned network so many seeds, and its time; None where all have them."""
    results = read_results(study)
    planned = sorted({run.seed for run in results.info.runs})
    unused = (seed for seed in range(num_seeds + len(planned)) if seed not in planned)
    wanted = sorted([*planned, *(next(unused) for _ in range(num_seeds - len(planned)))])
    missing = [len(set(wanted) - variant.seeds) for variant in results.variants]
    if not any(missing):
        return None
    seconds = [_mean_seconds(variant) for variant in results.variants]
    known = [one for one in seconds if one is not None]
    typical = statistics.fmean(known) if known else 0.0  # of a network that has no finished run
    total = sum(num * (typical if one is None else one) for num, one in zip(missing, seconds, strict=True))
    labels = [] if len(_labels_by_seeds(results)) <= 1 else [variant.label for variant in results.variants]
    return SeedPlan(
        command=_command(results, labels, wanted),
        num_runs=sum(missing),
        train_seconds=total if known else None,
    )


def repeat_commands(study: Path | Results) -> list[str]:
    """Return the command that repeats the study; one for each set of seeds where a study has grown by network."""
    results = read_results(study)
    groups = _labels_by_seeds(results)
    if len(groups) <= 1:
        return [results.info.command]
    return [_command(results, labels, seeds) for seeds, labels in groups.items()]


def train_seconds_per_seed(variants: Sequence[Variant]) -> float | None:
    """Return the training seconds of one more seed of each of these networks; None where one of them is unknown."""
    known = [mean for variant in variants if (mean := _mean_seconds(variant)) is not None]
    return sum(known) if len(known) == len(variants) else None


def _mean_seconds(variant: Variant) -> float | None:
    timed = [record.cost.train_seconds for record in variant.records if record.is_time_comparable]
    return statistics.fmean(timed) if timed else None


def _labels_by_seeds(results: Results) -> dict[tuple[int, ...], list[str]]:
    groups: dict[tuple[int, ...], list[str]] = {}
    for variant in results.variants:
        groups.setdefault(tuple(sorted(run.seed for run in variant.planned)), []).append(variant.label)
    return groups


def _command(results: Results, labels: Sequence[str], seeds: Sequence[int]) -> str:
    """The study's own command with other seeds, these networks where some are named, and its folder.

    A total budget becomes that of a run, as it was.
    """
    try:
        words = shlex.split(results.info.command)
    except ValueError:
        words = []
    if words[:2] != ["roadtest", "compare"] or not results.info.command.isprintable():  # written by hand, or worse
        words = ["roadtest", "compare", results.info.source]
    budget = results.info.protocol.get("budget_seconds")
    is_total = "--budget-total" in words
    replaced = ["--seeds", "--budget-total", "--out", "-o"]
    for option in replaced + ["--networks", "--stn", "--stem", "--pretrained"] * bool(labels):
        words = _without(words, option)
    if is_total and budget:
        words += ["--budget", f"{budget!r}s"]
    if labels:  # a label that says +stn overrides the off
        words += ["--networks", ",".join(labels), "--stn", "off"]
    return shlex.join([*words, "--seeds", _seeds_word(seeds), "--out", str(results.study_dir)])


def _seeds_word(seeds: Sequence[int]) -> str:
    """`5` for 0 to 4, else the list; `4,` for a single seed that is not 0."""
    if list(seeds) == list(range(len(seeds))):
        return str(len(seeds))
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def _without(words: list[str], option: str) -> list[str]:
    """A command line without an option and its value."""
    kept = []
    rest = iter(words)
    for word in rest:
        if word == option:
            next(rest, None)
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept
