"""External systems, added to a study without being trained: their accuracy, and how far each network is from them.

A system is one set of predictions. Its interval is over tracks: this system as it is, on new signs. A difference is
paired by image: the network's mean over its seeds minus the system, over tracks alone; it speaks of these trained
weights. No verdict is given, because a single set of predictions shows nothing of the variance of training. Costs were
not measured. Shapes: S seeds, N images.
"""

from pathlib import Path

import numpy as np

from roadtest.analysis import stats
from roadtest.analysis.comparisons import ranked_variants
from roadtest.analysis.leaderboard import leaderboard_rows
from roadtest.analysis.metrics import METRICS, count_classes, score
from roadtest.analysis.predictions import network_predictions
from roadtest.analysis.results import Ints, Results, Variant, once_per_study, read_results
from roadtest.format import Row, speak_of
from roadtest.records import ExternalPredictions, read_external

STATUS = "added"
"""The word for a system in a leaderboard's column `status`."""
THIS_SYSTEM = "this system, on new signs"
AGAINST_THE_SYSTEM = "these trained weights against this system, on new signs"
SPLITS = ("val", "test")


def rows_with_externals(study: Path | Results) -> list[Row]:
    """Return the leaderboard, and below its networks the added systems, best on test first; their costs are None."""
    results = read_results(study)
    networks = leaderboard_rows(results)
    columns = next(iter(networks), {})
    systems = [dict.fromkeys(columns) | _row(results, external) for external in _systems(results)]
    systems.sort(key=lambda row: -(row["test_accuracy_mean"] or row["val_accuracy_mean"] or 0.0))
    return [*networks, *systems]


def external_difference_rows(study: Path | Results) -> list[Row]:
    """Return one row for each system and compared network; `gain` is the network's accuracy minus the system's."""
    results = read_results(study)
    variants = [variant for variant in ranked_variants(results) if variant.is_compared]
    found = [
        _difference_row(results, external, variant, split)
        for external in _systems(results)
        for split in SPLITS
        for variant in variants
    ]
    return [row for row in found if row is not None]


@once_per_study
def _systems(results: Results) -> list[ExternalPredictions]:
    num_images, num_classes = len(results.split_rows), len(results.info.class_names)
    return read_external(results.study_dir, num_images=num_images, num_classes=num_classes)


def _row(results: Results, external: ExternalPredictions) -> Row:
    row: Row = {"network": external.system.name, "has_stn": False, "num_runs": 0, "status": STATUS}
    for split in SPLITS:
        ids_N, predicted_N = _of_split(results, external, split)
        if not len(ids_N):
            row[f"{split}_accuracy_mean"] = None
            continue
        labels_N, clusters_N = _labels(results, ids_N), results.clusters_N[ids_N]
        counts = count_classes(labels_N, predicted_N, len(results.info.class_names))
        row |= {f"{split}_{metric.column}_mean": score(counts, metric.name) for metric in METRICS.values()}
        if len(np.unique(clusters_N)) > 1:
            interval = stats.accuracy_interval((labels_N == predicted_N)[None], clusters_N)
            row |= {f"{split}_accuracy_low": interval.low, f"{split}_accuracy_high": interval.high}
    return row


def _difference_row(results: Results, external: ExternalPredictions, variant: Variant, split: str) -> Row | None:
    """How far a network is from a system on the images that all its seeds and the system saw."""
    ids_N, predicted_N = _of_split(results, external, split)
    found = network_predictions(results, variant, split)
    if found is None or not found.is_crossed or not np.array_equal(np.sort(found.ids[0]), ids_N):
        return None
    if found.num_clusters < 2:
        return None
    correct_SN = found.crossed()
    theirs_N = (_labels(results, ids_N) == predicted_N)[np.searchsorted(ids_N, found.ids[0])]
    difference = stats.difference_interval(correct_SN, theirs_N[None], found.crossed_clusters())
    return {
        "system": external.system.name,
        "network": variant.network,
        "has_stn": variant.has_stn,
        "part": split,
        "system_accuracy": float(theirs_N.mean()),
        "network_accuracy": float(correct_SN.mean()),
        "gain": difference.estimate,
        "gain_low": difference.low,
        "gain_high": difference.high,
        "num_seeds": len(correct_SN),
        "num_images": len(ids_N),
        "num_units": difference.num_clusters,
        "unit_name": "tracks" if found.num_clusters < len(ids_N) else "images",
        "num_only_network": round(float((correct_SN & ~theirs_N).mean(axis=0).sum()), 2),
        "num_only_system": round(float((~correct_SN & theirs_N).mean(axis=0).sum()), 2),
        "statement": speak_of(AGAINST_THE_SYSTEM, results.info.data_title),
    }


def _of_split(results: Results, external: ExternalPredictions, split: str) -> tuple[Ints, Ints]:
    chosen_N = np.array([results.split_rows[image]["split"] == split for image in external.image_ids_N.tolist()], bool)
    return external.image_ids_N[chosen_N], external.predicted_N[chosen_N]


def _labels(results: Results, ids_N: Ints) -> Ints:
    return np.array([int(results.split_rows[image]["label"]) for image in ids_N.tolist()], np.int64)
