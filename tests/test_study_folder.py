"""What says what a study is: written once, checked ever after, repeated by one command."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exact_study import change_record
from fake_study import build_fake_study
from roadtest.analysis.recommend import find_run
from roadtest.records import read_record, read_rows, read_study_info, write_rows
from roadtest.study import folder as folder_module
from roadtest.study.folder import check_protocol, keep_chosen_weights, make_folder, move_aside, write_plan
from roadtest.study.options import Options, to_command
from roadtest.study.resolve import planned_runs
from small_study import make_context
from tiny import TINY, coloured_squares

RUNS = planned_runs([("lenet5", False)], (0,))
DEFAULTS = Options()


def plan(study_dir: Path, options: Options = DEFAULTS, **changes: Any) -> None:
    values = {"image_set": coloured_squares(), "protocol": TINY, "runs": RUNS, **changes}
    study_dir.mkdir(exist_ok=True)
    write_plan(make_context(study_dir=study_dir, source="squares", options=options, **values))


def refusal(study_dir: Path, **changes: Any) -> str:
    before = {path: path.read_bytes() for path in study_dir.iterdir()}
    with pytest.raises(ValueError) as error:
        plan(study_dir, **changes)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("use another --out, or --fresh to move the old study aside")
    assert {path: path.read_bytes() for path in study_dir.iterdir()} == before
    return str(error.value)


def test_the_plan_says_what_is_compared_and_how_to_repeat_it(tmp_path: Path) -> None:
    plan(tmp_path, Options(networks=("lenet5",), stn="off", data_dir=Path("d"), seeds=1, group="auto"))
    info = read_study_info(tmp_path)
    assert (info.num_train, info.num_val, info.num_test, info.num_tracks) == (120, 0, 30, 24)
    assert info.runs == RUNS
    assert info.protocol_fingerprint == TINY.fingerprint
    assert info.command == "roadtest compare squares --networks lenet5 --stn off --seeds 1 --group auto"
    config = tomllib.loads((tmp_path / "study.toml").read_text())
    assert (config["source"], config["networks"], config["seeds"], config["fresh"]) == ("squares", ["lenet5"], 1, False)
    assert config["group"] == "auto"
    assert len(read_rows(tmp_path / "split.csv")) == 150


def test_planning_again_keeps_the_date_and_the_old_runs(tmp_path: Path) -> None:
    plan(tmp_path)
    text = (tmp_path / "study.json").read_text()
    plain = json.loads(text) | {"created_at": "2020-01-01T00:00:00+00:00"}
    (tmp_path / "study.json").write_text(json.dumps(plain))
    plan(tmp_path, runs=planned_runs([("vgg16", True)], (0,)))
    info = read_study_info(tmp_path)
    assert info.created_at == "2020-01-01T00:00:00+00:00"
    assert [run.label for run in info.runs] == ["lenet5", "vgg16+stn"]
    assert info.command == "roadtest compare squares --networks lenet5,vgg16+stn --stn off --seeds 0"


def test_a_study_without_a_single_command_keeps_the_last_one(tmp_path: Path) -> None:
    plan(tmp_path, Options(seeds=2), runs=planned_runs([("lenet5", False)], (0, 1)))
    plan(tmp_path, Options(networks=("vgg16",)), runs=planned_runs([("vgg16", False)], (0,)))
    assert read_study_info(tmp_path).command == "roadtest compare squares --networks vgg16"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": replace(TINY, patience=5)}, "patience is 0 there and 5 here"),
        ({"protocol": replace(TINY, name="x", patience=5)}, "name is 'tiny-v1' there and 'x' here"),
        ({"image_set": replace(coloured_squares(), fingerprint="0" * 64)}, "of other data: coloured squares"),
    ],
)
def test_what_does_not_belong_is_refused_by_name_and_nothing_is_written(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    plan(tmp_path)
    assert words in refusal(tmp_path, **changes)


def test_another_split_of_the_same_data_is_refused(tmp_path: Path) -> None:
    plan(tmp_path)
    rows = read_rows(tmp_path / "split.csv")
    rows[0]["fold"] = str((int(rows[0]["fold"]) + 1) % 4)
    write_rows(tmp_path / "split.csv", rows, rows[0].keys())
    assert "another split" in refusal(tmp_path)


def test_a_folder_without_a_study_has_any_protocol(tmp_path: Path) -> None:
    check_protocol(tmp_path, TINY)
    check_protocol(tmp_path / "nowhere", TINY)


def test_a_damaged_study_is_refused_in_one_line(tmp_path: Path) -> None:
    plan(tmp_path)
    plain = json.loads((tmp_path / "study.json").read_text())
    plain["protocol"]["flip_probability"] = 0.5
    (tmp_path / "study.json").write_text(json.dumps(plain))
    with pytest.raises(ValueError, match="no protocol of this roadtest"):
        check_protocol(tmp_path, TINY)
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        check_protocol(tmp_path, TINY)


def test_the_command_has_every_option_that_was_given_and_none_of_this_machines_paths() -> None:
    options = Options(
        data_dir=Path("/secret/data"),
        out=Path("/secret/out"),
        networks=("lenet5", "my net.py:build"),
        seeds=(0, 4),
        budget_seconds=90.0,
        epochs=3,
        reads_test=False,
        is_subset_allowed=True,
        skip_broken=True,
        group="auto",
        has_images=False,
        lr=0.1,
        keep_weights="none",
    )
    command = to_command("gtsrb", options)
    assert "secret" not in command
    given = (
        "--subset --skip-broken --group auto --no-test --budget 90s --epochs 3 --lr 0.1 --keep-weights none --no-images"
    )
    assert all(words in command for words in ("--networks 'lenet5,my net.py:build'", "--seeds 0,4"))
    assert set(given.split()) <= set(command.split())
    assert to_command("signs", Options()) == "roadtest compare signs"


@pytest.mark.parametrize(
    ("undertrained", "kept"),
    [
        ((), {"resnet34"}),
        (("resnet34",), {"lenet5"}),  # the better one saw too little to be recommended
        (("lenet5", "resnet34"), {"lenet5", "resnet34"}),  # none is recommended, and nothing deleted
    ],
)
def test_only_the_recommended_networks_weights_are_kept(
    undertrained: tuple[str, ...], kept: set[str], tmp_path: Path
) -> None:
    study_dir = build_fake_study(
        tmp_path / "s", networks=("lenet5", "resnet34"), seeds=2, tracks_per_class=2, has_examples=False
    )
    runs = read_study_info(study_dir).runs
    for run in runs:
        (study_dir / run.folder / "weights.safetensors").touch()
        change_record(study_dir / run.folder, "is_undertrained", run.network in undertrained)
    records = [read_record(study_dir / run.folder) for run in runs]
    means = {name: sum(r.val.accuracy for r in records if r.network == name) for name in ("lenet5", "resnet34")}
    assert means["resnet34"] > means["lenet5"]
    keep_chosen_weights(study_dir, records)
    assert {run.network for run in runs if (study_dir / run.folder / "weights.safetensors").exists()} == kept
    if len(kept) == 1:
        assert find_run(study_dir).path.parent.name in kept


def test_a_place_that_is_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        make_folder(tmp_path / "file")
    with pytest.raises(ValueError, match="other things than a study"):
        make_folder(tmp_path)
    with pytest.raises(ValueError, match="file is a file"):
        make_folder(tmp_path / "file" / "study")
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / ".lock").touch()
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "photo.png").touch()
    with pytest.raises(ValueError, match="other things than a study"):
        make_folder(tmp_path / "a" / "b")


def test_a_study_that_was_cut_short_by_a_full_disk_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_dir = tmp_path / "study"
    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "write_rows", _no_space)
        with pytest.raises(OSError, match="No space"):
            plan(study_dir)
    assert [path.name for path in study_dir.iterdir()] == ["study.json"]
    make_folder(study_dir)
    plan(study_dir)
    assert len(read_rows(study_dir / "split.csv")) == 150


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_nothing_but_a_study_is_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "split.csv").touch(), (photos / ".lock").touch(), (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="other things than a study"):
        move_aside(photos)
    with pytest.raises(ValueError, match="is a file"):
        move_aside(tmp_path / "file")
    study_dir = tmp_path / "study"
    plan(study_dir)
    monkeypatch.chdir(study_dir)
    for place in (Path(), Path("..")):
        with pytest.raises(ValueError, match=r"is the folder you are in|other things"):
            move_aside(place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "photos", "study"]


def test_moving_aside_what_is_not_there_does_nothing(tmp_path: Path) -> None:
    move_aside(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_the_metric_that_chooses_is_kept_and_changes_no_protocol(tmp_path: Path) -> None:
    plan(tmp_path, Options(metric="macro-f1"))
    info = read_study_info(tmp_path)
    assert (info.metric, info.protocol_fingerprint) == ("macro-f1", TINY.fingerprint)
    assert info.command == "roadtest compare squares --metric macro-f1"
    plan(tmp_path)  # said once is said: the same study, repeated without the word
    info = read_study_info(tmp_path)
    assert info.metric == "macro-f1" and "--metric macro-f1" in info.command
    assert tomllib.loads((tmp_path / "study.toml").read_text())["metric"] == "macro-f1"
    plan(tmp_path, Options(metric="accuracy"))
    info = read_study_info(tmp_path)
    assert info.metric == "accuracy" and "--metric" not in info.command
    assert "metric" not in tomllib.loads((tmp_path / "study.toml").read_text())
