"""The words that the evidence of claims.py is made of: numbers with their interval and what they rest on."""

from roadtest import judge
from roadtest.summarise.intervals import Estimate, why_not_compared
from roadtest.summarise.pairs import judge_networks, judged_part
from roadtest.summarise.results import Results, Variant

SUPPORTED, CONTRADICTED, NOT_DECIDED = "supported", "contradicted", "not decided"


def gap_words(results: Results, a: Variant, b: Variant, gap: Estimate | None) -> str:
    """`lenet5+stn minus lenet5 on test: +1.20 points (95 % interval +0.80 to +1.60; 421 tracks, 5 seeds; ...).`"""
    part = judged_part(results)
    named = f"{a.label} minus {b.label} {where(part)}"
    if gap is None:
        return f"{named}: {why_not_compared(results, a, b, part)}."
    span = f"{points(gap.value)} points (95 % interval {points(gap.low)} to {points(gap.high)}"
    basis = f"{gap.num_units} {gap.unit_name}, {gap.num_seeds} seed{'s' * (gap.num_seeds != 1)}"
    if gap.verdict == "observed":
        return f"{named}: {span}; {basis}, for these trained weights only)."
    verdicts = judge_networks(results, part).verdicts
    num_pairs = sum(verdict.word != judge.NOT_JUDGED for verdict in verdicts)
    corrected = f" after correction for all {num_pairs} pairs" if num_pairs > 1 else ""
    return f"{named}: {span}; {basis}); {gap.verdict}{corrected}."


def where(part: str) -> str:
    """In a sentence: `on test`, `in validation`."""
    return "on test" if part == "test" else "in validation"


def percent(fraction: float) -> str:
    """0.98314 as `98.31 %`."""
    return f"{100 * fraction:.2f} %"


def points(fraction: float) -> str:
    """-0.0093 as `−0.93`: percentage points with their sign."""
    text = f"{100 * abs(fraction):.2f}"
    return text if float(text) == 0 else ("−" if fraction < 0 else "+") + text
