"""Numbers and verdicts as people read them: units, rounding, and how sure a sentence may sound.

A sentence never says more than its interval: `better` only where three seeds or more separate two networks, `not
separated` (never "equal") where they do not, `observed` where there are fewer seeds. No files, no markup.
"""

import math
from collections.abc import Sequence

from roadtest.summarise import Estimate, Results, Variant, estimate_accuracy, estimate_difference, ranked_variants

DASH = "–"
MINUS = "−"
PART_WORDS = {"test": "test", "val": "validation"}


def percent(fraction: float | None, digits: int = 2) -> str:
    """0.98314 as `98.31 %`."""
    return DASH if fraction is None else f"{100 * fraction:.{digits}f} %"


def bare_percent(fraction: float | None) -> str:
    """0.98314 as `98.31`, where the head of the column says percent."""
    return DASH if fraction is None else f"{100 * fraction:.2f}"


def points(difference: float, digits: int = 2) -> str:
    """0.0093 as `+0.93`: percentage points with their sign."""
    text = f"{100 * abs(difference):.{digits}f}"
    sign = "" if float(text) == 0 else MINUS if difference < 0 else "+"
    return sign + text


def interval(low: float | None, high: float | None) -> str:
    """Two accuracies as `97.60 to 98.89`, in percent."""
    return "" if low is None or high is None else f"{100 * low:.2f} to {100 * high:.2f}"


def gain_interval(low: float | None, high: float | None) -> str:
    """Two differences as `−0.30 to +1.52`, in percentage points."""
    return "" if low is None or high is None else f"{points(low)} to {points(high)}"


def count(number: float | None) -> str:
    """1234567 as `1,234,567`."""
    return DASH if number is None else f"{number:,.0f}"


def short_count(number: float | None) -> str:
    """134445163 as `134.4 M`: three to four digits and a prefix."""
    return DASH if number is None else _scaled(number, 1000.0, ("", " k", " M", " G", " T"))


def size(num_bytes: float | None) -> str:
    """Bytes as `537.8 MB`, in powers of 1000."""
    return DASH if num_bytes is None else _scaled(num_bytes, 1000.0, (" B", " kB", " MB", " GB", " TB"))


def seconds(value: float | None) -> str:
    """A stretch of time as `4.2 s`, `5 min 03 s` or `2 h 05 min`."""
    if value is None:
        return DASH
    if value < 59.5:
        return f"{value:.3g} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def milliseconds(value: float | None) -> str:
    """A latency with three digits."""
    return DASH if value is None else f"{three_digits(value)} ms"


def three_digits(value: float) -> str:
    """0.33 as `0.330`, 31.04 as `31.0`, 2310 as `2,310`: as sure as a measurement is."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def plural(number: int, singular: str, plural_form: str | None = None) -> str:
    """`1 run`, `3 runs`."""
    return f"{number:,} {singular if number == 1 else plural_form or singular + 's'}"


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def class_title(label: int, name: str) -> str:
    """A class in words with its number: `Keep right (38)`; a name that is the number stands alone."""
    return name if name == str(label) else f"{name} ({label})"


def seeds_together(variant: Variant) -> str:
    """How many runs a count was added up over."""
    return "one seed" if len(variant.records) == 1 else f"{len(variant.records)} seeds together"


def headline(results: Results) -> str:
    """What won, in one line: the title of the page."""
    ranked = [variant for variant in ranked_variants(results) if variant.records]
    if not ranked:
        return "No run has finished yet"
    best = ranked[0]
    if not best.is_compared:
        return "No network was trained long enough to be compared"
    if sum(variant.is_compared for variant in ranked) > 1:
        return f"Validation chooses {best.label}"
    if len(results.variants) > 1:
        return f"Only {best.label} got far enough to be compared"
    return f"{best.label} is the network that was tested"


def verdict(results: Results) -> list[str]:
    """What won, by how much, and how sure that is; one sentence each."""
    compared = [variant for variant in ranked_variants(results) if variant.is_compared]
    if not compared:
        return [_nothing_to_compare(results)]
    best = compared[0]
    part = "test" if all(record.test is not None for record in best.records) else "val"
    sentences = [_accuracy_sentence(results, best, part)]
    if len(compared) > 1:
        sentences.append(_difference_sentence(results, best, compared[1], part, len(compared)))
    return sentences


def how_sure(estimate: Estimate) -> str:
    """`95 % interval 97.60 to 98.89 %, from 421 tracks and 3 seeds: on new signs of this kind`."""
    basis = f"{plural(estimate.num_units, estimate.unit_name[:-1])}, {plural(estimate.num_seeds, 'seed')}"
    return f"95 % interval {interval(estimate.low, estimate.high)} % ({basis}; {estimate.statement})"


def _accuracy_sentence(results: Results, best: Variant, part: str) -> str:
    estimate = estimate_accuracy(results, best, part)
    sets = {"test": "test images", "val": "validation images"}
    accuracies = [getattr(record, part).accuracy for record in best.records]
    mean = percent(sum(accuracies) / len(accuracies))
    num_images = results.info.num_test if part == "test" else (estimate.num_images if estimate else 0)
    seen = f"the {num_images:,} {sets[part]}" if num_images else f"the {sets[part]}"
    many = f" (mean of {len(accuracies)} seeds)" if len(accuracies) > 1 else " (one seed)"
    sure = f"; {how_sure(estimate)}." if estimate else "."
    no_test = (
        "" if part == "test" else " No test set was read: this figure helped to choose, and is therefore optimistic."
    )
    return f"{best.label} classified {mean} of {seen} correctly{many}{sure}{no_test}"


def _difference_sentence(results: Results, best: Variant, second: Variant, part: str, num_compared: int) -> str:
    gap = estimate_difference(results, best, second, part)
    if gap is None:
        return f"Next in validation comes {second.label}; the two have too little in common for a fair difference."
    where = {"test": "on the test images", "val": "in validation"}[part]
    span = f"{points(gap.value)} percentage points {where}, 95 % interval {gain_interval(gap.low, gap.high)}"
    against = f"{best.label} minus {second.label}, next in validation, is {span}"
    if gap.verdict == "observed":
        few = f"{plural(gap.num_seeds, 'seed')}: observed for {gap.statement}; no verdict on the networks"
        return f"{against} ({few})."
    # the verdict is corrected for all pairs of networks that were compared, the interval is not
    num_pairs = math.comb(num_compared, 2)
    judged = "" if num_pairs == 1 else f"judged together with all {num_pairs} pairs of networks, "
    if gap.verdict == "not separated":
        return f"{against}: {judged}the two are not separated."
    better = best.label if gap.value > 0 else second.label
    return f"{against}: {judged}{better} is better."


def _nothing_to_compare(results: Results) -> str:
    num_done, num_planned = len(results.records), len(results.info.runs)
    if num_done == 0:
        return f"0 of {plural(num_planned, 'planned run')} finished so far; this page fills as they do."
    return (
        f"{num_done} of {plural(num_planned, 'planned run')} finished, each with less than two passes over the "
        "training images: give them more time, or fewer networks."
    )


def _scaled(number: float, step: float, prefixes: Sequence[str]) -> str:
    value, place = float(number), 0
    # 999.96 would print as 1000.0: it takes the next prefix
    while abs(value) >= (step if place == 0 else step - 0.05) and place < len(prefixes) - 1:
        value, place = value / step, place + 1
    digits = f"{value:.0f}" if place == 0 or value >= 1000 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
    return f"{digits}{prefixes[place]}"
