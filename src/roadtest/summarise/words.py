"""Numbers, sets and classes as people read them, in one wording for all sentences and tables about a study."""

WHERE = {"test": "on test", "val": "in validation"}
"""A set in a sentence."""


def speak_of(text: str, data_title: str) -> str:
    """Say `new images` for the judge's `new signs` where the data are none: digits, plates, or whatever they are."""
    is_about_signs = any(word in data_title.casefold() for word in ("sign", "gtsrb"))
    return text if is_about_signs else text.replace("new signs", "new images")


def percent(fraction: float) -> str:
    """0.98314 as `98.31 %`."""
    return f"{100 * fraction:.2f} %"


def points(difference: float) -> str:
    """-0.0093 as `−0.93`: percentage points with their sign."""
    text = f"{100 * abs(difference):.2f}"
    return text if float(text) == 0 else ("−" if difference < 0 else "+") + text


def plural(number: int, singular: str, plural_form: str | None = None) -> str:
    """`1 run`, `3 runs`."""
    return f"{number:,} {singular if number == 1 else plural_form or singular + 's'}"


def class_title(label: int, name: str) -> str:
    """A class in words with its number: `Keep right (38)`; a name that is the number stands alone."""
    return name if name == str(label) else f"{name} ({label})"


def render_duration(seconds: float) -> str:
    """`42 s`, `5 min`, `2 h 05 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
