"""The files that say what a study is: study.json, study.toml and split.csv; written once, checked ever after."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from roadtest.analysis import ACCURACY
from roadtest.analysis.recommend import recommend
from roadtest.data.dataset import ImageSet
from roadtest.data.split import assign_folds, split_fingerprint, split_rows
from roadtest.networks.user_file import check_unchanged, is_user_defined
from roadtest.protocol import Protocol
from roadtest.records import (
    PlannedRun,
    RunRecord,
    StudyInfo,
    read_records,
    read_rows,
    read_study_info,
    to_json,
    utc_now,
    write_atomically,
    write_rows,
)
from roadtest.records.disk import refuse_if_locked
from roadtest.records.files import write_config
from roadtest.study.options import Options, to_command
from roadtest.study.resolve import StudyContext, source_kind, source_name

WAY_OUT = "use another --out, or --fresh to move the old study aside"


def write_plan(context: StudyContext) -> None:
    """Write study.json, study.toml and split.csv, or check that a folder that is there belongs to this study."""
    study_dir, source, options = context.study_dir, context.source, context.options
    image_set, protocol = context.image_set, context.protocol
    old_runs: tuple[PlannedRun, ...] = ()
    created_at, metric = utc_now(), options.metric or ACCURACY
    if (study_dir / "study.json").exists():
        old = read_study_info(study_dir)
        check_protocol(study_dir, protocol)
        check_data(study_dir, old, image_set)
        old_runs, created_at, metric = old.runs, old.created_at, options.metric or old.metric
    rows = split_rows(image_set, assign_folds(image_set, protocol.num_folds))
    _check_split(study_dir, rows)
    all_runs = old_runs + tuple(run for run in context.runs if run not in old_runs)
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
        command=to_command(source, options),
        created_at=created_at,
        reads_test=options.reads_test,
        notes=tuple(note.text for note in image_set.notes),
        metric=metric,
        test_title=image_set.test_title,
        test_fingerprint=image_set.test_fingerprint,
        level=image_set.level,
        subject=image_set.subject,
        group_origin=image_set.group_origin,
    )
    write_atomically(study_dir / "study.json", to_json(info))  # first: what is cut short here is gone on with
    write_rows(study_dir / "split.csv", rows, rows[0].keys())
    write_config(study_dir / "study.toml", {"source": source, **vars(options), "fresh": False})


def move_aside(study_dir: Path) -> None:
    """Rename a study that is there, so that the next one begins afresh and nothing is lost; nothing else is renamed."""
    check_place(study_dir)
    if not (study_dir / "study.json").exists():
        return
    refuse_if_locked(study_dir)
    if Path.cwd().is_relative_to(study_dir.resolve()):
        raise ValueError(f"{study_dir} is the folder you are in: --fresh would move it; call from outside of it")
    place = study_dir if study_dir.is_symlink() else study_dir.resolve()
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    names = (f"{place.name}.old-{stamp}{again}" for again in ("", *(f"-{i}" for i in range(2, 1000))))
    place.rename(next(path for name in names if not (path := place.with_name(name)).exists()))


def keep_chosen_weights(study_dir: Path, records: Sequence[RunRecord]) -> None:
    """Delete the weights of every network but the recommended one; where none is recommended, of none."""
    chosen = recommend(study_dir).label
    for record in records:
        if chosen is not None and record.label != chosen:
            (study_dir / record.run.folder / "weights.safetensors").unlink(missing_ok=True)


def check_protocol(study_dir: Path, protocol: Protocol, *, are_flips_known: bool = True) -> None:
    """Refuse a folder that holds a study of another protocol, naming the first field that differs."""
    if not (study_dir / "study.json").exists():
        return
    there = Protocol.from_dict(read_study_info(study_dir).protocol)
    if not are_flips_known:  # the images are asked later, and may answer as they did there
        likewise = replace(protocol.augmentation, flip_probability=there.augmentation.flip_probability)
        protocol = replace(protocol, augmentation=likewise)
    difference = there.first_difference(protocol)
    if difference is not None:
        raise ValueError(f"{study_dir} holds a study of another protocol: {difference}; {WAY_OUT}")


def check_place(study_dir: Path) -> None:
    """Refuse a place that is taken by something that is no study; one that was barely begun has hidden files only."""
    nearest = next(path for path in (study_dir, *study_dir.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise ValueError(f"{nearest} is a file: a study is a folder; give another --out")
    if not study_dir.exists() or (study_dir / "study.json").exists():
        return
    if not all(path.name.startswith(".") for path in study_dir.iterdir()):
        raise ValueError(f"{study_dir} holds other things than a study: give an empty or a new folder as --out")


def check_own_networks(study_dir: Path, runs: Iterable[PlannedRun]) -> None:
    """Refuse networks of the user's own whose files were changed since runs of them were finished."""
    names = dict.fromkeys(run.network for run in runs if is_user_defined(run.network))
    if names and (study_dir / "study.json").exists():
        records = read_records(study_dir)
        for name in names:
            check_unchanged(name, records)


def make_folder(study_dir: Path) -> None:
    """Make the study's folder; a ValueError where its place is taken."""
    check_place(study_dir)
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
