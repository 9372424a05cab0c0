"""The rule that chooses: the cheapest network that validation shows to be close enough to the most accurate one.

Bounds are Bonferroni's over the networks that are cheaper than the leader: each one's lower bound errs with a chance of
at most 5 % over their number (2.5 % where they are one or two, the 95 % interval as it is printed elsewhere), so the
chance that any network passes that should not is at most 5 %. Dearer networks cannot be the answer: the leader is more
accurate and cheaper. Import from recommend.

What test says of a recommendation: whether any other network within the limits is better there by the tolerance.

Nothing here chooses: the answer is given, and test confirms it or does not. Bounds are shared over all others, as
choice.py shares them. Import from recommend.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from roadtest.analysis import stats
from roadtest.analysis.comparisons import NEEDS_SEEDS, difference_between, ranked_variants, why_not_compared
from roadtest.analysis.costs import device_column, devices_of
from roadtest.analysis.leaderboard import leaderboard_rows
from roadtest.analysis.metrics import METRICS
from roadtest.analysis.recommend.limits import ON_DEVICE, cost_key
from roadtest.analysis.results import Results, Variant, weakest_classes
from roadtest.format import Row, format_points

WITHIN, NOT_DECIDED, BEHIND = "within the tolerance", "not decided", "too far behind"


FAMILY_ERROR = 0.05
"""The chance that any network passes that should not; convention."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network and its line of the leaderboard."""

    variant: Variant
    row: dict[str, Any]

    @property
    def label(self) -> str:
        """`lenet5+stn`."""
        return self.variant.label


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the rule says of some candidates."""

    leader: Candidate
    """The best one in validation; of equals the cheapest."""
    recommended: Candidate
    cheaper: tuple[Candidate, ...]
    """Those cheaper than the leader, cheapest first."""
    differences: dict[str, stats.Difference]
    """By label: the validation figure minus the leader's, with bounds that hold together."""
    reasons: dict[str, str]
    """By label: why a cheaper network has no difference."""
    tolerance: float
    """A fraction."""

    @property
    def is_judged(self) -> bool:
        """Seeds enough; else the same table is an observation."""
        if not self.cheaper:
            return len(self.leader.variant.records) >= stats.MIN_SEEDS
        return any(difference.num_seeds >= stats.MIN_SEEDS for difference in self.differences.values())

    @property
    def remark(self) -> str:
        """Why the table is an observation; empty where it is judged."""
        if self.is_judged:
            return ""
        is_short = self.differences or len(self.leader.variant.records) < stats.MIN_SEEDS
        return NEEDS_SEEDS if is_short else f"not judged: {next(iter(self.reasons.values()))}"

    @property
    def correction(self) -> str:
        """For how many pairs the bounds are corrected; empty where they are the plain 95 % ones."""
        return corrected(len(self.cheaper))

    @property
    def is_leader(self) -> bool:
        """The answer is the most accurate network."""
        return self.recommended.label == self.leader.label

    def verdict(self, label: str) -> tuple[str, str]:
        """What validation says of a network cheaper than the leader, and why."""
        difference = self.differences.get(label)
        if difference is None:
            return NOT_DECIDED, self.reasons[label]
        if self.is_judged and difference.num_seeds < stats.MIN_SEEDS:
            return NOT_DECIDED, NEEDS_SEEDS
        bounds = f"{format_points(difference.low)} to {format_points(difference.high)}{self.correction}"
        span = f"{format_points(difference.estimate)} points ({bounds})"
        reason = f"{span} from {self.leader.label}"
        if difference.low >= -self.tolerance:
            return WITHIN, reason
        return (BEHIND if difference.high < -self.tolerance else NOT_DECIDED), reason


def line_up(results: Results, device: str | None = None) -> list[Candidate]:
    """Every network with its line of the leaderboard, and the recall of each class beside it (`weakest_classes`).

    With a device, latency and memory are that computer's; a ValueError where the study does not know it.
    """
    if device is not None and device not in devices_of(results):
        known = ", ".join(devices_of(results)) or "none"
        raise ValueError(
            f"--device {device!r} is not among the devices of the study ({known}): measure there with an exported "
            "bundle's measure.py, then roadtest add-device"
        )
    elsewhere = {} if device is None else {cost: device_column(device, cost) for cost in ON_DEVICE}
    return [
        Candidate(
            variant=variant,
            row=row
            | {cost: row[column] for cost, column in elsewhere.items()}
            | {"device": device}
            | {"weakest_classes": weakest_classes(results, variant, "val")},
        )
        for variant, row in zip(ranked_variants(results), leaderboard_rows(results), strict=True)
    ]


def choose(results: Results, candidates: Sequence[Candidate], *, tolerance: float, prefer: str) -> Choice | None:
    """Apply the rule to candidates in the order of validation, best first; None where there are none."""
    if not candidates:
        return None
    best = figure(candidates[0].row)
    leader = min((one for one in candidates if figure(one.row) == best), key=partial(_cost, prefer=prefer))
    found = [one for one in candidates if _cost(one, prefer) < _cost(leader, prefer)]
    cheaper = tuple(sorted(found, key=partial(_cost, prefer=prefer)))
    confidence = shared_confidence(len(cheaper))
    differences = {
        one.label: difference
        for one in cheaper
        if (difference := difference_between(results, one.variant, leader.variant, "val", confidence=confidence))
    }
    choice = Choice(
        leader=leader,
        recommended=leader,
        cheaper=cheaper,
        differences=differences,
        reasons={
            one.label: why_not_compared(results, one.variant, leader.variant, "val")
            for one in cheaper
            if one.label not in differences
        },
        tolerance=tolerance,
    )
    passing = [one for one in cheaper if choice.verdict(one.label)[0] == WITHIN]
    return replace(choice, recommended=passing[0]) if passing else choice


def shared_confidence(num_networks: int) -> float:
    """The confidence of two-sided intervals whose lower bounds hold together; never below 95 %."""
    return max(stats.CONFIDENCE, 1 - 2 * FAMILY_ERROR / max(num_networks, 1))


def corrected(num_networks: int) -> str:
    """How an interval says that its bounds are shared by so many pairs; nothing where that changes none."""
    return f"; corrected for {num_networks} pairs" if shared_confidence(num_networks) > stats.CONFIDENCE else ""


def figure(row: dict[str, Any], split: str = "val", end: str = "mean") -> float | None:
    """What a line of the leaderboard has of the metric that chooses."""
    found: float | None = row[f"{split}_{METRICS[row['metric']].column}_{end}"]
    return found


def _cost(candidate: Candidate, prefer: str) -> tuple[float, ...]:
    return cost_key(candidate.row, prefer)


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
    few = [one for one, of_one in known if of_one.statement == stats.THESE_WEIGHTS]
    is_few = bool(few) if agreement == AGREES else against in few
    return {
        "against": {"network": against.row["network"], "has_stn": against.row["has_stn"]} if against else None,
        "is_best": bool(others) and against is others[0],
        "test_gain": gap and gap.estimate,
        "test_gain_low": gap and gap.low,
        "test_gain_high": gap and gap.high,
        "statement": stats.THESE_WEIGHTS if is_few else gap and gap.statement,
        "num_pairs": len(others),
        "agreement": agreement,
        "why_open": why_not_compared(results, own.variant, against.variant, "test") if against and not gap else "",
    }


def _agreement(
    known: Sequence[tuple[Candidate, stats.Difference]], tolerance: float
) -> tuple[Candidate, stats.Difference, str]:
    """Whether test shows that nothing else is better by more than the tolerance, the contrary, or neither."""
    surely = min(known, key=lambda pair: pair[1].high)
    if surely[1].high < -tolerance:
        return (*surely, DISAGREES)
    perhaps = min(known, key=lambda pair: pair[1].low)
    return (*perhaps, OPEN) if perhaps[1].low < -tolerance else (*known[0], AGREES)
