"""What a user may ask of a network: limits on cost and accuracy, and an order in which one is cheaper than another.

A limit holds against one figure of the leaderboard; what was not measured does not meet a limit on it. Megabytes are
a million bytes.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter

from roadtest.analysis.costs import Costs
from roadtest.analysis.results import ClassRecall
from roadtest.format import Row, class_title, format_percent

MAX_CLASSES = 3
"""So many classes below a limit are named."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a network has that limits may ask for."""

    costs: Costs
    """With the latency and memory of the computer that counts."""
    val_accuracy: float | None
    weakest_classes: Sequence[ClassRecall]
    """Every class, the weakest first."""
    device: str | None = None
    """The other computer that counts; None is the study's own."""

    @property
    def least_recall(self) -> float | None:
        """The recall of the weakest class in validation."""
        return next((one.recall for one in self.weakest_classes), None)


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One thing that can be limited."""

    name: str
    """As in Python: `max_latency_ms`."""
    read: Callable[[Offer], float | None]
    scale: float = 1
    """What the figure is divided by to be in the limit's unit."""
    unit: str = ""
    what: str
    on_device: str = ""
    """What it is called where another computer measured it, and then counts in place of this one's."""
    is_least: bool = False
    """The value must be at least, not at most, the limit."""

    @property
    def option(self) -> str:
        """As on the command line: `--max-latency-ms`."""
        return "--" + self.name.replace("_", "-")

    def found(self, offer: Offer) -> float | None:
        """What a network has, in the limit's unit."""
        value = self.read(offer)
        return None if value is None else value / self.scale

    def render(self, value: float) -> str:
        """A value in the limit's unit, as people read it: four digits, accuracies in percent."""
        if self.is_least:
            return format_percent(value)
        text = f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
        return f"{text} {self.unit}".rstrip()

    def typed(self, value: float) -> str:
        """A value as it may be typed after the option."""
        return f"{100 * value:g}%" if self.is_least else f"{value:.10g}"


_PARAMS, _MACS, _SIZE = (attrgetter(f"costs.{column}") for column in ("num_parameters", "macs", "size_bytes"))
_LATENCY, _MEMORY = attrgetter("costs.latency_p50_ms"), attrgetter("costs.peak_memory_bytes")
_TIME, _ACCURACY, _RECALL = map(attrgetter, ("costs.train_seconds_mean", "val_accuracy", "least_recall"))

BY_NAME = {
    limit.name: limit
    for limit in (
        Limit(name="max_params", read=_PARAMS, unit="parameters", what="parameters"),
        Limit(name="max_macs", read=_MACS, unit="MACs", what="multiply-accumulates"),
        Limit(name="max_size_mb", read=_SIZE, scale=1e6, unit="MB", what="size of the weights"),
        Limit(name="max_latency_ms", read=_LATENCY, unit="ms", what="latency on this computer", on_device="latency"),
        Limit(name="max_train_minutes", read=_TIME, scale=60, unit="min", what="training time"),
        Limit(name="max_memory_mb", read=_MEMORY, scale=1e6, unit="MB", what="memory in training", on_device="memory"),
        Limit(name="min_accuracy", read=_ACCURACY, what="accuracy", is_least=True),
        Limit(name="min_class_recall", read=_RECALL, what="recall", is_least=True),
    )
}

PREFERENCES = {
    "latency": BY_NAME["max_latency_ms"],
    "params": BY_NAME["max_params"],
    "macs": BY_NAME["max_macs"],
    "size": BY_NAME["max_size_mb"],
    "train-time": BY_NAME["max_train_minutes"],
}
"""Words of `--prefer`, and what is preferred; also the order in which ties are broken."""


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
    """Read the limits that were given, in their units, accuracies as fractions; a ValueError names a wrong one."""
    return {
        name: _read_rate(BY_NAME[name], value) if BY_NAME[name].is_least else _read_number(BY_NAME[name], value)
        for name, value in given.items()
        if value is not None
    }


def read_tolerance(value: float | str) -> float:
    """Read percentage points, 0 to 100; a ValueError says what is wrong."""
    number = _number(str(value))
    if number is None or not 0 <= number < 100:
        raise ValueError(
            f"--tolerance {value!r} is no number of percentage points: 0.5 means 98.5 % may stand in for 99 %; give one"
        )
    return number


def misses(offer: Offer, limits: Mapping[str, float]) -> list[Miss]:
    """Return the limits that a network does not meet, the farthest first."""
    found = [_miss(BY_NAME[name], allowed, offer) for name, allowed in limits.items()]
    return sorted((miss for miss in found if miss is not None), key=lambda miss: -miss.factor)


def choose_preference(prefer: str | None, offers: Sequence[Offer]) -> str:
    """Choose what `cheapest` means: latency where it was measured, else parameters; a word given must be measured."""
    if prefer is None:
        return "latency" if any(_LATENCY(offer) is not None for offer in offers) else "params"
    if prefer not in PREFERENCES:
        raise ValueError(f"--prefer {prefer!r} is not known: choose one of {', '.join(PREFERENCES)}")
    if offers and all(PREFERENCES[prefer].read(offer) is None for offer in offers):
        raise ValueError(f"--prefer {prefer}: the study has not measured it; choose another, --prefer params is exact")
    return prefer


def cost_key(offer: Offer, prefer: str) -> tuple[float, ...]:
    """Sort networks by cost: by what is preferred, then latency, parameters, MACs, size, training time.

    What was not measured counts as the highest cost.
    """
    costs = [limit.read(offer) for limit in (PREFERENCES[prefer], *PREFERENCES.values())]
    return tuple(math.inf if cost is None else float(cost) for cost in costs)


def render_cost(offer: Offer, prefer: str) -> str:
    """Write what a network costs, in the unit of what is preferred."""
    found = PREFERENCES[prefer].found(offer)
    return "not measured" if found is None else PREFERENCES[prefer].render(found)


def _miss(limit: Limit, allowed: float, offer: Offer) -> Miss | None:
    found, what = limit.found(offer), limit.what
    if limit.on_device and offer.device:
        what = f"{limit.on_device} on {offer.device}"
    if found is None:
        return Miss(limit=limit.name, allowed=allowed, found=None, words=f"{what} was not measured")
    is_recall = limit.name == "min_class_recall"
    slack = 1e-9 * allowed  # a mean of fractions may miss its own printed value in the last bit
    if found >= allowed - slack if limit.is_least else found <= allowed + slack:
        words = _unmeasured_classes(offer) if is_recall else ""
        return Miss(limit=limit.name, allowed=allowed, found=None, words=words) if words else None
    named = limit.render(found) if what == limit.unit else f"{what} {limit.render(found)}"
    if is_recall:
        named = _weak_classes(offer, allowed - slack)
    bound = "at least" if limit.is_least else "at most"
    words = f"{named}, {bound} {limit.render(allowed)} asked for"
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


def _weak_classes(offer: Offer, least: float) -> str:
    """`recall of Bumpy road (22) 85.00 %`, and the other classes below the limit, the weakest first."""
    weak = [one for one in offer.weakest_classes if one.recall is not None and one.recall < least]
    return _recall_of(f"{class_title(one.label, one.class_name)} {format_percent(one.recall)}" for one in weak)


def _unmeasured_classes(offer: Offer) -> str:
    """Which classes no recall was measured of; empty where all were seen. What was not measured meets no limit."""
    names = [class_title(one.label, one.class_name) for one in offer.weakest_classes if one.recall is None]
    reason = "no validation image; more seeds bring more folds"
    return f"{_recall_of(names)} was not measured: {reason}" if names else ""


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
