"""Systems that were added to a study without being trained: their accuracy, and how far each network is from them.

A system is one set of answers. Its interval is over tracks: this system as it is, on new signs. A difference is paired
by image: the network's mean over its seeds minus the system, over tracks alone; it speaks of these trained weights. No
verdict is given, because a single set of answers tells nothing of the luck of training. Costs were not measured.
Shapes: S seeds, N images.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from roadtest import judge
from roadtest.record import IncumbentAnswers, read_incumbents
from roadtest.summarise.answers import gather_answers
from roadtest.summarise.leaderboard import leaderboard_rows
from roadtest.summarise.metrics import METRICS, count_classes, score
from roadtest.summarise.ranking import ranked_variants
from roadtest.summarise.results import Ints, Results, Variant, read_results
from roadtest.summarise.words import speak_of

Row = dict[str, Any]
STATUS = "added"
"""Their word in a leaderboard's column `status`."""
THIS_SYSTEM = "this system, on new signs"
THESE_WEIGHTS = "these trained weights against this system, on new signs"
PARTS = ("val", "test")


def incumbent_rows(study: Path | Results) -> list[Row]:
    """One row for each added system, best on test first, with the columns of the leaderboard; costs are None."""
    results = read_results(study)
    return _rows(results, leaderboard_rows(results))


def rows_with_incumbents(study: Path | Results) -> list[Row]:
    """The leaderboard, and below its networks the systems that were added."""
    results = read_results(study)
    networks = leaderboard_rows(results)
    return [*networks, *_rows(results, networks)]


def incumbent_difference_rows(study: Path | Results) -> list[Row]:
    """One row for each added system and compared network; `gain` is the network's accuracy minus the system's."""
    results = read_results(study)
    variants = [variant for variant in ranked_variants(results) if variant.is_compared]
    found = [
        _difference_row(results, answers, variant, part)
        for answers in _incumbents(results)
        for part in PARTS
        for variant in variants
    ]
    return [row for row in found if row is not None]


def _incumbents(results: Results) -> list[IncumbentAnswers]:
    key = "incumbents"
    if key not in results.kept:
        num_images, num_classes = len(results.split_rows), len(results.info.class_names)
        results.kept[key] = read_incumbents(results.study_dir, num_images=num_images, num_classes=num_classes)
    found: list[IncumbentAnswers] = results.kept[key]
    return found


def _rows(results: Results, networks: Sequence[Row]) -> list[Row]:
    columns = next(iter(networks), {})
    rows = [dict.fromkeys(columns) | _row(results, answers) for answers in _incumbents(results)]
    return sorted(rows, key=lambda row: -(row["test_accuracy_mean"] or row["val_accuracy_mean"] or 0.0))


def _row(results: Results, answers: IncumbentAnswers) -> Row:
    row: Row = {"network": answers.incumbent.name, "has_stn": False, "num_runs": 0, "status": STATUS}
    for part in PARTS:
        ids_N, predicted_N = _of_part(results, answers, part)
        if not len(ids_N):
            row[f"{part}_accuracy_mean"] = None
            continue
        labels_N, units_N = _labels(results, ids_N), results.units_N[ids_N]
        counts = count_classes(labels_N, predicted_N, len(results.info.class_names))
        row |= {f"{part}_{metric.column}_mean": score(counts, metric.name) for metric in METRICS.values()}
        if len(np.unique(units_N)) > 1:
            interval = judge.accuracy_interval((labels_N == predicted_N)[None], units_N)
            row |= {f"{part}_accuracy_low": interval.low, f"{part}_accuracy_high": interval.high}
    return row


def _difference_row(results: Results, answers: IncumbentAnswers, variant: Variant, part: str) -> Row | None:
    """How far a network is from a system on the images that all its seeds and the system answered."""
    ids_N, predicted_N = _of_part(results, answers, part)
    found = gather_answers(results, variant.records, part)
    if found is None or not found.is_crossed or not np.array_equal(np.sort(found.ids[0]), ids_N):
        return None
    correct_SN, units_N = found.crossed(), found.crossed_units()
    if found.num_units < 2:
        return None
    theirs_N = (_labels(results, ids_N) == predicted_N)[np.searchsorted(ids_N, found.ids[0])]
    difference = judge.difference_interval(correct_SN, theirs_N[None], units_N)
    return {
        "system": answers.incumbent.name,
        "network": variant.network,
        "has_stn": variant.has_stn,
        "part": part,
        "system_accuracy": float(theirs_N.mean()),
        "network_accuracy": float(correct_SN.mean()),
        "gain": difference.estimate,
        "gain_low": difference.low,
        "gain_high": difference.high,
        "num_seeds": len(correct_SN),
        "num_images": len(ids_N),
        "num_units": difference.num_units,
        "unit_name": "tracks" if found.num_units < len(ids_N) else "images",
        "num_only_network": round(float((correct_SN & ~theirs_N).mean(axis=0).sum()), 2),
        "num_only_system": round(float((~correct_SN & theirs_N).mean(axis=0).sum()), 2),
        "statement": speak_of(THESE_WEIGHTS, results.info.data_title),
    }


def _of_part(results: Results, answers: IncumbentAnswers, part: str) -> tuple[Ints, Ints]:
    rows = results.split_rows
    chosen_N = np.array([rows[image]["split"] == part for image in answers.image_ids_N.tolist()], bool)
    return answers.image_ids_N[chosen_N], answers.predicted_N[chosen_N]


def _labels(results: Results, ids_N: Ints) -> Ints:
    return np.array([int(results.split_rows[image]["label"]) for image in ids_N.tolist()], np.int64)
