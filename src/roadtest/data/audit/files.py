"""What the data check says about files and counts: broken files, sizes, balance, classes too small to judge."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from roadtest.data.audit.duplicates import Looks
from roadtest.data.dataset import TEST, TRAIN, VAL, ImageSet
from roadtest.data.sources.images import Headers
from roadtest.format import count_noun, name_some, part_of
from roadtest.records.schema import NUM_EXAMPLES, Finding

LEAST_IMAGES = 200
"""`compare` refuses fewer. Convention."""
PARTS = {TRAIN: "training", VAL: "validation", TEST: "test"}
MAX_BROKEN_SHARE = 0.01
"""More broken files than this are an error: something happened to the data."""
MAX_IMBALANCE = 10
"""The largest class over the smallest, from which on accuracy alone misleads. Convention."""
FEW_IMAGES, FEW_GROUPS = 10, 2
"""A class with fewer cannot be split into training and validation. Convention."""


def check_files(broken: Sequence[tuple[str, str]], num_listed: int) -> Finding:
    """Images that are there and cannot be read."""
    if not broken:
        return Finding(topic="files", severity="ok", text=f"all {count_noun(num_listed, 'image')} can be read")
    is_many = len(broken) > MAX_BROKEN_SHARE * num_listed
    some = "; ".join(f"{path} ({reason})" for path, reason in broken[:3])
    return Finding(
        topic="files",
        severity="error" if is_many else "warning",
        text=f"{len(broken):,} of {count_noun(num_listed, 'image')} cannot be read: {some}",
        advice="repair or remove them, or leave them out with --skip-broken",
        paths=tuple(path for path, _ in broken[:NUM_EXAMPLES]),
    )


def check_amount(num_images: int) -> Finding | None:
    """Too few images to compare networks on."""
    if num_images >= LEAST_IMAGES:
        return None
    text = f"{count_noun(num_images, 'image')}: compare asks for {LEAST_IMAGES} at least"
    return Finding(topic="amount", severity="error", text=text, advice="add some: fewer tell nothing")


def check_blank(image_set: ImageSet, looks: Looks) -> Finding | None:
    """Images of one even colour."""
    rows = np.flatnonzero(looks.is_blank_N).tolist()
    if not rows:
        return None
    is_many = len(rows) > MAX_BROKEN_SHARE * len(looks.is_blank_N)
    return Finding(
        topic="blank images",
        severity="warning" if is_many else "note",
        text=f"{count_noun(len(rows), 'image')} of one even colour: they show nothing",
        advice="remove them: no network can learn from them",
        paths=tuple(image_set.paths[row] for row in rows[:NUM_EXAMPLES]),
        cases=(tuple(rows[:NUM_EXAMPLES]),),
    )


def check_sizes(headers: Headers, image_size: int) -> Finding:
    """How large the originals are, and in what form they come."""
    short, long = headers.short_sides_M, np.maximum(headers.widths_M, headers.heights_M)
    suggested = headers.suggested_image_size
    num_squeezed = int((long > 2 * short).sum())
    num_small = int((short < image_size).sum())
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in headers.kind_counts.most_common(4))
    text = f"short sides of {short.min()} to {short.max()} pixels, half of them below {np.median(short):.0f}; {kinds}"
    advice = []
    if suggested != image_size:
        advice.append(f"compare takes {suggested}; here they were looked at with {image_size} pixels a side")
    if num_squeezed > len(short) // 10:
        advice.append(f"{part_of(num_squeezed, len(short))} are over twice as long as wide and will be squeezed: crop")
    if num_small > len(short) // 2:
        advice.append(f"{part_of(num_small, len(short))} are smaller than the network's input")
    return Finding(topic="sizes", severity="note" if advice else "ok", text=text, advice="; ".join(advice))


def check_kinds(headers: Headers, image_set: ImageSet, labels: Sequence[int]) -> Finding | None:
    """A form of file that gives its class away: a network may learn the form; `labels` are the listing's."""
    labels_M = np.asarray(labels)[headers.rows_M]
    kinds_M = np.array(headers.kinds)
    sizes_M = np.char.add(np.char.add(headers.widths_M.astype(str), " x "), headers.heights_M.astype(str))
    telling = []
    for values_M, what in ((kinds_M, ""), (sizes_M, " pixels")):
        for value in np.unique(values_M) if len(np.unique(values_M)) <= 50 else ():
            inside = Counter(labels_M[values_M == value].tolist())
            label, number = inside.most_common(1)[0]
            is_own = len(inside) == 1 and number >= max(FEW_IMAGES, 0.9 * int((labels_M == label).sum()))
            telling += [f"{value}{what} is always {image_set.class_names[label]!r}"] if is_own else []
    if not telling:
        return None
    return Finding(
        topic="file forms",
        severity="warning",
        text=f"the form of a file tells its class: {name_some(telling, 3)}",
        advice="a network may learn traces of the form instead of the picture: treat all classes' files alike",
    )


def count_images(image_set: ImageSet) -> dict[str, list[int]]:
    """Images per part and class; parts without images are left out."""
    splits_N = np.asarray(image_set.splits)
    counts = {
        part: np.bincount(image_set.labels_N[splits_N == part], minlength=image_set.num_classes).tolist()
        for part in PARTS
    }
    return {part: numbers for part, numbers in counts.items() if any(numbers)}


def count_groups(image_set: ImageSet, groups: Sequence[str]) -> list[int]:
    """Per class, its groups outside the test part; an image without a group is a group of its own."""
    units: list[set[str | int]] = [set() for _ in range(image_set.num_classes)]
    for row, (label, group, split) in enumerate(
        zip(image_set.labels_N.tolist(), groups, image_set.splits, strict=True)
    ):
        if split != TEST:
            units[label].add(group or row)
    return [len(names) for names in units]


def check_balance(image_set: ImageSet) -> Finding:
    """How many images there are, and how unequally they are spread."""
    counts = count_images(image_set)
    parts = ", ".join(f"{count_noun(sum(numbers), PARTS[part] + ' image')}" for part, numbers in counts.items())
    text = f"{count_noun(image_set.num_classes, 'class')}: {parts}"
    trained = counts.get(TRAIN, [0])
    most, least = max(range(len(trained)), key=trained.__getitem__), min(range(len(trained)), key=trained.__getitem__)
    if trained[most] <= MAX_IMBALANCE * trained[least]:
        return Finding(topic="balance", severity="ok", text=text)
    names = image_set.class_names
    return Finding(
        topic="balance",
        severity="note",
        text=f"{text}; {names[most]!r} has {trained[most]:,} training images, {names[least]!r} {trained[least]:,}",
        advice=f"always answering {names[most]!r} is right for {part_of(trained[most], sum(trained))}: look at "
        "balanced accuracy too",
    )


def check_parts(image_set: ImageSet, groups: Sequence[str]) -> list[Finding]:
    """Classes that a part lacks, or that are too small to be split."""
    names = image_set.class_names
    counts = {TRAIN: [0] * len(names)} | count_images(image_set)
    findings = []
    if len(names) == 1:
        only = "at least two are needed to tell anything apart: add images of another class, in a folder of its own"
        findings.append(Finding(topic="classes", severity="error", text=f"one class, {names[0]!r}", advice=only))
    for part, numbers in counts.items():
        missing = [names[label] for label, number in enumerate(numbers) if number == 0]
        if missing:
            findings.append(
                Finding(
                    topic="missing classes",
                    severity="error" if part == TRAIN else "warning",
                    text=f"{count_noun(len(missing), 'class')} without {PARTS[part]} images: {name_some(missing)}",
                    advice="add images, or take these classes away: what has no training image is never learned"
                    if part == TRAIN
                    else "add images: accuracy there says nothing about these classes",
                )
            )
    units = count_groups(image_set, groups)
    trained = [counts[TRAIN][k] + counts.get(VAL, [0] * len(names))[k] for k in range(len(names))]
    few = [
        f"{names[label]} ({count_noun(trained[label], 'image')}, {count_noun(units[label], 'group')})"
        for label in range(len(names))
        if 0 < trained[label] < FEW_IMAGES or 0 < units[label] < FEW_GROUPS
    ]
    if few:
        findings.append(
            Finding(
                topic="small classes",
                severity="warning",
                text=f"{count_noun(len(few), 'class')} with fewer than {FEW_IMAGES} images or {FEW_GROUPS} groups "
                f"outside the test part: {name_some(few)}",
                advice="add images of other things of these classes: what is learned there cannot be checked",
            )
        )
    return findings
