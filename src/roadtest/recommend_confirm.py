"""What test says of a recommendation: whether any other network within the limits is better there by the tolerance.

Nothing here chooses: the answer is given, and test confirms it or does not. Bounds are shared over all others, as
recommend_choice.py shares them. Import from recommend.py.
"""

from collections.abc import Sequence
from typing import Any

from roadtest import judge
from roadtest.recommend_choice import Candidate, Choice, figure, shared_confidence
from roadtest.summarise import Results, difference_between, why_not_compared

Row = dict[str, Any]
AGREES, DISAGREES, OPEN = "agrees", "disagrees", "does not decide"


def confirm(results: Results, choice: Choice, admissible: Sequence[Candidate]) -> Row | None:
    """Hold the recommended network against every other one on test, at the tolerance; None where test was not read.

    `against` is the network that the words are about: the best other where test agrees, else the one that is, or may
    be, better by most. `agreement` is None where one of them has no interval; `why_open` then says why.
    """
    own = choice.recommended
    if figure(own.row, "test") is None:
        return None
    others = [one for one in admissible if one.label != own.label and figure(one.row, "test") is not None]
    others.sort(key=lambda one: -(figure(one.row, "test") or 0.0))
    confidence = shared_confidence(len(others))
    gaps = [difference_between(results, own.variant, one.variant, "test", confidence=confidence) for one in others]
    known = [(one, gap) for one, gap in zip(others, gaps, strict=True) if gap is not None]
    open_ones = [one for one, gap in zip(others, gaps, strict=True) if gap is None]
    against, gap, agreement = None, None, None
    if known:
        against, gap, agreement = _agreement(known, choice.tolerance)
    if open_ones and agreement != DISAGREES:
        against, gap, agreement = open_ones[0], None, None
    few = [one for one, of_one in known if of_one.statement == judge.THESE_WEIGHTS]
    is_few = bool(few) if agreement == AGREES else against in few
    return {
        "against": {"network": against.row["network"], "has_stn": against.row["has_stn"]} if against else None,
        "is_best": bool(others) and against is others[0],
        "test_gain": gap and gap.estimate,
        "test_gain_low": gap and gap.low,
        "test_gain_high": gap and gap.high,
        "statement": judge.THESE_WEIGHTS if is_few else gap and gap.statement,
        "num_pairs": len(others),
        "agreement": agreement,
        "why_open": why_not_compared(results, own.variant, against.variant, "test") if against and not gap else "",
    }


def _agreement(
    known: Sequence[tuple[Candidate, judge.Difference]], tolerance: float
) -> tuple[Candidate, judge.Difference, str]:
    """Whether test shows that nothing else is better by more than the tolerance, the contrary, or neither."""
    surely = min(known, key=lambda pair: pair[1].high)
    if surely[1].high < -tolerance:
        return (*surely, DISAGREES)
    perhaps = min(known, key=lambda pair: pair[1].low)
    return (*perhaps, OPEN) if perhaps[1].low < -tolerance else (*known[0], AGREES)
