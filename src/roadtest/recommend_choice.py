"""The rule that chooses: the cheapest network that validation shows to be close enough to the most accurate one.

Bounds are Bonferroni's over the networks that are cheaper than the leader: each one's lower bound errs with a chance of
at most 5 % over their number (2.5 % where they are one or two, the 95 % interval as it is printed elsewhere), so the
chance that any network passes that should not is at most 5 %. Dearer networks cannot be the answer: the leader is more
accurate and cheaper. Import from recommend.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from roadtest import judge
from roadtest.recommend_limits import ON_DEVICE, cost_key
from roadtest.summarise import (
    METRICS,
    NOT_JUDGED,
    Results,
    Variant,
    device_column,
    devices_of,
    difference_between,
    leaderboard_rows,
    ranked_variants,
    weakest_classes,
    why_not_compared,
)
from roadtest.summarise.words import points

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
    differences: dict[str, judge.Difference]
    """By label: the validation figure minus the leader's, with bounds that hold together."""
    reasons: dict[str, str]
    """By label: why a cheaper network has no difference."""
    tolerance: float
    """A fraction."""

    @property
    def is_judged(self) -> bool:
        """Seeds enough; else the same table is an observation."""
        if not self.cheaper:
            return len(self.leader.variant.records) >= judge.MIN_SEEDS
        return any(difference.num_seeds >= judge.MIN_SEEDS for difference in self.differences.values())

    @property
    def remark(self) -> str:
        """Why the table is an observation; empty where it is judged."""
        if self.is_judged:
            return ""
        is_short = self.differences or len(self.leader.variant.records) < judge.MIN_SEEDS
        return NOT_JUDGED if is_short else f"not judged: {next(iter(self.reasons.values()))}"

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
        if self.is_judged and difference.num_seeds < judge.MIN_SEEDS:
            return NOT_DECIDED, NOT_JUDGED
        bounds = f"{points(difference.low)} to {points(difference.high)}{self.correction}"
        span = f"{points(difference.estimate)} points ({bounds})"
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
    return max(judge.CONFIDENCE, 1 - 2 * FAMILY_ERROR / max(num_networks, 1))


def corrected(num_networks: int) -> str:
    """How an interval says that its bounds are shared by so many pairs; nothing where that changes none."""
    return f"; corrected for {num_networks} pairs" if shared_confidence(num_networks) > judge.CONFIDENCE else ""


def figure(row: dict[str, Any], part: str = "val", end: str = "mean") -> float | None:
    """What a line of the leaderboard has of the metric that chooses."""
    found: float | None = row[f"{part}_{METRICS[row['metric']].column}_{end}"]
    return found


def _cost(candidate: Candidate, prefer: str) -> tuple[float, ...]:
    return cost_key(candidate.row, prefer)
