"""One thing that the data check has to say, and how its sentences are put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "note", "warning", "error"]
NUM_EXAMPLES = 6
"""Cases that are named and shown per finding."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was looked at, and what was found."""

    topic: str
    """One or two words: `copies`, `mirror images`."""
    severity: Severity
    """`error`: results would be wrong; `warning`: they could mislead; `note`: worth knowing; `ok`: nothing found."""
    text: str
    """One line."""
    advice: str = ""
    """What to do; empty where nothing is to be done."""
    paths: tuple[str, ...] = ()
    """Examples."""
    cases: tuple[tuple[int, ...], ...] = ()
    """Examples as rows of the image set; the images of one case belong side by side."""


def count(number: int, noun: str) -> str:
    """`1 image`, `2,000 images`, `3 classes`, `4 copies`."""
    if number == 1:
        return f"1 {noun}"
    plural = f"{noun}es" if noun.endswith("s") else f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {plural}"


def say(number: int, noun: str, singular: str, plural: str) -> str:
    """`1 image looks`, `2 images look`."""
    return f"{count(number, noun)} {singular if number == 1 else plural}"


def percent(part: int, whole: int) -> str:
    """`3.1 %`; two digits below one percent."""
    share = 100 * part / max(1, whole)
    return f"{share:.1f} %" if share >= 1 or part == 0 else f"{share:.2g} %"


def name_some(names: Sequence[str], most: int = 5) -> str:
    """The first few, and how many more there are."""
    some = ", ".join(names[:most])
    return some if len(names) <= most else f"{some} and {len(names) - most} more"
