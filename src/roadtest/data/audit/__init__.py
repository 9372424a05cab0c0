"""The data check: what is wrong with a data set, before anything is trained on it.

It reads every decoded image once, and the headers of the original files, and says in plain sentences what would make
results wrong or misleading: broken files, copies and look-alikes across parts, pictures under two labels, frames of one
thing that nobody grouped, groups torn between parts, classes that are mirror images of each other, classes too small or
missing; and every liberty that was taken with the files. GTSRB's 51,839 images take about ten seconds on one core. It
changes nothing, and shows no test image.

What the data check says about how a data set was brought: what was left out, what was dealt, and torn groups.

Sources tell every liberty that they take as a note, one sentence each (layout.py, cache.py). A reader of results finds
the notes in the study; whoever checks the data must hear them first: a folder half of whose photographs were left out,
because they are of a kind that is not read, is not a folder without problems.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from roadtest.data.audit.duplicates import describe_looks, find_duplicates
from roadtest.data.audit.files import (
    PARTS,
    check_amount,
    check_balance,
    check_blank,
    check_files,
    check_kinds,
    check_parts,
    check_sizes,
    count_groups,
    count_images,
)
from roadtest.data.audit.flips import Mirrors, flip_verdict, sample_mirrors
from roadtest.data.audit.pairs import check_copies, check_look_alikes, check_mirrors, check_sequences
from roadtest.data.audit.sequences import Sequences, find_sequences
from roadtest.data.cache import BrokenImages, LostClass, open_image_set
from roadtest.data.dataset import ImageSet, Listing, Note
from roadtest.data.sources.images import explain_broken, read_headers
from roadtest.data.sources.layout import NO_CLASS, torn_groups
from roadtest.format import count_noun, name_some, with_verb
from roadtest.records.schema import NUM_EXAMPLES, Finding

ORDER = {"error": 0, "warning": 1, "note": 2, "ok": 3}


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What the data check found."""

    title: str
    data_fingerprint: str
    """Empty where too little could be read to have one."""
    num_images: int
    num_classes: int
    findings: tuple[Finding, ...]
    """The worst first."""
    classes: tuple[dict[str, Any], ...]
    """A row per class: class_id, class_name, num_train, num_val, num_test, num_groups, mirror_of, is_symmetric."""
    suggested_image_size: int | None
    """The largest usual size not above the originals' median short side; None where that is not known."""
    is_flip_safe: bool
    """Whether compare would flip images of this size by itself."""
    proposed_groups: tuple[str, ...]
    """Per image, as `--group auto` would set them."""
    audit_seconds: float

    @property
    def verdict(self) -> str:
        """One plain line."""
        errors, warnings = (sum(one.severity == word for one in self.findings) for word in ("error", "warning"))
        if errors:
            more = f" and {count_noun(warnings, 'warning')}" if warnings else ""
            return f"not ready: {count_noun(errors, 'error')}{more}; results on this data would be wrong"
        if warnings:
            return f"usable with care: {count_noun(warnings, 'warning')}"
        return "no problem found"

    @property
    def has_errors(self) -> bool:
        """Whether the data should not be used as it is."""
        return any(one.severity == "error" for one in self.findings)


def audit_source(
    listing: Listing,
    *,
    cache_dir: Path,
    image_size: int = 32,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Audit, ImageSet | None]:
    """Decode a listing, leaving broken images out, and check it; no image set where a class cannot be read at all."""
    start = time.perf_counter()
    try:
        image_set = open_image_set(
            listing, image_size=image_size, cache_dir=cache_dir, skip_broken=True, on_progress=on_progress
        )
    except (BrokenImages, LostClass) as error:
        return _audit_unreadable(listing, error.paths_and_reasons), None
    audit, amount = audit_images(image_set, listing, started=start), check_amount(len(listing.items))
    return replace(audit, findings=(amount, *audit.findings)) if amount else audit, image_set


def audit_images(image_set: ImageSet, listing: Listing | None = None, *, started: float | None = None) -> Audit:
    """Check decoded images; with their listing also the original files. `started` is a time.perf_counter()."""
    started = time.perf_counter() if started is None else started
    looks = describe_looks(image_set)
    duplicates = find_duplicates(image_set, looks)
    sequences = find_sequences(image_set, looks, duplicates)
    mirrors = sample_mirrors(image_set)
    flips = flip_verdict(mirrors, image_set.class_names)
    file_findings, suggested = _check_originals(image_set, listing)
    findings = [
        *file_findings,
        *check_notes(image_set.notes if listing is None else listing.notes),
        check_blank(image_set, looks),
        check_balance(image_set),
        *check_parts(image_set, sequences.groups),
        check_groups(image_set),
        *check_copies(image_set, duplicates),
        check_sequences(image_set, sequences),
        *check_look_alikes(image_set, duplicates, sequences),
        check_mirrors(image_set, mirrors, flips),
    ]
    return Audit(
        title=image_set.title,
        data_fingerprint=image_set.fingerprint,
        num_images=len(image_set.paths),
        num_classes=image_set.num_classes,
        findings=tuple(sorted((one for one in findings if one), key=lambda one: ORDER[one.severity])),
        classes=tuple(_class_rows(image_set, sequences, mirrors)),
        suggested_image_size=suggested,
        is_flip_safe=flips.is_safe,
        proposed_groups=sequences.groups,
        audit_seconds=time.perf_counter() - started,
    )


def finding_rows(audit: Audit) -> list[dict[str, Any]]:
    """A row per finding: severity, topic, text, advice, examples (paths, separated by spaces in tables)."""
    return [
        {"severity": one.severity, "topic": one.topic, "text": one.text, "advice": one.advice, "examples": one.paths}
        for one in audit.findings
    ]


def audit_to_dict(audit: Audit) -> dict[str, Any]:
    """Everything but the proposed groups, as plain values ready for JSON."""
    plain = asdict(audit)
    del plain["proposed_groups"]
    plain["num_proposed_groups"] = len(set(audit.proposed_groups) - {""})
    plain["findings"] = [row | {"examples": list(row["examples"])} for row in finding_rows(audit)]
    plain["classes"] = list(audit.classes)
    return {"verdict": audit.verdict, **plain}


def _check_originals(image_set: ImageSet, listing: Listing | None) -> tuple[list[Finding | None], int | None]:
    """What the files say; nothing for images that have none."""
    if listing is None:
        return [], None
    broken = explain_broken(listing, image_set.paths, image_set.image_size)
    headers = read_headers(listing)
    files = check_files(broken, len(listing.items))
    if headers is None:
        return [files], None
    labels = [item.label for item in listing.items]
    findings = [files, check_sizes(headers, image_set.image_size), check_kinds(headers, image_set, labels)]
    return findings, headers.suggested_image_size


def _audit_unreadable(listing: Listing, broken: Sequence[tuple[str, str]]) -> Audit:
    """The check of a listing of which a whole class, or everything, is broken."""
    unreadable = {path for path, _ in broken}
    whole = {item.label for item in listing.items if item.path not in unreadable}
    lost = {item.label for item in listing.items} - whole
    names = ", ".join(repr(listing.class_names[label]) for label in sorted(lost)[:5])
    finding = Finding(
        topic="files",
        severity="error",
        text=f"{count_noun(len(lost), 'class')} without a readable image: {names}",
        advice="every class needs images: repair them",
    )
    return Audit(
        title=listing.title,
        data_fingerprint="",
        num_images=len(listing.items) - len(broken),
        num_classes=len(listing.class_names),
        findings=(finding, check_files(broken, len(listing.items)), *check_notes(listing.notes)),
        classes=(),
        suggested_image_size=None,
        is_flip_safe=False,
        proposed_groups=(),
        audit_seconds=0.0,
    )


def _class_rows(image_set: ImageSet, sequences: Sequences, mirrors: Mirrors) -> list[dict[str, Any]]:
    counts, groups = count_images(image_set), count_groups(image_set, sequences.groups)
    partners: dict[int, list[str]] = {}
    for pair in mirrors.pairs:
        partners.setdefault(pair.label, []).append(image_set.class_names[pair.other])
        partners.setdefault(pair.other, []).append(image_set.class_names[pair.label])
    nothing = [0] * image_set.num_classes
    return [
        {
            "class_id": label,
            "class_name": name,
            **{f"num_{part}": counts.get(part, nothing)[label] for part in PARTS},
            "num_groups": groups[label],
            "mirror_of": ", ".join(partners.get(label, ())) or None,
            "is_symmetric": label in mirrors.symmetric if label in mirrors.judged else None,
        }
        for label, name in enumerate(image_set.class_names)
    ]


NO_PICTURES = frozenset({"hidden", ".csv", ".db", ".ini", ".json", ".md", ".txt", ".xml", ".yaml", ".yml"})
"""Kinds of files that lie beside pictures everywhere and are none: leaving them out is worth no warning."""


def check_notes(notes: Sequence[Note]) -> list[Finding]:
    """A finding for every note: a warning where pictures may be missing."""
    return [_check_note(note) for note in notes]


def _check_note(note: Note) -> Finding:
    text = note.text.removesuffix(".")
    if note.kind == "left out":
        return _left_out(note, text)
    if note.kind == "broken":
        return Finding(topic="files", severity="warning", text=text, advice="repair or remove them")
    return Finding(topic="source", severity="note", text=text)


def _left_out(note: Note, text: str) -> Finding:
    kinds = set(note.file_kinds) - NO_PICTURES
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
        text=f"{with_verb(len(torn), 'group', 'stands', 'stand')} in two parts: {name_some(names, 3)}",
        advice="frames of one thing would train and test: correct the split column or the group column",
        paths=tuple(image_set.paths[row] for case in cases for row in case),
        cases=cases,
    )
