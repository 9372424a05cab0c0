"""Numbers as people read them: units, rounding, lists. No files, no markup, no sentences."""

from collections.abc import Sequence

from roadtest.summarise import Variant
from roadtest.summarise.words import class_title as class_title
from roadtest.summarise.words import plural as plural
from roadtest.summarise.words import points as points

DASH = "–"
MINUS = "−"
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
PART_WORDS = {"test": "test", "val": "validation"}


def percent(fraction: float | None, digits: int = 2) -> str:
    """0.98314 as `98.31 %`."""
    return DASH if fraction is None else f"{100 * fraction:.{digits}f} %"


def bare_percent(fraction: float | None) -> str:
    """0.98314 as `98.31`, where the head of the column says percent."""
    return DASH if fraction is None else f"{100 * fraction:.2f}"


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


def capital(text: str) -> str:
    """The first letter large, the others as they are: `macro-F1` as `Macro-F1`."""
    return text[:1].upper() + text[1:]


def number_word(number: int) -> str:
    """2 as `two`; from thirteen on in figures."""
    return _NUMBERS[number] if 0 < number < len(_NUMBERS) else f"{number:,}"


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def seeds_together(variant: Variant) -> str:
    """How many runs a count was added up over."""
    return "one seed" if len(variant.records) == 1 else f"{len(variant.records)} seeds together"


def bare_points(difference: float) -> str:
    """0.0093 as `0.93`: percentage points where words say the sign."""
    return f"{100 * abs(difference):.2f}"


def factor(ratio: float) -> str:
    """287.6 as `288`, 1.52 as `1.5`."""
    return f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}"


def times(ratio: float) -> str:
    """287.6 as `288 times`, 1.52 as `1.5 times`."""
    return f"{factor(ratio)} times"


def share(fraction: float) -> str:
    """0.131 as `13 %`, 0.0004 as `0.04 %`, 1.5 as `150 %`."""
    return f"{100 * fraction:.2g} %" if fraction < 0.0995 else f"{100 * fraction:,.0f} %"


def change(fraction: float) -> str:
    """0.131 as `+13 %`, -0.02 as `−2 %`."""
    rounded = round(100 * fraction)
    return "0 %" if rounded == 0 else f"{MINUS if rounded < 0 else '+'}{abs(rounded):,} %"


def about(value: float) -> str:
    """A stretch of time that is foreseen: `less than a minute`, `about 25 min`, `about 2 h 05 min`."""
    minutes = round(value / 60)
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes} min" if minutes < 60 else f"about {minutes // 60} h {minutes % 60:02d} min"


def p_value(probability: float | None) -> str:
    """0.0312 as `0.031`, what is smaller than 0.001 as `< 0.001`."""
    if probability is None:
        return DASH
    return "< 0.001" if probability < 0.001 else f"{probability:.3f}" if probability < 0.0995 else f"{probability:.2f}"


def units(number: int, unit_name: str) -> str:
    """`421 tracks`, `1 fold`."""
    return plural(number, unit_name[:-1])


def design_effect(value: float) -> str:
    """`design effect 11.9`: how many images tell as much as one that stands by itself."""
    return f"design effect {value:.1f}"


def _scaled(number: float, step: float, prefixes: Sequence[str]) -> str:
    value, place = float(number), 0
    # 999.96 would print as 1000.0: it takes the next prefix
    while abs(value) >= (step if place == 0 else step - 0.05) and place < len(prefixes) - 1:
        value, place = value / step, place + 1
    digits = f"{value:.0f}" if place == 0 or value >= 1000 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
    return f"{digits}{prefixes[place]}"


def plural_range(numbers: Sequence[int], singular: str) -> str:
    """`3 seeds` where all have as many, `1 to 3 seeds` where not."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return plural(high, singular) if low == high else f"{low:,} to {plural(high, singular)}"
