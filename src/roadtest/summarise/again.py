"""What would come out on these very images if the networks were trained again: the luck of seeds, and no other.

For people who will use this test set again. It says nothing about other signs, and gives no verdict: intervals.py
knows the luck of both, and pairs.py judges. Asked only where all seeds answered the same images.
"""

from roadtest import judge
from roadtest.summarise.answers import gather_answers
from roadtest.summarise.intervals import paired_answers
from roadtest.summarise.results import Results, Variant


def retrained_accuracy(results: Results, variant: Variant, part: str = "test") -> judge.Interval | None:
    """The accuracy of a network on these images, if trained again; None below three seeds, or with folds."""
    answers = gather_answers(results, variant.records, part)
    return judge.retraining_interval(answers.crossed()) if answers is not None and answers.is_crossed else None


def retrained_difference(results: Results, a: Variant, b: Variant, part: str = "test") -> judge.Interval | None:
    """The accuracy of `a` minus that of `b` on these images, if both are trained again; None likewise.

    It rests on the seeds that the difference itself rests on.
    """
    pair = paired_answers(results, a, b, part)
    if pair is None or not all(answers.is_crossed for answers in pair):
        return None
    return judge.retraining_difference(*(answers.crossed() for answers in pair))
