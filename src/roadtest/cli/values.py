"""What people type after an option: durations, seeds, lists. Words in, plain values out; every mistake is one line."""

import re
from collections.abc import Sequence

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "sec": 1.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(d|h|min|m|sec|s)")
MAX_SECONDS = 30 * 86400.0  # beyond a month a duration is a typing error
MAX_SEEDS = 1000


def parse_duration(text: str, option: str) -> float:
    """Read `10m`, `2h`, `90s`, `1h30m` or plain seconds, `45`, as seconds."""
    words = text.strip().lower()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", words):
        seconds = float(words)
    elif re.fullmatch(rf"(?:{_PART.pattern}\s*)+", words):
        parts = [(float(number), _UNITS[unit]) for number, unit in _PART.findall(words)]
        scales = [scale for _, scale in parts]
        if scales != sorted(set(scales), reverse=True):
            raise ValueError(f"{option} {text!r} is out of order: hours, minutes, seconds, each once; write 1h30m")
        seconds = sum(number * scale for number, scale in parts)
    else:
        raise ValueError(f"{option} {text!r} is no duration: write 90s, 10m, 2h or 1h30m; a bare number is seconds")
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"{option} {text!r} is {seconds:g} seconds: it must be above 0 and at most 30d; change it")
    return seconds


def parse_seeds(text: str) -> list[int]:
    """Read `3` as the seeds 0, 1, 2, and `0,4` (or `4,`) as just these."""
    words = [word.strip() for word in text.split(",")]
    if len(words) > 1 and words[-1] == "":
        words.pop()
    if not all(re.fullmatch(r"[0-9]{1,9}", word) for word in words):
        raise ValueError(f"--seeds {text!r} is no number: 3 means the seeds 0, 1 and 2; 0,4 means these two")
    numbers = [int(word) for word in words]
    if "," not in text:
        numbers = list(range(min(numbers[0], MAX_SEEDS + 1)))
    if not 1 <= len(numbers) <= MAX_SEEDS:
        raise ValueError(f"--seeds {text!r}: between 1 and {MAX_SEEDS} seeds are possible; 3 is a good number")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"--seeds {text!r} names a seed twice: each is one run; name it once")
    return numbers


def split_list(words: Sequence[str], option: str) -> list[str]:
    """Split `a,b` and repeated options into one list of words."""
    parts = [part.strip() for word in words for part in word.split(",") if part.strip()]
    if not parts:
        raise ValueError(f"{option} is empty: name one or more, with commas between them")
    return parts
