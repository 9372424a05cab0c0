"""The rule that chooses, and what test says of the choice.

The answer is the cheapest network that validation shows to be close enough to the best one. Bounds are Bonferroni's
over the networks that are cheaper than the leader: each one's lower bound errs with a chance of at most 5 % over their
number (2.5 % where they are one or two, the 95 % interval as it is printed elsewhere), so the chance that any network
passes that should not is at most 5 %. Other networks cannot be the answer: the leader is better and cheaper.

Test chooses nothing: it says whether any other network within the limits is better there by the tolerance, with bounds
shared over all others in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from roadtest.analysis import stats
from roadtest.analysis.comparisons import NEEDS_SEEDS, difference_between, why_not_compared
from roadtest.analysis.costs import devices_of
from roadtest.analysis.leaderboard import LeaderboardRow, leaderboard
from roadtest.analysis.metrics import ACCURACY
from roadtest.analysis.recommend.limits import Offer, cost_key
from roadtest.analysis.results import Results, Variant
from roadtest.analysis.stats import NOT_DECIDED
from roadtest.format import Row, format_gain_interval, format_points

WITHIN, BEHIND = "within the tolerance", "too far behind"
AGREES, DISAGREES, OPEN = "agrees", "disagrees", "does not decide"
FAMILY_ERROR = 0.05
"""The chance that any network passes that should not; convention."""


@dataclass(frozen=True, kw_only=True)
class Candidate(Offer):
    """A network and its row of the leaderboard."""

    row: LeaderboardRow

    @property
    def variant(self) -> Variant:
        """The network."""
        return self.row.variant

    @property
    def label(self) -> str:
        """`lenet5+stn`."""
        return self.row.label

    @property
    def name(self) -> Row:
        """The network in plain values."""
        return {"network": self.variant.network, "has_stn": self.variant.has_stn}

    def score(self, split: str = "val") -> float | None:
        """The mean of the metric that chooses."""
        return self.row.figure(split).mean


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
    def needs_seeds(self) -> bool:
        """It is an observation for want of seeds."""
        is_short = bool(self.differences) or len(self.leader.variant.records) < stats.MIN_SEEDS
        return is_short and not self.is_judged

    @property
    def remark(self) -> str:
        """Why the table is an observation; empty where it is judged."""
        if self.is_judged:
            return ""
        return NEEDS_SEEDS if self.needs_seeds else f"{stats.NOT_JUDGED}: {next(iter(self.reasons.values()))}"

    @property
    def correction(self) -> str:
        """For how many pairs the bounds are corrected; empty where they are the plain 95 % ones."""
        return corrected(len(self.cheaper))

    @property
    def is_leader(self) -> bool:
        """The answer is the best network in validation."""
        return self.recommended.label == self.leader.label

    def verdict(self, label: str) -> tuple[str, str]:
        """What validation says of a network cheaper than the leader, and why."""
        difference = self.differences.get(label)
        if difference is None:
            return NOT_DECIDED, self.reasons[label]
        if self.is_judged and difference.num_seeds < stats.MIN_SEEDS:
            return NOT_DECIDED, NEEDS_SEEDS
        bounds = f"{format_gain_interval(difference.low, difference.high)}{self.correction}"
        reason = f"{format_points(difference.estimate)} points ({bounds}) from {self.leader.label}"
        if difference.low >= -self.tolerance:
            return WITHIN, reason
        return (BEHIND if difference.high < -self.tolerance else NOT_DECIDED), reason


def line_up(results: Results, device: str | None = None) -> list[Candidate]:
    """Return every network, best first; with a device, latency and memory are that computer's.

    A ValueError where the study does not know the device.
    """
    if device is not None and device not in devices_of(results):
        known = ", ".join(devices_of(results)) or "none"
        raise ValueError(
            f"--device {device!r} is not among the devices of the study ({known}): measure there with an exported "
            "bundle's measure.py, then roadtest add-device"
        )
    candidates = []
    for row in leaderboard(results):
        costs = row.costs
        if device is not None:
            there = row.exported[device]
            costs = replace(costs, latency_p50_ms=there.latency_p50_ms, peak_memory_bytes=there.peak_memory_bytes)
        accuracy = row.figure("val", ACCURACY).mean
        classes = row.weakest_classes
        candidates.append(
            Candidate(row=row, costs=costs, val_accuracy=accuracy, weakest_classes=classes, device=device)
        )
    return candidates


def choose(results: Results, candidates: Sequence[Candidate], *, tolerance: float, prefer: str) -> Choice | None:
    """Apply the rule to candidates in the order of validation, best first; None where there are none."""
    if not candidates:
        return None

    def cost(one: Candidate) -> tuple[float, ...]:
        return cost_key(one, prefer)

    leader = min((one for one in candidates if one.score() == candidates[0].score()), key=cost)
    cheaper = tuple(sorted((one for one in candidates if cost(one) < cost(leader)), key=cost))
    confidence = shared_confidence(len(cheaper))
    differences, reasons = {}, {}
    for one in cheaper:
        difference = difference_between(results, one.variant, leader.variant, "val", confidence=confidence)
        if difference is None:
            reasons[one.label] = why_not_compared(results, one.variant, leader.variant, "val")
        else:
            differences[one.label] = difference
    choice = Choice(
        leader=leader,
        recommended=leader,
        cheaper=cheaper,
        differences=differences,
        reasons=reasons,
        tolerance=tolerance,
    )
    passing = [one for one in cheaper if choice.verdict(one.label)[0] == WITHIN]
    return replace(choice, recommended=passing[0]) if passing else choice


def shared_confidence(num_networks: int) -> float:
    """Return the confidence of two-sided intervals whose lower bounds hold together; never below 95 %."""
    return max(stats.CONFIDENCE, 1 - 2 * FAMILY_ERROR / max(num_networks, 1))


def corrected(num_networks: int) -> str:
    """Say of an interval that its bounds are shared by so many pairs; nothing where that changes none."""
    return f"; corrected for {num_networks} pairs" if shared_confidence(num_networks) > stats.CONFIDENCE else ""


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The recommended network held against every other one on test, at the tolerance."""

    against: Candidate | None
    """The best other network where test agrees, else the one that is, or may be, better by most."""
    is_best: bool
    """`against` is the best other one on test."""
    gap: stats.Difference | None
    """The recommended network minus `against`."""
    statement: str | None
    num_pairs: int
    agreement: str | None
    """None where one of them has no interval."""
    why_open: str
    """Why one of them has none."""

    def to_row(self) -> Row:
        """Plain values, ready for JSON."""
        return {
            "against": self.against.name if self.against else None,
            "is_best": self.is_best,
            "test_gain": self.gap and self.gap.estimate,
            "test_gain_low": self.gap and self.gap.low,
            "test_gain_high": self.gap and self.gap.high,
            "statement": self.statement,
            "num_pairs": self.num_pairs,
            "agreement": self.agreement,
            "why_open": self.why_open,
        }


def check_on_test(results: Results, choice: Choice, admissible: Sequence[Candidate]) -> Confirmation | None:
    """Hold the recommended network against every other one on test; None where test was not read."""
    own = choice.recommended
    if own.score("test") is None:
        return None
    others = [one for one in admissible if one.label != own.label and one.score("test") is not None]
    others.sort(key=lambda one: -(one.score("test") or 0.0))
    confidence = shared_confidence(len(others))
    gaps = [difference_between(results, own.variant, one.variant, "test", confidence=confidence) for one in others]
    known = [(one, gap) for one, gap in zip(others, gaps, strict=True) if gap is not None]
    unknown = [one for one, gap in zip(others, gaps, strict=True) if gap is None]
    against, gap, agreement = _agreement(known, choice.tolerance) if known else (None, None, None)
    if unknown and agreement != DISAGREES:
        against, gap, agreement = unknown[0], None, None
    few = [one for one, of_one in known if of_one.statement == stats.THESE_WEIGHTS]
    is_few = bool(few) if agreement == AGREES else against in few
    return Confirmation(
        against=against,
        is_best=bool(others) and against is others[0],
        gap=gap,
        statement=stats.THESE_WEIGHTS if is_few else gap.statement if gap else None,
        num_pairs=len(others),
        agreement=agreement,
        why_open=why_not_compared(results, own.variant, against.variant, "test") if against and not gap else "",
    )


def _agreement(
    known: Sequence[tuple[Candidate, stats.Difference]], tolerance: float
) -> tuple[Candidate, stats.Difference, str]:
    """Whether test shows that nothing else is better by more than the tolerance, the contrary, or neither."""
    surely = min(known, key=lambda pair: pair[1].high)
    if surely[1].high < -tolerance:
        return (*surely, DISAGREES)
    perhaps = min(known, key=lambda pair: pair[1].low)
    return (*perhaps, OPEN) if perhaps[1].low < -tolerance else (*known[0], AGREES)
