"""What the data check says about images that belong together: copies, look-alikes, sequences, mirrored classes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from roadtest.data.audit.duplicates import SMALL_SIZE, Duplicates
from roadtest.data.audit.files import PARTS
from roadtest.data.audit.flips import FlipVerdict, Mirrors
from roadtest.data.audit.sequences import Sequences
from roadtest.data.dataset import PART_ORDER, TEST, TRAIN, ImageSet
from roadtest.format import count_noun, part_of, with_verb
from roadtest.records.schema import NUM_EXAMPLES, Finding, Severity

LEAK_ERROR, LEAK_WARNING = 0.005, 0.001
"""Shares of a part's images that are copies of training images, from which on they are an error, a warning."""
FEW_SHARE = 0.005
"""Of all images: below, look-alikes are a note."""
MAX_ALIKE = 0.05
"""Of random pairs; in a data set of many things nearly none look the same."""


@dataclass(kw_only=True)
class _Kind:
    """Sets of images that share a fate."""

    sets: list[tuple[int, ...]] = field(default_factory=list)
    rows: set[int] = field(default_factory=set)
    """Images concerned: of a leak, those in the later part."""

    def add(self, same: Sequence[int], concerned: Iterable[int]) -> None:
        self.sets.append(tuple(same))
        self.rows.update(concerned)


def check_copies(image_set: ImageSet, duplicates: Duplicates) -> list[Finding]:
    """Equal pixels: under two labels, in two parts, or within one part."""
    labels, leaks, inside = _sort_out(image_set, duplicates.copies)
    findings = [_copied_leak(image_set, part, kind) for part, kind in leaks.items()]
    if labels.sets:
        text = f"{count_noun(len(labels.sets), 'picture')} with the same pixels under two labels"
        advice = "decide which label is right, and remove the other file"
        findings.append(_finding(image_set, labels, "two labels", "error", text, advice))
    if inside.sets:
        num_spare = len(inside.rows) - len(inside.sets)
        has_groups = _are_grouped(image_set, inside.sets)
        is_few = has_groups or num_spare < FEW_SHARE * len(image_set.splits)
        text = f"{with_verb(num_spare, 'image', 'is a copy', 'are copies')} of another in the same part"
        advice = "" if has_groups else "remove them, or keep copies together with --group auto"
        findings.append(_finding(image_set, inside, "copies", "note" if is_few else "warning", text, advice))
    return findings or [Finding(topic="copies", severity="ok", text="no two images have the same pixels")]


def check_look_alikes(image_set: ImageSet, duplicates: Duplicates, sequences: Sequences) -> list[Finding]:
    """Near copies, apart from frames of proposed sequences, which have a finding of their own."""
    groups = sequences.groups if sequences.num_by_name else image_set.groups
    labels, leaks, inside = _sort_out(
        image_set,
        [
            (first, second)
            for first, second in duplicates.near_pairs_P2.tolist()
            if not groups[first]
            or groups[first] != groups[second]
            or image_set.splits[first] != image_set.splits[second]
        ],
    )
    findings = [_near_leak(image_set, part, kind) for part, kind in leaks.items()]
    few = FEW_SHARE * len(image_set.splits)
    if labels.sets:
        text = f"{count_noun(len(labels.sets), 'pair')} of look-alikes under two labels"
        advice = "look at them: a label may be wrong, or the picture too poor to tell"
        findings.append(_finding(image_set, labels, "two labels", _warn(len(labels.rows) >= few), text, advice))
    num_inside = sum(image_set.splits[row] != TEST for row in inside.rows)
    if num_inside:
        text = f"{with_verb(num_inside, 'image', 'looks', 'look')} the same as images of another group in their part"
        has_groups = all(image_set.groups[row] for row in inside.rows)
        way_out = "give what shows one thing one group" if has_groups else "keep them together, --group auto"
        advice = f"{way_out}: else one may train and the other validate"
        findings.append(_finding(image_set, inside, "look-alikes", _warn(num_inside >= few), text, advice))
    if not duplicates.is_complete:
        text = "very many images look alike: only the nearest were compared, there may be more pairs"
        findings.append(Finding(topic="look-alikes", severity="note", text=text))
    if duplicates.alike_share > MAX_ALIKE:
        share, size = f"{100 * duplicates.alike_share:.0f} %", f"{SMALL_SIZE} x {SMALL_SIZE}"
        text = f"{share} of random pairs of images look the same at {size}"
        advice = "all images show nearly one picture: check that they are what they should be, and group them yourself"
        findings.append(Finding(topic="look-alikes", severity="warning", text=text, advice=advice))
    nothing = Finding(topic="look-alikes", severity="ok", text="no two images of different groups look the same")
    return findings or [nothing]


def _copied_leak(image_set: ImageSet, part: str, kind: _Kind) -> Finding:
    num_part = image_set.splits.count(part)
    share = len(kind.rows) / num_part
    severity: Severity = "error" if share >= LEAK_ERROR else _warn(share >= LEAK_WARNING)
    text = f"{_of_part(image_set, part, kind)} {'is a copy' if len(kind.rows) == 1 else 'are copies'} of images in "
    keep = "too few to change a result; say so where a published split is kept"
    is_kept = severity == "note" and not image_set.is_test_held_out
    advice = keep if is_kept else f"{_one_part(image_set, kind)}: what was seen in training is no test"
    return _finding(image_set, kind, "leaks", severity, f"{text}another part", advice)


def _near_leak(image_set: ImageSet, part: str, kind: _Kind) -> Finding:
    is_many = len(kind.rows) >= LEAK_WARNING * image_set.splits.count(part)
    text = f"{_of_part(image_set, part, kind)} {'looks' if len(kind.rows) == 1 else 'look'} the same as images in "
    way_out = f"; {_one_part(image_set, kind)}" if image_set.is_test_held_out else ""
    advice = f"look at them: what belongs together should stand in one part{way_out}"
    return _finding(image_set, kind, "leaks", _warn(is_many), f"{text}another part", advice)


def _one_part(image_set: ImageSet, kind: _Kind) -> str:
    """How images that are alike come into one part: where roadtest dealt the parts itself, groups do it."""
    if not image_set.is_test_held_out:
        return "remove them from one part"
    of_one_class = [same for same in kind.sets if len(set(image_set.labels_N[list(same)].tolist())) == 1]
    if any(not image_set.groups[row] for same in of_one_class for row in same):
        return "--group auto deals them into one part"
    return "give them one group"


def _of_part(image_set: ImageSet, part: str, kind: _Kind) -> str:
    num_part = image_set.splits.count(part)
    return f"{len(kind.rows):,} of {num_part:,} {PARTS[part]} images ({part_of(len(kind.rows), num_part)})"


def _warn(is_serious: bool) -> Severity:
    return "warning" if is_serious else "note"


def check_sequences(image_set: ImageSet, sequences: Sequences) -> Finding:
    """Frames that nobody grouped."""
    num_single = image_set.groups.count("")
    trained = [row for row, split in enumerate(image_set.splits) if split != TEST]
    new = [row for row in range(len(image_set.groups)) if sequences.groups[row] and not image_set.groups[row]]
    if num_single == 0 or not trained:
        return Finding(topic="sequences", severity="ok", text=f"all images have groups ({_num_groups(image_set)})")
    if sequences.num_by_name == 0:
        text = "no sign of frames of one thing among the images without a group"
        return Finding(topic="sequences", severity="ok", text=text)
    names = sorted({sequences.groups[row] for row in new})
    leaking = _straddling(image_set, sequences, new)
    leak = (
        f"; {part_of(len(leaking), image_set.splits.count(TEST))} of the test images have frames in training"
        if leaking
        else ""
    )
    return Finding(
        topic="sequences",
        severity="error" if leaking else "warning",
        text=f"{len(new):,} images look like frames of {count_noun(len(names), 'sequence')} (numbered names, "
        f"neighbours alike): frames of one thing would train and validate{leak}",
        advice=_group_advice(image_set),
        paths=tuple(image_set.paths[row] for row in new[:NUM_EXAMPLES]),
        cases=_first_frames(sequences, new),
    )


def check_mirrors(image_set: ImageSet, mirrors: Mirrors, verdict: FlipVerdict) -> Finding:
    """What a left-right flip would do, in the words in which compare tells what it does."""
    return Finding(
        topic="mirror images",
        severity="note" if verdict.pairs or verdict.changed else "ok",
        text=verdict.reason,
        advice="--flips on is refused: it would change labels" if verdict.pairs else "",
        cases=tuple(_examples(image_set, (pair.label, pair.other)) for pair in mirrors.pairs[:NUM_EXAMPLES]),
    )


def _sort_out(image_set: ImageSet, sets: Iterable[Sequence[int]]) -> tuple[_Kind, dict[str, _Kind], _Kind]:
    """Two labels; leaks into a later part, by that part; and all within one part."""
    labels, inside = _Kind(), _Kind()
    leaks: dict[str, _Kind] = {}
    for same in sets:
        parts = sorted({image_set.splits[row] for row in same}, key=PART_ORDER.__getitem__)
        has_two_labels = len({int(image_set.labels_N[row]) for row in same}) > 1
        if has_two_labels:
            labels.add(same, same)
        for part in parts[1:]:
            leaks.setdefault(part, _Kind()).add(same, (row for row in same if image_set.splits[row] == part))
        if len(parts) == 1 and not has_two_labels:
            inside.add(same, same)
    return labels, leaks, inside


def _finding(image_set: ImageSet, kind: _Kind, topic: str, severity: Severity, text: str, advice: str) -> Finding:
    num_sets = len(kind.sets)
    num_shown = min(NUM_EXAMPLES, num_sets)
    places = [(2 * k + 1) * num_sets // (2 * num_shown) for k in range(num_shown)]  # evenly: neighbours are much alike
    cases = tuple(kind.sets[place][:4] for place in places)
    paths = tuple(image_set.paths[row] for same in cases for row in same)
    return Finding(
        topic=topic, severity=severity, text=text, advice=advice, paths=paths[: 2 * NUM_EXAMPLES], cases=cases
    )


def _are_grouped(image_set: ImageSet, sets: Iterable[Sequence[int]]) -> bool:
    groups = [{image_set.groups[row] for row in same} for same in sets]
    return all(len(names) == 1 and names != {""} for names in groups)


def _num_groups(image_set: ImageSet) -> str:
    return count_noun(len(set(image_set.groups) - {""}), "group")


def _straddling(image_set: ImageSet, sequences: Sequences, new: Sequence[int]) -> list[int]:
    """Test images whose proposed group also has images that are not in the test part."""
    trained = {sequences.groups[row] for row in new if image_set.splits[row] != TEST}
    return [row for row in new if image_set.splits[row] == TEST and sequences.groups[row] in trained]


def _group_advice(image_set: ImageSet) -> str:
    advice = "--group auto keeps them together, or name the groups yourself in a csv (path,label,group)"
    return f"use the source gtsrb, which knows its tracks; else {advice}" if _is_like_gtsrb(image_set) else advice


def _is_like_gtsrb(image_set: ImageSet) -> bool:
    """43 classes numbered from 0, in a folder."""
    return image_set.source != "gtsrb" and [name.lstrip("0") or "0" for name in image_set.class_names] == [
        str(label) for label in range(43)
    ]


def _first_frames(sequences: Sequences, new: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The first frames of three sequences, evenly chosen."""
    members: dict[str, list[int]] = {}
    for row in new:
        members.setdefault(sequences.groups[row], []).append(row)
    names = list(members)
    chosen = [names[(2 * k + 1) * len(names) // 6] for k in range(3)]
    return tuple(tuple(members[name][: NUM_EXAMPLES + 2]) for name in dict.fromkeys(chosen))


def _examples(image_set: ImageSet, labels: Sequence[int]) -> tuple[int, ...]:
    """Two images of each class: those with the most contrast of nine training images from different places."""
    chosen: list[int] = []
    trained = image_set.indices_of(TRAIN)
    for label in labels:
        own = trained[image_set.labels_N[trained] == label]
        candidates = own[np.linspace(0, len(own) - 1, min(9, len(own))).astype(np.int64)]
        order = np.argsort(-image_set.images_NHWC[candidates].std(axis=(1, 2, 3)), kind="stable")
        chosen += candidates[order[:2]].tolist()
    return tuple(chosen)
