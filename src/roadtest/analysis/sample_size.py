"""What knowing more would cost: seeds or tracks that would separate two networks, and the command that adds seeds.

The judge takes the difference seen, and the parts of its variance, for the true ones: orders of magnitude, no
promises. Times are the training seconds of the runs that are there; evaluation and latency come on top.
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
class RequiredSampleSize:
    """What would separate two networks; all None where they are separated, or were not judged."""

    least_seeds: int | None = None
    """More seeds per network for an even chance."""
    most_seeds: int | None = None
    """More seeds per network for a chance of 90 %."""
    times_tracks: float | None = None
    """Where no number of seeds helps: how many times as many tracks would."""
    words: str | None = None


@dataclass(frozen=True, kw_only=True)
class SeedPlan:
    """What it takes to give every network of a study a number of seeds."""

    command: str
    """The study's own with `--seeds 5`; it trains only what is missing."""
    num_runs: int
    train_seconds: float | None
    """Of all these runs together; None where no run tells how long one takes."""


def what_more_would_cost(results: Results, verdict: stats.Verdict, *, split: str, num_pairs: int) -> RequiredSampleSize:
    """Say what would separate a pair that was judged and not separated."""
    if verdict.word != stats.NOT_SEPARATED:
        return RequiredSampleSize()
    return required_sample_size(results, verdict.difference, split=split, num_pairs=num_pairs)


def _round_up(times: float) -> float:
    """Two digits and no more: it is an order of magnitude."""
    step = 10.0 ** (math.floor(math.log10(times)) - 1) if times >= 1 else 0.1
    return round(math.ceil(times / step) * step, 1)


def required_sample_size(
    results: Results, difference: stats.Difference, *, split: str, num_pairs: int = 1
) -> RequiredSampleSize:
    """What would tell a difference on `val` or `test` from zero, in numbers and in words."""
    found = stats.required_to_separate(difference, num_pairs=num_pairs)
    return _with_words(results, difference, found, split=split, does="separates them")


def required_for_tolerance(
    results: Results, difference: stats.Difference, tolerance: float
) -> RequiredSampleSize | None:
    """What would show in validation that the first network is at most the tolerance worse; None where it looks it."""
    found = stats.required_to_show(difference, tolerance)
    return None if found is None else _with_words(results, difference, found, split="val", does="decides it")


def _with_words(
    results: Results, difference: stats.Difference, found: stats.RequiredSampleSize, *, split: str, does: str
) -> RequiredSampleSize:
    if difference.statement == stats.ON_NEW_FOLDS:
        num_folds = int(results.info.protocol["num_folds"])
        return _in_folds(found, left=num_folds - difference.num_seeds, num_folds=num_folds)
    times = None if found.times_tracks is None else max(_round_up(found.times_tracks), 1.1)
    words = _seed_words(found.least_seeds, found.most_seeds)
    if found.least_seeds is None:
        words = f"no number of seeds {does} on this {'test' if split == 'test' else 'validation'} set"
        words += f"; about {times:,.12g} times as many tracks would" if times else ": the difference seen is zero"
    return RequiredSampleSize(
        least_seeds=found.least_seeds, most_seeds=found.most_seeds, times_tracks=times, words=words
    )


def plan_more_seeds(study: Path | Results, num_seeds: int = GOOD_NUM_SEEDS) -> SeedPlan | None:
    """The command that gives every planned network so many seeds, and its time; None where all have them."""
    results = read_results(study)
    planned = sorted({run.seed for run in results.info.runs})
    unused = (seed for seed in range(num_seeds + len(planned)) if seed not in planned)
    wanted = sorted([*planned, *(next(unused) for _ in range(num_seeds - len(planned)))])
    missing = [len(set(wanted) - {record.seed for record in variant.records}) for variant in results.variants]
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
    """The command that repeats the study; one for each set of seeds where a study has grown network by network."""
    results = read_results(study)
    groups = _labels_by_seeds(results)
    if len(groups) <= 1:
        return [results.info.command]
    return [_command(results, labels, seeds) for seeds, labels in groups.items()]


def train_seconds_per_seed(variants: Sequence[Variant]) -> float | None:
    """Training seconds that one more seed of each of these networks would take; None where one of them is unknown."""
    means = [_mean_seconds(variant) for variant in variants]
    known = [mean for mean in means if mean is not None]
    return sum(known) if len(known) == len(means) else None


def _in_folds(found: stats.RequiredSampleSize, *, left: int, num_folds: int) -> RequiredSampleSize:
    """Seeds beyond the folds bring no new one: what they would tell is not asked for."""
    least = found.least_seeds if found.least_seeds is not None and found.least_seeds <= left else None
    most = found.most_seeds if found.most_seeds is not None and found.most_seeds <= left else None
    words = _seed_words(least, most)
    if least is None:
        words = f"no number of seeds: there are {num_folds} validation folds"
    elif most is None:
        words = f"{_more(least)} or more, and perhaps more than the {num_folds} validation folds allow"
    return RequiredSampleSize(least_seeds=least, most_seeds=most, words=words)


def _seed_words(least: int | None, most: int | None) -> str:
    if most is None:
        return f"at least {_more(least)}"
    return f"about {_more(least)}" if least == most else f"between {least} and {most} more seeds"


def _more(number: int | None) -> str:
    return f"{number} more seed{'s' * (number != 1)}"


def _mean_seconds(variant: Variant) -> float | None:
    timed = [record.cost.train_seconds for record in variant.records if record.is_time_comparable]
    return statistics.fmean(timed) if timed else None


def _seeds_word(seeds: Sequence[int]) -> str:
    """`5` for 0 to 4, else the list; `4,` for a single seed that is not 0."""
    if list(seeds) == list(range(len(seeds))):
        return str(len(seeds))
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


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


def _without(words: list[str], option: str) -> list[str]:
    """A command line without an option and its value."""
    kept: list[str] = []
    is_value = False
    for word in words:
        if is_value:
            is_value = False
        elif word == option:
            is_value = True
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept
