"""How the sentences of the data check are put together."""

from collections.abc import Sequence

NUM_EXAMPLES = 6
"""Cases that are named and shown per finding."""


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
