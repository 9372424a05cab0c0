"""What a student report claimed of the six networks on GTSRB, and what a study's records say of each claim.

The report trained every network once and called 98.83 against 98.82 % a finding. Here a claim is `supported` or
`contradicted` where the judge's intervals show it, on test where it was read, and `not decided` else, which below three
seeds is always. A network is called better where its verdict, corrected for all pairs, says so (pairs.py); a gain is
called nothing where its interval ends below the tolerance (stn.py). claims_costs.py judges times, epochs and costs.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from roadtest import judge
from roadtest.record import network_label
from roadtest.summarise.claims_costs import (
    CONTRADICTED,
    NOT_DECIDED,
    SUPPORTED,
    claim_of_cost,
    claim_of_epochs,
    claim_of_time,
    cost_words,
)
from roadtest.summarise.intervals import Estimate, estimate_score, why_not_compared
from roadtest.summarise.metrics import ACCURACY
from roadtest.summarise.pairs import estimate_difference, judge_networks, judged_part
from roadtest.summarise.results import Results, Variant, read_results
from roadtest.summarise.words import WHERE, percent, plural, points

Row = dict[str, Any]
Found = tuple[str, str]
PASSED = 0.96
SIX = tuple((name, has_stn) for name in ("lenet5", "vgg16", "resnet34") for has_stn in (False, True))


def claim_rows(study: Path | Results) -> list[Row]:
    """One row for each claim: `claim`, `verdict`, `evidence`; not decided where its networks were not all compared.

    Nothing where the study is not on the whole of GTSRB, as it is, or can speak to none of the claims.
    """
    results = read_results(study, metric=ACCURACY)
    if not _is_whole_gtsrb(results):
        return []
    rows, num_asked = [], 0
    for claim, labels, judge_claim in CLAIMS:
        variants = [results.variant(name, has_stn) for name, has_stn in labels]
        compared = [variant for variant in variants if variant is not None and variant.is_compared]
        present = {variant.label for variant in compared}
        absent = [label for label in (network_label(*one) for one in labels) if label not in present]
        num_asked += not absent
        asked = judge_claim(results, compared) if not absent else (NOT_DECIDED, f"Not compared: {', '.join(absent)}.")
        rows.append({"claim": claim, "verdict": asked[0], "evidence": asked[1]})
    return rows if num_asked else []


def _is_whole_gtsrb(results: Results) -> bool:
    """All official images, nothing drawn among them, tested on its own test set."""
    info = results.info
    is_own = (info.source, info.data_title, info.test_title) == ("gtsrb", "GTSRB", "")
    return is_own and not info.protocol.get("drawn_fraction")


def _gap(results: Results, a: Variant, b: Variant) -> Estimate | None:
    return estimate_difference(results, a, b, judged_part(results))


def _gap_words(results: Results, a: Variant, b: Variant, gap: Estimate | None) -> str:
    """`lenet5+stn minus lenet5 on test: +1.20 points (95 % interval +0.80 to +1.60; 421 tracks, 5 seeds; ...).`"""
    part = judged_part(results)
    named = f"{a.label} minus {b.label} {WHERE[part]}"
    if gap is None:
        return f"{named}: {why_not_compared(results, a, b, part)}."
    span = f"{points(gap.value)} points (95 % interval {points(gap.low)} to {points(gap.high)}"
    basis = f"{gap.num_units} {gap.unit_name}, {plural(gap.num_seeds, 'seed')}"
    if gap.verdict == "observed":
        return f"{named}: {span}; {basis}, for these trained weights only)."
    verdicts = judge_networks(results, part).verdicts
    num_pairs = sum(verdict.word != judge.NOT_JUDGED for verdict in verdicts)
    corrected = f" after correction for all {num_pairs} pairs" if num_pairs > 1 else ""
    return f"{named}: {span}; {basis}); {gap.verdict}{corrected}."


def _differs(results: Results, variants: list[Variant], *, sign: int) -> Found:
    """The second network is better (sign 1) or worse (sign -1) than the first, by however little."""
    first, second = variants
    gap, tolerance = _gap(results, second, first), results.tolerance_points / 100
    words = _gap_words(results, second, first, gap)
    if gap is None or gap.verdict == "observed":
        return NOT_DECIDED, words
    if gap.verdict == "separated" and sign * gap.value > 0:
        return SUPPORTED, words
    if gap.verdict == "separated":
        return CONTRADICTED, words
    at_least, at_most = (gap.low, gap.high) if sign > 0 else (-gap.high, -gap.low)
    return (CONTRADICTED if at_most < tolerance and at_least <= 0 else NOT_DECIDED), words


_is_better = partial(_differs, sign=1)
_is_worse = partial(_differs, sign=-1)


def _gives_nothing(results: Results, variants: list[Variant]) -> Found:
    """The second network costs more than the first and gains no more than the tolerance."""
    off, on = variants
    gap, tolerance = _gap(results, on, off), results.tolerance_points / 100
    words = f"{_gap_words(results, on, off, gap)} It costs {cost_words(results, off, on)}."
    if gap is None or gap.verdict == "observed":
        return NOT_DECIDED, words
    if gap.high < tolerance:
        return SUPPORTED, words
    return (CONTRADICTED if gap.low > tolerance else NOT_DECIDED), words


def _all_pass(results: Results, variants: list[Variant]) -> Found:
    """Every network has more than 96 %; bounds are shared by all of them."""
    part = judged_part(results)
    confidence = 1 - (1 - judge.CONFIDENCE) * 2 / len(variants)
    found = {variant.label: estimate_score(results, variant, part, confidence=confidence) for variant in variants}
    known = {label: estimate for label, estimate in found.items() if estimate is not None}
    if len(known) < len(found):
        return NOT_DECIDED, "Some of the networks have no interval."
    label = min(known, key=lambda name: known[name].low)
    weakest = known[label]
    words = (
        f"The lowest bound is that of {label}: {percent(weakest.value)} {WHERE[part]} ({100 * weakest.low:.2f} to "
        f"{100 * weakest.high:.2f}; corrected for {len(known)} networks; {plural(weakest.num_seeds, 'seed')})."
    )
    if min(len(variant.records) for variant in variants) < judge.MIN_SEEDS:
        return NOT_DECIDED, words
    if weakest.low > PASSED:
        return SUPPORTED, words
    below = [name for name, estimate in known.items() if estimate.high < PASSED]
    if below:
        return CONTRADICTED, f"{words} Shown to lie below 96 %: {', '.join(below)}."
    return NOT_DECIDED, words


CLAIMS: tuple[tuple[str, tuple[tuple[str, bool], ...], Callable[[Results, list[Variant]], Found]], ...] = (
    ("The STN lifts LeNet-5.", (("lenet5", False), ("lenet5", True)), _is_better),
    ("The STN gives ResNet nothing and is wasteful.", (("resnet34", False), ("resnet34", True)), _gives_nothing),
    (
        "The STN hurts VGG (the report's 97.25 % is a validation figure; its test figure was 96.07 %).",
        (("vgg16", False), ("vgg16", True)),
        _is_worse,
    ),
    ("The STN lets VGG stop earlier.", (("vgg16", False), ("vgg16", True)), claim_of_epochs),
    ("ResNet beats LeNet-5.", (("lenet5", False), ("resnet34", False)), _is_better),
    ("ResNet takes 1.5 times LeNet-5's time.", (("lenet5", False), ("resnet34", False)), claim_of_time),
    ("VGG is worst for its cost.", (("vgg16", False), ("lenet5", False), ("resnet34", False)), claim_of_cost),
    ("All six pass 96 %.", SIX, _all_pass),
)
"""The claim, the networks it needs, and what judges it."""
