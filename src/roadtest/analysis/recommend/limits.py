"""What a user may ask of a network: limits on cost and accuracy, and an order in which one is cheaper than another.

A limit holds against one column of the leaderboard; what was not measured does not meet a limit on it. Megabytes are
a million bytes. Import from recommend.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from roadtest.format import Row, class_title

MAX_CLASSES = 3
"""So many classes below a limit are named."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One thing that can be limited."""

    name: str
    """As in Python: `max_latency_ms`."""
    column: str
    """Of the leaderboard."""
    scale: float
    """What the column is divided by to be in the limit's unit."""
    unit: str
    what: str
    is_least: bool = False
    """The value must be at least, not at most, the limit."""

    @property
    def option(self) -> str:
        """As on the command line: `--max-latency-ms`."""
        return "--" + self.name.replace("_", "-")

    def found(self, row: Row) -> float | None:
        """What a network has, in the limit's unit."""
        value = row[self.column]
        return None if value is None else value / self.scale

    def render(self, value: float) -> str:
        """A value in the limit's unit, as people read it: four digits, accuracies in percent."""
        if self.is_least:
            return f"{100 * value:.2f} %"
        text = f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
        return f"{text} {self.unit}".rstrip()

    def typed(self, value: float) -> str:
        """A value as it may be typed after the option."""
        return f"{100 * value:g}%" if self.is_least else f"{value:.10g}"


LIMITS = (
    Limit(name="max_params", column="num_parameters", scale=1, unit="parameters", what="parameters"),
    Limit(name="max_macs", column="macs", scale=1, unit="MACs", what="multiply-accumulates"),
    Limit(name="max_size_mb", column="size_bytes", scale=1e6, unit="MB", what="size of the weights"),
    Limit(name="max_latency_ms", column="latency_p50_ms", scale=1, unit="ms", what="latency on this computer"),
    Limit(name="max_train_minutes", column="train_seconds_mean", scale=60, unit="min", what="training time"),
    Limit(name="max_memory_mb", column="peak_memory_bytes", scale=1e6, unit="MB", what="memory in training"),
    Limit(name="min_accuracy", column="val_accuracy_mean", scale=1, unit="", what="accuracy", is_least=True),
    Limit(name="min_class_recall", column="val_weakest_recall", scale=1, unit="", what="recall", is_least=True),
)


BY_NAME = {limit.name: limit for limit in LIMITS}


ON_DEVICE = {"latency_p50_ms": "latency", "peak_memory_bytes": "memory"}
"""What another computer measured too, and then counts in place of this one's."""


PREFERENCES = {
    "latency": "latency_p50_ms",
    "params": "num_parameters",
    "macs": "macs",
    "size": "size_bytes",
    "train-time": "train_seconds_mean",
}
"""Words of `--prefer`; also the order in which ties are broken."""


@dataclass(frozen=True, kw_only=True)
class Miss:
    """A limit that a network does not meet."""

    limit: str
    allowed: float
    found: float | None
    """In the limit's unit; None where it was not measured."""
    words: str

    @property
    def factor(self) -> float:
        """How far off: what there is over what is allowed; of an accuracy, the errors over those allowed."""
        if self.found is None:
            return math.inf
        if BY_NAME[self.limit].is_least:
            return (1 - self.found) / max(1 - self.allowed, 1e-9)
        return self.found / self.allowed

    def to_dict(self) -> Row:
        """Plain values; a factor that is not known is None."""
        return {**asdict(self), "factor": self.factor if math.isfinite(self.factor) else None}


def read_limits(given: Mapping[str, float | str | None]) -> dict[str, float]:
    """The limits that were given, in their units, accuracies as fractions; a ValueError names a wrong one."""
    return {
        name: _read_rate(BY_NAME[name], value) if BY_NAME[name].is_least else _read_number(BY_NAME[name], value)
        for name, value in given.items()
        if value is not None
    }


def read_tolerance(value: float | str) -> float:
    """Percentage points, 0 to 100; a ValueError says what is wrong."""
    number = _number(str(value))
    if number is None or not 0 <= number < 100:
        raise ValueError(
            f"--tolerance {value!r} is no number of percentage points: 0.5 means 98.5 % may stand in for 99 %; give one"
        )
    return number


def misses(row: Row, limits: Mapping[str, float]) -> list[Miss]:
    """The limits that a network does not meet, the farthest first."""
    found = [_miss(BY_NAME[name], allowed, row) for name, allowed in limits.items()]
    return sorted((miss for miss in found if miss is not None), key=lambda miss: -miss.factor)


def choose_preference(prefer: str | None, rows: Sequence[Row]) -> str:
    """What `cheapest` means: latency where it was measured, else parameters; a word given must have been measured."""
    if prefer is None:
        return "latency" if any(row["latency_p50_ms"] is not None for row in rows) else "params"
    if prefer not in PREFERENCES:
        raise ValueError(f"--prefer {prefer!r} is not known: choose one of {', '.join(PREFERENCES)}")
    if rows and all(row[PREFERENCES[prefer]] is None for row in rows):
        raise ValueError(f"--prefer {prefer}: the study has not measured it; choose another, --prefer params is exact")
    return prefer


def cost_key(row: Row, prefer: str) -> tuple[float, ...]:
    """Sorts networks from cheap to dear: by what is preferred, then latency, parameters, MACs, size, training time.

    What was not measured counts as dearest.
    """
    columns = [PREFERENCES[prefer], *PREFERENCES.values()]
    return tuple(math.inf if row[column] is None else float(row[column]) for column in columns)


def render_cost(row: Row, prefer: str) -> str:
    """What a network costs, in the unit of what is preferred."""
    limit = next(limit for limit in LIMITS if limit.column == PREFERENCES[prefer])
    found = limit.found(row)
    return "not measured" if found is None else limit.render(found)


def _miss(limit: Limit, allowed: float, row: Row) -> Miss | None:
    found, what = limit.found(row), limit.what
    if limit.column in ON_DEVICE and row.get("device"):
        what = f"{ON_DEVICE[limit.column]} on {row['device']}"
    if found is None:
        return Miss(limit=limit.name, allowed=allowed, found=None, words=f"{what} was not measured")
    slack = 1e-9 * allowed  # a mean of fractions may miss its own printed value in the last bit
    if found >= allowed - slack if limit.is_least else found <= allowed + slack:
        words = _unseen_classes(row) if limit.name == "min_class_recall" else ""
        return Miss(limit=limit.name, allowed=allowed, found=None, words=words) if words else None
    bound = "at least" if limit.is_least else "at most"
    named = limit.render(found) if what == limit.unit else f"{what} {limit.render(found)}"
    words = f"{named}, {bound} {limit.render(allowed)} asked for"
    if limit.name == "min_class_recall":
        words = _weak_classes(row, allowed - slack) + f", {bound} {limit.render(allowed)} asked for"
    return Miss(limit=limit.name, allowed=allowed, found=found, words=words)


def _read_number(limit: Limit, value: float | str) -> float:
    number = _number(str(value))
    if number is None or number <= 0:
        unit = limit.unit or "a number"
        raise ValueError(f"{limit.option} {value!r} is no limit: give a number of {unit} above 0, such as 5, 2.5 or 1M")
    return number


def _read_rate(limit: Limit, value: float | str) -> float:
    """An accuracy or a recall: a fraction, or with a percent sign."""
    text, kind = str(value).strip(), f"{'an' if limit.what[0] in 'aeiou' else 'a'} {limit.what}"
    number = _number(text.removesuffix("%"))
    if number is None or number < 0:
        raise ValueError(f"{limit.option} {value!r} is no {limit.what}: write 0.98 or 98%")
    if text.endswith("%"):
        number /= 100
    elif number > 1:
        raise ValueError(
            f"{limit.option} {value!r} is above 1: {kind} is a fraction or has a percent sign; write "
            f"{number / 100:.4g} or {number:g}%"
        )
    if number > 1:
        raise ValueError(f"{limit.option} {value!r} is above 100 %: no network reaches it; write 0.98 or 98%")
    return number


def _weak_classes(row: Row, least: float) -> str:
    """`recall of Bumpy road (22) 85.00 %`, and the other classes below the limit, the weakest first."""
    weak = [one for one in row["weakest_classes"] if one["recall"] is not None and one["recall"] < least]
    return _recall_of(f"{class_title(one['label'], one['class_name'])} {100 * one['recall']:.2f} %" for one in weak)


def _unseen_classes(row: Row) -> str:
    """Which classes no recall was measured of; empty where all were seen. What was not measured meets no limit."""
    unseen = [class_title(one["label"], one["class_name"]) for one in row["weakest_classes"] if one["recall"] is None]
    reason = "no validation image; more seeds bring more folds"
    return f"{_recall_of(unseen)} was not measured: {reason}" if unseen else ""


def _recall_of(classes: Iterable[str]) -> str:
    """`recall of Bumpy road (22), ...`, the first few of the classes."""
    words = list(classes)
    more = f" and {len(words) - MAX_CLASSES} more classes" if len(words) > MAX_CLASSES else ""
    return f"recall of {', '.join(words[:MAX_CLASSES])}{more}"


def _number(text: str) -> float | None:
    """`2.5`, `65_219`, `1M`; None where it is no finite number."""
    found = re.fullmatch(r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?|\.[0-9]+)(e[+-]?[0-9]{1,2})?\s*([kMG]?)\s*", text)
    if found is None:
        return None
    digits, exponent, letter = found.groups()
    scale = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}[letter]
    return float(digits.replace("_", "").replace(",", "") + (exponent or "")) * scale
