"""Accuracies, other metrics and differences of a study's networks, with intervals; the judge does the arithmetic.

On the test set all runs of a network answer the same images: the judge sees seeds x images, and the unit is the track.
In validation by folds each seed answers other images: from three folds on the fold is the unit, below that all answers
stand in one row over tracks. A difference is always paired by image: over all seeds of both where all saw the same
images, else over the seeds that both finished, which share their folds. A worst-class recall has an interval over folds
alone: on one set, where a class may have two tracks, there is no honest one (docs/statistics.md). No verdict is given
here: an interval that stands by itself knows nothing of how many others were looked at (pairs.py does). answers.py
gathers what is judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadtest import judge
from roadtest.record import RunRecord
from roadtest.summarise.answers import Answers, gather_answers
from roadtest.summarise.metrics import ACCURACY, WORST
from roadtest.summarise.results import Results, Variant

MIN_SEEDS_FOR_A_VERDICT = judge.MIN_SEEDS
"""With fewer the luck of a training cannot be told from the network."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A fraction, or a difference of two, with a 95 % interval."""

    value: float
    low: float
    high: float
    num_seeds: int
    num_units: int
    """How many things that stand or fall by themselves the interval rests on."""
    unit_name: str
    """What these are: `tracks`, `images` or `folds`."""
    num_images: int
    """Different images."""
    statement: str
    """What the interval speaks of."""
    verdict: str | None = None
    """Of a difference, corrected for all pairs: `separated`, `not separated`, or `observed` below three seeds."""
    design_effect: float = 1.0
    """How many images tell as much as one that stands by itself would; 1 where the unit is a fold."""


def estimate_accuracy(results: Results, variant: Variant, part: str) -> Estimate | None:
    """The accuracy of a network on `val` or `test`; None without two units to judge by."""
    return estimate_score(results, variant, part, metric=ACCURACY)


def estimate_score(
    results: Results,
    variant: Variant,
    part: str,
    *,
    confidence: float = judge.CONFIDENCE,
    metric: str | None = None,
) -> Estimate | None:
    """A network's figure on `val` or `test`, by the study's metric where none is named; None where none is honest."""
    metric = metric or results.metric
    key = f"{_with_seeds(variant)} on {part} by {metric}, confidence {confidence}"
    if key not in results.kept:  # every table of accuracies asks for the same
        answers = gather_answers(results, variant.records, part)
        results.kept[key] = None if answers is None else _estimate_score(results, answers, metric, confidence)
    found: Estimate | None = results.kept[key]
    return found


def _estimate_score(results: Results, answers: Answers, metric: str, confidence: float) -> Estimate | None:
    if answers.num_folds >= MIN_SEEDS_FOR_A_VERDICT:
        by_fold = judge.validation_interval(answers.by_fold(metric), confidence=confidence)
        return _estimate(results, by_fold, answers)
    if answers.num_units < 2 or metric == WORST:
        return None
    if metric == ACCURACY:
        crossed = answers.crossed(), answers.crossed_units()
        return _estimate(results, judge.accuracy_interval(*crossed, confidence=confidence), answers)
    return _estimate(results, judge.score_interval(answers.scores(metric), confidence=confidence), answers)


def difference_between(
    results: Results,
    a: Variant,
    b: Variant,
    part: str,
    *,
    confidence: float = judge.CONFIDENCE,
    metric: str | None = None,
) -> judge.Difference | None:
    """The figure of `a` minus that of `b`, by the study's metric where none is named; seeds as in this file's words.

    None where they cannot be compared, or no interval is honest.
    """
    metric = metric or results.metric
    key = f"{_with_seeds(a)} minus {_with_seeds(b)} on {part} by {metric}, confidence {confidence}"
    if key not in results.kept:
        pair = paired_answers(results, a, b, part)
        results.kept[key] = None if pair is None else answers_difference(*pair, metric=metric, confidence=confidence)
    found: judge.Difference | None = results.kept[key]
    return found


def answers_difference(
    of_a: Answers, of_b: Answers, *, metric: str = ACCURACY, confidence: float = judge.CONFIDENCE
) -> judge.Difference | None:
    """The figure of `a` minus that of `b` on the same images, seed by seed; None where no interval is honest."""
    if of_a.num_folds >= MIN_SEEDS_FOR_A_VERDICT:
        return judge.validation_difference(of_a.by_fold(metric), of_b.by_fold(metric), confidence=confidence)
    if of_a.num_units < 2 or metric == WORST:
        return None
    if metric == ACCURACY:
        crossed = of_a.crossed(), of_b.crossed(), of_a.crossed_units()
        return judge.difference_interval(*crossed, confidence=confidence)
    return judge.score_difference(of_a.scores(metric), of_b.scores(metric), confidence=confidence)


def why_not_compared(results: Results, a: Variant, b: Variant, part: str) -> str:
    """Why two networks have no difference with an interval on `val` or `test`, by the study's metric."""
    pair = paired_answers(results, a, b, part)
    if pair is None and not common_seeds(a, b):
        return "no seed in common"
    if pair is None and any(results.outcome(record, part) is None for one in (a, b) for record in one.records):
        return f"not every run has its raw answers here ({part}.npz)"
    if pair is not None and results.metric == WORST and pair[0].num_folds < MIN_SEEDS_FOR_A_VERDICT:
        return "a worst-class recall is judged over three validation folds or more"
    return "no images in common" if pair is None else "a single track cannot be judged by"


def describe_difference(
    results: Results, a: Variant, b: Variant, part: str, difference: judge.Difference, verdict: str
) -> Estimate:
    """Put beside a difference what it rests on."""
    pair = paired_answers(results, a, b, part)
    assert pair is not None, "a difference has answers behind it"
    num_seeds = min(len(answers.outcomes) for answers in pair)
    return replace(_estimate(results, difference, pair[0]), verdict=verdict, num_seeds=num_seeds)


def _with_seeds(variant: Variant) -> str:
    return f"{variant.label} {[record.seed for record in variant.records]}"


def common_seeds(a: Variant, b: Variant) -> list[int]:
    """The seeds that both networks finished."""
    return sorted({record.seed for record in a.records} & {record.seed for record in b.records})


def paired_answers(results: Results, a: Variant, b: Variant, part: str) -> tuple[Answers, Answers] | None:
    """What both networks answered on the same images; None where they cannot be compared."""
    if not (a.is_compared and b.is_compared):
        return None
    of_a, of_b = (gather_answers(results, variant.records, part) for variant in (a, b))
    if of_a is not None and of_b is not None and of_a.has_images_of(of_b):
        return of_a, of_b
    seeds = common_seeds(a, b)
    of_a, of_b = (gather_answers(results, _of_seeds(variant, seeds), part) for variant in (a, b))
    if of_a is None or of_b is None or not of_a.has_images_of(of_b):
        return None
    return of_a, of_b


def _of_seeds(variant: Variant, seeds: Sequence[int]) -> list[RunRecord]:
    return [record for seed in seeds for record in variant.records if record.seed == seed]


def _estimate(results: Results, interval: judge.Interval, answers: Answers) -> Estimate:
    is_by_fold = answers.num_folds >= MIN_SEEDS_FOR_A_VERDICT
    ids_N = np.unique(np.concatenate(answers.ids))
    has_tracks = len(np.unique(results.units_N[ids_N])) < len(ids_N)
    return Estimate(
        value=interval.estimate,
        low=interval.low,
        high=interval.high,
        num_seeds=len(answers.outcomes),
        num_units=interval.num_units,
        unit_name="folds" if is_by_fold else "tracks" if has_tracks else "images",
        num_images=len(ids_N),
        statement=interval.statement,
        design_effect=interval.design_effect,
    )
