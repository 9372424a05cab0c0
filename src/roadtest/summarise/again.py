"""What would come out on these very images if the networks were trained again: the luck of seeds, and no other.

For people who will use this test set again. It says nothing about other signs, and gives no verdict: intervals.py
knows the luck of both, and pairs.py judges. Asked only where all seeds answered the same images.
"""

import numpy as np

from roadtest import judge
from roadtest.summarise.intervals import common_seeds
from roadtest.summarise.results import Bools, Results, Variant


def retrained_accuracy(results: Results, variant: Variant, part: str = "test") -> judge.Interval | None:
    """The accuracy of a network on these images, if trained again; None below three seeds, or with folds."""
    correct_SN = _crossed(results, [variant], [record.seed for record in variant.records], part)
    return judge.retraining_interval(correct_SN[0]) if correct_SN else None


def retrained_difference(results: Results, a: Variant, b: Variant, part: str = "test") -> judge.Interval | None:
    """The accuracy of `a` minus that of `b` on these images, if both are trained again; None likewise."""
    correct_SN = _crossed(results, [a, b], common_seeds(a, b), part)
    return judge.retraining_difference(*correct_SN) if correct_SN else None


def _crossed(results: Results, variants: list[Variant], seeds: list[int], part: str) -> list[Bools]:
    """Seeds x images of each network; nothing where they did not all answer the same images."""
    records = [[record for record in variant.records if record.seed in seeds] for variant in variants]
    answers = [[results.outcome(record, part) for record in of_one] for of_one in records]
    present = [outcome for of_one in answers for outcome in of_one if outcome is not None]
    if len(present) < sum(map(len, answers)) or not present:
        return []
    if not all(np.array_equal(outcome.image_ids_N, present[0].image_ids_N) for outcome in present):
        return []
    return [np.stack([outcome.is_correct_N for outcome in of_one if outcome is not None]) for of_one in answers]
