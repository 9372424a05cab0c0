"""The files that say what a study is: study.json, study.toml and split.csv; written once, checked ever after."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roadtest.config import write_config
from roadtest.data.imageset import ImageSet
from roadtest.data.split import assign_folds, split_fingerprint, split_rows
from roadtest.protocol import Protocol
from roadtest.record import (
    PlannedRun,
    RunRecord,
    StudyInfo,
    read_rows,
    read_study_info,
    to_json,
    write_atomically,
    write_rows,
)
from roadtest.study.lock import refuse_if_locked
from roadtest.study.options import Options, source_kind, source_name
from roadtest.summarise import ACCURACY

WAY_OUT = "use another --out, or --fresh to move the old study aside"


def write_plan(
    study_dir: Path,
    source: str,
    image_set: ImageSet,
    protocol: Protocol,
    runs: Sequence[PlannedRun],
    options: Options,
) -> None:
    """Write study.json, study.toml and split.csv, or check that a folder that is there belongs to this study."""
    old_runs: tuple[PlannedRun, ...] = ()
    created_at, metric = _utc_now(), options.metric or ACCURACY
    if (study_dir / "study.json").exists():
        old = read_study_info(study_dir)
        check_protocol(study_dir, protocol)
        check_data(study_dir, old, image_set)
        old_runs, created_at, metric = old.runs, old.created_at, options.metric or old.metric
    rows = split_rows(image_set, assign_folds(image_set, protocol.num_folds))
    _check_split(study_dir, rows)
    write_rows(study_dir / "split.csv", rows, rows[0].keys())
    all_runs = old_runs + tuple(run for run in runs if run not in old_runs)
    options = _widened(options, all_runs) if old_runs else options
    options = replace(options, metric=None if metric == ACCURACY else metric)  # what repeats the study names it too
    info = StudyInfo(
        source=source_name(source) if source_kind(source) == "folder" else source_kind(source),
        data_title=image_set.title,
        data_fingerprint=image_set.fingerprint,
        class_names=image_set.class_names,
        num_train=len(image_set.indices_of("train")),
        num_val=len(image_set.indices_of("val")),
        num_test=len(image_set.indices_of("test")),
        num_tracks=_num_tracks(image_set),
        protocol=protocol.to_dict(),
        protocol_fingerprint=protocol.fingerprint,
        runs=all_runs,
        command=_command(source, options),
        created_at=created_at,
        reads_test=options.reads_test,
        notes=image_set.notes,
        metric=metric,
        test_title=image_set.test_title,
        test_fingerprint=image_set.test_fingerprint,
        level=image_set.level,
    )
    write_atomically(study_dir / "study.json", to_json(info))
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    write_config(study_dir / "study.toml", {"source": source, **plain, "fresh": False})


def move_aside(study_dir: Path) -> None:
    """Rename a study that is there, so that the next one begins afresh and nothing is lost."""
    if study_dir.exists():
        refuse_if_locked(study_dir)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        names = (f"{study_dir.name}.old-{stamp}{again}" for again in ("", *(f"-{i}" for i in range(2, 1000))))
        study_dir.rename(next(path for name in names if not (path := study_dir.with_name(name)).exists()))


def keep_chosen_weights(study_dir: Path, records: Sequence[RunRecord]) -> None:
    """Delete the weights of every network but the one with the best mean validation accuracy."""
    labels = {record.label for record in records}
    means = {label: [record.val.accuracy for record in records if record.label == label] for label in sorted(labels)}
    best = max(means, key=lambda label: sum(means[label]) / len(means[label]))
    for record in records:
        if record.label != best:
            run = PlannedRun(network=record.network, has_stn=record.has_stn, seed=record.seed)
            (study_dir / run.folder / "weights.safetensors").unlink(missing_ok=True)


def check_protocol(study_dir: Path, protocol: Protocol) -> None:
    """Refuse a folder that holds a study of another protocol, naming the first field that differs."""
    if not (study_dir / "study.json").exists():
        return
    difference = Protocol.from_dict(read_study_info(study_dir).protocol).first_difference(protocol)
    if difference is not None:
        raise ValueError(f"{study_dir} holds a study of another protocol: {difference}; {WAY_OUT}")


def make_folder(study_dir: Path) -> None:
    """Make the study's folder; a ValueError where its place is taken, or by something that is no study."""
    if study_dir.is_file():
        raise ValueError(f"{study_dir} is a file: a study is a folder; give another --out")
    is_study = (study_dir / "study.json").exists() or (study_dir / ".lock").exists()
    if study_dir.is_dir() and not is_study and any(study_dir.iterdir()):
        raise ValueError(f"{study_dir} holds other things than a study: give an empty or a new folder as --out")
    study_dir.mkdir(parents=True, exist_ok=True)


def check_data(study_dir: Path, old: StudyInfo, image_set: ImageSet) -> None:
    """Refuse to go on with other images than the study's."""
    if old.data_fingerprint != image_set.fingerprint:
        raise ValueError(
            f"{study_dir} holds a study of other data: {old.data_title}, fingerprint {old.data_fingerprint[:8]} "
            f"there and {image_set.fingerprint[:8]} here; {WAY_OUT}"
        )


def _check_split(study_dir: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to go on where the same data would be dealt otherwise than the finished runs saw it."""
    old = read_rows(study_dir / "split.csv", ("label", "group", "split", "fold", "path"))
    if old and split_fingerprint(old) != split_fingerprint(rows):
        raise ValueError(
            f"{study_dir} holds a study of another split: its split.csv deals the images otherwise than this roadtest "
            f"does; {WAY_OUT}"
        )


def _widened(options: Options, runs: Sequence[PlannedRun]) -> Options:
    """Options that repeat all runs of a study that has grown; unchanged where no single command does."""
    labels = tuple(dict.fromkeys(run.label for run in runs))
    seeds = tuple(sorted({run.seed for run in runs}))
    if len(runs) != len(labels) * len(seeds):
        return options
    # off, and no stem: a label that says otherwise overrides it
    return replace(options, networks=labels, stn="off", stem=None, pretrained="off", seeds=seeds)


def _num_tracks(image_set: ImageSet) -> int:
    train = image_set.indices_of("train")
    groups = [image_set.groups[i] for i in train]
    return len({group for group in groups if group}) + sum(not group for group in groups)


def _command(source: str, options: Options) -> str:
    """The command line that repeats the study; paths of this machine are left to the reader."""
    words = ["roadtest", "compare", source]
    for name, value in vars(options).items():
        if value != Options.__dataclass_fields__[name].default and name in _FLAGS:
            words += _FLAGS[name](value)
    return shlex.join(words)


def _joined(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _flag(name: str) -> Callable[[object], list[str]]:
    return lambda value: [name, _joined(value)]


_SAME_NAMES = (
    "networks stn seeds preset epochs patience group image_size batch_size lr device precision threads jobs "
    "keep_weights metric mix validate_on test_on stem pretrained flips class_weights"
)
_FLAGS: dict[str, Callable[[object], list[str]]] = {
    **{name: _flag("--" + name.replace("_", "-")) for name in _SAME_NAMES.split()},
    "budget_seconds": lambda value: ["--budget", f"{float(str(value)):g}s"],
    "budget_total_seconds": lambda value: ["--budget-total", f"{float(str(value)):g}s"],
    "anneal": lambda value: ["--anneal"],
    "reads_test": lambda value: ["--no-test"],
    "is_subset_allowed": lambda value: ["--subset"],
    "skip_broken": lambda value: ["--skip-broken"],
    "has_images": lambda value: ["--no-images"],
}


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
