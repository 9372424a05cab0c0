"""Which class a word means: a number (`5`, `05`, `00005`) or a name, in any case.

Names come first, as they are written. Digits mean a class of that name where classes are named by numbers, and the
class's place where they are named by words: 14 is "Stop" for a network that was trained on GTSRB. Of a name, case,
spaces, `_`, `-` and `/` do not matter (a folder cannot be called "Speed limit 20 km/h"), as long as one class is meant.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from roadtest.data.layout import class_key

MAX_NAMED = 5
"""Classes that an error lists; a thousand names help nobody."""


@dataclass(frozen=True, kw_only=True)
class ClassFinder:
    """The classes of a network, to be found by a word; make one with `class_finder`."""

    names: tuple[str, ...]
    _exact: dict[str, int]
    _numbers: dict[int, int]
    _loose: dict[str, tuple[int, ...]]

    def find(self, word: str) -> int | None:
        """The class that a word means; None where it means none, or could mean two."""
        word = word.strip()
        if word in self._exact:
            return self._exact[word]
        kind, number = class_key(word)
        if kind == 0:
            return self._numbers.get(int(number))
        found = self._loose.get(_loosely(word), ())
        return found[0] if len(found) == 1 else None

    def describe(self) -> str:
        """What there is to be found, in a few words: `43 classes, such as 0 (Speed limit 20)`."""
        some = ", ".join(f"{k} ({name})" if class_key(name)[0] else name for k, name in enumerate(self.names[:3]))
        return f"{len(self.names)} classes, such as {some}" if len(self.names) > 3 else f"the classes {some}"


def class_finder(names: Sequence[str]) -> ClassFinder:
    """Make words find these classes."""
    keys = [class_key(name) for name in names]
    loose: defaultdict[str, tuple[int, ...]] = defaultdict(tuple)
    for label, (name, (kind, _)) in enumerate(zip(names, keys, strict=True)):
        if kind:
            loose[_loosely(name)] += (label,)
    return ClassFinder(
        names=tuple(names),
        _exact={name: label for label, name in reversed(list(enumerate(names)))},
        _numbers=_numbers(keys),
        _loose=dict(loose),
    )


def _numbers(keys: Sequence[tuple[int, int | str]]) -> dict[int, int]:
    """Number -> class: by name where any class is named by a number, else by place."""
    named = {int(value): label for label, (kind, value) in enumerate(keys) if kind == 0}
    return named or {label: label for label in range(len(keys))}


def name_some(words: Iterable[str]) -> str:
    """A few words in quotes, and how many more there are."""
    words = list(words)
    some = ", ".join(repr(word[:60]) for word in words[:MAX_NAMED])
    return some if len(words) <= MAX_NAMED else f"{some} and {len(words) - MAX_NAMED} more"


def _loosely(name: str) -> str:
    """A name without what differs between a sentence and a folder."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\s_/-]+", " ", plain).strip()
