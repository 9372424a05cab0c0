"""A trained network on images that somebody labelled: any source, its classes matched with the network's.

The images may come from anywhere: another year's signs, another camera, a folder with some of the classes. Where no
split is named, the source's test images are taken, else all; of the very data that the network was trained on only what
was held out. Reading a test set is logged, as a run's reading is.

Counts are added up and divided once; the interval is the judge's, over groups of images: these weights, on new signs.
The metrics are those of every table (analysis/metrics.py), over the classes that have images here. Shapes: N images,
K classes (the network's).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from roadtest.analysis import stats
from roadtest.analysis.metrics import (
    BALANCED,
    MACRO_F1,
    METRICS,
    ClassCounts,
    count_classes,
    image_weights,
    influence,
    score,
)
from roadtest.analysis.recommend import find_run
from roadtest.data.cache import default_cache_dir
from roadtest.data.dataset import TEST, TRAIN, VAL, ImageSet
from roadtest.data.open import open_source
from roadtest.data.signs import is_synthetic
from roadtest.data.sources.layout import class_finder, name_some
from roadtest.data.split import note_test_read
from roadtest.format import Row
from roadtest.inference.classifier import Classifier
from roadtest.records import PlannedRun, read_rows
from roadtest.records.events import Event
from roadtest.training.predict import pixel_reader, predict_logits

Ints = npt.NDArray[np.int64]
ALL = "all"
SPLITS = (TEST, VAL, TRAIN, ALL)
SAME_IMAGES = "The network was trained on these images: this says nothing about new ones."


def _open(
    source: str, image_size: int, cache_dir: Path, on_event: Callable[[Event], None], options: dict[str, Any]
) -> ImageSet:
    return open_source(
        source,
        image_size=image_size,
        cache_dir=cache_dir,
        is_trained_on=False,
        on_progress=lambda done, total: on_event(Event(kind="data", num_done=done, num_total=total)),
        on_download=lambda done, total: on_event(Event(kind="download", num_done=done, num_total=total)),
        **options,
    )


def _chosen_part(source: str, image_set: ImageSet, split: str | None, *, is_own: bool) -> tuple[str, Ints]:
    """The part that is evaluated, and its rows; a part that was only dealt here is none, but of the training data."""
    parts = [part for part in (TEST, VAL, TRAIN) if len(image_set.indices_of(part))]
    if image_set.is_test_held_out and not is_own:
        parts = []
    if split is None and is_own and not {TEST, VAL} & set(parts):
        raise ValueError(
            f"{source} is what the network was trained on, and no part of it was held out: give other images, or "
            "--split all to see how well it remembers"
        )
    if split is None:
        split = TEST if TEST in parts else VAL if is_own else ALL
    if split == ALL:
        return ALL, np.arange(len(image_set.paths), dtype=np.int64)
    if split not in parts:
        there = f"it has {', '.join(parts)} and all" if parts else "it has no parts"
        raise ValueError(f"--split {split}: {source} has no {split} part; {there}; leave --split out, or say all")
    return split, image_set.indices_of(split)


def _reads_test(image_set: ImageSet, ids_N: Ints, *, is_own: bool) -> bool:
    is_given = is_own or not image_set.is_test_held_out
    return is_given and bool(np.isin(ids_N, image_set.indices_of(TEST)).any())


def _matched_labels(
    classifier: Classifier, source: str, image_set: ImageSet, ids_N: Ints, *, skip_unknown: bool
) -> tuple[Ints, tuple[str, ...]]:
    """The network's number for each image's class, -1 for one it does not know; and what to tell of it."""
    finder = class_finder(classifier.record.class_names)
    has_numbers = source == "gtsrb" or is_synthetic(source)  # there a class has its number by the data's own rule
    counts_K = np.bincount(image_set.labels_N[ids_N], minlength=image_set.num_classes)
    present = np.flatnonzero(counts_K).tolist()
    found = {label: finder.find(image_set.class_names[label]) for label in present}
    if has_numbers:
        found |= {label: finder.find(str(label)) for label in present if found[label] is None}
    unknown = [label for label in present if found[label] is None]
    names = name_some(image_set.class_names[label] for label in unknown)
    knows = f"{classifier.record.label} knows {finder.describe()}"
    if len(unknown) == len(present) or (unknown and not skip_unknown):
        way_out = "" if len(unknown) == len(present) else ", or leave their images out with --skip-unknown"
        raise ValueError(
            f"{source} has classes that the network does not know: {names}; {knows}; name them by number or by name"
            f"{way_out}"
        )
    match_K = np.array([-1 if (k := found.get(label)) is None else k for label in range(len(counts_K))], np.int64)
    num_left_out = int(counts_K[unknown].sum()) if unknown else 0
    notes = (f"{num_left_out:,} images of classes that the network does not know were left out: {names}.",)
    return match_K[image_set.labels_N[ids_N]], notes if unknown else ()


def _predict(classifier: Classifier, image_set: ImageSet, ids_N: Ints) -> Ints:
    """The most probable class of each image, a batch at a time: a thousand classes of a million images are 4 GB."""
    read_pixels = pixel_reader(image_set.images_NHWC, "cpu")
    found = []
    for start in range(0, len(ids_N), classifier.batch_size):
        batch_N = ids_N[start : start + classifier.batch_size]
        logits_NK = predict_logits(
            classifier.network, read_pixels, batch_N, normalisation=classifier.record.normalisation
        )
        found.append(logits_NK.argmax(1).numpy())
    return np.concatenate(found)


def _number_units(image_set: ImageSet, ids_N: Ints) -> Ints:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(image_set.groups[i] or f"\0{i}", len(numbers)) for i in ids_N], np.int64)


def _notes_of(image_set: ImageSet, chosen: str) -> tuple[str, ...]:
    """What the source says of itself; that it has no test part of its own is no news where all images are taken."""
    return tuple(note.text for note in image_set.notes if chosen != ALL or note.kind != "held out")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a network answered on labelled images; every figure follows from it."""

    label: str
    """`lenet5+stn`: the network as people read it."""
    seed: int
    data_title: str
    subject: str
    """What the images show: `signs` or `images`."""
    data_fingerprint: str
    split: str
    """`test`, `val`, `train` or `all`: which of the images."""
    class_names: tuple[str, ...]
    """The network's, in the order of their numbers."""
    labels_N: Ints
    """The true classes, numbered as the network numbers them."""
    predicted_N: Ints
    units_N: Ints
    """Images of one group share a number; others stand alone."""
    paths: tuple[str, ...]
    notes: tuple[str, ...]
    """What a reader must know, a sentence each."""

    @cached_property
    def counts(self) -> ClassCounts:
        """Images, calls and correct answers of each class."""
        return count_classes(self.labels_N, self.predicted_N, len(self.class_names))

    @cached_property
    def interval(self) -> stats.Interval | None:
        """The accuracy with its 95 % interval; None where all images are of one group."""
        if len(np.unique(self.units_N)) < 2:
            return None
        return stats.accuracy_interval((self.labels_N == self.predicted_N)[None], self.units_N)

    @cached_property
    def class_intervals(self) -> dict[str, stats.Interval]:
        """The 95 % intervals of balanced accuracy and macro-F1, by column; nothing where all images are of one group.

        A lowest recall has none that is honest (docs/statistics.md).
        """
        if self.interval is None:
            return {}
        return {METRICS[name].column: stats.score_interval(self._judged_by(name)) for name in (BALANCED, MACRO_F1)}

    @property
    def unit_name(self) -> str:
        """What stands or falls by itself: `tracks`, or single `images`."""
        return "tracks" if len(np.unique(self.units_N)) < len(self.units_N) else "images"

    def scores(self) -> dict[str, float]:
        """The four metrics, fractions; over the classes that have images here."""
        return {metric.column: score(self.counts, metric.name) for metric in METRICS.values()}

    def class_rows(self) -> list[Row]:
        """One row for each class that has images here, the least often recognised first."""
        counts, confusion_KK = self.counts, self._confusion()
        pairs_2M = np.unique(np.stack([self.labels_N, self.units_N]), axis=1)
        num_units_K = np.bincount(pairs_2M[0], minlength=len(self.class_names))
        rows = []
        for label in counts.present_K.tolist():
            rivals = confusion_KK.get(label, {})
            rival = min(rivals, key=lambda other: (-rivals[other], other), default=None)
            rows.append(
                {
                    "class_id": label,
                    "class_name": self.class_names[label],
                    "num_images": int(counts.images_K[label]),
                    "num_tracks": int(num_units_K[label]),
                    "num_correct": int(counts.correct_K[label]),
                    "recall": float(counts.recall_K[label]),
                    "precision": _share(counts.correct_K[label], counts.called_K[label]),
                    "f1": float(counts.f1_K[label]),
                    "mostly_taken_for_id": rival,
                    "mostly_taken_for": None if rival is None else self.class_names[rival],
                    "num_taken_for_it": 0 if rival is None else rivals[rival],
                }
            )
        return sorted(rows, key=lambda row: (row["recall"], row["class_id"]))

    def image_rows(self) -> list[Row]:
        """One row for each image: what it is and what it was called."""
        return [
            {
                "path": path,
                "class_id": label,
                "class_name": self.class_names[label],
                "predicted_id": predicted,
                "predicted_name": self.class_names[predicted],
                "is_correct": label == predicted,
            }
            for path, label, predicted in zip(
                self.paths, self.labels_N.tolist(), self.predicted_N.tolist(), strict=True
            )
        ]

    def to_dict(self) -> Row:
        """Plain values, ready for JSON."""
        interval = self.interval
        return {
            "network": self.label,
            "seed": self.seed,
            "data_title": self.data_title,
            "data_fingerprint": self.data_fingerprint,
            "split": self.split,
            "num_images": len(self.labels_N),
            "num_classes": len(self.counts.present_K),
            **self.scores(),
            "accuracy_low": interval and interval.low,
            "accuracy_high": interval and interval.high,
            **self._class_bounds(),
            "statement": interval and interval.statement,
            "num_units": len(np.unique(self.units_N)),
            "unit_name": self.unit_name,
            "design_effect": interval and interval.design_effect,
            "notes": list(self.notes),
            "classes": self.class_rows(),
        }

    def _class_bounds(self) -> dict[str, float | None]:
        columns = [METRICS[name].column for name in (BALANCED, MACRO_F1)]
        found = {column: self.class_intervals.get(column) for column in columns}
        return {
            f"{column}_{end}": None if one is None else float(getattr(one, end))
            for column, one in found.items()
            for end in ("low", "high")
        }

    def _judged_by(self, metric: str) -> stats.Scores:
        """The one run's answers in the shape that the judge takes."""
        return stats.Scores(
            values_S=np.array([score(self.counts, metric)]),
            influence_SN=influence(self.labels_N, self.predicted_N, self.counts, metric)[None],
            weights_N=image_weights(self.labels_N),
            correct_SN=(self.labels_N == self.predicted_N)[None],
            classes_N=self.labels_N,
            clusters_N=self.units_N,
        )

    def _confusion(self) -> dict[int, dict[int, int]]:
        """True class -> wrong class -> how often; only what occurs, for a thousand classes as for two."""
        wrong_N = self.labels_N != self.predicted_N
        pairs_2M, counts_M = np.unique(
            np.stack([self.labels_N[wrong_N], self.predicted_N[wrong_N]]), axis=1, return_counts=True
        )
        found: dict[int, dict[int, int]] = {}
        for label, other, count in zip(*pairs_2M.tolist(), counts_M.tolist(), strict=True):
            found.setdefault(label, {})[other] = count
        return found


def evaluate_run(
    path: str | Path, source: str | Path, *, network_file: str | None = None, **options: Any
) -> Evaluation:
    """Evaluate the run at `path`, or a study's recommended one; `options` are those of `evaluate_on`."""
    folder = find_run(path).path.resolve()
    classifier = Classifier.from_run(folder, network_file=network_file)
    study_dir = folder.parent.parent
    if not (study_dir / "study.json").exists():
        return evaluate_on(classifier, source, study=folder.name, **options)
    return _with_caution(evaluate_on(classifier, source, study=study_dir.name, **options), study_dir)


def _with_caution(found: Evaluation, study_dir: Path) -> Evaluation:
    """Say where images are called as those that were trained on; the same data in other groups is not known as such."""
    trained = {row["path"] for row in read_rows(study_dir / "split.csv", ("path", "split")) if row["split"] == TRAIN}
    num_alike = sum(path in trained for path in found.paths)
    if SAME_IMAGES in found.notes or 2 * num_alike <= len(found.paths):
        return found
    note = (
        f"{num_alike:,} of {len(found.paths):,} images have the paths of images that the network was trained on: if "
        "they are the same, this says nothing about new ones."
    )
    return replace(found, notes=(note, *found.notes))


def evaluate_on(
    classifier: Classifier,
    source: str | Path,
    *,
    split: str | None = None,
    study: str = "",
    data_dir: Path | None = None,
    is_subset_allowed: bool = False,
    skip_broken: bool = False,
    skip_unknown: bool = False,
    group: str | None = None,
    cache_dir: Path | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Evaluation:
    """Let a network name the images of a labelled source; a ValueError in one line where that cannot be judged.

    `source` is `gtsrb`, `signs`, or the path of a folder or csv. `split` None takes the source's test part, else all
    images. `skip_unknown` leaves images of classes out that the network does not know. `study` stands in the ledger.
    """
    if split not in (None, *SPLITS):
        raise ValueError(f"--split {split!r} is not known: choose one of {', '.join(SPLITS)}, or leave it out")
    record, cache_dir = classifier.record, cache_dir or default_cache_dir()
    options = {"data_dir": data_dir, "is_subset_allowed": is_subset_allowed, "skip_broken": skip_broken, "group": group}
    image_set = _open(str(source), record.image_size, cache_dir, on_event, options)
    is_own = image_set.fingerprint in (record.data_fingerprint, record.test_fingerprint)
    is_trained_on = image_set.fingerprint == record.data_fingerprint  # of a test folder without parts all was tested on
    chosen, ids_N = _chosen_part(str(source), image_set, split, is_own=is_trained_on)
    labels_N, notes = _matched_labels(classifier, str(source), image_set, ids_N, skip_unknown=skip_unknown)
    ids_N, labels_N = ids_N[labels_N >= 0], labels_N[labels_N >= 0]
    if is_trained_on and chosen in (TRAIN, ALL):
        notes = (SAME_IMAGES, *notes)
    if _reads_test(image_set, ids_N, is_own=is_own):
        note_test_read(
            cache_dir,
            data_fingerprint=image_set.fingerprint,
            study=study,
            run=PlannedRun(network=record.network, has_stn=record.has_stn, seed=record.seed),
            protocol_fingerprint=record.protocol_fingerprint,
        )
    on_event(Event(kind="phase", text=f"classifying {len(ids_N):,} images"))
    return Evaluation(
        label=record.label,
        seed=record.seed,
        data_title=image_set.title,
        subject=image_set.subject,
        data_fingerprint=image_set.fingerprint,
        split=chosen,
        class_names=record.class_names,
        labels_N=labels_N,
        predicted_N=_predict(classifier, image_set, ids_N),
        units_N=_number_units(image_set, ids_N),
        paths=tuple(image_set.paths[i] for i in ids_N),
        notes=(*notes, *_notes_of(image_set, chosen)),
    )


def _share(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None
