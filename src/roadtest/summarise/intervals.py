"""Accuracies and differences of a study's networks, each with its interval; the judge does the arithmetic.

On the test set all runs of a network answer the same images: the judge sees seeds x images, and the unit is the track.
In validation by folds each seed answers other images: from three folds on the fold is the unit, below that all answers
stand in one row over tracks. A difference is always paired, over the seeds that both networks finished. No verdict is
given here: an interval that stands by itself knows nothing of how many others were looked at (pairs.py does).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roadtest import judge
from roadtest.record import RunRecord
from roadtest.summarise.results import Bools, Ints, Results, Variant

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


def estimate_accuracy(results: Results, variant: Variant, part: str) -> Estimate | None:
    """The accuracy of a network on `val` or `test`; None without two units to judge by."""
    answers = _answers(results, variant.records, part)
    if answers is None:
        return None
    if answers.num_folds >= MIN_SEEDS_FOR_A_VERDICT:
        return _estimate(results, judge.validation_interval(answers.by_fold(results.units_N)), answers)
    correct_SN = answers.crossed()
    units_N = results.units_N[answers.crossed_ids()]
    if len(np.unique(units_N)) < 2:
        return None
    return _estimate(results, judge.accuracy_interval(correct_SN, units_N), answers)


def difference_between(
    results: Results, a: Variant, b: Variant, part: str, *, confidence: float = judge.CONFIDENCE
) -> judge.Difference | None:
    """The accuracy of `a` minus that of `b` over their common seeds; None where they cannot be compared."""
    pair = _paired_answers(results, a, b, part)
    if pair is None:
        return None
    of_a, of_b = pair
    if of_a.num_folds >= MIN_SEEDS_FOR_A_VERDICT:
        folds_a, folds_b = of_a.by_fold(results.units_N), of_b.by_fold(results.units_N)
        return judge.validation_difference(folds_a, folds_b, confidence=confidence)
    units_N = results.units_N[of_a.crossed_ids()]
    if len(np.unique(units_N)) < 2:
        return None
    return judge.difference_interval(of_a.crossed(), of_b.crossed(), units_N, confidence=confidence)


def describe_difference(
    results: Results, a: Variant, b: Variant, part: str, difference: judge.Difference, verdict: str
) -> Estimate:
    """Put beside a difference what it rests on."""
    pair = _paired_answers(results, a, b, part)
    assert pair is not None, "a difference has answers behind it"
    return replace(_estimate(results, difference, pair[0]), verdict=verdict)


def common_seeds(a: Variant, b: Variant) -> list[int]:
    """The seeds that both networks finished."""
    return sorted({record.seed for record in a.records} & {record.seed for record in b.records})


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """What the runs of a network answered: a row per seed, of the same images or of each seed's own fold."""

    correct: list[Bools]
    ids: list[Ints]
    folds: list[int]

    @property
    def is_crossed(self) -> bool:
        """All seeds answered the same images."""
        return all(np.array_equal(ids_N, self.ids[0]) for ids_N in self.ids)

    @property
    def num_folds(self) -> int:
        """How many different folds were answered; 1 where all seeds saw the same images."""
        return 1 if self.is_crossed else len(set(self.folds))

    def by_fold(self, units_N: Ints) -> list[judge.FoldResult]:
        """One result a seed, on its own fold."""
        return [
            judge.FoldResult(
                fold=fold,
                num_correct=int(correct_N.sum()),
                num_seen=len(correct_N),
                num_units=len(np.unique(units_N[ids_N])),
            )
            for fold, correct_N, ids_N in zip(self.folds, self.correct, self.ids, strict=True)
        ]

    def crossed(self) -> Bools:
        """Seeds x images where all saw the same, else one row of all answers."""
        return np.stack(self.correct) if self.is_crossed else np.concatenate(self.correct)[None, :]

    def crossed_ids(self) -> Ints:
        """The images behind the columns of `crossed`."""
        return self.ids[0] if self.is_crossed else np.concatenate(self.ids)

    def has_images_of(self, other: "_Answers") -> bool:
        """Whether both answered the same images in the same order, seed by seed."""
        pairs = zip(self.ids, other.ids, strict=True)
        return all(np.array_equal(mine_N, theirs_N) for mine_N, theirs_N in pairs)


def _paired_answers(results: Results, a: Variant, b: Variant, part: str) -> tuple[_Answers, _Answers] | None:
    """What both networks answered on the same images; None where they cannot be compared."""
    if not (a.is_compared and b.is_compared):
        return None
    seeds = common_seeds(a, b)
    of_a, of_b = (_answers(results, _of_seeds(variant, seeds), part) for variant in (a, b))
    if of_a is None or of_b is None or not of_a.has_images_of(of_b):
        return None
    return of_a, of_b


def _of_seeds(variant: Variant, seeds: Sequence[int]) -> list[RunRecord]:
    return [record for seed in seeds for record in variant.records if record.seed == seed]


def _answers(results: Results, records: Sequence[RunRecord], part: str) -> _Answers | None:
    found = [results.outcome(record, part) for record in records]
    present = [outcome for outcome in found if outcome is not None and len(outcome.labels_N)]
    if not present or len(present) < len(found):
        return None
    num_folds = int(results.info.protocol["num_folds"])
    return _Answers(
        correct=[outcome.is_correct_N for outcome in present],
        ids=[outcome.image_ids_N for outcome in present],
        folds=[record.seed % num_folds for record in records],
    )


def _estimate(results: Results, interval: judge.Interval, answers: _Answers) -> Estimate:
    is_by_fold = answers.num_folds >= MIN_SEEDS_FOR_A_VERDICT
    ids_N = np.unique(np.concatenate(answers.ids))
    has_tracks = len(np.unique(results.units_N[ids_N])) < len(ids_N)
    return Estimate(
        value=interval.estimate,
        low=interval.low,
        high=interval.high,
        num_seeds=len(answers.correct),
        num_units=interval.num_units,
        unit_name="folds" if is_by_fold else "tracks" if has_tracks else "images",
        num_images=len(ids_N),
        statement=interval.statement,
    )
