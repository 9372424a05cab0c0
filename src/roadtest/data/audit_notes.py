"""What the data check says about how a data set was brought: what was left out, what was dealt, and torn groups.

Sources tell every liberty that they take as a note, one sentence each (layout.py, cache.py). A reader of results finds
the notes in the study; whoever checks the data must hear them first: a folder half of whose photographs were left out,
because they are of a kind that is not read, is not a folder without problems.
"""

from collections.abc import Sequence

from roadtest.data.audit_images import PARTS
from roadtest.data.cache import BROKEN
from roadtest.data.finding import NUM_EXAMPLES, Finding, name_some, say
from roadtest.data.imageset import ImageSet
from roadtest.data.layout import LEFT_OUT, NO_CLASS, torn_groups

NO_PICTURES = frozenset({"hidden", ".csv", ".db", ".ini", ".json", ".md", ".txt", ".xml", ".yaml", ".yml"})
"""Kinds of files that lie beside pictures everywhere and are none: leaving them out is worth no warning."""


def check_notes(notes: Sequence[str]) -> list[Finding]:
    """A finding for every note: a warning where pictures may be missing."""
    return [_check_note(note) for note in notes]


def _check_note(note: str) -> Finding:
    text = note.removesuffix(".")
    if note.startswith(LEFT_OUT):
        return _left_out(text)
    if BROKEN in note:
        return Finding(topic="files", severity="warning", text=text, advice="repair or remove them")
    return Finding(topic="source", severity="note", text=text)


def _left_out(text: str) -> Finding:
    """`Files were left out: 800 .heic, 12 in no class folder` and what to do about each."""
    kinds = {kind.partition(" ")[2] for kind in text.removeprefix(LEFT_OUT).split(", ")} - NO_PICTURES
    advice = []
    if kinds - {NO_CLASS}:
        advice.append("save pictures among them in a form that is read, such as PNG or JPEG")
    if NO_CLASS in kinds:
        advice.append("move pictures that lie beside the class folders into one")
    return Finding(topic="left out", severity="warning" if kinds else "note", text=text, advice="; ".join(advice))


def check_groups(image_set: ImageSet) -> Finding | None:
    """Groups that stand in two parts: compare refuses them."""
    torn = torn_groups(zip(image_set.groups, image_set.splits, strict=True))
    if not torn:
        return None
    names = [f"{group!r} ({PARTS[home]} and {PARTS[part]})" for group, (home, part) in torn.items()]
    firsts = {
        pair: row for row, pair in reversed(list(enumerate(zip(image_set.groups, image_set.splits, strict=True))))
    }
    cases = tuple((firsts[group, home], firsts[group, part]) for group, (home, part) in torn.items())[:NUM_EXAMPLES]
    return Finding(
        topic="groups",
        severity="error",
        text=f"{say(len(torn), 'group', 'stands', 'stand')} in two parts: {name_some(names, 3)}",
        advice="frames of one thing would train and test: correct the split column or the group column",
        paths=tuple(image_set.paths[row] for case in cases for row in case),
        cases=cases,
    )
