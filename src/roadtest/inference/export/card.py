"""The model card of a bundle: what it is, how to run it, what was measured, and what it cannot do.

card.md.jinja has the text; this file computes what it needs. Every sentence follows from the records: nothing is
written that was not measured, whether the study has one seed or ten. Where the run lies in no study, intervals are left
out and the card says so. Names of classes and data may come from anybody: they are escaped.
"""

import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from roadtest.analysis import ACCURACY, Estimate, estimate_score, read_results
from roadtest.format import DASH, Row, format_percent, plural, statement_about
from roadtest.records import Machine, RunRecord, StudyInfo, read_predictions, read_study_info

NUM_WEAKEST = 3
LEAST_OF_A_CLASS = 10
"""Images below which a class's recall is no figure worth printing; convention."""
_ENGINES = {
    "pytorch": "PyTorch, float32: the trained network",
    "onnxruntime": "ONNX Runtime, float32",
    "onnxruntime-int8": "ONNX Runtime, int8",
}
_PREPROCESSING = {
    "per-image": "divided by 255, minus the image's own mean, over its own deviation",
    "fixed": "divided by 255, minus 0.5, over 0.25",
}


def render_card(
    run_dir: Path, record: RunRecord, rows: Sequence[Row], *, checked_on: str, packed: str, machine: Machine
) -> str:
    """The README.md of a bundle, in Markdown."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= _FILTERS
    info = find_study_info(run_dir, record)
    template = environment.from_string((files(__package__) / "card.md.jinja").read_text(encoding="utf-8"))
    return template.render(
        record=record,
        info=info,
        rows=rows,
        machine=machine,
        checked_on=checked_on,
        packed=packed,
        version=version("roadtest"),
        size=record.image_size,
        num_classes=len(record.class_names),
        preprocessing=_PREPROCESSING.get(record.normalisation, f"normalised ({record.normalisation})"),
        has_int8=len(rows) > 2,
        engines=_ENGINES,
        estimates=_estimates(run_dir, record) if info else {},
        weakest=_weakest(run_dir, record),
    )


def find_study_info(run_dir: Path, record: RunRecord) -> StudyInfo | None:
    """The study that a run lies in; None where it lies in none, or in one that does not plan it."""
    study_dir = run_dir.resolve().parent.parent
    if not (study_dir / "study.json").exists():
        return None
    info = read_study_info(study_dir)
    is_there = record.run in info.runs and (study_dir / record.run.folder).resolve() == run_dir.resolve()
    return info if is_there and info.data_fingerprint == record.data_fingerprint else None


def plain(text: str) -> str:
    """Text of unknown origin, harmless in Markdown and on one line."""
    return re.sub(r"([\\`*_<>\[\]|#&])", r"\\\1", " ".join(text.split()))


_FILTERS: dict[str, Callable[..., Any]] = {
    "plain": plain,
    "plural": plural,
    "percent": format_percent,
    "about": statement_about,
    "count": "{:,}".format,
    "whole": "{:,.0f}".format,
    "megabytes": lambda num_bytes: f"{num_bytes / 1e6:,.3g} MB",
    "ms": lambda value: DASH if value is None else f"{value:.3g} ms",
}


def _estimates(run_dir: Path, record: RunRecord) -> dict[str, Estimate]:
    """The network's accuracies over its runs in the study, by the set's word; without those that cannot be judged."""
    results = read_results(run_dir.parent.parent)
    variant = results.variant(record.network, record.has_stn)
    if variant is None:
        return {}
    sets = {"validation": "val", "test": "test"}
    found = {word: estimate_score(results, variant, part, metric=ACCURACY) for word, part in sets.items()}
    return {word: estimate for word, estimate in found.items() if estimate is not None}


def _weakest(run_dir: Path, record: RunRecord) -> list[tuple[str, int, int]]:
    """Name, correct and all validation images of the classes with the lowest recall; only those with images enough."""
    if not (run_dir / "val.npz").exists():
        return []
    val = read_predictions(run_dir / "val.npz")
    num_classes = len(record.class_names)
    is_correct_N = val.logits_NK.argmax(1) == val.labels_N
    seen_K = np.bincount(val.labels_N, minlength=num_classes)[:num_classes]
    correct_K = np.bincount(val.labels_N[is_correct_N], minlength=num_classes)[:num_classes]
    judged = [k for k in range(num_classes) if seen_K[k] >= LEAST_OF_A_CLASS and correct_K[k] < seen_K[k]]
    judged.sort(key=lambda k: (correct_K[k] / seen_K[k], k))
    return [(record.class_names[k], int(correct_K[k]), int(seen_K[k])) for k in judged[:NUM_WEAKEST]]
